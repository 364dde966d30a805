//! How a statement is looked at: names at its tokens, and where what they name is.

use std::ops::Range;

use super::super::ddl;
use super::super::functions::Class;
use super::super::plan::Refusal;
use super::super::refusal;
use super::super::scene::{Names, Scene};
use super::super::tables::{self, Location};
use super::super::text::Text;
use super::{Definition, Verdict};
use crate::catalog::{Relation, RelationKind};
use crate::planning::plan::Way;
use crate::routing::{Sharded, TableRoute};
use crate::sql::TokenKind;
use crate::sql::statement::TableName;

pub struct Eyes<'a> {
    pub text: Text<'a>,
    pub scene: &'a Scene,
    pub names: &'a Names,
}

/// Where a table's rows are.
#[derive(Clone, Debug)]
pub enum Place {
    Home,
    Reference,
    Sharded(Sharded),
}

/// A table, as it is called and where it is.
#[derive(Clone, Debug)]
pub struct Table {
    pub display: String,
    pub schema: String,
    pub name: String,
    pub place: Place,
}

impl Place {
    pub fn is_home(&self) -> bool {
        matches!(self, Self::Home)
    }

    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Home => super::home(),
            Self::Reference | Self::Sharded(_) => super::everywhere(),
        }
    }
}

impl<'a> Eyes<'a> {
    /// Behind `IF EXISTS` or `IF NOT EXISTS`, if it is there.
    pub fn pass_if(&self, at: usize) -> usize {
        if !self.text.is(at, "if") {
            at
        } else if self.text.is(at + 1, "not") {
            at + 3
        } else {
            at + 2
        }
    }

    /// An existing table, view or sequence.
    pub fn table(&self, name: &TableName) -> Table {
        let found = tables::find_needed(self.scene, self.names, name);
        let place = match found.location {
            Location::Sharded(sharded) => Place::Sharded(sharded),
            Location::Reference => Place::Reference,
            Location::Home | Location::Viewed if self.is_plain_view(&found.schema, &found.name) => {
                self.place_of_view(&found.schema, &found.name)
            }
            Location::Viewed => Place::Home,
            Location::Home | Location::System => self.place_of_parents(&found.schema, &found.name),
        };
        Table { display: found.display, schema: found.schema, name: found.name, place }
    }

    fn is_plain_view(&self, schema: &str, name: &str) -> bool {
        self.relation_named(schema, name).is_some_and(|relation| relation.kind == RelationKind::View)
    }

    /// A view of sharded tables is on every shard, unless it reads what isn't there.
    fn place_of_view(&self, schema: &str, name: &str) -> Place {
        let reads = self.relation_named(schema, name).map_or(&[][..], |relation| &relation.reads);
        let mut place = Place::Home;
        for read in reads.iter().filter(|read| !self.is_plain_view(&read.schema, &read.name)) {
            match self.scene.map.table(&read.schema, &read.name) {
                Some(TableRoute::Sharded(sharded)) => place = Place::Sharded(sharded.clone()),
                Some(TableRoute::Reference) => {}
                None => return Place::Home,
            }
        }
        place
    }

    /// Partitions are where their table is.
    fn place_of_parents(&self, schema: &str, name: &str) -> Place {
        let parents = self.relation_named(schema, name).map_or(&[][..], |relation| &relation.parents);
        let route = parents.iter().find_map(|parent| self.scene.map.table(&parent.schema, &parent.name));
        self.place_of_route(route)
    }

    fn place_of_route(&self, route: Option<&TableRoute>) -> Place {
        match route {
            Some(TableRoute::Sharded(sharded)) => Place::Sharded(sharded.clone()),
            Some(TableRoute::Reference) => Place::Reference,
            None => Place::Home,
        }
    }

    /// A table that is made: unless it is qualified it comes into the first schema of the path that exists.
    pub fn new_table(&self, name: &TableName) -> Table {
        let first = || {
            let exists = |schema: &&String| match &self.scene.catalog {
                Some(catalog) => catalog.has_schema(schema),
                None => true,
            };
            let mut path = self.names.search_path.iter().filter(|schema| *schema != tables::OWN_SCHEMA);
            path.find(exists).map_or("public", String::as_str)
        };
        let schema = name.schema.as_deref().unwrap_or_else(first);
        let place = self.place_of_route(self.scene.map.table(schema, &name.name));
        Table {
            display: tables::display(schema, &name.name),
            schema: schema.to_owned(),
            name: name.name.to_string(),
            place,
        }
    }

    pub fn relation(&self, table: &Table) -> Option<&'a Relation> {
        self.relation_named(&table.schema, &table.name)
    }

    fn relation_named(&self, schema: &str, name: &str) -> Option<&'a Relation> {
        self.scene.catalog.as_ref()?.relation(schema, name)
    }

    /// If it is a view that isn't on every shard.
    pub fn is_view(&self, table: &Table) -> bool {
        self.relation(table).is_some_and(Relation::is_view) && table.place.is_home()
    }

    /// If the catalog has it or the file places it.
    pub fn exists(&self, table: &Table) -> bool {
        self.relation(table).is_some() || !table.place.is_home()
    }

    /// The table of an index, if the catalog knows it.
    pub fn table_of_index(&self, index: &TableName) -> Option<Table> {
        let catalog = self.scene.catalog.as_ref()?;
        let relation = match &index.schema {
            Some(schema) => catalog.table_of_index(schema, &index.name),
            None => self.names.search_path.iter().find_map(|schema| catalog.table_of_index(schema, &index.name)),
        }?;
        let name = TableName { schema: Some(relation.schema.as_str().into()), name: relation.name.as_str().into() };
        Some(self.table(&name))
    }

    /// `a, b.c, d` at a token: the names, and the token behind.
    pub fn names_at(&self, mut at: usize) -> Option<(Vec<TableName>, usize)> {
        let mut names = Vec::new();
        loop {
            let (name, behind) = ddl::table_name(self.text, at)?;
            names.push(name);
            if !self.text.punct(behind, b',') {
                return Some((names, behind));
            }
            at = behind + 1;
        }
    }

    /// The tokens between two positions divided at commas outside parentheses.
    pub fn divided(&self, from: usize, until: usize) -> Vec<Text<'a>> {
        let mut parts = Vec::new();
        let (mut depth, mut start) = (0_usize, from);
        for at in from..until {
            match self.text.kind(at) {
                Some(TokenKind::Punct(b'(' | b'[')) => depth += 1,
                Some(TokenKind::Punct(b')' | b']')) => depth = depth.saturating_sub(1),
                Some(TokenKind::Punct(b',')) if depth == 0 => {
                    parts.push(self.text.range(start..at));
                    start = at + 1;
                }
                _ => {}
            }
        }
        if start < until {
            parts.push(self.text.range(start..until));
        }
        parts
    }

    pub fn end(&self) -> usize {
        self.text.pieces.len()
    }

    /// The first of these keywords outside parentheses.
    pub fn find(text: Text<'_>, from: usize, keyword: &str) -> Option<usize> {
        let mut depth = 0_usize;
        (from..text.pieces.len()).find(|at| {
            match text.kind(*at) {
                Some(TokenKind::Punct(b'(')) => depth += 1,
                Some(TokenKind::Punct(b')')) => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && text.is(*at, keyword)
        })
    }

    pub fn has(&self, keyword: &str) -> bool {
        Self::find(self.text, 0, keyword).is_some()
    }

    /// A function of the user's that a definition calls, or will, and that may read tables.
    pub fn unsafe_call(&self, text: Text<'_>) -> Option<Refusal> {
        let functions = self.scene.functions();
        let known = |name: &str| {
            self.scene.catalog.as_ref().is_some_and(|catalog| catalog.functions(None, name).next().is_some())
        };
        text.calls().into_iter().find_map(|called| {
            let class = functions.class(called.schema.as_deref(), &called.name);
            let harmless = class < Class::ReadsTables && class != Class::HomeBound || is_nextval(&called.name);
            // Names of columns, types and constraints stand before parentheses as functions do.
            (!harmless && (class != Class::Unknown || known(&called.name)))
                .then(|| refusal::unknown_function(&called.name))
        })
    }

    /// As [`Self::together`], for the list of these tables at these tokens: those that the home shard alone has are left
    /// out on the others.
    pub fn listed(&self, tables: &[Table], list: Range<usize>, what: &str) -> Verdict {
        let verdict = self.together(tables, what);
        let commas = self.commas(list.clone());
        if !matches!(verdict, Some(Err(_))) || commas.len() + 1 != tables.len() {
            return verdict;
        }
        let absent = |table: &Table| table.place.is_home() && self.exists(table);
        let Some(last_kept) = tables.iter().rposition(|table| !absent(table)) else { return verdict };
        let start_of = |item: usize| item.checked_sub(1).and_then(|comma| commas.get(comma)).copied();
        let cut = |(item, _): (usize, &Table)| {
            let from = start_of(item);
            let until = commas.get(item).copied();
            if item < last_kept {
                from.map_or(list.start, |comma| comma + 1)..until.map_or(list.end, |comma| comma + 1)
            } else {
                from.unwrap_or(list.start)..until.unwrap_or(list.end)
            }
        };
        let parts = tables.iter().enumerate().filter(|(_, table)| absent(table)).map(cut).collect();
        Some(Ok(Definition::Listed(Way::Together, parts)))
    }

    /// The commas outside parentheses.
    fn commas(&self, list: Range<usize>) -> Vec<usize> {
        let mut ends: Vec<usize> = Vec::new();
        let mut at = list.start;
        for part in self.divided(list.start, list.end) {
            at += part.pieces.len();
            ends.push(at);
            at += 1;
        }
        ends.pop();
        ends
    }

    /// All of these are at home, or none is.
    pub fn together(&self, tables: &[Table], what: &str) -> Verdict {
        let homes = tables.iter().filter(|table| table.place.is_home()).count();
        if homes == tables.len() {
            return super::home();
        }
        if homes == 0 {
            return super::everywhere();
        }
        // Names that mean nothing are passed over or refused by every server alike.
        let real = tables.iter().find(|table| table.place.is_home() && self.exists(table));
        match real {
            None => super::everywhere(),
            Some(home) => super::refused(refusal::mixed_definition(what, &home.display)),
        }
    }

    pub fn is_sequence(&self, table: &Table) -> bool {
        self.relation(table).is_some_and(|relation| relation.kind == RelationKind::Sequence)
    }

    /// A sequence is where the table is whose column owns it; without an owner it is everywhere.
    pub fn place_of_sequence(&self, name: &TableName) -> Place {
        let table = self.table(name);
        let Some(relation) = self.relation(&table) else { return Place::Reference };
        match &relation.owned_by {
            None => Place::Reference,
            Some(owner) => {
                let name = TableName { schema: Some(owner.schema.as_str().into()), name: owner.name.as_str().into() };
                self.table(&name).place
            }
        }
    }
}

fn is_nextval(name: &str) -> bool {
    name == "nextval"
}

/// Everywhere, but each shard by itself.
pub fn apart_if(place: &Place, apart: bool) -> Verdict {
    match place {
        Place::Home => super::home(),
        _ if apart => super::apart(),
        _ => Some(Ok(Definition::Everywhere(Way::Together))),
    }
}
