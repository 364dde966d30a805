//! A normalised statement for people: what stands for literals becomes a question mark, and blanks come where they
//! help the eye. The result is shown, never sent.

use super::{CONTROL_MARK, UNICODE_IDENT_MARK};

/// Bytes below this in a normalised text stand for literals, [`super::LiteralKind::mark`].
const FIRST_CONTROL_THAT_IS_NONE: u8 = 9;

pub fn readable(normalized: &[u8]) -> String {
    let mut text = Vec::with_capacity(normalized.len() + normalized.len() / 4);
    let is_wordy = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'"' | b'$') || byte >= 0x80;
    let mut quoted = false;
    for &byte in normalized {
        if quoted {
            text.push(byte);
            quoted = byte != b'"';
            continue;
        }
        let last = text.last().copied().unwrap_or(b' ');
        match byte {
            UNICODE_IDENT_MARK | CONTROL_MARK => {}
            1..FIRST_CONTROL_THAT_IS_NONE => {
                if is_wordy(last) || last == b')' || last == b'?' {
                    text.push(b' ');
                }
                text.push(b'?');
            }
            b',' | b';' => text.extend_from_slice(&[byte, b' ']),
            _ => {
                if is_wordy(byte) && matches!(last, b'?' | b')' | b']') {
                    text.push(b' ');
                }
                text.push(byte);
                quoted = byte == b'"';
            }
        }
    }
    String::from_utf8_lossy(&text).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::readable;
    use crate::sql::lexer::{LexOptions, Lexed, lex};

    fn shown(sql: &str) -> String {
        let mut lexed = Lexed::default();
        lex(sql.as_bytes(), &LexOptions { standard_conforming_strings: true }, &mut lexed).expect("it has an end");
        readable(&lexed.normalized)
    }

    #[test]
    fn values_are_not_shown() {
        assert_eq!(
            shown("SELECT name, 'secret' FROM users WHERE id = 42 AND Mail='a@b' LIMIT 1"),
            "select name, ? from users where id=? and mail=? limit ?"
        );
        assert_eq!(shown("INSERT INTO t VALUES (1, E'a', $$b$$)"), "insert into t values(?, ?, ?)");
        assert_eq!(
            shown("SELECT (a)as x, \"Odd,Name\" FROM t; SELECT $1"),
            "select(a) as x, \"Odd,Name\" from t; select $1"
        );
    }
}
