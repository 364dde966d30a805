//! The servers that the tests talk to: PostgreSQL itself, and Shardway before one and before two shards.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use shardway::devcluster::Cluster;

use super::client::{Frame, Wire};
use crate::support::{Proxy, Shards};

/// On every server. `items` is sharded by id; `notes` is on the home shard; `kinds` is a reference table.
const SCHEMA: &str = "
    CREATE TABLE items (id bigint PRIMARY KEY, v text);
    CREATE TABLE notes (id int PRIMARY KEY, v text NOT NULL);
    CREATE TABLE kinds (id int PRIMARY KEY, v text);
    CREATE TABLE later (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO kinds VALUES (1, 'one'), (2, 'two');
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TABLE loud (id int);
    CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE NOTICE 'row %', NEW.id; RETURN NEW; END $$;
    CREATE TRIGGER shout BEFORE INSERT ON loud FOR EACH ROW EXECUTE FUNCTION shout();
    CREATE ROLE clerk;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk;
";

const TABLES: &str = "
[database.app.table.items]
key = \"id\"

[database.app.table.kinds]
reference = true
";

pub fn start(shards: usize) -> Cluster {
    Shards::builder()
        .shards(shards)
        .database("app")
        .schema(SCHEMA)
        .max_connections(300)
        .hba("host all all 127.0.0.1/32 trust")
        .start()
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The cluster with one shard, which is also the PostgreSQL that all answers are compared with.
pub fn one() -> &'static Cluster {
    static ONE: OnceLock<Cluster> = OnceLock::new();
    ONE.get_or_init(|| start(1))
}

pub fn two() -> &'static Cluster {
    static TWO: OnceLock<Cluster> = OnceLock::new();
    TWO.get_or_init(|| start(2))
}

/// PostgreSQL without anything before it.
pub fn direct() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], one().primary(0).port()))
}

/// A proxy of the test's own, with so many connections to each server; `more` is put at the end.
pub fn proxy(cluster: &Cluster, size: usize, more: &str) -> Proxy {
    Proxy::start(cluster, &config(cluster, size, more))
}

/// With other lines in the section `[pool]`.
pub fn proxy_with(cluster: &Cluster, pool: &str) -> Proxy {
    let start = config(cluster, 1, "").replace("size = 1\nwait_timeout = \"5s\"", pool);
    Proxy::start(cluster, &start)
}

pub fn config(cluster: &Cluster, size: usize, more: &str) -> String {
    let tables = if cluster.shards().len() == 1 { "" } else { TABLES };
    // The trigger of `loud` touches no table; on several shards that has to be said.
    let database =
        cluster.database_toml("app").replacen("[database.app]\n", "[database.app]\nsafe_functions = [\"shout\"]\n", 1);
    format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\nworkers = 2\n\n[pool]\nsize = {size}\nwait_timeout = \"5s\"\n\n\
         [[user]]\nname = \"shardway\"\npassword = \"shardway\"\n\n{database}{tables}{more}",
    )
}

/// A connection, once the servers' tables are known.
pub fn ready(proxy: &Proxy) -> Wire {
    for _ in 0..1200 {
        let mut wire = Wire::connect(proxy.address());
        let frames = wire.query("SELECT 1 FROM kinds");
        if super::client::sqlstate(&frames).as_deref() != Some("57P03") {
            return wire;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("the proxy doesn't become ready: {}", proxy.log());
}

/// Says the same to PostgreSQL and to Shardway, and collects what was answered differently.
pub struct Comparison {
    proxied: SocketAddr,
    differences: Vec<String>,
}

impl Comparison {
    pub fn with(proxy: &Proxy) -> Self {
        drop(ready(proxy));
        Self { proxied: proxy.address(), differences: Vec::new() }
    }

    pub fn same(&mut self, what: &str, talk: impl Fn(&mut Wire) -> Vec<Frame>) {
        let talk = &talk;
        let _turn = turn();
        let [expected, got] = [direct(), self.proxied].map(|address| {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                let mut wire = Wire::connect(address);
                wire.run("DELETE FROM notes; DELETE FROM loud; DELETE FROM later");
                // Those that any conversation inserts: all tests share this PostgreSQL.
                for id in 0..=12 {
                    wire.run(&format!("DELETE FROM items WHERE id = {id}"));
                }
                let frames = talk(&mut wire);
                wire.bye();
                frames.iter().map(plain).collect::<Vec<_>>()
            }));
            outcome.unwrap_or_else(|_| vec![Frame { tag: b'!', body: b"panicked".to_vec() }])
        });
        let unanswered = expected.iter().any(|frame| frame.tag == b'!');
        if expected != got || unanswered {
            let from = expected.iter().zip(&got).take_while(|(a, b)| a == b).count();
            let shown = |frames: &[Frame]| {
                format!("{:#?}", frames.iter().skip(from.saturating_sub(2)).take(8).collect::<Vec<_>>())
            };
            self.differences.push(format!(
                "{what}: at {from}\n  PostgreSQL {}\n  Shardway {}",
                shown(&expected),
                shown(&got)
            ));
        }
    }

    pub fn end(self) {
        let differences = self.differences;
        assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
    }
}

/// All use the same PostgreSQL.
pub fn turn() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// OIDs from here on differ from server to server.
const FIRST_USER_OID: u32 = 16_384;

/// Without what may differ between two servers.
pub fn plain(frame: &Frame) -> Frame {
    let mut body = frame.body.clone();
    match frame.tag {
        b'E' | b'N' => {
            // Details and hints may be the proxy's own.
            body = b"SVCMP"
                .iter()
                .filter_map(|kind| frame.field(*kind).map(|text| format!("{}{text}\0", *kind as char)))
                .collect::<String>()
                .into_bytes();
        }
        b'A' => body[..4].fill(0),
        b'T' => {
            let mut at = 2;
            while at < body.len() {
                at += body[at..].iter().position(|byte| *byte == 0).unwrap() + 1;
                body[at..at + 6].fill(0);
                forget_oid(&mut body[at + 6..at + 10]);
                at += 18;
            }
        }
        b't' => body[2..].chunks_exact_mut(4).for_each(forget_oid),
        _ => {}
    }
    Frame { tag: frame.tag, body }
}

fn forget_oid(place: &mut [u8]) {
    if u32::from_be_bytes((&*place).try_into().unwrap()) >= FIRST_USER_OID {
        place.fill(0);
    }
}
