//! The order of what RETURNING gives where ON CONFLICT leaves rows out. In: the rows by their shards, and the keys of
//! those that came back from each shard, in its order. Out: from which shard each row of the whole is, or nothing where
//! that can't be told.

use super::precedence::written;
use crate::planning::plan::RowsByShard;

/// Of several rows with one key some may be left out: what came back is then each of them or the other. The order is
/// known if it is the same for the first ones and for the last ones.
pub fn order(rows: &RowsByShard, returned: &[Vec<String>]) -> Option<Vec<usize>> {
    let earliest = placed(rows, returned, false)?;
    let latest = placed(rows, returned, true)?;
    (earliest == latest).then_some(earliest)
}

fn placed(rows: &RowsByShard, returned: &[Vec<String>], backwards: bool) -> Option<Vec<usize>> {
    let mut order: Vec<(usize, usize)> = Vec::new();
    for (part, (_, share)) in rows.shares.iter().enumerate() {
        let mut share = share.clone();
        let mut keys: Vec<&String> = returned.get(part)?.iter().collect();
        if backwards {
            share.reverse();
            keys.reverse();
        }
        let mut open = share.into_iter();
        for key in keys {
            let row = open.find(|row| rows.keys.get(*row).is_some_and(|known| written(known.as_ref()) == *key))?;
            order.push((row, part));
        }
    }
    order.sort_unstable();
    Some(order.into_iter().map(|(_, part)| part).collect())
}
