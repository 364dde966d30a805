//! Users: who may log in, with what, to which databases, and who they are on the servers.

use std::collections::HashMap;

use super::secret::secret;
use super::values::{count, limits, name_fits};
use crate::config::mistake::{Notes, similar};
use crate::config::raw::{RawDatabase, RawUser};
use crate::config::{
    AuthenticationMethod, Secret, StoredVerifier, Surroundings, UserConfig, defaults, is_stored, looks_stored,
    stored_md5,
};
use crate::types::limits::POOL_SIZE_MAX;

pub(super) fn users(
    raw: &[RawUser<'_>],
    databases: &[RawDatabase<'_>],
    authentication: AuthenticationMethod,
    surroundings: &Surroundings<'_>,
    notes: &mut Notes<'_>,
) -> Vec<UserConfig> {
    let mut lines: HashMap<&str, usize> = HashMap::new();
    let mut users = Vec::new();
    for user in raw {
        if let Some(name) = &user.name {
            if let Some(line) = lines.get(name.get_ref().as_str()) {
                let what = format!("user {:?} is there already, in line {line}", name.get_ref());
                notes.mistake(&name.span(), what, "put both into one [[user]]");
            }
            lines.insert(name.get_ref(), notes.line(&name.span()));
        }
        users.extend(self::user(user, databases, authentication, surroundings, notes));
    }
    users
}

fn user(
    raw: &RawUser<'_>,
    databases: &[RawDatabase<'_>],
    authentication: AuthenticationMethod,
    surroundings: &Surroundings<'_>,
    notes: &mut Notes<'_>,
) -> Option<UserConfig> {
    if raw.section.value("name").is_none() {
        raw.section.missing("name", notes);
    }
    let password = secret("password", raw.password.as_ref(), surroundings, notes);
    if raw.password.is_none() && authentication != AuthenticationMethod::Trust {
        raw.section.missing("password", notes);
    }
    if let (Some(at), Some(secret)) = (&raw.password, &password) {
        stored(raw, &at.span(), secret, authentication, notes);
    }
    if let Some(server_user) = &raw.server_user {
        name_fits("`server_user`", server_user, notes);
    }
    for database in &raw.databases {
        if !databases.iter().any(|known| known.name.get_ref() == database.get_ref()) {
            let names = databases.iter().map(|known| known.name.get_ref().as_str());
            let remedy = match similar(database.get_ref(), names) {
                Some(meant) => format!("write {meant:?}"),
                None => format!("add [database.{}], or remove the name", database.get_ref()),
            };
            notes.mistake(&database.span(), format!("there is no database {:?}", database.get_ref()), remedy);
        }
    }
    let name = raw.name.as_ref()?;
    if !name_fits("the user's name", name, notes) {
        return None;
    }
    Some(UserConfig {
        name: name.get_ref().clone(),
        password,
        server_user: raw.server_user.as_ref().map(|name| name.get_ref().clone()),
        server_password: secret("server_password", raw.server_password.as_ref(), surroundings, notes),
        admin: raw.admin.as_ref().is_some_and(|admin| *admin.get_ref()),
        stats: raw.stats.as_ref().is_some_and(|stats| *stats.get_ref()),
        databases: raw.databases.iter().map(|name| name.get_ref().clone()).collect(),
        pool_size: raw
            .pool_size
            .as_ref()
            .map(|written| count("pool_size", Some(written), POOL_SIZE_MAX, defaults::POOL_SIZE, notes)),
        limits: limits(&raw.limits, notes),
    })
}

/// A password as PostgreSQL stores it serves to check a client, and to log in to servers that have the same stored.
fn stored(
    raw: &RawUser<'_>,
    at: &std::ops::Range<usize>,
    secret: &Secret,
    authentication: AuthenticationMethod,
    notes: &mut Notes<'_>,
) {
    let text = secret.reveal();
    if looks_stored(text) && StoredVerifier::parse(text).is_none() {
        let what = "`password` begins like a stored SCRAM verifier but isn't one";
        notes.mistake(at, what, "copy it whole, as in SELECT rolpassword FROM pg_authid");
    } else if looks_stored(text) && authentication == AuthenticationMethod::Md5 {
        let what = "`password` is a stored SCRAM verifier, which md5 can't check";
        notes.mistake(at, what, "set authentication = \"scram-sha-256\"");
    } else if stored_md5(text).is_some() && authentication == AuthenticationMethod::ScramSha256 {
        let what = "`password` is what PostgreSQL stores of it as md5, which SCRAM can't check";
        notes.mistake(at, what, "set authentication = \"md5\", or have it stored as a SCRAM verifier");
    } else if let (true, None, Some(server_user)) = (is_stored(text), &raw.server_password, &raw.server_user)
        && raw.name.as_ref().is_some_and(|name| name.get_ref() != server_user.get_ref())
    {
        let what = "`password` is what PostgreSQL stores of it, which serves to log in to the servers under the same name only";
        notes.mistake(at, what, "add server_password, or remove server_user");
    }
}
