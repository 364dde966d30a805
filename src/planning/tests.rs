//! What holds of planning as a whole; single plans are in `tests/plans`.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::routing::ShardMap;
use crate::sql::{LexOptions, Lexed, lex};
use crate::types::{KeyType, SqlState, limits};

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:6432"
[[user]]
name = "shop"
password = "x"
[database.shop]
home = "a"
[database.shop.shard.a]
primary = "postgres://127.0.0.1:5432/a"
[database.shop.shard.b]
primary = "postgres://127.0.0.1:5432/b"
[database.shop.table.users]
key = "id"
[database.shop.table.orders]
key = "user_id"
colocate = "users"
[database.shop.table.products]
reference = true
"#;

fn scene() -> Scene {
    let loaded = Config::from_toml(CONFIG, &|_| None).expect("a valid configuration");
    let database = loaded.config.databases.get("shop").expect("the database");
    let map = ShardMap::new(database, &|_, _, _| Some(KeyType::Int8)).expect("a shard map");
    Scene {
        map: Arc::new(map),
        catalog: None,
        safe_functions: Arc::default(),
        views: Arc::default(),
        missed: Arc::default(),
    }
}

fn names() -> Names {
    Names {
        search_path: vec!["public".to_owned()],
        temporary: BTreeSet::new(),
        standard_conforming_strings: true,
        atomic: false,
    }
}

fn lexed(sql: &[u8]) -> Option<Lexed> {
    let mut lexed = Lexed::default();
    let options = LexOptions { standard_conforming_strings: true };
    lex(sql, &options, &mut lexed).ok().map(|()| lexed)
}

/// On a thread with the stack that the product gives it.
fn with_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(limits::PARSER_STACK_BYTES)
            .spawn_scoped(scope, work)
            .expect("a thread")
            .join()
            .expect("no panic")
    })
}

fn plan(sql: &str) -> Result<Plan, Refusal> {
    let lexed = lexed(sql.as_bytes()).expect("lexed");
    let template = with_stack(|| Template::build(sql.as_bytes(), &lexed, &scene(), &names()));
    template.bind(sql.as_bytes(), &lexed, None)
}

#[test]
fn a_template_serves_every_statement_of_its_shape() {
    let scene = scene();
    let first = "SELECT * FROM users WHERE id = 1";
    let template = Template::build(first.as_bytes(), &lexed(first.as_bytes()).expect("lexed"), &scene, &names());
    let cache = TemplateCache::default();
    let fingerprint = names().fingerprint();
    cache.insert(&lexed(first.as_bytes()).expect("lexed"), fingerprint, Arc::new(template));
    let mut shards = BTreeSet::new();
    for key in 1..20 {
        let sql = format!("select *\nfrom USERS where id = {key} -- comment");
        let lexed = lexed(sql.as_bytes()).expect("lexed");
        let template = cache.get(sql.as_bytes(), &lexed, fingerprint).expect("the same shape");
        match template.bind(sql.as_bytes(), &lexed, None) {
            Ok(Plan::Single { shard, .. }) => shards.insert(shard),
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(shards.len(), 2);
    let other = "SELECT * FROM users WHERE id = '1'";
    let other_names = Names { search_path: vec!["x".to_owned()], ..names() };
    assert!(cache.get(other.as_bytes(), &lexed(other.as_bytes()).expect("lexed"), fingerprint).is_none());
    assert!(cache.get(first.as_bytes(), &lexed(first.as_bytes()).expect("lexed"), other_names.fingerprint()).is_none());
}

#[test]
fn literals_that_shape_a_template_make_variants() {
    let texts = ["EXPLAIN (ANALYZE 0) SELECT * FROM users", "EXPLAIN (ANALYZE 1) SELECT * FROM users"];
    let cache = TemplateCache::default();
    for text in texts {
        let lexed = lexed(text.as_bytes()).expect("lexed");
        assert!(cache.get(text.as_bytes(), &lexed, 0).is_none());
        let template = Template::build(text.as_bytes(), &lexed, &scene(), &names());
        cache.insert(&lexed, 0, Arc::new(template));
    }
    for text in texts {
        assert!(cache.get(text.as_bytes(), &lexed(text.as_bytes()).expect("lexed"), 0).is_some());
    }
    assert_eq!(cache.len(), 1);
}

#[test]
fn ordinals_make_variants() {
    let pairs = [
        ("SELECT id, name FROM users ORDER BY 1", "SELECT id, name FROM users ORDER BY 2"),
        ("SELECT id, name FROM users ORDER BY (1) DESC", "SELECT id, name FROM users ORDER BY (2) DESC"),
        ("SELECT id, name FROM users ORDER BY id, ((1))", "SELECT id, name FROM users ORDER BY id, ((2))"),
        ("SELECT id, count(*) FROM users GROUP BY 1", "SELECT id, count(*) FROM users GROUP BY 2"),
    ];
    for (one, other) in pairs {
        let of = |text: &str| lexed(text.as_bytes()).expect("lexed");
        let template = Template::build(one.as_bytes(), &of(one), &scene(), &names());
        assert!(template.matches(one.as_bytes(), &of(one)));
        assert!(!template.matches(other.as_bytes(), &of(other)), "{other}");
    }
    let (one, other) = ("SELECT id FROM users ORDER BY id LIMIT 1", "SELECT id FROM users ORDER BY id LIMIT 2");
    let of = |text: &str| lexed(text.as_bytes()).expect("lexed");
    assert!(Template::build(one.as_bytes(), &of(one), &scene(), &names()).matches(other.as_bytes(), &of(other)));
}

#[test]
fn refusals_of_planning_are_feature_not_supported() {
    let refusal = plan("SELECT *, count(*) OVER () FROM users").expect_err("refused");
    assert_eq!(refusal.state, SqlState::FEATURE_NOT_SUPPORTED);
    assert!(!refusal.detail.is_empty() && !refusal.hint.is_empty());
}

#[test]
fn huge_statements_are_planned_or_refused() {
    let many = (0..20_000).map(|key| key.to_string()).collect::<Vec<_>>().join(", ");
    assert!(matches!(plan(&format!("SELECT * FROM users WHERE id IN ({many})")), Ok(Plan::Scatter { .. })));
    let rows = vec!["(1, 'x')"; 20_000].join(", ");
    assert!(matches!(plan(&format!("INSERT INTO users (id, name) VALUES {rows}")), Ok(Plan::Single { .. })));
    let either = vec!["id = 1"; 20_000].join(" OR ");
    assert!(matches!(plan(&format!("SELECT count(*) FROM users WHERE {either}")), Ok(Plan::Single { .. })));
    let joined: String = (0..300).map(|number| format!(" JOIN users u{number} ON u{number}.id = u.id")).collect();
    assert!(plan(&format!("SELECT * FROM users u{joined} WHERE u.id = 1")).is_err());
}

/// Words and marks of which statements are made.
fn fragment() -> impl Strategy<Value = String> {
    let words = [
        "SELECT",
        "FROM",
        "WHERE",
        "users",
        "orders",
        "products",
        "settings",
        "u",
        "o",
        "id",
        "user_id",
        "u.id",
        "o.user_id",
        "=",
        "<",
        ">=",
        "AND",
        "OR",
        "NOT",
        "IN",
        "ANY",
        "ARRAY",
        "(",
        ")",
        ",",
        "[",
        "]",
        "*",
        "1",
        "42",
        "'7'",
        "'x'",
        "NULL",
        "$1",
        "$2",
        "JOIN",
        "LEFT",
        "RIGHT",
        "FULL",
        "ON",
        "USING",
        "NATURAL",
        "LATERAL",
        "AS",
        "UNION",
        "ALL",
        "EXCEPT",
        "WITH",
        "RECURSIVE",
        "INSERT",
        "INTO",
        "VALUES",
        "UPDATE",
        "SET",
        "DELETE",
        "RETURNING",
        "CONFLICT",
        "DO",
        "NOTHING",
        "MERGE",
        "WHEN",
        "MATCHED",
        "THEN",
        "ORDER",
        "BY",
        "GROUP",
        "HAVING",
        "LIMIT",
        "OFFSET",
        "FETCH",
        "FIRST",
        "ROWS",
        "ONLY",
        "FOR",
        "SHARE",
        "EXISTS",
        "CASE",
        "END",
        "count(*)",
        "now()",
        "f(",
        "BETWEEN",
        "::int",
        "::text",
        "-",
        "+",
        "||",
        ".",
        ";",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "TO",
        "SAVEPOINT",
        "RESET",
        "SHOW",
        "EXPLAIN",
        "ANALYZE",
        "COPY",
        "STDIN",
        "STDOUT",
        "CREATE",
        "TABLE",
        "TEMP",
        "DROP",
        "ALTER",
        "TRUNCATE",
        "CASCADE",
        "GRANT",
        "VACUUM",
        "DECLARE",
        "CURSOR",
        "CLOSE",
        "PREPARE",
        "EXECUTE",
        "DEALLOCATE",
        "DISCARD",
        "LISTEN",
        "set_config(",
        "nextval('s')",
        "/* shardway: key=1 */",
        "/* shardway: shard=b */",
        "\"users\"",
        "U&\"x\"",
        "E'\\n'",
        "$$x$$",
        "only",
        "session",
        "local",
        "time",
        "zone",
        "role",
        "true",
    ];
    proptest::sample::select(words.to_vec()).prop_map(str::to_owned)
}

fn parameters(sql: &[u8], types: &[u32], values: &[Option<Vec<u8>>], binary: bool) -> Option<Result<Plan, Refusal>> {
    let lexed = lexed(sql)?;
    let template = Template::build(sql, &lexed, &scene(), &names());
    let values: Vec<ParameterValue<'_>> = values
        .iter()
        .map(|value| match value {
            None => ParameterValue::Null,
            Some(bytes) if binary => ParameterValue::Binary(bytes),
            Some(bytes) => ParameterValue::Text(bytes),
        })
        .collect();
    let parameters = Parameters { types, types_are_certain: false, values: &values };
    Some(template.bind(sql, &lexed, Some(parameters)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_planning_panic(sql in proptest::collection::vec(any::<u8>(), 0..200)) {
        with_stack(|| parameters(&sql, &[], &[], false));
    }

    #[test]
    fn no_fragments_make_planning_panic(
        words in proptest::collection::vec(fragment(), 0..40),
        types in proptest::collection::vec(proptest::sample::select(vec![0_u32, 20, 21, 23, 25, 1016, 1043, 2950, 1700, 701]), 0..3),
        values in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)), 0..3),
        binary in any::<bool>(),
    ) {
        let sql = words.join(" ");
        with_stack(|| parameters(sql.as_bytes(), &types, &values, binary));
    }

    /// A statement that writes a sharded table goes to several shards as one write only, and to one shard only with a
    /// key or a hint.
    #[test]
    fn writes_go_where_a_key_says_or_everywhere_as_one(words in proptest::collection::vec(fragment(), 0..12), delete in any::<bool>()) {
        let head = if delete { "DELETE FROM users WHERE" } else { "UPDATE users SET name = 'x' WHERE" };
        let sql = format!("{head} {}", words.join(" "));
        if let Some(Ok(plan)) = with_stack(|| parameters(sql.as_bytes(), &[], &[], false)) {
            if plan == Plan::Batch {
                // Its statements are planned one by one.
                prop_assert!(sql.contains(';'));
                return Ok(());
            }
            let single = matches!(plan, Plan::Single { .. } | Plan::Touched);
            prop_assert!(single || matches!(plan, Plan::WriteAll { .. }), "{sql}: {plan:?}");
            let keyless = !sql.contains("id") && !sql.contains("shardway");
            let all = matches!(&plan, Plan::WriteAll { shards, .. } if shards.as_slice().len() == 2);
            prop_assert!(!keyless || all, "{sql}: {plan:?}");
        }
    }
}
