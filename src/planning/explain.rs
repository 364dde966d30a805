//! Plans as text: for EXPLAIN, `shardway plan` and the golden files.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::plan::{Plan, Refusal, Why};
use super::route::show;
use super::scene::{Names, Scene};
use super::template::Template;
use crate::config::DatabaseConfig;
use crate::routing::ShardMap;
use crate::sql::lexer::{LexOptions, lex};
use crate::sql::{Command, Lexed};

/// The plan of a statement without literals to come, by the configuration alone: no server is asked, so
/// tables that it doesn't name are taken to be on the home shard.
///
/// # Errors
/// A text that isn't SQL, or a configuration that has no shard map.
pub fn offline(database: &DatabaseConfig, sql: &str) -> Result<String, String> {
    let map = ShardMap::new(database, &|_, _, _| None)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let map = Arc::new(map);
    let safe: BTreeSet<String> = database.safe_functions.iter().cloned().collect();
    let scene = Scene { map: Arc::clone(&map), catalog: None, safe_functions: Arc::new(safe) };
    let names =
        Names { search_path: vec!["public".to_owned()], temporary: BTreeSet::new(), standard_conforming_strings: true };
    let mut lexed = Lexed::default();
    lex(sql.as_bytes(), &LexOptions { standard_conforming_strings: true }, &mut lexed)
        .map_err(|error| format!("unterminated quote or comment at byte {}", error.at))?;
    let template = Template::build(sql.as_bytes(), &lexed, &scene, &names);
    if template.statements.iter().all(|statement| statement.command == Command::Empty) {
        return Ok("nothing to run".to_owned());
    }
    Ok(match template.bind(sql.as_bytes(), &lexed, None) {
        Ok(planned) => plan(&planned, &map),
        Err(refused) => refusal(&refused),
    })
}

/// One line, for example `shard b (users.id = 42)`.
pub fn plan(plan: &Plan, map: &ShardMap) -> String {
    match plan {
        Plan::Single { shard, why } => {
            format!("shard {} ({})", map.shard_name(*shard), self::why(why))
        }
        Plan::Any => "any shard (reference tables)".to_owned(),
        Plan::Scatter { shards } => {
            let names: Vec<&str> = shards.as_slice().iter().map(|shard| map.shard_name(*shard)).collect();
            format!("shards {} (rows of each, one after the other)", names.join(", "))
        }
        Plan::Touched => "the shards of the transaction".to_owned(),
    }
}

fn why(why: &Why) -> String {
    match why {
        Why::OnlyShard => "the only shard".to_owned(),
        Why::Key { column, value, assumed } => {
            let assumed = if *assumed { " (key type assumed)" } else { "" };
            format!("{column} = {}{assumed}", show(value))
        }
        Why::Range(key) => format!("the only shard in the range of {key}"),
        Why::NoRows => "no row can match".to_owned(),
        Why::Home => "home".to_owned(),
        Why::Hint => "hint".to_owned(),
    }
}

/// SQLSTATE and message, detail and hint, a line each.
pub fn refusal(refusal: &Refusal) -> String {
    let mut text = format!("refused {}: {}", refusal.state, refusal.message);
    for (label, line) in [("detail", &refusal.detail), ("hint", &refusal.hint)] {
        if !line.is_empty() {
            text.push_str(&format!("\n{label}: {line}"));
        }
    }
    text
}
