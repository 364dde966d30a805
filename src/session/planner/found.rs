//! A session's way to its templates: in the scene of all, or in that of its own transaction once that has changed
//! definitions. In, text; out, what the lexer made of it, and a template.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;

use crate::catalog::Cells;
use crate::execute::own;
use crate::planning::Template;
use crate::routing::ShardMap;
use crate::session::turn::Session;
use crate::sql::Lexed;
use crate::sql::lexer::LexOptions;
use crate::types::{ClientError, SqlState};

thread_local! {
    static SCRATCH: RefCell<Option<Box<Lexed>>> = const { RefCell::new(None) };
}

/// A lexer's result to fill, with the buffers of the last one on this thread.
pub(in crate::session) fn take_scratch() -> Box<Lexed> {
    SCRATCH.with_borrow_mut(Option::take).unwrap_or_default()
}

pub(in crate::session) fn put_scratch(lexed: Box<Lexed>) {
    if lexed.normalized.capacity() <= crate::types::limits::INLINE_STATEMENT_BYTES_MAX {
        SCRATCH.with_borrow_mut(|place| *place = Some(lexed));
    }
}

impl Session {
    /// Lexes a huge statement and looks for its template on a thread where that holds nobody up.
    ///
    /// # Errors
    /// As [`Planner::lex`].
    pub(in crate::session) async fn lex_apart(
        &self,
        sql: Bytes,
    ) -> Result<(Box<Lexed>, Option<Arc<Template>>), ClientError> {
        let (database, names) = (Arc::clone(&self.database), Arc::clone(&self.names));
        let standard_conforming_strings = self.standard_conforming_strings;
        let within = self.within.clone();
        let lexing = tokio::task::spawn_blocking(move || {
            let mut lexed = Box::<Lexed>::default();
            database.planner.lex(&sql, standard_conforming_strings, &mut lexed)?;
            let found = match &within {
                Some(within) => within.current.templates.get(&sql, &lexed, names.key),
                None => database.planner.find(&sql, &lexed, &names),
            };
            Ok((lexed, found))
        });
        let failed = |_| ClientError::new(SqlState::STATEMENT_TOO_COMPLEX, "the statement could not be planned");
        lexing.await.map_err(failed)?
    }

    /// As [`Planner::find`], in the scene of the transaction if it has one of its own.
    pub(in crate::session) fn find_template(&self, sql: &[u8], lexed: &Lexed) -> Option<Arc<Template>> {
        match &self.within {
            Some(within) => within.current.templates.get(sql, lexed, self.names.key),
            None => {
                let found = self.database.planner.find(sql, lexed, &self.names);
                found.filter(|template| !template.misses || self.state.pins.temporary_objects)
            }
        }
    }

    /// As [`Planner::build`], in the scene of the transaction if it has one of its own.
    ///
    /// # Errors
    /// As [`Planner::build`].
    pub(in crate::session) async fn build_template(
        &self,
        sql: Bytes,
        lexed: Lexed,
    ) -> Result<Arc<Template>, ClientError> {
        let (database, names) = (Arc::clone(&self.database), Arc::clone(&self.names));
        match self.within.clone() {
            Some(within) => database.planner.build_in(within.current, sql, lexed, names).await,
            None => {
                let template = database.planner.build(sql.clone(), lexed.clone(), Arc::clone(&names)).await?;
                // Temporary tables are in no catalog that is read.
                if !template.misses || self.state.pins.temporary_objects {
                    return Ok(template);
                }
                let generation = database.planner.generation();
                database.planner.look_now().await;
                if database.planner.generation() == generation {
                    return Ok(template);
                }
                database.planner.build(sql, lexed, names).await
            }
        }
    }

    /// Where tables are, as the session's next statement sees it.
    pub(in crate::session) fn map_now(&self) -> Option<Arc<ShardMap>> {
        match &self.within {
            Some(within) => Some(Arc::clone(&within.current.scene.map)),
            None => self.database.planner.map(),
        }
    }

    pub(in crate::session) fn generation(&self) -> u64 {
        self.within.as_ref().map_or_else(|| self.database.planner.generation(), |within| within.generation)
    }

    /// Within a block that has changed definitions, statements are planned by what the transaction itself sees: its
    /// own connection to the home shard is asked. Not while answers are awaited: then by what was known before.
    pub(in crate::session) async fn look_within(&mut self) {
        if !self.changed_within || !self.transaction.in_block() || self.transaction.is_failed() {
            return;
        }
        let home = self.database.config.home;
        let is_at_rest = self.expects.is_empty() && self.segment.is_none() && self.scattering.is_none();
        if !is_at_rest || !self.transaction.lease_mut(home).is_some_and(|lease| lease.is_at_rest()) {
            return;
        }
        self.changed_within = false;
        self.ask_within().await;
    }

    /// Takes over the definitions as the client's own connection to the home shard, which is held and at rest, sees them.
    pub(in crate::session) async fn ask_within(&mut self) {
        let home = self.database.config.home;
        let Some(lease) = self.transaction.lease_mut(home) else { return };
        let question = format!("{};{}", crate::catalog::question(), crate::catalog::numbers::QUESTION);
        match own::ask(lease, &question).await {
            Ok(mut answers) => {
                // Behind the last answer there is an empty one.
                answers.truncate(crate::catalog::ANSWERS + 1);
                let numbers = answers.pop().unwrap_or_default();
                self.forget_numbers();
                self.numbers_within = crate::session::numbering::read(numbers);
                let answers = answers.into_iter().map(|rows| rows.into_iter().map(Cells).collect()).collect();
                let catalog = crate::catalog::read(answers);
                self.within = catalog.ok().and_then(|catalog| self.database.planner.within(catalog));
            }
            Err(error) => tracing::warn!(%error, "the definitions of a transaction were not read"),
        }
    }

    /// The transaction has ended, and what it alone saw with it.
    pub(in crate::session) fn forget_within(&mut self) {
        self.within = None;
        self.changed_within = false;
        if self.numbers_within.is_some() {
            self.forget_numbers();
        }
    }

    pub(in crate::session) fn lex_options(&self) -> LexOptions {
        LexOptions { standard_conforming_strings: self.standard_conforming_strings }
    }
}
