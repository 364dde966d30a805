//! Replicas that lag aren't read, nor is a primary whose replica was promoted while it lives.

use std::time::{Duration, Instant};

use shardway::devcluster::Cluster;
use support::{Proxy, Shards};
use wire::Client;

mod support;
#[allow(dead_code)]
#[path = "oracle/wire.rs"]
mod wire;

fn config(cluster: &Cluster) -> String {
    let shard = &cluster.shards()[0];
    format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\n[[user]]\nname = \"{}\"\npassword = \"{}\"\nadmin = true\n\
         [database.shop]\nreads = \"prefer_replica\"\nmax_replica_lag = \"1s\"\n[database.shop.shard.a]\n\
         primary = \"postgres://127.0.0.1:{}/{db}\"\nreplicas = [\"postgres://127.0.0.1:{}/{db}\"]\n",
        cluster.user(),
        cluster.password(),
        shard.primary.port(),
        shard.replicas[0].port(),
        db = cluster.database(),
    )
}

#[track_caller]
fn becomes(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn replicas_that_lag_or_were_promoted_are_not_read() {
    let schema = "CREATE TABLE notes (id int PRIMARY KEY)";
    let builder = Shards::builder().shards(1).replicas(1).schema(schema).hba("host all all 127.0.0.1/32 trust");
    let cluster = builder.start().unwrap_or_else(|error| panic!("{error}"));
    let (primary, replica) = (cluster.primary(0), &cluster.shards()[0].replicas[0]);
    let proxy = Proxy::start(&cluster, &config(&cluster));
    let connect = |database: &str| {
        let connected = Client::connect(proxy.address(), cluster.user(), database);
        connected.unwrap_or_else(|error| panic!("{error}\n{}", proxy.log()))
    };
    let mut ops = connect("shardway");
    let of_replica = replica.port().to_string();
    // Each from a client of its own: one whose statement came before the tables were known stays on primaries.
    let mut on_replica = || connect("shop").rows("SELECT current_setting('port')") == [[of_replica.as_str()]];
    // state, problem and lag of the replica.
    let mut shown = || {
        let rows = ops.rows("SHOW NODES");
        rows.into_iter().find(|row| row[2] == "replica").map(|row| row.join(" ")).expect("it is listed")
    };
    becomes("the replica is read", &mut on_replica);
    let sql =
        |server: &shardway::devcluster::Server, text: &str| server.sql(text).unwrap_or_else(|error| panic!("{error}"));
    sql(replica, "SELECT pg_wal_replay_pause()");
    sql(primary, "INSERT INTO notes VALUES (1)");
    becomes("a replica that lags isn't read", || !on_replica());
    assert!(shown().contains("more than max_replica_lag"), "{}", shown());
    sql(replica, "SELECT pg_wal_replay_resume()");
    becomes("it is read again when it has caught up", &mut on_replica);
    // Nothing is written: an idle primary makes no lag.
    std::thread::sleep(Duration::from_millis(2500));
    assert!(on_replica());
    sql(replica, "SELECT pg_promote()");
    becomes("the old primary is told why it isn't read", || shown().contains("it is not a standby"));
    sql(primary, "INSERT INTO notes VALUES (2)");
    // What was the replica leads: nothing comes from the server that was the primary.
    assert!((0..20).all(|_| on_replica()));
    assert!(shown().contains(&primary.port().to_string()), "{}", shown());
    assert!(proxy.log().contains("a node isn't fit for its part"), "{}", proxy.log());
}
