//! Where traces go, and how many.

use crate::config::mistake::Notes;
use crate::config::raw::RawTraces;
use crate::config::{TracesConfig, defaults};

const EXAMPLE: &str = "write endpoint = \"http://127.0.0.1:4318\"";

/// `None`: off, which it is without an endpoint.
pub(super) fn traces(raw: &RawTraces, notes: &mut Notes<'_>) -> Option<TracesConfig> {
    let mut sample = defaults::TRACES_SAMPLE;
    if let Some(written) = &raw.sample {
        let number = written.get_ref().trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match number.filter(|number| (0.0..=100.0).contains(number)) {
            Some(number) => sample = number / 100.0,
            None => notes.mistake(
                &written.span(),
                format!("`sample` is not a percentage: {:?}", written.get_ref()),
                "write sample = \"1%\"",
            ),
        }
    }
    let service = raw.service.as_ref().map_or_else(|| "shardway".to_owned(), |service| service.get_ref().clone());
    let Some(endpoint) = &raw.endpoint else {
        if let Some(written) = raw.sample.as_ref().or(raw.service.as_ref()) {
            notes.warning(&written.span(), "traces have no `endpoint`, so that none are sent", EXAMPLE);
        }
        return None;
    };
    let url = endpoint.get_ref();
    let Some(rest) = url.strip_prefix("http://") else {
        let what = format!("`endpoint` is not a URL of plain HTTP: {url:?}");
        notes.mistake(&endpoint.span(), what, format!("{EXAMPLE}: a collector beside the proxy sends on by TLS"));
        return None;
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "4318"));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let path = if path.is_empty() { "/v1/traces".to_owned() } else { format!("/{path}") };
    match port.parse::<u16>() {
        Ok(port) if port > 0 && !host.is_empty() && !rest.contains(['@', ' ', '#']) => {
            Some(TracesConfig { host: host.to_owned(), port, path, sample, service })
        }
        _ => {
            notes.mistake(&endpoint.span(), format!("`endpoint` names no host and port: {url:?}"), EXAMPLE);
            None
        }
    }
}
