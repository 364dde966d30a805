//! Passwords: from the file itself, the environment or another file.

use std::path::Path;

use crate::config::mistake::Notes;
use crate::config::raw::RawSecret;
use crate::config::reader::Placed;
use crate::config::{Secret, Surroundings};

/// `None` when there is none or it can't be had; the latter is noted.
pub(super) fn secret(
    name: &str,
    raw: Option<&Placed<RawSecret>>,
    surroundings: &Surroundings<'_>,
    notes: &mut Notes<'_>,
) -> Option<Secret> {
    let raw = raw?;
    let at = raw.span();
    let (text, from) = match raw.get_ref() {
        RawSecret::Text(text) => {
            if surroundings.world_readable {
                let what = format!("`{name}` stands in a file that every user of this machine can read");
                let remedy = format!("run chmod o= on it, or write {name} = {{ env = \"NAME\" }}");
                notes.warning(&at, what, remedy);
            }
            (text.clone(), "it".to_owned())
        }
        RawSecret::Environment(variable) => match (surroundings.environment)(variable) {
            Some(text) => (text, format!("the environment variable {variable}")),
            None => {
                let what = format!("`{name}`: the environment variable {variable} is not set");
                notes.mistake(&at, what, format!("set {variable}, or name another variable"));
                return None;
            }
        },
        RawSecret::File(path) => match (surroundings.read_file)(Path::new(path)) {
            Ok(found) => {
                if found.world_readable {
                    let what = format!("`{name}`: every user of this machine can read {path}");
                    notes.warning(&at, what, format!("run chmod o= {path}"));
                }
                (without_newline(&found.text).to_owned(), path.clone())
            }
            Err(error) => {
                let what = format!("`{name}`: {path} can't be read: {error}");
                notes.mistake(&at, what, "name a file that the user who runs Shardway can read");
                return None;
            }
        },
        RawSecret::Unusable => return None,
    };
    if text.is_empty() {
        notes.mistake(&at, format!("`{name}` is empty: {from} holds nothing"), "give a password");
        return None;
    }
    if text.contains('\0') {
        notes.mistake(&at, format!("`{name}` contains a zero byte"), "give a password without one");
        return None;
    }
    Some(Secret::new(text))
}

/// Editors and `echo` end a file with a newline that is no part of the password.
fn without_newline(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}
