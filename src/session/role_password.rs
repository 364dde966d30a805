//! CREATE ROLE ... PASSWORD 'secret' on several servers: each would hash it with a salt of its own, and what a client proves to
//! Shardway would be good for one of them. In: the text. Out: the text with what is to be stored in the place of the
//! password, the same for all.

use std::ops::Range;

use postgres_protocol::password::scram_sha_256;

use super::segment::Failure;
use super::turn::{Session, SessionEnd};
use crate::execute::own;
use crate::sql::lexer::{LexOptions, Token, TokenKind, Tokens, literal_text};
use crate::sql::{Literal, LiteralKind};

/// The password and where it stands, with its quotes.
fn password(sql: &[u8], options: &LexOptions) -> Option<(String, Range<usize>)> {
    let tokens: Vec<Token> = Tokens::new(sql, options).collect();
    let is = |at: usize, words: &[&str]| {
        tokens.get(at).is_some_and(|token| {
            let bytes = sql.get(token.span.clone()).unwrap_or_default();
            token.kind == TokenKind::Word && words.iter().any(|word| bytes.eq_ignore_ascii_case(word.as_bytes()))
        })
    };
    if !is(0, &["create", "alter"]) || !is(1, &["role", "user", "group"]) {
        return None;
    }
    let at = (3..tokens.len()).find(|at| is(*at, &["password"]))? + 1;
    let token = tokens.get(at)?;
    let TokenKind::Literal(kind) = token.kind else { return None };
    if matches!(kind, LiteralKind::Integer | LiteralKind::Decimal) {
        return None;
    }
    let literal = Literal { span: token.span.clone(), kind };
    Some((literal_text(sql, &literal)?.into_owned(), token.span.clone()))
}

/// What PostgreSQL stores as it is.
fn is_stored_form(password: &str) -> bool {
    let is_md5 = password.strip_prefix("md5").is_some_and(|rest| {
        rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    });
    is_md5 || password.starts_with("SCRAM-SHA-256$")
}

impl Session {
    /// `None`: the text goes as it is.
    pub(super) async fn with_hashed_password(&mut self, sql: &str) -> Result<Option<String>, SessionEnd> {
        let Some((password, span)) = password(sql.as_bytes(), &self.lex_options()) else { return Ok(None) };
        if password.is_empty() || is_stored_form(&password) || self.transaction.is_failed() {
            return Ok(None);
        }
        let home = self.database.config.home;
        match self.hold(home).await {
            Ok(()) => {}
            Err(Failure::End(end)) => return Err(end),
            // The definition itself will be told.
            Err(_) => return Ok(None),
        }
        let Some(lease) = self.transaction.lease_mut(home) else { return Ok(None) };
        let encryption = own::run(lease, "SHOW password_encryption").await.ok().and_then(|answer| answer.value);
        if encryption.as_deref() != Some("scram-sha-256") {
            // md5 has no salt but the name.
            return Ok(None);
        }
        let mut text = sql.to_owned();
        text.replace_range(span, &format!("'{}'", scram_sha_256(password.as_bytes())));
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_literal_behind_the_word() {
        let found = |sql: &str| {
            let options = LexOptions { standard_conforming_strings: true };
            password(sql.as_bytes(), &options).map(|(password, span)| (password, sql[span].to_owned()))
        };
        let some = |password: &str, written: &str| Some((password.to_owned(), written.to_owned()));
        assert_eq!(found("CREATE ROLE a LOGIN PASSWORD 'it''s'"), some("it's", "'it''s'"));
        assert_eq!(found("alter user password with encrypted password E'x\\n' nologin"), some("x\n", "E'x\\n'"));
        assert_eq!(found("ALTER ROLE a PASSWORD NULL"), None);
        assert_eq!(found("ALTER ROLE a SET search_path = 'password'"), None);
        assert_eq!(found("CREATE TABLE role (password text DEFAULT 'x')"), None);
    }

    #[test]
    fn what_is_stored_already_stays() {
        assert!(is_stored_form("md50123456789abcdef0123456789abcdef"));
        assert!(is_stored_form(&scram_sha_256(b"secret")));
        assert!(!is_stored_form("md5"));
    }
}
