//! Sends spans to a collector: OTLP over HTTP, in JSON (the OpenTelemetry protocol's own mapping). In: the queue that
//! sessions fill. Out: a POST a second at most, or one for each full batch. What a collector doesn't take is dropped, and
//! said in the log; no session waits for it.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use crate::net::timer::{Instant, sleep, timeout};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use crate::config::TracesConfig;
use crate::observe::traces::{Attribute, Span, Tracer};
use crate::types::limits::{TRACE_BATCH_MAX, TRACE_INTERVAL, TRACE_LOOK, TRACE_SEND_TIMEOUT};

/// Complaints about a collector that is away come this far apart.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// Until `ending`, and then what is left.
pub(super) async fn send(
    config: TracesConfig,
    tracer: Arc<Tracer>,
    mut queue: mpsc::Receiver<Vec<Span>>,
    ending: Arc<Notify>,
) {
    let mut collector = Collector { config, connection: None };
    let mut complained: Option<Instant> = None;
    let mut ends = false;
    while !ends {
        let mut spans = Vec::new();
        tokio::select! {
            first = queue.recv() => match first {
                Some(first) => spans.extend(first),
                None => return,
            },
            () = ending.notified() => ends = true,
        }
        let until = Instant::now() + TRACE_INTERVAL;
        // Looked at from time to time: who gives spans needn't wake anybody.
        while !ends && Instant::now() < until {
            while spans.len() < TRACE_BATCH_MAX
                && let Ok(more) = queue.try_recv()
            {
                spans.extend(more);
            }
            if spans.len() >= TRACE_BATCH_MAX {
                break;
            }
            tokio::select! {
                () = sleep(TRACE_LOOK) => {}
                () = ending.notified() => ends = true,
            }
        }
        while ends && let Ok(more) = queue.try_recv() {
            spans.extend(more);
        }
        if spans.is_empty() {
            continue;
        }
        let sent = match timeout(TRACE_SEND_TIMEOUT, collector.post(&spans)).await {
            Ok(sent) => sent,
            Err(_) => Err("no answer in time".to_owned()),
        };
        let dropped = tracer.take_dropped();
        if let Err(error) = &sent {
            collector.connection = None;
            if complained.is_none_or(|last| last.elapsed() > COMPLAINT_INTERVAL) {
                tracing::warn!(%error, endpoint = %collector.config.endpoint(), spans = spans.len(), "spans were not sent");
                complained = Some(Instant::now());
            }
        }
        if dropped > 0 {
            tracing::warn!(statements = dropped, "more was traced than could be sent");
        }
    }
}

struct Collector {
    config: TracesConfig,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Collector {
    async fn post(&mut self, spans: &[Span]) -> Result<(), String> {
        let body = Bytes::from(payload(&self.config.service, spans));
        let failed = |error: &dyn std::fmt::Display| error.to_string();
        let mut connection = match self.connection.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => {
                let place = (self.config.host.as_str(), self.config.port);
                let stream = TcpStream::connect(place).await.map_err(|error| failed(&error))?;
                let (sender, driver) = handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
                tokio::spawn(driver);
                sender
            }
        };
        connection.ready().await.map_err(|error| failed(&error))?;
        let request = Request::post(self.config.path.as_str())
            .header(header::HOST, format!("{}:{}", self.config.host, self.config.port))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| failed(&error))?;
        let answer = connection.send_request(request).await.map_err(|error| failed(&error))?;
        let status = answer.status();
        // What it says is of no interest, but has to be read before the next request.
        http_body_util::BodyExt::collect(http_body_util::Limited::new(answer.into_body(), 1 << 16))
            .await
            .map_err(|error| error.to_string())?;
        self.connection = Some(connection);
        if status == StatusCode::OK || status == StatusCode::ACCEPTED {
            Ok(())
        } else {
            Err(format!("answered {status}"))
        }
    }
}

/// Written straight into one buffer: a tree of values would cost more than the rest of a traced statement.
fn payload(service: &str, spans: &[Span]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + 768 * spans.len());
    out.extend_from_slice(b"{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    attribute(&mut out, "service.name", &Attribute::Text(service.into()));
    out.push(b',');
    attribute(&mut out, "service.version", &Attribute::Text(env!("CARGO_PKG_VERSION").into()));
    out.extend_from_slice(b"]},\"scopeSpans\":[{\"scope\":{\"name\":\"shardway\",\"version\":\"");
    out.extend_from_slice(env!("CARGO_PKG_VERSION").as_bytes());
    out.extend_from_slice(b"\"},\"spans\":[");
    for (position, one) in spans.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        span(&mut out, one);
    }
    out.extend_from_slice(b"]}]}]}");
    out
}

fn span(out: &mut Vec<u8>, span: &Span) {
    out.extend_from_slice(b"{\"traceId\":");
    hex(out, &span.trace);
    out.extend_from_slice(b",\"spanId\":");
    hex(out, &span.id);
    if let Some(parent) = &span.parent {
        out.extend_from_slice(b",\"parentSpanId\":");
        hex(out, parent);
    }
    out.extend_from_slice(b",\"name\":");
    string(out, &span.name);
    let code = if span.failed { 2 } else { 0 };
    // 64-bit numbers are strings in this mapping. Writing into a Vec doesn't fail.
    let _ = write!(
        out,
        ",\"kind\":{},\"startTimeUnixNano\":\"{}\",\"endTimeUnixNano\":\"{}\",\"status\":{{\"code\":{code}}},\"attributes\":[",
        span.kind as u8, span.begin, span.end
    );
    for (position, (name, value)) in span.attributes.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        attribute(out, name, value);
    }
    out.extend_from_slice(b"]}");
}

fn attribute(out: &mut Vec<u8>, name: &str, value: &Attribute) {
    out.extend_from_slice(b"{\"key\":");
    string(out, name);
    match value {
        Attribute::Text(text) => {
            out.extend_from_slice(b",\"value\":{\"stringValue\":");
            string(out, text);
        }
        Attribute::Number(number) => {
            let _ = write!(out, ",\"value\":{{\"intValue\":\"{number}\"");
        }
    }
    out.extend_from_slice(b"}}");
}

fn string(out: &mut Vec<u8>, text: &str) {
    // A string is always JSON, and a Vec takes it.
    let _ = serde_json::to_writer(out, text);
}

fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in bytes {
        out.extend([byte >> 4, byte & 15].map(|half| DIGITS.get(usize::from(half)).copied().unwrap_or(b'0')));
    }
    out.push(b'"');
}
