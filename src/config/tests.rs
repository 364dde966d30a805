//! What is accepted, what is refused, and in which words.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::load::{FoundFile, Loaded, Surroundings, parse};
use super::*;

mod good;
mod mistakes;
mod samples;

/// In an environment where every variable whose name ends in PASSWORD is set and where a few files are.
fn load(text: &str) -> Result<Loaded, Mistakes> {
    let environment = |name: &str| name.ends_with("PASSWORD").then(|| format!("value of {name}"));
    let read_file = |path: &Path| match path.to_str() {
        Some("open") => Ok(FoundFile { text: "from a file\n".to_owned(), world_readable: true }),
        Some("empty") => Ok(FoundFile { text: "\n".to_owned(), world_readable: false }),
        Some("/run/secrets/ops" | "server.crt" | "clients.crt" | "server.key" | "ca.crt") => {
            Ok(FoundFile { text: "from a file\r\n".to_owned(), world_readable: false })
        }
        _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    };
    let resolve = |path: &Path| PathBuf::from("/etc/shardway").join(path);
    let surroundings =
        Surroundings { environment: &environment, read_file: &read_file, resolve: &resolve, world_readable: false };
    parse("shardway.toml", text, &surroundings)
}

/// A user and a database `shop` with the shards `a` and `b`, then `more`, which begins in line 8.
fn with_shop(more: &str) -> String {
    format!(
        "[[user]]\nname = \"shop\"\npassword = \"x\"\n[database.shop.shard.a]\nprimary = \"postgres://h1/shop\"\n\
         [database.shop.shard.b]\nprimary = \"postgres://h2/shop\"\n{more}"
    )
}

/// As `with_shop`, for keys of `[server]`, which is line 8.
fn with_server(more: &str) -> String {
    with_shop(&format!("[server]\n{more}"))
}

#[track_caller]
fn good(text: &str) -> Loaded {
    load(text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

#[track_caller]
fn warnings(text: &str) -> Vec<String> {
    good(text).warnings.iter().map(ToString::to_string).collect()
}
