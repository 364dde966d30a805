//! Comments (documentation section 4.1.5), and the routing hint that one may hold.

use std::ops::Range;

use super::LexError;

/// The end of the line that `at` is in; `None` if a NUL comes first.
pub(super) fn line_end(sql: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match sql.get(at) {
            None | Some(b'\n' | b'\r') => return Some(at),
            Some(0) => return None,
            Some(_) => at += 1,
        }
    }
}

/// The end of the comment that begins at `start`; they nest.
pub(super) fn block_comment(sql: &[u8], start: usize) -> Result<usize, LexError> {
    let mut at = start + 2;
    let mut depth = 1;
    while depth > 0 {
        match (sql.get(at), sql.get(at + 1)) {
            (None, _) => return Err(LexError { at: start }),
            (Some(0), _) => return Err(LexError { at }),
            (Some(b'*'), Some(b'/')) => {
                depth -= 1;
                at += 2;
            }
            (Some(b'/'), Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    Ok(at)
}

/// What follows `shardway:` in that block comment, trimmed.
pub(super) fn hint(sql: &[u8], comment: Range<usize>) -> Option<Range<usize>> {
    let end = comment.end.checked_sub(2)?;
    let body = sql.get(comment.start + 2..end)?;
    let hint = body.trim_ascii_start().strip_prefix(b"shardway:")?;
    let start = end - hint.trim_ascii_start().len();
    Some(start..start + hint.trim_ascii().len())
}
