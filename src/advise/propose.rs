//! Weighs configurations. In: [`Facts`]. Out: the [`Proposal`] under which the statements cost least.
//!
//! A candidate begins with a *root*, a table whose primary key may be the owner of other tables' rows: the user, the
//! tenant. Tables that carry its key are colocated with it, tables that those refer to are reference tables, the others
//! stay on the home shard. Which root, and which of the others are better copied to every shard, is decided by planning
//! the real statements, by their frequency.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Facts, Size};
use super::write;
use crate::catalog::{Column, QualifiedName, Relation, RelationKind};
use crate::config::Config;
use crate::planning::explain;
use crate::survey::{Class, Survey};

/// Where a table goes, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Sharded { key: String },
    Reference,
    Home,
}

#[derive(Clone, Debug)]
pub(super) struct Proposal {
    pub(super) root: QualifiedName,
    /// Each table, with the reason.
    pub(super) places: BTreeMap<QualifiedName, (Place, String)>,
    /// What has to be done, or known, before this can be served.
    pub(super) remarks: Vec<String>,
}

/// Candidates that are planned for: the most promising ones by size.
const ROOTS_MAX: usize = 6;
/// Tables of the home shard that are tried as reference tables.
const TRIED_MAX: usize = 24;
/// Copies of larger tables cost more than what they save.
const REFERENCE_ROWS_MAX: u64 = 1_000_000;

/// # Errors
/// When no table has a key by which it and others could be sharded.
pub(super) fn propose(facts: &Facts, shards: u16) -> Result<Proposal, String> {
    let mut roots: Vec<(u64, Proposal)> = candidates(facts)
        .into_iter()
        .map(|root| Proposal::of(facts, &root))
        .map(|proposal| (proposal.sharded_bytes(facts), proposal))
        .collect();
    roots.sort_by_key(|(bytes, proposal)| (std::cmp::Reverse(*bytes), proposal.root.clone()));
    roots.truncate(ROOTS_MAX);
    let mut best: Option<(f64, Proposal)> = None;
    for (_, proposal) in roots {
        let cost = proposal.cost(facts, shards)?;
        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, proposal));
        }
    }
    let (cost, proposal) = best.ok_or(
        "no table has a primary key of one column (smallint, integer, bigint, text or uuid) by which rows could be sharded",
    )?;
    proposal.with_references(facts, shards, cost)
}

/// Tables and primary keys that could be roots.
fn candidates(facts: &Facts) -> Vec<QualifiedName> {
    let root = |relation: &&Relation| own_key(relation).is_some();
    tables(facts).filter(root).map(Relation::qualified_name).collect()
}

/// Tables that a configuration may name: no partitions, nothing of an extension.
pub(super) fn tables(facts: &Facts) -> impl Iterator<Item = &Relation> {
    facts.catalog.relations().filter(|relation| {
        matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable)
            && relation.parents.is_empty()
            && relation.extension.is_none()
            && relation.schema != "shardway"
    })
}

/// The primary key, if it is one column that may be a shard key.
fn own_key(relation: &Relation) -> Option<&Column> {
    let primary = relation.unique_indexes.iter().find(|index| index.is_primary)?;
    let [only] = primary.columns.as_slice() else { return None };
    relation.column(only).filter(|column| may_be_key(column))
}

fn may_be_key(column: &Column) -> bool {
    use crate::types::KeyType;
    let hashable = [KeyType::Int2, KeyType::Int4, KeyType::Int8, KeyType::Text, KeyType::Uuid];
    column.not_null && !column.generated && column.key_type.is_some_and(|key_type| hashable.contains(&key_type))
}

/// Foreign keys as declared, and those that a column's name tells: `user_id` where there is a table `users`.
fn references(facts: &Facts, relation: &Relation) -> Vec<(Vec<String>, QualifiedName, Vec<String>)> {
    let declared = relation.foreign_keys.iter();
    let mut all: Vec<_> =
        declared.map(|key| (key.columns.clone(), key.references.clone(), key.referenced_columns.clone())).collect();
    for column in &relation.columns {
        let Some(stem) = column.name.strip_suffix("_id") else { continue };
        if all.iter().any(|(columns, _, _)| columns.contains(&column.name)) {
            continue;
        }
        let mut named = tables(facts).filter(|other| {
            let last = other.name.rsplit('_').next().unwrap_or_default();
            let is_it = [last, other.name.as_str()].into_iter().any(|name| {
                name == stem
                    || name.strip_suffix('s') == Some(stem)
                    || name.strip_suffix("ies").map(|y| format!("{y}y")).as_deref() == Some(stem)
            });
            is_it && own_key(other).is_some_and(|key| key.type_oid == column.type_oid)
        });
        if let (Some(other), None) = (named.next(), named.next())
            && let Some(key) = own_key(other)
        {
            all.push((vec![column.name.clone()], other.qualified_name(), vec![key.name.clone()]));
        }
    }
    all
}

impl Proposal {
    /// What follows from that root by the schema.
    fn of(facts: &Facts, root: &QualifiedName) -> Self {
        let mut proposal = Self { root: root.clone(), places: BTreeMap::new(), remarks: Vec::new() };
        let relation = facts.catalog.relation(&root.schema, &root.name);
        let Some(key) = relation.and_then(own_key) else { return proposal };
        proposal.put(root, Place::Sharded { key: key.name.clone() }, "whose rows own the others'".to_owned());
        proposal.colocate(facts, key);
        proposal.copy_what_is_referred_to(facts);
        for relation in tables(facts) {
            let name = relation.qualified_name();
            if !proposal.places.contains_key(&name) {
                proposal.put(&name, Place::Home, "nothing ties it to the shard key".to_owned());
            }
        }
        proposal.look_at_foreign_keys(facts);
        proposal.look_at_keys(facts);
        proposal
    }

    fn put(&mut self, table: &QualifiedName, place: Place, why: String) {
        self.places.insert(table.clone(), (place, why));
    }

    pub(super) fn key(&self, table: &QualifiedName) -> Option<&str> {
        match self.places.get(table) {
            Some((Place::Sharded { key }, _)) => Some(key),
            _ => None,
        }
    }

    fn is_sharded(&self, table: &QualifiedName) -> bool {
        self.key(table).is_some()
    }

    fn is_reference(&self, table: &QualifiedName) -> bool {
        matches!(self.places.get(table), Some((Place::Reference, _)))
    }

    /// Tables whose columns lead to the root's key, from table to table.
    fn colocate(&mut self, facts: &Facts, root_key: &Column) {
        let mut names: BTreeSet<String> = BTreeSet::new();
        loop {
            let mut found = None;
            for relation in tables(facts).filter(|relation| !self.is_sharded(&relation.qualified_name())) {
                let fits = |column: &&Column| may_be_key(column) && column.type_oid == root_key.type_oid;
                let by_reference = references(facts, relation).into_iter().find_map(|(columns, target, referenced)| {
                    let at = referenced.iter().position(|column| Some(column.as_str()) == self.key(&target))?;
                    let column = relation.column(columns.get(at)?).filter(fits)?;
                    Some((column.name.clone(), format!("{} refers to {target}", column.name)))
                });
                let by_name = || {
                    let column = relation.columns.iter().filter(fits).find(|column| names.contains(&column.name))?;
                    Some((column.name.clone(), format!("{} is what others are colocated by", column.name)))
                };
                if let Some((key, why)) = by_reference.or_else(by_name) {
                    found = Some((relation.qualified_name(), key, why));
                    break;
                }
            }
            let Some((table, key, why)) = found else { return };
            if key != "id" {
                names.insert(key.clone());
            }
            self.put(&table, Place::Sharded { key }, why);
        }
    }

    /// A shard can check a foreign key only against rows of its own.
    fn copy_what_is_referred_to(&mut self, facts: &Facts) {
        loop {
            let mut found = None;
            for relation in tables(facts) {
                let from = relation.qualified_name();
                if !self.is_sharded(&from) && !self.is_reference(&from) {
                    continue;
                }
                let target = relation.foreign_keys.iter().map(|key| &key.references);
                if let Some(target) =
                    target.into_iter().find(|target| !self.is_sharded(target) && !self.is_reference(target))
                {
                    found = Some((target.clone(), from));
                    break;
                }
            }
            let Some((table, from)) = found else { return };
            self.put(&table, Place::Reference, format!("{from} refers to it"));
        }
    }

    /// Foreign keys that can't hold over shards.
    fn look_at_foreign_keys(&mut self, facts: &Facts) {
        let root_key = self.key(&self.root).unwrap_or_default().to_owned();
        let mut within = Vec::new();
        for relation in tables(facts) {
            let from = relation.qualified_name();
            for key in &relation.foreign_keys {
                let target = &key.references;
                let together = match (self.key(&from), self.key(target)) {
                    (_, None) => self.is_reference(target) || (!self.is_sharded(&from) && !self.is_reference(&from)),
                    (None, Some(_)) => false,
                    (Some(own), Some(other)) => {
                        let mut pairs = key.columns.iter().zip(&key.referenced_columns);
                        if !pairs.any(|(column, referenced)| column == own && referenced == other) {
                            within.push(format!("{} of {from}", key.name));
                        }
                        true
                    }
                };
                if !together {
                    let place = if self.is_reference(&from) { "a reference table" } else { "on the home shard" };
                    self.remarks.push(format!(
                        "foreign key {} of {from} (which is {place}) leads to {target}, which is sharded: add the column by which \
                         {target} is sharded ({}) to {from} and colocate it, or drop the foreign key",
                        key.name,
                        self.key(target).unwrap_or(&root_key)
                    ));
                }
            }
        }
        if !within.is_empty() {
            self.remarks.push(format!(
                "these foreign keys don't contain the shard key: each shard checks them among its own rows, which is all of \
                 them as long as both rows have the same owner: {}",
                within.join(", ")
            ));
        }
    }

    /// Unique indexes without the key hold within each shard.
    fn look_at_keys(&mut self, facts: &Facts) {
        for relation in tables(facts) {
            let table = relation.qualified_name();
            let Some(key) = self.key(&table) else { continue };
            let mut remarks = Vec::new();
            for index in
                relation.unique_indexes.iter().filter(|index| !index.columns.iter().any(|column| column == key))
            {
                let served = index.is_primary
                    && index
                        .columns
                        .iter()
                        .all(|name| relation.column(name).is_some_and(|column| column.sequence.is_some()));
                if !served {
                    remarks.push(format!(
                        "unique index {} of {table} lacks the shard key {key}: it would hold within each shard only; add {key} to it, \
                         unless its values are unique by themselves",
                        index.name
                    ));
                }
            }
            self.remarks.extend(remarks);
        }
    }

    fn sharded_bytes(&self, facts: &Facts) -> u64 {
        self.places.keys().filter(|table| self.is_sharded(table)).map(|table| size(facts, table).bytes).sum()
    }

    /// The share of the data that is divided.
    pub(super) fn sharded_share(&self, facts: &Facts) -> f64 {
        let all: u64 = self.places.keys().map(|table| size(facts, table).bytes).sum();
        if all == 0 { 0.0 } else { self.sharded_bytes(facts) as f64 / all as f64 }
    }

    pub(super) fn survey(&self, facts: &Facts, shards: u16) -> Result<Survey, String> {
        let text = write::configuration(facts, self, shards);
        let config =
            Config::from_toml(&text, &|_| Some("unknown".to_owned())).map_err(|error| error.to_string())?.config;
        let scene = explain::known_scene(config.database_named(None)?, facts.catalog.clone())?;
        Survey::of(scene, facts.search_path.clone(), facts.statements.clone())
    }

    /// What an average statement costs, in round trips of one to one shard; besides what isn't divided, and
    /// foreign keys that would have to go.
    fn cost(&self, facts: &Facts, shards: u16) -> Result<f64, String> {
        let survey = self.survey(facts, shards)?;
        let cost = |class| match class {
            Class::One | Class::Session | Class::Definition => 0.0,
            Class::Scattered => 3.0,
            Class::Written => 6.0,
            Class::Gathered => 12.0,
            Class::Refused => 25.0,
        };
        let total: f64 = Class::ALL.into_iter().map(|class| survey.calls(class) as f64 * cost(class)).sum();
        let average = total / survey.statements().max(1) as f64;
        let undivided = 10.0 * (1.0 - self.sharded_share(facts));
        let broken = self.remarks.iter().filter(|remark| remark.starts_with("foreign key")).count() as f64;
        // With a handful of keys, some shards get most of the rows.
        let owners = size(facts, &self.root).rows;
        let few = if owners > 0 && owners < 8 * u64::from(shards) { 8.0 } else { 0.0 };
        Ok(average + undivided + 2.0 * broken + few)
    }

    /// Tables of the home shard that sharded ones are used with: each is tried as a reference table.
    fn with_references(mut self, facts: &Facts, shards: u16, mut least: f64) -> Result<Self, String> {
        if facts.statements.is_empty() {
            return Ok(self);
        }
        let mut home: Vec<QualifiedName> = self
            .places
            .iter()
            .filter(|(table, (place, _))| *place == Place::Home && size(facts, table).rows <= REFERENCE_ROWS_MAX)
            .map(|(table, _)| table.clone())
            .collect();
        home.sort_by_key(|table| size(facts, table).rows);
        for table in home.into_iter().take(TRIED_MAX) {
            let mut other = Self::of(facts, &self.root);
            for (name, (place, why)) in &self.places {
                if *place == Place::Reference {
                    other.put(name, place.clone(), why.clone());
                }
            }
            other.put(&table, Place::Reference, "statements use it together with sharded tables".to_owned());
            other.copy_what_is_referred_to(facts);
            other.remarks.clear();
            other.look_at_foreign_keys(facts);
            other.look_at_keys(facts);
            let cost = other.cost(facts, shards)?;
            if cost < least {
                (self, least) = (other, cost);
            }
        }
        Ok(self)
    }

    /// In a few lines, for people.
    pub(super) fn summary(&self, facts: &Facts) -> String {
        let list = |wanted: &dyn Fn(&Place) -> bool| {
            let names =
                self.places.iter().filter(|(_, (place, _))| wanted(place)).map(|(table, (place, _))| match place {
                    Place::Sharded { key } => format!("{} ({key})", write::name(table)),
                    _ => write::name(table),
                });
            let names: Vec<String> = names.collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        format!(
            "Sharded by {}.{}, {:.0} % of the data: {}\nReference tables: {}\nOn the home shard: {}",
            write::name(&self.root),
            self.key(&self.root).unwrap_or_default(),
            100.0 * self.sharded_share(facts),
            list(&|place| matches!(place, Place::Sharded { .. })),
            list(&|place| *place == Place::Reference),
            list(&|place| *place == Place::Home),
        )
    }
}

pub(super) fn size(facts: &Facts, table: &QualifiedName) -> Size {
    facts.sizes.get(table).copied().unwrap_or_default()
}
