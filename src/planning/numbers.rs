//! The OIDs of types, tables and functions, which each server gives for itself. In: the tokens of a statement that may
//! run elsewhere than on the home shard. Out: nothing, or a refusal where such a number would be told, stored or
//! computed with as a number: it would be another one than the home shard's. As names they are the same everywhere.

use super::functions::CATALOG_TYPES;
use super::plan::Refusal;
use super::refusal;
use super::scene::{Names, Scene};
use super::tables::{self, Location};
use super::text::{Pairs, Text};
use crate::catalog::Column;
use crate::sql::TokenKind;
use crate::sql::statement::TableName;

/// Of the types whose values are such numbers, written as names: as arguments of text search they are everywhere.
const TEXT_SEARCH: &[&str] = &["regconfig", "regdictionary"];
const TEXTS: &[&str] = &["text", "varchar", "character", "name", "bpchar"];
/// What makes a value of the bytes or the OIDs that are in another.
const BYTES_OF_OIDS: &[&str] = &[
    "array_send",
    "hash_array",
    "hash_array_extended",
    "hash_record",
    "hash_record_extended",
    "hashenum",
    "hashenumextended",
    "hashoid",
    "hashoidextended",
    "oidsend",
    "record_send",
    "regclasssend",
    "regprocsend",
    "regtypesend",
];
/// Functions that take such a number, and don't give it.
const TAKERS: &[&str] = &["col_description", "count", "currval", "format_type", "nextval", "obj_description", "setval"];
/// The same, if it is written as a name.
const NAME_TAKERS: &[&str] = &[
    "concat",
    "concat_ws",
    "format",
    "json_agg",
    "json_build_array",
    "json_build_object",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_object_agg",
    "to_json",
    "to_jsonb",
];

/// Tokens that give such a number.
struct Source {
    /// The first token and that behind the last.
    tokens: std::ops::Range<usize>,
    shown: Shown,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// As a name.
    Name,
    /// As the number that it is.
    Number,
    /// As a name; only a cast by its side counts.
    Configuration,
}

/// # Errors
/// A statement that uses such a number as a number.
pub fn judge(text: Text<'_>, scene: Option<&Scene>) -> Result<(), Refusal> {
    for called in text.calls() {
        if BYTES_OF_OIDS.contains(&called.name.as_str()) {
            return Err(refusal::object_number(&format!("{}()", called.name)));
        }
    }
    if let Some(table) = copied(text, scene) {
        return Err(refusal::object_number(&format!("COPY in binary of {table}'s OIDs")));
    }
    let pairs = Pairs::of(text);
    for at in 0..text.pieces.len() {
        if let Some(source) = source(text, at, &pairs, scene)
            && !stays_a_name(text, &source)
        {
            let name = text.name(at).unwrap_or_default();
            let name = if text.bytes(at) == b"::" { text.name(source.tokens.end - 1) } else { Some(name) };
            return Err(refusal::object_number(&name.unwrap_or_else(|| "a type's name".to_owned())));
        }
    }
    Ok(())
}

/// What gives a number and is found at this token: where a name begins, or at `::`.
fn source(text: Text<'_>, at: usize, pairs: &Pairs, scene: Option<&Scene>) -> Option<Source> {
    let shown = |ty: &str| if TEXT_SEARCH.contains(&ty) { Shown::Configuration } else { Shown::Name };
    if text.bytes(at) == b"::" {
        let (ty, end) = named_type(text, at + 1)?;
        return Some(Source { tokens: operand(text, at, pairs)..end, shown: shown(ty) });
    }
    let name = text.name(at)?;
    let qualified = at.checked_sub(1).is_some_and(|before| text.punct(before, b'.'));
    let start = if qualified { at.saturating_sub(2) } else { at };
    if text.punct(at + 1, b'(') {
        let end = (pairs.closing(at + 1) + 1).min(text.pieces.len());
        if name == "cast" {
            let (ty, behind) = named_type(text, (at + 2..end).rev().find(|token| text.is(*token, "as"))? + 1)?;
            return (behind + 1 == end).then_some(Source { tokens: at..end, shown: shown(ty) });
        }
        if let Some(ty) = CATALOG_TYPES.iter().find(|ty| **ty == name) {
            return Some(Source { tokens: start..end, shown: shown(ty) });
        }
        let gives = name == "pg_typeof" && !is_built_in(text, at + 1, end, scene) || name.starts_with("to_reg");
        return gives.then_some(Source { tokens: start..end, shown: Shown::Name });
    }
    if matches!(text.kind(at + 1), Some(TokenKind::Literal(_)))
        && let Some((ty, _)) = named_type(text, at)
    {
        return Some(Source { tokens: start..at + 2, shown: shown(ty) });
    }
    let start = column_start(text, at);
    if name == "tableoid" {
        return Some(Source { tokens: start..at + 1, shown: Shown::Number });
    }
    let behind_type = start.checked_sub(1).is_some_and(|before| text.bytes(before) == b"::" || text.is(before, "as"));
    let is_column = !behind_type && is_cast(text, at + 1) && scene.is_some_and(|scene| holds_numbers(&name, scene));
    is_column.then_some(Source { tokens: start..at + 1, shown: Shown::Name })
}

/// A type of such numbers at this token, and the token behind it.
fn named_type(text: Text<'_>, at: usize) -> Option<(&'static str, usize)> {
    let at = if text.is(at, "pg_catalog") && text.punct(at + 1, b'.') { at + 2 } else { at };
    let name = text.name(at)?;
    let ty = CATALOG_TYPES.iter().find(|ty| **ty == name)?;
    let is_array = text.punct(at + 1, b'[');
    Some((ty, if is_array { at + 3 } else { at + 1 }))
}

/// Where the operand of this `::` begins, as far as it matters.
fn operand(text: Text<'_>, cast: usize, pairs: &Pairs) -> usize {
    let Some(last) = cast.checked_sub(1) else { return cast };
    if text.punct(last, b')') {
        let Some(open) = pairs.opening(last) else { return cast };
        return match open.checked_sub(1) {
            Some(before) if text.name(before).is_some() => column_start(text, before),
            _ => open,
        };
    }
    if text.name(last).is_some() {
        let start = column_start(text, last);
        // `x::text::regtype`
        return match start.checked_sub(1) {
            Some(before) if text.bytes(before) == b"::" => operand(text, before, pairs),
            _ => start,
        };
    }
    last
}

/// Where the name begins that ends at this token.
fn column_start(text: Text<'_>, mut at: usize) -> usize {
    while at >= 2 && text.punct(at - 1, b'.') && text.name(at - 2).is_some() {
        at -= 2;
    }
    at
}

/// If pg_typeof asks for the type of a column which is one that all servers number alike.
fn is_built_in(text: Text<'_>, open: usize, end: usize, scene: Option<&Scene>) -> bool {
    let Some(catalog) = scene.and_then(|scene| scene.catalog.as_ref()) else { return false };
    let last = end.saturating_sub(2);
    let (Some(name), true) = (text.name(last), last > open && column_start(text, last) == open + 1) else {
        return false;
    };
    let mut of_that_name = catalog.relations().filter_map(|relation| relation.column(&name)).peekable();
    of_that_name.peek().is_some() && of_that_name.all(|column| column.type_oid < FIRST_OWN_OID)
}

/// FirstNormalObjectId (access/transam.h): what is below comes with every server.
const FIRST_OWN_OID: u32 = 16_384;

/// A COPY in binary has such numbers as numbers, and doesn't say what its columns are.
fn is_binary_copy(text: Text<'_>) -> bool {
    text.is(0, "copy") && (1..text.pieces.len()).any(|at| names_binary(text, at))
}

fn names_binary(text: Text<'_>, at: usize) -> bool {
    text.is(at, "binary") || text.bytes(at).eq_ignore_ascii_case(b"'binary'") || text.bytes(at) == b"\"binary\""
}

/// A table with a column of such numbers that is copied in binary.
fn copied(text: Text<'_>, scene: Option<&Scene>) -> Option<String> {
    let scene = scene.filter(|_| is_binary_copy(text))?;
    let names: Vec<String> = (1..text.pieces.len()).filter_map(|at| text.name(at)).collect();
    let relations = scene.catalog.iter().flat_map(|catalog| catalog.relations());
    let mut named = relations.filter(|relation| names.contains(&relation.name));
    named.find(|relation| relation.columns.iter().any(is_number)).map(|relation| relation.name.clone())
}

fn is_number(column: &Column) -> bool {
    let ty = column.type_name.trim_end_matches("[]");
    CATALOG_TYPES.contains(&ty) && !TEXT_SEARCH.contains(&ty)
}

/// If a table or view that isn't the home shard's alone has a column of this name with such numbers.
fn holds_numbers(name: &str, scene: &Scene) -> bool {
    let names = Names {
        search_path: Vec::new(),
        temporary: std::collections::BTreeSet::new(),
        standard_conforming_strings: true,
        atomic: false,
    };
    scene.catalog.iter().flat_map(|catalog| catalog.relations()).any(|relation| {
        relation.column(name).is_some_and(is_number) && {
            let table =
                TableName { schema: Some(relation.schema.as_str().into()), name: relation.name.as_str().into() };
            let found = tables::find(scene, &names, &table);
            found.refusal.is_some() || !matches!(found.location, Location::Home)
        }
    })
}

fn is_cast(text: Text<'_>, at: usize) -> bool {
    let closed = (at..text.pieces.len()).find(|at| !text.punct(*at, b')'));
    closed.is_some_and(|at| text.bytes(at) == b"::" || text.is(at, "as"))
}

/// If what this gives is only compared, or told as a name.
fn stays_a_name(text: Text<'_>, source: &Source) -> bool {
    let (mut start, mut end) = (source.tokens.start, source.tokens.end);
    loop {
        if text.bytes(end) == b"::" {
            return is_told(text, end + 1, source.shown);
        }
        let before = start.checked_sub(1);
        if source.shown != Shown::Configuration && compared(text, before, end) {
            return true;
        }
        let cast = before.is_some_and(|before| text.punct(before, b'('))
            && before.and_then(|before| before.checked_sub(1)).is_some_and(|cast| text.is(cast, "cast"));
        if cast && text.is(end, "as") {
            return is_told(text, end + 1, source.shown);
        }
        let enclosed = before.is_some_and(|before| text.punct(before, b'(')) && text.punct(end, b')');
        let is_call = || before.is_some_and(|open| called(text, open).is_some());
        if !enclosed || is_call() {
            break;
        }
        (start, end) = (start - 1, end + 1);
    }
    source.shown == Shown::Configuration
        || open_around(text, start).is_some_and(|open| takes(text, open, source.shown))
        || source.shown == Shown::Name && is_output(text, start, end)
}

/// If a cast to the type at this token tells a name. A cast to another type of such numbers is looked at by itself.
fn is_told(text: Text<'_>, at: usize, shown: Shown) -> bool {
    let behind_schema = if text.is(at, "pg_catalog") && text.punct(at + 1, b'.') { at + 2 } else { at };
    let is_text = text.is_any(behind_schema, TEXTS) || text.bytes(behind_schema) == b"\"char\"";
    named_type(text, at).is_some() || is_text && shown != Shown::Number
}

fn compared(text: Text<'_>, before: Option<usize>, end: usize) -> bool {
    let compares = |at: usize| {
        matches!(text.bytes(at), b"=" | b"<>" | b"!=") && text.kind(at) == Some(TokenKind::Operator)
            || text.is_any(at, &["in", "is", "isnull", "notnull"])
            || text.is(at, "not") && text.is(at + 1, "in")
    };
    // In SET, `=` is no comparison.
    let sets = (0..end).rev().find(|at| text.is_any(*at, &["set", "where", "from", "select", "returning", "on"]));
    let sets = sets.is_some_and(|at| text.is(at, "set"));
    !sets && (compares(end) || before.is_some_and(compares) || before.is_some_and(|at| is_in_list(text, at)))
}

/// If the token stands within the list of an IN or the array of an ANY.
fn is_in_list(text: Text<'_>, at: usize) -> bool {
    let open = if text.punct(at, b'(') { Some(at) } else { open_around(text, at) };
    let is_list = |open: usize| {
        open.checked_sub(1).is_some_and(|before| text.is(before, "in"))
            && !text.is_any(open + 1, &["select", "with", "values", "table"])
    };
    open.is_some_and(is_list)
}

/// The parenthesis that is open at this token.
fn open_around(text: Text<'_>, at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    (0..at).rev().find(|at| {
        if text.punct(*at, b')') {
            depth += 1;
        } else if text.punct(*at, b'(') {
            match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return true,
            }
        }
        false
    })
}

fn called(text: Text<'_>, open: usize) -> Option<String> {
    text.calls().into_iter().find(|called| called.open == open).map(|called| called.name)
}

fn takes(text: Text<'_>, open: usize, shown: Shown) -> bool {
    called(text, open).is_some_and(|name| {
        let name = name.as_str();
        let looks = name.starts_with("pg_") || name.starts_with("has_");
        TAKERS.contains(&name) || looks || shown == Shown::Name && NAME_TAKERS.contains(&name)
    })
}

/// If it is a column of what the client is told, and nothing else.
fn is_output(text: Text<'_>, start: usize, end: usize) -> bool {
    let begins = ["select", "insert", "update", "delete", "merge", "with", "values", "table"];
    let Some(verb) = (0..text.pieces.len()).find(|at| text.is_any(*at, &begins)) else { return false };
    let is_outermost = open_around(text, start) == open_around(text, verb);
    let combined = (verb..text.pieces.len()).any(|at| text.is_any(at, &["union", "intersect", "except", "order"]));
    let clause = (0..start).rev().find(|at| {
        open_around(text, *at) == open_around(text, start)
            && text.is_any(*at, &["select", "returning", "from", "where", "group", "values", "set", "having"])
    });
    if clause.is_some_and(|at| text.is(at, "group")) {
        return is_outermost && !combined;
    }
    let is_list = clause.is_some_and(|at| text.is(at, "returning") || text.is(at, "select"))
        && (text.is_any(verb, &["select", "with"]) || clause.is_some_and(|at| text.is(at, "returning")));
    let before = start.checked_sub(1);
    let begins_item =
        before.is_some_and(|at| text.punct(at, b',') || text.is_any(at, &["select", "returning", "distinct", "all"]));
    let ends_item = end >= text.pieces.len()
        || text.punct(end, b',')
        || text.punct(end, b')')
        || text.name(end).is_some_and(|word| !matches!(word.as_str(), "and" | "or" | "else" | "end" | "when" | "then"));
    is_outermost && !combined && !is_binary_copy(text) && is_list && begins_item && ends_item
}

#[cfg(test)]
mod tests;
