//! Ids are put into a client's INSERT before it is planned: what follows sees a statement that leaves nothing to a
//! sequence. In: a frame whose template has a filling. Out: the frame in its place that is planned and sent.

use std::sync::{Arc, PoisonError};

use bytes::{Bytes, BytesMut};

use super::prepared::ClientStatement;
use super::segment::Failure;
use super::turn::{Session, SessionEnd, violation};
use crate::planning::Template;
use crate::protocol::frontend::{self, Bind, encode};
use crate::sql::Lexed;
use crate::types::{ClientError, SqlState};

/// That nothing is left to be filled in.
///
/// # Errors
/// Never, as long as a filling fills all that it finds.
pub(super) fn is_full(template: &Template) -> Result<(), ClientError> {
    match template.filling {
        None => Ok(()),
        Some(_) => Err(ClientError::new(SqlState::INTERNAL_ERROR, "ids are still missing in a statement")),
    }
}

/// The OID of int8 (pg_type.dat).
const INT8: u32 = 20;

impl Session {
    /// Puts ids into the Query at the front of the client's buffer; gives its new length.
    pub(super) async fn fill_query(
        &mut self,
        template: &Template,
        len: usize,
    ) -> Result<Result<usize, ClientError>, SessionEnd> {
        let Some(filling) = &template.filling else { return Ok(Ok(len)) };
        if self.transaction.is_failed() {
            return Ok(Err(super::block::aborted()));
        }
        let ids = match self.serve_ids(filling).await {
            Ok(ids) => ids,
            Err(error) => return Ok(Err(error)),
        };
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let sql = frontend::query(frame).map_err(violation)?;
        let value = |at: usize| ids.get(at).map(i64::to_string).unwrap_or_default();
        let (filled, moved) = filling.apply(sql, &self.lex_options(), value);
        self.moved = Some(moved);
        let mut fresh = BytesMut::new();
        encode::query(&mut fresh, &filled);
        Ok(Ok(self.replace_front(len, fresh)))
    }

    /// Puts another frame in the place of the one at the front of the client's buffer.
    pub(super) fn replace_front(&mut self, len: usize, fresh: BytesMut) -> usize {
        self.client.inbound.replace_front(len, &fresh);
        fresh.len()
    }

    /// Puts ids behind the parameters of the Bind at the front of the client's buffer; gives the statement that it
    /// is for then, and its new length.
    pub(super) async fn fill_bind(
        &mut self,
        statement: &Arc<ClientStatement>,
        len: usize,
    ) -> Result<(Arc<ClientStatement>, usize), Failure> {
        let Some(filling) = &statement.template.filling else { return Ok((Arc::clone(statement), len)) };
        if self.transaction.is_failed() {
            return Err(super::block::aborted().into());
        }
        let filled = self.filled_statement(statement).await?;
        let ids = self.serve_ids(filling).await?;
        let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let tail = message.tail_with(&ids).ok_or_else(|| {
            ClientError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many parameters and ids for one statement")
                .hint("Insert fewer rows at once.")
        })?;
        let mut fresh = BytesMut::new();
        encode::bind(&mut fresh, message.portal, message.statement, &tail);
        let len = self.replace_front(len, fresh);
        self.replaced = Some(len);
        Ok((filled, len))
    }

    /// The statement with a parameter for each id, made at the first Bind.
    async fn filled_statement(&mut self, statement: &Arc<ClientStatement>) -> Result<Arc<ClientStatement>, Failure> {
        // Types that a server has reported hold for the values of this Bind as well.
        let declared = match statement.types.get() {
            Some(types) => types.iter().flat_map(|oid| oid.to_be_bytes()).collect::<Bytes>(),
            None => statement.declared.clone(),
        };
        let known = statement.filled.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let filled = match known.filter(|filled| filled.declared == declared) {
            Some(filled) => filled,
            None => {
                let filled = Arc::new(self.make_filled(statement, declared).await?);
                *statement.filled.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&filled));
                filled
            }
        };
        if let (None, Some(types)) = (filled.types.get(), statement.types.get()) {
            let added = usize::from(filled.lexed.parameters).saturating_sub(types.len());
            let all = types.iter().copied().chain(std::iter::repeat_n(INT8, added)).collect();
            // Another Bind has set the same.
            let _ = filled.types.set(all);
        }
        Ok(filled)
    }

    async fn make_filled(&mut self, statement: &ClientStatement, declared: Bytes) -> Result<ClientStatement, Failure> {
        let Some(filling) = &statement.template.filling else {
            return Err(ClientError::new(SqlState::INTERNAL_ERROR, "nothing is to be filled in").into());
        };
        let first = usize::from(statement.lexed.parameters).max(statement.declared.len() / 4) + 1;
        let value = |at: usize| format!("${}::bigint", first + at);
        let sql = Bytes::from(filling.apply(&statement.sql, &self.lex_options(), value).0);
        self.make_derived(statement, sql, declared).await
    }

    /// A statement with another text than the client's, and what else is that one's.
    pub(super) async fn make_derived(
        &mut self,
        statement: &ClientStatement,
        sql: Bytes,
        declared: Bytes,
    ) -> Result<ClientStatement, Failure> {
        let mut lexed = Lexed::default();
        self.database.planner.lex(&sql, self.standard_conforming_strings, &mut lexed)?;
        let template = match self.find_template(&sql, &lexed) {
            Some(template) => template,
            None => self.build_template(sql.clone(), lexed.clone()).await?,
        };
        is_full(&template)?;
        Ok(ClientStatement {
            name: statement.name.clone(),
            // On servers it has a name: the client's unnamed statement is its own text.
            shared: Some(self.database.statements.intern(&sql, &declared)),
            sql,
            declared,
            lexed,
            ..ClientStatement::unknown(template, statement.generation, Arc::clone(&statement.names))
        })
    }
}
