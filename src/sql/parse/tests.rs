use super::*;
use crate::sql::statement::*;
use crate::sql::{LexOptions, TokenKind, Tokens};

fn pieces(sql: &str) -> Vec<Piece> {
    let mut literals = 0..;
    Tokens::new(sql.as_bytes(), &LexOptions { standard_conforming_strings: true })
        .map(|token| {
            let literal = matches!(token.kind, TokenKind::Literal(_)).then(|| literals.next()).flatten();
            Piece { token, literal }
        })
        .collect()
}

/// On a thread with the stack that the product gives it.
fn parsed(sql: &str) -> Lowered<Statement> {
    let sql = sql.to_owned();
    std::thread::Builder::new()
        .stack_size(limits::PARSER_STACK_BYTES)
        .spawn(move || parse(sql.as_bytes(), &pieces(&sql)))
        .expect("a thread")
        .join()
        .expect("no panic")
}

fn skeleton(sql: &str) -> Lowered<String> {
    skeleton::write(sql.as_bytes(), &pieces(sql))
}

#[test]
fn literals_are_replaced_by_their_positions() {
    assert_eq!(
        skeleton("SELECT 'a''b', E'\\'', $$x$$, 42, 4.2 FROM t -- 'no'").as_deref(),
        Ok("SELECT '0' , '1' , '2' , 3 , 4.5 FROM t")
    );
    assert_eq!(skeleton("SELECT t.a, \"t\" . \"A b\" FROM t").as_deref(), Ok("SELECT t.a , \"t\".\"A b\" FROM t"));
}

#[test]
fn only_is_dropped_before_tables_alone() {
    assert_eq!(
        skeleton("SELECT * FROM ONLY t, ONLY u FETCH FIRST 5 ROWS ONLY").as_deref(),
        Ok("SELECT * FROM t , u FETCH FIRST 0 ROWS ONLY")
    );
    assert_eq!(skeleton("UPDATE ONLY t SET a = 1").as_deref(), Ok("UPDATE t SET a = 0"));
    assert_eq!(skeleton("SELECT a only FROM t").as_deref(), Ok("SELECT a only FROM t"));
}

/// The parser's tokenizer must read each operator that is let through as one token.
#[test]
fn operators_are_single_tokens() {
    use sqlparser::tokenizer::{Token as Parsed, Tokenizer};
    for operator in skeleton::OPERATORS {
        let text = format!("a {operator} b");
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, &text).tokenize().expect(operator);
        let tokens: Vec<_> = tokens.iter().filter(|token| !matches!(token, Parsed::Whitespace(_))).collect();
        assert_eq!(tokens.len(), 3, "{operator}: {tokens:?}");
    }
}

#[test]
fn joins_restrict_what_they_can() {
    let statement = parsed("SELECT 1 FROM a JOIN b ON a.x = 1 LEFT JOIN c ON c.x = 2 RIGHT JOIN d ON d.x = 3 FULL JOIN e ON e.x = 4 WHERE a.x = 5").expect("parsed");
    let scope = statement.scopes.get(statement.root).expect("a scope");
    let restricts: Vec<_> = scope.filters.iter().map(|filter| filter.restricts.clone()).collect();
    assert_eq!(restricts, [0..2, 2..3, 0..3, 0..0, 0..5]);
}

#[test]
fn deep_and_long_statements_end_well() {
    let nested = |depth: usize| format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parsed(&nested(150)).is_ok());
    assert!(parsed(&nested(10_000)).is_err());
    assert!(parsed(&format!("SELECT {} 1", "NOT ".repeat(100_000))).is_err());
    assert!(parsed(&format!("SELECT {} 1", "- ".repeat(100_000))).is_err());
    let chain = |operator: &str, count: usize| {
        format!("SELECT 1 FROM t WHERE a = 1 {}", format!("{operator} a = 1 ").repeat(count))
    };
    assert!(parsed(&chain("OR", 30_000)).is_ok());
    assert!(parsed(&chain("AND", 30_000)).is_ok());
    assert!(parsed(&format!("SELECT 1{}", "::int".repeat(60_000))).is_ok());
    assert!(parsed(&format!("SELECT 1{}", " + 1".repeat(90_000))).is_ok());
    assert!(parsed(&format!("SELECT 1{}", " UNION SELECT 1".repeat(30_000))).is_ok());
    assert!(parsed(&chain("OR", 100_000)).is_err());
    assert!(parsed(&format!("SELECT {}", "(SELECT ".repeat(5_000))).is_err());
    assert!(parsed(&format!("SELECT {}1{}", "(SELECT ".repeat(90), ")".repeat(90))).is_ok());
    assert!(parsed(&format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(5_000), " END".repeat(5_000))).is_err());
    assert!(parsed(&format!("SELECT 1 FROM a {}", "JOIN b USING (x) ".repeat(5_000))).is_ok());
}

#[test]
fn what_another_dialect_means_is_not_parsed() {
    for sql in [
        "SELECT TOP 5 * FROM t",
        "SELECT * FROM t full",
        "SELECT * FROM t PIVOT (sum(x) FOR y IN (1))",
        "SELECT * EXCEPT (a) FROM t",
        "INSERT IGNORE INTO t VALUES (1)",
        "SELECT a FROM t WHERE a OPERATOR(public.=) 1",
        "SELECT * FROM t JOIN u",
        "SELECT * FROM (t JOIN u ON true) AS j",
        "CREATE TABLE t (a int)",
        "SELECT 1; SELECT 2",
        "",
        "SELECT * FROM a.b.c",
        "SELECT \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" FROM \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
    ] {
        assert!(parsed(sql).is_err(), "{sql}");
    }
}
