//! What others have written and operators use: a browser on the dashboard, an exporter for PgBouncer on the console.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shardway::devcluster::on_path;

use super::http::{get, start};
use super::support::{NodeEnv, PythonEnv, expect_success, free_port, provide, target_directory};
use super::{becomes, cluster, connect, proxy};

/// The exporter as it is published, with newer versions of what it needs: its own need a compiler.
const EXPORTER: [&str; 6] = [
    "--no-deps",
    "prometheus-pgbouncer-exporter==2.1.2",
    "psycopg2-binary>=2.9,<3",
    "prometheus_client>=0.20,<1",
    "python-json-logger>=2,<3",
    "PyYAML>=6,<7",
];

/// Ends the process with the test.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_exporter_for_pgbouncer_reads_the_console() {
    let mut app = connect(proxy(), "app", "shop");
    for id in 0..50 {
        app.rows(&format!("SELECT name FROM users WHERE id = {id}"));
    }
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let pooler = proxy().address();
    let config = target_directory().join(format!("exporter-{}.yml", address.port()));
    let text = format!(
        "exporter_host: 127.0.0.1\nexporter_port: {}\npgbouncers:\n  - dsn: postgresql://watch:watch-secret@{pooler}/pgbouncer\n",
        address.port()
    );
    std::fs::write(&config, text).expect("target/ can be written to");
    let python = PythonEnv::with("exporter", &EXPORTER);
    let mut exporter = python.command("tests/operators/pgbouncer_exporter.py");
    exporter.arg("--config").arg(&config).stdin(Stdio::null()).stdout(Stdio::null());
    let mut exporter = Running(exporter.spawn().expect("it is installed"));
    becomes("the exporter listens", || {
        assert!(exporter.0.try_wait().expect("it is ours").is_none(), "the exporter ended");
        std::net::TcpStream::connect(address).is_ok()
    });
    let (status, text) = get(address, "/metrics");
    assert_eq!(status, 200, "{text}");
    let value = |series: &str| -> f64 {
        let line =
            text.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("{series}\n{text}"));
        line.trim().parse().unwrap_or_else(|_| panic!("{line}"))
    };
    assert_eq!(value("pgbouncer_up "), 1.0, "{text}");
    assert!(value("pgbouncer_stats_queries_total{database=\"shop\"}") >= 50.0, "{text}");
    assert!(value("pgbouncer_pools_client_active_connections{database=\"shop\",user=\"app\"}") >= 1.0, "{text}");
    assert!(text.contains("pgbouncer_databases_database_pool_size{"), "{text}");
    assert!(text.contains("pgbouncer_config_max_client_conn"), "{text}");
}

#[test]
fn the_dashboard_in_a_browser_while_load_runs() {
    provide(&["chromium"], &["chromium"]);
    let other = cluster().database_toml("other");
    let (proxy, address) = start("127.0.0.1", &format!("[log]\nslow_statement = \"100ms\"\n{other}"));
    becomes("it is ready", || get(address, "/ready").0 == 200);
    let pictures = target_directory().join("dashboard");
    std::fs::create_dir_all(&pictures).expect("target/ can be written to");
    let stop = AtomicBool::new(false);
    let shown = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut app = connect(&proxy, "app", "shop");
            app.rows("SELECT pg_sleep(0.15)");
            let refused = app.query("DO 'BEGIN END'").expect("answered");
            assert!(refused.error().is_some());
            while !stop.load(Ordering::Relaxed) {
                for id in [3, 3, 3, 3, 5, 7] {
                    app.rows(&format!("SELECT name FROM users WHERE id = {id}"));
                }
                app.rows("SELECT name FROM users ORDER BY id LIMIT 3");
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let browser = on_path("chromium").expect("it was provided");
        let node = NodeEnv::with("browser", &["playwright-core@1.56"]);
        let arguments = [&format!("http://{address}"), &*browser.to_string_lossy(), &*pictures.to_string_lossy()];
        let output = std::panic::catch_unwind(|| node.run("tests/operators/browse.mjs", &arguments.map(|text| text)));
        stop.store(true, Ordering::Relaxed);
        output.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    for wanted in [
        "title: Shardway",
        "cell: bucket ",
        "on shard ",
        "select name from users where id=?",
        "select pg_sleep(?)",
        "users.id = 3",
        "a (home)",
        "2 nodes up",
        "do ?",
        "merge",
    ] {
        assert!(shown.contains(wanted), "{wanted} is not in\n{shown}");
    }
}

#[test]
fn top_shows_what_happens_in_a_terminal_and_as_text() {
    let other = cluster().database_toml("other");
    let (proxy, address) = start("127.0.0.1", &format!("[log]\nslow_statement = \"100ms\"\n{other}"));
    becomes("it is ready", || get(address, "/ready").0 == 200);
    let url = format!("http://{address}");
    let stop = AtomicBool::new(false);
    let shown = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut app = connect(&proxy, "app", "shop");
            app.rows("SELECT pg_sleep(0.15)");
            while !stop.load(Ordering::Relaxed) {
                app.rows("SELECT name FROM users WHERE id = 3");
            }
        });
        let program = env!("CARGO_BIN_EXE_shardway");
        becomes("load runs", || get(address, "/metrics").1.contains("strategy=\"key\""));
        let once = Command::new(program).args(["top", "--url", &url, "--database", "shop", "--once"]).output();
        let terminal = PythonEnv::get().output("tests/operators/terminal.py", &[program, &url]);
        stop.store(true, Ordering::Relaxed);
        expect_success("top in a terminal", &terminal);
        expect_success("top --once", &once.expect("it starts"))
    });
    for wanted in
        ["database shop", "a (home)", "replica", "select name from users where id=?", "select pg_sleep(?)", "app"]
    {
        assert!(shown.contains(wanted), "{wanted} is not in\n{shown}");
    }
    let rate = shown.lines().find_map(|line| line.split_once(" requests/s")?.0.parse::<f64>().ok());
    assert!(rate.is_some_and(|rate| rate > 1.0), "{shown}");

    // Who may not look is told how to.
    let (_closed, address) = start("0.0.0.0", "");
    let top = |url: &str| Command::new(env!("CARGO_BIN_EXE_shardway")).args(["top", "--once", "--url", url]).output();
    let refused = top(&format!("http://{address}")).expect("it starts");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("admin = true or stats = true"), "{said}");
    let admitted = top(&format!("http://watch:watch-secret@{address}")).expect("it starts");
    assert!(expect_success("top of a user", &admitted).contains("requests/s"));
}
