//! Parse: in, a message; out, a statement of the client's under its name, with its template. Where it runs
//! isn't known yet: Parses wait until a Bind or a Describe places them.

use std::sync::Arc;

use bytes::Bytes;

use crate::execute::Expect;
use crate::protocol::frontend::Parse;
use crate::session::prepared::ClientStatement;
use crate::session::segment::Failure;
use crate::session::turn::Session;
use crate::session::undo::Unplaced;
use crate::sql::Lexed;
use crate::types::limits::{CLIENT_STATEMENTS_MAX, INLINE_STATEMENT_BYTES_MAX};
use crate::types::{ClientError, SqlState};

impl Session {
    pub(super) async fn parse(&mut self, len: usize) -> Result<(), Failure> {
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let message = Parse::decode(frame)?;
        if !message.statement.is_empty() {
            if self.statements.contains_key(message.statement) {
                let name = String::from_utf8_lossy(message.statement);
                let text = format!("prepared statement \"{name}\" already exists");
                let (sql, types) = (Bytes::copy_from_slice(message.sql), Bytes::copy_from_slice(message.types));
                self.check_text(&sql, &types).await?;
                return Err(ClientError::new(SqlState::DUPLICATE_PREPARED_STATEMENT, text).into());
            }
            if self.statements.len() >= CLIENT_STATEMENTS_MAX {
                let text = format!("a client may hold {CLIENT_STATEMENTS_MAX} prepared statements");
                return Err(ClientError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, text).into());
            }
        }
        let generation = self.generation();
        let apart = if message.sql.len() > INLINE_STATEMENT_BYTES_MAX {
            let sql = Bytes::copy_from_slice(message.sql);
            Some(Box::pin(self.lex_apart(sql)).await?)
        } else {
            None
        };
        let message = Parse::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let (lexed, found) = match apart {
            Some((lexed, found)) => (*lexed, found),
            None => {
                let mut lexed = Lexed::default();
                self.database.planner.lex(message.sql, self.standard_conforming_strings, &mut lexed)?;
                let found = self.find_template(message.sql, &lexed);
                (lexed, found)
            }
        };
        let shared =
            (!message.statement.is_empty()).then(|| self.database.statements.intern(message.sql, message.types));
        let name: Box<[u8]> = message.statement.into();
        let (sql, declared) = match &shared {
            Some(statement) => (statement.sql.clone(), statement.types.clone()),
            None => (Bytes::copy_from_slice(message.sql), Bytes::copy_from_slice(message.types)),
        };
        self.note_template(found.is_some());
        let template = match found {
            Some(template) => template,
            None => self.build_template(sql.clone(), lexed.clone()).await?,
        };
        let statement = Arc::new(ClientStatement {
            name: name.clone(),
            sql,
            declared,
            shared,
            lexed,
            ..ClientStatement::unknown(template, generation, Arc::clone(self.names()))
        });
        let previous = self.statements.insert(name, Arc::clone(&statement));
        self.unplaced.push(Unplaced { statement, previous });
        Ok(())
    }

    /// What is wrong with the text comes before what is wrong with its name.
    async fn check_text(&mut self, sql: &[u8], types: &[u8]) -> Result<(), Failure> {
        self.place_anywhere().await?;
        let shard = self.enter_anywhere().await?;
        let lease = self.transaction.lease_mut(shard).expect("the segment's connection is held");
        lease.queue_parse(b"", sql, types);
        lease.unnamed = None;
        self.expects.push_back(Expect::Parse { shown: false, statement: None });
        Ok(())
    }

    /// The statement with a template for the catalog and the search_path as they are now.
    pub(super) async fn refresh(&mut self, old: &Arc<ClientStatement>) -> Result<Arc<ClientStatement>, Failure> {
        let generation = self.generation();
        let names = Arc::clone(self.names());
        let template = match self.find_template(&old.sql, &old.lexed) {
            Some(template) => template,
            None => self.build_template(old.sql.clone(), old.lexed.clone()).await?,
        };
        let fresh = Arc::new(ClientStatement {
            name: old.name.clone(),
            sql: old.sql.clone(),
            declared: old.declared.clone(),
            shared: old.shared.clone(),
            lexed: old.lexed.clone(),
            types: old.types.clone(),
            columns: old.columns.clone(),
            described: old.described.clone(),
            written: old.written.clone(),
            ..ClientStatement::unknown(template, generation, names)
        });
        self.statements.insert(old.name.clone(), Arc::clone(&fresh));
        for waiting in &mut self.unplaced {
            if Arc::ptr_eq(&waiting.statement, old) {
                waiting.statement = Arc::clone(&fresh);
            }
        }
        Ok(fresh)
    }

    pub(in crate::session) fn is_current(&self, statement: &ClientStatement) -> bool {
        statement.generation == self.generation() && statement.names.key == self.names().key
    }
}
