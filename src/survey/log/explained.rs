//! What auto_explain logs of a statement, as text or as JSON. In: a message. Out: the statement, and its parameters where they
//! are told (PostgreSQL 16).

use super::parameters_in;

type Statement = (String, Option<Vec<Option<String>>>);

/// If a message is one of auto_explain's.
pub(super) fn begins(message: &str) -> bool {
    plan_in(message).is_some()
}

/// `duration: 1.234 ms  plan:` and, in the next lines, the statement and its plan.
fn plan_in(message: &str) -> Option<&str> {
    let (_, plan) = message.strip_prefix("duration: ")?.split_once(" ms  ")?;
    plan.strip_prefix("plan:")
}

pub(super) fn statement_in(message: &str) -> Option<Statement> {
    let plan = plan_in(message)?.trim_start();
    if plan.starts_with('{') {
        let told: serde_json::Value = serde_json::from_str(plan).ok()?;
        let text = |name: &str| told.get(name).and_then(serde_json::Value::as_str);
        let parameters = text("Query Parameters").and_then(|values| parameters_in(&format!("Parameters: {values}")));
        return Some((text("Query Text")?.to_owned(), parameters));
    }
    let (mut sql, mut parameters) = (String::new(), None);
    for line in plan.strip_prefix("Query Text: ")?.lines() {
        if line.starts_with("Query Parameters: ") {
            parameters = parameters_in(line.strip_prefix("Query ").unwrap_or(line));
        } else if line.contains("  (cost=") {
            break;
        } else {
            sql.push_str(if sql.is_empty() { "" } else { "\n" });
            sql.push_str(line);
        }
    }
    Some((sql, parameters))
}
