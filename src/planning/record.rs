//! The placement as the servers are to remember it. In: a shard map, or a record. Out: a record, or what a file would
//! place elsewhere. Asks no server.

use crate::catalog::Catalog;
use crate::catalog::record::{Record, UNSHARDED};
use crate::routing::ShardMap;

/// The placement of each table in words, as it is recorded on a shard's server.
pub fn record_of(map: &ShardMap, shard: &str) -> Record {
    let home = (UNSHARDED.to_owned(), format!("home \"{}\"", map.shard_name(map.home())));
    let tables = map
        .tables()
        .filter_map(|(schema, name, _)| Some((format!("{schema}.{name}"), map.describe_placement(schema, name)?)))
        .chain([home])
        .collect();
    Record { shard: Some(shard.to_owned()), tables }
}

/// What the file would place differently from what a server remembers. Tables that the catalog no longer
/// has may go from the file.
pub fn record_differences(recorded: &Record, configured: &Record, catalog: Option<&Catalog>) -> Vec<String> {
    let mut all = Vec::new();
    if let (Some(was), Some(is)) = (&recorded.shard, &configured.shard)
        && was != is
    {
        all.push(format!("the server is recorded as shard {was}, configured as shard {is}"));
    }
    let exists = |table: &str| {
        let name = table.split_once('.');
        catalog.is_none_or(|catalog| name.is_some_and(|(schema, name)| catalog.relation(schema, name).is_some()))
    };
    for (table, was) in &recorded.tables {
        let what = if table == UNSHARDED { "unsharded tables".to_owned() } else { format!("table {table}") };
        match configured.tables.get(table) {
            Some(is) => {
                let differences = crate::routing::placement_differences(was, is);
                all.extend(differences.into_iter().map(|difference| format!("{what}: {difference}")));
            }
            None if exists(table) => {
                let was = was.lines().next().unwrap_or_default();
                all.push(format!("{what}: recorded as {was}, not in the file"));
            }
            None => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(shard: &str, tables: &[(&str, &str)]) -> Record {
        let tables = tables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Record { shard: Some(shard.to_owned()), tables }
    }

    #[test]
    fn a_recorded_table_must_stay_in_the_file_while_it_exists() {
        let recorded = record("a", &[("public.users", "hash of \"id\"\nbuckets 4096 period 1\n0-0 \"a\"")]);
        let configured = record("a", &[]);
        let has = Catalog::new(vec![crate::catalog::Relation::table("public", "users")], Vec::new());
        assert_eq!(
            record_differences(&recorded, &configured, Some(&has)),
            ["table public.users: recorded as hash of \"id\", not in the file"]
        );
        let dropped = Catalog::new(Vec::new(), Vec::new());
        assert_eq!(record_differences(&recorded, &configured, Some(&dropped)), [""; 0]);
    }

    #[test]
    fn a_server_must_stay_its_shard_and_unsharded_tables_at_home() {
        let recorded = record("a", &[(UNSHARDED, "home \"a\"")]);
        let configured = record("b", &[(UNSHARDED, "home \"b\"")]);
        assert_eq!(
            record_differences(&recorded, &configured, None),
            [
                "the server is recorded as shard a, configured as shard b",
                "unsharded tables: recorded as home \"a\", configured as home \"b\"",
            ]
        );
    }
}
