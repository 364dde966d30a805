//! Limits of users and databases, each with the SQLSTATE that PostgreSQL uses for the like.

mod support;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use shardway::devcluster::Cluster;
use support::{Proxy, Shards};
use tokio_postgres::{Client, Error, NoTls};

/// More than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

fn place() -> &'static (Cluster, Proxy) {
    static PLACE: OnceLock<(Cluster, Proxy)> = OnceLock::new();
    PLACE.get_or_init(|| {
        let schema = "CREATE TABLE notes (id bigint PRIMARY KEY, v int); CREATE TABLE others (id bigint, v int)";
        let cluster = Shards::builder().shards(2).database("shop").schema(schema).start();
        let cluster = cluster.unwrap_or_else(|error| panic!("{error}"));
        let proxy = Proxy::start(&cluster, &config(&cluster));
        (cluster, proxy)
    })
}

fn config(cluster: &Cluster) -> String {
    let (server_user, password) = (cluster.user(), cluster.password());
    let user = |name: &str, more: &str| {
        format!(
            "[[user]]\nname = \"{name}\"\npassword = \"secret\"\nserver_user = \"{server_user}\"\n\
             server_password = \"{password}\"\n{more}\n\n"
        )
    };
    let tables = |name: &str| {
        format!("[database.{name}.table.notes]\nkey = \"id\"\n\n[database.{name}.table.others]\nkey = \"id\"\n\n")
    };
    let limits = "max_clients = 1\nstatement_timeout = \"2s\"\n";
    let narrow = cluster.database_toml("narrow").replacen("\nhome", "\nmax_gathered_rows = 10\nhome", 1);
    let small = cluster.database_toml("small").replacen("\nhome", &format!("\n{limits}home"), 1);
    [
        user("free", "admin = true"),
        user("few", "max_clients = 2\npool_size = 1"),
        user("hasty", "statement_timeout = \"2s\""),
        user("sleepy", "idle_in_transaction_timeout = \"300ms\""),
        user("tired", "idle_session_timeout = \"300ms\""),
        cluster.database_toml("shop"),
        tables("shop"),
        small,
        tables("small"),
        narrow,
        tables("narrow"),
    ]
    .concat()
}

/// A client, and how its connection ends.
async fn try_connect(user: &str, database: &str) -> Result<(Client, tokio::task::JoinHandle<Option<Error>>), Error> {
    let url = place().1.url(user, "secret", database);
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    Ok((client, tokio::spawn(async move { connection.await.err() })))
}

async fn connect(user: &str, database: &str) -> Client {
    try_connect(user, database).await.unwrap_or_else(|error| panic!("{user}: {error:?}")).0
}

fn says(error: &Error) -> (String, String) {
    let error = error.as_db_error().unwrap_or_else(|| panic!("not an error of a server: {error:?}"));
    (error.code().code().to_owned(), error.message().to_owned())
}

async fn refused(user: &str, database: &str) -> (String, String) {
    match try_connect(user, database).await {
        Ok(_) => panic!("{user} got in"),
        Err(error) => says(&error),
    }
}

/// Others' places are free a moment after they have gone.
async fn connect_at_last(user: &str, database: &str) -> Client {
    let began = Instant::now();
    loop {
        match try_connect(user, database).await {
            Ok((client, _)) => return client,
            Err(error) => assert!(began.elapsed() < LIMIT, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_user_has_so_many_clients() {
    let one = connect("few", "shop").await;
    let two = connect("few", "shop").await;
    let told = ("53300".to_owned(), "too many connections for role \"few\"".to_owned());
    assert_eq!(refused("few", "shop").await, told);
    connect("free", "shop").await.simple_query("SELECT 1").await.expect("others have places of their own");
    // One connection serves both.
    one.batch_execute("BEGIN; INSERT INTO notes VALUES (100, 1); COMMIT").await.expect("it works");
    two.batch_execute("DELETE FROM notes WHERE id = 100").await.expect("it works");
    drop(two);
    connect_at_last("few", "shop").await.simple_query("SELECT 1").await.expect("a place is free again");
}

#[tokio::test]
async fn a_database_has_so_many_clients_and_limits_of_its_own() {
    let one = connect_at_last("free", "small").await;
    let told = ("53300".to_owned(), "too many connections for database \"small\"".to_owned());
    assert_eq!(refused("hasty", "small").await, told);
    let error = one.simple_query("SELECT pg_sleep(600)").await.expect_err("it takes too long");
    assert_eq!(says(&error), ("57014".to_owned(), "canceling statement due to statement timeout".to_owned()));
}

#[tokio::test]
async fn a_statement_gathers_so_many_rows() {
    let free = connect("free", "shop").await;
    for id in 200..220 {
        free.batch_execute(&format!("INSERT INTO notes VALUES ({id}, 1)")).await.expect("it is written");
    }
    let gathers = "SELECT notes.v, others.v FROM notes JOIN others ON notes.v = others.v";
    let narrow = connect("free", "narrow").await;
    let error = narrow.simple_query(gathers).await.expect_err("there are more than ten rows");
    assert_eq!(says(&error).0, "54000");
    free.batch_execute(gathers).await.expect("that database has no such limit");
}

/// Under the limit when the machine isn't too busy.
async fn goes_on(client: &Client, sql: &str) -> i64 {
    let began = Instant::now();
    loop {
        match client.query(sql, &[]).await {
            Ok(rows) => return rows[0].get(0),
            Err(error) => assert!(says(&error).0 == "57014" && began.elapsed() < LIMIT, "{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_statement_has_so_much_time() {
    let hasty = connect("hasty", "shop").await;
    let told = ("57014".to_owned(), "canceling statement due to statement timeout".to_owned());
    let error = hasty.simple_query("SELECT pg_sleep(600)").await.expect_err("it takes too long");
    assert_eq!(says(&error), told);
    assert_eq!(goes_on(&hasty, "SELECT 1::bigint").await, 1);
    let error = hasty.query("SELECT pg_sleep(600)", &[]).await.expect_err("it takes too long");
    assert_eq!(says(&error), told);
    assert_eq!(goes_on(&hasty, "SELECT 1::bigint").await, 1);
    // Several shards at once.
    let free = connect("free", "shop").await;
    free.batch_execute("INSERT INTO others VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0)").await.expect("rows");
    free.batch_execute(
        "BEGIN; UPDATE others SET v = 1 WHERE id = 1; UPDATE others SET v = 1 WHERE id = 2; \
                        UPDATE others SET v = 1 WHERE id = 3",
    )
    .await
    .expect("it locks rows");
    let error = hasty.simple_query("UPDATE others SET v = 2").await.expect_err("it waits too long");
    assert_eq!(says(&error), told);
    free.batch_execute("ROLLBACK").await.expect("it ends");
    assert_eq!(goes_on(&hasty, "SELECT count(*) FROM others WHERE v = 2").await, 0, "nothing is left of it");
}

#[tokio::test]
async fn a_transaction_may_rest_so_long() {
    let (sleepy, ended) = try_connect("sleepy", "shop").await.expect("it gets in");
    sleepy.batch_execute("BEGIN; INSERT INTO notes VALUES (300, 1)").await.expect("it works");
    let error = tokio::time::timeout(LIMIT, ended).await.expect("it ends").expect("no panic").expect("an error");
    let told = ("25P03".to_owned(), "terminating connection due to idle-in-transaction timeout".to_owned());
    assert_eq!(says(&error), told);
    let free = connect("free", "shop").await;
    // Waits for the lock on the key, which the rollback releases.
    free.batch_execute("INSERT INTO notes VALUES (300, 2); DELETE FROM notes WHERE id = 300")
        .await
        .expect("rolled back");
}

#[tokio::test]
async fn a_session_may_rest_so_long() {
    let (_tired, ended) = try_connect("tired", "shop").await.expect("it gets in");
    let error = tokio::time::timeout(LIMIT, ended).await.expect("it ends").expect("no panic").expect("an error");
    let told = ("57P05".to_owned(), "terminating connection due to idle-session timeout".to_owned());
    assert_eq!(says(&error), told);
    // One that listens keeps a connection, and waits for what arrives there as well.
    let (tired, ended) = try_connect("tired", "shop").await.expect("it gets in");
    tired.batch_execute("LISTEN news").await.expect("it listens");
    let error = tokio::time::timeout(LIMIT, ended).await.expect("it ends").expect("no panic").expect("an error");
    assert_eq!(says(&error), told);
}
