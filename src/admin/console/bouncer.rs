//! The tables that PgBouncer has as well: with the names, types and order of its columns (version 1.18), so that
//! what reads those reads these.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::answer::Type::{Int4, Numeric, Text};
use super::answer::{Answer, Cell, row};
use crate::admin::House;
use crate::observe::{Client, DatabaseFigures, Phase, Total};

pub(super) fn pools(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[
        ("database", Text),
        ("user", Text),
        ("cl_active", Int4),
        ("cl_waiting", Int4),
        ("cl_active_cancel_req", Int4),
        ("cl_waiting_cancel_req", Int4),
        ("sv_active", Int4),
        ("sv_active_cancel", Int4),
        ("sv_being_canceled", Int4),
        ("sv_idle", Int4),
        ("sv_used", Int4),
        ("sv_tested", Int4),
        ("sv_login", Int4),
        ("maxwait", Int4),
        ("maxwait_us", Int4),
        ("pool_mode", Text),
    ]);
    #[derive(Default)]
    struct Pool {
        active: usize,
        waiting: usize,
        leased: usize,
        idle: usize,
        longest: Duration,
    }
    let mut pools = BTreeMap::<(String, String), Pool>::new();
    for pool in house.pools() {
        let entry = pools.entry((pool.database, pool.user)).or_default();
        (entry.leased, entry.idle) = (pool.leased, pool.idle);
    }
    for client in house.observed().clients.all() {
        let pool = pools.entry((client.database.to_string(), client.user.to_string())).or_default();
        let doing = client.doing();
        match doing.phase {
            Phase::Waiting => pool.waiting += 1,
            _ => pool.active += 1,
        }
        pool.longest = pool.longest.max(doing.waiting);
    }
    for ((database, user), pool) in pools {
        let (seconds, micros) = (pool.longest.as_secs(), pool.longest.subsec_micros());
        answer.rows.push(row![
            database,
            user,
            pool.active,
            pool.waiting,
            0_u32,
            0_u32,
            pool.leased,
            0_u32,
            0_u32,
            pool.idle,
            0_u32,
            0_u32,
            0_u32,
            seconds,
            micros,
            "transaction"
        ]);
    }
    answer
}

/// Clients and servers have the same columns.
fn sockets() -> Answer {
    Answer::new(&[
        ("type", Text),
        ("user", Text),
        ("database", Text),
        ("state", Text),
        ("addr", Text),
        ("port", Int4),
        ("local_addr", Text),
        ("local_port", Int4),
        ("connect_time", Text),
        ("request_time", Text),
        ("wait", Int4),
        ("wait_us", Int4),
        ("close_needed", Int4),
        ("ptr", Text),
        ("link", Text),
        ("remote_pid", Int4),
        ("tls", Text),
        ("application_name", Text),
    ])
}

pub(super) fn time(at: SystemTime) -> String {
    chrono::DateTime::<chrono::Utc>::from(at).format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn pointer(id: u32) -> String {
    format!("{id:#x}")
}

fn tls(is_tls: bool) -> Option<&'static str> {
    is_tls.then_some("TLS")
}

/// What PgBouncer calls active is linked to a server or idle.
fn state(client: &Client) -> &'static str {
    match client.doing().phase {
        Phase::Waiting => "waiting",
        _ => "active",
    }
}

pub(super) fn clients(house: &dyn House) -> Answer {
    let mut answer = sockets();
    let servers = house.servers();
    for client in house.observed().clients.all() {
        let doing = client.doing();
        let requested = SystemTime::now().checked_sub(doing.since).unwrap_or(client.connected);
        let (peer, local) = (client.peer, client.local);
        let ip = |address: Option<std::net::SocketAddr>| address.map_or("unix".to_owned(), |one| one.ip().to_string());
        let port = |address: Option<std::net::SocketAddr>| address.map_or(0, |one| one.port());
        let link = servers.iter().find(|server| server.client == Some(client.id));
        answer.rows.push(row![
            "C",
            &*client.user,
            &*client.database,
            state(&client),
            ip(peer),
            port(peer),
            ip(local),
            port(local),
            time(client.connected),
            time(requested),
            doing.waiting.as_secs(),
            doing.waiting.subsec_micros(),
            0_u32,
            pointer(client.id),
            link.map(|server| pointer(server.process_id)),
            client.id,
            tls(client.is_tls),
            Some(&*client.application).filter(|name| !name.is_empty())
        ]);
    }
    answer
}

pub(super) fn servers(house: &dyn House) -> Answer {
    let mut answer = sockets();
    for server in house.servers() {
        answer.rows.push(row![
            "S",
            server.user,
            server.database,
            if server.is_leased { "active" } else { "idle" },
            server.host,
            server.port,
            Cell::Null,
            0_u32,
            time(server.connected),
            time(server.connected),
            0_u32,
            0_u32,
            server.is_closing,
            pointer(server.process_id),
            server.client.map(pointer),
            server.process_id,
            tls(server.is_tls),
            format!("shard {}, {}", server.shard, server.role)
        ]);
    }
    answer
}

const TOTALS: [Total; 7] = [
    Total::Transactions,
    Total::Requests,
    Total::Received,
    Total::Sent,
    Total::TransactionNanos,
    Total::RequestNanos,
    Total::WaitNanos,
];

/// Times in microseconds.
fn totals(figures: &DatabaseFigures) -> impl Iterator<Item = Cell> {
    TOTALS.into_iter().map(|total| {
        let amount = figures.total(total);
        Cell::from(match total {
            Total::TransactionNanos | Total::RequestNanos | Total::WaitNanos => amount / 1_000,
            _ => amount,
        })
    })
}

/// Per second; of times, per transaction or request.
fn averages(figures: &DatabaseFigures) -> impl Iterator<Item = Cell> {
    TOTALS.into_iter().map(|total| {
        let (amount, seconds) = figures.averages.last(total);
        let per = |other: Total| amount / 1_000 / figures.averages.last(other).0.max(1);
        Cell::from(match total {
            Total::TransactionNanos => per(Total::Transactions),
            Total::RequestNanos => per(Total::Requests),
            Total::WaitNanos => (amount as f64 / 1_000.0 / seconds) as u64,
            _ => (amount as f64 / seconds) as u64,
        })
    })
}

fn by_database(house: &dyn House, columns: &[&'static str], cells: impl Fn(&DatabaseFigures) -> Vec<Cell>) -> Answer {
    let columns: Vec<_> =
        std::iter::once(("database", Text)).chain(columns.iter().map(|name| (*name, Numeric))).collect();
    let mut answer = Answer::new(&columns);
    for figures in house.observed().databases() {
        let mut row = row![&*figures.name];
        row.extend(cells(&figures));
        answer.rows.push(row);
    }
    answer
}

pub(super) fn stats(house: &dyn House) -> Answer {
    let columns = [
        "total_xact_count",
        "total_query_count",
        "total_received",
        "total_sent",
        "total_xact_time",
        "total_query_time",
        "total_wait_time",
        "avg_xact_count",
        "avg_query_count",
        "avg_recv",
        "avg_sent",
        "avg_xact_time",
        "avg_query_time",
        "avg_wait_time",
    ];
    by_database(house, &columns, |figures| totals(figures).chain(averages(figures)).collect())
}

const SHORT: [&str; 7] =
    ["xact_count", "query_count", "bytes_received", "bytes_sent", "xact_time", "query_time", "wait_time"];

pub(super) fn stats_totals(house: &dyn House) -> Answer {
    by_database(house, &SHORT, |figures| totals(figures).collect())
}

pub(super) fn stats_averages(house: &dyn House) -> Answer {
    by_database(house, &SHORT, |figures| averages(figures).collect())
}

pub(super) fn all_totals(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[("name", Text), ("value", Numeric)]);
    let names = [
        "total_xact_count",
        "total_query_count",
        "total_received",
        "total_sent",
        "total_xact_time",
        "total_query_time",
        "total_wait_time",
    ];
    let mut sums = [0_i64; 7];
    for figures in house.observed().databases() {
        for (sum, cell) in sums.iter_mut().zip(totals(&figures)) {
            if let Cell::Number(number) = cell {
                *sum = sum.saturating_add(number);
            }
        }
    }
    answer.rows = names.into_iter().zip(sums).map(|(name, sum)| row![name, sum]).collect();
    answer
}

pub(super) fn databases(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[
        ("name", Text),
        ("host", Text),
        ("port", Int4),
        ("database", Text),
        ("force_user", Text),
        ("pool_size", Int4),
        ("min_pool_size", Int4),
        ("reserve_pool", Int4),
        ("pool_mode", Text),
        ("max_connections", Int4),
        ("current_connections", Int4),
        ("paused", Int4),
        ("disabled", Int4),
    ]);
    for database in house.databases() {
        answer.rows.push(row![
            database.name,
            database.host,
            database.port,
            database.database,
            Cell::Null,
            database.pool_size,
            0_u32,
            0_u32,
            "transaction",
            0_u32,
            database.connections,
            database.is_paused,
            database.refused.is_some()
        ]);
    }
    answer
}

pub(super) fn lists(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[("list", Text), ("items", Int4)]);
    let (config, pools) = (house.config(), house.pools());
    let clients = house.observed().clients.all().len();
    let sum = |count: fn(&crate::admin::house::PoolState) -> usize| pools.iter().map(count).sum::<usize>();
    answer.rows = vec![
        row!["databases", config.databases.len()],
        row!["users", config.users.len()],
        row!["pools", pools.len()],
        row!["free_clients", config.server.clients_max.saturating_sub(clients)],
        row!["used_clients", clients],
        row!["login_clients", 0_u32],
        row!["free_servers", sum(|pool| pool.idle)],
        row!["used_servers", sum(|pool| pool.leased)],
        row!["dns_names", 0_u32],
        row!["dns_zones", 0_u32],
        row!["dns_queries", 0_u32],
        row!["dns_pending", 0_u32],
    ];
    answer
}

pub(super) fn users(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[("name", Text), ("pool_mode", Text)]);
    answer.rows = house.config().users.iter().map(|user| row![user.name.as_str(), Cell::Null]).collect();
    answer
}
