//! What the servers have: relations, columns and user-defined functions. In: rows of PostgreSQL's
//! own catalogs ([`load()`]) or a test's [`Catalog::new`]. Out: an immutable [`Catalog`] that is shared.
//!
//! Pure data: doesn't know which tables are sharded, and names no type of a socket.

use std::collections::HashMap;

use crate::types::KeyType;

mod load;
pub mod numbers;
pub mod record;
pub mod scratch;
pub mod table;
#[cfg(test)]
mod tests;

pub use load::{ANSWERS, Cells, LoadError, LoadReason, ask, load, question, read};

/// A name as the catalog stores it: folded, without quotes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QualifiedName {
    pub schema: String,
    pub name: String,
}

/// `pg_class.relkind`, without indexes, TOAST tables and composite types.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RelationKind {
    Table,
    PartitionedTable,
    View,
    MaterializedView,
    ForeignTable,
    Sequence,
}

/// One relation outside pg_catalog, information_schema and the temporary schemas.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relation {
    pub schema: String,
    pub name: String,
    /// Of this server; 0 where it wasn't loaded from one.
    pub oid: u32,
    /// The OIDs of the type of its rows, and of that of arrays of them.
    pub row_types: (u32, u32),
    pub kind: RelationKind,
    /// In attnum order, which is the order of `SELECT *`; dropped columns left out.
    pub columns: Vec<Column>,
    /// Views: every relation that is read, transitively, other views included; sorted. Relations of
    /// pg_catalog are left out.
    pub reads: Vec<QualifiedName>,
    /// Views: what they are, every name with its schema. Not of materialized ones.
    pub definition: Option<String>,
    /// Views: the user-defined functions called, transitively; sorted.
    pub called_functions: Vec<QualifiedName>,
    /// Views: calls, transitively, a user-defined function, a volatile built-in one, or a built-in one
    /// that reads tables by a name in its argument (`query_to_xml` and its kin).
    pub calls_unsafe_functions: bool,
    /// As `calls_unsafe_functions`, for built-in functions alone.
    pub calls_unsafe_builtins: bool,
    /// Every ancestor by inheritance or partitioning, nearest first.
    pub parents: Vec<QualifiedName>,
    /// Rewrite rules other than the `_RETURN` of a view.
    pub has_rules: bool,
    /// A row-level BEFORE trigger, which may change a key on its way in.
    pub has_before_row_triggers: bool,
    /// Any trigger of the user's (those of foreign keys are not counted).
    pub has_triggers: bool,
    /// What those triggers call.
    pub trigger_functions: Vec<QualifiedName>,
    pub row_security: bool,
    /// Not in the write-ahead log: a replica has no rows of it.
    pub unlogged: bool,
    /// The extension that it belongs to.
    pub extension: Option<String>,
    pub unique_indexes: Vec<UniqueIndex>,
    pub foreign_keys: Vec<ForeignKey>,
    /// Names of all its indexes, which are in its schema.
    pub indexes: Vec<String>,
    /// Sequences: the table whose column owns it.
    pub owned_by: Option<QualifiedName>,
    /// Its comment, if that says how the table is placed.
    pub placement: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    pub name: String,
    /// `pg_attribute.attnum`; 0 where it wasn't loaded from a server.
    pub number: i16,
    /// Of this server: OIDs of user-defined types differ between servers.
    pub type_oid: u32,
    /// As `format_type` prints it: `character varying(40)`.
    pub type_name: String,
    /// The same with its schema, where it isn't built in: means this type whatever search_path is.
    pub qualified_type: String,
    /// `pg_attribute.atttypmod`; `None`: no length, precision or scale.
    pub type_modifier: Option<i32>,
    /// `Some` when the column can be a shard key. `None` for domains, citext, char(n) and text under a
    /// nondeterministic collation, where equal values can differ in their bytes, and for numeric and
    /// timestamps with a scale or precision, where what is stored is not what was written.
    pub key_type: Option<KeyType>,
    /// The collation's name, for types that have one; `default` is the database's.
    pub collation: Option<String>,
    /// Its schema and name, quoted; `None`: that of the type or of the database.
    pub qualified_collation: Option<String>,
    pub not_null: bool,
    /// Filled when left out: a default of its own or of its domain, or an identity column.
    pub has_default: bool,
    /// The default's text, as the server prints it.
    pub default: Option<String>,
    pub identity: bool,
    /// GENERATED ALWAYS AS IDENTITY: a value of the client's own needs OVERRIDING SYSTEM VALUE.
    pub identity_always: bool,
    /// The sequence that fills it when it is left out: an identity column's, or that of a default which is
    /// `nextval('...')` and nothing else.
    pub sequence: Option<QualifiedName>,
    /// GENERATED ALWAYS AS (expression).
    pub generated: bool,
}

/// A unique index that is valid; the primary key's included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UniqueIndex {
    pub name: String,
    /// Key columns, INCLUDE left out. Columns that are expressions are not listed.
    pub columns: Vec<String>,
    pub is_primary: bool,
    pub has_expressions: bool,
    /// Has a WHERE.
    pub is_partial: bool,
    /// NULLS NOT DISTINCT (PostgreSQL 15).
    pub nulls_not_distinct: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForeignKey {
    pub name: String,
    pub columns: Vec<String>,
    pub references: QualifiedName,
    pub referenced_columns: Vec<String>,
    /// ON DELETE or ON UPDATE writes rows of this table: CASCADE, SET NULL or SET DEFAULT.
    pub cascades: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

/// `pg_proc.prokind`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FunctionKind {
    Function,
    Procedure,
    Aggregate,
    Window,
}

/// A function outside pg_catalog and information_schema; one entry an overload.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Function {
    pub schema: String,
    pub name: String,
    /// As `pg_get_function_identity_arguments` prints them.
    pub arguments: String,
    pub volatility: Volatility,
    pub kind: FunctionKind,
    /// `sql`, `plpgsql`, `c`, `internal`, ...
    pub language: String,
    pub security_definer: bool,
    /// The extension that it belongs to.
    pub extension: Option<String>,
    /// Of a function in SQL or PL/pgSQL, where it says all that the function does: not beside operators and casts of the
    /// user's own, which may do more than can be seen in it.
    pub body: Option<String>,
}

/// Immutable after [`Catalog::new`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Catalog {
    relations: Vec<Relation>,
    /// Schema, then name, to the position in `relations`: looked up without allocating.
    by_name: HashMap<String, HashMap<String, usize>>,
    functions: Vec<Function>,
    functions_by_name: HashMap<String, Vec<usize>>,
    /// Names in pg_catalog, which PostgreSQL searches first unless search_path says otherwise.
    system_relations: std::collections::HashSet<String>,
    /// See [`Catalog::definitions`].
    definitions: String,
    schemas: std::collections::HashSet<String>,
}

impl QualifiedName {
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }
}

impl std::fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl Catalog {
    /// Of two relations with one name the later wins.
    pub fn new(relations: Vec<Relation>, functions: Vec<Function>) -> Self {
        let mut by_name: HashMap<String, HashMap<String, usize>> = HashMap::new();
        for (position, relation) in relations.iter().enumerate() {
            by_name.entry(relation.schema.clone()).or_default().insert(relation.name.clone(), position);
        }
        let mut functions_by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (position, function) in functions.iter().enumerate() {
            functions_by_name.entry(function.name.clone()).or_default().push(position);
        }
        let schemas = by_name.keys().cloned().chain(["public".to_owned()]).collect();
        Self {
            relations,
            by_name,
            functions,
            functions_by_name,
            system_relations: std::collections::HashSet::new(),
            schemas,
            definitions: String::new(),
        }
    }

    /// Identifies what is defined beside relations: types, functions, collations, extensions, and settings of
    /// the database. Equal texts, equal definitions.
    pub fn definitions(&self) -> &str {
        &self.definitions
    }

    #[must_use]
    pub fn with_definitions(mut self, definitions: String) -> Self {
        self.definitions = definitions;
        self
    }

    /// Names of the relations in pg_catalog.
    #[must_use]
    pub fn with_system_relations(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.system_relations = names.into_iter().collect();
        self
    }

    /// Every schema there is; without this, those that have a relation, and public.
    #[must_use]
    pub fn with_schemas(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.schemas = names.into_iter().collect();
        self
    }

    pub fn has_schema(&self, name: &str) -> bool {
        self.schemas.contains(name)
    }

    /// The key type of a column, if it may be a shard key.
    pub fn key_type(&self, schema: &str, table: &str, column: &str) -> Option<KeyType> {
        let relation = self.relation(schema, table)?;
        relation.columns.iter().find(|candidate| candidate.name == column)?.key_type
    }

    /// By the names as stored (folded, unquoted); the caller resolves search_path.
    pub fn relation(&self, schema: &str, name: &str) -> Option<&Relation> {
        let position = *self.by_name.get(schema)?.get(name)?;
        self.relations.get(position)
    }

    pub fn relations(&self) -> impl Iterator<Item = &Relation> {
        self.relations.iter()
    }

    /// The table that has the index of that name.
    pub fn table_of_index(&self, schema: &str, index: &str) -> Option<&Relation> {
        self.relations
            .iter()
            .find(|relation| relation.schema == schema && relation.indexes.iter().any(|name| name == index))
    }

    /// User-defined functions of that name (all overloads), in one schema or in any.
    pub fn functions<'a>(&'a self, schema: Option<&'a str>, name: &str) -> impl Iterator<Item = &'a Function> {
        self.functions_by_name
            .get(name)
            .into_iter()
            .flatten()
            .filter_map(|position| self.functions.get(*position))
            .filter(move |function| schema.is_none_or(|schema| function.schema == schema))
    }

    pub fn all_functions(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter()
    }

    /// If pg_catalog has a relation of that name. False for everything when the catalog wasn't loaded
    /// from a server.
    pub fn is_system_relation(&self, name: &str) -> bool {
        self.system_relations.contains(name)
    }

    /// Relations that inherit from this one or are its partitions, at any depth: what a statement
    /// without ONLY reads as well.
    pub fn descendants<'a>(&'a self, schema: &'a str, name: &'a str) -> impl Iterator<Item = &'a Relation> {
        self.relations.iter().filter(move |relation| {
            relation.parents.iter().any(|parent| parent.schema == schema && parent.name == name)
        })
    }
}

impl Relation {
    /// Of that kind, with nothing in it.
    pub fn new(schema: impl Into<String>, name: impl Into<String>, kind: RelationKind) -> Self {
        Self {
            schema: schema.into(),
            name: name.into(),
            oid: 0,
            row_types: (0, 0),
            kind,
            columns: Vec::new(),
            reads: Vec::new(),
            definition: None,
            called_functions: Vec::new(),
            calls_unsafe_functions: false,
            calls_unsafe_builtins: false,
            parents: Vec::new(),
            has_rules: false,
            has_before_row_triggers: false,
            has_triggers: false,
            trigger_functions: Vec::new(),
            row_security: false,
            unlogged: false,
            extension: None,
            unique_indexes: Vec::new(),
            foreign_keys: Vec::new(),
            indexes: Vec::new(),
            owned_by: None,
            placement: None,
        }
    }

    /// An ordinary table, to which [`Relation::with`] and [`Relation::with_column`] add columns.
    pub fn table(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self::new(schema, name, RelationKind::Table)
    }

    /// A view that reads these relations.
    pub fn view(schema: impl Into<String>, name: impl Into<String>, reads: &[(&str, &str)]) -> Self {
        let mut view = Self::new(schema, name, RelationKind::View);
        view.reads = reads.iter().map(|(schema, name)| QualifiedName::new(*schema, *name)).collect();
        view.reads.sort();
        view
    }

    /// Adds a nullable column without a default.
    #[must_use]
    pub fn with(self, name: &str, key_type: KeyType) -> Self {
        self.with_column(Column::new(name, key_type))
    }

    #[must_use]
    pub fn with_column(mut self, column: Column) -> Self {
        self.columns.push(column);
        self
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub fn qualified_name(&self) -> QualifiedName {
        QualifiedName::new(self.schema.clone(), self.name.clone())
    }

    pub fn is_view(&self) -> bool {
        matches!(self.kind, RelationKind::View | RelationKind::MaterializedView)
    }
}

impl Column {
    /// A nullable column without a default, of the plain type behind `key_type`.
    pub fn new(name: impl Into<String>, key_type: KeyType) -> Self {
        let (type_oid, type_name) = plain_type(key_type);
        Self { key_type: Some(key_type), ..Self::other(name, type_oid, type_name) }
    }

    /// A nullable column without a default that can't be a shard key.
    pub fn other(name: impl Into<String>, type_oid: u32, type_name: impl Into<String>) -> Self {
        let type_name = type_name.into();
        Self {
            name: name.into(),
            number: 0,
            type_oid,
            qualified_type: type_name.clone(),
            type_name,
            type_modifier: None,
            key_type: None,
            collation: None,
            qualified_collation: None,
            not_null: false,
            has_default: false,
            default: None,
            identity: false,
            identity_always: false,
            sequence: None,
            generated: false,
        }
    }
}

impl Function {
    /// A volatile PL/pgSQL function without arguments: what must be expected of a function of which
    /// nothing is known.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            name: name.into(),
            arguments: String::new(),
            volatility: Volatility::Volatile,
            kind: FunctionKind::Function,
            language: "plpgsql".to_owned(),
            security_definer: false,
            extension: None,
            body: None,
        }
    }
}

/// OID (fixed in pg_type.dat) and name of the type behind a key type; `Text` is text.
fn plain_type(key_type: KeyType) -> (u32, &'static str) {
    match key_type {
        KeyType::Int2 => (21, "smallint"),
        KeyType::Int4 => (23, "integer"),
        KeyType::Int8 => (20, "bigint"),
        KeyType::Text => (25, "text"),
        KeyType::Uuid => (2950, "uuid"),
        KeyType::Date => (1082, "date"),
        KeyType::Timestamp => (1114, "timestamp without time zone"),
        KeyType::TimestampTz => (1184, "timestamp with time zone"),
        KeyType::Numeric => (1700, "numeric"),
    }
}
