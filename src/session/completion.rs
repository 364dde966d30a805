//! What a statement leaves behind when it has been answered: in, its changes and how it ended; out, the session's
//! state, names and transaction as they are now.

use super::effects::Change;
use super::turn::Session;
use crate::protocol::backend::Status;

impl Session {
    /// A server's word on the block, where the proxy keeps it: one server alone ran a COMMIT, or a BEGIN
    /// within a query of several statements.
    pub(super) fn adopt(&mut self, status: Status) {
        if self.database.is_single() && !self.transaction.in_block() {
            return;
        }
        let alone = self.transaction.held().len() == 1;
        if alone && (self.transaction.in_block() || status != Status::Idle) {
            self.transaction.adopt(status);
        }
    }

    /// Applies the changes of the statements that completed.
    pub(super) fn complete(&mut self, changes: Vec<(usize, Change)>, completed: usize, failed: bool) {
        if let Some(batch) = &mut self.batch {
            batch.failed |= failed;
        }
        let any = !changes.is_empty();
        for (position, change) in changes {
            if position < completed {
                self.apply(change);
            }
        }
        if failed
            && self.state.in_block()
            && self.transaction.held().iter().all(|held| held.lease.status == Status::Idle)
        {
            // A COMMIT that failed, as by a deferred constraint.
            self.apply(Change::Transaction(crate::sql::command::TransactionCommand::Rollback { chain: false }));
        }
        if any || failed {
            self.refresh_names();
        }
        if failed {
            if !self.transaction.in_block() {
                self.transaction.end_declared(false);
                self.end_cursors(false);
            }
            self.state.fail_implicit();
            if self.transaction.status() == Status::Idle {
                for held in self.transaction.held_mut() {
                    held.lease.settings = held.lease.settings_at_join.clone();
                }
            }
        }
    }

    /// COMMIT of a failed transaction rolls it back.
    pub(super) fn as_it_will_end(&self, change: Change) -> Change {
        use crate::sql::command::TransactionCommand;
        match change {
            Change::Transaction(TransactionCommand::Commit { chain }) if self.transaction.is_failed() => {
                Change::Transaction(TransactionCommand::Rollback { chain })
            }
            other => other,
        }
    }

    pub(super) fn note_parameters(&mut self, outcome: &crate::execute::Outcome) {
        self.notes.outcome(outcome);
        for (name, value) in &outcome.parameters {
            if &**name == "standard_conforming_strings" {
                self.standard_conforming_strings = &**value == "on";
                self.refresh_names();
            }
        }
    }
}
