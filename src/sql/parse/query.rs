//! Queries: WITH, SELECT, VALUES, set operations.

use sqlparser::ast::{self, Expr, SetExpr};

use super::{Lowered, Lowering, NotParsed, names, predicate};
use crate::sql::statement::{Features, Fetch, Item, Operand, Order, Parent, Place};

impl Lowering {
    /// The scope of the query's body.
    pub(super) fn query(&mut self, query: &ast::Query, parent: Option<Parent>) -> Lowered<usize> {
        let ast::Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause: None,
            settings: None,
            format_clause: None,
            pipe_operators,
        } = query
        else {
            return Err(NotParsed);
        };
        if !pipe_operators.is_empty() {
            return Err(NotParsed);
        }
        let common = self.common.len();
        if let Some(with) = with {
            self.with(with, parent.as_ref())?;
        }
        let scope = self.body(body, parent)?;
        let at = self.at(scope, Place::Other);
        match order_by {
            None => {}
            Some(ast::OrderBy { kind: ast::OrderByKind::Expressions(order), interpolate: None }) => {
                self.order(order, &at)?;
                self.scope(scope).features.order_by = true;
                self.scope(scope).shape.order_by = order.iter().map(ordered).collect();
            }
            Some(_) => return Err(NotParsed),
        }
        match limit_clause {
            None => {}
            Some(ast::LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                self.walk_option(limit.as_ref(), &at)?;
                self.walk_option(offset.as_ref().map(|offset| &offset.value), &at)?;
                self.scope(scope).features.limit = true;
                let shape = &mut self.scope(scope).shape;
                shape.limit = limit.as_ref().map(predicate::operand);
                shape.offset = offset.as_ref().map(|offset| predicate::operand(&offset.value));
            }
            Some(_) => return Err(NotParsed),
        }
        if let Some(fetch) = fetch {
            self.walk_option(fetch.quantity.as_ref(), &at)?;
            self.scope(scope).features.limit = true;
            if fetch.percent {
                return Err(NotParsed);
            }
            let quantity = fetch.quantity.as_ref().map(predicate::operand);
            self.scope(scope).shape.fetch = Some(Fetch { quantity, with_ties: fetch.with_ties });
        }
        for lock in locks {
            let of = lock.of.as_ref().map(names::single).transpose()?;
            self.scope(scope).locks.push(of);
        }
        let features = &mut self.scope(scope).features;
        features.locking |= !locks.is_empty();
        features.with |= with.is_some();
        self.common.truncate(common);
        Ok(scope)
    }

    fn with(&mut self, with: &ast::With, parent: Option<&Parent>) -> Lowered<()> {
        for cte in &with.cte_tables {
            self.out.common_names.push(names::name(&cte.alias.name)?);
        }
        // Under RECURSIVE each one sees all of them, itself included; otherwise those before it.
        if with.recursive {
            for cte in &with.cte_tables {
                self.common.push((names::name(&cte.alias.name)?, None));
            }
        }
        for cte in &with.cte_tables {
            if cte.from.is_some() || cte.alias.at.is_some() {
                return Err(NotParsed);
            }
            let scope = self.query(&cte.query, parent.cloned())?;
            self.scope(scope).features.recursive |= with.recursive;
            if !with.recursive {
                let known = cte.alias.columns.is_empty().then_some(scope);
                self.common.push((names::name(&cte.alias.name)?, known));
            }
        }
        Ok(())
    }

    fn body(&mut self, body: &SetExpr, parent: Option<Parent>) -> Lowered<usize> {
        match body {
            SetExpr::Select(select) => self.select(select, parent),
            SetExpr::Query(query) => self.query(query, parent),
            SetExpr::SetOperation { left, right, op, set_quantifier } => {
                let known =
                    matches!(op, ast::SetOperator::Union | ast::SetOperator::Except | ast::SetOperator::Intersect)
                        && matches!(
                            set_quantifier,
                            ast::SetQuantifier::All | ast::SetQuantifier::Distinct | ast::SetQuantifier::None
                        );
                if !known {
                    return Err(NotParsed);
                }
                let scope = self.open(parent.clone());
                self.scope(scope).features.set_operation = true;
                self.body(right, parent.clone())?;
                // Chains lean to the left.
                let mut left = left.as_ref();
                while let SetExpr::SetOperation { left: inner, right, .. } = left {
                    self.body(right, parent.clone())?;
                    left = inner.as_ref();
                }
                self.body(left, parent)?;
                Ok(scope)
            }
            SetExpr::Values(values) => {
                let scope = self.open(parent);
                self.scope(scope).features.values = true;
                self.rows(scope, values)?;
                Ok(scope)
            }
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement)
            | SetExpr::Merge(statement) => self.write(statement, parent),
            SetExpr::Table(_) => Err(NotParsed),
        }
    }

    /// Walks VALUES.
    pub(super) fn rows(&mut self, scope: usize, values: &ast::Values) -> Lowered<()> {
        if values.explicit_row || values.value_keyword {
            return Err(NotParsed);
        }
        let at = self.at(scope, Place::Other);
        values.rows.iter().try_for_each(|row| self.walk_all(&row.content, &at))
    }

    fn select(&mut self, select: &ast::Select, parent: Option<Parent>) -> Lowered<usize> {
        let ast::Select {
            select_token: _,
            optimizer_hints,
            distinct,
            select_modifiers: None,
            top: None,
            top_before_distinct: _,
            projection,
            exclude: None,
            into,
            from,
            lateral_views,
            prewhere: None,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify: None,
            window_before_qualify: _,
            value_table_mode: None,
            flavor: ast::SelectFlavor::Standard,
        } = select
        else {
            return Err(NotParsed);
        };
        let plain = optimizer_hints.is_empty()
            && lateral_views.is_empty()
            && connect_by.is_empty()
            && cluster_by.is_empty()
            && distribute_by.is_empty()
            && sort_by.is_empty();
        if !plain {
            return Err(NotParsed);
        }
        let scope = self.open(parent);
        self.from(scope, from)?;
        self.selection(scope, selection.as_ref())?;
        self.projection(scope, projection)?;
        let grouped = self.group_by(scope, group_by)?;
        let at = self.at(scope, Place::Other);
        self.walk_option(having.as_ref(), &at)?;
        for ast::NamedWindowDefinition(_, window) in named_window {
            if let ast::NamedWindowExpr::WindowSpec(spec) = window {
                self.window(spec, &at)?;
            }
        }
        if let Some(ast::Distinct::On(expressions)) = distinct {
            self.walk_all(expressions, &at)?;
        }
        let features = &mut self.scope(scope).features;
        *features = Features {
            distinct: matches!(distinct, Some(ast::Distinct::Distinct | ast::Distinct::On(_))),
            distinct_on: matches!(distinct, Some(ast::Distinct::On(_))),
            group_by: grouped,
            having: having.is_some(),
            window: features.window || !named_window.is_empty(),
            into: into.is_some(),
            ..*features
        };
        Ok(scope)
    }

    fn group_by(&mut self, scope: usize, group_by: &ast::GroupByExpr) -> Lowered<bool> {
        let ast::GroupByExpr::Expressions(expressions, modifiers) = group_by else {
            return Err(NotParsed);
        };
        if !modifiers.is_empty() {
            return Err(NotParsed);
        }
        let at = self.at(scope, Place::Other);
        self.walk_all(expressions, &at)?;
        let shape = &mut self.scope(scope).shape;
        shape.group_by = expressions.len();
        shape.groups = expressions.iter().map(predicate::operand).collect();
        Ok(!expressions.is_empty())
    }

    /// A select list or RETURNING.
    pub(super) fn projection(&mut self, scope: usize, items: &[ast::SelectItem]) -> Lowered<()> {
        let at = self.at(scope, Place::Output);
        let mut by_position = true;
        for item in items {
            let (expression, alias): (&Expr, _) = match item {
                ast::SelectItem::UnnamedExpr(expression) => (expression, None),
                ast::SelectItem::ExprWithAlias { expr, alias } => (expr, Some(names::fold(alias)?)),
                ast::SelectItem::Wildcard(options) => {
                    plain_wildcard(options)?;
                    self.out.stars = true;
                    by_position = false;
                    self.scope(scope).shape.items.push(Item::Star);
                    continue;
                }
                ast::SelectItem::QualifiedWildcard(kind, options) => {
                    plain_wildcard(options)?;
                    self.out.stars = true;
                    if let ast::SelectItemQualifiedWildcardKind::Expr(expression) = kind {
                        self.walk(expression, &at)?;
                    }
                    by_position = false;
                    self.scope(scope).shape.items.push(Item::Star);
                    continue;
                }
                ast::SelectItem::ExprWithAliases { .. } => return Err(NotParsed),
            };
            self.walk(expression, &at)?;
            if by_position {
                let output: Operand = predicate::operand(expression);
                self.scope(scope).outputs.push(output);
            }
            let operand = predicate::operand(expression);
            self.scope(scope).shape.items.push(Item::Value { operand, alias });
        }
        Ok(())
    }
}

fn plain_wildcard(options: &ast::WildcardAdditionalOptions) -> Lowered<()> {
    let ast::WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike: None,
        opt_exclude: None,
        opt_except: None,
        opt_replace: None,
        opt_rename: None,
        opt_alias: None,
    } = options
    else {
        return Err(NotParsed);
    };
    Ok(())
}

fn ordered(item: &ast::OrderByExpr) -> Order {
    let (descending, by_operator) = match &item.options.sort {
        None | Some(ast::OrderBySort::Asc) => (false, false),
        Some(ast::OrderBySort::Desc) => (true, false),
        Some(ast::OrderBySort::Using(_)) => (false, true),
    };
    Order { operand: predicate::operand(&item.expr), descending, nulls_first: item.options.nulls_first, by_operator }
}
