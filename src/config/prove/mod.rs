//! From what is written to what holds: defaults, bounds, names that must exist. In: [`RawConfig`].
//! Out: a [`Config`], which is only good when nothing was noted as a mistake.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::mistake::Notes;
use super::raw::{RawConfig, RawLog, RawPool, RawServer};
use super::{
    AuthenticationMethod, Config, LogConfig, LogFormat, PoolConfig, ServerConfig, ServerTlsConfig, Surroundings,
    defaults,
};
use crate::types::limits::{CLIENTS_MAX, POOL_SIZE_MAX, PREPARED_STATEMENTS_MAX, WORKERS_MAX};

mod auth;
mod buckets;
mod databases;
mod hba;
mod node;
mod placement;
mod secret;
mod tables;
mod traces;
mod users;
mod values;

pub(super) use values::parse_duration;

/// Never fails: where something is wrong it notes it and goes on with a stand-in.
pub(super) fn prove(raw: &RawConfig<'_>, surroundings: &Surroundings<'_>, notes: &mut Notes<'_>) -> Config {
    let server = server(&raw.server, surroundings, notes);
    let pool = pool(&raw.pool, notes);
    let log = log(&raw.log, notes);
    let traces = traces::traces(&raw.traces, notes);
    let raw_databases = raw.databases.as_deref().unwrap_or_default();
    if raw.users.is_none() {
        let remedy = "write [[user]], and under it name = \"shop\" and password = { env = \"SHOP_PASSWORD\" }";
        notes.mistake(&(0..0), "there is no user: nobody could log in", remedy);
    }
    if raw.databases.is_none() {
        let remedy = "write [database.shop.shard.a], and under it primary = \"postgres://10.0.0.1:5432/shop\"";
        notes.mistake(&(0..0), "there is no database", remedy);
    }
    let hba = hba::rules(raw, &server, notes);
    let raw_users = raw.users.as_deref().unwrap_or_default();
    let authentication = hba::strictest(&hba, server.authentication);
    let users = users::users(raw_users, raw_databases, authentication, surroundings, notes);
    let databases = databases::databases(raw_databases, (pool.size, &users), surroundings, notes);
    let databases = databases.into_iter().map(|database| (database.name.clone(), database)).collect::<BTreeMap<_, _>>();
    Config { server, pool, hba, users, databases, log, traces }
}

fn server(raw: &RawServer<'_>, surroundings: &Surroundings<'_>, notes: &mut Notes<'_>) -> ServerConfig {
    let methods = [
        ("scram-sha-256", AuthenticationMethod::ScramSha256),
        ("md5", AuthenticationMethod::Md5),
        ("trust", AuthenticationMethod::Trust),
    ];
    let scram = AuthenticationMethod::ScramSha256;
    let authentication = values::choice("authentication", raw.authentication.as_ref(), &methods, scram, notes);
    let listen = listen(raw, notes);
    let example = SocketAddr::new(defaults::LISTEN.ip(), defaults::LISTEN.port() + 1);
    let admin = raw.admin.as_ref().and_then(|admin| values::address("admin", admin, example, notes));
    dangers(raw, &listen, admin, notes);
    ServerConfig {
        listen,
        unix_socket_directory: unix_socket_directory(raw, surroundings, notes),
        admin,
        // What is advised instead of a mistake doesn't depend on the machine.
        workers: match raw.workers.as_ref() {
            None => defaults::workers(),
            some => values::count("workers", some, WORKERS_MAX, defaults::WORKERS_ADVISED, notes),
        },
        tls: tls(raw, surroundings, notes),
        authentication,
        clients_max: values::count("max_clients", raw.max_clients.as_ref(), CLIENTS_MAX, defaults::CLIENTS, notes),
        drain_timeout: values::duration("drain_timeout", raw.drain_timeout.as_ref(), defaults::DRAIN_TIMEOUT, notes),
        startup_timeout: values::duration(
            "startup_timeout",
            raw.startup_timeout.as_ref(),
            defaults::STARTUP_TIMEOUT,
            notes,
        ),
        state_file: state_file(raw, surroundings, notes),
        statistics: raw.statistics.as_ref().is_none_or(|written| *written.get_ref()),
    }
}

/// What is right by itself, but not together.
fn dangers(raw: &RawServer<'_>, listen: &[SocketAddr], admin: Option<SocketAddr>, notes: &mut Notes<'_>) {
    if let (Some(raw), Some(address)) = (&raw.admin, admin)
        && listen.contains(&address)
        && address.port() != 0
    {
        let what = format!("`admin` and `listen` are both {address}");
        notes.mistake(&raw.span(), what, "write another port, as in admin = \"127.0.0.1:6433\"");
    }
}

fn listen(raw: &RawServer<'_>, notes: &mut Notes<'_>) -> Vec<SocketAddr> {
    let Some(written) = &raw.listen else {
        return vec![defaults::LISTEN];
    };
    let mut listen: Vec<SocketAddr> = Vec::new();
    for text in written.get_ref() {
        let Some(address) = values::address("listen", text, defaults::LISTEN, notes) else {
            continue;
        };
        if address.port() != 0 && listen.contains(&address) {
            notes.mistake(&text.span(), format!("`listen` names {address} twice"), "remove one of them");
        }
        listen.push(address);
    }
    if written.get_ref().is_empty() {
        let remedy = format!("write listen = \"{}\"", defaults::LISTEN);
        notes.mistake(&written.span(), "`listen` is empty", remedy);
    }
    listen
}

fn state_file(raw: &RawServer<'_>, surroundings: &Surroundings<'_>, notes: &mut Notes<'_>) -> Option<PathBuf> {
    let file = raw.state_file.as_ref()?;
    if file.get_ref().is_empty() {
        let remedy = "write state_file = \"/var/lib/shardway/state\", or leave it out";
        notes.mistake(&file.span(), "`state_file` is empty", remedy);
        return None;
    }
    Some((surroundings.resolve)(Path::new(file.get_ref())))
}

fn unix_socket_directory(
    raw: &RawServer<'_>,
    surroundings: &Surroundings<'_>,
    notes: &mut Notes<'_>,
) -> Option<PathBuf> {
    let directory = raw.unix_socket_directory.as_ref()?;
    if directory.get_ref().is_empty() {
        let remedy = "write unix_socket_directory = \"/run/shardway\", or leave it out";
        notes.mistake(&directory.span(), "`unix_socket_directory` is empty", remedy);
        return None;
    }
    Some((surroundings.resolve)(Path::new(directory.get_ref())))
}

fn tls(raw: &RawServer<'_>, surroundings: &Surroundings<'_>, notes: &mut Notes<'_>) -> Option<ServerTlsConfig> {
    let raw = raw.tls.as_ref()?;
    let mut file = |name: &str, value: Option<&super::reader::Placed<String>>| {
        let Some(value) = value else {
            if name != "client_ca" && raw.section.value(name).is_none() {
                raw.section.missing(name, notes);
            }
            return None;
        };
        let path = Path::new(value.get_ref());
        if let Err(error) = (surroundings.read_file)(path) {
            let what = format!("`{name}`: {} can't be read: {error}", path.display());
            notes.mistake(&value.span(), what, "name a PEM file that the user who runs Shardway can read");
        }
        Some((surroundings.resolve)(path))
    };
    let certificate = file("certificate", raw.certificate.as_ref());
    let key = file("key", raw.key.as_ref());
    let client_ca = file("client_ca", raw.client_ca.as_ref());
    let required = raw.required.as_ref().is_some_and(|required| *required.get_ref());
    Some(ServerTlsConfig { certificate: certificate?, key: key?, client_ca, required })
}

fn pool(raw: &RawPool, notes: &mut Notes<'_>) -> PoolConfig {
    use values::{count, duration};
    let pool = PoolConfig {
        size: count("size", raw.size.as_ref(), POOL_SIZE_MAX, defaults::POOL_SIZE, notes),
        wait_timeout: duration("wait_timeout", raw.wait_timeout.as_ref(), defaults::WAIT_TIMEOUT, notes),
        connect_timeout: duration("connect_timeout", raw.connect_timeout.as_ref(), defaults::CONNECT_TIMEOUT, notes),
        idle_max: duration("idle_timeout", raw.idle_timeout.as_ref(), defaults::IDLE_TIMEOUT, notes),
        lifetime_max: duration("max_lifetime", raw.max_lifetime.as_ref(), defaults::LIFETIME, notes),
        connects_max: count("max_connects", raw.max_connects.as_ref(), POOL_SIZE_MAX, defaults::CONNECTS, notes),
        prepared_statements_max: count(
            "max_prepared_statements",
            raw.max_prepared_statements.as_ref(),
            PREPARED_STATEMENTS_MAX,
            defaults::PREPARED_STATEMENTS,
            notes,
        ),
    };
    if let Some(wait) = &raw.wait_timeout
        && pool.wait_timeout < pool.connect_timeout
    {
        let connect = values::show_duration(pool.connect_timeout);
        let what =
            format!("`wait_timeout` is shorter than `connect_timeout` ({connect}): a slow connect can't be waited for");
        notes.warning(&wait.span(), what, format!("write wait_timeout = \"{connect}\" or more"));
    }
    pool
}

fn log(raw: &RawLog, notes: &mut Notes<'_>) -> LogConfig {
    let formats = [("human", LogFormat::Human), ("json", LogFormat::Json)];
    let format = values::choice("format", raw.format.as_ref(), &formats, LogFormat::Human, notes);
    let mut level = defaults::LOG_LEVEL.to_owned();
    if let Some(written) = &raw.level {
        match tracing_subscriber::EnvFilter::builder().parse(written.get_ref()) {
            Ok(_) if !written.get_ref().trim().is_empty() => level.clone_from(written.get_ref()),
            _ => {
                let what = format!("`level` is not a filter: {:?}", written.get_ref());
                let remedy = "write level = \"info\", or a filter as in \"info,shardway::pool=debug\"";
                notes.mistake(&written.span(), what, remedy);
            }
        }
    }
    let slow_statement = match &raw.slow_statement {
        Some(written) if written.get_ref() == "off" => None,
        written => Some(values::duration("slow_statement", written.as_ref(), defaults::SLOW_STATEMENT, notes)),
    };
    let slow_values = raw.slow_values.as_ref().is_some_and(|written| *written.get_ref());
    LogConfig { format, level, slow_statement, slow_values }
}
