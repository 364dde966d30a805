//! How fresh what a client reads has to be: what it has written itself, here or elsewhere (by a token), and what it
//! asked for by `SET shardway.read` and `shardway.max_staleness`. In: which shards it wrote. Out: what a replica must have
//! replayed to be read. A write costs nothing: where the primary's WAL is after it is learnt from the looks at the nodes,
//! and until then the client reads the primary.

use std::time::{Duration, Instant};

use super::own_settings::invalid;
use super::turn::Session;
use super::user_pools::Want;
use crate::config::{DatabaseConfig, ReadPolicy};
use crate::execute::own;
use crate::planning::{Access, Hint};
use crate::pool::Lead;
use crate::sql::Lexed;
use crate::types::{ClientError, ShardId, SqlState};

#[derive(Debug, Default)]
pub(super) struct Freshness {
    marks: Vec<Mark>,
    /// `SET shardway.read`.
    pub reads: Option<ReadPolicy>,
    /// The hint in the statement that is planned now.
    pub said: Option<ReadPolicy>,
    /// `SET shardway.max_staleness`.
    pub staleness_max: Option<Duration>,
    /// What SHOW shardway.token is about to say.
    shown: Option<Result<String, ClientError>>,
}

/// What a shard's replicas must have replayed before this client reads them.
#[derive(Debug)]
struct Mark {
    shard: ShardId,
    position: u64,
    newest: Newest,
}

/// Whether the mark's position covers all that the client wrote.
#[derive(Clone, Copy, Debug)]
enum Newest {
    Covered,
    /// A write has begun since.
    Written,
    /// It was over by then.
    Over(Instant),
}

impl Freshness {
    /// The client writes that shard.
    pub(super) fn note_write(&mut self, shard: ShardId) {
        match self.marks.iter_mut().find(|mark| mark.shard == shard) {
            Some(mark) => mark.newest = Newest::Written,
            None => self.marks.push(Mark { shard, position: 0, newest: Newest::Written }),
        }
    }

    /// What a replica must have replayed; `None`: nobody knows yet. Asked outside of the transaction that wrote only.
    fn floor(&mut self, shard: ShardId, lead: &Lead) -> Option<u64> {
        let Some(mark) = self.marks.iter_mut().find(|mark| mark.shard == shard) else { return Some(0) };
        if let Newest::Written = mark.newest {
            mark.newest = Newest::Over(Instant::now());
        }
        if let Newest::Over(at) = mark.newest {
            let Some(position) = lead.position_after(at) else {
                lead.want_look_soon();
                return None;
            };
            mark.position = mark.position.max(position);
            mark.newest = Newest::Covered;
        }
        Some(mark.position)
    }

    fn cover(&mut self, shard: ShardId, position: u64) {
        if let Some(mark) = self.marks.iter_mut().find(|mark| mark.shard == shard) {
            mark.position = mark.position.max(position);
            mark.newest = Newest::Covered;
        }
    }

    /// Of another connection of the same application: what it wrote is read here as well.
    fn adopt(&mut self, token: &[(ShardId, u64)]) {
        for &(shard, position) in token {
            match self.marks.iter_mut().find(|mark| mark.shard == shard) {
                Some(mark) => mark.position = mark.position.max(position),
                None => self.marks.push(Mark { shard, position, newest: Newest::Covered }),
            }
        }
    }

    fn token(&self, config: &DatabaseConfig) -> String {
        let mut marks: Vec<&Mark> = self.marks.iter().collect();
        marks.sort_by_key(|mark| mark.shard);
        let name = |shard: ShardId| config.shards.get(shard.index()).map_or("", |shard| shard.name.as_str());
        let parts: Vec<String> =
            marks.iter().map(|mark| format!("{}:{}", name(mark.shard), show(mark.position))).collect();
        parts.join(",")
    }

    /// `SET shardway.token`.
    ///
    /// # Errors
    /// It is no token of this database.
    pub(super) fn set_token(&mut self, value: &str, config: &DatabaseConfig) -> Result<(), ClientError> {
        let token = read_token(value, config).ok_or_else(|| {
            invalid(
                "shardway.token",
                value,
                "It is what SHOW shardway.token says on another connection to this database.",
            )
        })?;
        self.adopt(&token);
        Ok(())
    }

    /// What SHOW says of such a setting.
    pub(super) fn show(&mut self, name: &str, config: &DatabaseConfig) -> Option<Result<String, ClientError>> {
        Some(match name {
            "shardway.read" => {
                let reads = self.reads.unwrap_or(config.reads);
                Ok(reads.session_word().to_owned())
            }
            "shardway.max_staleness" => {
                Ok(self.staleness_max.map_or_else(|| "off".to_owned(), |limit| format!("{}ms", limit.as_millis())))
            }
            "shardway.token" => self.shown.take().unwrap_or_else(|| Ok(self.token(config))),
            _ => return None,
        })
    }
}

/// A position as PostgreSQL writes it.
fn show(position: u64) -> String {
    format!("{:X}/{:X}", position >> 32, position & 0xFFFF_FFFF)
}

fn read(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    let part = |hex: &str| u32::from_str_radix(hex, 16).ok().filter(|_| hex.len() <= 8 && !hex.starts_with('+'));
    Some(u64::from(part(high)?) << 32 | u64::from(part(low)?))
}

fn read_token(text: &str, config: &DatabaseConfig) -> Option<Vec<(ShardId, u64)>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let part = |part: &str| {
        let (name, position) = part.rsplit_once(':')?;
        Some((config.shard_by_name(name)?, read(position)?))
    };
    parts.map(part).collect()
}

impl Session {
    /// Where a statement may be served on that shard.
    pub(super) fn want(&mut self, shard: ShardId, access: Access) -> Want {
        if access == Access::Write || !self.database.has_replicas() {
            return Want::PRIMARY;
        }
        let config = &self.database.config;
        let policy = self.freshness.said.or(self.freshness.reads).unwrap_or(config.reads);
        // What a replica was lost under is run again where it can't be lost for being a replica.
        let again = self.again.tried && policy != ReadPolicy::ReplicaOnly;
        if policy == ReadPolicy::Primary || again || !self.may_use_replica() {
            return Want::PRIMARY;
        }
        let floor = match config.replication.read_your_writes {
            true => self.freshness.floor(shard, self.database.lead(shard)),
            false => Some(0),
        };
        let staleness_max = self.freshness.staleness_max;
        match floor.zip(self.database.lead(shard).definitions()) {
            Some((floor, definitions)) => Want { policy, floor: floor.max(definitions), staleness_max },
            None => Want::PRIMARY,
        }
    }

    /// What a statement's own comment says of replicas.
    pub(super) fn note_said(&mut self, sql: &[u8], lexed: &Lexed) {
        self.freshness.said = None;
        if let Some(span) = &lexed.hint
            && self.database.has_replicas()
        {
            let body = String::from_utf8_lossy(sql.get(span.clone()).unwrap_or_default());
            if let Some(Hint::Read(policy)) = Hint::parse(&body) {
                self.freshness.said = Some(policy);
            }
        }
    }

    /// For SHOW shardway.token: asks the primaries of the shards that were written where their WAL is.
    pub(super) async fn settle_token(&mut self) {
        let open: Vec<ShardId> = self
            .freshness
            .marks
            .iter()
            .filter(|mark| !matches!(mark.newest, Newest::Covered))
            .map(|mark| mark.shard)
            .filter(|shard| self.transaction.held().iter().all(|held| held.shard != *shard))
            .collect();
        for shard in open {
            match self.ask_position(shard).await {
                Ok(position) => self.freshness.cover(shard, position),
                Err(error) => {
                    self.freshness.shown = Some(Err(error));
                    return;
                }
            }
        }
    }

    async fn ask_position(&mut self, shard: ShardId) -> Result<u64, ClientError> {
        let mut lease = self.pools.lease(shard, Want::PRIMARY).await?;
        let answer = own::run(&mut lease, "SELECT pg_catalog.pg_current_wal_insert_lsn()").await;
        let position = answer.ok().and_then(|answer| read(&answer.value?));
        position.ok_or_else(|| {
            ClientError::new(SqlState::CONNECTION_FAILURE, "a shard's primary did not say where its WAL is")
                .detail(format!("Shard {}.", self.shard_name(shard)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_written_as_postgresql_does() {
        for (text, position) in [("0/0", 0), ("16/B374D848", 0x16_B374_D848), ("FFFFFFFF/FFFFFFFF", u64::MAX)] {
            assert_eq!(read(text), Some(position));
            assert_eq!(show(position), text);
        }
        for text in ["", "/", "1", "1/", "/1", "g/0", "0/+1", "123456789/0", "0/123456789"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
