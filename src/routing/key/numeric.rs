//! Exact numbers in PostgreSQL's text and binary format (numeric_in and numeric_recv of numeric.c).

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use super::{KeyError, exactly};
use crate::types::limits::NUMERIC_KEY_DIGITS_MAX;

/// `[+-]digits[.digits][e[+-]digits]`, blanks already trimmed.
pub(super) fn from_text(text: &str) -> Result<BigDecimal, KeyError> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if ["nan", "inf", "infinity"].iter().any(|name| unsigned.eq_ignore_ascii_case(name)) {
        return Err(KeyError::NotFinite);
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = String::with_capacity(mantissa.len());
    digits.push_str(whole);
    digits.push_str(fraction);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(KeyError::Unrecognised);
    }
    let scale = i64::try_from(fraction.len()).map_err(|_| KeyError::OutOfRange)? - exponent;
    number(text.starts_with('-'), &digits, scale)
}

fn exponent_of(text: &str) -> Result<i64, KeyError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(KeyError::Unrecognised);
    }
    match text.parse::<i64>() {
        Ok(exponent) if exponent.unsigned_abs() <= NUMERIC_KEY_DIGITS_MAX as u64 => Ok(exponent),
        _ => Err(KeyError::OutOfRange),
    }
}

/// Base-10,000 digits behind a header of ndigits, weight, sign and display scale, 16 bits each.
pub(super) fn from_binary(bytes: &[u8]) -> Result<BigDecimal, KeyError> {
    let mut words = bytes.chunks(2).map(|word| Ok(u16::from_be_bytes(exactly(word)?)));
    let mut next = || words.next().unwrap_or(Err(KeyError::Unrecognised));
    let count = next()?;
    let weight = next()?.cast_signed();
    let negative = match next()? {
        0x0000 => false,
        0x4000 => true,
        0xc000 | 0xd000 | 0xf000 => return Err(KeyError::NotFinite),
        _ => return Err(KeyError::Unrecognised),
    };
    let display_scale = next()?;
    if usize::from(count) * 4 > NUMERIC_KEY_DIGITS_MAX {
        return Err(KeyError::OutOfRange);
    }
    let mut digits = String::with_capacity(usize::from(count) * 4);
    for _ in 0..count {
        match next()? {
            digit @ 0..10_000 => digits.push_str(&format!("{digit:04}")),
            _ => return Err(KeyError::Unrecognised),
        }
    }
    if words.next().is_some() {
        return Err(KeyError::Unrecognised);
    }
    if digits.is_empty() {
        digits.push('0');
    }
    let scale = 4 * (i64::from(count) - 1 - i64::from(weight));
    let value = number(negative, &digits, if count == 0 { 0 } else { scale })?;
    // PostgreSQL cuts digits beyond the display scale when it receives the value.
    if value.fractional_digit_count() > i64::from(display_scale) {
        return Err(KeyError::Unrecognised);
    }
    Ok(value)
}

/// The number `digits` / 10^`scale`, bounded so that no comparison has to write out a huge power of ten.
fn number(negative: bool, digits: &str, scale: i64) -> Result<BigDecimal, KeyError> {
    let limit = NUMERIC_KEY_DIGITS_MAX as u64;
    if digits.len() as u64 > limit || scale.unsigned_abs() > 2 * limit {
        return Err(KeyError::OutOfRange);
    }
    let number: BigInt = digits.parse().map_err(|_| KeyError::Unrecognised)?;
    let number = if negative { -number } else { number };
    Ok(BigDecimal::new(number, scale).normalized())
}
