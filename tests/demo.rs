//! The demo, as a newcomer runs it: it serves, says where statements go, and leaves nothing.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shardway::devcluster::Installation;
use support::{expect_success, free_port};

struct Demo {
    process: Child,
    port: u16,
    /// What it had printed when it was ready.
    shown: String,
    /// Where it said that its servers are.
    directory: PathBuf,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let port = free_port();
        let mut process = Command::new(env!("CARGO_BIN_EXE_shardway"))
            .args(["demo", "--port", &port.to_string()])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary has been built");
        let mut output = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut errors = BufReader::new(process.stderr.take().expect("it is piped"));
        let mut shown = String::new();
        for line in output.by_ref().lines().map_while(Result::ok) {
            shown.push_str(&line);
            shown.push('\n');
            if line.contains("Ctrl-C stops everything") {
                break;
            }
        }
        let mut progress = String::new();
        let directory = loop {
            let mut line = String::new();
            if errors.read_line(&mut line).expect("it can be read") == 0 {
                panic!("the demo ended early:\n{progress}{shown}");
            }
            if let Some((_, directory)) = line.trim_end().split_once(" servers in ") {
                break PathBuf::from(directory);
            }
            progress.push_str(&line);
        };
        // The pipes are dropped now: the demo must not mind that nobody reads on.
        Self { process, port, shown, directory }
    }

    fn query(&self, sql: &str) -> Output {
        let installation = Installation::find().expect("the demo has found one");
        let url = format!("postgres://shop:shop@127.0.0.1:{}/shop", self.port);
        let mut psql = installation.command("psql");
        psql.args(["-X", "-A", "-t", "-c", sql, &url]).output().expect("psql can be run")
    }

    fn processes(&self) -> Vec<PathBuf> {
        let entries = self.directory.read_dir().expect("the demo is running").flatten();
        let files = entries.flat_map(|entry| [entry.path().join("data/postmaster.pid"), entry.path()]);
        let pid_files = files.filter(|file| file.is_file() && file.extension().is_some_and(|kind| kind == "pid"));
        let texts = pid_files.map(|file| std::fs::read_to_string(file).expect("it can be read"));
        let pids = texts.filter_map(|text| text.lines().next().map(|pid| pid.trim().to_owned()));
        pids.map(|pid| Path::new("/proc").join(pid)).collect()
    }

    /// Signals it, and checks that it ends well and leaves no process.
    fn end(mut self, signal: Signal) -> PathBuf {
        let processes = self.processes();
        assert!(processes.len() >= 2 && processes.iter().all(|process| process.exists()));
        let pid = i32::try_from(self.process.id()).expect("pids are small");
        kill(Pid::from_raw(pid), signal).expect("the demo is running");
        let status = self.process.wait().expect("it ends");
        assert!(status.success(), "{status}");
        let left: Vec<_> = processes.iter().filter(|process| process.exists()).collect();
        assert!(left.is_empty(), "{left:?} are still running");
        self.directory.clone()
    }
}

impl Drop for Demo {
    /// After a failed check; a demo that has ended can't be killed.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_demo_serves_a_shop_and_leaves_nothing() {
    let demo = Demo::start(&["--shards", "2", "--replicas", "1"]);
    assert_eq!(demo.processes().len(), 5, "four servers and Shardway");
    let routed = demo.shown.lines().filter(|line| line.trim_start().starts_with("Shardway:")).count();
    assert!(routed >= 3, "each example says where it goes:\n{}", demo.shown);
    let parts = |role: &str| demo.shown.lines().filter(|line| line.contains(&format!(", {role} "))).count();
    assert!(parts("replica") >= 4 && parts("primary") == 0, "reads prefer replicas:\n{}", demo.shown);
    assert!(demo.shown.contains(&format!("postgres://shop:shop@127.0.0.1:{}/shop", demo.port)));
    let name = expect_success("psql", &demo.query("SELECT id FROM users WHERE id = 42"));
    assert_eq!(name, "42\n");
    let all = expect_success("psql", &demo.query("SELECT id FROM users"));
    assert_eq!(all.lines().count(), 1000);
    let directory = demo.end(Signal::SIGINT);
    assert!(!directory.exists(), "{} is still there", directory.display());
}

#[test]
fn the_demo_keeps_its_data_when_told() {
    let directory = Demo::start(&["--shards", "1", "--replicas", "0", "--keep"]).end(Signal::SIGTERM);
    assert!(directory.join("a/data/PG_VERSION").exists());
    assert!(directory.join("shardway.toml").exists());
    std::fs::remove_dir_all(directory).expect("it can be removed");
}

#[test]
fn the_demo_says_that_its_port_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_shardway"))
        .args(["demo", "--port", &port])
        .output()
        .expect("the binary has been built");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(message.contains(&port) && message.contains("--port"), "{message}");
}

/// The blocks of code of a document, as their language and their text.
fn blocks(document: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(support::repository_file(document)).expect("it is there");
    let mut all = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (line.trim().strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => all.extend(open.take()),
            (Some(language), None) => open = Some((language.to_owned(), String::new())),
            (None, Some((_, body))) => {
                body.push_str(line.trim());
                body.push('\n');
            }
            (None, None) => {}
        }
    }
    all
}

/// A line without what differs between runs: ports, costs, and how wide psql makes its columns.
fn plain(line: &str) -> String {
    let cut = |text: &str, mark: &str, end: &[char]| match text.split_once(mark) {
        Some((before, rest)) => {
            let rest = rest.find(end).map_or("", |at| &rest[at..]);
            format!("{before}{mark}*{rest}")
        }
        None => text.to_owned(),
    };
    let line = cut(&cut(line, "127.0.0.1:", &[' ', '/']), "(cost=", &[')']);
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    words.iter_mut().filter(|word| word.trim_matches(['-', '+']).is_empty()).for_each(|word| *word = "-".to_owned());
    words.join(" ")
}

/// If these lines are as shown; `...` stands for any number of them.
fn matches(shown: &[String], lines: &[String]) -> bool {
    match shown.split_first() {
        None => lines.is_empty(),
        Some((dots, rest)) if dots == "..." => (0..=lines.len()).any(|at| matches(rest, &lines[at..])),
        Some((line, rest)) => lines.first() == Some(line) && matches(rest, &lines[1..]),
    }
}

fn run(demo: &Demo, command: &str) -> String {
    let programs = Installation::find().expect("the demo has found one").programs().to_owned();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").expect("there is one"));
    let url = format!("postgres://shop:shop@127.0.0.1:{}/shop", demo.port);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{command} 2>&1")]).env("PATH", path).env("URL", url).env("PSQL_PAGER", "");
    let output = shell.output().expect("there is a shell");
    String::from_utf8(output.stdout).expect("it is text")
}

#[test]
fn the_readme_shows_what_the_demo_answers() {
    let demo = Demo::start(&["--shards", "2", "--replicas", "1"]);
    let mut ran = 0;
    for (language, body) in blocks("README.md") {
        if language == "sh" {
            for command in body.lines().filter(|line| line.starts_with("psql $URL ")) {
                let answer = run(&demo, command);
                assert!(!answer.is_empty() && !answer.contains("ERROR"), "{command}:\n{answer}");
                ran += 1;
            }
        }
        for example in body.split("$ psql $URL ").skip(1).filter(|_| language == "console") {
            let (arguments, shown) = example.split_once('\n').expect("a command and what it shows");
            let answer = run(&demo, &format!("psql $URL {arguments}"));
            let lines = |text: &str| text.lines().map(plain).filter(|line| !line.is_empty()).collect::<Vec<_>>();
            let mut shown = lines(shown);
            // Where the head of the table is left out, it is as everywhere.
            if !shown.contains(&"-".to_owned()) && !answer.starts_with("ERROR") {
                shown.insert(0, "...".to_owned());
            }
            assert!(matches(&shown, &lines(&answer)), "{arguments}:\n{answer}");
            ran += 1;
        }
    }
    assert!(ran >= 8, "{ran} commands");
}
