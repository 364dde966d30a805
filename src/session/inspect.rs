//! After a statement whose effects can't be followed (DO, CALL, functions of the user's own) the connection
//! itself is asked what was left on it, before anyone else may get it. What can be followed from then on is;
//! only what can't keeps the client pinned.

use std::collections::BTreeMap;

use super::state::Pins;
use super::turn::Session;
use crate::execute::own;
use crate::pool::{Condition, SettingValue, Settings};
use crate::protocol::backend::Status;

/// One text: five flags, whether the role is the login's, then the settings of the session as name and value,
/// each behind a control character that names and values don't have.
const QUESTION: &str = "SELECT pg_catalog.concat(
  EXISTS (SELECT FROM pg_catalog.pg_listening_channels())::int,
  EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema())::int,
  EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid())::int,
  EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)::int,
  EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql)::int,
  (current_user <> session_user)::int,
  (SELECT pg_catalog.string_agg(pg_catalog.chr(1) || name || pg_catalog.chr(2) || setting, '' ORDER BY name)
   FROM pg_catalog.pg_settings WHERE source = 'session'))";

struct Findings {
    pins: Pins,
    settings: BTreeMap<String, String>,
}

fn read(answer: &str) -> Option<Findings> {
    let (flags, settings) = answer.split_at_checked(6)?;
    let mut flags = flags.bytes().map(|flag| flag == b'1');
    let mut flag = || flags.next().unwrap_or(true);
    let pins = Pins {
        listens: flag(),
        temporary_objects: flag(),
        advisory_locks: flag(),
        held_cursors: flag(),
        sql_prepared: flag(),
        // Another role can't be seen well enough to be taken on elsewhere.
        unknown: flag(),
        sequences: false,
        loaded: false,
    };
    let pairs = settings.split('\u{1}').skip(1).filter_map(|pair| pair.split_once('\u{2}'));
    let settings = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Some(Findings { pins, settings })
}

/// `known` brought up to what was found; a value that is still the same keeps its form.
fn brought_up(known: &Settings, found: &BTreeMap<String, String>) -> Settings {
    let mut values = BTreeMap::new();
    for (name, value) in known.iter() {
        if name == "role" || name == "session_authorization" {
            values.insert(name.to_owned(), value.clone());
        }
    }
    for (name, text) in found {
        let same = match known.get(name) {
            Some(SettingValue::List(elements)) if elements.join(", ") == *text => known.get(name).cloned(),
            _ => None,
        };
        values.insert(name.clone(), same.unwrap_or_else(|| SettingValue::Text(text.clone())));
    }
    Settings::from_values(values)
}

impl Session {
    /// Between transactions: turns "unknown" into what is really there.
    pub(super) async fn inspect(&mut self) {
        let home = self.database.config.home;
        let mut all: Option<Pins> = None;
        for held in self.transaction.held_mut() {
            if !held.lease.is_at_rest() || held.lease.status != Status::Idle {
                continue;
            }
            let answer = own::run(&mut held.lease, QUESTION).await;
            let findings = answer.ok().and_then(|answer| answer.value).as_deref().and_then(read);
            let Some(findings) = findings else {
                held.lease.condition = Condition::Pinned;
                all = Some(Pins { unknown: true, ..all.unwrap_or_default() });
                continue;
            };
            let identity =
                held.lease.settings.get("role").is_some() || held.lease.settings.get("session_authorization").is_some();
            let mut pins = findings.pins;
            pins.unknown &= !identity;
            let settings = brought_up(&held.lease.settings, &findings.settings);
            held.lease.settings = settings.clone();
            if self.database.is_single() || held.shard == home {
                self.state.set(settings);
                all = Some(pins);
            } else if pins.any() {
                // Only the home shard's connection is kept: on others what was left is taken off.
                held.lease.condition = Condition::Pinned;
                if own::clean(&mut held.lease).await.is_err() {
                    held.lease.condition = Condition::Broken;
                }
            }
        }
        if let Some(pins) = all {
            self.state.pins = Pins { loaded: self.state.pins.loaded, sequences: self.state.pins.sequences, ..pins };
        } else if !self.transaction.held().is_empty() {
            self.state.pins.unknown = false;
        }
        self.refresh_names();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_settings_are_told_apart() {
        let findings = read("010000\u{1}TimeZone\u{2}UTC\u{1}my.x\u{2}").expect("well-formed");
        assert_eq!(findings.pins, Pins { temporary_objects: true, ..Pins::default() });
        assert_eq!(findings.settings.get("timezone").map(String::as_str), Some("UTC"));
        assert_eq!(findings.settings.get("my.x").map(String::as_str), Some(""));
    }

    #[test]
    fn a_value_that_stayed_keeps_its_form() {
        let list = SettingValue::List(vec!["ISO".into(), "MDY".into()]);
        let known = Settings::none().with("datestyle", list.clone()).with("gone", SettingValue::Text("1".into()));
        let found = BTreeMap::from([("datestyle".to_owned(), "ISO, MDY".to_owned())]);
        assert_eq!(brought_up(&known, &found), Settings::none().with("datestyle", list));
    }
}
