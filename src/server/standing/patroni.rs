//! Asks Patroni's REST API who a shard's leader is. In: the URLs of its members. Out: what the first that answers says.
//! Patroni's word is asked for, and confirmed by looking at the node; when nobody answers the nodes speak for themselves.

use std::time::Duration;

use crate::net::timer::{Instant, sleep_until, timeout};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use crate::types::limits::{NODE_LOOK_PAUSE, PATRONI_ANSWER_BYTES_MAX, PATRONI_TIMEOUT};

/// What Patroni says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// Host and port of the leader.
    Leader(String, u16),
    /// There is none at the moment.
    Nobody,
    /// None of its members answered.
    Nothing,
}

/// Tells what Patroni says until nobody listens.
pub(super) async fn watch_patroni(
    urls: Vec<String>,
    interval: Duration,
    mut wanted: watch::Receiver<()>,
    tell: mpsc::UnboundedSender<Said>,
) {
    let mut first = 0;
    loop {
        let began = Instant::now();
        wanted.mark_unchanged();
        let mut said = Said::Nothing;
        // Whoever answered last time is asked first.
        for offset in 0..urls.len() {
            let at = (first + offset) % urls.len();
            let Some(url) = urls.get(at) else { continue };
            match timeout(PATRONI_TIMEOUT, ask(url)).await.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
                Ok(answer) => {
                    said = answer;
                    first = at;
                    break;
                }
                Err(error) => tracing::debug!(url, error, "Patroni doesn't answer"),
            }
        }
        if tell.send(said).is_err() {
            return;
        }
        tokio::select! {
            () = sleep_until(began + interval) => {}
            changed = wanted.changed() => if changed.is_err() { sleep_until(began + interval).await },
        }
        sleep_until(began + NODE_LOOK_PAUSE).await;
    }
}

/// `GET /cluster`.
async fn ask(url: &str) -> Result<Said, String> {
    let address = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let stream = TcpStream::connect(address).await.map_err(|error| text(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| text(&error))?;
    let connection = tokio::spawn(connection);
    let request =
        Request::get("/cluster").header("host", address).header("connection", "close").body(Empty::<Bytes>::new());
    let asked = async {
        let answer = sender.send_request(request.map_err(|error| text(&error))?).await.map_err(|error| text(&error))?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it answers {}", answer.status()));
        }
        let body =
            Limited::new(answer.into_body(), PATRONI_ANSWER_BYTES_MAX).collect().await.map_err(|error| text(&error))?;
        read(&body.to_bytes())
    };
    let said = asked.await;
    connection.abort();
    said
}

/// The leader among the members, as Patroni's documentation has it.
fn read(body: &[u8]) -> Result<Said, String> {
    let cluster: serde_json::Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let members = cluster.get("members").and_then(serde_json::Value::as_array).ok_or("there are no members in it")?;
    let word = |member: &serde_json::Value, name: &str| {
        member.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    };
    let is_leader = |member: &&serde_json::Value| {
        word(member, "role") == "leader" && matches!(word(member, "state").as_str(), "running" | "streaming")
    };
    let Some(leader) = members.iter().find(is_leader) else { return Ok(Said::Nobody) };
    let port = leader.get("port").and_then(serde_json::Value::as_u64).and_then(|port| u16::try_from(port).ok());
    Ok(Said::Leader(word(leader, "host"), port.ok_or("the leader has no port")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leader_is_the_member_that_leads_and_runs() {
        let member = |name: &str, role: &str, state: &str, port: u16| {
            format!(
                r#"{{"name": "{name}", "role": "{role}", "state": "{state}", "api_url": "http://10.0.0.1:8008/patroni", "host": "10.0.0.1", "port": {port}, "timeline": 2, "lag": 0}}"#
            )
        };
        let cluster = |members: &[String]| format!(r#"{{"members": [{}], "scope": "demo"}}"#, members.join(", "));
        let (replica, leader) = (member("a", "replica", "running", 5432), member("b", "leader", "running", 5433));
        let both = cluster(&[replica.clone(), leader]);
        assert_eq!(read(both.as_bytes()), Ok(Said::Leader("10.0.0.1".to_owned(), 5433)));
        assert_eq!(read(cluster(&[replica]).as_bytes()), Ok(Said::Nobody));
        // A standby cluster's leader takes no writes, and one that doesn't run neither.
        for (role, state) in [("standby_leader", "running"), ("leader", "stopped"), ("sync_standby", "streaming")] {
            assert_eq!(read(cluster(&[member("a", role, state, 1)]).as_bytes()), Ok(Said::Nobody), "{role} {state}");
        }
        assert!(read(b"{}").is_err() && read(b"no").is_err());
    }
}
