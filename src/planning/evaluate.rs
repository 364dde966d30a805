//! Values of constants and parameters, as PostgreSQL would have them when it compares them with a
//! shard key. In: a [`Constant`] and the call's literals and parameters. Out: a key, NULL, or that
//! nothing is known.

use super::template::{ParameterValue, Parameters};
use super::typed::{
    Typed, arithmetic, array_element, cast, convert, fits, guess, integer, key_type_of, oid, read, widths,
};
use crate::routing::key;
use crate::sql::statement::{BaseType, CastType, Constant};
use crate::sql::{Lexed, LiteralKind, literal_text};
use crate::types::{KeyType, KeyValue};

/// What one call brings.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub sql: &'a [u8],
    pub lexed: &'a Lexed,
    pub parameters: Option<Parameters<'a>>,
    /// How often each parameter occurs in the text, by its number from 0.
    pub occurrences: &'a [u32],
    /// The keys of rows by what is unique, as far as they were looked up: of [`super::keys::Keys::lookups`].
    pub claimed: &'a Claimed,
}

/// What was looked up for one call.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Claimed {
    /// For each lookup the key of the row that has the values, and `Some(None)` if none has; `None`: it isn't known.
    pub found: Vec<Option<Option<KeyValue>>>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Known(KeyValue),
    Null,
    Unknown,
}

impl Call<'_> {
    /// The value that a key of this type is compared with. `key_type` is `None` where no server could
    /// be asked: then the value's own form decides.
    pub fn value(&self, constant: &Constant, key_type: Option<KeyType>) -> Value {
        let typed = self.typed(constant);
        match key_type {
            Some(key_type) => convert(typed, key_type),
            None => guess(typed),
        }
    }

    /// The values of an array constant; `None` when they aren't known. NULLs are left out: nothing
    /// equals them.
    pub fn elements(&self, constant: &Constant, key_type: Option<KeyType>) -> Option<Vec<KeyValue>> {
        let key_type = key_type.or_else(|| self.array_type(constant))?;
        let read = |text: &str| key::from_array_text(key_type, text).ok();
        let values = match constant {
            Constant::Null => return Some(Vec::new()),
            Constant::Cast(inner, CastType { base, array: true }) if fits(*base, key_type) => {
                return self.elements(inner, Some(key_type));
            }
            Constant::Literal(position) => read(&self.literal(*position)?)?,
            Constant::Parameter(number) => {
                let (declared, value) = self.parameter(*number)?;
                let certain = match array_element(declared) {
                    Some(element) => fits(element, key_type),
                    None => matches!(declared, 0 | oid::UNKNOWN) && self.occurs_once(*number),
                };
                match value {
                    ParameterValue::Null => return Some(Vec::new()),
                    _ if !certain => return None,
                    ParameterValue::Text(text) => read(std::str::from_utf8(text).ok()?)?,
                    // The element's width is its own, not the key's.
                    ParameterValue::Binary(bytes) => {
                        widths(key_type).iter().find_map(|width| key::from_array_binary(*width, bytes).ok())?
                    }
                }
            }
            _ => return None,
        };
        Some(values.into_iter().flatten().collect())
    }

    fn array_type(&self, constant: &Constant) -> Option<KeyType> {
        match constant {
            Constant::Cast(_, CastType { base, array: true }) => Some(key_type_of(*base)),
            Constant::Parameter(number) => array_element(self.parameter(*number)?.0).map(key_type_of),
            _ => None,
        }
    }

    /// If a value may be read as a moment that the server's clock gives: `'now'`, `'tomorrow 10:00'`.
    pub fn names_moment(&self) -> bool {
        let literals =
            (0..self.lexed.literals.len()).any(|position| self.literal(position).is_some_and(|text| is_moment(&text)));
        let text = |value: &ParameterValue<'_>| matches!(value, ParameterValue::Text(text) if std::str::from_utf8(text).is_ok_and(is_moment));
        literals || self.parameters.is_some_and(|parameters| parameters.values.iter().any(text))
    }

    /// If the value of a parameter that is a date or a time asks each server's clock.
    pub fn asks_clocks(&self) -> bool {
        /// date, time, timestamp, timestamptz, timetz.
        const DATED: &[u32] = &[1082, 1083, 1114, 1184, 1266];
        let Some(parameters) = &self.parameters else { return false };
        parameters.types.iter().zip(parameters.values).any(|(oid, value)| {
            let ParameterValue::Text(text) = value else { return false };
            DATED.contains(oid) && std::str::from_utf8(text).is_ok_and(is_moment)
        })
    }

    fn typed(&self, constant: &Constant) -> Typed {
        match constant {
            Constant::Null => Typed::Null,
            Constant::Literal(position) => self.typed_literal(*position),
            Constant::Parameter(number) => self.typed_parameter(*number),
            Constant::Negative(inner) => match self.typed(inner) {
                Typed::Int { value, wide } => integer(value.checked_neg(), wide),
                Typed::Numeric(text) if !text.starts_with('-') => Typed::Numeric(format!("-{text}")),
                Typed::Null => Typed::Null,
                _ => Typed::Unknown,
            },
            Constant::Arithmetic(operator, operands) => {
                arithmetic(*operator, self.typed(&operands.0), self.typed(&operands.1))
            }
            Constant::Cast(_, CastType { array: true, .. }) => Typed::Unknown,
            Constant::Cast(inner, CastType { base, .. }) => {
                // `$1::bigint` gives the parameter that type.
                if let Constant::Parameter(number) = **inner {
                    return self.cast_parameter(number, *base);
                }
                cast(self.typed(inner), *base)
            }
        }
    }

    fn literal(&self, position: usize) -> Option<String> {
        let literal = self.lexed.literals.get(position)?;
        literal_text(self.sql, literal).map(std::borrow::Cow::into_owned)
    }

    fn typed_literal(&self, position: usize) -> Typed {
        let Some(literal) = self.lexed.literals.get(position) else {
            return Typed::Unknown;
        };
        let digits = self.sql.get(literal.span.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok());
        match literal.kind {
            LiteralKind::Integer => match digits.and_then(|digits| digits.parse::<i64>().ok()) {
                Some(value) => Typed::Int { value, wide: i32::try_from(value).is_err() },
                None => digits.map_or(Typed::Unknown, |digits| Typed::Numeric(digits.to_owned())),
            },
            LiteralKind::Decimal => digits.map_or(Typed::Unknown, |digits| Typed::Numeric(digits.to_owned())),
            LiteralKind::String | LiteralKind::EscapeString | LiteralKind::DollarString => {
                self.literal(position).map_or(Typed::Unknown, Typed::Untyped)
            }
            LiteralKind::BitString | LiteralKind::UnicodeString | LiteralKind::NationalString => Typed::Unknown,
        }
    }

    /// Declared type and value; the type is 0 where it isn't known.
    fn parameter(&self, number: u16) -> Option<(u32, ParameterValue<'_>)> {
        let parameters = self.parameters?;
        let value = *parameters.values.get(usize::from(number))?;
        Some((parameters.types.get(usize::from(number)).copied().unwrap_or(0), value))
    }

    fn occurs_once(&self, number: u16) -> bool {
        self.occurrences.get(usize::from(number)) == Some(&1)
    }

    fn typed_parameter(&self, number: u16) -> Typed {
        let Some((declared, value)) = self.parameter(number) else {
            return Typed::Unknown;
        };
        let base = match declared {
            // NULL has no type that could matter.
            _ if matches!(value, ParameterValue::Null) => return Typed::Null,
            0 | oid::UNKNOWN => return self.untyped_parameter(number, value),
            oid::INT2 => BaseType::Int2,
            oid::INT4 => BaseType::Int4,
            oid::INT8 => BaseType::Int8,
            oid::TEXT | oid::VARCHAR => BaseType::Text,
            oid::UUID => BaseType::Uuid,
            oid::DATE => BaseType::Date,
            oid::TIMESTAMP => BaseType::Timestamp,
            oid::TIMESTAMP_TZ => BaseType::TimestampTz,
            oid::NUMERIC => BaseType::Numeric,
            _ => return Typed::Unknown,
        };
        read(base, value)
    }

    /// PostgreSQL gives such a parameter the type of what it first stands beside. If it stands there
    /// only, that is the key.
    fn untyped_parameter(&self, number: u16, value: ParameterValue<'_>) -> Typed {
        match value {
            ParameterValue::Null => Typed::Null,
            ParameterValue::Text(text) => match std::str::from_utf8(text) {
                Err(_) => Typed::Unknown,
                Ok(text) if self.occurs_once(number) => Typed::Untyped(text.to_owned()),
                // Of several places another one may have decided. An integer is the same in all of
                // them; a text may have been cut or padded.
                Ok(text) => match text.parse::<i64>() {
                    Ok(value) if value.to_string() == text => Typed::Untyped(text.to_owned()),
                    _ if text.len() < 64 && !text.ends_with(' ') && !text.is_empty() => Typed::Untyped(text.to_owned()),
                    _ => Typed::Unknown,
                },
            },
            ParameterValue::Binary(bytes) if self.occurs_once(number) => Typed::Binary(bytes.to_vec()),
            ParameterValue::Binary(_) => Typed::Unknown,
        }
    }

    fn cast_parameter(&self, number: u16, base: BaseType) -> Typed {
        let Some((declared, value)) = self.parameter(number) else {
            return Typed::Unknown;
        };
        match declared {
            0 | oid::UNKNOWN if matches!(value, ParameterValue::Null) => Typed::Null,
            // Where it occurs elsewhere as well, that place may have given it another type.
            0 | oid::UNKNOWN if self.occurs_once(number) => read(base, value),
            0 | oid::UNKNOWN => match (self.untyped_parameter(number, value), base) {
                (Typed::Untyped(text), BaseType::Int2 | BaseType::Int4 | BaseType::Int8) => {
                    cast(Typed::Untyped(text), base)
                }
                _ => Typed::Unknown,
            },
            _ => cast(self.typed_parameter(number), base),
        }
    }
}

/// What PostgreSQL's input of dates and times takes from the clock (datetime.c).
fn is_moment(text: &str) -> bool {
    if text.len() > 64 {
        return false;
    }
    let mut words = text.split_ascii_whitespace();
    let clock =
        |word: &str| ["now", "today", "tomorrow", "yesterday"].iter().any(|known| word.eq_ignore_ascii_case(known));
    let time = |word: &str| {
        word.eq_ignore_ascii_case("allballs")
            || word.starts_with(|first: char| first.is_ascii_digit() || "+-".contains(first))
            || word.len() <= 4
    };
    words.clone().any(clock) && words.all(|word| clock(word) || time(word))
}
