use proptest::prelude::*;

use super::*;

fn format(kind: Kind) -> DataFormat {
    let csv = kind == Kind::Csv;
    DataFormat {
        kind,
        delimiter: if csv { b',' } else { b'\t' },
        null: if csv { Vec::new() } else { b"\\N".to_vec() },
        header: false,
        quote: b'"',
        escape: b'"',
        force_not_null: false,
        force_null: false,
    }
}

/// Each row's bytes, lines and key; the data comes in pieces of that size.
fn divided(format: DataFormat, data: &[u8], piece: usize) -> Vec<(Vec<u8>, u64, Field)> {
    let mut divider = Divider::new(format, Some(0));
    let mut rows = Vec::new();
    let mut pieces = data.chunks(piece.max(1));
    loop {
        let next = pieces.next();
        divider.data.extend_from_slice(next.unwrap_or_default());
        while let Some(part) = divider.next(next.is_none()) {
            let (bytes, lines, key) = match part {
                Part::Row { bytes, lines, key } => (bytes, lines.lines, key),
                Part::Header { bytes, lines } => (bytes, lines.lines, Field::Text(b"<header>".to_vec())),
                Part::Odd { bytes, lines } => (bytes, lines.lines, Field::Text(b"<odd>".to_vec())),
                Part::End { bytes } => (bytes, 0, Field::Text(b"<end>".to_vec())),
            };
            rows.push((divider.data.get(..bytes).unwrap().to_vec(), lines, key));
            divider.take(bytes);
        }
        if next.is_none() {
            return rows;
        }
    }
}

fn keys(format: DataFormat, data: &str) -> Vec<String> {
    let rows = divided(format, data.as_bytes(), usize::MAX);
    let show = |(_, lines, key): (Vec<u8>, u64, Field)| {
        let key = match key {
            Field::Text(text) => String::from_utf8_lossy(&text).into_owned(),
            other => format!("{other:?}"),
        };
        if lines == 1 { key } else { format!("{key}/{lines}") }
    };
    rows.into_iter().map(show).collect()
}

#[test]
fn text_rows_and_their_keys() {
    let text = || format(Kind::Text);
    assert_eq!(keys(text(), "1\ta\n2\tb\n"), ["1", "2"]);
    assert_eq!(keys(text(), "1\ta\n2\tb"), ["1", "2"]);
    assert_eq!(keys(text(), "\\N\ta\n\\\\N\tb\n"), ["Null", "\\N"]);
    assert_eq!(keys(text(), "a\\tb\tc\na\\\tb\tc\n"), ["a\tb", "a\tb"]);
    assert_eq!(keys(text(), "\\101\\x42\\x\tz\n"), ["ABx"]);
    // A line end behind a backslash is data, and isn't counted.
    assert_eq!(keys(text(), "a\\\nb\tx\nc\n"), ["a\nb", "c"]);
    assert_eq!(keys(text(), "1\n\\.\nrest"), ["1", "<end>/0", "rest"]);
    assert_eq!(keys(text(), "1\r\n2\r\n\\.\r\n"), ["1", "2", "<end>/0"]);
    assert_eq!(keys(text(), "1\r2\r"), ["1", "2"]);
    assert_eq!(keys(text(), "1\n2\r3\n"), ["1", "<odd>", "3"]);
    assert_eq!(keys(text(), "1\r\n2\n"), ["1", "<odd>"]);
    assert_eq!(keys(text(), "1\nx\\.\n"), ["1", "x", "<end>/0"]);
    assert_eq!(keys(text(), "1\nx\\.y\n"), ["1", "<odd>"]);
    let header = DataFormat { header: true, ..text() };
    assert_eq!(keys(header, "id\n1\n"), ["<header>", "1"]);
    let other = DataFormat { delimiter: b'|', null: Vec::new(), ..text() };
    assert_eq!(keys(other, "1|a\n|b\n"), ["1", "Null"]);
}

#[test]
fn csv_rows_and_their_keys() {
    let csv = || format(Kind::Csv);
    assert_eq!(keys(csv(), "1,a\n\"2\",b\n"), ["1", "2"]);
    assert_eq!(keys(csv(), ",a\n\"\",b\n"), ["Null", ""]);
    assert_eq!(keys(csv(), "\"a\"\"b,\nc\",x\n2,y\n"), ["a\"b,\nc", "2"]);
    assert_eq!(keys(csv(), "0,z\n\"a\nb\",x\n2,y\n"), ["0", "a\nb/2", "2"]);
    assert_eq!(keys(csv(), "1\n\\.\nx"), ["1", "<end>/0", "x"]);
    assert_eq!(keys(csv(), "1\n\\.x\n"), ["1", "\\.x"]);
    let escape = DataFormat { escape: b'\\', ..csv() };
    assert_eq!(keys(escape, "\"a\\\"b\\\\\",x\n2\n"), ["a\"b\\", "2"]);
    let forced = DataFormat { force_not_null: true, ..csv() };
    assert_eq!(keys(forced, ",a\n"), [""]);
    let forced = DataFormat { force_null: true, ..csv() };
    assert_eq!(keys(forced, "\"\",a\n"), ["Null"]);
}

#[test]
fn binary_tuples_and_their_keys() {
    let mut data = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    data.extend_from_slice(b"\0\x02\0\0\0\x01k\xff\xff\xff\xff\0\x01\xff\xff\xff\xff\xff\xff");
    let rows = divided(format(Kind::Binary), &data, 1);
    let keys: Vec<&Field> = rows.iter().map(|(_, _, key)| key).collect();
    assert_eq!(
        keys,
        [
            &Field::Text(b"<header>".to_vec()),
            &Field::Binary(b"k".to_vec()),
            &Field::Null,
            &Field::Text(b"<end>".to_vec())
        ]
    );
}

#[test]
fn lines_of_a_share_are_the_clients() {
    let mut lines = Lines::default();
    lines.note(1, 1);
    lines.note(4, 2);
    lines.note(9, 1);
    assert_eq!([1, 2, 3, 4].map(|line| lines.client_line(line, 12)), [Some(1), Some(3), Some(4), Some(9)]);
    assert_eq!(lines.client_line(5, 12), Some(13));
}

proptest! {
    #[test]
    fn the_pieces_make_no_difference(data in "[a1,\"\\\\.\r\n\t]{0,40}", piece in 1_usize..7, csv: bool) {
        let kind = if csv { Kind::Csv } else { Kind::Text };
        let whole = divided(format(kind), data.as_bytes(), usize::MAX);
        // What comes behind something odd is never looked at.
        let until = |rows: Vec<(Vec<u8>, u64, Field)>| {
            let end = rows.iter().position(|(_, _, key)| matches!(key, Field::Text(text) if text.starts_with(b"<")));
            rows.into_iter().take(end.unwrap_or(usize::MAX)).collect::<Vec<_>>()
        };
        prop_assert_eq!(until(whole), until(divided(format(kind), data.as_bytes(), piece)));
    }
}
