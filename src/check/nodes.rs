//! Servers: reachable, in the role that the file gives them, and alike.

use std::collections::HashMap;

use super::Findings;
use super::ask::{DatabaseAnswer, NodeAnswer, NodeFacts};
use crate::config::DatabaseConfig;

pub(super) fn judge(database: &DatabaseConfig, answer: &DatabaseAnswer, findings: &mut Findings) {
    if answer.user.is_none() {
        let remedy = "add it to the `databases` of a [[user]]";
        findings.error("all shards", "no user may use this database, so that it can't be looked at", remedy);
        return;
    }
    for (shard, nodes) in database.shards.iter().zip(&answer.shards) {
        let mut primary = None;
        for (position, node) in nodes.iter().enumerate() {
            let is_primary = position == 0;
            let place = Place { shard: &shard.name, is_primary, node };
            let Some(facts) = reachable(&place, findings) else {
                continue;
            };
            role(&place, facts, primary, findings);
            if facts.version < 140_000 {
                let what = format!("PostgreSQL {} is too old", facts.version / 10_000);
                findings.error(&place, what, "use PostgreSQL 14 or newer");
            }
            if !facts.stale_collations.is_empty() {
                let names = facts.stale_collations.join(", ");
                let what =
                    format!("the system's version of collation {names} is not the one its indexes were built with");
                findings.warning(
                    &place,
                    what,
                    "rebuild the indexes, then ALTER DATABASE or COLLATION ... REFRESH VERSION",
                );
            }
            if is_primary {
                primary = Some(facts);
                if database.shards.len() > 1 && facts.encoding != "UTF8" {
                    let what = format!(
                        "the encoding is {}: text keys are hashed as UTF-8, and not as the server would",
                        facts.encoding
                    );
                    findings.warning(&place, what, "create the database anew with ENCODING UTF8");
                }
                prepared_transactions(database, &place, facts, findings);
            }
        }
    }
    alike(database, answer, findings);
    identities(database, answer, findings);
}

struct Place<'p> {
    shard: &'p str,
    is_primary: bool,
    node: &'p NodeAnswer,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let role = if self.is_primary { "primary" } else { "replica" };
        let node = &self.node.node;
        write!(f, "shard {}, {role} {}:{}", self.shard, node.host, node.port)
    }
}

fn reachable<'p>(place: &Place<'p>, findings: &mut Findings) -> Option<&'p NodeFacts> {
    for (user, why) in &place.node.failed_logins {
        let remedy = "create the role with this password, or correct the [[user]]";
        findings.error(place, format!("user {user} can't log in: {why}"), remedy);
    }
    match &place.node.facts {
        Ok((facts, _)) => Some(facts),
        Err(why) => {
            findings.error(
                place,
                format!("can't be asked: {why}"),
                "start the server, or correct its URL or the [[user]]",
            );
            None
        }
    }
}

fn role(place: &Place<'_>, facts: &NodeFacts, primary: Option<&NodeFacts>, findings: &mut Findings) {
    if place.is_primary {
        if facts.is_in_recovery {
            let remedy = "name the current primary as `primary`, and this one under `replicas`";
            findings.error(place, "is a standby, not a primary", remedy);
        } else if facts.is_read_only {
            let remedy = "set default_transaction_read_only = off for the user and the database";
            findings.error(place, "is read-only: default_transaction_read_only is on", remedy);
        }
        return;
    }
    if !facts.is_in_recovery {
        let remedy = "make it a standby of the shard's primary, or remove it from `replicas`";
        findings.error(place, "is not a standby: what it answers is its own", remedy);
    }
    let identifiers = (primary.and_then(|primary| primary.system_identifier), facts.system_identifier);
    if let (Some(wanted), Some(found)) = identifiers
        && wanted != found
    {
        let what = format!("is a copy of another server: its system identifier is {found}, the primary's {wanted}");
        findings.error(place, what, "make it a standby of the shard's primary, or name it under the right shard");
    }
}

fn prepared_transactions(database: &DatabaseConfig, place: &Place<'_>, facts: &NodeFacts, findings: &mut Findings) {
    if database.shards.len() > 1 && facts.prepared_transactions_max == 0 {
        let what = "max_prepared_transactions is 0: no transaction can write on this and another shard";
        let remedy = "set max_prepared_transactions = 100 in postgresql.conf and restart, its standbys first";
        findings.warning(place, what, remedy);
    }
}

/// Every server against the first that answered.
fn alike(database: &DatabaseConfig, answer: &DatabaseAnswer, findings: &mut Findings) {
    let mut first: Option<(String, &NodeFacts)> = None;
    for (shard, nodes) in database.shards.iter().zip(&answer.shards) {
        for (position, node) in nodes.iter().enumerate() {
            let Ok((facts, _)) = &node.facts else {
                continue;
            };
            let place = Place { shard: &shard.name, is_primary: position == 0, node };
            let Some((model_place, model)) = &first else {
                first = Some((place.to_string(), facts));
                continue;
            };
            differences(&place, facts, model_place, model, findings);
        }
    }
}

fn differences(place: &Place<'_>, facts: &NodeFacts, model_place: &str, model: &NodeFacts, findings: &mut Findings) {
    if facts.encoding != model.encoding {
        let what = format!("the encoding is {}, that of {model_place} is {}", facts.encoding, model.encoding);
        findings.error(place, what, "create the database anew with the same ENCODING");
    }
    if facts.locale != model.locale {
        let what = format!("the locale is {}, that of {model_place} is {}", facts.locale, model.locale);
        findings.error(place, what, "create the database anew with the same LOCALE");
    }
    for (name, version) in &facts.collation_versions {
        if let Some(other) = model.collation_versions.get(name)
            && other != version
        {
            let what = format!(
                "collation {name} has version {version}, that of {model_place} is {other}: text is sorted differently"
            );
            findings.error(place, what, "run the same version of the C library and ICU everywhere");
        }
    }
    for (name, value) in &facts.settings {
        if let Some(other) = model.settings.get(name)
            && other != value
        {
            let what = format!("sessions start with {name} = {value:?}, those of {model_place} with {other:?}");
            findings.error(place, what, format!("set {name} to the same value on every server"));
        }
    }
    let major = |facts: &NodeFacts| facts.version / 10_000;
    if major(facts) != major(model) {
        let what = format!("runs PostgreSQL {}, {model_place} runs {}", major(facts), major(model));
        findings.warning(place, what, "run the same major version everywhere");
    }
}

/// One server under two names, and servers that can't be told apart.
fn identities(database: &DatabaseConfig, answer: &DatabaseAnswer, findings: &mut Findings) {
    let mut seen: HashMap<i64, (String, &NodeAnswer, &NodeFacts)> = HashMap::new();
    for (shard, nodes) in database.shards.iter().zip(&answer.shards) {
        let Some(node) = nodes.first() else { continue };
        let Ok((facts, _)) = &node.facts else {
            continue;
        };
        let Some(identifier) = facts.system_identifier else {
            continue;
        };
        let place = Place { shard: &shard.name, is_primary: true, node };
        let Some((other_place, other, other_facts)) = seen.get(&identifier) else {
            seen.insert(identifier, (place.to_string(), node, facts));
            continue;
        };
        let is_same_server = facts.started_at == other_facts.started_at;
        if is_same_server && node.node.database == other.node.database {
            let what = format!("is the same server and database as {other_place}: rows would be found twice");
            findings.error(&place, what, "give each shard a server or a database of its own");
        } else if !is_same_server {
            let what = format!("has the system identifier of {other_place}: their replicas can't be told apart");
            findings.warning(&place, what, "initialise each shard with initdb instead of copying another");
        }
    }
}
