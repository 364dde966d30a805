//! A statement in pieces. In: clauses of items. Out: an [`Entry`], with parameters numbered; and smaller statements.

use super::list::{Entry, Parameter};

/// Stands for the next parameter in a fragment's text.
pub const MARK: char = '\u{1}';

/// A piece of SQL and the values of its parameters.
#[derive(Clone, Default, Debug)]
pub struct Fragment {
    pub text: String,
    pub parameters: Vec<Parameter>,
}

impl Fragment {
    pub fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), parameters: Vec::new() }
    }

    pub fn add(mut self, text: &str, other: Fragment) -> Self {
        self.text += text;
        self.text += &other.text;
        self.parameters.extend(other.parameters);
        self
    }

    pub fn end(mut self, text: &str) -> Self {
        self.text += text;
        self
    }
}

/// `lead item separator item ...`; nothing without items.
#[derive(Clone, Debug)]
pub struct Clause {
    pub lead: &'static str,
    pub separator: &'static str,
    pub items: Vec<Fragment>,
    pub is_needed: bool,
}

#[derive(Clone, Debug)]
pub struct Statement {
    pub clauses: Vec<Clause>,
    pub is_ordered: bool,
}

impl Statement {
    pub fn fragment(&self) -> Fragment {
        let mut all = Fragment::default();
        for clause in &self.clauses {
            for (at, item) in clause.items.iter().enumerate() {
                let before = if at == 0 { clause.lead } else { clause.separator };
                all = all.add(before, item.clone());
            }
        }
        all
    }

    pub fn entry(&self, place: String) -> Entry {
        let all = self.fragment();
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
        let is_ordered = self.is_ordered && sql.contains("ORDER BY");
        Entry { parameters: all.parameters, is_ordered, ..Entry::new(place, sql) }
    }

    /// The same with one item less, in every way.
    pub fn smaller(&self) -> Vec<Statement> {
        let mut all = Vec::new();
        for (at, clause) in self.clauses.iter().enumerate() {
            let fewest = usize::from(clause.is_needed);
            for item in (0..clause.items.len()).filter(|_| clause.items.len() > fewest) {
                let mut smaller = self.clone();
                smaller.clauses[at].items.remove(item);
                all.push(smaller);
            }
        }
        all
    }
}
