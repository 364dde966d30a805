//! Values with their types, and what casts, arithmetic and comparison with a key make of them. No
//! value is known here that PostgreSQL could read differently under any setting.

use super::evaluate::Value;
use super::template::ParameterValue;
use crate::routing::key;
use crate::sql::statement::{Arithmetic, BaseType};
use crate::types::{KeyType, KeyValue};

/// OIDs of pg_type.dat.
pub mod oid {
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

/// A constant with the type that PostgreSQL gives it before it looks at what it is compared with.
pub enum Typed {
    /// int4, or int8 where it is wide.
    Int {
        value: i64,
        wide: bool,
    },
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

pub fn integer(value: Option<i64>, wide: bool) -> Typed {
    match value {
        Some(value) if wide || i32::try_from(value).is_ok() => Typed::Int { value, wide },
        // PostgreSQL raises an error: out of range.
        _ => Typed::Unknown,
    }
}

pub fn arithmetic(operator: Arithmetic, left: Typed, right: Typed) -> Typed {
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

pub const fn key_type_of(base: BaseType) -> KeyType {
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

pub const fn is_integer(key_type: KeyType) -> bool {
    matches!(key_type, KeyType::Int2 | KeyType::Int4 | KeyType::Int8)
}

/// If a value of this type is compared with the key as it is.
pub fn fits(base: BaseType, key_type: KeyType) -> bool {
    let own = key_type_of(base);
    own == key_type || is_integer(own) && is_integer(key_type)
}

pub fn widths(key_type: KeyType) -> &'static [KeyType] {
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

pub const fn array_element(declared: u32) -> Option<BaseType> {
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
pub fn read(base: BaseType, value: ParameterValue<'_>) -> Typed {
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

pub fn typed(key_type: KeyType, value: KeyValue) -> Typed {
    match value {
        KeyValue::Int(value) => Typed::Int { value, wide: key_type == KeyType::Int8 },
        KeyValue::Text(text) => Typed::Text(text.into()),
        value => Typed::Exact(key_type, value),
    }
}

/// An explicit cast, where it keeps the value or is exact.
pub fn cast(value: Typed, to: BaseType) -> Typed {
    let key_type = key_type_of(to);
    match (value, to) {
        (Typed::Null, _) => Typed::Null,
        // What a string literal is cast to is its type from the start.
        (Typed::Untyped(text), _) => {
            key::from_text(key_type, &text).map_or(Typed::Unknown, |value| typed(key_type, value))
        }
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

pub fn convert(value: Typed, key_type: KeyType) -> Value {
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
pub fn guess(value: Typed) -> Value {
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
