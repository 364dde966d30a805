//! Who may see the pages. In: a request's headers and the users of the configuration. Out: nothing, or the page that
//! says why not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Request, StatusCode};
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use super::{Page, text};
use crate::admin::House;
use crate::config::{StoredVerifier, UserConfig, is_stored, stored_md5};

/// # Errors
/// The page that refuses.
pub(super) fn check<B>(request: &Request<B>, is_local: bool, house: &dyn House) -> Result<(), Box<Page>> {
    if is_local {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        return if names_this_machine(host) {
            Ok(())
        } else {
            let body = "this address is asked for by 127.0.0.1 or localhost only\n".to_owned();
            Err(Box::new(text(StatusCode::FORBIDDEN, body)))
        };
    }
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(credentials);
    let known = given.is_some_and(|(name, password)| fits(&house.config().users, &name, &password));
    if known {
        return Ok(());
    }
    let mut page = text(StatusCode::UNAUTHORIZED, "for users with admin = true or stats = true\n".to_owned());
    let challenge = HeaderValue::from_static("Basic realm=\"Shardway\", charset=\"UTF-8\"");
    page.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    Err(Box::new(page))
}

/// A page of another site can't read from here under its own name (DNS rebinding).
fn names_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn credentials(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// Digests are compared, in constant time: neither the password's length nor its first bytes show in the time.
fn fits(users: &[UserConfig], name: &str, password: &str) -> bool {
    let given = digest(&SHA256, password.as_bytes());
    let user = users.iter().find(|user| user.name == name && (user.admin || user.stats));
    // What is stored of a password isn't one: who has read it must not get in by it.
    if let Some(stored) = user.and_then(|user| user.password.as_ref()).filter(|stored| is_stored(stored.reveal())) {
        return match stored_md5(stored.reveal()) {
            Some(digits) => {
                let given = format!("{:x}", md5::compute(format!("{password}{name}")));
                given.as_bytes().ct_eq(digits.as_bytes()).into()
            }
            None => StoredVerifier::parse(stored.reveal()).is_some_and(|stored| stored.is_of(password)),
        };
    }
    let wanted =
        user.and_then(|user| user.password.as_ref()).map(|password| digest(&SHA256, password.reveal().as_bytes()));
    match wanted {
        Some(wanted) => given.as_ref().ct_eq(wanted.as_ref()).into(),
        // A user without a password is one that nobody can prove to be.
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn only_names_of_this_machine_pass() {
        for host in ["localhost", "LOCALHOST:6433", "127.0.0.1", "127.0.0.1:1", "[::1]:6433", "[::1]"] {
            assert!(names_this_machine(host), "{host}");
        }
        for host in ["", "evil.example", "evil.example:6433", "10.0.0.1", "localhost.evil.example", "[::2]:1"] {
            assert!(!names_this_machine(host), "{host}");
        }
    }

    /// What PostgreSQL stores for the password `pässword`.
    const STORED: &str = "SCRAM-SHA-256$4096:IpuHyJI5HsZqyddbCAzW6Q==$nC5it2jz5/axUct7OsVQjvJrJE52xSZuShLaE0rAQ34=:\
                          Dw9al0pHC47TNAYq0T6mVZrAoE5o/JdXDpQJ9nOVeII=";

    #[test]
    fn passwords_are_those_of_users_who_may_look() {
        let user = |name: &str, password: Option<&str>, admin: bool, stats: bool| UserConfig {
            name: name.to_owned(),
            password: password.map(Secret::new),
            server_user: None,
            server_password: None,
            admin,
            stats,
            pool_size: None,
            limits: crate::config::ClientLimits::default(),
            databases: Vec::new(),
        };
        let users = [
            user("ops", Some("a:b"), true, false),
            user("watch", Some("w"), false, true),
            user("app", Some("x"), false, false),
            user("open", None, true, false),
            user("stored", Some(STORED), true, false),
        ];
        let with = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let may = |header: &str| credentials(header).is_some_and(|(name, password)| fits(&users, &name, &password));
        assert!(may(&with("ops:a:b")) && may(&with("watch:w")) && may(&with("watch:w").replace("Basic", "basic")));
        for wrong in ["ops:a", "ops:", "watch:a:b", "app:x", "open:", "nobody:x", "ops"] {
            assert!(!may(&with(wrong)), "{wrong}");
        }
        assert!(may(&with("stored:pässword")));
        assert!(!may(&with("stored:wrong")) && !may(&with(&format!("stored:{STORED}"))));
        assert!(!may("Bearer abc") && !may("Basic ?") && !may(""));
    }
}
