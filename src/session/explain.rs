//! EXPLAIN through the proxy: ahead of PostgreSQL's own plan come rows that say where the statement goes
//! and why. A database with one shard and no replica shows PostgreSQL's plan alone.

use bytes::BytesMut;

use super::turn::Session;
use crate::planning::{Plan, Template};
use crate::pool::Backend;
use crate::protocol::backend;
use crate::sql::Command;
use crate::sql::command::Verb;
use crate::sql::lexer::{TokenKind, Tokens};

/// The rows for one backend: the plan, and the node that runs it.
pub(super) fn preface(plan: Option<&str>, lease: &Backend) -> Option<BytesMut> {
    let mut rows = BytesMut::new();
    for line in plan?.lines() {
        backend::text_row(&mut rows, &[Some(&format!("Shardway: {line}"))]);
    }
    backend::text_row(&mut rows, &[Some(&format!("Shardway: this part from {}", lease.node.describe()))]);
    Some(rows)
}

impl Session {
    /// Remembers what the next relay of this statement has to say first, if it is an EXPLAIN.
    pub(super) fn note_explain(&mut self, template: &Template, sql: &[u8], plan: &Plan) {
        let explains = matches!(&template.statements[..], [only] if matches!(only.command, Command::Ordinary(Verb::Explain { .. })));
        self.explaining = (explains && !self.database.is_single() && self.answers_in_text(sql))
            .then(|| self.database.planner.describe(plan).into_boxed_str());
    }

    /// Adds what shards are asked in the place of the client's statement, if there is anything to be said.
    pub(super) fn explain_further(&mut self, what: &str, sql: &[u8]) {
        if let Some(said) = self.explaining.take() {
            let words = String::from_utf8_lossy(sql);
            let words: Vec<&str> = words.split_whitespace().collect();
            self.explaining = Some(format!("{said}\n{what}: {}", words.join(" ")).into_boxed_str());
        }
    }

    /// JSON, XML and YAML are one document, which has no room for rows ahead of it.
    fn answers_in_text(&self, sql: &[u8]) -> bool {
        let options = self.lex_options();
        let mut words = Tokens::new(sql, &options)
            .skip(1)
            .take_while(|token| !matches!(token.kind, TokenKind::Punct(b')')))
            .map(|token| sql.get(token.span).unwrap_or_default());
        while let Some(word) = words.next() {
            if word.eq_ignore_ascii_case(b"format") {
                return words.next().is_some_and(|format| format.eq_ignore_ascii_case(b"text"));
            }
            if [&b"select"[..], b"insert", b"update", b"delete", b"with", b"merge"]
                .iter()
                .any(|verb| word.eq_ignore_ascii_case(verb))
            {
                return true;
            }
        }
        true
    }
}
