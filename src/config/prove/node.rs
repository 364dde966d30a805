//! URLs of servers: `postgres://host:port/database?sslmode=...`. (PostgreSQL, chapter libpq,
//! "Connection URIs".)

use std::path::PathBuf;

use crate::config::mistake::{Notes, similar};
use crate::config::reader::{Placed, quoted_list};
use crate::config::{NodeConfig, NodePreference, NodeTls, NodeTlsMode, Surroundings, defaults};

const MODES: &[(&str, NodeTlsMode)] = &[
    ("disable", NodeTlsMode::Disable),
    ("prefer", NodeTlsMode::Prefer),
    ("require", NodeTlsMode::Require),
    ("verify-ca", NodeTlsMode::VerifyCa),
    ("verify-full", NodeTlsMode::VerifyFull),
];

const EXAMPLE: &str = "write \"postgres://10.0.0.1:5432/shop\"";

/// What is wrong, and what to write.
type Wrong = (String, String);

/// `database`: what the URL means when it has no path.
pub(super) fn node(
    url: &Placed<String>,
    database: &str,
    surroundings: &Surroundings<'_>,
    notes: &mut Notes<'_>,
) -> Option<NodeConfig> {
    let node = match parse(url.get_ref(), database) {
        Ok(node) => node,
        Err((what, remedy)) => {
            notes.mistake(&url.span(), what, remedy);
            return None;
        }
    };
    let mut node = node;
    if let Some(path) = node.tls.root_certificate.take() {
        if let Err(error) = (surroundings.read_file)(&path) {
            let what = format!("sslrootcert {} can't be read: {error}", path.display());
            notes.mistake(&url.span(), what, "name a PEM file that the user who runs Shardway can read");
        }
        if matches!(node.tls.mode, NodeTlsMode::Disable | NodeTlsMode::Prefer) {
            let what = "sslrootcert has no effect: this sslmode doesn't look at certificates".to_owned();
            notes.warning(&url.span(), what, "write sslmode=verify-full");
        }
        node.tls.root_certificate = Some((surroundings.resolve)(&path));
    }
    Some(node)
}

fn parse(url: &str, default_database: &str) -> Result<NodeConfig, Wrong> {
    let rest = after_scheme(url)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    // Before anything is split: a password may hold a slash, and must not end up in a message.
    if let Some((user, _)) = rest.rsplit_once('@') {
        let user = user.split(':').next().unwrap_or_default();
        // The URL is not repeated: it may hold a password.
        return Err((
            "a server's URL must not name a user or a password".to_owned(),
            format!("remove what is before the @, and write it under [[user]], as in name = {user:?}"),
        ));
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains(',') {
        return Err((
            format!("{url:?} names several servers"),
            "write one server as `primary` and the others under `replicas`".to_owned(),
        ));
    }
    let (host, port) = host_and_port(authority)?;
    let database = decode(path)?;
    let database = if database.is_empty() { default_database.to_owned() } else { database };
    if path.contains('/') {
        return Err((format!("{database:?} is not the name of a database"), EXAMPLE.to_owned()));
    }
    let (tls, preference) = parameters(query, host.starts_with('/'))?;
    Ok(NodeConfig { host, port, database, tls, preference })
}

fn after_scheme(url: &str) -> Result<&str, Wrong> {
    if let Some(rest) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")) {
        return Ok(rest);
    }
    Err(match url.split_once("://") {
        Some((scheme, rest)) if !rest.contains('@') => {
            (format!("{scheme:?} is not PostgreSQL's scheme"), format!("write \"postgres://{rest}\""))
        }
        Some((scheme, _)) => (format!("{scheme:?} is not PostgreSQL's scheme"), EXAMPLE.to_owned()),
        None if url.contains('=') => {
            ("a server is named by a URL, not by key=value pairs".to_owned(), EXAMPLE.to_owned())
        }
        None if url.contains('@') => ("this is not a URL".to_owned(), EXAMPLE.to_owned()),
        None => (format!("{url:?} is not a URL"), EXAMPLE.to_owned()),
    })
}

fn host_and_port(authority: &str) -> Result<(String, u16), Wrong> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return Err((format!("{authority:?} has no closing ]"), "write \"postgres://[::1]:5432/shop\"".to_owned()));
        };
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return Err((
                format!("{address:?} is not an IPv6 address"),
                "write \"postgres://[::1]:5432/shop\"".to_owned(),
            ));
        }
        (address.to_owned(), port.strip_prefix(':').unwrap_or(port))
    } else {
        if authority.matches(':').count() > 1 {
            let remedy = "put an IPv6 address in brackets, as in \"postgres://[::1]:5432/shop\"";
            return Err((format!("{authority:?} has several colons"), remedy.to_owned()));
        }
        let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
        (decode(host)?, port)
    };
    if host.is_empty() {
        return Err(("the URL names no host".to_owned(), EXAMPLE.to_owned()));
    }
    if port.is_empty() {
        return Ok((host, defaults::NODE_PORT));
    }
    match port.parse() {
        Ok(port) if port != 0 => Ok((host, port)),
        _ => Err((format!("{port:?} is not a port"), "write a number from 1 to 65535".to_owned())),
    }
}

fn parameters(query: &str, is_unix: bool) -> Result<(NodeTls, NodePreference), Wrong> {
    let mut preference = NodePreference::NONE;
    let mut mode = None;
    let mut root_certificate = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value)?;
        match name {
            "sslmode" => mode = Some(tls_mode(&value)?),
            "sslrootcert" if value == "system" => {}
            "sslrootcert" => root_certificate = Some(PathBuf::from(value)),
            "zone" => preference.zone = Some(value),
            "weight" => match value.parse() {
                Ok(weight @ 0..=1000) => preference.weight = weight,
                _ => return Err((format!("weight can't be {value:?}"), "write a number from 0 to 1000".to_owned())),
            },
            _ => return Err(unknown_parameter(name)),
        }
    }
    if is_unix {
        return match mode {
            None | Some(NodeTlsMode::Disable | NodeTlsMode::Prefer) => {
                Ok((NodeTls { mode: NodeTlsMode::Disable, root_certificate }, preference))
            }
            Some(_) => Err(("there is no TLS on a Unix socket".to_owned(), "remove sslmode".to_owned())),
        };
    }
    let mode = mode.unwrap_or(NodeTlsMode::Prefer);
    // As libpq does: an authority that is named is meant to be used.
    let mode = if mode == NodeTlsMode::Require && root_certificate.is_some() { NodeTlsMode::VerifyCa } else { mode };
    Ok((NodeTls { mode, root_certificate }, preference))
}

fn tls_mode(value: &str) -> Result<NodeTlsMode, Wrong> {
    if let Some((_, mode)) = MODES.iter().find(|(word, _)| *word == value) {
        return Ok(*mode);
    }
    let words = MODES.iter().map(|(word, _)| *word);
    let remedy = match (value, similar(value, words.clone())) {
        ("allow", _) => "write sslmode=prefer".to_owned(),
        (_, Some(meant)) => format!("write sslmode={meant}"),
        (_, None) => format!("write sslmode= and one of {}", quoted_list(words)),
    };
    Err((format!("sslmode can't be {value:?}"), remedy))
}

fn unknown_parameter(name: &str) -> Wrong {
    let remedy = match name {
        "user" | "password" => "write it under [[user]]".to_owned(),
        "connect_timeout" => "write connect_timeout under [pool]".to_owned(),
        "host" | "port" | "dbname" => EXAMPLE.to_owned(),
        _ => match similar(name, ["sslmode", "sslrootcert", "weight", "zone"]) {
            Some(meant) => format!("write {meant}"),
            None => "remove it; sslmode, sslrootcert, weight and zone are the parameters there are".to_owned(),
        },
    };
    (format!("unknown parameter `{name}` in a server's URL"), remedy)
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, Wrong> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digits = tail.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let value =
            digits.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match value {
            Some(value) if value != 0 => bytes.push(value),
            _ => {
                return Err((
                    format!("{text:?} has a % that two hexadecimal digits don't follow"),
                    "write %25 for a percent sign".to_owned(),
                ));
            }
        }
        rest = tail.get(2..).unwrap_or_default();
    }
    String::from_utf8(bytes)
        .map_err(|_| (format!("{text:?} is not UTF-8 once decoded"), "encode the name as UTF-8".to_owned()))
}
