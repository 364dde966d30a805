//! Walks expressions: registers their sub-selects and function calls. What an expression says about
//! keys is `predicate`'s.

use sqlparser::ast::{self, Expr};

use super::names::{self, is_bare_call, is_reserved};
use super::{At, Lowered, Lowering, NotParsed};
use crate::sql::statement::{Attribute, Call, Place, TableName};

const SYSTEM_COLUMNS: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

impl Lowering {
    pub(super) fn walk_all<'a>(&mut self, expressions: impl IntoIterator<Item = &'a Expr>, at: &At) -> Lowered<()> {
        expressions.into_iter().try_for_each(|expression| self.walk(expression, at))
    }

    pub(super) fn walk_option(&mut self, expression: Option<&Expr>, at: &At) -> Lowered<()> {
        expression.map_or(Ok(()), |expression| self.walk(expression, at))
    }

    /// Chains like `a AND b AND ...` or `a::b::c` lean to the left and may be very long: that side is a
    /// loop.
    pub(super) fn walk(&mut self, expression: &Expr, at: &At) -> Lowered<()> {
        let mut expression = expression;
        loop {
            expression = match self.first_operand(expression, at)? {
                Some(operand) => operand,
                None => return self.walk_other(expression, at),
            };
        }
    }

    /// The operand that operators, casts and tests stand behind; the other operands have been walked
    /// then. `None` for everything else.
    fn first_operand<'a>(&mut self, expression: &'a Expr, at: &At) -> Lowered<Option<&'a Expr>> {
        let (first, others): (&Expr, Vec<&Expr>) = match expression {
            Expr::IsFalse(inner)
            | Expr::IsNotFalse(inner)
            | Expr::IsTrue(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::IsUnknown(inner)
            | Expr::IsNotUnknown(inner)
            | Expr::Nested(inner)
            | Expr::Collate { expr: inner, .. }
            | Expr::IsNormalized { expr: inner, .. }
            | Expr::IsJson { expr: inner, .. } => (inner, vec![]),
            Expr::BinaryOp { op: ast::BinaryOperator::PGCustomBinaryOperator(_), .. }
            | Expr::UnaryOp { op: ast::UnaryOperator::PGPostfixFactorial, .. } => return Err(NotParsed),
            Expr::UnaryOp { expr, .. } => (expr, vec![]),
            Expr::BinaryOp { left, right, .. }
            | Expr::IsDistinctFrom(left, right)
            | Expr::IsNotDistinctFrom(left, right)
            | Expr::AnyOp { left, right, .. }
            | Expr::AllOp { left, right, .. }
            | Expr::AtTimeZone { timestamp: left, time_zone: right } => (left, vec![right]),
            Expr::Cast { kind, expr, data_type, format } => {
                if format.is_some() || !matches!(kind, ast::CastKind::Cast | ast::CastKind::DoubleColon) {
                    return Err(NotParsed);
                }
                self.cast(data_type, expr, at)?;
                (expr, vec![])
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                access_chain.iter().try_for_each(|access| self.access(access, at))?;
                (root, vec![])
            }
            Expr::InList { expr, list, .. } => (expr, list.iter().collect()),
            Expr::InSubquery { expr, subquery, .. } => {
                self.query(subquery, Some(at.parent()))?;
                (expr, vec![])
            }
            Expr::Between { expr, low, high, .. } => (expr, vec![low, high]),
            Expr::Like { any: false, expr, pattern, escape_char, .. }
            | Expr::ILike { any: false, expr, pattern, escape_char, .. }
            | Expr::SimilarTo { expr, pattern, escape_char, .. } => {
                self.walk_option(escape_char.as_deref(), at)?;
                (expr, vec![pattern])
            }
            _ => return Ok(None),
        };
        self.walk_all(others, at)?;
        Ok(Some(first))
    }

    fn walk_other(&mut self, expression: &Expr, at: &At) -> Lowered<()> {
        match expression {
            Expr::Identifier(ident) => self.identifier(ident, at),
            Expr::CompoundIdentifier(parts) => self.compound(parts, at),
            Expr::Value(value) => value_is_known(&value.value),
            Expr::TypedString(typed) => {
                self.cast(&typed.data_type, &Expr::Value(ast::Value::Null.into()), at)?;
                self.out.dated_output |= at.place == Place::Output && is_dated(&typed.data_type);
                value_is_known(&typed.value.value)
            }
            Expr::Interval(interval) => self.walk(&interval.value, at),
            Expr::Exists { subquery, .. } | Expr::Subquery(subquery) => {
                self.query(subquery, Some(at.parent())).map(drop)
            }
            Expr::Function(function) => self.function(function, at),
            Expr::Case { operand, conditions, else_result, .. } => {
                self.walk_option(operand.as_deref(), at)?;
                for case in conditions {
                    self.walk(&case.condition, at)?;
                    self.walk(&case.result, at)?;
                }
                self.walk_option(else_result.as_deref(), at)
            }
            Expr::Tuple(items) => self.walk_all(items, at),
            Expr::Array(array) => self.walk_all(&array.elem, at),
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                // The parser takes a ROLLUP, a CUBE and sets within sets for calls.
                if sets.iter().flatten().any(|member| matches!(member, Expr::Function(_))) {
                    return Err(NotParsed);
                }
                self.scope(at.scope).features.grouping_sets = true;
                self.walk_all(sets.iter().flatten(), at)
            }
            other => self.walk_function_syntax(other, at),
        }
    }

    /// Functions with a grammar of their own.
    fn walk_function_syntax(&mut self, expression: &Expr, at: &At) -> Lowered<()> {
        match expression {
            Expr::Extract { expr, .. } => self.walk(expr, at),
            Expr::Ceil { expr, field } | Expr::Floor { expr, field } => match field {
                ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) => self.walk(expr, at),
                _ => Err(NotParsed),
            },
            Expr::Position { expr, r#in } => self.walk_all([expr.as_ref(), r#in.as_ref()], at),
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                self.walk(expr, at)?;
                self.walk_option(substring_from.as_deref(), at)?;
                self.walk_option(substring_for.as_deref(), at)
            }
            Expr::Trim { trim_what, expr, trim_characters, .. } => {
                self.walk_option(trim_what.as_deref(), at)?;
                self.walk(expr, at)?;
                self.walk_all(trim_characters.iter().flatten(), at)
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                self.walk_all([expr.as_ref(), overlay_what, overlay_from], at)?;
                self.walk_option(overlay_for.as_deref(), at)
            }
            _ => Err(NotParsed),
        }
    }

    fn identifier(&mut self, ident: &ast::Ident, at: &At) -> Lowered<()> {
        let name = names::fold(ident)?;
        if ident.quote_style.is_none() {
            if is_bare_call(&name) {
                self.call(Call {
                    schema: None,
                    name,
                    place: at.place,
                    scope: at.scope,
                    arguments: 0,
                    is_aggregate: false,
                    is_window: false,
                });
                return Ok(());
            }
            // DEFAULT is an identifier to the parser; it is taken care of where it may stand.
            if is_reserved(&name) && &*name != "default" {
                return Err(NotParsed);
            }
        }
        self.out.system_columns |= SYSTEM_COLUMNS.contains(&&*name);
        self.out.bare_names.push(name);
        Ok(())
    }

    fn compound(&mut self, parts: &[ast::Ident], at: &At) -> Lowered<()> {
        // `catalog.schema.table.column` and fields of composite columns are beyond what is read here.
        if parts.len() > 3 {
            return Err(NotParsed);
        }
        // Behind a dot every keyword is a column.
        let (last, qualifiers) = parts.split_last().ok_or(NotParsed)?;
        let mut qualifiers = qualifiers.iter().rev().map(names::name);
        let table = qualifiers.next().ok_or(NotParsed)??;
        let schema = qualifiers.next().transpose()?;
        let name = names::fold(last)?;
        self.out.system_columns |= SYSTEM_COLUMNS.contains(&&*name);
        let qualifier = Some(TableName { schema, name: table });
        self.out.attributes.push(Attribute { qualifier, name, place: at.place, scope: at.scope });
        Ok(())
    }

    fn access(&mut self, access: &ast::AccessExpr, at: &At) -> Lowered<()> {
        match access {
            ast::AccessExpr::Dot(Expr::Identifier(field)) => {
                let name = names::fold(field)?;
                self.out.attributes.push(Attribute { qualifier: None, name, place: at.place, scope: at.scope });
                Ok(())
            }
            // `(row).*`
            ast::AccessExpr::Dot(Expr::Wildcard(_)) => {
                self.out.stars = true;
                Ok(())
            }
            ast::AccessExpr::Dot(_) => Err(NotParsed),
            ast::AccessExpr::Subscript(ast::Subscript::Index { index }) => self.walk(index, at),
            ast::AccessExpr::Subscript(ast::Subscript::Slice { lower_bound, upper_bound, stride: None }) => {
                self.walk_option(lower_bound.as_ref(), at)?;
                self.walk_option(upper_bound.as_ref(), at)
            }
            ast::AccessExpr::Subscript(ast::Subscript::Slice { .. }) => Err(NotParsed),
        }
    }
}

fn value_is_known(value: &ast::Value) -> Lowered<()> {
    match value {
        ast::Value::Number(..)
        | ast::Value::SingleQuotedString(_)
        | ast::Value::SingleQuotedByteStringLiteral(_)
        | ast::Value::Boolean(_)
        | ast::Value::Null
        | ast::Value::Placeholder(_) => Ok(()),
        _ => Err(NotParsed),
    }
}

pub(super) fn array_element(data_type: &ast::DataType) -> &ast::DataType {
    let mut element = data_type;
    while let ast::DataType::Array(
        ast::ArrayElemTypeDef::SquareBracket(inner, _)
        | ast::ArrayElemTypeDef::AngleBracket(inner)
        | ast::ArrayElemTypeDef::Parenthesis(inner)
        | ast::ArrayElemTypeDef::Qualified(inner, _),
    ) = element
    {
        element = inner;
    }
    element
}

pub(super) fn is_dated(data_type: &ast::DataType) -> bool {
    matches!(
        array_element(data_type),
        ast::DataType::Date
            | ast::DataType::Time(..)
            | ast::DataType::Timestamp(..)
            | ast::DataType::Datetime(..)
            | ast::DataType::Custom(..)
    )
}
