//! A hit in the template cache, from the client's bytes to the plan: lexed, found by hash and compared,
//! bound to a shard. The limit is one microsecond for a statement of 400 bytes.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shardway::catalog::{Catalog, Relation};
use shardway::config::Config;
use shardway::planning::template::{ParameterValue, Parameters};
use shardway::planning::{Names, Plan, Scene, Template, TemplateCache};
use shardway::routing::ShardMap;
use shardway::sql::{LexOptions, Lexed, lex};
use shardway::types::KeyType;

const CONFIG: &str = r#"
[[user]]
name = "shop"
password = "secret"

[database.shop.shard.a]
primary = "postgres://127.0.0.1:5001/shop"

[database.shop.shard.b]
primary = "postgres://127.0.0.1:5002/shop"

[database.shop.table.shop_order]
key = "user_id"

[database.shop.table.pgbench_accounts]
key = "aid"
"#;

/// As psycopg sends it: every value inline.
const DJANGO: &str = r#"SELECT "shop_order"."id", "shop_order"."user_id", "shop_order"."status", "shop_order"."total", "shop_order"."currency", "shop_order"."note", "shop_order"."created_at", "shop_order"."updated_at", "shop_order"."paid_at", "shop_order"."shipped_at", "shop_order"."coupon_id", "shop_order"."channel" FROM "shop_order" WHERE ("shop_order"."user_id" = 42 AND "shop_order"."status" = 'open') LIMIT 21"#;

const DJANGO_PARAMETERS: &str = r#"SELECT "shop_order"."id", "shop_order"."user_id", "shop_order"."status", "shop_order"."total", "shop_order"."currency", "shop_order"."note", "shop_order"."created_at", "shop_order"."updated_at", "shop_order"."paid_at", "shop_order"."shipped_at", "shop_order"."coupon_id", "shop_order"."channel" FROM "shop_order" WHERE ("shop_order"."user_id" = $1 AND "shop_order"."status" = $2) LIMIT 21"#;

const PGBENCH: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;";

const OPTIONS: LexOptions = LexOptions { standard_conforming_strings: true };
const INT8: u32 = 20;
const TEXT: u32 = 25;

fn scene() -> Scene {
    let loaded = Config::from_toml(CONFIG, &|_| None).expect("the configuration holds");
    let database = loaded.config.databases.get("shop").expect("it is in the text");
    let orders = Relation::table("public", "shop_order").with("user_id", KeyType::Int8).with("status", KeyType::Text);
    let columns = [
        "id",
        "total",
        "currency",
        "note",
        "created_at",
        "updated_at",
        "paid_at",
        "shipped_at",
        "coupon_id",
        "channel",
    ];
    let orders = columns.iter().fold(orders, |table, column| table.with(column, KeyType::Int8));
    let accounts =
        Relation::table("public", "pgbench_accounts").with("aid", KeyType::Int4).with("abalance", KeyType::Int4);
    let map = ShardMap::new(database, &|_, _, _| None).expect("the map holds");
    Scene {
        map: Arc::new(map),
        catalog: Some(Arc::new(Catalog::new(vec![orders, accounts], Vec::new()))),
        safe_functions: Arc::new(BTreeSet::new()),
        views: Arc::default(),
        missed: Arc::default(),
    }
}

fn names() -> Names {
    Names {
        atomic: false,
        search_path: vec!["shop".to_owned(), "public".to_owned()],
        temporary: BTreeSet::new(),
        standard_conforming_strings: true,
    }
}

/// The statement's template, in a cache.
fn cached(sql: &str) -> (TemplateCache, Lexed, u64) {
    let (scene, names, cache) = (scene(), names(), TemplateCache::default());
    let mut lexed = Lexed::default();
    lex(sql.as_bytes(), &OPTIONS, &mut lexed).expect("it is SQL");
    let key = names.fingerprint();
    cache.insert(&lexed, key, Arc::new(Template::build(sql.as_bytes(), &lexed, &scene, &names)));
    (cache, lexed, key)
}

fn inline(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("template hit, inline");
    for (name, sql) in [("Django, 400 bytes", DJANGO), ("pgbench", PGBENCH)] {
        let (cache, mut lexed, key) = cached(sql);
        let sql = sql.as_bytes();
        group.throughput(Throughput::Bytes(sql.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let sql = black_box(sql);
                lex(sql, &OPTIONS, &mut lexed).expect("it is SQL");
                let template = cache.get(sql, &lexed, key).expect("it was inserted");
                let plan = template.bind(sql, &lexed, None).expect("it has a key");
                assert!(matches!(plan, Plan::Single { .. }));
                plan
            });
        });
    }
    group.finish();
}

/// A Bind of a prepared statement: its template is at hand.
fn parameters(criterion: &mut Criterion) {
    let sql = DJANGO_PARAMETERS.as_bytes();
    let (cache, lexed, key) = cached(DJANGO_PARAMETERS);
    let template = cache.get(sql, &lexed, key).expect("it was inserted");
    let user = 42_i64.to_be_bytes();
    let values = [ParameterValue::Binary(&user), ParameterValue::Text(b"open")];
    let parameters = Parameters { types: &[INT8, TEXT], types_are_certain: true, values: &values };
    criterion.bench_function("bind of a prepared statement", |bencher| {
        bencher.iter(|| template.bind(black_box(sql), &lexed, Some(parameters)).expect("it has a key"));
    });
}

criterion_group!(benches, inline, parameters);
criterion_main!(benches);
