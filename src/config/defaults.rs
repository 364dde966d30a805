//! What holds where the file says nothing. `config/full.toml` shows the same values; a test compares.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Only this machine: a proxy that listens to the world by default would be a surprise.
pub(super) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6432);
pub(super) const CLIENTS: usize = 1000;
pub(super) const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const STARTUP_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) const POOL_SIZE: usize = 20;
pub(super) const WAIT_TIMEOUT: Duration = Duration::from_secs(30);
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// PostgreSQL's backends grow with the catalog they have seen; an hour bounds that.
pub(super) const LIFETIME: Duration = Duration::from_secs(3600);
pub(super) const CONNECTS: usize = 8;
pub(super) const PREPARED_STATEMENTS: usize = 500;

pub(super) const LOG_LEVEL: &str = "info";
pub(super) const SLOW_STATEMENT: Duration = Duration::from_secs(1);

/// Patroni takes half a minute to notice that a primary is gone, and a second to promote another; most clients would
/// rather have an error after ten seconds.
pub(super) const FAILOVER_WAIT: Duration = Duration::from_secs(10);
/// Also asked whenever something is wrong.
pub(super) const PATRONI_INTERVAL: Duration = Duration::from_secs(1);
pub(super) const FAILOVER_QUEUE: usize = 1000;

/// A WAL segment.
pub(super) const LAG_BYTES_ADVISED: usize = 16 << 20;

pub(super) const AUTO_SETUP: bool = true;
/// What a dead proxy leaves holds its rows' locks: found within seconds, by a query that costs a millisecond.
/// A server that takes longer for one step of a commit hangs, or checks deferred constraints of very many rows.
pub(super) const COMMIT_TIMEOUT: Duration = Duration::from_secs(60);
pub(super) const RECOVERY_INTERVAL: Duration = Duration::from_secs(10);

/// An expired password is none; the view only has roles that may log in.
pub(super) const AUTH_QUERY: &str = "SELECT usename, CASE WHEN valuntil IS NULL OR valuntil > now() THEN passwd END \
     FROM pg_catalog.pg_shadow WHERE usename = $1";
pub(super) const AUTH_CACHE_ADVISED: Duration = Duration::from_secs(10);

/// Of the statements that no trace of an application's own asks for.
pub(super) const TRACES_SAMPLE: f64 = 0.01;

/// PostgreSQL's own port, for a node whose URL has none.
pub(super) const NODE_PORT: u16 = 5432;

/// What is written in place of a number that can't be.
pub(super) const WORKERS_ADVISED: usize = 4;

/// One thread a core.
pub(super) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
