//! Order of values as PostgreSQL has it. In: two values in binary and the [`OrderKind`] of their type. Out: which
//! comes first, or nothing for bytes that can't be such a value.

use std::cmp::Ordering;

use crate::planning::merge::{KeyOrder, OrderKind};

/// Two keys, either of which may be NULL.
pub fn keys(order: &KeyOrder, one: Option<&[u8]>, other: Option<&[u8]>) -> Option<Ordering> {
    let nulls = if order.nulls_first { Ordering::Less } else { Ordering::Greater };
    Some(match (one, other) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => nulls,
        (Some(_), None) => nulls.reverse(),
        (Some(one), Some(other)) => {
            let ordering = values(&order.kind, one, other)?;
            if order.descending { ordering.reverse() } else { ordering }
        }
    })
}

/// Two values in ascending order.
pub fn values(kind: &OrderKind, one: &[u8], other: &[u8]) -> Option<Ordering> {
    Some(match kind {
        OrderKind::Integer => integer(one)?.cmp(&integer(other)?),
        OrderKind::Bytes => one.cmp(other),
        OrderKind::Padded => unpadded(one).cmp(unpadded(other)),
        OrderKind::Float => floats(float(one)?, float(other)?),
        OrderKind::Numeric => Numeric::read(one)?.cmp(&Numeric::read(other)?),
        OrderKind::Interval => interval(one)?.cmp(&interval(other)?),
        OrderKind::Enum(labels) => {
            let place = |label: &[u8]| labels.iter().position(|known| **known == *label);
            place(one)?.cmp(&place(other)?)
        }
    })
}

fn integer(bytes: &[u8]) -> Option<i64> {
    Some(match *bytes {
        [a, b] => i16::from_be_bytes([a, b]).into(),
        [a, b, c, d] => i32::from_be_bytes([a, b, c, d]).into(),
        _ => i64::from_be_bytes(bytes.try_into().ok()?),
    })
}

fn unpadded(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().rev().take_while(|&&byte| byte == b' ').count();
    bytes.get(..bytes.len() - blanks).unwrap_or_default()
}

fn float(bytes: &[u8]) -> Option<f64> {
    Some(match *bytes {
        [a, b, c, d] => f32::from_be_bytes([a, b, c, d]).into(),
        _ => f64::from_be_bytes(bytes.try_into().ok()?),
    })
}

fn floats(one: f64, other: f64) -> Ordering {
    one.partial_cmp(&other).unwrap_or_else(|| one.is_nan().cmp(&other.is_nan()))
}

/// Microseconds, a month being 30 days, as interval_cmp_value counts.
fn interval(bytes: &[u8]) -> Option<i128> {
    let (time, rest) = bytes.split_first_chunk::<8>()?;
    let (days, months) = rest.split_first_chunk::<4>()?;
    let days = i32::from_be_bytes(*days);
    let months = i32::from_be_bytes(months.try_into().ok()?);
    const DAY: i128 = 86_400_000_000;
    Some(i128::from(i64::from_be_bytes(*time)) + (i128::from(days) + i128::from(months) * 30) * DAY)
}

/// A numeric without its scale, which doesn't count in comparisons. The order of the variants is theirs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    MinusInfinity,
    Negative,
    Zero,
    Positive,
    Infinity,
    NotANumber,
}

struct Numeric<'a> {
    class: Class,
    /// The power of 10,000 of the first digit.
    weight: i32,
    /// Base 10,000, two bytes each; neither the first nor the last is 0.
    digits: &'a [[u8; 2]],
}

impl<'a> Numeric<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<8>()?;
        let [n0, n1, w0, w1, s0, s1, _, _] = *header;
        let (mut digits, loose) = rest.as_chunks::<2>();
        if digits.len() != usize::from(u16::from_be_bytes([n0, n1])) || !loose.is_empty() {
            return None;
        }
        let mut weight = i32::from(i16::from_be_bytes([w0, w1]));
        while let [[0, 0], less @ ..] = digits {
            digits = less;
            weight -= 1;
        }
        while let [less @ .., [0, 0]] = digits {
            digits = less;
        }
        let class = match u16::from_be_bytes([s0, s1]) {
            0xc000 => Class::NotANumber,
            0xd000 => Class::Infinity,
            0xf000 => Class::MinusInfinity,
            0x0000 | 0x4000 if digits.is_empty() => Class::Zero,
            0x0000 => Class::Positive,
            0x4000 => Class::Negative,
            _ => return None,
        };
        Some(Self { class, weight, digits })
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let size = || self.weight.cmp(&other.weight).then_with(|| self.digits.cmp(other.digits));
        self.class.cmp(&other.class).then_with(|| match self.class {
            Class::Positive => size(),
            Class::Negative => size().reverse(),
            _ => Ordering::Equal,
        })
    }
}

#[cfg(test)]
mod tests;
