//! `[[hba]]`: one rule of who may come from where.

use toml::Spanned;

use super::{Text, open};
use crate::config::keys::HBA;
use crate::config::mistake::Notes;
use crate::config::reader::{Entry, Placed, Section, in_file_order};

/// A common name, and the users that it may come as.
pub(in crate::config) type RawMapped = (String, Placed<Vec<Placed<String>>>);

pub(in crate::config) struct RawHba<'t> {
    pub(in crate::config) section: Section<'t>,
    pub(in crate::config) kind: Text,
    pub(in crate::config) databases: Option<Placed<Vec<Placed<String>>>>,
    pub(in crate::config) users: Option<Placed<Vec<Placed<String>>>>,
    pub(in crate::config) address: Text,
    pub(in crate::config) method: Text,
    pub(in crate::config) clientcert: Text,
    /// By common name.
    pub(in crate::config) map: Option<Placed<Vec<RawMapped>>>,
}

/// `None`: the file has no `hba` at all.
pub(super) fn rules<'t>(file: &Section<'t>, notes: &mut Notes<'_>) -> Option<Placed<Vec<RawHba<'t>>>> {
    let entries = file.tables("hba", notes)?;
    let at = entries.span();
    let rules = entries.into_inner().into_iter().map(|entry| rule(entry, notes)).collect();
    Some(Spanned::new(at, rules))
}

fn rule<'t>(entry: Entry<'t>, notes: &mut Notes<'_>) -> RawHba<'t> {
    let section = open(entry, &HBA, HBA.title.to_owned(), notes);
    RawHba {
        kind: section.string("type", notes),
        databases: section.strings("databases", true, notes),
        users: section.strings("users", true, notes),
        address: section.string("address", notes),
        method: section.string("method", notes),
        clientcert: section.string("clientcert", notes),
        map: map(&section, notes),
        section,
    }
}

fn map(section: &Section<'_>, notes: &mut Notes<'_>) -> Option<Placed<Vec<RawMapped>>> {
    let at = section.value("map")?.span();
    let (_, table) = section.table("map", notes)?;
    let mut all = Vec::new();
    for (name, value) in in_file_order(table) {
        let users = section.strings_of("map", value, true, notes);
        all.extend(users.map(|users| (name.get_ref().to_string(), users)));
    }
    Some(Spanned::new(at, all))
}
