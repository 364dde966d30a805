//! What a server must say of the types of columns before rows can be merged by them. In: a statement. Out: a
//! question to which the answer is one text, and what that text says.
//!
//! The statement becomes a sub-select that is joined on false: it is analysed, and nothing of it is run.

use super::{Spliced, column};

/// Of one column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// As `format_type` has it; a domain's is that of its base.
    pub type_name: String,
    pub type_oid: u32,
    /// The OID of its array type; 0: it has none.
    pub array_oid: u32,
    /// How SQL calls its collation; empty for types without one.
    pub collation: String,
    /// The collation compares bytes.
    pub by_bytes: bool,
    /// Equal means the same bytes.
    pub deterministic: bool,
    /// In their order, for enums.
    pub labels: Vec<String>,
}

pub type Facts = Vec<Fact>;

const COLUMNS: char = '\u{1}';
const FIELDS: char = '\u{2}';
const LABELS: char = '\u{3}';

/// The question for the proxy's own columns of a statement, counted from 1.
pub fn question(statement: &Spliced, columns: usize) -> Vec<u8> {
    let mut sql = b"SELECT pg_catalog.concat_ws(E'\\x01'".to_vec();
    for number in 1..=columns {
        sql.extend_from_slice(b", ");
        sql.extend_from_slice(about(&column(number)).as_bytes());
    }
    sql.extend_from_slice(b") FROM (SELECT 1) AS shardway_one LEFT JOIN (");
    sql.extend_from_slice(&statement.sql);
    sql.extend_from_slice(b") AS shardway_rows ON false");
    sql
}

/// Bytes in their order: what the C library and PostgreSQL's own provider make of these names.
const BY_BYTES: &str = "('C', 'POSIX', 'C.UTF-8', 'C.utf8')";

fn about(column: &str) -> String {
    let value = format!("shardway_rows.{column}");
    let collation = format!("pg_catalog.pg_collation_for({value})::pg_catalog.regcollation");
    let database = format!(
        "(SELECT CASE COALESCE(pg_catalog.to_jsonb(d)->>'datlocprovider', 'c') \
         WHEN 'c' THEN d.datcollate IN {BY_BYTES} WHEN 'b' THEN true ELSE false END \
         FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())"
    );
    let by_bytes = format!(
        "(SELECT CASE l.collprovider::text WHEN 'd' THEN {database} WHEN 'c' THEN l.collcollate::text IN {BY_BYTES} \
         WHEN 'b' THEN true ELSE false END FROM pg_catalog.pg_collation l WHERE l.oid = {collation})"
    );
    let deterministic =
        format!("(SELECT l.collisdeterministic FROM pg_catalog.pg_collation l WHERE l.oid = {collation})");
    let labels = "pg_catalog.array_to_string(ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum e \
                  WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder), E'\\x03')";
    let collated = |what: &str, without: &str| format!("CASE WHEN t.typcollation <> 0 THEN {what} ELSE {without} END");
    format!(
        "(SELECT pg_catalog.concat_ws(E'\\x02', pg_catalog.format_type(b.oid, NULL), b.oid::text, b.typarray::text, {}, \
         COALESCE({}, false)::text, COALESCE({}, true)::text, {labels}) \
         FROM pg_catalog.pg_type t JOIN pg_catalog.pg_type b \
         ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END \
         WHERE t.oid = pg_catalog.pg_typeof({value}))",
        collated(&format!("pg_catalog.pg_collation_for({value})"), "''"),
        collated(&by_bytes, "false"),
        collated(&deterministic, "true"),
    )
}

/// `None` for what can't be an answer to [`question`].
pub fn answer(text: &str, columns: usize) -> Option<Facts> {
    if columns == 0 {
        return Some(Vec::new());
    }
    let facts: Option<Facts> = text.split(COLUMNS).map(fact).collect();
    facts.filter(|facts| facts.len() == columns)
}

fn fact(text: &str) -> Option<Fact> {
    let fields: Vec<&str> = text.split(FIELDS).collect();
    let [type_name, type_oid, array_oid, collation, by_bytes, deterministic, labels] = *fields.as_slice() else {
        return None;
    };
    let labels = if labels.is_empty() { Vec::new() } else { labels.split(LABELS).map(str::to_owned).collect() };
    Some(Fact {
        type_name: type_name.to_owned(),
        type_oid: type_oid.parse().ok()?,
        array_oid: array_oid.parse().ok()?,
        collation: collation.to_owned(),
        by_bytes: by_bytes == "true",
        deterministic: deterministic == "true",
        labels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_fact_for_each_column() {
        let text = "bigint\u{2}20\u{2}1016\u{2}\u{2}false\u{2}true\u{2}\u{1}mood\u{2}16399\u{2}16400\u{2}\u{2}false\u{2}true\u{2}sad\u{3}ok";
        let facts = answer(text, 2).expect("two facts");
        assert_eq!(facts[0].type_name, "bigint");
        assert_eq!(facts[1].labels, ["sad", "ok"]);
        assert_eq!(answer(text, 1), None);
        assert_eq!(answer("", 1), None);
    }
}
