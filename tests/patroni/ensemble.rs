//! Patroni as Debian packages it: etcd, and members that each run a PostgreSQL of their own. In: a cluster's directory.
//! Out: members that are killed, started again and switched over, and what they say of who leads.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User, chown};
use rand::RngExt;
use shardway::devcluster::{Cluster, Companion};

use super::support::{expect_success, provide, psql};

/// A loaded machine may take long to initialise, to elect and to follow.
const WITHIN: Duration = Duration::from_secs(120);

/// Members bind theirs long after they are chosen: nothing else of the tests has ports in this range.
const PORTS: std::ops::Range<u16> = 10_000..11_000;

fn free_port() -> u16 {
    loop {
        let port = rand::rng().random_range(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub struct Ensemble<'c> {
    cluster: &'c Cluster,
    pub members: Vec<Member>,
    _etcd: Companion,
}

pub struct Member {
    pub name: String,
    pub port: u16,
    /// Patroni's REST API.
    pub api: u16,
    directory: PathBuf,
    process: Option<Companion>,
    killed: AtomicBool,
}

/// PostgreSQL doesn't run as root: whoever runs the servers of the development clusters runs these.
fn account() -> Option<User> {
    let find = |name| User::from_name(name).ok().flatten();
    Uid::effective().is_root().then(|| find("postgres").or_else(|| find("nobody")).expect("one of them is there"))
}

fn own(path: &Path) {
    if let Some(user) = account() {
        chown(path, Some(user.uid), Some(user.gid)).expect("root may");
    }
}

fn spawn(cluster: &Cluster, name: &str, command: &mut Command) -> Companion {
    if let Some(user) = account() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    cluster.spawn(name, command.current_dir(cluster.directory())).unwrap_or_else(|error| panic!("{error}"))
}

impl<'c> Ensemble<'c> {
    /// Members of one scope, the first of which leads; the second one streams from it, synchronously.
    pub fn start(cluster: &'c Cluster, names: &[&str]) -> Self {
        provide(&["patroni", "patronictl", "etcd"], &["patroni", "etcd-server"]);
        let directory = cluster.directory().join("etcd");
        std::fs::create_dir(&directory).expect("the cluster's directory can be written to");
        own(&directory);
        let (port, peers) = (free_port(), free_port());
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let mut etcd = Command::new("etcd");
        etcd.arg("--data-dir").arg(&directory).args(["--name", "one", "--unsafe-no-fsync", "--logger", "zap"]);
        etcd.args(["--listen-client-urls", &url(port), "--advertise-client-urls", &url(port)]);
        etcd.args(["--listen-peer-urls", &url(peers), "--initial-advertise-peer-urls", &url(peers)]);
        etcd.args(["--initial-cluster", &format!("one={}", url(peers))]);
        let etcd = spawn(cluster, "etcd", &mut etcd);
        let members = names.iter().map(|name| Member::place(cluster, name, port)).collect();
        let mut ensemble = Self { cluster, members, _etcd: etcd };
        for at in 0..names.len() {
            ensemble.members[at].start(cluster);
            // The first one initialises the cluster, the others copy it.
            if at == 0 {
                ensemble.wait("it leads", |ensemble| ensemble.leader() == Some(0));
            }
        }
        ensemble.wait("a standby is synchronous", |ensemble| ensemble.is_synchronous(1));
        ensemble
    }

    pub fn start_again(&mut self, member: usize) {
        self.members[member].start(self.cluster);
    }

    /// SQL on a member's server; the rows, or what psql says.
    pub fn sql(&self, member: usize, database: &str, text: &str) -> Result<String, String> {
        let url = format!(
            "postgres://{}:{}@127.0.0.1:{}/{database}",
            self.cluster.user(),
            self.cluster.password(),
            self.members[member].port
        );
        let output = psql(self.cluster, &url, &["-Atq", "-v", "ON_ERROR_STOP=1", "-c", text]);
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// The member whose server takes writes.
    pub fn leader(&self) -> Option<usize> {
        let leads = |at: &usize| self.sql(*at, "postgres", "SELECT pg_is_in_recovery()").as_deref() == Ok("f");
        (0..self.members.len()).find(leads)
    }

    /// How many stream from it.
    pub fn replicas(&self, member: usize) -> usize {
        let count = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        self.sql(member, "postgres", count).ok().and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// Whether Patroni counts it as a synchronous standby, which may lead.
    pub fn is_synchronous(&self, member: usize) -> bool {
        self.ask(member, "GET /synchronous HTTP/1.0\r\n\r\n").as_deref() == Some("200")
    }

    /// Whether COMMIT waits for a standby from now on.
    pub fn synchronise(&self, is_synchronous: bool) {
        let leader = self.leader().expect("there is one");
        let body = format!("{{\"synchronous_mode\": {is_synchronous}}}");
        let request = format!("PATCH /config HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        assert_eq!(self.ask(leader, &request).as_deref(), Some("200"));
        let names = if is_synchronous { "t" } else { "f" };
        let has_names = "SELECT current_setting('synchronous_standby_names') <> ''";
        self.wait("its leader follows", |ensemble| ensemble.sql(leader, "postgres", has_names).as_deref() == Ok(names));
    }

    /// The status of the answer.
    fn ask(&self, member: usize, request: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.members[member].api)).ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1).map(str::to_owned)
    }

    #[track_caller]
    pub fn wait(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + WITHIN;
        while !is_so(self) {
            assert!(
                Instant::now() < deadline && !self.members.iter().any(Member::has_ended),
                "{what}: {}",
                self.logs()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Patroni's own tool; returns when it is done.
    pub fn switch_over(&self, from: usize, to: usize) {
        let member = |at: usize| self.members[at].name.as_str();
        let mut command = Command::new("patronictl");
        command.env("LC_ALL", "C.UTF-8").arg("-c").arg(self.members[from].file());
        // Older versions call the leader master.
        let help = Command::new("patronictl").args(["switchover", "--help"]).env("LC_ALL", "C.UTF-8").output();
        let knows_leader = help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--leader"));
        let leader = if knows_leader { "--leader" } else { "--master" };
        command.args(["switchover", "demo", leader, member(from), "--candidate", member(to), "--force"]);
        let output = command.output().expect("it comes with Patroni");
        let said = expect_success("patronictl switchover", &output);
        assert!(said.contains("Successfully switched over"), "{said}{}", self.logs());
    }

    pub fn logs(&self) -> String {
        let log = |member: &Member| {
            let log = member.process.as_ref().map_or_else(String::new, Companion::log);
            let from = log.char_indices().rev().nth(9000).map_or(0, |(at, _)| at);
            format!("\n--- {}\n{}", member.name, &log[from..])
        };
        self.members.iter().map(log).collect()
    }
}

impl Member {
    fn place(cluster: &Cluster, name: &str, etcd: u16) -> Self {
        let directory = cluster.directory().join(name);
        std::fs::create_dir(&directory).expect("the cluster's directory can be written to");
        own(&directory);
        let member = Self {
            name: name.to_owned(),
            port: free_port(),
            api: free_port(),
            directory,
            process: None,
            killed: AtomicBool::new(false),
        };
        std::fs::write(member.file(), member.config(cluster, etcd)).expect("it can be written to");
        own(&member.file());
        member
    }

    fn file(&self) -> PathBuf {
        self.directory.join("patroni.yml")
    }

    /// With times as short as Patroni allows.
    fn config(&self, cluster: &Cluster, etcd: u16) -> String {
        let Self { name, port, api, directory, .. } = self;
        let (user, password) = (cluster.user(), cluster.password());
        let (directory, programs) = (directory.display(), cluster.installation().programs().display());
        format!(
            "
scope: demo
name: {name}
restapi: {{ listen: 127.0.0.1:{api}, connect_address: 127.0.0.1:{api} }}
etcd3: {{ host: 127.0.0.1:{etcd} }}
bootstrap:
  dcs:
    ttl: 5
    loop_wait: 1
    retry_timeout: 2
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters: {{ wal_log_hints: 'on', max_prepared_transactions: 20, max_connections: 100 }}
  initdb: [ encoding: UTF8, locale: C.UTF-8, data-checksums ]
postgresql:
  listen: 127.0.0.1:{port}
  connect_address: 127.0.0.1:{port}
  data_dir: {directory}/data
  bin_dir: {programs}
  pgpass: {directory}/pgpass
  authentication:
    superuser: {{ username: {user}, password: {password} }}
    replication: {{ username: copier, password: {password} }}
    rewind: {{ username: rewinder, password: {password} }}
  parameters: {{ unix_socket_directories: '{directory}', fsync: 'off' }}
  pg_hba: [ host all all 127.0.0.1/32 trust, host replication all 127.0.0.1/32 trust, local all all trust ]
"
        )
    }

    fn start(&mut self, cluster: &Cluster) {
        let mut patroni = Command::new("patroni");
        patroni.arg(self.file()).env("LC_ALL", "C.UTF-8");
        // Whoever had the name before has ended: its file names this process from now on.
        drop(self.process.take());
        self.killed = AtomicBool::new(false);
        self.process = Some(spawn(cluster, &self.name, &mut patroni));
    }

    /// By itself: it doesn't.
    fn has_ended(&self) -> bool {
        !self.killed.load(Ordering::SeqCst) && self.process.as_ref().is_some_and(|process| process.ended().is_some())
    }

    /// The machine is gone: Patroni, and every process of its PostgreSQL.
    pub fn kill9(&self) {
        self.killed.store(true, Ordering::SeqCst);
        let patroni = self.process.as_ref().expect("it was started");
        patroni.signal(Signal::SIGKILL).expect("it runs");
        let file = self.directory.join("data/postmaster.pid");
        let text = std::fs::read_to_string(file).expect("it runs");
        let postmaster: i32 = text.lines().next().and_then(|pid| pid.trim().parse().ok()).expect("it has a pid");
        let path = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = std::fs::read_to_string(path).unwrap_or_default();
        for pid in std::iter::once(postmaster).chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Patroni ends its server when it is told to end.
        if let Some(process) = self.process.take() {
            let _ = process.stop(Duration::from_secs(30));
        }
    }
}
