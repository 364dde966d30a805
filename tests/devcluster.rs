//! The development cluster itself: servers start, replicate, survive and disappear.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use shardway::devcluster::{Cluster, Locale, StopMode};

fn alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_cluster_replicates_fails_over_and_leaves_nothing() {
    let cluster = Cluster::builder()
        .directory(env!("CARGO_TARGET_TMPDIR"))
        .shards(2)
        .replicas(1)
        .schema("CREATE TABLE t (i int)")
        .start()
        .expect("the cluster starts");
    let directory = cluster.directory().to_path_buf();
    let pids: Vec<u32> = cluster.servers().map(|server| server.pid().expect("is running")).collect();
    assert_eq!(pids.len(), 4);

    let shard = &cluster.shards()[1];
    let replica = &shard.replicas[0];
    shard.primary.sql("INSERT INTO t VALUES (7)").unwrap();
    replica.wait_for_replay(&shard.primary).unwrap();
    assert_eq!(replica.sql("SELECT i FROM t").unwrap(), "7");
    assert_eq!(cluster.primary(0).sql("SELECT count(*) FROM t").unwrap(), "0");

    shard.primary.kill9().unwrap();
    assert_eq!(shard.primary.pid(), None);
    shard.primary.start().unwrap();
    assert_eq!(shard.primary.sql("SELECT i FROM t").unwrap(), "7");

    shard.primary.stop(StopMode::Fast).unwrap();
    replica.promote().unwrap();
    replica.sql("INSERT INTO t VALUES (8)").unwrap();
    shard.primary.rebuild_as_replica_of(replica).unwrap();
    assert_eq!(shard.primary.sql("SELECT count(*) FROM t").unwrap(), "2");

    let last: Vec<u32> = cluster.servers().filter_map(|server| server.pid()).collect();
    assert_eq!(last.len(), 4);
    drop(cluster);
    assert!(pids.iter().chain(&last).all(|pid| !alive(*pid)), "a server is still running");
    assert!(!directory.exists(), "{} is still there", directory.display());
}

/// Set in the process that is to be killed.
const KILLED: &str = "SHARDWAY_TEST_IS_KILLED";

/// Not a test by itself: the process that the next test kills.
#[test]
fn helper_that_is_killed() {
    if std::env::var_os(KILLED).is_none() {
        return;
    }
    let cluster = Cluster::builder().directory(env!("CARGO_TARGET_TMPDIR")).start().unwrap();
    let mut sleep = Command::new("sh");
    sleep.args(["-c", "while true; do sleep 1; done"]).arg(cluster.directory().join("here"));
    let sleeper = cluster.spawn("sleeper", &mut sleep).unwrap();
    println!("\ncluster {} {} {}", cluster.primary(0).pid().unwrap(), sleeper.pid(), cluster.directory().display());
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn the_watchdog_clears_up_after_a_killed_process() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_that_is_killed", "--nocapture"])
        .env(KILLED, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let line = output.lines().map_while(Result::ok).find(|line| line.starts_with("cluster ")).expect("it starts");
    let words: Vec<&str> = line.split_whitespace().collect();
    let pids: [u32; 2] = [words[1].parse().unwrap(), words[2].parse().unwrap()];
    let directory = Path::new(words[3]);
    assert!(directory.exists() && pids.iter().all(|pid| alive(*pid)));

    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline && (directory.exists() || pids.iter().any(|pid| alive(*pid))) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!directory.exists(), "{} is still there", directory.display());
    assert!(!pids.iter().any(|pid| alive(*pid)), "a process is still running");
}

#[test]
fn a_long_path_does_not_break_the_socket() {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR")).join("a-directory-with-a-rather-long-name".repeat(3));
    let cluster = Cluster::builder().directory(&parent).start().unwrap();
    let sockets = cluster.primary(0).socket_dir().to_path_buf();
    assert!(sockets.join(format!(".s.PGSQL.{}", cluster.primary(0).port())).exists());
    drop(cluster);
    assert!(!sockets.exists());
    std::fs::remove_dir_all(parent).unwrap();
}

#[test]
fn a_frozen_server_hangs_and_thaws() {
    let cluster = Cluster::builder()
        .directory(env!("CARGO_TARGET_TMPDIR"))
        .locale(Locale::Icu("en-US".to_owned()))
        .setting("max_connections", "20")
        .hba("host all all 127.0.0.1/32 trust")
        .start()
        .unwrap();
    let server = cluster.primary(0);
    assert_eq!(server.sql("SHOW max_connections").unwrap(), "20");
    let sorted = server.sql("SELECT string_agg(x, '' ORDER BY x) FROM (VALUES ('b'), ('a'), ('B')) AS v (x)");
    assert_eq!(sorted.unwrap(), "abB", "sorted by ICU");
    server.freeze().unwrap();
    std::thread::scope(|scope| {
        let query = scope.spawn(|| server.sql("SELECT 1"));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!query.is_finished());
        server.thaw().unwrap();
        assert_eq!(query.join().unwrap().unwrap(), "1");
    });
    server.freeze().unwrap();
}
