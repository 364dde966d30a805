//! What the proxy says of itself at one moment: the JSON that its dashboard reads. In: an address. Out: a [`Reading`].

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

use crate::types::limits::TOP_ANSWER_BYTES_MAX;

/// Where the pages are, and as whom they are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// `host:port`
    pub host: String,
    /// The header that shows who asks, if anybody is named.
    pub authorization: Option<String>,
}

impl Address {
    /// From `http://[user:password@]host:port`; user and password may be percent-encoded.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or("the address has to begin with http://")?;
        let rest = rest.trim_end_matches('/');
        let (login, host) = rest.rsplit_once('@').map_or((None, rest), |(login, host)| (Some(login), host));
        if host.is_empty() || host.contains('/') {
            return Err(
                "the address is http://HOST:PORT, with USER:PASSWORD@ before the host if it asks for one".into()
            );
        }
        let authorization = login.map(|login| {
            use base64::Engine;
            let plain = percent_encoding::percent_decode_str(login).collect::<Vec<u8>>();
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(plain))
        });
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        Ok(Self { host: if has_port { host.to_owned() } else { format!("{host}:80") }, authorization })
    }
}

#[derive(Deserialize, Clone, Debug)]
pub struct Reading {
    pub version: String,
    pub uptime_seconds: f64,
    pub draining: bool,
    /// Upper bounds of the classes of durations, in seconds.
    pub bounds: Vec<f64>,
    pub databases: Vec<Database>,
    pub nodes: Vec<Node>,
    pub clients: Vec<Clients>,
    pub running: Vec<Running>,
    pub pools: Vec<Pool>,
    pub in_doubt: Vec<InDoubt>,
}

#[derive(Deserialize, Clone, Debug)]
pub struct Database {
    pub name: String,
    pub home: String,
    pub map_version: Option<String>,
    /// Why nobody is served, if so.
    pub refused: Option<String>,
    pub paused: bool,
    pub totals: Totals,
    pub plans: Vec<Shape>,
    pub slow: Vec<Slow>,
}

#[derive(Deserialize, Clone, Copy, Debug)]
pub struct Totals {
    pub transactions: f64,
    pub requests: f64,
    pub received: f64,
    pub sent: f64,
    pub template_hits: f64,
    pub template_misses: f64,
    pub request_seconds: f64,
}

#[derive(Deserialize, Clone, Debug)]
pub struct Shape {
    pub statement: String,
    pub strategies: Vec<String>,
    pub calls: f64,
    pub errors: f64,
    pub seconds: f64,
    pub longest: f64,
}

#[derive(Deserialize, Clone, Debug)]
pub struct Slow {
    pub seconds: f64,
    pub user: String,
    pub strategy: String,
    pub statement: String,
}

#[derive(Deserialize, Clone, Debug)]
pub struct Node {
    pub database: String,
    pub shard: String,
    pub role: String,
    pub address: String,
    pub problem: Option<String>,
    pub lag_bytes: Option<f64>,
    /// Seconds.
    pub lag: Option<f64>,
    pub up: bool,
    pub failure: Option<String>,
    pub in_use: u64,
    pub connections: u64,
    /// Requests by class of duration.
    pub counts: Vec<f64>,
}

#[derive(Deserialize, Clone, Debug)]
pub struct Clients {
    pub database: String,
    pub phase: String,
    pub count: u64,
}

#[derive(Deserialize, Clone, Debug)]
pub struct Running {
    pub database: String,
    pub client: u64,
    pub user: String,
    pub phase: String,
    pub seconds: f64,
    pub shards: Vec<String>,
    pub strategy: String,
    pub statement: Option<String>,
}

#[derive(Deserialize, Clone, Debug)]
pub struct Pool {
    pub database: String,
    pub user: String,
    pub in_use: u64,
    pub idle: u64,
    pub waiting: u64,
    pub size: u64,
}

#[derive(Deserialize, Clone, Debug)]
pub struct InDoubt {
    pub database: String,
    pub gid: String,
    pub shard: String,
    pub seconds: f64,
    pub state: String,
}

/// # Errors
/// Who doesn't answer, who isn't let in, and what isn't understood, as a sentence.
pub async fn read(address: &Address) -> Result<Reading, String> {
    let fail = |error: &dyn std::fmt::Display| format!("{}: {error}", address.host);
    let stream = TcpStream::connect(&address.host).await.map_err(|error| fail(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| fail(&error))?;
    let connection = tokio::spawn(connection);
    let mut request = Request::get("/api/state").header("host", &address.host).header("connection", "close");
    if let Some(authorization) = &address.authorization {
        request = request.header("authorization", authorization);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| fail(&error))?;
    let answer = sender.send_request(request).await.map_err(|error| fail(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), TOP_ANSWER_BYTES_MAX).collect().await.map_err(|error| fail(&error))?;
    connection.abort();
    match status {
        StatusCode::OK => serde_json::from_slice(&body.to_bytes()).map_err(|error| fail(&error)),
        StatusCode::UNAUTHORIZED => {
            Err(fail(&"it asks for a user with admin = true or stats = true: write http://USER:PASSWORD@HOST:PORT"))
        }
        status => Err(fail(&format_args!("it answers {status}; is this the address of `admin` under [server]?"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_and_without_a_login() {
        let plain = Address::of("http://127.0.0.1:6433/").unwrap();
        assert_eq!((plain.host.as_str(), plain.authorization), ("127.0.0.1:6433", None));
        let secret = Address::of("http://ops:a%40b@proxy").unwrap();
        assert_eq!(secret.host, "proxy:80");
        assert_eq!(secret.authorization.as_deref(), Some("Basic b3BzOmFAYg=="));
        for wrong in ["127.0.0.1:6433", "https://x", "http://", "http://x/y"] {
            assert!(Address::of(wrong).is_err(), "{wrong}");
        }
    }
}
