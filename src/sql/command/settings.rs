//! SET, RESET and SHOW, with the spellings of their own that some settings have (VariableSetStmt and
//! its kin in PostgreSQL's gram.y).

use super::recognise::Words;
use super::{SessionCommand, Setting};

/// If `name TO` or `name =` is what follows, so that `name` isn't a keyword.
pub(super) fn assigns(words: &Words<'_>, ahead: usize) -> bool {
    words.is_ahead(ahead, "to") || words.is_operator(ahead, b"=")
}

pub(super) fn set(words: &mut Words<'_>) -> Option<SessionCommand> {
    let local = !assigns(words, 1) && words.pass("local");
    if !local && words.is_ahead(0, "session") && !assigns(words, 1) && !words.is_ahead(1, "authorization") {
        words.at += 1;
    }
    if words.pass_all(&["characteristics", "as", "transaction"]) {
        return Some(setting(words, "session characteristics", local));
    }
    if assigns(words, 1) || words.punct(1, b'.') {
        return named(words, local);
    }
    let special = if words.pass_all(&["time", "zone"]) {
        if words.is_ahead(0, "local") {
            return Some(SessionCommand::Reset { local, name: "timezone".to_owned() });
        }
        "timezone"
    } else if words.pass_all(&["session", "authorization"]) {
        "session_authorization"
    } else if words.pass("role") {
        "role"
    } else if words.pass("schema") {
        "search_path"
    } else if words.pass("names") {
        if words.ended() {
            return Some(SessionCommand::Reset { local, name: "client_encoding".to_owned() });
        }
        "client_encoding"
    } else if words.pass_all(&["xml", "option"]) {
        "xmloption"
    } else {
        return named(words, local);
    };
    Some(or_default(words, special, local))
}

fn setting(words: &Words<'_>, name: &str, local: bool) -> SessionCommand {
    SessionCommand::Set { local, setting: Setting { name: name.to_owned(), value_after_tokens: words.at } }
}

fn or_default(words: &Words<'_>, name: &str, local: bool) -> SessionCommand {
    if words.is_ahead(0, "default") && words.peek(1).is_none() {
        SessionCommand::Reset { local, name: name.to_owned() }
    } else {
        setting(words, name, local)
    }
}

/// `name {TO | =} value`, `name FROM CURRENT`.
fn named(words: &mut Words<'_>, local: bool) -> Option<SessionCommand> {
    let name = dotted(words)?;
    if assigns(words, 0) {
        words.at += 1;
    } else if !words.is_ahead(0, "from") {
        return None;
    }
    Some(or_default(words, &name, local))
}

/// Names of settings don't differ in upper and lower case.
fn dotted(words: &mut Words<'_>) -> Option<String> {
    let mut name = words.name()?;
    while words.punct(0, b'.') {
        words.at += 1;
        name.push('.');
        name.push_str(&words.name()?);
    }
    Some(name.to_ascii_lowercase())
}

/// RESET and SHOW know the same special spellings; `None` is ALL.
fn name_or_all(words: &mut Words<'_>) -> Option<Option<String>> {
    if words.pass("all") {
        return Some(None);
    }
    let special = if words.pass_all(&["time", "zone"]) {
        "timezone"
    } else if words.pass_all(&["transaction", "isolation", "level"]) {
        "transaction_isolation"
    } else if words.pass_all(&["session", "authorization"]) {
        "session_authorization"
    } else {
        return dotted(words).map(Some);
    };
    Some(Some(special.to_owned()))
}

pub(super) fn reset(words: &mut Words<'_>) -> Option<SessionCommand> {
    Some(match name_or_all(words)? {
        None => SessionCommand::ResetAll,
        Some(name) => SessionCommand::Reset { local: false, name },
    })
}

pub(super) fn show(words: &mut Words<'_>) -> Option<SessionCommand> {
    Some(match name_or_all(words)? {
        None => SessionCommand::ShowAll,
        Some(name) => SessionCommand::Show { name },
    })
}
