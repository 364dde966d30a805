//! The ends of what is quoted (documentation sections 4.1.1 and 4.1.2).

use super::classes::{QUOTED_STOP, SPACE, STRING_STOP, has, until};
use super::comments::line_end;
use super::{LexError, LiteralKind};

/// The end of the string that begins at `start` and whose opening quote ends `open` bytes behind it.
#[inline(always)]
pub(super) fn string(sql: &[u8], start: usize, open: usize, kind: LiteralKind) -> Result<usize, LexError> {
    let escapes = kind == LiteralKind::EscapeString;
    let mut at = start + open;
    loop {
        at = until(sql, at, STRING_STOP);
        match sql.get(at) {
            Some(b'\'') if sql.get(at + 1) == Some(&b'\'') => at += 2,
            Some(b'\'') => match continuation(sql, at + 1) {
                Some(next) => at = next,
                None => return Ok(at + 1),
            },
            // The byte after a backslash can't end the string, but it may be a NUL.
            Some(b'\\') if escapes && sql.get(at + 1) != Some(&0) => at += 2,
            Some(0) => return Err(LexError { at }),
            Some(_) => at += 1,
            None => return Err(LexError { at: start }),
        }
    }
}

/// The end of the quoted identifier that begins at `start`, likewise.
#[inline(always)]
pub(super) fn quoted(sql: &[u8], start: usize, open: usize) -> Result<usize, LexError> {
    let mut at = start + open;
    loop {
        at = until(sql, at, QUOTED_STOP);
        match sql.get(at) {
            Some(b'"') if sql.get(at + 1) == Some(&b'"') => at += 2,
            Some(b'"') => return Ok(at + 1),
            Some(_) => return Err(LexError { at }),
            None => return Err(LexError { at: start }),
        }
    }
}

/// The end of the `$tag$...$tag$` that begins at `start`; `open` is behind the opening tag. Any
/// occurrence of the tag ends it, also one whose first `$` could be the last of another tag.
pub(super) fn dollar_string(sql: &[u8], start: usize, open: usize) -> Result<usize, LexError> {
    let tag = sql.get(start..open).unwrap_or_default();
    let mut at = open;
    loop {
        match sql.get(at) {
            Some(b'$') if sql.get(at..at + tag.len()) == Some(tag) => return Ok(at + tag.len()),
            Some(0) => return Err(LexError { at }),
            Some(_) => at += 1,
            None => return Err(LexError { at: start }),
        }
    }
}

/// Strings that are separated by white space with a newline in it are one string (section 4.1.2.1).
/// In: the position behind a closing quote. Out: the position behind the next opening one.
#[inline(always)]
pub(super) fn continuation(sql: &[u8], at: usize) -> Option<usize> {
    match sql.get(at) {
        Some(&byte) if has(byte, SPACE) || byte == b'-' => continuation_far(sql, at),
        _ => None,
    }
}

fn continuation_far(sql: &[u8], mut at: usize) -> Option<usize> {
    let mut newline = false;
    loop {
        match sql.get(at)? {
            b'\n' | b'\r' => {
                newline = true;
                at += 1;
            }
            b'-' if sql.get(at + 1) == Some(&b'-') => at = line_end(sql, at + 2)?,
            b'\'' => return newline.then_some(at + 1),
            &byte if has(byte, SPACE) => at += 1,
            _ => return None,
        }
    }
}
