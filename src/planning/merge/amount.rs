//! LIMIT, OFFSET and FETCH. In: what they were given. Out: how many rows to skip and to take.

use super::{Merge, Window};
use crate::planning::evaluate::{Call, Value};
use crate::sql::statement::{Constant, Operand, Shape};
use crate::types::{KeyType, KeyValue};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Amount {
    Constant(Constant),
    /// FETCH FIRST ROW.
    One,
}

/// What a call comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amounts {
    Window(Window),
    /// Any server says what is wrong.
    Negative,
    /// Only a server can tell.
    Unknown,
}

/// LIMIT (or FETCH) and OFFSET; `None` where they aren't simply numbers.
pub fn amounts(shape: &Shape) -> Option<(Option<Amount>, Option<Amount>)> {
    let constant = |operand: &Operand| match operand {
        Operand::Constant(constant @ (Constant::Null | Constant::Literal(_) | Constant::Parameter(_))) => {
            Some(Amount::Constant(constant.clone()))
        }
        // Its server says so.
        Operand::Constant(Constant::Negative(inner)) if matches!(**inner, Constant::Literal(_)) => {
            Some(Amount::Constant(Constant::Negative(inner.clone())))
        }
        _ => None,
    };
    let limit = match (&shape.limit, &shape.fetch) {
        (Some(_), Some(_)) => return None,
        (Some(limit), None) => Some(constant(limit)?),
        (None, Some(fetch)) if fetch.with_ties => return None,
        (None, Some(fetch)) => Some(fetch.quantity.as_ref().map_or(Some(Amount::One), constant)?),
        (None, None) => None,
    };
    let offset = match &shape.offset {
        Some(offset) => Some(constant(offset)?),
        None => None,
    };
    Some((limit, offset))
}

impl Merge {
    /// The rows that this call wants.
    pub(in crate::planning) fn amounts(&self, call: &Call<'_>) -> Amounts {
        let value = |amount: &Option<Amount>| match amount {
            None => Some(None),
            Some(Amount::One) => Some(Some(1)),
            Some(Amount::Constant(constant)) => match call.value(constant, Some(KeyType::Int8)) {
                Value::Known(KeyValue::Int(value)) => Some(Some(value)),
                Value::Null => Some(None),
                _ => None,
            },
        };
        let (Some(limit), Some(offset)) = (value(&self.limit), value(&self.offset)) else {
            return Amounts::Unknown;
        };
        if limit.is_some_and(|limit| limit < 0) || offset.is_some_and(|offset| offset < 0) {
            return Amounts::Negative;
        }
        let offset = offset.unwrap_or(0);
        if limit.is_some_and(|limit| limit.checked_add(offset).is_none()) {
            return Amounts::Unknown;
        }
        Amounts::Window(Window { skip: offset.unsigned_abs(), take: limit.map(i64::unsigned_abs) })
    }
}
