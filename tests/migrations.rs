//! Migrations as Django and Alembic make them, and the ORMs on what they made: on PostgreSQL itself, which proves the
//! scripts, and through Shardway on two shards.

mod support;

use shardway::devcluster::Cluster;
use support::{Proxy, PythonEnv, Shards};

const PACKAGES: [&str; 4] = ["Django>=5.1,<6", "SQLAlchemy>=2,<3", "alembic>=1.13,<2", "psycopg[binary]>=3.2,<4"];

const TABLES: &[(&str, &str)] = &[
    ("shop_customer", "key = \"id\""),
    ("shop_order", "key = \"customer_id\"\ncolocate = \"shop_customer\""),
    ("shop_country", "reference = true"),
    ("accounts", "key = \"id\""),
    ("postings", "key = \"account_id\"\ncolocate = \"accounts\""),
    ("currencies", "reference = true"),
];

fn servers(shards: usize) -> Cluster {
    // Not a role that is called as Shardway's schema, which would be the first in its search_path.
    let builder = Shards::builder().shards(shards).user("tester", "tester").database("shop");
    builder.start().unwrap_or_else(|error| panic!("{error}"))
}

/// The cluster comes first: the proxy ends with it.
fn sharded() -> (Proxy, Cluster) {
    let cluster = servers(2);
    let (user, password, database) = (cluster.user(), cluster.password(), cluster.database());
    let mut text =
        format!("[[user]]\nname = \"{user}\"\npassword = \"{password}\"\n\n{}", cluster.database_toml(database));
    for (table, place) in TABLES {
        text += &format!("\n[database.{database}.table.{table}]\n{place}\n");
    }
    (Proxy::start(&cluster, &text), cluster)
}

fn runs(cluster: &Cluster, script: &str, url: &str) {
    let directory = cluster.directory().join("project");
    let directory = directory.to_str().expect("the path is UTF-8");
    PythonEnv::with("migrations", &PACKAGES).run(script, &[url, directory]);
}

/// How many rows a table has on each server.
fn counts(cluster: &Cluster, table: &str) -> Vec<String> {
    let count = |shard| cluster.primary(shard).sql(&format!("SELECT count(*) FROM {table}"));
    (0..2).map(|shard| count(shard).unwrap_or_else(|error| panic!("{error}"))).collect()
}

#[test]
fn django_on_postgresql() {
    let cluster = servers(1);
    runs(&cluster, "tests/migrations/django_project.py", &cluster.primary(0).url());
}

#[test]
fn django_through_two_shards() {
    let (proxy, cluster) = sharded();
    runs(&cluster, "tests/migrations/django_project.py", &proxy.url_of(&cluster));
    // It has migrated back.
    let left = "SELECT count(*) FROM pg_class WHERE relname LIKE 'shop%' AND relkind = 'r'";
    assert_eq!(
        (0..2).map(|shard| cluster.primary(shard).sql(left).expect("it answers")).collect::<Vec<_>>(),
        ["0", "0"]
    );
    let homes = "SELECT count(*) FROM pg_class WHERE relname = 'django_migrations'";
    assert_eq!(cluster.primary(1).sql(homes).expect("it answers"), "0");
}

#[test]
fn alembic_on_postgresql() {
    let cluster = servers(1);
    runs(&cluster, "tests/migrations/alembic_project.py", &cluster.primary(0).url());
}

#[test]
fn alembic_through_two_shards() {
    let (proxy, cluster) = sharded();
    runs(&cluster, "tests/migrations/alembic_project.py", &proxy.url_of(&cluster));
    let accounts = counts(&cluster, "accounts");
    assert!(accounts.iter().all(|count| count != "0"), "{accounts:?}");
    let copies = counts(&cluster, "currencies");
    assert_eq!(copies[0], copies[1]);
}
