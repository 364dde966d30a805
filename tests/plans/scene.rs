//! The database that golden plans are made for, and how a plan is shown.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use shardway::catalog::{Catalog, Column, Function, FunctionKind, Relation, RelationKind, Volatility};
use shardway::config::Config;
use shardway::planning::{Access, Effects, Hint, Names, ParameterValue, Parameters, Scene, Template, explain};
use shardway::routing::ShardMap;
use shardway::sql::{LexOptions, Lexed, lex};
use shardway::types::{KeyType, limits};

const TABLES: &str = r#"
[database.shop.table.users]
key = "id"

[database.shop.table.orders]
key = "user_id"
colocate = "users"

[database.shop.table.order_items]
key = "user_id"
colocate = "users"

[database.shop.table.follows]
key = "follower_id"
colocate = "users"

[database.shop.table.names]
key = "name"

[database.shop.table.tags]
key = "Tag"

[database.shop.table.docs]
key = "id"

[database.shop.table."tenant.users"]
key = "tenant"

[database.shop.table.members]
key = "id"

[database.shop.table.tickets]
key = "member_id"

[database.shop.table.people]
key = "id"
unique = ["email", "team, number"]

[database.shop.table.touched]
key = "id"

[database.shop.table.rekeyed]
key = "id"

[database.shop.table.products]
reference = true

[database.shop.table.countries]
reference = true
"#;

/// Placements that need to know the key's type.
const TYPED_TABLES: &str = r#"
[database.shop.table.events]
key = "created_at"
range = [ { until = "2026-01-01", shard = "a" }, { shard = "b" } ]

[database.shop.table.readings]
key = "sensor"
range = [ { until = "1000", shard = "a" }, { until = "2000", shard = "b" } ]

[database.shop.table.accounts]
key = "region"
list = [ { values = ["eu", "uk"], shard = "a" }, { values = ["us"], shard = "b" } ]
"#;

/// How one statement is sent.
#[derive(Clone, Debug)]
pub struct Case {
    shards: usize,
    catalog: bool,
    typed: bool,
    path: Vec<String>,
    temporary: BTreeSet<String>,
    hint: Option<Hint>,
    strings: bool,
    atomic: bool,
    parameters: Vec<(u32, String, bool)>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            shards: 2,
            catalog: true,
            typed: true,
            path: vec!["shop".into(), "public".into()],
            temporary: BTreeSet::new(),
            hint: None,
            strings: true,
            atomic: false,
            parameters: Vec::new(),
        }
    }
}

impl Case {
    /// One `@` line, without the `@`.
    pub fn direct(&mut self, directive: &str) {
        let (name, rest) = directive.split_once(' ').unwrap_or((directive, ""));
        let list = || rest.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty());
        match name {
            "shards" => self.shards = rest.parse().expect("a number of shards"),
            "no-catalog" => self.catalog = false,
            "names-only" => (self.catalog, self.typed) = (false, false),
            "path" => self.path = list().collect(),
            "temp" => self.temporary = list().collect(),
            "set" => self.hint = Some(Hint::parse(rest).expect("a hint")),
            "strings" => self.strings = rest != "off",
            "atomic" => self.atomic = true,
            "params" => self.parameters = list().map(|item| parameter(&item)).collect(),
            other => panic!("unknown directive {other}"),
        }
    }
}

/// `type=value`; `type!hex` is in binary.
fn parameter(item: &str) -> (u32, String, bool) {
    let (name, value, binary) = match item.split_once('!') {
        Some((name, value)) => (name, value, true),
        None => item.split_once('=').map(|(name, value)| (name, value, false)).expect("type=value"),
    };
    let oid = match name {
        "?" => 0,
        "int2" => 21,
        "int4" => 23,
        "int8" => 20,
        "text" => 25,
        "varchar" => 1043,
        "bpchar" => 1042,
        "uuid" => 2950,
        "numeric" => 1700,
        "float8" => 701,
        "date" => 1082,
        "timestamptz" => 1184,
        "int4[]" => 1007,
        "int8[]" => 1016,
        "text[]" => 1009,
        "uuid[]" => 2951,
        other => panic!("unknown type {other}"),
    };
    (oid, value.to_owned(), binary)
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal")).collect()
}

fn map(case: &Case) -> ShardMap {
    let mut text = "[server]\nlisten = \"127.0.0.1:6432\"\n[[user]]\nname = \"shop\"\npassword = \"x\"\n[database.shop]\nhome = \"a\"\n".to_owned();
    for name in ["a", "b", "c", "d"].iter().take(case.shards) {
        let _ = write!(text, "[database.shop.shard.{name}]\nprimary = \"postgres://127.0.0.1:5432/{name}\"\n");
    }
    text.push_str(TABLES);
    if case.typed && case.shards > 1 {
        text.push_str(TYPED_TABLES);
    }
    let loaded = Config::from_toml(&text, &|_| None).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let database = &loaded.config.databases["shop"];
    let types = key_types();
    let typed = case.typed;
    ShardMap::new(database, &move |schema, table, _| typed.then(|| types(schema, table)).flatten())
        .expect("a shard map")
}

fn key_types() -> impl Fn(&str, &str) -> Option<KeyType> {
    |schema, table| {
        Some(match (schema, table) {
            ("tenant", "users") => KeyType::Text,
            (_, "users" | "follows" | "members" | "tickets" | "touched" | "rekeyed") => KeyType::Int8,
            (_, "orders" | "order_items" | "readings") => KeyType::Int4,
            (_, "names" | "tags" | "accounts") => KeyType::Text,
            (_, "docs") => KeyType::Uuid,
            (_, "events") => KeyType::Date,
            _ => return None,
        })
    }
}

fn table(name: &str, columns: &[(&str, KeyType)]) -> Relation {
    columns
        .iter()
        .fold(Relation::table("public", name), |relation, (column, key_type)| relation.with(column, *key_type))
}

/// A column that a sequence fills.
fn served(name: &str, sequence: &str, always: bool) -> Column {
    let mut column = Column::new(name, KeyType::Int8);
    column.sequence = Some(shardway::catalog::QualifiedName::new("public", sequence));
    (column.identity, column.identity_always) = (always, always);
    column.default = (!always).then(|| format!("nextval('{sequence}'::regclass)"));
    (column.has_default, column.not_null) = (true, true);
    column
}

fn catalog() -> Catalog {
    use KeyType::{Date, Int4, Int8, Text, Uuid};
    let mut cut = Column::new("name", Text);
    cut.type_modifier = Some(44);
    let mut relations = vec![
        table("users", &[("id", Int8), ("name", Text), ("country_id", Int4)]),
        partitioned(table("orders", &[("id", Int8), ("user_id", Int4), ("total", Int4)])),
        table("order_items", &[("id", Int8), ("order_id", Int8), ("user_id", Int4), ("product_id", Int4)]),
        table("follows", &[("follower_id", Int8), ("followed_id", Int8)]),
        Relation::table("public", "names").with_column(cut).with("n", Int4),
        table("tags", &[("Tag", Text), ("tag", Text)]),
        table("docs", &[("id", Uuid), ("body", Text)]),
        Relation::table("tenant", "users").with("tenant", Text).with("id", Int8),
        Relation::table("public", "members").with_column(served("id", "members_id_seq", true)).with("name", Text),
        table("tickets", &[("member_id", Int8)]).with_column(served("id", "tickets_id_seq", false)).with("title", Text),
        Relation::new("public", "free_seq", RelationKind::Sequence),
        table("people", &[("id", Int8), ("email", Text), ("team", Int4), ("number", Int4), ("name", Text)]),
        table("products", &[("id", Int4), ("name", Text)]),
        table("countries", &[("id", Int4), ("name", Text)]),
        table("events", &[("created_at", Date), ("kind", Text)]),
        table("readings", &[("sensor", Int4), ("value", Int4)]),
        table("accounts", &[("region", Text), ("id", Int8)]),
        table("settings", &[("key", Text), ("value", Text)]),
        table("audit", &[("id", Int8), ("what", Text)]),
        Relation::table("shop", "local").with("id", Int8),
        Relation::view("public", "user_names", &[("public", "users")]),
        Relation::view("public", "product_names", &[("public", "products")]),
        Relation::view("public", "setting_keys", &[("public", "settings")]),
    ];
    let mut defined = |name: &str, reads: &[(&str, &str)], columns: &[(&str, KeyType)], definition: &str| {
        let mut view = Relation::view("public", name, reads);
        for (column, key_type) in columns {
            view = view.with(column, *key_type);
        }
        view.definition = Some(definition.to_owned());
        relations.push(view);
    };
    defined(
        "big_orders",
        &[("public", "orders")],
        &[("user_id", Int4), ("id", Int8), ("total", Int4)],
        " SELECT orders.user_id,\n    orders.id,\n    orders.total\n   FROM public.orders\n  WHERE (orders.total > 100);",
    );
    defined(
        "totals",
        &[("public", "orders"), ("public", "users")],
        &[("uid", Int8), ("name", Text), ("total", Int8)],
        " SELECT u.id AS uid,\n    u.name,\n    sum(o.total) AS total\n   FROM (public.users u\n     JOIN public.orders o ON ((o.user_id = u.id)))\n  GROUP BY u.id, u.name;",
    );
    defined(
        "by_name",
        &[("public", "users")],
        &[("name", Text), ("n", Int8)],
        " SELECT users.name,\n    count(*) AS n\n   FROM public.users\n  GROUP BY users.name;",
    );
    defined(
        "with_settings",
        &[("public", "settings"), ("public", "users")],
        &[("id", Int8), ("value", Text)],
        " SELECT u.id,\n    s.value\n   FROM (public.users u\n     JOIN public.settings s ON ((s.key = u.name)));",
    );
    defined(
        "nested",
        &[("public", "orders"), ("public", "totals"), ("public", "users")],
        &[("uid", Int8)],
        " SELECT totals.uid\n   FROM public.totals\n  WHERE (totals.total > 5);",
    );
    defined(
        "loose",
        &[("public", "orders"), ("public", "users")],
        &[("user_id", Int4), ("name", Text)],
        " SELECT o.user_id,\n    u.name\n   FROM (public.users u\n     LEFT JOIN public.orders o ON ((o.user_id = u.id)));",
    );
    let mut part = table("orders_2024", &[("id", Int8), ("user_id", Int4)]);
    part.parents = vec![shardway::catalog::QualifiedName::new("public", "orders")];
    relations.push(part);
    let mut ruled = table("ruled", &[("id", Int8)]);
    ruled.has_rules = true;
    relations.push(ruled);
    let mut calling = Relation::new("public", "calling", RelationKind::View);
    calling.calls_unsafe_functions = true;
    calling.calls_unsafe_builtins = true;
    relations.push(calling);
    let function = |name: &str, volatility, kind| Function { volatility, kind, ..Function::new("public", name) };
    let triggered = |name: &str, function: &str| {
        let mut relation = table(name, &[("id", Int8), ("name", Text)]);
        relation.has_triggers = true;
        relation.trigger_functions = vec![shardway::catalog::QualifiedName::new("public", function)];
        relation
    };
    relations.push(triggered("touched", "touch"));
    relations.push(triggered("rekeyed", "rekey"));
    let with_body = |name: &str, body: &str| Function { body: Some(body.to_owned()), ..Function::new("public", name) };
    let functions = vec![
        function("pure", Volatility::Immutable, FunctionKind::Function),
        function("wild", Volatility::Volatile, FunctionKind::Function),
        function("looks_up", Volatility::Stable, FunctionKind::Function),
        function("declared_safe", Volatility::Volatile, FunctionKind::Function),
        function("gather_all", Volatility::Immutable, FunctionKind::Aggregate),
        function("do_things", Volatility::Volatile, FunctionKind::Procedure),
        // An overload of a built-in name.
        function("upper", Volatility::Volatile, FunctionKind::Function),
        with_body("doubled", "SELECT $1 * 2"),
        with_body("stamped", "BEGIN RETURN now(); END"),
        with_body("touch", "BEGIN NEW.name = now()::text; RETURN NEW; END"),
        with_body("rekey", "BEGIN NEW.id = 1; RETURN NEW; END"),
        with_body("counted", "SELECT count(*) FROM users"),
    ];
    Catalog::new(relations, functions)
}

/// The database of a case.
pub fn scene(case: &Case) -> Scene {
    Scene {
        map: Arc::new(map(case)),
        catalog: case.catalog.then(|| Arc::new(catalog())),
        safe_functions: Arc::new(BTreeSet::from(["declared_safe".to_owned()])),
        views: Arc::default(),
        missed: Arc::default(),
    }
}

/// The plan of a case, a line for each thing worth knowing.
pub fn render(case: &Case, sql: &str) -> String {
    let scene = scene(case);
    let names = Names {
        search_path: case.path.clone(),
        temporary: case.temporary.clone(),
        standard_conforming_strings: case.strings,
        atomic: case.atomic,
    };
    let mut lexed = Lexed::default();
    if lex(sql.as_bytes(), &LexOptions { standard_conforming_strings: case.strings }, &mut lexed).is_err() {
        return "not lexed\n".to_owned();
    }
    let template = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(limits::PARSER_STACK_BYTES)
            .spawn_scoped(scope, || Template::build(sql.as_bytes(), &lexed, &scene, &names))
            .expect("a thread")
            .join()
            .expect("a template")
    });
    if let Some(filling) = &template.filling {
        let options = LexOptions { standard_conforming_strings: case.strings };
        let (filled, _) = filling.apply(sql.as_bytes(), &options, |at| (at + 1).to_string());
        let filled = String::from_utf8(filled).expect("the text was UTF-8");
        let sequences: Vec<String> = filling.sequences.iter().map(ToString::to_string).collect();
        return format!("ids of {}: {filled}\n{}", sequences.join(", "), render(case, &filled));
    }
    let raw: Vec<Vec<u8>> = case
        .parameters
        .iter()
        .map(|(_, value, binary)| if *binary { hex(value) } else { value.clone().into_bytes() })
        .collect();
    let values: Vec<ParameterValue<'_>> = case
        .parameters
        .iter()
        .zip(&raw)
        .map(|((_, text, binary), value)| match (text.as_str(), binary) {
            ("NULL", _) => ParameterValue::Null,
            (_, true) => ParameterValue::Binary(value),
            (_, false) => ParameterValue::Text(value),
        })
        .collect();
    let types: Vec<u32> = case.parameters.iter().map(|(oid, _, _)| *oid).collect();
    let parameters =
        (!values.is_empty()).then_some(Parameters { types: &types, types_are_certain: false, values: &values });
    let mut out = match template.bind_hinted(sql.as_bytes(), &lexed, parameters, case.hint.as_ref()) {
        Ok(plan) => {
            let access = if template.is_read_only() { ", read only" } else { "" };
            let wanted = template.lookups(sql.as_bytes(), &lexed, parameters);
            let by = |(unique, values): &(Arc<shardway::routing::Unique>, _)| {
                let known = matches!(values, Some(Some(_)));
                if known { format!(", looked up by {}", unique.columns.join(", ")) } else { String::new() }
            };
            let looked_up: String = wanted.iter().map(by).collect();
            format!("{}{access}{looked_up}\n", explain::plan(&plan, &scene.map))
        }
        Err(refusal) => format!("refused {}: {}\n", refusal.state, refusal.message),
    };
    for statement in &template.statements {
        if statement.effects != Effects::default() {
            let _ = writeln!(out, "{}", effects(&statement.effects));
        }
        debug_assert!(statement.access != Access::Read || !statement.effects.creates_temporary);
    }
    out
}

fn effects(effects: &Effects) -> String {
    let flags = [
        (effects.takes_advisory_lock, "takes an advisory lock"),
        (effects.releases_advisory_locks, "releases advisory locks"),
        (effects.creates_temporary, "creates temporary"),
        (effects.unknown, "unknown"),
        (effects.uses_sequence, "uses a sequence"),
        (effects.reads_sequence, "asks for a sequence's last value"),
        (effects.ends_database, "wants nobody in a database"),
        (effects.needs_primary, "needs the primary"),
    ];
    let mut found: Vec<String> = flags.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned()).collect();
    found.extend(
        effects
            .settings
            .iter()
            .map(|call| format!("set_config({:?}, {:?}, {:?})", call.name, call.value, call.is_local)),
    );
    format!("effects: {}", found.join(", "))
}

fn partitioned(mut relation: Relation) -> Relation {
    relation.kind = shardway::catalog::RelationKind::PartitionedTable;
    relation
}
