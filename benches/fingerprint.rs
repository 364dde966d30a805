//! How long it takes to lex and hash a statement: the price of every Query and Parse before anything
//! else happens. `Lexed` is reused, as sessions do.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shardway::sql::{LexOptions, Lexed, TokenKind, Tokens, lex};

const PGBENCH: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;";

const DJANGO: &str = r#"SELECT "shop_order"."id", "shop_order"."user_id", "shop_order"."status", "shop_order"."total", "shop_order"."currency", "shop_order"."note", "shop_order"."created_at", "shop_order"."updated_at", "shop_order"."paid_at", "shop_order"."shipped_at", "shop_order"."coupon_id", "shop_order"."channel" FROM "shop_order" WHERE ("shop_order"."user_id" = 42 AND "shop_order"."status" = 'open') ORDER BY "shop_order"."id" LIMIT 21"#;

const JOIN: &str = r#"SELECT u.id, u.name, u.email, o.id AS order_id, o.status, o.created_at, i.product_id, i.quantity, i.price, i.quantity * i.price AS line_total, COALESCE(i.discount, 0.0) AS discount
FROM users u
INNER JOIN orders o ON o.user_id = u.id AND o.status IN ('open', 'paid', 'shipped')
LEFT JOIN order_items i ON i.user_id = o.user_id AND i.order_id = o.id
WHERE u.id = 4711 AND o.created_at >= '2026-01-01' AND o.created_at < '2026-02-01'::date -- this month
  AND (u.deleted_at IS NULL OR u.deleted_at > now() - interval '30 days')
ORDER BY o.created_at DESC, i.product_id
LIMIT 100 OFFSET 0"#;

fn in_list() -> String {
    let numbers: Vec<String> = (0..100).map(|number| (number * 7919).to_string()).collect();
    format!("SELECT id, name FROM users WHERE id IN ({})", numbers.join(", "))
}

fn values() -> String {
    let row = |number: u32| format!("({number}, 'name {number}', {}.50, '2026-01-01 00:00:00')", number * 3);
    let rows: Vec<String> = (0..1000).map(row).collect();
    format!("INSERT INTO users (id, name, credit, created_at) VALUES {}", rows.join(", "))
}

fn fingerprint(criterion: &mut Criterion) {
    let options = LexOptions { standard_conforming_strings: true };
    let statements = [
        ("pgbench", PGBENCH.to_owned()),
        ("django", DJANGO.to_owned()),
        ("join", JOIN.to_owned()),
        ("in_100", in_list()),
        ("values_1000x4", values()),
    ];
    let mut group = criterion.benchmark_group("fingerprint");
    for (name, sql) in &statements {
        group.throughput(Throughput::Bytes(sql.len() as u64));
        group.bench_function(BenchmarkId::new("lex", name), |bencher| {
            let mut out = Lexed::default();
            bencher.iter(|| {
                lex(black_box(sql.as_bytes()), &options, &mut out).expect("a good statement");
                out.hash
            });
        });
        group.bench_function(BenchmarkId::new("tokens", name), |bencher| {
            let is_word = |token: &shardway::sql::Token| token.kind == TokenKind::Word;
            bencher.iter(|| Tokens::new(black_box(sql.as_bytes()), &options).filter(is_word).count());
        });
    }
    group.finish();
}

criterion_group!(benches, fingerprint);
criterion_main!(benches);
