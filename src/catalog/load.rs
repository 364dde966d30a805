//! Reads a server's catalogs. (PostgreSQL 14 to 17, chapter "System Catalogs".)

use std::collections::{BTreeSet, HashMap};

use tokio_postgres::{Client, SimpleQueryMessage};

use super::{
    Catalog, Column, ForeignKey, Function, FunctionKind, QualifiedName, Relation, RelationKind, UniqueIndex, Volatility,
};
use crate::types::KeyType;

mod cells;
mod queries;

use cells::Cells as Row;
pub use cells::{Cells, Malformed};
pub(super) use queries::{HIDE_NAMES, SHOW_NAMES};

/// A catalog query that failed.
#[derive(Debug, thiserror::Error)]
#[error("reading {what} from the server's catalog failed: {source}")]
pub struct LoadError {
    /// What was being read.
    pub what: &'static str,
    pub source: LoadReason,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadReason {
    #[error(transparent)]
    Server(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// The answers, as rows.
struct Answers {
    relations: Vec<Row>,
    schemas: Vec<Row>,
    system_relations: Vec<Row>,
    columns: Vec<Row>,
    inheritance: Vec<Row>,
    view_reads: Vec<Row>,
    view_calls: Vec<Row>,
    view_definitions: Vec<Row>,
    unique_indexes: Vec<Row>,
    foreign_keys: Vec<Row>,
    indexes: Vec<Row>,
    sequence_owners: Vec<Row>,
    functions: Vec<Row>,
    definitions: Vec<Row>,
}

/// How many answers [`question`] has.
pub const ANSWERS: usize = 16;

/// What is asked, one answer each.
const QUERIES: [&str; ANSWERS] = [
    queries::RELATIONS,
    queries::SCHEMAS,
    queries::SYSTEM_RELATIONS,
    queries::COLUMNS,
    queries::INHERITANCE,
    queries::VIEW_READS,
    queries::VIEW_CALLS,
    queries::HIDE_NAMES,
    queries::VIEW_DEFINITIONS,
    queries::SHOW_NAMES,
    queries::UNIQUE_INDEXES,
    queries::FOREIGN_KEYS,
    queries::INDEXES,
    queries::SEQUENCE_OWNERS,
    queries::FUNCTIONS,
    super::scratch::DEFINITIONS,
];

/// The whole question: statements that are sent together.
pub fn question() -> String {
    QUERIES.join(";")
}

/// Reads everything but temporary relations. The answers may be of different moments, and what one of them doesn't
/// know is left out.
///
/// # Errors
/// The connection's or the server's error.
pub async fn load(client: &Client) -> Result<Catalog, LoadError> {
    read(ask(client).await?).map_err(|error| fail(error.into()))
}

fn fail(source: LoadReason) -> LoadError {
    LoadError { what: "relations and functions", source }
}

/// The answers to [`question`], for [`read`].
///
/// # Errors
/// The connection's or the server's error.
pub async fn ask(client: &Client) -> Result<Vec<Vec<Cells>>, LoadError> {
    let mut answers = vec![Vec::new()];
    for message in client.simple_query(&question()).await.map_err(|error| fail(error.into()))? {
        match (message, answers.last_mut()) {
            (SimpleQueryMessage::Row(row), Some(answer)) => {
                answer.push(Cells((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()));
            }
            (SimpleQueryMessage::CommandComplete(_), _) => answers.push(Vec::new()),
            _ => {}
        }
    }
    Ok(answers)
}

/// The catalog of the answers to [`question`], in their order.
///
/// # Errors
/// For an answer that isn't one to its query.
pub fn read(answers: Vec<Vec<Cells>>) -> Result<Catalog, Malformed> {
    let mut answers = answers.into_iter();
    let mut next = || answers.next().unwrap_or_default();
    let answers = Answers {
        relations: next(),
        schemas: next(),
        system_relations: next(),
        columns: next(),
        inheritance: next(),
        view_reads: next(),
        view_calls: next(),
        // The answers to what stands around it say nothing.
        view_definitions: {
            next();
            let definitions = next();
            next();
            definitions
        },
        unique_indexes: next(),
        foreign_keys: next(),
        indexes: next(),
        sequence_owners: next(),
        functions: next(),
        definitions: next(),
    };
    build(&answers)
}

type Oid = u32;

fn build(answers: &Answers) -> Result<Catalog, Malformed> {
    let mut relations = Vec::new();
    let mut positions: HashMap<Oid, usize> = HashMap::new();
    for row in &answers.relations {
        if let Some((oid, relation)) = relation(row)? {
            positions.insert(oid, relations.len());
            relations.push(relation);
        }
    }
    let names: HashMap<Oid, QualifiedName> = positions
        .iter()
        .filter_map(|(oid, position)| Some((*oid, relations.get(*position)?.qualified_name())))
        .collect();
    let owner = |row: &Row| -> Result<Option<Oid>, Malformed> {
        let oid: Oid = row.try_get(0)?;
        Ok(positions.contains_key(&oid).then_some(oid))
    };
    // Each of the queries has the relation's OID first.
    let mut columns: HashMap<Oid, Vec<Column>> = HashMap::new();
    for row in &answers.columns {
        if let Some(oid) = owner(row)? {
            columns.entry(oid).or_default().push(column(row)?);
        }
    }
    let mut indexes: HashMap<Oid, Vec<UniqueIndex>> = HashMap::new();
    for row in &answers.unique_indexes {
        if let Some(oid) = owner(row)? {
            indexes.entry(oid).or_default().push(unique_index(row)?);
        }
    }
    let mut foreign_keys: HashMap<Oid, Vec<ForeignKey>> = HashMap::new();
    for row in &answers.foreign_keys {
        if let (Some(oid), Some(key)) = (owner(row)?, foreign_key(row, &names)?) {
            foreign_keys.entry(oid).or_default().push(key);
        }
    }
    let mut index_names: HashMap<Oid, Vec<String>> = HashMap::new();
    for row in &answers.indexes {
        if let Some(oid) = owner(row)? {
            index_names.entry(oid).or_default().push(row.try_get(1)?);
        }
    }
    let owners = edges(&answers.sequence_owners)?;
    let parents = edges(&answers.inheritance)?;
    let reads = edges(&answers.view_reads)?;
    let calls = view_calls(&answers.view_calls)?;
    let mut definitions: HashMap<Oid, Option<String>> = HashMap::new();
    for row in &answers.view_definitions {
        definitions.insert(row.try_get(0)?, row.try_get(1)?);
    }
    for (oid, position) in &positions {
        let Some(relation) = relations.get_mut(*position) else {
            continue;
        };
        relation.columns = columns.remove(oid).unwrap_or_default();
        relation.unique_indexes = indexes.remove(oid).unwrap_or_default();
        relation.foreign_keys = foreign_keys.remove(oid).unwrap_or_default();
        relation.indexes = index_names.remove(oid).unwrap_or_default();
        relation.owned_by = owners.get(oid).and_then(|tables| names.get(tables.first()?).cloned());
        relation.parents = named(&reachable(*oid, &parents), &names);
        let read = reachable(*oid, &reads);
        relation.reads = named(&read, &names);
        relation.reads.sort();
        relation.definition = definitions.remove(oid).flatten();
        add_calls(relation, read.iter().chain([oid]), &calls);
    }
    let functions = answers.functions.iter().filter_map(|row| function(row).transpose()).collect::<Result<_, _>>()?;
    let system = answers.system_relations.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
    let definitions = answers.definitions.first().map(|row| row.try_get(0)).transpose()?.unwrap_or_default();
    let schemas = answers.schemas.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
    Ok(Catalog::new(relations, functions)
        .with_system_relations(system)
        .with_schemas(schemas)
        .with_definitions(definitions))
}

fn relation(row: &Row) -> Result<Option<(Oid, Relation)>, Malformed> {
    let kind = match row.try_get::<String>(3)?.as_str() {
        "r" => RelationKind::Table,
        "p" => RelationKind::PartitionedTable,
        "v" => RelationKind::View,
        "m" => RelationKind::MaterializedView,
        "f" => RelationKind::ForeignTable,
        "S" => RelationKind::Sequence,
        _ => return Ok(None),
    };
    let mut relation = Relation::new(row.try_get::<String>(1)?, row.try_get::<String>(2)?, kind);
    relation.oid = row.try_get(0)?;
    relation.row_types = (row.try_get(12)?, row.try_get(13)?);
    relation.row_security = row.try_get(4)?;
    relation.has_rules = row.try_get(5)?;
    relation.has_triggers = row.try_get(6)?;
    relation.has_before_row_triggers = row.try_get(7)?;
    relation.extension = row.try_get(8)?;
    let (schemas, names): (Vec<String>, Vec<String>) = (row.try_get(9)?, row.try_get(10)?);
    relation.trigger_functions =
        schemas.into_iter().zip(names).map(|(schema, name)| QualifiedName::new(schema, name)).collect();
    relation.unlogged = row.try_get(11)?;
    relation.placement = row.try_get(14)?;
    Ok(Some((row.try_get(0)?, relation)))
}

fn column(row: &Row) -> Result<Column, Malformed> {
    let type_oid: Oid = row.try_get(2)?;
    let modifier: i32 = row.try_get(4)?;
    let type_modifier = (modifier != -1).then_some(modifier);
    let is_deterministic = row.try_get::<Option<bool>>(6)?.unwrap_or(true);
    let identity: bool = row.try_get(10)?;
    let generated: bool = row.try_get(11)?;
    // A generated column's expression stands where a default would.
    let default = row.try_get::<Option<String>>(8)?.filter(|_| !generated);
    let type_has_default: bool = row.try_get(9)?;
    let type_name: String = row.try_get(3)?;
    let qualified_type = match row.try_get::<Option<String>>(15)? {
        Some(schema) => format!("{schema}.{type_name}"),
        None => type_name.clone(),
    };
    Ok(Column {
        qualified_type,
        qualified_collation: row.try_get(16)?,
        number: row.try_get(17)?,
        key_type: key_type(type_oid, type_modifier, is_deterministic),
        type_modifier,
        collation: row.try_get(5)?,
        not_null: row.try_get(7)?,
        has_default: default.is_some() || identity || type_has_default,
        default,
        identity,
        identity_always: row.try_get(12)?,
        sequence: row
            .try_get::<Option<String>>(13)?
            .zip(row.try_get::<Option<String>>(14)?)
            .map(|(schema, name)| QualifiedName::new(schema, name)),
        generated,
        ..Column::other(row.try_get::<String>(1)?, type_oid, type_name)
    })
}

/// See [`Column::key_type`].
pub(super) fn key_type(oid: Oid, modifier: Option<i32>, is_deterministic: bool) -> Option<KeyType> {
    match oid {
        21 => Some(KeyType::Int2),
        23 => Some(KeyType::Int4),
        20 => Some(KeyType::Int8),
        25 | 1043 if is_deterministic => Some(KeyType::Text),
        2950 => Some(KeyType::Uuid),
        1082 => Some(KeyType::Date),
        // Values are rounded to the precision when they are stored, so that the row wouldn't be where
        // the written value belongs. A precision of 6 is the type's own.
        1114 if matches!(modifier, None | Some(6)) => Some(KeyType::Timestamp),
        1184 if matches!(modifier, None | Some(6)) => Some(KeyType::TimestampTz),
        1700 if modifier.is_none() => Some(KeyType::Numeric),
        _ => None,
    }
}

fn unique_index(row: &Row) -> Result<UniqueIndex, Malformed> {
    Ok(UniqueIndex {
        name: row.try_get(1)?,
        columns: row.try_get(2)?,
        is_primary: row.try_get(3)?,
        has_expressions: row.try_get(4)?,
        is_partial: row.try_get(5)?,
        nulls_not_distinct: row.try_get(6)?,
    })
}

fn foreign_key(row: &Row, names: &HashMap<Oid, QualifiedName>) -> Result<Option<ForeignKey>, Malformed> {
    let Some(references) = names.get(&row.try_get::<Oid>(3)?) else {
        return Ok(None);
    };
    Ok(Some(ForeignKey {
        name: row.try_get(1)?,
        columns: row.try_get(2)?,
        references: references.clone(),
        referenced_columns: row.try_get(4)?,
        cascades: row.try_get(5)?,
    }))
}

fn function(row: &Row) -> Result<Option<Function>, Malformed> {
    // A function that was dropped just now has no arguments to tell.
    let Some(arguments) = row.try_get::<Option<String>>(2)? else {
        return Ok(None);
    };
    let volatility = match row.try_get::<String>(3)?.as_str() {
        "i" => Volatility::Immutable,
        "s" => Volatility::Stable,
        _ => Volatility::Volatile,
    };
    let kind = match row.try_get::<String>(4)?.as_str() {
        "p" => FunctionKind::Procedure,
        "a" => FunctionKind::Aggregate,
        "w" => FunctionKind::Window,
        _ => FunctionKind::Function,
    };
    Ok(Some(Function {
        schema: row.try_get(0)?,
        name: row.try_get(1)?,
        arguments,
        volatility,
        kind,
        language: row.try_get(5)?,
        security_definer: row.try_get(6)?,
        extension: row.try_get(7)?,
        body: row.try_get(8)?,
    }))
}

fn edges(rows: &[Row]) -> Result<HashMap<Oid, Vec<Oid>>, Malformed> {
    let mut edges: HashMap<Oid, Vec<Oid>> = HashMap::new();
    for row in rows {
        edges.entry(row.try_get(0)?).or_default().push(row.try_get(1)?);
    }
    Ok(edges)
}

/// Everything that can be reached from `start`, nearest first, without `start`.
pub(super) fn reachable(start: Oid, edges: &HashMap<Oid, Vec<Oid>>) -> Vec<Oid> {
    let mut found = vec![start];
    let mut next = 0;
    while let Some(current) = found.get(next).copied() {
        for target in edges.get(&current).into_iter().flatten() {
            if !found.contains(target) {
                found.push(*target);
            }
        }
        next += 1;
    }
    found.split_off(1)
}

fn named(oids: &[Oid], names: &HashMap<Oid, QualifiedName>) -> Vec<QualifiedName> {
    oids.iter().filter_map(|oid| names.get(oid).cloned()).collect()
}

/// What one view calls itself.
#[derive(Default)]
struct Calls {
    user_defined: BTreeSet<QualifiedName>,
    unsafe_builtins: bool,
}

fn view_calls(rows: &[Row]) -> Result<HashMap<Oid, Calls>, Malformed> {
    let mut calls: HashMap<Oid, Calls> = HashMap::new();
    for row in rows {
        let calls = calls.entry(row.try_get(0)?).or_default();
        if row.try_get(3)? {
            calls.unsafe_builtins = true;
        } else {
            let name = QualifiedName::new(row.try_get::<String>(1)?, row.try_get::<String>(2)?);
            calls.user_defined.insert(name);
        }
    }
    Ok(calls)
}

fn add_calls<'o>(relation: &mut Relation, views: impl Iterator<Item = &'o Oid>, calls: &HashMap<Oid, Calls>) {
    let mut user_defined = BTreeSet::new();
    for calls in views.filter_map(|oid| calls.get(oid)) {
        relation.calls_unsafe_builtins |= calls.unsafe_builtins;
        user_defined.extend(calls.user_defined.iter().cloned());
    }
    relation.called_functions = user_defined.into_iter().collect();
    relation.calls_unsafe_functions = relation.calls_unsafe_builtins || !relation.called_functions.is_empty();
}
