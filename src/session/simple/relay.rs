//! A Query on one shard: sent as it came, answered by relaying what comes back.

use bytes::Buf;

use crate::execute::Expect;
use crate::execute::relay::relay_part;
use crate::execute::scatter::Part;
use crate::planning::{Access, Template};
use crate::session::admission::access_of;
use crate::session::effects::Change;
use crate::session::turn::{Session, SessionEnd};
use crate::types::ShardId;

impl Session {
    pub(in crate::session) async fn run_on(
        &mut self,
        shard: ShardId,
        template: &Template,
        changes: Vec<(usize, Change)>,
        len: usize,
    ) -> Result<(), SessionEnd> {
        let access = access_of(template);
        let mut ready = self.is_new_cursor(template, Some(shard));
        if ready.is_ok() {
            ready = self.admit_write(shard, template).await;
        }
        if ready.is_ok() {
            ready = self.find_sequences(shard, template);
        }
        if ready.is_ok() {
            ready = self.reach(shard, access).await;
        }
        if let Err(error) = ready {
            self.refuse_query(&error, len).await;
            return Ok(());
        }
        self.own_sequences(shard, template, true);
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let lease = self.transaction.lease_mut(shard).expect("reached above");
        lease.framed.outbound.extend_from_slice(frame);
        lease.unanswered += 1;
        lease.unnamed = None;
        self.client.inbound.advance(len);
        self.relay_query(shard, changes, access).await
    }

    /// Relays the answer to a Query that was queued on that connection.
    pub(in crate::session) async fn relay_query(
        &mut self,
        shard: ShardId,
        changes: Vec<(usize, Change)>,
        access: Access,
    ) -> Result<(), SessionEnd> {
        let renumbering = if shard.is_scratch() { self.transaction.renumbering(shard) } else { None };
        let resets = changes.iter().any(|(_, change)| change.resets());
        let ends = changes.iter().any(|(_, change)| change.ends_block());
        let may_commit = access == Access::Write && (!ends || changes.iter().any(|(_, change)| change.commits()));
        // The scratch connection is in a block of its own.
        let hides_ready = resets || shard.is_scratch() || self.batch.is_some();
        self.expects.push_back(Expect::Query { shown_ready: !hides_ready });
        self.state.start_implicit();
        let waiting = self.watch_waiting();
        let lease = self.transaction.lease_mut(shard).expect("reached above");
        let preface = self.explaining.take().and_then(|plan| crate::session::explain::preface(Some(&plan), lease));
        let mut part = Part::prefaced(preface).moved(self.moved.take()).renumbered(renumbering);
        if self.batch.as_ref().is_some_and(|batch| batch.holds_tag) {
            part.hold_tag();
        }
        match relay_part(&mut self.client, lease, &mut self.expects, &mut part).await {
            Ok(outcome) => {
                let status = lease.status;
                if let Some(batch) = &mut self.batch {
                    batch.tag = part.take_tag();
                    batch.failed |= outcome.failed;
                }
                self.end_waiting(waiting);
                self.note_parameters(&outcome);
                if shard.is_scratch() && outcome.failed {
                    self.fail_block().await;
                    self.say_ready();
                    return Ok(());
                }
                self.acting = Some(shard);
                self.complete(changes, outcome.completed, outcome.failed);
                self.acting = None;
                if shard.is_scratch() {
                    self.keep_declared(true).await;
                    self.say_ready();
                    return Ok(());
                }
                self.adopt(status);
                if resets {
                    self.restore_baseline(shard).await;
                    self.say_ready();
                }
                Ok(())
            }
            Err(error) => {
                self.survive_ending(shard, error, may_commit, ends).await?;
                self.say_ready();
                Ok(())
            }
        }
    }
}
