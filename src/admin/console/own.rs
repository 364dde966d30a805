//! The tables that only a sharding proxy has.

use std::time::Duration;

use super::answer::Type::{Int4, Int8, Text};
use super::answer::{Answer, Cell, row};
use super::bouncer::time;
use super::command::Shown;
use crate::admin::House;
use crate::observe::{DatabaseFigures, NodeTotal, Phase, Strategy};
use crate::planning::show_key;

fn millis(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64() * 1e3)
}

pub(super) fn shards(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[
        ("database", Text),
        ("shard", Text),
        ("home", Text),
        ("nodes", Int4),
        ("nodes_down", Int4),
        ("buckets", Int4),
        ("statements", Int8),
        ("shared_statements", Int8),
        ("avg_ms", Text),
        ("connections", Int4),
        ("primary", Text),
        ("problem", Text),
        ("primary_changes", Int8),
        ("waiting", Int4),
    ]);
    let leads = house.shards();
    let nodes = house.nodes();
    for database in house.databases() {
        let figures = house.observed().database(&database.name).nodes();
        for (position, shard) in database.shards.iter().enumerate() {
            let own = || nodes.iter().filter(|node| node.database == database.name && node.shard == *shard);
            let lead = leads.iter().find(|lead| lead.database == database.name && lead.shard == *shard);
            let mut reading = crate::observe::Reading::nothing();
            let mut shared = 0;
            for node in figures.iter().filter(|node| node.shard == *shard) {
                reading.add(&node.durations.read());
                shared += node.total(NodeTotal::SharedStatements);
            }
            let count = reading.count();
            let buckets = database.buckets.iter().filter(|&&of| usize::from(of) == position).count();
            answer.rows.push(row![
                database.name.as_str(),
                shard.as_str(),
                if *shard == database.home { "yes" } else { "no" },
                own().count(),
                own().filter(|node| node.failure.is_some()).count(),
                buckets,
                count,
                shared,
                millis(Duration::from_nanos(reading.sum_nanos / count.max(1))),
                own().map(|node| node.connections).sum::<usize>(),
                lead.and_then(|lead| lead.primary.as_deref()),
                lead.and_then(|lead| lead.problem.as_deref()),
                lead.map(|lead| lead.changes),
                lead.map(|lead| lead.waiting)
            ]);
        }
    }
    answer
}

pub(super) fn nodes(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[
        ("database", Text),
        ("shard", Text),
        ("role", Text),
        ("host", Text),
        ("port", Int4),
        ("server_database", Text),
        ("state", Text),
        ("failure", Text),
        ("failed_for_s", Int4),
        ("timeline", Int4),
        ("lag_bytes", Int8),
        ("lag_ms", Int8),
        ("problem", Text),
        ("connections", Int4),
        ("in_use", Int4),
        ("connects", Int8),
        ("connect_failures", Int8),
        ("sync_state", Text),
        ("slots", Text),
        ("checks", Int8),
        ("checks_failed", Int8),
        ("system_identifier", Int8),
    ]);
    for node in house.nodes() {
        let address = format!("{}:{}", node.host, node.port);
        let figures = house.observed().database(&node.database).node(&node.shard, &address);
        answer.rows.push(row![
            node.database,
            node.shard,
            node.role,
            node.host,
            node.port,
            node.server_database,
            match (&node.failure, &node.problem) {
                (Some(_), _) => "down",
                (None, Some(_)) => "unfit",
                (None, None) => "up",
            },
            node.failure,
            node.failed_for.map(|age| age.as_secs()),
            node.timeline.map(i64::from),
            node.lag_bytes,
            node.lag.map(|lag| lag.as_millis()),
            node.problem,
            node.connections,
            node.leased,
            figures.total(NodeTotal::Connects),
            figures.total(NodeTotal::ConnectFailures),
            node.sync_state,
            node.slots,
            figures.total(NodeTotal::Checks),
            figures.total(NodeTotal::ChecksFailed),
            node.system
        ]);
    }
    answer
}

/// The version as the metric has it.
pub(super) fn maps(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[
        ("database", Text),
        ("version", Text),
        ("home", Text),
        ("shards", Text),
        ("tables", Int4),
        ("problem", Text),
    ]);
    let tables = house.tables();
    for database in house.databases() {
        let count = tables.iter().filter(|table| table.database == database.name).count();
        answer.rows.push(row![
            database.name,
            database.map_version.map(|version| format!("{version:016x}")),
            database.home,
            database.shards.join(","),
            count,
            database.refused
        ]);
    }
    answer
}

pub(super) fn tables(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[
        ("database", Text),
        ("table", Text),
        ("placement", Text),
        ("key", Text),
        ("type", Text),
        ("colocated_with", Text),
        ("shards", Text),
    ]);
    for table in house.tables() {
        answer.rows.push(row![
            table.database,
            table.table,
            table.placement,
            table.key,
            table.key_type,
            table.colocated_with,
            table.shards.join(",")
        ]);
    }
    answer
}

fn names(strategies: &[Strategy]) -> String {
    strategies.iter().map(|strategy| strategy.name()).collect::<Vec<_>>().join(",")
}

/// The most expensive first.
pub(super) fn plans(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[
        ("database", Text),
        ("id", Int8),
        ("kind", Text),
        ("strategy", Text),
        ("calls", Int8),
        ("errors", Int8),
        ("rows", Int8),
        ("shards_per_call", Text),
        ("total_ms", Text),
        ("avg_ms", Text),
        ("max_ms", Text),
        ("statement", Text),
    ]);
    for figures in house.observed().databases() {
        let mut all: Vec<_> = figures.statements.all().into_iter().map(|one| (one.read(), one)).collect();
        all.retain(|(read, _)| read.calls > 0);
        all.sort_by_key(|(read, _)| std::cmp::Reverse(read.total));
        for (read, statement) in all {
            answer.rows.push(row![
                &*figures.name,
                statement.id,
                statement.kind.name(),
                names(&read.strategies),
                read.calls,
                read.errors,
                read.rows,
                format!("{:.1}", read.shards as f64 / read.calls as f64),
                millis(read.total),
                millis(read.total / u32::try_from(read.calls).unwrap_or(u32::MAX)),
                millis(read.longest),
                &*statement.text
            ]);
        }
    }
    answer
}

/// Clients that are in a request, or in a transaction.
fn working(house: &dyn House, wanted: impl Fn(Phase) -> bool) -> Answer {
    let mut answer = Answer::new(&[
        ("database", Text),
        ("client", Int8),
        ("user", Text),
        ("application_name", Text),
        ("phase", Text),
        ("ms", Text),
        ("shards", Text),
        ("strategy", Text),
        ("statement", Text),
    ]);
    let mut clients: Vec<_> = house.observed().clients.all().into_iter().map(|one| (one.doing(), one)).collect();
    clients.retain(|(doing, _)| wanted(doing.phase));
    clients.sort_by_key(|(doing, _)| std::cmp::Reverse(doing.since));
    for (doing, client) in clients {
        let statement = house.observed().database_if_known(&client.database);
        let statement = statement.and_then(|figures| figures.statements.find(doing.statement));
        answer.rows.push(row![
            &*client.database,
            client.id,
            &*client.user,
            &*client.application,
            doing.phase.name(),
            millis(doing.since),
            house.shards_of(client.id).join(","),
            doing.strategy.name(),
            statement.map(|statement| statement.text.to_string())
        ]);
    }
    answer
}

pub(super) fn queries(house: &dyn House) -> Answer {
    working(house, |phase| !matches!(phase, Phase::Idle | Phase::InTransaction))
}

/// `pulling`: rows come from the shards; `answering`: all are there, and PostgreSQL works on them.
pub(super) fn gathers(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[
        ("database", Text),
        ("client", Int8),
        ("user", Text),
        ("ms", Text),
        ("phase", Text),
        ("tables", Int4),
        ("filled", Int4),
        ("rows", Int8),
        ("bytes", Int8),
        ("shards", Text),
        ("statement", Text),
    ]);
    for client in house.observed().clients.all() {
        let (doing, Some(gathered)) = (client.doing(), client.gathering.read()) else { continue };
        let statement = house.observed().database_if_known(&client.database);
        let statement = statement.and_then(|figures| figures.statements.find(doing.statement));
        answer.rows.push(row![
            &*client.database,
            client.id,
            &*client.user,
            millis(doing.since),
            if gathered.filled < gathered.tables { "pulling" } else { "answering" },
            gathered.tables,
            gathered.filled,
            gathered.rows,
            gathered.bytes,
            house.shards_of(client.id).join(","),
            statement.map(|statement| statement.text.to_string())
        ]);
    }
    answer
}

/// Those that clients have open, and behind them those that are prepared and wait to be finished.
pub(super) fn transactions(house: &dyn House) -> Answer {
    let mut answer = working(house, |phase| phase != Phase::Idle);
    for left in house.in_doubt() {
        answer.rows.push(row![
            left.database,
            Cell::Null,
            left.owner,
            Cell::Null,
            format!("in doubt: {}", left.state),
            millis(left.age),
            left.shard,
            Cell::Null,
            left.gid
        ]);
    }
    answer
}

pub(super) fn slow(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[
        ("at", Text),
        ("database", Text),
        ("user", Text),
        ("client", Int8),
        ("ms", Text),
        ("wait_ms", Text),
        ("rows", Int8),
        ("shards", Int4),
        ("strategy", Text),
        ("statement", Text),
    ]);
    let all = |figures: &DatabaseFigures| figures.slow.read();
    for (database, slow) in latest(house, all, |slow| slow.at) {
        answer.rows.push(row![
            time(slow.at),
            database,
            &*slow.user,
            slow.client,
            millis(slow.took),
            millis(slow.waited),
            slow.rows,
            slow.shards,
            slow.strategy.name(),
            &*slow.statement
        ]);
    }
    answer
}

pub(super) fn refusals(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[
        ("at", Text),
        ("database", Text),
        ("user", Text),
        ("refusal", Text),
        ("detail", Text),
        ("hint", Text),
        ("statement", Text),
    ]);
    let all = |figures: &DatabaseFigures| figures.recent_refusals.read();
    for (database, refused) in latest(house, all, |refused| refused.at) {
        answer.rows.push(row![
            time(refused.at),
            database,
            &*refused.user,
            &*refused.message,
            &*refused.detail,
            &*refused.hint,
            &*refused.statement
        ]);
    }
    answer
}

/// Of all databases, the latest first.
fn latest<T>(
    house: &dyn House,
    of: impl Fn(&DatabaseFigures) -> Vec<T>,
    at: impl Fn(&T) -> std::time::SystemTime,
) -> Vec<(String, T)> {
    let databases = house.observed().databases();
    let each = |figures: &std::sync::Arc<DatabaseFigures>| {
        let name = figures.name.to_string();
        of(figures).into_iter().map(move |entry| (name.clone(), entry)).collect::<Vec<_>>()
    };
    let mut all: Vec<(String, T)> = databases.iter().flat_map(each).collect();
    all.sort_by_key(|(_, entry)| std::cmp::Reverse(at(entry)));
    all
}

/// Buckets and keys that SHOW HOT lists of each.
const HOT_SHOWN: usize = 20;

pub(super) fn hot(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[
        ("database", Text),
        ("what", Text),
        ("name", Text),
        ("shard", Text),
        ("statements", Int8),
        ("share", Text),
    ]);
    for database in house.databases() {
        let figures = house.observed().database(&database.name);
        let counts = figures.hot.buckets();
        let all: u64 = counts.iter().sum();
        let share = |count: u64, of: u64| format!("{:.2} %", 100.0 * count as f64 / of.max(1) as f64);
        let shard_of = |bucket: usize| {
            let shard = database.buckets.get(bucket).and_then(|&shard| database.shards.get(usize::from(shard)));
            Cell::from(shard.map(String::as_str))
        };
        let mut shards: Vec<(u64, &str)> = Vec::new();
        for shard in &database.shards {
            let nodes = figures.nodes();
            let own = nodes.iter().filter(|node| node.shard == *shard);
            shards.push((own.map(|node| node.durations.read().count()).sum(), shard));
        }
        shards.sort_by(|a, b| b.cmp(a));
        let on_shards: u64 = shards.iter().map(|(count, _)| count).sum();
        for (count, shard) in shards {
            answer.rows.push(row![database.name.as_str(), "shard", shard, shard, count, share(count, on_shards)]);
        }
        let mut buckets: Vec<(usize, u64)> = counts.into_iter().enumerate().filter(|(_, count)| *count > 0).collect();
        buckets.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (bucket, count) in buckets.into_iter().take(HOT_SHOWN) {
            let mut row =
                row![database.name.as_str(), "bucket", bucket.to_string(), Cell::Null, count, share(count, all)];
            if let Some(cell) = row.get_mut(3) {
                *cell = shard_of(bucket);
            }
            answer.rows.push(row);
        }
        for key in figures.hot.keys().into_iter().take(HOT_SHOWN) {
            let name = format!("{} = {}", key.column, show_key(&key.value));
            answer.rows.push(row![database.name.as_str(), "key", name, Cell::Null, key.count, share(key.count, all)]);
        }
    }
    answer
}

pub(super) fn help() -> Answer {
    let mut answer = Answer::new(&[("command", Text), ("what_it_does", Text)]);
    answer.rows = Shown::ALL.into_iter().map(|shown| row![format!("SHOW {}", shown.word()), shown.about()]).collect();
    for (command, about) in [
        ("RELOAD", "reads the configuration again; a mistake changes nothing"),
        ("PAUSE [database]", "nobody begins anything; answers when all that runs has ended"),
        ("RESUME [database]", "ends a PAUSE"),
        ("RECONNECT [database]", "closes server connections, those in use when they come back"),
        ("DISCONNECT shard|host:port", "the same for one shard or one node"),
        ("KILL client|database", "ends a client, or all clients of a database"),
        ("SET name = value", "changes a setting until the next RELOAD; SHOW CONFIG says which can be"),
        ("SHUTDOWN", "as SIGTERM: transactions may end within drain_timeout"),
    ] {
        answer.rows.push(row![command, about]);
    }
    answer
}
