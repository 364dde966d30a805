//! Rows are passed on without an allocation for each: the same statement with a hundred times the rows allocates as
//! often, on one shard and over two. The proxy runs in this process, whose allocator counts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use shardway::config::Config;
use shardway::devcluster::Cluster;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use support::{Shards, free_port};

mod support;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const FEW: usize = 1_000;
const MANY: usize = 100 * FEW;
/// Of the whole process, in which timers go on: what would be one for each row, or each tenth one, is more.
const ALLOCATIONS_MAX: usize = FEW;

const SCHEMA: &str = "
    CREATE TABLE items (id bigint PRIMARY KEY, name text);
    INSERT INTO items SELECT n, repeat('x', 80) FROM generate_series(1, 100000) AS n;
";

/// A proxy in this process.
fn start(cluster: &Cluster) -> SocketAddr {
    let database = cluster.database();
    let (user, password) = (cluster.user(), cluster.password());
    loop {
        let port = free_port();
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\nauthentication = \"trust\"\nworkers = 1\n
[[user]]\nname = \"{user}\"\npassword = \"{password}\"\n
[database.whole.shard.a]\nprimary = \"postgres://127.0.0.1:{}/{database}\"\n\n{}\n[database.{database}.table.items]\nkey = \"id\"\n",
            cluster.primary(0).port(),
            cluster.database_toml(database),
        );
        let file: PathBuf = cluster.directory().join("allocations.toml");
        std::fs::write(&file, text).expect("the cluster's directory can be written to");
        let config = Config::load(&file).expect("it holds").config;
        let server = std::thread::spawn(move || shardway::server::run(&file, config));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        while !server.is_finished() {
            if TcpStream::connect(address).is_ok() {
                return address;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // Somebody took the port between the look and the bind.
        drop(server.join());
    }
}

struct Client(TcpStream);

impl Client {
    fn connect(address: SocketAddr, user: &str, database: &str) -> Self {
        let stream = TcpStream::connect(address).expect("it accepts");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let mut client = Self(stream);
        let mut startup = 196_608_i32.to_be_bytes().to_vec();
        for text in ["user", user, "database", database, ""] {
            startup.extend_from_slice(text.as_bytes());
            startup.push(0);
        }
        client.send(None, &startup);
        client.read_to_ready();
        client
    }

    fn send(&mut self, tag: Option<u8>, body: &[u8]) {
        let mut frame: Vec<u8> = tag.into_iter().collect();
        frame.extend_from_slice(&u32::try_from(body.len() + 4).expect("it is short").to_be_bytes());
        frame.extend_from_slice(body);
        self.0.write_all(&frame).expect("it is read");
    }

    /// The bytes of an answer, which has no ReadyForQuery in its values. Allocates nothing.
    fn read_to_ready(&mut self) -> usize {
        const READY: &[u8] = b"Z\0\0\0\x05I";
        let mut buffer = [0_u8; 64 << 10];
        let (mut kept, mut all) = (0, 0);
        loop {
            let read = self.0.read(&mut buffer[kept..]).expect("it answers");
            assert!(read > 0, "it ended: {}", String::from_utf8_lossy(&buffer[..kept]));
            all += read;
            let here = kept + read;
            if buffer[..here].ends_with(READY) {
                assert!(buffer[0] != b'E', "{}", String::from_utf8_lossy(&buffer[..here]));
                return all;
            }
            // What may be its beginning.
            kept = here.min(READY.len() - 1);
            buffer.copy_within(here - kept..here, 0);
        }
    }

    /// What else the process does now and then doesn't count.
    fn fewest_allocations(&mut self, rows: usize) -> usize {
        (0..5).map(|_| self.allocations(rows)).min().expect("there are five")
    }

    /// How often was allocated while that many rows of a shard were asked for and read.
    fn allocations(&mut self, rows: usize) -> usize {
        let text = format!("SELECT id, name FROM items WHERE id + 0 <= {rows}\0");
        let before = ALLOCATOR.stats();
        self.send(Some(b'Q'), text.as_bytes());
        let bytes = self.read_to_ready();
        let after = ALLOCATOR.stats();
        assert!(bytes > 80 * rows, "{bytes} bytes of {rows} rows");
        let count = |stats: stats_alloc::Stats| stats.allocations + stats.reallocations;
        count(after) - count(before)
    }
}

#[test]
fn more_rows_are_not_more_allocations() {
    let builder = Shards::builder().database("parts").shards(2).schema(SCHEMA);
    let cluster = builder.start().unwrap_or_else(|error| panic!("{error}"));
    let address = start(&cluster);
    for database in ["whole", cluster.database()] {
        let mut client = Client::connect(address, cluster.user(), database);
        // Buffers grow once.
        client.allocations(MANY);
        let (few, many) = (client.fewest_allocations(FEW), client.fewest_allocations(MANY));
        println!("{database}: {few} allocations for {FEW} rows of each shard, {many} for {MANY}");
        assert!(many < few + ALLOCATIONS_MAX, "{database}: {few} for {FEW} rows, {many} for {MANY}");
    }
    drop(cluster);
}
