//! Users whose passwords Shardway doesn't have: they are looked up on a server (auth_query) or stand in the file as
//! PostgreSQL stores them, and log in to the servers by what their own login has proved.

mod support;

use std::sync::OnceLock;
use std::time::Duration;

use shardway::devcluster::{Cluster, Server};
use support::{Proxy, Shards, driver_tables, expect_success, psql};
use tokio_postgres::error::DbError;
use tokio_postgres::{Client, NoTls};

/// For whatever takes a moment on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const SCHEMA: &str = "
    CREATE TABLE users (id bigint PRIMARY KEY, name text);
    CREATE TABLE orders (user_id bigint, id bigserial, amount numeric, PRIMARY KEY (user_id, id));
    CREATE TABLE countries (code text PRIMARY KEY, name text);
    GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let builder = Shards::builder().shards(2).schema(SCHEMA).setting("max_prepared_transactions", "20");
        let builder = builder.hba("host all by_md5 127.0.0.1/32 md5").database("shop");
        let cluster = builder.start().unwrap_or_else(|error| panic!("{error}"));
        let home = cluster.primary(0);
        sql(home, "CREATE SCHEMA lookup");
        sql(
            home,
            "CREATE FUNCTION lookup.get_auth(name text, OUT usename name, OUT passwd text) RETURNS SETOF record
             LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS
             'SELECT s.usename, s.passwd FROM pg_catalog.pg_shadow s WHERE s.usename = $1 AND s.usename <> ''hidden'''",
        );
        sql(home, "REVOKE ALL ON FUNCTION lookup.get_auth FROM PUBLIC");
        sql(home, "CREATE ROLE asker LOGIN PASSWORD 'asks'; GRANT USAGE ON SCHEMA lookup TO asker");
        sql(home, "GRANT EXECUTE ON FUNCTION lookup.get_auth TO asker");
        cluster
    })
}

fn sql(server: &Server, text: &str) -> String {
    server.sql(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What is stored is the same on all servers.
fn create_role(name: &str, password: &str) {
    let cluster = cluster();
    sql(cluster.primary(0), &format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'"));
    sql(cluster.primary(1), &format!("CREATE ROLE {name} LOGIN"));
    copy_password(name);
}

fn stored(name: &str) -> String {
    sql(cluster().primary(0), &format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{name}'")).trim().to_owned()
}

fn copy_password(name: &str) {
    sql(cluster().primary(1), &format!("ALTER ROLE {name} PASSWORD '{}'", stored(name)));
}

fn config(method: &str, users: &str, options: &str) -> String {
    let cluster = cluster();
    let database = cluster.database_toml("shop");
    let (head, shards) = database.split_once("[database.shop.shard").expect("it has shards");
    format!(
        "[server]\nlisten = \"127.0.0.1:{{port}}\"\nauthentication = \"{method}\"\n\n\
         [[user]]\nname = \"{}\"\npassword = \"{}\"\nadmin = true\n\n{users}\n\n\
         {head}{options}\n[database.shop.shard{shards}{}",
        cluster.user(),
        cluster.password(),
        driver_tables("shop")
    )
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

async fn log_in(proxy: &Proxy, user: &str, password: &str) -> Result<Client, DbError> {
    let url = proxy.url(user, password, "shop");
    let connected = tokio::time::timeout(PATIENCE, tokio_postgres::connect(&url, NoTls)).await.expect("it answers");
    match connected {
        Ok((client, connection)) => {
            tokio::spawn(connection);
            Ok(client)
        }
        Err(error) => Err(error.as_db_error().unwrap_or_else(|| panic!("{error:?}")).clone()),
    }
}

async fn refused(proxy: &Proxy, user: &str, password: &str) {
    let error = log_in(proxy, user, password).await.err().unwrap_or_else(|| panic!("{user} gets in"));
    assert_eq!(error.code().code(), "28P01", "{error:?}");
    assert_eq!(error.message(), format!("password authentication failed for user \"{user}\""));
}

async fn value(client: &Client, text: &str) -> String {
    let rows = client.query(text, &[]).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
    rows.first().map_or_else(|| panic!("{text}: no row"), |row| row.get(0))
}

/// Two keys of different shards.
async fn write_both(client: &Client, from: i64) {
    client.batch_execute("BEGIN").await.expect("BEGIN");
    for id in from..from + 8 {
        client.execute("INSERT INTO users VALUES ($1, 'x')", &[&id]).await.expect("a row");
        client.execute("INSERT INTO orders (user_id, amount) VALUES ($1, 1)", &[&id]).await.expect("an id is served");
    }
    client.batch_execute("COMMIT").await.expect("two phases");
    let gathered = format!(
        "SELECT count(*)::text FROM users a JOIN users b ON a.name = b.name AND a.id < b.id AND a.id >= {from} AND b.id < {}",
        from + 8
    );
    assert_eq!(value(client, &gathered).await, "28");
}

const LOOKUP: &str = "[[user]]\nname = \"asker\"\npassword = \"asks\"\n";
const BY_FUNCTION: &str = "auth_user = \"asker\"\nauth_query = \"SELECT usename, passwd FROM lookup.get_auth($1)\"\n";

#[test]
fn users_are_looked_up_on_a_server() {
    let cluster = cluster();
    create_role("ada", "first");
    create_role("hidden", "first");
    sql(cluster.primary(0), "CREATE ROLE nothing LOGIN");
    let proxy = Proxy::start(cluster, &config("scram-sha-256", LOOKUP, BY_FUNCTION));
    runtime().block_on(async {
        let ada = log_in(&proxy, "ada", "first").await.expect("she is known there");
        assert_eq!(value(&ada, "SELECT current_user::text || session_user").await, "adaada");
        write_both(&ada, 1).await;
        for (user, password) in
            [("ada", "wrong"), ("nobody", "x"), ("nothing", ""), ("nothing", "x"), ("hidden", "first")]
        {
            refused(&proxy, user, if password.is_empty() { "x" } else { password }).await;
        }
        // The name that the database's own user has in the file is never looked up.
        log_in(&proxy, cluster.user(), cluster.password()).await.expect("the file has it");

        // A new password counts at once, for new connections of those who came with the old one as well.
        sql(cluster.primary(0), "ALTER ROLE ada PASSWORD 'second'");
        copy_password("ada");
        refused(&proxy, "ada", "first").await;
        ada.batch_execute("BEGIN; SELECT 1").await.expect("it holds a connection");
        let again = log_in(&proxy, "ada", "second").await.expect("the new password");
        again.batch_execute("BEGIN; SELECT 1").await.expect("it needs a connection of its own");
        ada.batch_execute("COMMIT").await.expect("nothing has happened to it");
        again.batch_execute("COMMIT").await.expect("nor to this one");
        write_both(&ada, 100).await;

        // Dropped, she is nobody.
        for server in [cluster.primary(0), cluster.primary(1)] {
            sql(server, "ALTER ROLE ada RENAME TO ada_before");
        }
        refused(&proxy, "ada", "second").await;
    });
}

#[test]
fn an_answer_is_kept_as_long_as_configured() {
    let cluster = cluster();
    create_role("eve", "first");
    let options = format!("{BY_FUNCTION}auth_cache = \"1h\"\n");
    let proxy = Proxy::start(cluster, &config("scram-sha-256", LOOKUP, &options));
    runtime().block_on(async {
        log_in(&proxy, "eve", "first").await.expect("she is known there");
        sql(cluster.primary(0), "ALTER ROLE eve PASSWORD 'second'");
        log_in(&proxy, "eve", "first").await.expect("that isn't looked at again");
        // Whoever fails is looked up anew the next time.
        refused(&proxy, "eve", "second").await;
        log_in(&proxy, "eve", "second").await.expect("it was looked up");
        // Without the lookup nobody is found, and who is there already stays.
        let before = log_in(&proxy, "eve", "second").await.expect("it is known");
        proxy.rewrite_config(&config("scram-sha-256", LOOKUP, ""));
        hang_up(&proxy);
        let begun = std::time::Instant::now();
        while log_in(&proxy, "eve", "second").await.is_ok() {
            assert!(begun.elapsed() < PATIENCE, "the configuration is not read again");
        }
        refused(&proxy, "eve", "second").await;
        assert_eq!(value(&before, "SELECT current_user::text").await, "eve");
    });
}

fn hang_up(proxy: &Proxy) {
    proxy.process().signal(nix::sys::signal::Signal::SIGHUP).expect("it runs");
}

#[test]
fn another_salt_on_another_shard_is_said() {
    let cluster = cluster();
    for server in [cluster.primary(0), cluster.primary(1)] {
        sql(server, "CREATE ROLE salty LOGIN PASSWORD 'same'");
    }
    let proxy = Proxy::start(cluster, &config("scram-sha-256", LOOKUP, BY_FUNCTION));
    runtime().block_on(async {
        let salty = log_in(&proxy, "salty", "same").await.expect("the home shard knows");
        assert_eq!(value(&salty, "/* shardway: shard=a */ SELECT current_user::text").await, "salty");
        let error = salty.query("/* shardway: shard=b */ SELECT 1", &[]).await.expect_err("another salt");
        let error = error.as_db_error().expect("it is told").clone();
        assert_eq!(error.code().code(), "08001", "{error:?}");
        assert!(error.message().contains("with another salt than where Shardway looks"), "{error:?}");
        assert!(error.hint().is_some_and(|hint| hint.contains("server_password")), "{error:?}");
        // As soon as it is the same, it works.
        copy_password("salty");
        assert_eq!(value(&salty, "/* shardway: shard=b */ SELECT current_user::text").await, "salty");
    });
}

#[test]
fn pg_shadow_is_looked_at_by_default() {
    let cluster = cluster();
    sql(cluster.primary(0), "CREATE ROLE late LOGIN PASSWORD 'p' VALID UNTIL '2001-01-01'");
    sql(cluster.primary(0), "CREATE ROLE early LOGIN PASSWORD 'p' VALID UNTIL '2901-01-01'");
    sql(cluster.primary(0), "CREATE ROLE crowd PASSWORD 'p'");
    let options = format!("auth_user = \"{}\"\n", cluster.user());
    let proxy = Proxy::start(cluster, &config("scram-sha-256", LOOKUP, &options));
    runtime().block_on(async {
        let early = log_in(&proxy, "early", "p").await.expect("its password is good");
        assert_eq!(value(&early, "SELECT current_user::text").await, "early");
        refused(&proxy, "late", "p").await;
        refused(&proxy, "crowd", "p").await;
    });
}

#[test]
fn md5_is_passed_on_as_well() {
    let cluster = cluster();
    for server in [cluster.primary(0), cluster.primary(1)] {
        sql(server, "SET password_encryption = 'md5'; CREATE ROLE by_md5 LOGIN PASSWORD 'old'");
    }
    create_role("mixed", "new");
    let proxy = Proxy::start(cluster, &config("md5", LOOKUP, BY_FUNCTION));
    let strict = Proxy::start(cluster, &config("scram-sha-256", LOOKUP, BY_FUNCTION));
    let written = format!("[[user]]\nname = \"by_md5\"\npassword = \"{}\"\n", stored("by_md5"));
    let from_file = Proxy::start(cluster, &config("md5", &written, ""));
    runtime().block_on(async {
        for proxy in [&proxy, &from_file] {
            let client = log_in(proxy, "by_md5", "old").await.expect("md5 is asked for");
            assert_eq!(value(&client, "/* shardway: shard=b */ SELECT current_user::text").await, "by_md5");
            refused(proxy, "by_md5", "wrong").await;
        }
        write_both(&log_in(&proxy, "mixed", "new").await.expect("asked by SCRAM"), 200).await;
        refused(&proxy, "nobody", "old").await;
        // SCRAM can't compare it, as in PostgreSQL.
        refused(&strict, "by_md5", "old").await;
    });
}

#[test]
fn a_verifier_in_a_file_is_enough_and_is_read_again() {
    let cluster = cluster();
    create_role("kept", "first");
    let file = cluster.directory().join("kept.verifier");
    std::fs::write(&file, stored("kept") + "\n").expect("the file can be written");
    let user = format!("[[user]]\nname = \"kept\"\npassword = {{ file = \"{}\" }}\n", file.display());
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (public, private) = (cluster.directory().join("kept.crt"), cluster.directory().join("kept.key"));
    std::fs::write(&public, certificate.cert.pem()).expect("the file can be written");
    std::fs::write(&private, certificate.signing_key.serialize_pem()).expect("the file can be written");
    let tls = format!("[server.tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", public.display(), private.display());
    let proxy = Proxy::start(cluster, &config("scram-sha-256", &format!("{user}\n{tls}"), ""));
    let by_tls = || {
        let conninfo = format!(
            "host=127.0.0.1 port={} user=kept password=second dbname=shop sslmode=require channel_binding=require",
            proxy.address().port()
        );
        psql(cluster, &conninfo, &["-At", "-c", "/* shardway: shard=b */ SELECT session_user"])
    };
    runtime().block_on(async {
        let kept = log_in(&proxy, "kept", "first").await.expect("the verifier is in the file");
        write_both(&kept, 300).await;
        refused(&proxy, "kept", "second").await;
        sql(cluster.primary(0), "ALTER ROLE kept PASSWORD 'second'");
        copy_password("kept");
        std::fs::write(&file, stored("kept") + "\n").expect("the file can be written");
        hang_up(&proxy);
        let begun = std::time::Instant::now();
        let again = loop {
            match log_in(&proxy, "kept", "second").await {
                Ok(again) => break again,
                Err(_) => assert!(begun.elapsed() < PATIENCE, "the file is not read again"),
            }
        };
        refused(&proxy, "kept", "first").await;
        write_both(&again, 400).await;
        write_both(&kept, 500).await;
    });
    assert_eq!(expect_success("psql", &by_tls()).trim(), "kept");
}
