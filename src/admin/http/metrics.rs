//! Every metric, with its labels. Bounded: databases, shards and nodes are the file's, kinds and strategies a few
//! words, reasons and SQLSTATEs bounded by their tallies. Names and labels are an interface; dashboards hang on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::exposition::Exposition;
use crate::admin::House;
use crate::admin::house::{DatabaseState, NodeState, ShardState};
use crate::observe::{DatabaseFigures, NodeFigures, NodeTotal, Phase, Pin, Total};

pub(super) fn render(house: &dyn House) -> String {
    let mut out = Exposition::default();
    let figures = house.observed().databases();
    process(&mut out, house);
    clients(&mut out, house);
    totals(&mut out, &figures);
    statements(&mut out, &figures);
    reasons(&mut out, &figures);
    databases(&mut out, &house.databases());
    nodes(&mut out, &house.nodes());
    shards(&mut out, &house.shards());
    node_figures(&mut out, &figures);
    transactions(&mut out, house, &figures);
    out.finish()
}

fn process(out: &mut Exposition, house: &dyn House) {
    let version = env!("CARGO_PKG_VERSION");
    out.gauge("shardway_build_info", "Always 1; the version is in the label.").count(&[("version", version)], 1);
    let observed = house.observed();
    let started = observed.started_at.duration_since(std::time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    out.gauge("process_start_time_seconds", "When the process started, since the epoch.").sample(&[], started);
    let resident = crate::admin::process::resident_bytes();
    out.gauge("process_resident_memory_bytes", "Memory of the process.").count(&[], resident);
    if let Some(seconds) = crate::admin::process::cpu_seconds() {
        out.counter("process_cpu_seconds_total", "CPU time of the process.").sample(&[], seconds);
    }
    out.gauge("shardway_draining", "1 while the proxy stops.").count(&[], u64::from(house.is_draining()));
}

fn clients(out: &mut Exposition, house: &dyn House) {
    let mut counts = BTreeMap::<(String, &str), u64>::new();
    for name in house.config().databases.keys() {
        for phase in Phase::ALL {
            counts.insert((name.clone(), phase.name()), 0);
        }
    }
    for client in house.observed().clients.all() {
        *counts.entry((client.database.to_string(), client.doing().phase.name())).or_default() += 1;
    }
    let mut family = out.gauge("shardway_clients", "Clients that are connected, by what they do.");
    for ((database, phase), count) in counts {
        family.count(&[("database", &database), ("phase", phase)], count);
    }
    let most = house.config().server.clients_max;
    out.gauge("shardway_clients_max", "Clients that are let in at once.").count(&[], most as u64);
}

/// One counter a total, in seconds where it is a time.
fn totals(out: &mut Exposition, figures: &[Arc<DatabaseFigures>]) {
    for (name, total, help) in [
        ("shardway_transactions_total", Total::Transactions, "Transactions of clients that ended."),
        ("shardway_requests_total", Total::Requests, "Requests that were answered, up to ReadyForQuery."),
        ("shardway_received_bytes_total", Total::Received, "Bytes from clients."),
        ("shardway_sent_bytes_total", Total::Sent, "Bytes to clients."),
        ("shardway_template_hits_total", Total::TemplateHits, "Statements whose shape was known."),
        ("shardway_template_misses_total", Total::TemplateMisses, "Statements that had to be parsed and planned."),
    ] {
        let mut family = out.counter(name, help);
        for one in figures {
            family.count(&[("database", &one.name)], one.total(total));
        }
    }
    for (name, total, help) in [
        ("shardway_transaction_seconds_total", Total::TransactionNanos, "Time that clients were in transactions."),
        ("shardway_request_seconds_total", Total::RequestNanos, "Time that requests took."),
        ("shardway_wait_seconds_total", Total::WaitNanos, "Of it, waiting for a connection or for RESUME."),
    ] {
        let mut family = out.counter(name, help);
        for one in figures {
            family.sample(&[("database", &one.name)], one.total(total) as f64 / 1e9);
        }
    }
}

fn statements(out: &mut Exposition, figures: &[Arc<DatabaseFigures>]) {
    let help = "Time that statements took, by what they are and how they were planned.";
    let mut family = out.histogram("shardway_statement_duration_seconds", help);
    for one in figures {
        for (kind, strategy, histogram) in one.durations() {
            let labels = [("database", &*one.name), ("kind", kind.name()), ("strategy", strategy.name())];
            family.reading(&labels, &histogram.read());
        }
    }
}

fn reasons(out: &mut Exposition, figures: &[Arc<DatabaseFigures>]) {
    let mut family = out.counter("shardway_refusals_total", "Statements that Shardway refused, by the reason it gave.");
    for one in figures {
        for (reason, count) in one.refusals.read() {
            family.count(&[("database", &one.name), ("reason", &reason)], count);
        }
    }
    let mut family = out.counter("shardway_errors_total", "Errors of Shardway's own that clients got.");
    for one in figures {
        for (sqlstate, count) in one.errors.read() {
            family.count(&[("database", &one.name), ("sqlstate", &sqlstate)], count);
        }
    }
    let mut family = out.counter("shardway_pins_total", "Clients that came to keep their connection, by the reason.");
    for one in figures {
        for (pin, pinned) in Pin::ALL.into_iter().zip(&one.pins) {
            family.count(&[("database", &one.name), ("reason", pin.name())], pinned.read());
        }
    }
}

fn databases(out: &mut Exposition, all: &[DatabaseState]) {
    let mut each = |name, help: &str, value: fn(&DatabaseState) -> u64| {
        let mut family = out.gauge(name, help);
        for one in all {
            family.count(&[("database", &one.name)], value(one));
        }
    };
    each(
        "shardway_database_served",
        "1 if statements are planned; 0 before the servers were asked, or if refused.",
        |one| u64::from(one.refused.is_none() && one.map_version.is_some()),
    );
    each("shardway_database_paused", "1 between PAUSE and RESUME.", |one| u64::from(one.is_paused));
    each("shardway_pool_size", "Connections that each user may have to each node.", |one| one.pool_size as u64);
    each("shardway_templates", "Shapes of statements that are kept.", |one| one.templates as u64);
    let help = "Always 1; proxies whose versions differ would place rows differently.";
    let mut family = out.gauge("shardway_shard_map_info", help);
    for one in all {
        let version = one.map_version.map_or_else(String::new, |version| format!("{version:016x}"));
        family.count(&[("database", &one.name), ("version", &version)], 1);
    }
}

fn nodes(out: &mut Exposition, all: &[NodeState]) {
    let address = |node: &NodeState| format!("{}:{}", node.host, node.port);
    let mut family =
        out.gauge("shardway_node_up", "0 if the last connect failed, or nobody was there when it was looked at.");
    for node in all {
        let labels =
            [("database", &*node.database), ("shard", &node.shard), ("role", node.role), ("node", &address(node))];
        family.count(&labels, u64::from(node.failure.is_none()));
    }
    let mut family =
        out.gauge("shardway_node_fit", "0 if it is known not to be fit for its part: SHOW NODES says why.");
    for node in all {
        let labels =
            [("database", &*node.database), ("shard", &node.shard), ("role", node.role), ("node", &address(node))];
        family.count(&labels, u64::from(node.problem.is_none()));
    }
    let lags = |node: &&NodeState| node.role == "replica";
    let mut family = out.gauge("shardway_replica_lag_bytes", "How far the replica is behind its primary.");
    for node in all.iter().filter(lags) {
        let labels = [("database", &*node.database), ("shard", &*node.shard), ("node", &*address(node))];
        node.lag_bytes.into_iter().for_each(|bytes| family.count(&labels, bytes));
    }
    let mut family = out.gauge("shardway_replica_lag_seconds", "For how long the primary has been further.");
    for node in all.iter().filter(lags) {
        let labels = [("database", &*node.database), ("shard", &*node.shard), ("node", &*address(node))];
        node.lag.into_iter().for_each(|lag| family.sample(&labels, lag.as_secs_f64()));
    }
    let mut family = out.gauge("shardway_node_connections", "Connections to the node, by state.");
    for node in all {
        let idle = node.connections.saturating_sub(node.leased);
        for (state, count) in [("active", node.leased), ("idle", idle)] {
            let labels = [
                ("database", &*node.database),
                ("shard", &node.shard),
                ("role", node.role),
                ("node", &address(node)),
                ("state", state),
            ];
            family.count(&labels, count as u64);
        }
    }
}

fn shards(out: &mut Exposition, all: &[ShardState]) {
    let mut each = |name, help: &str, is_counter: bool, value: fn(&ShardState) -> u64| {
        let mut family = if is_counter { out.counter(name, help) } else { out.gauge(name, help) };
        for one in all {
            family.count(&[("database", &one.database), ("shard", &one.shard)], value(one));
        }
    };
    let has = |one: &ShardState| u64::from(one.primary.is_some());
    each("shardway_shard_has_primary", "0 while no node is known to take writes: SHOW SHARDS says why.", false, has);
    let torn = |one: &ShardState| u64::from(one.is_torn);
    each("shardway_shard_split_brain", "1 while several nodes would take writes, and none is sent any.", false, torn);
    each("shardway_shard_waiting", "Statements that wait for a primary.", false, |one| one.waiting as u64);
    each("shardway_shard_primary_changes_total", "How often another node became the primary.", true, |one| one.changes);
}

fn node_figures(out: &mut Exposition, figures: &[Arc<DatabaseFigures>]) {
    let all: Vec<(&str, Arc<NodeFigures>)> =
        figures.iter().flat_map(|one| one.nodes().into_iter().map(|node| (&*one.name, node))).collect();
    let labels = |database: &'_ str, node: &NodeFigures| {
        [
            ("database", database.to_owned()),
            ("shard", node.shard.clone()),
            ("role", node.role().to_owned()),
            ("node", node.address.clone()),
        ]
    };
    fn borrowed<'l>(labels: &'l [(&'static str, String); 4]) -> [(&'l str, &'l str); 4] {
        labels.each_ref().map(|(name, value)| (*name, value.as_str()))
    }
    let help = "Time of requests that one node alone answered, without the wait for a connection.";
    let mut family = out.histogram("shardway_node_request_duration_seconds", help);
    for (database, node) in &all {
        family.reading(&borrowed(&labels(database, node)), &node.durations.read());
    }
    let mut family = out.histogram("shardway_pool_wait_seconds", "Waits for a connection that wasn't free at once.");
    for (database, node) in &all {
        family.reading(&borrowed(&labels(database, node)), &node.waits.read());
    }
    for (name, total, help) in [
        (
            "shardway_node_shared_requests_total",
            NodeTotal::SharedStatements,
            "Requests that several nodes answered together, counted at the first.",
        ),
        ("shardway_node_connects_total", NodeTotal::Connects, "Connections that were opened."),
        ("shardway_node_connect_failures_total", NodeTotal::ConnectFailures, "Connects that failed."),
        ("shardway_pool_wait_timeouts_total", NodeTotal::WaitTimeouts, "Waits for a connection that were given up."),
        ("shardway_node_checks_total", NodeTotal::Checks, "Looks at the node, over a connection of their own."),
        ("shardway_node_check_failures_total", NodeTotal::ChecksFailed, "Looks that it didn't answer."),
    ] {
        let mut family = out.counter(name, help);
        for (database, node) in &all {
            family.count(&borrowed(&labels(database, node)), node.total(total));
        }
    }
}

/// What can become of a transaction that writes several shards. Each is there from the start, so that a first
/// occurrence shows as an increase.
const OUTCOMES: [&str; 6] =
    ["committed", "rolled_back", "not_committed", "left_to_recovery", "recovered_commit", "recovered_rollback"];

fn transactions(out: &mut Exposition, house: &dyn House, figures: &[Arc<DatabaseFigures>]) {
    let help = "Transactions that wrote several shards, by what became of them.";
    let mut family = out.counter("shardway_two_phase_total", help);
    for one in figures {
        let counts = one.two_phase.read();
        for outcome in OUTCOMES {
            let count = counts.iter().find(|(name, _)| **name == *outcome).map_or(0, |(_, count)| *count);
            family.count(&[("database", &one.name), ("outcome", outcome)], count);
        }
    }
    let help = "Statements that were run again, unseen by their clients, since their server was lost.";
    let mut family = out.counter("shardway_reruns_total", help);
    for one in figures {
        let counts = one.reruns.read();
        for kind in ["read", "write"] {
            let count = counts.iter().find(|(name, _)| **name == *kind).map_or(0, |(_, count)| *count);
            family.count(&[("database", &one.name), ("kind", kind)], count);
        }
    }
    let in_doubt = house.in_doubt();
    let mut family = out.gauge("shardway_in_doubt", "Prepared transactions that nobody has finished yet.");
    let mut oldest = BTreeMap::new();
    for one in figures {
        let own = || in_doubt.iter().filter(|left| *left.database == *one.name);
        oldest.insert(&one.name, own().map(|left| left.age.as_secs_f64()).fold(0.0, f64::max));
        family.count(&[("database", &one.name)], own().count() as u64);
    }
    let mut family = out.gauge("shardway_in_doubt_age_seconds", "Age of the oldest of them.");
    for (name, age) in oldest {
        family.sample(&[("database", name)], age);
    }
}
