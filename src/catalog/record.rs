//! What the servers remember of the placement: a proxy whose file would put rows elsewhere finds out
//! before it serves any. In: a connection to a shard's primary. Out: the record, or what differs.
//! Doesn't know of pools or sessions.

use std::collections::BTreeMap;

use tokio_postgres::Client;

/// The record on one shard: its own name, and each configured table's placement in words.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Record {
    pub shard: Option<String>,
    /// `schema.table` to what `ShardMap::describe_placement` says; [`UNSHARDED`] to the home shard.
    pub tables: BTreeMap<String, String>,
}

/// The entry among the tables that says where those live that the file doesn't name. No table's name is
/// without a schema.
pub const UNSHARDED: &str = "*";

impl Record {
    /// If writing `other` would add nothing.
    pub fn has_all_of(&self, other: &Self) -> bool {
        self.shard.is_some() && other.tables.keys().all(|table| self.tables.contains_key(table))
    }
}

const CREATE: &str = "
CREATE SCHEMA IF NOT EXISTS shardway;
CREATE TABLE IF NOT EXISTS shardway.placement (
    kind text NOT NULL CHECK (kind IN ('shard', 'table')),
    name text NOT NULL,
    description text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (kind, name)
);
GRANT USAGE ON SCHEMA shardway TO PUBLIC;
GRANT SELECT ON shardway.placement TO PUBLIC;
";

/// `None` while nothing was recorded and there is no empty schema `shardway` that asks for it: one that has
/// other things in it was made for those.
///
/// # Errors
/// The server's or the connection's.
pub async fn read(client: &Client) -> Result<Option<Record>, tokio_postgres::Error> {
    let known = "SELECT pg_catalog.to_regclass('shardway.placement') IS NOT NULL,
        pg_catalog.to_regnamespace('shardway') IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_class
            WHERE relnamespace = pg_catalog.to_regnamespace('shardway')::pg_catalog.oid)";
    let row = client.query_one(known, &[]).await?;
    let (has_table, is_empty): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    if !has_table {
        return Ok(is_empty.then(Record::default));
    }
    let mut record = Record::default();
    for row in client.query("SELECT kind, name, description FROM shardway.placement", &[]).await? {
        let (kind, name, description): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if kind == "shard" {
            record.shard = Some(name);
        } else {
            record.tables.insert(name, description);
        }
    }
    Ok(Some(record))
}

/// Creates the schema where it is missing, and records what isn't recorded yet; changes nothing that is.
///
/// # Errors
/// The server's, as when the role may not create a schema; or the connection's.
pub async fn write(client: &Client, record: &Record) -> Result<(), tokio_postgres::Error> {
    if read(client).await?.is_none_or(|known| known.shard.is_none()) {
        client.batch_execute(CREATE).await?;
    }
    let insert = "INSERT INTO shardway.placement (kind, name, description) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    if let Some(shard) = &record.shard {
        client.execute(insert, &[&"shard", shard, &"this server's shard"]).await?;
    }
    for (name, description) in &record.tables {
        client.execute(insert, &[&"table", name, description]).await?;
    }
    Ok(())
}
