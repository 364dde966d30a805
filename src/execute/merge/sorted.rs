//! Rows that are all there, a list for each backend that gave them. In: rows with their keys behind the client's columns.
//! Out: the order of all.

use std::cmp::Ordering;

use bytes::{Bytes, BytesMut};

use super::compare;
use super::rows::{Row, cut};
use crate::execute::replies::RelayError;
use crate::planning::merge::KeyOrder;
use crate::protocol::FrameError;

/// The lists that the first rows of all come from, one after the other, at most so many; of equal rows the first list's
/// come first. `None`: a list isn't in this order.
///
/// # Errors
/// For what isn't such a row.
pub fn first_of(
    orders: &[KeyOrder],
    visible: usize,
    lists: &[Vec<Bytes>],
    take: Option<u64>,
) -> Result<Option<Vec<usize>>, RelayError> {
    for list in lists {
        for (one, other) in list.iter().zip(list.iter().skip(1)) {
            if order(orders, visible, one, other)? == Ordering::Greater {
                return Ok(None);
            }
        }
    }
    let mut heads = vec![0_usize; lists.len()];
    let mut found = Vec::new();
    while take.is_none_or(|take| (found.len() as u64) < take) {
        let mut least: Option<(usize, &Bytes)> = None;
        for (position, list) in lists.iter().enumerate() {
            let Some(row) = heads.get(position).and_then(|head| list.get(*head)) else { continue };
            let is_less = match least {
                Some((_, other)) => order(orders, visible, row, other)? == Ordering::Less,
                None => true,
            };
            if is_less {
                least = Some((position, row));
            }
        }
        let Some((position, _)) = least else { break };
        if let Some(head) = heads.get_mut(position) {
            *head += 1;
        }
        found.push(position);
    }
    Ok(Some(found))
}

/// If two rows are equal in what they are ordered by.
///
/// # Errors
/// As [`first_of`].
pub fn same_keys(orders: &[KeyOrder], visible: usize, one: &[u8], other: &[u8]) -> Result<bool, RelayError> {
    Ok(order(orders, visible, one, other)? == Ordering::Equal)
}

/// A row without its keys.
///
/// # Errors
/// As [`first_of`].
pub fn visible_part(frame: &[u8], visible: usize, hidden: usize) -> Result<Bytes, FrameError> {
    let (mut row, mut out) = (Row::default(), BytesMut::new());
    row.read(frame, visible, hidden)?;
    cut(&mut out, frame, visible, row.cut);
    Ok(out.freeze())
}

fn order(orders: &[KeyOrder], visible: usize, one: &[u8], other: &[u8]) -> Result<Ordering, RelayError> {
    let (mut first, mut second) = (Row::default(), Row::default());
    first.read(one, visible, orders.len())?;
    second.read(other, visible, orders.len())?;
    for (number, order) in orders.iter().enumerate() {
        match compare::keys(order, first.key(one, number), second.key(other, number)) {
            Some(Ordering::Equal) => {}
            Some(ordering) => return Ok(ordering),
            None => return Err(RelayError::Disagree("a shard's value isn't one of its type".to_owned())),
        }
    }
    Ok(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::merge::OrderKind;

    fn rows(keys: &[i32]) -> Vec<Bytes> {
        let row = |key: &i32| {
            let mut frame = BytesMut::from(&b"D\0\0\0\0\0\x02\0\0\0\x01x\0\0\0\x04"[..]);
            frame.extend_from_slice(&key.to_be_bytes());
            frame[4] = u8::try_from(frame.len() - 1).expect("short");
            frame.freeze()
        };
        keys.iter().map(row).collect()
    }

    #[test]
    fn the_first_of_all_are_found() {
        let ascending = [KeyOrder { kind: OrderKind::Integer, descending: false, nulls_first: false }];
        let lists = [rows(&[1, 4, 4]), rows(&[]), rows(&[2, 3, 4])];
        let all = |take| first_of(&ascending, 1, &lists, take).expect("rows");
        assert_eq!(all(None), Some(vec![0, 2, 2, 0, 0, 2]));
        assert_eq!(all(Some(2)), Some(vec![0, 2]));
        assert_eq!(first_of(&ascending, 1, &[rows(&[2, 1])], None).expect("rows"), None);
        let row = &lists[0][1];
        assert!(same_keys(&ascending, 1, row, &lists[2][2]).expect("rows"));
        assert_eq!(&visible_part(row, 1, 1).expect("a row")[..], b"D\0\0\0\x0b\0\x01\0\0\0\x01x");
    }
}
