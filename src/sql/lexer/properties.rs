//! What must hold for any bytes, and for any statement made of tokens.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const STANDARD: LexOptions = LexOptions {
    standard_conforming_strings: true,
};

fn lexed(sql: &[u8]) -> Option<Lexed> {
    let mut out = Lexed::default();
    lex(sql, &STANDARD, &mut out).ok().map(|()| out)
}

/// Pieces that lead into the rules' corners when they are joined at random.
fn fragment() -> impl Strategy<Value = String> {
    let pieces = [
        "'",
        "''",
        "\"",
        "\\",
        "$",
        "$$",
        "$a$",
        "$1",
        "/*",
        "*/",
        "--",
        "\n",
        " ",
        "E'",
        "U&'",
        "U&\"",
        "N'",
        "x'",
        "b",
        "1",
        "0x",
        "1_0",
        ".",
        "..",
        "e5",
        "+",
        "-",
        "*",
        "/",
        "@",
        ":",
        ":=",
        "::",
        ";",
        "(",
        ")",
        "[",
        "]",
        "create",
        "or replace",
        "function",
        "begin",
        "atomic",
        "end",
        "case",
        "as",
        "é",
        "\u{1f600}",
        ",",
        "=",
        ">",
        "uescape",
        "shardway:",
        "\u{1}",
        "\0",
        "\x0b",
    ];
    proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = String> {
    vec(fragment(), 0..24).prop_map(|pieces| pieces.concat())
}

/// A token, and two ways to write it that differ in nothing a template depends on.
fn spelling() -> impl Strategy<Value = (String, String)> {
    let same = |text: String| (text.clone(), text);
    prop_oneof![
        "[a-z_][a-z0-9_$]{0,20}".prop_map(|word| (word.clone(), word.to_ascii_uppercase())),
        "\"[a-zA-Z \u{1}\u{e9}]{1,20}(\"\")?x\"".prop_map(same),
        (0_u64..u64::MAX, 0_u64..99).prop_map(|(one, other)| (one.to_string(), other.to_string())),
        Just(("1.5".to_owned(), "2e-7".to_owned())),
        ("'[a-z ;\\-]{0,20}'", "'[0-9/*$]{0,3}(''x)?'"),
        ("E'[a-z]{0,8}(\\\\')?'", "e'[0-9]{0,3}'"),
        Just(("$$a'b$$".to_owned(), "$t$ $$ $t$".to_owned())),
        (1_u16..40).prop_map(move |number| (format!("${number}"), format!("${number}"))),
        proptest::sample::select(vec![
            "=", "<", "->>", "||", "@-", "::", ":=", "..", ",", "(", ")", "[", "]", ".", ":", "-",
            "*", "/"
        ])
        .prop_map(|text| (text.to_owned(), text.to_owned())),
    ]
}

/// White space or a comment, which separates any two tokens. (No newline without a block comment:
/// it would join two strings.)
fn gap() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        " ",
        "  ",
        "\t",
        " /* a 'b */ ",
        " /* /* */ ; */ ",
        " /**/-- it's \" $$\r ",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_panics(sql in vec(any::<u8>(), 0..200), standard: bool) {
        check(&sql, standard)?;
    }

    #[test]
    fn nothing_panics_in_the_corners(sql in text(), standard: bool) {
        check(sql.as_bytes(), standard)?;
    }

    /// Lexing again what is left when a statement was normalised changes nothing (where no mark is in it).
    #[test]
    fn normalized_text_is_a_fixed_point(sql in text()) {
        if let Some(out) = lexed(sql.as_bytes())
            && !out.normalized.iter().any(|byte| *byte < b' ')
            && let Some(again) = lexed(&out.normalized)
        {
            prop_assert_eq!(out.normalized, again.normalized);
        }
    }

    /// Literals, comments, white space and case leave the normalised text as it is.
    #[test]
    fn spelling_does_not_matter(tokens in vec((spelling(), gap(), gap()), 0..20)) {
        let one: String = tokens.iter().flat_map(|((one, _), gap, _)| [one.as_str(), gap]).collect();
        let other: String = tokens.iter().flat_map(|((_, other), _, gap)| [gap, other.as_str()]).collect();
        let (one, other) = (lexed(one.as_bytes()).expect("good"), lexed(other.as_bytes()).expect("good"));
        prop_assert_eq!(String::from_utf8_lossy(&one.normalized), String::from_utf8_lossy(&other.normalized));
        prop_assert_eq!(one.hash, other.hash);
        prop_assert_eq!(one.literals.len(), other.literals.len());
    }

    /// Statements whose tokens differ have different normalised texts.
    #[test]
    fn structure_matters(one in text(), other in text()) {
        if let (Some(a), Some(b)) = (lexed(one.as_bytes()), lexed(other.as_bytes())) && a.normalized == b.normalized {
            prop_assert_eq!(shape(&one), shape(&other));
        }
    }
}

/// The tokens without what a template doesn't depend on. Semicolons apart: empty statements are folded.
fn shape(sql: &str) -> Vec<(TokenKind, String)> {
    Tokens::new(sql.as_bytes(), &STANDARD)
        .filter(|token| token.kind != TokenKind::Punct(b';'))
        .map(|token| {
            let text = String::from_utf8_lossy(&sql.as_bytes()[token.span]).into_owned();
            match token.kind {
                TokenKind::Literal(_) => (token.kind, String::new()),
                TokenKind::Word => (token.kind, text.to_ascii_lowercase()),
                _ => (token.kind, text),
            }
        })
        .collect()
}

/// What the parts of `Lexed` and the tokens promise of each other.
fn check(sql: &[u8], standard_conforming_strings: bool) -> Result<(), TestCaseError> {
    let options = LexOptions {
        standard_conforming_strings,
    };
    let mut out = Lexed::default();
    let result = lex(sql, &options, &mut out);
    let tokens: Vec<Token> = Tokens::new(sql, &options).collect();
    for token in &tokens {
        fold_identifier(&sql[token.span.clone()]);
    }
    prop_assert!(
        tokens
            .windows(2)
            .all(|pair| pair[0].span.end <= pair[1].span.start)
    );
    if let Err(error) = result {
        prop_assert!(error.at < sql.len());
        return Ok(());
    }
    prop_assert!(!sql.contains(&0));
    prop_assert_eq!(tokens.len(), out.tokens);
    let literals = tokens.iter().filter_map(|token| match token.kind {
        TokenKind::Literal(kind) => Some(Literal {
            span: token.span.clone(),
            kind,
        }),
        _ => None,
    });
    prop_assert_eq!(literals.collect::<Vec<_>>(), out.literals.clone());
    for literal in &out.literals {
        literal_text(sql, literal);
    }
    let parameters = tokens.iter().filter_map(|token| match token.kind {
        TokenKind::Parameter(number) => Some(number),
        _ => None,
    });
    prop_assert_eq!(parameters.max().unwrap_or(0), out.parameters);
    check_statements(sql, &options, &tokens, &out)
}

/// Each statement alone has the tokens that it has in its place.
fn check_statements(
    sql: &[u8],
    options: &LexOptions,
    tokens: &[Token],
    out: &Lexed,
) -> Result<(), TestCaseError> {
    let mut rest = tokens
        .iter()
        .filter(|token| token.kind != TokenKind::Punct(b';'));
    for statement in &out.statements {
        let text = &sql[statement.clone()];
        for alone in Tokens::new(text, options).filter(|token| token.kind != TokenKind::Punct(b';'))
        {
            let span = alone.span.start + statement.start..alone.span.end + statement.start;
            prop_assert_eq!(
                rest.next(),
                Some(&Token {
                    kind: alone.kind,
                    span
                })
            );
        }
    }
    prop_assert_eq!(rest.next(), None);
    Ok(())
}
