//! What the servers' configuration files say. In: a server's place and the cluster's options. Out: text.

use std::fmt::Write;
use std::path::Path;

use super::Options;

/// Settings of every server; a cluster's own settings follow them and win.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    // Nothing here must survive a power cut. A killed server still loses no commit: the system's cache
    // has it. That is why synchronous_commit stays on.
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "32MB"),
    ("min_wal_size", "32MB"),
    ("max_wal_size", "256MB"),
    ("wal_level", "logical"),
    ("max_wal_senders", "10"),
    ("max_replication_slots", "10"),
    // A replica that was away for a while finds what it missed.
    ("wal_keep_size", "128MB"),
    ("hot_standby", "on"),
    ("wal_receiver_status_interval", "1s"),
    ("wal_retrieve_retry_interval", "500ms"),
    ("max_prepared_transactions", "100"),
    ("password_encryption", "scram-sha-256"),
    // Compiling costs more than any of these queries.
    ("jit", "off"),
    ("lc_messages", "C"),
    ("log_line_prefix", "%m [%p] %q%u@%d/%a "),
    ("unix_socket_permissions", "0777"),
];

/// The whole of `postgresql.conf`.
pub(super) fn postgresql_conf(name: &str, port: u16, sockets: &Path, options: &Options) -> String {
    let mut text = String::new();
    let mut set = |name: &str, value: &str| {
        writeln!(text, "{name} = '{}'", value.replace('\\', "\\\\").replace('\'', "''"))
            .expect("a String takes any text");
    };
    for (name, value) in SETTINGS {
        set(name, value);
    }
    // A system without time zone files still has GMT, which PostgreSQL knows by itself.
    let zone = if Path::new("/usr/share/zoneinfo/UTC").exists() { "UTC" } else { "GMT" };
    set("timezone", zone);
    set("log_timezone", zone);
    set("max_connections", &options.max_connections.to_string());
    for (name, value) in &options.settings {
        set(name, value);
    }
    set("cluster_name", name);
    set("port", &port.to_string());
    set("unix_socket_directories", &sockets.to_string_lossy());
    text
}

/// The whole of `pg_hba.conf`: the cluster's own lines, then a password for everybody.
pub(super) fn pg_hba(options: &Options) -> String {
    let mut text = String::new();
    for line in options.hba.iter().map(String::as_str).chain([
        "local all all scram-sha-256",
        "host all all 127.0.0.1/32 scram-sha-256",
        "host replication all 127.0.0.1/32 scram-sha-256",
    ]) {
        text.push_str(line);
        text.push('\n');
    }
    text
}
