//! Claims on each shard: what keeps columns unique over all of them. In: a [`Unique`] and connections of the control
//! plane. Out: the texts of what lives on the servers, and whether it is there.
//!
//! - `shardway.<claims>` has one row for each value, with the shard key of the row that has it, on the shard of the
//!   value's hash: its unique index is where two transactions meet.
//! - Triggers on the table itself note in `shardway.claim_notes` what each statement has changed, in its transaction, so
//!   that whatever writes (COPY, cascades, functions) is noticed with the values as they were stored. Whoever sent the
//!   statement takes the notes and writes the claims in the same transaction; a deferred trigger makes sure of that.
//! - Connections that aren't Shardway's leave no notes: `verify` finds what they did.

use tokio_postgres::Client;

use super::records::{SCHEMA, describe};
use crate::routing::Unique;
use crate::sql::quote_identifier;

/// What a data connection is started with, by which the triggers know it.
pub const MARK: &str = "-c shardway.proxy=on";

/// Takes the notes of this transaction: claims, `+` or `-`, the values as text, the key.
pub const TAKE: &str = "SELECT * FROM shardway.claims_take()";

/// Whether there can be notes at all.
pub const IS_THERE: &str = "SELECT pg_catalog.to_regproc('shardway.claims_take') IS NOT NULL";

/// Behind [`SCHEMA`].
const COMMON: &str = r#"
CREATE TABLE IF NOT EXISTS shardway.claims (name text PRIMARY KEY, complete boolean NOT NULL);
CREATE UNLOGGED TABLE IF NOT EXISTS shardway.claim_notes (
    xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    n bigint GENERATED ALWAYS AS IDENTITY,
    claims text NOT NULL, op "char" NOT NULL, v1 text, v2 text, v3 text, v4 text, key text,
    PRIMARY KEY (xid, n)
);
CREATE OR REPLACE FUNCTION shardway.claims_take()
RETURNS TABLE (claims text, op "char", v1 text, v2 text, v3 text, v4 text, key text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_catalog.pg_current_xact_id_if_assigned() IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY WITH taken AS (
        DELETE FROM shardway.claim_notes c WHERE c.xid = pg_catalog.pg_current_xact_id() RETURNING c.*
    ) SELECT t.claims, t.op, t.v1, t.v2, t.v3, t.v4, t.key FROM taken t ORDER BY t.n;
END $$;
CREATE OR REPLACE FUNCTION shardway.claims_taken() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM shardway.claim_notes c WHERE c.xid = pg_catalog.pg_current_xact_id()) THEN
        RAISE EXCEPTION 'a table whose columns are kept unique over all shards was written by a statement that Shardway can''t follow'
            USING ERRCODE = '0A000', DETAIL = 'It is written by a function, a trigger or a cascade, outside of a transaction block.',
                  HINT = 'Put the statement between BEGIN and COMMIT.';
    END IF;
    RETURN NULL;
END $$;
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = 'shardway.claim_notes'::pg_catalog.regclass
                   AND tgname = 'claims_taken') THEN
        CREATE CONSTRAINT TRIGGER claims_taken AFTER INSERT ON shardway.claim_notes
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shardway.claims_taken();
    END IF;
END $$;
"#;

/// Why claims can't be kept on a server.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    #[error("the table isn't there, or is not an ordinary table")]
    NoTable,
    #[error("column {0} isn't there")]
    NoColumn(String),
    #[error(
        "column {0} is of a type whose values can't be claimed (smallint, integer, bigint, text, varchar and uuid can)"
    )]
    Type(String),
    #[error("{0}")]
    Failed(String),
}

impl From<tokio_postgres::Error> for Unready {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Failed(describe(&error))
    }
}

/// What a server has of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    /// The table's OID.
    pub table: u32,
    /// Every change leaves a note.
    pub attached: bool,
    /// Every value has its claim.
    pub complete: bool,
}

pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// An array of texts, as a constant.
pub fn array<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<String> = values.map(literal).collect();
    if all.is_empty() { "'{}'".to_owned() } else { format!("ARRAY[{}]::pg_catalog.text[]", all.join(",")) }
}

fn table_of(unique: &Unique) -> String {
    format!("{}.{}", quote_identifier(&unique.schema), quote_identifier(&unique.table))
}

fn claims_of(unique: &Unique) -> String {
    format!("shardway.{}", quote_identifier(&unique.claims))
}

/// # Errors
/// The server's or the connection's; that there is no such table.
pub async fn state(client: &Client, unique: &Unique) -> Result<State, Unready> {
    let there = "SELECT pg_catalog.to_regclass('shardway.claims') IS NOT NULL, \
         COALESCE((SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'r'), 0), \
         (SELECT pg_catalog.count(*) FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 \
         AND t.tgfoid = pg_catalog.to_regproc($3) AND t.tgenabled <> 'D') = 4";
    let function = format!("shardway.{}", quote_identifier(&format!("{}_note", unique.claims)));
    let row = client.query_one(there, &[&unique.schema, &unique.table, &function]).await?;
    let (has_claims, table, attached): (bool, u32, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if table == 0 {
        return Err(Unready::NoTable);
    }
    let complete = has_claims && attached && {
        let query = "SELECT COALESCE((SELECT complete FROM shardway.claims WHERE name = $1), false)";
        client.query_one(query, &[&unique.claims]).await?.try_get(0)?
    };
    Ok(State { table, attached: has_claims && attached, complete })
}

/// The columns and the key, each with its type as text.
async fn columns(client: &Client, unique: &Unique) -> Result<(Vec<(String, String)>, (String, String)), Unready> {
    let query = "SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), \
         a.atttypid IN (20, 21, 23, 25, 1043, 2950) AND COALESCE(l.collisdeterministic, true) \
         FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation \
         WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";
    let rows = client.query(query, &[&table_of(unique)]).await?;
    let mut known = Vec::new();
    for row in &rows {
        let (name, kind, fits): (String, String, bool) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        known.push((name, kind, fits));
    }
    let find = |wanted: &String| {
        let found = known.iter().find(|(name, _, _)| name == wanted);
        found.ok_or_else(|| Unready::NoColumn(wanted.clone()))
    };
    let mut columns = Vec::new();
    for column in &unique.columns {
        let (name, kind, fits) = find(column)?;
        if !fits {
            return Err(Unready::Type(column.clone()));
        }
        columns.push((name.clone(), kind.clone()));
    }
    let (name, kind, _) = find(&unique.key)?;
    Ok((columns, (name.clone(), kind.clone())))
}

/// Makes what is missing: the claims and the functions that write them, for these logins.
///
/// # Errors
/// The server's, as when the login may not create it.
pub async fn create(client: &Client, unique: &Unique, logins: &[String]) -> Result<(), Unready> {
    let (columns, key) = columns(client, unique).await?;
    let mut sql = format!("BEGIN;{SCHEMA}{COMMON}");
    for login in logins {
        sql.push_str(&format!("INSERT INTO shardway.logins VALUES ({}) ON CONFLICT DO NOTHING;", literal(login)));
    }
    sql.push_str(&Texts { unique, columns: &columns, key: &key }.objects());
    sql.push_str("COMMIT;");
    run(client, &sql).await
}

/// Has each change of the table leave a note from now on; waits for those who write it, but not for long.
///
/// # Errors
/// The server's, as when the login doesn't own the table.
pub async fn attach(client: &Client, unique: &Unique) -> Result<(), Unready> {
    let (table, claims) = (table_of(unique), &unique.claims);
    let function = format!("shardway.{}", quote_identifier(&format!("{claims}_note")));
    // A trigger's name starts with what the catalog leaves out, and is the claims' otherwise.
    let trigger = |ending: &str| quote_identifier(&format!("shardway_{claims}_{ending}"));
    let kinds = [
        ("i", "AFTER INSERT", "REFERENCING NEW TABLE AS new_rows"),
        ("u", "AFTER UPDATE", "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"),
        ("d", "AFTER DELETE", "REFERENCING OLD TABLE AS old_rows"),
        ("t", "BEFORE TRUNCATE", ""),
    ];
    let mut sql = "BEGIN; SET LOCAL lock_timeout = '5s';".to_owned();
    for (ending, event, referencing) in kinds {
        let name = trigger(ending);
        sql.push_str(&format!(
            "DROP TRIGGER IF EXISTS {name} ON {table}; CREATE TRIGGER {name} {event} ON {table} {referencing} \
             FOR EACH STATEMENT EXECUTE FUNCTION {function}();"
        ));
    }
    sql.push_str(&format!(
        "INSERT INTO shardway.claims VALUES ({}, false) ON CONFLICT (name) DO UPDATE SET complete = false; COMMIT;",
        literal(claims)
    ));
    run(client, &sql).await
}

/// # Errors
/// The server's.
pub async fn is_empty(client: &Client, unique: &Unique) -> Result<bool, Unready> {
    let query = format!("SELECT NOT EXISTS (SELECT FROM {})", table_of(unique));
    Ok(client.query_one(&query, &[]).await?.try_get(0)?)
}

/// Claims of a table that was dropped.
///
/// # Errors
/// The server's.
pub async fn clear(client: &Client, unique: &Unique) -> Result<(), Unready> {
    run(client, &format!("TRUNCATE {}", claims_of(unique))).await
}

/// # Errors
/// The server's.
pub async fn complete(client: &Client, unique: &Unique) -> Result<(), Unready> {
    run(client, &format!("UPDATE shardway.claims SET complete = true WHERE name = {}", literal(&unique.claims))).await
}

async fn run(client: &Client, sql: &str) -> Result<(), Unready> {
    if let Err(error) = client.batch_execute(sql).await {
        let _ = client.batch_execute("ROLLBACK").await;
        return Err(error.into());
    }
    Ok(())
}

/// The texts of what one [`Unique`] has on each server.
struct Texts<'a> {
    unique: &'a Unique,
    /// With their types.
    columns: &'a [(String, String)],
    key: &'a (String, String),
}

impl Texts<'_> {
    fn list(&self, each: impl Fn(usize, &str, &str) -> String, separator: &str) -> String {
        let all: Vec<String> =
            self.columns.iter().enumerate().map(|(at, (name, kind))| each(at + 1, name, kind)).collect();
        all.join(separator)
    }

    fn objects(&self) -> String {
        let claims = claims_of(self.unique);
        let (table, key) = (table_of(self.unique), quote_identifier(&self.key.0));
        let names = self.list(|_, name, _| quote_identifier(name), ", ");
        let index = quote_identifier(&self.unique.index());
        let mut sql = format!(
            "CREATE TABLE IF NOT EXISTS {claims} AS SELECT {names}, {key} FROM {table} WITH NO DATA;\
             CREATE UNIQUE INDEX IF NOT EXISTS {index} ON {claims} ({names});"
        );
        sql.push_str(&self.note(&table, &key));
        sql.push_str(&self.apply(&claims, &names, &key));
        sql.push_str(&self.reserve(&claims, &names, &key));
        sql.push_str(&self.find(&claims, &key));
        sql
    }

    fn function(&self, ending: &str, arguments: &str, returns: &str, body: &str) -> String {
        let name = quote_identifier(&format!("{}_{ending}", self.unique.claims));
        format!(
            "CREATE OR REPLACE FUNCTION shardway.{name}({arguments}) RETURNS {returns} LANGUAGE plpgsql VOLATILE \
             SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $shardway$\n#variable_conflict use_column\n{body}$shardway$;"
        )
    }

    fn note(&self, table: &str, key: &str) -> String {
        let names = self.list(|_, name, _| quote_identifier(name), ", ");
        let texts = self.list(|_, name, _| format!("{}::text", quote_identifier(name)), ", ");
        let places = self.list(|at, _, _| format!("v{at}"), ", ");
        let whole = self.list(|_, name, _| format!("{} IS NOT NULL", quote_identifier(name)), " AND ");
        let claims = literal(&self.unique.claims);
        let insert = |op: &str, from: &str| {
            format!(
                "INSERT INTO shardway.claim_notes (claims, op, {places}, key) \
                 SELECT {claims}, '{op}', {texts}, {key}::text FROM {from} WHERE {whole};"
            )
        };
        let rows = |rows: &str| format!("SELECT {names}, {key} FROM {rows}");
        let differing = |one: &str, other: &str| format!("({} EXCEPT ALL {}) d", rows(one), rows(other));
        let body = format!(
            "BEGIN\nIF pg_catalog.current_setting('shardway.proxy', true) IS DISTINCT FROM 'on' THEN RETURN NULL; END IF;\n\
             IF TG_OP = 'INSERT' THEN {}\nELSIF TG_OP = 'DELETE' THEN {}\nELSIF TG_OP = 'UPDATE' THEN {} {}\n\
             ELSE {}\nEND IF;\nRETURN NULL;\nEND ",
            insert("+", "new_rows"),
            insert("-", "old_rows"),
            insert("-", &differing("old_rows", "new_rows")),
            insert("+", &differing("new_rows", "old_rows")),
            insert("-", table),
        );
        let name = quote_identifier(&format!("{}_note", self.unique.claims));
        format!(
            "CREATE OR REPLACE FUNCTION shardway.{name}() RETURNS trigger LANGUAGE plpgsql VOLATILE SECURITY DEFINER \
             SET search_path = pg_catalog, pg_temp AS $shardway$\n#variable_conflict use_column\n{body}$shardway$;"
        )
    }

    /// Removed, moved and added claims, each as arrays of the columns' values and of keys.
    fn apply(&self, claims: &str, names: &str, key: &str) -> String {
        let kinds = ["r", "m", "a"];
        let arguments: Vec<String> = kinds
            .iter()
            .map(|kind| format!("{}, {kind}k text[]", self.list(|at, _, _| format!("{kind}{at} text[]"), ", ")))
            .collect();
        let rows = |kind: &str| {
            let arrays = self.list(|at, _, _| format!("{kind}{at}"), ", ");
            let places = self.list(|at, _, _| format!("c{at}"), ", ");
            format!("unnest({arrays}, {kind}k) AS v({places}, k)")
        };
        let same = self.list(|at, name, kind| format!("t.{} = v.c{at}::{kind}", quote_identifier(name)), " AND ");
        let values = self.list(|at, _, kind| format!("v.c{at}::{kind}"), ", ");
        let key_type = &self.key.1;
        let body = format!(
            "BEGIN\nPERFORM shardway.only_logins();\n\
             DELETE FROM {claims} t USING {} WHERE {same} AND t.{key} = v.k::{key_type};\n\
             INSERT INTO {claims} ({names}, {key}) SELECT {values}, v.k::{key_type} FROM {} \
             ON CONFLICT ({names}) DO UPDATE SET {key} = EXCLUDED.{key};\n\
             INSERT INTO {claims} ({names}, {key}) SELECT {values}, v.k::{key_type} FROM {};\nEND ",
            rows("r"),
            rows("m"),
            rows("a"),
        );
        self.function("apply", &arguments.join(", "), "void", &body)
    }

    /// For each value who has its claim, which stays so until the transaction ends; a value without one gets the key
    /// that is given with it.
    fn reserve(&self, claims: &str, names: &str, key: &str) -> String {
        let arguments = self.list(|at, _, _| format!("shw_a{at} text[]"), ", ");
        let same =
            self.list(|at, name, kind| format!("t.{} = shw_a{at}[shw_i]::{kind}", quote_identifier(name)), " AND ");
        let values = self.list(|at, _, kind| format!("shw_a{at}[shw_i]::{kind}"), ", ");
        let key_type = &self.key.1;
        let body = format!(
            "DECLARE shw_i int; shw_owner text;\nBEGIN\nPERFORM shardway.only_logins();\n\
             FOR shw_i IN 1 .. pg_catalog.cardinality(shw_ak) LOOP\nLOOP\n\
             INSERT INTO {claims} ({names}, {key}) VALUES ({values}, shw_ak[shw_i]::{key_type}) ON CONFLICT DO NOTHING;\n\
             IF FOUND THEN RETURN QUERY SELECT shw_i, shw_ak[shw_i], true; EXIT; END IF;\n\
             SELECT t.{key}::text INTO shw_owner FROM {claims} t WHERE {same} FOR SHARE;\n\
             IF FOUND THEN RETURN QUERY SELECT shw_i, shw_owner, false; EXIT; END IF;\n\
             END LOOP;\nEND LOOP;\nEND "
        );
        self.function(
            "reserve",
            &format!("{arguments}, shw_ak text[]"),
            "TABLE (place int, owner_key text, is_new boolean)",
            &body,
        )
    }

    /// For each value the key of the row that has it.
    fn find(&self, claims: &str, key: &str) -> String {
        let arguments = self.list(|at, _, _| format!("shw_a{at} text[]"), ", ");
        let arrays = self.list(|at, _, _| format!("shw_a{at}"), ", ");
        let places = self.list(|at, _, _| format!("c{at}"), ", ");
        let same = self.list(|at, name, kind| format!("t.{} = v.c{at}::{kind}", quote_identifier(name)), " AND ");
        let body = format!(
            "BEGIN\nPERFORM shardway.only_logins();\nRETURN QUERY SELECT v.n::int, t.{key}::text \
             FROM unnest({arrays}) WITH ORDINALITY AS v({places}, n) JOIN {claims} t ON {same};\nEND "
        );
        self.function("find", &arguments, "TABLE (place int, owner_key text)", &body)
    }
}
