//! The oracle: the same statements on one PostgreSQL with all the data, the truth, and through Shardway over one, two,
//! three and seven shards. Anything but the same answer or a refusal (0A000) fails.
//!
//! `SHARDWAY_ORACLE_ONLY` runs only the entries whose file and line, or whose text, contain it. `SHARDWAY_ORACLE_SEED`
//! and `SHARDWAY_ORACLE_COUNT` are the random statements' seed and how many there are for each number of shards,
//! `SHARDWAY_ORACLE_TRANSACTIONS` how many random transactions, `SHARDWAY_ORACLE_SELECTS` how many random SELECTs over the
//! whole language.

mod support;

#[path = "oracle/compare.rs"]
mod compare;
#[path = "oracle/data.rs"]
mod data;
#[path = "oracle/dice.rs"]
mod dice;
#[path = "oracle/generate.rs"]
mod generate;
#[path = "oracle/list.rs"]
mod list;
#[path = "oracle/order.rs"]
mod order;
#[path = "oracle/parameters.rs"]
mod parameters;
#[path = "oracle/run.rs"]
mod run;
#[path = "oracle/selects/mod.rs"]
mod selects;
#[path = "oracle/sources.rs"]
mod sources;
#[path = "oracle/state.rs"]
mod state;
#[path = "oracle/statement.rs"]
mod statement;
#[path = "oracle/transactions.rs"]
mod transactions;
#[path = "oracle/wire.rs"]
mod wire;
#[path = "oracle/world.rs"]
mod world;

use generate::Generator;
use run::{Runner, Tally};
use statement::Statement;
use transactions::Transaction;
use world::Environment;

const SHOWN_FAILURES: usize = 100;

/// Where random statements begin; any number would do.
const SEED: u64 = 20_261_126;
/// For each number of shards; several answers are compared for each.
const RANDOM_STATEMENTS: u64 = 300;
/// Likewise.
const RANDOM_TRANSACTIONS: u64 = 60;
/// Likewise.
const RANDOM_SELECTS: u64 = 700;
const SHRINK_STEPS: usize = 30;
/// Statements that are tried to make one SELECT smaller.
const SHRINK_TRIES: usize = 1500;

/// Runs all lists with this many shards.
fn lists(shards: usize) {
    let only = std::env::var("SHARDWAY_ORACLE_ONLY").ok();
    let mut environment = Environment::with(shards);
    let mut runner = Runner::new(&mut environment);
    let mut entries = 0;
    let mut files: Vec<_> = std::fs::read_dir(support::repository_file("tests/oracle/lists"))
        .expect("the lists are part of the repository")
        .map(|file| file.expect("the directory can be read").path())
        .collect();
    files.sort();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a list can be read");
        let name = path.file_stem().expect("a list has a name").to_string_lossy();
        for entry in list::parse(&name, &text) {
            if only.as_ref().is_none_or(|only| entry.place.contains(only) || entry.sql.contains(only)) {
                runner.run(&entry);
                entries += 1;
            }
        }
    }
    let tally = runner.tally;
    println!("{entries} entries with {shards} shards");
    conclude(&tally, &environment);
}

/// What an environment variable says, if it is a number.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Runs random statements with this many shards.
fn random(shards: usize) {
    // The same statements in every run unless others are asked for: a change is judged by what it changed.
    let seed = number("SHARDWAY_ORACLE_SEED").unwrap_or(SEED);
    let count = number("SHARDWAY_ORACLE_COUNT").unwrap_or(RANDOM_STATEMENTS);
    println!("SHARDWAY_ORACLE_SEED={seed} SHARDWAY_ORACLE_COUNT={count}");
    let mut environment = Environment::with(shards);
    let mut runner = Runner::new(&mut environment);
    for number in 0..count {
        // Each has its own seed, so that what one takes doesn't change the others.
        let statement = Generator::new(seed.wrapping_add(number)).statement();
        if !runner.run(&statement.entry(format!("seed {seed} number {number}"))) {
            shrink(&mut runner, statement);
        }
        if runner.tally.failures.len() > SHOWN_FAILURES {
            break;
        }
    }
    let tally = runner.tally;
    conclude(&tally, &environment);
}

/// Runs random SELECTs over the whole language with this many shards.
fn random_selects(shards: usize) {
    let seed = number("SHARDWAY_ORACLE_SEED").unwrap_or(SEED);
    let count = number("SHARDWAY_ORACLE_SELECTS").unwrap_or(RANDOM_SELECTS);
    println!("SHARDWAY_ORACLE_SEED={seed} SHARDWAY_ORACLE_SELECTS={count}");
    let mut environment = Environment::with(shards);
    let mut runner = Runner::new(&mut environment);
    let mut refused = 0;
    for number in 0..count {
        let select = selects::Generator::new(seed.wrapping_add(number)).select();
        let refusals = runner.tally.refused.len();
        if !runner.run(&select.entry(format!("seed {seed} select {number}"))) {
            shrink_select(&mut runner, select);
        }
        refused += usize::from(runner.tally.refused.len() > refusals);
        if runner.tally.failures.len() > SHOWN_FAILURES {
            break;
        }
    }
    println!("{refused} of {count} SELECTs refused");
    let tally = runner.tally;
    conclude(&tally, &environment);
}

/// Adds the smallest SELECT that still fails to the failures.
fn shrink_select(runner: &mut Runner<'_>, mut select: selects::Select) {
    let mut tries = 0;
    let (failures, refused) = (runner.tally.failures.len(), runner.tally.refused.len());
    let mut still_fails = |smaller: &selects::Select| {
        tries += 1;
        let fails = tries < SHRINK_TRIES && !runner.run(&smaller.entry("smaller".to_owned()));
        runner.tally.failures.truncate(failures);
        runner.tally.refused.truncate(refused);
        fails
    };
    loop {
        let smaller = select.smaller().find(&mut still_fails);
        match smaller {
            Some(smaller) => select = smaller,
            None => break,
        }
    }
    runner.run(&select.entry("smallest".to_owned()));
}

/// Runs random transactions with this many shards: every answer is compared, and what is stored at their ends.
fn random_transactions(shards: usize) {
    let seed = number("SHARDWAY_ORACLE_SEED").unwrap_or(SEED);
    let count = number("SHARDWAY_ORACLE_TRANSACTIONS").unwrap_or(RANDOM_TRANSACTIONS);
    println!("SHARDWAY_ORACLE_SEED={seed} SHARDWAY_ORACLE_TRANSACTIONS={count}");
    let mut environment = Environment::with(shards);
    let mut runner = Runner::new(&mut environment);
    for number in 0..count {
        let mut transaction = Transaction::random(&mut Generator::new(seed.wrapping_add(number)));
        if runner.run(&transaction.entry(format!("seed {seed} transaction {number}"))) {
            continue;
        }
        for _ in 0..SHRINK_STEPS {
            let failures = runner.tally.failures.len();
            let still_fails = |smaller: &Transaction| {
                let fails = !runner.run(&smaller.entry("smaller".to_owned()));
                runner.tally.failures.truncate(failures);
                fails
            };
            match transaction.smaller().into_iter().find(still_fails) {
                Some(smaller) => transaction = smaller,
                None => break,
            }
        }
        runner.run(&transaction.entry(format!("smallest {}", transaction.lines.join("; "))));
        if runner.tally.failures.len() > SHOWN_FAILURES {
            break;
        }
    }
    let tally = runner.tally;
    conclude(&tally, &environment);
}

/// Adds the smallest statement that still fails to the failures.
fn shrink(runner: &mut Runner<'_>, mut statement: Statement) {
    for _ in 0..SHRINK_STEPS {
        let failures = runner.tally.failures.len();
        let still_fails = |smaller: &Statement| {
            let fails = !runner.run(&smaller.entry("smaller".to_owned()));
            runner.tally.failures.truncate(failures);
            fails
        };
        match statement.smaller().into_iter().find(still_fails) {
            Some(smaller) => statement = smaller,
            None => break,
        }
    }
    runner.run(&statement.entry("smallest".to_owned()));
}

fn conclude(tally: &Tally, environment: &Environment) {
    let (errors, refused, failures) = (tally.errors, tally.refused.len(), tally.failures.len());
    println!("{} answers compared: {errors} errors, {refused} refused, {failures} failures", tally.compared);
    for refusal in &tally.refused {
        println!("refused: {refusal}");
    }
    let shown: Vec<_> = tally.failures.iter().take(SHOWN_FAILURES).map(String::as_str).collect();
    if !shown.is_empty() {
        panic!(
            "{} failures:\n\n{}\n\nShardway's log:\n{}",
            tally.failures.len(),
            shown.join("\n\n"),
            environment.log()
        );
    }
}

#[test]
fn values_order_as_on_postgresql() {
    order::prove(&mut Environment::with(2).truth());
}

#[test]
fn lists_over_one_shard() {
    lists(1);
}

#[test]
fn lists_over_two_shards() {
    lists(2);
}

#[test]
fn lists_over_three_shards() {
    lists(3);
}

#[test]
fn lists_over_seven_shards() {
    lists(7);
}

#[test]
fn random_over_two_shards() {
    random(2);
}

#[test]
fn random_over_three_shards() {
    random(3);
}

#[test]
fn random_over_seven_shards() {
    random(7);
}

#[test]
fn random_selects_over_two_shards() {
    random_selects(2);
}

#[test]
fn random_selects_over_three_shards() {
    random_selects(3);
}

#[test]
fn random_selects_over_seven_shards() {
    random_selects(7);
}

#[test]
fn random_transactions_over_two_shards() {
    random_transactions(2);
}

#[test]
fn random_transactions_over_three_shards() {
    random_transactions(3);
}
