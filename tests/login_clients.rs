//! Logging in at our door with psql: every method, sslmode and channel binding.

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use shardway::config::{
    AddressRange, AuthenticationMethod, ClientCertificate, Config, DatabaseConfig, HbaConnection, HbaRule, HbaVerdict,
    LogConfig, LogFormat, MappedName, PoolConfig, ReadPolicy, Secret, ServerConfig, ServerTlsConfig, UserConfig,
};
use shardway::devcluster::Installation;
use shardway::net::Stream;
use shardway::observe::Observed;
use shardway::protocol::backend;
use shardway::session::authentication::LoginSecrets;
use shardway::session::database::Databases;
use shardway::session::startup::{AdmissionContext, Admitted, Arrival, admit};
use shardway::types::ShardId;

const LIMIT: Duration = Duration::from_secs(60);

/// Our side: logs clients in and answers each query with who they are.
async fn door(method: AuthenticationMethod, tls: Option<ServerTlsConfig>) -> SocketAddr {
    door_with(door_config(method, tls)).await
}

async fn door_with(config: Config) -> SocketAddr {
    let config = Arc::new(config);
    let databases = Arc::new(Databases::new(Arc::clone(&config), None, &Observed::default()));
    let context = AdmissionContext::new(config, Arc::new(LoginSecrets::generate()), databases);
    let context = Arc::new(context.unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let context = Arc::clone(&context);
            tokio::spawn(async move {
                if let Arrival::Client(admitted) = admit(Stream::from(socket), &context).await {
                    serve(*admitted).await;
                }
            });
        }
    });
    address
}

async fn serve(mut admitted: Admitted) {
    let framed = &mut admitted.framed;
    backend::parameter(&mut framed.outbound, "client_encoding", "UTF8");
    backend::parameter(&mut framed.outbound, "server_version", "15.0");
    backend::backend_key(&mut framed.outbound, 1, b"key!");
    loop {
        backend::ready(&mut framed.outbound, backend::Status::Idle);
        if framed.flush().await.is_err() || framed.fill().await.unwrap_or(0) == 0 {
            return;
        }
        if framed.inbound.first() == Some(&b'X') {
            return;
        }
        framed.inbound.clear();
        let tls = if framed.stream.is_tls() { "tls" } else { "plain" };
        backend::text_columns(&mut framed.outbound, &["user", "database", "tls", "geqo"]);
        let geqo = admitted.settings.iter().find(|(name, _)| name == "geqo").map(|(_, value)| value.as_str());
        let row = [Some(admitted.user.name.as_str()), Some(&admitted.database), Some(tls), geqo];
        backend::text_row(&mut framed.outbound, &row);
        backend::command_complete(&mut framed.outbound, "SELECT 1");
    }
}

/// What PostgreSQL stores for the password `pässword`.
const STORED: &str = "SCRAM-SHA-256$4096:IpuHyJI5HsZqyddbCAzW6Q==$nC5it2jz5/axUct7OsVQjvJrJE52xSZuShLaE0rAQ34=:Dw9al0pHC47TNAYq0T6mVZrAoE5o/JdXDpQJ9nOVeII=";

fn door_config(authentication: AuthenticationMethod, tls: Option<ServerTlsConfig>) -> Config {
    let user = |name: &str, password: &str| UserConfig {
        name: name.to_owned(),
        password: Some(Secret::new(password)),
        server_user: None,
        server_password: None,
        stats: false,
        admin: false,
        databases: Vec::new(),
        pool_size: None,
        limits: shardway::config::ClientLimits::default(),
    };
    let shop = DatabaseConfig {
        name: "shop".to_owned(),
        home: ShardId::new(0),
        shards: Vec::new(),
        tables: Vec::new(),
        reads: ReadPolicy::Primary,
        new_tables: None,
        safe_functions: Vec::new(),
        buckets: None,
        pool_size: 20,
        limits: shardway::config::ClientLimits::default(),
        auth: None,
        gather_rows_max: 1,
        gather_bytes_max: 1,
        auto_setup: true,
        recovery_interval: std::time::Duration::from_secs(10),
        commit_timeout: std::time::Duration::from_secs(60),
        max_replica_lag: None,
        replication: shardway::config::ReplicationConfig::USUAL,
    };
    Config {
        server: ServerConfig {
            state_file: None,
            statistics: true,
            listen: Vec::new(),
            unix_socket_directory: None,
            admin: None,
            workers: 1,
            tls,
            authentication,
            clients_max: 10,
            drain_timeout: LIMIT,
            startup_timeout: LIMIT,
        },
        pool: PoolConfig {
            size: 1,
            wait_timeout: LIMIT,
            connect_timeout: LIMIT,
            idle_max: LIMIT,
            lifetime_max: LIMIT,
            connects_max: 1,
            prepared_statements_max: 1,
        },
        hba: Vec::new(),
        users: vec![user("ada", "pässword"), user("stored", STORED)],
        databases: BTreeMap::from([("shop".to_owned(), shop)]),
        log: LogConfig { format: LogFormat::Human, level: "info".to_owned(), slow_statement: None, slow_values: false },
        traces: None,
    }
}

/// psql's rows, or what it complained about.
async fn psql(address: SocketAddr, user: &str, password: &str, more: &str) -> Result<String, String> {
    let conninfo = format!("host=localhost port={} user={user} password={password} {more}", address.port());
    let output = tokio::task::spawn_blocking(move || {
        let mut psql = Installation::find().unwrap().command("psql");
        psql.args(["-X", "-A", "-t", "-c", "SELECT", &conninfo]).output().unwrap()
    });
    let output = output.await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

async fn psql_fails(address: SocketAddr, user: &str, password: &str, more: &str, why: &str) {
    let error = psql(address, user, password, more).await.unwrap_err();
    assert!(error.contains(why), "{more}: {error}");
}

fn certificate(directory: &Path, algorithm: &'static rcgen::SignatureAlgorithm) -> ServerTlsConfig {
    std::fs::create_dir_all(directory).unwrap();
    let key_pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (directory.join("door.crt"), directory.join("door.key"));
    std::fs::write(&certificate, parameters.self_signed(&key_pair).unwrap().pem()).unwrap();
    std::fs::write(&key, key_pair.serialize_pem()).unwrap();
    ServerTlsConfig { certificate, key, client_ca: None, required: false }
}

#[tokio::test]
async fn psql_logs_in() {
    for method in [AuthenticationMethod::ScramSha256, AuthenticationMethod::Md5] {
        let address = door(method, None).await;
        let more = "dbname=shop options=-cgeqo=off";
        assert_eq!(psql(address, "ada", "pässword", more).await.unwrap(), "ada|shop|plain|off");
        for user in ["ada", "eve"] {
            let refused = format!("FATAL:  password authentication failed for user \"{user}\"");
            psql_fails(address, user, "wrong", "dbname=shop", &refused).await;
        }
        psql_fails(address, "ada", "pässword", "", "database \"ada\" does not exist").await;
        psql_fails(address, "ada", "pässword", "dbname=shop sslmode=require", "does not support SSL").await;
    }
}

#[tokio::test]
async fn a_stored_verifier_stands_for_the_password() {
    let address = door(AuthenticationMethod::ScramSha256, None).await;
    let more = "dbname=shop options=-cgeqo=off";
    assert_eq!(psql(address, "stored", "pässword", more).await.unwrap(), "stored|shop|plain|off");
    for wrong in ["wrong", STORED] {
        psql_fails(address, "stored", wrong, "dbname=shop", "password authentication failed for user \"stored\"").await;
    }
}

#[tokio::test]
async fn psql_logs_in_with_tls_and_channel_binding() {
    let directory = support::target_directory().join(format!("door-{:016x}", rand::random::<u64>()));
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let tls = certificate(&directory, algorithm);
        let root = tls.certificate.display().to_string();
        let address = door(AuthenticationMethod::ScramSha256, Some(tls)).await;
        for (more, how) in [
            ("sslmode=disable", "plain"),
            ("sslmode=prefer", "tls"),
            ("sslmode=require channel_binding=disable", "tls"),
            ("sslmode=require channel_binding=require", "tls"),
            (&format!("sslmode=verify-full sslrootcert={root} channel_binding=require"), "tls"),
        ] {
            let more = format!("dbname=shop {more}");
            assert_eq!(psql(address, "ada", "pässword", &more).await.unwrap(), format!("ada|shop|{how}|"));
            psql_fails(address, "ada", "wrong", &more, "password authentication failed").await;
            psql_fails(address, "eve", "wrong", &more, "password authentication failed").await;
        }
        let plain = "dbname=shop sslmode=disable channel_binding=require";
        psql_fails(address, "ada", "pässword", plain, "channel binding").await;
    }
    let tls = ServerTlsConfig { required: true, ..certificate(&directory, &rcgen::PKCS_ED25519) };
    let address = door(AuthenticationMethod::ScramSha256, Some(tls)).await;
    assert_eq!(psql(address, "ada", "pässword", "dbname=shop").await.unwrap(), "ada|shop|tls|");
    psql_fails(address, "ada", "pässword", "dbname=shop sslmode=disable", "requires TLS").await;
    std::fs::remove_dir_all(directory).unwrap();
}

fn rule(connection: HbaConnection, database: &str, user: &str, address: &str, verdict: HbaVerdict) -> HbaRule {
    let names = |name: &str| (name != "all").then(|| vec![name.to_owned()]);
    let address = (address != "all").then(|| AddressRange::parse(address).unwrap());
    let certificate = ClientCertificate::Unasked;
    HbaRule { connection, databases: names(database), users: names(user), address, verdict, certificate, map: None }
}

#[tokio::test]
async fn the_first_rule_that_fits_decides_about_psql() {
    use HbaConnection::{Host, HostPlain, HostTls};
    let directory = support::target_directory().join(format!("door-{:016x}", rand::random::<u64>()));
    let tls = certificate(&directory, &rcgen::PKCS_ECDSA_P256_SHA256);
    let trust = HbaVerdict::Check(AuthenticationMethod::Trust);
    let scram = HbaVerdict::Check(AuthenticationMethod::ScramSha256);
    let md5 = HbaVerdict::Check(AuthenticationMethod::Md5);
    let mut config = door_config(AuthenticationMethod::Trust, Some(tls));
    config.hba = vec![
        rule(Host, "all", "all", "10.0.0.0/8", trust),
        rule(HostPlain, "shop", "ada", "127.0.0.0/8", HbaVerdict::Reject),
        rule(HostTls, "shop", "ada", "127.0.0.1", md5),
        rule(HostTls, "shop", "stored", "all", md5),
        rule(HostPlain, "shop", "stored", "all", trust),
        rule(HostTls, "pgbouncer", "ada", "all", scram),
    ];
    let address = door_with(config).await;
    assert_eq!(psql(address, "ada", "pässword", "dbname=shop sslmode=require").await.unwrap(), "ada|shop|tls|");
    psql_fails(address, "ada", "wrong", "dbname=shop sslmode=require", "password authentication failed").await;
    let rejected =
        "FATAL:  pg_hba.conf rejects connection for host \"127.0.0.1\", user \"ada\", database \"shop\", no encryption";
    psql_fails(address, "ada", "pässword", "dbname=shop sslmode=disable", rejected).await;
    // md5 with a verifier of SCRAM is SCRAM.
    assert_eq!(psql(address, "stored", "pässword", "dbname=shop sslmode=require").await.unwrap(), "stored|shop|tls|");
    psql_fails(address, "stored", "wrong", "dbname=shop sslmode=require", "password authentication failed").await;
    assert_eq!(psql(address, "stored", "wrong", "dbname=shop sslmode=disable").await.unwrap(), "stored|shop|plain|");
    // The console's database is one; who may use it is asked after the password.
    psql_fails(address, "ada", "wrong", "dbname=pgbouncer sslmode=require", "password authentication failed").await;
    psql_fails(address, "ada", "pässword", "dbname=pgbouncer sslmode=require", "permission denied for database").await;
    for (more, encryption) in [("sslmode=require", "SSL encryption"), ("sslmode=disable", "no encryption")] {
        let nobody = format!(
            "FATAL:  no pg_hba.conf entry for host \"127.0.0.1\", user \"eve\", database \"shop\", {encryption}"
        );
        psql_fails(address, "eve", "x", &format!("dbname=shop {more}"), &nobody).await;
    }
    std::fs::remove_dir_all(directory).unwrap();
}

/// Certificates for these names, signed by one authority, and the authority's own; psql's options by name.
struct ClientCertificates(PathBuf);

impl ClientCertificates {
    fn make(directory: &Path, names: &[&str]) -> Self {
        use std::os::unix::fs::PermissionsExt;
        std::fs::create_dir_all(directory).unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let own = authority.self_signed(&authority_key).unwrap();
        std::fs::write(directory.join("ca.crt"), own.pem()).unwrap();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        for name in names {
            let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
            parameters.distinguished_name = rcgen::DistinguishedName::new();
            parameters.distinguished_name.push(rcgen::DnType::CommonName, *name);
            let key = rcgen::KeyPair::generate().unwrap();
            let signed = parameters.signed_by(&key, &issuer).unwrap();
            let key_file = directory.join(format!("{name}.key"));
            std::fs::write(directory.join(format!("{name}.crt")), signed.pem()).unwrap();
            std::fs::write(&key_file, key.serialize_pem()).unwrap();
            std::fs::set_permissions(key_file, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        Self(directory.to_owned())
    }

    fn authority(&self) -> PathBuf {
        self.0.join("ca.crt")
    }

    fn options(&self, name: &str) -> String {
        let file = |end: &str| self.0.join(format!("{name}.{end}")).display().to_string();
        format!("dbname=shop sslmode=require sslcert={} sslkey={}", file("crt"), file("key"))
    }
}

#[tokio::test]
async fn psql_comes_with_a_certificate() {
    let directory = support::target_directory().join(format!("door-{:016x}", rand::random::<u64>()));
    let ours = ClientCertificates::make(&directory.join("ours"), &["ada", "stored", "eve"]);
    let theirs = ClientCertificates::make(&directory.join("theirs"), &["ada"]);
    let tls = ServerTlsConfig {
        client_ca: Some(ours.authority()),
        ..certificate(&directory, &rcgen::PKCS_ECDSA_P256_SHA256)
    };
    let mut config = door_config(AuthenticationMethod::Trust, Some(tls));
    let asking = |user: &str, verdict, certificate| HbaRule {
        certificate,
        ..rule(HbaConnection::HostTls, "shop", user, "all", verdict)
    };
    let scram = HbaVerdict::Check(AuthenticationMethod::ScramSha256);
    config.hba = vec![
        asking("ada", HbaVerdict::Certificate, ClientCertificate::Named),
        asking("eve", HbaVerdict::Certificate, ClientCertificate::Named),
        asking("stored", scram, ClientCertificate::Named),
    ];
    let mut mapped = config.clone();
    let by = |common_name: &str, users: Option<&[&str]>| MappedName {
        common_name: common_name.to_owned(),
        users: users.map(|users| users.iter().map(|user| (*user).to_owned()).collect()),
    };
    mapped.hba = vec![HbaRule {
        map: Some(vec![by("eve", Some(&["ada"])), by("stored", None)]),
        ..asking("all", HbaVerdict::Certificate, ClientCertificate::Named)
    }];
    let mut signed = config.clone();
    signed.hba = vec![asking("all", scram, ClientCertificate::Signed)];
    let address = door_with(config).await;
    let without = format!("dbname=shop sslmode=require sslcert={}", directory.join("none.crt").display());
    let missing = "FATAL:  connection requires a valid client certificate";

    assert_eq!(psql(address, "ada", "unasked", &ours.options("ada")).await.unwrap(), "ada|shop|tls|");
    psql_fails(address, "ada", "pässword", &without, missing).await;
    let another = "FATAL:  certificate authentication failed for user \"ada\"";
    psql_fails(address, "ada", "pässword", &ours.options("stored"), another).await;
    psql_fails(address, "eve", "x", &ours.options("eve"), "FATAL:  role \"eve\" does not exist").await;
    // Somebody else's authority: no TLS, and not a word of PostgreSQL's protocol.
    let error = psql(address, "ada", "pässword", &theirs.options("ada")).await.unwrap_err();
    assert!(!error.contains("FATAL"), "{error}");

    assert_eq!(psql(address, "stored", "pässword", &ours.options("stored")).await.unwrap(), "stored|shop|tls|");
    let refused = "password authentication failed for user \"stored\"";
    psql_fails(address, "stored", "wrong", &ours.options("stored"), refused).await;
    psql_fails(address, "stored", "pässword", &ours.options("ada"), refused).await;
    psql_fails(address, "stored", "pässword", &without, missing).await;

    let address = door_with(mapped).await;
    for (user, certificate) in [("ada", "eve"), ("ada", "stored"), ("stored", "stored")] {
        let logged_in = psql(address, user, "unasked", &ours.options(certificate)).await.unwrap();
        assert_eq!(logged_in, format!("{user}|shop|tls|"), "{certificate}");
    }
    for (user, certificate) in [("ada", "ada"), ("stored", "eve")] {
        let other = format!("FATAL:  certificate authentication failed for user \"{user}\"");
        psql_fails(address, user, "unasked", &ours.options(certificate), &other).await;
    }

    let address = door_with(signed).await;
    assert_eq!(psql(address, "stored", "pässword", &ours.options("ada")).await.unwrap(), "stored|shop|tls|");
    psql_fails(address, "stored", "wrong", &ours.options("stored"), refused).await;
    psql_fails(address, "stored", "pässword", &without, missing).await;
    psql_fails(address, "stored", "pässword", "dbname=shop sslmode=disable", "no pg_hba.conf entry").await;
    std::fs::remove_dir_all(directory).unwrap();
}
