//! The connections to the scratch database that a client's transaction holds. One serves for many: what each gather made
//! there is a *layer*, with a savepoint of its own above those before it.

use std::sync::Arc;

use super::Transaction;
use crate::pool::{Lease, Settings};
use crate::protocol::backend::Status;
use crate::protocol::description::Renumbering;
use crate::types::limits::GATHERS_OPEN_MAX;
use crate::types::{ClientError, NodeId, ShardId, SqlState};

/// What a layer has that outlives its transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeps {
    Nothing,
    /// A cursor WITH HOLD that the client's transaction under way has declared: it goes if that doesn't commit.
    Declared,
    /// A cursor WITH HOLD, until it is closed.
    Cursors,
}

/// A connection to the scratch database.
#[derive(Debug)]
pub struct Apart {
    pub lease: Lease,
    /// In the order in which they were made.
    pub layers: Vec<Layer>,
    /// What descriptions of its rows are to say instead.
    pub renumbering: Arc<Renumbering>,
}

/// What one gather made: its tables, and the portal or cursor that reads them.
#[derive(Debug)]
pub struct Layer {
    /// The name that portals and cursors know it by.
    pub number: ShardId,
    pub keeps: Keeps,
    /// The cursor WITH HOLD.
    pub cursor: Option<String>,
    /// Its tables are gone: the cursor has its rows.
    pub is_committed: bool,
    wants: Wants,
}

/// What a gather asks of the connection that it is answered on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wants {
    /// It declares a cursor WITH HOLD: what is open there is committed.
    pub holds: bool,
    /// Its answer may tell the names of its tables, which a later layer would change.
    pub tells_names: bool,
}

impl Layer {
    fn new(number: ShardId, wants: Wants) -> Self {
        Self { number, keeps: Keeps::Nothing, cursor: None, is_committed: false, wants }
    }

    /// Below it, if it isn't the first of its transaction.
    pub fn savepoint(&self) -> String {
        format!("shardway_{}", self.number.index())
    }
}

impl Apart {
    pub fn has(&self, number: ShardId) -> bool {
        self.layers.iter().any(|layer| layer.number == number)
    }

    pub fn layer_mut(&mut self, number: ShardId) -> Option<&mut Layer> {
        self.layers.iter_mut().find(|layer| layer.number == number)
    }

    /// Those within the transaction that is open there.
    pub fn open(&self) -> impl DoubleEndedIterator<Item = &Layer> {
        self.layers.iter().filter(|layer| !layer.is_committed)
    }

    /// If its transaction begins and ends with it.
    pub fn is_first(&self, number: ShardId) -> bool {
        self.open().next().is_none_or(|layer| layer.number == number)
    }

    /// What takes those layers away that are on top of all others, and which these are.
    pub fn unwinding(&self, gone: &[ShardId]) -> (Option<String>, Vec<ShardId>) {
        let top: Vec<&Layer> = self.open().rev().take_while(|layer| gone.contains(&layer.number)).collect();
        let sql = match top.last() {
            Some(lowest) if !self.is_first(lowest.number) => {
                let savepoint = lowest.savepoint();
                Some(format!("ROLLBACK TO SAVEPOINT {savepoint};RELEASE SAVEPOINT {savepoint}"))
            }
            Some(_) => Some("ROLLBACK".to_owned()),
            None => None,
        };
        (sql, top.into_iter().map(|layer| layer.number).collect())
    }

    fn has_room(&self, node: NodeId, settings: &Settings, wants: Wants) -> bool {
        let mut open = self.open();
        self.lease.is_at_rest()
            && self.lease.node.id == node
            && match self.lease.status {
                Status::Idle => open.next().is_none(),
                Status::InTransaction => {
                    let bears = |layer: &Layer| !layer.wants.tells_names && !layer.wants.holds;
                    !wants.holds && open.all(bears) && self.lease.settings.difference(settings).is_none()
                }
                Status::Failed => false,
            }
    }
}

impl Transaction {
    /// Holds a connection to the scratch database; the name that its first layer goes by from now on.
    ///
    /// # Errors
    /// When the client has too many already.
    pub fn add_apart(&mut self, lease: Lease, wants: Wants) -> Result<ShardId, ClientError> {
        let number = self.unused_number()?;
        self.apart.push(Apart { lease, layers: vec![Layer::new(number, wants)], renumbering: Arc::default() });
        Ok(number)
    }

    /// Puts one more layer on a connection to that database, if one is held that can bear it.
    ///
    /// # Errors
    /// When the client has too many already.
    pub fn add_layer(
        &mut self,
        node: NodeId,
        settings: &Settings,
        wants: Wants,
    ) -> Result<Option<ShardId>, ClientError> {
        let number = self.unused_number()?;
        let Some(apart) = self.apart.iter_mut().find(|apart| apart.has_room(node, settings, wants)) else {
            return Ok(None);
        };
        apart.layers.push(Layer::new(number, wants));
        Ok(Some(number))
    }

    fn unused_number(&self) -> Result<ShardId, ClientError> {
        let is_taken = |number: &u16| self.apart.iter().any(|apart| apart.has(ShardId::scratch(*number)));
        (0..GATHERS_OPEN_MAX).find(|number| !is_taken(number)).map(ShardId::scratch).ok_or_else(|| {
            let text = format!("more than {GATHERS_OPEN_MAX} cursors over several shards are open");
            ClientError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, text).hint("Close those that aren't needed any more.")
        })
    }

    pub fn apart_of(&mut self, number: ShardId) -> Option<&mut Apart> {
        self.apart.iter_mut().find(|apart| apart.has(number))
    }

    /// Puts back one that was taken out to work with.
    pub fn put_apart(&mut self, apart: Apart) {
        self.apart.push(apart);
    }

    pub fn take_apart(&mut self, number: ShardId) -> Option<Apart> {
        let position = self.apart.iter().position(|apart| apart.has(number))?;
        Some(self.apart.remove(position))
    }

    pub fn take_all_apart(&mut self) -> Vec<Apart> {
        std::mem::take(&mut self.apart)
    }

    /// The transaction has ended: what it declared to outlive it does so, or goes.
    pub fn end_declared(&mut self, committed: bool) {
        let layers = self.apart.iter_mut().flat_map(|apart| &mut apart.layers);
        for layer in layers.filter(|layer| layer.keeps == Keeps::Declared) {
            layer.keeps = if committed { Keeps::Cursors } else { Keeps::Nothing };
        }
    }

    pub fn apart_mut(&mut self) -> &mut [Apart] {
        &mut self.apart
    }

    /// Those held apart.
    pub fn apart(&self) -> &[Apart] {
        &self.apart
    }

    /// How descriptions of rows from that connection are to be changed, if at all.
    pub fn renumbering(&self, shard: ShardId) -> Option<Arc<Renumbering>> {
        let apart = self.apart.iter().find(|apart| apart.has(shard))?;
        Some(Arc::clone(&apart.renumbering))
    }
}
