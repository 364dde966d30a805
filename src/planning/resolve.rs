//! Which key a column is. In: a column as it is written and where it stands. Out: the relation whose
//! shard key it is, or nothing wherever PostgreSQL could take it for another column.

use std::ops::Range;

use super::keys::{Locations, Place};
use super::tables::{Found, Location};
use crate::sql::statement::{Column, Scope, Source, Statement};

/// Finds the sharded relation whose key a column is.
pub struct Resolver<'a> {
    pub statement: &'a Statement,
    pub locations: &'a Locations,
}

impl<'a> Resolver<'a> {
    fn found(&self, scope: usize, relation: usize) -> Option<&'a Found> {
        self.locations.get(scope)?.get(relation)?.as_ref()
    }

    /// The key of a sharded relation under its own name.
    pub fn key(&self, scope: usize, relation: usize) -> Option<&'a String> {
        let renamed = self.statement.scopes.get(scope)?.relations.get(relation)?.renamed;
        match &self.found(scope, relation)?.location {
            Location::Sharded(sharded) if !renamed => Some(&sharded.key),
            _ => None,
        }
    }

    /// `None` wherever there is any doubt.
    pub fn resolve(&self, scope: usize, visible: &Range<usize>, column: &Column) -> Option<Place> {
        match &column.qualifier {
            None => self.unqualified(scope, visible, &column.name),
            Some(_) => {
                let place = self.qualified(scope, visible, column)?;
                (**self.key(place.scope, place.relation)? == *column.name).then_some(place)
            }
        }
    }

    /// Never leaves the scope: which outer column an unqualified name means depends on all columns of
    /// the inner tables.
    fn unqualified(&self, scope: usize, visible: &Range<usize>, name: &str) -> Option<Place> {
        let this = self.statement.scopes.get(scope)?;
        if this.natural {
            return None;
        }
        let is_key = |relation: &usize| self.key(scope, *relation).is_some_and(|key| key == name);
        if this.merged.iter().any(|merged| **merged == *name) {
            // The merged column has the value of any relation that an outer join never leaves out.
            let mut plain = Vec::new();
            for tree in &this.from {
                tree.plain(&mut plain);
            }
            let relation = plain.into_iter().find(|relation| is_key(relation) && visible.contains(relation))?;
            return Some(Place { scope, relation });
        }
        let mut candidates = (0..this.relations.len()).filter(is_key);
        let relation = candidates.next()?;
        // If two tables have it, PostgreSQL rejects the statement.
        (candidates.next().is_none() && visible.contains(&relation)).then_some(Place { scope, relation })
    }

    fn qualified(&self, scope: usize, visible: &Range<usize>, column: &Column) -> Option<Place> {
        let qualifier = column.qualifier.as_ref()?;
        let (mut scope, mut visible) = (scope, visible.clone());
        loop {
            let this = self.statement.scopes.get(scope)?;
            let mut candidates = this
                .relations
                .iter()
                .enumerate()
                .filter(|(_, relation)| relation.may_be_called(qualifier))
                .map(|(position, _)| position);
            let Some(relation) = candidates.next() else {
                // Not here at all: the scope around it.
                let parent = this.parent.as_ref()?;
                (scope, visible) = (parent.scope, parent.visible.clone());
                continue;
            };
            let certain = candidates.next().is_none()
                && visible.contains(&relation)
                && self.schema_fits(this, scope, relation, qualifier.schema.as_deref());
            return certain.then_some(Place { scope, relation });
        }
    }

    fn schema_fits(&self, this: &Scope, scope: usize, relation: usize, schema: Option<&str>) -> bool {
        let Some(schema) = schema else { return true };
        let unaliased = this
            .relations
            .get(relation)
            .is_some_and(|relation| relation.alias.is_none() && matches!(relation.source, Source::Table(_)));
        unaliased && self.found(scope, relation).is_some_and(|found| found.schema == schema)
    }
}
