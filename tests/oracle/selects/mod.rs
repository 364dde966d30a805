//! Random SELECTs over the whole language: joins of every kind, aggregates, windows, sub-selects, common table
//! expressions, set operations, over values that are easily taken for others. In: a seed. Out: a [`Select`] whose
//! answer is determined, so that it can be compared, and which can be made smaller when it shows a difference.
//!
//! What would make an answer a matter of chance isn't written: sums of floats that round, aggregates and windows over
//! ties, LIMIT without a complete order, groups of values that are equal and print differently, errors of single rows.

mod aggregate;
mod condition;
mod from;
mod query;
mod tables;
mod tree;
mod value;
mod window;

use super::dice::Dice;
use super::list::{Entry, Protocols};
use super::statement::MARK;
use tables::Kind;
use tree::Tree;

pub struct Select {
    tree: Tree,
    protocols: Protocols,
    is_ordered: bool,
}

/// A column that an expression may name.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    kind: Kind,
}

/// What stands in a FROM, or in one around it.
#[derive(Clone, Debug, Default)]
struct Scope {
    columns: Vec<Column>,
    /// Columns that together tell rows apart, unless that isn't known.
    unique: Option<Vec<Column>>,
    /// The columns that have users' ids.
    users: Vec<String>,
}

/// A common table expression that may be named.
#[derive(Clone)]
struct Common {
    name: String,
    columns: Vec<Column>,
}

pub struct Generator {
    dice: Dice,
    aliases: usize,
    has_parameters: bool,
    is_binary: bool,
    common: Vec<Common>,
    /// Columns of the queries around, which a sub-select may name.
    outer: Vec<Column>,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            aliases: 0,
            has_parameters: false,
            is_binary: false,
            common: Vec::new(),
            outer: Vec::new(),
        }
    }

    pub fn select(&mut self) -> Select {
        let protocols = self.dice.one_of(&[Protocols::Simple, Protocols::Unnamed, Protocols::Named]);
        self.has_parameters = protocols != Protocols::Simple && self.dice.percent(50);
        self.is_binary = protocols == Protocols::Named;
        let (tree, is_ordered) = self.statement();
        Select { tree, protocols, is_ordered }
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }
}

impl Select {
    pub fn entry(&self, place: String) -> Entry {
        let all = self.tree.fragment();
        let mut sql = String::new();
        let mut number = 0;
        for character in all.text.chars() {
            if character == MARK {
                number += 1;
                sql += &format!("${number}");
            } else {
                sql.push(character);
            }
        }
        let mut entry = Entry::new(place, sql);
        entry.is_ordered &= self.is_ordered;
        Entry { parameters: all.parameters, protocols: self.protocols, ..entry }
    }

    pub fn smaller(&self) -> impl Iterator<Item = Self> {
        let with = |tree| Self { tree, protocols: self.protocols, is_ordered: self.is_ordered };
        self.tree.smaller().into_iter().map(with)
    }
}
