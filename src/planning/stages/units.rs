//! The parts of a statement: each common table expression, and the statement itself. In: tokens. Out: [`Unit`]s.

use std::ops::Range;

use crate::planning::ddl;
use crate::planning::keys::Locations;
use crate::planning::query;
use crate::planning::scene::{Names, Scene};
use crate::planning::tables::Found;
use crate::planning::text::Text;
use crate::sql::statement::{Source, Statement, TableName, Write};

pub struct Unit {
    /// Of a common table expression.
    pub name: Option<String>,
    /// What its columns are called, where that is said.
    pub columns: Vec<String>,
    pub tokens: Range<usize>,
    pub writes: bool,
    pub statement: Statement,
    pub locations: Locations,
    /// Common table expressions before it that it reads, by position.
    pub reads: Vec<usize>,
    /// It writes, or reads what something that writes gives: it is run after everything else was read.
    pub is_late: bool,
}

impl Unit {
    pub fn target(&self) -> Option<&Found> {
        let (Write::Insert { scope, target, .. }
        | Write::Update { scope, target, .. }
        | Write::Delete { scope, target }
        | Write::Merge { scope, target, .. }) = self.statement.writes.first()?;
        self.locations.get(*scope)?.get(*target)?.as_ref()
    }

    /// The target's name among the tokens, and where it ends.
    pub fn target_tokens(&self, text: Text<'_>) -> Option<Range<usize>> {
        let start = self.tokens.start;
        let at = match () {
            () if text.is(start, "update") => start + 1,
            () if text.is_any(start, &["insert", "delete", "merge"]) => start + 2,
            () => return None,
        };
        if text.is(at, "only") && !text.punct(at + 1, b'.') {
            return None;
        }
        let (_, end) = ddl::table_name(text, at)?;
        Some(at..end)
    }

    /// The tables that it names, as they are written, each with where it is in the parsed statement.
    pub fn tables(&self) -> impl Iterator<Item = (&TableName, (usize, usize), Option<&Found>)> {
        self.statement.scopes.iter().enumerate().flat_map(move |(scope, this)| {
            this.relations.iter().enumerate().filter_map(move |(relation, one)| match &one.source {
                Source::Table(name) => {
                    let found = self.locations.get(scope).and_then(|found| found.get(relation)?.as_ref());
                    Some((name, (scope, relation), found))
                }
                _ => None,
            })
        })
    }
}

/// `None` where it can't be divided.
pub fn divide(text: Text<'_>, scene: &Scene, names: &Names) -> Option<Vec<Unit>> {
    let mut units: Vec<Unit> = Vec::new();
    let mut at = 0;
    if text.is(0, "with") {
        at = 1;
        if text.is(at, "recursive") {
            return None;
        }
        loop {
            let name = text.name(at)?;
            at += 1;
            let mut columns = Vec::new();
            if text.punct(at, b'(') {
                let end = ddl::closing(text, at);
                columns =
                    (at + 1..end).filter(|at| !text.punct(*at, b',')).map(|at| text.name(at)).collect::<Option<_>>()?;
                at = end + 1;
            }
            if !text.is(at, "as") {
                return None;
            }
            at += 1;
            if text.is(at, "not") {
                at += 1;
            }
            if text.is(at, "materialized") {
                at += 1;
            }
            if !text.punct(at, b'(') {
                return None;
            }
            let end = ddl::closing(text, at);
            let unit = unit(text, at + 1..end, Some(name), &units, scene, names)?;
            units.push(Unit { columns, ..unit });
            at = end + 1;
            if !text.punct(at, b',') {
                break;
            }
            at += 1;
        }
    }
    let main = unit(text, at..text.pieces.len(), None, &units, scene, names)?;
    units.push(main);
    Some(units)
}

fn unit(
    text: Text<'_>,
    tokens: Range<usize>,
    name: Option<String>,
    before: &[Unit],
    scene: &Scene,
    names: &Names,
) -> Option<Unit> {
    let writes = text.is_any(tokens.start, &["insert", "update", "delete", "merge"]);
    let (statement, locations) = query::read(text.range(tokens.clone()), scene, names)?;
    if statement.writes.len() != usize::from(writes) || statement.scopes.iter().any(|scope| scope.features.recursive) {
        return None;
    }
    let is_named = |name: &str| before.iter().position(|unit| unit.name.as_deref() == Some(name));
    if name.as_deref().is_some_and(|name| is_named(name).is_some())
        || statement.common_names.iter().any(|name| is_named(name).is_some())
    {
        return None;
    }
    let mut reads: Vec<usize> = Vec::new();
    for scope in &statement.scopes {
        for relation in &scope.relations {
            if let Source::Table(TableName { schema: None, name }) = &relation.source {
                match is_named(name) {
                    // A target isn't looked for among them.
                    Some(_) if relation.is_target => return None,
                    Some(position) => reads.push(position),
                    None => {}
                }
            }
        }
    }
    let is_late = writes || reads.iter().any(|read| before.get(*read).is_some_and(|unit| unit.is_late));
    Some(Unit { name, columns: Vec::new(), tokens, writes, statement, locations, reads, is_late })
}
