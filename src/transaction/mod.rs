//! Who is in a client's transaction: the connections it holds, what a shard that joins later must be
//! told first, and which shard was written. Pure bookkeeping; `session` does the talking.

mod apart;
pub mod claims;
pub mod consistency;
pub mod deadlock;
pub mod failpoint;
pub mod gid;
pub mod records;
pub mod recovery;

pub use apart::{Apart, Keeps, Layer, Wants};

use crate::pool::Lease;
use crate::protocol::backend::Status;
use crate::sql::lexer::{LexOptions, TokenKind, Tokens};
use crate::types::{ClientError, ShardId, SqlState};

/// The transaction of one client, or what it holds between two.
#[derive(Debug)]
pub struct Transaction {
    held: Vec<Held>,
    /// Connections to the scratch database, with portals, cursors or a query of this transaction: they are in no
    /// block of the client's, and end with it.
    apart: Vec<Apart>,
    block: Block,
    /// The shards that this transaction may have written, in the order of their first write.
    writers: Vec<ShardId>,
    /// Its name among those that wait, once it has had to have one.
    pub waiter: Option<deadlock::WaiterId>,
}

/// One shard in the transaction.
#[derive(Debug)]
pub struct Held {
    pub shard: ShardId,
    pub lease: Lease,
    /// How much of the journal it has heard; `None`: it can't be told what it missed.
    told: Option<usize>,
}

/// The client's transaction block where the proxy keeps it: on databases with several shards, and
/// wherever a server was lost under a block.
#[derive(Debug)]
enum Block {
    /// None, or one that a single server knows of.
    Outside,
    /// One statement of a client that is in no block runs on several shards: a transaction of the proxy's own,
    /// which the client never sees.
    Spread(Journal),
    Open(Journal),
    /// A statement failed; only ROLLBACK (to a savepoint) leads out.
    Failed(Journal),
}

/// What the client has said that a shard must hear before its first statement.
#[derive(Debug, Default)]
struct Journal {
    entries: Vec<Entry>,
    /// The block was begun within a Query of several statements, which can't be told again.
    opaque: bool,
}

#[derive(Debug)]
struct Entry {
    /// Set for SAVEPOINT.
    savepoint: Option<String>,
    sql: String,
}

impl Transaction {
    pub fn none() -> Self {
        Self {
            held: Vec::with_capacity(1),
            apart: Vec::new(),
            block: Block::Outside,
            writers: Vec::new(),
            waiter: None,
        }
    }

    pub fn held(&self) -> &[Held] {
        &self.held
    }

    pub fn held_mut(&mut self) -> &mut [Held] {
        &mut self.held
    }

    pub fn lease_mut(&mut self, shard: ShardId) -> Option<&mut Lease> {
        if shard.is_scratch() {
            return self.apart_of(shard).map(|apart| &mut apart.lease);
        }
        self.held.iter_mut().find(|held| held.shard == shard).map(|held| &mut held.lease)
    }

    /// What was set within the block and must hold on a connection apart as well, as statements.
    ///
    /// # Errors
    /// When something happened in the block that can't be repeated elsewhere.
    pub fn settings_in_block(&self) -> Result<Vec<&str>, ClientError> {
        let (Block::Open(journal) | Block::Failed(journal)) = &self.block else { return Ok(Vec::new()) };
        if journal.opaque {
            return Err(opaque());
        }
        let sets = |entry: &&Entry| {
            entry.savepoint.is_none()
                && begins_with(&entry.sql, &["set", "reset"])
                && !begins_behind(&entry.sql, &["transaction", "constraints"])
        };
        Ok(journal.entries.iter().skip(1).filter(sets).map(|entry| entry.sql.as_str()).collect())
    }

    pub fn add(&mut self, shard: ShardId, lease: Lease) -> &mut Lease {
        self.held.push(Held { shard, lease, told: Some(0) });
        &mut self.held.last_mut().expect("pushed above").lease
    }

    pub fn remove(&mut self, shard: ShardId) -> Option<Lease> {
        if shard.is_scratch() {
            return self.take_apart(shard).map(|apart| apart.lease);
        }
        let position = self.held.iter().position(|held| held.shard == shard)?;
        Some(self.held.remove(position).lease)
    }

    /// As [`Self::take_all`], one by one: the place for the next ones is kept, so that a client's next
    /// statement allocates nothing.
    pub fn take_next(&mut self) -> Option<Held> {
        self.held.pop()
    }

    pub fn take_all(&mut self) -> Vec<Held> {
        std::mem::take(&mut self.held)
    }

    /// No connection, and no block.
    pub fn holds_nothing(&self) -> bool {
        self.held.is_empty() && matches!(self.block, Block::Outside)
    }

    /// Whether the proxy keeps a block open for the client.
    pub fn in_block(&self) -> bool {
        matches!(self.block, Block::Open(_) | Block::Failed(_))
    }

    pub fn is_failed(&self) -> bool {
        matches!(self.block, Block::Failed(_)) || self.held.iter().any(|held| held.lease.status == Status::Failed)
    }

    /// What ReadyForQuery tells the client.
    pub fn status(&self) -> Status {
        match self.block {
            _ if self.is_failed() => Status::Failed,
            Block::Open(_) => Status::InTransaction,
            _ if self.held.iter().any(|held| held.lease.status == Status::InTransaction) => Status::InTransaction,
            _ => Status::Idle,
        }
    }

    pub fn begin(&mut self, sql: &str) {
        let entries = vec![Entry { savepoint: None, sql: sql.to_owned() }];
        self.block = Block::Open(Journal { entries, opaque: false });
        self.writers.clear();
    }

    /// The block is over, and what it wrote with it.
    pub fn end(&mut self) {
        self.block = Block::Outside;
        self.writers.clear();
        self.waiter = None;
    }

    /// COMMIT AND CHAIN: a new block with the same characteristics.
    pub fn chain(&mut self) {
        if let Block::Open(mut journal) | Block::Failed(mut journal) =
            std::mem::replace(&mut self.block, Block::Outside)
        {
            journal.entries.truncate(1);
            self.block = Block::Open(journal);
        }
        self.tell(None);
        self.writers.clear();
        self.waiter = None;
    }

    pub fn fail(&mut self) {
        self.block = match std::mem::replace(&mut self.block, Block::Outside) {
            Block::Open(journal) | Block::Failed(journal) => Block::Failed(journal),
            Block::Outside | Block::Spread(_) => Block::Failed(Journal { entries: Vec::new(), opaque: true }),
        };
    }

    /// A server was lost under the block, and what the block had done went with it: it can only be rolled back as
    /// a whole.
    pub fn lose(&mut self) {
        self.block = Block::Failed(Journal { entries: Vec::new(), opaque: true });
    }

    /// Takes over what the one server that runs the block says of it.
    pub fn adopt(&mut self, status: Status) {
        match (status, &mut self.block) {
            (Status::Idle, _) => self.end(),
            (_, Block::Outside) => {
                self.block = Block::Open(Journal { entries: Vec::new(), opaque: true });
            }
            (Status::InTransaction, block @ Block::Failed(_)) => {
                if let Block::Failed(journal) = std::mem::replace(block, Block::Outside) {
                    *block = Block::Open(journal);
                }
            }
            _ => {}
        }
    }

    /// Something happened in the block, on the shard `acting` or on all that are in it, that can't be told again to
    /// another shard.
    pub fn make_opaque(&mut self, acting: Option<ShardId>) {
        let Some(journal) = self.journal() else { return };
        journal.opaque = true;
        for held in &mut self.held {
            if acting.is_some_and(|acting| acting != held.shard) {
                held.told = None;
            }
        }
    }

    /// BEGIN READ ONLY: a replica may serve the block. Not where it is to be serializable, which no replica can
    /// do, or where it was set to write again.
    pub fn is_read_only(&self) -> bool {
        let (Block::Open(journal) | Block::Failed(journal)) = &self.block else { return false };
        let says = |entry: &Entry, words: &[&str]| has_words(&entry.sql, words);
        journal.entries.first().is_some_and(|begin| says(begin, &["read", "only"]))
            && !journal.entries.iter().any(|entry| {
                says(entry, &["serializable"]) || says(entry, &["read", "write"]) || says(entry, &["snapshot"])
            })
    }

    /// What `shard` must be told before its next statement in the block; `None` if it knows all.
    ///
    /// # Errors
    /// When something happened in the block that can't be repeated elsewhere.
    pub fn prelude_for(&self, shard: ShardId) -> Result<Option<String>, ClientError> {
        let (Block::Open(journal) | Block::Failed(journal) | Block::Spread(journal)) = &self.block else {
            return Ok(None);
        };
        let joined = self.held.iter().find(|held| held.shard == shard && held.lease.status != Status::Idle);
        let heard = match joined {
            None if journal.opaque => return Err(opaque()),
            None => 0,
            Some(held) => held.told.ok_or_else(opaque)?,
        };
        let missed: Vec<&str> = journal.entries.iter().skip(heard).map(|entry| entry.sql.as_str()).collect();
        Ok((!missed.is_empty()).then(|| missed.join(";")))
    }

    /// That shard, or every shard in the block, has heard the journal up to its end.
    pub fn tell(&mut self, acting: Option<ShardId>) {
        let len = self.journal().map_or(0, |journal| journal.entries.len());
        for held in &mut self.held {
            if acting.is_none_or(|acting| acting == held.shard) && held.told.is_some() {
                held.told = Some(len);
            }
        }
    }

    fn journal(&mut self) -> Option<&mut Journal> {
        match &mut self.block {
            Block::Open(journal) | Block::Failed(journal) | Block::Spread(journal) => Some(journal),
            Block::Outside => None,
        }
    }

    /// Something that holds until the block ends: SET LOCAL, SET TRANSACTION, SET CONSTRAINTS. It was done on the
    /// shard `acting`, or on all that are in the block.
    pub fn note(&mut self, sql: &str, acting: Option<ShardId>) {
        if let Some(journal) = self.journal() {
            journal.entries.push(Entry { savepoint: None, sql: sql.to_owned() });
        }
        self.tell(acting);
    }

    pub fn savepoint(&mut self, name: &str, sql: &str) {
        if let Some(journal) = self.journal() {
            journal.entries.push(Entry { savepoint: Some(name.to_owned()), sql: sql.to_owned() });
        }
        self.tell(None);
    }

    fn find(&mut self, name: &str) -> Option<(usize, &mut Journal)> {
        let journal = self.journal()?;
        let position = journal.entries.iter().rposition(|entry| entry.savepoint.as_deref() == Some(name))?;
        Some((position, journal))
    }

    pub fn has_savepoint(&mut self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Everything since the savepoint is undone; the savepoint itself stays.
    pub fn rollback_to(&mut self, name: &str) {
        if let Some((position, journal)) = self.find(name) {
            journal.entries.truncate(position + 1);
        }
        if let Block::Failed(journal) | Block::Open(journal) = std::mem::replace(&mut self.block, Block::Outside) {
            self.block = Block::Open(journal);
        }
        self.tell(None);
    }

    /// The savepoint and those since are forgotten; what was set since then holds on.
    pub fn release(&mut self, name: &str) {
        if let Some((position, journal)) = self.find(name) {
            let mut index = 0;
            journal.entries.retain(|entry| {
                index += 1;
                index <= position || entry.savepoint.is_none()
            });
        }
        self.tell(None);
    }

    /// Opens the transaction around one statement of a client that is in no block.
    pub fn begin_spread(&mut self) {
        let entries = vec![Entry { savepoint: None, sql: "BEGIN".to_owned() }];
        self.block = Block::Spread(Journal { entries, opaque: false });
        self.writers.clear();
    }

    pub fn is_spread(&self) -> bool {
        matches!(self.block, Block::Spread(_))
    }

    /// Notes that `shard` may be written from now on.
    pub fn write(&mut self, shard: ShardId) {
        if !self.writers.contains(&shard) {
            self.writers.push(shard);
        }
    }

    /// Whether writing these as well makes several shards that have to be committed as one.
    pub fn would_write_several(&self, shards: &[ShardId]) -> bool {
        let first = self.writers.first().or(shards.first());
        self.writers.iter().chain(shards).any(|shard| Some(shard) != first)
    }

    /// Those shards in the transaction that may have been written, the first one first.
    pub fn writers(&self) -> &[ShardId] {
        &self.writers
    }

    /// Outside a block nothing is remembered between statements.
    pub fn forget_writer(&mut self) {
        if !self.in_block() {
            self.writers.clear();
        }
    }
}

fn word(sql: &str, position: usize) -> Option<&str> {
    let options = LexOptions { standard_conforming_strings: true };
    let token = Tokens::new(sql.as_bytes(), &options).nth(position)?;
    (token.kind == TokenKind::Word).then(|| sql.get(token.span)).flatten()
}

fn begins_with(sql: &str, words: &[&str]) -> bool {
    word(sql, 0).is_some_and(|first| words.iter().any(|word| first.eq_ignore_ascii_case(word)))
}

fn begins_behind(sql: &str, words: &[&str]) -> bool {
    word(sql, 1).is_some_and(|second| words.iter().any(|word| second.eq_ignore_ascii_case(word)))
}

/// If the keywords follow each other somewhere in the statement, outside of comments and literals.
fn has_words(sql: &str, words: &[&str]) -> bool {
    let options = LexOptions { standard_conforming_strings: true };
    let tokens: Vec<&str> = Tokens::new(sql.as_bytes(), &options)
        .map(|token| if token.kind == TokenKind::Word { sql.get(token.span).unwrap_or_default() } else { "" })
        .collect();
    tokens
        .windows(words.len())
        .any(|found| found.iter().zip(words).all(|(found, word)| found.eq_ignore_ascii_case(word)))
}

fn opaque() -> ClientError {
    ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, "this transaction can't be extended to another shard")
        .detail("It was begun, or a setting of it was made, in a way that can't be repeated there.")
        .hint("Send BEGIN as a statement of its own, and settings as constants or parameters.")
}

#[cfg(test)]
mod tests {
    use super::Transaction;

    fn is_read_only(entries: &[&str]) -> bool {
        let mut transaction = Transaction::none();
        let mut entries = entries.iter();
        transaction.begin(entries.next().expect("a block begins"));
        entries.for_each(|sql| transaction.note(sql, None));
        transaction.is_read_only()
    }

    #[test]
    fn a_block_is_read_only_if_begin_says_so() {
        assert!(is_read_only(&["BEGIN READ ONLY"]));
        assert!(is_read_only(&["start transaction isolation level repeatable read, read\tonly"]));
        assert!(!is_read_only(&["BEGIN"]));
        assert!(!is_read_only(&["BEGIN /* read only */"]));
        assert!(!is_read_only(&["BEGIN READ WRITE -- read only"]));
    }

    #[test]
    fn a_replica_serves_no_block_that_it_could_not() {
        assert!(!is_read_only(&["BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY"]));
        assert!(!is_read_only(&["BEGIN READ ONLY", "SET TRANSACTION READ WRITE"]));
        assert!(!is_read_only(&["BEGIN READ ONLY", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"]));
    }
}
