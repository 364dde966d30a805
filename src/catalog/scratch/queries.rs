//! The statements that read definitions and write them anew. Run with `search_path` at pg_catalog, so that
//! every user-defined name is printed with its schema.

/// User-defined schemas: those that hold nothing of the servers or of Shardway.
macro_rules! own_schema {
    () => {
        "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'shardway') AND n.nspname !~ '^pg_(toast_)?temp_'"
    };
}

/// Not a part of an extension.
macro_rules! own_object {
    ($class:literal, $oid:literal) => {
        concat!(
            "NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid = 'pg_catalog.",
            $class,
            "'::pg_catalog.regclass AND x.objid = ",
            $oid,
            " AND x.deptype = 'e')"
        )
    };
}

/// One text that differs when any definition does.
pub const DEFINITIONS: &str = concat!(
    r"SELECT pg_catalog.md5(pg_catalog.concat_ws('|', pg_catalog.current_database(),
  (SELECT pg_catalog.to_jsonb(d) - 'oid' - 'datfrozenxid' - 'datminmxid' - 'datlastsysoid' - 'datdba' - 'datacl'
   FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()),
  (SELECT pg_catalog.string_agg(n.nspname, ',' ORDER BY n.nspname) FROM pg_catalog.pg_namespace n WHERE ",
    own_schema!(),
    r"),
  (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(',', n.nspname, t.typname, t.typtype,
          pg_catalog.format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault, t.typcollation::pg_catalog.regcollation,
          (SELECT pg_catalog.string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
          (SELECT pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(c.oid), ',' ORDER BY c.conname)
           FROM pg_catalog.pg_constraint c WHERE c.contypid = t.oid),
          (SELECT pg_catalog.string_agg(a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod), ',' ORDER BY a.attnum)
           FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped AND t.typtype = 'c'),
          (SELECT pg_catalog.to_jsonb(r) - 'rngtypid' - 'rngmultitypid' FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid)), ';'
          ORDER BY n.nspname, t.typname)
   FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
   LEFT JOIN pg_catalog.pg_class k ON k.oid = t.typrelid
   WHERE t.typtype IN ('e', 'd', 'r', 'c', 'b') AND (k.oid IS NULL OR k.relkind = 'c') AND t.typelem = 0 AND ",
    own_schema!(),
    r"),
  (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(',', n.nspname, p.proname, pg_catalog.pg_get_function_arguments(p.oid),
          pg_catalog.pg_get_function_result(p.oid), p.prokind, p.prolang, p.provolatile, p.proisstrict, p.prosecdef,
          p.proconfig, p.probin, p.prosrc), ';' ORDER BY n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid))
   FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE ",
    own_schema!(),
    r"),
  (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(',', g.aggfnoid::pg_catalog.regprocedure, g.aggtransfn, g.aggfinalfn,
          g.aggtranstype::pg_catalog.regtype, g.agginitval), ';' ORDER BY g.aggfnoid)
   FROM pg_catalog.pg_aggregate g WHERE g.aggfnoid >= 16384),
  (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(',', e.extname, e.extversion, e.extnamespace::pg_catalog.regnamespace), ';' ORDER BY e.extname)
   FROM pg_catalog.pg_extension e),
  (SELECT pg_catalog.string_agg((pg_catalog.to_jsonb(c) - 'oid' - 'collowner')::text, ';' ORDER BY n.nspname, c.collname)
   FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace WHERE ",
    own_schema!(),
    r"),
  (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(',', s.setrole, s.setconfig), ';' ORDER BY s.setrole)
   FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
   WHERE d.datname = pg_catalog.current_database()),
  (SELECT pg_catalog.count(*) FROM pg_catalog.pg_operator o WHERE o.oid >= 16384),
  (SELECT pg_catalog.count(*) FROM pg_catalog.pg_cast c WHERE c.oid >= 16384)))"
);

/// Encoding, collation and provider of this database, as CREATE DATABASE takes them.
pub(super) const CREATE_OPTIONS: &str = r"
SELECT pg_catalog.concat_ws(' ', 'ENCODING', pg_catalog.quote_literal(pg_catalog.pg_encoding_to_char(d.encoding)),
       'LC_COLLATE', pg_catalog.quote_literal(d.datcollate), 'LC_CTYPE', pg_catalog.quote_literal(d.datctype),
       CASE j ->> 'datlocprovider' WHEN 'i' THEN 'LOCALE_PROVIDER icu ICU_LOCALE '
            || pg_catalog.quote_literal(COALESCE(j ->> 'daticulocale', j ->> 'datlocale'))
            WHEN 'b' THEN 'LOCALE_PROVIDER builtin BUILTIN_LOCALE ' || pg_catalog.quote_literal(j ->> 'datlocale')
            WHEN 'c' THEN 'LOCALE_PROVIDER libc' END)
FROM pg_catalog.pg_database d, LATERAL (SELECT pg_catalog.to_jsonb(d) AS j) AS json
WHERE d.datname = pg_catalog.current_database()";

/// Role, and the SET of a setting of this database.
pub(super) const SETTINGS: &str = r"
SELECT r.rolname::text, pg_catalog.format('SET %I TO %s', pg_catalog.split_part(c, '=', 1),
       CASE WHEN pg_catalog.lower(pg_catalog.split_part(c, '=', 1)) IN ('search_path', 'datestyle', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries')
            THEN pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1)
            ELSE pg_catalog.quote_literal(pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1)) END)
FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
LEFT JOIN (SELECT oid, pg_catalog.quote_ident(rolname) AS rolname FROM pg_catalog.pg_roles) r ON r.oid = s.setrole
CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c
WHERE d.datname = pg_catalog.current_database()";

/// Each gives statements, one a row, in an order that mostly works.
pub(super) const STATEMENTS: &[&str] = &[
    concat!(
        "SELECT pg_catalog.format('CREATE SCHEMA IF NOT EXISTS %I', n.nspname) FROM pg_catalog.pg_namespace n WHERE ",
        own_schema!(),
        " UNION ALL SELECT pg_catalog.format('GRANT USAGE ON SCHEMA %I TO PUBLIC', n.nspname) FROM pg_catalog.pg_namespace n WHERE ",
        own_schema!()
    ),
    r"SELECT pg_catalog.format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I VERSION %L CASCADE', e.extname, n.nspname, e.extversion)
      FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql' ORDER BY e.oid",
    concat!(
        r"SELECT pg_catalog.format('CREATE COLLATION IF NOT EXISTS %I.%I (PROVIDER = %s, %s, DETERMINISTIC = %s)', n.nspname, c.collname,
              CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
              CASE WHEN c.collprovider = 'c' THEN pg_catalog.format('LC_COLLATE = %L, LC_CTYPE = %L', c.collcollate, c.collctype)
                   ELSE pg_catalog.format('LOCALE = %L', COALESCE(j ->> 'colliculocale', j ->> 'colllocale', c.collcollate)) END,
              CASE WHEN c.collisdeterministic THEN 'true' ELSE 'false' END)
          FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
          CROSS JOIN LATERAL (SELECT pg_catalog.to_jsonb(c) AS j) AS json WHERE ",
        own_object!("pg_collation", "c.oid"),
        " AND ",
        own_schema!()
    ),
    concat!(
        r"SELECT pg_catalog.format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname,
              (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
               FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid))
          FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'e' AND ",
        own_object!("pg_type", "t.oid"),
        " AND ",
        own_schema!()
    ),
    concat!(
        r"SELECT pg_catalog.format('CREATE TYPE %I.%I AS (%s)', n.nspname, t.typname,
              (SELECT pg_catalog.string_agg(pg_catalog.format('%I %s%s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
                      CASE WHEN a.attcollation <> y.typcollation THEN pg_catalog.format(' COLLATE %s', a.attcollation::pg_catalog.regcollation) END),
                      ', ' ORDER BY a.attnum)
               FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
               WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
          FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
          JOIN pg_catalog.pg_class k ON k.oid = t.typrelid AND k.relkind = 'c' WHERE t.typtype = 'c' AND ",
        own_object!("pg_type", "t.oid"),
        " AND ",
        own_schema!()
    ),
    // Those with a canonical function can't be made in one statement and are left out.
    concat!(
        r"SELECT pg_catalog.format('CREATE TYPE %I.%I AS RANGE (SUBTYPE = %s, SUBTYPE_OPCLASS = %I.%I%s%s, MULTIRANGE_TYPE_NAME = %I.%I)',
              n.nspname, t.typname, r.rngsubtype::pg_catalog.regtype, o.nspname, c.opcname,
              CASE WHEN r.rngcollation <> 0 THEN pg_catalog.format(', COLLATION = %s', r.rngcollation::pg_catalog.regcollation) END,
              CASE WHEN r.rngsubdiff <> 0 THEN pg_catalog.format(', SUBTYPE_DIFF = %s', r.rngsubdiff::pg_catalog.regproc) END,
              m.nspname, u.typname)
          FROM pg_catalog.pg_range r JOIN pg_catalog.pg_type t ON t.oid = r.rngtypid
          JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
          JOIN pg_catalog.pg_opclass c ON c.oid = r.rngsubopc JOIN pg_catalog.pg_namespace o ON o.oid = c.opcnamespace
          JOIN pg_catalog.pg_type u ON u.oid = r.rngmultitypid JOIN pg_catalog.pg_namespace m ON m.oid = u.typnamespace
          WHERE r.rngcanonical = 0 AND ",
        own_object!("pg_type", "t.oid"),
        " AND ",
        own_schema!()
    ),
    concat!(
        r"SELECT pg_catalog.format('CREATE DOMAIN %I.%I AS %s%s%s%s%s', n.nspname, t.typname, pg_catalog.format_type(t.typbasetype, t.typtypmod),
              CASE WHEN t.typcollation <> b.typcollation THEN pg_catalog.format(' COLLATE %s', t.typcollation::pg_catalog.regcollation) END,
              ' DEFAULT ' || pg_catalog.pg_get_expr(t.typdefaultbin, 0), CASE WHEN t.typnotnull THEN ' NOT NULL' END,
              (SELECT ' ' || pg_catalog.string_agg(pg_catalog.format('CONSTRAINT %I %s', c.conname, pg_catalog.pg_get_constraintdef(c.oid)), ' ' ORDER BY c.conname)
               FROM pg_catalog.pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c'))
          FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
          JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype WHERE t.typtype = 'd' AND ",
        own_object!("pg_type", "t.oid"),
        " AND ",
        own_schema!()
    ),
    // Not those that run with their owner's rights: here another one would be that.
    concat!(
        r"SELECT pg_catalog.pg_get_functiondef(p.oid)
          FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
          WHERE p.prokind IN ('f', 'w') AND NOT p.prosecdef
            AND p.prorettype NOT IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype) AND ",
        own_object!("pg_proc", "p.oid"),
        " AND ",
        own_schema!()
    ),
    concat!(
        r"SELECT pg_catalog.format('CREATE AGGREGATE %I.%I(%s) (SFUNC = %s, STYPE = %s%s%s%s%s)', n.nspname, p.proname,
              pg_catalog.pg_get_function_arguments(p.oid), g.aggtransfn, pg_catalog.format_type(g.aggtranstype, NULL),
              CASE WHEN g.aggfinalfn <> 0 THEN ', FINALFUNC = ' || g.aggfinalfn::text END,
              CASE WHEN g.aggfinalextra THEN ', FINALFUNC_EXTRA' END,
              CASE WHEN g.agginitval IS NOT NULL THEN ', INITCOND = ' || pg_catalog.quote_literal(g.agginitval) END,
              CASE WHEN p.proparallel = 's' THEN ', PARALLEL = safe' END)
          FROM pg_catalog.pg_aggregate g JOIN pg_catalog.pg_proc p ON p.oid = g.aggfnoid
          JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
          WHERE g.aggkind = 'n' AND g.aggmtransfn = 0 AND g.aggsortop = 0 AND g.aggfinalmodify = 'r' AND ",
        own_object!("pg_proc", "p.oid"),
        " AND ",
        own_schema!()
    ),
];

/// Name and how many overloads there are.
pub(super) const FUNCTION_COUNTS: &str = concat!(
    r"SELECT p.proname::text, pg_catalog.count(*) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE ",
    own_schema!(),
    " GROUP BY 1"
);

/// Schema, name, OID of user-defined types, and if their values in binary hold OIDs: arrays and composites, domains over
/// them, and ranges of them.
pub(super) const TYPES: &str = r"
SELECT n.nspname::text, t.typname::text, t.oid,
       t.typcategory IN ('A', 'C') OR EXISTS (
           SELECT FROM pg_catalog.pg_range r JOIN pg_catalog.pg_type s ON s.oid = r.rngsubtype
           WHERE t.oid IN (r.rngtypid, r.rngmultitypid) AND s.typcategory IN ('A', 'C', 'R')) FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE t.oid >= 16384 AND n.nspname !~ '^pg_(toast|temp_|toast_temp_)'";

/// If there are operators or casts that no extension brought. A range type brings its cast to the multirange itself.
pub(super) const HAS_OPERATORS: &str = concat!(
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_operator o WHERE o.oid >= 16384 AND ",
    own_object!("pg_operator", "o.oid"),
    ") OR EXISTS (SELECT FROM pg_catalog.pg_cast c WHERE c.oid >= 16384 AND ",
    own_object!("pg_cast", "c.oid"),
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_range r WHERE r.rngtypid = c.castsource AND r.rngmultitypid = c.casttarget))"
);
