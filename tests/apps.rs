//! Applications as they are, but for the URL: a Django project with its admin, a FastAPI app on SQLAlchemy and asyncpg, a
//! Node app on Sequelize and pg. Each prints a line for each thing that it does; on one PostgreSQL and through Shardway on
//! two shards the lines are the same: nothing is refused.

mod support;

use std::sync::OnceLock;

use shardway::devcluster::Cluster;
use support::{NodeEnv, Proxy, PythonEnv, Shards};

/// Two shards, and a server by itself.
fn servers() -> &'static Cluster {
    static SERVERS: OnceLock<Cluster> = OnceLock::new();
    SERVERS.get_or_init(|| {
        // Not a role that is called as Shardway's schema, which would be the first in its search_path.
        let builder = Shards::builder().shards(3).user("tester", "tester");
        builder.start().unwrap_or_else(|error| panic!("{error}"))
    })
}

/// Shardway on the first two servers, and its URL and that of the third, for a database of its own.
fn serve(database: &str, tables: &[(&str, &str)]) -> (Proxy, String, String) {
    let cluster = servers();
    let mut text = format!("[[user]]\nname = {:?}\npassword = {:?}\n", cluster.user(), cluster.password());
    for (number, shard) in cluster.shards().iter().enumerate() {
        shard.primary.sql(&format!("CREATE DATABASE {database}")).unwrap_or_else(|error| panic!("{error}"));
        if number < 2 {
            let port = shard.primary.port();
            text += &format!(
                "[database.{database}.shard.s{number}]\nprimary = \"postgres://127.0.0.1:{port}/{database}\"\n"
            );
        }
    }
    for (table, place) in tables {
        text += &format!("[database.{database}.table.{table}]\n{place}\n");
    }
    let proxy = Proxy::start(cluster, &text);
    let sharded = proxy.url(cluster.user(), cluster.password(), database);
    let alone = cluster.primary(2).url_for(cluster.user(), cluster.password(), database);
    (proxy, sharded, alone)
}

/// Line by line; nothing may be refused.
#[track_caller]
fn compare(alone: &str, sharded: &str) {
    let differences: Vec<String> = alone
        .lines()
        .zip(sharded.lines())
        .filter(|(expected, found)| expected != found)
        .map(|(expected, found)| format!("alone:   {expected}\nsharded: {found}"))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(alone.lines().count(), sharded.lines().count());
}

#[test]
fn a_django_project_with_its_admin() {
    const PACKAGES: [&str; 2] = ["Django>=5.1,<6", "psycopg[binary]>=3.2,<4"];
    const OF_TENANT: &str = "key = \"tenant_id\"\ncolocate = \"shop_tenant\"";
    let tables = [
        ("shop_plan", "reference = true"),
        ("shop_tag", "reference = true"),
        ("shop_tenant", "key = \"id\""),
        ("shop_member", OF_TENANT),
        ("shop_project", OF_TENANT),
        ("shop_task", OF_TENANT),
        ("shop_tasktag", OF_TENANT),
    ];
    let (_proxy, sharded, alone) = serve("django", &tables);
    let directory = |name: &str| servers().directory().join(name).display().to_string();
    let python = PythonEnv::with("apps-django", &PACKAGES);
    let expected = python.run("tests/apps/django_app.py", &[&alone, &directory("alone")]);
    let found = python.run("tests/apps/django_app.py", &[&sharded, &directory("sharded")]);
    compare(&expected, &found);
}

#[test]
fn a_fastapi_app_on_sqlalchemy() {
    const PACKAGES: [&str; 4] = ["fastapi<1", "httpx<1", "SQLAlchemy[asyncio]>=2,<3", "asyncpg>=0.29,<1"];
    let tables = [
        ("api_currency", "reference = true"),
        ("api_account", "key = \"id\""),
        ("api_order", "key = \"account_id\"\ncolocate = \"api_account\""),
        ("api_line", "key = \"account_id\"\ncolocate = \"api_account\""),
    ];
    let (_proxy, sharded, alone) = serve("fastapi", &tables);
    let python = PythonEnv::with("apps-fastapi", &PACKAGES);
    let expected = python.run("tests/apps/fastapi_app.py", &[&alone]);
    let found = python.run("tests/apps/fastapi_app.py", &[&sharded]);
    compare(&expected, &found);
}

#[test]
fn a_node_app_on_sequelize_and_pg() {
    const PACKAGES: [&str; 2] = ["pg@8", "sequelize@6"];
    let tables = [
        ("node_color", "reference = true"),
        ("node_shop", "key = \"id\""),
        ("node_item", "key = \"shopId\"\ncolocate = \"node_shop\""),
    ];
    let (_proxy, sharded, alone) = serve("node", &tables);
    let node = NodeEnv::with("apps-node", &PACKAGES);
    let expected = node.run("tests/apps/node_app.mjs", &[&alone]);
    let found = node.run("tests/apps/node_app.mjs", &[&sharded]);
    compare(&expected, &found);
}
