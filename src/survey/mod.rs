//! An application's statements, and where each would go. In: a file of statements or a log ([`file`]), and a
//! [`Scene`]. Out: a [`Survey`]: each shape of statement with its place, its strategy or its refusal, and how many
//! there are of each.
//!
//! The planner is the one that the proxy plans by. Asks no server: whoever has one gives its catalog with the scene.

pub mod file;
mod judge;
mod log;
mod shown;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::planning::{Refusal, Scene};
use crate::types::limits::PARSER_STACK_BYTES;
pub use judge::Judge;

/// A statement as an application sends it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    pub sql: String,
    /// Where it begins in its file, from 1; 0: it is from no file.
    pub line: usize,
    /// Values of its parameters, as text. `None`: they aren't known, and others stand in.
    pub parameters: Option<Vec<Option<String>>>,
    /// How often it was sent.
    pub calls: u64,
}

/// What a statement costs, in the order of the report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// Session and transaction commands.
    Session,
    /// One shard answers.
    One,
    /// Every shard gets the same definition.
    Definition,
    /// Several shards answer; the proxy puts their rows together as they come.
    Scattered,
    /// Several shards write, in one transaction with a two-phase commit.
    Written,
    /// Rows are brought together on the scratch database first.
    Gathered,
    Refused,
}

/// All statements that differ in their values only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Without its values.
    pub readable: String,
    /// Of the first.
    pub line: usize,
    pub calls: u64,
    /// Of that call that costs most.
    pub class: Class,
    /// That call's plan, as EXPLAIN shows it; empty for a refusal.
    pub plan: String,
    pub refusal: Option<Refusal>,
    /// How its calls divide.
    pub by_class: Vec<(Class, u64)>,
}

/// What becomes of all of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Survey {
    /// In the order of their first statements.
    pub shapes: Vec<Shape>,
}

impl Class {
    pub const ALL: [Self; 7] =
        [Self::One, Self::Scattered, Self::Written, Self::Gathered, Self::Refused, Self::Definition, Self::Session];

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::One => "one shard",
            Self::Definition => "definition",
            Self::Scattered => "scattered",
            Self::Written => "written on several shards",
            Self::Gathered => "gathered",
            Self::Refused => "refused",
        }
    }

    /// For programs.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::One => "one_shard",
            Self::Definition => "definition",
            Self::Scattered => "scattered",
            Self::Written => "written",
            Self::Gathered => "gathered",
            Self::Refused => "refused",
        }
    }
}

impl Survey {
    /// Plans every statement, in their order: what one sets (`search_path`, a hint, a temporary table) holds for the next.
    ///
    /// # Errors
    /// When a statement can't be planned at all: the planner doesn't come to an end with it.
    pub fn of(scene: Scene, search_path: Vec<String>, statements: Vec<Sent>) -> Result<Self, String> {
        // Planning recurses as deep as a statement is nested.
        std::thread::Builder::new()
            .stack_size(PARSER_STACK_BYTES)
            .spawn(move || Self::on_this_thread(scene, search_path, &statements))
            .map_err(|error| error.to_string())?
            .join()
            .map_err(|_| "a statement could not be planned".to_owned())
    }

    fn on_this_thread(scene: Scene, search_path: Vec<String>, statements: &[Sent]) -> Self {
        let mut judge = Judge::new(scene, search_path);
        let mut survey = Self::default();
        let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
        for sent in statements {
            for verdict in judge.judge(sent) {
                let position = *known.entry(verdict.normalized.clone()).or_insert_with(|| {
                    survey.shapes.push(Shape {
                        readable: verdict.readable.clone(),
                        line: sent.line,
                        calls: 0,
                        class: verdict.class,
                        plan: verdict.plan.clone(),
                        refusal: verdict.refusal.clone(),
                        by_class: Vec::new(),
                    });
                    survey.shapes.len() - 1
                });
                if let Some(shape) = survey.shapes.get_mut(position) {
                    shape.add(verdict, sent.calls);
                }
            }
        }
        survey
    }

    /// Statements of this class.
    pub fn calls(&self, class: Class) -> u64 {
        let of = |shape: &Shape| {
            shape.by_class.iter().filter(|(one, _)| *one == class).map(|(_, calls)| *calls).sum::<u64>()
        };
        self.shapes.iter().map(of).sum()
    }

    pub fn total(&self) -> u64 {
        self.shapes.iter().map(|shape| shape.calls).sum()
    }

    /// Those that read or write rows.
    pub fn statements(&self) -> u64 {
        self.total() - self.calls(Class::Session) - self.calls(Class::Definition)
    }
}

impl Shape {
    fn add(&mut self, verdict: judge::Verdict, calls: u64) {
        self.calls += calls;
        match self.by_class.iter_mut().find(|(class, _)| *class == verdict.class) {
            Some((_, known)) => *known += calls,
            None => self.by_class.push((verdict.class, calls)),
        }
        if verdict.class > self.class {
            (self.class, self.plan, self.refusal) = (verdict.class, verdict.plan, verdict.refusal);
        }
    }
}
