//! Asks a server what it has. In: its URL. Out: [`Facts`]. All of it in one transaction that is READ ONLY.

use std::collections::HashMap;
use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::catalog::{self, Catalog, Cells, QualifiedName};
use crate::config::{Config, Secret};
use crate::pool::connect::{Login, connect_control};
use crate::sql::{LexOptions, TokenKind, Tokens};
use crate::survey::Sent;

/// What one PostgreSQL is.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// As a configuration may name it: without user and password.
    pub(super) url: String,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) search_path: Vec<String>,
    pub(super) catalog: Catalog,
    pub(super) sizes: HashMap<QualifiedName, Size>,
    /// From pg_stat_statements, then from the log.
    pub(super) statements: Vec<Sent>,
    pub(super) has_statistics: bool,
}

#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Size {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) writes: u64,
}

/// Longer than reading the catalogs of thousands of tables takes.
const ASKED_WITHIN: Duration = Duration::from_secs(120);

/// Table, rows as last counted, bytes with indexes, rows written since statistics were reset. Partitions count for
/// their parents.
const SIZES: &str = "
    SELECT n.nspname::text, c.relname::text,
           coalesce(sum(CASE WHEN p.reltuples > 0 THEN p.reltuples ELSE s.n_live_tup END), 0)::bigint::text,
           coalesce(sum(pg_catalog.pg_total_relation_size(p.oid)), 0)::bigint::text,
           coalesce(sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del), 0)::bigint::text
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (
        SELECT q.oid, q.reltuples::bigint AS reltuples FROM pg_catalog.pg_class q WHERE q.oid = c.oid
        UNION ALL
        SELECT q.oid, q.reltuples::bigint FROM pg_catalog.pg_partition_tree(c.oid) t
        JOIN pg_catalog.pg_class q ON q.oid = t.relid WHERE c.relkind = 'p' AND q.oid <> c.oid
    ) p
    LEFT JOIN pg_catalog.pg_stat_user_tables s ON s.relid = p.oid
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    GROUP BY 1, 2";

/// Where the view is, for who may read it.
const STATISTICS: &str = "
    SELECT pg_catalog.quote_ident(n.nspname) || '.pg_stat_statements'
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_stat_statements' AND pg_catalog.current_setting('shared_preload_libraries') ~ 'pg_stat_statements'";

/// Asks for everything.
///
/// # Errors
/// A URL that isn't one, or what the server says.
pub(super) async fn ask(url: &str) -> Result<Facts, String> {
    let (user, password, bare) = divide(url)?;
    // The configuration's own reader of URLs: what it takes here it takes in the file that is written.
    let text = format!("[[user]]\nname = \"x\"\npassword = \"x\"\n[database.x.shard.a]\nprimary = {bare:?}\n");
    let config = Config::from_toml(&text, &|_| None).map_err(|mistakes| {
        let first = mistakes.mistakes.first();
        first.map_or_else(
            || "this URL can't be used".to_owned(),
            |mistake| format!("{}; {}", mistake.what, mistake.remedy),
        )
    })?;
    let database = config.config.database_named(None)?;
    let node = &database.shards.first().ok_or("the URL names no server")?.primary;
    if bare.trim_end_matches('/').matches('/').count() < 3 {
        return Err("the URL names no database: write postgres://user:password@host:5432/database".to_owned());
    }
    let login = Login::with_password(user.clone(), password.map(Secret::new));
    let (client, connection) =
        connect_control(node, &login).await.map_err(|error| format!("{}:{}: {error}", node.host, node.port))?;
    let asked = tokio::time::timeout(ASKED_WITHIN, everything(&client)).await;
    connection.abort();
    let mut facts = asked.map_err(|_| format!("no answer within {} s", ASKED_WITHIN.as_secs()))??;
    (facts.url, facts.user, facts.database) = (bare, user, node.database.clone());
    Ok(facts)
}

async fn everything(client: &Client) -> Result<Facts, String> {
    rows(client, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    let catalog = catalog::ask(client).await.map_err(|error| error.to_string())?;
    let catalog = catalog::read(catalog).map_err(|error| error.to_string())?;
    let search_path = rows(client, "SELECT pg_catalog.unnest(pg_catalog.current_schemas(false))::text").await?;
    let mut sizes = HashMap::new();
    for row in rows(client, SIZES).await? {
        let name = QualifiedName::new(text(&row, 0), text(&row, 1));
        sizes.insert(name, Size { rows: number(&row, 2), bytes: number(&row, 3), writes: number(&row, 4) });
    }
    let mut statements = Vec::new();
    let view = rows(client, STATISTICS).await?.first().map(|row| text(row, 0));
    if let Some(view) = &view {
        let query = format!(
            "SELECT query, sum(calls)::text FROM {view} s
             WHERE s.dbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
               AND query IS NOT NULL AND query <> '<insufficient privilege>'
             GROUP BY query ORDER BY sum(calls) DESC LIMIT 5000"
        );
        let sent = rows(client, &query).await?;
        statements.extend(sent.iter().filter(|row| matters(&text(row, 0))).map(|row| Sent {
            sql: text(row, 0),
            line: 0,
            parameters: None,
            calls: number(row, 1),
        }));
    }
    rows(client, "ROLLBACK").await?;
    let search_path = search_path.iter().map(|row| text(row, 0)).collect();
    let (url, user, database) = (String::new(), String::new(), String::new());
    Ok(Facts { url, user, database, search_path, catalog, sizes, statements, has_statistics: view.is_some() })
}

/// If a statement says something of the application: it isn't a tool's (this one's included), and neither a definition
/// nor maintenance, which come once.
pub(super) fn matters(sql: &str) -> bool {
    const WORDS: [&str; 9] = ["select", "insert", "update", "delete", "merge", "with", "values", "table", "copy"];
    let options = LexOptions { standard_conforming_strings: true };
    let mut words = Tokens::new(sql.as_bytes(), &options).filter(|token| token.kind == TokenKind::Word);
    let first = words.next().and_then(|token| sql.get(token.span)).unwrap_or_default();
    let is_ordinary = WORDS.iter().any(|word| first.eq_ignore_ascii_case(word));
    is_ordinary && !sql.contains("pg_catalog.") && !sql.contains("pg_stat_statements")
}

async fn rows(client: &Client, sql: &str) -> Result<Vec<Cells>, String> {
    let said = |error: tokio_postgres::Error| match error.as_db_error() {
        Some(error) => format!("{} ({})", error.message(), error.code().code()),
        None => error.to_string(),
    };
    let messages = client.simple_query(sql).await.map_err(said)?;
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => Some(Cells((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())),
        _ => None,
    };
    Ok(messages.into_iter().filter_map(row).collect())
}

fn text(row: &Cells, at: usize) -> String {
    row.0.get(at).cloned().flatten().unwrap_or_default()
}

fn number(row: &Cells, at: usize) -> u64 {
    text(row, at).parse().unwrap_or(0)
}

/// User, password, and the URL without them.
fn divide(url: &str) -> Result<(String, Option<String>, String), String> {
    let wanted = "write --url postgres://user:password@host:5432/database";
    let (scheme, rest) = url.split_once("://").ok_or(wanted)?;
    let (authority, path) = match rest.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, rest),
    };
    let (user, password) = match authority.map(|authority| authority.split_once(':').unwrap_or((authority, ""))) {
        Some((user, password)) => (decode(user)?, decode(password)?),
        None => (std::env::var("PGUSER").or_else(|_| std::env::var("USER")).map_err(|_| wanted)?, String::new()),
    };
    let password = Some(password).filter(|password| !password.is_empty()).or_else(|| std::env::var("PGPASSWORD").ok());
    Ok((user, password, format!("{scheme}://{path}")))
}

fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap_or_default(), rest.next().unwrap_or_default()];
            let digits = std::str::from_utf8(&digits).unwrap_or_default().to_owned();
            bytes.push(u8::from_str_radix(&digits, 16).map_err(|_| "the URL has a % without two digits behind it")?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| "the URL is not UTF-8".to_owned())
}
