//! Asks the servers. In: a configuration. Out: facts, or for each node the reason why there are none.

use std::collections::BTreeMap;

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::Client;

use crate::catalog::record::{self, Record};
use crate::catalog::{Catalog, Cells, LoadReason, load};
use crate::config::{Config, DatabaseConfig, NodeConfig, UserConfig};
use crate::pool::connect::{ConnectError, Login, connect_control};
use crate::session::database::login_of;
use crate::types::ShardId;
use crate::types::limits::CHECK_NODE_TIMEOUT;

/// What one server says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct NodeFacts {
    /// As in 150018.
    pub(super) version: i32,
    pub(super) is_in_recovery: bool,
    /// `None`: the user may not call pg_control_system().
    pub(super) system_identifier: Option<i64>,
    /// With the identifier it tells one server under two names from two servers made as copies.
    pub(super) started_at: String,
    pub(super) is_read_only: bool,
    pub(super) prepared_transactions_max: i32,
    pub(super) encoding: String,
    /// Of the database: LC_COLLATE, LC_CTYPE, provider and ICU locale.
    pub(super) locale: String,
    /// Collation, `database` for the database's own, to the version that the system has now. Only those
    /// of columns, and only where there is a version.
    pub(super) collation_versions: BTreeMap<String, String>,
    /// Those whose version isn't the one they were created with.
    pub(super) stale_collations: Vec<String>,
    /// What a new session starts with, as far as it changes answers.
    pub(super) settings: BTreeMap<String, String>,
}

/// What a primary has.
#[derive(Clone, Debug)]
pub(super) struct Contents {
    pub(super) catalog: Catalog,
    /// `type public.mood`, `function public.f(integer)`, ... to a text that differs when they differ.
    pub(super) definitions: BTreeMap<String, String>,
    /// The placement as the server remembers it; `None` before `shardway setup`.
    pub(super) recorded: Option<Record>,
}

pub(super) struct NodeAnswer {
    pub(super) node: NodeConfig,
    pub(super) facts: Result<(NodeFacts, Option<Contents>), String>,
    /// User and why the login failed, for all but the user who asked.
    pub(super) failed_logins: Vec<(String, String)>,
}

pub(super) struct DatabaseAnswer {
    /// Who asked; `None`: nobody may use the database.
    pub(super) user: Option<String>,
    /// By shard: the primary, then its replicas.
    pub(super) shards: Vec<Vec<NodeAnswer>>,
}

/// Primaries that answered, the home shard's first.
pub(super) struct Catalogs<'f> {
    /// At least one.
    pub(super) all: Vec<(ShardId, &'f Contents)>,
}

impl DatabaseAnswer {
    /// `None` when the home shard is not known: nothing can be compared with it.
    pub(super) fn catalogs(&self, database: &DatabaseConfig) -> Option<Catalogs<'_>> {
        let mut all = Vec::new();
        for (number, nodes) in (0..).zip(&self.shards) {
            let contents = nodes.first().and_then(|primary| primary.facts.as_ref().ok()?.1.as_ref());
            all.extend(contents.map(|contents| (ShardId::new(number), contents)));
        }
        let home = all.iter().position(|(shard, _)| *shard == database.home)?;
        all.swap(0, home);
        all[1..].sort_by_key(|(shard, _)| *shard);
        Some(Catalogs { all })
    }
}

/// The first user of the file who may use the database asks; the others only log in.
pub(super) async fn database(config: &Config, database: &DatabaseConfig) -> DatabaseAnswer {
    let may_use = |user: &&UserConfig| {
        user.logs_in_alone() && (user.databases.is_empty() || user.databases.contains(&database.name))
    };
    let mut logins: Vec<(String, Login)> = Vec::new();
    for user in config.users.iter().filter(may_use) {
        let login = login_of(user);
        if !logins.iter().any(|(_, known)| *known == login) {
            logins.push((user.name.clone(), login));
        }
    }
    let mut tasks = JoinSet::new();
    for (shard, config) in database.shards.iter().enumerate() {
        let nodes = std::iter::once(&config.primary).chain(&config.replicas);
        for (position, node) in nodes.cloned().enumerate() {
            let logins = logins.clone();
            tasks.spawn(async move { (shard, position, ask_node(node, &logins, position == 0).await) });
        }
    }
    let mut answers = tasks.join_all().await;
    answers.sort_by_key(|(shard, position, _)| (*shard, *position));
    let mut shards: Vec<Vec<NodeAnswer>> = database.shards.iter().map(|_| Vec::new()).collect();
    for (shard, _, answer) in answers {
        shards.get_mut(shard).expect("it was numbered from the same list").push(answer);
    }
    DatabaseAnswer { user: logins.first().map(|(name, _)| name.clone()), shards }
}

/// The home shard's answers to [`crate::catalog::question`].
pub(super) async fn home_catalog(config: &Config, database: &DatabaseConfig) -> Result<Vec<Vec<Cells>>, String> {
    let may_use = |user: &&UserConfig| {
        user.logs_in_alone() && (user.databases.is_empty() || user.databases.contains(&database.name))
    };
    let user = config.users.iter().find(may_use);
    let user = user.ok_or_else(|| format!("no user of the file may use database \"{}\"", database.name))?;
    let home = database.shards.get(database.home.index()).ok_or("the home shard is not in the file")?;
    let node = &home.primary;
    let failed =
        |error: &dyn std::fmt::Display| format!("shard {}, primary {}:{}: {error}", home.name, node.host, node.port);
    let (client, connection) = connect_control(node, &login_of(user)).await.map_err(|error| failed(&error))?;
    let answers = crate::catalog::ask(&client).await.map_err(|error| match &error.source {
        LoadReason::Server(error) => failed(&describe(error)),
        LoadReason::Malformed(error) => failed(error),
    });
    connection.abort();
    answers
}

async fn ask_node(node: NodeConfig, logins: &[(String, Login)], is_primary: bool) -> NodeAnswer {
    let Some(((_, first), others)) = logins.split_first() else {
        return NodeAnswer { node, facts: Err("no user may use this database".to_owned()), failed_logins: Vec::new() };
    };
    let facts = match timeout(CHECK_NODE_TIMEOUT, ask_as(&node, first, is_primary)).await {
        Ok(facts) => facts,
        Err(_) => Err(format!("no answer within {} s", CHECK_NODE_TIMEOUT.as_secs())),
    };
    let mut failed_logins = Vec::new();
    if facts.is_ok() {
        for (name, login) in others {
            if let Err(error) = connect_control(&node, login).await {
                failed_logins.push((name.clone(), error.to_string()));
            }
        }
    }
    NodeAnswer { node, facts, failed_logins }
}

async fn ask_as(node: &NodeConfig, login: &Login, is_primary: bool) -> Result<(NodeFacts, Option<Contents>), String> {
    let (client, connection) = connect_control(node, login).await.map_err(|error: ConnectError| error.to_string())?;
    let answer = async {
        let facts = facts(&client).await.map_err(|error| describe(&error))?;
        if !is_primary {
            return Ok((facts, None));
        }
        let catalog = load(&client).await.map_err(|error| match &error.source {
            LoadReason::Server(error) => describe(error),
            LoadReason::Malformed(error) => error.to_string(),
        })?;
        let definitions = pairs(&client, DEFINITIONS).await.map_err(|error| describe(&error))?;
        let recorded = record::read(&client).await.map_err(|error| describe(&error))?;
        Ok((facts, Some(Contents { catalog, definitions, recorded })))
    }
    .await;
    connection.abort();
    answer
}

/// tokio-postgres's Display says only "db error".
fn describe(error: &tokio_postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), |error| format!("{} ({})", error.message(), error.code().code()))
}

const NODE: &str = r"
SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4, pg_catalog.pg_is_in_recovery(),
       EXTRACT(epoch FROM pg_catalog.pg_postmaster_start_time())::pg_catalog.text,
       pg_catalog.current_setting('default_transaction_read_only')::pg_catalog.bool,
       pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int4,
       pg_catalog.current_setting('server_encoding'),
       pg_catalog.concat_ws(' ', d.datcollate, d.datctype, pg_catalog.to_jsonb(d) ->> 'datlocprovider',
           COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale')),
       pg_catalog.to_jsonb(d) ->> 'datcollversion'
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";

const IDENTIFIER: &str = "SELECT system_identifier FROM pg_catalog.pg_control_system()";

/// PostgreSQL 15 and newer.
const DATABASE_COLLATION: &str = r"
SELECT pg_catalog.pg_database_collation_actual_version(d.oid)
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";

/// PostgreSQL 14: the version of a collation of the same locale.
const DATABASE_COLLATION_14: &str = r"
SELECT pg_catalog.max(pg_catalog.pg_collation_actual_version(c.oid))
FROM pg_catalog.pg_database d
JOIN pg_catalog.pg_collation c ON c.collprovider = 'c' AND c.collcollate = d.datcollate
WHERE d.datname = pg_catalog.current_database()";

const COLLATIONS: &str = r"
SELECT DISTINCT n.nspname::text || '.' || c.collname::text, pg_catalog.pg_collation_actual_version(c.oid), c.collversion
FROM pg_catalog.pg_collation c
JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
JOIN pg_catalog.pg_attribute a ON a.attcollation = c.oid AND NOT a.attisdropped
JOIN pg_catalog.pg_class r ON r.oid = a.attrelid
JOIN pg_catalog.pg_namespace s ON s.oid = r.relnamespace AND s.nspname NOT IN ('pg_catalog', 'information_schema')
WHERE c.collname <> 'default'";

/// What a new session starts with, as far as it changes what statements mean or how values look.
const SETTINGS: &str = r"
SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN (
    'TimeZone', 'DateStyle', 'IntervalStyle', 'bytea_output', 'extra_float_digits', 'standard_conforming_strings',
    'lc_monetary', 'lc_numeric', 'lc_time', 'search_path', 'default_transaction_isolation', 'xmlbinary', 'xmloption',
    'default_text_search_config', 'array_nulls', 'transform_null_equals', 'backslash_quote', 'row_security',
    'timezone_abbreviations', 'quote_all_identifiers')";

const DEFINITIONS: &str = r"
SELECT 'type ' || n.nspname || '.' || t.typname, CASE t.typtype
       WHEN 'e' THEN (SELECT pg_catalog.string_agg(e.enumlabel::text, ', ' ORDER BY e.enumsortorder)
                      FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid)
       WHEN 'c' THEN (SELECT pg_catalog.string_agg(a.attname || ' ' ||
                             pg_catalog.format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
                      FROM pg_catalog.pg_attribute a
                      WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
       ELSE pg_catalog.concat_ws(' ', pg_catalog.format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault,
                (SELECT pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname)
                 FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid)) END
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'shardway')
  AND (t.typtype IN ('e', 'd') OR t.typtype = 'c' AND c.relkind = 'c')
UNION ALL
SELECT 'function ' || n.nspname || '.' || p.proname || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')',
       CASE WHEN p.prokind = 'a' THEN pg_catalog.format_type(p.prorettype, NULL)
            ELSE pg_catalog.md5(pg_catalog.pg_get_functiondef(p.oid)) END
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'shardway')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'extension ' || e.extname, e.extversion FROM pg_catalog.pg_extension e";

async fn facts(client: &Client) -> Result<NodeFacts, tokio_postgres::Error> {
    let row = client.query_one(NODE, &[]).await?;
    let version: i32 = row.try_get(0)?;
    let mut collation_versions = BTreeMap::new();
    let mut stale_collations = Vec::new();
    let mut collation = |name: String, actual: Option<String>, recorded: Option<String>| {
        if let Some(actual) = actual {
            if recorded.is_some_and(|recorded| recorded != actual) {
                stale_collations.push(name.clone());
            }
            collation_versions.insert(name, actual);
        }
    };
    let of_database = if version >= 150_000 { DATABASE_COLLATION } else { DATABASE_COLLATION_14 };
    let actual = client.query_one(of_database, &[]).await?.try_get(0)?;
    collation("database".to_owned(), actual, row.try_get(7)?);
    for row in client.query(COLLATIONS, &[]).await? {
        collation(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    }
    // The right to call it may have been taken from the user; then replicas can't be told for certain.
    let system_identifier = client.query_one(IDENTIFIER, &[]).await.ok().and_then(|row| row.try_get(0).ok());
    Ok(NodeFacts {
        version,
        is_in_recovery: row.try_get(1)?,
        system_identifier,
        started_at: row.try_get(2)?,
        is_read_only: row.try_get(3)?,
        prepared_transactions_max: row.try_get(4)?,
        encoding: row.try_get(5)?,
        locale: row.try_get(6)?,
        collation_versions,
        stale_collations,
        settings: pairs(client, SETTINGS).await?,
    })
}

async fn pairs(client: &Client, sql: &str) -> Result<BTreeMap<String, String>, tokio_postgres::Error> {
    let mut pairs = BTreeMap::new();
    for row in client.query(sql, &[]).await? {
        pairs.insert(row.try_get(0)?, row.try_get::<_, Option<String>>(1)?.unwrap_or_default());
    }
    Ok(pairs)
}
