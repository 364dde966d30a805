//! Logging in to real servers: every kind of `pg_hba.conf` line, sslmodes, cancel, the control plane.

mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::BufMut;
use pgwire::api::auth::sasl::scram::gen_salted_password;
use shardway::config::{NodeConfig, NodeTls, NodeTlsMode, Secret, StoredVerifier, stored_md5};
use shardway::devcluster::{Cluster, Server};
use shardway::net::{NetError, connect_stream};
use shardway::pool::connect::{
    ConnectError, Connected, Credential, Login, Passed, Proof, ScramKeys, ScramMessages, connect, connect_control,
    send_cancel,
};

use NodeTlsMode::{Disable, Prefer, Require, VerifyCa, VerifyFull};

const LIMIT: Duration = Duration::from_secs(60);

/// A server with a user for each method, and TLS by a certificate that is its own authority.
struct Backend {
    cluster: Cluster,
    certificate: PathBuf,
    der: Vec<u8>,
}

impl Backend {
    fn start() -> Self {
        let cluster = support::Shards::builder()
            .hba("hostssl all only_tls 127.0.0.1/32 scram-sha-256")
            .hba("host all only_tls 127.0.0.1/32 reject")
            .hba("host all by_md5 127.0.0.1/32 md5")
            .hba("host all by_password 127.0.0.1/32 password")
            .hba("host all by_trust 127.0.0.1/32 trust")
            .start()
            .unwrap();
        let server = cluster.primary(0);
        for user in ["by_scram", "by_password", "by_trust", "only_tls"] {
            server.sql(&format!("CREATE ROLE {user} LOGIN PASSWORD 'pässword'")).unwrap();
        }
        server.sql("SET password_encryption = 'md5'; CREATE ROLE by_md5 LOGIN PASSWORD 'pässword'").unwrap();
        let (certificate, der) = Self::enable_tls(&cluster);
        Self { cluster, certificate, der }
    }

    /// The key must belong to the server's user and be readable by nobody else: the server writes it.
    fn enable_tls(cluster: &Cluster) -> (PathBuf, Vec<u8>) {
        let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = parameters.self_signed(&key).unwrap();
        let server = cluster.primary(0);
        for (file, pem) in [("server.crt", made.pem()), ("server.key", key.serialize_pem())] {
            let copy = format!(
                "COPY (SELECT regexp_split_to_table('{}', '\\s*\\n')) TO PROGRAM 'umask 077; cat > {file}'",
                pem.trim()
            );
            server.sql(&copy).unwrap();
        }
        server.sql("ALTER SYSTEM SET ssl = on").unwrap();
        server.restart().unwrap();
        let certificate = cluster.directory().join("root.crt");
        std::fs::write(&certificate, made.pem()).unwrap();
        (certificate, made.der().to_vec())
    }

    fn server(&self) -> &Server {
        self.cluster.primary(0)
    }

    fn node(&self, mode: NodeTlsMode) -> NodeConfig {
        NodeConfig {
            host: "127.0.0.1".to_owned(),
            port: self.server().port(),
            database: self.cluster.database().to_owned(),
            tls: NodeTls { mode, root_certificate: Some(self.certificate.clone()) },
            preference: shardway::config::NodePreference::NONE,
        }
    }

    fn named(&self, mode: NodeTlsMode) -> NodeConfig {
        NodeConfig { host: "localhost".to_owned(), ..self.node(mode) }
    }
}

fn login(user: &str, password: &str) -> Login {
    Login::with_password(user, Some(Secret::new(password)))
}

async fn outcome(node: &NodeConfig, user: &str, password: &str) -> Result<Connected, String> {
    match connect(node, &login(user, password), "handshake", LIMIT).await {
        Ok(connected) => Ok(connected),
        Err(ConnectError::Refused(refusal)) => Err(refusal.sqlstate),
        Err(other) => Err(other.to_string()),
    }
}

fn send_query(connected: &mut Connected, sql: &str) {
    let out = &mut connected.framed.outbound;
    out.put_u8(b'Q');
    out.put_u32(u32::try_from(sql.len() + 5).unwrap());
    out.put_slice(sql.as_bytes());
    out.put_u8(0);
}

/// All that the server answers up to ReadyForQuery, as text.
async fn answer(connected: &mut Connected) -> String {
    connected.framed.flush().await.unwrap();
    while !connected.framed.inbound.ends_with(b"Z\0\0\0\x05I") {
        assert_ne!(connected.framed.fill().await.unwrap(), 0, "{:?}", connected.framed.inbound);
    }
    let text = String::from_utf8_lossy(&connected.framed.inbound).into_owned();
    connected.framed.inbound.clear();
    text
}

async fn query(connected: &mut Connected, sql: &str) -> String {
    send_query(connected, sql);
    answer(connected).await
}

async fn is_ready_and_itself(mut connected: Connected, user: &str) {
    assert_eq!(connected.framed.inbound.len(), 0);
    assert!(!connected.framed.is_closed_or_has_data());
    assert_eq!(connected.secret_key.len(), 4);
    let version = connected.parameters.iter().find(|(name, _)| name == "server_version");
    assert!(version.is_some_and(|(_, value)| value.starts_with(|c: char| c.is_ascii_digit())));
    let identity = "SELECT current_user || ' ' || pg_backend_pid() || current_setting('application_name')";
    let row = query(&mut connected, identity).await;
    assert!(row.contains(&format!("{user} {}handshake", connected.process_id)), "{row}");
    assert!(!connected.framed.is_closed_or_has_data());
}

#[tokio::test]
async fn servers_ask_in_many_ways() {
    let backend = tokio::task::spawn_blocking(Backend::start).await.unwrap();
    for user in ["by_scram", "by_md5", "by_password", "by_trust"] {
        for mode in [Disable, Prefer, Require] {
            let connected = outcome(&backend.node(mode), user, "pässword").await.unwrap();
            assert_eq!(connected.framed.stream.is_tls(), mode != Disable);
            is_ready_and_itself(connected, user).await;
            let wrong = outcome(&backend.node(mode), user, "wrong").await.map(drop);
            let expected = if user == "by_trust" { Ok(()) } else { Err("28P01".to_owned()) };
            assert_eq!(wrong, expected, "{user} {mode:?}");
        }
    }
    // Without a password at all.
    let nothing = Login::with_password("by_scram", None);
    let error = connect(&backend.node(Disable), &nothing, "handshake", LIMIT).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Handshake(why) if why.contains("password missing")), "{error}");
    let nowhere = NodeConfig { database: "nowhere".to_owned(), ..backend.node(Prefer) };
    assert_eq!(outcome(&nowhere, "by_scram", "pässword").await.unwrap_err(), "3D000");

    let socket = backend.server().socket_dir().to_str().unwrap().to_owned();
    let local = NodeConfig { host: socket, ..backend.node(VerifyFull) };
    let connected = outcome(&local, "by_scram", "pässword").await.unwrap();
    assert!(connected.framed.stream.peer_is_unix());
    is_ready_and_itself(connected, "by_scram").await;

    what_was_proved_is_enough(&backend).await;
    tls_is_verified_as_asked(&backend).await;
    cancels_hit_their_statement(&backend).await;
    the_control_plane_connects(&backend).await;
    unexpected_words_are_noticed(&backend).await;
    servers_without_tls(&backend).await;
}

/// What a client's own exchange proves of `pässword`, as a server has it stored.
fn proved(backend: &Backend, user: &str) -> Login {
    let stored = format!("SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'");
    let stored = backend.server().sql(&stored).unwrap().trim().to_owned();
    let passed = Passed::default();
    passed.set(match stored_md5(&stored) {
        Some(digits) => Proof::Md5(digits.to_owned()),
        None => {
            let verifier = StoredVerifier::parse(&stored).unwrap();
            let sign = |key: &[u8], text: &str| {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
                ring::hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
            };
            let salted = gen_salted_password("pässword", &verifier.salt, verifier.iterations);
            let signature = sign(&verifier.stored_key, "a,b,c");
            let proof: Vec<u8> =
                sign(&salted, "Client Key").iter().zip(signature).map(|(key, other)| key ^ other).collect();
            let messages = ScramMessages { client_first_bare: "a", server_first: "b", client_final_without_proof: "c" };
            assert!(ScramKeys::recover(verifier.clone(), messages, &[0; 32]).is_none());
            Proof::Scram(ScramKeys::recover(verifier, messages, &proof).unwrap())
        }
    });
    Login { user: user.to_owned(), credential: Credential::Passed(passed) }
}

async fn what_was_proved_is_enough(backend: &Backend) {
    for user in ["by_scram", "by_md5", "by_trust"] {
        let login = proved(backend, user);
        for mode in [Disable, Require] {
            let connected = connect(&backend.node(mode), &login, "handshake", LIMIT).await.unwrap();
            is_ready_and_itself(connected, user).await;
            let (client, _) = connect_control(&backend.node(mode), &login).await.unwrap();
            let row = client.query_one("SELECT current_user::text", &[]).await.unwrap();
            assert_eq!(row.get::<_, String>(0), user);
        }
        let nowhere = NodeConfig { database: "nowhere".to_owned(), ..backend.node(Require) };
        let error = connect(&nowhere, &login, "handshake", LIMIT).await.unwrap_err();
        assert_eq!(error.refusal().map(|refusal| refusal.sqlstate.as_str()), Some("3D000"), "{error}");
    }
    // The password itself, one of another user, one of another kind, none yet.
    let as_user = |login: Login, user: &str| Login { user: user.to_owned(), ..login };
    let nothing = Login { user: "by_scram".to_owned(), credential: Credential::Passed(Passed::default()) };
    for login in [
        proved(backend, "by_password"),
        as_user(proved(backend, "by_password"), "by_scram"),
        as_user(proved(backend, "by_md5"), "by_scram"),
        as_user(proved(backend, "by_scram"), "by_md5"),
        nothing,
    ] {
        let error = connect(&backend.node(Require), &login, "handshake", LIMIT).await.unwrap_err();
        assert!(matches!(error, ConnectError::NoCredential(_)) && !error.may_pass(), "{login:?}: {error}");
    }
}

async fn tls_is_verified_as_asked(backend: &Backend) {
    assert_eq!(outcome(&backend.node(Disable), "only_tls", "pässword").await.unwrap_err(), "28000");
    for node in [backend.node(Prefer), backend.node(Require), backend.node(VerifyCa), backend.named(VerifyFull)] {
        is_ready_and_itself(outcome(&node, "only_tls", "pässword").await.unwrap(), "only_tls").await;
    }
    // 127.0.0.1 isn't in the certificate.
    let error = outcome(&backend.node(VerifyFull), "only_tls", "pässword").await.unwrap_err();
    assert!(error.contains("handshake") && error.contains("not valid for name"), "{error}");
    let stranger = backend.cluster.directory().join("stranger.crt");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&stranger, made.cert.pem()).unwrap();
    for mode in [VerifyCa, VerifyFull] {
        for root_certificate in [Some(stranger.clone()), None] {
            let node = NodeConfig { tls: NodeTls { mode, root_certificate }, ..backend.named(mode) };
            let error = connect(&node, &login("only_tls", "pässword"), "", LIMIT).await.unwrap_err();
            assert!(matches!(error, ConnectError::Net(NetError::Handshake(_) | NetError::Files(_))), "{error}");
            assert!(!error.may_pass());
        }
    }
    // What SCRAM-SHA-256-PLUS binds to: the certificate's hash by its signature's own algorithm.
    let stream = connect_stream(&backend.node(Require)).await.unwrap();
    let expected = ring::digest::digest(&ring::digest::SHA256, &backend.der);
    assert_eq!(stream.server_end_point().as_deref(), Some(expected.as_ref()));
}

async fn cancels_hit_their_statement(backend: &Backend) {
    for mode in [Disable, Require] {
        let node = backend.node(mode);
        let mut connected = outcome(&node, "by_scram", "pässword").await.unwrap();
        // A wrong key first: no error, no effect.
        send_cancel(&node, connected.process_id, &[0; 4]).await.unwrap();
        let begun = Instant::now();
        send_query(&mut connected, "SELECT pg_sleep(60)");
        connected.framed.flush().await.unwrap();
        backend_is_active(backend, connected.process_id).await;
        send_cancel(&node, connected.process_id, &connected.secret_key.clone()).await.unwrap();
        assert!(answer(&mut connected).await.contains("C57014\0"));
        assert!(begun.elapsed() < LIMIT);
        is_ready_and_itself(connected, "by_scram").await;
    }
}

async fn backend_is_active(backend: &Backend, process_id: u32) {
    let sql = format!("SELECT state FROM pg_stat_activity WHERE pid = {process_id} AND wait_event = 'PgSleep'");
    while backend.server().sql(&sql).unwrap().trim() != "active" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn the_control_plane_connects(backend: &Backend) {
    for node in [backend.node(Disable), backend.node(Require), backend.named(VerifyFull)] {
        let (client, driver) = connect_control(&node, &login("by_scram", "pässword")).await.unwrap();
        let row = client.query_one("SELECT current_user::text", &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), "by_scram");
        drop(client);
        driver.await.unwrap().unwrap();
        let wrong = connect_control(&node, &login("by_scram", "wrong")).await.map(|_| ()).unwrap_err();
        assert_eq!(wrong.refusal().map(|refusal| refusal.sqlstate.as_str()), Some("28P01"));
    }
}

async fn unexpected_words_are_noticed(backend: &Backend) {
    for mode in [Disable, Require] {
        let mut connected = outcome(&backend.node(mode), "by_scram", "pässword").await.unwrap();
        assert_eq!(connected.framed.try_fill_now().unwrap(), None);
        let end = format!("SELECT pg_terminate_backend({})", connected.process_id);
        backend.server().sql(&end).unwrap();
        let begun = Instant::now();
        while !connected.framed.is_closed_or_has_data() {
            assert!(begun.elapsed() < LIMIT);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(connected.framed.try_fill_now().unwrap().is_some());
        assert!(String::from_utf8_lossy(&connected.framed.inbound).contains("C57P01\0"));
    }
}

async fn servers_without_tls(backend: &Backend) {
    backend.server().sql("ALTER SYSTEM SET ssl = off").unwrap();
    backend.server().restart().unwrap();
    let connected = outcome(&backend.node(Prefer), "by_scram", "pässword").await.unwrap();
    assert!(!connected.framed.stream.is_tls());
    for node in [backend.node(Require), backend.node(VerifyCa), backend.named(VerifyFull)] {
        let error = connect(&node, &login("by_scram", "pässword"), "", LIMIT).await.unwrap_err();
        assert!(matches!(error, ConnectError::Net(NetError::TlsNotOffered)), "{error}");
    }
}
