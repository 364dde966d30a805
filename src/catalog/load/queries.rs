//! The statements. Everything is qualified with pg_catalog, since search_path is the user's. Columns
//! that came after PostgreSQL 14 are read through `to_jsonb`, which gives NULL where they aren't.

/// oid, schema, name, kind, row security, rules, triggers, BEFORE row triggers (bits ROW = 1 and
/// BEFORE = 2 of pg_trigger.tgtype; Shardway's own triggers are left out), extension, functions of the triggers as schema and name, unlogged, the type of its
/// rows and that of arrays of them, and its comment if that places it.
pub(super) const RELATIONS: &str = r"
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relrowsecurity,
       EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'),
       EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal
               AND t.tgname !~ '^shardway_uq_'),
       EXISTS (SELECT FROM pg_catalog.pg_trigger t
               WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgtype & 3 = 3),
       (SELECT e.extname::text FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
          AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass LIMIT 1),
       ARRAY(SELECT f.nspname::text FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
             JOIN pg_catalog.pg_namespace f ON f.oid = p.pronamespace
             WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname !~ '^shardway_uq_' ORDER BY t.oid),
       ARRAY(SELECT p.proname::text FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
             WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname !~ '^shardway_uq_' ORDER BY t.oid),
       c.relpersistence = 'u', c.reltype,
       COALESCE((SELECT t.typarray FROM pg_catalog.pg_type t WHERE t.oid = c.reltype), 0),
       (SELECT d.description FROM pg_catalog.pg_description d
        WHERE d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objoid = c.oid AND d.objsubid = 0
          AND d.description LIKE 'shardway:%')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname !~ '^pg_(toast_)?temp_'
ORDER BY 2, 3";

pub(super) const SYSTEM_RELATIONS: &str = r"
SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'pg_catalog' AND c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S')";

pub(super) const SCHEMAS: &str =
    "SELECT n.nspname::text FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_(toast_)?temp_'";

/// Relation, name, type, type as text, modifier, collation, its determinism, not null, default's text,
/// if the type has a default, identity, generated, GENERATED ALWAYS, schema and name of the sequence that fills it, the
/// schema of the type (of its elements) where its text doesn't have it, the collation with its schema unless it is the
/// type's, the number. In attnum order.
pub(super) const COLUMNS: &str = r"
SELECT a.attrelid, a.attname::text, a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypmod,
       l.collname::text, l.collisdeterministic, a.attnotnull, pg_catalog.pg_get_expr(d.adbin, d.adrelid),
       t.typdefault IS NOT NULL, a.attidentity <> '', a.attgenerated <> '', a.attidentity = 'a', q.schema, q.name,
       CASE WHEN tn.nspname <> 'pg_catalog' AND pg_catalog.pg_type_is_visible(t.oid)
            THEN pg_catalog.quote_ident(tn.nspname) END,
       CASE WHEN a.attcollation <> t.typcollation
            THEN pg_catalog.quote_ident(ln.nspname) || '.' || pg_catalog.quote_ident(l.collname) END,
       a.attnum
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_catalog.pg_namespace ln ON ln.oid = l.collnamespace
LEFT JOIN LATERAL (
    SELECT sn.nspname::text AS schema, s.relname::text AS name FROM (
        SELECT o.objid AS oid FROM pg_catalog.pg_depend o
        WHERE a.attidentity <> '' AND o.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
          AND o.refobjid = a.attrelid AND o.refobjsubid = a.attnum
          AND o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND o.deptype = 'i'
        UNION ALL
        SELECT o.refobjid FROM pg_catalog.pg_depend o
        WHERE a.attidentity = '' AND o.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND o.objid = d.oid
          AND o.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
          AND pg_catalog.pg_get_expr(d.adbin, d.adrelid) ~ '^nextval\(''([^'']|'''')+''::regclass\)$'
    ) f
    JOIN pg_catalog.pg_class s ON s.oid = f.oid AND s.relkind = 'S'
    JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace LIMIT 1
) q ON true
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY a.attrelid, a.attnum";

/// Child, parent.
pub(super) const INHERITANCE: &str =
    "SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i ORDER BY i.inhrelid, i.inhseqno";

/// View, relation it reads. Built-in relations are pinned and have no entry.
pub(super) const VIEW_READS: &str = r"
SELECT DISTINCT r.ev_class, d.refobjid
FROM pg_catalog.pg_rewrite r
JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
     AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
WHERE r.rulename = '_RETURN' AND d.refobjid <> r.ev_class";

/// Has the definitions of views printed with the schemas of all that they name, whatever search_path is; that is
/// kept, within the transaction, and put back.
pub(in crate::catalog) const HIDE_NAMES: &str = "SELECT pg_catalog.set_config('shardway.search_path', pg_catalog.current_setting('search_path'), true), \
     pg_catalog.set_config('search_path', 'pg_catalog', true)";
pub(in crate::catalog) const SHOW_NAMES: &str =
    "SELECT pg_catalog.set_config('search_path', pg_catalog.current_setting('shardway.search_path'), true)";

/// View, definition.
pub(super) const VIEW_DEFINITIONS: &str = r"
SELECT c.oid, pg_catalog.pg_get_viewdef(c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast_)?temp_'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND d.objid = c.oid AND d.deptype = 'e')";

/// View, schema and name of a function that it calls, if the function is built in. Only those that are
/// user-defined, volatile, or built in and reading tables by name. pg_depend has no entry for built-in
/// functions, so the OIDs are taken from the stored tree's text.
pub(super) const VIEW_CALLS: &str = r"
WITH call AS (
    SELECT DISTINCT r.ev_class, m.found[1] AS field, m.found[2]::pg_catalog.oid AS target
    FROM pg_catalog.pg_rewrite r
    JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    CROSS JOIN LATERAL pg_catalog.regexp_matches(
        r.ev_action::pg_catalog.text, ':(funcid|aggfnoid|winfnoid|opfuncid|opno) (\d+)', 'g') AS m(found)
    WHERE r.rulename = '_RETURN'
), function AS (
    SELECT ev_class, target AS oid FROM call WHERE field <> 'opno'
    UNION
    SELECT call.ev_class, o.oprcode FROM call JOIN pg_catalog.pg_operator o ON o.oid = call.target
    WHERE call.field = 'opno'
)
SELECT DISTINCT f.ev_class, n.nspname::text, p.proname::text, n.nspname = 'pg_catalog'
FROM function f
JOIN pg_catalog.pg_proc p ON p.oid = f.oid
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname <> 'pg_catalog' OR p.provolatile = 'v' OR p.proname ~ '^(table|query|cursor|schema|database)_to_xml'";

/// Relation, name, key columns, primary, expressions, partial, NULLS NOT DISTINCT.
pub(super) const UNIQUE_INDEXES: &str = r"
SELECT i.indrelid, c.relname::text,
       ARRAY(SELECT a.attname::text
             FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k(attnum, position)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
             WHERE k.position <= i.indnkeyatts ORDER BY k.position),
       i.indisprimary, i.indexprs IS NOT NULL, i.indpred IS NOT NULL,
       COALESCE((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::pg_catalog.bool, false)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE i.indisunique AND i.indisvalid
ORDER BY i.indrelid, NOT i.indisprimary, 2";

/// Relation, name of an index of it.
pub(super) const INDEXES: &str = r"
SELECT i.indrelid, c.relname::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY i.indrelid, 2";

/// Sequence, the table whose column owns it.
pub(super) const SEQUENCE_OWNERS: &str = r"
SELECT d.objid, d.refobjid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0";

/// Relation, name, columns, relation referred to, its columns, if ON DELETE or ON UPDATE writes here.
/// The copies on partitions (conparentid) are left out.
pub(super) const FOREIGN_KEYS: &str = r"
SELECT k.conrelid, k.conname::text,
       ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS u(attnum, position)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.position),
       k.confrelid,
       ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS u(attnum, position)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.position),
       k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd')
FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0
ORDER BY k.conrelid, 2";

/// Schema, name, arguments, volatility, kind, language, SECURITY DEFINER, extension, body.
pub(super) const FUNCTIONS: &str = r"
SELECT n.nspname::text, p.proname::text, pg_catalog.pg_get_function_identity_arguments(p.oid),
       p.provolatile::text, p.prokind::text, l.lanname::text, p.prosecdef,
       (SELECT e.extname::text FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
          AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass LIMIT 1),
       CASE WHEN l.lanname IN ('sql', 'plpgsql') AND p.prokind = 'f' AND p.prosqlbody IS NULL
                 AND pg_catalog.length(p.prosrc) <= 20000
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc f ON f.oid = o.oprcode
                                 JOIN pg_catalog.pg_language fl ON fl.oid = f.prolang
                                 WHERE o.oid >= 16384 AND fl.lanname NOT IN ('internal', 'c'))
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_proc f ON f.oid = c.castfunc
                                 JOIN pg_catalog.pg_language fl ON fl.oid = f.prolang
                                 WHERE c.oid >= 16384 AND fl.lanname NOT IN ('internal', 'c'))
            THEN p.prosrc END
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language l ON l.oid = p.prolang
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1, 2, 3";
