//! Calls of functions, and casts, which may look names up in the catalogs or depend on the time.

use sqlparser::ast::{self, Expr};

use super::expression::{array_element, is_dated};
use super::{At, Lowered, Lowering, NotParsed, names};
use crate::sql::statement::{Call, Place};

impl Lowering {
    pub(super) fn cast(&mut self, data_type: &ast::DataType, inner: &Expr, at: &At) -> Lowered<()> {
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

    pub(super) fn function(&mut self, function: &ast::Function, at: &At) -> Lowered<()> {
        let ast::Function { name, uses_odbc_syntax, parameters, args, within_group, filter, null_treatment: _, over } =
            function;
        if *uses_odbc_syntax || !matches!(parameters, ast::FunctionArguments::None) {
            return Err(NotParsed);
        }
        let (schema, last) = match name.0.as_slice() {
            [only] => (None, names::part(only)?),
            [schema, last] => (Some(names::name(names::part(schema)?)?), names::part(last)?),
            _ => return Err(NotParsed),
        };
        let folded = names::fold(last)?;
        // `LIKE ALL (...)`, and `(VALUES (1))`.
        if matches!(&*folded, "all" | "any" | "some" | "values") && last.quote_style.is_none() {
            return Err(NotParsed);
        }
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
                ast::FunctionArgExpr::QualifiedWildcard(_) => self.out.stars = true,
                ast::FunctionArgExpr::Wildcard => {}
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
            if let Some(ast::WindowFrameBound::Preceding(Some(value)) | ast::WindowFrameBound::Following(Some(value))) =
                bound
            {
                self.walk(value, at)?;
            }
        }
        Ok(())
    }
}
