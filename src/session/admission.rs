//! What a statement needs before it is sent: in, its template and the shard; out, a note of the write in the
//! transaction, or the reason why it can't be there.

use super::turn::Session;
use crate::planning::{Access, Plan, Template};
use crate::sql::Command;
use crate::sql::command::{SessionCommand, Verb};
use crate::types::{ClientError, ShardId, SqlState};

impl Session {
    /// Notes a write of the transaction, which has to be committed with those before; and that the catalog may
    /// change.
    pub(super) async fn admit_write(&mut self, shard: ShardId, template: &Template) -> Result<(), ClientError> {
        if !writes(template) {
            return Ok(());
        }
        let on_replica = self.transaction.lease_mut(shard).is_some_and(|lease| lease.is_replica());
        let differs = template.statements.iter().any(|statement| statement.effects.needs_primary);
        if on_replica && differs && self.transaction.in_block() {
            let message = "this statement needs the primary, but the read-only transaction runs on a replica";
            return Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                .hint("Begin the transaction without READ ONLY, or with this statement as its first."));
        }
        if template.statements.iter().any(|one| matches!(one.command, Command::Ordinary(Verb::Ddl | Verb::Procedure))) {
            self.changed_catalog = true;
            self.changed_within = true;
            // What this transaction prepares from now on is for the tables as it makes them.
            self.database.statements.renew();
            if template.statements.iter().any(|one| one.effects.ends_database) {
                self.database.shed_named(template.normalized());
            }
        }
        if !self.database.is_single() && template.statements.iter().any(sets_sequences) {
            let database = std::sync::Arc::clone(&self.database);
            self.unsteady.get_or_insert_with(|| super::ids::Unsteady::begin(&database));
        }
        self.freshness.note_write(shard);
        if self.database.is_single() || !(self.transaction.in_block() || self.transaction.is_spread()) {
            return Ok(());
        }
        if self.transaction.would_write_several(&[shard]) {
            return Box::pin(self.admit_writers(&[shard])).await;
        }
        self.transaction.write(shard);
        Ok(())
    }

    /// SELECT ... FOR UPDATE on several shards: a row lock is a write, which is given up with the others.
    pub(super) async fn admit_locks(&mut self, plan: &Plan, template: &Template) -> Result<(), ClientError> {
        let (Plan::Scatter { shards } | Plan::Merge { shards, .. }) = plan else { return Ok(()) };
        let is_select =
            |one: &crate::planning::StatementTemplate| matches!(one.command, Command::Ordinary(Verb::Select));
        if template.statements.iter().all(is_select) {
            for shard in shards.as_slice() {
                self.admit_write(*shard, template).await?;
            }
        }
        Ok(())
    }
}

/// Whether rows may be written, or more than the session's own state changed.
pub(super) fn writes(template: &Template) -> bool {
    let may_write =
        |command: &Command| matches!(command, Command::Ordinary(_) | Command::Session(SessionCommand::Execute { .. }));
    let writes = |one: &crate::planning::StatementTemplate| one.access == Access::Write && may_write(&one.command);
    template.statements.iter().any(writes)
}

/// Whether the next value of a sequence may be another after it.
fn sets_sequences(statement: &crate::planning::StatementTemplate) -> bool {
    statement.effects.sets_sequence
        || statement.effects.unknown
        || matches!(statement.command, Command::Ordinary(Verb::Ddl | Verb::Procedure))
}

/// `Read` only if every statement may run on a replica.
pub(super) fn access_of(template: &Template) -> Access {
    let reads =
        |command: &Command| matches!(command, Command::Ordinary(Verb::Select | Verb::Explain { .. } | Verb::Copy(_)));
    if template.statements.iter().all(|one| one.access == Access::Read && reads(&one.command)) {
        Access::Read
    } else {
        Access::Write
    }
}
