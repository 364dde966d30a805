//! A client's prepared statements and portals, which outlive the connection that they were made on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;

use super::effects::Change;
use crate::execute::merge::Progress;
use crate::execute::scatter::Remap;
use crate::planning::Template;
use crate::planning::merge::Verdict;
use crate::pool::Statement;
use crate::sql::Lexed;
use crate::types::{ShardId, ShardSet};

#[derive(Debug)]
pub struct ClientStatement {
    /// The client's name; empty for the unnamed statement.
    pub name: Box<[u8]>,
    pub sql: Bytes,
    /// Four bytes an OID, as declared.
    pub declared: Bytes,
    /// How servers know it; the unnamed statement stays unnamed there.
    pub shared: Option<Arc<Statement>>,
    pub template: Arc<Template>,
    /// What the template was built for: another catalog or search_path means another template.
    pub generation: u64,
    pub names: Arc<super::planner::KeyedNames>,
    pub lexed: Lexed,
    /// What a server reported for its parameters.
    pub types: OnceLock<Box<[u32]>>,
    /// The same for its columns.
    pub columns: OnceLock<Box<[u32]>>,
    /// Its columns as the client was told, and by which definitions.
    pub described: OnceLock<Arc<super::shape::Described>>,
    /// The whole text of the PREPARE that made it.
    pub written: Option<Bytes>,
    /// The same with a parameter for each id that the proxy serves, once it was bound.
    pub filled: Mutex<Option<Arc<ClientStatement>>>,
    /// With a parameter for the moment of the transaction.
    pub stamped: Mutex<Option<Arc<ClientStatement>>>,
    /// What shards are asked instead, where their rows are merged.
    pub merged: OnceLock<Arc<Derived>>,
    /// [`super::quick::is_ordinary`], once it was asked for.
    pub ordinary: OnceLock<bool>,
}

impl ClientStatement {
    /// Of no text yet, and nothing asked about it: what the places where statements are made have in common.
    pub(super) fn unknown(template: Arc<Template>, generation: u64, names: Arc<super::planner::KeyedNames>) -> Self {
        Self {
            name: Box::default(),
            sql: Bytes::new(),
            declared: Bytes::new(),
            shared: None,
            template,
            generation,
            names,
            lexed: Lexed::default(),
            types: OnceLock::new(),
            columns: OnceLock::new(),
            described: OnceLock::new(),
            written: None,
            filled: Mutex::new(None),
            stamped: Mutex::new(None),
            merged: OnceLock::new(),
            ordinary: OnceLock::new(),
        }
    }
}

/// A statement that was made of a client's.
#[derive(Debug)]
pub struct Derived {
    pub statement: Arc<ClientStatement>,
    pub remap: Remap,
}

#[derive(Debug)]
pub struct Portal {
    pub statement: Arc<ClientStatement>,
    pub place: Place,
    /// What its execution changes in the session.
    pub changes: Vec<Change>,
    /// Its rows may hold OIDs of the server's own.
    pub carries: bool,
}

impl Portal {
    /// Its rows are on a scratch connection.
    pub(super) fn is_apart(&self) -> bool {
        matches!(self.place, Place::Shard(shard) if shard.is_scratch())
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    Shard(ShardId),
    /// A command that the proxy carries out, once.
    Local {
        done: bool,
    },
    /// Writes several shards when it is executed.
    Write(Box<super::writing::WritePortal>),
    /// COPY FROM STDIN to several shards, once.
    CopyIn(Arc<crate::planning::copy::CopyTarget>),
    /// Rows of several shards, one after the other; the position says whose rows come next.
    Scatter {
        shards: ShardSet,
        position: usize,
    },
    /// Rows of several shards, merged.
    Merged(Arc<MergedPortal>),
}

#[derive(Debug)]
pub struct MergedPortal {
    pub shards: ShardSet,
    pub verdict: Arc<Verdict>,
    pub remap: Remap,
    /// The client's formats of the columns.
    pub formats: Box<[[u8; 2]]>,
    pub progress: Mutex<Progress>,
    /// What PostgreSQL is asked in the end, where it makes the answer.
    pub finishing: Option<Finishing>,
    /// Its rows that are to be fetched yet.
    pub rows: Mutex<Option<VecDeque<Bytes>>>,
}

/// The statement that makes the answer of what the shards gave.
#[derive(Debug)]
pub struct Finishing {
    pub sql: Vec<u8>,
    pub remap: Remap,
    /// The client's parameters.
    pub formats: Vec<[u8; 2]>,
    pub values: Vec<Option<Bytes>>,
    /// Two bytes a column, or for all.
    pub result_formats: Vec<u8>,
}

impl PartialEq for MergedPortal {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for MergedPortal {}
