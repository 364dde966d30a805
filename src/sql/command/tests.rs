use super::*;
use crate::sql::{LexOptions, Tokens};

fn command(sql: &str) -> Command {
    let tokens: Vec<_> = Tokens::new(sql.as_bytes(), &LexOptions { standard_conforming_strings: true }).collect();
    recognise(sql.as_bytes(), &tokens)
}

fn set(sql: &str) -> (bool, String, usize) {
    match command(sql) {
        Command::Session(SessionCommand::Set { local, setting }) => (local, setting.name, setting.value_after_tokens),
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn transactions() {
    use TransactionCommand::*;
    for (sql, expected) in [
        ("BEGIN", Begin),
        ("begin work", Begin),
        ("BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE", Begin),
        ("START TRANSACTION READ ONLY", Begin),
        ("COMMIT", Commit { chain: false }),
        ("END TRANSACTION", Commit { chain: false }),
        ("commit work and chain", Commit { chain: true }),
        ("COMMIT AND NO CHAIN", Commit { chain: false }),
        ("ABORT", Rollback { chain: false }),
        ("ROLLBACK AND CHAIN", Rollback { chain: true }),
        ("ROLLBACK TO a", RollbackTo("a".into())),
        ("ROLLBACK TRANSACTION TO SAVEPOINT \"A b\"", RollbackTo("A b".into())),
        ("ROLLBACK TO savepoint", RollbackTo("savepoint".into())),
        ("SAVEPOINT x", Savepoint("x".into())),
        ("SAVEPOINT savepoint", Savepoint("savepoint".into())),
        ("RELEASE X", Release("x".into())),
        ("RELEASE SAVEPOINT x", Release("x".into())),
        ("SET TRANSACTION READ ONLY", SetTransaction),
        ("SET LOCAL TRANSACTION READ ONLY", SetTransaction),
        ("SET CONSTRAINTS ALL DEFERRED", SetTransaction),
        ("PREPARE TRANSACTION 'x'", TwoPhase),
        ("COMMIT PREPARED 'x'", TwoPhase),
        ("ROLLBACK PREPARED 'x'", TwoPhase),
    ] {
        assert_eq!(command(sql), Command::Transaction(expected), "{sql}");
    }
    assert_eq!(command("COMMIT something"), Command::Ordinary(Verb::Other));
}

#[test]
fn settings() {
    let expected = |local, name: &str, tokens| (local, name.to_owned(), tokens);
    assert_eq!(set("SET a TO 1"), expected(false, "a", 3));
    assert_eq!(set("SET a = 1"), expected(false, "a", 3));
    assert_eq!(set("SET Local Work_Mem = '1MB'"), expected(true, "work_mem", 4));
    assert_eq!(set("SET SESSION \"Search_Path\" TO a, b"), expected(false, "search_path", 4));
    assert_eq!(set("SET my.var = 'x'"), expected(false, "my.var", 5));
    assert_eq!(set("SET LOCAL my.var TO 'x'"), expected(true, "my.var", 6));
    assert_eq!(set("SET TIME ZONE 'UTC'"), expected(false, "timezone", 3));
    assert_eq!(set("SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE"), expected(false, "timezone", 3));
    assert_eq!(set("SET LOCAL TIME ZONE 'UTC'"), expected(true, "timezone", 4));
    assert_eq!(set("SET ROLE admin"), expected(false, "role", 2));
    assert_eq!(set("SET ROLE NONE"), expected(false, "role", 2));
    assert_eq!(set("SET role = 'admin'"), expected(false, "role", 3));
    assert_eq!(set("SET SESSION ROLE admin"), expected(false, "role", 3));
    assert_eq!(set("SET SESSION AUTHORIZATION bob"), expected(false, "session_authorization", 3));
    assert_eq!(set("SET SESSION SESSION AUTHORIZATION bob"), expected(false, "session_authorization", 4));
    assert_eq!(set("SET LOCAL SESSION AUTHORIZATION bob"), expected(true, "session_authorization", 4));
    assert_eq!(set("SET NAMES 'UTF8'"), expected(false, "client_encoding", 2));
    assert_eq!(set("SET SCHEMA 'a'"), expected(false, "search_path", 2));
    assert_eq!(set("SET XML OPTION DOCUMENT"), expected(false, "xmloption", 3));
    assert_eq!(
        set("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"),
        expected(false, "session characteristics", 5)
    );
    assert_eq!(set("SET a FROM CURRENT"), expected(false, "a", 2));
    assert_eq!(set("SET session TO 'x'"), expected(false, "session", 3));
    assert_eq!(set("SET shardway.key = '42'"), expected(false, "shardway.key", 5));
}

#[test]
fn resets_and_shows() {
    use SessionCommand::*;
    for (sql, expected) in [
        ("SET a TO DEFAULT", Reset { local: false, name: "a".into() }),
        ("SET LOCAL a = DEFAULT", Reset { local: true, name: "a".into() }),
        ("SET TIME ZONE LOCAL", Reset { local: false, name: "timezone".into() }),
        ("SET TIME ZONE DEFAULT", Reset { local: false, name: "timezone".into() }),
        ("SET SESSION AUTHORIZATION DEFAULT", Reset { local: false, name: "session_authorization".into() }),
        ("SET NAMES", Reset { local: false, name: "client_encoding".into() }),
        ("RESET ALL", ResetAll),
        ("RESET TIME ZONE", Reset { local: false, name: "timezone".into() }),
        ("RESET ROLE", Reset { local: false, name: "role".into() }),
        ("RESET my.Var", Reset { local: false, name: "my.var".into() }),
        ("SHOW ALL", ShowAll),
        ("SHOW TIME ZONE", Show { name: "timezone".into() }),
        ("SHOW TRANSACTION ISOLATION LEVEL", Show { name: "transaction_isolation".into() }),
        ("SHOW search_path", Show { name: "search_path".into() }),
    ] {
        assert_eq!(command(sql), Command::Session(expected), "{sql}");
    }
}

#[test]
fn session_commands() {
    use SessionCommand::*;
    for (sql, expected) in [
        ("DISCARD ALL", DiscardAll),
        ("DISCARD TEMP", DiscardTemp),
        ("DISCARD TEMPORARY", DiscardTemp),
        ("DISCARD PLANS", DiscardPlans),
        ("DISCARD SEQUENCES", DiscardSequences),
        ("PREPARE p (int) AS SELECT $1", Prepare { name: "p".into() }),
        ("PREPARE transaction AS SELECT 1", Prepare { name: "transaction".into() }),
        ("EXECUTE \"P\"(1)", Execute { name: "P".into() }),
        ("DEALLOCATE ALL", Deallocate { name: None }),
        ("DEALLOCATE PREPARE ALL", Deallocate { name: None }),
        ("DEALLOCATE prepare", Deallocate { name: Some("prepare".into()) }),
        ("DEALLOCATE PREPARE p", Deallocate { name: Some("p".into()) }),
        ("DECLARE c CURSOR FOR SELECT 1", Declare { name: "c".into(), hold: false }),
        ("DECLARE c BINARY NO SCROLL CURSOR WITH HOLD FOR SELECT 1", Declare { name: "c".into(), hold: true }),
        ("DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1", Declare { name: "c".into(), hold: false }),
        ("FETCH c", Fetch { name: "c".into() }),
        ("FETCH FORWARD 10 FROM c", Fetch { name: "c".into() }),
        ("MOVE ABSOLUTE -1 IN \"C\"", Fetch { name: "C".into() }),
        ("CLOSE c", CloseCursor { name: Some("c".into()) }),
        ("CLOSE ALL", CloseCursor { name: None }),
        ("LISTEN x", Listen),
        ("UNLISTEN x", Unlisten { all: false }),
        ("UNLISTEN *", Unlisten { all: true }),
        ("NOTIFY x, 'y'", Notify),
        ("LOAD 'x'", Load),
    ] {
        assert_eq!(command(sql), Command::Session(expected), "{sql}");
    }
}

#[test]
fn verbs() {
    for (sql, expected) in [
        ("SELECT 1", Verb::Select),
        ("((SELECT 1) UNION SELECT 2)", Verb::Select),
        ("VALUES (1)", Verb::Select),
        ("TABLE users", Verb::Select),
        ("WITH a AS (SELECT 1) SELECT * FROM a", Verb::Select),
        ("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", Verb::Insert),
        ("WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", Verb::Delete),
        ("WITH a AS (SELECT 1) UPDATE t SET x = 1", Verb::Update),
        ("SELECT * FROM t FOR UPDATE", Verb::Select),
        ("INSERT INTO t VALUES (1)", Verb::Insert),
        ("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", Verb::Merge),
        ("COPY t FROM STDIN", Verb::Copy(CopyDirection::FromStdin)),
        ("COPY t (a, b) TO STDOUT WITH (FORMAT csv)", Verb::Copy(CopyDirection::ToStdout)),
        ("COPY (SELECT a FROM b) TO STDOUT", Verb::Copy(CopyDirection::ToStdout)),
        ("COPY t FROM '/tmp/x'", Verb::Copy(CopyDirection::ServerSide)),
        ("COPY t TO PROGRAM 'x'", Verb::Copy(CopyDirection::ServerSide)),
        ("EXPLAIN SELECT 1", Verb::Explain { analyze: false }),
        ("EXPLAIN ANALYZE SELECT 1", Verb::Explain { analyze: true }),
        ("EXPLAIN (ANALYZE) SELECT 1", Verb::Explain { analyze: true }),
        ("EXPLAIN (VERBOSE, ANALYZE off, COSTS) SELECT 1", Verb::Explain { analyze: false }),
        ("EXPLAIN (ANALYZE 0) SELECT 1", Verb::Explain { analyze: false }),
        ("CREATE TABLE t (a int)", Verb::Ddl),
        ("TRUNCATE t", Verb::Ddl),
        ("DO $$ BEGIN END $$", Verb::Procedure),
        ("CALL f()", Verb::Procedure),
        ("VACUUM", Verb::Other),
        ("LOCK TABLE t", Verb::Other),
        ("nonsense", Verb::Other),
        ("SET", Verb::Other),
        ("FETCH", Verb::Other),
    ] {
        assert_eq!(command(sql), Command::Ordinary(expected), "{sql}");
    }
    assert_eq!(command("  /* nothing */ "), Command::Empty);
}
