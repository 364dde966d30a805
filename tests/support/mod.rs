//! What the integration tests share: real servers, Shardway before them, and real drivers. Everything is
//! set up under `target/`; what can't be (python3, node) is named with the command that installs it.
//!
//! Used as `mod support;`. Servers that a whole test binary shares live in a `static OnceLock`: statics are never
//! dropped, and the cluster's watchdog clears up when the binary ends.

// Each test binary uses a part.
#![allow(dead_code, unused_imports)]

mod environments;
mod programs;
mod proxy;
mod relay;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use shardway::devcluster::{Cluster, ClusterBuilder, Installation};

pub use environments::{NodeEnv, PythonEnv};
pub use programs::provide;
pub use proxy::{Proxy, free_port};
pub use relay::Relay;

/// The tables of the driver tests. `users` and `orders` are sharded by the user's id, `countries` is a reference
/// table (so it has its rows on every server), `settings` is unsharded.
pub const DRIVER_SCHEMA: &str = "
    CREATE TABLE users (id bigint PRIMARY KEY, name text);
    CREATE TABLE orders (user_id bigint, id bigint, amount numeric, PRIMARY KEY (user_id, id));
    CREATE TABLE countries (code text PRIMARY KEY, name text);
    CREATE TABLE settings (k text PRIMARY KEY, v text);
    INSERT INTO countries VALUES ('nz', 'New Zealand'), ('pt', 'Portugal'), ('is', 'Island');
";

/// The same tables in a Shardway configuration file, for a database named `name`.
pub fn driver_tables(name: &str) -> String {
    format!(
        "
[database.{name}.table.users]
key = \"id\"

[database.{name}.table.orders]
key = \"user_id\"
colocate = \"users\"

[database.{name}.table.countries]
reference = true
"
    )
}

/// A whole configuration for the driver tests: the cluster's superuser, its database under its own name, and the
/// tables. The first shard is the home shard.
pub fn driver_config(cluster: &Cluster) -> String {
    let (user, password, database) = (cluster.user(), cluster.password(), cluster.database());
    format!(
        "[[user]]\nname = \"{user}\"\npassword = \"{password}\"\n\n{}{}",
        cluster.database_toml(database),
        driver_tables(database)
    )
}

/// Real servers under `target/`.
pub struct Shards;

impl Shards {
    /// `shards` primaries with `schema` on each, and `replicas` streaming replicas of each.
    pub fn start(shards: usize, replicas: usize, schema: &str) -> Cluster {
        Self::builder()
            .shards(shards)
            .replicas(replicas)
            .schema(schema)
            .start()
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// For tests that need more than [`start`](Self::start) offers. Gets a PostgreSQL if there is none.
    pub fn builder() -> ClusterBuilder {
        let installation = Installation::find_or_install(&mut |line| eprintln!("{line}"));
        Cluster::builder()
            .directory(target_directory())
            .installation(installation.unwrap_or_else(|error| panic!("{error}")))
    }
}

/// `target/tmp`: kept between runs.
pub fn target_directory() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// A file of the repository, as in `tests/drivers/psql.sql`.
pub fn repository_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs `psql URL ARGUMENTS...` without anybody's psqlrc.
pub fn psql(cluster: &Cluster, url: &str, arguments: &[&str]) -> Output {
    let mut psql = cluster.installation().command("psql");
    psql.arg("-X").args(arguments).arg(url).output().expect("psql is part of the installation")
}

/// What a program printed, or a panic with all of it when it failed.
pub fn expect_success(what: &str, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} failed ({}):\n{text}{errors}", output.status);
    text
}

/// Runs a command that sets up the environment; `remedy` says what to do when it isn't there or fails.
fn set_up(command: &mut Command, remedy: &str) {
    let program = format!("{command:?}");
    match command.output() {
        Err(error) => panic!("{program} could not be run: {error}. {remedy}"),
        Ok(output) if !output.status.success() => panic!(
            "{program} failed: {}{}\n{remedy}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
        Ok(_) => {}
    }
}
