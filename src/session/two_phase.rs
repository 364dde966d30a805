//! What a database's sessions ask of its servers for two-phase transactions, over connections of the
//! control plane: whether they can take part, what an anchor decided, and to finish what a lost
//! connection left prepared.

use std::time::{Duration, Instant};

use super::database::{Database, login_of};
use crate::pool::Node;
use crate::pool::connect::{Login, connect_control};
use crate::transaction::gid::Gid;
use crate::transaction::records::{self, Decision, Finished, Unready};
use crate::types::limits::{ANCHOR_WAIT_MAX, HOLD_RETRY, SECOND_PHASE_WAIT_MAX, TWO_PHASE_RETRY, TXN_RETENTION};
use crate::types::{ClientError, ShardId, SqlState};

impl Database {
    fn primary(&self, shard: ShardId) -> &std::sync::Arc<Node> {
        self.lead(shard).node()
    }

    /// That the shard's primary can prepare transactions. Asked once until its connections fail; true: just now. `waits`:
    /// for a primary, while there is none.
    ///
    /// # Errors
    /// What is missing there, and the remedy.
    pub async fn make_two_phase_ready(&self, shard: ShardId, waits: bool, role: &str) -> Result<bool, ClientError> {
        let lead = self.lead(shard);
        let deadline = Instant::now() + if waits { lead.wait_max() } else { Duration::ZERO };
        loop {
            match self.try_two_phase_ready(shard, role).await {
                Err(error) if error.state == SqlState::CANNOT_CONNECT && Instant::now() < deadline => {
                    let Some(_place) = lead.hold() else { return Err(error) };
                    lead.want_look();
                    crate::net::timer::sleep(HOLD_RETRY).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_two_phase_ready(&self, shard: ShardId, role: &str) -> Result<bool, ClientError> {
        let node = self.primary(shard);
        if node.is_two_phase_ready() && self.claims.is_admitted(shard, role) {
            return Ok(false);
        }
        let refused = |reason: &Unready| {
            let hint = match reason {
                Unready::Disabled => {
                    "Set max_prepared_transactions on that server, to at least its max_connections, and restart it."
                }
                Unready::Missing | Unready::Forbidden(_) => "Run shardway setup with a role that may create a schema.",
                Unready::Failed(_) => "The transaction can be tried again later.",
            };
            let text = format!("several shards can't be written in one transaction: {} is not ready", node.describe());
            ClientError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text).detail(reason.to_string()).hint(hint)
        };
        let failed = |reason: String| refused(&Unready::Failed(reason));
        let login = self.control_login().ok_or_else(|| failed("no user may use the database".to_owned()))?;
        let (client, _) =
            connect_control(&node.config, &login).await.map_err(|error| error.to_client_error(&node.config))?;
        records::make_ready(&client, self.config.auto_setup).await.map_err(|reason| refused(&reason))?;
        let mut logins: Vec<String> = self.users().map(|user| login_of(user).user).collect();
        logins.push(role.to_owned());
        let admitted = records::admit(&client, &logins).await;
        admitted.map_err(|error| refused(&Unready::Forbidden(records::describe(&error))))?;
        let is_new = !node.is_two_phase_ready();
        node.note_two_phase_ready();
        self.claims.note_admitted(shard, logins);
        Ok(is_new)
    }

    /// The truth about a COMMIT whose answer was lost; `Undecided` if the anchor can't be asked in time.
    pub async fn ask_anchor(&self, anchor: ShardId, gid: &Gid) -> Decision {
        let Some(login) = self.control_login() else { return Decision::Undecided };
        let begin = Instant::now();
        // A process that was stopped for long comes too late: the record may be gone.
        while begin.elapsed() < ANCHOR_WAIT_MAX.min(self.config.commit_timeout) {
            // Another node may have become the primary meanwhile.
            let node = std::sync::Arc::clone(self.primary(anchor));
            match connect_control(&node.config, &login).await {
                Ok((client, _)) => match records::ask(&client, gid, false).await {
                    Ok(decided) if decided != Decision::Undecided && begin.elapsed() < TXN_RETENTION / 2 => {
                        return decided;
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%gid, error = records::describe(&error), "the anchor can't say"),
                },
                Err(error) => tracing::warn!(%gid, %error, "the anchor can't be asked"),
            }
            crate::net::timer::sleep(TWO_PHASE_RETRY).await;
        }
        Decision::Undecided
    }

    /// Commits what is prepared on these shards, over other connections; false if that takes too long.
    /// `login`: the role on the servers that prepared it, or may have become the one that did.
    pub async fn finish_elsewhere(&self, shards: &[ShardId], gid: &Gid, login: &str) -> bool {
        let begin = Instant::now();
        let mut open = shards.to_vec();
        while !open.is_empty() && begin.elapsed() < SECOND_PHASE_WAIT_MAX.min(self.config.commit_timeout) {
            let mut left = Vec::new();
            for shard in open {
                if !self.finish(shard, gid, login).await {
                    left.push(shard);
                }
            }
            open = left;
            if !open.is_empty() {
                crate::net::timer::sleep(TWO_PHASE_RETRY).await;
            }
        }
        open.is_empty()
    }

    async fn finish(&self, shard: ShardId, gid: &Gid, login: &str) -> bool {
        let node = self.primary(shard);
        let name = self.config.shards.get(shard.index()).map_or("", |shard| shard.name.as_str());
        for login in self.logins_for(login) {
            let client = match connect_control(&node.config, &login).await {
                Ok((client, _)) => client,
                Err(error) => {
                    tracing::warn!(%gid, %error, "a participant can't be reached");
                    continue;
                }
            };
            match records::finish(&client, (gid, name), true, None).await {
                Ok(Finished::Done) => return true,
                Ok(Finished::Lost) => {
                    // Nothing can be done about it here; recovery keeps the record.
                    tracing::error!(%gid, node = %node.describe(), "a committed transaction was lost by its server");
                    return true;
                }
                Ok(Finished::Busy) => {}
                Err(error) => tracing::warn!(%gid, error = records::describe(&error), "a participant refused"),
            }
        }
        false
    }

    /// Who may finish what that role prepared: the control plane's user, then whoever logs in as that role.
    pub fn logins_for(&self, role: &str) -> Vec<Login> {
        let control = self.control_login();
        let users = self.users().map(|user| user.name.as_str()).chain([role]);
        let own = users.filter_map(|name| self.login_of(name)).find(|login| login.user == role);
        let own = own.filter(|own| control.as_ref().is_none_or(|control| control.user != own.user));
        control.into_iter().chain(own).collect()
    }
}
