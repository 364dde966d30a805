//! `shardway unique`: claims for the rows that a table has already (`backfill`), and whether claims and rows agree
//! (`verify`). In: the configuration. Out: lines on stdout, and what is wrong.
//!
//! Both run while the table is in use. Backfill first has every change leave a note, so that clients write the claims of
//! what they change from then on; then each row of a snapshot is locked for a moment, if it is still as it was, and
//! claimed. Writers that don't come through a Shardway with this configuration leave no notes.

mod compare;
mod fill;

use std::path::PathBuf;

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::config::{Config, DatabaseConfig};
use crate::pool::connect::connect_control;
use crate::routing::{ShardMap, Unique};
use crate::session::database::{control_user, login_of};
use crate::sql::quote_identifier;
use crate::transaction::records::describe;
use crate::types::{KeyType, ShardId};

#[derive(clap::Subcommand, Debug)]
pub enum UniqueVerb {
    /// Claim the values of rows that are there already, while the table is in use.
    Backfill(UniqueOptions),
    /// Compare the claims with the rows, and say where they differ.
    Verify(UniqueOptions),
}

#[derive(clap::Args, Debug)]
pub struct UniqueOptions {
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// The database of the configuration; needed if it has several.
    #[arg(long, short)]
    database: Option<String>,
    /// Only this table, as the file names it.
    #[arg(long, short)]
    table: Option<String>,
}

/// Builds its own runtime.
///
/// # Errors
/// A mistake in the file, a server's error, or what was found wrong.
pub fn run(verb: &UniqueVerb) -> Result<(), String> {
    let (UniqueVerb::Backfill(options) | UniqueVerb::Verify(options)) = verb;
    let loaded = Config::load(&options.config).map_err(|error| error.to_string())?;
    let database = loaded.config.database_named(options.database.as_deref())?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let place = Place::reach(&loaded.config, database).await?;
        let named = |unique: &Unique| {
            options.table.as_ref().is_none_or(|table| {
                *table == unique.table && unique.schema == "public"
                    || *table == format!("{}.{}", unique.schema, unique.table)
            })
        };
        let uniques: Vec<_> = place.map.uniques().iter().filter(|unique| named(unique)).cloned().collect();
        if uniques.is_empty() {
            return Err("no such table of the file says what is to be unique: unique = [\"COLUMN\"]".to_owned());
        }
        let mut wrong = Vec::new();
        for unique in &uniques {
            wrong.extend(match verb {
                UniqueVerb::Backfill(_) => fill::fill(&place, unique).await?,
                UniqueVerb::Verify(_) => compare::compare(&place, unique).await?,
            });
        }
        for line in &wrong {
            println!("{line}");
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("{} found wrong", wrong.len())) }
    })
}

/// The servers of a database, and where rows and claims belong.
struct Place<'c> {
    config: &'c Config,
    database: &'c DatabaseConfig,
    map: ShardMap,
    catalog: crate::catalog::Catalog,
    /// By shard.
    clients: Vec<Client>,
    /// The roles as which Shardway logs in.
    logins: Vec<String>,
}

impl<'c> Place<'c> {
    async fn reach(config: &'c Config, database: &'c DatabaseConfig) -> Result<Self, String> {
        let mut clients = Vec::new();
        for shard in 0..database.shards.len() {
            clients.push(connect(config, database, shard).await?);
        }
        let home = clients.get(database.home.index()).ok_or("the home shard is not in the file")?;
        let catalog = crate::catalog::load(home).await.map_err(|error| error.to_string())?;
        let map = ShardMap::new(database, &|schema, table, column| catalog.key_type(schema, table, column))
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let may_use =
            |user: &&crate::config::UserConfig| user.databases.is_empty() || user.databases.contains(&database.name);
        let logins = config.users.iter().filter(may_use).map(|user| login_of(user).user).collect();
        Ok(Self { config, database, map, catalog, clients, logins })
    }

    /// One more connection.
    async fn another(&self, shard: usize) -> Result<Client, String> {
        connect(self.config, self.database, shard).await
    }

    fn types(&self, unique: &Unique) -> Result<Vec<KeyType>, String> {
        let kind = |column: &String| {
            let kind = self.catalog.key_type(&unique.schema, &unique.table, column);
            kind.ok_or_else(|| format!("{}: values of column {column} can't be claimed", unique.describe()))
        };
        unique.columns.iter().map(kind).collect()
    }

    /// Where the claim of these values is.
    fn shard_of(&self, types: &[KeyType], values: &[String]) -> Result<ShardId, String> {
        let (Some(kind), Some(text)) = (types.first(), values.first()) else { return Err("no columns".to_owned()) };
        let value = crate::routing::key::from_text(*kind, text).map_err(|error| format!("{text}: {error}"))?;
        self.map.shard_of_claim(&value).map_err(|error| format!("{text}: {error}"))
    }

    fn shard_name(&self, shard: usize) -> &str {
        self.database.shards.get(shard).map_or("?", |shard| shard.name.as_str())
    }
}

async fn connect(config: &Config, database: &DatabaseConfig, shard: usize) -> Result<Client, String> {
    let user = control_user(config, &database.name);
    let user = user.ok_or_else(|| format!("no user may use database {}", database.name))?;
    let shard = database.shards.get(shard).ok_or("there is no such shard")?;
    let connected = connect_control(&shard.primary, &login_of(user)).await;
    connected.map(|(client, _)| client).map_err(|error| format!("shard {}: {error}", shard.name))
}

/// A row or a claim: its values, then the shard key.
type Entry = (Vec<String>, String);

async fn entries(client: &Client, sql: &str) -> Result<Vec<Entry>, tokio_postgres::Error> {
    let mut found = Vec::new();
    for message in client.simple_query(sql).await? {
        if let SimpleQueryMessage::Row(row) = message {
            let mut cells: Vec<String> = (0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect();
            let key = cells.pop().unwrap_or_default();
            found.push((cells, key));
        }
    }
    Ok(found)
}

async fn execute(client: &Client, sql: &str) -> Result<(), String> {
    client.batch_execute(sql).await.map_err(|error| describe(&error))
}

/// `"a"::text, "b"::text, "id"::text`, and that none of the columns is NULL.
fn selected(unique: &Unique) -> (String, String) {
    let columns = unique.columns.iter().chain([&unique.key]);
    let list: Vec<String> = columns.map(|column| format!("{}::text", quote_identifier(column))).collect();
    let whole: Vec<String> =
        unique.columns.iter().map(|column| format!("{} IS NOT NULL", quote_identifier(column))).collect();
    (list.join(", "), whole.join(" AND "))
}

/// As lines show it.
fn shown(unique: &Unique, values: &[String]) -> String {
    format!("{} = ({})", unique.describe(), values.join(", "))
}
