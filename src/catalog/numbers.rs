//! The numbers that a server has given to types and relations: they differ from server to server, and clients know the
//! home shard's. In: rows of its catalogs. Out: a list to be compared with another server's.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::load::{Cells, LoadError, LoadReason, Malformed};
use crate::protocol::numbering::{Kind, Numbered};

/// Types of users' own, arrays left out: they come with their elements' type. Schema, name, OID, the array's OID,
/// typtype, base type of a domain, what a range or a multirange is over, relation, its columns.
pub const QUESTION: &str = r"
SELECT n.nspname, t.typname, t.oid, t.typarray, t.typtype, t.typbasetype,
       COALESCE((SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)), 0),
       t.typrelid,
       ARRAY(SELECT CASE WHEN a.attisdropped THEN '' ELSE a.attname::pg_catalog.text END
             FROM pg_catalog.pg_attribute a
             WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid AND a.attnum > 0 ORDER BY a.attnum)
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE t.oid >= 16384 AND n.nspname <> 'pg_toast' AND n.nspname !~ '^pg_(toast_)?temp_'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)";

/// # Errors
/// The connection's or the server's error.
pub async fn load(client: &Client) -> Result<Vec<Numbered>, LoadError> {
    let fail = |source: LoadReason| LoadError { what: "the numbers of types", source };
    let mut rows = Vec::new();
    for message in client.simple_query(QUESTION).await.map_err(|error| fail(error.into()))? {
        if let SimpleQueryMessage::Row(row) = message {
            rows.push(Cells((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()));
        }
    }
    read(&rows).map_err(|error| fail(error.into()))
}

/// # Errors
/// For rows that aren't an answer to [`QUESTION`].
pub fn read(rows: &[Cells]) -> Result<Vec<Numbered>, Malformed> {
    rows.iter().map(one).collect()
}

fn one(row: &Cells) -> Result<Numbered, Malformed> {
    let (base, bound): (u32, u32) = (row.try_get(5)?, row.try_get(6)?);
    let kind = match row.try_get::<String>(4)?.as_str() {
        "c" => Kind::Row,
        "d" => Kind::Domain(base),
        "r" => Kind::Range(bound),
        "m" => Kind::Multirange(bound),
        _ => Kind::Plain,
    };
    Ok(Numbered {
        schema: row.try_get(0)?,
        name: row.try_get(1)?,
        oid: row.try_get(2)?,
        array_oid: row.try_get(3)?,
        kind,
        relation: row.try_get(7)?,
        columns: row.try_get(8)?,
    })
}
