use super::{Class, Sent, Survey, file};
use crate::config::Config;
use crate::planning::explain;

const CONFIG: &str = r#"
[[user]]
name = "shop"
password = "x"
[database.shop.shard.a]
primary = "postgres://127.0.0.1:1/shop"
[database.shop.shard.b]
primary = "postgres://127.0.0.1:2/shop"
[database.shop.table.users]
key = "id"
type = "bigint"
[database.shop.table."crm.leads"]
key = "tenant"
type = "uuid"
"#;

fn survey(statements: Vec<Sent>) -> Survey {
    let config = Config::from_toml(CONFIG, &|_| None).expect("a good file").config;
    let database = config.database_named(None).expect("it has one database");
    let scene = explain::assumed_scene(database).expect("a shard map");
    Survey::of(scene, vec!["public".to_owned()], statements).expect("a survey")
}

fn of_file(text: &str) -> Survey {
    survey(file::read(text).expect("statements"))
}

fn unknown(sql: &str) -> Sent {
    Sent { sql: sql.to_owned(), line: 1, parameters: None, calls: 1 }
}

/// Line, calls and class of each shape.
fn classes(survey: &Survey) -> Vec<(usize, u64, Class)> {
    survey.shapes.iter().map(|shape| (shape.line, shape.calls, shape.class)).collect()
}

#[test]
fn sql_is_divided_as_psql_divides_it() {
    let all = file::read(
        "\\set x 1\n-- the first\nSELECT 1;\n/* shardway: key=7 */ SELECT ';' /* shardway: key=8 */;\n;\nCOPY t FROM stdin;\n1;'\n\\.\nSELECT 2",
    )
    .expect("statements");
    let each: Vec<(usize, &str)> = all.iter().map(|sent| (sent.line, sent.sql.as_str())).collect();
    assert_eq!(
        each,
        [
            (3, "-- the first\nSELECT 1"),
            (4, "/* shardway: key=7 */ SELECT ';' /* shardway: key=8 */"),
            (6, "COPY t FROM stdin"),
            (9, "SELECT 2")
        ]
    );
    let all =
        file::read("\u{feff}SELECT 1 \\gset\nSELECT E'a \\gx'\n \\gx\nSELECT 2 \\g out.txt\n").expect("statements");
    let each: Vec<&str> = all.iter().map(|sent| sent.sql.as_str()).collect();
    assert_eq!(each, ["SELECT 1", "SELECT E'a \\gx'", "SELECT 2"]);
    assert_eq!(
        file::read("SELECT 1;\nSELECT 'x").unwrap_err(),
        "line 2: a quote or comment that begins here has no end"
    );
}

#[test]
fn statements_are_found_in_every_format_of_a_log() {
    let expected = [
        Sent { sql: "SELECT 1,\n       2".to_owned(), line: 2, parameters: None, calls: 1 },
        Sent {
            sql: "SELECT * FROM users WHERE id = $1 AND name = $2".to_owned(),
            line: 4,
            parameters: Some(vec![Some("42".to_owned()), Some("O'Hara, $3 = '".to_owned()), None]),
            calls: 1,
        },
        Sent { sql: "COMMIT".to_owned(), line: 8, parameters: None, calls: 1 },
    ];
    let stderr = "2026-01-01 10:00:00 UTC [12] LOG:  connection authorized: user=shop\n\
        2026-01-01 10:00:00 UTC [12] shop@shop LOG:  statement: SELECT 1,\n\t       2\n\
        2026-01-01 10:00:00 UTC [12] LOG:  execute <unnamed>: SELECT * FROM users WHERE id = $1 AND name = $2\n\
        2026-01-01 10:00:00 UTC [12] DETAIL:  Parameters: $1 = '42', $2 = 'O''Hara, $3 = ''', $3 = NULL\n\
        2026-01-01 10:00:00 UTC [12] LOG:  duration: 0.1 ms  bind <unnamed>: SELECT 7\n\
        2026-01-01 10:00:00 UTC [12] LOG:  execute fetch from c: SELECT 7\n\
        2026-01-01 10:00:00 UTC [12] LOG:  duration: 0.211 ms  statement: COMMIT\n\
        2026-01-01 10:00:00 UTC [12] ERROR:  syntax error\n\
        2026-01-01 10:00:00 UTC [12] STATEMENT:  SELEC\n";
    assert_eq!(file::read(stderr).expect("a log"), expected);
    let json = "{\"error_severity\":\"LOG\",\"message\":\"statement: SELECT 1\"}\n{\"error_severity\":\"LOG\",\"message\":\"execute s: SELECT $1\",\"detail\":\"Parameters: $1 = '5'\"}\n";
    let all = file::read(json).expect("a log");
    assert_eq!(all.iter().map(|sent| sent.sql.as_str()).collect::<Vec<_>>(), ["SELECT 1", "SELECT $1"]);
    assert_eq!(all.last().and_then(|sent| sent.parameters.clone()), Some(vec![Some("5".to_owned())]));
    let head = "2026-01-01 10:00:00.000 UTC,\"shop\",\"shop\",12,\"[local]\",1.2,1,\"idle\",2026-01-01 10:00:00 UTC,3/2,0,LOG,00000";
    let csv = format!(
        "{head},\"statement: SELECT \"\"a\"\",\n 1\",,,,,,,,,\"psql\",\"client backend\",,0\n{head},\"statement: SELECT 2\",,,,,,,,,\"psql\",\"client backend\",,0\n"
    );
    let all = file::read(&csv).expect("a log");
    let each: Vec<(usize, &str)> = all.iter().map(|sent| (sent.line, sent.sql.as_str())).collect();
    assert_eq!(each, [(1, "SELECT \"a\",\n 1"), (3, "SELECT 2")]);
}

/// With log_min_duration_statement each step of the extended protocol is logged, with its values.
#[test]
fn values_belong_to_the_statement_that_they_are_logged_with() {
    let log = "LOG:  duration: 0.2 ms  statement: SELECT name FROM users WHERE id = 5\n\
        LOG:  duration: 0.1 ms  parse <unnamed>: SELECT $1::text\n\
        LOG:  duration: 0.1 ms  bind <unnamed>: SELECT $1::text\n\
        DETAIL:  parameters: $1 = 'a\n\tb'\n\
        LOG:  duration: 0.1 ms  execute <unnamed>: SELECT $1::text\n\
        DETAIL:  parameters: $1 = 'a\n\tb'\n\
        LOG:  duration: 0.0 ms  plan:\n\tQuery Text: SELECT $1::text\n\tResult  (cost=0.00..0.01 rows=1 width=32)\n\
        ERROR:  duplicate key value\n\
        DETAIL:  parameters: $1 = 'no'\n";
    let all = file::read(log).expect("a log");
    let values: Vec<_> = all.iter().map(|sent| (sent.sql.as_str(), sent.parameters.clone())).collect();
    let wanted = Some(vec![Some("a\nb".to_owned())]);
    assert_eq!(values, [("SELECT name FROM users WHERE id = 5", None), ("SELECT $1::text", wanted)]);
}

/// Where nothing but auto_explain logs, its statements are those that there are; not those within functions.
#[test]
fn what_auto_explain_logs_is_read_where_nothing_else_is() {
    let plan = "Index Scan using users_pkey on users  (cost=0.15..8.17 rows=1 width=32) (actual time=0.006..0.006 rows=1 loops=1)";
    let text = format!(
        "2026-01-01 10:00:00 UTC [1] LOG:  duration: 0.037 ms  plan:\n\tQuery Text: SELECT *\n\t  FROM users\n\t WHERE id = 3\n\
         \t{plan}\n\t  Index Cond: (id = 3)\n\
         2026-01-01 10:00:00 UTC [1] LOG:  duration: 0.011 ms  plan:\n\tQuery Text: SELECT 1 FROM users\n\t{plan}\n\
         2026-01-01 10:00:00 UTC [1] CONTEXT:  SQL statement \"SELECT 1 FROM users\"\n\tPL/pgSQL function f() line 1 at PERFORM\n\
         2026-01-01 10:00:00 UTC [1] LOG:  duration: 0.1 ms  plan:\n\tQuery Text: SELECT name FROM users WHERE id = $1\n\
         \tQuery Parameters: $1 = '7'\n\t{plan}\n\
         2026-01-01 10:00:00 UTC [1] LOG:  duration: 0.1 ms  plan:\n\t{{\n\t  \"Query Text\": \"SELECT \\\"id\\\"\\nFROM users\",\n\t  \"Plan\": {{}}\n\t}}\n"
    );
    let seven = Some(vec![Some("7".to_owned())]);
    let expected = [
        ("SELECT *\n  FROM users\n WHERE id = 3", 1, None),
        ("SELECT name FROM users WHERE id = $1", 12, seven),
        ("SELECT \"id\"\nFROM users", 16, None),
    ];
    let all = file::read(&text).expect("a log");
    let each: Vec<_> = all.iter().map(|sent| (sent.sql.as_str(), sent.line, sent.parameters.clone())).collect();
    assert_eq!(each, expected);
    let both = text + "2026-01-01 10:00:00 UTC [1] LOG:  statement: SELECT 5\n";
    assert_eq!(
        file::read(&both).expect("a log").iter().map(|sent| sent.sql.as_str()).collect::<Vec<_>>(),
        ["SELECT 5"]
    );
    let json = "{\"error_severity\":\"LOG\",\"message\":\"duration: 0.1 ms  plan:\\nQuery Text: SELECT 1;\\nResult  (cost=0.00..0.01 rows=1 width=4)\"}\n\
        {\"error_severity\":\"LOG\",\"message\":\"duration: 0.1 ms  plan:\\nQuery Text: SELECT 2\\nResult  (cost=0.00..0.01 rows=1 width=4)\",\"context\":\"SQL function\"}\n";
    assert_eq!(
        file::read(json).expect("a log").iter().map(|sent| sent.sql.as_str()).collect::<Vec<_>>(),
        ["SELECT 1;"]
    );
}

#[test]
fn each_shape_is_told_once_with_the_most_that_a_call_of_it_costs() {
    let survey = of_file(
        "BEGIN;\nSELECT * FROM users WHERE id = 1;\nSELECT * FROM users WHERE id = 2;\n\
         SELECT name FROM users WHERE id IN (1, 1);\nSELECT name FROM users WHERE id IN (1, 2);\n\
         SELECT name FROM users WHERE id IN (1, 3);\nSELECT name FROM users WHERE id IN (1, 4);\n\
         DELETE FROM users WHERE name = 'x';\nSELECT ctid FROM users;\nCOMMIT;\n",
    );
    assert_eq!(
        classes(&survey),
        [
            (1, 1, Class::Session),
            (2, 2, Class::One),
            (4, 4, Class::Scattered),
            (8, 1, Class::Written),
            (9, 1, Class::Refused),
            (10, 1, Class::Session)
        ]
    );
    let refused = survey.shapes.iter().find_map(|shape| shape.refusal.as_ref()).expect("one is refused");
    assert!(!refused.hint.is_empty());
    let several = &survey.shapes[2];
    assert_eq!(several.by_class.iter().map(|(_, calls)| calls).sum::<u64>(), 4);
    assert!(several.by_class.len() == 2 && survey.calls(Class::One) >= 3, "{several}");
    assert_eq!(survey.statements(), 8);
}

#[test]
fn what_a_statement_sets_holds_for_the_next() {
    let survey = of_file(
        "SELECT * FROM leads WHERE tenant = '00000000-0000-4000-8000-000000000001';\n\
         SET search_path TO crm, public;\n\
         SELECT a FROM leads WHERE tenant = '00000000-0000-4000-8000-000000000001';\n\
         CREATE TEMP TABLE leads (a int);\nSELECT b FROM leads;\n\
         SET shardway.shard = 'b';\nSELECT id FROM users;\nRESET shardway.shard;\nSELECT name FROM users",
    );
    let plans: Vec<&str> = survey.shapes.iter().map(|shape| shape.plan.as_str()).collect();
    assert_eq!(plans[0], "shard a (home)", "in public there is no such table");
    assert!(plans[2].contains("crm.leads.tenant"), "{plans:?}");
    assert!(plans[4].ends_with("(home)"), "{plans:?}");
    assert_eq!(plans[6], "shard b (hint)");
    assert_eq!(survey.shapes[8].class, Class::Scattered);
}

#[test]
fn values_that_nobody_knows_are_stood_in_for() {
    let survey = survey(
        [
            "SELECT * FROM users WHERE id = $1 AND name = $2",
            "SELECT * FROM users WHERE id IN ($1, $2)",
            "SELECT * FROM users WHERE id = ANY($1)",
            "SELECT name FROM users WHERE id IN ($1 /*, ... */)",
            "SELECT * FROM crm.leads WHERE tenant = $1 AND at > now() - interval $2",
            "INSERT INTO users (id, name) VALUES ($1, $2)",
            "SELECT * FROM users WHERE name = $1",
            "SELECT 1 FROM users u LEFT JOIN users v ON v.id = u.id AND v.id = $1 WHERE u.id = $2",
            "SELECT id FROM users WHERE id = $1 OR id = $2",
        ]
        .map(unknown)
        .into(),
    );
    let classes: Vec<Class> = survey.shapes.iter().map(|shape| shape.class).collect();
    assert_eq!(
        classes,
        [
            Class::One,
            Class::Scattered,
            Class::Scattered,
            Class::Scattered,
            Class::One,
            Class::One,
            Class::Scattered,
            Class::One,
            Class::Scattered
        ],
        "{:#?}",
        survey.shapes
    );
}

#[test]
fn a_text_of_several_statements_is_judged_one_by_one() {
    let survey = survey(vec![Sent { calls: 3, ..unknown("BEGIN; DELETE FROM users WHERE id = 1; COMMIT") }]);
    assert_eq!(classes(&survey), [(1, 3, Class::Session), (1, 3, Class::One), (1, 3, Class::Session)]);
    assert_eq!(survey.summary(), "9 statements of 3 shapes: 3 one shard (33 %), 6 session (67 %)");
}
