//! `shardway advise` on real servers: the demo's shop with a log of PostgreSQL's own, and tables as Django makes them for
//! several tenants with pg_stat_statements.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use shardway::devcluster::{Cluster, Installation};
use support::Shards;

fn has_statistics(installation: &Installation) -> bool {
    let lib = installation.programs().join("../lib");
    ["pg_stat_statements.so", "postgresql/pg_stat_statements.so", "pg_stat_statements.dylib"]
        .iter()
        .any(|file| lib.join(file).exists())
}

/// One server for all tests here.
fn server() -> &'static Cluster {
    static SERVER: OnceLock<Cluster> = OnceLock::new();
    SERVER.get_or_init(|| {
        let installation =
            Installation::find_or_install(&mut |line| eprintln!("{line}")).unwrap_or_else(|error| panic!("{error}"));
        let mut builder = Shards::builder().shards(1).user("owner", "only-known-here");
        if has_statistics(&installation) {
            builder = builder.setting("shared_preload_libraries", "pg_stat_statements");
        }
        builder.start().unwrap_or_else(|error| panic!("{error}"))
    })
}

fn database(name: &str, sql: &str) -> String {
    let primary = server().primary(0);
    primary.sql(&format!("CREATE DATABASE {name}")).unwrap_or_else(|error| panic!("{error}"));
    primary.sql_in(name, sql).unwrap_or_else(|error| panic!("{error}"));
    primary.url_for(server().user(), server().password(), name)
}

fn file(name: &str) -> PathBuf {
    server().directory().join(name)
}

fn shardway(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardway"));
    command.args(arguments).output().expect("the binary starts")
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

#[track_caller]
fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} isn't in:\n{text}");
    }
}

/// The proposal is one that `shardway check` takes, with the same statements.
fn checked(config: &Path, statements: &Path) -> String {
    let (config, statements) = (config.display().to_string(), statements.display().to_string());
    let arguments = ["check", "--config", &config, "--offline", "--statements", &statements, "--max-refused", "100%"];
    said(&shardway(&arguments))
}

/// Everything in the database, so that what only reads can be told from what doesn't.
fn contents(name: &str) -> String {
    let primary = server().primary(0);
    let tables = "SELECT string_agg(c.oid::regclass || ' ' || c.relfilenode, ', ' ORDER BY 1) FROM pg_class c WHERE c.relkind IN ('r', 'i', 'S')";
    let written = "SELECT pg_current_wal_insert_lsn() IS NOT NULL, sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_del) FROM pg_stat_user_tables";
    primary.sql_in(name, tables).expect("it answers") + &primary.sql_in(name, written).expect("it answers")
}

const SHOP_ROWS: &str = "
    INSERT INTO countries VALUES ('nz', 'New Zealand'), ('pt', 'Portugal');
    INSERT INTO products SELECT n, 'product ' || n, n FROM generate_series(1, 50) n;
    INSERT INTO users SELECT n, 'user ' || n, n || '@example.com', 'nz', '2026-01-01' FROM generate_series(1, 2000) n;
    INSERT INTO orders SELECT n, 1, now(), 'paid' FROM generate_series(1, 2000) n;
    INSERT INTO order_items SELECT n, 1, 1, 1 + n % 50, 1 FROM generate_series(1, 2000) n;
    ANALYZE;
";

const SHOP_STATEMENTS: &str = "
    SELECT * FROM users WHERE id = 17;
    SELECT p.name, i.quantity FROM order_items i JOIN products p ON p.id = i.product_id WHERE i.user_id = 4 AND i.order_id = 1;
    SELECT o.id, sum(i.quantity) FROM orders o JOIN order_items i ON i.user_id = o.user_id AND i.order_id = o.id WHERE o.user_id = 9 GROUP BY o.id;
    SELECT count(*) FROM users;
    SELECT c.name, count(*) FROM users u JOIN countries c ON c.code = u.country GROUP BY c.name;
    SELECT pg_notify('named', name) FROM users WHERE id < 1;
";

#[test]
fn the_shop_is_sharded_by_its_users() {
    let schema = shardway::demo::SCHEMA;
    let url = database("shop", &format!("{schema}{SHOP_ROWS}"));
    server().primary(0).sql("ALTER DATABASE shop SET log_statement = 'all'").expect("it is ours");
    server().primary(0).sql_in("shop", SHOP_STATEMENTS).expect("they are right");
    let before = contents("shop");
    let (log, config) = (file("shop.log"), file("shop.toml"));
    std::fs::write(&log, server().primary(0).log()).expect("the directory is writable");
    let (log_name, config_name) = (log.display().to_string(), config.display().to_string());
    let advise = ["advise", "--url", &url, "--log", &log_name, "--output", &config_name];
    let report = said(&shardway(&advise));
    contains(
        &report,
        &[
            "Sharded by users.id, ",
            ": order_items (user_id), orders (user_id), users (id)\nReference tables: countries, products\nOn the home shard: none",
            "pg_notify",
            "refused 0A000: ",
            " scattered (",
            " one shard (",
        ],
    );
    assert_eq!(contents("shop"), before, "it only reads");
    let text = std::fs::read_to_string(&config).expect("it was written");
    contains(
        &text,
        &[
            "[database.shop.table.users]\nkey = \"id\"\ntype = \"bigint\"\n",
            "user_id refers to public.users.\n[database.shop.table.orders]\nkey = \"user_id\"\ntype = \"bigint\"\ncolocate = \"users\"\n",
            "2000 rows, ",
            "public.order_items refers to it.\n[database.shop.table.products]\nreference = true\n",
            "[database.shop.shard.b]\nprimary = \"postgres://shard-b:5432/shop\"\n",
        ],
    );
    assert!(!text.contains(server().password()), "no password is written down");
    contains(&checked(&config, &log), &["one shard: shard ", "(users.id = 17)", " scattered ("]);

    let again = shardway(&advise);
    assert!(!again.status.success(), "a file isn't overwritten");
    said(&shardway(&[&advise[..], &["--force", "--shards", "3"]].concat()));
    contains(&std::fs::read_to_string(&config).expect("it was written"), &["[database.shop.shard.c]"]);
}

const TENANTS: &str = "
    CREATE TABLE billing_plan (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name varchar(50) NOT NULL UNIQUE);
    CREATE TABLE tenants_tenant (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name varchar(100) NOT NULL,
        plan_id bigint NOT NULL REFERENCES billing_plan DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE accounts_user (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, email varchar(254) NOT NULL UNIQUE,
        tenant_id bigint NOT NULL REFERENCES tenants_tenant DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE projects_project (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name varchar(100) NOT NULL,
        tenant_id bigint NOT NULL REFERENCES tenants_tenant DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE projects_task (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, title varchar(100) NOT NULL, done boolean NOT NULL,
        tenant_id bigint NOT NULL, project_id bigint NOT NULL REFERENCES projects_project DEFERRABLE INITIALLY DEFERRED,
        assignee_id bigint REFERENCES accounts_user DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE projects_attachment (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, path text NOT NULL,
        task_id bigint NOT NULL REFERENCES projects_task DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE regions_holiday (id bigint PRIMARY KEY, day date NOT NULL);
    CREATE TABLE django_migrations (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, app varchar(255) NOT NULL);
    CREATE TABLE django_session (session_key varchar(40) PRIMARY KEY, session_data text NOT NULL, expire_date timestamptz NOT NULL);
    INSERT INTO billing_plan (name) VALUES ('free'), ('paid');
    INSERT INTO tenants_tenant (name, plan_id) SELECT 'tenant ' || n, 1 + n % 2 FROM generate_series(1, 200) n;
    INSERT INTO accounts_user (email, tenant_id) SELECT n || '@example.com', 1 + n % 200 FROM generate_series(1, 2000) n;
    INSERT INTO projects_project (name, tenant_id) SELECT 'project ' || n, 1 + n % 200 FROM generate_series(1, 1000) n;
    INSERT INTO projects_task (title, done, tenant_id, project_id) SELECT 'task ' || n, false, 1 + n % 200, 1 + n % 1000 FROM generate_series(1, 5000) n;
    INSERT INTO regions_holiday VALUES (1, '2026-01-01');
    ANALYZE;
";

const TENANTS_STATEMENTS: &str = r#"
    SELECT "projects_task"."id", "projects_task"."title" FROM "projects_task" WHERE ("projects_task"."tenant_id" = 7 AND NOT "projects_task"."done") ORDER BY "projects_task"."id" DESC LIMIT 20;
    SELECT "projects_project"."id", COUNT("projects_task"."id") AS "tasks" FROM "projects_project" LEFT OUTER JOIN "projects_task" ON ("projects_project"."id" = "projects_task"."project_id" AND "projects_task"."tenant_id" = 7) WHERE "projects_project"."tenant_id" = 7 GROUP BY "projects_project"."id";
    SELECT COUNT(*) AS "__count" FROM "projects_task" JOIN "regions_holiday" ON ("regions_holiday"."id" = "projects_task"."id") WHERE "projects_task"."tenant_id" = 7;
    SELECT "tenants_tenant"."name" FROM "tenants_tenant" INNER JOIN "billing_plan" ON ("tenants_tenant"."plan_id" = "billing_plan"."id") WHERE "tenants_tenant"."id" = 3;
    SELECT "django_session"."session_data" FROM "django_session" WHERE "django_session"."session_key" = 'x';
    UPDATE "projects_task" SET "done" = true WHERE "projects_task"."id" = 12;
"#;

#[test]
fn tables_of_django_are_sharded_by_the_tenant() {
    let url = database("saas", TENANTS);
    let primary = server().primary(0);
    let has_statistics = has_statistics(server().installation());
    if has_statistics {
        primary
            .sql_in("saas", "CREATE EXTENSION pg_stat_statements; SELECT pg_stat_statements_reset()")
            .expect("it was preloaded");
    }
    for _ in 0..5 {
        primary.sql_in("saas", TENANTS_STATEMENTS).expect("they are right");
    }
    let statements = file("saas.sql");
    std::fs::write(&statements, TENANTS_STATEMENTS).expect("the directory is writable");
    let (config, name) = (file("saas.toml"), statements.display().to_string());
    let config_name = config.display().to_string();
    let mut advise = vec!["advise", "--url", &url, "--output", &config_name];
    if !has_statistics {
        advise.extend(["--log", &name]);
    }
    let report = said(&shardway(&advise));
    contains(
        &report,
        &[
            "Sharded by tenants_tenant.id, ",
            ": accounts_user (tenant_id), projects_project (tenant_id), projects_task (tenant_id), tenants_tenant (id)",
            "Reference tables: billing_plan, regions_holiday\n",
            "On the home shard: django_migrations, django_session, projects_attachment",
            "of public.projects_attachment (which is on the home shard) leads to public.projects_task, which is sharded: add the column",
            "unique index accounts_user_email_key of public.accounts_user lacks the shard key tenant_id",
            "written on several shards",
        ],
    );
    assert!(!report.contains("accounts_user_pkey"), "ids are served by the proxy:\n{report}");
    contains(
        &checked(&config, &statements),
        &[
            "(projects_task.tenant_id = 7)",
            "(home)",
            "(tenants_tenant.id = 3)",
            "6 statements of 6 shapes: 5 one shard (83 %)",
        ],
    );

    let nothing = database("nothing", "CREATE TABLE points (x point, y point)");
    let output = shardway(&["advise", "--url", &nothing, "--output", "-"]);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    contains(&text, &["no table has a primary key of one column"]);
}
