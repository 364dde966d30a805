//! Lines and fields of the text format (CopyReadLineText, CopyReadAttributesText).

use super::{DataFormat, Divider, Ending, Field, Found};

impl Divider {
    pub(super) fn scan_text(&mut self, last: bool) -> Found {
        loop {
            let Some(rest) = self.data.get(self.at..) else { return Found::More };
            let Some(step) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\r' | b'\n')) else {
                self.at = self.data.len();
                return if last { self.line(self.data.len()) } else { Found::More };
            };
            self.at += step;
            if self.byte(self.at) != Some(b'\\') {
                match self.ends_line(self.at, last) {
                    Some(found) => return found,
                    None => return Found::More,
                }
            }
            match self.byte(self.at + 1) {
                None if last => return self.line(self.data.len()),
                None => return Found::More,
                Some(b'.') => return self.end_mark(last),
                Some(_) => self.at += 2,
            }
        }
    }

    /// `\.` at `at`: alone on its line it ends the data; anywhere else a server says what is wrong with it.
    fn end_mark(&self, last: bool) -> Found {
        let behind = self.at + 2;
        let end = match (self.byte(behind), self.byte(behind + 1)) {
            (None, _) if last => Some(behind),
            (None, _) => return Found::More,
            (Some(b'\n'), _) if matches!(self.ending, None | Some(Ending::Newline)) => Some(behind + 1),
            (Some(b'\r'), None) if !last && self.ending != Some(Ending::Return) => return Found::More,
            (Some(b'\r'), Some(b'\n')) if self.ending == Some(Ending::ReturnNewline) => Some(behind + 2),
            (Some(b'\r'), _) if matches!(self.ending, None | Some(Ending::Return)) => Some(behind + 1),
            _ => None,
        };
        match end {
            Some(bytes) if self.at == 0 => Found::End { bytes },
            // What is before it on its line is the last row.
            Some(_) => self.line(self.at),
            _ => self.odd(self.data.len()),
        }
    }
}

/// The field at that position, its escapes taken out.
pub(super) fn field(line: &[u8], position: usize, format: &DataFormat) -> Field {
    let mut start = 0;
    let mut at = 0;
    let mut number = 0;
    loop {
        let end = match line.get(at) {
            Some(b'\\') => {
                at += 2;
                continue;
            }
            Some(byte) if *byte == format.delimiter => at,
            Some(_) => {
                at += 1;
                continue;
            }
            None => line.len(),
        };
        if number == position {
            let raw = line.get(start..end).unwrap_or_default();
            return if *raw == *format.null { Field::Null } else { Field::Text(unescaped(raw)) };
        }
        if end == line.len() {
            return Field::Missing;
        }
        number += 1;
        at = end + 1;
        start = at;
    }
}

fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            value.push(byte);
            continue;
        }
        let Some(escaped) = bytes.next() else {
            value.push(b'\\');
            break;
        };
        match escaped {
            b'0'..=b'7' => {
                let mut number = u32::from(escaped - b'0');
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(|byte| (b'0'..=b'7').contains(byte)) else { break };
                    number = number * 8 + u32::from(digit - b'0');
                }
                value.push((number & 0o377) as u8);
            }
            b'x' => {
                let mut number = None;
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(u8::is_ascii_hexdigit) else { break };
                    let digit = (digit as char).to_digit(16).unwrap_or(0);
                    number = Some(number.unwrap_or(0) * 16 + digit);
                }
                value.push(number.map_or(b'x', |number: u32| (number & 0xff) as u8));
            }
            b'b' => value.push(0x08),
            b'f' => value.push(0x0c),
            b'n' => value.push(b'\n'),
            b'r' => value.push(b'\r'),
            b't' => value.push(b'\t'),
            b'v' => value.push(0x0b),
            other => value.push(other),
        }
    }
    value
}
