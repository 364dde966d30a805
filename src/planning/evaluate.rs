//! Values of constants and parameters, as PostgreSQL would have them when it compares them with a
//! shard key. In: a [`Constant`] and the call's literals and parameters. Out: a key, NULL, or that
//! nothing is known.

use super::template::{ParameterValue, Parameters};
use crate::routing::key;
use crate::sql::statement::{Arithmetic, BaseType, CastType, Constant};
use crate::sql::{Lexed, LiteralKind, literal_text};
use crate::types::{KeyType, KeyValue};

/// OIDs of pg_type.dat.
mod oid {
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const UNKNOWN: u32 = 705;
    pub const INT2_ARRAY: u32 = 1005;
    pub const INT4_ARRAY: u32 = 1007;
    pub const TEXT_ARRAY: u32 = 1009;
    pub const VARCHAR_ARRAY: u32 = 1015;
    pub const INT8_ARRAY: u32 = 1016;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMP_TZ: u32 = 1184;
    pub const NUMERIC: u32 = 1700;
    pub const UUID: u32 = 2950;
    pub const UUID_ARRAY: u32 = 2951;
}

/// What one call brings.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub sql: &'a [u8],
    pub lexed: &'a Lexed,
    pub parameters: Option<Parameters<'a>>,
    /// How often each parameter occurs in the text, by its number from 0.
    pub occurrences: &'a [u32],
}

#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Known(KeyValue),
    Null,
    Unknown,
}

/// A constant with the type that PostgreSQL gives it before it looks at what it is compared with.
enum Typed {
    /// int4, or int8 where it is wide.
    Int { value: i64, wide: bool },
    /// A string literal, or a parameter without a type: it takes the type of the other side.
    Untyped(String),
    /// text or varchar.
    Text(String),
    /// Numeric, exact.
    Numeric(String),
    /// Of exactly this type.
    Exact(KeyType, KeyValue),
    /// A parameter of the other side's type, in binary.
    Binary(Vec<u8>),
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
            Constant::Cast(inner, CastType { base, array: true }) if fits(*base, key_type) => return self.elements(inner, Some(key_type)),
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
                    ParameterValue::Binary(bytes) => widths(key_type).iter().find_map(|width| key::from_array_binary(*width, bytes).ok())?,
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
            Constant::Arithmetic(operator, operands) => arithmetic(*operator, self.typed(&operands.0), self.typed(&operands.1)),
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
        let Some(literal) = self.lexed.literals.get(position) else { return Typed::Unknown };
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
        let Some((declared, value)) = self.parameter(number) else { return Typed::Unknown };
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
        let Some((declared, value)) = self.parameter(number) else { return Typed::Unknown };
        match declared {
            0 | oid::UNKNOWN if matches!(value, ParameterValue::Null) => Typed::Null,
            // Where it occurs elsewhere as well, that place may have given it another type.
            0 | oid::UNKNOWN if self.occurs_once(number) => read(base, value),
            0 | oid::UNKNOWN => match (self.untyped_parameter(number, value), base) {
                (Typed::Untyped(text), BaseType::Int2 | BaseType::Int4 | BaseType::Int8) => cast(Typed::Untyped(text), base),
                _ => Typed::Unknown,
            },
            _ => cast(self.typed_parameter(number), base),
        }
    }
}

fn integer(value: Option<i64>, wide: bool) -> Typed {
    match value {
        Some(value) if wide || i32::try_from(value).is_ok() => Typed::Int { value, wide },
        // PostgreSQL raises an error: out of range.
        _ => Typed::Unknown,
    }
}

fn arithmetic(operator: Arithmetic, left: Typed, right: Typed) -> Typed {
    match (left, right) {
        (Typed::Int { value: left, wide: left_wide }, Typed::Int { value: right, wide: right_wide }) => {
            let value = match operator {
                Arithmetic::Add => left.checked_add(right),
                Arithmetic::Subtract => left.checked_sub(right),
                Arithmetic::Multiply => left.checked_mul(right),
            };
            integer(value, left_wide || right_wide)
        }
        _ => Typed::Unknown,
    }
}

const fn key_type_of(base: BaseType) -> KeyType {
    match base {
        BaseType::Int2 => KeyType::Int2,
        BaseType::Int4 => KeyType::Int4,
        BaseType::Int8 => KeyType::Int8,
        BaseType::Text => KeyType::Text,
        BaseType::Uuid => KeyType::Uuid,
        BaseType::Date => KeyType::Date,
        BaseType::Timestamp => KeyType::Timestamp,
        BaseType::TimestampTz => KeyType::TimestampTz,
        BaseType::Numeric => KeyType::Numeric,
    }
}

const fn is_integer(key_type: KeyType) -> bool {
    matches!(key_type, KeyType::Int2 | KeyType::Int4 | KeyType::Int8)
}

/// If a value of this type is compared with the key as it is.
fn fits(base: BaseType, key_type: KeyType) -> bool {
    let own = key_type_of(base);
    own == key_type || is_integer(own) && is_integer(key_type)
}

fn widths(key_type: KeyType) -> &'static [KeyType] {
    match key_type {
        KeyType::Int2 | KeyType::Int4 | KeyType::Int8 => &[KeyType::Int8, KeyType::Int4, KeyType::Int2],
        KeyType::Text => &[KeyType::Text],
        KeyType::Uuid => &[KeyType::Uuid],
        KeyType::Date => &[KeyType::Date],
        KeyType::Timestamp => &[KeyType::Timestamp],
        KeyType::TimestampTz => &[KeyType::TimestampTz],
        KeyType::Numeric => &[KeyType::Numeric],
    }
}

const fn array_element(declared: u32) -> Option<BaseType> {
    match declared {
        oid::INT2_ARRAY => Some(BaseType::Int2),
        oid::INT4_ARRAY => Some(BaseType::Int4),
        oid::INT8_ARRAY => Some(BaseType::Int8),
        oid::TEXT_ARRAY | oid::VARCHAR_ARRAY => Some(BaseType::Text),
        oid::UUID_ARRAY => Some(BaseType::Uuid),
        _ => None,
    }
}

/// A parameter of a known type.
fn read(base: BaseType, value: ParameterValue<'_>) -> Typed {
    let key_type = key_type_of(base);
    let value = match value {
        ParameterValue::Null => return Typed::Null,
        ParameterValue::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => key::from_text(key_type, text),
            Err(_) => return Typed::Unknown,
        },
        ParameterValue::Binary(bytes) => key::from_binary(key_type, bytes),
    };
    match value {
        Ok(value) => typed(key_type, value),
        Err(_) => Typed::Unknown,
    }
}

fn typed(key_type: KeyType, value: KeyValue) -> Typed {
    match value {
        KeyValue::Int(value) => Typed::Int { value, wide: key_type == KeyType::Int8 },
        KeyValue::Text(text) => Typed::Text(text.into()),
        value => Typed::Exact(key_type, value),
    }
}

/// An explicit cast, where it keeps the value or is exact.
fn cast(value: Typed, to: BaseType) -> Typed {
    let key_type = key_type_of(to);
    match (value, to) {
        (Typed::Null, _) => Typed::Null,
        // What a string literal is cast to is its type from the start.
        (Typed::Untyped(text), _) => key::from_text(key_type, &text).map_or(Typed::Unknown, |value| typed(key_type, value)),
        (Typed::Text(text), BaseType::Text) => Typed::Text(text),
        (Typed::Text(text), BaseType::Int2 | BaseType::Int4 | BaseType::Int8 | BaseType::Uuid) => {
            key::from_text(key_type, &text).map_or(Typed::Unknown, |value| typed(key_type, value))
        }
        (Typed::Int { value, .. }, BaseType::Int2) if i16::try_from(value).is_ok() => Typed::Int { value, wide: false },
        (Typed::Int { value, .. }, BaseType::Int4) => integer(Some(value), false),
        (Typed::Int { value, .. }, BaseType::Int8) => Typed::Int { value, wide: true },
        (Typed::Int { value, .. }, BaseType::Text) => Typed::Text(value.to_string()),
        (Typed::Int { value, .. }, BaseType::Numeric) => Typed::Numeric(value.to_string()),
        (Typed::Numeric(text), BaseType::Numeric) => Typed::Numeric(text),
        (Typed::Exact(own, value), _) if own == key_type => Typed::Exact(own, value),
        _ => Typed::Unknown,
    }
}

fn convert(value: Typed, key_type: KeyType) -> Value {
    let known = |value: Result<KeyValue, key::KeyError>| value.map_or(Value::Unknown, Value::Known);
    match value {
        Typed::Null => Value::Null,
        Typed::Untyped(text) => known(key::from_text(key_type, &text)),
        Typed::Binary(bytes) => known(key::from_binary(key_type, &bytes)),
        Typed::Int { value, .. } if is_integer(key_type) => Value::Known(KeyValue::Int(value)),
        Typed::Int { value, .. } if key_type == KeyType::Numeric => known(key::from_text(key_type, &value.to_string())),
        Typed::Numeric(text) if key_type == KeyType::Numeric => known(key::from_text(key_type, &text)),
        Typed::Text(text) if key_type == KeyType::Text => Value::Known(KeyValue::Text(text.into())),
        Typed::Exact(own, value) if own == key_type => Value::Known(value),
        _ => Value::Unknown,
    }
}

/// Without a server to ask: by the form of the value.
fn guess(value: Typed) -> Value {
    match value {
        Typed::Null => Value::Null,
        Typed::Int { value, .. } => Value::Known(KeyValue::Int(value)),
        Typed::Text(text) => Value::Known(KeyValue::Text(text.into())),
        Typed::Exact(_, value) => Value::Known(value),
        Typed::Untyped(text) => {
            let uuid = if text.len() >= 32 { key::from_text(KeyType::Uuid, &text).ok() } else { None };
            match uuid.or_else(|| key::from_text(KeyType::Int8, &text).ok()) {
                Some(value) => Value::Known(value),
                None => Value::Known(KeyValue::Text(text.into())),
            }
        }
        Typed::Numeric(_) | Typed::Binary(_) | Typed::Unknown => Value::Unknown,
    }
}

