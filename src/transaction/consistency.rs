//! Whether snapshots of several shards are of one moment, as far as transactions that wrote several of them can tell. In:
//! the records that each snapshot shows. Out: yes or no.
//!
//! A transaction's row `c` on its anchor and its rows `p` on the others become visible one after the other; a snapshot
//! that shows one of them is whole only together with snapshots that show all the others.

use std::collections::{HashMap, HashSet};

use super::gid::anchor_of;

/// A transaction's row on one shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    pub gid: String,
    /// On the anchor: the other shards that it wrote.
    pub participants: Option<Vec<String>>,
}

/// Lists the records of a shard as one text: a line each, gid and participants. Old ones are left out: they are being
/// swept, shard by shard.
pub fn list_sql(seconds: u64) -> String {
    format!(
        "SELECT pg_catalog.current_setting('transaction_isolation') || E'\\n' || COALESCE(pg_catalog.string_agg(gid || ' ' || \
         CASE role WHEN 'c' THEN '=' || COALESCE(pg_catalog.array_to_string(participants, ','), '') ELSE '' END, E'\\n'), '') \
         FROM shardway.txn WHERE role IN ('c', 'p') AND at > pg_catalog.clock_timestamp() - interval '{seconds} s'"
    )
}

/// The isolation level and the records of such a text.
pub fn read(text: &str) -> (&str, Vec<Record>) {
    let mut lines = text.lines();
    let isolation = lines.next().unwrap_or_default();
    let record = |line: &str| {
        let (gid, rest) = line.split_once(' ')?;
        let participants = rest
            .strip_prefix('=')
            .map(|names| names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect());
        Some(Record { gid: gid.to_owned(), participants })
    };
    (isolation, lines.filter_map(record).collect())
}

/// `snapshots`: of every shard, by its name.
pub fn is_whole(snapshots: &[(String, Vec<Record>)]) -> bool {
    let shown: HashMap<&str, HashSet<&str>> = snapshots
        .iter()
        .map(|(shard, records)| (shard.as_str(), records.iter().map(|record| record.gid.as_str()).collect()))
        .collect();
    let shows = |shard: &str, gid: &str| shown.get(shard).is_none_or(|gids| gids.contains(gid));
    snapshots.iter().flat_map(|(_, records)| records).all(|record| match &record.participants {
        Some(participants) => participants.iter().all(|shard| shows(shard, &record.gid)),
        None => snapshots.iter().all(|(shard, records)| {
            !anchor_of(&record.gid, shard) || records.iter().any(|other| other.gid == record.gid)
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(shard: &str, lines: &str) -> (String, Vec<Record>) {
        (shard.to_owned(), read(&format!("repeatable read\n{lines}")).1)
    }

    #[test]
    fn a_transaction_shows_everywhere_or_nowhere() {
        let anchor = "swy:shop:a:00000001:x =b,c";
        let part = "swy:shop:a:00000001:x ";
        let other = "swy:shop:b:00000001:y =c";
        let other_part = "swy:shop:b:00000001:y ";
        let whole = [snapshot("a", anchor), snapshot("b", part), snapshot("c", part)];
        assert!(is_whole(&whole));
        assert!(is_whole(&[snapshot("a", ""), snapshot("b", ""), snapshot("c", "")]));
        assert!(!is_whole(&[snapshot("a", anchor), snapshot("b", part), snapshot("c", "")]));
        assert!(!is_whole(&[snapshot("a", ""), snapshot("b", part), snapshot("c", "")]));
        let two = format!("{part}\n{other}");
        assert!(!is_whole(&[snapshot("a", anchor), snapshot("b", &two), snapshot("c", part)]));
        let both = format!("{part}\n{other_part}");
        assert!(is_whole(&[snapshot("a", anchor), snapshot("b", &two), snapshot("c", &both)]));
    }
}
