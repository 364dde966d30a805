//! currval and lastval tell what the client's own last nextval gave, which a server keeps for its connection.
//! In: statements that may use a sequence, and those that ask. Out: the connection that remembers for this
//! client and for nobody else; where that has gone to another client meanwhile, a refusal.
//!
//! Connections are shared until somebody asks. From the first statement on that names a sequence function, a
//! connection forgets the sequences of one client before it is used for those of the next (DISCARD SEQUENCES, in
//! the same write). A client that asks outside a transaction block keeps its connection; once somebody on the database
//! has asked, so does a client that calls nextval itself.

use std::sync::Arc;

use super::turn::Session;
use crate::execute::Expect;
use crate::planning::{Template, refusal};
use crate::pool::backend::SequenceOwner;
use crate::protocol::backend::Status;
use crate::protocol::frontend::encode;
use crate::types::{ClientError, ShardId};

impl Session {
    /// Before the statement gets a connection: one that asks gets that which remembers.
    ///
    /// # Errors
    /// When that connection is another client's now.
    pub(super) fn find_sequences(&mut self, shard: ShardId, template: &Template) -> Result<(), ClientError> {
        if template.reads_sequence() && self.served_last {
            // The last value is one that the proxy gave; the server would tell an older one.
            return Err(refusal::sequence_served().into());
        }
        if !template.reads_sequence() || self.transaction.lease_mut(shard).is_some() {
            return Ok(());
        }
        let Some(key) = self.sequences.clone() else { return Ok(()) };
        let lease = self.pools.lease_again(shard, &key);
        match lease.filter(|lease| lease.sequences == SequenceOwner::Session(self.number)) {
            Some(lease) => {
                self.cancel.add(&lease);
                self.transaction.add(shard, lease);
                Ok(())
            }
            None => Err(refusal::sequence_forgotten().into()),
        }
    }

    /// Once the connection is held; `ahead`: a query of the proxy's own may still go before the client's.
    pub(super) fn own_sequences(&mut self, shard: ShardId, template: &Template, ahead: bool) {
        let (uses, reads) = (template.may_use_sequence(), template.reads_sequence());
        if !uses && !reads {
            return;
        }
        let outside = self.transaction.status() == Status::Idle;
        let will_read = template.names_sequence() && self.database.planner.reads_sequences();
        let me = self.number;
        let Some(lease) = self.transaction.lease_mut(shard) else { return };
        let (owner, mut is_pure) = match lease.sequences {
            SequenceOwner::Nobody => (me, true),
            SequenceOwner::Session(owner) => (owner, owner == me),
            SequenceOwner::After(owner) => (owner, false),
        };
        if owner != me && ahead && lease.status != Status::Failed && self.database.planner.watches_sequences() {
            encode::query(&mut lease.framed.outbound, b"DISCARD SEQUENCES");
            lease.unanswered += 1;
            lease.unnamed = None;
            lease.sequences = SequenceOwner::Nobody;
            self.expects.push_back(Expect::OwnQuery);
            is_pure = true;
        }
        if uses {
            self.served_last = false;
            lease.sequences = if is_pure { SequenceOwner::Session(me) } else { SequenceOwner::After(me) };
            let known = self.sequences.as_ref().is_some_and(|key| Arc::ptr_eq(key, &lease.key));
            if !known {
                self.sequences = Some(Arc::clone(&lease.key));
            }
        }
        if (reads || will_read) && outside && self.sequences.is_some() {
            self.state.pins.sequences = true;
        }
    }

    /// DISCARD SEQUENCES or ALL.
    pub(super) fn forget_sequences(&mut self) {
        self.served_last = false;
        self.sequences = None;
        self.state.pins.sequences = false;
        for held in self.transaction.held_mut() {
            held.lease.sequences = SequenceOwner::Nobody;
        }
    }
}
