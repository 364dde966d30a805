//! Values that stand in for those that nobody has written down, as in pg_stat_statements and in the log of an
//! application's query builder. In: a text with parameters. Out: values for them, and a text that can be read.

use crate::sql::{LexOptions, TokenKind, Tokens};

/// One value for each parameter, in several ways.
type Family = Vec<Vec<Option<String>>>;

/// For each type that a shard key may have: all parameters alike, and all different, several times, so that they don't
/// fall on one shard by chance.
pub(super) fn assignments(parameters: usize) -> Vec<Family> {
    const STEPS: [usize; 6] = [0, 1, 3, 7, 11, 101];
    let families: [fn(usize) -> String; 4] = [
        |number| number.to_string(),
        |number| format!("00000000-0000-4000-8000-{number:012x}"),
        |number| format!("{:04}-01-01", 2000 + number % 1000),
        |number| format!("{{{number},{},{}}}", number + 1, number + 2),
    ];
    let family = |value: fn(usize) -> String| {
        let assignment = |step: &usize| (0..parameters).map(|position| Some(value(1 + position * step))).collect();
        STEPS.iter().map(assignment).collect()
    };
    families.into_iter().map(family).collect()
}

/// What pg_stat_statements makes of literals that PostgreSQL reads nowhere but as literals: `interval $1`, and lists
/// that it cuts (`IN ($1 /*, ... */)`).
pub(super) fn mend(sql: &str) -> String {
    const TYPES: [(&str, &str); 8] = [
        ("interval", "'1 day'"),
        ("date", "'2000-01-01'"),
        ("timestamp", "'2000-01-01'"),
        ("timestamptz", "'2000-01-01'"),
        ("time", "'12:00'"),
        ("uuid", "'00000000-0000-4000-8000-000000000001'"),
        ("json", "'{}'"),
        ("jsonb", "'{}'"),
    ];
    let options = LexOptions { standard_conforming_strings: true };
    let mut out = String::with_capacity(sql.len());
    let mut copied = 0;
    let mut before: Option<&str> = None;
    let mut highest = 0;
    for token in Tokens::new(sql.as_bytes(), &options) {
        if let TokenKind::Parameter(number) = token.kind {
            highest = highest.max(number);
            let named = TYPES.iter().find(|(name, _)| before.is_some_and(|word| word.eq_ignore_ascii_case(name)));
            if let Some((_, value)) = named {
                out.push_str(sql.get(copied..token.span.start).unwrap_or_default());
                out.push_str(value);
                copied = token.span.end;
            }
        }
        before = sql.get(token.span).filter(|_| token.kind == TokenKind::Word);
    }
    out.push_str(sql.get(copied..).unwrap_or_default());
    out.replace("/*, ... */", &format!(", ${}", highest.saturating_add(1)))
}
