//! UPDATE of the shard key, which may move rows to other shards. In: tokens of the statement. Out: where its clauses are,
//! and what has to be known of the table to take a row out of one shard and put it into another, or why that would not
//! be the same as an UPDATE.

use std::ops::Range;

use super::moment::MomentCall;
use super::{Target, references, shares};
use crate::catalog::{QualifiedName, Relation, RelationKind};
use crate::planning::plan::Refusal;
use crate::planning::refusal;
use crate::planning::text::Text;
use crate::routing::Sharded;
use crate::sql::TokenKind;
use crate::sql::quote_identifier;
use crate::sql::statement::{Assignment, Operand, Write};

/// An UPDATE that sets the shard key. Ranges are positions of tokens.
#[derive(Debug)]
pub struct Moves {
    /// The table's name and its alias.
    pub table: Range<usize>,
    /// How its columns are qualified.
    pub qualifier: Range<usize>,
    pub sets: Vec<Set>,
    /// The items of FROM.
    pub from: Range<usize>,
    /// Behind WHERE.
    pub condition: Range<usize>,
    /// RETURNING included.
    pub returning: Range<usize>,
    /// Of the whole statement.
    pub end: usize,
    pub moments: Box<[MomentCall]>,
    pub display: String,
    /// Schema and name, quoted.
    pub name: String,
    /// Those that a row is made of; generated ones aren't.
    pub columns: Vec<String>,
    /// Where the key is among them.
    pub key: usize,
    /// The key's column takes no NULL.
    pub not_null: bool,
    /// The key's column cuts trailing blanks.
    pub cuts: bool,
    pub sharded: Sharded,
    /// The columns of each unique index, by their places.
    pub unique: Vec<Vec<usize>>,
    /// Tables whose rows follow the row that they refer to: FROM and ON of a query for such rows, `p` being the table.
    pub followers: Vec<Follower>,
    /// A foreign key of the table refers to itself.
    pub refers_to_itself: bool,
}

/// A table with ON DELETE or ON UPDATE that writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Follower {
    pub display: String,
    pub join: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Set {
    /// Its place among the columns.
    pub column: usize,
    pub value: Range<usize>,
    /// The same for all rows, and of the type that the column gives it.
    pub is_constant: bool,
}

/// A plan is compared with others in tests and never by its parts.
impl PartialEq for Moves {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Moves {}

impl Moves {
    /// The new key is computed from each row.
    pub fn is_computed(&self) -> bool {
        !self.sets.iter().any(|set| set.column == self.key && set.is_constant)
    }

    pub fn set_of(&self, column: usize) -> Option<&Set> {
        self.sets.iter().find(|set| set.column == column)
    }
}

/// # Errors
/// Why rows can't be moved.
pub fn layout(table: &Target<'_>, write: &Write, moments: Box<[MomentCall]>, text: Text<'_>) -> Result<Moves, Refusal> {
    let Write::Update { assignments, .. } = write else { return Err(table.spread(write)) };
    let (display, key) = (&table.found.display, &table.sharded.key);
    let why = |why: &str| refusal::key_move(display, key, why);
    let relation = table.relation().ok_or_else(|| why("The table's columns aren't known"))?;
    check(table, relation)?;
    references::of_table(table.scene, &table.found.schema, &table.found.name, true, &|_| true)?;
    let clauses = Clauses::find(text).ok_or_else(refusal::not_parsed)?;
    if !clauses.from.is_empty() && !clauses.returning.is_empty() {
        return Err(why("RETURNING may need what FROM has, which is on the shard that the row leaves"));
    }
    let columns: Vec<String> =
        relation.columns.iter().filter(|column| !column.generated).map(|column| column.name.clone()).collect();
    let place = |name: &str| columns.iter().position(|column| *column == *name);
    let key_place = place(key).ok_or_else(|| why("It is generated"))?;
    let sets =
        sets(text, &clauses, assignments, &place).ok_or_else(|| why("SET is written in a way that isn't known"))?;
    let key_column = relation.column(key);
    let unique =
        relation.unique_indexes.iter().map(|index| index.columns.iter().filter_map(|name| place(name)).collect());
    Ok(Moves {
        table: clauses.table,
        qualifier: clauses.qualifier,
        sets,
        from: clauses.from,
        condition: clauses.condition,
        returning: clauses.returning,
        end: text.pieces.len(),
        moments,
        display: display.clone(),
        name: qualified(&relation.qualified_name()),
        key: key_place,
        not_null: key_column.is_some_and(|column| column.not_null),
        cuts: key_column.is_some_and(|column| column.type_modifier.is_some()),
        sharded: table.sharded.clone(),
        unique: unique.collect(),
        followers: followers(table, relation),
        refers_to_itself: relation.foreign_keys.iter().any(|key| key.references == relation.qualified_name()),
        columns,
    })
}

/// What an UPDATE does that taking a row out and putting it in doesn't, or the other way about.
fn check(table: &Target<'_>, relation: &Relation) -> Result<(), Refusal> {
    let why = |why: &str| Err(refusal::key_move(&table.found.display, &table.sharded.key, why));
    if relation.kind != RelationKind::Table || !relation.parents.is_empty() {
        return why("It is partitioned, or a part of another table");
    }
    if relation.has_triggers {
        return why("The triggers of DELETE and INSERT would run instead of those of UPDATE");
    }
    if relation.row_security {
        return why("The policies of DELETE and INSERT would hold instead of those of UPDATE");
    }
    if relation.has_rules {
        return why("It has rules");
    }
    Ok(())
}

/// Rows that CASCADE, SET NULL or SET DEFAULT would change: there must be none.
fn followers(table: &Target<'_>, relation: &Relation) -> Vec<Follower> {
    let name = relation.qualified_name();
    let mut followers = Vec::new();
    for child in table.scene.catalog.iter().flat_map(|catalog| catalog.relations()) {
        for key in child.foreign_keys.iter().filter(|key| key.cascades && key.references == name) {
            let pairs = key.columns.iter().zip(&key.referenced_columns);
            let on: Vec<String> = pairs
                .map(|(one, other)| format!("c.{} = p.{}", quote_identifier(one), quote_identifier(other)))
                .collect();
            let child_name = child.qualified_name();
            followers.push(Follower {
                display: crate::planning::tables::display(&child_name.schema, &child_name.name),
                join: format!("{} c ON {}", qualified(&child_name), on.join(" AND ")),
            });
        }
    }
    followers
}

fn sets(
    text: Text<'_>,
    clauses: &Clauses,
    assignments: &[Assignment],
    place: &dyn Fn(&str) -> Option<usize>,
) -> Option<Vec<Set>> {
    let written = clauses.sets(text)?;
    if written.len() != assignments.len() {
        return None;
    }
    let mut sets = Vec::new();
    for ((name, value), assignment) in written.into_iter().zip(assignments) {
        let column = place(&name)?;
        if *assignment.column != *name || sets.iter().any(|set: &Set| set.column == column) {
            return None;
        }
        let is_constant = matches!(assignment.value, Operand::Constant(_) | Operand::Default) || is_bare(text, &value);
        sets.push(Set { column, value, is_constant });
    }
    Some(sets)
}

/// A literal, a parameter or NULL in parentheses: its type is the column's.
fn is_bare(text: Text<'_>, value: &Range<usize>) -> bool {
    let mut inside = value.clone().filter(|at| !text.punct(*at, b'(') && !text.punct(*at, b')'));
    let (first, second) = (inside.next(), inside.next());
    let bare = |at: usize| {
        matches!(text.kind(at), Some(TokenKind::Literal(_) | TokenKind::Parameter(_))) || text.is(at, "null")
    };
    second.is_none() && first.is_some_and(bare)
}

struct Clauses {
    table: Range<usize>,
    qualifier: Range<usize>,
    set: Range<usize>,
    from: Range<usize>,
    condition: Range<usize>,
    returning: Range<usize>,
}

impl Clauses {
    fn find(text: Text<'_>) -> Option<Self> {
        if !text.is(0, "update") || text.is(1, "only") {
            return None;
        }
        text.name(1)?;
        let mut at = 2;
        while text.punct(at, b'.') {
            text.name(at + 1)?;
            at += 2;
        }
        let mut qualifier = 1..at;
        if !text.is(at, "set") {
            if text.is(at, "as") {
                at += 1;
            }
            text.name(at)?;
            qualifier = at..at + 1;
            at += 1;
        }
        if !text.is(at, "set") {
            return None;
        }
        let table = 1..at;
        let end = text.pieces.len();
        let mut starts = [None; 3];
        let mut depth = 0_usize;
        for position in at + 1..end {
            match text.kind(position)? {
                TokenKind::Punct(b'(' | b'[') => depth += 1,
                TokenKind::Punct(b')' | b']') => depth = depth.checked_sub(1)?,
                TokenKind::Punct(b';') => return None,
                TokenKind::Word if depth == 0 && !text.punct(position - 1, b'.') && !text.is(position - 1, "as") => {
                    let found = ["from", "where", "returning"].iter().position(|word| text.is(position, word));
                    let Some(clause) = found.filter(|_| !text.is(position - 1, "distinct")) else { continue };
                    if starts.iter().skip(clause).any(Option::is_some) {
                        return None;
                    }
                    *starts.get_mut(clause)? = Some(position);
                }
                _ => {}
            }
        }
        let [from, condition, returning] = starts;
        let condition_end = returning.unwrap_or(end);
        let from_end = condition.unwrap_or(condition_end);
        let behind = |start: Option<usize>, end: usize| start.map_or(0..0, |start| start + 1..end);
        Some(Self {
            table,
            qualifier,
            set: at + 1..from.unwrap_or(from_end),
            from: behind(from, from_end),
            condition: behind(condition, condition_end),
            returning: returning.map_or(0..0, |start| start..end),
        })
    }

    /// `name = value, ...`
    fn sets(&self, text: Text<'_>) -> Option<Vec<(String, Range<usize>)>> {
        let mut sets = Vec::new();
        let (mut depth, mut start) = (0_usize, self.set.start);
        for at in self.set.start..=self.set.end {
            let ends = at == self.set.end || depth == 0 && text.punct(at, b',');
            if ends {
                if text.bytes(start + 1) != b"=" || start + 2 >= at {
                    return None;
                }
                sets.push((text.name(start)?, start + 2..at));
                start = at + 1;
            }
            match text.kind(at) {
                Some(TokenKind::Punct(b'(' | b'[')) => depth += 1,
                Some(TokenKind::Punct(b')' | b']')) => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        Some(sets)
    }
}

fn qualified(name: &QualifiedName) -> String {
    format!("{}.{}", quote_identifier(&name.schema), quote_identifier(&name.name))
}

/// If an assignment leaves the key as it is: `SET key = key`.
pub fn keeps(table: &Target<'_>, set: &Assignment) -> bool {
    let Operand::Column(column) = &set.value else { return false };
    let target = table.statement.writes.iter().find_map(|write| match write {
        Write::Update { scope, target, .. } => table.statement.scopes.get(*scope)?.relations.get(*target),
        _ => None,
    });
    *column.name == *table.sharded.key
        && column
            .qualifier
            .as_ref()
            .is_none_or(|qualifier| target.is_some_and(|target| target.may_be_called(qualifier)))
}

/// If the statement sets the key to something else.
pub fn changes(table: &Target<'_>, assignments: &[Assignment]) -> bool {
    assignments.iter().any(|set| *set.column == *table.sharded.key && !keeps(table, set))
}

/// The moments of a statement that is otherwise as any on several shards.
///
/// # Errors
/// As [`shares::check`].
pub fn plan(table: &Target<'_>, write: &Write, text: Text<'_>) -> Result<Moves, Refusal> {
    let moments = shares::check(table, write, text)?;
    layout(table, write, moments, text)
}
