//! What is taken as a key and what isn't.

use super::*;

const DAY: i64 = 86_400_000_000;

fn int(number: i64) -> Result<KeyValue, KeyError> {
    Ok(KeyValue::Int(number))
}

fn decimal(text: &str) -> Result<KeyValue, KeyError> {
    Ok(KeyValue::Numeric(text.parse().expect("a number")))
}

#[test]
fn integers() {
    assert_eq!(from_text(KeyType::Int4, " +42\t"), int(42));
    assert_eq!(from_text(KeyType::Int4, "-0007"), int(-7));
    assert_eq!(from_text(KeyType::Int2, "32768"), Err(KeyError::OutOfRange));
    assert_eq!(from_text(KeyType::Int2, "-32768"), int(-32768));
    assert_eq!(from_text(KeyType::Int4, "2147483648"), Err(KeyError::OutOfRange));
    assert_eq!(from_text(KeyType::Int8, "-9223372036854775808"), int(i64::MIN));
    assert_eq!(from_text(KeyType::Int8, "9223372036854775808"), Err(KeyError::OutOfRange));
    for text in ["", " ", "+", "- 1", "1.0", "1e2", "0x1F", "1_000", "1 2", "٣", "--1", "1\0"] {
        assert_eq!(from_text(KeyType::Int8, text), Err(KeyError::Unrecognised), "{text}");
    }
    assert_eq!(from_binary(KeyType::Int2, &[0xff, 0xff]), int(-1));
    assert_eq!(from_binary(KeyType::Int4, &[0, 0, 1, 0]), int(256));
    assert_eq!(from_binary(KeyType::Int8, &i64::MIN.to_be_bytes()), int(i64::MIN));
    assert_eq!(from_binary(KeyType::Int8, &[0, 0, 0, 1]), Err(KeyError::Unrecognised));
}

#[test]
fn texts() {
    assert_eq!(from_text(KeyType::Text, " a "), Ok(KeyValue::Text(" a ".into())));
    assert_eq!(from_binary(KeyType::Text, "é".as_bytes()), Ok(KeyValue::Text("é".into())));
    assert_eq!(from_binary(KeyType::Text, &[0xff]), Err(KeyError::Unrecognised));
    assert_eq!(from_binary(KeyType::Text, &[0]), Err(KeyError::Unrecognised));
}

#[test]
fn uuids() {
    let bytes = [0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11];
    for text in [
        "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
    ] {
        assert_eq!(from_text(KeyType::Uuid, text), Ok(KeyValue::Uuid(bytes)), "{text}");
    }
    for text in [
        "",
        "a0",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
        " a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0e-ebc999c0b4ef8bb6d6bb9bd380a11",
        "a0eebc99--9c0b4ef8bb6d6bb9bd380a11",
        "{a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0eebc999c0b4ef8bb6d6bb9bd380a1g",
        "a0eebc999c0b4ef8bb6d6bb9bd380a112",
        "+0eebc999c0b4ef8bb6d6bb9bd380a11",
    ] {
        assert_eq!(from_text(KeyType::Uuid, text), Err(KeyError::Unrecognised), "{text}");
    }
    assert_eq!(from_binary(KeyType::Uuid, &bytes), Ok(KeyValue::Uuid(bytes)));
    assert_eq!(from_binary(KeyType::Uuid, &bytes[1..]), Err(KeyError::Unrecognised));
}

#[test]
fn dates() {
    for (text, days) in [
        ("2000-01-01", 0),
        ("1999-12-31", -1),
        ("2024-02-29", 8825),
        (" 0001-01-01 ", -730_119),
        ("9999-12-31", 2_921_939),
        ("Infinity", i32::MAX),
        ("-infinity", i32::MIN),
    ] {
        assert_eq!(from_text(KeyType::Date, text), Ok(KeyValue::Date(days)), "{text}");
    }
    for (text, error) in [
        ("2023-02-29", KeyError::OutOfRange),
        ("0000-01-01", KeyError::OutOfRange),
        ("01/02/2024", KeyError::Unrecognised),
        ("2024-1-2", KeyError::Unrecognised),
        ("24-01-02", KeyError::Unrecognised),
        ("20240102", KeyError::Unrecognised),
        ("2024-01-02 00:00:00", KeyError::Unrecognised),
        ("0044-03-15 BC", KeyError::Unrecognised),
        ("today", KeyError::Unrecognised),
        ("2024-01-é", KeyError::Unrecognised),
        ("", KeyError::Unrecognised),
    ] {
        assert_eq!(from_text(KeyType::Date, text), Err(error), "{text}");
    }
    assert_eq!(from_binary(KeyType::Date, &(-1_i32).to_be_bytes()), Ok(KeyValue::Date(-1)));
}

#[test]
fn timestamps() {
    for (text, moment) in [
        ("2000-01-02", DAY),
        ("2000-01-01 00:00:01", 1_000_000),
        ("2000-01-01T12:30", 45_000_000_000),
        ("1999-12-31 23:59:59.999999", -1),
        ("2000-01-01 00:00:00.5", 500_000),
        ("infinity", i64::MAX),
        ("-infinity", i64::MIN),
    ] {
        assert_eq!(from_text(KeyType::Timestamp, text), Ok(KeyValue::Timestamp(moment)), "{text}");
    }
    for text in [
        "2000-01-01 00:00:00.1234567",
        "2000-01-01 00:00:00.",
        "2000-01-01 00:10.5",
        "2000-01-01 24:00:00",
        "2000-01-01 00:00:60",
        "2000-01-01 00:00:00+00",
        "2000-01-01 00:00:00Z",
        "2000-01-01 1:00",
        "2000-01-01 01:00 PM",
        "2000-01-01 ",
        "2000-01-01  00:00",
        "now",
    ]
    .iter()
    .filter(|text| text.trim() == **text)
    {
        assert_eq!(from_text(KeyType::Timestamp, text), Err(KeyError::Unrecognised), "{text}");
    }
    assert_eq!(from_binary(KeyType::Timestamp, &1_i64.to_be_bytes()), Ok(KeyValue::Timestamp(1)));
}

#[test]
fn timestamps_with_time_zone() {
    for (text, moment) in [
        ("2000-01-01 00:00:00+00", 0),
        ("2000-01-01T00:00:00.000Z", 0),
        ("2000-01-01 02:00:00+02", 0),
        ("2000-01-01 00:00:00-0130", 5_400_000_000),
        ("2000-01-01 05:30:00+05:30", 0),
        ("2000-01-01 00:00:01+00:00:01", 0),
        ("infinity", i64::MAX),
    ] {
        assert_eq!(from_text(KeyType::TimestampTz, text), Ok(KeyValue::TimestampTz(moment)), "{text}");
    }
    for (text, error) in [
        ("2000-01-01 00:00:00", KeyError::DependsOnSettings),
        ("2000-01-01", KeyError::DependsOnSettings),
        ("2000-01-01 00:00:00 UTC", KeyError::DependsOnSettings),
        ("2000-01-01 00:00:00 Europe/Berlin", KeyError::DependsOnSettings),
        ("2000-01-01 00:00:00+16", KeyError::Unrecognised),
        ("2000-01-01 00:00:00+5", KeyError::Unrecognised),
        ("2000-01-01+00", KeyError::Unrecognised),
        ("2000-01-01 00:00:00+0500:01", KeyError::Unrecognised),
        ("2000-01-01 00:00:00+00:60", KeyError::Unrecognised),
        ("2000-01-01 00:00:00+", KeyError::Unrecognised),
    ] {
        assert_eq!(from_text(KeyType::TimestampTz, text), Err(error), "{text}");
    }
}

#[test]
fn numerics() {
    for (text, expected) in [
        ("1", "1"),
        (" -1.50 ", "-1.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
        ("12.5E-2", "0.125"),
        ("+0.0", "0"),
    ] {
        assert_eq!(from_text(KeyType::Numeric, text), decimal(expected), "{text}");
    }
    for text in ["NaN", "inf", "-Infinity"] {
        assert_eq!(from_text(KeyType::Numeric, text), Err(KeyError::NotFinite), "{text}");
    }
    for text in ["", ".", "e1", "1e", "1e+", "1.2.3", "0x1", "1_0", "+-1", "1 e1", "1e1.5", "1,5"] {
        assert_eq!(from_text(KeyType::Numeric, text), Err(KeyError::Unrecognised), "{text}");
    }
    for text in ["1e1001", "1e-99999999999999999999", &"9".repeat(1001)] {
        assert_eq!(from_text(KeyType::Numeric, text), Err(KeyError::OutOfRange), "{text}");
    }
}

/// The binary format of a numeric.
fn numeric(weight: i16, sign: u16, scale: u16, digits: &[u16]) -> Vec<u8> {
    let count = u16::try_from(digits.len()).expect("few digits");
    let header = [count, weight.cast_unsigned(), sign, scale];
    header.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn binary_numerics() {
    for (bytes, expected) in [
        (numeric(0, 0, 0, &[42]), "42"),
        (numeric(1, 0x4000, 2, &[1, 2345, 6700]), "-12345.67"),
        (numeric(-1, 0, 4, &[5]), "0.0005"),
        (numeric(2, 0, 0, &[1]), "100000000"),
        (numeric(0, 0, 3, &[]), "0"),
    ] {
        assert_eq!(from_binary(KeyType::Numeric, &bytes), decimal(expected));
    }
    for (bytes, error) in [
        (numeric(0, 0xc000, 0, &[]), KeyError::NotFinite),
        (numeric(0, 0xd000, 0, &[]), KeyError::NotFinite),
        (numeric(0, 0x1234, 0, &[1]), KeyError::Unrecognised),
        (numeric(0, 0, 0, &[10_000]), KeyError::Unrecognised),
        (numeric(0, 0, 0, &[1, 5000]), KeyError::Unrecognised),
        (numeric(0, 0, 0, &[1; 251]), KeyError::OutOfRange),
        (numeric(i16::MAX, 0, 0, &[1]), KeyError::OutOfRange),
        (numeric(0, 0, 0, &[1])[..9].to_vec(), KeyError::Unrecognised),
        ([numeric(0, 0, 0, &[1]), vec![0, 0]].concat(), KeyError::Unrecognised),
        (vec![], KeyError::Unrecognised),
    ] {
        assert_eq!(from_binary(KeyType::Numeric, &bytes), Err(error), "{bytes:?}");
    }
}

#[test]
fn order_is_known_within_a_type_only() {
    assert_eq!(compare(&KeyValue::Int(1), &KeyValue::Int(2)), Some(Ordering::Less));
    assert_eq!(compare(&KeyValue::Int(1), &KeyValue::Date(2)), None);
    assert_eq!(compare(&KeyValue::Date(1), &KeyValue::Timestamp(1)), None);
    assert_eq!(compare(&KeyValue::Text("a".into()), &KeyValue::Text("b".into())), None);
    assert_eq!(compare(&KeyValue::Text("a".into()), &KeyValue::Text("a".into())), Some(Ordering::Equal));
    let (one, other) = (from_text(KeyType::Numeric, "1.0").unwrap(), from_text(KeyType::Numeric, "1").unwrap());
    assert_eq!(compare(&one, &other), Some(Ordering::Equal));
    assert_eq!(one, other);
}

#[test]
fn arrays_in_text() {
    let ints = |text| from_array_text(KeyType::Int4, text);
    let some = |numbers: &[i64]| Ok(numbers.iter().map(|number| Some(KeyValue::Int(*number))).collect::<Vec<_>>());
    assert_eq!(ints("{1,2,3}"), some(&[1, 2, 3]));
    assert_eq!(ints(" { 1 , \"2\" } "), some(&[1, 2]));
    assert_eq!(ints("{}"), some(&[]));
    assert_eq!(ints("{1,NULL,null}"), Ok(vec![Some(KeyValue::Int(1)), None, None]));
    for text in [
        "",
        "1",
        "{1",
        "{1,}",
        "{,1}",
        "{{1},{2}}",
        "[1:1]={1}",
        "{1}x",
        "{1 2}",
        "{\"1\"2}",
        "{1\\2}",
        "{\"1}",
        "{\"1\\}",
        "{\"NULL\"}",
    ] {
        assert_eq!(ints(text), Err(KeyError::Unrecognised), "{text}");
    }
    let texts = |text| from_array_text(KeyType::Text, text);
    let text = |value: &str| Some(KeyValue::Text(value.into()));
    assert_eq!(
        texts(r#"{a b,"c,\"d\\",é,"","NULL"}"#),
        Ok(vec![text("a b"), text("c,\"d\\"), text("é"), text(""), text("NULL")])
    );
    assert_eq!(texts("{NULL}"), Err(KeyError::DependsOnSettings));
}

fn array(dimensions: i32, oid: i32, count: i32, elements: &[Option<&[u8]>]) -> Vec<u8> {
    let mut bytes: Vec<u8> = [dimensions, 0, oid].iter().flat_map(|number| number.to_be_bytes()).collect();
    if dimensions > 0 {
        bytes.extend([count, 1].iter().flat_map(|number| number.to_be_bytes()));
    }
    for element in elements {
        let length = element.map_or(-1, |bytes| i32::try_from(bytes.len()).expect("short"));
        bytes.extend(length.to_be_bytes());
        bytes.extend(element.unwrap_or_default());
    }
    bytes
}

#[test]
fn arrays_in_binary() {
    let (one, two) = (1_i32.to_be_bytes(), 2_i32.to_be_bytes());
    let good = array(1, 23, 3, &[Some(&one), None, Some(&two)]);
    assert_eq!(from_array_binary(KeyType::Int4, &good), Ok(vec![Some(KeyValue::Int(1)), None, Some(KeyValue::Int(2))]));
    assert_eq!(from_array_binary(KeyType::Int4, &array(0, 23, 0, &[])), Ok(vec![]));
    assert_eq!(from_array_binary(KeyType::Int8, &good), Err(KeyError::Unrecognised));
    assert_eq!(from_array_binary(KeyType::Int4, &array(2, 23, 1, &[])), Err(KeyError::Unrecognised));
    assert_eq!(from_array_binary(KeyType::Int4, &array(1, 23, i32::MAX, &[Some(&one)])), Err(KeyError::Unrecognised));
    assert_eq!(from_array_binary(KeyType::Int4, &array(1, 23, 1, &[Some(&one), None])), Err(KeyError::Unrecognised));
    for length in 0..good.len() {
        assert_eq!(from_array_binary(KeyType::Int4, &good[..length]), Err(KeyError::Unrecognised));
    }
}
