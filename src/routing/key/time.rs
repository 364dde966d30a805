//! Dates and timestamps in ISO 8601, the one notation that means the same under every DateStyle
//! (documentation section 8.5.1), with years of four digits. Days and microseconds count from 2000-01-01.

use chrono::NaiveDate;

use super::KeyError;

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
const MICROSECONDS_PER_DAY: i64 = 86_400 * MICROSECONDS_PER_SECOND;

/// PostgreSQL accepts zones up to this many hours from UTC (MAX_TZDISP_HOUR).
const ZONE_HOURS_MAX: i64 = 15;

fn epoch() -> NaiveDate {
    NaiveDate::from_ymd_opt(2000, 1, 1).expect("a date of the calendar")
}

pub(super) fn date(text: &str) -> Result<i32, KeyError> {
    if let Some(infinite) = infinity(text, i32::MIN, i32::MAX) {
        return Ok(infinite);
    }
    match days(text)? {
        (days, "") => Ok(days),
        _ => Err(KeyError::Unrecognised),
    }
}

pub(super) fn timestamp(text: &str) -> Result<i64, KeyError> {
    if let Some(infinite) = infinity(text, i64::MIN, i64::MAX) {
        return Ok(infinite);
    }
    match date_and_time(text)? {
        (microseconds, "") => Ok(microseconds),
        // PostgreSQL would ignore a zone here, which is hardly what was meant.
        _ => Err(KeyError::Unrecognised),
    }
}

pub(super) fn timestamp_tz(text: &str) -> Result<i64, KeyError> {
    if let Some(infinite) = infinity(text, i64::MIN, i64::MAX) {
        return Ok(infinite);
    }
    let (microseconds, zone) = date_and_time(text)?;
    Ok(microseconds - zone_seconds(zone)? * MICROSECONDS_PER_SECOND)
}

fn infinity<Number>(text: &str, lowest: Number, highest: Number) -> Option<Number> {
    if text.eq_ignore_ascii_case("infinity") {
        Some(highest)
    } else if text.eq_ignore_ascii_case("-infinity") {
        Some(lowest)
    } else {
        None
    }
}

/// Exactly `count` digits, and what follows them.
fn digits(text: &str, count: usize) -> Result<(u32, &str), KeyError> {
    let (digits, rest) = text.split_at_checked(count).ok_or(KeyError::Unrecognised)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(KeyError::Unrecognised);
    }
    Ok((digits.parse().map_err(|_| KeyError::Unrecognised)?, rest))
}

fn expect<'a>(text: &'a str, mark: &str) -> Result<&'a str, KeyError> {
    text.strip_prefix(mark).ok_or(KeyError::Unrecognised)
}

/// `YYYY-MM-DD`: days since 2000-01-01, and the rest.
fn days(text: &str) -> Result<(i32, &str), KeyError> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(expect(rest, "-")?, 2)?;
    let (day, rest) = digits(expect(rest, "-")?, 2)?;
    let year = i32::try_from(year).map_err(|_| KeyError::OutOfRange)?;
    // There is no year 0 in PostgreSQL's calendar.
    let date = NaiveDate::from_ymd_opt(year, month, day).filter(|_| year > 0).ok_or(KeyError::OutOfRange)?;
    let days = date.signed_duration_since(epoch()).num_days();
    Ok((i32::try_from(days).map_err(|_| KeyError::OutOfRange)?, rest))
}

/// A date, and a time unless it is midnight: microseconds since 2000-01-01, and the rest.
fn date_and_time(text: &str) -> Result<(i64, &str), KeyError> {
    let (days, rest) = days(text)?;
    let midnight = i64::from(days) * MICROSECONDS_PER_DAY;
    match rest.strip_prefix(['T', ' ']) {
        Some(time) => time_of_day(time).map(|(time, rest)| (midnight + time, rest)),
        None if rest.is_empty() => Ok((midnight, rest)),
        // A zone is only certain to be one behind a time.
        None => Err(KeyError::Unrecognised),
    }
}

/// `HH:MM[:SS[.f]]` with up to six decimals: more would be rounded.
fn time_of_day(text: &str) -> Result<(i64, &str), KeyError> {
    let (hours, rest) = digits(text, 2)?;
    let (minutes, rest) = digits(expect(rest, ":")?, 2)?;
    let (seconds, rest) = match rest.strip_prefix(':') {
        Some(rest) => digits(rest, 2)?,
        // To PostgreSQL `10:20.5` is ten minutes and 20.5 seconds.
        None if rest.starts_with('.') => return Err(KeyError::Unrecognised),
        None => (0, rest),
    };
    // 24:00 and a 60th second are allowed by PostgreSQL and carried over; they aren't worth a rule.
    if hours > 23 || minutes > 59 || seconds > 59 {
        return Err(KeyError::Unrecognised);
    }
    let whole = i64::from(hours * 3600 + minutes * 60 + seconds) * MICROSECONDS_PER_SECOND;
    let Some(fraction) = rest.strip_prefix('.') else {
        return Ok((whole, rest));
    };
    let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=6).contains(&count) {
        return Err(KeyError::Unrecognised);
    }
    let (fraction, rest) = digits(fraction, count)?;
    let missing = u32::try_from(6 - count).map_err(|_| KeyError::Unrecognised)?;
    Ok((whole + i64::from(fraction) * 10_i64.pow(missing), rest))
}

/// `Z` or `+HH[MM]` or `+HH:MM[:SS]`: seconds east of UTC. Without it the session's TimeZone decides,
/// and the meaning of a zone's name depends on the server's files.
fn zone_seconds(text: &str) -> Result<i64, KeyError> {
    let (sign, rest) = match text.as_bytes().first() {
        None => return Err(KeyError::DependsOnSettings),
        Some(b'Z' | b'z') if text.len() == 1 => return Ok(0),
        Some(b'+') => (1, expect(text, "+")?),
        Some(b'-') => (-1, expect(text, "-")?),
        Some(_) => return Err(KeyError::DependsOnSettings),
    };
    let (hours, rest) = digits(rest, 2)?;
    let (minutes, seconds, rest) = match rest.strip_prefix(':') {
        Some(rest) => {
            let (minutes, rest) = digits(rest, 2)?;
            match rest.strip_prefix(':') {
                Some(rest) => digits(rest, 2).map(|(seconds, rest)| (minutes, seconds, rest))?,
                None => (minutes, 0, rest),
            }
        }
        None if rest.is_empty() => (0, 0, rest),
        None => digits(rest, 2).map(|(minutes, rest)| (minutes, 0, rest))?,
    };
    if !rest.is_empty() || i64::from(hours) > ZONE_HOURS_MAX || minutes > 59 || seconds > 59 {
        return Err(KeyError::Unrecognised);
    }
    Ok(sign * i64::from(hours * 3600 + minutes * 60 + seconds))
}

/// A day as it is written in a placement's description.
pub(crate) fn date_text(days: i32) -> String {
    match days {
        i32::MIN => "-infinity".into(),
        i32::MAX => "infinity".into(),
        _ => match epoch().checked_add_signed(chrono::TimeDelta::days(days.into())) {
            Some(date) => date.format("%Y-%m-%d").to_string(),
            None => format!("day {days}"),
        },
    }
}

/// A moment as it is written in a placement's description, without its zone.
pub(crate) fn timestamp_text(microseconds: i64) -> String {
    match microseconds {
        i64::MIN => "-infinity".into(),
        i64::MAX => "infinity".into(),
        _ => {
            let moment = epoch().and_hms_opt(0, 0, 0);
            match moment.and_then(|epoch| epoch.checked_add_signed(chrono::TimeDelta::microseconds(microseconds))) {
                Some(moment) => moment.format("%Y-%m-%d %H:%M:%S%.6f").to_string(),
                None => format!("microsecond {microseconds}"),
            }
        }
    }
}
