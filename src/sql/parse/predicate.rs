//! What a condition says about columns. In: an expression that must be true. Out: the conjuncts of
//! shapes that the planner can use; all others are left out, which is always safe.

use sqlparser::ast::{self, BinaryOperator, Expr};

use super::{Lowered, NotParsed, names};
use crate::sql::statement::{Arithmetic, BaseType, CastType, Column, Constant, Limit, Operand, Predicate};

/// Operators and casts nested in one constant; deeper ones have no known value.
const CONSTANT_DEPTH_MAX: usize = 16;
/// Nesting of AND and OR that is followed; deeper conditions say nothing.
const CONDITION_DEPTH_MAX: usize = 64;

/// The conjuncts of a condition.
pub(super) fn conjuncts(condition: &Expr, out: &mut Vec<Predicate>) {
    nested_conjuncts(condition, CONDITION_DEPTH_MAX, out);
}

fn nested_conjuncts(condition: &Expr, depth: usize, out: &mut Vec<Predicate>) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    // Chains lean to the left and may be very long.
    let mut condition = condition;
    loop {
        condition = match condition {
            Expr::Nested(inner) | Expr::IsTrue(inner) => inner,
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                nested_conjuncts(right, depth, out);
                left
            }
            other => return single(other, depth, out),
        }
    }
}

fn single(condition: &Expr, depth: usize, out: &mut Vec<Predicate>) {
    match condition {
        Expr::BinaryOp { op: BinaryOperator::Or, .. } => out.extend(either(condition, depth)),
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => equal(left, right, out),
        Expr::BinaryOp { left, op, right } => out.extend(compare(left, op, right)),
        Expr::InList { expr, list, negated: false } => one_of(expr, list, out),
        Expr::Between { expr, negated: false, low, high } => out.extend(between(expr, low, high)),
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => out.extend(any_of(left, right)),
        _ => {}
    }
}

/// `None` when a branch says nothing: then the whole doesn't either.
fn either(condition: &Expr, depth: usize) -> Option<Predicate> {
    let mut branches = Vec::new();
    let mut condition = condition;
    loop {
        let branch = match condition {
            Expr::Nested(inner) => {
                condition = inner;
                continue;
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                condition = left;
                right
            }
            last => {
                branches.push(branch(last, depth)?);
                branches.reverse();
                return Some(Predicate::Either(branches));
            }
        };
        branches.push(self::branch(branch, depth)?);
    }
}

fn branch(condition: &Expr, depth: usize) -> Option<Vec<Predicate>> {
    let mut found = Vec::new();
    nested_conjuncts(condition, depth, &mut found);
    (!found.is_empty()).then_some(found)
}

fn equal(left: &Expr, right: &Expr, out: &mut Vec<Predicate>) {
    if let (Expr::Tuple(left), Expr::Tuple(right)) = (bare(left), bare(right)) {
        if left.len() == right.len() {
            for (left, right) in left.iter().zip(right) {
                equal(left, right, out);
            }
        }
        return;
    }
    match (operand(left), operand(right)) {
        (left @ Operand::Column(_), right @ (Operand::Column(_) | Operand::Constant(_)))
        | (right @ Operand::Constant(_), left @ Operand::Column(_)) => out.push(Predicate::Equal(left, right)),
        _ => {}
    }
}

fn compare(left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Predicate> {
    let (column, value, below) = match (operand(left), operand(right)) {
        (Operand::Column(column), Operand::Constant(value)) => (column, value, true),
        (Operand::Constant(value), Operand::Column(column)) => (column, value, false),
        _ => return None,
    };
    let (is_less, inclusive) = match op {
        BinaryOperator::Lt => (true, false),
        BinaryOperator::LtEq => (true, true),
        BinaryOperator::Gt => (false, false),
        BinaryOperator::GtEq => (false, true),
        _ => return None,
    };
    let limit = Some(Limit { value, inclusive });
    Some(if is_less == below {
        Predicate::Range { column, low: None, high: limit }
    } else {
        Predicate::Range { column, low: limit, high: None }
    })
}

fn between(expression: &Expr, low: &Expr, high: &Expr) -> Option<Predicate> {
    let Operand::Column(column) = operand(expression) else {
        return None;
    };
    let limit = |bound| match operand(bound) {
        Operand::Constant(value) => Some(Limit { value, inclusive: true }),
        _ => None,
    };
    Some(Predicate::Range { column, low: limit(low), high: limit(high) })
}

fn one_of(expression: &Expr, list: &[Expr], out: &mut Vec<Predicate>) {
    if let Expr::Tuple(columns) = bare(expression) {
        // `(a, b) IN ((1, 2), (3, 4))` implies `a IN (1, 3)` and `b IN (2, 4)`.
        for (position, column) in columns.iter().enumerate() {
            let item = |row| match bare(row) {
                Expr::Tuple(items) if items.len() == columns.len() => items.get(position),
                _ => None,
            };
            if let Some(items) = list.iter().map(item).collect::<Option<Vec<_>>>() {
                out.extend(one_of_constants(column, &items));
            }
        }
        return;
    }
    out.extend(one_of_constants(expression, &list.iter().collect::<Vec<_>>()));
}

fn one_of_constants(expression: &Expr, list: &[&Expr]) -> Option<Predicate> {
    let Operand::Column(column) = operand(expression) else {
        return None;
    };
    Some(Predicate::OneOf(column, list.iter().map(|item| constant(item)).collect::<Option<_>>()?))
}

fn any_of(left: &Expr, right: &Expr) -> Option<Predicate> {
    let Operand::Column(column) = operand(left) else {
        return None;
    };
    let (elements, element_type) = match bare(right) {
        Expr::Array(array) => (&array.elem, None),
        Expr::Cast { expr, data_type, .. } => match (bare(expr), cast_type(data_type)?) {
            (Expr::Array(array), to @ CastType { array: true, .. }) => {
                (&array.elem, Some(CastType { array: false, ..to }))
            }
            (inner, to) => {
                return Some(Predicate::AnyOf(column, Constant::Cast(Box::new(constant(inner)?), to)));
            }
        },
        other => return Some(Predicate::AnyOf(column, constant(other)?)),
    };
    let element = |element| {
        let value = constant(element)?;
        Some(match element_type {
            Some(to) => Constant::Cast(Box::new(value), to),
            None => value,
        })
    };
    Some(Predicate::OneOf(column, elements.iter().map(element).collect::<Option<_>>()?))
}

fn bare(expression: &Expr) -> &Expr {
    let mut expression = expression;
    while let Expr::Nested(inner) = expression {
        expression = inner;
    }
    expression
}

fn constant(expression: &Expr) -> Option<Constant> {
    match operand(expression) {
        Operand::Constant(constant) => Some(constant),
        _ => None,
    }
}

/// What stands on one side of a comparison, in VALUES or in SET.
pub(super) fn operand(expression: &Expr) -> Operand {
    match bare(expression) {
        Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default") => {
            Operand::Default
        }
        Expr::Identifier(ident) => match names::name(ident) {
            Ok(name) => Operand::Column(Column { qualifier: None, name }),
            Err(NotParsed) => Operand::Opaque,
        },
        Expr::CompoundIdentifier(parts) => match qualified(parts) {
            Ok(column) => Operand::Column(column),
            Err(NotParsed) => Operand::Opaque,
        },
        other => nested_constant(other, CONSTANT_DEPTH_MAX).map_or(Operand::Opaque, Operand::Constant),
    }
}

fn qualified(parts: &[ast::Ident]) -> Lowered<Column> {
    use crate::sql::statement::TableName;
    let (schema, table, column) = match parts {
        [table, column] => (None, table, column),
        [schema, table, column] => (Some(names::name(schema)?), table, column),
        _ => return Err(NotParsed),
    };
    Ok(Column { qualifier: Some(TableName { schema, name: names::name(table)? }), name: names::fold(column)? })
}

fn nested_constant(expression: &Expr, depth: usize) -> Option<Constant> {
    let depth = depth.checked_sub(1)?;
    Some(match bare(expression) {
        Expr::Value(value) => literal(&value.value)?,
        Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr } => {
            Constant::Negative(Box::new(nested_constant(expr, depth)?))
        }
        Expr::UnaryOp { op: ast::UnaryOperator::Plus, expr } => {
            // `+ '5'` isn't a string any more.
            let zero = Box::new(nested_constant(expr, depth)?);
            Constant::Negative(Box::new(Constant::Negative(zero)))
        }
        Expr::BinaryOp { left, op, right } => {
            let operator = match op {
                BinaryOperator::Plus => Arithmetic::Add,
                BinaryOperator::Minus => Arithmetic::Subtract,
                BinaryOperator::Multiply => Arithmetic::Multiply,
                _ => return None,
            };
            Constant::Arithmetic(operator, Box::new((nested_constant(left, depth)?, nested_constant(right, depth)?)))
        }
        Expr::Cast { expr, data_type, kind: ast::CastKind::Cast | ast::CastKind::DoubleColon, format: None } => {
            Constant::Cast(Box::new(nested_constant(expr, depth)?), cast_type(data_type)?)
        }
        Expr::TypedString(typed) if !typed.uses_odbc_syntax => {
            Constant::Cast(Box::new(literal(&typed.value.value)?), cast_type(&typed.data_type)?)
        }
        _ => return None,
    })
}

/// Literals carry their position: see `skeleton`.
fn literal(value: &ast::Value) -> Option<Constant> {
    match value {
        ast::Value::Null => Some(Constant::Null),
        ast::Value::Number(ordinal, false) => ordinal.split('.').next()?.parse().ok().map(Constant::Literal),
        ast::Value::SingleQuotedString(ordinal) => ordinal.parse().ok().map(Constant::Literal),
        ast::Value::Placeholder(number) => {
            let number: u16 = number.strip_prefix('$')?.parse().ok()?;
            number.checked_sub(1).map(Constant::Parameter)
        }
        _ => None,
    }
}

/// Types that keep a value as it is; those with a length, a precision or a scale may not.
fn cast_type(data_type: &ast::DataType) -> Option<CastType> {
    use ast::{ArrayElemTypeDef, DataType, ExactNumberInfo, TimezoneInfo};
    let base = match data_type {
        DataType::Array(ArrayElemTypeDef::SquareBracket(inner, _)) => {
            let element = cast_type(inner)?;
            return (!element.array).then_some(CastType { array: true, ..element });
        }
        DataType::SmallInt(None) | DataType::Int2(None) => BaseType::Int2,
        DataType::Int(None) | DataType::Integer(None) | DataType::Int4(None) => BaseType::Int4,
        DataType::BigInt(None) | DataType::Int8(None) => BaseType::Int8,
        DataType::Text | DataType::Varchar(None) | DataType::CharacterVarying(None) | DataType::CharVarying(None) => {
            BaseType::Text
        }
        DataType::Uuid => BaseType::Uuid,
        DataType::Date => BaseType::Date,
        DataType::Timestamp(None, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => BaseType::Timestamp,
        DataType::Timestamp(None, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => BaseType::TimestampTz,
        DataType::Numeric(ExactNumberInfo::None) | DataType::Decimal(ExactNumberInfo::None) => BaseType::Numeric,
        _ => return None,
    };
    Some(CastType { base, array: false })
}
