//! Clients under load, and what they saw; for the tests that take their servers away.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use shardway::devcluster::Cluster;

use super::support::Proxy;
use super::wire::{self, Client};

pub fn connect(cluster: &Cluster, proxy: &Proxy, database: &str) -> Client {
    let connected = Client::connect(proxy.address(), cluster.user(), database);
    connected.unwrap_or_else(|error| panic!("{error}\n{}", proxy.log()))
}

#[track_caller]
pub fn becomes(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ends those who look at the flag, also when a test panics: a scope waits for its threads.
pub struct StopsAtEnd<'f>(pub &'f AtomicBool);

impl Drop for StopsAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What clients of one kind saw.
#[derive(Default)]
pub struct Load {
    pub answered: AtomicUsize,
    pub failures: Mutex<Vec<String>>,
    /// When clients were answered without an error.
    pub times: Mutex<Vec<Instant>>,
    pub stop: AtomicBool,
}

impl Load {
    pub fn note(&self, turn: &wire::Turn) -> bool {
        if let Some(report) = turn.error() {
            self.failures.lock().expect("no panics").push(format!("{} {}", report.code, report.message));
        } else if turn.status == 0 {
            self.failures.lock().expect("no panics").push("the connection ended".to_owned());
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
        let is_done = turn.error().is_none() && turn.status != 0;
        if is_done {
            self.times.lock().expect("no panics").push(Instant::now());
        }
        is_done
    }

    /// Until so many more have been answered.
    #[track_caller]
    pub fn goes_on(&self, more: usize) {
        let before = self.answered.load(Ordering::SeqCst);
        becomes("clients are answered", || {
            self.answered.load(Ordering::SeqCst) >= before + more
                || !self.failures.lock().expect("no panics").is_empty()
        });
    }

    /// Until so many more have been answered without an error, whatever others see.
    #[track_caller]
    pub fn succeeds(&self, more: usize) {
        let before = self.times.lock().expect("no panics").len();
        becomes("clients are answered", || self.times.lock().expect("no panics").len() >= before + more);
    }

    /// The longest time in which no client was answered, and its end.
    pub fn longest_wait(&self) -> (Duration, Instant) {
        let mut times = self.times.lock().expect("no panics").clone();
        times.sort();
        let gaps = times.windows(2).map(|pair| (pair[1].duration_since(pair[0]), pair[1]));
        gaps.max().expect("clients were answered")
    }

    #[track_caller]
    pub fn has_no_failure(&self, proxy: &Proxy) {
        let failures = self.failures.lock().expect("no panics");
        assert!(failures.is_empty(), "{failures:?}\n{}", proxy.log());
    }
}

/// How many ways of reading there are.
pub const READERS: usize = 5;

/// Reads by a Query, by a statement that is prepared once, by one that is parsed each time without a name, by one that
/// is named, described, bound and closed each in its turn, as drivers do, and by one that is named in the same turn.
pub fn read_on(load: &Load, client: &mut Client, number: usize) {
    let sql = "SELECT count(*) FROM notes WHERE id = 1";
    let parse = |name| wire::Messages::default().parse(name, sql, &[]);
    if number == 1 {
        load.note(&client.turn(parse("s").sync()).expect("answered"));
    }
    while !load.stop.load(Ordering::SeqCst) {
        let turn = match number {
            0 => client.query(sql),
            1 => client.turn(wire::Messages::default().bind("s", &[], 0).execute(0).sync()),
            3 => {
                load.note(&client.turn(parse("n").describe_statement("n").sync()).expect("answered"));
                load.note(
                    &client.turn(wire::Messages::default().bind("n", &[], 0).execute(0).sync()).expect("answered"),
                );
                client.turn(wire::Messages::default().close_statement("n").sync())
            }
            4 => {
                load.note(&client.turn(parse("m").bind("m", &[], 0).execute(0).sync()).expect("answered"));
                client.turn(wire::Messages::default().close_statement("m").sync())
            }
            _ => client.turn(parse("").bind("", &[], 0).describe_portal().execute(0).sync()),
        };
        load.note(&turn.expect("answered"));
    }
}

/// Inserts rows that must be there afterwards, each once; a second time would be an error.
pub fn insert_on(load: &Load, client: &mut Client, number: usize, next: &AtomicUsize, done: &Mutex<BTreeSet<u64>>) {
    while !load.stop.load(Ordering::SeqCst) {
        let id = next.fetch_add(1, Ordering::Relaxed) as u64 + 1;
        let sql = format!("INSERT INTO notes VALUES ({id}, {id}, 'load')");
        let turn = match number % 2 {
            0 => client.query(&sql),
            _ => client.turn(wire::Messages::default().parse("", &sql, &[]).bind("", &[], 0).execute(0).sync()),
        };
        if load.note(&turn.expect("answered")) {
            done.lock().expect("no panics").insert(id);
        }
    }
}

/// A series of the metrics that are served there.
pub fn metric(address: SocketAddr, series: &str) -> f64 {
    let mut stream = TcpStream::connect(address).expect("the pages are served");
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered in UTF-8");
    let value =
        answer.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("{series}: {answer}"));
    value.trim().parse().expect("a number")
}
