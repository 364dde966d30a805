//! Three shards with accounts, and Shardway in front of them.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use shardway::devcluster::{Cluster, Server};

use crate::client::Wire;
use crate::support::{Proxy, Shards};

/// `accounts` is sharded by id; `settings` is on the home shard.
const SCHEMA: &str = "
    CREATE TABLE accounts (id bigint PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
    CREATE TABLE moves (account bigint NOT NULL, id text NOT NULL, amount bigint, PRIMARY KEY (account, id));
    CREATE TABLE late (id bigint, v int, CONSTRAINT late_v UNIQUE (id, v) DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE settings (k text PRIMARY KEY, v text);
    CREATE ROLE clerk LOGIN;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk;
";

const TABLES: &str = "
[database.app.table.accounts]
key = \"id\"

[database.app.table.moves]
key = \"account\"
colocate = \"accounts\"

[database.app.table.late]
key = \"id\"
";

/// A cluster of the test's own, since tests kill its servers or count what is prepared.
pub fn cluster(settings: &[(&str, &str)]) -> Cluster {
    let builder = Shards::builder()
        .shards(3)
        .database("app")
        .schema(SCHEMA)
        .max_connections(200)
        .hba("host all all 127.0.0.1/32 trust");
    let builder = settings.iter().fold(builder, |builder, (name, value)| builder.setting(name, value));
    builder.start().unwrap_or_else(|error| panic!("{error}"))
}

/// The one that those tests share which leave it whole.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| cluster(&[]))
}

/// Tests that count what is prepared on the shared servers take turns.
pub fn turn() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `more` belongs to the database's section.
pub fn config(cluster: &Cluster, more: &str) -> String {
    let database = cluster.database_toml("app").replacen("[database.app]\n", &format!("[database.app]\n{more}\n"), 1);
    format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\n\n[pool]\nsize = 40\n\n\
         [[user]]\nname = \"shardway\"\npassword = \"shardway\"\nadmin = true\n\n\
         [[user]]\nname = \"clerk\"\npassword = \"clerk\"\n\n{database}{TABLES}",
    )
}

pub fn proxy(cluster: &Cluster) -> Proxy {
    let proxy = Proxy::start(cluster, &config(cluster, "recovery_interval = \"1s\""));
    drop(ready(&proxy));
    proxy
}

/// With failpoints set.
pub fn failing_proxy(cluster: &Cluster, failpoints: &str) -> Proxy {
    let config = config(cluster, "recovery_interval = \"1s\"");
    Proxy::start_with(cluster, &config, &[("SHARDWAY_FAILPOINT", failpoints)])
}

/// For what happens soon where nothing is wrong; machines that run tests are slow at times.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until nothing is prepared anywhere.
pub fn settled(cluster: &Cluster) {
    let begin = Instant::now();
    while prepared(cluster) > 0 {
        assert!(begin.elapsed() < PATIENCE, "transactions stay prepared");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A connection, once the servers' tables are known.
pub fn ready(proxy: &Proxy) -> Wire {
    for _ in 0..1200 {
        let mut wire = Wire::connect(proxy.address());
        let frames = wire.query("SELECT 1 FROM accounts WHERE id = 0");
        if crate::client::sqlstate(&frames).is_none() {
            return wire;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the proxy doesn't become ready: {}", proxy.log());
}

/// Keys from `from` on, one for each shard: buckets are dealt out in turn.
pub fn keys(cluster: &Cluster, from: i64) -> [i64; 3] {
    [0, 1, 2].map(|shard| {
        let sql = format!(
            "SELECT k FROM generate_series({from}::bigint, {from} + 200) k WHERE
             (((hashint8extended(k, 8816678312871386365) & 4095) + 2275) & 4095) % 3 = {shard} ORDER BY k LIMIT 1"
        );
        on(cluster.primary(0), &sql).parse().expect("one of so many is there")
    })
}

pub fn on(server: &Server, sql: &str) -> String {
    server.sql(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).trim().to_owned()
}

/// Prepared transactions on all shards.
pub fn prepared(cluster: &Cluster) -> usize {
    let count = |server: &Server| on(server, "SELECT count(*) FROM pg_prepared_xacts").parse::<usize>();
    cluster.shards().iter().map(|shard| count(&shard.primary).expect("a number")).sum()
}

/// What is on the servers themselves under these keys, in their order.
pub fn balances(cluster: &Cluster, keys: &[i64]) -> Vec<Option<i64>> {
    keys.iter()
        .map(|key| {
            let found: Vec<String> = cluster
                .shards()
                .iter()
                .map(|shard| on(&shard.primary, &format!("SELECT balance FROM accounts WHERE id = {key}")))
                .filter(|balance| !balance.is_empty())
                .collect();
            assert!(found.len() < 2, "account {key} is on several shards");
            found.first().map(|balance| balance.parse().expect("a number"))
        })
        .collect()
}
