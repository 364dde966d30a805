//! Prepared statements that outlive the connection they were prepared on. Equal texts with equal
//! parameter types share one [`Statement`], so that a backend connection prepares it once for all clients.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use foldhash::fast::RandomState;

/// A text and its declared types, under the name that servers know it by.
#[derive(Debug)]
pub struct Statement {
    id: u64,
    name: Box<[u8]>,
    pub sql: Bytes,
    /// OIDs as the client declared them, four bytes each, big-endian.
    pub types: Bytes,
}

impl Statement {
    /// The name on the servers; no client can have chosen it by accident.
    pub fn name(&self) -> &[u8] {
        &self.name
    }
}

/// All statements that some client holds. Forgets a statement with the last client that held it.
#[derive(Debug, Default)]
pub struct Statements {
    /// How often tables may have changed.
    definitions: AtomicU64,
    known: Mutex<HashMap<(Bytes, Bytes), Weak<Statement>>>,
}

/// Numbers statements over the life of the process: a client's statement outlives a reload.
static NEXT_STATEMENT: AtomicU64 = AtomicU64::new(1);

impl Statements {
    pub fn intern(&self, sql: &[u8], types: &[u8]) -> Arc<Statement> {
        let key = (Bytes::copy_from_slice(sql), Bytes::copy_from_slice(types));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(statement) = known.get(&key).and_then(Weak::upgrade) {
            return statement;
        }
        // Dead entries are swept when the map would grow, which keeps it at twice what is alive.
        if known.len() == known.capacity() {
            known.retain(|_, statement| statement.strong_count() > 0);
        }
        let id = NEXT_STATEMENT.fetch_add(1, Ordering::Relaxed);
        let name = format!("shardway_{id}").into_bytes().into_boxed_slice();
        let statement = Arc::new(Statement { id, name, sql: key.0.clone(), types: key.1.clone() });
        known.insert(key, Arc::downgrade(&statement));
        statement
    }
}

impl Statements {
    /// Another number as soon as tables may have changed.
    pub fn definitions(&self) -> u64 {
        self.definitions.load(Ordering::Acquire)
    }

    /// Tables may have changed: what is prepared from now on isn't shared with what was prepared before,
    /// whose result type the servers hold on to.
    pub fn renew(&self) {
        self.definitions.fetch_add(1, Ordering::AcqRel);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What one backend connection has prepared, bounded in number.
#[derive(Debug)]
pub struct Prepared {
    /// Statement id to the use it was last seen at.
    used: HashMap<u64, (u64, Arc<Statement>), RandomState>,
    clock: u64,
    count_max: usize,
}

/// What has to be sent before a statement can be bound.
#[derive(Debug)]
pub enum Preparation {
    Ready,
    /// Parse it; first close this one, if any, to stay within the bound.
    Parse {
        evict: Option<Arc<Statement>>,
    },
}

impl Prepared {
    pub fn new(count_max: usize) -> Self {
        Self { used: HashMap::default(), clock: 0, count_max: count_max.max(1) }
    }

    /// Notes a use of `statement`, as prepared from now on.
    pub fn touch(&mut self, statement: &Arc<Statement>) -> Preparation {
        self.clock += 1;
        if let Some(entry) = self.used.get_mut(&statement.id) {
            entry.0 = self.clock;
            return Preparation::Ready;
        }
        let mut evict = None;
        if self.used.len() >= self.count_max {
            let oldest = self.used.iter().min_by_key(|(_, entry)| entry.0).map(|(&id, _)| id);
            evict = oldest.and_then(|id| self.used.remove(&id)).map(|entry| entry.1);
        }
        self.used.insert(statement.id, (self.clock, Arc::clone(statement)));
        Preparation::Parse { evict }
    }

    /// Its Parse failed.
    pub fn forget(&mut self, statement: &Statement) {
        self.used.remove(&statement.id);
    }

    /// It was to be closed, but the server didn't come to that.
    pub fn restore(&mut self, statement: &Arc<Statement>) {
        self.used.insert(statement.id, (self.clock, Arc::clone(statement)));
    }

    /// DISCARD ALL and DEALLOCATE ALL close them all.
    pub fn forget_all(&mut self) {
        self.used.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_a_statement_while_somebody_holds_it() {
        let all = Statements::default();
        let one = all.intern(b"select 1", b"");
        assert!(Arc::ptr_eq(&one, &all.intern(b"select 1", b"")));
        assert!(!Arc::ptr_eq(&one, &all.intern(b"select 1", b"\0\0\0\x17")));
        let id = one.id;
        drop(one);
        assert_ne!(all.intern(b"select 1", b"").id, id);
    }

    #[test]
    fn the_least_recently_used_is_closed() {
        let all = Statements::default();
        let [a, b, c] = [b"a", b"b", b"c"].map(|sql| all.intern(sql, b""));
        let mut prepared = Prepared::new(2);
        assert!(matches!(prepared.touch(&a), Preparation::Parse { evict: None }));
        assert!(matches!(prepared.touch(&b), Preparation::Parse { evict: None }));
        assert!(matches!(prepared.touch(&a), Preparation::Ready));
        let Preparation::Parse { evict: Some(evicted) } = prepared.touch(&c) else { panic!("c is new") };
        assert!(Arc::ptr_eq(&evicted, &b));
    }
}
