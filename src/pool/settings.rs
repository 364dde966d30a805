//! The settings of a session, as a client made them and as a backend connection has them. Two equal
//! snapshots need nothing; otherwise [`Settings::difference`] is the SQL that makes one of the other.
//!
//! Only values set for the session are here: SET LOCAL ends with its transaction on the server itself.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use xxhash_rust::xxh3::xxh3_64;

/// An immutable snapshot; cloning it costs a reference count.
#[derive(Clone, Debug)]
pub struct Settings(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    values: BTreeMap<String, SettingValue>,
    hash: u64,
}

/// A value in the form in which it can be sent again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SettingValue {
    /// `SET name TO 'a', 'b'`: a list keeps its elements apart, as PostgreSQL quotes them itself.
    List(Vec<String>),
    /// `set_config(name, 'text', false)`: the text is taken as it is.
    Text(String),
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.hash == other.0.hash && self.0.values == other.0.values)
    }
}

impl Eq for Settings {}

impl Settings {
    /// Nothing set: what a connection has after its login.
    pub fn none() -> Self {
        static NONE: LazyLock<Settings> = LazyLock::new(|| Settings::from_values(BTreeMap::new()));
        NONE.clone()
    }

    /// Equal snapshots usually are: they are shared.
    #[inline]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub fn from_values(values: BTreeMap<String, SettingValue>) -> Self {
        let mut text = String::new();
        for (name, value) in &values {
            write!(text, "{name}\0{value:?}\0").expect("a String takes any text");
        }
        shared(Inner { hash: xxh3_64(text.as_bytes()), values })
    }

    pub fn get(&self, name: &str) -> Option<&SettingValue> {
        self.0.values.get(name)
    }

    pub fn is_empty(&self) -> bool {
        self.0.values.is_empty()
    }

    /// Identifies equal snapshots within this process.
    pub fn hash(&self) -> u64 {
        self.0.hash
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &SettingValue)> {
        self.0.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    #[must_use]
    pub fn with(&self, name: &str, value: SettingValue) -> Self {
        let mut values = self.0.values.clone();
        if name == "session_authorization" {
            // PostgreSQL resets the role with it.
            values.remove("role");
        }
        let value = if name == "datestyle" { date_style(values.get(name), value) } else { value };
        values.insert(name.to_owned(), value);
        Self::from_values(values)
    }

    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut values = self.0.values.clone();
        values.remove(name);
        if name == "session_authorization" {
            values.remove("role");
        }
        Self::from_values(values)
    }

    /// Whether switching between the two changes who the connection acts as.
    pub fn changes_identity(&self, other: &Self) -> bool {
        ["role", "session_authorization"].iter().any(|name| self.get(name) != other.get(name))
    }

    /// The statements that turn a connection with the settings `self` into one with `wanted`; `None`
    /// when they are equal.
    pub fn difference(&self, wanted: &Self) -> Option<String> {
        if self == wanted {
            return None;
        }
        let mut sql = String::new();
        // The identity is taken off first, since it may lack the right to change the rest, and put on last.
        for name in ["role", "session_authorization"] {
            if self.get(name).is_some() && self.get(name) != wanted.get(name) {
                push_reset(&mut sql, name);
            }
        }
        for (name, value) in self.iter() {
            if !is_identity(name) && wanted.get(name).is_none() {
                push_reset(&mut sql, name);
            } else if !is_identity(name) && wanted.get(name) != Some(value) {
                if name == "datestyle" {
                    // The new value may leave a part as it is.
                    push_reset(&mut sql, name);
                }
                push_set(&mut sql, name, wanted.get(name).expect("checked by the branch before"));
            }
        }
        for (name, value) in wanted.iter() {
            if !is_identity(name) && self.get(name).is_none() {
                push_set(&mut sql, name, value);
            }
        }
        for name in ["session_authorization", "role"] {
            if let Some(value) = wanted.get(name)
                && (self.get(name) != Some(value) || self.changes_identity(wanted))
            {
                push_set(&mut sql, name, value);
            }
        }
        if sql.is_empty() { None } else { Some(sql) }
    }
}

/// DateStyle is two settings in one, the output's style and the order of day and month: a value with only one of
/// them leaves the other as it was (PostgreSQL, check_datestyle).
fn date_style(before: Option<&SettingValue>, value: SettingValue) -> SettingValue {
    let Some(new) = DateStyle::of(&value) else { return value };
    let old = before.and_then(DateStyle::of).unwrap_or_default();
    SettingValue::List([new.style.or(old.style), new.order.or(old.order)].into_iter().flatten().collect())
}

#[derive(Default)]
struct DateStyle {
    style: Option<String>,
    order: Option<String>,
}

impl DateStyle {
    /// `None` for DEFAULT and for what PostgreSQL won't take.
    fn of(value: &SettingValue) -> Option<Self> {
        let text = match value {
            SettingValue::List(parts) => parts.join(","),
            SettingValue::Text(text) => text.clone(),
        };
        let mut parts = Self::default();
        for word in text.split(',').map(|word| word.trim().to_ascii_lowercase()).filter(|word| !word.is_empty()) {
            let style = [("iso", "ISO"), ("sql", "SQL"), ("postgres", "Postgres"), ("german", "German")];
            let order = match word.as_str() {
                "ymd" => "YMD",
                _ if word == "dmy" || word.starts_with("euro") => "DMY",
                _ if word == "mdy" || word == "us" || word.starts_with("noneuro") => "MDY",
                _ => {
                    // As SHOW spells it.
                    let (_, style) = style.iter().find(|(start, _)| word.starts_with(start))?;
                    parts.style = Some((*style).to_owned());
                    continue;
                }
            };
            parts.order = Some(order.to_owned());
        }
        if parts.order.is_none() && parts.style.as_deref() == Some("German") {
            parts.order = Some("DMY".to_owned());
        }
        Some(parts)
    }
}

/// The one snapshot with these values that is in use, so that comparing it costs a look at its address.
fn shared(inner: Inner) -> Settings {
    static ALL: Mutex<BTreeMap<u64, Weak<Inner>>> = Mutex::new(BTreeMap::new());
    static SWEEP_AT: AtomicUsize = AtomicUsize::new(64);
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.get(&inner.hash).and_then(Weak::upgrade) {
        // Another set of values with the same hash isn't shared.
        return Settings(if known.values == inner.values { known } else { Arc::new(inner) });
    }
    if all.len() >= SWEEP_AT.load(Ordering::Relaxed) {
        all.retain(|_, known| known.strong_count() > 0);
        SWEEP_AT.store(2 * all.len().max(32), Ordering::Relaxed);
    }
    let fresh = Arc::new(inner);
    all.insert(fresh.hash, Arc::downgrade(&fresh));
    Settings(fresh)
}

fn is_identity(name: &str) -> bool {
    name == "role" || name == "session_authorization"
}

fn push_reset(sql: &mut String, name: &str) {
    sql.push_str("RESET ");
    push_name(sql, name);
    sql.push(';');
}

fn push_set(sql: &mut String, name: &str, value: &SettingValue) {
    match value {
        SettingValue::List(elements) => {
            sql.push_str("SET ");
            push_name(sql, name);
            sql.push_str(" TO ");
            for (position, element) in elements.iter().enumerate() {
                if position > 0 {
                    sql.push_str(", ");
                }
                push_literal(sql, element);
            }
            sql.push(';');
        }
        SettingValue::Text(text) => {
            sql.push_str(&set_config(name, text, false));
            sql.push(';');
        }
    }
}

/// The call that makes a setting for the session or, `local`, for the transaction.
pub fn set_config(name: &str, value: &str, local: bool) -> String {
    let mut sql = String::from("SELECT pg_catalog.set_config(");
    push_literal(&mut sql, name);
    sql.push_str(", ");
    push_literal(&mut sql, value);
    sql.push_str(if local { ", true)" } else { ", false)" });
    sql
}

/// A setting's name may have a dot (`myapp.tenant`), which separates two identifiers.
fn push_name(sql: &mut String, name: &str) {
    for (position, part) in name.split('.').enumerate() {
        if position > 0 {
            sql.push('.');
        }
        sql.push('"');
        sql.push_str(&part.replace('"', "\"\""));
        sql.push('"');
    }
}

/// A literal that means the same whatever standard_conforming_strings is.
pub fn push_literal(sql: &mut String, text: &str) {
    if text.contains('\\') {
        sql.push_str(" E");
    }
    sql.push('\'');
    for character in text.chars() {
        match character {
            '\'' => sql.push_str("''"),
            '\\' => sql.push_str("\\\\"),
            other => sql.push(other),
        }
    }
    sql.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(values: &[&str]) -> SettingValue {
        SettingValue::List(values.iter().map(|&value| value.to_owned()).collect())
    }

    #[test]
    fn equal_settings_need_nothing() {
        let one = Settings::none().with("timezone", list(&["UTC"]));
        let two = Settings::none().with("timezone", list(&["UTC"]));
        assert_eq!(one.difference(&two), None);
    }

    #[test]
    fn equal_settings_are_shared() {
        let one = Settings::none().with("timezone", list(&["UTC"]));
        let two = Settings::none().with("timezone", list(&["UTC"]));
        assert!(one.is_same(&two) && Settings::none().is_same(&one.without("timezone")));
        assert!(!one.is_same(&Settings::none()));
    }

    #[test]
    fn only_what_differs_is_sent() {
        let has = Settings::none().with("timezone", list(&["UTC"])).with("work_mem", list(&["8MB"]));
        let wanted = has.without("work_mem").with("search_path", list(&["a", "b c"]));
        assert_eq!(has.difference(&wanted).as_deref(), Some("RESET \"work_mem\";SET \"search_path\" TO 'a', 'b c';"));
    }

    #[test]
    fn quotes_and_backslashes_survive_any_string_setting() {
        let wanted = Settings::none().with("my.x", SettingValue::Text("o'\\".into()));
        assert_eq!(
            Settings::none().difference(&wanted).as_deref(),
            Some("SELECT pg_catalog.set_config('my.x',  E'o''\\\\', false);")
        );
    }

    #[test]
    fn the_parts_of_a_date_style_are_kept_apart() {
        let style = |values: &[&[&str]]| {
            let settings = values.iter().fold(Settings::none(), |all, value| all.with("datestyle", list(value)));
            settings.get("datestyle").cloned()
        };
        assert_eq!(style(&[&["Postgres, MDY"], &["ymd"]]), Some(list(&["Postgres", "YMD"])));
        assert_eq!(style(&[&["ISO", "YMD"], &["german"]]), Some(list(&["German", "DMY"])));
        assert_eq!(style(&[&["German"], &["iso"]]), Some(list(&["ISO", "DMY"])));
        assert_eq!(style(&[&["sql"]]), Some(list(&["SQL"])));
    }

    #[test]
    fn the_identity_goes_off_first_and_on_last() {
        let has = Settings::none().with("role", list(&["a"])).with("work_mem", list(&["1MB"]));
        let wanted = Settings::none().with("role", list(&["b"]));
        assert_eq!(has.difference(&wanted).as_deref(), Some("RESET \"role\";RESET \"work_mem\";SET \"role\" TO 'b';"));
    }
}
