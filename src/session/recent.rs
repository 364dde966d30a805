//! The shapes of statements that this worker has seen lately, recognised without lexing. In: the text of a Query. Out:
//! its plan, by the template that the same shape was found to have. Knows a text only as [`Known`] does, and forgets
//! a shape with whatever its template was made for.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::turn::Session;
use crate::planning::{Plan, Template};
use crate::sql::Lexed;
use crate::sql::lexer::Known;
use crate::types::limits::{RECENT_MISSES_MAX, RECENT_SHAPES};

impl Session {
    /// The plan of a statement whose shape was seen on this worker lately, without lexing it.
    pub(super) fn plan_recent(&self, sql: &[u8]) -> Option<(Arc<Template>, Plan)> {
        let planner = &self.database.planner;
        if planner.stale.load(Ordering::Acquire) {
            return None;
        }
        let world = self.world();
        RECENT.with_borrow_mut(|recent| {
            let shape = recent.get_mut(place(sql))?.as_mut()?;
            if shape.world != world || !shape.known.fits(sql) {
                return None;
            }
            let lexed = shape.known.lexed();
            if !shape.template.matches(sql, lexed) {
                return None;
            }
            shape.misses = 0;
            let plan = shape.template.bind_hinted(sql, lexed, None, self.hint.as_ref()).ok()?;
            Some((Arc::clone(&shape.template), plan))
        })
    }

    /// Remembers the shape of a statement for [`Self::plan_recent`].
    pub(super) fn remember(&self, sql: &[u8], lexed: &Lexed, template: &Arc<Template>) {
        let world = self.world();
        RECENT.with_borrow_mut(|recent| {
            if recent.is_empty() {
                recent.resize_with(RECENT_SHAPES, || None);
            }
            let Some(place) = recent.get_mut(place(sql)) else { return };
            if let Some(there) = place
                && there.world == world
            {
                there.misses = there.misses.saturating_add(1);
                if Arc::ptr_eq(&there.template, template) || there.misses < RECENT_MISSES_MAX {
                    return;
                }
            }
            if let Some(known) = Known::new(sql, lexed) {
                *place = Some(Box::new(Shape { world, known, template: Arc::clone(template), misses: 0 }));
            }
        });
    }

    fn world(&self) -> World {
        World {
            generation: self.generation(),
            names: self.names.key,
            standard_conforming_strings: self.standard_conforming_strings,
        }
    }
}

/// What a template holds for. Generations are numbered over all databases.
#[derive(Clone, Copy, PartialEq, Eq)]
struct World {
    generation: u64,
    names: u64,
    standard_conforming_strings: bool,
}

/// A statement whose like comes often.
struct Shape {
    world: World,
    known: Known,
    template: Arc<Template>,
    misses: u8,
}

thread_local! {
    static RECENT: RefCell<Vec<Option<Box<Shape>>>> = const { RefCell::new(Vec::new()) };
}

/// Where the shape of a text is looked for: by its first bytes, which seldom hold a literal.
fn place(sql: &[u8]) -> usize {
    const WORDS: usize = 3;
    let mut head = [0; 8 * WORDS];
    for (to, from) in head.iter_mut().zip(sql) {
        *to = *from;
    }
    let mix = |hash: u64, word: &[u8; 8]| {
        let mixed = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 32)
    };
    let hash = head.as_chunks::<8>().0.iter().fold(0, mix);
    usize::try_from(hash % RECENT_SHAPES as u64).unwrap_or(0)
}
