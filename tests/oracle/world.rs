//! One PostgreSQL server; for each number of shards a database with everything (the truth), one database a shard, and
//! Shardway before them. In: the number of shards. Out: an [`Environment`] with the rows loaded, through Shardway into
//! the shards and directly into the truth.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use shardway::devcluster::Cluster;

use super::data::{self, Home, POISON, TABLES};
use super::state::State;
use super::support::{Proxy, Shards};
use super::wire::{Client, Messages};

const SCHEMA: &str = include_str!("schema.sql");
/// Statements sent before the first answer is read.
const PIPELINED: usize = 32;
/// How long Shardway may take to know the shards' tables.
const READY_WITHIN: Duration = Duration::from_secs(60);

pub struct Environment {
    pub shards: usize,
    truth: SocketAddr,
    proxy: Proxy,
    pub state: State,
}

/// The server that all environments share. It ends with the test binary.
fn server() -> &'static Cluster {
    static SERVER: OnceLock<Cluster> = OnceLock::new();
    SERVER.get_or_init(|| {
        Shards::builder()
            .hba("host all all 127.0.0.1/32 trust")
            .max_connections(400)
            .setting("autovacuum", "off")
            .setting("shared_buffers", "128MB")
            .start()
            .unwrap_or_else(|error| panic!("{error}"))
    })
}

fn server_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], server().primary(0).port()))
}

/// Straight to a database of the server.
pub fn direct(database: &str) -> Client {
    Client::connect(server_address(), server().user(), database).unwrap_or_else(|error| panic!("{database}: {error}"))
}

impl Environment {
    /// The environment with this many shards; tests that use the same one take turns.
    pub fn with(shards: usize) -> MutexGuard<'static, Self> {
        static ALL: [OnceLock<Mutex<Environment>>; 8] = [const { OnceLock::new() }; 8];
        let environment = ALL[shards].get_or_init(|| Mutex::new(Self::start(shards)));
        environment.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn start(shards: usize) -> Self {
        let truth = format!("truth{shards}");
        let names: Vec<String> = (0..shards).map(|shard| format!("shard{shard}_of_{shards}")).collect();
        for database in names.iter().chain([&truth]) {
            create(database);
        }
        load_directly(&truth, &names);
        let proxy = Proxy::start(server(), &config(shards, &names));
        let mut client = await_ready(&proxy);
        load_through(&mut client, &proxy);
        let state = State::begin(shards, direct(&truth), names.iter().map(|name| direct(name)).collect());
        Self { shards, truth: server_address(), proxy, state }
    }

    /// A new client of the server with everything.
    pub fn truth(&self) -> Client {
        let database = format!("truth{}", self.shards);
        Client::connect(self.truth, server().user(), &database).unwrap_or_else(|error| panic!("{database}: {error}"))
    }

    /// A new client of Shardway.
    pub fn shardway(&self) -> Client {
        let client = Client::connect(self.proxy.address(), server().user(), "shop");
        client.unwrap_or_else(|error| panic!("Shardway: {error}\n{}", self.proxy.log()))
    }

    pub fn log(&self) -> String {
        self.proxy.log()
    }
}

fn create(database: &str) {
    let mut client = direct("postgres");
    // Left by a start that failed.
    client.rows(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
    client.rows(&format!("CREATE DATABASE {database}"));
    direct(database).rows(SCHEMA);
}

/// Everything into the truth; what Shardway can't load into the shards.
fn load_directly(truth: &str, shards: &[String]) {
    let (sharded, others) = (data::sharded_rows(), data::unsharded_rows());
    let all: Vec<_> = sharded.iter().chain(&others).map(|(_, insert)| insert.as_str()).collect();
    direct(truth).rows(&all.join(";"));
    for (number, shard) in shards.iter().enumerate() {
        let mut client = direct(shard);
        for (table, insert) in &others {
            if number == 0 || data::table(table).home != Home::Unsharded {
                client.rows(insert);
            }
        }
        let belongs = data::belongs(data::table("parents"), shards.len()).expect("it is sharded");
        client.rows(&format!("DELETE FROM ONLY parents WHERE {belongs} <> {number}"));
        if number != 0 {
            client.rows(POISON);
        }
    }
}

fn config(shards: usize, databases: &[String]) -> String {
    let (user, port) = (server().user(), server_address().port());
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\nworkers = 2\n\n[pool]\nsize = 6\n\n\
         [log]\nlevel = \"warn\"\n\n[[user]]\nname = \"{user}\"\npassword = \"{}\"\n\n\
         [database.shop]\nhome = \"a\"\nsafe_functions = [\"public.twice\"]\n",
        server().password()
    );
    for (shard, database) in databases.iter().enumerate() {
        let name = data::shard_name(shard);
        text.push_str(&format!(
            "\n[database.shop.shard.{name}]\nprimary = \"postgres://127.0.0.1:{port}/{database}\"\n"
        ));
    }
    text + &data::tables_toml(shards)
}

/// Shardway accepts before it knows the shards' tables.
fn await_ready(proxy: &Proxy) -> Client {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let attempt = Client::connect(proxy.address(), server().user(), "shop").and_then(|mut client| {
            let turn = client.query("SELECT name FROM users WHERE id = 1")?;
            turn.error().map_or(Ok(client), |report| Err(format!("{} {}", report.code, report.message)))
        });
        match attempt {
            Ok(client) => return client,
            Err(error) if Instant::now() > deadline => panic!("{error}\n{}", proxy.log()),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The rows of the sharded tables, one statement each: that is how routing is proved, by [`State::begin`].
fn load_through(client: &mut Client, proxy: &Proxy) {
    let rows = data::sharded_rows();
    for batch in rows.chunks(PIPELINED) {
        let send = batch.iter().fold(Messages::default(), |messages, (_, insert)| messages.query(insert));
        client.send(send).unwrap_or_else(|error| panic!("{error}\n{}", proxy.log()));
        for (_, insert) in batch {
            let turn = client.answer().unwrap_or_else(|error| panic!("{insert}: {error}\n{}", proxy.log()));
            if let Some(report) = turn.error() {
                panic!("{insert}: {} {}", report.code, report.message);
            }
        }
    }
}

/// The names of user-defined types: their OIDs differ between databases, but not within one server.
pub fn type_names(clients: &mut [Client]) -> std::collections::HashMap<u32, String> {
    const QUERY: &str = "SELECT oid, typname FROM pg_type WHERE oid >= 16384";
    let rows = clients.iter_mut().flat_map(|client| client.rows(QUERY));
    rows.map(|row| (row[0].parse().expect("an OID is a number"), row[1].clone())).collect()
}

/// Tables with rows that were changed can be set back only if each has its copy.
pub fn keep_copies(client: &mut Client) {
    client.rows("CREATE SCHEMA kept");
    for (number, table) in TABLES.iter().enumerate() {
        client.rows(&format!("CREATE TABLE kept.copy_{number} AS SELECT * FROM ONLY {}", table.name));
    }
}
