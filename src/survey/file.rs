//! A file of statements: SQL with semicolons, as psql reads it, or one of PostgreSQL's logs. In: text. Out: what an
//! application sent, in its order.

use super::{Sent, log};
use crate::sql::{LexOptions, Lexed, TokenKind, Tokens, lex};

/// Reads either.
///
/// # Errors
/// When it is neither: a quote or a comment has no end, or a log holds no statement.
pub fn read(text: &str) -> Result<Vec<Sent>, String> {
    // Some editors begin a file so; psql doesn't send it either.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if log::is_one(text) {
        let all = log::read(text)?;
        if all.is_empty() {
            return Err(
                "the log holds no statement: set log_statement = 'all' or log_min_duration_statement = 0 for a \
                        while, with lc_messages = 'C'"
                    .to_owned(),
            );
        }
        return Ok(all);
    }
    plain(text)
}

fn plain(text: &str) -> Result<Vec<Sent>, String> {
    let text = without_other_lines(text);
    let options = LexOptions { standard_conforming_strings: true };
    let mut lexed = Lexed::default();
    lex(text.as_bytes(), &options, &mut lexed).map_err(|error| {
        let line = 1 + text.bytes().take(error.at).filter(|byte| *byte == b'\n').count();
        format!("line {line}: a quote or comment that begins here has no end")
    })?;
    let mut all = Vec::new();
    let (mut counted, mut line) = (0, 1);
    // A comment may stand before a statement or behind it; the semicolon divides.
    let mut from = 0;
    let mut spans = lexed.statements.iter().peekable();
    while let Some(span) = spans.next() {
        let next = spans.peek().map_or(text.len(), |next| next.start);
        let behind = text.get(span.end..next).unwrap_or_default();
        let divider = Tokens::new(behind.as_bytes(), &options).find(|token| token.kind == TokenKind::Punct(b';'));
        let until = divider.map_or(next, |token| span.end + token.span.start);
        line += text.bytes().take(span.start).skip(counted).filter(|byte| *byte == b'\n').count();
        counted = span.start;
        let sql = text.get(from..until).unwrap_or_default().trim().trim_start_matches([';', ' ', '\n']).to_owned();
        all.push(Sent { sql, line, parameters: None, calls: 1 });
        from = (until + 1).min(next);
    }
    Ok(all)
}

/// What stands behind `\g` in psql's commands that send a statement.
fn sends(rest: &str) -> bool {
    let word = rest.split_whitespace().next().filter(|_| !rest.starts_with(' ')).unwrap_or_default();
    ["", "x", "set", "exec", "desc"].contains(&word)
}

/// psql's own commands and the rows of `COPY ... FROM stdin` are no SQL; empty lines stand in their place.
fn without_other_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_rows = false;
    for line in text.lines() {
        let is_end = line == "\\.";
        if in_rows || is_end || line.starts_with('\\') {
            in_rows = in_rows && !is_end;
        } else {
            match line.rsplit_once(" \\g") {
                // \gset, \gx and their like send the statement. Within a string it is a part of that.
                Some((sql, rest)) if sends(rest) && sql.matches('\'').count() % 2 == 0 => {
                    out.push_str(sql);
                    out.push(';');
                }
                _ => out.push_str(line),
            }
            let lower = line.trim().to_ascii_lowercase();
            in_rows = lower.starts_with("copy ")
                && lower.contains("from stdin")
                && lower.ends_with(';')
                && text.contains("\n\\.");
        }
        out.push('\n');
    }
    out
}
