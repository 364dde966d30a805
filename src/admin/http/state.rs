//! What the dashboard's page shows, as JSON: readings as they are, of which the page makes rates. Statements come
//! without their values; keys that are asked for often come with them, as in SHOW HOT.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::admin::House;
use crate::admin::house::DatabaseState;
use crate::observe::{BOUNDS_MICROS, DatabaseFigures, NodeTotal, Phase, Total};
use crate::planning::show_key;

/// Statements, keys and events of each kind that are shown.
const SHOWN: usize = 20;

pub(super) fn state(house: &dyn House) -> String {
    let observed = house.observed();
    let bounds: Vec<f64> = BOUNDS_MICROS.iter().map(|micros| *micros as f64 / 1e6).collect();
    let mut databases = house.databases();
    databases.sort_by(|one, other| one.name.cmp(&other.name));
    let databases: Vec<Value> = databases
        .into_iter()
        .map(|database| {
            let figures = observed.database(&database.name);
            one_database(database, &figures)
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": observed.started.elapsed().as_secs_f64(),
        "draining": house.is_draining(),
        "bounds": bounds,
        "databases": databases,
        "nodes": nodes(house),
        "clients": clients(house),
        "running": running(house),
        "pools": pools(house),
        "in_doubt": in_doubt(house),
    })
    .to_string()
}

/// Statements for each bucket of each database, roughly.
pub(super) fn buckets(house: &dyn House) -> String {
    let each = |figures: &Arc<DatabaseFigures>| (figures.name.to_string(), json!(figures.hot.buckets()));
    Value::Object(house.observed().databases().iter().map(each).collect::<Map<_, _>>()).to_string()
}

fn epoch(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn one_database(database: DatabaseState, figures: &DatabaseFigures) -> Value {
    let count = |total: Total| figures.total(total);
    let seconds = |total: Total| figures.total(total) as f64 / 1e9;
    let mut plans: Vec<_> = figures.statements.all().into_iter().map(|one| (one.read(), one)).collect();
    plans.retain(|(read, _)| read.calls > 0);
    plans.sort_by_key(|(read, _)| std::cmp::Reverse(read.total));
    let plans: Vec<Value> = plans
        .into_iter()
        .take(SHOWN)
        .map(|(read, one)| {
            let strategies: Vec<&str> = read.strategies.iter().map(|strategy| strategy.name()).collect();
            json!({
                "statement": &*one.text, "kind": one.kind.name(), "strategies": strategies, "calls": read.calls,
                "errors": read.errors, "rows": read.rows, "seconds": read.total.as_secs_f64(),
                "longest": read.longest.as_secs_f64(),
            })
        })
        .collect();
    let keys: Vec<Value> = figures
        .hot
        .keys()
        .into_iter()
        .take(SHOWN)
        .map(|key| json!({ "name": format!("{} = {}", key.column, show_key(&key.value)), "count": key.count }))
        .collect();
    json!({
        "name": database.name,
        "home": database.home,
        "shards": database.shards,
        "bucket_shards": database.buckets,
        "map_version": database.map_version.map(|version| format!("{version:016x}")),
        "refused": database.refused,
        "paused": database.is_paused,
        "connections": database.connections,
        "totals": {
            "transactions": count(Total::Transactions), "requests": count(Total::Requests),
            "received": count(Total::Received), "sent": count(Total::Sent),
            "template_hits": count(Total::TemplateHits), "template_misses": count(Total::TemplateMisses),
            "request_seconds": seconds(Total::RequestNanos), "wait_seconds": seconds(Total::WaitNanos),
        },
        "plans": plans,
        "keys": keys,
        "slow": slow(figures),
        "refusals": refusals(figures),
    })
}

fn slow(figures: &DatabaseFigures) -> Vec<Value> {
    let all = figures.slow.read().into_iter().take(SHOWN);
    all.map(|slow| {
        json!({
            "at": epoch(slow.at), "user": &*slow.user, "seconds": slow.took.as_secs_f64(),
            "waited": slow.waited.as_secs_f64(), "rows": slow.rows, "shards": slow.shards,
            "strategy": slow.strategy.name(), "statement": &*slow.statement,
        })
    })
    .collect()
}

fn refusals(figures: &DatabaseFigures) -> Vec<Value> {
    let all = figures.recent_refusals.read().into_iter().take(SHOWN);
    all.map(|refused| {
        json!({
            "at": epoch(refused.at), "user": &*refused.user, "message": &*refused.message,
            "detail": &*refused.detail, "hint": &*refused.hint, "statement": &*refused.statement,
        })
    })
    .collect()
}

fn nodes(house: &dyn House) -> Vec<Value> {
    let each = house.nodes().into_iter().map(|node| {
        let address = format!("{}:{}", node.host, node.port);
        let figures = house.observed().database(&node.database).node(&node.shard, &address);
        json!({
            "database": node.database, "shard": node.shard, "role": node.role, "address": address,
            "problem": node.problem, "lag_bytes": node.lag_bytes, "lag": node.lag.map(|lag| lag.as_secs_f64()),
            "up": node.failure.is_none(), "failure": node.failure, "in_use": node.leased,
            "connections": node.connections, "counts": figures.durations.read().counts,
            "connects": figures.total(NodeTotal::Connects),
            "connect_failures": figures.total(NodeTotal::ConnectFailures),
        })
    });
    each.collect()
}

fn clients(house: &dyn House) -> Vec<Value> {
    let mut counts = std::collections::BTreeMap::<(String, &str), u64>::new();
    for client in house.observed().clients.all() {
        *counts.entry((client.database.to_string(), client.doing().phase.name())).or_default() += 1;
    }
    let each = counts.into_iter();
    each.map(|((database, phase), count)| json!({ "database": database, "phase": phase, "count": count })).collect()
}

fn running(house: &dyn House) -> Vec<Value> {
    let mut all: Vec<_> = house.observed().clients.all().into_iter().map(|one| (one.doing(), one)).collect();
    all.retain(|(doing, _)| doing.phase != Phase::Idle);
    all.sort_by_key(|(doing, _)| std::cmp::Reverse(doing.since));
    let each = all.into_iter().take(SHOWN).map(|(doing, client)| {
        let figures = house.observed().database_if_known(&client.database);
        let statement = figures.and_then(|figures| figures.statements.find(doing.statement));
        json!({
            "database": &*client.database, "client": client.id, "user": &*client.user, "phase": doing.phase.name(),
            "seconds": doing.since.as_secs_f64(), "shards": house.shards_of(client.id),
            "strategy": doing.strategy.name(), "statement": statement.map(|one| one.text.to_string()),
        })
    });
    each.collect()
}

fn pools(house: &dyn House) -> Vec<Value> {
    let each = house.pools().into_iter().map(|pool| {
        json!({
            "database": pool.database, "user": pool.user, "in_use": pool.leased, "idle": pool.idle,
            "waiting": pool.waiting, "size": pool.size,
        })
    });
    each.collect()
}

fn in_doubt(house: &dyn House) -> Vec<Value> {
    let each = house.in_doubt().into_iter().map(|left| {
        json!({
            "database": left.database, "gid": left.gid, "shard": left.shard, "owner": left.owner,
            "seconds": left.age.as_secs_f64(), "state": left.state,
        })
    });
    each.collect()
}
