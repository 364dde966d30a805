//! What is measured: a direct connection, PgBouncer where it is installed, and Shardway with one worker
//! and with as many as it takes by itself. Each listens on a free port of 127.0.0.1 and ends with its
//! value, or with the cluster's watchdog.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use shardway::devcluster::{Companion, on_path};

use crate::servers::{ACCOUNTS, PARTS, Servers, WHOLE};
use crate::workloads::{Placement, Protocol, Workload};

/// Connections to a server that each pooler may open for the simple protocol.
pub const POOL_SIZE: u32 = 20;
/// The same for prepared statements: PgBouncer does them in session mode, in which each client has one for itself.
const PREPARED_POOL_SIZE: u32 = 64;
const MAX_CLIENTS: u32 = 2_000;
const READY_WITHIN: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Direct,
    PgBouncer,
    OneWorker,
    DefaultWorkers,
}

/// Where one run goes.
#[derive(Clone, Debug)]
pub struct Contender {
    pub kind: Kind,
    pub url: String,
    /// Of the proxy.
    pub pid: Option<u32>,
}

/// A started proxy.
pub struct Proxy {
    process: Companion,
    port: u16,
}

impl Proxy {
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    fn wait(&self) -> Result<(), String> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline && self.process.ended().is_none() {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("a proxy did not start:\n{}", self.process.log()))
    }
}

/// Shardway with one worker, and with as many as it takes by itself.
struct Pair {
    one_worker: Proxy,
    default_workers: Proxy,
}

pub struct Contenders {
    direct: String,
    user: String,
    /// With as many connections to a server as PgBouncer has, for each protocol.
    simple: Pair,
    prepared: Pair,
    /// In transaction mode, which can't do named prepared statements before 1.21, and in session mode.
    pgbouncer: Option<(Proxy, Proxy)>,
    /// Whether the sharded database answers; if not, why.
    parts: Result<(), String>,
}

impl Contenders {
    pub fn start(servers: &Servers) -> Result<Self, String> {
        let pair = |protocol: &str, pool_size| -> Result<Pair, String> {
            Ok(Pair {
                one_worker: shardway(servers, &format!("shardway-{protocol}-1"), Some(1), pool_size)?,
                default_workers: shardway(servers, &format!("shardway-{protocol}-default"), None, pool_size)?,
            })
        };
        let (simple, prepared) = (pair("simple", POOL_SIZE)?, pair("prepared", PREPARED_POOL_SIZE)?);
        let pgbouncer = match pgbouncer_program() {
            None => None,
            Some(program) => Some((
                pgbouncer(servers, &program, "pgbouncer-transaction", "transaction", POOL_SIZE)?,
                pgbouncer(servers, &program, "pgbouncer-session", "session", PREPARED_POOL_SIZE)?,
            )),
        };
        let cluster = &servers.cluster;
        let mut contenders = Self {
            direct: cluster.primary(0).url_for(cluster.user(), cluster.password(), WHOLE),
            user: cluster.user().to_owned(),
            simple,
            prepared,
            pgbouncer,
            parts: Ok(()),
        };
        contenders.parts = [&contenders.simple, &contenders.prepared]
            .into_iter()
            .flat_map(|pair| [&pair.one_worker, &pair.default_workers])
            .try_for_each(|proxy| wait_for_parts(servers, &contenders.url(proxy, PARTS)));
        Ok(contenders)
    }

    pub fn has_pgbouncer(&self) -> bool {
        self.pgbouncer.is_some()
    }

    /// Those that a row is measured with, in the order in which they run.
    pub fn for_workload(&self, workload: &Workload) -> Vec<Contender> {
        let direct = Contender { kind: Kind::Direct, url: self.direct.clone(), pid: None };
        let pgbouncer = self.pgbouncer.as_ref().map(|(transaction, session)| {
            let proxy = if workload.protocol == Protocol::Simple { transaction } else { session };
            self.contender(Kind::PgBouncer, proxy, WHOLE)
        });
        let pair = if workload.protocol == Protocol::Simple { &self.simple } else { &self.prepared };
        let database = match workload.placement {
            Placement::OneShard => WHOLE,
            Placement::TwoShards => PARTS,
        };
        [
            Some(direct),
            pgbouncer,
            Some(self.contender(Kind::OneWorker, &pair.one_worker, database)),
            Some(self.contender(Kind::DefaultWorkers, &pair.default_workers, database)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Why rows with two shards can't be measured.
    pub fn parts(&self) -> Result<(), &str> {
        match &self.parts {
            Ok(()) => Ok(()),
            Err(reason) => Err(reason),
        }
    }

    fn contender(&self, kind: Kind, proxy: &Proxy, database: &str) -> Contender {
        Contender { kind, url: self.url(proxy, database), pid: Some(proxy.pid()) }
    }

    fn url(&self, proxy: &Proxy, database: &str) -> String {
        format!("postgres://{}@127.0.0.1:{}/{database}", self.user, proxy.port)
    }
}

/// Starts a Shardway that serves both databases. Neither it nor PgBouncer asks for a password: logging in
/// isn't what is measured.
pub fn shardway(servers: &Servers, name: &str, workers: Option<u32>, pool_size: u32) -> Result<Proxy, String> {
    let cluster = &servers.cluster;
    let workers = workers.map(|workers| format!("workers = {workers}\n")).unwrap_or_default();
    start(servers, name, "toml", &|port, file| {
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\nauthentication = \"trust\"\nmax_clients = {MAX_CLIENTS}\n{workers}
[pool]\nsize = {pool_size}\n\n[[user]]\nname = \"{}\"\npassword = \"{}\"\n
[database.{WHOLE}.shard.a]\nprimary = \"postgres://127.0.0.1:{}/{WHOLE}\"\n\n{}\n[database.{PARTS}.table.pgbench_accounts]\nkey = \"aid\"\n",
            cluster.user(),
            cluster.password(),
            cluster.primary(0).port(),
            cluster.database_toml(PARTS),
        );
        let mut command = Command::new(&servers.shardway);
        command.arg("--config").arg(file);
        (config, command)
    })
}

/// Starts a PgBouncer before the database with all rows. It refuses to run as root: it runs as the
/// servers do then.
pub fn pgbouncer(servers: &Servers, program: &Path, name: &str, mode: &str, pool_size: u32) -> Result<Proxy, String> {
    let cluster = &servers.cluster;
    let owner = std::fs::metadata(cluster.primary(0).data_dir()).map_err(|error| error.to_string())?;
    let own = std::fs::metadata("/proc/self").map_err(|error| error.to_string())?;
    start(servers, name, "ini", &|port, file| {
        let config = format!(
            "[databases]\n{WHOLE} = host=127.0.0.1 port={} dbname={WHOLE} user={} password={}\n
[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}
default_pool_size = {pool_size}\nmax_client_conn = {MAX_CLIENTS}\nlog_connections = 0\nlog_disconnections = 0\n",
            cluster.primary(0).port(),
            cluster.user(),
            cluster.password(),
        );
        let mut command = Command::new(program);
        command.arg(file);
        if own.uid() == 0 {
            command.uid(owner.uid()).gid(owner.gid());
        }
        (config, command)
    })
}

/// Writes the configuration and starts the process, again with another port when somebody took the first.
pub fn start(
    servers: &Servers,
    name: &str,
    extension: &str,
    describe: &dyn Fn(u16, &Path) -> (String, Command),
) -> Result<Proxy, String> {
    let file = servers.cluster.directory().join(format!("{name}.{extension}"));
    let mut tries = 0;
    loop {
        let port = free_port()?;
        let (config, mut command) = describe(port, &file);
        std::fs::write(&file, config).map_err(|error| error.to_string())?;
        let process = servers.cluster.spawn(name, &mut command).map_err(|error| error.to_string())?;
        let proxy = Proxy { process, port };
        match proxy.wait() {
            Ok(()) => return Ok(proxy),
            Err(log) if log.contains("in use") && tries < 5 => tries += 1,
            Err(log) => return Err(log),
        }
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}

/// PATH of an ordinary user often lacks the directory where Debian puts it.
pub fn pgbouncer_program() -> Option<PathBuf> {
    on_path("pgbouncer").or_else(|| Some(PathBuf::from("/usr/sbin/pgbouncer")).filter(|program| program.is_file()))
}

/// Fast and wrong doesn't count: some accounts of both shards must be found. Shardway needs a moment to
/// read the servers' tables first.
fn wait_for_parts(servers: &Servers, url: &str) -> Result<(), String> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let keys = (1..=ACCOUNTS).step_by(ACCOUNTS as usize / 20);
        let wrong = keys.map(|aid| {
            let answer = servers.ask(url, &format!("SELECT aid FROM pgbench_accounts WHERE aid = {aid}"))?;
            if answer == aid.to_string() { Ok(()) } else { Err(format!("account {aid} was answered by \"{answer}\"")) }
        });
        match wrong.collect::<Result<Vec<()>, String>>() {
            Ok(_) => return Ok(()),
            Err(reason) if Instant::now() > deadline || reason.contains("was answered") => {
                return Err(reason);
            }
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}
