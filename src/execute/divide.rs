//! Divides the data of a COPY FROM STDIN into its rows, as PostgreSQL's reader would (copyfromparse.c), and finds
//! the shard key in each. In: the client's bytes, in whatever pieces. Out: rows as they came, with the key's raw
//! value. Knows no sockets, no shards and no types.
//!
//! What PostgreSQL would stop at isn't judged here: it is handed out as [`Part::Odd`], for a server to say.

mod binary;
mod csv;
mod lines;
mod text;

#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::{Buf, BytesMut};

pub use lines::Lines;

/// How the data is written, as the statement's options say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataFormat {
    pub kind: Kind,
    pub delimiter: u8,
    pub null: Vec<u8>,
    pub header: bool,
    pub quote: u8,
    pub escape: u8,
    /// FORCE_NOT_NULL holds for the key's column.
    pub force_not_null: bool,
    pub force_null: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Text,
    Csv,
    Binary,
}

/// The key of one row, as far as its row can be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Field {
    Null,
    Text(Vec<u8>),
    Binary(Vec<u8>),
    /// The row has too few fields, or is broken.
    Missing,
}

/// What comes next in the data. `bytes` is its length at the front of [`Divider::data`].
#[derive(PartialEq, Eq, Debug)]
pub enum Part {
    /// For every shard: the header line or the signature.
    Header {
        bytes: usize,
        lines: Count,
    },
    Row {
        bytes: usize,
        lines: Count,
        key: Field,
    },
    /// The end that is part of the data: the line `\.`, or the trailer in binary.
    End {
        bytes: usize,
    },
    /// A server will fail on it.
    Odd {
        bytes: usize,
        lines: Count,
    },
}

/// How many lines PostgreSQL counts in a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count {
    pub lines: u64,
    /// The same for a server to which this is the first part: until the first line has ended it doesn't know what
    /// ends lines, and takes those within quotes to end with `\r`.
    pub as_first: u64,
}

/// What ends the lines, once the first has shown it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    Newline,
    Return,
    ReturnNewline,
}

/// A line's end was found, or isn't there yet.
enum Found {
    More,
    Line { bytes: usize, lines: Count },
    End { bytes: usize },
    Odd { bytes: usize, lines: Count },
}

#[derive(Debug)]
pub struct Divider {
    format: DataFormat,
    /// The key's field, from 0; `None`: every row is for every shard.
    key: Option<usize>,
    pub data: BytesMut,
    /// How far `data` has been looked at.
    at: usize,
    ending: Option<Ending>,
    header_due: bool,
    quoted: bool,
    escaped: bool,
    /// Line ends within quotes of the row that is being read, and those of them that are `\r`.
    inner_lines: u64,
    inner_returns: u64,
}

impl Divider {
    pub fn new(format: DataFormat, key: Option<usize>) -> Self {
        let header_due = format.header || format.kind == Kind::Binary;
        Self {
            format,
            key,
            data: BytesMut::new(),
            at: 0,
            ending: None,
            header_due,
            quoted: false,
            escaped: false,
            inner_lines: 0,
            inner_returns: 0,
        }
    }

    /// The next part; `None` while it isn't complete. `last`: nothing more will come.
    pub fn next(&mut self, last: bool) -> Option<Part> {
        if self.data.is_empty() {
            return None;
        }
        if self.format.kind == Kind::Binary {
            return self.next_binary(last);
        }
        let found = match self.format.kind {
            Kind::Csv => self.scan_csv(last),
            _ => self.scan_text(last),
        };
        match found {
            Found::More => None,
            Found::End { bytes } => Some(Part::End { bytes }),
            Found::Odd { bytes, lines } => Some(Part::Odd { bytes, lines }),
            Found::Line { bytes, lines } if self.header_due => {
                self.header_due = false;
                Some(Part::Header { bytes, lines })
            }
            Found::Line { bytes, lines } => {
                let key = self.key_of(bytes);
                Some(Part::Row { bytes, lines, key })
            }
        }
    }

    pub fn is_binary(&self) -> bool {
        self.format.kind == Kind::Binary
    }

    /// The part at the front has been taken.
    pub fn take(&mut self, bytes: usize) {
        self.data.advance(bytes.min(self.data.len()));
        self.at = 0;
        self.quoted = false;
        self.escaped = false;
        self.inner_lines = 0;
        self.inner_returns = 0;
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.data.get(at).copied()
    }

    fn count(&self) -> Count {
        Count { lines: self.inner_lines + 1, as_first: self.inner_returns + 1 }
    }

    fn line(&self, bytes: usize) -> Found {
        Found::Line { bytes, lines: self.count() }
    }

    fn odd(&self, bytes: usize) -> Found {
        Found::Odd { bytes: bytes.min(self.data.len()), lines: self.count() }
    }

    /// The byte at `at` is `\r` or `\n` where a line may end.
    fn ends_line(&mut self, at: usize, last: bool) -> Option<Found> {
        if self.byte(at) == Some(b'\n') {
            return Some(match self.ending {
                None | Some(Ending::Newline) => {
                    self.ending = Some(Ending::Newline);
                    self.line(at + 1)
                }
                Some(_) => self.odd(at + 1),
            });
        }
        match (self.ending, self.byte(at + 1)) {
            (Some(Ending::Newline), _) => Some(self.odd(at + 1)),
            (Some(Ending::Return), _) => Some(self.line(at + 1)),
            (_, None) if !last => None,
            (_, Some(b'\n')) => {
                self.ending = Some(Ending::ReturnNewline);
                Some(self.line(at + 2))
            }
            (Some(Ending::ReturnNewline), _) => Some(self.odd(at + 1)),
            (None, _) => {
                self.ending = Some(Ending::Return);
                Some(self.line(at + 1))
            }
        }
    }

    /// The line without its end.
    fn content(&self, bytes: usize) -> Range<usize> {
        let mut end = bytes;
        let ends_with = |end: usize, byte| end > 0 && self.byte(end - 1) == Some(byte);
        match self.ending {
            Some(Ending::Newline) if ends_with(end, b'\n') => end -= 1,
            Some(Ending::Return) if ends_with(end, b'\r') => end -= 1,
            Some(Ending::ReturnNewline) if ends_with(end, b'\n') && ends_with(end - 1, b'\r') => end -= 2,
            _ => {}
        }
        0..end
    }

    fn key_of(&self, bytes: usize) -> Field {
        let Some(position) = self.key else { return Field::Missing };
        let line = self.data.get(self.content(bytes)).unwrap_or_default();
        match self.format.kind {
            Kind::Csv => csv::field(line, position, &self.format),
            _ => text::field(line, position, &self.format),
        }
    }
}
