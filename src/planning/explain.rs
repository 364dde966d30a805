//! Plans as text: for EXPLAIN, `shardway plan` and the golden files.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::plan::{CarryWay, Plan, Refusal, Step, Way, Why};
pub use super::route::show;
use super::scene::{Names, Scene};
use super::template::Template;
use crate::catalog::Catalog;
use crate::config::{DatabaseConfig, PlacementConfig, TableConfig, TableKind};
use crate::routing::{ShardMap, key};
use crate::sql::lexer::{LexOptions, lex};
use crate::sql::{Command, Lexed};
use crate::types::{KeyType, ShardId};

/// The plan of a statement without literals to come, by the configuration alone: no server is asked, so
/// tables that it doesn't name are taken to be on the home shard, and keys of ranges and lists to be of a type
/// that their values have.
///
/// # Errors
/// A text that isn't SQL, or a configuration that has no shard map.
pub fn offline(database: &DatabaseConfig, sql: &str) -> Result<String, String> {
    let scene = assumed_scene(database)?;
    let map = Arc::clone(&scene.map);
    let names = Names {
        search_path: vec!["public".to_owned()],
        temporary: BTreeSet::new(),
        standard_conforming_strings: true,
        atomic: false,
    };
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

/// The scene of a configuration alone.
///
/// # Errors
/// A configuration that has no shard map.
pub fn assumed_scene(database: &DatabaseConfig) -> Result<Scene, String> {
    let assumed = |schema: &str, table: &str, _: &str| {
        let is_it = |config: &&TableConfig| config.schema == schema && config.name == table;
        database.tables.iter().find(is_it).and_then(assumed_type)
    };
    scene(database, &assumed, None)
}

/// The scene of a configuration and a server's catalog.
///
/// # Errors
/// When they don't fit.
pub fn known_scene(database: &DatabaseConfig, catalog: Catalog) -> Result<Scene, String> {
    let key_type = |schema: &str, table: &str, column: &str| catalog.key_type(schema, table, column);
    scene(database, &key_type, Some(catalog.clone()))
}

fn scene(
    database: &DatabaseConfig,
    key_type: &dyn Fn(&str, &str, &str) -> Option<KeyType>,
    catalog: Option<Catalog>,
) -> Result<Scene, String> {
    let map = ShardMap::new(database, key_type)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let safe: BTreeSet<String> = database.safe_functions.iter().cloned().collect();
    Ok(Scene {
        map: Arc::new(map),
        catalog: catalog.map(Arc::new),
        safe_functions: Arc::new(safe),
        views: Arc::default(),
        missed: Arc::default(),
    })
}

/// The type of a key that the file doesn't give, by the values that it places; a server would say it.
fn assumed_type(table: &TableConfig) -> Option<KeyType> {
    let TableKind::Sharded { key_type: None, placement, .. } = &table.kind else { return None };
    let values: Vec<&str> = match placement {
        PlacementConfig::Hash => return None,
        PlacementConfig::Range(ranges) => ranges.iter().filter_map(|range| range.until.as_deref()).collect(),
        PlacementConfig::List(lists) => lists.iter().flat_map(|list| list.values.iter().map(String::as_str)).collect(),
    };
    let all = |key_type| values.iter().all(|value| key::from_text(key_type, value).is_ok());
    let candidates: &[KeyType] = match placement {
        PlacementConfig::List(_) => &[KeyType::Int8, KeyType::Uuid, KeyType::Text],
        _ => &[KeyType::Int8, KeyType::Numeric, KeyType::TimestampTz, KeyType::Timestamp, KeyType::Date],
    };
    candidates.iter().copied().find(|key_type| all(*key_type))
}

/// One line, for example `shard b (users.id = 42)`.
pub fn plan(plan: &Plan, map: &ShardMap) -> String {
    match plan {
        Plan::Single { shard, why } => {
            format!("shard {} ({})", map.shard_name(*shard), self::why(why))
        }
        Plan::Any => "any shard (reference tables)".to_owned(),
        Plan::Scatter { shards } => {
            let names = names(shards.as_slice().iter().copied(), map);
            format!("shards {names} (rows of each, one after the other)")
        }
        Plan::WriteAll { shards, moments } => {
            let moments = if moments.is_empty() { "" } else { ", one moment" };
            format!("writes on shards {}{moments}", names(shards.as_slice().iter().copied(), map))
        }
        Plan::WriteCopies { shards, copies, .. } => {
            let fills = copies.rows.as_ref().is_some_and(|rows| !rows.fills.is_empty());
            let moments = if copies.moments.is_empty() && !fills { "" } else { ", one moment" };
            format!("the same on shards {}{moments}", names(shards.as_slice().iter().copied(), map))
        }
        Plan::Move { sources, goal, .. } => {
            let to = goal.map_or("where their new keys belong", |goal| map.shard_name(goal));
            format!("moves rows of shards {} to {to}", names(sources.as_slice().iter().copied(), map))
        }
        Plan::InsertByShard(rows) => {
            let each: Vec<String> = rows
                .shares
                .iter()
                .map(|(shard, rows)| {
                    let rows: Vec<String> = rows.iter().map(|row| (row + 1).to_string()).collect();
                    format!("{} (rows {})", map.shard_name(*shard), rows.join(", "))
                })
                .collect();
            let moments = rows.layout.moments.len() + rows.layout.fills.len();
            format!("inserts on shards {}{}", each.join(", "), if moments > 0 { ", one moment" } else { "" })
        }
        Plan::Merge { shards, merge, .. } => {
            let names: Vec<&str> = shards.as_slice().iter().map(|shard| map.shard_name(*shard)).collect();
            format!("shards {} ({})", names.join(", "), merge.shown)
        }
        Plan::Carry { ways, otherwise } => {
            let way = |way: &CarryWay| {
                let to = names(way.to.as_slice().iter().copied(), map);
                Some(format!("{} to shards {to}", way.carrying()?.carried.display))
            };
            let shown = ways.first().and_then(CarryWay::carrying).map_or("", |carrying| &*carrying.merge.shown);
            let ways: Vec<String> = ways.iter().filter_map(way).collect();
            format!("carry {} ({shown}); where that is much, {}", ways.join(" or "), self::plan(otherwise, map))
        }
        Plan::Gather { gather, pulls } => {
            let pull = |(table, pull): (&super::gather::Table, &super::plan::Pull)| {
                let names: Vec<&str> = pull.shards.iter().map(|shard| map.shard_name(*shard)).collect();
                let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
                let from = if names.is_empty() { "nowhere".to_owned() } else { names.join(", ") };
                let only = if pull.condition.is_empty() { "" } else { " where " };
                let condition = pull.condition.replace("OPERATOR(pg_catalog.=)", "=");
                format!("{} ({}) from {from}{only}{condition}", table.display, columns.join(", "))
            };
            let pulls: Vec<String> = gather.tables.iter().zip(pulls).map(pull).collect();
            format!("gather {}", pulls.join("; "))
        }
        Plan::Definition(definition) => {
            let step = |step: &Step| match step {
                Step::One(shard) => format!("shard {}", map.shard_name(*shard)),
                Step::Touched => "the shards of the transaction".to_owned(),
                Step::Everywhere(Way::AtHome, _) => format!("shard {}", map.shard_name(map.home())),
                Step::Everywhere(way, absent) => {
                    let how = match way {
                        Way::Apart => "every shard, one after the other",
                        Way::Servers => "every server as one",
                        Way::Ruled => "every shard as one, placed as the rule for new tables says",
                        Way::Placing => "every shard as one, where the table is made",
                        Way::Bodies => "every shard as one, the function's body as it is",
                        Way::Together | Way::Table | Way::InBlock | Way::AtHome => "every shard as one",
                    };
                    let less = if absent.is_empty() { "" } else { ", without the tables that only the home shard has" };
                    format!("{how}{less}")
                }
            };
            definition.steps.iter().map(step).collect::<Vec<_>>().join("; ")
        }
        Plan::CopyIn(target) => {
            let names: Vec<&str> = target.shards.iter().map(|shard| map.shard_name(*shard)).collect();
            let how = match &target.key {
                Some(key) => format!("each row by its {}", key.column),
                None => "every row on each".to_owned(),
            };
            format!("shards {} ({how})", names.join(", "))
        }
        Plan::Transfer { transfer, pulls } => {
            let names = names(transfer.target.shards.iter().copied(), map);
            let how = match &transfer.target.key {
                Some(key) => format!("each row by its {}", key.column),
                None => "every row".to_owned(),
            };
            let tables: Vec<&str> = transfer.gather.tables.iter().map(|table| table.display.as_str()).collect();
            let read = match pulls.is_empty() {
                true => "of the statement itself".to_owned(),
                false => format!("gathered from {}", tables.join(", ")),
            };
            match (&transfer.made, &transfer.tail) {
                (Some(_), _) => format!("makes {} on shard {names}, rows {read}", transfer.target.display),
                (None, Some(_)) => format!("inserts on shards {names} ({how}) by a statement of its own, rows {read}"),
                (None, None) => format!("inserts on shards {names} ({how}), rows {read}"),
            }
        }
        Plan::Stages { stages, conditions } => {
            let step = |(step, condition): (&super::stages::Step, &String)| {
                let only = if condition.is_empty() { "" } else { " where " };
                let condition = condition.replace("OPERATOR(pg_catalog.=)", "=");
                format!("{} {}{only}{condition}", if step.writes { "writes" } else { "reads" }, step.shown)
            };
            let steps: Vec<String> = stages.steps.iter().zip(conditions).map(step).collect();
            let last = if stages.main_writes { "writes" } else { "answers" };
            format!("in stages: {}, then {last} with these rows", steps.join(", "))
        }
        Plan::Batch => "each statement by itself, in one transaction".to_owned(),
        Plan::Touched => "the shards of the transaction".to_owned(),
    }
}

fn names(shards: impl Iterator<Item = ShardId>, map: &ShardMap) -> String {
    shards.map(|shard| map.shard_name(shard)).collect::<Vec<_>>().join(", ")
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
