//! docker-compose.yml, the Dockerfile and what they name, read without Docker: what is mounted exists, what
//! is set is what Shardway and the servers' scripts expect, and the hosts of the configuration are services.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use saphyr::{LoadableYamlNode, Yaml};
use shardway::config::{Config, DatabaseConfig, Loaded, NodeConfig};

const PROXY: &str = "shardway";
const PORT: u16 = 6432;
const SCRIPTS: [&str; 2] = ["docker/replica.sh", "docker/primary/10-roles.sh"];
const TABLES: &str = "docker/primary/20-shop.sql";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(file: &str) -> String {
    let path = repository().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One service, with aliases and `${NAME:-default}` resolved.
#[derive(Default)]
struct Service {
    image: Option<String>,
    build: Option<String>,
    entrypoint: Vec<String>,
    command: Vec<String>,
    environment: BTreeMap<String, String>,
    mounts: Vec<Mount>,
    ports: Vec<String>,
    /// Other services, and the condition that is waited for.
    after: BTreeMap<String, String>,
    is_watched: bool,
}

struct Mount {
    source: String,
    target: String,
}

impl Mount {
    /// A file or directory of the repository; otherwise it is a named volume.
    fn file(&self) -> Option<PathBuf> {
        self.source.starts_with("./").then(|| repository().join(&self.source))
    }
}

struct Compose {
    services: BTreeMap<String, Service>,
    volumes: Vec<String>,
}

impl Compose {
    fn read() -> Self {
        let text = text_of("docker-compose.yml");
        let documents = Yaml::load_from_str(&text).expect("docker-compose.yml is YAML");
        let [document] = documents.as_slice() else { panic!("docker-compose.yml is one document") };
        let services = entries(document.as_mapping_get("services"));
        let volumes = entries(document.as_mapping_get("volumes"));
        Self {
            services: services.into_iter().map(|(name, service)| (name, Service::read(service))).collect(),
            volumes: volumes.into_iter().map(|(name, _)| name).collect(),
        }
    }

    fn service(&self, name: &str) -> &Service {
        self.services.get(name).unwrap_or_else(|| panic!("docker-compose.yml has no service {name}"))
    }

    /// The servers: all services but the proxy.
    fn servers(&self) -> impl Iterator<Item = (&str, &Service)> {
        self.services.iter().filter(|(name, _)| *name != PROXY).map(|(name, service)| (name.as_str(), service))
    }

    /// The configuration that the proxy finds, in the environment that it has.
    fn config(&self) -> Loaded {
        let proxy = self.service(PROXY);
        let text = std::fs::read_to_string(config_mount(proxy).file().expect("the configuration is in the repository"))
            .expect("the mounted configuration can be read");
        Config::from_toml(&text, &|name| proxy.environment.get(name).cloned())
            .unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    fn database(&self) -> DatabaseConfig {
        let databases: Vec<_> = self.config().config.databases.into_values().collect();
        let [database] = databases.as_slice() else { panic!("the configuration has one database") };
        database.clone()
    }
}

/// The mount whose target the command names behind `--config`.
fn config_mount(proxy: &Service) -> &Mount {
    let [option, path] = proxy.command.as_slice() else { panic!("the command is --config FILE") };
    assert_eq!(option, "--config");
    proxy.mounts.iter().find(|mount| mount.target == *path).unwrap_or_else(|| panic!("nothing is mounted at {path}"))
}

impl Service {
    fn read(yaml: &Yaml<'_>) -> Self {
        let mut service = Self::default();
        for (key, value) in entries(Some(yaml)) {
            match key.as_str() {
                "image" => service.image = Some(scalar(value)),
                "build" => service.build = Some(scalar(value)),
                "entrypoint" => service.entrypoint = list(value),
                "command" => service.command = list(value),
                "environment" => {
                    service.environment =
                        entries(Some(value)).into_iter().map(|(name, value)| (name, scalar(value))).collect();
                }
                "volumes" => service.mounts = list(value).iter().map(|mount| parse_mount(mount)).collect(),
                "ports" => service.ports = list(value),
                "depends_on" => {
                    service.after = entries(Some(value))
                        .into_iter()
                        .map(|(name, how)| (name, how.as_mapping_get("condition").map(scalar).unwrap_or_default()))
                        .collect();
                }
                "healthcheck" => service.is_watched = value.as_mapping_get("test").is_some(),
                "user" => {}
                other => panic!("this test doesn't know what `{other}` of a service means"),
            }
        }
        service
    }
}

fn parse_mount(text: &str) -> Mount {
    let mut parts = text.split(':').map(str::to_owned);
    let (Some(source), Some(target)) = (parts.next(), parts.next()) else { panic!("{text} is no mount") };
    Mount { source, target }
}

fn entries<'y, 'i>(yaml: Option<&'y Yaml<'i>>) -> Vec<(String, &'y Yaml<'i>)> {
    let mapping = yaml.and_then(Yaml::as_mapping).expect("a mapping");
    mapping.iter().map(|(key, value)| (scalar(key), value)).collect()
}

fn list(yaml: &Yaml<'_>) -> Vec<String> {
    yaml.as_vec().expect("a list").iter().map(scalar).collect()
}

fn scalar(yaml: &Yaml<'_>) -> String {
    interpolated(yaml.as_str().unwrap_or_else(|| panic!("{yaml:?} should be a text")))
}

/// `${NAME:-default}` as Compose reads it where NAME is not set.
fn interpolated(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${") else { return text.to_owned() };
    let (inside, after) = rest.split_once('}').expect("a closing brace");
    let (_, default) = inside.split_once(":-").unwrap_or_else(|| panic!("{inside} has no default"));
    format!("{before}{default}{}", interpolated(after))
}

#[test]
fn what_is_mounted_exists() {
    let compose = Compose::read();
    for (name, service) in &compose.services {
        for mount in &service.mounts {
            match mount.file() {
                Some(path) => assert!(path.exists(), "{name} mounts {}, which doesn't exist", mount.source),
                None => assert!(compose.volumes.contains(&mount.source), "{name}: no volume {}", mount.source),
            }
        }
        if let Some(context) = &service.build {
            assert!(repository().join(context).join("Dockerfile").exists(), "{name} has nothing to be built from");
        }
        assert!(service.image.is_some() != service.build.is_some(), "{name}: one of image and build");
    }
}

#[test]
fn shardway_gets_a_configuration_that_holds() {
    let compose = Compose::read();
    let Loaded { config, warnings } = compose.config();
    assert!(warnings.is_empty(), "{warnings:?}");
    let proxy = compose.service(PROXY);
    let [listen] = config.server.listen.as_slice() else { panic!("one address to listen on") };
    assert!(listen.ip().is_unspecified(), "other containers must reach it");
    assert_eq!(listen.port(), PORT);
    assert_eq!(proxy.ports, [format!("127.0.0.1:{PORT}:{PORT}")]);
    // The servers know the user by the password that Shardway uses.
    for user in &config.users {
        let password = user.password.as_ref().expect("a password").reveal();
        assert_eq!(proxy.environment.get("SHOP_PASSWORD").map(String::as_str), Some(password));
        assert!(text_of(SCRIPTS[1]).contains(&format!("CREATE ROLE {} LOGIN", user.name)));
    }
}

#[test]
fn the_image_runs_what_the_command_line_has() {
    let dockerfile = text_of("Dockerfile");
    let compose = Compose::read();
    let config = &config_mount(compose.service(PROXY)).target;
    assert!(dockerfile.contains("ENTRYPOINT [\"shardway\"]"));
    assert!(dockerfile.contains(&format!("CMD [\"--config\", \"{config}\"]")));
    assert!(dockerfile.contains(&format!("EXPOSE {PORT}")));
    let help = Command::new(env!("CARGO_BIN_EXE_shardway")).arg("--help").output().expect("the binary starts");
    assert!(String::from_utf8_lossy(&help.stdout).contains("--config <FILE>"));
}

#[test]
fn every_host_of_the_configuration_is_a_service() {
    let compose = Compose::read();
    let database = compose.database();
    let mut hosts = Vec::new();
    let mut check = |node: &NodeConfig| {
        assert_eq!(node.port, 5432, "the images listen there");
        assert!(compose.services.contains_key(&node.host), "no service {}", node.host);
        let after = compose.service(PROXY).after.get(&node.host);
        assert_eq!(after.map(String::as_str), Some("service_healthy"), "Shardway waits for {}", node.host);
        hosts.push(node.host.clone());
    };
    for shard in &database.shards {
        check(&shard.primary);
        shard.replicas.iter().for_each(&mut check);
        let primary = compose.service(&shard.primary.host);
        assert_eq!(primary.environment.get("POSTGRES_DB"), Some(&database.name));
        for replica in &shard.replicas {
            let replica = compose.service(&replica.host);
            assert_eq!(replica.environment.get("PRIMARY_HOST"), Some(&shard.primary.host));
            assert!(replica.after.contains_key(&shard.primary.host));
            let name = "REPLICATION_PASSWORD";
            assert_eq!(replica.environment.get(name), primary.environment.get(name));
            // max_prepared_transactions may not be less than the primary's.
            assert_eq!(replica.command, primary.command);
        }
    }
    hosts.sort();
    let servers: Vec<_> = compose.servers().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(hosts, servers, "each server has its place, and no server has two");
}

#[test]
fn who_is_waited_for_says_when_it_is_ready() {
    let compose = Compose::read();
    for service in compose.services.values() {
        for (name, condition) in &service.after {
            assert_eq!(condition, "service_healthy");
            assert!(compose.service(name).is_watched, "{name} has no health check");
        }
    }
    for (name, server) in compose.servers() {
        assert!(server.is_watched, "{name} has no health check");
        assert_eq!(server.image.as_deref(), Some("postgres:16"), "{name}: primary and replica share a format");
    }
}

#[test]
fn the_scripts_are_shell_and_find_their_variables() {
    let compose = Compose::read();
    for script in SCRIPTS {
        let path = repository().join(script);
        let syntax = Command::new("sh").arg("-n").arg(&path).output().expect("there is a shell");
        assert!(syntax.status.success(), "{script}: {}", String::from_utf8_lossy(&syntax.stderr));
        let users: Vec<_> = compose
            .servers()
            .filter(|(_, server)| server.mounts.iter().filter_map(Mount::file).any(|mounted| holds(&mounted, &path)))
            .collect();
        assert_eq!(users.len(), 2, "one server a shard uses {script}");
        let text = text_of(script);
        for name in variables(&text) {
            // The image sets it unless the service does.
            let is_set = |server: &Service| name == "PGDATA" || server.environment.contains_key(&name);
            for (user, server) in &users {
                assert!(is_set(server), "{script} uses {name}, which {user} doesn't set");
            }
        }
    }
    for (name, server) in compose.servers().filter(|(_, server)| !server.entrypoint.is_empty()) {
        let script = server.entrypoint.last().expect("it isn't empty");
        assert!(server.mounts.iter().any(|mount| mount.target == *script), "{name}: nothing is mounted at {script}");
        // The copy gets its name by a rename, which must not leave the volume.
        let data = server.environment.get("PGDATA").expect("a replica says where its data is");
        let volume = server.mounts.iter().find(|mount| mount.file().is_none()).expect("a volume for the data");
        assert!(Path::new(data).parent() == Some(Path::new(&volume.target)), "{name}: {data} is not in the volume");
    }
}

fn holds(mounted: &Path, file: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().expect("it exists");
    whole(file).starts_with(whole(mounted))
}

/// The names in capitals behind a dollar sign: those in small letters are the script's own.
fn variables(script: &str) -> Vec<String> {
    let code = script.lines().filter(|line| !line.trim_start().starts_with('#'));
    let is_part = |character: &char| character.is_ascii_uppercase() || *character == '_';
    code.flat_map(|line| line.split('$').skip(1))
        .map(|rest| rest.trim_start_matches('{').chars().take_while(is_part).collect::<String>())
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn the_tables_of_the_configuration_are_created() {
    let sql = text_of(TABLES);
    for table in Compose::read().database().tables {
        let start = format!("CREATE TABLE {} (", table.name);
        let definition = sql.split_once(&start).unwrap_or_else(|| panic!("{TABLES} doesn't create {}", table.name)).1;
        if let shardway::config::TableKind::Sharded { key, .. } = &table.kind {
            let columns = definition.split_once(");").map_or(definition, |(columns, _)| columns);
            let has_key = columns.lines().any(|line| line.trim_start().starts_with(&format!("{key} ")));
            assert!(has_key, "{} has no column {key}", table.name);
        }
    }
}

#[test]
fn the_readers_of_this_test_read_right() {
    assert_eq!(interpolated("a ${X:-b} c ${Y:-d}"), "a b c d");
    assert_eq!(variables("# $NO\npsql \"$YES\" ${ALSO} $copy \"$(x)\" $@"), ["YES", "ALSO"]);
}
