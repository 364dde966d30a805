//! What the triggers of the tables that a statement writes may do. In: the tables. Out: [`Triggers`], or why they can't be
//! trusted.
//!
//! A trigger does on the row's server what on one PostgreSQL it would do to all the data.

use super::functions::{Class, Functions};
use super::plan::Refusal;
use super::refusal;
use super::scene::Scene;
use super::tables::{Found, Location};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Triggers {
    /// They do the same wherever the row is, or there are none.
    Same,
    /// They take the time, which each server has its own of.
    Dated,
}

/// # Errors
/// The first trigger that may use other tables, or move a row to another shard.
pub fn check<'a>(targets: impl Iterator<Item = &'a Found>, scene: &Scene) -> Result<Triggers, Refusal> {
    let functions = scene.functions();
    let mut worst = Triggers::Same;
    for found in targets {
        let relation = scene.catalog.as_ref().and_then(|catalog| catalog.relation(&found.schema, &found.name));
        for called in relation.iter().flat_map(|relation| &relation.trigger_functions) {
            let (schema, name) = (called.schema.as_str(), called.name.as_str());
            let class = if is_declared(&functions, schema, name) {
                Class::Harmless
            } else {
                match &found.location {
                    Location::Sharded(sharded) => functions.class_of_trigger(schema, name, Some(&sharded.key)),
                    Location::Home => functions.class_of_trigger(schema, name, None),
                    // The copies of a row must stay the same.
                    _ => Class::Unknown,
                }
            };
            let sharded = matches!(found.location, Location::Sharded(_));
            worst = worst.max(match class {
                Class::Harmless | Class::Server => Triggers::Same,
                Class::Moment if sharded => Triggers::Dated,
                Class::Moment => Triggers::Same,
                _ => return Err(refusal::trigger(&found.display, name)),
            });
        }
    }
    Ok(worst)
}

/// PostgreSQL's own, immutable ones, and those that the configuration calls safe.
pub fn is_declared(functions: &Functions<'_>, schema: &str, name: &str) -> bool {
    schema == "pg_catalog" || functions.declared().class(Some(schema), name) < Class::ReadsTables
}
