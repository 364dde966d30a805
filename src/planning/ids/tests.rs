use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::scene::{Names, Scene};
use super::super::template::Template;
use crate::catalog::{Catalog, Column, QualifiedName, Relation, RelationKind};
use crate::config::Config;
use crate::routing::ShardMap;
use crate::sql::{LexOptions, Lexed, lex};
use crate::types::KeyType;

const FILE: &str = r#"
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
[database.shop.table.t]
key = "k"
[database.shop.table.s]
key = "id"
[database.shop.table.m]
key = "k"
[database.shop.table.r]
reference = true
"#;

const OPTIONS: LexOptions = LexOptions { standard_conforming_strings: true };

fn served(name: &str, sequence: &str, always: bool) -> Column {
    let sequence = Some(QualifiedName::new("public", sequence));
    Column { sequence, identity: always, identity_always: always, ..Column::new(name, KeyType::Int8) }
}

fn scene() -> Scene {
    let loaded = Config::from_toml(FILE, &|_| None).expect("the file is right");
    let map = ShardMap::new(&loaded.config.databases["shop"], &|_, _, _| Some(KeyType::Int8)).expect("a map");
    let relations = vec![
        Relation::table("public", "t")
            .with("k", KeyType::Int8)
            .with("v", KeyType::Text)
            .with_column(served("Id", "t_seq", false)),
        Relation::table("public", "s").with_column(served("id", "s_seq", true)).with("v", KeyType::Text),
        Relation::table("public", "m")
            .with("k", KeyType::Int8)
            .with_column(served("a", "m_a", false))
            .with("v", KeyType::Text)
            .with_column(served("b", "m_b", false)),
        Relation::table("public", "r").with_column(served("id", "r_seq", false)).with("v", KeyType::Text),
        Relation::table("public", "plain").with_column(served("id", "p_seq", false)).with("v", KeyType::Text),
        Relation::new("public", "free", RelationKind::Sequence),
    ];
    Scene {
        map: Arc::new(map),
        catalog: Some(Arc::new(Catalog::new(relations, Vec::new()))),
        safe_functions: Arc::new(BTreeSet::new()),
        views: Arc::default(),
        missed: Arc::default(),
    }
}

/// The text as it is sent, its values named by their sequence; or that nothing is filled in.
fn filled(sql: &str) -> String {
    let names = Names {
        search_path: vec!["public".to_owned()],
        temporary: BTreeSet::new(),
        standard_conforming_strings: true,
        atomic: false,
    };
    let mut lexed = Lexed::default();
    lex(sql.as_bytes(), &OPTIONS, &mut lexed).expect("it can be lexed");
    let template = Template::build(sql.as_bytes(), &lexed, &scene(), &names);
    let Some(filling) = &template.filling else { return "-".to_owned() };
    let value = |at: usize| format!("<{}>", filling.sequences[at].name);
    String::from_utf8(filling.apply(sql.as_bytes(), &OPTIONS, value).0).expect("it is UTF-8")
}

#[test]
fn columns_that_are_left_out_are_added() {
    assert_eq!(filled("INSERT INTO t (k) VALUES (1)"), "INSERT INTO t (k, \"Id\") VALUES (1, <t_seq>)");
    assert_eq!(
        filled("insert into public.t as x (k,v) values(1,'a'),( 2 , $1 ) on conflict do nothing returning \"Id\";"),
        "insert into public.t as x (k,v, \"Id\") values(1,'a', <t_seq>),( 2 , $1 , <t_seq>) on conflict do nothing returning \"Id\";"
    );
    assert_eq!(filled("INSERT INTO t VALUES (1, 'a')"), "INSERT INTO t VALUES (1, 'a', <t_seq>)");
    assert_eq!(filled("INSERT INTO t VALUES (1)"), "INSERT INTO t VALUES (1, DEFAULT, <t_seq>)");
    assert_eq!(
        filled("INSERT INTO r (v) VALUES (f('(,)', 2))"),
        "INSERT INTO r (v, \"id\") VALUES (f('(,)', 2), <r_seq>)"
    );
    assert_eq!(
        filled("INSERT INTO m (v, k) VALUES ('x', 1)"),
        "INSERT INTO m (v, k, \"a\", \"b\") VALUES ('x', 1, <m_a>, <m_b>)"
    );
    assert_eq!(filled("INSERT INTO m VALUES (1, DEFAULT)"), "INSERT INTO m VALUES (1, <m_a>, DEFAULT, <m_b>)");
}

#[test]
fn default_is_replaced() {
    assert_eq!(
        filled("INSERT INTO t (\"Id\", k) VALUES (DEFAULT, 1), (7, 2)"),
        "INSERT INTO t (\"Id\", k) VALUES (<t_seq>, 1), (7, 2)"
    );
    assert_eq!(filled("INSERT INTO r DEFAULT VALUES"), "INSERT INTO r (\"id\") VALUES (<r_seq>)");
    assert_eq!(
        filled("INSERT INTO t (k, \"Id\") VALUES (1, nextval('free'::regclass))"),
        "INSERT INTO t (k, \"Id\") VALUES (1, <free>)"
    );
    assert_eq!(
        filled("INSERT INTO t (k, \"Id\") VALUES (1, pg_catalog.nextval('public.t_seq')) RETURNING 1"),
        "-",
        "no sequence of that name in the catalog"
    );
}

#[test]
fn columns_that_are_always_generated_are_overridden() {
    assert_eq!(
        filled("INSERT INTO s (v) VALUES ('x')"),
        "INSERT INTO s (v, \"id\") OVERRIDING SYSTEM VALUE VALUES ('x', <s_seq>)"
    );
    assert_eq!(
        filled("INSERT INTO s VALUES (DEFAULT, 'x')"),
        "INSERT INTO s OVERRIDING SYSTEM VALUE VALUES (<s_seq>, 'x')"
    );
    assert_eq!(
        filled("INSERT INTO s DEFAULT VALUES RETURNING *"),
        "INSERT INTO s (\"id\") OVERRIDING SYSTEM VALUE VALUES (<s_seq>) RETURNING *"
    );
    assert_eq!(
        filled("INSERT INTO s OVERRIDING SYSTEM VALUE DEFAULT VALUES"),
        "INSERT INTO s (\"id\") OVERRIDING SYSTEM VALUE VALUES (<s_seq>)"
    );
    // The server's own error.
    assert_eq!(
        filled("INSERT INTO s VALUES (DEFAULT, 'x'), (5, 'y')"),
        "INSERT INTO s VALUES (<s_seq>, 'x'), (5, 'y')"
    );
    assert_eq!(filled("INSERT INTO s (id, v) VALUES (5, 'y')"), "-");
    assert_eq!(filled("INSERT INTO s (v) OVERRIDING USER VALUE VALUES ('x')"), "-");
}

#[test]
fn what_gives_all_values_or_is_not_understood_stays() {
    for sql in [
        "INSERT INTO t (k, \"Id\") VALUES (1, 2)",
        "INSERT INTO t VALUES (1, 'a', 3)",
        "INSERT INTO plain (v) VALUES ('x')",
        "INSERT INTO t (k) SELECT 1",
        "INSERT INTO t (SELECT 1)",
        "INSERT INTO t (k) VALUES (1), (2, 3)",
        "INSERT INTO t (k) VALUES (1) ORDER BY 1",
        "SELECT 1",
        "WITH x AS (SELECT 1) INSERT INTO t (k) VALUES (1)",
    ] {
        assert_eq!(filled(sql), "-", "{sql}");
    }
}

#[test]
fn several_statements_of_one_text_are_filled() {
    assert_eq!(
        filled("INSERT INTO t (k) VALUES (1); -- one\n INSERT INTO s (v) VALUES ('x');"),
        "INSERT INTO t (k, \"Id\") VALUES (1, <t_seq>); -- one\n INSERT INTO s (v, \"id\") OVERRIDING SYSTEM VALUE VALUES ('x', <s_seq>);"
    );
}

#[test]
fn rows_of_a_query_that_lists_them_are_listed() {
    assert_eq!(
        filled(
            "INSERT INTO t (k, v) SELECT p0::NUMERIC(12, 2), p1 FROM (VALUES ($1, 'a', 0), ($2::int8, $3, 1)) AS x(p0, p1, n) ORDER BY n RETURNING t.\"Id\""
        ),
        "INSERT INTO t (k, v, \"Id\") VALUES (($1) :: NUMERIC ( 12 , 2 ), ('a'), <t_seq>), (($2::int8) :: NUMERIC ( 12 , 2 ), ($3), <t_seq>) RETURNING t.\"Id\""
    );
    assert_eq!(
        filled("INSERT INTO t (k, v, \"Id\") SELECT p0, p1, p0 FROM (VALUES (1, 'a', 5)) AS x(p0, p1, n) ORDER BY n"),
        "INSERT INTO t (k, v, \"Id\") VALUES ((1), ('a'), (1))"
    );
    for sql in [
        "INSERT INTO t (k) SELECT p0 FROM (VALUES (1, 1), (2, 0)) AS x(p0, n) ORDER BY n",
        "INSERT INTO t (k) SELECT p0 FROM (VALUES (1, 0), (2, 1)) AS x(p0, n) ORDER BY n DESC",
        "INSERT INTO t (k) SELECT p0 FROM (VALUES (1, 0), (2, 1)) AS x(p0, n) WHERE p0 > 1 ORDER BY n",
        "INSERT INTO t (k) SELECT count(*) FROM (VALUES (1, 0), (2, 1)) AS x(p0, n) ORDER BY n",
        "INSERT INTO t (k) SELECT sum(p0) FROM (VALUES (1, 0), (2, 1)) AS x(p0, n) ORDER BY n",
        "INSERT INTO t (k) SELECT DISTINCT p0 FROM (VALUES (1, 0), (2, 1)) AS x(p0, n) ORDER BY n",
        "INSERT INTO t (k) SELECT p0 FROM (VALUES (1, 0), (2, 1)) AS x(p0, n)",
        "INSERT INTO t (k) SELECT x.p0 FROM (VALUES (1, 0), (2, 1)) AS x(p0, n) ORDER BY n",
    ] {
        assert_eq!(filled(sql), "-", "{sql}");
    }
}

#[test]
fn rows_of_arrays_are_listed() {
    assert_eq!(
        filled(
            "INSERT INTO t (k, v) SELECT * FROM UNNEST(('{1,2}'::int2[])::bigint[], ( E'{a,\"b'',\\\\\\\\c\"}')::varchar(9)[]) RETURNING k"
        ),
        "INSERT INTO t (k, v, \"Id\") VALUES ((('1'::int2)::bigint), ('a'::varchar(9)), <t_seq>), \
         ((('2'::int2)::bigint), (E'b'',\\\\c'::varchar(9)), <t_seq>) RETURNING k"
    );
    assert_eq!(
        filled("INSERT INTO t (k, v) SELECT * FROM unnest('{1}'::int[], '{null}'::text[]);"),
        "INSERT INTO t (k, v, \"Id\") VALUES (('1'::int), (('{NULL}'::text[]))[1], <t_seq>);"
    );
    for other in [
        "INSERT INTO t (k, v) SELECT * FROM UNNEST('{1,2}'::int[], '{a}'::text[])",
        "INSERT INTO t (k, v) SELECT * FROM UNNEST('{{1},{2}}'::int[], '{a,b}'::text[])",
        "INSERT INTO t (k, v) SELECT * FROM UNNEST('{}'::int[], '{}'::text[])",
        "INSERT INTO t (k, v) SELECT * FROM UNNEST('[0:1]={1,2}'::int[], '{a,b}'::text[])",
        "INSERT INTO t (k, v) SELECT * FROM UNNEST($1::int[], $2::text[])",
        "INSERT INTO t (k, v) SELECT * FROM pg_catalog.unnest('{1}'::int[], '{a}'::text[])",
        "INSERT INTO t (k, v) SELECT * FROM UNNEST('{1}'::int[], '{a}'::text[]) AS u",
        "INSERT INTO t (k, v) SELECT * FROM UNNEST('{1}'::int[], '{a}'::text[]), r",
        "INSERT INTO t (k, v) SELECT * FROM UNNEST('{1}'::int[])",
        "INSERT INTO t (k, v) SELECT * FROM UNNEST('{1}'::int[], '{a;b}'::box[])",
    ] {
        assert_eq!(filled(other), "-", "{other}");
    }
}
