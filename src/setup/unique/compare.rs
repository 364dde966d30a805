//! Whether claims and rows agree. In: the servers. Out: where they don't. Both are read in the same order, so that tables
//! of any size can be compared; what differs is looked at again until it agrees or has stayed so, since clients write
//! meanwhile.

use std::collections::{BTreeMap, VecDeque};

use tokio_postgres::Client;

use super::{Entry, Place, entries, execute, selected, shown};
use crate::routing::Unique;
use crate::sql::quote_identifier;
use crate::transaction::claims::literal;
use crate::transaction::records::describe;
use crate::types::KeyType;
use crate::types::limits::{BACKFILL_ROWS, CLAIMS_DIFFERENCES_MAX, CLAIMS_RECHECK, CLAIMS_RECHECKS};

/// Entries of one server, in order.
struct Sorted {
    client: Client,
    cursor: &'static str,
    buffer: VecDeque<Entry>,
    ended: bool,
}

impl Sorted {
    async fn open(client: Client, cursor: &'static str, from: &str, unique: &Unique) -> Result<Self, String> {
        let (list, whole) = selected(unique);
        let order: Vec<String> = (1..=unique.columns.len() + 1).map(|at| format!("c{at} COLLATE \"C\"")).collect();
        let names: Vec<String> = (1..=unique.columns.len() + 1).map(|at| format!("c{at}")).collect();
        execute(
            &client,
            &format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; DECLARE {cursor} NO SCROLL CURSOR FOR \
                 SELECT * FROM (SELECT {list} FROM {from} WHERE {whole}) x ({}) ORDER BY {}",
                names.join(", "),
                order.join(", ")
            ),
        )
        .await?;
        Ok(Self { client, cursor, buffer: VecDeque::new(), ended: false })
    }

    async fn first(&mut self) -> Result<Option<&Entry>, String> {
        if self.buffer.is_empty() && !self.ended {
            let sql = format!("FETCH {BACKFILL_ROWS} FROM {}", self.cursor);
            self.buffer = entries(&self.client, &sql).await.map_err(|error| describe(&error))?.into();
            self.ended = self.buffer.is_empty();
        }
        Ok(self.buffer.front())
    }
}

/// What servers have of one list of values: the shard's number and the key.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Held {
    rows: Vec<(usize, String)>,
    claims: Vec<(usize, String)>,
}

/// # Errors
/// A server's.
pub(super) async fn compare(place: &Place<'_>, unique: &Unique) -> Result<Vec<String>, String> {
    let state = crate::session::uniques::look(&place.clients, unique).await.map_err(|error| error.to_string())?;
    if !state.attached {
        return Ok(vec![format!("{} is not kept unique yet: run shardway unique backfill", unique.describe())]);
    }
    let types = place.types(unique)?;
    let (mut rows, mut claims) = (Vec::new(), Vec::new());
    let (table, name) =
        (format!("{}.{}", quote_identifier(&unique.schema), quote_identifier(&unique.table)), claims_of(unique));
    for shard in 0..place.clients.len() {
        rows.push(Sorted::open(place.another(shard).await?, "shardway_rows", &table, unique).await?);
        claims.push(Sorted::open(place.another(shard).await?, "shardway_claims", &name, unique).await?);
    }
    let mut differing: BTreeMap<Vec<String>, Held> = BTreeMap::new();
    let mut count = 0_usize;
    while let Some((values, held)) = next(&mut rows, &mut claims).await? {
        count += 1;
        if wrong(place, &types, &values, &held).is_some() && differing.len() < CLAIMS_DIFFERENCES_MAX {
            differing.insert(values, held);
        }
    }
    drop((rows, claims));
    let mut lines = Vec::new();
    for (values, held) in differing {
        if let Some(held) = stays(place, unique, &types, &values, held).await? {
            let what = wrong(place, &types, &values, &held).unwrap_or_default();
            lines.push(format!("{}: {what}", shown(unique, &values)));
        }
    }
    if lines.is_empty() {
        let left = if state.complete { "" } else { "; the backfill has not ended" };
        println!("{}: {count} values agree with their claims{left}", unique.describe());
    }
    Ok(lines)
}

fn claims_of(unique: &Unique) -> String {
    format!("shardway.{}", quote_identifier(&unique.claims))
}

/// What all servers have of the least values that are left.
async fn next(rows: &mut [Sorted], claims: &mut [Sorted]) -> Result<Option<(Vec<String>, Held)>, String> {
    let mut least: Option<Vec<String>> = None;
    for sorted in rows.iter_mut().chain(claims.iter_mut()) {
        if let Some((values, _)) = sorted.first().await?
            && least.as_ref().is_none_or(|least| values < least)
        {
            least = Some(values.clone());
        }
    }
    let Some(least) = least else { return Ok(None) };
    let mut held = Held::default();
    for (all, found) in [(rows, &mut held.rows), (claims, &mut held.claims)] {
        for (shard, sorted) in all.iter_mut().enumerate() {
            while sorted.first().await?.is_some_and(|(values, _)| *values == least) {
                found.extend(sorted.buffer.pop_front().map(|(_, key)| (shard, key)));
            }
        }
    }
    Ok(Some((least, held)))
}

/// What is wrong with it, if anything is.
fn wrong(place: &Place<'_>, types: &[KeyType], values: &[String], held: &Held) -> Option<String> {
    let at = |list: &[(usize, String)]| {
        let all: Vec<String> =
            list.iter().map(|(shard, key)| format!("{key} on shard {}", place.shard_name(*shard))).collect();
        all.join(", ")
    };
    let shard = place.shard_of(types, values).map(|shard| shard.index()).ok();
    match (held.rows.as_slice(), held.claims.as_slice()) {
        ([(_, key)], [(at, claimed)]) if key == claimed && Some(*at) == shard => None,
        ([_, _, ..], _) => Some(format!("several rows have it: {}", at(&held.rows))),
        ([], _) => Some(format!("claimed for a row that isn't there: {}", at(&held.claims))),
        (_, []) => Some(format!("a row without a claim: {}", at(&held.rows))),
        _ => Some(format!("claimed for {}, and the row is {}", at(&held.claims), at(&held.rows))),
    }
}

/// What is still so after a while.
async fn stays(
    place: &Place<'_>,
    unique: &Unique,
    types: &[KeyType],
    values: &[String],
    mut before: Held,
) -> Result<Option<Held>, String> {
    for _ in 0..CLAIMS_RECHECKS {
        crate::net::timer::sleep(CLAIMS_RECHECK / 5).await;
        let now = held(place, unique, values).await?;
        if wrong(place, types, values, &now).is_none() {
            return Ok(None);
        }
        if now == before {
            // Twice the same: a transaction between its two commits would have ended.
            crate::net::timer::sleep(CLAIMS_RECHECK).await;
            let again = held(place, unique, values).await?;
            if again == now {
                return Ok(Some(now));
            }
        }
        before = now;
    }
    Ok(None)
}

async fn held(place: &Place<'_>, unique: &Unique, values: &[String]) -> Result<Held, String> {
    let (list, _) = selected(unique);
    let relation = place.catalog.relation(&unique.schema, &unique.table);
    let type_of = |column: &String| {
        relation.and_then(|relation| relation.column(column)).map_or("text", |column| column.qualified_type.as_str())
    };
    let same: Vec<String> = unique
        .columns
        .iter()
        .zip(values)
        .map(|(column, value)| format!("{} = {}::{}", quote_identifier(column), literal(value), type_of(column)))
        .collect();
    let table = format!("{}.{}", quote_identifier(&unique.schema), quote_identifier(&unique.table));
    let mut found = Held::default();
    for (shard, client) in place.clients.iter().enumerate() {
        for (from, into) in [(&table, &mut found.rows), (&claims_of(unique), &mut found.claims)] {
            let sql =
                format!("SELECT {list} FROM {from} WHERE {} ORDER BY {}", same.join(" AND "), unique.columns.len() + 1);
            let entries = entries(client, &sql).await.map_err(|error| describe(&error))?;
            into.extend(entries.into_iter().map(|(_, key)| (shard, key)));
        }
    }
    Ok(found)
}
