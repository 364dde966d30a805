//! Walks expressions: registers their sub-selects and function calls. What an expression says about
//! keys is `predicate`'s.

use sqlparser::ast::{self, Expr};

use super::names::{self, is_bare_call, is_reserved};
use super::{At, Lowered, Lowering, NotParsed};
use crate::sql::statement::{Call, Place};

const SYSTEM_COLUMNS: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"];

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
            expression = match expression {
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
                | Expr::IsJson { expr: inner, .. } => inner,
                Expr::BinaryOp { left, op, right } => {
                    if matches!(op, ast::BinaryOperator::PGCustomBinaryOperator(_)) {
                        return Err(NotParsed);
                    }
                    self.walk(right, at)?;
                    left
                }
                Expr::UnaryOp { expr, op } => {
                    if *op == ast::UnaryOperator::PGPostfixFactorial {
                        return Err(NotParsed);
                    }
                    expr
                }
                Expr::Cast { kind, expr, data_type, format } => {
                    if format.is_some() || !matches!(kind, ast::CastKind::Cast | ast::CastKind::DoubleColon) {
                        return Err(NotParsed);
                    }
                    self.cast(data_type, expr, at)?;
                    expr
                }
                Expr::CompoundFieldAccess { root, access_chain } => {
                    for access in access_chain {
                        self.access(access, at)?;
                    }
                    root
                }
                Expr::InList { expr, list, .. } => {
                    self.walk_all(list, at)?;
                    expr
                }
                Expr::InSubquery { expr, subquery, .. } => {
                    self.query(subquery, Some(at.parent()))?;
                    expr
                }
                Expr::Between { expr, low, high, .. } => {
                    self.walk(low, at)?;
                    self.walk(high, at)?;
                    expr
                }
                Expr::Like { any: false, expr, pattern, escape_char, .. }
                | Expr::ILike { any: false, expr, pattern, escape_char, .. }
                | Expr::SimilarTo { expr, pattern, escape_char, .. } => {
                    self.walk(pattern, at)?;
                    self.walk_option(escape_char.as_deref(), at)?;
                    expr
                }
                Expr::IsDistinctFrom(left, right)
                | Expr::IsNotDistinctFrom(left, right)
                | Expr::AnyOp { left, right, .. }
                | Expr::AllOp { left, right, .. }
                | Expr::AtTimeZone { timestamp: left, time_zone: right } => {
                    self.walk(right, at)?;
                    left
                }
                other => return self.walk_other(other, at),
            }
        }
    }

    fn walk_other(&mut self, expression: &Expr, at: &At) -> Lowered<()> {
        match expression {
            Expr::Identifier(ident) => self.identifier(ident, at),
            Expr::CompoundIdentifier(parts) => self.compound(parts),
            Expr::Value(value) => value_is_known(&value.value),
            Expr::TypedString(typed) => {
                self.cast(&typed.data_type, &Expr::Value(ast::Value::Null.into()), at)?;
                self.out.dated_output |= at.place == Place::Output && is_dated(&typed.data_type);
                value_is_known(&typed.value.value)
            }
            Expr::Interval(interval) => self.walk(&interval.value, at),
            Expr::Exists { subquery, .. } | Expr::Subquery(subquery) => self.query(subquery, Some(at.parent())).map(drop),
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
                self.scope(at.scope).features.grouping_sets = true;
                self.walk_all(sets.iter().flatten(), at)
            }
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
        Ok(())
    }

    fn compound(&mut self, parts: &[ast::Ident]) -> Lowered<()> {
        // `catalog.schema.table.column` and fields of composite columns are beyond what is read here.
        if parts.len() > 3 {
            return Err(NotParsed);
        }
        // Behind a dot every keyword is a column.
        let (last, qualifiers) = parts.split_last().ok_or(NotParsed)?;
        for qualifier in qualifiers {
            names::name(qualifier)?;
        }
        self.out.system_columns |= SYSTEM_COLUMNS.contains(&&*names::fold(last)?);
        Ok(())
    }

    fn access(&mut self, access: &ast::AccessExpr, at: &At) -> Lowered<()> {
        match access {
            ast::AccessExpr::Dot(Expr::Identifier(field)) => names::fold(field).map(drop),
            // `(row).*`
            ast::AccessExpr::Dot(Expr::Wildcard(_)) => Ok(()),
            ast::AccessExpr::Dot(_) => Err(NotParsed),
            ast::AccessExpr::Subscript(ast::Subscript::Index { index }) => self.walk(index, at),
            ast::AccessExpr::Subscript(ast::Subscript::Slice { lower_bound, upper_bound, stride: None }) => {
                self.walk_option(lower_bound.as_ref(), at)?;
                self.walk_option(upper_bound.as_ref(), at)
            }
            ast::AccessExpr::Subscript(ast::Subscript::Slice { .. }) => Err(NotParsed),
        }
    }

    fn cast(&mut self, data_type: &ast::DataType, inner: &Expr, at: &At) -> Lowered<()> {
        let plain = array_element(data_type);
        let special = match plain {
            ast::DataType::Regclass => Some("regclass".into()),
            ast::DataType::Custom(object, _) => {
                let last = object.0.last().ok_or(NotParsed)?;
                let name = names::fold(names::part(last)?)?;
                // Built-in types that the parser has no word for need no looking at, but those that
                // look names up in the catalogs do.
                name.starts_with("reg").then_some(name)
            }
            _ => None,
        };
        if let Some(name) = special {
            self.call(Call {
                schema: None,
                name,
                place: at.place,
                scope: at.scope,
                arguments: 1,
                is_aggregate: false,
                is_window: false,
            });
        }
        let plain_column = matches!(inner, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        self.out.dated_output |= at.place == Place::Output && is_dated(plain) && !plain_column;
        Ok(())
    }

    fn function(&mut self, function: &ast::Function, at: &At) -> Lowered<()> {
        let ast::Function { name, uses_odbc_syntax, parameters, args, within_group, filter, null_treatment: _, over } = function;
        if *uses_odbc_syntax || !matches!(parameters, ast::FunctionArguments::None) {
            return Err(NotParsed);
        }
        let (schema, last) = match name.0.as_slice() {
            [only] => (None, names::part(only)?),
            [schema, last] => (Some(names::name(names::part(schema)?)?), names::part(last)?),
            _ => return Err(NotParsed),
        };
        let folded = names::fold(last)?;
        let (arguments, mut is_aggregate) = match args {
            ast::FunctionArguments::None => (0, false),
            // `ARRAY(SELECT ...)`
            ast::FunctionArguments::Subquery(query) if &*folded == "array" && schema.is_none() => {
                return self.query(query, Some(at.parent())).map(drop);
            }
            ast::FunctionArguments::Subquery(_) => return Err(NotParsed),
            ast::FunctionArguments::List(list) => self.arguments(list, at)?,
        };
        if let Some(filter) = filter {
            is_aggregate = true;
            self.walk(filter, at)?;
        }
        if !within_group.is_empty() {
            is_aggregate = true;
            self.order(within_group, at)?;
        }
        if let Some(over) = over {
            self.scope(at.scope).features.window = true;
            if let ast::WindowType::WindowSpec(spec) = over {
                self.window(spec, at)?;
            }
        }
        self.call(Call {
            schema,
            name: folded,
            place: at.place,
            scope: at.scope,
            arguments,
            is_aggregate,
            is_window: over.is_some(),
        });
        Ok(())
    }

    /// How many arguments there are, and if their syntax is that of an aggregate.
    fn arguments(&mut self, list: &ast::FunctionArgumentList, at: &At) -> Lowered<(usize, bool)> {
        let mut is_aggregate = list.duplicate_treatment.is_some();
        for clause in &list.clauses {
            match clause {
                ast::FunctionArgumentClause::OrderBy(order) => {
                    is_aggregate = true;
                    self.order(order, at)?;
                }
                _ => return Err(NotParsed),
            }
        }
        self.function_arguments(&list.args, at)?;
        Ok((list.args.len(), is_aggregate))
    }

    pub(super) fn function_arguments(&mut self, arguments: &[ast::FunctionArg], at: &At) -> Lowered<()> {
        for argument in arguments {
            let (ast::FunctionArg::Named { arg, .. } | ast::FunctionArg::Unnamed(arg)) = argument else {
                return Err(NotParsed);
            };
            match arg {
                ast::FunctionArgExpr::Expr(expression) => self.walk(expression, at)?,
                ast::FunctionArgExpr::QualifiedWildcard(_) | ast::FunctionArgExpr::Wildcard => {}
                ast::FunctionArgExpr::WildcardWithOptions(_) => return Err(NotParsed),
            }
        }
        Ok(())
    }

    pub(super) fn order(&mut self, order: &[ast::OrderByExpr], at: &At) -> Lowered<()> {
        for item in order {
            if item.with_fill.is_some() {
                return Err(NotParsed);
            }
            self.walk(&item.expr, at)?;
        }
        Ok(())
    }

    pub(super) fn window(&mut self, spec: &ast::WindowSpec, at: &At) -> Lowered<()> {
        self.walk_all(&spec.partition_by, at)?;
        self.order(&spec.order_by, at)?;
        for bound in spec.window_frame.iter().flat_map(|frame| [Some(&frame.start_bound), frame.end_bound.as_ref()]) {
            if let Some(ast::WindowFrameBound::Preceding(Some(value)) | ast::WindowFrameBound::Following(Some(value))) = bound {
                self.walk(value, at)?;
            }
        }
        Ok(())
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

fn is_dated(data_type: &ast::DataType) -> bool {
    matches!(
        array_element(data_type),
        ast::DataType::Date | ast::DataType::Time(..) | ast::DataType::Timestamp(..) | ast::DataType::Datetime(..) | ast::DataType::Custom(..)
    )
}
