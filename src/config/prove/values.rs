//! Single values: numbers in bounds, durations, choices, addresses.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::mistake::{Notes, similar};
use crate::config::raw::RawLimits;
use crate::config::reader::{Placed, quoted_list};
use crate::config::{ClientLimits, defaults};
use crate::types::limits::{CLIENTS_MAX, NAME_BYTES_MAX, TIMEOUT_MAX};

/// A whole number from 1 to `most`; the default when absent or wrong.
pub(super) fn count(
    name: &str,
    value: Option<&Placed<i64>>,
    most: usize,
    default: usize,
    notes: &mut Notes<'_>,
) -> usize {
    let Some(value) = value else { return default };
    match usize::try_from(*value.get_ref()) {
        Ok(number) if (1..=most).contains(&number) => number,
        _ => {
            let what = format!("`{name}` must be between 1 and {most}, not {}", value.get_ref());
            notes.mistake(&value.span(), what, format!("write {name} = {default}"));
            default
        }
    }
}

/// A duration above zero; the default when absent or wrong.
pub(super) fn duration(
    name: &str,
    value: Option<&Placed<String>>,
    default: Duration,
    notes: &mut Notes<'_>,
) -> Duration {
    let Some(value) = value else { return default };
    match parse_duration(value.get_ref()) {
        Some(Duration::ZERO) => {
            let what = format!("`{name}` must be longer than nothing");
            notes.mistake(&value.span(), what, format!("write {name} = \"{}\"", show_duration(default)));
            default
        }
        Some(duration) if duration <= TIMEOUT_MAX => duration,
        Some(_) => {
            let what = format!("`{name}` is longer than {}", show_duration(TIMEOUT_MAX));
            notes.mistake(&value.span(), what, format!("write {name} = \"{}\"", show_duration(default)));
            default
        }
        None => {
            let what = format!("`{name}` is not a duration: {:?}", value.get_ref());
            let remedy = format!(
                "write a whole number and its unit, ms, s, m, h or d, as in {name} = \"{}\"",
                show_duration(default)
            );
            notes.mistake(&value.span(), what, remedy);
            default
        }
    }
}

/// `250ms`, `5s`, `1m`, `2h`, `1d`.
pub(in crate::config) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (digits, unit) = text.split_at(unit_at);
    let number: u64 = digits.parse().ok()?;
    let milliseconds = match unit.trim() {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// In the largest unit that divides it.
pub(super) fn show_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if milliseconds >= size && milliseconds.is_multiple_of(size) {
            return format!("{}{unit}", milliseconds / size);
        }
    }
    format!("{milliseconds}ms")
}

/// One of several words; `default` when absent or wrong.
pub(super) fn choice<T: Copy>(
    name: &str,
    value: Option<&Placed<String>>,
    choices: &[(&str, T)],
    default: T,
    notes: &mut Notes<'_>,
) -> T {
    let Some(value) = value else { return default };
    if let Some((_, chosen)) = choices.iter().find(|(word, _)| word == value.get_ref()) {
        return *chosen;
    }
    let words = choices.iter().map(|(word, _)| *word);
    let remedy = match similar(value.get_ref(), words.clone()) {
        Some(meant) => format!("write {name} = \"{meant}\""),
        None => format!("write one of {}", quoted_list(words)),
    };
    notes.mistake(&value.span(), format!("`{name}` can't be {:?}", value.get_ref()), remedy);
    default
}

/// `address:port`, where the address is a number or `localhost`.
pub(super) fn address(
    name: &str,
    value: &Placed<String>,
    example: SocketAddr,
    notes: &mut Notes<'_>,
) -> Option<SocketAddr> {
    let text = value.get_ref().trim();
    let numeric = text.strip_prefix("localhost:").map_or(text.to_owned(), |port| format!("127.0.0.1:{port}"));
    if let Ok(address) = numeric.parse() {
        return Some(address);
    }
    let remedy = match text.rsplit_once(':') {
        Some(("*" | "", port)) => {
            format!("write {name} = \"0.0.0.0:{port}\" for all IPv4 addresses")
        }
        _ if text.parse::<std::net::Ipv4Addr>().is_ok() => {
            format!("write {name} = \"{text}:{}\"", example.port())
        }
        _ if text.parse::<std::net::Ipv6Addr>().is_ok() => {
            format!("write {name} = \"[{text}]:{}\"", example.port())
        }
        _ if text.parse::<u16>().is_ok() => format!("write {name} = \"127.0.0.1:{text}\""),
        _ => format!("write a number address and a port, as in {name} = \"{example}\""),
    };
    notes.mistake(&value.span(), format!("`{name}` is not an address and port: {text:?}"), remedy);
    None
}

/// A name that a server can have: not empty, not longer than PostgreSQL keeps.
pub(super) fn name_fits(what: &str, name: &Placed<String>, notes: &mut Notes<'_>) -> bool {
    let text = name.get_ref();
    if text.is_empty() {
        notes.mistake(&name.span(), format!("{what} is empty"), "write a name");
    } else if text.len() > NAME_BYTES_MAX {
        let what = format!("{what} has {} bytes; PostgreSQL keeps {NAME_BYTES_MAX}", text.len());
        notes.mistake(&name.span(), what, "write a shorter name");
    } else if text.contains('\0') {
        notes.mistake(&name.span(), format!("{what} contains a zero byte"), "remove it");
    } else {
        return true;
    }
    false
}

/// Limits of a user or of a database; "off" is none.
pub(super) fn limits(raw: &RawLimits, notes: &mut Notes<'_>) -> ClientLimits {
    const ADVISED: Duration = Duration::from_secs(60);
    let mut time = |name: &str, value: Option<&Placed<String>>| {
        let value = value.filter(|written| written.get_ref() != "off")?;
        Some(duration(name, Some(value), ADVISED, notes))
    };
    ClientLimits {
        statement_time: time("statement_timeout", raw.statement_timeout.as_ref()),
        idle_in_transaction: time("idle_in_transaction_timeout", raw.idle_in_transaction_timeout.as_ref()),
        idle_session: time("idle_session_timeout", raw.idle_session_timeout.as_ref()),
        clients_max: raw
            .max_clients
            .as_ref()
            .map(|written| count("max_clients", Some(written), CLIENTS_MAX, defaults::CLIENTS, notes)),
    }
}
