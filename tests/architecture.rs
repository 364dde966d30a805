//! The floors of ARCHITECTURE.md: imports go strictly downward, and rooms on one floor never import each
//! other. Reads the sources; knows nothing of what they do.

use std::path::{Path, PathBuf};

/// Rooms by floor, from the ground up. `main.rs` stands on the roof: it may use them all.
const FLOORS: [&[&str]; 9] = [
    &["types"],
    &["config", "observe", "protocol", "sql"],
    &["routing", "catalog", "net"],
    &["planning", "pool"],
    &["survey", "transaction"],
    &["execute", "reshard"],
    &["admin"],
    &["session"],
    &["server", "advise", "check", "setup", "top", "demo"],
];

/// Stands beside the house; these rooms may use it, and it uses none.
const BESIDE: &str = "devcluster";
const MAY_USE_BESIDE: [&str; 2] = ["main", "demo"];

/// What only some rooms may import. Workers have no timers of their own: see `net::timer`; the other rooms here never
/// run on one.
const KEPT: [(&str, &[&str]); 3] =
    [("sqlparser", &["sql"]), ("mio::", &["net"]), ("tokio::time", &["net", "advise", "check", "demo"])];

#[test]
fn imports_go_strictly_downward() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&source, &mut files);
    assert!(files.len() > 10, "the sources are not where they should be");
    let mut violations = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&source).expect("it was found there");
        let room = room_of(inside);
        let text = std::fs::read_to_string(&file).expect("sources can be read");
        let siblings = siblings(&source.join(&room));
        for violation in violations_in(&room, &text, &siblings) {
            violations.push(format!("src/{}: {violation}", inside.display()));
        }
    }
    assert!(violations.is_empty(), "the floors are broken:\n{}", violations.join("\n"));
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in directory.read_dir().expect("sources can be listed").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// `sql` for `sql/lexer.rs`, `server` for `server.rs`.
fn room_of(file: &Path) -> String {
    let first = file.components().next().expect("a file has a name");
    let name = Path::new(first.as_os_str()).file_stem().expect("a file has a name");
    name.to_str().expect("sources have ASCII names").to_owned()
}

/// Modules within a room, which `super::` may name although a room has the same name.
fn siblings(room: &Path) -> Vec<String> {
    let entries = room.read_dir().into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned())).collect()
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn violations_in(room: &str, text: &str, siblings: &[String]) -> Vec<String> {
    if room == "lib" {
        return Vec::new();
    }
    let mut violations = Vec::new();
    let code = without_comments_and_strings(text);
    for (offset, target) in rooms_named(&code, siblings) {
        let line = line_of(&code, offset);
        if let Some(reason) = forbidden(room, &target) {
            violations.push(format!("line {line}: {room} may not import {target}: {reason}"));
        }
    }
    for (path, rooms) in KEPT {
        if !rooms.contains(&room) {
            let words = code.match_indices(path).map(|(offset, _)| line_of(&code, offset));
            violations.extend(words.map(|line| format!("line {line}: only {rooms:?} may import {path}")));
        }
    }
    violations
}

fn line_of(code: &str, offset: usize) -> usize {
    code[..offset].matches('\n').count() + 1
}

fn forbidden(room: &str, target: &str) -> Option<String> {
    if room == target {
        return None;
    }
    if target == BESIDE {
        return (!MAY_USE_BESIDE.contains(&room)).then(|| format!("only {MAY_USE_BESIDE:?} and tests may"));
    }
    if room == "main" {
        return None;
    }
    if room == BESIDE {
        return Some("it stands beside the house and uses no room".to_owned());
    }
    match (floor(room), floor(target)) {
        (_, None) => Some(format!("{target} has no floor; give it one here and in ARCHITECTURE.md")),
        (None, _) => Some(format!("{room} has no floor; give it one here and in ARCHITECTURE.md")),
        (Some(own), Some(other)) if other > own => Some(format!("that goes up, from floor {own} to {other}")),
        (Some(own), Some(other)) if other == own => Some(format!("both are on floor {own}")),
        _ => None,
    }
}

/// Each room that a path begins with, with its place in the code.
fn rooms_named(code: &str, siblings: &[String]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for root in ["crate::", "shardway::"] {
        for (offset, _) in code.match_indices(root) {
            if !continues_a_word(code, offset) {
                let names = heads(&code[offset + root.len()..]);
                found.extend(names.into_iter().map(|name| (offset, name)));
            }
        }
    }
    // `super::super::pool` may leave the room as well.
    for (offset, _) in code.match_indices("super::") {
        for name in heads(&code[offset + "super::".len()..]) {
            let is_room = floor(&name).is_some() || name == BESIDE;
            if is_room && !siblings.contains(&name) {
                found.push((offset, name));
            }
        }
    }
    found
}

fn continues_a_word(code: &str, offset: usize) -> bool {
    code[..offset].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// The first names of what follows `crate::`: one, or each in the outermost braces.
fn heads(rest: &str) -> Vec<String> {
    let word =
        |text: &str| -> String { text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let Some(list) = rest.trim_start().strip_prefix('{') else {
        return Some(word(rest)).filter(|name| !name.is_empty() && name != "super").into_iter().collect();
    };
    let mut names = vec![word(list)];
    let mut depth = 0;
    for (offset, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(word(&list[offset + 1..])),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty() && name != "self");
    names
}

/// The code with comments and the insides of strings blanked; line breaks stay.
fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let after_word = code.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if rest.starts_with('"') {
            string(rest)
        } else if let Some(length) = raw_string(rest).filter(|_| !after_word) {
            length
        } else if rest.starts_with("'\"'") {
            3
        } else if rest.starts_with("'\\") {
            rest.get(3..).and_then(|rest| rest.find('\'')).map_or(rest.len(), |end| end + 4)
        } else {
            code.push(character);
            rest = &rest[character.len_utf8()..];
            continue;
        };
        code.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[length..];
    }
    code
}

/// Comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut offset = 0;
    while offset < text.len() {
        let rest = &text[offset..];
        if rest.starts_with("/*") {
            depth += 1;
            offset += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            offset += 2;
            if depth == 0 {
                return offset;
            }
        } else {
            offset += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (offset, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return offset + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let inside = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let quoted = inside.trim_start_matches('#');
    let hashes = inside.len() - quoted.len();
    quoted.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - quoted.len() + 1;
    Some(text[start..].find(&end).map_or(text.len(), |offset| start + offset + end.len()))
}

#[test]
fn the_check_sees_each_way_to_import() {
    let broken = |room: &str, text: &str| violations_in(room, text, &["transaction".to_owned()]).len();
    assert_eq!(broken("planning", "use crate::types::ShardId;"), 0);
    assert_eq!(broken("planning", "use crate::pool::Lease;"), 1);
    assert_eq!(broken("planning", "use crate::{types::{ShardId, NodeId}, session::Turn, execute};"), 2);
    assert_eq!(broken("sql", "fn f() -> crate::routing::ShardMap { todo!() }"), 1);
    assert_eq!(broken("sql", "use super::super::execute;"), 1);
    assert_eq!(broken("session", "use super::transaction::Own;"), 0);
    assert_eq!(broken("types", "use crate::observe::Metrics;"), 1);
    assert_eq!(broken("demo", "use crate::devcluster::Cluster;"), 0);
    assert_eq!(broken("pool", "use crate::devcluster::Cluster;"), 1);
    assert_eq!(broken("devcluster", "use crate::types::ShardId;"), 1);
    assert_eq!(broken("planning", "use sqlparser::ast::Expr;"), 1);
    assert_eq!(broken("sql", "use sqlparser::ast::Expr;"), 0);
    assert_eq!(broken("attic", "use crate::types::ShardId;"), 1);
}

#[test]
fn comments_and_strings_are_not_imports() {
    let text = "// crate::session::Turn\n/* crate::session /* nested */ */ const A: &str = \"crate::session\";\n\
        const B: &str = r#\"use \"crate::session\"#; const C: char = '\"'; const D: &[u8] = b\"\\\"crate::session\";\n";
    assert_eq!(violations_in("sql", text, &[]), Vec::<String>::new());
    assert_eq!(violations_in("sql", &format!("{text}use crate::session;"), &[]).len(), 1);
}
