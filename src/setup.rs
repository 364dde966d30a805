//! `shardway setup`: creates the schema `shardway` on each shard and records the placement in it. Can be
//! run again at any time: what is recorded isn't changed, and a file that differs is reported.

mod scratch;
mod transactions;
pub mod unique;

use std::path::Path;

use crate::catalog::{self, record};
use crate::config::{Config, DatabaseConfig, ShardConfig};
use crate::planning::{record_differences, record_of};
use crate::pool::connect::{Login, connect_control};
use crate::routing::ShardMap;
use crate::session::database::{control_user, login_of};

/// Builds its own runtime. Says on stdout what it did for each shard.
///
/// # Errors
/// A mistake in the file, a server that can't be reached or refuses, or a placement that differs from the
/// recorded one.
pub fn run(path: &Path) -> Result<(), String> {
    let loaded = Config::load(path).map_err(|error| error.to_string())?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(set_up(&loaded.config))
}

/// A shard's primary, and what it is to remember.
struct Prepared {
    place: String,
    client: tokio_postgres::Client,
    configured: record::Record,
    /// Who the functions there are to serve.
    logins: Vec<String>,
}

async fn set_up(config: &Config) -> Result<(), String> {
    // Nothing is written before every server was found to agree.
    let mut prepared = Vec::new();
    for (name, database) in &config.databases {
        let user = control_user(config, name).ok_or_else(|| format!("no user may use database {name}"))?;
        let login = login_of(user);
        for shard in &database.shards {
            let place = format!("database {name}, shard {}", shard.name);
            let may_use =
                |user: &&crate::config::UserConfig| user.databases.is_empty() || user.databases.contains(name);
            let logins = config.users.iter().filter(may_use).map(|user| login_of(user).user).collect();
            prepared.push(Prepared { logins, ..prepare(place, database, shard, &login).await? });
        }
    }
    for Prepared { place, client, configured, logins } in prepared {
        record::write(&client, &configured).await.map_err(|error| format!("{place}: {error}"))?;
        // One entry is for the unsharded tables.
        println!("{place}: placement of {} tables is recorded", configured.tables.len() - 1);
        if let Some(lacks) =
            transactions::set_up(&client, &logins).await.map_err(|error| format!("{place}: {error}"))?
        {
            println!("{place}: {lacks}");
        }
    }
    for (name, database) in &config.databases {
        let user = control_user(config, name).ok_or_else(|| format!("no user may use database {name}"))?;
        if let Some(made) = scratch::set_up(database, &login_of(user)).await? {
            println!("database {name}: {made}");
        }
    }
    Ok(())
}

async fn prepare(
    place: String,
    database: &DatabaseConfig,
    shard: &ShardConfig,
    login: &Login,
) -> Result<Prepared, String> {
    let fail = |error: &dyn std::fmt::Display| format!("{place}: {error}");
    // The connection's task ends with its client.
    let (client, _) = connect_control(&shard.primary, login).await.map_err(|error| fail(&error))?;
    let catalog = catalog::load(&client).await.map_err(|error| fail(&error))?;
    let map = ShardMap::new(database, &|schema, table, column| catalog.key_type(schema, table, column))
        .map_err(|errors| fail(&errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    let configured = record_of(&map, &shard.name);
    if let Some(recorded) = record::read(&client).await.map_err(|error| fail(&error))? {
        let differences = record_differences(&recorded, &configured, Some(&catalog));
        if !differences.is_empty() {
            return Err(format!("{place}: the file differs from what is recorded: {}", differences.join("; ")));
        }
    }
    Ok(Prepared { place, client, configured, logins: Vec::new() })
}
