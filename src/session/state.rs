//! What a client has set for its session, through transactions and savepoints, and what keeps it on
//! one connection. Pure: told of each statement that completed, in order.

use crate::pool::{SettingValue, Settings};

/// The settings of a session as PostgreSQL would hold them (documentation, SET: "undone when the
/// transaction is rolled back").
#[derive(Debug)]
pub struct SessionState {
    current: Settings,
    /// What RESET returns to: the start-up packet's settings.
    baseline: Settings,
    /// Set within a transaction block.
    block: Option<BlockState>,
    /// Where a failed query string of several statements returns to.
    implicit_start: Settings,
    /// Several turns' worth is one transaction, though no block.
    holds_start: bool,
    /// Cursors that were declared so far, and as of where a failed query string returns to.
    declared: u64,
    implicit_declared: u64,
    pub pins: Pins,
}

#[derive(Debug)]
struct BlockState {
    at_begin: Settings,
    /// SET LOCAL search_path: the one local setting that the planner must know.
    local_path: Option<SettingValue>,
    declared_before: u64,
    savepoints: Vec<Savepoint>,
}

#[derive(Debug)]
struct Savepoint {
    name: String,
    settings: Settings,
    local_path: Option<SettingValue>,
    declared_before: u64,
}

/// Why a client keeps its connection between transactions.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Pins {
    pub listens: bool,
    pub temporary_objects: bool,
    pub advisory_locks: bool,
    pub held_cursors: bool,
    pub sql_prepared: bool,
    /// A procedure or a setting whose effect can't be followed: the connection is to be inspected.
    pub unknown: bool,
    /// The client has asked for its sequences' last values.
    pub sequences: bool,
    /// LOAD: a library can't be taken out again.
    pub loaded: bool,
}

impl Pins {
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

impl SessionState {
    pub fn new(baseline: Settings) -> Self {
        Self {
            current: baseline.clone(),
            implicit_start: baseline.clone(),
            baseline,
            block: None,
            holds_start: false,
            declared: 0,
            implicit_declared: 0,
            pins: Pins::default(),
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.current
    }

    /// The search_path that holds now, SET LOCAL included; `None`: the login's.
    pub fn search_path(&self) -> Option<&SettingValue> {
        let local = self.block.as_ref().and_then(|block| block.local_path.as_ref());
        local.or_else(|| self.current.get("search_path"))
    }

    pub fn set_local_path(&mut self, value: Option<SettingValue>) {
        if let Some(block) = &mut self.block {
            block.local_path = value;
        }
    }

    pub fn baseline(&self) -> &Settings {
        &self.baseline
    }

    /// What a shard that joins the block begins with, before it is told what was set within.
    pub fn settings_at_begin(&self) -> &Settings {
        self.block.as_ref().map_or(&self.current, |block| &block.at_begin)
    }

    /// A turn begins: what fails outside a block goes back to here.
    pub fn start_implicit(&mut self) {
        if self.block.is_none() && !self.holds_start {
            self.implicit_declared = self.declared;
            if self.implicit_start != self.current {
                self.implicit_start = self.current.clone();
            }
        }
    }

    /// From here on until it is let go, what fails goes back to here.
    pub fn hold_start(&mut self, holds: bool) {
        self.start_implicit();
        self.holds_start = holds;
    }

    pub fn fail_implicit(&mut self) {
        if self.block.is_none() {
            self.current = self.implicit_start.clone();
        }
    }

    pub fn set(&mut self, settings: Settings) {
        self.current = settings;
    }

    /// Numbers a cursor that is declared now.
    pub fn declare(&mut self) -> u64 {
        self.declared += 1;
        self.declared
    }

    /// The last cursor before the transaction.
    pub fn declared_before(&self) -> u64 {
        self.block.as_ref().map_or(self.implicit_declared, |block| block.declared_before)
    }

    /// The last cursor before the latest savepoint.
    pub fn declared_before_savepoint(&self) -> u64 {
        let savepoint = self.block.as_ref().and_then(|block| block.savepoints.last());
        savepoint.map_or(self.declared, |savepoint| savepoint.declared_before)
    }

    pub fn in_block(&self) -> bool {
        self.block.is_some()
    }

    pub fn begin(&mut self) {
        if self.block.is_none() {
            self.block = Some(BlockState {
                at_begin: self.implicit_start.clone(),
                local_path: None,
                declared_before: self.implicit_declared,
                savepoints: Vec::new(),
            });
        }
    }

    pub fn commit(&mut self, chain: bool) {
        self.block = None;
        self.implicit_start = self.current.clone();
        self.implicit_declared = self.declared;
        if chain {
            self.begin();
        }
    }

    pub fn rollback(&mut self, chain: bool) {
        if let Some(block) = self.block.take() {
            self.current = block.at_begin;
        } else {
            self.current = self.implicit_start.clone();
        }
        self.implicit_start = self.current.clone();
        self.implicit_declared = self.declared;
        if chain {
            self.begin();
        }
    }

    pub fn savepoint(&mut self, name: &str) {
        let current = self.current.clone();
        if let Some(block) = &mut self.block {
            block.savepoints.push(Savepoint {
                name: name.to_owned(),
                settings: current,
                local_path: block.local_path.clone(),
                declared_before: self.declared,
            });
        }
    }

    pub fn release(&mut self, name: &str) {
        if let Some(block) = &mut self.block
            && let Some(position) = block.savepoints.iter().rposition(|savepoint| savepoint.name == name)
        {
            block.savepoints.truncate(position);
        }
    }

    pub fn rollback_to(&mut self, name: &str) {
        let Some(block) = &mut self.block else { return };
        let Some(position) = block.savepoints.iter().rposition(|savepoint| savepoint.name == name) else { return };
        block.savepoints.truncate(position + 1);
        if let Some(savepoint) = block.savepoints.last() {
            self.current = savepoint.settings.clone();
            block.local_path = savepoint.local_path.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(state: &SessionState, value: &str) -> Settings {
        state.settings().with("x", SettingValue::Text(value.into()))
    }

    fn value(state: &SessionState) -> Option<&SettingValue> {
        state.settings().get("x")
    }

    #[test]
    fn a_rollback_undoes_settings_and_a_savepoint_those_after_it() {
        let mut state = SessionState::new(Settings::none());
        state.start_implicit();
        state.begin();
        state.set(with(&state, "1"));
        state.savepoint("a");
        state.set(with(&state, "2"));
        state.rollback_to("a");
        assert_eq!(value(&state), Some(&SettingValue::Text("1".into())));
        state.rollback(false);
        assert_eq!(value(&state), None);
    }

    #[test]
    fn what_was_committed_stays() {
        let mut state = SessionState::new(Settings::none());
        state.start_implicit();
        state.begin();
        state.set(with(&state, "1"));
        state.commit(false);
        state.rollback(false);
        assert_eq!(value(&state), Some(&SettingValue::Text("1".into())));
    }

    #[test]
    fn a_failed_string_of_statements_undoes_its_settings() {
        let mut state = SessionState::new(Settings::none());
        state.start_implicit();
        state.set(with(&state, "1"));
        state.fail_implicit();
        assert_eq!(value(&state), None);
    }
}
