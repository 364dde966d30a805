//! The texts of refusals, all in one place so that they speak with one voice.

use super::plan::Refusal;
use crate::types::SqlState;

const NAME_THE_SHARD: &str = "Name the shard with a comment /* shardway: shard=NAME */, or give the key that is meant with /* shardway: key=VALUE */.";
const NAME_ONE_SHARD: &str = "Run it on each shard that needs it, with a comment /* shardway: shard=NAME */ in front.";

pub fn not_parsed() -> Refusal {
    Refusal::new(
        "this statement can't be understood well enough to know its shard",
        "It may name sharded or reference tables, and parts of its syntax aren't known to Shardway",
        NAME_THE_SHARD,
    )
}

/// Why a SELECT isn't simply run on each shard: the clause or the like.
pub fn not_concatenable(what: &str) -> Refusal {
    Refusal::new(
        format!("{what} over several shards is not supported"),
        "The statement doesn't restrict the shard key to one shard, and its result isn't simply the shards' results one after the other",
        "Compare the shard key with a constant or a parameter (=, IN, = ANY), joined tables included.",
    )
}

/// Why PostgreSQL can't answer a SELECT on rows gathered from several shards.
pub fn not_gathered(what: &str) -> Refusal {
    Refusal::new(
        format!("{what} over several shards is not supported"),
        "The rows would be gathered from the shards and looked at in another database, where this means something else",
        "Compare the shard key with a constant or a parameter (=, IN, = ANY), joined tables included; or leave this out.",
    )
}

pub fn function_in_gather(function: &str) -> Refusal {
    Refusal::new(
        format!("{function}() over several shards is not supported"),
        "Its value would be that of the database where the rows are gathered, or differs from shard to shard",
        "Compare the shard key with a constant or a parameter, or pass the value as a parameter.",
    )
}

pub fn cannot_gather_table(table: &str) -> Refusal {
    Refusal::new(
        format!("table {table} can't be used together with tables of other shards"),
        "Its columns are not known, so that its rows can't be gathered",
        "Use two statements.",
    )
}

pub fn unbound(table: &str, key: &str) -> Refusal {
    Refusal::new(
        format!("table {table} is sharded, and the statement doesn't keep to one shard by its {key}"),
        "Several shards would have to work together",
        format!(
            "Compare {key} with a constant or a parameter, or join it to a table where that is done. {NAME_THE_SHARD}"
        ),
    )
}

pub fn several_shards(what: &str) -> Refusal {
    Refusal::new(
        format!("{what} on several shards is not supported"),
        "The keys in this statement belong to more than one shard",
        "Use one statement for each shard.",
    )
}

pub fn home_and_sharded(home: &str, sharded: &str) -> Refusal {
    Refusal::new(
        format!("tables {home} and {sharded} can't be used together: they live on different shards"),
        format!("{home} is not sharded, so it is on the home shard only"),
        format!("Make {home} a reference table, or use two statements."),
    )
}

pub fn system_and_sharded(system: &str, sharded: &str) -> Refusal {
    Refusal::new(
        format!("{system} can't be used together with the sharded table {sharded}"),
        "Each shard has system catalogs of its own",
        NAME_THE_SHARD,
    )
}

pub fn function_and_sharded(function: &str, sharded: &str) -> Refusal {
    Refusal::new(
        format!("{function}() can't be used together with the sharded table {sharded}"),
        "The function's state is the home shard's: a sequence, a lock, a transaction or the session",
        "Call it in a statement of its own.",
    )
}

pub fn unknown_function(function: &str) -> Refusal {
    Refusal::new(
        format!("function {function}() may read tables on other shards"),
        "It is user-defined and not immutable, or isn't known",
        format!("Add it to safe_functions in the configuration if it reads and writes no table. {NAME_THE_SHARD}"),
    )
}

pub fn reads_tables(function: &str) -> Refusal {
    Refusal::new(
        format!("function {function}() is not supported on several shards"),
        "It reads tables, files or large objects that are named in its arguments",
        NAME_THE_SHARD,
    )
}

pub fn function_in_scatter(function: &str) -> Refusal {
    Refusal::new(
        format!("{function}() over several shards is not supported"),
        "Its value differs from shard to shard",
        "Compare the shard key with a constant or a parameter, or pass the value as a parameter.",
    )
}

pub fn object_number(what: &str) -> Refusal {
    Refusal::new(
        format!("{what} as a number, or where it might become one, is not supported for sharded and reference tables"),
        "Each shard numbers types, tables and functions for itself, so that the OID would be another one than the home shard's",
        "Use its name (cast it to text), compare it with a name ('name'::regtype), or ask for the OID in a statement of its own: SELECT 'name'::regtype::oid.",
    )
}

pub fn size(function: &str, table: &str) -> Refusal {
    Refusal::new(
        format!("{function}() of the sharded table {table} is not supported"),
        "Each shard knows the size of its own part only",
        "Ask each shard, with a comment /* shardway: shard=NAME */ in front, and add the sizes up.",
    )
}

pub fn copies_of_others(table: &str, other: &str) -> Refusal {
    Refusal::new(
        format!("table {table} is a reference table: it can't be written from {other}, which isn't one"),
        "Every shard has a copy, and each would see other rows",
        format!("Read {other} first, then write {table} with what was read."),
    )
}

pub fn function_in_copies(function: &str) -> Refusal {
    Refusal::new(
        format!("{function}() in a write to a reference table is not supported"),
        "Every shard has a copy, and its value would differ from shard to shard",
        "Call it in a statement of its own, and pass the value as a parameter.",
    )
}

pub fn view_of_sharded(view: &str, table: &str) -> Refusal {
    Refusal::new(
        format!("view {view} reads the sharded table {table}"),
        "What a view does with the shard key isn't known to Shardway",
        format!("Query {table} itself. {NAME_THE_SHARD}"),
    )
}

pub fn view_function(view: &str) -> Refusal {
    Refusal::new(
        format!("view {view} calls functions that may read tables on other shards"),
        "A function that it calls is volatile, user-defined or reads tables by name",
        NAME_THE_SHARD,
    )
}

pub fn rules(table: &str) -> Refusal {
    Refusal::new(
        format!("table {table} has rewrite rules"),
        "What they do to a statement isn't known to Shardway",
        NAME_THE_SHARD,
    )
}

pub fn inherits(table: &str, parent: &str) -> Refusal {
    Refusal::new(
        format!("table {table} is a part of {parent}, which is not placed as it is"),
        "Partitions and inheriting tables are where their parent is; they can't be used by themselves",
        format!("Use {parent}, or configure {table} as well. {NAME_THE_SHARD}"),
    )
}

pub fn key_type(table: &str, key: &str) -> Refusal {
    Refusal::new(
        format!("the type of column {key} of table {table} can't be a shard key"),
        "Shard keys are smallint, integer, bigint, text, varchar or uuid; with ranges also date, timestamp, timestamptz and numeric",
        "Change the column's type, or the configuration.",
    )
}

pub fn key_left_out(table: &str, key: &str) -> Refusal {
    Refusal::new(
        format!("INSERT into the sharded table {table} must give a value for its shard key {key}"),
        "A default or a trigger would choose it on the server, when the row's shard must already be known",
        format!("List {key} among the columns and give its value."),
    )
}

pub fn key_unknown(table: &str, key: &str) -> Refusal {
    Refusal::new(
        format!("the value of the shard key {key} for table {table} can't be told before the statement runs"),
        "It has to be a constant, a parameter or integer arithmetic on constants, of a type that fits the column",
        "Compute the value in the application and pass it as a parameter.",
    )
}

pub fn no_column_list(table: &str) -> Refusal {
    Refusal::new(
        format!("INSERT into the sharded table {table} needs a list of columns"),
        "The order of its columns isn't known here",
        format!("Write INSERT INTO {table} (...) VALUES (...)."),
    )
}

pub fn trigger(table: &str, function: &str) -> Refusal {
    Refusal::new(
        format!("a trigger of table {table} calls {function}(), which may use tables on other shards"),
        "It runs on the server that has the row, and what it does there isn't known to Shardway",
        format!("If it uses no other table and leaves the shard key alone, list {function} under safe_functions."),
    )
}

pub fn dated_trigger() -> Refusal {
    Refusal::new(
        "a write on several shards to a table whose trigger takes the time is not supported",
        "Each server would give its rows a time of its own",
        "Write to the shards one by one, or set the column in the statement.",
    )
}

pub fn serial(table: &str, column: &str) -> Refusal {
    Refusal::new(
        format!("column {column} of table {table} is left to a sequence"),
        "Each shard has a sequence of its own, so numbers would repeat: ids are served to INSERT ... VALUES and COPY alone",
        format!("Give {column} a value, for example from a sequence of the home shard or a uuid."),
    )
}

pub fn default_calls(table: &str, column: &str, function: &str) -> Refusal {
    Refusal::new(
        format!(
            "the default of column {column} of table {table} calls {function}(), which may read tables on other shards"
        ),
        "It is user-defined and not immutable, or isn't known",
        format!("Give {column} a value or, if the function reads no table, list {function} under safe_functions."),
    )
}

pub fn shadows(name: &str) -> Refusal {
    Refusal::new(
        format!("a temporary relation can't hide {name} on several shards"),
        "It would exist on one server only, while statements that name it go to all",
        "Give it a name that isn't used by a sharded or reference table, or by a view of one.",
    )
}

pub fn hidden(name: &str) -> Refusal {
    Refusal::new(
        format!("the temporary relation {name} hides another one in a statement over several shards"),
        "The other one is known, and would be read",
        format!("Write pg_temp.{name}, or give the temporary one a name of its own."),
    )
}

pub fn null_key(table: &str, key: &str) -> Refusal {
    Refusal {
        state: SqlState::NOT_NULL_VIOLATION,
        ..Refusal::new(
            format!("null value in column \"{key}\" of relation \"{table}\" violates not-null constraint"),
            "A row without a key has no shard",
            "Give the key a value.",
        )
    }
}

pub fn no_place(table: &str, key: &str, value: &str) -> Refusal {
    Refusal {
        state: SqlState::CHECK_VIOLATION,
        ..Refusal::new(
            format!("no shard holds {key} = {value} of table {table}"),
            "The value is outside every range or list of the configuration",
            "Add a range or a list for it to the configuration.",
        )
    }
}

pub fn locked_copies() -> Refusal {
    Refusal::new(
        "FOR UPDATE or FOR SHARE of a reference table together with sharded tables over several shards is not supported",
        "Each shard would lock its own copy of the row, where others that lock it elsewhere aren't met",
        "Name the sharded tables: FOR UPDATE OF name.",
    )
}

pub fn locked_limit() -> Refusal {
    Refusal::new(
        "FOR UPDATE or FOR SHARE with LIMIT over several shards is not supported",
        "Each shard would lock as many rows as are wanted of all together",
        "Leave LIMIT out, or select the keys first, and lock their rows by their keys.",
    )
}

pub fn key_change(table: &str, key: &str) -> Refusal {
    Refusal::new(
        format!("changing the shard key {key} of table {table} is not supported"),
        "The row would have to move to another shard",
        "Delete the row and insert it again, or leave the key out of SET.",
    )
}

pub fn key_move(table: &str, key: &str, why: &str) -> Refusal {
    Refusal::new(
        format!("changing the shard key {key} of table {table} is not supported here"),
        format!("The row would have to move to another shard. {why}"),
        "Delete the row and insert it again, or leave the key out of SET.",
    )
}

pub fn key_collision(table: &str, key: &str) -> Refusal {
    Refusal::new(
        format!("rows of table {table} can't take each other's {key} in one statement"),
        "If that is an error on one server goes by the order in which it finds the rows",
        "Change them one by one, or by way of keys that no row has.",
    )
}

pub fn key_followed(table: &str, child: &str) -> Refusal {
    Refusal::new(
        format!("a row of table {table} can't move to another shard while rows of {child} refer to it"),
        "Its foreign key would delete or change them (CASCADE, SET NULL or SET DEFAULT) as the row is taken out",
        format!("Move or delete the rows of {child} first."),
    )
}

pub fn comment_unread() -> Refusal {
    Refusal::new(
        "a table's comment in this notation is not supported on several shards",
        "What it says isn't known here, and a comment may place a table",
        "Write it as a plain string: COMMENT ON TABLE t IS 'text'.",
    )
}

pub fn comment_misread(part: &str) -> Refusal {
    Refusal::new(
        format!("\"{part}\" in a comment that places a table is not understood"),
        "A comment that begins with shardway: says where the table's rows are",
        "Write 'shardway: key=column', 'shardway: key=column colocate=table' or 'shardway: reference', and other text behind a semicolon.",
    )
}

pub fn comment_places(table: &str) -> Refusal {
    Refusal::new(
        format!("the comment on {table} says where its rows are, and can't be changed or taken away"),
        "Its rows would be looked for elsewhere",
        "Keep what it begins with, and write other text behind a semicolon: 'shardway: key=column; text'.",
    )
}

pub fn placed_already(table: &str) -> Refusal {
    Refusal::new(
        format!("{table} is placed by the configuration, or isn't a table"),
        "A comment places new tables that the configuration doesn't name",
        "Leave out shardway: from the comment.",
    )
}

pub fn colocated_with_nothing(schema: &str, name: &str) -> Refusal {
    Refusal::new(
        format!("there is no sharded table {schema}.{name} to colocate a table with"),
        "Colocated tables have the same key and placement",
        "Name a sharded table, with its schema unless that is public, or leave colocate out.",
    )
}

pub fn many_writes() -> Refusal {
    Refusal::new(
        "a data-modifying statement with WITH is not supported on several shards",
        "What one part of it writes or reads may be on another shard than what another part does",
        "Compare the shard key with one value in every part, or use one statement for each part in a transaction.",
    )
}

pub fn foreign_key_of_write(constraint: &str, child: &str, parent: &str) -> Refusal {
    Refusal::new(
        format!("foreign key {constraint} of table {child} can't be kept when {parent} changes on several shards"),
        format!("A row of {child} and the row of {parent} that it refers to may be on different shards"),
        "Include the shard key in the foreign key of colocated tables, or name the shard key in the statement.",
    )
}

pub fn not_colocated(one: &str, other: &str) -> Refusal {
    Refusal::new(
        format!("a write on several shards that uses {one} and {other}, which are not colocated, is not supported"),
        "Rows that belong together may be on different shards",
        "Read first, then write with the values that were read, in one transaction.",
    )
}

pub fn moment() -> Refusal {
    Refusal::new(
        "age() of one argument, or the time in RETURNING, is not supported in a write on several shards",
        "Each shard has a clock of its own, and all rows are to have one moment",
        "Pass the time as a parameter.",
    )
}

pub fn moment_default(table: &str, column: &str) -> Refusal {
    Refusal::new(
        format!("the default of column {column} of table {table} takes the time in a way that isn't known"),
        "Each shard has a clock of its own, and all rows are to have one moment",
        format!("Give {column} a value."),
    )
}

pub fn volatile_default(table: &str, column: &str) -> Refusal {
    Refusal::new(
        format!("SET {column} = DEFAULT on several shards is not supported for table {table}"),
        "The default's value differs from shard to shard",
        format!("Give {column} a value."),
    )
}

pub fn dated_literal() -> Refusal {
    Refusal::new(
        "'now' and 'today' as values of a write on several shards are not supported",
        "Each shard has a clock of its own, and all rows are to have one moment",
        "Use now() or CURRENT_DATE, or pass the time as a parameter.",
    )
}

pub fn dated_parameter() -> Refusal {
    Refusal::new(
        "'now' and 'today' as the value of a parameter over several shards are not supported",
        "Each shard has a clock of its own, and all rows are to have one moment",
        "Use now() or CURRENT_DATE, or pass the time itself.",
    )
}

pub fn conflict_returning() -> Refusal {
    Refusal::new(
        "RETURNING of an INSERT on several shards that may leave rows out is not supported",
        "ON CONFLICT DO NOTHING, and DO UPDATE with WHERE, return nothing for some rows, so that the order of the others isn't known",
        "Leave RETURNING out, use DO UPDATE without WHERE, or insert the rows of each shard by themselves.",
    )
}

pub fn conflict_order() -> Refusal {
    Refusal::new(
        "the order of what RETURNING gives isn't known for this INSERT on several shards",
        "ON CONFLICT left out some of several rows with the same shard key, and which of them doesn't show",
        "Leave RETURNING out, or insert such rows by themselves.",
    )
}

pub fn conflict_target(table: &str, key: &str) -> Refusal {
    Refusal::new(
        format!(
            "ON CONFLICT of an INSERT into {table} on several shards needs a unique index with its shard key {key}"
        ),
        "A row that conflicts could be on another shard than the new one",
        format!("Name a constraint or columns that include {key}."),
    )
}

pub fn conflict_value(table: &str, columns: &str) -> Refusal {
    Refusal::new(
        format!("ON CONFLICT of an INSERT into {table} on {columns} needs their values as constants or parameters"),
        "They are kept unique over all shards, and each row goes to the shard of the row that has its values, which has to be known before",
        format!(
            "Write VALUES with constants or parameters for {columns}, without RETURNING of more than the statement's own rows."
        ),
    )
}

pub fn insert_query(table: &str, key: &str) -> Refusal {
    Refusal::new(
        format!("INSERT into {table} from a query is not supported unless its rows stay on one shard"),
        format!("The query's column for {key} is not known to have one value"),
        "Select from a colocated table with its shard key compared to a constant, and insert that key; or insert the rows one by one.",
    )
}

pub fn copy_atomic() -> Refusal {
    Refusal::new(
        "COPY of a sharded table is not supported with shardway.consistency = 'atomic'",
        "The shards' rows are read one shard after the other",
        "Use COPY (SELECT ...) TO STDOUT.",
    )
}

pub fn not_transferred(what: &str) -> Refusal {
    Refusal::new(
        format!("INSERT from a query with {what} is not supported unless its rows stay on one shard"),
        "The rows would be made in another database and go from there to their shards",
        "Leave it out, or select first and insert what was read.",
    )
}

pub fn merge() -> Refusal {
    Refusal::new(
        "MERGE into a sharded table is not supported unless its shard key is compared with a constant, or with that of a colocated table which is the source",
        "A row of the source would be matched with rows of several shards, or be new on each",
        "Add the shard key to the condition and insert the source's key, or use INSERT ... ON CONFLICT or UPDATE with the shard key.",
    )
}

pub fn merge_copies(table: &str) -> Refusal {
    Refusal::new(
        format!("MERGE into the reference table {table} is not supported"),
        "Its copies on all shards must stay alike",
        "Use INSERT ... ON CONFLICT, UPDATE and DELETE.",
    )
}

pub fn makes_table(what: &str) -> Refusal {
    Refusal::new(
        format!("{what} is not supported on several shards"),
        "The new table would be on one shard only, its rows on another",
        "Create the table first, then insert into it (INSERT ... SELECT).",
    )
}

pub fn catalog_column(table: &str, column: &str) -> Refusal {
    Refusal::new(
        format!("column {column} of {table} together with sharded tables is not supported"),
        "The statement is answered in another database, where its values would mean something else",
        "Read it by a statement of its own.",
    )
}

pub fn ddl(what: &str) -> Refusal {
    Refusal::new(
        format!("{what} is not supported on several shards yet"),
        "It changes what every shard must have alike",
        NAME_ONE_SHARD,
    )
}

pub fn mixed_definition(what: &str, table: &str) -> Refusal {
    Refusal::new(
        format!("{what} of {table} together with tables that are elsewhere is not supported"),
        "Unsharded tables are on the home shard only, sharded and reference tables on every shard",
        "Use a statement for each of them.",
    )
}

pub fn unique_without_key(table: &str, key: &str) -> Refusal {
    Refusal::new(
        format!("a unique constraint of the sharded table {table} must contain its shard key {key}"),
        "Each shard would hold it for its own rows only, so that two shards could have the same value",
        format!(
            "Have Shardway keep it: unique = [\"COLUMN\"] in the table's section of the configuration. Or add {key} to its columns, or make it of one serial or identity column, whose values don't repeat. To have it on each shard all the same, run it on each with /* shardway: shard=NAME */ in front."
        ),
    )
}

pub fn exclusion(table: &str) -> Refusal {
    Refusal::new(
        format!("an exclusion constraint of the sharded table {table} is not supported"),
        "Each shard would hold it for its own rows only",
        NAME_ONE_SHARD,
    )
}

pub fn foreign_key(table: &str, parent: &str, why: &str) -> Refusal {
    Refusal::new(
        format!("a foreign key from {table} to {parent} can't hold on several shards"),
        format!("Each server checks its own rows: {why}"),
        "A sharded table may refer to reference tables, and to a colocated table by columns that pair the two shard keys; a reference table to reference tables; an unsharded one to unsharded and reference tables. Leave the constraint out otherwise (Django: db_constraint=False).",
    )
}

/// It pairs the two shard keys, but nothing says that the tables belong together.
pub fn foreign_key_apart(table: &str, parent: &str, parent_name: &str) -> Refusal {
    Refusal::new(
        format!("a foreign key from {table} to {parent} can't hold on several shards"),
        format!("The configuration doesn't say that {table} is colocated with {parent}"),
        format!("Write colocate = \"{parent_name}\" for the table {table} in the configuration."),
    )
}

pub fn like(table: &str, source: &str) -> Refusal {
    Refusal::new(
        format!("table {table} can't be made like {source}"),
        format!("{source} is not on every shard, or has unique indexes without the shard key"),
        "Write its columns and constraints out.",
    )
}

pub fn key_altered(table: &str, key: &str, what: &str) -> Refusal {
    Refusal::new(
        format!("the shard key {key} of table {table} can't be {what}"),
        "Rows are placed by it: they would no longer be where they are looked for",
        "Make a new table and copy the rows.",
    )
}

pub fn renamed_table(table: &str) -> Refusal {
    Refusal::new(
        format!("table {table} can't be renamed or moved to another schema"),
        "The configuration places tables by their names",
        "Rename it on each shard with /* shardway: shard=NAME */ in front, and in the configuration at the same time.",
    )
}

pub fn filled_column(table: &str) -> Refusal {
    Refusal::new(
        format!("a column of {table} that servers fill by themselves can't be added to rows that are there"),
        "Each shard would number, or compute, its own rows: the values would repeat or differ from copy to copy",
        "Add the column without a default, fill it by UPDATE, and set the default then.",
    )
}

pub fn partition(table: &str) -> Refusal {
    Refusal::new(
        format!("partitions of {table} can't be attached or detached on several shards"),
        "A table by itself is on the home shard only, a partition where its table is",
        "Create it with CREATE TABLE ... PARTITION OF, or drop it.",
    )
}

pub fn maintenance(what: &str) -> Refusal {
    Refusal::new(
        format!("{what} of anything but unsharded tables is not supported on several shards"),
        "It works on one server",
        NAME_ONE_SHARD,
    )
}

pub fn procedure(what: &str) -> Refusal {
    Refusal::new(
        format!("{what} may use tables on any shard"),
        "What the procedure does isn't known to Shardway",
        NAME_THE_SHARD,
    )
}

pub fn as_execute() -> Refusal {
    Refusal::new(
        "CREATE TABLE AS EXECUTE is not supported on several shards",
        "What is prepared is known to Shardway, not to the servers",
        "Write the statement itself instead of EXECUTE.",
    )
}

pub fn prepared_among_others() -> Refusal {
    Refusal::new(
        "PREPARE, EXECUTE and DEALLOCATE are not supported among other statements in one Query",
        "Shardway keeps what is prepared, and a Query of several statements is read as a whole before it runs",
        "Send each statement by itself.",
    )
}

pub fn execute_arguments(function: &str) -> Refusal {
    Refusal::new(
        format!("{function}() as an argument of EXECUTE is not supported on several shards"),
        "The arguments are computed on one server, and its value would be that server's",
        "Select the value first, and pass it.",
    )
}

pub fn prepared_statements_view() -> Refusal {
    Refusal::new(
        "pg_prepared_statements is not supported on several shards",
        "Prepared statements outlive the connection they were prepared on: what a server knows isn't what the client has prepared",
        "PREPARE says whether the name is taken (SQLSTATE 42P05).",
    )
}

pub fn two_phase() -> Refusal {
    Refusal::new(
        "PREPARE TRANSACTION, COMMIT PREPARED and ROLLBACK PREPARED are not supported on several shards",
        "A prepared transaction lives on one server",
        NAME_ONE_SHARD,
    )
}

pub fn copy_key(table: &str, key: &str) -> Refusal {
    Refusal::new(
        format!("the shard key {key} of a row for table {table} can't be read"),
        "Its form isn't one whose meaning is certain for the column's type, whatever the session's settings are",
        "Write it as PostgreSQL puts it out, in UTF-8, or INSERT the row.",
    )
}

pub fn copy_row() -> Refusal {
    Refusal::new(
        "a row of the COPY can't be read well enough to know its shard",
        "Its fields or its end aren't written as the others are",
        "Correct the row, or INSERT it.",
    )
}

pub fn copy_sequence(table: &str, column: &str) -> Refusal {
    Refusal::new(
        format!("COPY that leaves column {column} of table {table} to a sequence is not supported"),
        "Each shard has a sequence of its own, so numbers would repeat",
        format!("Give {column} in the data, or INSERT the rows."),
    )
}

pub fn copy_default(table: &str, column: &str) -> Refusal {
    Refusal::new(
        format!("COPY that leaves column {column} of the reference table {table} to its default is not supported"),
        "Each shard would compute it, and the copies would differ",
        format!("Give {column} in the data."),
    )
}

pub fn copy_option(option: &str) -> Refusal {
    Refusal::new(
        format!("the option {option} of COPY is not supported on several shards"),
        "It may change what the rows are, and they have to be divided by shard",
        "Leave the option out.",
    )
}

pub fn copy_key_encoding(key: &str) -> Refusal {
    Refusal::new(
        format!("a shard key {key} with other characters than ASCII needs data in UTF8"),
        "Where a row belongs is computed from the key as the servers store it",
        "Send the data in UTF8 (SET client_encoding, or the option ENCODING).",
    )
}

pub fn copy_encoding(encoding: &str) -> Refusal {
    Refusal::new(
        format!("COPY in the encoding {encoding} is not supported on several shards"),
        "Rows are divided as they come, and in this encoding a byte of a character may look like a delimiter or belong to a key",
        "Send the data in UTF8.",
    )
}

pub fn server_file() -> Refusal {
    Refusal::new(
        "COPY with a file or program of the server is not supported on several shards",
        "The file is on one server",
        "Use COPY ... FROM STDIN or TO STDOUT (psql: \\copy).",
    )
}

pub fn cursor() -> Refusal {
    Refusal::new(
        "a cursor over several shards is not supported",
        "DECLARE opens the cursor on one server",
        "Restrict the shard key to one value, or run the query without a cursor.",
    )
}

pub fn explain() -> Refusal {
    Refusal::new("EXPLAIN of such a statement is not supported on several shards", "", "")
}

pub fn batch(what: &str) -> Refusal {
    Refusal::new(
        format!("several statements in one query string {what}"),
        "They run in one transaction, on one shard",
        "Send them one by one.",
    )
}

pub fn no_such_shard(name: &str, known: &str) -> Refusal {
    Refusal {
        state: SqlState::INVALID_PARAMETER_VALUE,
        ..Refusal::new(format!("there is no shard \"{name}\""), format!("The shards are {known}"), "")
    }
}

pub fn bad_hint(body: &str) -> Refusal {
    Refusal {
        state: SqlState::INVALID_PARAMETER_VALUE,
        ..Refusal::new(
            format!("the hint \"{body}\" is not understood"),
            "",
            "Write /* shardway: key=VALUE */ or /* shardway: shard=NAME */.",
        )
    }
}

pub fn hint_value(value: &str, table: &str, key: &str) -> Refusal {
    Refusal {
        state: SqlState::INVALID_PARAMETER_VALUE,
        ..Refusal::new(
            format!("the hint's key \"{value}\" is no value of {key} of table {table}, or has no shard"),
            "",
            "Write the value as PostgreSQL would read it, or name the shard.",
        )
    }
}

pub fn hint_disagrees(table: &str) -> Refusal {
    Refusal::new(
        format!("the hint and the statement disagree about the shard of table {table}"),
        "The keys in the statement belong to another shard",
        "Leave the hint out, or correct it.",
    )
}

pub fn hint_not_applicable() -> Refusal {
    Refusal::new(
        "a key can't say where this statement belongs",
        "Which sharded tables it uses isn't known",
        "Name the shard: /* shardway: shard=NAME */.",
    )
}

pub fn sequence_forgotten() -> Refusal {
    Refusal::new(
        "what this session last got from a sequence is not known any more",
        "The server's connection that remembers it has served another client since",
        "Call currval or lastval in the same transaction, or write INSERT ... RETURNING.",
    )
}

pub fn sequence_served() -> Refusal {
    Refusal::new(
        "currval and lastval don't know of an id that Shardway gave to a row of a sharded or reference table",
        "No server's connection has drawn it for this session alone",
        "Write INSERT ... RETURNING.",
    )
}

pub fn hint_and_home() -> Refusal {
    Refusal::new(
        "a key can't say where this statement belongs: it reads tables of the home shard as well",
        "The key belongs to another shard, which doesn't have them",
        "Leave the hint out.",
    )
}

pub fn too_many_relations() -> Refusal {
    Refusal {
        state: SqlState::STATEMENT_TOO_COMPLEX,
        ..Refusal::new("the statement joins too many sharded tables", "", "")
    }
}
