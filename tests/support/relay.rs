//! An address that leads to a server, and later to another: what a virtual address or a load balancer does.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

pub struct Relay {
    port: u16,
    way: Arc<Way>,
}

#[derive(Default)]
struct Way {
    to: AtomicU16,
    /// Both ends of what is connected.
    open: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// Leads to that port of 127.0.0.1. Its threads end with the test binary.
    pub fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a port");
        let port = listener.local_addr().expect("it is bound").port();
        let way = Arc::new(Way::default());
        way.to.store(to, Ordering::SeqCst);
        let served = Arc::clone(&way);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                served.connect(client);
            }
        });
        Self { port, way }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on to that one; what is connected is cut off.
    pub fn lead_to(&self, port: u16) {
        let mut open = self.way.open.lock().expect("no panics");
        self.way.to.store(port, Ordering::SeqCst);
        for stream in open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Way {
    fn connect(&self, client: TcpStream) {
        let mut open = self.open.lock().expect("no panics");
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.to.load(Ordering::SeqCst))) else { return };
        for (from, to) in [(&client, &server), (&server, &client)] {
            let ends = from.try_clone().and_then(|from| Ok((from, to.try_clone()?)));
            let (mut from, mut to) = ends.expect("a socket has several handles");
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
        open.extend([client, server]);
    }
}
