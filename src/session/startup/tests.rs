use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::*;
use crate::config::{
    AuthenticationMethod, DatabaseConfig, LogConfig, LogFormat, NodeConfig, NodeTls, NodeTlsMode, PoolConfig,
    ReadPolicy, Secret, ServerConfig, ServerTlsConfig, UserConfig,
};
use crate::pool::connect::{ConnectError, Login, connect};
use crate::protocol::backend::Status;
use crate::types::ShardId;

fn user(name: &str, password: Option<&str>, admin: bool, databases: &[&str]) -> UserConfig {
    UserConfig {
        name: name.to_owned(),
        password: password.map(Secret::new),
        server_user: None,
        server_password: None,
        admin,
        stats: false,
        pool_size: None,
        limits: crate::config::ClientLimits::default(),
        databases: databases.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn database(name: &str) -> (String, DatabaseConfig) {
    let database = DatabaseConfig {
        name: name.to_owned(),
        home: ShardId::new(0),
        shards: Vec::new(),
        tables: Vec::new(),
        reads: ReadPolicy::Primary,
        new_tables: None,
        safe_functions: Vec::new(),
        buckets: None,
        pool_size: 20,
        limits: crate::config::ClientLimits::default(),
        gather_rows_max: 1,
        auth: None,
        gather_bytes_max: 1,
        auto_setup: true,
        recovery_interval: std::time::Duration::from_secs(10),
        commit_timeout: std::time::Duration::from_secs(60),
        max_replica_lag: None,
        replication: crate::config::ReplicationConfig::USUAL,
    };
    (name.to_owned(), database)
}

fn config(authentication: AuthenticationMethod, tls: Option<ServerTlsConfig>) -> Config {
    let second = Duration::from_secs(1);
    Config {
        server: ServerConfig {
            listen: Vec::new(),
            unix_socket_directory: None,
            admin: None,
            workers: 1,
            tls,
            authentication,
            clients_max: 10,
            drain_timeout: second,
            startup_timeout: second,
            state_file: None,
            statistics: true,
        },
        pool: PoolConfig {
            size: 1,
            wait_timeout: second,
            connect_timeout: second,
            idle_max: second,
            lifetime_max: second,
            connects_max: 1,
            prepared_statements_max: 1,
        },
        hba: Vec::new(),
        users: vec![
            user("ada", Some("pässword"), false, &[]),
            user("ops", Some("ops"), true, &["shop"]),
            user("nobody", None, false, &[]),
            user("guest", Some("guest"), false, &["other"]),
        ],
        databases: BTreeMap::from([database("shop"), database("other")]),
        traces: None,
        log: LogConfig { format: LogFormat::Human, level: "info".to_owned(), slow_statement: None, slow_values: false },
    }
}

/// Serves what `admit` lets in; a client learns what it was admitted as from ParameterStatus.
fn context(config: Arc<Config>) -> AdmissionContext {
    let databases = Arc::new(Databases::new(Arc::clone(&config), None, &crate::observe::Observed::default()));
    AdmissionContext::new(config, Arc::new(LoginSecrets::generate()), databases).unwrap()
}

struct Proxy {
    address: SocketAddr,
    certificate: Option<PathBuf>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(directory) = self.certificate.as_deref().and_then(std::path::Path::parent) {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

impl Proxy {
    async fn plain(method: AuthenticationMethod) -> Self {
        Self::start(config(method, None), None).await
    }

    async fn with_tls(method: AuthenticationMethod, required: bool) -> Self {
        let directory = std::env::temp_dir().join(format!("shardway-tls-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&directory).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let tls = ServerTlsConfig { certificate: certificate.clone(), key, client_ca: None, required };
        Self::start(config(method, Some(tls)), Some(certificate)).await
    }

    async fn start(config: Config, certificate: Option<PathBuf>) -> Self {
        let context = context(Arc::new(config));
        let context = Arc::new(context);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let context = Arc::clone(&context);
                tokio::spawn(async move { welcome(admit(Stream::from(socket), &context).await).await });
            }
        });
        Self { address, certificate, task }
    }

    fn node(&self, database: &str, mode: NodeTlsMode) -> NodeConfig {
        NodeConfig {
            host: "localhost".to_owned(),
            port: self.address.port(),
            database: database.to_owned(),
            tls: NodeTls { mode, root_certificate: self.certificate.clone() },
            preference: crate::config::NodePreference::NONE,
        }
    }

    async fn log_in(&self, name: &str, password: &str, database: &str, mode: NodeTlsMode) -> Result<(), String> {
        let login = Login::with_password(name, Some(Secret::new(password)));
        match connect(&self.node(database, mode), &login, "test", Duration::from_secs(5)).await {
            Ok(connected) => {
                assert_eq!(connected.parameters.first(), Some(&("user".to_owned(), name.to_owned())));
                assert_eq!(connected.parameters.get(1), Some(&("database".to_owned(), database.to_owned())));
                assert_eq!(connected.process_id, 7);
                Ok(())
            }
            Err(ConnectError::Refused(refusal)) => Err(refusal.sqlstate),
            Err(other) => Err(other.to_string()),
        }
    }

    async fn raw(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and returns all that is answered until the proxy closes.
    async fn answer(&self, bytes: &[u8]) -> Vec<u8> {
        let mut socket = self.raw().await;
        socket.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        answer
    }
}

async fn welcome(arrival: Arrival) {
    match arrival {
        Arrival::Client(mut admitted) => {
            let out = &mut admitted.framed.outbound;
            backend::parameter(out, "user", &admitted.user.name);
            backend::parameter(out, "database", &admitted.database);
            backend::parameter(out, "settings", &format!("{:?}", admitted.settings));
            backend::parameter(out, "minor", &admitted.protocol_minor.to_string());
            backend::backend_key(out, 7, b"key!");
            backend::ready(out, Status::Idle);
            admitted.framed.flush().await.unwrap();
            let _ = admitted.framed.fill().await;
        }
        Arrival::Cancel(mut key) => {
            let text = format!("cancel {} {:?}", key.process_id, key.secret);
            key.connection.outbound.extend_from_slice(text.as_bytes());
            key.connection.close().await.unwrap();
        }
        Arrival::Gone => {}
    }
}

fn refused(state: &str) -> Result<(), String> {
    Err(state.to_owned())
}

const PLAIN: NodeTlsMode = NodeTlsMode::Disable;

#[tokio::test]
async fn passwords_are_checked_by_each_method() {
    for method in [AuthenticationMethod::ScramSha256, AuthenticationMethod::Md5] {
        let proxy = Proxy::plain(method).await;
        for _ in 0..2 {
            assert_eq!(proxy.log_in("ada", "pässword", "shop", PLAIN).await, Ok(()));
            assert_eq!(proxy.log_in("ada", "wrong", "shop", PLAIN).await, refused("28P01"));
            assert_eq!(proxy.log_in("eve", "wrong", "shop", PLAIN).await, refused("28P01"));
            assert_eq!(proxy.log_in("nobody", "", "shop", PLAIN).await, refused("28P01"));
            // Nothing about databases before the password is right.
            assert_eq!(proxy.log_in("ada", "wrong", "nowhere", PLAIN).await, refused("28P01"));
        }
    }
    let proxy = Proxy::plain(AuthenticationMethod::Trust).await;
    assert_eq!(proxy.log_in("nobody", "x", "shop", PLAIN).await, Ok(()));
    assert_eq!(proxy.log_in("eve", "x", "shop", PLAIN).await, refused("28000"));
}

#[tokio::test]
async fn databases_are_checked_after_the_password() {
    let proxy = Proxy::plain(AuthenticationMethod::ScramSha256).await;
    assert_eq!(proxy.log_in("ada", "pässword", "nowhere", PLAIN).await, refused("3D000"));
    assert_eq!(proxy.log_in("guest", "guest", "shop", PLAIN).await, refused("42501"));
    assert_eq!(proxy.log_in("guest", "guest", "other", PLAIN).await, Ok(()));
    for console in CONSOLE_DATABASES {
        assert_eq!(proxy.log_in("ops", "ops", console, PLAIN).await, Ok(()));
        assert_eq!(proxy.log_in("ada", "pässword", console, PLAIN).await, refused("42501"));
    }
}

#[tokio::test]
async fn every_sslmode_works_with_and_without_a_certificate() {
    use NodeTlsMode::{Disable, Prefer, Require, VerifyCa, VerifyFull};
    for required in [false, true] {
        let proxy = Proxy::with_tls(AuthenticationMethod::ScramSha256, required).await;
        for mode in [Prefer, Require, VerifyCa, VerifyFull] {
            assert_eq!(proxy.log_in("ada", "pässword", "shop", mode).await, Ok(()), "{mode:?}");
            assert_eq!(proxy.log_in("ada", "wrong", "shop", mode).await, refused("28P01"), "{mode:?}");
            assert_eq!(proxy.log_in("eve", "wrong", "shop", mode).await, refused("28P01"), "{mode:?}");
        }
        let plain = proxy.log_in("ada", "pässword", "shop", Disable).await;
        assert_eq!(plain, if required { refused("28000") } else { Ok(()) });
    }
    let proxy = Proxy::plain(AuthenticationMethod::ScramSha256).await;
    assert_eq!(proxy.log_in("ada", "pässword", "shop", Prefer).await, Ok(()));
    let error = proxy.log_in("ada", "pässword", "shop", Require).await.unwrap_err();
    assert!(error.contains("does not support TLS"), "{error}");
    let md5 = Proxy::with_tls(AuthenticationMethod::Md5, true).await;
    assert_eq!(md5.log_in("ada", "pässword", "shop", VerifyFull).await, Ok(()));
}

fn startup(version: u32, pairs: &str) -> Vec<u8> {
    let body = format!("{pairs}\0\0").replace(' ', "\0");
    let mut bytes = u32::try_from(body.len() + 8).unwrap().to_be_bytes().to_vec();
    bytes.extend(version.to_be_bytes());
    bytes.extend(body.as_bytes());
    bytes
}

const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
const GSS_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x30";

async fn expect_bytes(socket: &mut (impl AsyncReadExt + Unpin), expected: &[u8]) {
    let mut read = vec![0; expected.len()];
    socket.read_exact(&mut read).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&read), String::from_utf8_lossy(expected));
}

fn says(answer: &[u8], wanted: &str) -> bool {
    answer.first() == Some(&b'E') && String::from_utf8_lossy(answer).contains(wanted)
}

#[tokio::test]
async fn plaintext_behind_a_request_for_encryption_is_never_read() {
    let tls = Proxy::with_tls(AuthenticationMethod::Trust, false).await;
    let plain = Proxy::plain(AuthenticationMethod::Trust).await;
    for proxy in [tls, plain] {
        for request in [SSL_REQUEST, GSS_REQUEST] {
            let injected = [request, &startup(3 << 16, "user ada database shop")].concat();
            assert_eq!(proxy.answer(&injected).await, b"", "not even the answer");
        }
    }
}

#[tokio::test]
async fn encryption_is_negotiated_politely() {
    let proxy = Proxy::plain(AuthenticationMethod::Trust).await;
    let mut socket = proxy.raw().await;
    for request in [GSS_REQUEST, SSL_REQUEST] {
        socket.write_all(request).await.unwrap();
        expect_bytes(&mut socket, b"N").await;
    }
    socket.write_all(&startup(3 << 16, "user ada database shop options -cgeqo=off x y")).await.unwrap();
    expect_bytes(&mut socket, b"R\0\0\0\x08\0\0\0\0S\0\0\0\x0duser\0ada\0S\0\0\0\x12database\0shop\0").await;
    let settings = "S\0\0\0\x2bsettings\0[(\"geqo\", \"off\"), (\"x\", \"y\")]\0";
    expect_bytes(&mut socket, settings.as_bytes()).await;
    let mut socket = proxy.raw().await;
    for answer in [&b"N"[..], b"E"] {
        socket.write_all(SSL_REQUEST).await.unwrap();
        expect_bytes(&mut socket, answer).await;
    }
}

#[tokio::test]
async fn a_unix_socket_needs_no_tls() {
    let proxy = Proxy::with_tls(AuthenticationMethod::Trust, true).await;
    let files = ServerTlsConfig {
        certificate: proxy.certificate.clone().unwrap(),
        key: proxy.certificate.clone().unwrap().with_file_name("key.pem"),
        client_ca: None,
        required: true,
    };
    let config = Arc::new(config(AuthenticationMethod::Trust, Some(files)));
    let context = context(config);
    let (ours, mut client) = UnixStream::pair().unwrap();
    let server = async { welcome(admit(Stream::from(ours), &context).await).await };
    let conversation = async {
        client.write_all(SSL_REQUEST).await.unwrap();
        expect_bytes(&mut client, b"N").await;
        client.write_all(&startup(3 << 16, "user ada database shop")).await.unwrap();
        expect_bytes(&mut client, b"R\0\0\0\x08\0\0\0\0S").await;
        drop(client);
    };
    tokio::join!(server, conversation);
}

#[tokio::test]
async fn newer_protocols_are_negotiated_and_older_ones_refused() {
    let proxy = Proxy::plain(AuthenticationMethod::Trust).await;
    let mut socket = proxy.raw().await;
    socket.write_all(&startup(3 << 16 | 9, "user ada database shop _pq_.x 1")).await.unwrap();
    expect_bytes(&mut socket, b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0R\0\0\0\x08\0\0\0\0").await;
    for bytes in [startup(2 << 16, "user ada"), startup(4 << 16, "user ada")] {
        assert!(says(&proxy.answer(&bytes).await, "C0A000\0"));
    }
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\0\0\x03", b"\xff\xff\xff\xff", b"\0\0\0\x09\0\x03\0\0x"] {
        let answer = proxy.answer(bytes).await;
        assert!(says(&answer, "C08P01\0") && says(&answer, "VFATAL\0"), "{bytes:?}");
    }
}

#[tokio::test]
async fn only_passwords_are_taken_during_authentication() {
    for method in [AuthenticationMethod::ScramSha256, AuthenticationMethod::Md5] {
        let proxy = Proxy::plain(method).await;
        for bytes in [
            &b"Q\0\0\0\x0dSELECT 1\0"[..],
            b"Q\x3f\xff\xff\xff",
            b"p\0\x01\0\0",
            b"p\0\0\0\x03",
            b"p\0\0\0\x04",
            b"p\0\0\0\x12SCRAM-SHA-1\0\0\0\0\0",
            b"p\0\0\0\x20SCRAM-SHA-256-PLUS\0\0\0\0\x05p=x,,",
            b"p\0\0\0\x1bSCRAM-SHA-256\0\0\0\0\x05p=x,,",
            b"p\0\0\0\x1bSCRAM-SHA-256\0\0\0\0\x05n,,,,",
        ] {
            let sent = [&startup(3 << 16, "user ada database shop"), bytes].concat();
            let answer = proxy.answer(&sent).await;
            // The request for a password comes first; its length says where the error begins.
            let error = usize::from(answer[4]) + 1;
            let expected = says(&answer[error..], "C08P01\0") || says(&answer[error..], "C28P01\0");
            assert!(expected, "{bytes:?}: {:?}", String::from_utf8_lossy(&answer));
        }
    }
}

#[tokio::test]
async fn scram_without_binding_is_a_downgrade_where_binding_was_offered() {
    assert!(check_mechanism_states(&[
        ("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", true, None),
        ("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", false, Some("08P01")),
        ("SCRAM-SHA-256-PLUS", "n,,", true, Some("08P01")),
        ("SCRAM-SHA-256", "n,,", true, None),
        ("SCRAM-SHA-256", "n,,", false, None),
        ("SCRAM-SHA-256", "y,,", false, None),
        ("SCRAM-SHA-256", "y,,", true, Some("28000")),
        ("SCRAM-SHA-256", "p=tls-server-end-point,,", true, Some("08P01")),
        ("PLAIN", "n,,", false, Some("08P01")),
    ]));
}

fn check_mechanism_states(cases: &[(&str, &str, bool, Option<&str>)]) -> bool {
    use super::super::authentication::check_mechanism;
    cases.iter().all(|(mechanism, first, offered, expected)| {
        let error = check_mechanism(mechanism, first.as_bytes(), *offered).err();
        error.map(|error| error.state.code()) == *expected
    })
}

#[tokio::test]
async fn cancel_requests_pass_without_authentication() {
    let proxy = Proxy::with_tls(AuthenticationMethod::ScramSha256, true).await;
    let answer = proxy.answer(b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07key!").await;
    assert_eq!(answer, b"cancel 7 [107, 101, 121, 33]");
}

#[tokio::test]
async fn a_slow_client_is_dropped() {
    let proxy = Proxy::plain(AuthenticationMethod::Trust).await;
    let begun = std::time::Instant::now();
    let answer = proxy.answer(b"\0\0\0\x10").await;
    assert_eq!(answer, b"");
    assert!((Duration::from_millis(900)..Duration::from_secs(4)).contains(&begun.elapsed()));
}

#[tokio::test]
async fn turned_away_clients_learn_why_and_cancels_still_pass() {
    let config = Arc::new(config(AuthenticationMethod::Trust, None));
    let context = context(config);
    let full = || Some(ClientError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already"));
    let (ours, mut client) = UnixStream::pair().unwrap();
    client.write_all(&startup(3 << 16, "user ada database shop")).await.unwrap();
    let mut answer = Vec::new();
    let server = admit_unless(Stream::from(ours), &context, full());
    let (arrival, _) = tokio::join!(server, async {
        client.read_to_end(&mut answer).await.unwrap();
        drop(client);
    });
    assert!(matches!(arrival, Arrival::Gone) && says(&answer, "C53300\0"));
    let (ours, mut client) = UnixStream::pair().unwrap();
    client.write_all(b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07key!").await.unwrap();
    assert!(matches!(admit_unless(Stream::from(ours), &context, full()).await, Arrival::Cancel(_)));
}

#[test]
fn a_session_that_awaits_admission_stays_small() {
    let config = Arc::new(config(AuthenticationMethod::Trust, None));
    let context = context(config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let future = admit(Stream::from(ours), &context);
        assert!(size_of_val(&future) < 512, "{}", size_of_val(&future));
    });
}

#[tokio::test]
async fn rules_know_unix_sockets() {
    use crate::config::{ClientCertificate, HbaConnection, HbaRule, HbaVerdict};
    let mut config = config(AuthenticationMethod::Trust, None);
    config.hba = vec![HbaRule {
        connection: HbaConnection::Local,
        databases: Some(vec!["shop".to_owned()]),
        users: None,
        address: None,
        verdict: HbaVerdict::Check(AuthenticationMethod::Trust),
        certificate: ClientCertificate::Unasked,
        map: None,
    }];
    let context = context(Arc::new(config));
    for (database, answer) in [("shop", &b"R\0\0\0\x08\0\0\0\0S"[..]), ("other", b"E")] {
        let (ours, mut client) = UnixStream::pair().unwrap();
        let server = async { welcome(admit(Stream::from(ours), &context).await).await };
        let conversation = async {
            client.write_all(&startup(3 << 16, &format!("user ada database {database}"))).await.unwrap();
            expect_bytes(&mut client, answer).await;
            if database == "other" {
                client.shutdown().await.unwrap();
                let mut rest = Vec::new();
                client.read_to_end(&mut rest).await.unwrap();
                let entry =
                    "no pg_hba.conf entry for host \"[local]\", user \"ada\", database \"other\", no encryption";
                let rest = String::from_utf8_lossy(&rest).into_owned();
                assert!(rest.contains(entry) && rest.contains("C28000"), "{rest}");
            }
            drop(client);
        };
        tokio::join!(server, conversation);
    }
}
