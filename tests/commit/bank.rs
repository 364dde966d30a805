//! A bank on three shards: concurrent transfers through two proxies, while proxies and servers are killed
//! and connections cut. Afterwards each account has what its moves say, each acknowledged move is there
//! on both sides, none is there on one side only, and what each client was told is the truth.
//!
//! `SHARDWAY_BANK_SECONDS` lets it run for longer.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rand::RngExt;
use shardway::devcluster::Cluster;

use crate::client::{Wire, sqlstate};
use crate::support::Proxy;
use crate::world::{cluster, failing_proxy, on, settled};

const ACCOUNTS: i64 = 40;
const CLIENTS: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    Committed,
    RolledBack,
    Nothing,
}

struct Transfer {
    id: i64,
    from: i64,
    to: i64,
    told: Told,
}

struct Bank {
    cluster: Cluster,
    proxies: Vec<RwLock<Proxy>>,
    failpoints: String,
    over: AtomicBool,
    transfers: Mutex<Vec<Transfer>>,
    next: AtomicI64,
}

/// What is wrong in the end; empty if nothing is.
struct Findings {
    lines: Vec<String>,
    committed: usize,
    unknown: usize,
}

impl Bank {
    fn open(failpoints: &str) -> Self {
        let cluster = cluster(&[]);
        let proxies: Vec<_> = (0..2).map(|_| failing_proxy(&cluster, failpoints)).collect();
        let mut wire = crate::world::ready(&proxies[0]);
        for id in 0..ACCOUNTS {
            wire.run(&format!("INSERT INTO accounts VALUES ({id}, 1000)"));
        }
        Self {
            cluster,
            proxies: proxies.into_iter().map(RwLock::new).collect(),
            failpoints: failpoints.to_owned(),
            over: AtomicBool::new(false),
            transfers: Mutex::default(),
            next: AtomicI64::new(1),
        }
    }

    /// Transfers for so long, and on (for two minutes at most) until there is `enough` to judge by, since a busy
    /// machine may be slow; `disturb` is called again and again meanwhile.
    fn run(&self, time: Duration, enough: impl Fn(&Self) -> bool, disturb: impl Fn(&Self)) {
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                scope.spawn(move || self.client(number));
            }
            let begin = Instant::now();
            while begin.elapsed() < time || (!enough(self) && begin.elapsed() < Duration::from_secs(120)) {
                disturb(self);
            }
            self.over.store(true, Ordering::Release);
        });
    }

    fn committed(&self) -> usize {
        let transfers = self.transfers.lock().expect("not poisoned");
        transfers.iter().filter(|transfer| transfer.told == Told::Committed).count()
    }

    fn client(&self, number: usize) {
        let proxy = &self.proxies[number % self.proxies.len()];
        let mut wire: Option<Wire> = None;
        while !self.over.load(Ordering::Acquire) {
            let Some(open) = &mut wire else {
                let address = proxy.read().expect("not poisoned").address();
                // The proxy may be dead just now.
                if std::net::TcpStream::connect(address).is_ok() {
                    wire = std::panic::catch_unwind(|| Wire::with(address, &[]).ok()).ok().flatten();
                }
                std::thread::sleep(Duration::from_millis(10));
                continue;
            };
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            let mut rng = rand::rng();
            let from = rng.random_range(0..ACCOUNTS);
            let to = (from + rng.random_range(1..ACCOUNTS)) % ACCOUNTS;
            let told = transfer(open, id, from, to, rng.random_range(1..5));
            self.transfers.lock().expect("not poisoned").push(Transfer { id, from, to, told });
            if told == Told::Nothing || rng.random_bool(0.02) {
                wire = None;
            }
        }
    }

    fn replace_proxy(&self, number: usize) {
        let mut place = self.proxies[number].write().expect("not poisoned");
        let _ = place.process().signal(Signal::SIGKILL);
        std::thread::sleep(Duration::from_millis(50));
        *place = failing_proxy(&self.cluster, &self.failpoints);
    }

    /// Restarts what has died, settles, and compares everything.
    fn close(self) -> Findings {
        for (number, proxy) in self.proxies.iter().enumerate() {
            if proxy.read().expect("not poisoned").process().ended().is_some() {
                self.replace_proxy(number);
            }
        }
        settled(&self.cluster);
        let mut lines = Vec::new();
        let rows = |sql: &str| -> Vec<String> {
            self.cluster
                .shards()
                .iter()
                .flat_map(|shard| on(&shard.primary, sql).lines().map(str::to_owned).collect::<Vec<_>>())
                .collect()
        };
        let wrong = rows(
            "SELECT a.id || ' has ' || balance || ' instead of ' || 1000 + coalesce((SELECT sum(amount) FROM moves WHERE account = a.id), 0)
             FROM accounts a WHERE balance <> 1000 + coalesce((SELECT sum(amount) FROM moves WHERE account = a.id), 0)",
        );
        lines.extend(wrong.into_iter().map(|line| format!("account {line}")));
        let there: std::collections::HashSet<String> =
            rows("SELECT account || '/' || id FROM moves").into_iter().collect();
        let transfers = self.transfers.into_inner().expect("not poisoned");
        let (mut committed, mut unknown) = (0, 0);
        for Transfer { id, from, to, told } in &transfers {
            let sides = [from, to].map(|account| there.contains(&format!("{account}/{id}")));
            committed += usize::from(*told == Told::Committed);
            unknown += usize::from(*told == Told::Nothing);
            let truth = match told {
                Told::Committed => sides == [true; 2],
                Told::RolledBack => sides == [false; 2],
                Told::Nothing => sides[0] == sides[1],
            };
            if !truth {
                lines.push(format!("transfer {id} from {from} to {to}: told {told:?}, there {sides:?}"));
            }
        }
        let total: i64 =
            rows("SELECT coalesce(sum(balance), 0) FROM accounts").iter().map(|sum| sum.parse::<i64>().unwrap()).sum();
        if total != 1000 * ACCOUNTS {
            lines.push(format!("the bank has {total} instead of {}", 1000 * ACCOUNTS));
        }
        Findings { lines, committed, unknown }
    }
}

fn transfer(wire: &mut Wire, id: i64, from: i64, to: i64, amount: i64) -> Told {
    let statements = [
        "BEGIN".to_owned(),
        format!("UPDATE accounts SET balance = balance - {amount} WHERE id = {from}"),
        format!("INSERT INTO moves VALUES ({from}, '{id}', -{amount})"),
        format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {to}"),
        format!("INSERT INTO moves VALUES ({to}, '{id}', {amount})"),
        "COMMIT".to_owned(),
    ];
    for (number, sql) in statements.iter().enumerate() {
        use std::io::Write;
        if wire.stream.write_all(&crate::message::query(sql)).is_err() {
            return Told::Nothing;
        }
        let frames = wire.until(b'Z', 1);
        let is_last = number + 1 == statements.len();
        match sqlstate(&frames).as_deref() {
            _ if frames.last().is_none_or(|frame| frame.tag != b'Z') => {
                return if is_last { Told::Nothing } else { lost_before_commit(wire) };
            }
            Some("08007") if is_last => return Told::Nothing,
            Some(_) => {
                let frames = wire.query("ROLLBACK");
                assert!(frames.iter().all(|frame| frame.tag != b'E'), "ROLLBACK failed: {frames:?}");
                return Told::RolledBack;
            }
            None if is_last => {
                let committed = frames.iter().any(|frame| frame.tag == b'C' && frame.body == b"COMMIT\0");
                return if committed { Told::Committed } else { Told::RolledBack };
            }
            None => {}
        }
    }
    Told::Nothing
}

/// Without a COMMIT nothing can have been done; the connection is of no use any more.
fn lost_before_commit(wire: &mut Wire) -> Told {
    let _ = wire.stream.shutdown(std::net::Shutdown::Both);
    Told::Nothing
}

fn seconds(default: u64) -> Duration {
    let wanted = std::env::var("SHARDWAY_BANK_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(wanted.unwrap_or(default))
}

#[test]
fn balances_are_exact_whatever_dies() {
    // Beside random kills: some at each point, and answers that are lost.
    let bank = Bank::open(
        "noted:kill:1,prepared_some:kill:1,prepared:kill:1,deciding:kill:1,decided:kill:1,finished_some:kill:1,\
         deciding:lose:5,prepared_some:lose:3,finished_some:lose:3,prepared:hold:700:3",
    );
    let kills = AtomicI64::new(0);
    let enough = |bank: &Bank| bank.committed() > 50 && kills.load(Ordering::Relaxed) > 2;
    bank.run(seconds(8), enough, |bank| {
        let mut rng = rand::rng();
        std::thread::sleep(Duration::from_millis(rng.random_range(50..400)));
        for number in 0..2 {
            if bank.proxies[number].read().expect("not poisoned").process().ended().is_some() {
                kills.fetch_add(1, Ordering::Relaxed);
                bank.replace_proxy(number);
            }
        }
        let shard = rng.random_range(0..3);
        match rng.random_range(0..10) {
            0 => {
                bank.replace_proxy(rng.random_range(0..2));
                kills.fetch_add(1, Ordering::Relaxed);
            }
            1 => {
                bank.cluster.primary(shard).kill9().expect("it runs");
                bank.cluster.primary(shard).restart().expect("it starts again");
                kills.fetch_add(1, Ordering::Relaxed);
            }
            2..5 => {
                // Cuts connections at random.
                let _ = bank.cluster.primary(shard).sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'app'
                     AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND random() < 0.3",
                );
            }
            _ => {}
        }
    });
    let findings = bank.close();
    println!("{} committed, {} unknown, {} kills", findings.committed, findings.unknown, kills.load(Ordering::Relaxed));
    assert!(findings.lines.is_empty(), "{}", findings.lines.join("\n"));
    assert!(findings.committed > 50 && kills.load(Ordering::Relaxed) > 2, "nothing was tried");
}

/// The same without the fence: whoever finds no record takes it for a rollback. The harness must see it.
#[test]
fn without_the_fence_money_is_lost() {
    let bank = Bank::open("without_fence,prepared:hold:1500:20");
    let time = seconds(5).min(Duration::from_secs(5));
    bank.run(time, |bank| bank.committed() > 50, |_| std::thread::sleep(Duration::from_millis(100)));
    let findings = bank.close();
    assert!(!findings.lines.is_empty(), "{} transfers, and nothing wrong is seen", findings.committed);
}

/// What `SET shardway.consistency = 'atomic'` promises, while commits are held between their shards.
#[test]
fn atomic_reads_see_no_half_of_a_transfer() {
    let bank = Bank::open("decided:hold:20:30");
    let address = bank.proxies[0].read().expect("not poisoned").address();
    let reader = Mutex::new(Wire::connect(address));
    let whole = (ACCOUNTS * 1000).to_string();
    let (seen, late) = (AtomicI64::new(0), AtomicI64::new(0));
    {
        let mut wire = reader.lock().expect("not poisoned");
        wire.run("SET shardway.consistency = 'atomic'");
        assert_eq!(wire.value("SHOW shardway.consistency"), "atomic");
    }
    let enough = |bank: &Bank| seen.load(Ordering::Relaxed) > 5 && bank.committed() > 10;
    bank.run(seconds(4), enough, |_| {
        let mut wire = reader.lock().expect("not poisoned");
        for sql in ["SELECT sum(balance) FROM accounts", "SELECT sum(a.balance) FROM (SELECT balance FROM accounts) a"]
        {
            let frames = wire.query(sql);
            match sqlstate(&frames).as_deref() {
                None => {
                    let value =
                        frames.iter().find(|frame| frame.tag == b'D').and_then(|frame| frame.values()[0].clone());
                    assert_eq!(value.as_deref(), Some(whole.as_str()), "{sql}");
                    seen.fetch_add(1, Ordering::Relaxed);
                }
                // It was told that it can be tried again.
                Some("40001") => drop(late.fetch_add(1, Ordering::Relaxed)),
                Some(other) => panic!("{sql}: {other}"),
            }
        }
        wire.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
        let frames = wire.query("SELECT sum(balance) FROM accounts");
        match sqlstate(&frames).as_deref() {
            None => assert_eq!(wire.value("SELECT sum(balance) FROM accounts"), whole),
            Some("40001") => drop(late.fetch_add(1, Ordering::Relaxed)),
            Some(other) => panic!("in a block: {other}"),
        }
        wire.run("ROLLBACK");
    });
    let mut wire = reader.lock().expect("not poisoned");
    wire.run("BEGIN");
    assert_eq!(wire.fails("SELECT sum(balance) FROM accounts"), "0A000");
    wire.run("ROLLBACK");
    wire.run("RESET shardway.consistency");
    assert_eq!(wire.value("SHOW shardway.consistency"), "default");
    drop(wire);
    let (seen, late) = (seen.load(Ordering::Relaxed), late.load(Ordering::Relaxed));
    println!("{seen} sums, {late} times none");
    assert!(seen > 5, "{seen} sums, {late} times none");
    assert!(bank.close().committed > 10, "nothing was moved");
}
