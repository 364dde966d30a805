//! What each byte can begin or continue, as tables: one load decides. Runs are followed byte by byte: looking at
//! eight at once was slower, since then the next token has to wait for the length of this one.

/// What a byte begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    Space,
    Word,
    Digit,
    Quote,
    DoubleQuote,
    Dollar,
    Operator,
    Comma,
    Open,
    Close,
    Dot,
    Colon,
    Nul,
    Other,
}

/// Continues an identifier: letters, digits, `_`, `$`, bytes of 0x80 and above.
pub(super) const IDENT: u8 = 1;
/// Part of an operator.
pub(super) const OPERATOR: u8 = 2;
pub(super) const SPACE: u8 = 4;
pub(super) const DIGIT: u8 = 8;
/// Begins an identifier (or the tag of a dollar quote).
pub(super) const IDENT_START: u8 = 16;
/// Ends the run of ordinary bytes in `'...'`: a quote, a backslash, NUL.
pub(super) const STRING_STOP: u8 = 32;
/// Ends the run of ordinary bytes in `"..."`: a quote, NUL.
pub(super) const QUOTED_STOP: u8 = 64;

pub(super) static BEGIN: [Begin; 256] = begin_table();
static FLAGS: [u8; 256] = flag_table();

const fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}

const fn begin_table() -> [Begin; 256] {
    let mut table = [Begin::Other; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        table[at] = match byte {
            0 => Begin::Nul,
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => Begin::Space,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => Begin::Word,
            b'0'..=b'9' => Begin::Digit,
            b'\'' => Begin::Quote,
            b'"' => Begin::DoubleQuote,
            b'$' => Begin::Dollar,
            b',' => Begin::Comma,
            b'(' => Begin::Open,
            b')' => Begin::Close,
            b'.' => Begin::Dot,
            b':' => Begin::Colon,
            _ if is_operator(byte) => Begin::Operator,
            _ => Begin::Other,
        };
        at += 1;
    }
    table
}

const fn flag_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        table[at] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => IDENT | IDENT_START,
            b'0'..=b'9' => IDENT | DIGIT,
            b'$' => IDENT,
            0 => STRING_STOP | QUOTED_STOP,
            b'\'' | b'\\' => STRING_STOP,
            b'"' => QUOTED_STOP,
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => SPACE,
            _ if is_operator(byte) => OPERATOR,
            _ => 0,
        };
        at += 1;
    }
    table
}

#[inline(always)]
pub(super) fn has(byte: u8, flag: u8) -> bool {
    FLAGS[byte as usize] & flag != 0
}

/// The position behind the bytes with `flag`, from `at` on.
#[inline(always)]
pub(super) fn run(sql: &[u8], mut at: usize, flag: u8) -> usize {
    while let Some(&byte) = sql.get(at) {
        if !has(byte, flag) {
            break;
        }
        at += 1;
    }
    at
}

/// The position of the first byte with `flag`, from `at` on; perhaps the end.
#[inline(always)]
pub(super) fn until(sql: &[u8], mut at: usize, flag: u8) -> usize {
    while let Some(&byte) = sql.get(at) {
        if has(byte, flag) {
            break;
        }
        at += 1;
    }
    at
}
