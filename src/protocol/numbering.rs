//! What one server's OIDs of user-defined types and of tables are on another. In: messages and values with the numbers
//! of the one. Out: the same, changed in place, with the numbers of the other; OIDs have four bytes on both.
//!
//! Doesn't know where the numbers were read.

use std::borrow::Cow;
use std::collections::HashMap;

mod values;

use self::values::Place;
use super::backend::tag;
use super::frame::{Fields, FrameError, HEADER_BYTES};

/// OIDs below this are the same on every server (PostgreSQL, FirstNormalObjectId).
pub const FIRST_USER_OID: u32 = 16_384;

/// What the binary form of a type's values is made of, as far as it holds OIDs. OIDs are the server's that has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// No OID.
    Plain,
    /// Its elements' type stands in each value.
    Array(u32),
    /// A composite type or `record`: its columns' types stand in each value.
    Row,
    Domain(u32),
    Range(u32),
    /// Of ranges over this type.
    Multirange(u32),
    /// `regtype`.
    Type,
    /// `regclass`.
    Relation,
    /// `regproc` and its kin, whose numbers nobody has compared.
    Object,
}

/// A type, or a relation, as one server knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Numbered {
    pub schema: String,
    pub name: String,
    pub oid: u32,
    /// Of the type of arrays of it; 0: there is none.
    pub array_oid: u32,
    pub kind: Kind,
    /// Of the relation whose rows it is the type of, or 0; and the names of its columns by their numbers, empty where
    /// one was dropped.
    pub relation: u32,
    pub columns: Vec<String>,
}

/// From one server's numbers to another's.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Side {
    types: HashMap<u32, (Option<u32>, Kind)>,
    relations: HashMap<u32, (u32, Box<[i16]>)>,
}

/// A server and the one whose numbers clients know.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Numbering {
    pub to_client: Side,
    pub to_server: Side,
}

/// An OID that can't be said on the other server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Strange {
    #[error("a value holds the OID {0} of a type that the other server is not known to have")]
    Type(u32),
    #[error("a value in binary holds the OID {0} of an object that may have another one on the other server")]
    Object(u32),
    #[error("a value in binary is not one of its type")]
    Malformed,
    #[error("a value in binary, whose type is not known, may hold OIDs of types")]
    Unknown,
}

/// A column whose values in binary may hold OIDs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Carrier {
    column: usize,
    type_oid: u32,
}

/// The system column `tableoid` (TableOidAttributeNumber). Its value as text would have another length.
const TABLE_OID_COLUMN: i16 = -6;

/// How deep values may be nested.
const DEPTH_MAX: usize = 64;

impl Numbering {
    /// `None`: everything has the same number on both.
    pub fn between(client: &[Numbered], server: &[Numbered]) -> Option<Self> {
        let numbering = Self { to_client: Side::new(server, client), to_server: Side::new(client, server) };
        (!numbering.to_client.is_identity() || !numbering.to_server.is_identity()).then_some(numbering)
    }
}

impl Side {
    fn new(from: &[Numbered], to: &[Numbered]) -> Self {
        let others: HashMap<(&str, &str), &Numbered> =
            to.iter().map(|one| ((one.schema.as_str(), one.name.as_str()), one)).collect();
        let mut side = Self::default();
        for one in from {
            let other = others.get(&(one.schema.as_str(), one.name.as_str()));
            side.types.insert(one.oid, (other.map(|other| other.oid), one.kind));
            if one.array_oid != 0 {
                let array_oid = other.map(|other| other.array_oid).filter(|oid| *oid != 0);
                side.types.insert(one.array_oid, (array_oid, Kind::Array(one.oid)));
            }
            if let Some(other) = other.filter(|other| one.relation != 0 && other.relation != 0) {
                let there = |name: &String| {
                    let position = other.columns.iter().position(|other| !name.is_empty() && other == name)?;
                    i16::try_from(position + 1).ok()
                };
                let columns = one.columns.iter().map(|name| there(name).unwrap_or(0)).collect();
                side.relations.insert(one.relation, (other.relation, columns));
            }
        }
        side
    }

    fn is_identity(&self) -> bool {
        let same_columns =
            |columns: &[i16]| columns.iter().zip(1..).all(|(other, number)| *other == number || *other == 0);
        self.types.iter().all(|(from, (to, _))| *to == Some(*from))
            && self.relations.iter().all(|(from, (to, columns))| from == to && same_columns(columns))
    }

    /// The same type on the other server.
    ///
    /// # Errors
    /// For a type of a user's own that isn't known to be there.
    pub fn type_oid(&self, oid: u32) -> Result<u32, Strange> {
        match self.types.get(&oid) {
            Some((Some(to), _)) => Ok(*to),
            None if oid < FIRST_USER_OID => Ok(oid),
            _ => Err(Strange::Type(oid)),
        }
    }

    fn kind(&self, oid: u32) -> Option<Kind> {
        match self.types.get(&oid) {
            Some((_, kind)) => Some(*kind),
            None if oid < FIRST_USER_OID => Some(built_in(oid)),
            None => None,
        }
    }

    /// If a value of that type in binary may hold an OID that differs.
    pub fn carries(&self, oid: u32) -> bool {
        self.carries_at(oid, 0)
    }

    fn carries_at(&self, oid: u32, depth: usize) -> bool {
        let inner = |inner: u32| depth > DEPTH_MAX || self.carries_at(inner, depth + 1);
        match self.kind(oid) {
            Some(Kind::Plain) => false,
            Some(Kind::Array(element)) => element >= FIRST_USER_OID || inner(element),
            Some(Kind::Domain(base) | Kind::Range(base) | Kind::Multirange(base)) => inner(base),
            Some(Kind::Row | Kind::Type | Kind::Relation | Kind::Object) | None => true,
        }
    }

    /// A list of types as Parse has it, four bytes each. What isn't known on the other server becomes a type that
    /// isn't there, and not another one.
    pub fn types<'a>(&self, list: &'a [u8]) -> Cow<'a, [u8]> {
        let own = |oid: &[u8; 4]| u32::from_be_bytes(*oid) >= FIRST_USER_OID;
        if !list.as_chunks::<4>().0.iter().any(own) {
            return Cow::Borrowed(list);
        }
        let each = list.as_chunks::<4>().0.iter().map(|oid| u32::from_be_bytes(*oid));
        Cow::Owned(each.flat_map(|oid| self.type_oid(oid).unwrap_or(u32::MAX).to_be_bytes()).collect())
    }

    /// A RowDescription or ParameterDescription.
    ///
    /// # Errors
    /// For a type that the other server doesn't have, or a frame that isn't one.
    pub fn describe(&self, frame: &mut [u8]) -> Result<(), Strange> {
        match frame.first() {
            Some(&tag::ROW_DESCRIPTION) => self.description(frame),
            Some(&tag::PARAMETER_DESCRIPTION) => self.parameters(frame),
            _ => Ok(()),
        }
    }

    /// A ParameterDescription.
    ///
    /// # Errors
    /// For a type that the other server doesn't have, or a frame that isn't one.
    pub fn parameters(&self, frame: &mut [u8]) -> Result<(), Strange> {
        let mut place = Place { bytes: frame, at: HEADER_BYTES };
        for _ in 0..place.count()? {
            let oid = place.peek()?;
            place.put(self.type_oid(oid)?)?;
        }
        Ok(())
    }

    /// A RowDescription. A table that isn't known on the other server becomes none, as that of an expression.
    ///
    /// # Errors
    /// For a type that the other server doesn't have, or a frame that isn't one.
    pub fn description(&self, frame: &mut [u8]) -> Result<(), Strange> {
        let mut place = Place { bytes: frame, at: HEADER_BYTES };
        for _ in 0..place.count()? {
            place.pass_name()?;
            let (table, column) = (place.peek()?, place.short_at(4)?);
            if table >= FIRST_USER_OID {
                let known = self.relations.get(&table).and_then(|(table, columns)| {
                    // System columns have the same numbers everywhere.
                    let position = usize::try_from(column).ok().and_then(|column| column.checked_sub(1));
                    let column = position.map_or(Some(column), |position| columns.get(position).copied())?;
                    (column != 0).then_some((*table, column))
                });
                let (table, column) = known.unwrap_or((0, 0));
                place.put(table)?;
                place.put_short(column)?;
            } else {
                place.pass(6)?;
            }
            let oid = place.peek()?;
            place.put(self.type_oid(oid)?)?;
            if table >= FIRST_USER_OID && column == TABLE_OID_COLUMN && place.short_at(6)? == 0 {
                return Err(Strange::Object(table));
            }
            // Size, modifier, format.
            place.pass(8)?;
        }
        Ok(())
    }

    /// The columns of a RowDescription, not yet changed, whose values come in binary and may hold OIDs. `formats`: not
    /// those of the description, but two bytes each as Bind has them.
    ///
    /// # Errors
    /// For a frame that isn't one.
    pub fn carriers(&self, frame: &[u8], formats: Option<&[u8]>) -> Result<Vec<Carrier>, FrameError> {
        let mut found = Vec::new();
        let mut fields = Fields::of(frame)?;
        for column in 0..fields.count()? {
            fields.cstr()?;
            let (table, number, type_oid) = (fields.u32()?, fields.i16()?, fields.u32()?);
            fields.bytes(6)?;
            let format = fields.i16()?;
            let is_binary = match formats {
                None => format != 0,
                Some(formats) => is_binary(formats, column),
            };
            let is_table = table >= FIRST_USER_OID && number == TABLE_OID_COLUMN;
            let type_oid = if is_table { REGCLASS } else { type_oid };
            if is_binary && self.carries(type_oid) {
                found.push(Carrier { column, type_oid });
            }
        }
        Ok(found)
    }

    /// As [`Self::carriers`], of columns whose types are known, by the OIDs of the server that the values are of.
    pub fn carriers_among(&self, types: impl Iterator<Item = u32>, formats: &[u8]) -> Vec<Carrier> {
        let carries = |(column, type_oid): (usize, u32)| {
            (is_binary(formats, column) && self.carries(type_oid)).then_some(Carrier { column, type_oid })
        };
        types.enumerate().filter_map(carries).collect()
    }
}

fn is_binary(formats: &[u8], column: usize) -> bool {
    match formats.as_chunks::<2>().0 {
        [] => false,
        [all] => *all != [0, 0],
        each => each.get(column).is_some_and(|format| *format != [0, 0]),
    }
}

const REGCLASS: u32 = 2205;

/// Built-in types (pg_type.dat).
fn built_in(oid: u32) -> Kind {
    match oid {
        2249 => Kind::Row,
        2206 => Kind::Type,
        REGCLASS => Kind::Relation,
        // regproc, regprocedure, regoper, regoperator, regconfig, regdictionary, regrole, regnamespace, regcollation.
        24 | 2202 | 2203 | 2204 | 3734 | 3769 | 4096 | 4089 | 4191 => Kind::Object,
        2287 => Kind::Array(2249),
        2211 => Kind::Array(2206),
        2210 => Kind::Array(2205),
        1008 | 2207 | 2208 | 2209 | 3735 | 3770 | 4097 | 4090 | 4192 => Kind::Array(24),
        _ => Kind::Plain,
    }
}

#[cfg(test)]
mod tests;
