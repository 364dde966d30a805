//! The order of values that the proxy merges by, proven on PostgreSQL's own.

use std::cmp::Ordering;

use shardway::execute::merge::compare;
use shardway::planning::merge::OrderKind;

use super::wire::{Client, Messages};

/// A type, how its values compare, and an expression for many of them.
fn types() -> Vec<(&'static str, OrderKind, &'static str)> {
    const TEXTS: &str = "SELECT DISTINCT t || u || repeat(' ', n) FROM unnest(ARRAY['', 'a', 'A', 'ab', 'é', 'z', 'Z', '李', '🦀', '_', '-', '1', '10', '2', 'e']) t,
        unnest(ARRAY['', 'b', 'Ä', ' x']) u, generate_series(0, 2) n";
    vec![
        ("bool", OrderKind::Bytes, "SELECT v FROM unnest('{t,f}'::bool[]) v"),
        ("int2", OrderKind::Integer, "SELECT unnest('{-32768,-1,0,1,255,256,32767}'::int2[])"),
        ("int4", OrderKind::Integer, "SELECT (random() * 4e9 - 2e9)::int4 FROM generate_series(1, 300)"),
        (
            "int8",
            OrderKind::Integer,
            "SELECT unnest('{-9223372036854775808,-1,0,1,256,4294967296,9223372036854775807}'::int8[])",
        ),
        ("oid", OrderKind::Bytes, "SELECT unnest('{0,1,256,2147483648,4294967295}'::oid[])"),
        ("float4", OrderKind::Float, "SELECT unnest('{NaN,-0,0,Infinity,-Infinity,1e-40,-1.5,3e38}'::float4[])"),
        (
            "float8",
            OrderKind::Float,
            "SELECT unnest('{NaN,-0,0,Infinity,-Infinity,1e-300,-1e-300,1.5}'::float8[]) UNION ALL SELECT (random() - 0.5) * 10 ^ (random() * 600 - 300) FROM generate_series(1, 200)",
        ),
        (
            "numeric",
            OrderKind::Numeric,
            "SELECT unnest('{NaN,Infinity,-Infinity,0,0.00,-0.0,1,1.0,1.00,-1,10000,9999,0.0001,0.00010,1e100,-1e100,1e-100,123456789012345678901234567890.5}'::numeric[]) UNION ALL SELECT round(((random() - 0.5) * 10 ^ (random() * 40 - 20))::numeric, (random() * 30)::int) FROM generate_series(1, 500)",
        ),
        ("money", OrderKind::Integer, "SELECT unnest('{-1,0,1,12.34}'::money[])"),
        ("date", OrderKind::Integer, "SELECT unnest('{infinity,-infinity,2000-01-01,1999-12-31,2026-02-03}'::date[])"),
        ("time", OrderKind::Integer, "SELECT unnest('{00:00,24:00,12:00:00.000001}'::time[])"),
        (
            "timestamp",
            OrderKind::Integer,
            "SELECT unnest('{infinity,-infinity,2000-01-01,1999-12-31 23:59:59.999999}'::timestamp[])",
        ),
        (
            "timestamptz",
            OrderKind::Integer,
            "SELECT unnest('{infinity,-infinity,2000-01-01 00:00+02,1999-12-31 23:59:59.999999+00}'::timestamptz[])",
        ),
        (
            "interval",
            OrderKind::Interval,
            "SELECT make_interval(months => m, days => d, secs => s) FROM generate_series(-2, 2) m, unnest('{-61,-30,0,1,29,30,31}'::int[]) d, unnest('{-86400,0,0.000001,86399,86400}'::float8[]) s",
        ),
        ("uuid", OrderKind::Bytes, "SELECT md5(n::text)::uuid FROM generate_series(1, 200) n"),
        (
            "bytea",
            OrderKind::Bytes,
            "SELECT decode(md5(n::text), 'hex') FROM generate_series(1, 100) n UNION ALL SELECT unnest(ARRAY['', '\\x00', '\\x0000', '\\xff', '\\xff00']::bytea[])",
        ),
        ("\"char\"", OrderKind::Bytes, "SELECT chr(n)::\"char\" FROM generate_series(1, 127) n"),
        ("name", OrderKind::Bytes, TEXTS),
        ("text COLLATE \"C\"", OrderKind::Bytes, TEXTS),
        ("text COLLATE \"POSIX\"", OrderKind::Bytes, TEXTS),
        ("text COLLATE ucs_basic", OrderKind::Bytes, TEXTS),
        // The database's: C.UTF-8.
        ("text", OrderKind::Bytes, TEXTS),
        ("varchar", OrderKind::Bytes, TEXTS),
        ("char(8) COLLATE \"C\"", OrderKind::Padded, TEXTS),
        (
            "mood",
            OrderKind::Enum(["sad", "ok", "happy"].map(|label| label.as_bytes().into()).to_vec()),
            "SELECT unnest('{happy,sad,ok}'::mood[])",
        ),
    ]
}

pub fn prove(client: &mut Client) {
    for (name, kind, values) in types() {
        let (cast, collate) = name
            .split_once(" COLLATE ")
            .map_or((name, String::new()), |(cast, collation)| (cast, format!(" COLLATE {collation}")));
        let sql = format!(
            "SELECT v, lag(v) OVER w IS NULL OR v{collate} > lag(v) OVER w FROM (SELECT made::{cast} FROM ({values}) AS m(made)) AS n(v) WINDOW w AS (ORDER BY v{collate}) ORDER BY v{collate}"
        );
        let messages = Messages::default().parse("", &sql, &[]).bind("", &[], 1).describe_portal().execute(0).sync();
        let turn = client.turn(messages).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(turn.error().is_none(), "{name}: {:?}\n{sql}", turn.error());
        let rows: Vec<(Vec<u8>, bool)> = turn
            .rows()
            .map(|row| {
                let value = row[0].clone().expect("no value is NULL");
                (value, row[1].as_deref() == Some(&[1]))
            })
            .collect();
        assert!(rows.len() > 1, "{name} has values");
        for pair in rows.windows(2) {
            let ((one, _), (other, is_greater)) = (&pair[0], &pair[1]);
            let expected = if *is_greater { Ordering::Less } else { Ordering::Equal };
            assert_eq!(compare::values(&kind, one, other), Some(expected), "{name}: {one:?} and {other:?}");
            assert_eq!(compare::values(&kind, other, one), Some(expected.reverse()), "{name}: {other:?} and {one:?}");
        }
    }
}
