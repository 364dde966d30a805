//! ALTER.

use super::super::ddl;
use super::super::plan::{Refusal, Way};
use super::super::refusal;
use super::super::text::Text;
use super::constraint::{Defined, Element};
use super::eyes::{Eyes, Place, Table};
use super::{Definition, Verdict, object, table};
use crate::sql::TokenKind;
use crate::sql::statement::TableName;
use crate::types::KeyType;

pub fn alter(eyes: &Eyes<'_>) -> Verdict {
    let text = eyes.text;
    if text.is(1, "table") && !text.is(2, "all") {
        return alter_table(eyes);
    }
    if text.is(1, "view") {
        return object::on_table(eyes, eyes.pass_if(2));
    }
    if text.is(1, "index") && !text.is(2, "all") {
        let (name, _) = ddl::table_name(text, eyes.pass_if(2))?;
        return match table::place_of_indexes(eyes, &[name], "ALTER INDEX") {
            Ok(place) => place.verdict(),
            Err(refusal) => super::refused(refusal),
        };
    }
    if text.is(1, "sequence") {
        let (name, _) = ddl::table_name(text, eyes.pass_if(2))?;
        // A sequence that is given to an unsharded table goes to where that is.
        return match object::owner_of_sequence(eyes) {
            Some(owner) => owner.place.verdict(),
            None => object::sequences(eyes, &[name], "ALTER SEQUENCE"),
        };
    }
    if text.is_any(1, &["trigger", "policy"]) {
        let on = Eyes::find(text, 2, "on")?;
        return object::on_table(eyes, on + 1);
    }
    if object::is_role(text, 1) && !text.is(2, "all") {
        return super::servers();
    }
    if text.is(1, "default") && text.is(2, "privileges") || object::is_global(text, 1) {
        return super::everywhere();
    }
    None
}

fn alter_table(eyes: &Eyes<'_>) -> Verdict {
    let text = eyes.text;
    let mut at = eyes.pass_if(2);
    at += usize::from(text.is(at, "only"));
    let (name, mut behind) = ddl::table_name(text, at)?;
    behind += usize::from(text.kind(behind) == Some(TokenKind::Operator) && text.bytes(behind) == b"*");
    let found = eyes.table(&name);
    if eyes.is_view(&found) || found.schema.starts_with("pg_temp") {
        return None;
    }
    if eyes.is_sequence(&found) {
        return object::sequences(eyes, &[name], "ALTER SEQUENCE");
    }
    let altered = Altered { eyes, table: &found };
    for action in eyes.divided(behind, eyes.end()) {
        if let Err(refusal) = altered.check(action)? {
            return super::refused(refusal);
        }
    }
    if let Some(refusal) = eyes.unsafe_call(text.from(behind)) {
        return super::refused(refusal);
    }
    match found.place {
        Place::Home => super::home(),
        _ => Some(Ok(Definition::Everywhere(Way::Table))),
    }
}

struct Altered<'a> {
    eyes: &'a Eyes<'a>,
    table: &'a Table,
}

impl Altered<'_> {
    /// `None`: not understood.
    fn check(&self, action: Text<'_>) -> Option<Result<(), Refusal>> {
        let first = action.name(0)?;
        match first.as_str() {
            "add" => self.add(action),
            "drop" => {
                let at = 1 + usize::from(action.is(1, "column"));
                let at = if action.is(at, "if") { at + 2 } else { at };
                if action.is(1, "constraint") {
                    Some(Ok(()))
                } else {
                    Some(self.keeps_key(&action.name(at)?, "dropped"))
                }
            }
            "alter" if action.is(1, "constraint") => Some(Ok(())),
            "alter" => self.column(action),
            "rename" => self.rename(action),
            "set" if action.is(1, "schema") => Some(
                self.moves(&TableName { schema: Some(action.name(2)?.into()), name: self.table.name.as_str().into() }),
            ),
            "attach" | "detach" => Some(self.partition(action)),
            "inherit" | "no" if action.is(1, "inherit") || first == "inherit" => {
                let (parent, _) = ddl::table_name(action, 1 + usize::from(first == "no"))?;
                let parent = self.eyes.table(&parent);
                let both_home = self.table.place.is_home() && parent.place.is_home();
                Some(if both_home { Ok(()) } else { Err(refusal::inherits(&self.table.display, &parent.display)) })
            }
            "set" | "reset" | "enable" | "disable" | "force" | "no" | "owner" | "cluster" | "replica" | "validate"
            | "of" | "not" => Some(Ok(())),
            _ => None,
        }
    }

    fn key(&self) -> Option<&str> {
        match &self.table.place {
            Place::Sharded(sharded) => Some(&sharded.key),
            _ => None,
        }
    }

    fn keeps_key(&self, column: &str, what: &str) -> Result<(), Refusal> {
        if self.key() == Some(column) {
            return Err(refusal::key_altered(&self.table.display, column, what));
        }
        Ok(())
    }

    fn add(&self, action: Text<'_>) -> Option<Result<(), Refusal>> {
        let mut at = 1;
        if action.is(at, "column") {
            at += 1;
        }
        if action.is(at, "if") {
            at += 3;
        }
        let text = action.from(at);
        let mut element = Element::read(text)?;
        if let [None] = element.unique[..]
            && let Some(index) = (0..text.pieces.len()).find(|at| text.is(*at, "using") && text.is(at + 1, "index"))
        {
            element.unique = vec![table::columns_of_index(self.eyes, self.table, &text.name(index + 2)?)];
        }
        let rows_differ = match &self.table.place {
            Place::Home => false,
            // Each row gets a value of its own, which the same row on another shard must have as well.
            Place::Reference => element.is_served || element.has_default && varies(text),
            Place::Sharded(_) => element.is_served && element.column.is_some(),
        };
        if rows_differ {
            return Some(Err(refusal::filled_column(&self.table.display)));
        }
        Some(Defined { eyes: self.eyes, table: self.table, elements: &[element] }.check())
    }

    /// `ALTER [COLUMN] c ...`.
    fn column(&self, action: Text<'_>) -> Option<Result<(), Refusal>> {
        let at = 1 + usize::from(action.is(1, "column"));
        let column = action.name(at)?;
        let type_at = if action.is(at + 1, "set") && action.is(at + 2, "data") { at + 3 } else { at + 1 };
        if !action.is(type_at, "type") {
            return Some(Ok(()));
        }
        if matches!(self.table.place, Place::Reference) && varies(action) {
            return Some(Err(refusal::filled_column(&self.table.display)));
        }
        let Place::Sharded(sharded) = &self.table.place else { return Some(Ok(())) };
        if sharded.key != column {
            return Some(Ok(()));
        }
        // Types of one family have the same hashes and the same order.
        let integers = ["smallint", "integer", "int", "bigint", "int2", "int4", "int8"];
        let same = match sharded.key_type {
            Some(KeyType::Int2 | KeyType::Int4 | KeyType::Int8) => action.is_any(type_at + 1, &integers),
            Some(KeyType::Text) => {
                action.is_any(type_at + 1, &["text", "varchar"])
                    || action.is(type_at + 1, "character") && action.is(type_at + 2, "varying")
            }
            _ => false,
        };
        let plain = !(0..action.pieces.len()).any(|at| action.is_any(at, &["using", "collate"]));
        Some(if same && plain {
            Ok(())
        } else {
            Err(refusal::key_altered(&self.table.display, &column, "given another type"))
        })
    }

    fn rename(&self, action: Text<'_>) -> Option<Result<(), Refusal>> {
        if action.is(1, "constraint") {
            return Some(Ok(()));
        }
        if action.is(1, "to") {
            return Some(
                self.moves(&TableName {
                    schema: Some(self.table.schema.as_str().into()),
                    name: action.name(2)?.into(),
                }),
            );
        }
        let at = 1 + usize::from(action.is(1, "column"));
        Some(self.keeps_key(&action.name(at)?, "renamed"))
    }

    /// The configuration places tables by their names.
    fn moves(&self, to: &TableName) -> Result<(), Refusal> {
        let placed = self.eyes.scene.map.table(to.schema.as_deref().unwrap_or("public"), &to.name).is_some();
        let is_part = self.eyes.scene.map.table(&self.table.schema, &self.table.name).is_none();
        if placed || !self.table.place.is_home() && !is_part {
            return Err(refusal::renamed_table(&self.table.display));
        }
        Ok(())
    }

    fn partition(&self, action: Text<'_>) -> Result<(), Refusal> {
        let part = ddl::table_name(action, 2).map(|(name, _)| self.eyes.table(&name));
        let both_home = self.table.place.is_home() && part.as_ref().is_some_and(|part| part.place.is_home());
        if both_home { Ok(()) } else { Err(refusal::partition(&self.table.display)) }
    }
}

/// If an expression may have another value on another shard.
fn varies(text: Text<'_>) -> bool {
    let moments = [
        "current_date",
        "current_time",
        "current_timestamp",
        "localtime",
        "localtimestamp",
        "current_user",
        "session_user",
        "user",
        "current_role",
        "current_catalog",
        "current_schema",
    ];
    let position = |word: &str| (0..text.pieces.len()).find(|at| text.is(*at, word));
    let Some(from) = position("default").or_else(|| position("using")) else { return false };
    !text.from(from).calls().is_empty() || (from..text.pieces.len()).any(|at| text.is_any(at, &moments))
}
