//! Rules of who may come from where: words that exist, names that the file has, addresses that are some.

use super::values::choice;
use crate::config::hba::{AddressRange, ClientCertificate, HbaConnection, HbaRule, HbaVerdict, MappedName};
use crate::config::mistake::{Notes, similar};
use crate::config::raw::{RawConfig, RawHba, RawMapped};
use crate::config::reader::Placed;
use crate::config::{AuthenticationMethod, ServerConfig};
use crate::types::CONSOLE_DATABASES;

pub(super) fn rules(raw: &RawConfig<'_>, server: &ServerConfig, notes: &mut Notes<'_>) -> Vec<HbaRule> {
    let Some(written) = &raw.hba else {
        if let (AuthenticationMethod::Trust, Some(method)) = (server.authentication, &raw.server.authentication) {
            open_to_all("authentication", method, server, notes);
        }
        return Vec::new();
    };
    if written.get_ref().is_empty() {
        notes.mistake(
            &written.span(),
            "`hba` is empty: nobody could log in",
            "remove it, or write a rule under [[hba]]",
        );
    }
    if let Some(authentication) = &raw.server.authentication
        && server.authentication != AuthenticationMethod::ScramSha256
    {
        let what = "`authentication` has no effect: the rules under [[hba]] say how clients prove who they are";
        notes.warning(&authentication.span(), what, "remove it");
    }
    written.get_ref().iter().filter_map(|rule| self::rule(rule, raw, server, notes)).collect()
}

/// What a user's password has to serve for, with rules.
pub(super) fn strictest(rules: &[HbaRule], without: AuthenticationMethod) -> AuthenticationMethod {
    // Who may come without a password needs none.
    let passwordless = [HbaVerdict::Certificate, HbaVerdict::Check(AuthenticationMethod::Trust)];
    match rules {
        [] => without,
        rules if rules.iter().any(|rule| passwordless.contains(&rule.verdict)) => AuthenticationMethod::Trust,
        _ => AuthenticationMethod::ScramSha256,
    }
}

fn rule(raw: &RawHba<'_>, file: &RawConfig<'_>, server: &ServerConfig, notes: &mut Notes<'_>) -> Option<HbaRule> {
    for name in ["type", "method"] {
        if raw.section.value(name).is_none() {
            raw.section.missing(name, notes);
        }
    }
    let kinds = [
        ("local", HbaConnection::Local),
        ("host", HbaConnection::Host),
        ("hostssl", HbaConnection::HostTls),
        ("hostnossl", HbaConnection::HostPlain),
    ];
    let verdicts = [
        ("scram-sha-256", HbaVerdict::Check(AuthenticationMethod::ScramSha256)),
        ("md5", HbaVerdict::Check(AuthenticationMethod::Md5)),
        ("trust", HbaVerdict::Check(AuthenticationMethod::Trust)),
        ("cert", HbaVerdict::Certificate),
        ("reject", HbaVerdict::Reject),
    ];
    let connection = choice("type", raw.kind.as_ref(), &kinds, HbaConnection::Host, notes);
    let verdict = choice("method", raw.method.as_ref(), &verdicts, HbaVerdict::Reject, notes);
    let known = file.databases.iter().flatten().map(|database| database.name.get_ref().as_str());
    let known: Vec<&str> = known.chain(CONSOLE_DATABASES).collect();
    let databases = names("databases", "database", raw.databases.as_ref(), Some(&known), notes);
    let known = file.users.iter().flatten().filter_map(|user| Some(user.name.as_ref()?.get_ref().as_str()));
    let known: Vec<&str> = known.collect();
    // Others may be found on a server.
    let looks_up = file.databases.iter().flatten().any(|database| database.auth_user.is_some());
    let known = (!looks_up).then_some(&known);
    let users = names("users", "user", raw.users.as_ref(), known, notes);
    let address = address(raw, connection, notes);
    let certificate = certificate(raw, connection, verdict, server, notes);
    let map = map(raw, verdict, known, notes);
    let rule = HbaRule { connection, databases, users, address, verdict, certificate, map };
    dangers(raw, &rule, server, notes);
    Some(rule)
}

fn certificate(
    raw: &RawHba<'_>,
    connection: HbaConnection,
    verdict: HbaVerdict,
    server: &ServerConfig,
    notes: &mut Notes<'_>,
) -> ClientCertificate {
    let words = [("verify-ca", ClientCertificate::Signed), ("verify-full", ClientCertificate::Named)];
    let asked = choice("clientcert", raw.clientcert.as_ref(), &words, ClientCertificate::Unasked, notes);
    let (at, certificate) = match (verdict, &raw.method, &raw.clientcert) {
        (HbaVerdict::Certificate, Some(method), clientcert) => {
            if let (ClientCertificate::Signed, Some(clientcert)) = (asked, clientcert) {
                let what = "`clientcert` can only be \"verify-full\" where the certificate says who it is";
                notes.mistake(&clientcert.span(), what, "remove it");
            }
            (method.span(), ClientCertificate::Named)
        }
        (_, _, Some(clientcert)) => (clientcert.span(), asked),
        _ => return asked,
    };
    if connection != HbaConnection::HostTls {
        notes.mistake(&at, "a certificate can only be shown by TLS", "write type = \"hostssl\"");
    } else if server.tls.as_ref().is_none_or(|tls| tls.client_ca.is_none()) {
        let remedy = "write client_ca = \"clients.crt\" under [server.tls]";
        notes.mistake(&at, "the file doesn't say who signs the certificates of clients", remedy);
    }
    certificate
}

fn map(
    raw: &RawHba<'_>,
    verdict: HbaVerdict,
    known: Option<&Vec<&str>>,
    notes: &mut Notes<'_>,
) -> Option<Vec<MappedName>> {
    let written = raw.map.as_ref()?;
    if verdict != HbaVerdict::Certificate {
        let what = "`map` is for certificates that say who it is";
        notes.mistake(&written.span(), what, "write method = \"cert\", or remove it");
    }
    let mapped = |(common_name, users): &RawMapped, notes: &mut Notes<'_>| MappedName {
        common_name: common_name.clone(),
        users: names("map", "user", Some(users), known, notes),
    };
    Some(written.get_ref().iter().map(|entry| mapped(entry, notes)).collect())
}

/// `None` is "all".
fn names(
    key: &str,
    what: &str,
    written: Option<&Placed<Vec<Placed<String>>>>,
    known: Option<&Vec<&str>>,
    notes: &mut Notes<'_>,
) -> Option<Vec<String>> {
    let written = written?;
    if written.get_ref().is_empty() {
        notes.mistake(
            &written.span(),
            format!("`{key}` is empty: the rule fits nobody"),
            format!("write {key} = \"all\""),
        );
    }
    if written.get_ref().iter().any(|name| name.get_ref() == "all") {
        return None;
    }
    for name in written.get_ref() {
        let text = name.get_ref().as_str();
        if let Some(known) = known
            && !known.contains(&text)
        {
            let remedy = match similar(text, known.iter().copied().chain(["all"])) {
                Some(meant) => format!("write {meant:?}"),
                None => "write a name that the file has, or \"all\"".to_owned(),
            };
            notes.mistake(&name.span(), format!("there is no {what} {text:?}"), remedy);
        }
    }
    Some(written.get_ref().iter().map(|name| name.get_ref().clone()).collect())
}

fn address(raw: &RawHba<'_>, connection: HbaConnection, notes: &mut Notes<'_>) -> Option<AddressRange> {
    let Some(written) = &raw.address else {
        if connection != HbaConnection::Local && raw.section.value("address").is_none() {
            raw.section.missing("address", notes);
        }
        return None;
    };
    if connection == HbaConnection::Local {
        notes.mistake(&written.span(), "a client on a Unix socket has no address", "remove `address`");
        return None;
    }
    let text = written.get_ref().trim();
    if text == "all" {
        return None;
    }
    let range = AddressRange::parse(text);
    if range.is_none() {
        let what = format!("`address` is not a range of addresses: {text:?}");
        notes.mistake(&written.span(), what, "write one as in address = \"10.0.0.0/8\", or \"all\"");
    }
    range
}

fn open_to_all(key: &str, method: &Placed<String>, server: &ServerConfig, notes: &mut Notes<'_>) {
    if let Some(open) = server.listen.iter().find(|address| !address.ip().is_loopback()) {
        let what = format!("everyone who can reach {open} gets in without a password");
        notes.warning(&method.span(), what, format!("write {key} = \"scram-sha-256\""));
    }
}

fn dangers(raw: &RawHba<'_>, rule: &HbaRule, server: &ServerConfig, notes: &mut Notes<'_>) {
    let trust = rule.verdict == HbaVerdict::Check(AuthenticationMethod::Trust);
    let everywhere = rule.connection != HbaConnection::Local && rule.address.is_none_or(AddressRange::is_all);
    if let (true, true, Some(method)) = (trust, everywhere, &raw.method) {
        open_to_all("method", method, server, notes);
    }
    if rule.connection == HbaConnection::HostTls
        && server.tls.is_none()
        && let Some(kind) = &raw.kind
    {
        notes.warning(
            &kind.span(),
            "no client comes by TLS: the file has no [server.tls]",
            "add it, or remove the rule",
        );
    }
}
