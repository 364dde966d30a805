//! Arrays of keys, as in `= ANY($1)` (array_in and array_recv of arrayfuncs.c). One dimension only.

use super::{KeyError, exactly, from_binary, from_text};
use crate::types::{KeyType, KeyValue};

/// Reads `{1,2,NULL}`. `None` is a NULL.
///
/// # Errors
/// [`KeyError`] when an element isn't certain, or the text is no such array. An unquoted NULL among
/// texts depends on `array_nulls`.
pub fn from_array_text(key_type: KeyType, text: &str) -> Result<Vec<Option<KeyValue>>, KeyError> {
    let text = text.trim_matches(is_blank);
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or(KeyError::Unrecognised)?;
    let mut rest = inner.trim_start_matches(is_blank);
    let mut values = Vec::new();
    if rest.is_empty() {
        return Ok(values);
    }
    loop {
        let (value, behind) = element(key_type, rest)?;
        values.push(value);
        match behind.strip_prefix(',') {
            Some(next) => rest = next.trim_start_matches(is_blank),
            None if behind.is_empty() => return Ok(values),
            None => return Err(KeyError::Unrecognised),
        }
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// One element and what follows it, from the comma on.
fn element(key_type: KeyType, text: &str) -> Result<(Option<KeyValue>, &str), KeyError> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, rest) = quoted_element(quoted)?;
        return Ok((Some(from_text(key_type, &value)?), rest.trim_start_matches(is_blank)));
    }
    let end = text.find(',').unwrap_or(text.len());
    let (bare, rest) = text.split_at_checked(end).ok_or(KeyError::Unrecognised)?;
    let bare = bare.trim_end_matches(is_blank);
    if bare.is_empty() || bare.contains(['"', '\\', '{', '}']) {
        return Err(KeyError::Unrecognised);
    }
    if bare.eq_ignore_ascii_case("null") {
        return if key_type == KeyType::Text { Err(KeyError::DependsOnSettings) } else { Ok((None, rest)) };
    }
    Ok((Some(from_text(key_type, bare)?), rest))
}

/// The value of a quoted element, and what follows its closing quote.
fn quoted_element(text: &str) -> Result<(String, &str), KeyError> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next() {
            Some('"') => return Ok((value, characters.as_str())),
            Some('\\') => value.push(characters.next().ok_or(KeyError::Unrecognised)?),
            Some(character) => value.push(character),
            None => return Err(KeyError::Unrecognised),
        }
    }
}

/// Reads the binary format. `None` is a NULL.
///
/// # Errors
/// [`KeyError`] when the bytes are no such array, or its element type isn't `key_type`.
pub fn from_array_binary(key_type: KeyType, bytes: &[u8]) -> Result<Vec<Option<KeyValue>>, KeyError> {
    let mut reader = Reader(bytes);
    let dimensions = reader.number()?;
    let flags = reader.number()?;
    let element_type = reader.number()?.cast_unsigned();
    if !(0..=1).contains(&dimensions) || !(0..=1).contains(&flags) || !element_oids(key_type).contains(&element_type) {
        return Err(KeyError::Unrecognised);
    }
    let mut values = Vec::new();
    if dimensions == 1 {
        let count = reader.number()?;
        let _lower_bound = reader.number()?;
        for _ in 0..count.max(0) {
            values.push(match reader.number()? {
                -1 => None,
                length => Some(from_binary(key_type, reader.take(length)?)?),
            });
        }
    }
    if reader.0.is_empty() { Ok(values) } else { Err(KeyError::Unrecognised) }
}

/// The OIDs of pg_type that an array of such keys may name as its elements' type.
const fn element_oids(key_type: KeyType) -> &'static [u32] {
    match key_type {
        KeyType::Int2 => &[21],
        KeyType::Int4 => &[23],
        KeyType::Int8 => &[20],
        KeyType::Text => &[25, 1043],
        KeyType::Uuid => &[2950],
        KeyType::Date => &[1082],
        KeyType::Timestamp => &[1114],
        KeyType::TimestampTz => &[1184],
        KeyType::Numeric => &[1700],
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: i32) -> Result<&'a [u8], KeyError> {
        let length = usize::try_from(length).map_err(|_| KeyError::Unrecognised)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(KeyError::Unrecognised)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<i32, KeyError> {
        Ok(i32::from_be_bytes(exactly(self.take(4)?)?))
    }
}
