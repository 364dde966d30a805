//! Values that stand in for those that nobody has written down, as in pg_stat_statements and in the log of an
//! application's query builder. In: a text with parameters. Out: values for them, and a text that can be read.

use crate::sql::{LexOptions, TokenKind, Tokens, fold_identifier};

/// One value for each parameter, in several ways.
type Family = Vec<Vec<Option<String>>>;

/// For each type that a shard key may have: all parameters alike, and all different, several times, so that they don't
/// fall on one shard by chance. Parameters that one column is equal to are alike: `tenant = $1` and `tenant = $2` of a
/// query builder are one tenant.
pub(super) fn assignments(sql: &str, parameters: usize) -> Vec<Family> {
    const STEPS: [(usize, usize); 6] = [(1, 0), (2, 1), (3, 3), (4, 7), (5, 11), (6, 101)];
    let families: [fn(usize) -> String; 4] = [
        |number| number.to_string(),
        |number| format!("00000000-0000-4000-8000-{number:012x}"),
        |number| format!("{:04}-01-01", 2000 + number % 1000),
        |number| format!("{{{number},{},{}}}", number + 1, number + 2),
    ];
    let leaders = leaders(sql, parameters);
    let family = |value: fn(usize) -> String| {
        let assignment =
            |(base, step): &(usize, usize)| leaders.iter().map(|leader| Some(value(base + leader * step))).collect();
        STEPS.iter().map(assignment).collect()
    };
    families.into_iter().map(family).collect()
}

/// For each parameter the first one that has its value.
fn leaders(sql: &str, parameters: usize) -> Vec<usize> {
    let mut leaders: Vec<usize> = (0..parameters).collect();
    let options = LexOptions { standard_conforming_strings: true };
    let tokens: Vec<_> = Tokens::new(sql.as_bytes(), &options).collect();
    let word = |at: usize| tokens.get(at).and_then(|token| sql.get(token.span.clone())).unwrap_or_default();
    if (0..tokens.len()).any(|at| word(at).eq_ignore_ascii_case("or")) {
        return leaders;
    }
    let mut columns: Vec<(String, usize)> = Vec::new();
    for at in 2..tokens.len() {
        let Some(TokenKind::Parameter(number)) = tokens.get(at).map(|token| token.kind) else { continue };
        let is_named =
            tokens.get(at - 2).is_some_and(|token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent));
        if word(at - 1) != "=" || !is_named {
            continue;
        }
        let column = fold_identifier(word(at - 2).as_bytes());
        let known = columns.iter().find(|(name, _)| *name == column).map(|(_, leader)| *leader);
        let leader = known.unwrap_or_else(|| {
            let own = usize::from(number);
            columns.push((column, own));
            own
        });
        if let Some(place) = leaders.get_mut(usize::from(number)) {
            *place = leader;
        }
    }
    leaders
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
