//! The development cluster itself: servers start, replicate, survive and disappear.

use std::path::Path;

use shardway::devcluster::{Cluster, StopMode};

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
    let pids: Vec<u32> = cluster
        .servers()
        .map(|server| server.pid().expect("is running"))
        .collect();
    assert_eq!(pids.len(), 4);

    let shard = &cluster.shards()[1];
    let replica = &shard.replicas[0];
    shard.primary.sql("INSERT INTO t VALUES (7)").unwrap();
    replica.wait_for_replay(&shard.primary).unwrap();
    assert_eq!(replica.sql("SELECT i FROM t").unwrap(), "7");
    assert_eq!(
        cluster.primary(0).sql("SELECT count(*) FROM t").unwrap(),
        "0"
    );

    shard.primary.kill9().unwrap();
    assert_eq!(shard.primary.pid(), None);
    shard.primary.start().unwrap();
    assert_eq!(shard.primary.sql("SELECT i FROM t").unwrap(), "7");

    shard.primary.stop(StopMode::Fast).unwrap();
    replica.promote().unwrap();
    replica.sql("INSERT INTO t VALUES (8)").unwrap();
    shard.primary.rebuild_as_replica_of(replica).unwrap();
    assert_eq!(shard.primary.sql("SELECT count(*) FROM t").unwrap(), "2");

    let last: Vec<u32> = cluster
        .servers()
        .filter_map(|server| server.pid())
        .collect();
    assert_eq!(last.len(), 4);
    drop(cluster);
    assert!(
        pids.iter().chain(&last).all(|pid| !alive(*pid)),
        "a server is still running"
    );
    assert!(
        !directory.exists(),
        "{} is still there",
        directory.display()
    );
}
