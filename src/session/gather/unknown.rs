//! Tables that a gather reads and no catalog has: temporary ones of the client's, and those that were made a moment ago. In:
//! the gather. Out: the same with their columns, of which the client's own connection to the home shard is asked.

use super::sql::quote;
use super::{Failure, Gathering, Session};
use crate::planning::Access;
use crate::planning::gather::{Column, Table};
use crate::planning::refusal;
use crate::protocol::backend;
use crate::types::{ClientError, SqlState};

/// As PostgreSQL calls the schema of a session's own.
const TEMPORARY: &str = "pg_temp";

impl Session {
    pub(super) async fn look_at_unknown(
        &mut self,
        gathering: &mut Gathering<'_>,
        access: Access,
    ) -> Result<(), Failure> {
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
}

/// Its schema; name, number, type and collation of each column; its OID, and those of the types of its rows and of arrays of them. Views that aren't temporary are left out: what
/// they read isn't known.
fn question(table: &Table) -> String {
    // Whatever the client's settings say of backslashes.
    let regclass = |schema: &str| {
        let schema = if schema.is_empty() { String::new() } else { format!("{}.", quote(schema)) };
        let name = format!("{schema}{}", quote(&table.name));
        format!("pg_catalog.to_regclass(E'{}')", name.replace('\\', r"\\").replace('\'', "''"))
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
         WHERE c.oid = COALESCE({}, {}) AND (c.relkind IN ('r', 'p') OR c.relpersistence = 't') \
         AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        regclass(TEMPORARY),
        regclass(&table.schema)
    )
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
