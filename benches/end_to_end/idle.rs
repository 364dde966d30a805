//! What a client costs that has run a statement and waits: the growth of the proxy's resident memory
//! over a thousand of them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::contenders::{POOL_SIZE, Proxy, pgbouncer, pgbouncer_program, shardway};
use crate::servers::{Servers, WHOLE};

pub const NAME: &str = "idle clients";
pub const CLIENTS: usize = 1_000;
/// Before the first figure is read: pools, caches and the allocator's arenas are filled.
const WARM_UP: usize = 50;
/// For the proxy to give back what it held for the last statements.
const SETTLE: Duration = Duration::from_millis(500);

/// KiB of memory per idle client.
#[derive(Debug)]
pub struct Idle {
    pub name: &'static str,
    pub kib: f64,
}

/// # Errors
/// When a proxy can't be started or doesn't answer.
pub fn measure(servers: &Servers) -> Result<Vec<Idle>, String> {
    let mut all = Vec::new();
    if let Some(program) = pgbouncer_program() {
        let proxy = pgbouncer(servers, &program, "pgbouncer-idle", "transaction", POOL_SIZE)?;
        all.push(Idle { name: "PgBouncer", kib: per_client(servers, &proxy)? });
    }
    for (name, workers) in [("Shardway, workers = 1", Some(1)), ("Shardway, default workers", None)] {
        let proxy = shardway(servers, "shardway-idle", workers, POOL_SIZE)?;
        all.push(Idle { name, kib: per_client(servers, &proxy)? });
    }
    Ok(all)
}

fn per_client(servers: &Servers, proxy: &Proxy) -> Result<f64, String> {
    let fail = |error: std::io::Error| format!("an idle client: {error}");
    let connect = |_| client(servers, proxy);
    let warm: Vec<TcpStream> = (0..WARM_UP).map(connect).collect::<Result<_, _>>().map_err(fail)?;
    std::thread::sleep(SETTLE);
    let before = resident_kib(proxy.pid())?;
    let idle: Vec<TcpStream> = (0..CLIENTS).map(connect).collect::<Result<_, _>>().map_err(fail)?;
    std::thread::sleep(SETTLE);
    let after = resident_kib(proxy.pid())?;
    drop((warm, idle));
    Ok((after - before) / CLIENTS as f64)
}

/// A client that has run one statement.
fn client(servers: &Servers, proxy: &Proxy) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port()))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    // Protocol 3.0 (PostgreSQL documentation, 55.7).
    let mut startup = 196_608_i32.to_be_bytes().to_vec();
    for text in ["user", servers.cluster.user(), "database", WHOLE, ""] {
        startup.extend_from_slice(text.as_bytes());
        startup.push(0);
    }
    send(&mut stream, None, &startup)?;
    await_ready(&mut stream)?;
    send(&mut stream, Some(b'Q'), b"SELECT abalance FROM pgbench_accounts WHERE aid = 1\0")?;
    await_ready(&mut stream)?;
    Ok(stream)
}

fn send(stream: &mut TcpStream, tag: Option<u8>, body: &[u8]) -> std::io::Result<()> {
    let mut frame: Vec<u8> = tag.into_iter().collect();
    let length = i32::try_from(body.len() + 4).map_err(std::io::Error::other)?;
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(body);
    stream.write_all(&frame)
}

fn await_ready(stream: &mut TcpStream) -> std::io::Result<()> {
    loop {
        let mut header = [0; 5];
        stream.read_exact(&mut header)?;
        let [tag, a, b, c, d] = header;
        let length = usize::try_from(i32::from_be_bytes([a, b, c, d])).map_err(std::io::Error::other)?;
        let mut body = vec![0; length.saturating_sub(4)];
        stream.read_exact(&mut body)?;
        match tag {
            b'Z' => return Ok(()),
            b'E' => {
                return Err(std::io::Error::other(String::from_utf8_lossy(&body).into_owned()));
            }
            _ => {}
        }
    }
}

fn resident_kib(pid: u32) -> Result<f64, String> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix("kB")).and_then(|number| number.trim().parse().ok());
    number.ok_or_else(|| format!("{path} has no VmRSS"))
}
