//! A new table as statements that make the same one elsewhere, and what two of them have to have in common. In: a table's
//! name as it is written in SQL. Out: questions to the server that has it.

use super::load::{HIDE_NAMES, SHOW_NAMES};

fn literal(name: &str) -> String {
    format!("E'{}'", name.replace('\\', "\\\\").replace('\'', "''"))
}

/// Schema, name, whether this transaction has made it, and why it can't be made elsewhere, if it can't.
pub fn facts(name: &str) -> String {
    format!(
        "SELECT n.nspname, c.relname,
    (SELECT pg_catalog.pg_xact_status(((pg_catalog.pg_current_xact_id()::text::bigint >> 32 << 32)
        + a.xmin::text::bigint)::text::xid8) = 'in progress'
     FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = -1),
    CASE WHEN c.relkind <> 'r' OR c.reloftype <> 0 THEN 'it is no plain table'
         WHEN c.relispartition OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent))
         THEN 'it has parents, children or partitions'
         WHEN c.relrowsecurity OR EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid)
         THEN 'it has row security'
         WHEN EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid) THEN 'it has rules'
         WHEN EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
         THEN 'it has triggers'
         WHEN EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.refobjid = c.oid
                      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass) THEN 'a view reads it'
         WHEN EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.confrelid = c.oid AND k.conrelid <> c.oid)
         THEN 'a foreign key refers to it'
         WHEN EXISTS (SELECT FROM pg_catalog.pg_statistic_ext x WHERE x.stxrelid = c.oid) THEN 'it has extended statistics'
    END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = {}::pg_catalog.regclass",
        literal(name)
    )
}

/// Whether it has rows.
pub fn has_rows(name: &str) -> String {
    format!("SELECT EXISTS (SELECT FROM ONLY {name})")
}

const SEQUENCE: &str =
    "pg_catalog.format('INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s', q.seqincrement,
        q.seqmin, q.seqmax, q.seqstart, q.seqcache, CASE WHEN q.seqcycle THEN ' CYCLE' ELSE '' END)";

/// The statements, in their order: the second of three answers. The name has its schema.
pub fn definitions(name: &str) -> String {
    let name = literal(name);
    format!(
        "{HIDE_NAMES};
WITH t AS (SELECT c.*, n.nspname, pg_catalog.format('%I.%I', n.nspname, c.relname) AS full_name
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = {name}::pg_catalog.regclass),
s AS (SELECT d.refobjsubid AS number, d.deptype, q.*, pg_catalog.format('%I.%I', n.nspname, c.relname) AS full_name
    FROM t JOIN pg_catalog.pg_depend d ON d.refobjid = t.oid
        AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S' JOIN pg_catalog.pg_sequence q ON q.seqrelid = c.oid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE d.deptype IN ('a', 'i'))
SELECT text FROM (
    SELECT 1 AS step, q.full_name AS name, 'CREATE SEQUENCE IF NOT EXISTS ' || q.full_name || ' AS '
        || pg_catalog.format_type(q.seqtypid, NULL) || ' ' || {SEQUENCE} AS text
    FROM s q WHERE q.deptype = 'a'
  UNION ALL
    SELECT 2, '', 'CREATE ' || CASE t.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END || 'TABLE ' || t.full_name || ' ('
        || COALESCE((SELECT pg_catalog.string_agg(pg_catalog.format('%I %s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod))
            || CASE WHEN a.attcollation <> y.typcollation
                    THEN (SELECT pg_catalog.format(' COLLATE %I.%I', n.nspname, l.collname) FROM pg_catalog.pg_collation l
                          JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation) ELSE '' END
            || CASE WHEN a.attgenerated = 's' THEN ' GENERATED ALWAYS AS (' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) || ') STORED'
                    WHEN a.attgenerated <> '' THEN ' GENERATED ALWAYS AS (' || pg_catalog.pg_get_expr(d.adbin, d.adrelid) || ') VIRTUAL'
                    WHEN d.adbin IS NOT NULL THEN ' DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid)
                    WHEN a.attidentity <> '' THEN (SELECT ' GENERATED ' || CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END
                        || ' AS IDENTITY (SEQUENCE NAME ' || q.full_name || ' ' || {SEQUENCE} || ')'
                        FROM s q WHERE q.number = a.attnum AND q.deptype = 'i') ELSE '' END
            || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END, ', ' ORDER BY a.attnum)
          FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
          LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
          WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped), '') || ')'
        || CASE WHEN t.reloptions IS NULL THEN '' ELSE ' WITH (' || pg_catalog.array_to_string(t.reloptions, ', ') || ')' END FROM t
  UNION ALL
    SELECT 3, q.full_name, pg_catalog.format('ALTER SEQUENCE %s OWNED BY %s.%I', q.full_name, t.full_name, a.attname)
    FROM s q, t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid WHERE q.deptype = 'a' AND a.attnum = q.number
  UNION ALL
    SELECT CASE WHEN k.contype = 'f' THEN 5 ELSE 4 END, k.conname, pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s', t.full_name,
        k.conname, pg_catalog.pg_get_constraintdef(k.oid))
    FROM t JOIN pg_catalog.pg_constraint k ON k.conrelid = t.oid WHERE k.contype IN ('p', 'u', 'x', 'c', 'f')
  UNION ALL
    SELECT 6, i.indexrelid::text, pg_catalog.pg_get_indexdef(i.indexrelid) FROM t JOIN pg_catalog.pg_index i ON i.indrelid = t.oid
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = t.oid)
  UNION ALL
    SELECT 7, '', pg_catalog.format('ALTER TABLE %s OWNER TO %I', t.full_name, pg_catalog.pg_get_userbyid(t.relowner))
    FROM t WHERE pg_catalog.pg_get_userbyid(t.relowner) <> current_user
) made ORDER BY step, name;
{SHOW_NAMES}"
    )
}

/// What is the same of two tables that are alike.
pub fn likeness(name: &str) -> String {
    let name = literal(name);
    format!(
        "SELECT pg_catalog.concat_ws(' ', c.relpersistence, c.relacl, pg_catalog.pg_get_userbyid(c.relowner), c.reloptions,
    (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
        a.attidentity, a.attgenerated, pg_catalog.pg_get_expr(d.adbin, d.adrelid)), ', ' ORDER BY a.attnum)
     FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    (SELECT pg_catalog.string_agg(k.conname || ' ' || pg_catalog.pg_get_constraintdef(k.oid), ', ' ORDER BY k.conname)
     FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid),
    (SELECT pg_catalog.string_agg(pg_catalog.pg_get_indexdef(i.indexrelid), ', ' ORDER BY i.indexrelid::pg_catalog.regclass::text)
     FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid))
FROM pg_catalog.pg_class c WHERE c.oid = {name}::pg_catalog.regclass"
    )
}
