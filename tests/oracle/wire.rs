//! A client that hides nothing: frames out, frames in. In: an address, and messages to send together. Out: a
//! [`Turn`], which has everything that came back up to ReadyForQuery. Its encoders are its own, so that a mistake in
//! Shardway's can't hide itself.

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any statement of the lists may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);

/// A column as RowDescription has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    pub name: String,
    /// The column's number in its table, 0 for an expression.
    pub attribute: i16,
    pub oid: u32,
    pub size: i16,
    pub modifier: i32,
    pub format: i16,
}

/// An ErrorResponse or a NoticeResponse.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Report {
    pub severity: String,
    pub code: String,
    pub message: String,
    pub position: String,
    pub constraint: String,
}

pub type Row = Vec<Option<Vec<u8>>>;

/// One thing that was answered, without where in the stream it stood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    ParseComplete,
    BindComplete,
    CloseComplete,
    Parameters(Vec<u32>),
    Columns(Vec<Column>),
    NoData,
    /// All rows between two other events; those of a COPY have one column.
    Rows(Vec<Row>),
    CopyOut,
    CopyIn,
    CopyDone,
    Suspended,
    Complete(String),
    EmptyQuery,
    Error(Report),
}

/// Everything up to ReadyForQuery.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Turn {
    pub events: Vec<Event>,
    pub notices: Vec<Report>,
    /// ReadyForQuery's: I, T or E. Zero: the connection ended first.
    pub status: u8,
}

impl Turn {
    pub fn error(&self) -> Option<&Report> {
        self.events.iter().find_map(|event| match event {
            Event::Error(report) => Some(report),
            _ => None,
        })
    }

    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        let rows = self.events.iter().filter_map(|event| match event {
            Event::Rows(rows) => Some(rows),
            _ => None,
        });
        rows.flatten()
    }

    pub fn parameters(&self) -> Option<&[u32]> {
        self.events.iter().find_map(|event| match event {
            Event::Parameters(oids) => Some(oids.as_slice()),
            _ => None,
        })
    }
}

/// Messages that are sent together.
#[derive(Clone, Default)]
pub struct Messages(Vec<u8>);

/// A value of Bind and its format.
pub type Value = (i16, Option<Vec<u8>>);

impl Messages {
    fn frame(mut self, tag: u8, body: &[u8]) -> Self {
        self.0.push(tag);
        self.0.extend(i32::try_from(body.len() + 4).expect("a test's frame is short").to_be_bytes());
        self.0.extend(body);
        self
    }

    pub fn query(self, sql: &str) -> Self {
        self.frame(b'Q', &text(&[sql]))
    }

    pub fn parse(self, name: &str, sql: &str, types: &[u32]) -> Self {
        let mut body = text(&[name, sql]);
        body.extend(count(types.len()));
        types.iter().for_each(|oid| body.extend(oid.to_be_bytes()));
        self.frame(b'P', &body)
    }

    /// Binds the unnamed portal; `format` is that of all columns.
    pub fn bind(self, statement: &str, values: &[Value], format: i16) -> Self {
        let mut body = text(&["", statement]);
        body.extend(count(values.len()));
        values.iter().for_each(|(format, _)| body.extend(format.to_be_bytes()));
        body.extend(count(values.len()));
        for (_, value) in values {
            match value {
                None => body.extend((-1_i32).to_be_bytes()),
                Some(bytes) => {
                    body.extend(i32::try_from(bytes.len()).expect("a test's value is short").to_be_bytes());
                    body.extend(bytes);
                }
            }
        }
        body.extend(count(1));
        body.extend(format.to_be_bytes());
        self.frame(b'B', &body)
    }

    pub fn describe_statement(self, name: &str) -> Self {
        self.frame(b'D', &[b"S", &*text(&[name])].concat())
    }

    pub fn describe_portal(self) -> Self {
        self.frame(b'D', b"P\0")
    }

    pub fn execute(self, rows_max: i32) -> Self {
        self.frame(b'E', &[b"\0", rows_max.to_be_bytes().as_slice()].concat())
    }

    pub fn close_statement(self, name: &str) -> Self {
        self.frame(b'C', &[b"S", &*text(&[name])].concat())
    }

    pub fn sync(self) -> Self {
        self.frame(b'S', b"")
    }
}

fn text(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend(part.as_bytes());
        bytes.push(0);
    }
    bytes
}

fn count(len: usize) -> [u8; 2] {
    u16::try_from(len).expect("a test counts in 16 bits").to_be_bytes()
}

pub struct Client {
    stream: BufReader<TcpStream>,
    /// ParameterStatus, as it stands.
    pub settings: BTreeMap<String, String>,
}

impl Client {
    /// Logs in; the server must not ask for a password.
    pub fn connect(address: SocketAddr, user: &str, database: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).map_err(|error| format!("{address}: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(|error| error.to_string())?;
        let mut client = Self { stream: BufReader::new(stream), settings: BTreeMap::new() };
        let mut body = 196_608_u32.to_be_bytes().to_vec();
        body.extend(text(&["user", user, "database", database, "application_name", "oracle", ""]));
        let length = u32::try_from(body.len() + 4).expect("names are short");
        client.write(&[&length.to_be_bytes(), &*body].concat())?;
        let turn = client.answer()?;
        match turn.error() {
            Some(report) => Err(format!("{} {}", report.code, report.message)),
            None => Ok(client),
        }
    }

    /// Sends the messages and takes what comes back up to `ready` ReadyForQuery.
    pub fn turn(&mut self, messages: Messages) -> Result<Turn, String> {
        self.send(messages)?;
        self.answer()
    }

    pub fn send(&mut self, messages: Messages) -> Result<(), String> {
        self.write(&messages.0)
    }

    pub fn query(&mut self, sql: &str) -> Result<Turn, String> {
        self.turn(Messages::default().query(sql))
    }

    /// The rows of statements that must succeed, as text.
    pub fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        let turn = self.query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        texts(&turn, sql)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.get_mut().write_all(bytes).map_err(|error| format!("sending: {error}"))
    }

    /// Everything up to the next ReadyForQuery, or to the end of the connection.
    pub fn answer(&mut self) -> Result<Turn, String> {
        let mut turn = Turn::default();
        loop {
            let Some((tag, body)) = self.frame()? else {
                return Ok(turn);
            };
            let mut fields = Fields(&body);
            match tag {
                b'Z' => {
                    turn.status = fields.take(1)[0];
                    return Ok(turn);
                }
                b'S' => {
                    let name = fields.text();
                    self.settings.insert(name, fields.text());
                }
                b'R' if body != [0, 0, 0, 0] => return Err("a password is asked for".to_owned()),
                b'R' | b'K' | b'A' => {}
                b'N' => turn.notices.push(fields.report()),
                b'D' => push_row(&mut turn.events, fields.row()),
                b'd' => push_row(&mut turn.events, vec![Some(body)]),
                b'G' => {
                    turn.events.push(Event::CopyIn);
                    self.send(Messages::default().frame(b'f', b"the test has no rows\0"))?;
                }
                other => turn.events.push(event(other, &mut fields)?),
            }
        }
    }

    fn frame(&mut self) -> Result<Option<(u8, Vec<u8>)>, String> {
        let mut head = [0; 5];
        match self.stream.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(format!("receiving: {error}")),
        }
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length.checked_sub(4).ok_or("a frame shorter than its length")?];
        self.stream.read_exact(&mut body).map_err(|error| format!("in a frame: {error}"))?;
        Ok(Some((head[0], body)))
    }
}

/// The rows of an answer without an error, as text; NULL is `NULL`.
pub fn texts(turn: &Turn, sql: &str) -> Vec<Vec<String>> {
    if let Some(report) = turn.error() {
        panic!("{sql}: {} {}", report.code, report.message);
    }
    let cell = |cell: &Option<Vec<u8>>| match cell {
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        None => "NULL".to_owned(),
    };
    turn.rows().map(|row| row.iter().map(cell).collect()).collect()
}

fn push_row(events: &mut Vec<Event>, row: Row) {
    match events.last_mut() {
        Some(Event::Rows(rows)) => rows.push(row),
        _ => events.push(Event::Rows(vec![row])),
    }
}

fn event(tag: u8, fields: &mut Fields<'_>) -> Result<Event, String> {
    Ok(match tag {
        b'1' => Event::ParseComplete,
        b'2' => Event::BindComplete,
        b'3' => Event::CloseComplete,
        b't' => {
            let count = fields.u16();
            Event::Parameters((0..count).map(|_| fields.u32()).collect())
        }
        b'T' => {
            let count = fields.u16();
            Event::Columns((0..count).map(|_| fields.column()).collect())
        }
        b'n' => Event::NoData,
        b'H' => Event::CopyOut,
        b'c' => Event::CopyDone,
        b's' => Event::Suspended,
        b'C' => Event::Complete(fields.text()),
        b'I' => Event::EmptyQuery,
        b'E' => Event::Error(fields.report()),
        other => return Err(format!("a message of type {:?}", char::from(other))),
    })
}

/// Reads a message's body. A short one panics: no server sends one.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn take(&mut self, len: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().expect("two bytes were taken"))
    }

    fn i16(&mut self) -> i16 {
        self.u16().cast_signed()
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().expect("four bytes were taken"))
    }

    fn text(&mut self) -> String {
        let end = self.0.iter().position(|byte| *byte == 0).expect("a string ends in a zero");
        let text = String::from_utf8_lossy(self.take(end)).into_owned();
        self.take(1);
        text
    }

    fn row(&mut self) -> Row {
        let count = self.u16();
        let mut row = Vec::new();
        for _ in 0..count {
            let length = usize::try_from(self.u32().cast_signed()).ok();
            row.push(length.map(|length| self.take(length).to_vec()));
        }
        row
    }

    fn column(&mut self) -> Column {
        let name = self.text();
        self.u32();
        Column {
            name,
            attribute: self.i16(),
            oid: self.u32(),
            size: self.i16(),
            modifier: self.u32().cast_signed(),
            format: self.i16(),
        }
    }

    fn report(&mut self) -> Report {
        let mut report = Report::default();
        let mut detail = String::new();
        loop {
            let kind = self.take(1)[0];
            let field = match kind {
                0 => break,
                b'V' => &mut report.severity,
                b'C' => &mut report.code,
                b'M' => &mut report.message,
                b'P' => &mut report.position,
                b'n' => &mut report.constraint,
                b'D' => &mut detail,
                _ => &mut String::new(),
            };
            *field = self.text();
        }
        // Of a refusal it says what is missing; otherwise it tells of single rows, in an order that is open.
        if report.code == "0A000" && !detail.is_empty() {
            report.message += &format!(" ({detail})");
        }
        report
    }
}
