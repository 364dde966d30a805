//! Loads the shop through Shardway, as an application would: several connections, one transaction a user. In: a
//! URL. Out: the rows on the shards that own them.

use tokio::task::JoinSet;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use super::progress::Progress;
use super::shop::{self, USERS};
use super::{Error, said};
use crate::devcluster::Cluster;

/// Connections that load side by side.
const CONNECTIONS: u64 = 4;

const INSERT_USER: &str = "INSERT INTO users (id, name, email, country, joined_on) \
                           VALUES ($1, $2, $3, $4, $5::text::date)";

/// A connection whose other half runs as a task.
pub(super) async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error = said(&error), "the demo's connection ended");
        }
    });
    Ok(client)
}

/// Loads everything, reference tables first.
pub(super) async fn load(url: &str, client: &Client, cluster: &Cluster, progress: &Progress) -> Result<(), Error> {
    let step = progress.count("Loading rows through Shardway", USERS);
    for shard in cluster.shards() {
        for insert in shop::reference_inserts() {
            // A reference table has its rows on every shard; until writes to it go to all by themselves, the hint
            // sends each copy to its place.
            let statement = format!("/* shardway: shard={} */ {insert}", shard.name);
            client.batch_execute(&statement).await.map_err(sql("load a reference table"))?;
        }
    }
    let mut loaders = JoinSet::new();
    for first in 1..=CONNECTIONS {
        let client = connect(url).await.map_err(sql("connect"))?;
        let step = step.clone();
        loaders.spawn(async move {
            let insert = client.prepare(INSERT_USER).await.map_err(sql("prepare a statement"))?;
            let mut rows = 0;
            for id in (first..=USERS).step_by(CONNECTIONS as usize) {
                rows += load_user(&client, &insert, id).await.map_err(sql(&format!("load user {id}")))?;
                step.advance(1);
            }
            Ok::<u64, Error>(rows)
        });
    }
    let mut rows = 0;
    while let Some(result) = loaders.join_next().await {
        rows += result.map_err(|source| Error::System { doing: "load rows", source: source.into() })??;
    }
    step.done(&format!(
        "Loaded {rows} rows of {USERS} users, and {} reference rows on each shard",
        shop::REFERENCE_ROWS
    ));
    Ok(())
}

/// One transaction, so one shard: a prepared statement for the user, literals inline for the rest.
async fn load_user(client: &Client, insert: &Statement, id: u64) -> Result<u64, tokio_postgres::Error> {
    let user = shop::user_rows(id);
    let key = i64::try_from(id).expect("there are few users");
    client.batch_execute("BEGIN").await?;
    let parameters: [&(dyn ToSql + Sync); 5] = [&key, &user.name, &user.email, &user.country, &user.joined_on];
    client.execute(insert, &parameters).await?;
    client.batch_execute(&user.orders).await?;
    client.batch_execute(&user.items).await?;
    client.batch_execute("COMMIT").await?;
    Ok(user.rows)
}

fn sql(doing: &str) -> impl FnOnce(tokio_postgres::Error) -> Error {
    let doing = doing.to_owned();
    move |source| Error::Sql { doing, source }
}
