//! Two PostgreSQL servers with pgbench's accounts: all of them in one database, and by key in another.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use shardway::devcluster::{Cluster, Installation, Server, on_path};

/// pgbench's scale: 100,000 accounts each.
pub const SCALE: u32 = 5;
pub const ACCOUNTS: u32 = SCALE * 100_000;

/// The database with all rows, on the first server.
pub const WHOLE: &str = "whole";
/// On both servers, each with its part.
pub const PARTS: &str = "parts";

/// More than all contenders together open: each keeps what it has opened.
const MAX_CONNECTIONS: u32 = 700;

pub struct Servers {
    pub cluster: Cluster,
    pub pgbench: PathBuf,
    /// The program to measure.
    pub shardway: PathBuf,
}

impl Servers {
    pub fn start(shardway: &Path, say: &mut dyn FnMut(&str)) -> Result<Self, String> {
        let installation = Installation::find_or_install(say).map_err(|error| error.to_string())?;
        let pgbench = [installation.programs().join("pgbench")].into_iter().find(|program| program.is_file());
        let pgbench = pgbench.or_else(|| on_path("pgbench"));
        let pgbench = pgbench.ok_or("pgbench is not installed (Debian: apt-get install postgresql-contrib)")?;
        say("starting two PostgreSQL servers");
        let cluster = Cluster::builder()
            .directory(env!("CARGO_TARGET_TMPDIR"))
            .installation(installation)
            .database(PARTS)
            .max_connections(MAX_CONNECTIONS)
            .shards(2)
            .start()
            .map_err(|error| error.to_string())?;
        let servers = Self { cluster, pgbench, shardway: shardway.to_owned() };
        say("loading pgbench's accounts");
        servers.load_whole()?;
        for (number, shard) in servers.cluster.shards().iter().enumerate() {
            load_part(&shard.primary, number, servers.cluster.shards().len())?;
        }
        Ok(servers)
    }

    fn load_whole(&self) -> Result<(), String> {
        let server = self.cluster.primary(0);
        server.sql(&format!("CREATE DATABASE {WHOLE}")).map_err(|error| error.to_string())?;
        let mut pgbench = self.pgbench();
        pgbench.args(["--initialize", "--quiet", "--scale", &SCALE.to_string()]);
        pgbench.arg(server.url_for(self.cluster.user(), self.cluster.password(), WHOLE));
        output(pgbench).map(drop)
    }

    /// pgbench without the environment's PG* variables, which would point it elsewhere.
    pub fn pgbench(&self) -> Command {
        let mut command = Command::new(&self.pgbench);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG")) {
                command.env_remove(name);
            }
        }
        command
    }

    /// One value, asked with psql.
    pub fn ask(&self, url: &str, sql: &str) -> Result<String, String> {
        let mut psql = self.cluster.installation().command("psql");
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, url]);
        output(psql).map(|text| text.trim().to_owned())
    }
}

/// The rows of one of `count` shards: bucket b of 4,096 is on shard b mod `count`. The bucket is the one
/// that PostgreSQL's PARTITION BY HASH takes (`compute_partition_hash_value` with its seed).
fn load_part(server: &Server, number: usize, count: usize) -> Result<(), String> {
    let sql = format!(
        "CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
         INSERT INTO pgbench_accounts
         SELECT aid, 1 + (aid - 1) / 100000, 0, '' FROM generate_series(1, {ACCOUNTS}) aid
         WHERE (((hashint8extended(aid, 8816678312871386365) & 4095) + 2275) & 4095) % {count} = {number};
         VACUUM ANALYZE pgbench_accounts;"
    );
    server.sql(&sql).map(drop).map_err(|error| error.to_string())
}

/// Runs a command to its end.
pub fn output(mut command: Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr))) }
}
