//! Plans as text: for EXPLAIN, `shardway plan` and the golden files.

use super::plan::{Plan, Refusal, Why};
use crate::routing::ShardMap;

/// One line, for example `shard b (users.id = 42)`.
pub fn plan(plan: &Plan, map: &ShardMap) -> String {
    match plan {
        Plan::Single { shard, why } => format!("shard {} ({})", map.shard_name(*shard), self::why(why)),
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
        Why::Key(key) => key.clone(),
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
