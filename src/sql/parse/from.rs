//! FROM: relations in order, joins as a tree, join conditions as filters with the relations whose
//! rows they restrict.

use std::ops::Range;

use sqlparser::ast::{self, JoinConstraint, JoinOperator, TableFactor};

use super::{At, Lowered, Lowering, NotParsed, names, predicate};
use crate::sql::statement::{Call, Filter, JoinKind, JoinTree, Name, Parent, Place, Predicate, Relation, Source};

impl Lowering {
    pub(super) fn from(&mut self, scope: usize, items: &[ast::TableWithJoins]) -> Lowered<()> {
        for item in items {
            let tree = self.joins(scope, item)?;
            self.scope(scope).from.push(tree);
        }
        Ok(())
    }

    fn joins(&mut self, scope: usize, item: &ast::TableWithJoins) -> Lowered<JoinTree> {
        let start = self.scope(scope).relations.len();
        let mut tree = self.factor(scope, &item.relation)?;
        for join in &item.joins {
            if join.global {
                return Err(NotParsed);
            }
            let middle = self.scope(scope).relations.len();
            let right = self.factor(scope, &join.relation)?;
            let end = self.scope(scope).relations.len();
            let (kind, constraint) = kind(&join.join_operator)?;
            let restricts = match kind {
                JoinKind::Inner => start..end,
                JoinKind::Left => middle..end,
                JoinKind::Right => start..middle,
                JoinKind::Full => 0..0,
            };
            let on = self.constraint(scope, constraint, (&tree, &right), restricts, start..end)?;
            tree = JoinTree::Join { kind, left: Box::new(tree), right: Box::new(right), on };
        }
        Ok(tree)
    }

    fn constraint(
        &mut self,
        scope: usize,
        constraint: &JoinConstraint,
        sides: (&JoinTree, &JoinTree),
        restricts: Range<usize>,
        visible: Range<usize>,
    ) -> Lowered<Range<usize>> {
        let first = self.scope(scope).filters.len();
        match constraint {
            JoinConstraint::None => {}
            JoinConstraint::Natural => self.scope(scope).natural = true,
            JoinConstraint::On(condition) => {
                self.walk(condition, &At { scope, visible: visible.clone(), place: Place::Filter })?;
                self.filter(scope, condition, &restricts, &visible);
            }
            JoinConstraint::Using(columns) => {
                let (mut left, mut right) = (Vec::new(), Vec::new());
                sides.0.plain(&mut left);
                sides.1.plain(&mut right);
                for column in columns {
                    let name = names::single(column)?;
                    let predicate = Predicate::Using { name: name.clone(), left: left.clone(), right: right.clone() };
                    let scope = self.scope(scope);
                    scope.filters.push(Filter { predicate, restricts: restricts.clone(), visible: visible.clone() });
                    scope.merged.push(name);
                }
            }
        }
        Ok(first..self.scope(scope).filters.len())
    }

    pub(super) fn filter(
        &mut self,
        scope: usize,
        condition: &ast::Expr,
        restricts: &Range<usize>,
        visible: &Range<usize>,
    ) {
        let mut found = Vec::new();
        predicate::conjuncts(condition, &mut found);
        let filters = &mut self.scope(scope).filters;
        filters.extend(found.into_iter().map(|predicate| Filter {
            predicate,
            restricts: restricts.clone(),
            visible: visible.clone(),
        }));
    }

    /// WHERE: restricts every relation of the scope.
    pub(super) fn selection(&mut self, scope: usize, condition: Option<&ast::Expr>) -> Lowered<()> {
        let Some(condition) = condition else {
            return Ok(());
        };
        let at = self.at(scope, Place::Filter);
        self.walk(condition, &at)?;
        self.filter(scope, condition, &at.visible, &at.visible);
        Ok(())
    }

    /// `own_name` qualifies the columns of what isn't a table, unless it has an alias.
    fn push(
        &mut self,
        scope: usize,
        source: Source,
        alias: Option<&ast::TableAlias>,
        own_name: Option<Name>,
    ) -> Lowered<JoinTree> {
        let (alias, renamed) = alias_of(alias)?;
        let alias = alias.or(own_name);
        let relations = &mut self.scope(scope).relations;
        relations.push(Relation { source, alias, renamed, is_target: false });
        Ok(JoinTree::Relation(relations.len() - 1))
    }

    pub(super) fn factor(&mut self, scope: usize, factor: &TableFactor) -> Lowered<JoinTree> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version: None,
                with_ordinality,
                partitions,
                json_path: None,
                sample,
                index_hints,
            } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
                self.scope(scope).features.sample |= sample.is_some();
                match args {
                    None if *with_ordinality => Err(NotParsed),
                    None => self.table(scope, name, alias.as_ref()),
                    Some(args) if args.settings.is_some() => Err(NotParsed),
                    Some(args) => self.table_function(scope, name, &args.args, alias.as_ref()),
                }
            }
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                let parent = self.sibling(scope, *lateral);
                let inner = self.query(subquery, parent)?;
                self.push(scope, Source::Derived(inner), alias.as_ref(), None)
            }
            TableFactor::Function { lateral: _, name, args, with_ordinality: _, alias } => {
                self.table_function(scope, name, args, alias.as_ref())
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_offset_alias: None,
                with_ordinality: _,
            } => {
                let at = self.at(scope, Place::From);
                self.walk_all(array_exprs, &at)?;
                self.push(scope, Source::Function, alias.as_ref(), Some("unnest".into()))
            }
            // An alias would hide the names inside.
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.joins(scope, table_with_joins),
            _ => Err(NotParsed),
        }
    }

    /// A table or a common table expression.
    fn table(&mut self, scope: usize, name: &ast::ObjectName, alias: Option<&ast::TableAlias>) -> Lowered<JoinTree> {
        let source = self.source(name)?;
        let own_name = match source {
            Source::Common(_) => Some(names::table(name)?.name),
            _ => None,
        };
        self.push(scope, source, alias, own_name)
    }

    /// A function in FROM sees what is to its left.
    fn table_function(
        &mut self,
        scope: usize,
        name: &ast::ObjectName,
        arguments: &[ast::FunctionArg],
        alias: Option<&ast::TableAlias>,
    ) -> Lowered<JoinTree> {
        let at = self.at(scope, Place::From);
        self.function_arguments(arguments, &at)?;
        let (schema, last) = match name.0.as_slice() {
            [only] => (None, names::part(only)?),
            [schema, last] => (Some(names::name(names::part(schema)?)?), names::part(last)?),
            _ => return Err(NotParsed),
        };
        let folded = names::fold(last)?;
        self.call(Call {
            schema,
            name: folded.clone(),
            place: Place::From,
            scope,
            arguments: arguments.len(),
            is_aggregate: false,
            is_window: false,
        });
        self.push(scope, Source::Function, alias, Some(folded))
    }

    fn source(&self, object: &ast::ObjectName) -> Lowered<Source> {
        let table = names::table(object)?;
        // The innermost of that name.
        let common = self.common.iter().rev().find(|(name, _)| table.schema.is_none() && *name == table.name);
        Ok(common.map_or(Source::Table(table.clone()), |(_, scope)| Source::Common(*scope)))
    }

    /// Where names of a sub-select in FROM go: LATERAL, to what is on its left; otherwise past this
    /// scope, to the one around it.
    fn sibling(&mut self, scope: usize, lateral: bool) -> Option<Parent> {
        let this = self.scope(scope);
        if lateral { Some(Parent { scope, visible: 0..this.relations.len() }) } else { this.parent.clone() }
    }
}

fn alias_of(alias: Option<&ast::TableAlias>) -> Lowered<(Option<Name>, bool)> {
    match alias {
        None => Ok((None, false)),
        Some(ast::TableAlias { name, columns, at: None, explicit: _ }) => {
            Ok((Some(names::name(name)?), !columns.is_empty()))
        }
        Some(_) => Err(NotParsed),
    }
}

/// PostgreSQL wants a condition for every join but CROSS and NATURAL ones.
fn kind(operator: &JoinOperator) -> Lowered<(JoinKind, &JoinConstraint)> {
    let (kind, constraint) = match operator {
        JoinOperator::CrossJoin(constraint @ JoinConstraint::None) => {
            return Ok((JoinKind::Inner, constraint));
        }
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (JoinKind::Inner, constraint),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (JoinKind::Left, constraint),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => (JoinKind::Right, constraint),
        JoinOperator::FullOuter(constraint) => (JoinKind::Full, constraint),
        _ => return Err(NotParsed),
    };
    if matches!(constraint, JoinConstraint::None) { Err(NotParsed) } else { Ok((kind, constraint)) }
}
