//! `shardway setup`: creates the schema `shardway` on each shard and records the placement in it. Can be
//! run again at any time: what is recorded isn't changed, and a file that differs is reported.

use std::path::Path;

use crate::catalog::{self, record};
use crate::config::Config;
use crate::pool::connect::connect_control;
use crate::routing::ShardMap;
use crate::session::database::login_of;
use crate::session::planner::{record_differences, record_of};

/// Builds its own runtime. Says on stdout what it did for each shard.
///
/// # Errors
/// A mistake in the file, a server that can't be reached or refuses, or a placement that differs from the
/// recorded one.
pub fn run(path: &Path) -> Result<(), String> {
    let loaded = Config::load(path).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(set_up(&loaded.config))
}

async fn set_up(config: &Config) -> Result<(), String> {
    let users = &config.users;
    let user = users.iter().find(|user| user.admin).or(users.first()).ok_or("the file names no user")?;
    let login = login_of(user);
    for (name, database) in &config.databases {
        for shard in &database.shards {
            let place = format!("database {name}, shard {}", shard.name);
            let fail = |error: &dyn std::fmt::Display| format!("{place}: {error}");
            let (client, connection) = connect_control(&shard.primary, &login).await.map_err(|error| fail(&error))?;
            let catalog = catalog::load(&client).await.map_err(|error| fail(&error))?;
            let map = ShardMap::new(database, &|schema, table, column| catalog.key_type(schema, table, column))
                .map_err(|errors| fail(&errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
            let configured = record_of(&map, &shard.name);
            if let Some(recorded) = record::read(&client).await.map_err(|error| fail(&error))? {
                let differences = record_differences(&recorded, &configured);
                if !differences.is_empty() {
                    return Err(format!("{place}: the file differs from what is recorded: {}", differences.join("; ")));
                }
            }
            record::write(&client, &configured).await.map_err(|error| fail(&error))?;
            drop(client);
            connection.abort();
            println!("{place}: placement of {} tables is recorded", configured.tables.len());
        }
    }
    Ok(())
}
