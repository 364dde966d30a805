//! Tables that a gather reads and no catalog has: temporary ones of the client's, and those that were made a moment ago. In:
//! the gather. Out: the same with their columns, of which the client's own connection to the home shard is asked.

use super::{Failure, Gathering, Session};
use crate::planning::Access;
use crate::planning::gather::{Column, Table};
use crate::planning::refusal;
use crate::protocol::backend;
use crate::session::parts::Undone;
use crate::sql::quote_identifier;
use crate::types::{ClientError, SqlState};

/// As PostgreSQL calls the schema of a session's own.
const TEMPORARY: &str = "pg_temp";

impl Session {
    pub(super) async fn look_at_unknown(
        &mut self,
        gathering: &mut Gathering<'_>,
        access: Access,
    ) -> Result<(), Failure> {
        let known = gathering.gather.may_be_hidden.clone();
        if let Err(undone) = self.admit_names(&known).await {
            return Err(self.undone_gather(undone).await);
        }
        let tables = gathering.gather.tables.iter().enumerate();
        let unknown: Vec<(usize, Table)> =
            tables.filter(|(_, table)| table.is_unknown()).map(|(place, table)| (place, table.clone())).collect();
        let home = self.database.config.home;
        for (place, table) in unknown {
            let answer = match self.ask_one(home, &question(&table)).await {
                Ok(answer) => answer,
                Err(undone) => return Err(self.undone_gather(undone).await),
            };
            let rows = (0..answer.ends.len()).map(|row| column(answer.row(row)?));
            let columns = rows.collect::<Option<Vec<Described>>>().ok_or_else(|| {
                ClientError::new(SqlState::INTERNAL_ERROR, "columns were described in a way that isn't known")
            })?;
            if table.is_system()
                && let Some(column) = columns.iter().find(|described| !is_portable(&described.column.type_name))
            {
                return Err(ClientError::from(refusal::catalog_column(&table.display, &column.column.name)).into());
            }
            let Some(first) = columns.first() else {
                // It isn't there, most likely.
                if self.parse_at_home((&gathering.original, &gathering.types), access).await? {
                    return Err(Failure::Told);
                }
                return Err(ClientError::from(refusal::cannot_gather_table(&table.display)).into());
            };
            if let Some(known) = gathering.gather.to_mut().tables.get_mut(place) {
                first.schema.clone_into(&mut known.schema);
                (known.oid, known.row_types) = (first.oid, first.row_types);
                known.columns = columns.into_iter().map(|described| described.column).collect();
            }
        }
        Ok(())
    }

    /// That relations of the home shard, which are read by their own names elsewhere than in the client's text, are what
    /// the client means: a temporary one comes first.
    pub(in crate::session) async fn admit_names(&mut self, names: &[String]) -> Result<(), Undone> {
        if names.is_empty() || !self.state.pins.temporary_objects {
            return Ok(());
        }
        let answer = self.ask_one(self.database.config.home, &hidden(names)).await?;
        match answer.row(0).and_then(|row| backend::cells(row).ok()?.into_iter().next()?) {
            Some(name) => Err(ClientError::from(refusal::hidden(&String::from_utf8_lossy(&name))).into()),
            None => Ok(()),
        }
    }
}

/// Which of these names temporary relations have.
fn hidden(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| literal(name)).collect();
    format!(
        "SELECT relname::pg_catalog.text FROM pg_catalog.pg_class \
         WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relname = ANY (ARRAY[{}]::pg_catalog.text[]) LIMIT 1",
        names.join(", ")
    )
}

/// Whatever the client's settings say of backslashes.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

/// Its schema; name, number, type and collation of each column; its OID, and those of the types of its rows and of arrays of them. Views that aren't temporary are left out: what
/// they read isn't known.
fn question(table: &Table) -> String {
    let regclass = |schema: &str| {
        let schema = if schema.is_empty() { String::new() } else { format!("{}.", quote_identifier(schema)) };
        format!("pg_catalog.to_regclass({})", literal(&format!("{schema}{}", quote_identifier(&table.name))))
    };
    let (kinds, named, temporary) = if table.is_system() {
        let names: Vec<String> = table.named.iter().map(|name| literal(name)).collect();
        let names = format!("ARRAY[{}]::pg_catalog.text[]", names.join(", "));
        let named = format!(" AND (a.attname::pg_catalog.text = ANY ({names}) OR a.attnum = 1)");
        ("'r', 'p', 'v'", named, "NULL".to_owned())
    } else {
        ("'r', 'p'", String::new(), regclass(TEMPORARY))
    };
    format!(
        "SELECT CASE WHEN c.relpersistence = 't' THEN '{TEMPORARY}' ELSE cn.nspname END::pg_catalog.text, a.attname::pg_catalog.text, a.attnum::pg_catalog.text, \
         CASE WHEN n.nspname <> 'pg_catalog' AND pg_catalog.pg_type_is_visible(t.oid) \
         THEN pg_catalog.quote_ident(n.nspname) || '.' ELSE '' END || pg_catalog.format_type(a.atttypid, a.atttypmod), \
         CASE WHEN a.attcollation <> t.typcollation \
         THEN pg_catalog.quote_ident(ln.nspname) || '.' || pg_catalog.quote_ident(l.collname) END, \
         c.oid::pg_catalog.text, c.reltype::pg_catalog.text, rt.typarray::pg_catalog.text \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace \
         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
         JOIN pg_catalog.pg_type rt ON rt.oid = c.reltype \
         LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation \
         LEFT JOIN pg_catalog.pg_namespace ln ON ln.oid = l.collnamespace \
         WHERE c.oid = COALESCE({}, {}) AND (c.relkind IN ({kinds}) OR c.relpersistence = 't') \
         {named} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        temporary,
        regclass(&table.schema)
    )
}

/// If values of a catalog's column mean the same on the scratch database, whose numbers are others, and go there in
/// binary.
fn is_portable(type_name: &str) -> bool {
    !["reg", "pg_", "aclitem", "any"].iter().any(|start| type_name.starts_with(start))
}

/// A column, with what is known of its table.
struct Described {
    schema: String,
    column: Column,
    oid: u32,
    row_types: (u32, u32),
}

fn column(frame: &[u8]) -> Option<Described> {
    let cells = backend::cells(frame).ok()?;
    let text = |place: usize| cells.get(place)?.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let number = |place: usize| text(place)?.parse().ok();
    Some(Described {
        schema: text(0)?,
        column: Column {
            name: text(1)?,
            number: text(2)?.parse().ok()?,
            type_name: text(3)?,
            collation: text(4),
            for_key: false,
        },
        oid: number(5)?,
        row_types: (number(6)?, number(7)?),
    })
}
