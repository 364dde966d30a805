//! Which key a column is. In: a column as it is written and where it stands. Out: the relation whose
//! shard key it is, or nothing wherever PostgreSQL could take it for another column.

use std::ops::Range;

use super::keys::{Locations, Place};
use super::tables::{Found, Location};
use crate::sql::statement::{Column, Item, Operand, Scope, Source, Statement, Write};

/// A column that is a shard key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reached {
    /// The sharded relation.
    pub place: Place,
    /// The relation that the column is one of where it stands: itself, or a sub-select that gives the key.
    pub via: Place,
}

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
    pub fn resolve(&self, scope: usize, visible: &Range<usize>, column: &Column) -> Option<Reached> {
        let via = match column.qualifier {
            None => self.unqualified(scope, visible, &column.name)?,
            Some(_) => self.qualified(scope, visible, column)?,
        };
        Some(Reached { place: self.key_named(via.scope, via.relation, &column.name)?, via })
    }

    /// The relation whose shard key the column of this name is: this one, or one within it that gives it as it is.
    pub fn key_named(&self, scope: usize, relation: usize, name: &str) -> Option<Place> {
        if self.key(scope, relation).is_some_and(|key| key == name) {
            return Some(Place { scope, relation });
        }
        let this = self.statement.scopes.get(scope)?.relations.get(relation)?;
        match &this.source {
            _ if this.renamed || this.is_target => None,
            Source::Derived(inner) => self.output(*inner, name),
            // What one use doesn't look at, another may.
            Source::Common(Some(inner)) if self.uses_of(*inner) == 1 => self.output(*inner, name),
            Source::Common(_) | Source::Table(_) | Source::Function => None,
        }
    }

    fn uses_of(&self, common: usize) -> usize {
        let relations = self.statement.scopes.iter().flat_map(|scope| &scope.relations);
        relations.filter(|relation| matches!(relation.source, Source::Common(Some(scope)) if scope == common)).count()
    }

    /// The key that an output of a sub-select is, where the rows of the result with a value of it depend on rows with
    /// that key only.
    pub fn output(&self, scope: usize, name: &str) -> Option<Place> {
        self.keeps_keys(scope)?;
        let this = self.statement.scopes.get(scope)?;
        let named = |item: &&Item| match item {
            Item::Star => true,
            Item::Value { alias: Some(alias), .. } => **alias == *name,
            Item::Value { operand: Operand::Column(column), .. } => *column.name == *name,
            // Called by a function, a type, or nothing.
            Item::Value { .. } => true,
        };
        let mut items = this.shape.items.iter().filter(named);
        let place = match (items.next()?, items.next()) {
            (Item::Value { operand: Operand::Column(column), .. }, None) => self.here(scope, column)?,
            (Item::Star, None) if this.relations.len() == 1 => self.key_named(scope, 0, name)?,
            _ => return None,
        };
        self.is_whole(scope, place).then_some(place)
    }

    /// As [`Self::output`], by the output's position.
    pub fn output_at(&self, scope: usize, position: usize) -> Option<Place> {
        self.keeps_keys(scope)?;
        let Operand::Column(column) = self.statement.scopes.get(scope)?.outputs.get(position)? else { return None };
        let place = self.here(scope, column)?;
        self.is_whole(scope, place).then_some(place)
    }

    /// The key that a column of the scope's own relations is.
    fn here(&self, scope: usize, column: &Column) -> Option<Place> {
        let all = 0..self.statement.scopes.get(scope)?.relations.len();
        self.resolve(scope, &all, column).filter(|reached| reached.via.scope == scope).map(|reached| reached.place)
    }

    /// If groups have one key each.
    fn is_whole(&self, scope: usize, place: Place) -> bool {
        let Some(this) = self.statement.scopes.get(scope) else { return false };
        let is_group =
            |group: &Operand| matches!(group, Operand::Column(column) if self.here(scope, column) == Some(place));
        !this.features.group_by || this.shape.groups.iter().any(is_group)
    }

    /// If what a scope does with its rows leaves those of one key to themselves.
    fn keeps_keys(&self, scope: usize) -> Option<()> {
        let this = self.statement.scopes.get(scope)?;
        let features = &this.features;
        let mixes = features.limit
            || features.distinct_on
            || features.grouping_sets
            || features.having && !features.group_by
            || features.window
            || features.set_operation
            || features.locking
            || features.into
            || features.sample
            || features.values
            || features.recursive;
        let writes = |write: &Write| {
            let (Write::Insert { scope: of, .. }
            | Write::Update { scope: of, .. }
            | Write::Delete { scope: of, .. }
            | Write::Merge { scope: of, .. }) = write;
            *of == scope
        };
        if mixes || this.natural || self.statement.writes.iter().any(writes) {
            return None;
        }
        Some(())
    }

    /// Never leaves the scope: which outer column an unqualified name means depends on all columns of
    /// the inner tables.
    fn unqualified(&self, scope: usize, visible: &Range<usize>, name: &str) -> Option<Place> {
        let this = self.statement.scopes.get(scope)?;
        if this.natural {
            return None;
        }
        let is_key = |relation: &usize| self.key_named(scope, *relation, name).is_some();
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
