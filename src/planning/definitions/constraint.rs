//! Constraints of tables over shards: which of them hold if each server checks its own rows. In: the elements of CREATE
//! TABLE, or what ALTER TABLE adds. Out: a refusal where they don't.

use super::super::ddl;
use super::super::plan::Refusal;
use super::super::refusal;
use super::super::text::Text;
use super::eyes::{Eyes, Place, Table};
use crate::sql::statement::TableName;

/// An element of CREATE TABLE's list, or what ALTER TABLE ADD is followed by.
#[derive(Debug, Default)]
pub struct Element {
    /// The column that it defines.
    pub column: Option<String>,
    /// serial, identity, or a default that is nextval.
    pub is_served: bool,
    pub has_default: bool,
    /// UNIQUE and PRIMARY KEY, by their columns; `None`: not known.
    pub unique: Vec<Option<Vec<String>>>,
    pub is_primary: bool,
    pub excludes: bool,
    pub references: Vec<Reference>,
    /// LIKE source.
    pub like: Option<TableName>,
}

#[derive(Debug)]
pub struct Reference {
    pub columns: Vec<String>,
    pub table: TableName,
    /// `None`: its primary key.
    pub referenced: Option<Vec<String>>,
    /// ON DELETE or ON UPDATE sets columns, or follows a changed key.
    pub sets_columns: bool,
}

impl Element {
    pub fn read(text: Text<'_>) -> Option<Self> {
        let mut element = Self::default();
        let mut at = 0;
        if text.is(0, "like") {
            element.like = Some(ddl::table_name(text, 1)?.0);
            return Some(element);
        }
        let named = text.is(0, "constraint");
        if named {
            at = 2;
        }
        if text.is(at, "primary") && text.is(at + 1, "key") || text.is(at, "unique") {
            element.is_primary = text.is(at, "primary");
            element.unique.push(listed(text, at));
        } else if text.is(at, "foreign") && text.is(at + 1, "key") {
            let close = ddl::closing(text, at + 2);
            let columns = names(text, at + 2)?;
            element.references.push(reference(text, close + 1, columns)?);
        } else if text.is(at, "exclude") {
            element.excludes = true;
        } else if !(named || text.is(at, "check") || text.is(at, "not")) {
            element.column(text)?;
        }
        Some(element)
    }

    /// `name type [constraints]`.
    fn column(&mut self, text: Text<'_>) -> Option<()> {
        let name = text.name(0)?;
        const SERIALS: &[&str] = &["serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"];
        self.is_served = text.is_any(1, SERIALS);
        let mut depth = 0_usize;
        for at in 1..text.pieces.len() {
            if text.punct(at, b'(') {
                depth += 1;
            } else if text.punct(at, b')') {
                depth = depth.saturating_sub(1);
            }
            if depth > 0 {
                continue;
            }
            if text.is(at, "primary") && text.is(at + 1, "key") || text.is(at, "unique") {
                self.is_primary |= text.is(at, "primary");
                self.unique.push(Some(vec![name.clone()]));
            } else if text.is(at, "references") {
                self.references.push(reference(text, at, vec![name.clone()])?);
            } else if text.is(at, "identity") {
                self.is_served = true;
            } else if text.is(at, "default") && !text.is(at - 1, "by") && !text.is(at - 1, "set") {
                self.has_default = true;
                let call = if text.is(at + 1, "pg_catalog") { at + 3 } else { at + 1 };
                let close = ddl::closing(text, call + 1);
                let ends = !matches!(text.kind(close + 1), Some(crate::sql::TokenKind::Operator));
                self.is_served |= text.is(call, "nextval") && text.punct(call + 1, b'(') && ends;
            }
        }
        self.column = Some(name);
        Some(())
    }
}

/// The columns of `PRIMARY KEY (a, b)` or `UNIQUE (a)`; `None` for USING INDEX.
fn listed(text: Text<'_>, from: usize) -> Option<Vec<String>> {
    let open = (from..from + 6).find(|at| text.punct(*at, b'('))?;
    names(text, open)
}

/// `(a, b)` at its parenthesis.
pub fn names(text: Text<'_>, open: usize) -> Option<Vec<String>> {
    let close = ddl::closing(text, open);
    let inner = (open + 1..close).filter(|at| !text.punct(*at, b',')).map(|at| text.name(at));
    inner.collect()
}

/// `REFERENCES t [(columns)] ...`.
fn reference(text: Text<'_>, at: usize, columns: Vec<String>) -> Option<Reference> {
    let (table, behind) = ddl::table_name(text, at + 1)?;
    let referenced = if text.punct(behind, b'(') { Some(names(text, behind)?) } else { None };
    // ON UPDATE CASCADE gives a row the key of the one that it refers to, which is on the same shard.
    let sets_columns = (behind..text.pieces.len())
        .any(|at| text.is(at, "on") && text.is_any(at + 1, &["delete", "update"]) && text.is(at + 2, "set"));
    Some(Reference { columns, table, referenced, sets_columns })
}

/// The table that is being defined, with what the statement says of it.
pub struct Defined<'a> {
    pub eyes: &'a Eyes<'a>,
    pub table: &'a Table,
    pub elements: &'a [Element],
}

impl Defined<'_> {
    /// # Errors
    /// For a constraint that servers can't hold each for itself.
    pub fn check(&self) -> Result<(), Refusal> {
        for element in self.elements {
            self.check_unique(element)?;
            for reference in &element.references {
                self.check_reference(reference)?;
            }
            if let Some(source) = &element.like {
                self.check_like(source)?;
            }
        }
        Ok(())
    }

    fn check_unique(&self, element: &Element) -> Result<(), Refusal> {
        let Place::Sharded(sharded) = &self.table.place else { return Ok(()) };
        if element.excludes {
            return Err(refusal::exclusion(&self.table.display));
        }
        for columns in &element.unique {
            let holds = columns.as_ref().is_some_and(|columns| self.is_unique_over_shards(columns, &sharded.key));
            if !holds {
                return Err(refusal::unique_without_key(&self.table.display, &sharded.key));
            }
        }
        Ok(())
    }

    /// A server sees all rows of one key; ids that are served don't repeat.
    pub fn is_unique_over_shards(&self, columns: &[String], key: &str) -> bool {
        columns.iter().any(|column| column == key || self.is_served(column)) || self.is_kept_unique(columns)
    }

    /// The configuration says so.
    fn is_kept_unique(&self, columns: &[String]) -> bool {
        self.eyes.scene.map.uniques_of(&self.table.schema, &self.table.name).any(|unique| unique.has_columns(columns))
    }

    fn is_served(&self, column: &str) -> bool {
        let here = self.elements.iter().any(|element| element.is_served && element.column.as_deref() == Some(column));
        let known = self.eyes.relation(self.table).and_then(|relation| relation.column(column));
        here || known.is_some_and(|column| column.sequence.is_some())
    }

    fn check_like(&self, source: &TableName) -> Result<(), Refusal> {
        let source = self.eyes.table(source);
        let refused = || Err(refusal::like(&self.table.display, &source.display));
        match (&self.table.place, &source.place) {
            (Place::Home, _) => Ok(()),
            (_, Place::Home) if self.eyes.exists(&source) => refused(),
            (Place::Sharded(sharded), _) => {
                let indexes = self.eyes.relation(&source).map_or(&[][..], |relation| &relation.unique_indexes);
                let hold = indexes.iter().all(|index| self.is_unique_over_shards(&index.columns, &sharded.key));
                if hold { Ok(()) } else { refused() }
            }
            _ => Ok(()),
        }
    }

    fn check_reference(&self, reference: &Reference) -> Result<(), Refusal> {
        let mut parent = self.eyes.table(&reference.table);
        // It may refer to itself before it exists.
        if !self.eyes.exists(&parent) && *reference.table.name == *self.table.name {
            parent = self.table.clone();
        }
        let refused = |why| Err(refusal::foreign_key(&self.table.display, &parent.display, why));
        match (&self.table.place, &parent.place) {
            (Place::Home, Place::Home | Place::Reference) | (_, Place::Reference) => Ok(()),
            (Place::Home, Place::Sharded(_)) => {
                refused("its rows are on every shard, the others on the home shard only")
            }
            (_, Place::Home) => refused("it is on the home shard only"),
            (Place::Reference, Place::Sharded(_)) => {
                refused("a row on one shard can't be checked for the copies on others")
            }
            (Place::Sharded(child), Place::Sharded(sharded)) => {
                let referenced = reference.referenced.clone().or_else(|| self.primary_key(&parent));
                let Some(referenced) = referenced else {
                    return refused("its primary key isn't known here: list the columns");
                };
                let pairs = reference.columns.iter().zip(&referenced);
                let on_key = pairs.into_iter().any(|(own, other)| *own == child.key && *other == sharded.key);
                if !on_key {
                    return refused("the row referred to may be on another shard");
                }
                if child.group != sharded.group {
                    return Err(refusal::foreign_key_apart(&self.table.display, &parent.display, &parent.name));
                }
                if reference.sets_columns {
                    return refused("ON DELETE SET and ON UPDATE SET would change the shard key");
                }
                Ok(())
            }
        }
    }

    fn primary_key(&self, parent: &Table) -> Option<Vec<String>> {
        if parent.schema == self.table.schema && parent.name == self.table.name {
            let own = self.elements.iter().find(|element| element.is_primary)?;
            return own.unique.first().cloned().flatten();
        }
        let primary = self.eyes.relation(parent)?.unique_indexes.iter().find(|index| index.is_primary)?;
        Some(primary.columns.clone())
    }
}
