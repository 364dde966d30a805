//! The definitions that a scratch database needs: schemas, extensions, collations, types and functions, and the
//! settings of the database, but no table and no view. In: a connection to the database that has them, and one to
//! the empty scratch database. Out: the definitions there, and what of them is the same ([`Copied`]).
//!
//! A scratch database is never changed once it is made: other definitions mean another database.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio_postgres::Client;

use super::LoadError;
use crate::sql::quote_identifier;

mod queries;

pub(super) use queries::DEFINITIONS;

/// What a scratch database has of its source.
#[derive(Debug, Default)]
pub struct Copied {
    /// Names of functions all of whose overloads are there.
    pub functions: BTreeSet<String>,
    /// OIDs of its user-defined types, and theirs at the source.
    pub types: Arc<HashMap<u32, u32>>,
    /// Those of its user-defined types whose binary values hold OIDs: arrays and composites.
    pub nested: BTreeSet<u32>,
    /// The source has operators or casts of its own, which could mean something else here.
    pub has_operators: bool,
}

/// The name of the scratch database for these definitions.
pub fn database_name(source: &str, definitions: &str) -> String {
    const SOURCE_BYTES_MAX: usize = 30;
    let mut end = source.len().min(SOURCE_BYTES_MAX);
    while !source.is_char_boundary(end) {
        end -= 1;
    }
    let short = definitions.get(..12).unwrap_or(definitions);
    format!("{}{}", prefix(source.get(..end).unwrap_or_default()), short)
}

fn prefix(source: &str) -> String {
    format!("shardway_scratch_{source}_")
}

/// Makes the empty database, alike in encoding and collation. False: it is there already. Databases that it
/// takes the place of are dropped, unless they are still used.
///
/// # Errors
/// The server's: most often that the login may not create databases.
pub async fn create_database(source: &Client, name: &str) -> Result<bool, tokio_postgres::Error> {
    let known = "SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1";
    if !source.query(known, &[&name]).await?.is_empty() {
        return Ok(false);
    }
    let row = source.query_one(queries::CREATE_OPTIONS, &[]).await?;
    let options: String = row.try_get(0)?;
    source.batch_execute(&format!("CREATE DATABASE {} TEMPLATE template0 {options}", quote_identifier(name))).await?;
    Ok(true)
}

/// Drops scratch databases of other definitions that nobody is connected to. Of one in use PostgreSQL would wait
/// five seconds for its clients to leave, and with it the statement that has made this one.
pub async fn drop_others(source: &Client, source_name: &str, name: &str) {
    let stem = name.len() - name.rsplit('_').next().map_or(0, str::len);
    let stem = name.get(..stem).unwrap_or(source_name);
    let others = "SELECT datname::text FROM pg_catalog.pg_database d
        WHERE pg_catalog.starts_with(datname::text, $1) AND datname <> $2
          AND pg_catalog.length(datname) = pg_catalog.length($2::text)
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a WHERE a.datname = d.datname)";
    let Ok(rows) = source.query(others, &[&stem, &name]).await else { return };
    for row in rows {
        if let Ok(other) = row.try_get::<_, String>(0)
            && let Err(error) =
                source.batch_execute(&format!("DROP DATABASE IF EXISTS {}", quote_identifier(&other))).await
        {
            tracing::debug!(%error, other, "a scratch database of other definitions is kept");
        }
    }
}

/// Copies the definitions into the empty database. What can't be made there is left out: statements that need
/// it are refused.
///
/// # Errors
/// Those of reading the source, or of the connection.
pub async fn copy(source: &Client, target: &Client, target_name: &str) -> Result<(), LoadError> {
    let fail = |what: &'static str| move |source: tokio_postgres::Error| LoadError { what, source: source.into() };
    source.batch_execute("SET search_path TO pg_catalog").await.map_err(fail("definitions"))?;
    target
        .batch_execute(
            "SET search_path TO pg_catalog; SET check_function_bodies = off; SET client_min_messages = error",
        )
        .await
        .map_err(fail("definitions"))?;
    let mut waiting = Vec::new();
    for query in queries::STATEMENTS {
        for row in source.query(*query, &[]).await.map_err(fail("definitions"))? {
            let statement: Option<String> = row.try_get(0).map_err(fail("definitions"))?;
            waiting.extend(statement);
        }
    }
    for row in source.query(queries::SETTINGS, &[]).await.map_err(fail("settings"))? {
        let (role, setting): (Option<String>, String) =
            (row.try_get(0).map_err(fail("settings"))?, row.try_get(1).map_err(fail("settings"))?);
        let name = quote_identifier(target_name);
        waiting.push(match role {
            None => format!("ALTER DATABASE {name} {setting}"),
            Some(role) => format!("ALTER ROLE {role} IN DATABASE {name} {setting}"),
        });
    }
    // In whatever order they need each other: as long as a round makes something, there may be more to make.
    loop {
        let mut failed = Vec::new();
        let before = waiting.len();
        for statement in std::mem::take(&mut waiting) {
            if let Err(error) = target.batch_execute(&statement).await {
                if error.is_closed() {
                    return Err(LoadError { what: "the scratch database", source: error.into() });
                }
                failed.push((statement, error));
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        if failed.len() == before {
            for (statement, error) in failed {
                tracing::debug!(statement, %error, "not copied to the scratch database");
            }
            return Ok(());
        }
        waiting = failed.into_iter().map(|(statement, _)| statement).collect();
    }
}

/// Compares a scratch database with its source.
///
/// # Errors
/// Those of reading either.
pub async fn compare(source: &Client, target: &Client) -> Result<Copied, LoadError> {
    let fail = |what: &'static str| move |source: tokio_postgres::Error| LoadError { what, source: source.into() };
    let mut copied = Copied::default();
    let mut sides = Vec::new();
    for client in [source, target] {
        // Those of the last one count.
        copied.nested.clear();
        let mut functions: HashMap<String, i64> = HashMap::new();
        for row in client.query(queries::FUNCTION_COUNTS, &[]).await.map_err(fail("functions"))? {
            functions.insert(row.try_get(0).map_err(fail("functions"))?, row.try_get(1).map_err(fail("functions"))?);
        }
        let mut types: HashMap<(String, String), u32> = HashMap::new();
        for row in client.query(queries::TYPES, &[]).await.map_err(fail("types"))? {
            let name = (row.try_get(0).map_err(fail("types"))?, row.try_get(1).map_err(fail("types"))?);
            let oid = row.try_get(2).map_err(fail("types"))?;
            if row.try_get(3).map_err(fail("types"))? {
                copied.nested.insert(oid);
            }
            types.insert(name, oid);
        }
        sides.push((functions, types));
    }
    if let [(functions, types), (there, types_there)] = sides.as_slice() {
        copied.functions = functions
            .iter()
            .filter(|(name, count)| there.get(*name) == Some(count))
            .map(|(name, _)| name.clone())
            .collect();
        let pairs = types_there.iter().filter_map(|(name, there)| Some((*there, *types.get(name)?)));
        copied.types = Arc::new(pairs.collect());
    }
    let row = source.query_one(queries::HAS_OPERATORS, &[]).await.map_err(fail("operators"))?;
    copied.has_operators = row.try_get(0).map_err(fail("operators"))?;
    Ok(copied)
}
