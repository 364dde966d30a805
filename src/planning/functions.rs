//! What calling a function may do. In: its name, and what the catalog knows of user-defined ones.
//! Out: a [`Class`].
//!
//! Functions that aren't known at all are taken to read any table.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use crate::catalog::{Catalog, FunctionKind, Volatility};

/// In ascending order of what has to be feared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// The same on every shard, for each row by itself.
    Harmless,
    /// One value for a transaction or statement, which differs from shard to shard.
    Moment,
    /// Looks at the server, the session or the catalogs, not at tables: the home shard's answer counts.
    Server,
    Aggregate,
    Window,
    /// Reads or changes what only one shard may have: sequences, advisory locks, notifications.
    HomeBound,
    /// Reads tables that are named in its arguments, or files, large objects or other databases.
    ReadsTables,
    /// User-defined, or of a name that isn't known.
    Unknown,
}

/// The value is fixed at the start of a transaction or statement.
const MOMENTS: &[&str] = &[
    "age",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "now",
    "statement_timestamp",
    "transaction_timestamp",
];

/// Stable or volatile, but for each row by itself, by its arguments and the session's settings.
const HARMLESS: &[&str] = &[
    "array_to_json",
    "array_to_string",
    "clock_timestamp",
    "concat",
    "concat_ws",
    "convert",
    "convert_from",
    "convert_to",
    "date_part",
    "date_trunc",
    "enum_first",
    "enum_last",
    "enum_range",
    "extract",
    "format",
    "gen_random_uuid",
    "generate_series",
    "json_build_array",
    "json_build_object",
    "json_populate_record",
    "json_populate_recordset",
    "json_to_record",
    "json_to_recordset",
    "json_to_tsvector",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_path_exists_tz",
    "jsonb_path_match_tz",
    "jsonb_path_query_array_tz",
    "jsonb_path_query_first_tz",
    "jsonb_path_query_tz",
    "jsonb_populate_record",
    "jsonb_populate_recordset",
    "jsonb_to_record",
    "jsonb_to_recordset",
    "jsonb_to_tsvector",
    "length",
    "make_timestamptz",
    "numeric",
    "overlaps",
    "phraseto_tsquery",
    "plainto_tsquery",
    "quote_literal",
    "quote_nullable",
    "random",
    "row_to_json",
    "timezone",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "to_tsquery",
    "to_tsvector",
    "ts_headline",
    "websearch_to_tsquery",
];

/// Types whose values are looked up in the catalogs; casts to them are taken for calls.
pub(super) const CATALOG_TYPES: &[&str] = &[
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
];

/// Grammar, not functions, though they look alike.
const GRAMMAR: &[&str] = &[
    "coalesce",
    "greatest",
    "json_array",
    "json_exists",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "least",
    "nullif",
    "row",
    "trim",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// Aggregates that are grammar: no function has their names.
const GRAMMAR_AGGREGATES: &[&str] = &["grouping", "json_arrayagg", "json_objectagg"];

const HOME_BOUND: &[&str] = &[
    "currval",
    "lastval",
    "nextval",
    "pg_backend_pid",
    "pg_blocking_pids",
    "pg_cancel_backend",
    "pg_current_snapshot",
    "pg_current_xact_id",
    "pg_current_xact_id_if_assigned",
    "pg_export_snapshot",
    "pg_listening_channels",
    "pg_notify",
    "pg_sequence_last_value",
    "pg_terminate_backend",
    "set_config",
    "setseed",
    "setval",
    "txid_current",
    "txid_current_if_assigned",
    "txid_current_snapshot",
    "txid_status",
];

const READS_TABLES: &[&str] = &[
    "cursor_to_xml",
    "cursor_to_xmlschema",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "database_to_xmlschema",
    "pg_logical_emit_message",
    "pg_ls_dir",
    "pg_read_binary_file",
    "pg_read_file",
    "pg_read_file_old",
    "pg_stat_file",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "query_to_xmlschema",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "schema_to_xmlschema",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "table_to_xmlschema",
    "ts_rewrite",
    "ts_stat",
    "loread",
    "lowrite",
    "brin_desummarize_range",
    "brin_summarize_new_values",
    "brin_summarize_range",
    "gin_clean_pending_list",
    "pg_import_system_collations",
    "pg_nextoid",
    "pg_stop_making_pinned_objects",
    "system",
];

/// Stable functions that are fit for a replica beyond the harmless ones.
const READ_ONLY: &[&str] = &[
    "col_description",
    "current_catalog",
    "current_database",
    "current_role",
    "current_schema",
    "current_schemas",
    "current_setting",
    "current_user",
    "format_type",
    "getdatabaseencoding",
    "obj_description",
    "pg_client_encoding",
    "pg_collation_for",
    "pg_column_size",
    "pg_encoding_to_char",
    "pg_get_constraintdef",
    "pg_get_expr",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_get_functiondef",
    "pg_get_indexdef",
    "pg_get_keywords",
    "pg_get_partkeydef",
    "pg_get_ruledef",
    "pg_get_serial_sequence",
    "pg_get_triggerdef",
    "pg_get_userbyid",
    "pg_get_viewdef",
    "pg_table_is_visible",
    "pg_type_is_visible",
    "pg_function_is_visible",
    "pg_typeof",
    "session_user",
    "shobj_description",
    "to_regclass",
    "to_regtype",
    "to_regnamespace",
    "to_regproc",
    "to_regprocedure",
    "user",
    "version",
];

#[derive(Clone, Copy)]
struct Builtin {
    immutable: bool,
    aggregate: bool,
    window: bool,
}

static BUILTIN: LazyLock<HashMap<&'static str, Builtin>> = LazyLock::new(|| {
    let lines = include_str!("functions/builtin.txt").lines().filter(|line| !line.starts_with('#'));
    let entry = |line: &'static str| {
        let (name, flags) = line.split_once(' ')?;
        let builtin =
            Builtin { immutable: flags.starts_with('i'), aggregate: flags.contains('a'), window: flags.contains('w') };
        Some((name, builtin))
    };
    lines.filter_map(entry).collect()
});

/// Names that PostgreSQL knows without a definition by a user.
pub fn is_builtin(name: &str) -> bool {
    BUILTIN.contains_key(name)
        || GRAMMAR_AGGREGATES.contains(&name)
        || GRAMMAR.contains(&name)
        || CATALOG_TYPES.contains(&name)
        || is_bare(name)
}

/// Types whose values are looked up in the catalogs.
pub fn is_catalog_type(name: &str) -> bool {
    CATALOG_TYPES.contains(&name)
}

/// Words that are calls without parentheses.
pub fn is_bare(name: &str) -> bool {
    matches!(
        name,
        "current_catalog"
            | "current_date"
            | "current_role"
            | "current_schema"
            | "current_time"
            | "current_timestamp"
            | "current_user"
            | "localtime"
            | "localtimestamp"
            | "session_user"
            | "system_user"
            | "user"
    )
}

fn builtin_class(name: &str) -> Class {
    if MOMENTS.contains(&name) {
        return Class::Moment;
    }
    if GRAMMAR_AGGREGATES.contains(&name) {
        return Class::Aggregate;
    }
    if GRAMMAR.contains(&name) || HARMLESS.contains(&name) {
        return Class::Harmless;
    }
    if HOME_BOUND.contains(&name) || name.starts_with("pg_advisory_") || name.starts_with("pg_try_advisory_") {
        return Class::HomeBound;
    }
    if READS_TABLES.contains(&name) || name.starts_with("lo_") {
        return Class::ReadsTables;
    }
    match BUILTIN.get(name) {
        Some(Builtin { aggregate: true, .. }) => Class::Aggregate,
        Some(Builtin { window: true, .. }) => Class::Window,
        Some(Builtin { immutable: true, .. }) => Class::Harmless,
        Some(_) => Class::Server,
        None if is_bare(name) || CATALOG_TYPES.contains(&name) => Class::Server,
        None => Class::Unknown,
    }
}

/// What is known of the functions of a database.
#[derive(Clone, Copy)]
pub struct Functions<'a> {
    /// Functions of the user's are judged by their bodies, too.
    pub bodies: bool,
    pub catalog: Option<&'a Catalog>,
    /// By name or `schema.name`.
    pub safe: &'a BTreeSet<String>,
}

impl Functions<'_> {
    /// If any function of that name is known.
    pub fn exists(&self, name: &str) -> bool {
        is_builtin(name) || self.user_class(None, name).is_some()
    }

    /// The class of a call, folded names given. Where a user-defined function has the name of a
    /// built-in one, the worse of both.
    pub fn class(&self, schema: Option<&str>, name: &str) -> Class {
        match schema {
            Some("pg_catalog") => builtin_class(name),
            Some("information_schema") => Class::Server,
            Some(_) => self.user_class(schema, name).unwrap_or(Class::Unknown),
            None => match (is_builtin(name), self.user_class(None, name)) {
                (true, None) => builtin_class(name),
                (true, Some(user)) => builtin_class(name).max(user),
                (false, user) => user.unwrap_or(Class::Unknown),
            },
        }
    }

    /// As [`Self::class`], for a call with this many arguments.
    pub fn class_of(&self, schema: Option<&str>, name: &str, arguments: usize) -> Class {
        match self.class(schema, name) {
            // Of one argument it is reckoned from today.
            Class::Moment if name == "age" && arguments > 1 => Class::Harmless,
            class => class,
        }
    }

    /// The worst of the user-defined functions of that name; `None` if there is none.
    fn user_class(&self, schema: Option<&str>, name: &str) -> Option<Class> {
        let declared = match schema {
            // Declared without a schema, as messages show functions of `public`.
            Some("public") if self.safe.contains(name) => true,
            Some(schema) => self.safe.contains(&format!("{schema}.{name}")),
            None => self.safe.contains(name),
        };
        if declared {
            return Some(Class::Harmless);
        }
        let class = |function: &crate::catalog::Function| match function.kind {
            FunctionKind::Aggregate if function.volatility == Volatility::Immutable => Class::Aggregate,
            FunctionKind::Window if function.volatility == Volatility::Immutable => Class::Window,
            FunctionKind::Function if function.volatility == Volatility::Immutable => Class::Harmless,
            _ if self.safe.contains(&format!("{}.{}", function.schema, function.name)) => Class::Harmless,
            FunctionKind::Function if self.bodies => {
                function.body.as_deref().map_or(Class::Unknown, |body| self.class_of_body(body))
            }
            _ => Class::Unknown,
        };
        self.catalog?.functions(schema, name).map(class).max()
    }

    /// If a statement with this call may run on a replica: going by what is declared of it, whatever its body shows.
    pub fn is_read_only(&self, schema: Option<&str>, name: &str) -> bool {
        match self.declared().class(schema, name) {
            Class::Harmless | Class::Moment | Class::Aggregate | Class::Window => true,
            Class::Server => READ_ONLY.contains(&name) || CATALOG_TYPES.contains(&name) || name.starts_with("has_"),
            Class::HomeBound | Class::ReadsTables | Class::Unknown => false,
        }
    }
}

mod bodies;

#[cfg(test)]
mod tests;
