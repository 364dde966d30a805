//! A client's prepared statements and portals, which outlive the connection that they were made on.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::effects::Change;
use crate::planning::Template;
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
    /// The same with a parameter for each id that the proxy serves, once it was bound.
    pub filled: OnceLock<Arc<ClientStatement>>,
}

#[derive(Debug)]
pub struct Portal {
    pub statement: Arc<ClientStatement>,
    pub place: Place,
    /// What its execution changes in the session.
    pub changes: Vec<Change>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    Shard(ShardId),
    /// A command that the proxy carries out, once.
    Local {
        done: bool,
    },
    /// Rows of several shards, one after the other; the position says whose rows come next.
    Scatter {
        shards: ShardSet,
        position: usize,
    },
}
