//! Values of parameters. In: text. Out: values in text or binary format, and types, as PostgreSQL itself encodes and
//! infers them.

use std::collections::HashMap;

use super::list::{Entry, Parameter};
use super::wire::{Client, Messages, Value};

/// The first OID that PostgreSQL gives to what users make: it differs between databases.
const FIRST_USER_OID: u32 = 16_384;

pub struct Parameters {
    /// A connection to the truth that no entry uses.
    client: Client,
    oids: HashMap<String, u32>,
}

impl Parameters {
    pub fn new(client: Client) -> Self {
        Self { client, oids: HashMap::new() }
    }

    /// The types that the list gives, and values in text format.
    pub fn declared(&mut self, entry: &Entry) -> (Vec<u32>, Vec<Value>) {
        let types = entry.parameters.iter().map(|parameter| self.oid(&parameter.type_name)).collect();
        (types, entry.parameters.iter().map(as_text).collect())
    }

    /// Values in binary format for the types that PostgreSQL infers; text where it infers none or the value isn't of it.
    pub fn inferred(&mut self, entry: &Entry) -> Vec<Value> {
        if entry.parameters.is_empty() {
            return Vec::new();
        }
        let messages = Messages::default().parse("", &entry.sql, &[]).describe_statement("").sync();
        let turn = self.client.turn(messages).expect("the truth answers");
        let oids = turn.parameters().unwrap_or_default().to_vec();
        let binary = |(at, parameter): (usize, &Parameter)| {
            let oid = oids.get(at).copied()?;
            Some((1, Some(self.binary(oid, parameter.text.as_deref()?)?)))
        };
        let values: Vec<_> = entry.parameters.iter().enumerate().map(binary).collect();
        values.into_iter().zip(&entry.parameters).map(|(binary, text)| binary.unwrap_or(as_text(text))).collect()
    }

    fn oid(&mut self, type_name: &str) -> u32 {
        if let Some(oid) = self.oids.get(type_name) {
            return *oid;
        }
        let rows = self.client.rows(&format!("SELECT '{type_name}'::regtype::oid"));
        let oid: u32 = rows[0][0].parse().expect("an OID is a number");
        let oid = if oid < FIRST_USER_OID { oid } else { 0 };
        self.oids.insert(type_name.to_owned(), oid);
        oid
    }

    fn binary(&mut self, oid: u32, text: &str) -> Option<Vec<u8>> {
        let rows = self.client.rows(&format!("SELECT format_type({oid}, NULL)"));
        let sql = format!("SELECT $1::{}", rows[0][0]);
        let value = (0, Some(text.as_bytes().to_vec()));
        let messages = Messages::default().parse("", &sql, &[oid]).bind("", &[value], 1).execute(0).sync();
        let turn = self.client.turn(messages).expect("the truth answers");
        turn.rows().next()?.first()?.clone()
    }
}

fn as_text(parameter: &Parameter) -> Value {
    (0, parameter.text.as_ref().map(|text| text.as_bytes().to_vec()))
}
