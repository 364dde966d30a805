//! Replicas that are two seconds behind: nobody reads less than it has written, on one connection or over several
//! proxies, and everybody else reads the replicas.

use std::time::{Duration, Instant};

use shardway::devcluster::{Cluster, Server};
use support::{Proxy, Shards};
use wire::{Client, Messages};

mod support;
#[allow(dead_code)]
#[path = "oracle/wire.rs"]
mod wire;

const SCHEMA: &str = "
    CREATE TABLE counters (id bigint PRIMARY KEY, n bigint);
    INSERT INTO counters SELECT i, 0 FROM generate_series(1, 20) AS i;
";

const PAIRS: u64 = 2_400;

fn config(cluster: &Cluster) -> String {
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\n[[user]]\nname = \"{}\"\npassword = \"{}\"\n\
         admin = true\n[database.shop]\nhome = \"a\"\nreads = \"prefer_replica\"\n",
        cluster.user(),
        cluster.password(),
    );
    for shard in cluster.shards() {
        let url = |server: &Server| format!("\"postgres://127.0.0.1:{}/{}\"", server.port(), cluster.database());
        text += &format!(
            "[database.shop.shard.{}]\nprimary = {}\nreplicas = [{}]\n",
            shard.name,
            url(&shard.primary),
            url(&shard.replicas[0])
        );
    }
    text + "[database.shop.table.counters]\nkey = \"id\"\nrange = [ { until = 11, shard = \"a\" }, { shard = \"b\" } ]\n"
}

fn connect(cluster: &Cluster, proxy: &Proxy) -> Client {
    let connected = Client::connect(proxy.address(), cluster.user(), "shop");
    connected.unwrap_or_else(|error| panic!("{error}\n{}", proxy.log()))
}

#[track_caller]
fn becomes(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn n(client: &mut Client, id: u64) -> u64 {
    let rows = client.rows(&format!("SELECT n FROM counters WHERE id = {id}"));
    rows[0][0].parse().expect("a number")
}

/// The same by a prepared statement.
fn n_prepared(client: &mut Client, id: u64) -> u64 {
    let value = (0, Some(id.to_string().into_bytes()));
    let messages = Messages::default().bind("n", &[value], 0).execute(0).sync();
    let turn = client.turn(messages).expect("answered");
    wire::texts(&turn, "n")[0][0].parse().expect("a number")
}

/// The server that a read of shard a runs on.
fn port(client: &mut Client, hint: &str) -> String {
    client.rows(&format!("SELECT current_setting('port'){hint} FROM counters WHERE id = 1"))[0][0].clone()
}

#[test]
fn nobody_reads_less_than_it_has_written() {
    let builder = Shards::builder().shards(2).replicas(1).schema(SCHEMA).hba("host all all 127.0.0.1/32 trust");
    let cluster = builder.start().unwrap_or_else(|error| panic!("{error}"));
    for shard in cluster.shards() {
        for text in ["ALTER SYSTEM SET recovery_min_apply_delay = '2s'", "SELECT pg_reload_conf()"] {
            shard.replicas[0].sql(text).unwrap_or_else(|error| panic!("{error}"));
        }
    }
    let (primary, replica) =
        (cluster.primary(0).port().to_string(), cluster.shards()[0].replicas[0].port().to_string());
    let proxy = Proxy::start(&cluster, &config(&cluster));
    let other = Proxy::start(&cluster, &config(&cluster));
    let mut client = connect(&cluster, &proxy);
    let prepare = Messages::default().parse("n", "SELECT n FROM counters WHERE id = $1", &[20]).sync();
    becomes("the replica is read", || port(&mut connect(&cluster, &proxy), "") == replica);
    assert_eq!(client.turn(prepare).expect("answered").error(), None);
    let (mut elsewhere, mut stranger) = (connect(&cluster, &other), connect(&cluster, &other));
    let mut stale = 0;
    for pair in 1..=PAIRS {
        let id = pair % 20 + 1;
        let write = match pair % 4 {
            0 => format!("BEGIN; UPDATE counters SET n = {pair} WHERE id = {id}; COMMIT"),
            // On both shards.
            1 => format!("UPDATE counters SET n = {pair} WHERE id IN ({id}, {})", 21 - id),
            _ => format!("UPDATE counters SET n = {pair} WHERE id = {id}"),
        };
        client.rows(&write);
        let read = if pair % 2 == 0 { n(&mut client, id) } else { n_prepared(&mut client, id) };
        assert_eq!(read, pair, "a client doesn't see its own write");
        if pair % 2 == 0 {
            let token = client.rows("SHOW shardway.token")[0][0].clone();
            elsewhere.rows(&format!("SET shardway.token = '{token}'"));
            assert_eq!(n(&mut elsewhere, id), pair, "what the token {token} stands for isn't seen");
        }
        stale += usize::from(n(&mut stranger, id) != pair);
    }
    // The replicas are read, and they are behind: the above had every occasion to fail.
    assert!(stale > 500, "{stale}");

    // Once the replica has it, the client is back there.
    becomes("the client that wrote reads the replica again", || port(&mut client, "") == replica);
    becomes("the token's client as well", || port(&mut elsewhere, "") == replica);

    // What a session and a statement may ask for.
    assert_eq!(port(&mut stranger, " /* shardway: read=primary */"), primary);
    assert_eq!(port(&mut stranger, ""), replica);
    stranger.rows("SET shardway.read = 'primary'");
    assert_eq!(port(&mut stranger, ""), primary);
    assert_eq!(port(&mut stranger, " /* shardway: read=any */"), replica);
    assert_eq!(stranger.rows("SHOW shardway.read"), [["primary"]]);
    stranger.rows("SET shardway.read = 'replica'");
    assert_eq!(port(&mut stranger, ""), replica);
    stranger.rows("RESET shardway.read");
    assert_eq!(stranger.rows("SHOW shardway.read"), [["any"]]);
    for wrong in ["shardway.read = 'all'", "shardway.max_staleness = 'soon'", "shardway.token = 'a:1/2,x:1/2'"] {
        let turn = stranger.query(&format!("SET {wrong}")).expect("answered");
        assert_eq!(turn.error().map(|report| report.code.as_str()), Some("22023"), "{wrong}");
    }

    // A state that is two seconds old is too old for some.
    client.rows("UPDATE counters SET n = 0 WHERE id = 1");
    stranger.rows("SET shardway.max_staleness = '500ms'");
    becomes("a stale replica isn't read", || {
        client.rows("UPDATE counters SET n = n + 1 WHERE id = 1");
        port(&mut stranger, "") == primary
    });
    stranger.rows("SET shardway.max_staleness = '1h'");
    assert_eq!(port(&mut stranger, ""), replica);
}
