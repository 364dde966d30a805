use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

async fn pair() -> (Framed, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
    (Framed::new(ours.unwrap().into()), theirs.unwrap().0)
}

async fn fill_at_rest(framed: &mut Framed) -> io::Result<usize> {
    poll_fn(|cx| framed.poll_fill_at_rest(cx)).await
}

#[tokio::test]
async fn fills_and_flushes() {
    let (mut framed, mut peer) = pair().await;
    peer.write_all(b"hello").await.unwrap();
    assert_eq!(framed.fill().await.unwrap(), 5);
    assert_eq!(&framed.inbound[..], b"hello");
    framed.outbound.extend_from_slice(b"world");
    framed.flush().await.unwrap();
    assert!(framed.outbound.is_empty());
    let mut answer = [0; 5];
    peer.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"world");
    drop(peer);
    assert_eq!(framed.fill().await.unwrap(), 0);
}

#[tokio::test]
async fn reads_grow_while_they_fill_the_buffer_and_shrink_when_idle() {
    let (mut framed, mut peer) = pair().await;
    let sender = tokio::spawn(async move {
        peer.write_all(&vec![7; 4 << 20]).await.unwrap();
        peer
    });
    let (mut total, mut largest) = (0, 0);
    while total < 4 << 20 {
        let read = framed.fill().await.unwrap();
        total += read;
        largest = largest.max(read);
        framed.inbound.clear();
    }
    assert!(framed.read_size > READ_BYTES_FIRST && framed.read_size <= READ_BYTES_MAX);
    assert!(framed.inbound.capacity() <= 4 * READ_BYTES_MAX as usize, "{}", framed.inbound.capacity());
    let mut peer = sender.await.unwrap();
    // A stale readiness costs at most one wait that returns for nothing.
    while framed.try_fill_now().unwrap().is_some() {}
    let waited = tokio::time::timeout(Duration::from_millis(20), fill_at_rest(&mut framed)).await;
    assert!(waited.is_err());
    assert_eq!(framed.inbound.capacity(), 0);
    assert_eq!(framed.outbound.capacity(), 0);
    assert_eq!(framed.read_size, READ_BYTES_FIRST);
    peer.write_all(b"x").await.unwrap();
    assert_eq!(fill_at_rest(&mut framed).await.unwrap(), 1);
}

#[tokio::test]
async fn a_pooled_connection_shows_data_and_its_end() {
    let (mut framed, mut peer) = pair().await;
    assert!(!framed.is_closed_or_has_data());
    peer.write_all(b"N").await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(framed.is_closed_or_has_data());
    assert_eq!(framed.try_fill_now().unwrap(), Some(1));
    framed.inbound.clear();
    assert!(!framed.is_closed_or_has_data());
    assert_eq!(framed.try_fill_now().unwrap(), None);
    drop(peer);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(framed.is_closed_or_has_data());
    assert_eq!(framed.try_fill_now().unwrap(), Some(0));
}

#[tokio::test]
async fn a_full_socket_leaves_the_rest_for_the_next_flush() {
    let (mut framed, mut peer) = pair().await;
    framed.stream.try_flush().unwrap();
    poll_fn(|cx| framed.stream.socket().poll_write_ready(cx)).await.unwrap();
    let sent = 16 << 20;
    framed.outbound.resize(sent, 1);
    assert!(!framed.try_flush_now().unwrap());
    let left = framed.outbound.len();
    assert!(left > 0 && left < sent);
    let reader = tokio::spawn(async move {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).await.unwrap();
        all.len()
    });
    framed.flush().await.unwrap();
    framed.close().await.unwrap();
    assert_eq!(reader.await.unwrap(), sent);
}

#[test]
fn stays_small() {
    // 8 bytes of it are for traces.
    assert!(size_of::<Framed>() <= 152, "{}", size_of::<Framed>());
}
