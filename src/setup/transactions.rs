//! What transactions that write several shards need on each of them.

use tokio_postgres::Client;

use crate::transaction::records::{self, Unready};

/// Creates `shardway.txn`; says what else the server lacks.
///
/// # Errors
/// The server's.
pub(super) async fn set_up(client: &Client, logins: &[String]) -> Result<Option<String>, String> {
    records::create(client).await.map_err(|error| records::describe(&error))?;
    records::admit(client, logins).await.map_err(|error| records::describe(&error))?;
    match records::make_ready(client, false).await {
        Ok(()) => Ok(None),
        Err(Unready::Disabled) => Ok(Some(
            "max_prepared_transactions is 0: transactions that write several shards will be refused".to_owned(),
        )),
        Err(error) => Err(error.to_string()),
    }
}
