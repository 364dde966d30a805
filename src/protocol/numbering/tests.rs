use bytes::{BufMut, BytesMut};
use proptest::prelude::*;

use super::*;

fn one(name: &str, oid: u32, array_oid: u32, kind: Kind) -> Numbered {
    let (schema, name) = ("public".to_owned(), name.to_owned());
    Numbered { schema, name, oid, array_oid, kind, relation: 0, columns: Vec::new() }
}

/// The OIDs of `mood` and `size` clash: each is the other's on the other server.
fn clashing() -> Numbering {
    let mut pair = one("pair", 20_020, 20_021, Kind::Row);
    (pair.relation, pair.columns) = (20_022, vec!["a".to_owned(), String::new(), "b".to_owned()]);
    let server = vec![one("mood", 20_000, 20_001, Kind::Plain), one("size", 20_002, 20_003, Kind::Plain), pair.clone()];
    (pair.oid, pair.array_oid, pair.relation, pair.columns) = (30_020, 30_021, 30_022, vec!["a".into(), "b".into()]);
    let client = vec![
        one("size", 20_000, 20_001, Kind::Plain),
        one("mood", 20_002, 20_003, Kind::Plain),
        pair,
        one("only_here", 30_000, 0, Kind::Plain),
    ];
    Numbering::between(&client, &server).expect("they differ")
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn equal_servers_need_nothing() {
    let all = vec![one("mood", 20_000, 20_001, Kind::Plain)];
    assert_eq!(Numbering::between(&all, &all), None);
    let other = vec![one("mood", 20_002, 20_001, Kind::Plain)];
    assert!(Numbering::between(&all, &other).is_some());
    assert!(Numbering::between(&all, &[]).is_some(), "a type that is missing there is not the same");
}

#[test]
fn types_are_those_of_the_other_server() {
    let numbering = clashing();
    let side = &numbering.to_client;
    assert_eq!(side.type_oid(20_000), Ok(20_002));
    assert_eq!(side.type_oid(20_003), Ok(20_001));
    assert_eq!(side.type_oid(23), Ok(23));
    assert_eq!(side.type_oid(40_000), Err(Strange::Type(40_000)));
    assert_eq!(numbering.to_server.type_oid(30_000), Err(Strange::Type(30_000)));
    assert_eq!(*numbering.to_server.types(&words(&[23, 20_002, 30_000])), words(&[23, 20_000, u32::MAX]));
    assert!(matches!(numbering.to_server.types(&words(&[23, 0])), Cow::Borrowed(_)));
}

#[test]
fn descriptions_say_tables_columns_and_types_of_the_other_server() {
    let column = |table: u32, column: i16, oid: u32, format: u8| {
        let mut out = BytesMut::from(&b"mood\0"[..]);
        out.put_u32(table);
        out.put_i16(column);
        out.put_u32(oid);
        out.put_slice(&[0, 4, 0xff, 0xff, 0xff, 0xff, 0, format]);
        out
    };
    let frame = |columns: &[BytesMut]| {
        let mut out = BytesMut::from(&[b'T', 0, 0, 0, 0, 0][..]);
        out.put_u8(u8::try_from(columns.len()).expect("few"));
        columns.iter().for_each(|column| out.put_slice(column));
        let len = u32::try_from(out.len() - 1).expect("few");
        out[1..5].copy_from_slice(&len.to_be_bytes());
        out
    };
    let side = clashing().to_client;
    let mut given = frame(&[
        column(20_022, 3, 20_000, 0),
        column(0, 0, 23, 1),
        column(40_000, 1, 25, 0),
        column(20_022, 2, 20_001, 1),
    ]);
    assert_eq!(side.carriers(&given, None), Ok(vec![Carrier { column: 3, type_oid: 20_001 }]));
    assert_eq!(side.carriers(&given, Some(&[])), Ok(vec![]));
    assert_eq!(side.carriers(&given, Some(&[0, 1])).map(|found| found.len()), Ok(1));
    side.description(&mut given).expect("a description");
    let wanted =
        frame(&[column(30_022, 2, 20_002, 0), column(0, 0, 23, 1), column(0, 0, 25, 0), column(0, 0, 20_003, 1)]);
    assert_eq!(given, wanted);
    assert!(side.description(&mut frame(&[column(0, 0, 40_000, 0)])).is_err());
    let cut = given.len() - 3;
    assert!(side.description(&mut given[..cut]).is_err());
}

#[test]
fn values_hold_the_numbers_of_the_other_server() {
    let side = clashing().to_client;
    let mut array = words(&[1, 0, 20_000, 1, 1, 3]);
    array.extend(b"sad");
    let mut wanted = words(&[1, 0, 20_002, 1, 1, 3]);
    wanted.extend(b"sad");
    side.value(20_001, &mut array).expect("an array");
    assert_eq!(array, wanted);
    // A record of an array, a NULL and an int4.
    let mut short = words(&[3, 20_001, 12, 0, 0, 20_000, 20_000, u32::MAX, 23, 4]);
    assert_eq!(side.value(2249, &mut short), Err(Strange::Malformed), "its last value is missing");
    let mut row = words(&[3, 20_001, 12, 0, 0, 20_000, 20_000, u32::MAX, 23, 4, 20_000]);
    assert!(side.may_be_carrier(&row));
    side.value(2249, &mut row).expect("a record");
    assert_eq!(row, words(&[3, 20_003, 12, 0, 0, 20_002, 20_002, u32::MAX, 23, 4, 20_000]));
    let mut types = words(&[1, 0, 2206, 2, 1, 4, 20_002, 4, 23]);
    side.value(2211, &mut types).expect("an array of regtype");
    assert_eq!(types, words(&[1, 0, 2206, 2, 1, 4, 20_000, 4, 23]));
    assert_eq!(side.value(24, &mut words(&[20_000])), Err(Strange::Object(20_000)));
    assert_eq!(side.value(2205, &mut words(&[20_022])), Ok(()));
    assert!(!side.carries(1007) && !side.carries(20_000) && side.carries(20_001) && side.carries(2249));
    let mut range = vec![2];
    range.extend(words(&[12, 0, 0, 20_000]));
    assert!(side.may_be_carrier(&range), "a range whose bound is such an array");
    let len = u32::try_from(range.len()).expect("short");
    let multirange = [words(&[1, len]), range.clone()].concat();
    assert!(side.may_be_carrier(&multirange));
    assert!(side.may_be_carrier(&words(&[1, 2249, 16, 1, 20_000, 4, 7])), "a row within a row");
    assert!(side.may_be_carrier(&words(&[1, 0, 2249, 1, 1, 16, 1, 20_000, 4, 7])), "a row within an array");
    assert!(!side.may_be_carrier(&words(&[1, 0, 23, 1, 1, 4, 20_000])) && !side.may_be_carrier(&words(&[20_000])));
    assert!(!side.may_be_carrier(&[]) && !side.may_be_carrier(&[2, 0, 0, 0, 4, 0, 0, 0, 9]), "an int4range");
    assert!(!side.may_be_carrier(&words(&[0, 7])) && !side.may_be_carrier(b"abc"));
}

#[test]
fn rows_change_in_their_carriers_only() {
    let side = clashing().to_client;
    let mut row = BytesMut::from(&[b'D', 0, 0, 0, 0, 0, 2][..]);
    let array = words(&[0, 0, 20_000]);
    for _ in 0..2 {
        row.put_u32(12);
        row.put_slice(&array);
    }
    side.row(&mut row, &[Carrier { column: 1, type_oid: 20_001 }]).expect("a row");
    assert_eq!(row[11..23], array);
    assert_eq!(row[27..39], words(&[0, 0, 20_002]));
}

proptest! {
    #[test]
    fn nothing_is_read_past_its_end(mut bytes in proptest::collection::vec(any::<u8>(), 0..96), oid in 20_000_u32..20_025) {
        let side = clashing().to_client;
        let before = bytes.len();
        let _ = side.value(oid, &mut bytes);
        let _ = side.value(2249, &mut bytes);
        let _ = side.row(&mut bytes, &[Carrier { column: 0, type_oid: oid }]);
        let _ = side.description(&mut bytes);
        let _ = side.parameters(&mut bytes);
        let _ = side.may_be_carrier(&bytes);
        prop_assert_eq!(before, bytes.len());
    }
}
