//! The file as it is written: which keys there are, and their types. In: a TOML tree. Out:
//! [`RawConfig`], in which every value has its place and nothing has been checked against anything.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::Notes;
use super::reader::{Placed, Scalar, Section, SectionKind, key, type_name};

const FILE: SectionKind = SectionKind {
    title: "the file",
    keys: &[
        key("server", "[server]"),
        key("pool", "[pool]"),
        key("log", "[log]"),
        key("user", "[[user]]"),
        key("database", "[database.shop]"),
    ],
};

const SERVER: SectionKind = SectionKind {
    title: "[server]",
    keys: &[
        key("listen", "listen = \"127.0.0.1:6432\""),
        key(
            "unix_socket_directory",
            "unix_socket_directory = \"/run/shardway\"",
        ),
        key("admin", "admin = \"127.0.0.1:6433\""),
        key("workers", "workers = 4"),
        key(
            "tls",
            "tls = { certificate = \"server.crt\", key = \"server.key\" }",
        ),
        key("authentication", "authentication = \"scram-sha-256\""),
        key("max_clients", "max_clients = 1000"),
        key("drain_timeout", "drain_timeout = \"30s\""),
        key("startup_timeout", "startup_timeout = \"10s\""),
    ],
};

const TLS: SectionKind = SectionKind {
    title: "[server.tls]",
    keys: &[
        key("certificate", "certificate = \"server.crt\""),
        key("key", "key = \"server.key\""),
        key("required", "required = true"),
    ],
};

const POOL: SectionKind = SectionKind {
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

const LOG: SectionKind = SectionKind {
    title: "[log]",
    keys: &[
        key("format", "format = \"human\""),
        key("level", "level = \"info\""),
    ],
};

const USER: SectionKind = SectionKind {
    title: "[[user]]",
    keys: &[
        key("name", "name = \"shop\""),
        key("password", "password = { env = \"SHOP_PASSWORD\" }"),
        key("server_user", "server_user = \"shop\""),
        key(
            "server_password",
            "server_password = { env = \"SHOP_PASSWORD\" }",
        ),
        key("admin", "admin = true"),
        key("databases", "databases = [\"shop\"]"),
    ],
};

const SECRET: SectionKind = SectionKind {
    title: "a password",
    keys: &[
        key("env", "{ env = \"SHOP_PASSWORD\" }"),
        key("file", "{ file = \"/run/secrets/shop\" }"),
    ],
};

const DATABASE: SectionKind = SectionKind {
    title: "[database.NAME]",
    keys: &[
        key("home", "home = \"a\""),
        key("reads", "reads = \"primary\""),
        key("safe_functions", "safe_functions = [\"public.slugify\"]"),
        key(
            "buckets",
            "buckets = { a = [\"0-2047\"], b = [\"2048-4095\"] }",
        ),
        key("pool_size", "pool_size = 20"),
        key("shard", "[database.shop.shard.a]"),
        key("table", "[database.shop.table.users]"),
    ],
};

const SHARD: SectionKind = SectionKind {
    title: "[database.NAME.shard.NAME]",
    keys: &[
        key("primary", "primary = \"postgres://10.0.0.1:5432/shop\""),
        key("replicas", "replicas = [\"postgres://10.0.0.2:5432/shop\"]"),
    ],
};

const TABLE: SectionKind = SectionKind {
    title: "[database.NAME.table.NAME]",
    keys: &[
        key("key", "key = \"id\""),
        key("type", "type = \"int8\""),
        key("colocate", "colocate = \"users\""),
        key(
            "range",
            "range = [ { until = \"2026-01-01\", shard = \"a\" }, { shard = \"b\" } ]",
        ),
        key(
            "list",
            "list = [ { values = [\"eu\", \"uk\"], shard = \"a\" }, { values = [\"us\"], shard = \"b\" } ]",
        ),
        key("reference", "reference = true"),
    ],
};

const RANGE: SectionKind = SectionKind {
    title: "a range",
    keys: &[
        key("until", "until = \"2026-01-01\""),
        key("shard", "shard = \"a\""),
    ],
};

const LIST: SectionKind = SectionKind {
    title: "a list entry",
    keys: &[
        key("values", "values = [\"eu\", \"uk\"]"),
        key("shard", "shard = \"a\""),
    ],
};

/// Every kind of section.
pub(super) const ALL: &[&SectionKind] = &[
    &FILE, &SERVER, &TLS, &POOL, &LOG, &USER, &SECRET, &DATABASE, &SHARD, &TABLE, &RANGE, &LIST,
];

type Text = Option<Placed<String>>;
type Number = Option<Placed<i64>>;

pub(super) struct RawConfig<'t> {
    pub(super) server: RawServer<'t>,
    pub(super) pool: RawPool,
    pub(super) log: RawLog,
    /// `None`: the file has no `user` at all.
    pub(super) users: Option<Vec<RawUser<'t>>>,
    pub(super) databases: Option<Vec<RawDatabase<'t>>>,
}

#[derive(Default)]
pub(super) struct RawServer<'t> {
    pub(super) listen: Option<Placed<Vec<Placed<String>>>>,
    pub(super) unix_socket_directory: Text,
    pub(super) admin: Text,
    pub(super) workers: Number,
    pub(super) tls: Option<RawTls<'t>>,
    pub(super) authentication: Text,
    pub(super) max_clients: Number,
    pub(super) drain_timeout: Text,
    pub(super) startup_timeout: Text,
}

pub(super) struct RawTls<'t> {
    pub(super) section: Section<'t>,
    pub(super) certificate: Text,
    pub(super) key: Text,
    pub(super) required: Option<Placed<bool>>,
}

#[derive(Default)]
pub(super) struct RawPool {
    pub(super) size: Number,
    pub(super) wait_timeout: Text,
    pub(super) connect_timeout: Text,
    pub(super) idle_timeout: Text,
    pub(super) max_lifetime: Text,
    pub(super) max_connects: Number,
    pub(super) max_prepared_statements: Number,
}

#[derive(Default)]
pub(super) struct RawLog {
    pub(super) format: Text,
    pub(super) level: Text,
}

pub(super) struct RawUser<'t> {
    pub(super) section: Section<'t>,
    pub(super) name: Text,
    pub(super) password: Option<Placed<RawSecret>>,
    pub(super) server_user: Text,
    pub(super) server_password: Option<Placed<RawSecret>>,
    pub(super) admin: Option<Placed<bool>>,
    pub(super) databases: Vec<Placed<String>>,
}

/// Where a password is to be found.
pub(super) enum RawSecret {
    Text(String),
    Environment(String),
    File(String),
    /// Noted already.
    Unusable,
}

pub(super) struct RawDatabase<'t> {
    pub(super) section: Section<'t>,
    pub(super) name: Placed<String>,
    pub(super) home: Text,
    pub(super) reads: Text,
    pub(super) safe_functions: Vec<Placed<String>>,
    pub(super) buckets: Option<Placed<Vec<RawBuckets>>>,
    pub(super) pool_size: Number,
    /// In the file's order.
    pub(super) shards: Vec<RawShard<'t>>,
    pub(super) tables: Vec<RawTable<'t>>,
}

/// The buckets of one shard: `"0-2047"` or `17`.
pub(super) struct RawBuckets {
    pub(super) shard: Placed<String>,
    pub(super) ranges: Vec<Placed<String>>,
}

pub(super) struct RawShard<'t> {
    pub(super) section: Section<'t>,
    pub(super) name: Placed<String>,
    pub(super) primary: Text,
    pub(super) replicas: Vec<Placed<String>>,
}

pub(super) struct RawTable<'t> {
    pub(super) section: Section<'t>,
    pub(super) name: Placed<String>,
    pub(super) key: Text,
    pub(super) key_type: Text,
    pub(super) colocate: Text,
    pub(super) range: Option<Placed<Vec<RawRange<'t>>>>,
    pub(super) list: Option<Placed<Vec<RawList<'t>>>>,
    pub(super) reference: Option<Placed<bool>>,
}

pub(super) struct RawRange<'t> {
    pub(super) section: Section<'t>,
    pub(super) until: Option<Placed<Scalar>>,
    pub(super) shard: Text,
}

pub(super) struct RawList<'t> {
    pub(super) section: Section<'t>,
    pub(super) values: Option<Placed<Vec<Placed<Scalar>>>>,
    pub(super) shard: Text,
}

type Entry<'t> = (Range<usize>, &'t DeTable<'t>);

fn open<'t>(
    (at, table): Entry<'t>,
    kind: &'static SectionKind,
    title: String,
    notes: &mut Notes<'_>,
) -> Section<'t> {
    Section::open(table, kind, title, at, ALL, notes)
}

/// Reads what can be read and notes the rest.
pub(super) fn read<'t>(root: &'t DeTable<'t>, notes: &mut Notes<'_>) -> RawConfig<'t> {
    let file = open((0..0, root), &FILE, FILE.title.to_owned(), notes);
    let fixed = |name: &str, kind: &'static SectionKind, notes: &mut Notes<'_>| {
        file.table(name, notes)
            .map(|entry| open(entry, kind, kind.title.to_owned(), notes))
    };
    let server = fixed("server", &SERVER, notes)
        .map(|section| server(&section, notes))
        .unwrap_or_default();
    let pool = fixed("pool", &POOL, notes)
        .map(|section| pool(&section, notes))
        .unwrap_or_default();
    let log = fixed("log", &LOG, notes)
        .map(|section| log(&section, notes))
        .unwrap_or_default();
    let users = file.value("user").map(|_| {
        let entries = file
            .tables("user", notes)
            .map(Spanned::into_inner)
            .unwrap_or_default();
        entries
            .into_iter()
            .map(|entry| user(entry, notes))
            .collect()
    });
    let databases = file.value("database").map(|_| {
        let entries = file.named_tables("database", notes);
        entries
            .into_iter()
            .map(|(name, table)| database(name, table, notes))
            .collect()
    });
    RawConfig {
        server,
        pool,
        log,
        users,
        databases,
    }
}

fn server<'t>(section: &Section<'t>, notes: &mut Notes<'_>) -> RawServer<'t> {
    let tls = section.table("tls", notes).map(|entry| {
        let section = open(entry, &TLS, TLS.title.to_owned(), notes);
        RawTls {
            certificate: section.string("certificate", notes),
            key: section.string("key", notes),
            required: section.boolean("required", notes),
            section,
        }
    });
    RawServer {
        listen: section.strings("listen", true, notes),
        unix_socket_directory: section.string("unix_socket_directory", notes),
        admin: section.string("admin", notes),
        workers: section.integer("workers", notes),
        tls,
        authentication: section.string("authentication", notes),
        max_clients: section.integer("max_clients", notes),
        drain_timeout: section.string("drain_timeout", notes),
        startup_timeout: section.string("startup_timeout", notes),
    }
}

fn pool(section: &Section<'_>, notes: &mut Notes<'_>) -> RawPool {
    RawPool {
        size: section.integer("size", notes),
        wait_timeout: section.string("wait_timeout", notes),
        connect_timeout: section.string("connect_timeout", notes),
        idle_timeout: section.string("idle_timeout", notes),
        max_lifetime: section.string("max_lifetime", notes),
        max_connects: section.integer("max_connects", notes),
        max_prepared_statements: section.integer("max_prepared_statements", notes),
    }
}

fn log(section: &Section<'_>, notes: &mut Notes<'_>) -> RawLog {
    RawLog {
        format: section.string("format", notes),
        level: section.string("level", notes),
    }
}

fn user<'t>(entry: Entry<'t>, notes: &mut Notes<'_>) -> RawUser<'t> {
    let section = open(entry, &USER, USER.title.to_owned(), notes);
    RawUser {
        name: section.string("name", notes),
        password: secret(&section, "password", notes),
        server_user: section.string("server_user", notes),
        server_password: secret(&section, "server_password", notes),
        admin: section.boolean("admin", notes),
        databases: section
            .strings("databases", true, notes)
            .map(Spanned::into_inner)
            .unwrap_or_default(),
        section,
    }
}

fn secret(section: &Section<'_>, name: &str, notes: &mut Notes<'_>) -> Option<Placed<RawSecret>> {
    let value = section.value(name)?;
    let at = value.span();
    let secret = match value.get_ref() {
        DeValue::String(text) => RawSecret::Text(text.to_string()),
        DeValue::Table(table) => {
            let inner = Section::open(table, &SECRET, format!("`{name}`"), at.clone(), &[], notes);
            match (inner.string("env", notes), inner.string("file", notes)) {
                (Some(variable), None) => RawSecret::Environment(variable.into_inner()),
                (None, Some(path)) => RawSecret::File(path.into_inner()),
                (Some(_), Some(_)) => {
                    notes.mistake(
                        &at,
                        format!("`{name}` has both `env` and `file`"),
                        "leave one of them out",
                    );
                    RawSecret::Unusable
                }
                (None, None) => {
                    if table.is_empty() {
                        notes.mistake(&at, format!("`{name}` is empty"), section.write(name));
                    }
                    RawSecret::Unusable
                }
            }
        }
        other => {
            let what = format!(
                "`{name}` must be a string or a table with `env` or `file`, not {}",
                type_name(other)
            );
            notes.mistake(&at, what, section.write(name));
            RawSecret::Unusable
        }
    };
    Some(Spanned::new(at, secret))
}

fn database<'t>(
    name: Placed<String>,
    table: &'t DeTable<'t>,
    notes: &mut Notes<'_>,
) -> RawDatabase<'t> {
    let base = format!("database.{}", header_key(name.get_ref()));
    let section = open((name.span(), table), &DATABASE, format!("[{base}]"), notes);
    let shards = section.named_tables("shard", notes);
    let tables = section.named_tables("table", notes);
    RawDatabase {
        home: section.string("home", notes),
        reads: section.string("reads", notes),
        safe_functions: section
            .strings("safe_functions", true, notes)
            .map(Spanned::into_inner)
            .unwrap_or_default(),
        buckets: buckets(&section, notes),
        pool_size: section.integer("pool_size", notes),
        shards: shards
            .into_iter()
            .map(|(name, table)| shard(&base, name, table, notes))
            .collect(),
        tables: tables
            .into_iter()
            .map(|(name, entry)| self::table(&base, name, entry, notes))
            .collect(),
        section,
        name,
    }
}

fn buckets(section: &Section<'_>, notes: &mut Notes<'_>) -> Option<Placed<Vec<RawBuckets>>> {
    let at = section.value("buckets")?.span();
    let (_, table) = section.table("buckets", notes)?;
    let mut all = Vec::new();
    for (shard, value) in super::reader::in_file_order(table) {
        let items: Vec<&Spanned<DeValue<'_>>> = match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        };
        let mut ranges = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::String(text) => ranges.push(Spanned::new(item.span(), text.to_string())),
                DeValue::Integer(digits) => {
                    ranges.push(Spanned::new(item.span(), digits.to_string()))
                }
                other => {
                    let found = type_name(other);
                    let what =
                        format!("buckets must be given as \"first-last\" or a number, not {found}");
                    notes.mistake(&item.span(), what, section.write("buckets"));
                }
            }
        }
        all.push(RawBuckets {
            shard: Spanned::new(shard.span(), shard.get_ref().to_string()),
            ranges,
        });
    }
    Some(Spanned::new(at, all))
}

fn shard<'t>(
    base: &str,
    name: Placed<String>,
    table: &'t DeTable<'t>,
    notes: &mut Notes<'_>,
) -> RawShard<'t> {
    let title = format!("[{base}.shard.{}]", header_key(name.get_ref()));
    let section = open((name.span(), table), &SHARD, title, notes);
    RawShard {
        primary: section.string("primary", notes),
        replicas: section
            .strings("replicas", true, notes)
            .map(Spanned::into_inner)
            .unwrap_or_default(),
        section,
        name,
    }
}

fn table<'t>(
    base: &str,
    name: Placed<String>,
    table: &'t DeTable<'t>,
    notes: &mut Notes<'_>,
) -> RawTable<'t> {
    let title = format!("[{base}.table.{}]", header_key(name.get_ref()));
    let section = open((name.span(), table), &TABLE, title, notes);
    let range = section.tables("range", notes).map(|entries| {
        let at = entries.span();
        let ranges = entries.into_inner().into_iter().map(|entry| {
            let section = open(entry, &RANGE, RANGE.title.to_owned(), notes);
            RawRange {
                until: section.scalar("until", notes),
                shard: section.string("shard", notes),
                section,
            }
        });
        Spanned::new(at, ranges.collect())
    });
    let list = section.tables("list", notes).map(|entries| {
        let at = entries.span();
        let entries = entries.into_inner().into_iter().map(|entry| {
            let section = open(entry, &LIST, LIST.title.to_owned(), notes);
            RawList {
                values: section.scalars("values", notes),
                shard: section.string("shard", notes),
                section,
            }
        });
        Spanned::new(at, entries.collect())
    });
    RawTable {
        key: section.string("key", notes),
        key_type: section.string("type", notes),
        colocate: section.string("colocate", notes),
        range,
        list,
        reference: section.boolean("reference", notes),
        section,
        name,
    }
}

/// A key as it stands in a header: quoted unless it is a bare key.
fn header_key(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if bare {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}
