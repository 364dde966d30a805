//! Finishes what a proxy, or a connection, left prepared: any proxy may do it at any time, several at
//! once, without a lock or a lease, since only the anchor decides and its fence makes it decide once. In:
//! the primaries and how to log in. Out: what remains in doubt. Never guesses: while an anchor can't be
//! asked, or its transaction is open, what hangs on it stays prepared.

mod sweep;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_postgres::Client;

use super::failpoint::{self, Point};
use super::gid::Gid;
use super::records::{self, Decision, Finished, describe};
use crate::pool::Node;
use crate::pool::connect::{Login, connect_control};
use crate::types::limits::ANCHOR_LIVES_MAX;

/// A transaction over several shards that isn't finished yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InDoubt {
    pub gid: String,
    /// The shard on which it is prepared, or was lost.
    pub shard: String,
    /// The role that prepared it.
    pub owner: String,
    pub age_seconds: i64,
    pub state: InDoubtState,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InDoubtState {
    /// Its proxy is most likely at it.
    Young,
    /// The anchor's transaction is still open.
    Undecided,
    /// The anchor can't be asked.
    AnchorUnreachable,
    /// Decided, but the shard refused to finish it.
    Unfinished,
    /// Committed by the anchor, and gone without a trace from this shard: an asynchronous failover lost it.
    Lost,
}

impl InDoubtState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Young => "young",
            Self::Undecided => "undecided",
            Self::AnchorUnreachable => "anchor unreachable",
            Self::Unfinished => "unfinished",
            Self::Lost => "lost",
        }
    }
}

/// What one pass found.
#[derive(Debug, Default)]
pub struct Pass {
    pub in_doubt: Vec<InDoubt>,
    pub committed: usize,
    pub rolled_back: usize,
    /// Shards that couldn't be looked at.
    pub unreachable: Vec<String>,
}

impl Pass {
    /// Whether another one is wanted soon.
    pub fn is_incomplete(&self) -> bool {
        !self.unreachable.is_empty() || self.in_doubt.iter().any(|left| left.state != InDoubtState::Lost)
    }
}

/// Whose transactions, and who may finish them.
pub struct Recovery<'a> {
    pub cluster: &'a str,
    pub primaries: Vec<Arc<Node>>,
    pub control: Login,
    /// Who may finish what a role prepared, the control plane's user first.
    pub logins_for: &'a (dyn Fn(&str) -> Vec<Login> + Send + Sync),
    /// Younger ones are their proxy's business.
    pub age_min: std::time::Duration,
    /// Also removes records that nobody needs any more.
    pub sweeps: bool,
}

struct Shard {
    name: String,
    node: Arc<Node>,
    client: Client,
}

struct Prepared {
    gid: Gid,
    shard: usize,
    owner: String,
    age_seconds: i64,
    is_young: bool,
}

impl Recovery<'_> {
    pub async fn run(&self) -> Pass {
        let mut pass = Pass::default();
        let shards = self.connect(&mut pass).await;
        let mut prepared: BTreeMap<String, Vec<Prepared>> = BTreeMap::new();
        for (position, shard) in shards.iter().enumerate() {
            match self.prepared_on(position, shard).await {
                Ok(found) => {
                    for one in found {
                        prepared.entry(one.gid.to_string()).or_default().push(one);
                    }
                }
                Err(error) => pass.note_unreachable(&shard.name, &describe(&error)),
            }
        }
        for parts in prepared.into_values() {
            self.settle(&shards, parts, &mut pass).await;
        }
        if self.sweeps {
            sweep::sweep(self.cluster, &shards, &mut pass).await;
        }
        pass
    }

    /// All primaries at once.
    async fn connect(&self, pass: &mut Pass) -> Vec<Shard> {
        let mut connecting = JoinSet::new();
        for node in &self.primaries {
            let (node, login) = (Arc::clone(node), self.control.clone());
            connecting.spawn(async move {
                let connected = connect_control(&node.config, &login).await;
                (node, connected)
            });
        }
        let mut shards = Vec::new();
        while let Some(connected) = connecting.join_next().await {
            match connected {
                Ok((node, Ok((client, _)))) => shards.push(Shard { name: node.shard_name.clone(), node, client }),
                Ok((node, Err(error))) => pass.note_unreachable(&node.shard_name, &error.to_string()),
                Err(error) => tracing::error!(%error, "recovery"),
            }
        }
        shards
    }

    async fn prepared_on(&self, position: usize, shard: &Shard) -> Result<Vec<Prepared>, tokio_postgres::Error> {
        let list = "SELECT gid, owner::text,
                pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - prepared)::float8
            FROM pg_catalog.pg_prepared_xacts
            WHERE pg_catalog.starts_with(gid, $1) AND database = pg_catalog.current_database()";
        let rows = shard.client.query(list, &[&Gid::prefix(self.cluster)]).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let (gid, owner, age): (String, String, f64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let Some(gid) = Gid::of_prepared(&gid, self.cluster) else {
                tracing::warn!(gid, "a prepared transaction has a name like Shardway's, but isn't");
                continue;
            };
            let is_young = age < self.age_min.as_secs_f64();
            found.push(Prepared { gid, shard: position, owner, age_seconds: age as i64, is_young });
        }
        Ok(found)
    }

    /// All parts of one transaction.
    async fn settle(&self, shards: &[Shard], parts: Vec<Prepared>, pass: &mut Pass) {
        let Some(first) = parts.first() else { return };
        let gid = first.gid.clone();
        let decision = if parts.iter().any(|part| part.is_young) {
            Err(InDoubtState::Young)
        } else {
            let oldest = parts.iter().map(|part| part.age_seconds).max().unwrap_or(0);
            let leaves = u64::try_from(oldest).unwrap_or(0) < ANCHOR_LIVES_MAX.as_secs();
            self.decision(shards, &gid, leaves).await
        };
        failpoint::pass(Point::RecoveryAsked).await;
        for part in parts {
            let Some(shard) = shards.get(part.shard) else { continue };
            let state = match decision {
                Ok(commit) => match self.finish(shard, &part, commit).await {
                    Ok(Finished::Done) => {
                        tracing::info!(%gid, shard = shard.name, commit, "a transaction left prepared is finished");
                        if commit {
                            pass.committed += 1
                        } else {
                            pass.rolled_back += 1
                        }
                        failpoint::pass(Point::RecoveryFinished).await;
                        continue;
                    }
                    Ok(Finished::Lost) => InDoubtState::Lost,
                    Ok(Finished::Busy) => InDoubtState::Unfinished,
                    Err(error) => {
                        tracing::warn!(%gid, shard = shard.name, error, "a transaction left prepared can't be finished");
                        InDoubtState::Unfinished
                    }
                },
                Err(state) => state,
            };
            pass.in_doubt.push(InDoubt {
                gid: gid.to_string(),
                shard: shard.name.clone(),
                owner: part.owner,
                age_seconds: part.age_seconds,
                state,
            });
        }
    }

    /// True: commit. An error: nothing is known, and nothing is done.
    async fn decision(&self, shards: &[Shard], gid: &Gid, leaves: bool) -> Result<bool, InDoubtState> {
        let anchor = shards.iter().find(|shard| gid.is_anchored_at(&shard.name));
        let anchor = anchor.ok_or(InDoubtState::AnchorUnreachable)?;
        match records::ask(&anchor.client, gid, leaves).await {
            Ok(Decision::Commit) => Ok(true),
            Ok(Decision::Abort) => Ok(false),
            Ok(Decision::Undecided) => Err(InDoubtState::Undecided),
            Err(error) => {
                tracing::warn!(%gid, anchor = anchor.name, error = describe(&error), "the anchor can't say");
                Err(InDoubtState::AnchorUnreachable)
            }
        }
    }

    async fn finish(&self, shard: &Shard, part: &Prepared, commit: bool) -> Result<Finished, String> {
        let mut refused =
            match records::finish(&shard.client, (&part.gid, &shard.name), commit, Some(&part.owner)).await {
                Ok(finished) => return Ok(finished),
                Err(error) => describe(&error),
            };
        // The control plane's user may not be the one that prepared it, nor able to become it.
        for login in (self.logins_for)(&part.owner).into_iter().filter(|login| *login != self.control) {
            let client = match connect_control(&shard.node.config, &login).await {
                Ok((client, _)) => client,
                Err(error) => {
                    refused = error.to_string();
                    continue;
                }
            };
            match records::finish(&client, (&part.gid, &shard.name), commit, Some(&part.owner)).await {
                Ok(finished) => return Ok(finished),
                Err(error) => refused = describe(&error),
            }
        }
        Err(refused)
    }
}

impl Pass {
    fn note_unreachable(&mut self, shard: &str, reason: &str) {
        tracing::debug!(shard, reason, "recovery can't look at a shard");
        self.unreachable.push(shard.to_owned());
    }
}

/// Positions by shard name.
fn by_name(shards: &[Shard]) -> HashMap<&str, usize> {
    shards.iter().enumerate().map(|(position, shard)| (shard.name.as_str(), position)).collect()
}
