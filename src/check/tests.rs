//! Judgements that real servers of one machine don't give occasion to.

use std::collections::BTreeMap;

use super::ask::{DatabaseAnswer, NodeAnswer, NodeFacts};
use super::*;

const TEXT: &str = "
[[user]]
name = \"u\"
password = \"p\"
[database.shop.shard.a]
primary = \"postgres://h1\"
replicas = [\"postgres://h2\"]
[database.shop.shard.b]
primary = \"postgres://h3\"
";

/// A server like all others but for its identity.
fn facts(identifier: i64) -> NodeFacts {
    NodeFacts {
        version: 150_018,
        is_in_recovery: false,
        system_identifier: Some(identifier),
        started_at: identifier.to_string(),
        is_read_only: false,
        prepared_transactions_max: 100,
        encoding: "UTF8".to_owned(),
        locale: "en_US.UTF-8 en_US.UTF-8 c".to_owned(),
        collation_versions: BTreeMap::from([("database".to_owned(), "2.36".to_owned())]),
        stale_collations: Vec::new(),
        settings: BTreeMap::from([("DateStyle".to_owned(), "ISO, MDY".to_owned())]),
    }
}

/// What is said when the shards' primaries and the replica of `a` are as `change` makes them.
fn said(change: impl Fn(&mut [NodeFacts; 3])) -> Vec<String> {
    let config = Config::from_toml(TEXT, &|_| None).expect("it is good").config;
    let database = &config.databases["shop"];
    let mut all = [facts(1), NodeFacts { is_in_recovery: true, started_at: "2".to_owned(), ..facts(1) }, facts(3)];
    change(&mut all);
    let [a, replica, b] = all;
    let node = |facts: NodeFacts, node: &crate::config::NodeConfig| NodeAnswer {
        node: node.clone(),
        facts: Ok((facts, None)),
        failed_logins: Vec::new(),
    };
    let shards = &database.shards;
    let answer = DatabaseAnswer {
        user: Some("u".to_owned()),
        shards: vec![
            vec![node(a, &shards[0].primary), node(replica, &shards[0].replicas[0])],
            vec![node(b, &shards[1].primary)],
        ],
    };
    let mut findings = Findings::default();
    findings.database("shop");
    nodes::judge(database, &answer, &mut findings);
    findings.all.iter().map(|finding| format!("{} {}: {}", finding.severity, finding.place, finding.what)).collect()
}

#[test]
fn servers_that_are_alike_are_good() {
    assert_eq!(said(|_| {}), [""; 0]);
}

#[test]
fn text_must_be_sorted_alike() {
    let found = said(|[_, replica, b]| {
        replica.collation_versions.insert("database".to_owned(), "2.31".to_owned());
        replica.stale_collations.push("database".to_owned());
        b.encoding = "LATIN1".to_owned();
        b.locale = "C C c".to_owned();
        b.collation_versions.clear();
    });
    assert_eq!(
        found,
        [
            "warning shop: shard a, replica h2:5432: the system's version of collation database is not the one its indexes were built with",
            "warning shop: shard b, primary h3:5432: the encoding is LATIN1: text keys are hashed as UTF-8, and not as the server would",
            "error shop: shard a, replica h2:5432: collation database has version 2.31, that of shard a, primary h1:5432 is 2.36: text is sorted differently",
            "error shop: shard b, primary h3:5432: the encoding is LATIN1, that of shard a, primary h1:5432 is UTF8",
            "error shop: shard b, primary h3:5432: the locale is C C c, that of shard a, primary h1:5432 is en_US.UTF-8 en_US.UTF-8 c",
        ]
    );
}

#[test]
fn primaries_must_be_able_to_prepare_and_to_write() {
    let found = said(|[a, replica, b]| {
        a.prepared_transactions_max = 0;
        replica.prepared_transactions_max = 0;
        b.is_read_only = true;
        b.version = 130_011;
        b.settings.insert("DateStyle".to_owned(), "German".to_owned());
    });
    assert_eq!(
        found,
        [
            "warning shop: shard a, primary h1:5432: max_prepared_transactions is 0: no transaction can write on this and another shard",
            "error shop: shard b, primary h3:5432: is read-only: default_transaction_read_only is on",
            "error shop: shard b, primary h3:5432: PostgreSQL 13 is too old",
            "error shop: shard b, primary h3:5432: sessions start with DateStyle = \"German\", those of shard a, primary h1:5432 with \"ISO, MDY\"",
            "warning shop: shard b, primary h3:5432: runs PostgreSQL 13, shard a, primary h1:5432 runs 15",
        ]
    );
}

#[test]
fn servers_have_identities_of_their_own() {
    let copied = said(|[_, _, b]| b.system_identifier = Some(1));
    assert_eq!(
        copied,
        [
            "warning shop: shard b, primary h3:5432: has the system identifier of shard a, primary h1:5432: their replicas can't be told apart"
        ]
    );
    let same = said(|[a, _, b]| *b = a.clone());
    assert_eq!(
        same,
        [
            "error shop: shard b, primary h3:5432: is the same server and database as shard a, primary h1:5432: rows would be found twice"
        ]
    );
    let unknown = said(|[a, replica, b]| {
        for facts in [a, replica, b] {
            facts.system_identifier = None;
        }
    });
    assert_eq!(unknown, [""; 0]);
}

#[test]
fn a_report_has_errors_first_and_a_last_line() {
    let finding = |severity, place: &str| Finding {
        severity,
        place: place.to_owned(),
        what: "is wrong".to_owned(),
        remedy: "put it right".to_owned(),
    };
    let findings = vec![finding(Severity::Warning, "x"), finding(Severity::Error, "y")];
    let report = Report { findings, looked_at: "1 database".to_owned() };
    assert_eq!(
        report.to_string(),
        "error    y: is wrong; put it right\nwarning  x: is wrong; put it right\n1 error, 1 warning; looked at 1 database"
    );
}
