//! Shardway itself, the built binary, as a process before a cluster.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt;
use shardway::devcluster::{Cluster, Companion};

/// Apart from the servers' ports and from those of outgoing connections.
const PORTS: std::ops::Range<u16> = 11_000..15_000;
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A running Shardway; it ends with this value, or with the cluster's watchdog when the test binary ends.
pub struct Proxy {
    process: Companion,
    address: SocketAddr,
    config: PathBuf,
    template: String,
}

impl Proxy {
    /// Starts Shardway with this configuration and waits until it accepts. `{port}` in the text stands for a
    /// free port; without a `[server]` section one that listens there is put in front.
    pub fn start(cluster: &Cluster, config: &str) -> Self {
        Self::start_with(cluster, config, &[])
    }

    /// With further environment variables.
    pub fn start_with(cluster: &Cluster, config: &str, environment: &[(&str, &str)]) -> Self {
        Self::launch(cluster, config, environment).unwrap_or_else(|log| panic!("Shardway did not start:\n{log}"))
    }

    /// Like [`start`](Self::start); the error is everything that Shardway printed.
    pub fn try_start(cluster: &Cluster, config: &str) -> Result<Self, String> {
        Self::launch(cluster, config, &[])
    }

    fn launch(cluster: &Cluster, config: &str, environment: &[(&str, &str)]) -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("proxy-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let file = cluster.directory().join(format!("{name}.toml"));
        let template = match config.contains("[server]") {
            true => config.to_owned(),
            false => format!("[server]\nlisten = \"127.0.0.1:{{port}}\"\n\n{config}"),
        };
        loop {
            let port = free_port();
            std::fs::write(&file, with_port(&template, port)).expect("the cluster's directory can be written to");
            let mut command = Command::new(env!("CARGO_BIN_EXE_shardway"));
            command.arg("--config").arg(&file).envs(environment.iter().copied());
            let process = cluster.spawn(&name, &mut command).expect("the binary has been built");
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let config = file.clone();
            let template = template.clone();
            let proxy = Self { process, address, config, template };
            match proxy.wait() {
                Ok(()) => return Ok(proxy),
                // Somebody took the port between the look and the bind.
                Err(log) if log.contains("in use") => {}
                Err(log) => return Err(log),
            }
        }
    }

    /// Accepting isn't enough: in the worst case somebody else's process accepts there.
    fn wait(&self) -> Result<(), String> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if self.process.ended().is_some() {
                return Err(self.log());
            }
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(self.log())
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@{}/{database}", self.address)
    }

    /// The URL of the cluster's database through Shardway, as the cluster's superuser.
    pub fn url_of(&self, cluster: &Cluster) -> String {
        self.url(cluster.user(), cluster.password(), cluster.database())
    }

    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The process, to be signalled, stopped or asked for its pid.
    pub fn process(&self) -> &Companion {
        &self.process
    }

    /// Writes another configuration, on the same port, for SIGHUP to load.
    pub fn rewrite_config(&self, config: &str) {
        std::fs::write(&self.config, with_port(config, self.address.port())).expect("the file can be written to");
    }

    /// The file of the configuration, with its port.
    pub fn config_file(&self) -> &std::path::Path {
        &self.config
    }

    /// The configuration as given, with `{port}` in it.
    pub fn config(&self) -> &str {
        &self.template
    }
}

fn with_port(template: &str, port: u16) -> String {
    template.replace("{port}", &port.to_string())
}

/// A port of 127.0.0.1 that is free right now.
pub fn free_port() -> u16 {
    loop {
        let port = rand::rng().random_range(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
