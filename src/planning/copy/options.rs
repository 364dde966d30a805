//! The options of one COPY, which may be literals and so aren't part of its template. In: its text. Out: how its data
//! is written.

use crate::planning::build;
use crate::planning::plan::Refusal;
use crate::planning::refusal;
use crate::planning::text::Text;
use crate::sql::lexer::literal_text;
use crate::sql::{LexOptions, Literal, TokenKind};

/// How a COPY's data is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyOptions {
    pub format: CopyFormat,
    pub delimiter: u8,
    pub null: Vec<u8>,
    pub header: bool,
    pub quote: u8,
    pub escape: u8,
    pub force_not_null: bool,
    pub force_null: bool,
    pub encoding: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyFormat {
    Text,
    Csv,
    Binary,
}

/// Reads the options of one call, both spellings (documentation, COPY). What is wrong with them isn't judged here: the
/// servers are asked first. `key`: the column that the FORCE options are looked at for.
///
/// # Errors
/// Options that aren't known: they may change what a row is.
pub fn options(sql: &[u8], options: &LexOptions, key: Option<&str>) -> Result<CopyOptions, Refusal> {
    let pieces = build::pieces(sql, options);
    let text = Text { sql, pieces: &pieces };
    let mut depth = 0_usize;
    let start = (0..pieces.len()).find(|at| {
        depth += usize::from(text.punct(*at, b'('));
        depth -= usize::from(text.punct(*at, b')')).min(depth);
        depth == 0 && text.is_any(*at, &["stdin", "stdout"])
    });
    let start = start.ok_or_else(refusal::not_parsed)? + 1;
    let end = (start..pieces.len()).find(|at| text.is(*at, "where") || text.punct(*at, b';')).unwrap_or(pieces.len());
    let mut reader = OptionReader {
        text: text.range(0..end),
        at: start,
        key,
        format: if text.is(1, "binary") { CopyFormat::Binary } else { CopyFormat::Text },
        delimiter: None,
        null: None,
        header: false,
        quote: None,
        escape: None,
        force_not_null: false,
        force_null: false,
        encoding: None,
    };
    while reader.at < end {
        reader.option()?;
    }
    let csv = reader.format == CopyFormat::Csv;
    let quote = reader.quote.unwrap_or(b'"');
    Ok(CopyOptions {
        format: reader.format,
        delimiter: reader.delimiter.unwrap_or(if csv { b',' } else { b'\t' }),
        null: reader.null.unwrap_or(if csv { Vec::new() } else { b"\\N".to_vec() }),
        header: reader.header && reader.format != CopyFormat::Binary,
        quote,
        escape: reader.escape.unwrap_or(quote),
        force_not_null: reader.force_not_null,
        force_null: reader.force_null,
        encoding: reader.encoding,
    })
}

struct OptionReader<'a> {
    text: Text<'a>,
    at: usize,
    key: Option<&'a str>,
    format: CopyFormat,
    delimiter: Option<u8>,
    null: Option<Vec<u8>>,
    header: bool,
    quote: Option<u8>,
    escape: Option<u8>,
    force_not_null: bool,
    force_null: bool,
    encoding: Option<String>,
}

impl OptionReader<'_> {
    fn pass(&mut self, word: &str) -> bool {
        let is = self.text.is(self.at, word);
        self.at += usize::from(is);
        is
    }

    fn option(&mut self) -> Result<(), Refusal> {
        let unknown = || refusal::copy_option(&String::from_utf8_lossy(self.text.bytes(self.at)));
        if self.text.punct(self.at, b'(') || self.text.punct(self.at, b')') || self.text.punct(self.at, b',') {
            self.at += 1;
            return Ok(());
        }
        let Some(name) = self.text.name(self.at) else { return Err(unknown()) };
        self.at += 1;
        match name.as_str() {
            "with" | "using" | "as" | "freeze" => {
                // FREEZE is possible only for tables of the same transaction; its value goes with it.
                if name == "freeze" {
                    self.boolean();
                }
            }
            "format" => {
                let format = self.value()?.to_ascii_lowercase();
                self.format = match format.as_str() {
                    "csv" => CopyFormat::Csv,
                    "binary" => CopyFormat::Binary,
                    _ => CopyFormat::Text,
                };
            }
            "csv" => self.format = CopyFormat::Csv,
            "binary" => self.format = CopyFormat::Binary,
            "header" => self.header = self.boolean(),
            "delimiter" | "delimiters" => self.delimiter = self.byte()?,
            "null" => self.null = Some(self.string()?.into_bytes()),
            "quote" => self.quote = self.byte()?,
            "escape" => self.escape = self.byte()?,
            "encoding" => self.encoding = Some(self.string()?),
            "force_not_null" => self.force_not_null = self.names_key(),
            "force_null" => self.force_null = self.names_key(),
            "force_quote" => {
                self.names_key();
            }
            "force" if self.pass("not") && self.pass("null") => self.force_not_null = self.names_key(),
            "force" if self.pass("null") => self.force_null = self.names_key(),
            "force" if self.pass("quote") => {
                self.names_key();
            }
            _ => return Err(refusal::copy_option(&name)),
        }
        Ok(())
    }

    /// What may stand behind a word that is an option by itself.
    fn boolean(&mut self) -> bool {
        let value = match self.text.kind(self.at) {
            Some(TokenKind::Literal(_)) => self.string_or_number(),
            Some(TokenKind::Word) if self.text.is_any(self.at, &["true", "false", "on", "off", "match"]) => {
                String::from_utf8_lossy(self.text.bytes(self.at)).into_owned()
            }
            _ => return true,
        };
        self.at += 1;
        !matches!(value.to_ascii_lowercase().as_str(), "false" | "off" | "0")
    }

    fn string_or_number(&self) -> String {
        let number = || String::from_utf8_lossy(self.text.bytes(self.at)).into_owned();
        self.literal(self.at).unwrap_or_else(number)
    }

    fn literal(&self, at: usize) -> Option<String> {
        let token = &self.text.pieces.get(at)?.token;
        let TokenKind::Literal(kind) = token.kind else { return None };
        let text = literal_text(self.text.sql, &Literal { span: token.span.clone(), kind })?;
        Some(text.into_owned())
    }

    /// A string, or a name that stands for one.
    fn value(&mut self) -> Result<String, Refusal> {
        if let Some(name) = self.text.name(self.at) {
            self.at += 1;
            return Ok(name);
        }
        self.string()
    }

    fn string(&mut self) -> Result<String, Refusal> {
        self.pass("as");
        let value = self.literal(self.at).ok_or_else(refusal::not_parsed)?;
        self.at += 1;
        Ok(value)
    }

    /// One that isn't a single byte is an error that the servers tell.
    fn byte(&mut self) -> Result<Option<u8>, Refusal> {
        Ok(self.string()?.bytes().next())
    }

    /// A list of columns, in parentheses or not, or `*`; whether the key is one of them.
    fn names_key(&mut self) -> bool {
        let in_parentheses = self.text.punct(self.at, b'(');
        self.at += usize::from(in_parentheses);
        let mut found = false;
        loop {
            if self.text.bytes(self.at) == b"*" {
                found = true;
            } else if let Some(name) = self.text.name(self.at) {
                found |= self.key == Some(&*name);
            } else {
                return found;
            }
            self.at += 1;
            if !self.text.punct(self.at, b',') {
                self.at += usize::from(in_parentheses && self.text.punct(self.at, b')'));
                return found;
            }
            self.at += 1;
        }
    }
}
