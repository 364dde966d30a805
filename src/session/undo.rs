//! What the messages of an extended turn have changed in the session's names, so that those which a server
//! failed or skipped can be taken back: a Parse that failed makes no statement, a Close that was skipped
//! closes none.

use std::sync::Arc;

use super::prepared::{ClientStatement, Portal};
use super::turn::Session;
use crate::execute::Outcome;

/// A Parse that no message has given a place to yet.
#[derive(Debug)]
pub struct Unplaced {
    pub statement: Arc<ClientStatement>,
    /// What had its name before.
    pub previous: Option<Arc<ClientStatement>>,
}

/// One for each expectation that [`crate::execute::Expect::may_be_undone`], in the same order.
#[derive(Debug)]
pub enum Undo {
    Parse {
        name: Box<[u8]>,
        previous: Option<Arc<ClientStatement>>,
    },
    CloseStatement {
        name: Box<[u8]>,
        closed: Option<Arc<ClientStatement>>,
    },
    /// Of a Bind or of a Close: the portal that was there before.
    Portal {
        name: Box<[u8]>,
        previous: Option<Portal>,
    },
}

impl Session {
    /// After a run: what was answered stays, what an error made void is taken back.
    pub(super) fn settle_names(&mut self, outcome: &Outcome) {
        if outcome.stale_plan {
            self.database.statements.renew();
        }
        self.take_back(outcome.undone, outcome.front_failed);
    }

    /// Takes the last `count` changes back and forgets the others. The first of them may have failed on
    /// the server instead of having been skipped.
    pub(super) fn take_back(&mut self, count: usize, front_failed: bool) {
        let kept = self.undo.len().saturating_sub(count);
        let void = self.undo.split_off(kept);
        self.undo.clear();
        for (position, undo) in void.into_iter().enumerate().rev() {
            let failed = position == 0 && front_failed;
            match undo {
                // A failed Parse of the unnamed statement has dropped the one before.
                Undo::Parse { name, previous } => self.put_back(name, previous.filter(|_| !failed)),
                Undo::CloseStatement { name, closed } => self.put_back(name, closed),
                Undo::Portal { name, previous: Some(portal) } => {
                    self.portals.insert(name, portal);
                }
                Undo::Portal { name, previous: None } => {
                    self.portals.remove(&name);
                }
            }
        }
    }

    /// Parses that were never sent, because of an error before them.
    pub(super) fn drop_unplaced(&mut self) {
        for Unplaced { statement, previous } in std::mem::take(&mut self.unplaced).into_iter().rev() {
            self.put_back(statement.name.clone(), previous);
        }
    }

    fn put_back(&mut self, name: Box<[u8]>, previous: Option<Arc<ClientStatement>>) {
        match previous {
            Some(statement) => self.statements.insert(name, statement),
            None => self.statements.remove(&name),
        };
    }
}
