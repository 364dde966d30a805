//! The tables of the process itself, with PgBouncer's columns: version, memory, settings.

use super::answer::Type::{Int4, Text};
use super::answer::{Answer, row};
use crate::admin::House;
use crate::admin::process::resident_bytes;
use crate::config::Config;

/// For who looks for PgBouncer, what it is like as well: tools choose their queries by that.
pub(super) fn version(expects_pgbouncer: bool) -> Answer {
    let mut answer = Answer::new(&[("version", Text)]);
    let own = concat!("Shardway ", env!("CARGO_PKG_VERSION"));
    answer.rows = vec![if expects_pgbouncer { row![format!("PgBouncer 1.18.0 ({own})")] } else { row![own] }];
    answer
}

pub(super) fn mem(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[("name", Text), ("size", Int4), ("used", Int4), ("free", Int4), ("memtotal", Int4)]);
    let resident = resident_bytes();
    let templates: usize = house.databases().iter().map(|database| database.templates).sum();
    let statements: usize = house.observed().databases().iter().map(|figures| figures.statements.all().len()).sum();
    let clients = house.observed().clients.all().len();
    // What each takes is known for the process as a whole only.
    answer.rows = vec![
        row!["client_cache", 0_u32, clients, 0_u32, 0_u32],
        row!["server_cache", 0_u32, house.servers().len(), 0_u32, 0_u32],
        row!["template_cache", 0_u32, templates, 0_u32, 0_u32],
        row!["statement_figures", 0_u32, statements, 0_u32, 0_u32],
        row!["process", 1_u32, resident, 0_u32, resident],
    ];
    answer
}

pub(super) fn config(house: &dyn House) -> Answer {
    let mut answer = Answer::new(&[("key", Text), ("value", Text), ("default", Text), ("changeable", Text)]);
    let slow = house.observed().slow();
    let mut rows = settings(&house.config());
    rows.push(("slow_statement", slow.map_or("off".to_owned(), |limit| format!("{limit:?}")), "1s"));
    rows.sort();
    for (key, value, default) in rows {
        let changeable = if CHANGEABLE.contains(&key) { "yes" } else { "no" };
        answer.rows.push(row![key, value, default, changeable]);
    }
    answer
}

/// What SET changes without a reload.
pub const CHANGEABLE: [&str; 5] = ["max_clients", "drain_timeout", "startup_timeout", "slow_statement", "pool_size"];

fn settings(config: &Config) -> Vec<(&'static str, String, &'static str)> {
    let (server, pool) = (&config.server, &config.pool);
    let listen: Vec<String> = server.listen.iter().map(ToString::to_string).collect();
    vec![
        ("listen", listen.join(","), "127.0.0.1:6432"),
        ("admin", server.admin.map(|address| address.to_string()).unwrap_or_default(), ""),
        ("workers", server.workers.to_string(), "one a core"),
        ("max_clients", server.clients_max.to_string(), "1000"),
        ("drain_timeout", format!("{:?}", server.drain_timeout), "30s"),
        ("startup_timeout", format!("{:?}", server.startup_timeout), "10s"),
        ("pool_size", pool.size.to_string(), "20"),
        ("wait_timeout", format!("{:?}", pool.wait_timeout), "30s"),
        ("connect_timeout", format!("{:?}", pool.connect_timeout), "5s"),
        ("idle_timeout", format!("{:?}", pool.idle_max), "600s"),
        ("max_lifetime", format!("{:?}", pool.lifetime_max), "3600s"),
        ("max_connects", pool.connects_max.to_string(), "8"),
        ("max_prepared_statements", pool.prepared_statements_max.to_string(), "500"),
        ("log_level", config.log.level.clone(), "info"),
        // As PgBouncer calls them, for its exporters.
        ("max_client_conn", server.clients_max.to_string(), "1000"),
        ("default_pool_size", pool.size.to_string(), "20"),
        ("max_user_connections", "0".to_owned(), "0"),
        ("pool_mode", "transaction".to_owned(), "transaction"),
    ]
}
