//! A proposal as a configuration file. In: facts and a proposal. Out: TOML with its reasons as comments.

use std::fmt::Write;

use super::facts::Facts;
use super::propose::{Place, Proposal, size};
use crate::catalog::QualifiedName;
use crate::types::KeyType;

/// Without `public`, as the file writes it.
pub(super) fn name(table: &QualifiedName) -> String {
    if table.schema == "public" { table.name.clone() } else { table.to_string() }
}

pub(super) fn configuration(facts: &Facts, proposal: &Proposal, shards: u16) -> String {
    let mut out = String::new();
    let database = key(&facts.database);
    out += "# Proposed by `shardway advise`, by the schema";
    out += match (facts.has_statistics, facts.statements.is_empty()) {
        (_, true) => " alone: no statement was seen",
        (true, false) => ", the sizes of the tables and the statements that the server has counted",
        (false, false) => ", the sizes of the tables and the statements of a log",
    };
    out += ".\n# Prove it with `shardway check --config` this file, then `shardway setup --config` this file.\n";
    for line in &proposal.remarks {
        write(&mut out, format_args!("#\n# To do: {line}.\n"));
    }
    write(
        &mut out,
        format_args!("\n[[user]]\nname = {:?}\npassword = {{ env = \"SHARDWAY_PASSWORD\" }}\n", facts.user),
    );
    write(
        &mut out,
        format_args!(
            "\n# The server that was looked at: tables that aren't named below stay here.\n[database.{database}]\nhome = \"a\"\n\n\
             [database.{database}.shard.a]\nprimary = {:?}\n",
            facts.url
        ),
    );
    for number in 1..shards {
        let shard = shard_name(number);
        let after = if number == 1 {
            "# To do: a server with the same schema and the same reference tables; then move the rows that belong there.\n"
        } else {
            ""
        };
        write(
            &mut out,
            format_args!(
                "\n{after}[database.{database}.shard.{shard}]\nprimary = \"postgres://shard-{shard}:5432/{}\"\n",
                encoded(&facts.database)
            ),
        );
    }
    tables(&mut out, facts, proposal, &database);
    out
}

fn tables(out: &mut String, facts: &Facts, proposal: &Proposal, database: &str) {
    // The root comes first: the others name it.
    let others = proposal.places.iter().filter(|(table, _)| **table != proposal.root);
    let root = proposal.places.get_key_value(&proposal.root);
    for (table, (place, why)) in root.into_iter().chain(others) {
        let size = size(facts, table);
        let about = format!("{} rows, {}", size.rows, bytes(size.bytes));
        match place {
            Place::Sharded { key: column } => {
                let why = if *table == proposal.root { "the table whose rows own the others'" } else { why.as_str() };
                write(
                    out,
                    format_args!(
                        "\n# {about}: {why}.\n[database.{database}.table.{}]\nkey = {column:?}\n",
                        key(&name(table))
                    ),
                );
                if let Some(key_type) = key_type(facts, table, column) {
                    write(out, format_args!("type = {key_type:?}\n"));
                }
                if *table != proposal.root {
                    write(out, format_args!("colocate = {:?}\n", name(&proposal.root)));
                }
            }
            Place::Reference => write(
                out,
                format_args!(
                    "\n# {about}, {} written: a copy on every shard, since {why}.\n[database.{database}.table.{}]\nreference = true\n",
                    size.writes,
                    key(&name(table))
                ),
            ),
            Place::Home => write(out, format_args!("\n# On the home shard: {} ({about}); {why}.\n", name(table))),
        }
    }
}

/// As the file names it.
fn key_type(facts: &Facts, table: &QualifiedName, column: &str) -> Option<&'static str> {
    Some(match facts.catalog.key_type(&table.schema, &table.name, column)? {
        KeyType::Int2 => "smallint",
        KeyType::Int4 => "integer",
        KeyType::Int8 => "bigint",
        KeyType::Text => "text",
        KeyType::Uuid => "uuid",
        KeyType::Date | KeyType::Timestamp | KeyType::TimestampTz | KeyType::Numeric => return None,
    })
}

fn write(out: &mut String, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).expect("a string takes it");
}

fn shard_name(number: u16) -> String {
    u8::try_from(number)
        .ok()
        .filter(|number| *number < 26)
        .map_or_else(|| format!("s{number}"), |number| char::from(b'a' + number).to_string())
}

/// As it stands in a header: quoted unless it is a bare key.
fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if bare { name.to_owned() } else { format!("{name:?}") }
}

/// In a URL.
fn encoded(name: &str) -> String {
    let byte = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"_-.~".contains(&byte) => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    name.bytes().map(byte).collect()
}

fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "kB", "MB", "GB", "TB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.0} {}", UNITS.get(unit).copied().unwrap_or_default())
}
