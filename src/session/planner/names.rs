//! How a session sees names: in, its settings; out, the search path that its statements are planned with.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use crate::planning::Names;
use crate::pool::SettingValue;
use crate::session::turn::Session;

/// How a session sees names, with its part of a template's key.
#[derive(Debug)]
pub struct KeyedNames {
    pub names: Names,
    pub key: u64,
}

impl KeyedNames {
    fn new(names: Names) -> Arc<Self> {
        Arc::new(Self { key: names.fingerprint(), names })
    }
}

/// PostgreSQL's own default search path, before any setting.
pub(in crate::session) fn default_names() -> Arc<KeyedNames> {
    static DEFAULT: LazyLock<Arc<KeyedNames>> = LazyLock::new(|| {
        KeyedNames::new(Names {
            search_path: vec!["public".to_owned()],
            temporary: BTreeSet::new(),
            standard_conforming_strings: true,
            atomic: false,
        })
    });
    Arc::clone(&DEFAULT)
}

impl Session {
    pub(in crate::session) fn names(&self) -> &Arc<KeyedNames> {
        &self.names
    }

    /// The role that "$user" means.
    fn role(&self) -> String {
        let set =
            ["role", "session_authorization"].into_iter().find_map(|name| match self.state.settings().get(name)? {
                SettingValue::List(values) => values.first().filter(|role| *role != "none").cloned(),
                SettingValue::Text(role) => Some(role.clone()).filter(|role| role != "none"),
            });
        set.unwrap_or_else(|| self.login.to_string())
    }

    /// After a change of the settings or of the temporary tables.
    pub(in crate::session) fn refresh_names(&mut self) {
        let search_path = match self.state.search_path() {
            None => split_identifiers(&self.greeting.search_path),
            Some(SettingValue::List(elements)) => elements.clone(),
            Some(SettingValue::Text(text)) => split_identifiers(text),
        };
        let search_path =
            search_path.into_iter().map(|name| if name == "$user" { self.role() } else { name }).collect();
        let names = Names {
            search_path,
            // Those of a session are found where its statements are run.
            temporary: BTreeSet::new(),
            standard_conforming_strings: self.standard_conforming_strings,
            atomic: self.reads_atomic,
        };
        if self.names.names != names {
            self.names = KeyedNames::new(names);
        }
    }
}

/// The elements of a search_path given as one text, as SplitIdentifierString reads them.
fn split_identifiers(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut current = String::new();
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                current.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(std::mem::take(&mut current)),
            space if !quoted && space.is_whitespace() => {}
            other if quoted => current.push(other),
            other => current.extend(other.to_lowercase()),
        }
    }
    all.push(current);
    all.retain(|name| !name.is_empty());
    all
}
