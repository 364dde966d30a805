//! A real Patroni with etcd: its leader is killed, and switched over, under load. What was acknowledged is there, clients
//! saw waits or honest SQLSTATEs, and a planned switchover costs nobody an error.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use ensemble::Ensemble;
use load::{Load, StopsAtEnd, becomes, connect, insert_on};
use shardway::devcluster::Cluster;
use support::{Proxy, Shards};
use wire::Client;

#[path = "patroni/ensemble.rs"]
mod ensemble;
#[allow(dead_code)]
#[path = "failover/load.rs"]
mod load;
mod support;
#[allow(dead_code)]
#[path = "oracle/wire.rs"]
mod wire;

const SCHEMA: &str = "CREATE TABLE notes (id bigint PRIMARY KEY, pair bigint, by text)";

fn config(cluster: &Cluster, ensemble: &Ensemble<'_>) -> String {
    let url = |at: usize| format!("\"postgres://127.0.0.1:{}/{}\"", ensemble.members[at].port, cluster.database());
    let apis: Vec<String> =
        ensemble.members.iter().map(|member| format!("\"http://127.0.0.1:{}\"", member.api)).collect();
    format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"trust\"\n[pool]\nconnect_timeout = \"2s\"\n\
         [[user]]\nname = \"{}\"\npassword = \"{}\"\nadmin = true\n[database.shop]\nfailover_wait = \"120s\"\n\
         patroni_interval = \"1s\"\n[database.shop.shard.a]\nprimary = {}\nreplicas = [{}]\npatroni = [{}]\n",
        cluster.user(),
        cluster.password(),
        // The file may well be wrong about who is the primary.
        url(1),
        url(0),
        apis.join(", ")
    )
}

struct Writes {
    load: Load,
    next: AtomicUsize,
    done: Mutex<BTreeSet<u64>>,
}

fn under_load(cluster: &Cluster, proxy: &Proxy, writes: &Writes, act: impl FnOnce()) {
    std::thread::scope(|scope| {
        for number in 0..6 {
            scope.spawn(move || {
                let mut client = connect(cluster, proxy, "shop");
                insert_on(&writes.load, &mut client, number, &writes.next, &writes.done);
            });
        }
        let _stop = StopsAtEnd(&writes.load.stop);
        act();
    });
}

impl Writes {
    fn begin(next: usize) -> Self {
        Self { load: Load::default(), next: AtomicUsize::new(next), done: Mutex::default() }
    }

    /// What was acknowledged is on that member's server.
    #[track_caller]
    fn are_on(&self, cluster: &Cluster, ensemble: &Ensemble<'_>, member: usize) {
        let rows = ensemble.sql(member, cluster.database(), "SELECT id FROM notes").expect("it is up");
        let there: BTreeSet<u64> = rows.lines().map(|id| id.parse().expect("a number")).collect();
        let done = self.done.lock().expect("no panics");
        let missing: Vec<&u64> = done.difference(&there).collect();
        assert!(missing.is_empty(), "acknowledged, and not there: {missing:?}");
    }
}

/// SHOW NODES: the role of the server at that port.
fn role(ops: &mut Client, port: u16) -> String {
    let rows = ops.rows("SHOW NODES");
    let row = rows.iter().find(|row| row[4] == port.to_string()).expect("it is listed");
    row[2].clone()
}

#[test]
fn patronis_leader_is_followed_through_a_kill_and_a_switchover() {
    let cluster = Shards::builder().shards(0).start().unwrap_or_else(|error| panic!("{error}"));
    let mut ensemble = Ensemble::start(&cluster, &["one", "two"]);
    let create = format!("CREATE DATABASE {}", cluster.database());
    ensemble.sql(0, "postgres", &create).expect("it leads");
    ensemble.sql(0, cluster.database(), SCHEMA).expect("it leads");
    let proxy = Proxy::start(&cluster, &config(&cluster, &ensemble));
    let mut ops = connect(&cluster, &proxy, "shardway");
    becomes("the leader is found", || role(&mut ops, ensemble.members[0].port) == "primary");

    // Killed, with its Patroni: the other one is elected once its key in etcd has run out.
    let writes = Writes::begin(0);
    let mut promoted = Instant::now();
    under_load(&cluster, &proxy, &writes, || {
        writes.load.succeeds(300);
        ensemble.members[0].kill9();
        ensemble.wait("the other one leads", |ensemble| {
            ensemble.sql(1, "postgres", "SELECT pg_is_in_recovery()").as_deref() == Ok("f")
        });
        promoted = Instant::now();
        writes.load.succeeds(300);
    });
    let (waited, first) = writes.load.longest_wait();
    let behind = first.saturating_duration_since(promoted);
    let failures = writes.load.failures.lock().expect("no panics").clone();
    eprintln!("killed: no write for {waited:?}, the first one {behind:?} after the promotion; errors: {failures:?}");
    assert!(behind < Duration::from_secs(20), "{behind:?}");
    let honest = ["08006", "08007", "57P01"];
    assert!(failures.iter().all(|text| honest.iter().any(|code| text.starts_with(code))), "{failures:?}");
    writes.are_on(&cluster, &ensemble, 1);
    becomes("the new leader is shown", || role(&mut ops, ensemble.members[1].port) == "primary");

    // It comes back, is rewound, and follows.
    ensemble.start_again(0);
    ensemble.wait("it streams again", |ensemble| ensemble.is_synchronous(0));
    becomes("it is a replica", || role(&mut ops, ensemble.members[0].port) == "replica");

    // Planned: nobody sees an error.
    ensemble.synchronise(false);
    let planned = Writes::begin(1_000_000);
    under_load(&cluster, &proxy, &planned, || {
        planned.load.goes_on(300);
        ensemble.switch_over(1, 0);
        planned.load.goes_on(300);
    });
    planned.load.has_no_failure(&proxy);
    eprintln!("switched over: no write for {:?}", planned.load.longest_wait().0);
    becomes("the first one leads again", || role(&mut ops, ensemble.members[0].port) == "primary");

    // Where COMMIT waits for a standby, one that waits when its server goes is committed there and perhaps nowhere else:
    // nobody can say so. With a word to Shardway before, none waits.
    ensemble.wait("the other one streams", |ensemble| ensemble.replicas(0) == 1);
    ensemble.synchronise(true);
    ensemble.wait("it is synchronous", |ensemble| ensemble.is_synchronous(1));
    let told = Writes::begin(2_000_000);
    under_load(&cluster, &proxy, &told, || {
        told.load.goes_on(300);
        ops.rows("PAUSE shop.a");
        ensemble.switch_over(0, 1);
        ops.rows("RESUME shop.a");
        told.load.goes_on(300);
    });
    told.load.has_no_failure(&proxy);
    eprintln!("paused and switched over: no write for {:?}", told.load.longest_wait().0);
    for each in [&writes, &planned, &told] {
        each.are_on(&cluster, &ensemble, 1);
    }
}
