//! The lexer against PostgreSQL's rules, and properties that must hold for any bytes.

use super::*;

const STANDARD: LexOptions = LexOptions { standard_conforming_strings: true };
const BACKSLASHES: LexOptions = LexOptions { standard_conforming_strings: false };

fn lexed(sql: &str) -> Lexed {
    let mut out = Lexed::default();
    lex(sql.as_bytes(), &STANDARD, &mut out).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    out
}

/// The tokens, each as its kind's letter and its text.
fn tokens(sql: &str) -> Vec<String> {
    tokens_with(sql, &STANDARD)
}

fn tokens_with(sql: &str, options: &LexOptions) -> Vec<String> {
    Tokens::new(sql.as_bytes(), options)
        .map(|token| {
            let kind = match token.kind {
                TokenKind::Word => "w".into(),
                TokenKind::QuotedIdent => "q".into(),
                TokenKind::UnicodeIdent => "u".into(),
                TokenKind::Literal(kind) => format!("{kind:?}"),
                TokenKind::Parameter(_) => "p".into(),
                TokenKind::Operator => "o".into(),
                TokenKind::Punct(_) => "c".to_string(),
            };
            format!("{kind}:{}", String::from_utf8_lossy(&sql.as_bytes()[token.span]))
        })
        .collect()
}

fn statements(sql: &str) -> Vec<&str> {
    lexed(sql).statements.iter().map(|span| &sql[span.clone()]).collect()
}

#[test]
fn numbers() {
    for (sql, expected) in [
        ("1 42", vec!["Integer:1", "Integer:42"]),
        ("1e5 .5 1. 1.5 1.5E-3", vec!["Decimal:1e5", "Decimal:.5", "Decimal:1.", "Decimal:1.5", "Decimal:1.5E-3"]),
        ("0x1F 0o17 0b01 1_000", vec!["Decimal:0x1F", "Decimal:0o17", "Decimal:0b01", "Decimal:1_000"]),
        ("1..2", vec!["Integer:1", "o:..", "Integer:2"]),
        ("1.a", vec!["Decimal:1.", "w:a"]),
        ("-1", vec!["o:-", "Integer:1"]),
        ("1e", vec!["Integer:1", "w:e"]),
        ("1e+", vec!["Integer:1", "w:e", "o:+"]),
        ("1abc", vec!["Integer:1", "w:abc"]),
        ("2and 3", vec!["Integer:2", "w:and", "Integer:3"]),
        ("1_ 1__0", vec!["Integer:1", "w:_", "Integer:1", "w:__0"]),
        ("0xg 0x_f 0b12", vec!["Integer:0", "w:xg", "Decimal:0x_f", "Integer:0", "w:b12"]),
        ("a.5", vec!["w:a", "Decimal:.5"]),
        ("1.e5", vec!["Decimal:1.e5"]),
        (".", vec!["c:."]),
    ] {
        assert_eq!(tokens(sql), expected, "{sql}");
    }
}

#[test]
fn strings() {
    for (sql, expected) in [
        ("'it''s'", vec!["String:'it''s'"]),
        ("'a\\'", vec!["String:'a\\'"]),
        ("E'a\\'b' e'\\\\'", vec!["EscapeString:E'a\\'b'", "EscapeString:e'\\\\'"]),
        (
            "B'01' x'FF' N'n' U&'\\0041'",
            vec!["BitString:B'01'", "BitString:x'FF'", "NationalString:N'n'", "UnicodeString:U&'\\0041'"],
        ),
        ("U &'x'", vec!["w:U", "o:&", "String:'x'"]),
        ("U&\"x\" u&x", vec!["u:U&\"x\"", "w:u", "o:&", "w:x"]),
        ("ab'x' E 'x'", vec!["w:ab", "String:'x'", "w:E", "String:'x'"]),
        ("'a' 'b'", vec!["String:'a'", "String:'b'"]),
        ("'a'\n'b'", vec!["String:'a'\n'b'"]),
        ("'a' -- it's\n  -- more\n\t'b' 'c'", vec!["String:'a' -- it's\n  -- more\n\t'b'", "String:'c'"]),
        ("'a'/**/\n'b'", vec!["String:'a'", "String:'b'"]),
        ("'a'\n-- x", vec!["String:'a'"]),
        ("'a'\n- 1", vec!["String:'a'", "o:-", "Integer:1"]),
        ("E'a\\''\n'\\'b'", vec!["EscapeString:E'a\\''\n'\\'b'"]),
        ("'a'\nE'b'", vec!["String:'a'", "EscapeString:E'b'"]),
        ("$$a'b$$ $t$ $$ $x$t$", vec!["DollarString:$$a'b$$", "DollarString:$t$ $$ $x$t$"]),
        ("a$$b$$", vec!["w:a$$b$$"]),
        ("1$$b$$", vec!["Integer:1", "DollarString:$$b$$"]),
        ("$1$a$x$a$ $12", vec!["p:$1", "DollarString:$a$x$a$", "p:$12"]),
        ("$ $a $1a", vec!["c:$", "c:$", "w:a", "p:$1", "w:a"]),
        ("$é$x$é$", vec!["DollarString:$é$x$é$"]),
        ("\"a\"\"b\" \"c\"", vec!["q:\"a\"\"b\"", "q:\"c\""]),
        ("\"a\"\n\"b\"", vec!["q:\"a\"", "q:\"b\""]),
    ] {
        assert_eq!(tokens(sql), expected, "{sql}");
    }
    assert_eq!(
        tokens_with("'a\\'' N'\\'' B'\\'", &BACKSLASHES),
        ["EscapeString:'a\\''", "EscapeString:N'\\''", "BitString:B'\\'"]
    );
}

#[test]
fn operators() {
    for (sql, expected) in [
        ("a=-1", vec!["w:a", "o:=", "o:-", "Integer:1"]),
        ("a@-1", vec!["w:a", "o:@-", "Integer:1"]),
        ("a+-+1", vec!["w:a", "o:+", "o:-", "o:+", "Integer:1"]),
        ("a*/**/b", vec!["w:a", "o:*", "w:b"]),
        ("a<--x\nb", vec!["w:a", "o:<", "w:b"]),
        ("a->>'b'", vec!["w:a", "o:->>", "String:'b'"]),
        (
            "a::int x:=1 x=>1 x=>-1",
            vec![
                "w:a",
                "o:::",
                "w:int",
                "w:x",
                "o::=",
                "Integer:1",
                "w:x",
                "o:=>",
                "Integer:1",
                "w:x",
                "o:=>",
                "o:-",
                "Integer:1",
            ],
        ),
        ("a[1:2]", vec!["w:a", "c:[", "Integer:1", "c::", "Integer:2", "c:]"]),
        ("a<>b!=c>=d", vec!["w:a", "o:<>", "w:b", "o:!=", "w:c", "o:>=", "w:d"]),
        ("<+-+ +@-", vec!["o:<", "o:+", "o:-", "o:+", "o:+@-"]),
        ("a ?| b", vec!["w:a", "o:?|", "w:b"]),
        ("f(*)", vec!["w:f", "c:(", "o:*", "c:)"]),
    ] {
        assert_eq!(tokens(sql), expected, "{sql}");
    }
}

#[test]
fn errors() {
    for sql in [
        "'a",
        "\"a",
        "$$a",
        "$t$ $$",
        "/* /* */",
        "E'a\\'",
        "a\0b",
        "'\0'",
        "E'\\\0'",
        "--\0",
        "/*\0*/",
        "$$\0$$",
        "$65536",
        "$4294967297",
        "U&'",
    ] {
        assert!(lex(sql.as_bytes(), &STANDARD, &mut Lexed::default()).is_err(), "{sql}");
    }
    assert_eq!(lex(b"select 'a", &STANDARD, &mut Lexed::default()), Err(LexError { at: 7 }));
}

#[test]
fn normalized_text_is_the_same_for_the_same_tokens() {
    for same in [
        vec![
            "SELECT a-1 FROM t",
            "select A - 2 from T",
            "select/**/a\n-\t3 -- x\n from t;",
            ";; Select a - 4 From t ; ;",
        ],
        vec!["select 'a'", "select 'it''s'", "select 'a'\n'b'"],
        vec!["select \"A\".b", "SELECT \"A\" . B"],
        vec!["select 1; select 2", "select 3;;select 4;"],
    ] {
        let first = lexed(same[0]);
        for other in &same[1..] {
            let other = lexed(other);
            assert_eq!((first.hash, &first.normalized), (other.hash, &other.normalized));
        }
    }
}

#[test]
fn normalized_text_differs_for_different_tokens() {
    let different = [
        "select a",
        "select \"A\"",
        "select \"a\"",
        "select a b",
        "select ab",
        "select 1",
        "select '1'",
        "select E'1'",
        "select $$1$$",
        "select 1.0",
        "select $1",
        "select $2",
        "select $11",
        "select $1 a",
        "select 'a' 'b'",
        "select a - - b",
        "select a -b",
        "select a @- b",
        "select a @ - b",
        "select a .. b",
        "select a . . b",
        "select a :: b",
        "select a : : b",
        "select U&\"x\"",
        "select u & \"x\"",
        "select \"a\" \"b\"",
        "select \"a\"\"b\"",
        "select \"a b\"",
        "select 1; select 1",
        "select (1; select 1",
        "select \u{1}",
        "select B'1'",
        "select a := b",
        "select a : = b",
        "select $ a",
        "select a$",
        "select N'a'",
        "select U&'a'",
        "select \"\u{1}\"",
        "select \u{1f}\u{1}",
    ];
    for (position, one) in different.iter().enumerate() {
        for other in &different[position + 1..] {
            assert_ne!(lexed(one).normalized, lexed(other).normalized, "{one} {other}");
        }
    }
}

#[test]
fn statements_are_divided_as_postgresql_does() {
    assert_eq!(statements(" select 1 ;; /* x */ select ';' ; -- end"), ["select 1", "select ';'"]);
    assert_eq!(statements("  -- nothing\n ; ;"), [""; 0]);
    assert_eq!(statements("create rule r as on insert to t do (select 1; select 2); select 3").len(), 2);
    let body =
        "create or replace function f() returns int begin atomic select case when true then 1 end; select 1 end; end";
    assert_eq!(statements(&format!("{body}; select 2")), [body, "select 2"]);
    assert_eq!(statements("CREATE PROCEDURE p(begin atomic) language sql BEGIN ATOMIC; END; begin; end").len(), 3);
    assert_eq!(statements("create table t (a int); begin; end; select 1").len(), 4);
    assert_eq!(statements("begin atomic; select 1").len(), 2);
    assert_eq!(statements("create function f() returns int as 'select 1;' language sql; select 1").len(), 2);
}

#[test]
fn counts() {
    let out = lexed("select $2, case when (a[1]) = 1 then 'x' end from t; select ($7)");
    assert_eq!((out.parameters, out.depth, out.literals.len(), out.tokens), (7, 3, 3, 23));
}

#[test]
fn hints() {
    let hint = |sql: &'static str| lexed(sql).hint.map(|span| &sql[span]);
    assert_eq!(hint("/* shardway: key=42 */ select 1"), Some("key=42"));
    assert_eq!(hint("/*shardway:shard=a*/ select 1 /* shardway:  shard=b\n*/"), Some("shard=b"));
    assert_eq!(hint("/* shardway:*/ select"), Some(""));
    assert_eq!(hint("select '/* shardway: key=42 */' -- /* shardway: key=1 */"), None);
    assert_eq!(hint("/* hello */ select 1"), None);
    assert_eq!(hint("/* /* shardway: key=42 */ */ select 1"), None);
}

fn value(sql: &str) -> Option<String> {
    let mut out = Lexed::default();
    lex(sql.as_bytes(), &STANDARD, &mut out).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    literal_text(sql.as_bytes(), &out.literals[0]).map(|text| text.into_owned())
}

#[test]
fn values_of_literals() {
    for (sql, expected) in [
        ("'a'", Some("a")),
        ("''", Some("")),
        ("'it''s \\n'", Some("it's \\n")),
        ("'a' -- it's\n'b'''", Some("ab'")),
        ("E'a\\n\\t\\'\\\\''\\101\\x41\\x4g\\xyz\\q'", Some("a\n\t'\\'AA\u{4}gxyzq")),
        ("E'\\u00e9\\U0001F600\\uD83D\\uDE00'", Some("é😀😀")),
        ("E'\\303\\251'", Some("é")),
        ("E'\\uD83D'", None),
        ("E'\\u12'", None),
        ("E'\\0'", None),
        ("E'\\xff'", None),
        ("E'\\v'", None),
        ("E'a'\n'\\n'", Some("a\n")),
        ("$$a'b$$", Some("a'b")),
        ("$tag$ $$ $tag$", Some(" $$ ")),
        ("U&'d\\0061t\\+000061 \\\\'", Some("data \\")),
        ("U&'\\D83D\\DE00'", Some("😀")),
        ("U&'\\D83Dx'", None),
        ("U&'\\00'", None),
        ("U&'d!0061' /* */ UESCAPE '!'", None),
        ("N'n'", Some("n")),
        ("1", None),
        ("B'1'", None),
    ] {
        assert_eq!(value(sql).as_deref(), expected, "{sql}");
    }
}

#[test]
fn identifiers() {
    for (token, expected) in [
        ("Users", "users"),
        ("ÀB", "Àb"),
        ("\"Us\"\"ers\"", "Us\"ers"),
        ("U&\"d\\0061ta\"", "data"),
        ("U&\"d\\0\"", "U&\"d\\0\""),
        ("\"\"", ""),
    ] {
        assert_eq!(fold_identifier(token.as_bytes()), expected);
    }
    assert_eq!(fold_identifier("é".repeat(40).as_bytes()), "é".repeat(31));
    assert_eq!(fold_identifier("a".repeat(80).as_bytes()).len(), 63);
}
