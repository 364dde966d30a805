//! Which replica reads: in turn, by weight, the least busy, the nearest, none that lags too far; and how one that was away
//! is let back in. Each on real servers, by where statements say that they ran.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use shardway::devcluster::{Cluster, Server};
use support::{Proxy, Shards};
use wire::{Client, Messages};

mod support;
#[allow(dead_code)]
#[path = "oracle/wire.rs"]
mod wire;

const SCHEMA: &str = "CREATE TABLE notes (id bigint PRIMARY KEY, text text)";

/// Databases over the same servers: name, and what it says of its replicas.
const DATABASES: &[(&str, &str)] = &[
    ("turns", "balance = \"round_robin\""),
    ("weights", "balance = \"weighted\""),
    ("busy", "balance = \"least_busy\""),
    ("near", "balance = \"round_robin\"\nzone = \"north\""),
    ("bytes", "max_replica_lag = \"off\"\nmax_replica_lag_bytes = 100000"),
    ("time", "max_replica_lag = \"500ms\""),
];

fn config(cluster: &Cluster) -> String {
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\n[pool]\nsize = 8\nconnect_timeout = \"2s\"\n\
         [[user]]\nname = \"{}\"\npassword = \"{}\"\nadmin = true\n",
        cluster.user(),
        cluster.password()
    );
    let shard = &cluster.shards()[0];
    let url = |server: &Server, more: &str| {
        format!("\"postgres://127.0.0.1:{}/{}{more}\"", server.port(), cluster.database())
    };
    for (name, more) in DATABASES {
        text += &format!(
            "[database.{name}]\nreads = \"prefer_replica\"\nread_your_writes = false\n{more}\n[database.{name}.shard.a]\n\
             primary = {}\nreplicas = [{}, {}]\n",
            url(&shard.primary, ""),
            url(&shard.replicas[0], "?weight=3&zone=south"),
            url(&shard.replicas[1], "?weight=1&zone=north"),
        );
    }
    text
}

fn connect(cluster: &Cluster, proxy: &Proxy, database: &str) -> Client {
    let connected = Client::connect(proxy.address(), cluster.user(), database);
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

const WHERE: &str = "SELECT current_setting('port')";

/// The server that a read ran on.
fn port(client: &mut Client) -> u16 {
    client.rows(WHERE)[0][0].parse().expect("a port is a number")
}

/// How many of so many reads each server got.
fn shares(client: &mut Client, reads: usize) -> BTreeMap<u16, usize> {
    let mut shares = BTreeMap::new();
    (0..reads).for_each(|_| *shares.entry(port(client)).or_default() += 1);
    shares
}

/// What SHOW NODES says of a server of that database: state and problem.
fn shown(ops: &mut Client, database: &str, port: u16) -> (String, String) {
    let rows = ops.rows("SHOW NODES");
    let row = rows.into_iter().find(|row| row[0] == database && row[4] == port.to_string());
    let row = row.expect("it is listed");
    (row[6].clone(), row[12].clone())
}

fn sql(server: &Server, text: &str) -> String {
    server.sql(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn about(count: usize, wanted: usize) {
    assert!(count.abs_diff(wanted) <= wanted / 10 + 2, "{count} instead of about {wanted}");
}

#[test]
fn replicas_read_as_the_file_says() {
    let builder = Shards::builder().shards(1).replicas(2).schema(SCHEMA).hba("host all all 127.0.0.1/32 trust");
    let cluster = builder.start().unwrap_or_else(|error| panic!("{error}"));
    let shard = &cluster.shards()[0];
    let (primary, south, north) = (&shard.primary, &shard.replicas[0], &shard.replicas[1]);
    let proxy = Proxy::start(&cluster, &config(&cluster));
    let mut ops = connect(&cluster, &proxy, "shardway");
    for (database, _) in DATABASES {
        // Both are looked at, and the client knows that there are no tables to be careful about.
        becomes("both replicas are fit", || {
            [south, north].iter().all(|server| shown(&mut ops, database, server.port()).0 == "up")
        });
        becomes("a replica reads", || port(&mut connect(&cluster, &proxy, database)) != primary.port());
    }

    let mut turns = connect(&cluster, &proxy, "turns");
    let of = |shares: &BTreeMap<u16, usize>, server: &Server| shares.get(&server.port()).copied().unwrap_or(0);
    let got = shares(&mut turns, 200);
    about(of(&got, south), 100);
    about(of(&got, north), 100);
    // By a prepared statement as well.
    assert_eq!(turns.turn(Messages::default().parse("p", WHERE, &[]).sync()).expect("answered").error(), None);
    let mut got = BTreeMap::new();
    for _ in 0..200 {
        let turn = turns.turn(Messages::default().bind("p", &[], 0).describe_portal().execute(0).sync());
        let rows = wire::texts(&turn.expect("answered"), WHERE);
        *got.entry(rows[0][0].parse::<u16>().expect("a port")).or_default() += 1;
    }
    about(of(&got, south), 100);
    about(of(&got, north), 100);

    let got = shares(&mut connect(&cluster, &proxy, "weights"), 400);
    about(of(&got, south), 300);
    about(of(&got, north), 100);

    // One is busy with somebody's transaction: the other has less to do.
    let mut busy = connect(&cluster, &proxy, "busy");
    let mut holder = connect(&cluster, &proxy, "busy");
    holder.rows("BEGIN READ ONLY");
    let held = port(&mut holder);
    let got = shares(&mut busy, 50);
    let other = if held == south.port() { north.port() } else { south.port() };
    assert_eq!(got, BTreeMap::from([(other, 50)]), "the other one, not {held}");
    holder.rows("COMMIT");
    let got = shares(&mut busy, 100);
    about(of(&got, south), 50);

    let mut near = connect(&cluster, &proxy, "near");
    assert_eq!(shares(&mut near, 50), BTreeMap::from([(north.port(), 50)]));

    lag(&cluster, &proxy, &mut ops);
    away(&cluster, &proxy, &mut ops);
}

/// Beyond the limits a replica isn't read; the primary reads when none is within them, if the policy allows it.
fn lag(cluster: &Cluster, proxy: &Proxy, ops: &mut Client) {
    let shard = &cluster.shards()[0];
    let (primary, south, north) = (&shard.primary, &shard.replicas[0], &shard.replicas[1]);
    let write =
        "INSERT INTO notes SELECT i, repeat('x', 500) FROM generate_series(1, 1000) AS i ON CONFLICT DO NOTHING";
    for (database, problem) in [("bytes", "more than max_replica_lag_bytes"), ("time", "more than max_replica_lag")] {
        let mut client = connect(cluster, proxy, database);
        sql(south, "SELECT pg_wal_replay_pause()");
        sql(primary, write);
        becomes("the one that lags is told why", || shown(ops, database, south.port()).1.contains(problem));
        assert_eq!(shares(&mut client, 30), BTreeMap::from([(north.port(), 30)]), "{database}");
        sql(north, "SELECT pg_wal_replay_pause()");
        sql(primary, "DELETE FROM notes");
        sql(primary, write);
        becomes("the other one as well", || shown(ops, database, north.port()).1.contains(problem));
        assert_eq!(shares(&mut client, 30), BTreeMap::from([(primary.port(), 30)]), "{database}");
        // Who wants a replica's answer or none is told.
        client.rows("SET shardway.read = 'replica'");
        let turn = client.query(WHERE).expect("answered");
        let report = turn.error().expect("there is none").clone();
        assert_eq!(report.code, "08001", "{report:?}");
        assert!(report.message.contains("no replica is up and fit to be read"), "{report:?}");
        for server in [south, north] {
            sql(server, "SELECT pg_wal_replay_resume()");
        }
        // It answers again when one has caught up.
        becomes("a replica reads again", || client.query(WHERE).expect("answered").error().is_none());
        sql(primary, "DELETE FROM notes");
        for server in [south, north] {
            becomes("both are fit again", || shown(ops, database, server.port()).0 == "up");
        }
    }
}

/// One that dies costs no read an error, isn't asked any more, and gets its share back bit by bit.
fn away(cluster: &Cluster, proxy: &Proxy, ops: &mut Client) {
    let shard = &cluster.shards()[0];
    let (south, north) = (&shard.replicas[0], &shard.replicas[1]);
    let mut turns = connect(cluster, proxy, "turns");
    let mut near = connect(cluster, proxy, "near");
    north.kill9().expect("it runs");
    // The one read that had gone there already may run again on the primary.
    let all_south = |client: &mut Client, count: usize| {
        let mut shares = shares(client, count);
        let again = shares.remove(&shard.primary.port()).unwrap_or(0);
        assert!(again <= 1, "{again} reads on the primary");
        assert_eq!(shares, BTreeMap::from([(south.port(), count - again)]));
    };
    all_south(&mut turns, 100);
    // There is no other one of the zone.
    all_south(&mut near, 20);
    becomes("it is taken out", || {
        let (state, problem) = shown(ops, "turns", north.port());
        assert_eq!(port(&mut turns), south.port());
        state == "down" && problem.contains("it can't be looked at")
    });
    north.start().expect("it starts again");
    let mut unfit = Instant::now();
    becomes("it is fit again", || {
        let now = Instant::now();
        let is_up = shown(ops, "turns", north.port()).0 == "up";
        unfit = if is_up { unfit } else { now };
        is_up
    });
    let fit = Instant::now();
    let mut early = Vec::new();
    let mut late = Vec::new();
    while fit.elapsed() < Duration::from_secs(8) {
        let share = match fit.elapsed().as_millis() {
            0..1000 => Some(&mut early),
            6000.. => Some(&mut late),
            _ => None,
        };
        let got = port(&mut turns) == north.port();
        share.into_iter().for_each(|share| share.push(got));
        std::thread::sleep(Duration::from_millis(2));
    }
    let part = |share: &[bool]| share.iter().filter(|got| **got).count() as f64 / share.len().max(1) as f64;
    eprintln!(
        "of {} reads in the first second {:.2}, of {} after six {:.2}",
        early.len(),
        part(&early),
        late.len(),
        part(&late)
    );
    assert!((0.4..0.6).contains(&part(&late)), "{}", part(&late));
    // On a machine that stood still meanwhile nobody knows when it came back.
    if fit.duration_since(unfit) < Duration::from_secs(1) {
        assert!(part(&early) < 0.3, "{}", part(&early));
    }
    becomes("near ones are read again", || port(&mut near) == north.port());
}
