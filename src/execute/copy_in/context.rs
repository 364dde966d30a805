//! `COPY table, line N` in what servers say, with the client's line.

use crate::protocol::frame::HEADER_BYTES;

/// An ErrorResponse or NoticeResponse whose context `COPY table, line N` tells the client's line, and that line. The
/// words between the table and the number are the server's language.
pub(super) fn with_client_line(
    frame: &[u8],
    table: &str,
    client_line: impl Fn(u64) -> Option<u64>,
) -> (Vec<u8>, Option<u64>) {
    let mut line = None;
    let mut changed = frame.get(..HEADER_BYTES).unwrap_or_default().to_vec();
    let start = format!("COPY {table}");
    for field in frame.get(HEADER_BYTES..).unwrap_or_default().split_inclusive(|byte| *byte == 0) {
        let text = std::str::from_utf8(field).ok().filter(|text| text.starts_with('W'));
        let place = text.and_then(|text| number_behind(text, &start));
        let (Some(text), Some(place)) = (text, place) else {
            changed.extend_from_slice(field);
            continue;
        };
        let number = text.get(place.clone()).and_then(|digits| digits.parse().ok());
        line = number.and_then(&client_line);
        changed.extend_from_slice(text.get(..place.start).unwrap_or_default().as_bytes());
        let shown = line.map_or_else(|| "?".to_owned(), |line| line.to_string());
        changed.extend_from_slice(shown.as_bytes());
        changed.extend_from_slice(text.get(place.end..).unwrap_or_default().as_bytes());
    }
    let len = u32::try_from(changed.len().saturating_sub(1)).unwrap_or(u32::MAX);
    if let Some(place) = changed.get_mut(1..HEADER_BYTES) {
        place.copy_from_slice(&len.to_be_bytes());
    }
    (changed, line)
}

/// The first number behind `start`, on its line.
fn number_behind(text: &str, start: &str) -> Option<std::ops::Range<usize>> {
    let from = text.find(start)? + start.len();
    let rest = text.get(from..)?;
    let rest = rest.split_once('\n').map_or(rest, |(line, _)| line);
    let first = rest.find(|character: char| character.is_ascii_digit())?;
    let digits = rest.get(first..)?.bytes().take_while(u8::is_ascii_digit).count();
    Some(from + first..from + first + digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_tells_the_clients_line() {
        let field = "WPL/pgSQL function f() line 3 at RAISE\nCOPY items2, line 7, column id: \"8\"\0";
        let mut frame = b"E\0\0\0\0SERROR\0".to_vec();
        frame.extend_from_slice(field.as_bytes());
        frame.push(0);
        let (changed, line) = with_client_line(&frame, "items2", |line| Some(line + 100));
        assert_eq!(line, Some(107));
        let text = String::from_utf8_lossy(&changed).into_owned();
        assert!(text.contains("f() line 3 at RAISE\nCOPY items2, line 107, column id: \"8\""), "{text}");
        assert_eq!(changed[1..5], u32::to_be_bytes(changed.len() as u32 - 1));
    }
}
