//! `shardway check` and the catalog, on real servers.

use std::fmt::Write as _;
use std::path::PathBuf;

use shardway::check::{self, Report, Severity};
use shardway::devcluster::{Cluster, Server};

mod loading;
mod statements;

const SCHEMA: &str = "
    CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL);
    CREATE TABLE orders (user_id bigint NOT NULL REFERENCES users, id bigint, total numeric(10,2), PRIMARY KEY (user_id, id));
    CREATE TABLE countries (code text PRIMARY KEY);
";

fn cluster() -> Cluster {
    let builder =
        Cluster::builder().directory(env!("CARGO_TARGET_TMPDIR")).shards(2).replicas(1).schema(SCHEMA).own_identity();
    builder.start().unwrap_or_else(|error| panic!("{error}"))
}

fn node(server: &Server) -> String {
    format!("postgres://127.0.0.1:{}/shardway", server.port())
}

/// The good configuration of the cluster, up to its tables.
fn head(cluster: &Cluster) -> String {
    let mut text = format!("[[user]]\nname = {:?}\npassword = {:?}\n", cluster.user(), cluster.password());
    for (shard, name) in cluster.shards().iter().zip(["a", "b"]) {
        let (primary, replica) = (node(&shard.primary), node(&shard.replicas[0]));
        writeln!(text, "[database.shop.shard.{name}]\nprimary = {primary:?}\nreplicas = [{replica:?}]")
            .expect("a string takes it");
    }
    text
}

const TABLES: &str = "
[database.shop.table.users]
key = \"id\"
[database.shop.table.orders]
key = \"user_id\"
colocate = \"users\"
[database.shop.table.countries]
reference = true
";

fn file(cluster: &Cluster, text: &str) -> PathBuf {
    let path = cluster.directory().join("shardway.toml");
    std::fs::write(&path, text).expect("the cluster's directory is writable");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, mode).expect("the file is ours");
    path
}

async fn report(cluster: &Cluster, text: &str) -> Report {
    check::report(&file(cluster, text)).await
}

/// `severity place: what`, without remedies, which are the unit tests' business.
fn lines(report: &Report) -> Vec<String> {
    let line = |finding: &check::Finding| format!("{} {}: {}", finding.severity, finding.place, finding.what);
    report.findings.iter().map(line).collect()
}

#[track_caller]
fn has(report: &Report, severity: Severity, part: &str) {
    let found = report
        .findings
        .iter()
        .any(|finding| finding.severity == severity && format!("{}: {}", finding.place, finding.what).contains(part));
    assert!(found, "no {severity} says {part:?} in:\n{report}");
    assert!(report.findings.iter().all(|finding| !finding.remedy.is_empty()), "{report}");
}

#[tokio::test]
async fn check_reports_what_is_wrong_with_the_servers() {
    let cluster = cluster();
    let good = format!("{}{TABLES}", head(&cluster));
    let found = report(&cluster, &good).await;
    // The development servers' role is called as Shardway's schema, and that is all.
    has(&found, Severity::Warning, "user shardway: logs in to the servers as shardway");
    assert_eq!(lines(&found).len(), 1, "{found}");

    statements::statements(&cluster, &file(&cluster, &good));
    roles(&cluster, &good).await;
    logins(&cluster, &good).await;
    tables(&cluster).await;
    copies(&cluster, &good).await;
    constraints(&cluster).await;
    loading::loading(&cluster).await;
}

async fn roles(cluster: &Cluster, good: &str) {
    let (a, b) = (&cluster.shards()[0], &cluster.shards()[1]);
    let swapped = good
        .replace(&node(&a.primary), "X")
        .replace(&node(&a.replicas[0]), &node(&a.primary))
        .replace('X', &node(&a.replicas[0]));
    let found = report(cluster, &swapped).await;
    has(&found, Severity::Error, &format!("shop: shard a, primary 127.0.0.1:{}: is a standby", a.replicas[0].port()));
    has(&found, Severity::Error, &format!("shop: shard a, replica 127.0.0.1:{}: is not a standby", a.primary.port()));

    let crossed = good
        .replace(&node(&a.replicas[0]), "X")
        .replace(&node(&b.replicas[0]), &node(&a.replicas[0]))
        .replace('X', &node(&b.replicas[0]));
    let found = report(cluster, &crossed).await;
    has(&found, Severity::Error, "is a copy of another server: its system identifier is");
    assert_eq!(found.errors(), 2, "{found}");

    let twice = good.replace(&node(&b.primary), &node(&a.primary).replace("127.0.0.1", "localhost"));
    has(&report(cluster, &twice).await, Severity::Error, "rows would be found twice");

    let closed = good.replace(&node(&b.replicas[0]), "postgres://127.0.0.1:1/shardway");
    let found = report(cluster, &closed).await;
    has(&found, Severity::Error, "shop: shard b, replica 127.0.0.1:1: can't be asked");
    assert_eq!(found.errors(), 1, "{found}");
}

async fn logins(cluster: &Cluster, good: &str) {
    let other = format!("{good}[[user]]\nname = \"nobody\"\npassword = \"x\"\n");
    let found = report(cluster, &other).await;
    has(&found, Severity::Error, "user nobody can't log in");
    assert_eq!(found.errors(), 4, "{found}");

    let elsewhere =
        format!("{}databases = [\"other\"]\n[database.other.shard.z]\nprimary = \"postgres://127.0.0.1:1\"\n", good)
            .replacen("[database.shop.shard.a]", "databases = [\"other\"]\n[database.shop.shard.a]", 1)
            .replacen("reference = true\ndatabases = [\"other\"]\n", "reference = true\n", 1);
    has(&report(cluster, &elsewhere).await, Severity::Error, "shop: all shards: no user may use this database");

    let mistaken = report(cluster, "[server]\nlisten = 5\n").await;
    assert_eq!(mistaken.errors(), 3, "{mistaken}");
    has(&mistaken, Severity::Error, "shardway.toml:2:10: `listen` must be a string");
}

async fn tables(cluster: &Cluster) {
    for shard in cluster.shards() {
        let made = shard.primary.sql(
            "CREATE SCHEMA audit;
             CREATE TABLE audit.events (at timestamptz(3), kind character(3), price numeric(10,2), day date);
             CREATE TABLE texts (id text PRIMARY KEY DEFAULT 'x', note text UNIQUE);
             CREATE VIEW big AS SELECT id FROM users WHERE id > 10;",
        );
        made.expect("the statements are right");
    }
    let text = format!(
        "{}{TABLES}
[database.shop.table.events]
key = \"at\"
[database.shop.table.big]
reference = true
[database.shop.table.texts]
key = \"id\"
colocate = \"users\"
type = \"text\"
[database.shop.table.\"audit.events\"]
key = \"at\"
range = [ {{ shard = \"a\" }} ]
[database.shop.table.nothing]
key = \"id\"
",
        head(cluster)
    )
    .replace("table.orders]\nkey = \"user_id\"", "table.orders]\nkey = \"userid\"");
    let found = report(cluster, &text).await;
    has(&found, Severity::Error, "shop: table public.events: is on no shard");
    has(&found, Severity::Error, "shop: table public.nothing: is on no shard");
    has(&found, Severity::Error, "shop: table public.big: is a view");
    has(&found, Severity::Error, "shop: table public.orders: has no column \"userid\"");
    has(&found, Severity::Error, "the shard key at has type timestamp(3) with time zone, whose values are rounded");
    has(&found, Severity::Error, "its key is Text, but that of the tables it is colocated with is Int8");
    has(&found, Severity::Warning, "the shard key id has a default");
    has(&found, Severity::Warning, "the unique index texts_note_key lacks the shard key id");
    has(&found, Severity::Warning, "shop: view public.big: reads public.users, which is sharded");
    for (placement, wanted) in [
        ("key = \"id\"\nrange = [ { until = \"ten\", shard = \"a\" } ]", "table public.users: 'ten' can't be a key"),
        (
            "key = \"id\"\nrange = [ { until = \"10\", shard = \"a\" }, { until = \"9\", shard = \"b\" } ]",
            "doesn't end above the one before",
        ),
        ("key = \"email\"\nrange = [ { shard = \"a\" } ]", "not Text"),
        ("key = \"id\"\nlist = [ { values = [\"1\", \"01\"], shard = \"a\" } ]", "'01' is listed twice"),
        ("key = \"id\"\ntype = \"int4\"", "the servers have Int8"),
    ] {
        let text = format!("{}[database.shop.table.users]\n{placement}\n", head(cluster));
        has(&report(cluster, &text).await, Severity::Error, wanted);
    }
    let text = format!("{}[database.shop.table.\"audit.events\"]\nkey = \"day\"\n", head(cluster));
    has(&report(cluster, &text).await, Severity::Error, "table audit.events: hash placement needs");
    for (key, wanted) in [("price", "numeric(10,2), whose"), ("kind", "character(3), in which")] {
        let text = format!("{}[database.shop.table.\"audit.events\"]\nkey = {key:?}\n", head(cluster));
        has(&report(cluster, &text).await, Severity::Error, &format!("the shard key {key} has type {wanted}"));
    }
}

async fn copies(cluster: &Cluster, good: &str) {
    let b = cluster.primary(1);
    b.sql(
        "ALTER TABLE users ADD COLUMN extra int, ALTER COLUMN email TYPE varchar(9), ALTER COLUMN email DROP NOT NULL",
    )
    .expect("the statement is right");
    b.sql("DROP TABLE countries; CREATE UNIQUE INDEX users_email ON users (email); CREATE TYPE mood AS ENUM ('x')")
        .expect("the statements are right");
    b.sql("ALTER DATABASE shardway SET timezone = 'Asia/Tokyo'").expect("the statement is right");
    b.sql("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'").expect("the statement is right");
    cluster
        .primary(0)
        .sql("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'")
        .expect("the statement is right");
    let found = report(cluster, good).await;
    has(&found, Severity::Error, "shop: table public.countries: is missing on shard b");
    has(&found, Severity::Error, "shop: table public.users: has the columns extra on shard b and not on a");
    has(&found, Severity::Error, "column email is character varying(9) on shard b and text on a");
    has(&found, Severity::Warning, "column email is NOT NULL on shard a and not on b");
    has(&found, Severity::Error, "has the unique index users_email on shard b and not on a");
    has(&found, Severity::Error, "sessions start with TimeZone = \"Asia/Tokyo\"");
    has(&found, Severity::Error, "shop: shard b: function public.f() is not the same as on shard a");
    has(&found, Severity::Warning, "shop: shard a: lacks the type public.mood, which shard b has");
    has(
        &found,
        Severity::Warning,
        "table audit.events: is not in the file, so that only shard a is asked for it; shard b has it too",
    );
}

async fn constraints(cluster: &Cluster) {
    let a = cluster.primary(0);
    a.sql(
        "CREATE TABLE home (id int PRIMARY KEY, user_id bigint REFERENCES users);
         CREATE TABLE loose (user_id bigint, home_id int REFERENCES home);
         CREATE RULE nothing AS ON DELETE TO loose DO INSTEAD NOTHING;
         CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER t BEFORE INSERT ON loose FOR EACH ROW EXECUTE FUNCTION t();",
    )
    .expect("the statements are right");
    let text = format!("{}{TABLES}[database.shop.table.loose]\nkey = \"user_id\"\n", head(cluster)).replace(
        "[database.shop.table.users]",
        "[database.shop]\nsafe_functions = [\"gone\"]\n[database.shop.table.users]",
    );
    let found = report(cluster, &text).await;
    has(&found, Severity::Error, "table public.home: its foreign key home_user_id_fkey refers to public.users");
    has(&found, Severity::Error, "table public.loose: its foreign key loose_home_id_fkey refers to public.home");
    has(&found, Severity::Warning, "table public.loose: the shard key user_id is in no primary key or unique index");
    has(&found, Severity::Warning, "table public.loose: the shard key user_id can be NULL");
    has(&found, Severity::Warning, "table public.loose: has rules");
    has(&found, Severity::Warning, "table public.loose: has BEFORE triggers");
    has(&found, Severity::Warning, "safe_functions: there is no function gone");
    assert!(!found.to_string().contains("orders_user_id_fkey"), "{found}");
}
