//! Definitions on a database with several shards: which of them every shard must have, and which concern the home shard
//! alone. In: the tokens of a statement. Out: a [`Definition`], a refusal where what it defines can't hold over shards,
//! or nothing where the statement is another module's.
//!
//! Sharded and reference tables, with all that belongs to them, are on every shard, and so are types, functions,
//! schemas, extensions and sequences that belong to no table. What belongs to an unsharded table is on the home shard.

mod alter;
mod constraint;
mod eyes;
mod maintenance;
mod object;
mod table;

use std::ops::Range;

use super::plan::{Refusal, Way};
use super::scene::{Names, Scene};
use super::text::Text;
use crate::sql::TokenKind;
use eyes::Eyes;

/// Where a statement that isn't a query runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Definition {
    Home,
    Everywhere(Way),
    /// As [`Definition::Everywhere`], but for these parts of its list of names, which the home shard alone has.
    Listed(Way, Vec<Range<usize>>),
}

/// `None`: not understood here.
type Verdict = Option<Result<Definition, Refusal>>;

/// CREATE, ALTER, DROP and their like.
pub fn definition(text: Text<'_>, scene: &Scene, names: &Names) -> Verdict {
    // With a UESCAPE it may be another name than it seems.
    if (0..text.pieces.len()).any(|at| text.kind(at) == Some(TokenKind::UnicodeIdent)) {
        return None;
    }
    let eyes = Eyes { text, scene, names };
    let first = text.name(0)?;
    match first.as_str() {
        "create" => object::create(&eyes),
        "alter" => alter::alter(&eyes),
        "drop" => object::drop(&eyes),
        "comment" => object::comment(&eyes),
        "grant" | "revoke" => object::grant(&eyes),
        "truncate" => object::truncate(&eyes),
        _ => None,
    }
}

/// VACUUM, ANALYZE, REINDEX, CLUSTER and LOCK.
pub fn maintenance(text: Text<'_>, scene: &Scene, names: &Names) -> Verdict {
    maintenance::maintenance(&Eyes { text, scene, names })
}

fn everywhere() -> Verdict {
    Some(Ok(Definition::Everywhere(Way::Together)))
}

fn servers() -> Verdict {
    Some(Ok(Definition::Everywhere(Way::Servers)))
}

fn apart() -> Verdict {
    Some(Ok(Definition::Everywhere(Way::Apart)))
}

fn home() -> Verdict {
    Some(Ok(Definition::Home))
}

fn refused(refusal: Refusal) -> Verdict {
    Some(Err(refusal))
}
