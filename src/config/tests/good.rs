use super::*;
use crate::types::Bucket;

fn table<'c>(loaded: &'c Loaded, name: &str) -> &'c TableConfig {
    let tables = &loaded.config.databases["shop"].tables;
    tables.iter().find(|table| table.name == name).expect("the table is in the file")
}

fn sharded<'c>(loaded: &'c Loaded, name: &str) -> (&'c str, usize, &'c PlacementConfig) {
    match &table(loaded, name).kind {
        TableKind::Sharded { key, group, placement, .. } => (key, *group, placement),
        TableKind::Reference => panic!("{name} is a reference table"),
    }
}

#[test]
fn the_least_has_defaults_for_the_rest() {
    let loaded = good(&with_shop(""));
    let Config { server, pool, hba, users, databases, log, traces } = &loaded.config;
    assert!(hba.is_empty());
    assert_eq!(*traces, None);
    assert_eq!(server.listen, ["127.0.0.1:6432".parse().expect("an address")]);
    assert_eq!((server.admin, &server.unix_socket_directory, server.clients_max), (None, &None, 1000));
    assert_eq!(server.authentication, AuthenticationMethod::ScramSha256);
    assert!(server.tls.is_none() && server.workers >= 1);
    assert_eq!((pool.size, pool.connects_max, pool.prepared_statements_max), (20, 8, 500));
    assert_eq!((log.format, log.level.as_str()), (LogFormat::Human, "info"));
    assert_eq!((users[0].name.as_str(), users[0].admin, users[0].databases.len()), ("shop", false, 0));
    let shop = &databases["shop"];
    assert_eq!((shop.home, shop.reads, shop.pool_size), (ShardId::new(0), ReadPolicy::Primary, 20));
    assert!(shop.buckets.is_none() && shop.tables.is_empty() && loaded.warnings.is_empty());
}

#[test]
fn shards_keep_the_order_of_the_file_not_of_their_names() {
    let node = |shard: &str| format!("[database.shop.shard.{shard}]\nprimary = \"postgres://{shard}\"\n");
    let names = ["z", "b", "a", "m", "c1", "c0"];
    let text = format!(
        "[[user]]\nname = \"u\"\npassword = \"p\"\n{}[database.shop]\nhome = \"a\"\n",
        names.map(node).concat()
    );
    let loaded = good(&text);
    let shop = &loaded.config.databases["shop"];
    assert_eq!(shop.shards.iter().map(|shard| shard.name.as_str()).collect::<Vec<_>>(), names);
    assert_eq!(shop.home, ShardId::new(2));
    assert_eq!(shop.shard_by_name("c0"), Some(ShardId::new(5)));

    let inline = "[[user]]\nname = \"u\"\npassword = \"p\"\n[database.shop]\n\
                  shard = { z = { primary = \"postgres://z\" }, a = { primary = \"postgres://a\" } }\n";
    let names: Vec<_> = good(inline).config.databases["shop"].shards.iter().map(|shard| shard.name.clone()).collect();
    assert_eq!(names, ["z", "a"]);

    let dotted = "user = [{ name = \"u\", password = \"p\" }]\ndatabase.shop.shard.y.primary = \"postgres://y\"\n\
                  database.shop.shard.x.primary = \"postgres://x\"\ndatabase.shop.shard.y.replicas = \"postgres://y2\"\n";
    let names: Vec<_> = good(dotted).config.databases["shop"].shards.iter().map(|shard| shard.name.clone()).collect();
    assert_eq!(names, ["y", "x"]);
}

#[test]
fn tables_have_schemas_groups_and_placements() {
    let loaded = good(&with_shop(
        r#"
        [database.shop.table.items]
        key = "buyer"
        colocate = "orders"
        [database.shop.table.orders]
        key = "user_id"
        colocate = "public.users"
        [database.shop.table.users]
        key = "id"
        type = "int8"
        [database.shop.table."audit.events"]
        key = "at"
        range = [ { until = 2026-01-01, shard = "a" }, { until = 10, shard = "b" }, { shard = "a" } ]
        [database.shop.table.accounts]
        key = "region"
        list = [ { values = ["eu", 1, 0x10], shard = "b" } ]
        [database.shop.table.countries]
        reference = true
        [database.shop.table.plain]
        reference = false
        key = "id"
        "#,
    ));
    assert_eq!(sharded(&loaded, "items").1, 2);
    assert_eq!(sharded(&loaded, "orders").1, 2);
    assert_eq!(sharded(&loaded, "users").1, 2);
    assert_eq!((sharded(&loaded, "items").0, sharded(&loaded, "orders").0), ("buyer", "user_id"));
    assert_eq!(table(&loaded, "events").schema, "audit");
    assert_eq!(table(&loaded, "users").schema, "public");
    assert!(matches!(table(&loaded, "countries").kind, TableKind::Reference));
    let PlacementConfig::Range(ranges) = sharded(&loaded, "events").2 else { panic!("events has ranges") };
    let ranges: Vec<_> = ranges.iter().map(|range| (range.until.as_deref(), range.shard.index())).collect();
    assert_eq!(ranges, [(Some("2026-01-01"), 0), (Some("10"), 1), (None, 0)]);
    let PlacementConfig::List(lists) = sharded(&loaded, "accounts").2 else { panic!("accounts has lists") };
    assert_eq!(lists[0].values, ["eu", "1", "16"]);
    assert!(matches!(sharded(&loaded, "plain"), ("id", 6, PlacementConfig::Hash)));
}

#[test]
fn urls_of_servers_are_libpqs() {
    let node = |url: &str| {
        let text = with_shop("").replace("postgres://h1/shop", url);
        good(&text).config.databases["shop"].shards[0].primary.clone()
    };
    let place = |url: &str| {
        let node = node(url);
        (node.host, node.port, node.database)
    };
    let tls = |url: &str| (node(url).tls.mode, node(url).tls.root_certificate);
    assert_eq!(place("postgresql://db.example:6000/x"), ("db.example".into(), 6000, "x".into()));
    assert_eq!(place("postgres://db.example"), ("db.example".into(), 5432, "shop".into()));
    assert_eq!(place("postgres://[::1]:6000/x%20y"), ("::1".into(), 6000, "x y".into()));
    assert_eq!(place("postgres://[fe80::1]/"), ("fe80::1".into(), 5432, "shop".into()));
    assert_eq!(place("postgres://%2Fvar%2Frun:6000/x"), ("/var/run".into(), 6000, "x".into()));
    assert_eq!(tls("postgres://h"), (NodeTlsMode::Prefer, None));
    assert_eq!(tls("postgres://%2Fvar%2Frun/x"), (NodeTlsMode::Disable, None));
    assert_eq!(tls("postgres://h/x?sslmode=require"), (NodeTlsMode::Require, None));
    let ca = Some(PathBuf::from("/etc/shardway/ca.crt"));
    assert_eq!(tls("postgres://h/x?sslmode=require&sslrootcert=ca.crt"), (NodeTlsMode::VerifyCa, ca.clone()));
    assert_eq!(tls("postgres://h/x?sslrootcert=ca.crt&sslmode=verify-full"), (NodeTlsMode::VerifyFull, ca));
}

#[test]
fn secrets_come_from_three_places_and_are_not_shown() {
    let loaded = good(&with_shop(
        "[[user]]\nname = \"e\"\npassword = { env = \"A_PASSWORD\" }\nserver_user = \"s\"\nserver_password = \"sp\"\n\
         [[user]]\nname = \"f\"\npassword = { file = \"/run/secrets/ops\" }\n",
    ));
    let passwords: Vec<_> = loaded.config.users.iter().map(|user| user.password.as_ref().map(Secret::reveal)).collect();
    assert_eq!(passwords, [Some("x"), Some("value of A_PASSWORD"), Some("from a file")]);
    let shown = format!("{:?}", loaded.config);
    assert!(!shown.contains("value of") && !shown.contains("from a file") && !shown.contains("sp\""), "{shown}");
}

#[test]
fn durations_addresses_and_buckets_are_read() {
    let loaded = good(&with_server(
        "listen = [\"localhost:1\", \"[::]:2\"]\ndrain_timeout = \"250ms\"\nstartup_timeout = \"1m\"\n\
         [database.shop]\nbuckets = { b = [\"100-4095\", 7], a = [\"0-6\", \"8-99\"] }\n",
    ));
    let server = &loaded.config.server;
    let listen: Vec<String> = server.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:1", "[::]:2"]);
    assert_eq!(server.drain_timeout, Duration::from_millis(250));
    assert_eq!(server.startup_timeout, Duration::from_secs(60));
    let buckets = loaded.config.databases["shop"].buckets.as_ref().expect("they are in the file");
    assert_eq!(buckets.len(), usize::from(Bucket::COUNT));
    let owners = [0, 6, 7, 8, 99, 100, 4095].map(|bucket: usize| buckets[bucket].index());
    assert_eq!(owners, [0, 0, 1, 0, 0, 1, 1]);
}

#[test]
fn a_file_is_read_with_paths_relative_to_it() {
    let directory = std::env::temp_dir().join(format!("shardway-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("the temporary directory is writable");
    let file = directory.join("shardway.toml");
    let text = with_shop("[[user]]\nname = \"f\"\npassword = { file = \"secret\" }\n");
    std::fs::write(&file, &text).expect("it is writable");
    let missing = Config::load(&file).expect_err("the secret isn't there").to_string();
    std::fs::write(directory.join("secret"), "hush\n").expect("it is writable");
    for path in [&file, &directory.join("secret")] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(path, mode).expect("the file is ours");
    }
    let loaded = Config::load(&file);
    let nowhere = Config::load(&directory.join("nothing.toml")).expect_err("it isn't there").to_string();
    std::fs::remove_dir_all(&directory).expect("it is ours");
    assert!(missing.contains("shardway.toml:10:12: `password`: secret can't be read"), "{missing}");
    assert!(nowhere.contains("the configuration can't be read"), "{nowhere}");
    let loaded = loaded.expect("all is there");
    assert_eq!(loaded.config.users[1].password, Some(Secret::new("hush")));
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "3:12: `password` stands in a file that every user of this machine can read; \
             run chmod o= on it, or write password = { env = \"NAME\" }",
            "10:12: `password`: every user of this machine can read secret; run chmod o= secret",
        ]
    );
}
