//! `catalog::load` sees everything that decides where a statement may run.

use shardway::catalog::{self, Catalog, QualifiedName, RelationKind};
use shardway::devcluster::Cluster;
use shardway::types::KeyType;

pub async fn loading(cluster: &Cluster) {
    let a = cluster.primary(0);
    a.sql(
        r#"CREATE DOMAIN short AS text DEFAULT 'd';
         CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE kinds (
             i2 int2, i4 int4 GENERATED ALWAYS AS IDENTITY, gone int, i8 int8 NOT NULL DEFAULT 7, t text, v varchar(40), u uuid,
             d date, ts timestamp, tz timestamptz(6), n numeric, dom short, bp char(4), ci text COLLATE ci, n2 numeric(5,2),
             g int GENERATED ALWAYS AS (i2 * 2) STORED, "Odd Name" int, UNIQUE (i4, i8), UNIQUE (t)
         );
         ALTER TABLE kinds DROP COLUMN gone;
         ALTER TABLE kinds ENABLE ROW LEVEL SECURITY;
         CREATE INDEX ON kinds (v);
         CREATE UNIQUE INDEX partial ON kinds (u, lower(t)) WHERE i8 > 0;
         CREATE TABLE parted (k int) PARTITION BY RANGE (k);
         CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (k);
         CREATE TABLE parted_1_1 PARTITION OF parted_1 FOR VALUES FROM (0) TO (5);
         CREATE VIEW plain AS SELECT id FROM users UNION SELECT user_id FROM orders;
         CREATE VIEW over AS SELECT f() AS x, p.id FROM plain p;
         CREATE VIEW dice AS SELECT random() AS r;
         CREATE VIEW sly AS SELECT query_to_xml('SELECT * FROM users', true, true, '') AS x;
         CREATE VIEW stable AS SELECT now() AS n, count(*) FROM pg_class;
         CREATE MATERIALIZED VIEW mat AS SELECT * FROM over;
         CREATE SEQUENCE seq;
         ALTER TABLE kinds ALTER "Odd Name" SET DEFAULT nextval('seq');
         CREATE PROCEDURE p(x int) LANGUAGE plpgsql AS 'BEGIN END';
         CREATE FUNCTION f(x int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT x';
         CREATE FUNCTION add(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE OPERATOR <+> (LEFTARG = int, RIGHTARG = int, FUNCTION = add);
         CREATE VIEW op AS SELECT 1 <+> 2 AS x;
         CREATE TEMP TABLE mine (id int);"#,
    )
    .expect("the statements are right");
    let (client, connection) = tokio_postgres::connect(&a.url(), tokio_postgres::NoTls).await.expect("it is up");
    let connection = tokio::spawn(connection);
    // The session's own schemas must not come before pg_catalog's names.
    client
        .batch_execute("CREATE TABLE public.pg_class (id int); SET search_path = public, pg_catalog")
        .await
        .expect("right");
    let catalog = catalog::load(&client).await.unwrap_or_else(|error| panic!("{error}"));
    client.batch_execute("DROP TABLE public.pg_class").await.expect("right");
    drop(client);
    connection.await.expect("it didn't panic").expect("it ended well");
    columns(&catalog);
    views(&catalog);
    functions(&catalog);
}

fn columns(catalog: &Catalog) {
    let kinds = catalog.relation("public", "kinds").expect("it was created");
    let names: Vec<&str> = kinds.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names[..4], ["i2", "i4", "i8", "t"]);
    let key = |name: &str| kinds.column(name).expect("it was created").key_type;
    assert_eq!(key("i2"), Some(KeyType::Int2));
    assert_eq!((key("i4"), key("i8")), (Some(KeyType::Int4), Some(KeyType::Int8)));
    assert_eq!((key("t"), key("v"), key("u")), (Some(KeyType::Text), Some(KeyType::Text), Some(KeyType::Uuid)));
    assert_eq!(
        (key("d"), key("ts"), key("tz")),
        (Some(KeyType::Date), Some(KeyType::Timestamp), Some(KeyType::TimestampTz))
    );
    assert_eq!(
        (key("n"), key("n2"), key("dom"), key("bp"), key("ci")),
        (Some(KeyType::Numeric), None, None, None, None)
    );
    let column = |name: &str| kinds.column(name).expect("it was created");
    assert_eq!(column("v").type_name, "character varying(40)");
    assert_eq!((column("v").type_modifier, column("v").type_oid), (Some(44), 1043));
    assert!(column("i4").identity && column("i4").has_default && column("i4").not_null);
    assert!(column("i4").identity_always);
    assert_eq!(column("i4").sequence, Some(QualifiedName::new("public", "kinds_i4_seq")));
    assert_eq!(column("i8").sequence, None);
    assert_eq!(column("Odd Name").sequence, Some(QualifiedName::new("public", "seq")));
    assert_eq!(
        catalog.relation("public", "kinds_i4_seq").and_then(|seq| seq.owned_by.clone()),
        Some(kinds.qualified_name())
    );
    assert_eq!(catalog.relation("public", "seq").and_then(|seq| seq.owned_by.clone()), None);
    assert_eq!(catalog.table_of_index("public", "kinds_v_idx").map(|table| table.name.as_str()), Some("kinds"));
    assert!(column("i8").has_default && column("i8").default.as_deref() == Some("7") && column("i8").not_null);
    assert!(column("dom").has_default && !column("t").has_default);
    assert!(column("g").generated && !column("g").has_default);
    assert_eq!(column("ci").collation.as_deref(), Some("ci"));
    assert!(kinds.row_security && kinds.column("Odd Name").is_some());
    let unique: Vec<_> =
        kinds.unique_indexes.iter().map(|index| (index.name.as_str(), index.columns.join(","))).collect();
    let wanted = [("kinds_i4_i8_key", "i4,i8"), ("kinds_t_key", "t"), ("partial", "u")];
    assert_eq!(unique, wanted.map(|(name, columns)| (name, columns.to_owned())));
    assert!(kinds.unique_indexes[2].is_partial && kinds.unique_indexes[2].has_expressions);
    assert!(catalog.relation("public", "users").expect("it is there").unique_indexes[0].is_primary);
    let parents = &catalog.relation("public", "parted_1_1").expect("it was created").parents;
    assert_eq!(*parents, [QualifiedName::new("public", "parted_1"), QualifiedName::new("public", "parted")]);
    assert_eq!(catalog.descendants("public", "parted").count(), 2);
    let orders = catalog.relation("public", "orders").expect("it was created");
    assert_eq!(orders.foreign_keys[0].references, QualifiedName::new("public", "users"));
    assert_eq!(orders.foreign_keys[0].columns, ["user_id"]);
    assert!(!orders.foreign_keys[0].cascades);
    assert_eq!(catalog.relation("public", "seq").expect("it was created").kind, RelationKind::Sequence);
    assert!(catalog.relations().all(|relation| relation.name != "mine" && relation.schema != "pg_catalog"));
    assert!(catalog.is_system_relation("pg_stat_activity") && !catalog.is_system_relation("kinds"));
    let loose = catalog.relation("public", "loose").expect("it was created");
    assert!(loose.has_rules && loose.has_triggers && loose.has_before_row_triggers);
    assert!(!orders.has_triggers && !orders.has_rules);
}

fn views(catalog: &Catalog) {
    let view = |name: &str| catalog.relation("public", name).expect("it was created");
    let reads = |name: &str| view(name).reads.iter().map(|read| read.name.clone()).collect::<Vec<_>>().join(",");
    assert_eq!(reads("plain"), "orders,users");
    assert_eq!(reads("over"), "orders,plain,users");
    assert_eq!(reads("mat"), "orders,over,plain,users");
    assert_eq!((reads("dice"), reads("stable")), (String::new(), String::new()));
    assert_eq!(view("mat").kind, RelationKind::MaterializedView);
    assert!(
        !view("plain").calls_unsafe_functions && !view("stable").calls_unsafe_functions && !view("plain").has_rules
    );
    assert!(view("over").calls_unsafe_functions && !view("over").calls_unsafe_builtins);
    assert_eq!(view("mat").called_functions, [QualifiedName::new("public", "f")]);
    assert!(view("dice").calls_unsafe_builtins && view("sly").calls_unsafe_builtins);
    assert_eq!(view("op").called_functions, [QualifiedName::new("public", "add")]);
}

fn functions(catalog: &Catalog) {
    use shardway::catalog::{FunctionKind, Volatility};
    let all: Vec<_> = catalog.functions(Some("public"), "f").collect();
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].arguments.as_str(), all[0].volatility), ("", Volatility::Volatile));
    assert_eq!((all[1].arguments.as_str(), all[1].volatility), ("x integer", Volatility::Immutable));
    let procedure = catalog.functions(None, "p").next().expect("it was created");
    assert_eq!((procedure.kind, procedure.language.as_str()), (FunctionKind::Procedure, "plpgsql"));
    assert_eq!(catalog.functions(None, "count").count(), 0);
}
