//! Runs entries on Shardway and on the truth, in each protocol. In: an environment and entries. Out: a [`Tally`].
//!
//! Shardway goes first: what it refuses isn't run on the truth, or, inside of a script, is replaced there by a statement
//! that fails, so that both stay in the same state.

use super::compare::{REFUSAL, difference, is_refusal};
use super::list::{Entry, Expected, Protocols};
use super::parameters::Parameters;
use super::wire::{Client, Messages, Turn};
use super::world::Environment;

const REFUSE: &str = "DO $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '0A000'; END $$";

/// What came of a run.
#[derive(Default)]
pub struct Tally {
    pub compared: usize,
    /// Of those, answers that were the same error: many would mean that little is tested.
    pub errors: usize,
    /// Where, and why.
    pub refused: Vec<String>,
    pub failures: Vec<String>,
}

pub struct Runner<'e> {
    pub environment: &'e mut Environment,
    pub tally: Tally,
    shardway: Client,
    truth: Client,
    parameters: Parameters,
}

/// How far an entry got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Same,
    /// Both answered with the same error.
    Error,
    Refused,
    Failed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Simple,
    Unnamed,
    Named,
}

impl<'e> Runner<'e> {
    pub fn new(environment: &'e mut Environment) -> Self {
        let (shardway, truth) = (environment.shardway(), environment.truth());
        let parameters = Parameters::new(environment.truth());
        Self { environment, tally: Tally::default(), shardway, truth, parameters }
    }

    /// Runs an entry in all its ways. True: nothing was wrong.
    pub fn run(&mut self, entry: &Entry) -> bool {
        let (failures, refusals) = (self.tally.failures.len(), self.tally.refused.len());
        if entry.error.is_some() && self.environment.shards == 1 {
            return true;
        }
        for mode in modes(entry) {
            let before = self.tally.failures.len();
            let step = if entry.is_script { self.script(entry, mode) } else { self.statement(entry, mode) };
            self.prove_expected(entry, mode, step);
            if entry.writes() {
                for what in self.environment.state.check_and_restore() {
                    self.fail(entry, mode, &entry.sql, &format!("stored: {what}"));
                }
            }
            if self.tally.failures.len() > before {
                self.reconnect();
            }
        }
        if entry.expected == Expected::Answer || self.environment.shards == 1 {
            for refusal in self.tally.refused.split_off(refusals) {
                self.tally.failures.push(format!("must not be refused: {refusal}"));
            }
        }
        self.tally.failures.len() == failures
    }

    fn prove_expected(&mut self, entry: &Entry, mode: Mode, step: Step) {
        if entry.expected == Expected::Refusal
            && self.environment.shards > 1
            && step != Step::Refused
            && step != Step::Failed
        {
            self.fail(entry, mode, &entry.sql, "must be refused, and was not");
        }
    }

    fn reconnect(&mut self) {
        (self.shardway, self.truth) = (self.environment.shardway(), self.environment.truth());
    }

    fn statement(&mut self, entry: &Entry, mode: Mode) -> Step {
        let empty = Messages::default;
        let sql = &entry.sql;
        match mode {
            Mode::Simple => {
                let step = self.turn(entry, mode, sql, &empty().query(sql));
                match step {
                    // Once more, by the template this time.
                    Step::Same if !entry.writes() => self.turn(entry, mode, sql, &empty().query(sql)),
                    other => other,
                }
            }
            Mode::Unnamed => {
                let (types, values) = self.parameters.declared(entry);
                let messages = empty().parse("", sql, &types).bind("", &values, 0).describe_portal().execute(0).sync();
                self.turn(entry, mode, sql, &messages)
            }
            Mode::Named => self.named(entry),
        }
    }

    /// Prepared without types, then executed with binary values and results, and with text and a row limit.
    fn named(&mut self, entry: &Entry) -> Step {
        let (empty, mode) = (Messages::default, Mode::Named);
        let sql = &entry.sql;
        let inferred = self.parameters.inferred(entry);
        let mut step = self.turn(entry, mode, sql, &empty().parse("st", sql, &[]).describe_statement("st").sync());
        if step != Step::Same {
            return step;
        }
        let messages = empty().bind("st", &inferred, 1).describe_portal().execute(0).sync();
        step = self.turn(entry, mode, sql, &messages);
        if step == Step::Same && !entry.writes() {
            let text = self.parameters.declared(entry).1;
            let messages = empty().bind("st", &text, 0).describe_portal().execute(2).execute(0).sync();
            step = self.turn(entry, mode, sql, &messages);
        }
        match self.turn(entry, mode, sql, &empty().close_statement("st").sync()) {
            Step::Same => step,
            other => other,
        }
    }

    /// One line after the other, on connections that know nothing yet.
    fn script(&mut self, entry: &Entry, mode: Mode) -> Step {
        self.reconnect();
        let wrap = |sql: &str| match mode {
            Mode::Simple => Messages::default().query(sql),
            _ => Messages::default().parse("", sql, &[]).bind("", &[], 0).describe_portal().execute(0).sync(),
        };
        let mut outcome = Step::Same;
        for line in entry.sql.lines() {
            let part = Entry { sql: line.to_owned(), ..Entry::new(String::new(), line.to_owned()) };
            let part =
                Entry { place: entry.place.clone(), compared: entry.compared, opaque: entry.opaque.clone(), ..part };
            match self.turn_or(&part, mode, line, &wrap(line), Some(&wrap(REFUSE))) {
                Step::Failed => return Step::Failed,
                Step::Refused => outcome = Step::Refused,
                Step::Same | Step::Error => {}
            }
        }
        self.reconnect();
        outcome
    }

    fn turn(&mut self, entry: &Entry, mode: Mode, sql: &str, messages: &Messages) -> Step {
        self.turn_or(entry, mode, sql, messages, None)
    }

    /// `instead` goes to the truth when Shardway refuses.
    fn turn_or(
        &mut self,
        entry: &Entry,
        mode: Mode,
        sql: &str,
        messages: &Messages,
        instead: Option<&Messages>,
    ) -> Step {
        self.tally.compared += 1;
        let shardway = match self.shardway.turn(messages.clone()) {
            Ok(turn) if turn.status != 0 => turn,
            Ok(turn) => return self.failed(entry, mode, sql, &format!("the connection ended: {:?}", turn.error())),
            Err(error) => return self.failed(entry, mode, sql, &error),
        };
        if let Some(step) = self.not_compared(entry, mode, sql, &shardway) {
            if let Some(instead) = instead {
                let truth = self.truth.turn(instead.clone()).expect("the truth answers");
                if shardway.status != truth.status {
                    return self.failed(entry, mode, sql, "the status after a refusal");
                }
            }
            return step;
        }
        let truth = self.truth.turn(messages.clone()).expect("the truth answers");
        if let Some(what) = difference(&shardway, &truth, entry, &self.environment.state.type_names) {
            return self.failed(entry, mode, sql, &what);
        }
        if self.shardway.settings != self.truth.settings {
            let what = settings_differ(&self.shardway, &self.truth);
            return self.failed(entry, mode, sql, &what);
        }
        if let Some(report) = truth.error() {
            if std::env::var("SHARDWAY_ORACLE_ERRORS").is_ok() {
                println!("error: {} {}", report.code, report.message);
            }
            self.tally.errors += 1;
            return Step::Error;
        }
        Step::Same
    }

    /// Refusals, and errors that one server doesn't know.
    fn not_compared(&mut self, entry: &Entry, mode: Mode, sql: &str, turn: &Turn) -> Option<Step> {
        let report = turn.error();
        if let Some(code) = &entry.error {
            let got = report.map(|report| report.code.as_str());
            return Some(match got {
                Some(got) if got == code || got == REFUSAL => Step::Error,
                // A later turn of the entry is to fail.
                None if mode == Mode::Named => Step::Same,
                _ => self.failed(entry, mode, sql, &format!("got {got:?} instead of {code}")),
            });
        }
        // A row that no shard may hold is one that one server would hold.
        let is_homeless = report.is_some_and(|report| report.message.starts_with("no shard holds"));
        if !is_refusal(turn) && !is_homeless {
            return None;
        }
        let why = report.map_or("", |report| &report.message);
        self.tally.refused.push(format!("{} {mode:?}: {}: {why}", entry.place, first_line(sql)));
        Some(Step::Refused)
    }

    fn failed(&mut self, entry: &Entry, mode: Mode, sql: &str, what: &str) -> Step {
        self.fail(entry, mode, sql, what);
        Step::Failed
    }

    fn fail(&mut self, entry: &Entry, mode: Mode, sql: &str, what: &str) {
        let shards = self.environment.shards;
        let parameters: Vec<_> = entry.parameters.iter().map(|parameter| &parameter.text).collect();
        let with = if parameters.is_empty() { String::new() } else { format!(" {parameters:?}") };
        self.tally.failures.push(format!("{} ({shards} shards, {mode:?}){with}\n{sql}\n{what}", entry.place));
    }
}

fn modes(entry: &Entry) -> Vec<Mode> {
    let all: &[Mode] = match (entry.protocols, entry.is_script) {
        (Protocols::Simple, _) => &[Mode::Simple],
        (Protocols::Both, true) => &[Mode::Simple, Mode::Unnamed],
        (Protocols::Extended | Protocols::Unnamed | Protocols::Named, true) => &[Mode::Unnamed],
        (Protocols::Both, false) => &[Mode::Simple, Mode::Unnamed, Mode::Named],
        (Protocols::Extended, false) => &[Mode::Unnamed, Mode::Named],
        (Protocols::Unnamed, false) => &[Mode::Unnamed],
        (Protocols::Named, false) => &[Mode::Named],
    };
    let has_parameters = !entry.parameters.is_empty();
    all.iter().copied().filter(|mode| !has_parameters || *mode != Mode::Simple).collect()
}

fn settings_differ(shardway: &Client, truth: &Client) -> String {
    let names = shardway.settings.keys().chain(truth.settings.keys());
    let differs = names.filter(|name| shardway.settings.get(*name) != truth.settings.get(*name));
    let each = differs
        .map(|name| format!("{name}: got {:?}, expected {:?}", shardway.settings.get(name), truth.settings.get(name)));
    format!("ParameterStatus: {}", each.collect::<Vec<_>>().join("; "))
}

fn first_line(sql: &str) -> String {
    let line: String = sql.lines().next().unwrap_or("").chars().take(100).collect();
    line
}
