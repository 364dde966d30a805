//! Blocks of ids from the home shard's sequences, shared by all clients of a database. In: a sequence and how many
//! values are wanted. Out: values that nobody else has, since each came from a `nextval` of the one sequence there is.
//!
//! A block is as large as what was used up of late, and kept for a moment only: it behaves as the values that a session
//! of PostgreSQL keeps of a sequence with CACHE, and like those it doesn't know of a `setval` made elsewhere meanwhile.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio_postgres::Client;

use super::database::Database;
use super::turn::Session;
use crate::catalog::QualifiedName;
use crate::execute::own::{self, OwnError};
use crate::planning::{Access, Filling};
use crate::pool::Node;
use crate::pool::connect::{Login, connect_control};
use crate::sql::quote_identifier;
use crate::types::limits::{HOLD_RETRY, ID_BLOCK_BUSY, ID_BLOCK_KEPT, ID_BLOCK_MAX, IDS_OF_STATEMENT_MAX};
use crate::types::{ClientError, SqlState};

/// The blocks of one database in this process.
#[derive(Debug, Default)]
pub struct Ids {
    blocks: Mutex<HashMap<QualifiedName, Arc<tokio::sync::Mutex<Block>>>>,
    /// One connection for each login: in a pool it would wait for those who wait for an id.
    connections: Mutex<HashMap<String, Arc<Client>>>,
    /// Statements under way that may set a sequence: meanwhile no value is kept.
    unsteady: AtomicUsize,
    /// Counts the ends of such statements: what was fetched before one is of no use.
    epoch: AtomicUsize,
}

#[derive(Debug)]
struct Block {
    values: VecDeque<i64>,
    /// How many were asked for the last time, beyond what was needed at once.
    size: usize,
    fetched: Option<Instant>,
    epoch: usize,
}

/// While this is there, a statement may be setting sequences.
#[derive(Debug)]
pub struct Unsteady(Arc<Database>);

impl Unsteady {
    pub fn begin(database: &Arc<Database>) -> Self {
        database.ids.unsteady.fetch_add(1, Ordering::AcqRel);
        database.ids.epoch.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(database))
    }
}

impl Drop for Unsteady {
    fn drop(&mut self) {
        self.0.ids.epoch.fetch_add(1, Ordering::AcqRel);
        self.0.ids.unsteady.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Ids {
    fn block(&self, sequence: &QualifiedName) -> Arc<tokio::sync::Mutex<Block>> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = blocks.get(sequence) {
            return Arc::clone(block);
        }
        let block = Block { values: VecDeque::new(), size: 0, fetched: None, epoch: 0 };
        let block = Arc::new(tokio::sync::Mutex::new(block));
        blocks.insert(sequence.clone(), Arc::clone(&block));
        block
    }

    /// Another server is the home shard's primary.
    pub fn leave_server(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// # Errors
    /// The server's, as when the sequence has no more values, or when it can't be reached.
    pub async fn take(
        &self,
        sequence: &QualifiedName,
        count: usize,
        home: &Node,
        login: &Login,
    ) -> Result<Vec<i64>, ClientError> {
        let block = self.block(sequence);
        let mut block = block.lock().await;
        let epoch = self.epoch.load(Ordering::Acquire);
        let is_old = block.fetched.is_none_or(|fetched| fetched.elapsed() > ID_BLOCK_KEPT);
        if is_old || block.epoch != epoch {
            block.values.clear();
        }
        let mut taken: Vec<i64> = Vec::with_capacity(count);
        while taken.len() < count
            && let Some(value) = block.values.pop_front()
        {
            taken.push(value);
        }
        let needed = count - taken.len();
        if needed == 0 {
            return Ok(taken);
        }
        let steady = self.unsteady.load(Ordering::Acquire) == 0;
        // Where ids are wanted seldom, none is kept in stock, and none is lost.
        let is_busy = block.fetched.is_some_and(|fetched| fetched.elapsed() < ID_BLOCK_BUSY);
        block.size = match (steady, is_busy) {
            (false, _) => 0,
            (true, true) => (block.size * 2).clamp(1, ID_BLOCK_MAX),
            (true, false) => block.size / 4,
        };
        let fetched = self.fetch(sequence, needed, needed + block.size, home, login).await?;
        let mut fetched = fetched.into_iter();
        taken.extend(fetched.by_ref().take(needed));
        if taken.len() < count {
            return Err(ClientError::new(
                SqlState::INTERNAL_ERROR,
                "a sequence gave fewer values than it was asked for",
            ));
        }
        block.values.extend(fetched);
        block.fetched = Some(Instant::now());
        // Set meanwhile: the values that are left are from before.
        block.epoch = epoch;
        Ok(taken)
    }

    async fn fetch(
        &self,
        sequence: &QualifiedName,
        needed: usize,
        wanted: usize,
        home: &Node,
        login: &Login,
    ) -> Result<Vec<i64>, ClientError> {
        let known = self.connections.lock().unwrap_or_else(PoisonError::into_inner).get(&login.user).cloned();
        let client = match known.filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.connect(home, login).await?,
        };
        let text = fetch_sql(sequence, needed, wanted);
        let rows = client.simple_query(&text).await.map_err(|error| refused(&error))?;
        let answer = rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok(read(answer.unwrap_or_default()))
    }

    async fn connect(&self, home: &Node, login: &Login) -> Result<Arc<Client>, ClientError> {
        let (client, _) = connect_control(&home.config, login).await.map_err(|error| {
            ClientError::new(SqlState::CONNECTION_FAILURE, "the home shard can't be asked for an id")
                .detail(format!("{}: {error}", home.describe()))
        })?;
        let client = Arc::new(client);
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.insert(login.user.clone(), Arc::clone(&client));
        Ok(client)
    }
}

/// As many calls of nextval as values: increment, cache, bounds and cycle are the sequence's own. What is fetched in
/// stock is at most a hundredth of what the sequence has left.
fn fetch_sql(sequence: &QualifiedName, needed: usize, wanted: usize) -> String {
    let name =
        format!("{}.{}", quote_identifier(&sequence.schema), quote_identifier(&sequence.name)).replace('\'', "''");
    // Backslashes mean themselves, whatever standard_conforming_strings is here.
    let literal = if name.contains('\\') { format!("E'{}'", name.replace('\\', "\\\\")) } else { format!("'{name}'") };
    format!(
        "SELECT pg_catalog.string_agg(v::pg_catalog.text, ',') FROM (
         SELECT pg_catalog.nextval({literal}) AS v FROM pg_catalog.generate_series(1, (
         SELECT GREATEST({needed}, LEAST({wanted}, pg_catalog.trunc(CASE WHEN s.seqincrement > 0
         THEN s.seqmax::numeric - COALESCE(pg_catalog.pg_sequence_last_value(s.seqrelid), s.seqstart)
         ELSE COALESCE(pg_catalog.pg_sequence_last_value(s.seqrelid), s.seqstart) - s.seqmin::numeric END
         / pg_catalog.abs(s.seqincrement) / 100)))::pg_catalog.int4
         FROM pg_catalog.pg_sequence s WHERE s.seqrelid = {literal}::pg_catalog.regclass))) AS served"
    )
}

fn read(answer: &str) -> Vec<i64> {
    answer.split(',').filter_map(|value| value.parse().ok()).collect()
}

fn refused(error: &tokio_postgres::Error) -> ClientError {
    match error.as_db_error() {
        Some(error) => ClientError::new(SqlState::of_server(error.code().code()), error.message()),
        None => ClientError::new(SqlState::CONNECTION_FAILURE, "the home shard was lost when it was asked for an id")
            .detail(error.to_string()),
    }
}

impl Session {
    /// The values for a statement's filling, in its order.
    ///
    /// # Errors
    /// As [`Ids::take`].
    pub(super) async fn serve_ids(&mut self, filling: &Filling) -> Result<Vec<i64>, ClientError> {
        if filling.sequences.len() > IDS_OF_STATEMENT_MAX {
            let text = format!("a statement may leave {IDS_OF_STATEMENT_MAX} values to sequences");
            return Err(ClientError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, text));
        }
        let mut wanted: Vec<(&QualifiedName, usize)> = Vec::new();
        for sequence in &filling.sequences {
            match wanted.iter_mut().find(|(known, _)| *known == sequence) {
                Some((_, count)) => *count += 1,
                None => wanted.push((sequence, 1)),
            }
        }
        let mut served = Vec::new();
        for (sequence, count) in wanted {
            served.push((sequence, self.take_ids(sequence, count).await?.into_iter()));
        }
        let next = |sequence: &QualifiedName| served.iter_mut().find(|(known, _)| *known == sequence)?.1.next();
        let values = filling.sequences.iter().map(next).collect::<Option<Vec<i64>>>();
        self.served_last |= !filling.sequences.is_empty();
        values.ok_or_else(|| ClientError::new(SqlState::INTERNAL_ERROR, "a sequence gave too few values"))
    }

    /// `count` values of a sequence on the home shard.
    ///
    /// # Errors
    /// As [`Ids::take`].
    pub(super) async fn take_ids(&mut self, sequence: &QualifiedName, count: usize) -> Result<Vec<i64>, ClientError> {
        if self.changed_catalog && self.transaction.in_block() {
            return self.take_ids_within(sequence, count).await;
        }
        let database = Arc::clone(&self.database);
        let login = database.login_of(&self.user);
        let login = login.ok_or_else(|| ClientError::new(SqlState::INVALID_AUTHORIZATION, "the user is gone"))?;
        let lead = Arc::clone(database.lead(database.config.home));
        let deadline = Instant::now() + lead.wait_max();
        loop {
            // A value that was lost with its answer is a gap, nothing else: it may be asked for again.
            match database.ids.take(sequence, count, lead.node(), &login).await {
                Err(error) if error.state == SqlState::CONNECTION_FAILURE && Instant::now() < deadline => {
                    let Some(_place) = lead.hold() else { return Err(error) };
                    lead.want_look();
                    crate::net::timer::sleep(HOLD_RETRY).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Within a transaction that has changed definitions: the sequence may be one that only it can see.
    async fn take_ids_within(&mut self, sequence: &QualifiedName, count: usize) -> Result<Vec<i64>, ClientError> {
        let home = self.database.config.home;
        if !self.expects.is_empty() {
            return Err(ClientError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "an id can't be served within a pipeline behind a change of definitions",
            )
            .hint("Send a Sync between the statements."));
        }
        self.reach(home, Access::Write).await?;
        self.settle_ahead(home).await?;
        let lease = self.transaction.lease_mut(home).expect("reached above");
        match own::run(lease, &fetch_sql(sequence, count, count)).await {
            Ok(answer) => Ok(read(answer.value.as_deref().unwrap_or_default())),
            Err(OwnError::Refused(frame)) => {
                let field = |kind| crate::protocol::backend::error_field(&frame.0, kind).unwrap_or_default();
                let code = String::from_utf8_lossy(field(b'C')).into_owned();
                Err(ClientError::new(SqlState::of_server(&code), String::from_utf8_lossy(field(b'M')).into_owned()))
            }
            Err(OwnError::Lost(reason)) => {
                Err(ClientError::new(SqlState::CONNECTION_FAILURE, "the home shard was lost").detail(reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_twice() {
        let sql = fetch_sql(&QualifiedName::new("a\"b", "it's"), 1, 10);
        assert!(sql.contains("nextval('\"a\"\"b\".\"it''s\"')"), "{sql}");
    }

    #[test]
    fn values_are_read() {
        assert_eq!(read("1,2,-3"), [1, 2, -3]);
        assert_eq!(read(""), [0_i64; 0]);
    }
}
