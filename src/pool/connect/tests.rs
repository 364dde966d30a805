use std::io;

use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::{NodePreference, NodeTls, NodeTlsMode, Secret};

fn login() -> Login {
    Login::with_password("ada", Some(Secret::new("secret")))
}

fn node(port: u16, mode: NodeTlsMode) -> NodeConfig {
    let tls = NodeTls { mode, root_certificate: None };
    NodeConfig {
        host: "127.0.0.1".to_owned(),
        port,
        database: "shop".to_owned(),
        tls,
        preference: NodePreference::NONE,
    }
}

/// A server that sends `bytes` once the start-up message is there, and then waits for the end.
async fn server(bytes: Vec<u8>) -> (u16, JoinHandle<io::Result<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await?;
        read_startup(&mut socket).await?;
        socket.write_all(&bytes).await?;
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await?;
        Ok(rest)
    });
    (port, task)
}

async fn read_startup(socket: &mut TcpStream) -> io::Result<()> {
    let length = socket.read_u32().await?;
    let mut body = vec![0; length as usize - 4];
    socket.read_exact(&mut body).await.map(drop)
}

async fn outcome(bytes: &[u8]) -> Result<Connected, ConnectError> {
    outcome_within(bytes, Duration::from_secs(60)).await
}

async fn outcome_within(bytes: &[u8], limit: Duration) -> Result<Connected, ConnectError> {
    let (port, _task) = server(bytes.to_vec()).await;
    connect(&node(port, NodeTlsMode::Disable), &login(), "test", limit).await
}

/// For servers of which nothing comes that ends the attempt.
const SHORT: Duration = Duration::from_millis(300);

const READY: &[u8] = b"R\0\0\0\x08\0\0\0\0\
    S\0\0\0\x0bz\0last\0S\0\0\0\x08a\0b\0S\0\0\0\x0az\0now\0\
    N\0\0\0\x0eMwelcome\0\0\
    K\0\0\0\x0c\0\0\x01\x02\x01\x02\x03\x04\
    Z\0\0\0\x05I";

#[tokio::test]
async fn all_that_was_sent_is_kept_and_nothing_more_is_said() {
    let behind = b"N\0\0\0\x0cMhello\0\0";
    let (port, task) = server([READY, &behind[..]].concat()).await;
    let node = node(port, NodeTlsMode::Disable);
    let connected = connect(&node, &login(), "test", Duration::from_secs(5)).await.unwrap();
    assert_eq!((connected.process_id, connected.secret_key.as_slice()), (258, &[1, 2, 3, 4][..]));
    let expected = [("z", "last"), ("a", "b"), ("z", "now")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(connected.parameters, expected, "in order, doubles included");
    let mut framed = connected.framed;
    while framed.inbound.len() < behind.len() {
        framed.fill().await.unwrap();
    }
    assert_eq!(&framed.inbound[..], behind);
    drop(framed);
    assert_eq!(task.await.unwrap().unwrap(), b"", "no Terminate was sent");
}

fn error_frame(fields: &[u8]) -> Vec<u8> {
    let length = u32::try_from(fields.len() + 5).unwrap().to_be_bytes();
    [b"E", &length[..], fields, b"\0"].concat()
}

#[tokio::test]
async fn refusals_carry_the_servers_words() {
    let refused = outcome(&error_frame(b"SFATAL\0C53300\0Mtoo many\0")).await.unwrap_err();
    let refusal = Refusal { sqlstate: "53300".to_owned(), message: "too many".to_owned() };
    assert_eq!(refused.refusal(), Some(&refusal));
    assert!(refused.may_pass());
    let told = refused.to_client_error(&node(5432, NodeTlsMode::Disable));
    assert_eq!(told.state, SqlState::TOO_MANY_CONNECTIONS);
    assert!(told.message.contains("127.0.0.1:5432") && told.detail.unwrap().contains("too many"));
    // Not UTF-8, as a server may say it that doesn't know the client's encoding yet.
    let refused = outcome(&error_frame(b"C28P01\0Mfalsch \xfc\0")).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().message, "falsch \u{fffd}");
    assert!(!refused.may_pass());
    let after = [&READY[..READY.len() - 6], &error_frame(b"C57P03\0")].concat();
    assert_eq!(outcome(&after).await.unwrap_err().refusal().unwrap().sqlstate, "57P03");
}

#[test]
fn a_postmaster_without_processes_is_understood() {
    let mut received = BytesMut::from(&b"Ecould not fork new process for connection: no\n\0"[..]);
    let refusal = read_handshake(&mut received).unwrap_err();
    assert_eq!(refusal.message, "could not fork new process for connection: no");
    assert!(ConnectError::Refused(refusal).may_pass());
}

#[tokio::test]
async fn servers_that_are_none() {
    let silent = outcome_within(b"", SHORT).await.unwrap_err();
    assert!(matches!(silent, ConnectError::TimedOut(_)), "{silent}");
    let flood = outcome(&[&READY[..9], &b"N\0\0\0\x0eMwelcome\0\0".repeat(1 << 17)].concat()).await.unwrap_err();
    assert!(matches!(&flood, ConnectError::Handshake(why) if why.contains("get ready")), "{flood}");
    for nonsense in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"R\0\0\0\x08\0\0\0\x07", b"Z\0\0\0\x05I"] {
        let error = outcome_within(nonsense, SHORT).await.unwrap_err();
        assert!(matches!(error, ConnectError::Handshake(_) | ConnectError::TimedOut(_)), "{error}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let gone = connect(&node(port, NodeTlsMode::Disable), &login(), "test", Duration::from_secs(5)).await;
    assert!(matches!(gone.unwrap_err(), ConnectError::Net(NetError::Unreachable(_))));
}

#[tokio::test]
async fn no_answer_to_the_tls_request_but_s_goes_on() {
    for (answer, mode, expected) in [
        (&b"N"[..], NodeTlsMode::Require, "does not support TLS"),
        (b"N", NodeTlsMode::VerifyFull, "does not support TLS"),
        (b"E\0\0\0\x09secret", NodeTlsMode::Prefer, "with an error"),
        (b"SR\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", NodeTlsMode::Prefer, "handshake failed"),
        (b"", NodeTlsMode::Prefer, "lost"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            read_startup(&mut socket).await.unwrap();
            socket.write_all(answer).await.unwrap();
            socket.shutdown().await.unwrap();
            let _ = socket.read_to_end(&mut Vec::new()).await;
        });
        let error = connect(&node(port, mode), &login(), "test", Duration::from_secs(5)).await.unwrap_err();
        assert!(error.to_string().contains(expected) && !error.to_string().contains("secret"), "{error}");
        task.await.unwrap();
    }
}
