//! A lenient walk over a TOML tree: whatever has the wrong type, a misspelt key or no value at all
//! is noted, and the walk goes on. Serde's derive would stop at the first mistake.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Notes, similar};

/// A value and its place in the text.
pub(super) type Placed<T> = Spanned<T>;

/// A table and where it begins.
pub(super) type Entry<'t> = (Range<usize>, &'t DeTable<'t>);

/// An option that a section accepts, with a value for messages, as it stands in the file.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) example: &'static str,
}

/// A kind of section. `title` is how a user knows it: `[server]`, `[database.NAME]`.
pub(super) struct SectionKind {
    pub(super) title: &'static str,
    pub(super) keys: &'static [Key],
}

pub(super) const fn key(name: &'static str, example: &'static str) -> Key {
    Key { name, example }
}

/// One table of the file.
#[derive(Clone)]
pub(super) struct Section<'t> {
    table: &'t DeTable<'t>,
    kind: &'static SectionKind,
    /// With the names that stand for NAME in the kind's title.
    pub(super) title: String,
    /// The place for mistakes that have none of their own: something is missing.
    pub(super) at: Range<usize>,
}

impl<'t> Section<'t> {
    /// Notes the keys that the kind doesn't have. `all`: every kind there is, to say where a key belongs.
    pub(super) fn open(
        table: &'t DeTable<'t>,
        kind: &'static SectionKind,
        title: String,
        at: Range<usize>,
        all: &[&'static SectionKind],
        notes: &mut Notes<'_>,
    ) -> Self {
        let section = Self { table, kind, title, at };
        for (name, value) in table.iter() {
            let known = kind.keys.iter().find(|key| key.name == name.get_ref().as_ref());
            match known {
                None => {
                    section.unknown_key(name.get_ref(), &name.span(), value.get_ref(), all, notes);
                }
                #[cfg(test)]
                Some(key) => drop(notes.keys_seen.insert((kind.title, key.name))),
                #[cfg(not(test))]
                Some(_) => {}
            }
        }
        section
    }

    fn unknown_key(
        &self,
        name: &str,
        at: &Range<usize>,
        value: &DeValue<'_>,
        all: &[&'static SectionKind],
        notes: &mut Notes<'_>,
    ) {
        let own = self.kind.keys.iter().map(|key| key.name);
        let elsewhere = all.iter().find(|kind| kind.keys.iter().any(|key| key.name == name));
        let remedy = if self.kind.title.ends_with(".table.NAME]") && value.is_table() {
            let base = self.title.trim_start_matches('[').trim_end_matches(']');
            let (parent, table) = base.rsplit_once('.').unwrap_or(("", base));
            format!("for a table in a schema write [{parent}.\"{table}.{name}\"]")
        } else if let Some(meant) = similar(name, own.clone()) {
            format!("write `{meant}`")
        } else if let Some(kind) = elsewhere {
            format!("it belongs to {}", kind.title)
        } else {
            format!("write one of {}", quoted_list(own))
        };
        notes.mistake(at, format!("unknown key `{name}` in {}", self.title), remedy);
    }

    pub(super) fn value(&self, name: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        debug_assert!(self.kind.keys.iter().any(|key| key.name == name), "{name} is not declared");
        self.table.get(name)
    }

    /// Where the key is written, else the section.
    pub(super) fn place_of(&self, name: &str) -> Range<usize> {
        self.table.get_key_value(name).map_or(self.at.clone(), |(key, _)| key.span())
    }

    pub(super) fn string(&self, name: &str, notes: &mut Notes<'_>) -> Option<Placed<String>> {
        let value = self.value(name)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Spanned::new(value.span(), text.to_string())),
            other => self.wrong_type(name, "a string", other, &value.span(), notes),
        }
    }

    pub(super) fn integer(&self, name: &str, notes: &mut Notes<'_>) -> Option<Placed<i64>> {
        let value = self.value(name)?;
        match value.get_ref() {
            DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
                Ok(number) => Some(Spanned::new(value.span(), number)),
                Err(_) => {
                    notes.mistake(&value.span(), format!("`{name}` is too large"), self.write(name));
                    None
                }
            },
            other => self.wrong_type(name, "a whole number", other, &value.span(), notes),
        }
    }

    pub(super) fn boolean(&self, name: &str, notes: &mut Notes<'_>) -> Option<Placed<bool>> {
        let value = self.value(name)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(Spanned::new(value.span(), *flag)),
            other => self.wrong_type(name, "true or false", other, &value.span(), notes),
        }
    }

    /// A list of strings. `or_one`: a string alone is a list of one.
    pub(super) fn strings(
        &self,
        name: &str,
        or_one: bool,
        notes: &mut Notes<'_>,
    ) -> Option<Placed<Vec<Placed<String>>>> {
        self.strings_of(name, self.value(name)?, or_one, notes)
    }

    /// The same of a value within that of a key.
    pub(super) fn strings_of(
        &self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        or_one: bool,
        notes: &mut Notes<'_>,
    ) -> Option<Placed<Vec<Placed<String>>>> {
        let items = match value.get_ref() {
            DeValue::String(text) if or_one => vec![Spanned::new(value.span(), text.to_string())],
            DeValue::Array(items) => items.iter().filter_map(|item| self.item(name, item, notes)).collect(),
            other => {
                let wanted = if or_one { "a string or a list of strings" } else { "a list of strings" };
                return self.wrong_type(name, wanted, other, &value.span(), notes);
            }
        };
        Some(Spanned::new(value.span(), items))
    }

    fn item(&self, name: &str, item: &Spanned<DeValue<'_>>, notes: &mut Notes<'_>) -> Option<Placed<String>> {
        match item.get_ref() {
            DeValue::String(text) => Some(Spanned::new(item.span(), text.to_string())),
            other => self.wrong_type(name, "a list of strings", other, &item.span(), notes),
        }
    }

    /// A string, number, date or time, as text.
    pub(super) fn scalar(&self, name: &str, notes: &mut Notes<'_>) -> Option<Placed<Scalar>> {
        let value = self.value(name)?;
        self.scalar_of(name, value, notes)
    }

    /// A list of strings, numbers, dates or times, as text.
    pub(super) fn scalars(&self, name: &str, notes: &mut Notes<'_>) -> Option<Placed<Vec<Placed<Scalar>>>> {
        let value = self.value(name)?;
        match value.get_ref() {
            DeValue::Array(items) => {
                let items = items.iter().filter_map(|item| self.scalar_of(name, item, notes)).collect();
                Some(Spanned::new(value.span(), items))
            }
            other => self.wrong_type(name, "a list", other, &value.span(), notes),
        }
    }

    fn scalar_of(&self, name: &str, value: &Spanned<DeValue<'_>>, notes: &mut Notes<'_>) -> Option<Placed<Scalar>> {
        let (text, is_number) = match value.get_ref() {
            DeValue::String(text) => (text.to_string(), false),
            DeValue::Integer(digits) => match i128::from_str_radix(digits.as_str(), digits.radix()) {
                Ok(number) => (number.to_string(), true),
                Err(_) => (digits.as_str().to_owned(), true),
            },
            DeValue::Float(digits) => (digits.as_str().to_owned(), true),
            DeValue::Datetime(moment) => (moment.to_string(), false),
            other => {
                return self.wrong_type(name, "a string, a number or a date", other, &value.span(), notes);
            }
        };
        Some(Spanned::new(value.span(), Scalar { text, is_number }))
    }

    /// The table under a key.
    pub(super) fn table(&self, name: &str, notes: &mut Notes<'_>) -> Option<Entry<'t>> {
        let value = self.value(name)?;
        match value.get_ref() {
            DeValue::Table(table) => Some((self.place_of(name), table)),
            other => self.wrong_type(name, "a table", other, &value.span(), notes),
        }
    }

    /// The tables in a list: `[[name]]` or `name = [{...}]`. `None` when the key isn't there.
    pub(super) fn tables(&self, name: &str, notes: &mut Notes<'_>) -> Option<Placed<Vec<Entry<'t>>>> {
        let value = self.value(name)?;
        let DeValue::Array(items) = value.get_ref() else {
            return self.wrong_type(name, "a list of tables", value.get_ref(), &value.span(), notes);
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => tables.push((item.span(), table)),
                other => {
                    self.wrong_type::<()>(name, "a list of tables", other, &item.span(), notes);
                }
            }
        }
        Some(Spanned::new(value.span(), tables))
    }

    /// The tables in a table, by name, in the file's order.
    pub(super) fn named_tables(&self, name: &str, notes: &mut Notes<'_>) -> Vec<(Placed<String>, &'t DeTable<'t>)> {
        let Some((_, table)) = self.table(name, notes) else {
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (key, value) in in_file_order(table) {
            match value.get_ref() {
                DeValue::Table(table) => {
                    tables.push((Spanned::new(key.span(), key.get_ref().to_string()), table));
                }
                other => {
                    self.wrong_type::<()>(name, "a table of tables", other, &value.span(), notes);
                }
            }
        }
        tables
    }

    pub(super) fn wrong_type<T>(
        &self,
        name: &str,
        wanted: &str,
        found: &DeValue<'_>,
        at: &Range<usize>,
        notes: &mut Notes<'_>,
    ) -> Option<T> {
        notes.mistake(at, format!("`{name}` must be {wanted}, not {}", type_name(found)), self.write(name));
        None
    }

    /// The remedy that shows an example.
    pub(super) fn write(&self, name: &str) -> String {
        match self.kind.keys.iter().find(|key| key.name == name) {
            Some(key) => format!("write {}", key.example),
            None => format!("remove `{name}`"),
        }
    }

    pub(super) fn missing(&self, name: &str, notes: &mut Notes<'_>) {
        notes.mistake(&self.at, format!("{} has no `{name}`", self.title), self.write(name));
    }
}

/// A value whose type isn't known yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Written as a number, hence not meant as text.
    pub(super) is_number: bool,
}

/// The toml crate sorts keys by name; the order of shards is the file's, and spans have it.
pub(super) fn in_file_order<'t>(
    table: &'t DeTable<'t>,
) -> Vec<(&'t Spanned<toml::de::DeString<'t>>, &'t Spanned<DeValue<'t>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

pub(super) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// `a`, `b` or `c`.
pub(super) fn quoted_list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}
