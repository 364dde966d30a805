//! How users are looked up that the file doesn't name, and who looks them up.

use std::time::Duration;

use super::values::duration;
use crate::config::mistake::{Notes, similar};
use crate::config::raw::RawDatabase;
use crate::config::{AuthLookup, UserConfig, defaults};

pub(super) fn lookup(raw: &RawDatabase<'_>, users: &[UserConfig], notes: &mut Notes<'_>) -> Option<AuthLookup> {
    let Some(written) = &raw.auth_user else {
        for (name, at) in [("auth_query", &raw.auth_query), ("auth_cache", &raw.auth_cache)] {
            if let Some(at) = at {
                let what = format!("`{name}` has no effect without `auth_user`");
                notes.mistake(&at.span(), what, "write auth_user = \"lookup\", a user of the file that runs the query");
            }
        }
        return None;
    };
    let name = written.get_ref();
    let database = raw.name.get_ref();
    match users.iter().find(|user| user.name == *name) {
        None => {
            let remedy = match similar(name, users.iter().map(|user| user.name.as_str())) {
                Some(meant) => format!("write {meant:?}"),
                None => format!("add [[user]] with name = {name:?} and its password"),
            };
            notes.mistake(&written.span(), format!("`auth_user`: there is no user {name:?}"), remedy);
        }
        Some(user) if !(user.databases.is_empty() || user.databases.contains(database)) => {
            let what = format!("`auth_user`: {name:?} may not use the database {database:?}");
            notes.mistake(&written.span(), what, format!("add {database:?} to its `databases`"));
        }
        Some(user) if !user.logs_in_alone() => {
            let what = format!("`auth_user`: the file has no password with which {name:?} logs in to the servers");
            notes.mistake(&written.span(), what, "give it a server_password");
        }
        Some(_) => {}
    }
    let query = match &raw.auth_query {
        None => defaults::AUTH_QUERY.to_owned(),
        Some(written) => {
            if !written.get_ref().contains("$1") {
                let remedy = "write auth_query = \"SELECT usename, passwd FROM shardway.get_auth($1)\"";
                notes.mistake(&written.span(), "`auth_query` has no $1, which stands for the user's name", remedy);
            }
            written.get_ref().clone()
        }
    };
    let cached = match &raw.auth_cache {
        None => Duration::ZERO,
        Some(written) if written.get_ref() == "off" => Duration::ZERO,
        written => duration("auth_cache", written.as_ref(), defaults::AUTH_CACHE_ADVISED, notes),
    };
    Some(AuthLookup { user: name.clone(), query, cached })
}

/// Shardway itself has to log in where there is more than one server to know about.
pub(super) fn control(raw: &RawDatabase<'_>, users: &[UserConfig], notes: &mut Notes<'_>) {
    let database = raw.name.get_ref();
    let nodes: usize = raw.shards.iter().map(|shard| 1 + shard.replicas.len()).sum();
    let mut usable = users.iter().filter(|user| user.databases.is_empty() || user.databases.contains(database));
    let may_use = usable.clone().next().is_some();
    if nodes > 1 && may_use && !usable.any(UserConfig::logs_in_alone) {
        let what = format!(
            "the file has no password with which Shardway itself could log in to the servers of database {database:?}"
        );
        notes.mistake(&raw.section.at, what, "give one of its users a server_password, best the one with admin = true");
    }
}
