//! Sends spans to a collector: OTLP over HTTP, in JSON (the OpenTelemetry protocol's own mapping). In: the queue that
//! sessions fill. Out: a POST a second at most, or one for each full batch. What a collector doesn't take is dropped, and
//! said in the log; no session waits for it.

use std::sync::Arc;
use std::time::Duration;

use crate::net::timer::{Instant, timeout, timeout_at};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use crate::config::TracesConfig;
use crate::observe::traces::{Attribute, Span, Tracer};
use crate::types::limits::{TRACE_BATCH_MAX, TRACE_INTERVAL, TRACE_SEND_TIMEOUT};

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
        while !ends && spans.len() < TRACE_BATCH_MAX {
            tokio::select! {
                more = timeout_at(until, queue.recv()) => match more {
                    Ok(Some(more)) => spans.extend(more),
                    Ok(None) | Err(_) => break,
                },
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
        let body = Bytes::from(payload(&self.config.service, spans).to_string());
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

fn payload(service: &str, spans: &[Span]) -> Value {
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            attribute("service.name", &Attribute::Text(service.into())),
            attribute("service.version", &Attribute::Text(env!("CARGO_PKG_VERSION").into())),
        ] },
        "scopeSpans": [{
            "scope": { "name": "shardway", "version": env!("CARGO_PKG_VERSION") },
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }] })
}

fn span(span: &Span) -> Value {
    let attributes: Vec<Value> = span.attributes.iter().map(|(name, value)| attribute(name, value)).collect();
    let mut all = json!({
        "traceId": hex(&span.trace), "spanId": hex(&span.id), "name": span.name, "kind": span.kind as u8,
        // 64-bit numbers are strings in this mapping.
        "startTimeUnixNano": span.begin.to_string(), "endTimeUnixNano": span.end.to_string(),
        "attributes": attributes, "status": { "code": if span.failed { 2 } else { 0 } },
    });
    if let (Some(parent), Some(fields)) = (&span.parent, all.as_object_mut()) {
        fields.insert("parentSpanId".to_owned(), hex(parent).into());
    }
    all
}

fn attribute(name: &str, value: &Attribute) -> Value {
    let value = match value {
        Attribute::Text(text) => json!({ "stringValue": text }),
        Attribute::Number(number) => json!({ "intValue": number.to_string() }),
    };
    json!({ "key": name, "value": value })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
