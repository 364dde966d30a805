//! Every key that the file may have, by section, with an example for messages.

use super::reader::{SectionKind, key};

pub(super) const FILE: SectionKind = SectionKind {
    title: "the file",
    keys: &[
        key("server", "[server]"),
        key("pool", "[pool]"),
        key("log", "[log]"),
        key("traces", "[traces]"),
        key("hba", "[[hba]]"),
        key("user", "[[user]]"),
        key("database", "[database.shop]"),
    ],
};

pub(super) const SERVER: SectionKind = SectionKind {
    title: "[server]",
    keys: &[
        key("listen", "listen = \"127.0.0.1:6432\""),
        key("unix_socket_directory", "unix_socket_directory = \"/run/shardway\""),
        key("admin", "admin = \"127.0.0.1:6433\""),
        key("workers", "workers = 4"),
        key("tls", "tls = { certificate = \"server.crt\", key = \"server.key\" }"),
        key("authentication", "authentication = \"scram-sha-256\""),
        key("max_clients", "max_clients = 1000"),
        key("drain_timeout", "drain_timeout = \"30s\""),
        key("startup_timeout", "startup_timeout = \"10s\""),
        key("state_file", "state_file = \"/var/lib/shardway/state\""),
        key("statistics", "statistics = false"),
    ],
};

pub(super) const TLS: SectionKind = SectionKind {
    title: "[server.tls]",
    keys: &[
        key("certificate", "certificate = \"server.crt\""),
        key("key", "key = \"server.key\""),
        key("client_ca", "client_ca = \"clients.crt\""),
        key("required", "required = true"),
    ],
};

pub(super) const POOL: SectionKind = SectionKind {
    title: "[pool]",
    keys: &[
        key("size", "size = 20"),
        key("wait_timeout", "wait_timeout = \"30s\""),
        key("connect_timeout", "connect_timeout = \"5s\""),
        key("idle_timeout", "idle_timeout = \"10m\""),
        key("max_lifetime", "max_lifetime = \"1h\""),
        key("max_connects", "max_connects = 8"),
        key("max_prepared_statements", "max_prepared_statements = 500"),
    ],
};

pub(super) const LOG: SectionKind = SectionKind {
    title: "[log]",
    keys: &[
        key("format", "format = \"human\""),
        key("level", "level = \"info\""),
        key("slow_statement", "slow_statement = \"1s\""),
        key("slow_values", "slow_values = true"),
    ],
};

pub(super) const TRACES: SectionKind = SectionKind {
    title: "[traces]",
    keys: &[
        key("endpoint", "endpoint = \"http://127.0.0.1:4318\""),
        key("sample", "sample = \"1%\""),
        key("service", "service = \"shardway\""),
    ],
};

pub(super) const USER: SectionKind = SectionKind {
    title: "[[user]]",
    keys: &[
        key("name", "name = \"shop\""),
        key("password", "password = { env = \"SHOP_PASSWORD\" }"),
        key("server_user", "server_user = \"shop\""),
        key("server_password", "server_password = { env = \"SHOP_PASSWORD\" }"),
        key("admin", "admin = true"),
        key("stats", "stats = true"),
        key("databases", "databases = [\"shop\"]"),
        key("pool_size", "pool_size = 20"),
        key("max_clients", "max_clients = 100"),
        key("statement_timeout", "statement_timeout = \"30s\""),
        key("idle_in_transaction_timeout", "idle_in_transaction_timeout = \"5m\""),
        key("idle_session_timeout", "idle_session_timeout = \"1d\""),
    ],
};

pub(super) const HBA: SectionKind = SectionKind {
    title: "[[hba]]",
    keys: &[
        key("type", "type = \"host\""),
        key("databases", "databases = [\"shop\"]"),
        key("users", "users = [\"shop\"]"),
        key("address", "address = \"10.0.0.0/8\""),
        key("method", "method = \"scram-sha-256\""),
        key("clientcert", "clientcert = \"verify-full\""),
        key("map", "map = { \"ada.example\" = [\"ada\"] }"),
    ],
};

pub(super) const SECRET: SectionKind = SectionKind {
    title: "a password",
    keys: &[key("env", "{ env = \"SHOP_PASSWORD\" }"), key("file", "{ file = \"/run/secrets/shop\" }")],
};

pub(super) const DATABASE: SectionKind = SectionKind {
    title: "[database.NAME]",
    keys: &[
        key("home", "home = \"a\""),
        key("reads", "reads = \"primary\""),
        key("new_tables", "new_tables = \"key=user_id colocate=users\""),
        key("safe_functions", "safe_functions = [\"public.slugify\"]"),
        key("buckets", "buckets = { a = [\"0-2047\"], b = [\"2048-4095\"] }"),
        key("pool_size", "pool_size = 20"),
        key("auth_user", "auth_user = \"lookup\""),
        key("auth_query", "auth_query = \"SELECT usename, passwd FROM shardway.get_auth($1)\""),
        key("auth_cache", "auth_cache = \"10s\""),
        key("auto_setup", "auto_setup = true"),
        key("recovery_interval", "recovery_interval = \"10s\""),
        key("commit_timeout", "commit_timeout = \"60s\""),
        key("max_replica_lag", "max_replica_lag = \"10s\""),
        key("max_replica_lag_bytes", "max_replica_lag_bytes = 16777216"),
        key("read_your_writes", "read_your_writes = true"),
        key("balance", "balance = \"least_busy\""),
        key("zone", "zone = \"eu-1\""),
        key("patroni_interval", "patroni_interval = \"1s\""),
        key("failover_wait", "failover_wait = \"10s\""),
        key("failover_queue", "failover_queue = 1000"),
        key("max_clients", "max_clients = 100"),
        key("statement_timeout", "statement_timeout = \"30s\""),
        key("idle_in_transaction_timeout", "idle_in_transaction_timeout = \"5m\""),
        key("idle_session_timeout", "idle_session_timeout = \"1d\""),
        key("max_gathered_rows", "max_gathered_rows = 50_000_000"),
        key("max_gathered_bytes", "max_gathered_bytes = 8_589_934_592"),
        key("shard", "[database.shop.shard.a]"),
        key("table", "[database.shop.table.users]"),
    ],
};

pub(super) const SHARD: SectionKind = SectionKind {
    title: "[database.NAME.shard.NAME]",
    keys: &[
        key("primary", "primary = \"postgres://10.0.0.1:5432/shop\""),
        key("replicas", "replicas = [\"postgres://10.0.0.2:5432/shop\"]"),
        key("patroni", "patroni = [\"http://10.0.0.1:8008\", \"http://10.0.0.2:8008\"]"),
    ],
};

pub(super) const TABLE: SectionKind = SectionKind {
    title: "[database.NAME.table.NAME]",
    keys: &[
        key("key", "key = \"id\""),
        key("type", "type = \"int8\""),
        key("colocate", "colocate = \"users\""),
        key("range", "range = [ { until = \"2026-01-01\", shard = \"a\" }, { shard = \"b\" } ]"),
        key("list", "list = [ { values = [\"eu\", \"uk\"], shard = \"a\" }, { values = [\"us\"], shard = \"b\" } ]"),
        key("unique", "unique = [\"email\"]"),
        key("reference", "reference = true"),
    ],
};

pub(super) const RANGE: SectionKind =
    SectionKind { title: "a range", keys: &[key("until", "until = \"2026-01-01\""), key("shard", "shard = \"a\"")] };

pub(super) const LIST: SectionKind = SectionKind {
    title: "a list entry",
    keys: &[key("values", "values = [\"eu\", \"uk\"]"), key("shard", "shard = \"a\"")],
};

/// Every kind of section.
pub(super) const ALL: &[&SectionKind] =
    &[&FILE, &SERVER, &TLS, &POOL, &LOG, &TRACES, &HBA, &USER, &SECRET, &DATABASE, &SHARD, &TABLE, &RANGE, &LIST];
