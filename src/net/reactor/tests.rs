use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::net::Socket;
use crate::types::limits::TASKS_IN_A_ROW_MAX;

fn run(main: impl Future<Output = ()> + 'static) {
    Reactor::new().unwrap().run(main, || {}).unwrap();
}

/// Both watched by this thread's reactor.
fn pair() -> (Socket, Socket) {
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let here = |socket: std::os::unix::net::UnixStream| {
        socket.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _entered = runtime.enter();
        Socket::from(tokio::net::UnixStream::from_std(socket).unwrap()).move_here().unwrap()
    };
    (here(one), here(other))
}

/// Lets the others go first.
async fn pass() {
    let mut passed = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut passed, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

#[test]
fn sockets_wake_their_tasks() {
    run(async {
        let (mut ours, mut theirs) = pair();
        spawn(async move {
            let mut word = [0; 5];
            while theirs.read_exact(&mut word).await.is_ok() {
                theirs.write_all(&word).await.unwrap();
            }
        });
        for _ in 0..100 {
            ours.write_all(b"hello").await.unwrap();
            let mut word = [0; 5];
            ours.read_exact(&mut word).await.unwrap();
            assert_eq!(&word, b"hello");
        }
    });
}

#[test]
fn what_a_socket_doesn_t_take_waits_and_its_end_is_seen() {
    run(async {
        let (mut ours, mut theirs) = pair();
        let sent = vec![7; 8 << 20];
        let (done, ended) = oneshot::channel();
        spawn(async move {
            let mut received = Vec::new();
            theirs.read_to_end(&mut received).await.unwrap();
            done.send(received).unwrap();
        });
        ours.write_all(&sent).await.unwrap();
        ours.shutdown().await.unwrap();
        assert_eq!(ended.await.unwrap(), sent);
        // The other one is gone: here too.
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn other_threads_wake_tasks_here() {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let (answer, answered) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        for number in 0..1_000_u32 {
            sender.send(number).unwrap();
            // Each time it waits again.
            assert_eq!(answered.recv().unwrap(), number);
        }
    });
    run(async move {
        while let Some(number) = receiver.recv().await {
            answer.send(number).unwrap();
        }
    });
    other.join().unwrap();
}

#[test]
fn a_socket_can_be_read_on_another_thread_and_move_between_reactors() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let other = std::thread::spawn(move || {
        let (ours, mut theirs): (Socket, Socket) = receiver.recv().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            // No reactor is here: tokio watches this one, and the other one's reactor wakes this task.
            let mut ours = ours.move_here().unwrap();
            for _ in 0..100 {
                ours.write_all(b"x").await.unwrap();
                assert_eq!(theirs.read_u8().await.unwrap(), b'x');
            }
        });
    });
    let until = other.thread().id();
    run(async move {
        sender.send(pair()).unwrap();
        let began = Instant::now();
        while !other.is_finished() && began.elapsed().as_secs() < 60 {
            pass().await;
        }
        assert_ne!(until, std::thread::current().id());
        other.join().unwrap();
    });
}

#[test]
fn who_always_has_more_to_do_doesn_t_keep_the_thread_from_its_sockets() {
    run(async {
        let (mut ours, mut theirs) = pair();
        let stops = Rc::new(Cell::new(false));
        let seen = Rc::clone(&stops);
        spawn(async move {
            while !seen.get() {
                pass().await;
            }
        });
        for _ in 0..3 {
            theirs.write_all(b"x").await.unwrap();
            assert_eq!(ours.read_u8().await.unwrap(), b'x');
        }
        stops.set(true);
    });
}

#[test]
fn a_panic_ends_its_own_task_and_those_left_are_dropped() {
    struct Tells(Rc<Cell<bool>>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let is_dropped = Rc::new(Cell::new(false));
    let tells = Tells(Rc::clone(&is_dropped));
    run(async move {
        spawn(async { panic!("on purpose") });
        spawn(async move {
            let _tells = tells;
            std::future::pending::<()>().await;
        });
        for _ in 0..2 * TASKS_IN_A_ROW_MAX {
            pass().await;
        }
    });
    assert!(is_dropped.get());
}

#[test]
fn places_of_tasks_that_ended_are_used_again() {
    run(async {
        let (count, mut ended) = mpsc::unbounded_channel();
        for number in 0..1_000_u32 {
            let count = count.clone();
            spawn(async move {
                pass().await;
                count.send(number).unwrap();
            });
            assert_eq!(ended.recv().await, Some(number));
        }
    });
}
