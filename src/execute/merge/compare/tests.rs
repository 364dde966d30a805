use super::*;
use proptest::prelude::*;

/// numeric_send of an integer number of ten-thousandths.
fn numeric(value: i64) -> Vec<u8> {
    let mut digits = Vec::new();
    let mut rest = value.unsigned_abs();
    while rest > 0 {
        digits.push((rest % 10_000) as i16);
        rest /= 10_000;
    }
    digits.reverse();
    // The last digit is the fraction.
    let weight = digits.len() as i16 - 2;
    let sign: u16 = if value < 0 { 0x4000 } else { 0 };
    let mut bytes = Vec::new();
    bytes.extend((digits.len() as u16).to_be_bytes());
    bytes.extend(weight.to_be_bytes());
    bytes.extend(sign.to_be_bytes());
    bytes.extend(4_u16.to_be_bytes());
    digits.iter().for_each(|digit| bytes.extend(digit.to_be_bytes()));
    bytes
}

proptest! {
    #[test]
    fn numerics_order_as_numbers(one: i64, other: i64, shift in 0_u32..40) {
        let (one, other) = (one >> shift, other >> (40 - shift));
        prop_assert_eq!(values(&OrderKind::Numeric, &numeric(one), &numeric(other)), Some(one.cmp(&other)));
    }

    #[test]
    fn integers_of_all_widths(one: i32, other: i32) {
        let wide = |value: i32| i64::from(value).to_be_bytes();
        let order = Some(one.cmp(&other));
        prop_assert_eq!(values(&OrderKind::Integer, &one.to_be_bytes(), &other.to_be_bytes()), order);
        prop_assert_eq!(values(&OrderKind::Integer, &wide(one), &wide(other)), order);
    }

    #[test]
    fn no_bytes_are_too_strange(one in proptest::collection::vec(any::<u8>(), 0..24), other in proptest::collection::vec(any::<u8>(), 0..24)) {
        for kind in [OrderKind::Integer, OrderKind::Float, OrderKind::Numeric, OrderKind::Interval, OrderKind::Enum(vec![])] {
            let there = values(&kind, &one, &other);
            prop_assert_eq!(values(&kind, &other, &one), there.map(Ordering::reverse));
        }
    }
}

#[test]
fn special_values() {
    let numeric = |sign: u16| [&[0, 0, 0, 0][..], &sign.to_be_bytes(), &[0, 0]].concat();
    let (nan, plus, minus, zero) = (numeric(0xc000), numeric(0xd000), numeric(0xf000), numeric(0));
    for pair in [&minus, &zero, &plus, &nan].windows(2) {
        assert_eq!(values(&OrderKind::Numeric, pair[0], pair[1]), Some(Ordering::Less));
    }
    let float = |value: f64| value.to_be_bytes();
    let less = [f64::NEG_INFINITY, -1.0, 0.0, f64::MIN_POSITIVE, f64::INFINITY, f64::NAN];
    for pair in less.windows(2) {
        assert_eq!(values(&OrderKind::Float, &float(pair[0]), &float(pair[1])), Some(Ordering::Less));
    }
    assert_eq!(values(&OrderKind::Float, &float(-0.0), &float(0.0)), Some(Ordering::Equal));
    assert_eq!(values(&OrderKind::Float, &float(f64::NAN), &float(-f64::NAN)), Some(Ordering::Equal));
    assert_eq!(values(&OrderKind::Padded, b"a  ", b"a"), Some(Ordering::Equal));
    assert_eq!(values(&OrderKind::Bytes, b"a  ", b"a"), Some(Ordering::Greater));
    let key = |descending, nulls_first| KeyOrder { kind: OrderKind::Bytes, descending, nulls_first };
    assert_eq!(keys(&key(false, false), None, Some(b"a")), Some(Ordering::Greater));
    assert_eq!(keys(&key(true, true), None, Some(b"a")), Some(Ordering::Less));
    assert_eq!(keys(&key(true, false), Some(b"a"), Some(b"b")), Some(Ordering::Greater));
}
