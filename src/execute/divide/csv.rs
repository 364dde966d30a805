//! Lines and fields of the CSV format (CopyReadLineText, CopyReadAttributesCSV). A line may go on behind a line
//! end that is quoted.

use super::{DataFormat, Divider, Ending, Field, Found};

impl Divider {
    pub(super) fn scan_csv(&mut self, last: bool) -> Found {
        let (quote, escape) = (self.format.quote, self.format.escape);
        while let Some(byte) = self.byte(self.at) {
            // PostgreSQL counts the lines within quotes by the ending that it knows so far.
            let counted = if self.ending == Some(Ending::Newline) { b'\n' } else { b'\r' };
            if byte == b'\\'
                && self.at == 0
                && let Some(found) = self.end_mark_csv(last)
            {
                return found;
            }
            if escape != quote && byte == escape {
                self.escaped = !self.escaped;
            }
            if byte == quote && !self.escaped {
                self.quoted = !self.quoted;
            }
            if escape == quote || byte != escape {
                self.escaped = false;
            }
            if self.quoted {
                self.inner_lines += u64::from(byte == counted);
                self.inner_returns += u64::from(byte == b'\r');
            }
            if matches!(byte, b'\r' | b'\n') && !self.quoted {
                return self.ends_line(self.at, last).unwrap_or(Found::More);
            }
            self.at += 1;
        }
        if last { self.line(self.data.len()) } else { Found::More }
    }

    /// `\.` counts only where it is all of a line; `None`: it is data.
    fn end_mark_csv(&self, last: bool) -> Option<Found> {
        match (self.byte(1), self.byte(2), self.byte(3)) {
            (None, ..) if !last => Some(Found::More),
            (Some(b'.'), None, _) if !last => Some(Found::More),
            (Some(b'.'), None, _) => Some(Found::End { bytes: 2 }),
            (Some(b'.'), Some(b'\r'), None) if !last && self.ending != Some(Ending::Return) => Some(Found::More),
            (Some(b'.'), Some(b'\r'), Some(b'\n')) if self.ending == Some(Ending::ReturnNewline) => {
                Some(Found::End { bytes: 4 })
            }
            (Some(b'.'), Some(b'\n'), _) if matches!(self.ending, None | Some(Ending::Newline)) => {
                Some(Found::End { bytes: 3 })
            }
            (Some(b'.'), Some(b'\r'), _) if matches!(self.ending, None | Some(Ending::Return)) => {
                Some(Found::End { bytes: 3 })
            }
            (Some(b'.'), Some(b'\r' | b'\n'), _) => Some(self.odd(self.data.len())),
            _ => None,
        }
    }
}

/// The field at that position, its quotes taken out.
pub(super) fn field(line: &[u8], position: usize, format: &DataFormat) -> Field {
    let mut bytes = line.iter().copied().peekable();
    let mut number = 0;
    loop {
        let mut value = Vec::new();
        let mut was_quoted = false;
        let mut quoted = false;
        let ended = loop {
            let Some(byte) = bytes.next() else { break true };
            if !quoted {
                if byte == format.delimiter {
                    break false;
                }
                if byte == format.quote {
                    (quoted, was_quoted) = (true, true);
                } else if number == position {
                    value.push(byte);
                }
                continue;
            }
            if byte == format.escape
                && let Some(next) = bytes.next_if(|next| *next == format.escape || *next == format.quote)
            {
                value.push(next);
            } else if byte == format.quote {
                quoted = false;
            } else {
                value.push(byte);
            }
        };
        if number == position {
            let is_null = *value == *format.null;
            let null = is_null && (!was_quoted && !format.force_not_null || was_quoted && format.force_null);
            return if null { Field::Null } else { Field::Text(value) };
        }
        if ended {
            return Field::Missing;
        }
        number += 1;
    }
}
