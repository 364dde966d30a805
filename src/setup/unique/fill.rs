//! Claims for rows that are there. In: the servers. Out: values that several rows have.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{Entry, Place, entries, execute, selected, shown};
use crate::routing::Unique;
use crate::session::uniques;
use crate::sql::quote_identifier;
use crate::transaction::claims::{self, array};
use crate::transaction::records::describe;
use crate::types::limits::{BACKFILL_RETRIES_MAX, BACKFILL_RETRY, BACKFILL_ROWS};

/// # Errors
/// A server's.
pub(super) async fn fill(place: &Place<'_>, unique: &Unique) -> Result<Vec<String>, String> {
    let state = uniques::look(&place.clients, unique).await.map_err(|error| error.to_string())?;
    if state.complete {
        // New logins may have come.
        for client in &place.clients {
            claims::create(client, unique, &place.logins).await.map_err(|error| error.to_string())?;
        }
        println!("{}: every value has its claim already", unique.describe());
        return Ok(Vec::new());
    }
    attach(place, unique).await?;
    let mut duplicates = Vec::new();
    let mut rows = 0;
    for shard in 0..place.clients.len() {
        rows += fill_from(place, unique, shard, &mut duplicates).await?;
    }
    if duplicates.is_empty() {
        for client in &place.clients {
            claims::complete(client, unique).await.map_err(|error| error.to_string())?;
        }
        println!("{}: {rows} rows are claimed, and it is kept unique over all shards", unique.describe());
    }
    Ok(duplicates)
}

/// Waits for those who write the table, and lets others go first.
async fn attach(place: &Place<'_>, unique: &Unique) -> Result<(), String> {
    let mut tries = 0;
    loop {
        match uniques::attach(&place.clients, unique, &place.logins).await {
            Ok(()) => return Ok(()),
            Err(error) if tries >= BACKFILL_RETRIES_MAX || !error.to_string().contains("55P03") => {
                return Err(format!("{}: {error}", unique.describe()));
            }
            Err(_) => tries += 1,
        }
        crate::net::timer::sleep(BACKFILL_RETRY).await;
    }
}

async fn fill_from(
    place: &Place<'_>,
    unique: &Unique,
    shard: usize,
    duplicates: &mut Vec<String>,
) -> Result<usize, String> {
    let snapshot = place.another(shard).await?;
    let (list, whole) = selected(unique);
    let table = format!("{}.{}", quote_identifier(&unique.schema), quote_identifier(&unique.table));
    execute(
        &snapshot,
        &format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
             DECLARE shardway_rows NO SCROLL CURSOR FOR SELECT {list} FROM {table} WHERE {whole}"
        ),
    )
    .await?;
    let mut rows = 0;
    loop {
        let fetch = format!("FETCH {BACKFILL_ROWS} FROM shardway_rows");
        let batch = entries(&snapshot, &fetch).await.map_err(|error| describe(&error))?;
        if batch.is_empty() {
            return Ok(rows);
        }
        rows += batch.len();
        claim(place, unique, shard, &batch, duplicates).await?;
    }
}

/// Claims the rows of a batch that are still as they were.
async fn claim(
    place: &Place<'_>,
    unique: &Unique,
    shard: usize,
    batch: &[Entry],
    duplicates: &mut Vec<String>,
) -> Result<(), String> {
    let mut tries = 0;
    loop {
        let client = place.clients.get(shard).ok_or("there is no such shard")?;
        match try_claim(place, unique, client, batch).await {
            Ok(found) => {
                duplicates.extend(found);
                return Ok(());
            }
            Err(error) => {
                for client in &place.clients {
                    let _ = client.batch_execute("ROLLBACK").await;
                }
                let waits = [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED];
                let passes = error.code().is_some_and(|code| waits.contains(code));
                if !passes || tries >= BACKFILL_RETRIES_MAX {
                    return Err(format!("{}: {}", unique.describe(), describe(&error)));
                }
                tries += 1;
            }
        }
        crate::net::timer::sleep(BACKFILL_RETRY + Duration::from_millis(tries * 10)).await;
    }
}

async fn try_claim(
    place: &Place<'_>,
    unique: &Unique,
    client: &Client,
    batch: &[Entry],
) -> Result<Vec<String>, tokio_postgres::Error> {
    const LOCKED: &str = "BEGIN; SET LOCAL lock_timeout = '2s'";
    client.batch_execute(LOCKED).await?;
    let locked = entries(client, &lock(place, unique, batch)).await?;
    let types = place.types(unique).unwrap_or_default();
    let mut by_shard: BTreeMap<usize, Vec<Entry>> = BTreeMap::new();
    for entry in locked {
        let shard = place.shard_of(&types, &entry.0).map_or(usize::MAX, |shard| shard.index());
        by_shard.entry(shard).or_default().push(entry);
    }
    let mut duplicates = Vec::new();
    for (shard, list) in by_shard {
        let Some(target) = place.clients.get(shard) else { continue };
        let is_same = std::ptr::eq(target, client);
        if !is_same {
            target.batch_execute(LOCKED).await?;
        }
        let owners = entries(target, &insert(unique, &list)).await?;
        if !is_same {
            target.batch_execute("COMMIT").await?;
        }
        for ((values, key), (_, owner)) in list.iter().zip(owners) {
            if *key != owner {
                duplicates.push(format!("{} is in the rows {} {owner} and {key}", shown(unique, values), unique.key));
            }
        }
    }
    client.batch_execute("COMMIT").await?;
    Ok(duplicates)
}

fn arrays(unique: &Unique, batch: &[Entry]) -> String {
    let column = |at: usize| array(batch.iter().map(move |(values, _)| values.get(at).map_or("", String::as_str)));
    let mut all: Vec<String> = (0..unique.columns.len()).map(column).collect();
    all.push(array(batch.iter().map(|(_, key)| key.as_str())));
    all.join(", ")
}

/// The rows that are still there, which stay so until the transaction ends.
fn lock(place: &Place<'_>, unique: &Unique, batch: &[Entry]) -> String {
    let table = format!("{}.{}", quote_identifier(&unique.schema), quote_identifier(&unique.table));
    let columns: Vec<&String> = unique.columns.iter().chain([&unique.key]).collect();
    let places: Vec<String> = (0..columns.len()).map(|at| format!("c{at}")).collect();
    let list: Vec<String> = columns.iter().map(|column| format!("t.{}::text", quote_identifier(column))).collect();
    let type_of = |column: &String| {
        let relation = place.catalog.relation(&unique.schema, &unique.table);
        relation.and_then(|relation| relation.column(column)).map_or("text", |column| column.qualified_type.as_str())
    };
    let same: Vec<String> = columns
        .iter()
        .zip(&places)
        .map(|(column, place)| format!("t.{} = v.{place}::{}", quote_identifier(column), type_of(column)))
        .collect();
    let arrays = arrays(unique, batch);
    format!(
        "SELECT {} FROM {table} t JOIN unnest({arrays}) AS v({}) ON {} FOR SHARE OF t",
        list.join(", "),
        places.join(", "),
        same.join(" AND ")
    )
}

/// Claims what nobody has, and tells who has each.
fn insert(unique: &Unique, list: &[Entry]) -> String {
    format!(
        "SELECT place, owner_key FROM shardway.{}({}) ORDER BY place",
        quote_identifier(&format!("{}_reserve", unique.claims)),
        arrays(unique, list)
    )
}
