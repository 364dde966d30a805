//! Close of a statement or a portal, wherever it is; its answer stays in order.

use crate::execute::Expect;
use crate::protocol::backend;
use crate::protocol::frontend::{Target, target};
use crate::session::prepared::Place;
use crate::session::segment::Failure;
use crate::session::turn::Session;
use crate::session::undo::Undo;
use crate::types::ShardId;

impl Session {
    pub(super) async fn close(&mut self, len: usize) -> Result<(), Failure> {
        match target(self.client.inbound.get(..len).unwrap_or_default())? {
            Target::Statement(name) => {
                let name: Box<[u8]> = name.into();
                if self.state.pins.sql_prepared && !name.is_empty() && !self.statements.contains_key(&name) {
                    return self.pass_message(None, len, Expect::Close { shown: true, evicted: None }).await;
                }
                // Its Parse may wait to be placed, and its ParseComplete comes before.
                self.place_anywhere().await?;
                let closed = self.statements.remove(&name);
                if self.owe_close() {
                    self.undo.push(Undo::CloseStatement { name, closed });
                }
                Ok(())
            }
            Target::Portal(name) => {
                let name: Box<[u8]> = name.into();
                let place = match self.portals.get(&name) {
                    Some(portal) => Some(portal.place.clone()),
                    // Cursors of DECLARE are portals, too.
                    None => std::str::from_utf8(&name)
                        .ok()
                        .and_then(|name| self.cursors.get(name))
                        .map(|cursor| Place::Shard(cursor.shard)),
                };
                // A portal over a gather is on a connection apart, which others may share.
                let is_held = |shard: ShardId| {
                    self.transaction.held().iter().any(|held| held.shard == shard)
                        || self.transaction.apart().iter().any(|apart| apart.has(shard))
                };
                match place {
                    Some(Place::Shard(shard)) if is_held(shard) => {
                        self.pass_message(place, len, Expect::Close { shown: true, evicted: None }).await?;
                        let previous = self.portals.remove(&name);
                        self.undo.push(Undo::Portal { name, previous });
                    }
                    Some(Place::Scatter { .. } | Place::Merged(_)) => {
                        self.close_scatter(&name, len).await?;
                        let previous = self.portals.remove(&name);
                        self.undo.push(Undo::Portal { name, previous });
                    }
                    _ => {
                        self.place_anywhere().await?;
                        let previous = self.portals.remove(&name);
                        if self.owe_close() {
                            self.undo.push(Undo::Portal { name, previous });
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// A CloseComplete of the proxy's own: behind the replies that are awaited, if any are.
    fn owe_close(&mut self) -> bool {
        let owed = backend::tag::CLOSE_COMPLETE;
        if let Some(segment) = &mut self.scattering {
            segment.owe(owed);
            return true;
        }
        if self.segment.is_some() {
            self.expects.push_back(Expect::Owed(owed));
            return true;
        }
        backend::empty(&mut self.client.outbound, owed);
        false
    }
}
