//! HTTP for operators: metrics, health, the dashboard. In: the address of `[server] admin`, and the [`House`]. Out:
//! pages that only read. Everything that changes the proxy is the console's.
//!
//! Where the address isn't loopback, users with `admin` or `stats` log in by name and password (HTTP Basic; put TLS
//! in front of it). On loopback nobody has to, but a browser that was led here under another host's name is refused.
//! `/health` and `/ready` are open: they tell nothing else.

mod access;
mod exposition;
mod metrics;
mod state;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::House;
use crate::types::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEADER_TIMEOUT};

/// The dashboard loads from here only, runs nothing that is written into a page, and is shown in nobody's frame.
const PAGES_MAY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type Page = Response<Full<Bytes>>;

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, house: Arc<dyn House>) {
    let is_local = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                // Those beyond the bound are closed at once.
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                let house = Arc::clone(&house);
                tokio::spawn(async move {
                    attend(socket, peer, is_local, house).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed on the admin address");
                crate::net::timer::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn attend(socket: TcpStream, peer: SocketAddr, is_local: bool, house: Arc<dyn House>) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let page = answer(&request, is_local, &*house);
        async move { Ok::<_, Infallible>(page) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(socket), service);
    if let Err(error) = connection.await {
        tracing::debug!(%peer, %error, "an HTTP client was lost");
    }
}

fn answer(request: &Request<Incoming>, is_local: bool, house: &dyn House) -> Page {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET: the console changes things\n".to_owned());
    }
    match request.uri().path() {
        "/health" => return text(StatusCode::OK, "ok\n".to_owned()),
        "/ready" => return ready(house),
        _ => {}
    }
    if let Err(refused) = access::check(request, is_local, house) {
        return *refused;
    }
    match request.uri().path() {
        "/metrics" => page(StatusCode::OK, exposition::CONTENT_TYPE, metrics::render(house)),
        "/" => page(StatusCode::OK, "text/html; charset=utf-8", include_str!("page/index.html")),
        "/dashboard.css" => page(StatusCode::OK, "text/css; charset=utf-8", include_str!("page/dashboard.css")),
        "/dashboard.js" => page(StatusCode::OK, "text/javascript; charset=utf-8", include_str!("page/dashboard.js")),
        "/api/state" => page(StatusCode::OK, "application/json", state::state(house)),
        "/api/buckets" => page(StatusCode::OK, "application/json", state::buckets(house)),
        _ => text(StatusCode::NOT_FOUND, "there are /, /metrics, /health and /ready\n".to_owned()),
    }
}

/// Whether new clients should come here: not while it stops, nor before any database can be planned for. A shard
/// that is down is no reason: the others are served.
fn ready(house: &dyn House) -> Page {
    if house.is_draining() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned());
    }
    let databases = house.databases();
    let mut report = String::new();
    let mut any = false;
    for database in &databases {
        let state = match (&database.refused, database.map_version) {
            (Some(reason), _) => format!("not served: {reason}"),
            (None, None) => "waits for its servers".to_owned(),
            (None, Some(_)) if database.is_paused => "paused".to_owned(),
            (None, Some(_)) => "served".to_owned(),
        };
        any |= database.refused.is_none() && database.map_version.is_some();
        report.push_str(&format!("database {}: {state}\n", database.name));
    }
    text(if any { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, report)
}

fn text(status: StatusCode, body: String) -> Page {
    page(status, "text/plain; charset=utf-8", body)
}

fn page(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Page {
    let mut page = Response::new(Full::new(body.into()));
    *page.status_mut() = status;
    let headers = page.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGES_MAY));
    page
}
