//! What a statement says of shard keys. In: a [`Statement`] and where its tables are. Out: for each
//! use of a sharded table the tests that the keys of its rows pass wherever they matter, and between
//! keys the equalities that hold.
//!
//! A row *matters* if the result could differ without it. A filter narrows the rows that matter of
//! those relations only that it `restricts`; an equality of two keys carries what is known of one
//! over to the other if it restricts the other.

use std::ops::Range;
use std::sync::Arc;

use super::resolve::{Reached, Resolver};
use super::scene::Scene;
use super::tables::{Found, Location};
use crate::routing::{Sharded, Unique};
use crate::sql::statement::{Column, Constant, Limit, Operand, Predicate, Scope, Statement};
use crate::types::KeyType;

/// A condition on the key of one relation, on values that are known when a call is bound.
#[derive(Clone, Debug)]
pub enum Test {
    OneOf(Vec<Constant>),
    AnyOf(Constant),
    Between {
        low: Option<Bound>,
        high: Option<Bound>,
    },
    /// One of these conjunctions.
    Either(Vec<Vec<Test>>),
    /// The key is that of the row which has a claim: of [`Keys::lookups`].
    Claimed(usize),
}

/// Values of columns that are kept unique over all shards: at most one row has them.
#[derive(Clone, Debug)]
pub struct Lookup {
    pub unique: Arc<Unique>,
    /// One for each of its columns, in their order.
    pub values: Vec<Constant>,
    pub types: Vec<KeyType>,
}

#[derive(Clone, Debug)]
pub struct Bound {
    pub value: Constant,
    pub inclusive: bool,
}

/// A relation of a scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub scope: usize,
    pub relation: usize,
}

/// A use of a sharded table.
#[derive(Debug)]
pub struct Node {
    pub place: Place,
    pub sharded: Sharded,
    pub display: String,
    /// Its own, and those that equalities carry over.
    pub tests: Vec<Arc<Test>>,
    /// The nodes whose tests hold for this one.
    from: Vec<usize>,
}

/// An equality of two keys, by the filter that it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub scope: usize,
    pub filter: usize,
    /// Positions in [`Keys::nodes`].
    pub nodes: (usize, usize),
}

#[derive(Debug)]
pub struct Keys {
    pub nodes: Vec<Node>,
    pub links: Vec<Link>,
    pub lookups: Vec<Lookup>,
}

/// A node, and the relation through which a condition reaches it.
type Tested = (usize, Place);

/// Where each relation of each scope is; `None` for what isn't a table.
pub type Locations = Vec<Vec<Option<Found>>>;

impl Keys {
    /// As [`Keys::of`], with what follows from columns that are kept unique.
    pub fn with_lookups(statement: &Statement, locations: &Locations, scene: &Scene) -> Self {
        let lookups = if scene.map.uniques().is_empty() { Vec::new() } else { lookups(statement, locations, scene) };
        Self::built(statement, locations, lookups)
    }

    pub fn of(statement: &Statement, locations: &Locations) -> Self {
        Self::built(statement, locations, Vec::new())
    }

    fn built(statement: &Statement, locations: &Locations, lookups: Vec<(Place, Lookup)>) -> Self {
        let mut keys = Self { nodes: Vec::new(), links: Vec::new(), lookups: Vec::new() };
        for (scope, found) in locations.iter().enumerate() {
            for (relation, found) in found.iter().enumerate() {
                let Some(Found { location: Location::Sharded(sharded), display, .. }) = found else {
                    continue;
                };
                keys.nodes.push(Node {
                    place: Place { scope, relation },
                    sharded: sharded.clone(),
                    display: display.clone(),
                    tests: Vec::new(),
                    from: Vec::new(),
                });
            }
        }
        let resolver = Resolver { statement, locations };
        for (scope, this) in statement.scopes.iter().enumerate() {
            for (filter, _) in this.filters.iter().enumerate() {
                keys.filter(&resolver, scope, this, filter);
            }
        }
        for (place, lookup) in lookups {
            if let Some(node) = keys.nodes.iter_mut().find(|node| node.place == place) {
                node.tests.push(Arc::new(Test::Claimed(keys.lookups.len())));
                keys.lookups.push(lookup);
            }
        }
        keys.carry();
        keys
    }

    /// If no outer join of its scope replaces this relation's key by a null.
    pub fn never_null(&self, statement: &Statement, place: Place) -> bool {
        let mut plain = Vec::new();
        for tree in statement.scopes.get(place.scope).iter().flat_map(|scope| &scope.from) {
            tree.plain(&mut plain);
        }
        plain.contains(&place.relation)
    }

    fn position(&self, place: Place) -> Option<usize> {
        self.nodes.iter().position(|node| node.place == place)
    }

    /// The nodes whose keys equal this one's for every row of it that matters, this one left out.
    pub fn follows(&self, position: usize) -> Vec<usize> {
        let mut found = vec![position];
        let mut next = 0;
        while let Some(node) = found.get(next).and_then(|position| self.nodes.get(*position)) {
            next += 1;
            for from in &node.from {
                if !found.contains(from) {
                    found.push(*from);
                }
            }
        }
        found.split_off(1)
    }

    /// The node whose key this column is, seen from a place of its scope.
    pub fn node_of(
        &self,
        statement: &Statement,
        locations: &Locations,
        scope: usize,
        visible: &Range<usize>,
        column: &Column,
    ) -> Option<usize> {
        let reached = Resolver { statement, locations }.resolve(scope, visible, column)?;
        self.position(reached.place)
    }

    fn filter(&mut self, resolver: &Resolver<'_>, scope: usize, this: &Scope, position: usize) {
        let Some(filter) = this.filters.get(position) else {
            return;
        };
        let mut equal = |one: Reached, other: Reached| {
            let (Some(a), Some(b)) = (self.position(one.place), self.position(other.place)) else {
                return;
            };
            if a == b || !self.comparable(a, b) {
                return;
            }
            let mut carry = |from: usize, to: usize, reached: Reached| {
                if reached.via.scope == scope
                    && filter.restricts.contains(&reached.via.relation)
                    && let Some(node) = self.nodes.get_mut(to)
                {
                    node.from.push(from);
                }
            };
            carry(a, b, other);
            carry(b, a, one);
            if one.place.scope == scope && other.place.scope == scope {
                self.links.push(Link { scope, filter: position, nodes: (a, b) });
            }
        };
        match &filter.predicate {
            Predicate::Equal(Operand::Column(one), Operand::Column(other)) => {
                if let (Some(one), Some(other)) =
                    (resolver.resolve(scope, &filter.visible, one), resolver.resolve(scope, &filter.visible, other))
                {
                    equal(one, other);
                }
            }
            Predicate::Using { name, left, right } => {
                let reached = |relation: &usize| {
                    let place = resolver.key_named(scope, *relation, name)?;
                    Some(Reached { place, via: Place { scope, relation: *relation } })
                };
                for one in left.iter().filter_map(reached) {
                    for other in right.iter().filter_map(reached) {
                        equal(one, other);
                    }
                }
            }
            predicate => {
                for (node, via, test) in self.tests(resolver, scope, &filter.visible, predicate) {
                    let Some(node) = self.nodes.get_mut(node) else {
                        continue;
                    };
                    // What an inner scope asks of an outer row doesn't narrow the outer rows.
                    if via.scope == scope && filter.restricts.contains(&via.relation) {
                        node.tests.push(Arc::new(test));
                    }
                }
            }
        }
    }

    /// The tests that a predicate makes, each with its node.
    fn tests(
        &self,
        resolver: &Resolver<'_>,
        scope: usize,
        visible: &Range<usize>,
        predicate: &Predicate,
    ) -> Vec<(usize, Place, Test)> {
        let node = |column: &Column| {
            let reached = resolver.resolve(scope, visible, column)?;
            Some((self.position(reached.place)?, reached.via))
        };
        let one = |column: &Column, test: Test| node(column).map(|(node, via)| (node, via, test)).into_iter().collect();
        match predicate {
            Predicate::Equal(Operand::Column(column), Operand::Constant(value)) => {
                one(column, Test::OneOf(vec![value.clone()]))
            }
            Predicate::OneOf(column, values) => one(column, Test::OneOf(values.clone())),
            Predicate::AnyOf(column, value) => one(column, Test::AnyOf(value.clone())),
            Predicate::Range { column, low, high } => {
                one(column, Test::Between { low: low.as_ref().map(bound), high: high.as_ref().map(bound) })
            }
            Predicate::Either(branches) => self.either(resolver, scope, visible, branches),
            Predicate::Equal(..) | Predicate::Using { .. } => Vec::new(),
        }
    }

    /// Those nodes that every branch says something of.
    fn either(
        &self,
        resolver: &Resolver<'_>,
        scope: usize,
        visible: &Range<usize>,
        branches: &[Vec<Predicate>],
    ) -> Vec<(usize, Place, Test)> {
        let mut by_branch = branches.iter().map(|branch| {
            let tests = branch.iter().flat_map(|predicate| self.tests(resolver, scope, visible, predicate));
            let mut by_node: Vec<(Tested, Vec<Test>)> = Vec::new();
            for (node, via, test) in tests {
                match by_node.iter_mut().find(|(known, _)| *known == (node, via)) {
                    Some((_, tests)) => tests.push(test),
                    None => by_node.push(((node, via), vec![test])),
                }
            }
            by_node
        });
        let Some(first) = by_branch.next() else {
            return Vec::new();
        };
        let mut common: Vec<(Tested, Vec<Vec<Test>>)> =
            first.into_iter().map(|(node, tests)| (node, vec![tests])).collect();
        for branch in by_branch {
            common.retain_mut(|(node, conjunctions)| {
                let found = branch.iter().find(|(other, _)| other == node);
                conjunctions.extend(found.map(|(_, tests)| tests.clone()));
                found.is_some()
            });
        }
        common.into_iter().map(|((node, via), conjunctions)| (node, via, Test::Either(conjunctions))).collect()
    }

    /// If equality of the two keys means that their values are written and placed alike.
    fn comparable(&self, one: usize, other: usize) -> bool {
        let (Some(one), Some(other)) = (self.nodes.get(one), self.nodes.get(other)) else {
            return false;
        };
        let integer = |key_type| matches!(key_type, KeyType::Int2 | KeyType::Int4 | KeyType::Int8);
        match (one.sharded.key_type, other.sharded.key_type) {
            (Some(one), Some(other)) => one == other || integer(one) && integer(other),
            _ => one.sharded.group == other.sharded.group,
        }
    }

    /// Gives each node the tests of all nodes from which equalities lead to it.
    fn carry(&mut self) {
        let own: Vec<Vec<Arc<Test>>> = self.nodes.iter_mut().map(|node| std::mem::take(&mut node.tests)).collect();
        let from: Vec<Vec<usize>> = self.nodes.iter().map(|node| node.from.clone()).collect();
        for (position, node) in self.nodes.iter_mut().enumerate() {
            let mut reached = vec![false; own.len()];
            let mut open = vec![position];
            while let Some(next) = open.pop() {
                let Some(seen) = reached.get_mut(next).filter(|seen| !**seen) else {
                    continue;
                };
                *seen = true;
                node.tests.extend(own.get(next).into_iter().flatten().cloned());
                open.extend(from.get(next).into_iter().flatten());
            }
        }
    }
}

/// For each relation whose rows that matter have known values in all columns of a unique list.
fn lookups(statement: &Statement, locations: &Locations, scene: &Scene) -> Vec<(Place, Lookup)> {
    let Some(catalog) = &scene.catalog else { return Vec::new() };
    let mut all = Vec::new();
    for (scope, this) in statement.scopes.iter().enumerate() {
        for (relation, found) in locations.get(scope).into_iter().flatten().enumerate() {
            let Some(found) = found.as_ref().filter(|found| matches!(found.location, Location::Sharded(_))) else {
                continue;
            };
            let Some(known) = catalog.relation(&found.schema, &found.name) else { continue };
            for unique in scene.map.uniques_of(&found.schema, &found.name) {
                let value = |column: &String| {
                    let key_type = known.column(column)?.key_type?;
                    Some((value_of(this, relation, column)?, key_type))
                };
                let Some(values) = unique.columns.iter().map(value).collect::<Option<Vec<_>>>() else { continue };
                let (values, types) = values.into_iter().unzip();
                all.push((Place { scope, relation }, Lookup { unique: Arc::clone(unique), values, types }));
            }
        }
    }
    all
}

/// The constant that a column of a relation equals in every row that matters.
fn value_of(scope: &Scope, relation: usize, name: &str) -> Option<Constant> {
    let this = scope.relations.get(relation).filter(|this| !this.renamed)?;
    // Without a qualifier it may be any relation's.
    let is_it = |column: &Column| {
        *column.name == *name
            && match &column.qualifier {
                Some(qualifier) => {
                    this.may_be_called(qualifier)
                        && scope.relations.iter().filter(|other| other.may_be_called(qualifier)).count() == 1
                }
                None => scope.relations.len() == 1 && !scope.natural && scope.merged.is_empty(),
            }
    };
    scope.filters.iter().filter(|filter| filter.restricts.contains(&relation)).find_map(|filter| {
        match &filter.predicate {
            Predicate::Equal(Operand::Column(column), Operand::Constant(value))
            | Predicate::Equal(Operand::Constant(value), Operand::Column(column))
                if is_it(column) =>
            {
                Some(value.clone())
            }
            Predicate::OneOf(column, values) if is_it(column) => match values.as_slice() {
                [only] => Some(only.clone()),
                _ => None,
            },
            _ => None,
        }
    })
}

fn bound(limit: &Limit) -> Bound {
    Bound { value: limit.value.clone(), inclusive: limit.inclusive }
}
