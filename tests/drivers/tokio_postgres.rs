//! tokio-postgres: its queries by types, the look-ups of types that it makes by itself, pipelining, COPY, portals, notices,
//! cancel. Each statement keeps to one user, or to tables that are on one server.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, TryStreamExt, future, pin_mut};
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, IsolationLevel, NoTls, SimpleQueryMessage};

const USER: i64 = 72_001;
const PATIENCE: Duration = Duration::from_secs(60);

/// All of it.
pub fn works(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let all = async {
        let (mut client, connection) = tokio_postgres::connect(url, NoTls).await.expect("it connects");
        let driven = tokio::spawn(connection);
        queries(&client).await;
        types(&client).await;
        transactions(&mut client).await;
        copies(&client).await;
        portals(&mut client).await;
        cancel(&client).await;
        drop(client);
        driven.await.expect("it ends").expect("without an error");
        notifications(url).await;
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE * 2, all).await.expect("it comes to an end") });
}

async fn count(client: &Client) -> i64 {
    let row = client.query_one("SELECT count(*) FROM orders WHERE user_id = $1", &[&USER]).await.expect("a count");
    row.get(0)
}

async fn queries(client: &Client) {
    client.execute("DELETE FROM orders WHERE user_id = $1", &[&USER]).await.expect("DELETE");
    client.execute("DELETE FROM users WHERE id = $1", &[&USER]).await.expect("DELETE");
    let inserted = client.execute("INSERT INTO users VALUES ($1, $2)", &[&USER, &"Ada"]).await;
    assert_eq!(inserted.expect("INSERT"), 1);
    let row = client.query_one("SELECT id, name FROM users WHERE id = $1", &[&USER]).await.expect("a row");
    assert_eq!((row.get::<_, i64>("id"), row.get::<_, &str>("name")), (USER, "Ada"));
    assert!(client.query_opt("SELECT 1 FROM users WHERE id = $1", &[&-1_i64]).await.expect("none").is_none());

    let statement = client.prepare_typed("SELECT name, $2 FROM users WHERE id = $1", &[Type::INT8, Type::INT4]).await;
    let statement = statement.expect("it is prepared");
    assert_eq!((statement.params(), statement.columns()[1].type_()), (&[Type::INT8, Type::INT4][..], &Type::INT4));
    // Many at once on one connection.
    let numbers: Vec<i32> = (0..50).collect();
    let asked = numbers.iter().map(|number| {
        let statement = &statement;
        async move { client.query_one(statement, &[&USER, number]).await }
    });
    for (number, row) in future::join_all(asked).await.into_iter().enumerate() {
        assert_eq!(row.expect("a row").get::<_, i32>(1), i32::try_from(number).unwrap());
    }
    // Parse, Bind, Describe and Execute at once, with declared types.
    let typed = client.query_typed("SELECT name FROM users WHERE id = $1", &[(&USER, Type::INT8)]).await;
    assert_eq!(typed.expect("a row")[0].get::<_, &str>(0), "Ada");

    let messages = client.simple_query("SELECT 1 AS one; SELECT NULL").await.expect("a Query of two");
    let rows: Vec<Option<&str>> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0)),
            _ => None,
        })
        .collect();
    assert_eq!(rows, [Some("1"), None]);
    let error = client.query("SELECT nothing FROM users WHERE id = $1", &[&USER]).await.expect_err("no such column");
    assert_eq!(error.code(), Some(&SqlState::UNDEFINED_COLUMN));
    let error = client.execute("INSERT INTO users VALUES ($1, 'twice')", &[&USER]).await.expect_err("it is there");
    let told = error.as_db_error().expect("a server's");
    assert_eq!((told.code(), told.constraint()), (&SqlState::UNIQUE_VIOLATION, Some("users_pkey")));
}

/// The driver asks the catalog about types that it doesn't know.
async fn types(client: &Client) {
    client.batch_execute("DROP TYPE IF EXISTS driver_mood").await.expect("DROP TYPE");
    client.batch_execute("CREATE TYPE driver_mood AS ENUM ('sad', 'ok')").await.expect("CREATE TYPE");
    let statement =
        client.prepare("SELECT $1::driver_mood, ARRAY['ok'::driver_mood], 7::numeric").await.expect("types");
    assert_eq!(statement.params()[0].name(), "driver_mood");
    assert_eq!(statement.columns()[1].type_().name(), "_driver_mood");
    drop(statement);
    let array = client.query_one("SELECT $1::bigint[] || 3::bigint", &[&vec![1_i64, 2]]).await.expect("an array");
    assert_eq!(array.get::<_, Vec<i64>>(0), [1, 2, 3]);
    client.batch_execute("DROP TYPE driver_mood").await.expect("DROP TYPE");
}

async fn transactions(client: &mut Client) {
    let mut transaction = client.transaction().await.expect("BEGIN");
    transaction.execute("INSERT INTO orders VALUES ($1, 1, 1)", &[&USER]).await.expect("INSERT");
    let savepoint = transaction.savepoint("s").await.expect("SAVEPOINT");
    savepoint.execute("INSERT INTO orders VALUES ($1, 1, 1)", &[&USER]).await.expect_err("it is there");
    savepoint.rollback().await.expect("ROLLBACK TO");
    transaction.commit().await.expect("COMMIT");
    assert_eq!(count(client).await, 1);
    let transaction = client.build_transaction().isolation_level(IsolationLevel::Serializable).read_only(true);
    let transaction = transaction.start().await.expect("BEGIN");
    let error =
        transaction.execute("DELETE FROM orders WHERE user_id = $1", &[&USER]).await.expect_err("it reads only");
    assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    // Dropped, it is rolled back.
    drop(transaction);
    assert_eq!(count(client).await, 1);
}

async fn copies(client: &Client) {
    let sink = client.copy_in("COPY orders FROM STDIN").await.expect("COPY");
    pin_mut!(sink);
    for id in 10..20 {
        sink.send(Bytes::from(format!("{USER}\t{id}\t{id}.5\n"))).await.expect("it takes rows");
    }
    assert_eq!(sink.finish().await.expect("the last of them"), 10);
    let sink = client.copy_in("COPY users FROM STDIN BINARY").await.expect("COPY");
    let writer = BinaryCopyInWriter::new(sink, &[Type::INT8, Type::TEXT]);
    pin_mut!(writer);
    writer.as_mut().write(&[&(USER + 1), &"Grace"]).await.expect("it takes a row");
    assert_eq!(writer.finish().await.expect("the last"), 1);
    let grace = format!("COPY (SELECT id, name FROM users WHERE id = {}) TO STDOUT BINARY", USER + 1);
    let stream = client.copy_out(&grace);
    let rows = BinaryCopyOutStream::new(stream.await.expect("COPY"), &[Type::INT8, Type::TEXT]);
    let rows: Vec<_> = rows.try_collect().await.expect("rows");
    assert_eq!((rows.len(), rows[0].get::<&str>(1)), (1, "Grace"));
    // One that is given up leaves nothing.
    let sink = client.copy_in("COPY orders FROM STDIN").await.expect("COPY");
    pin_mut!(sink);
    sink.send(Bytes::from(format!("{USER}\t99\t1\n"))).await.expect("it takes rows");
    drop(sink.close().await.err());
    client.execute("DELETE FROM users WHERE id = $1", &[&(USER + 1)]).await.expect("DELETE");
    client.execute("DELETE FROM orders WHERE user_id = $1 AND id = 99", &[&USER]).await.expect("DELETE");
    assert_eq!(count(client).await, 11);
}

async fn portals(client: &mut Client) {
    let transaction = client.transaction().await.expect("BEGIN");
    let query = "SELECT id FROM orders WHERE user_id = $1 ORDER BY id";
    let (first, second) = (transaction.bind(query, &[&USER]).await, transaction.bind(query, &[&USER]).await);
    let (first, second) = (first.expect("a portal"), second.expect("a portal"));
    let mut all = Vec::new();
    loop {
        // Two of them in turns.
        let rows = transaction.query_portal(&first, 4).await.expect("rows");
        assert_eq!(transaction.query_portal(&second, 4).await.expect("rows").len(), rows.len());
        if rows.is_empty() {
            break;
        }
        all.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
    }
    assert_eq!(all, [1, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
    transaction.commit().await.expect("COMMIT");
}

async fn cancel(client: &Client) {
    let token = client.cancel_token();
    let sleeps = client.query("SELECT pg_sleep(600)", &[]);
    let cancels = async {
        // One that comes before the statement finds nothing to cancel.
        loop {
            token.cancel_query(NoTls).await.expect("it is taken");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    pin_mut!(sleeps, cancels);
    let error = match future::select(sleeps, cancels).await {
        future::Either::Left((slept, _)) => slept.expect_err("it is cancelled"),
        future::Either::Right(_) => unreachable!("that goes on"),
    };
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    assert_eq!(count(client).await, 11);
}

async fn notifications(url: &str) {
    let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.expect("it connects");
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut messages = futures_util::stream::poll_fn(move |cx| connection.poll_message(cx));
    let driven = tokio::spawn(async move {
        while let Some(Ok(message)) = messages.next().await {
            let _ = sender.send(message);
        }
    });
    client.batch_execute("LISTEN driver_news").await.expect("LISTEN");
    client.batch_execute("DROP TABLE IF EXISTS driver_nothing").await.expect("DROP TABLE");
    client.batch_execute("NOTIFY driver_news, 'all'").await.expect("NOTIFY");
    let own: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.expect("its own").get(0);
    let (mut notices, mut news) = (Vec::new(), Vec::new());
    while news.is_empty() || notices.is_empty() {
        match heard.recv().await.expect("the connection lives") {
            AsyncMessage::Notice(notice) => notices.push(notice.message().to_owned()),
            AsyncMessage::Notification(told) => news.push((told.process_id(), told.payload().to_owned())),
            _ => {}
        }
    }
    assert_eq!(
        (notices, news),
        (vec!["table \"driver_nothing\" does not exist, skipping".to_owned()], vec![(own, "all".to_owned())])
    );
    drop(client);
    driven.await.expect("it ends");
}
