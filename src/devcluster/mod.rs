//! Real PostgreSQL servers for the demo, the tests and the benchmarks. In: how many shards and replicas,
//! and their settings. Out: started servers with streaming replication, in a directory of their own and
//! on free ports. Knows nothing of Shardway: it stands beside the house.
//!
//! Every call blocks; from async code use `tokio::task::spawn_blocking`. Whatever is started ends with the
//! [`Cluster`], and also when this process is killed: a watchdog (a shell that waits for the end of a pipe
//! from us) then ends the servers and removes the directory.

mod account;
mod companion;
mod error;
mod installation;
mod provide;
mod server;
mod settings;
mod workspace;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub use companion::Companion;
pub use error::Error;
pub use installation::{Installation, OLDEST_MAJOR};
pub use server::{Server, StopMode};

use workspace::Workspace;

/// How text is sorted and classified in a cluster's databases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Locale {
    C,
    /// Sorts by code point, classifies as Unicode; C on macOS.
    CUtf8,
    /// An ICU locale as in `en-US`; PostgreSQL 15 or newer.
    Icu(String),
    /// A locale of the operating system.
    Named(String),
}

/// What all servers of a cluster have in common.
#[derive(Clone, Debug)]
struct Options {
    user: String,
    password: String,
    database: String,
    locale: Locale,
    max_connections: u32,
    settings: Vec<(String, String)>,
    hba: Vec<String>,
    own_identity: bool,
    keep: bool,
}

/// Describes a cluster; [`start`](Self::start) makes it.
#[derive(Clone, Debug)]
pub struct ClusterBuilder {
    options: Options,
    installation: Option<Installation>,
    parent: PathBuf,
    shards: usize,
    replicas: usize,
    schema: String,
    cancelled: Arc<AtomicBool>,
}

impl ClusterBuilder {
    /// How many shards, each with a primary. One by default.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }

    /// How many streaming replicas each shard has. None by default.
    #[must_use]
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// The superuser and its password, both `shardway` by default. Letters, digits and `_` only.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        name.clone_into(&mut self.options.user);
        password.clone_into(&mut self.options.password);
        self
    }

    /// The database that is created on every server, `shardway` by default. Letters, digits and `_` only.
    #[must_use]
    pub fn database(mut self, name: &str) -> Self {
        name.clone_into(&mut self.options.database);
        self
    }

    /// SQL that is run on each primary before replicas are made from it.
    #[must_use]
    pub fn schema(mut self, sql: &str) -> Self {
        sql.clone_into(&mut self.schema);
        self
    }

    /// How text is sorted; [`Locale::CUtf8`] by default.
    #[must_use]
    pub fn locale(mut self, locale: Locale) -> Self {
        self.options.locale = locale;
        self
    }

    /// Connections each server takes, 100 by default.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.options.max_connections = connections;
        self
    }

    /// One more line of `postgresql.conf`, stronger than the cluster's own.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.options.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more line of `pg_hba.conf`, before the cluster's own (SCRAM for all).
    #[must_use]
    pub fn hba(mut self, line: &str) -> Self {
        self.options.hba.push(line.to_owned());
        self
    }

    /// The directory in which the cluster's directory is made; the system's temporary directory by default and
    /// whenever the user that runs the servers can't enter this one.
    #[must_use]
    pub fn directory(mut self, parent: impl Into<PathBuf>) -> Self {
        self.parent = parent.into();
        self
    }

    /// Runs `initdb` for each server (a second each). Otherwise data directories are copied from one template
    /// and all servers have the same system identifier.
    #[must_use]
    pub fn own_identity(mut self) -> Self {
        self.options.own_identity = true;
        self
    }

    /// Leaves the directory where it is at the end.
    #[must_use]
    pub fn keep(mut self, keep: bool) -> Self {
        self.options.keep = keep;
        self
    }

    /// Uses this PostgreSQL instead of the newest one.
    #[must_use]
    pub fn installation(mut self, installation: Installation) -> Self {
        self.installation = Some(installation);
        self
    }

    /// Setting the flag ends a start that is under way with [`Error::Interrupted`].
    #[must_use]
    pub fn cancelled_by(mut self, flag: Arc<AtomicBool>) -> Self {
        self.cancelled = flag;
        self
    }

    /// Starts all servers, and waits until the replicas stream.
    ///
    /// # Errors
    /// When there is no PostgreSQL, or a server doesn't start; nothing is left behind then.
    pub fn start(self) -> Result<Cluster, Error> {
        let installation = match self.installation {
            Some(installation) => installation,
            None => Installation::find()?,
        };
        let workspace = Workspace::create(installation, self.options, &self.parent, self.cancelled)?;
        let workspace = Arc::new(workspace);
        let shards = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..self.shards)
                .map(|number| {
                    let (workspace, schema) = (&workspace, &self.schema);
                    scope.spawn(move || Shard::start(workspace, number, self.replicas, schema))
                })
                .collect();
            // All are joined before the first error returns: no thread is left that starts servers.
            let results: Vec<_> = starts.into_iter().map(join).collect();
            results.into_iter().collect::<Result<Vec<_>, _>>()
        })?;
        Ok(Cluster { shards, workspace })
    }
}

/// Started servers: shards, each a primary with its replicas.
#[derive(Debug)]
pub struct Cluster {
    shards: Vec<Shard>,
    workspace: Arc<Workspace>,
}

/// A primary and its replicas, as they were started: a promotion doesn't move them.
#[derive(Debug)]
pub struct Shard {
    pub name: String,
    pub primary: Server,
    pub replicas: Vec<Server>,
}

impl Cluster {
    /// One shard without replicas in the temporary directory, until the builder is told otherwise.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder {
            options: Options {
                user: "shardway".to_owned(),
                password: "shardway".to_owned(),
                database: "shardway".to_owned(),
                locale: Locale::CUtf8,
                max_connections: 100,
                settings: Vec::new(),
                hba: Vec::new(),
                own_identity: false,
                keep: false,
            },
            installation: None,
            parent: std::env::temp_dir(),
            shards: 1,
            replicas: 0,
            schema: String::new(),
            cancelled: Arc::new(AtomicBool::new(false)),
        }
    }

    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The primary that was started for shard number `shard`.
    ///
    /// # Panics
    /// When there is no such shard.
    pub fn primary(&self, shard: usize) -> &Server {
        &self.shards[shard].primary
    }

    /// Every server, primaries before their replicas.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.shards.iter().flat_map(|shard| std::iter::once(&shard.primary).chain(&shard.replicas))
    }

    /// The cluster's directory; all that is in it disappears with the cluster. A file `NAME.pid` in it names a
    /// process to end with the cluster, if its command line contains the directory.
    pub fn directory(&self) -> &Path {
        self.workspace.directory()
    }

    pub fn installation(&self) -> &Installation {
        &self.workspace.installation
    }

    pub fn user(&self) -> &str {
        &self.workspace.options.user
    }

    pub fn password(&self) -> &str {
        &self.workspace.options.password
    }

    pub fn database(&self) -> &str {
        &self.workspace.options.database
    }

    /// One more primary, empty, that the caller owns.
    ///
    /// # Errors
    /// When it doesn't start.
    pub fn add_primary(&self, name: &str) -> Result<Server, Error> {
        Server::primary(&self.workspace, name)
    }

    /// One more replica, that the caller owns.
    ///
    /// # Errors
    /// When it doesn't start or stream.
    pub fn add_replica(&self, name: &str, primary: &Server) -> Result<Server, Error> {
        Server::replica(&self.workspace, name, primary)
    }

    /// The `[database.*]` part of a Shardway configuration file for this cluster, without tables.
    pub fn database_toml(&self, database: &str) -> String {
        let url = |server: &Server| format!("\"postgres://127.0.0.1:{}/{}\"", server.port(), self.database());
        let home = self.shards.first().map_or("", |shard| shard.name.as_str());
        let mut text = format!("[database.{database}]\nhome = \"{home}\"\n");
        for shard in &self.shards {
            let replicas: Vec<String> = shard.replicas.iter().map(url).collect();
            text.push_str(&format!(
                "\n[database.{database}.shard.{}]\nprimary = {}\nreplicas = [{}]\n",
                shard.name,
                url(&shard.primary),
                replicas.join(", ")
            ));
        }
        text
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.workspace.keeps() {
            self.servers().for_each(Server::begin_to_end);
        }
    }
}

impl Shard {
    fn start(workspace: &Arc<Workspace>, number: usize, replicas: usize, schema: &str) -> Result<Self, Error> {
        let name = shard_name(number);
        let primary = Server::primary(workspace, &name)?;
        if !schema.is_empty() {
            primary.sql(schema)?;
        }
        let replicas = (1..=replicas)
            .map(|replica| Server::replica(workspace, &format!("{name}-replica-{replica}"), &primary))
            .collect::<Result<_, _>>()?;
        Ok(Self { name, primary, replicas })
    }
}

/// `a` to `z`, then `s27` and so on.
fn shard_name(number: usize) -> String {
    match u8::try_from(number) {
        Ok(small @ 0..26) => char::from(b'a' + small).to_string(),
        _ => format!("s{}", number + 1),
    }
}

fn join<T>(handle: std::thread::ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Where a program is on PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::shard_name;

    #[test]
    fn shards_are_named_by_letters_then_numbers() {
        assert_eq!(shard_name(0), "a");
        assert_eq!(shard_name(25), "z");
        assert_eq!(shard_name(26), "s27");
    }
}
