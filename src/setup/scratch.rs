//! The scratch database, on which SELECTs over several shards are answered that the shards can't answer by themselves.

use crate::catalog;
use crate::config::DatabaseConfig;
use crate::pool::connect::{Login, connect_control};
use crate::session::scratch;

/// Makes it on the home shard's server, unless it is there; says its name. A database with one shard needs none.
///
/// # Errors
/// The server's: the login has to be allowed to create databases.
pub(super) async fn set_up(database: &DatabaseConfig, login: &Login) -> Result<Option<String>, String> {
    if database.shards.len() < 2 {
        return Ok(None);
    }
    let Some(home) = database.shards.get(database.home.index()) else { return Ok(None) };
    let fail = |error: &dyn std::fmt::Display| format!("database {}: scratch database: {error}", database.name);
    let (client, _) = connect_control(&home.primary, login).await.map_err(|error| fail(&error))?;
    let catalog = catalog::load(&client).await.map_err(|error| fail(&error))?;
    let (made, _) =
        scratch::make(&home.primary, login, catalog.definitions(), true).await.map_err(|error| fail(&error))?;
    Ok(Some(format!("scratch database {} is ready", made.database)))
}
