use super::judge;
use crate::planning::text::Text;
use crate::sql::LexOptions;

fn is_refused(sql: &str) -> bool {
    let pieces = crate::planning::build::pieces(sql.as_bytes(), &LexOptions { standard_conforming_strings: true });
    judge(Text { sql: sql.as_bytes(), pieces: &pieces }, None).is_err()
}

#[test]
fn a_number_is_not_told() {
    for sql in [
        "SELECT pg_typeof(c)::oid FROM things",
        "SELECT (pg_typeof(c))::oid FROM things",
        "SELECT ((pg_typeof((c))))::pg_catalog.oid FROM things",
        "SELECT CAST(pg_typeof(c) AS oid) FROM things",
        "SELECT CAST((pg_typeof(c)) AS bigint) FROM things",
        "SELECT pg_catalog.pg_typeof(c)::int FROM things",
        "SELECT pg_typeof(c)::oid::text FROM things",
        "SELECT pg_typeof(c)::regtype::oid FROM things",
        "SELECT 'color'::regtype::oid, id FROM things",
        "SELECT c::text::regtype::oid FROM things",
        "SELECT regtype 'color' :: oid FROM things",
        "SELECT regtype('color')::int8 FROM things",
        "SELECT CAST(CAST('color' AS regtype) AS oid) FROM things",
        "SELECT to_regtype('color')::oid FROM things",
        "SELECT tableoid FROM things",
        "SELECT t.tableoid AS n FROM things t",
        "SELECT tableoid::text FROM things",
        "SELECT tableoid::int + 1 FROM things",
        "SELECT tableoid::regclass::oid FROM things",
        "SELECT max(pg_typeof(c)) FROM things",
        "SELECT coalesce(pg_typeof(c), 0) FROM things",
        "SELECT oid(pg_typeof(c)) FROM things",
        "SELECT x::oid FROM (SELECT pg_typeof(c) AS x FROM things) s",
        "SELECT pg_typeof(c) FROM things UNION SELECT 0::oid",
        "SELECT pg_typeof(c) > 0 FROM things",
        "SELECT CASE WHEN true THEN pg_typeof(c) ELSE 0::oid END FROM things",
        "SELECT hashenum(c) FROM things",
        "SELECT array_send(cs) FROM things",
        "SELECT id FROM things ORDER BY pg_typeof(c)",
        "INSERT INTO things (id, n) VALUES (1, 'color'::regtype)",
        "INSERT INTO things (id, n) SELECT 1, pg_typeof(c) FROM things",
        "UPDATE things SET n = 'color'::regtype WHERE id = 1",
        "UPDATE things SET n = tableoid WHERE id = 1",
        "COPY (SELECT pg_typeof(c) FROM things) TO STDOUT (FORMAT binary)",
        "SELECT to_tsvector('english'::regconfig::oid::text, 'x') FROM things",
    ] {
        assert!(is_refused(sql), "{sql}");
    }
}

#[test]
fn a_name_is() {
    for sql in [
        "SELECT pg_typeof(c) FROM things",
        "SELECT id, pg_typeof(c) AS x, (pg_typeof(s)), 1 FROM things WHERE id = 1",
        "SELECT pg_typeof(c)::text FROM things ORDER BY 1",
        "SELECT (pg_typeof(c))::varchar FROM things",
        "SELECT CAST(pg_typeof(c) AS text) FROM things",
        "SELECT tableoid::regclass, * FROM things",
        "SELECT tableoid::regclass::text FROM things UNION SELECT 'x'",
        "SELECT id FROM things WHERE pg_typeof(c) = 'color'::regtype",
        "SELECT id FROM things WHERE tableoid = 'things'::regclass AND (pg_typeof(c) = 'color'::regtype)",
        "SELECT id FROM things WHERE pg_typeof(c) IN ('color'::regtype, 'size'::regtype)",
        "SELECT format_type(pg_typeof(c), NULL) FROM things",
        "SELECT count(pg_typeof(c)) FROM things",
        "SELECT to_json(pg_typeof(c)) FROM things",
        "SELECT to_tsvector('english'::regconfig, body) FROM things",
        "SELECT id FROM things WHERE to_tsvector('english'::regconfig, body) @@ to_tsquery('english', 'x')",
        "INSERT INTO things (id, n) VALUES (nextval('s'::regclass), 1)",
        "INSERT INTO things (id, name) VALUES (1, pg_typeof(1)::text) RETURNING id, pg_typeof(c)",
        "COPY (SELECT tableoid::regclass, id FROM things) TO STDOUT",
        "DECLARE c CURSOR FOR SELECT pg_typeof(c) FROM things",
        "SELECT id, c::text, n::oid FROM things",
        "SELECT pg_typeof(c), count(*) FROM things GROUP BY pg_typeof(c)",
    ] {
        assert!(!is_refused(sql), "{sql}");
    }
}
