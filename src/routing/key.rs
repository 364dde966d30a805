//! Keys as clients send them. In: a text or binary value and the key's type. Out: a [`KeyValue`],
//! or a [`KeyError`] wherever the value's meaning in PostgreSQL isn't certain whatever the settings are.
//!
//! Stricter than PostgreSQL on purpose: what is refused here isn't routed by key. Type modifiers
//! (varchar(5), numeric(10,2), timestamp(0)) aren't known here: a value *stored* in such a column may be
//! rounded or cut first.

use std::cmp::Ordering;

use thiserror::Error;

use crate::types::{KeyType, KeyValue};

mod array;
mod numeric;
mod time;

#[cfg(test)]
mod tests;

pub use array::{from_array_binary, from_array_text};
pub(super) use time::{date_text, timestamp_text};

/// Why a value can't be taken as a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum KeyError {
    #[error("it is not written in a form whose meaning is certain for this type")]
    Unrecognised,
    #[error("it is out of range for the type, or too long for a shard key")]
    OutOfRange,
    #[error(
        "its meaning depends on the session's settings (a timestamp with time zone needs its offset, as in 2026-01-01 00:00:00+00)"
    )]
    DependsOnSettings,
    #[error("NaN and infinite numbers have no place")]
    NotFinite,
}

/// Reads the text format of a value, which is also what a string literal of unknown type means.
///
/// # Errors
/// [`KeyError`] when the text isn't certain to mean one value of that type.
pub fn from_text(key_type: KeyType, text: &str) -> Result<KeyValue, KeyError> {
    if text.contains('\0') {
        return Err(KeyError::Unrecognised);
    }
    match key_type {
        KeyType::Int2 => integer::<i16>(text),
        KeyType::Int4 => integer::<i32>(text),
        KeyType::Int8 => integer::<i64>(text),
        KeyType::Text => Ok(KeyValue::Text(text.into())),
        KeyType::Uuid => uuid(text).ok_or(KeyError::Unrecognised),
        KeyType::Date => time::date(trim(text)).map(KeyValue::Date),
        KeyType::Timestamp => time::timestamp(trim(text)).map(KeyValue::Timestamp),
        KeyType::TimestampTz => time::timestamp_tz(trim(text)).map(KeyValue::TimestampTz),
        KeyType::Numeric => numeric::from_text(trim(text)).map(KeyValue::Numeric),
    }
}

/// Reads the binary format of a value whose type is exactly `key_type`.
///
/// # Errors
/// [`KeyError`] when the bytes are no such value, or one that has no place.
pub fn from_binary(key_type: KeyType, bytes: &[u8]) -> Result<KeyValue, KeyError> {
    match key_type {
        KeyType::Int2 => Ok(KeyValue::Int(i16::from_be_bytes(exactly(bytes)?).into())),
        KeyType::Int4 => Ok(KeyValue::Int(i32::from_be_bytes(exactly(bytes)?).into())),
        KeyType::Int8 => Ok(KeyValue::Int(i64::from_be_bytes(exactly(bytes)?))),
        KeyType::Text => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Ok(KeyValue::Text(text.into())),
            _ => Err(KeyError::Unrecognised),
        },
        KeyType::Uuid => Ok(KeyValue::Uuid(exactly(bytes)?)),
        KeyType::Date => Ok(KeyValue::Date(i32::from_be_bytes(exactly(bytes)?))),
        KeyType::Timestamp => Ok(KeyValue::Timestamp(i64::from_be_bytes(exactly(bytes)?))),
        KeyType::TimestampTz => Ok(KeyValue::TimestampTz(i64::from_be_bytes(exactly(bytes)?))),
        KeyType::Numeric => numeric::from_binary(bytes).map(KeyValue::Numeric),
    }
}

/// The order of two values of one type, as in PostgreSQL. Texts are only known to be equal: their
/// order depends on the collation.
pub fn compare(one: &KeyValue, other: &KeyValue) -> Option<Ordering> {
    match (one, other) {
        (KeyValue::Int(one), KeyValue::Int(other)) => Some(one.cmp(other)),
        (KeyValue::Text(one), KeyValue::Text(other)) => (one == other).then_some(Ordering::Equal),
        (KeyValue::Uuid(one), KeyValue::Uuid(other)) => Some(one.cmp(other)),
        (KeyValue::Date(one), KeyValue::Date(other)) => Some(one.cmp(other)),
        (KeyValue::Timestamp(one), KeyValue::Timestamp(other)) => Some(one.cmp(other)),
        (KeyValue::TimestampTz(one), KeyValue::TimestampTz(other)) => Some(one.cmp(other)),
        (KeyValue::Numeric(one), KeyValue::Numeric(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

/// If values of this type are of the variant that `value` is.
pub(super) fn is_of(value: &KeyValue, key_type: KeyType) -> bool {
    matches!(
        (value, key_type),
        (KeyValue::Int(_), KeyType::Int2 | KeyType::Int4 | KeyType::Int8)
            | (KeyValue::Text(_), KeyType::Text)
            | (KeyValue::Uuid(_), KeyType::Uuid)
            | (KeyValue::Date(_), KeyType::Date)
            | (KeyValue::Timestamp(_), KeyType::Timestamp)
            | (KeyValue::TimestampTz(_), KeyType::TimestampTz)
            | (KeyValue::Numeric(_), KeyType::Numeric)
    )
}

fn exactly<const WIDTH: usize>(bytes: &[u8]) -> Result<[u8; WIDTH], KeyError> {
    bytes.try_into().map_err(|_| KeyError::Unrecognised)
}

/// C's isspace, as PostgreSQL's input functions skip it.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
}

/// Decimal digits with a sign. (Hexadecimal, octal and underscores only mean something since version 16.)
fn integer<Width: TryFrom<i64>>(text: &str) -> Result<KeyValue, KeyError> {
    let text = trim(text);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(KeyError::Unrecognised);
    }
    let number: i64 = text.parse().map_err(|_| KeyError::OutOfRange)?;
    match Width::try_from(number) {
        Ok(_) => Ok(KeyValue::Int(number)),
        Err(_) => Err(KeyError::OutOfRange),
    }
}

/// uuid_in: hexadecimal digits in pairs, a hyphen allowed behind every second pair, braces around all.
fn uuid(text: &str) -> Option<KeyValue> {
    let mut rest = text.as_bytes();
    if let Some(inner) = rest.strip_prefix(b"{") {
        rest = inner.strip_suffix(b"}")?;
    }
    let mut value = [0; 16];
    for (position, slot) in value.iter_mut().enumerate() {
        let [high, low, behind @ ..] = rest else {
            return None;
        };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        *slot = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
        rest = match behind {
            [b'-', behind @ ..] if position % 2 == 1 && position < 15 => behind,
            _ => behind,
        };
    }
    rest.is_empty().then_some(KeyValue::Uuid(value))
}
