//! A client that speaks the protocol byte by byte, so that a test decides what is sent and when.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take before the test calls it missing.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One message of a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    pub tag: u8,
    pub body: Vec<u8>,
}

impl Frame {
    /// One field of an ErrorResponse or NoticeResponse.
    pub fn field(&self, kind: u8) -> Option<String> {
        self.body
            .split(|byte| *byte == 0)
            .find(|field| field.first() == Some(&kind))
            .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
    }

    /// The values of a DataRow; NULL is `None`.
    pub fn values(&self) -> Vec<Option<String>> {
        let mut rest = &self.body[2..];
        let mut values = Vec::new();
        while rest.len() >= 4 {
            let len = i32::from_be_bytes(rest[..4].try_into().unwrap());
            rest = &rest[4..];
            match usize::try_from(len) {
                Ok(len) => {
                    values.push(Some(String::from_utf8_lossy(&rest[..len]).into_owned()));
                    rest = &rest[len..];
                }
                Err(_) => values.push(None),
            }
        }
        values
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.tag {
            b'E' | b'N' => {
                let fields: Vec<String> = b"SCMDHP"
                    .iter()
                    .filter_map(|kind| self.field(*kind).map(|text| format!("{}={text}", *kind as char)))
                    .collect();
                write!(f, "{} {}", self.tag as char, fields.join(" | "))
            }
            tag => write!(f, "{} {}", tag as char, self.body.escape_ascii()),
        }
    }
}

/// A connection. The server is asked for no password.
pub struct Wire {
    pub stream: TcpStream,
    inbound: Vec<u8>,
    pub process_id: u32,
    pub secret: Vec<u8>,
    pub parameters: BTreeMap<String, String>,
}

impl Wire {
    pub fn raw(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, inbound: Vec::new(), process_id: 0, secret: Vec::new(), parameters: BTreeMap::new() }
    }

    pub fn connect(address: SocketAddr) -> Self {
        Self::with(address, &[]).unwrap_or_else(|frame| panic!("not admitted: {frame:?}"))
    }

    /// With start-up parameters beside user and database; the error is what the server said.
    pub fn with(address: SocketAddr, parameters: &[(&str, &str)]) -> Result<Self, Frame> {
        let mut wire = Self::raw(address);
        let mut all = vec![("user", "shardway"), ("database", "app")];
        all.retain(|(name, _)| parameters.iter().all(|(other, _)| other != name));
        all.extend(parameters);
        wire.send(&super::message::startup(0x0003_0000, &all));
        wire.await_welcome()?;
        Ok(wire)
    }

    /// Reads up to the first ReadyForQuery.
    pub fn await_welcome(&mut self) -> Result<(), Frame> {
        loop {
            let frame = self.read().ok_or(Frame { tag: b'!', body: b"closed or silent".to_vec() })?;
            match frame.tag {
                b'E' => return Err(frame),
                b'K' => {
                    self.process_id = u32::from_be_bytes(frame.body[..4].try_into().unwrap());
                    self.secret = frame.body[4..].to_vec();
                }
                b'S' => self.note(&frame),
                b'Z' => return Ok(()),
                _ => {}
            }
        }
    }

    fn note(&mut self, frame: &Frame) {
        let mut texts = frame.body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
        if let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            self.parameters.insert(name, value);
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the other side reads");
    }

    /// The next message; `None` at the end of the stream or when nothing comes.
    pub fn read(&mut self) -> Option<Frame> {
        while self.inbound.len() < 5 || self.inbound.len() < self.frame_len() {
            let mut chunk = [0; 16384];
            match self.stream.read(&mut chunk) {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.inbound.extend_from_slice(&chunk[..read]),
            }
        }
        let len = self.frame_len();
        let frame = Frame { tag: self.inbound[0], body: self.inbound[5..len].to_vec() };
        self.inbound.drain(..len);
        if frame.tag == b'S' {
            self.note(&frame);
        }
        Some(frame)
    }

    fn frame_len(&self) -> usize {
        1 + u32::from_be_bytes(self.inbound[1..5].try_into().unwrap()) as usize
    }

    /// Everything up to the `count`-th message of this type. What is missing shows as a message `!`.
    pub fn until(&mut self, tag: u8, count: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut left = count;
        while left > 0 {
            match self.read() {
                Some(frame) => {
                    left -= usize::from(frame.tag == tag);
                    frames.push(frame);
                }
                None => {
                    let body = format!("nothing more, awaiting {}", tag as char).into_bytes();
                    frames.push(Frame { tag: b'!', body });
                    break;
                }
            }
        }
        frames
    }

    pub fn ask(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.send(bytes);
        self.until(b'Z', 1)
    }

    pub fn query(&mut self, sql: &str) -> Vec<Frame> {
        self.ask(&super::message::query(sql))
    }

    /// The first value of the first row.
    pub fn value(&mut self, sql: &str) -> String {
        let frames = self.query(sql);
        let row = frames.iter().find(|frame| frame.tag == b'D').unwrap_or_else(|| panic!("{sql}: {frames:?}"));
        row.values().into_iter().next().flatten().unwrap_or_default()
    }

    /// Runs something that must succeed.
    pub fn run(&mut self, sql: &str) {
        let frames = self.query(sql);
        assert!(frames.iter().all(|frame| !b"E!".contains(&frame.tag)), "{sql}: {frames:?}");
    }

    /// The SQLSTATE of something that must fail.
    pub fn fails(&mut self, sql: &str) -> String {
        sqlstate(&self.query(sql)).unwrap_or_else(|| panic!("{sql} succeeded"))
    }

    /// The connection is closed by the other side, whatever it says before.
    pub fn ends(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.read() {
            frames.push(frame);
        }
        let mut byte = [0];
        let closed = match self.stream.read(&mut byte) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        };
        assert!(closed, "the connection is still open: {frames:?}");
        frames
    }

    pub fn vanish(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    pub fn bye(mut self) {
        let _ = self.stream.write_all(&super::message::terminate());
    }
}

/// The SQLSTATE of the first error.
pub fn sqlstate(frames: &[Frame]) -> Option<String> {
    frames.iter().find(|frame| frame.tag == b'E').and_then(|frame| frame.field(b'C'))
}

/// The type bytes, as in `12CZ`.
pub fn tags(frames: &[Frame]) -> String {
    frames.iter().map(|frame| frame.tag as char).collect()
}

/// The status of the last ReadyForQuery.
pub fn status(frames: &[Frame]) -> char {
    frames.iter().rfind(|frame| frame.tag == b'Z').map_or('?', |frame| frame.body[0] as char)
}
