//! Prometheus' text format, version 0.0.4. In: families with their samples. Out: text. Knows no metric.

use std::fmt::Write;

use crate::observe::{BOUNDS_MICROS, Reading};

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Default)]
pub(super) struct Exposition {
    text: String,
}

/// One family of metrics, whose samples differ by labels.
pub(super) struct Family<'e> {
    exposition: &'e mut Exposition,
    name: &'static str,
}

impl Exposition {
    pub(super) fn finish(self) -> String {
        self.text
    }

    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    pub(super) fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        self.text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { exposition: self, name }
    }
}

type Labels<'l> = &'l [(&'l str, &'l str)];

impl Family<'_> {
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: f64) {
        self.line("", labels, None, value);
    }

    pub(super) fn count(&mut self, labels: Labels<'_>, value: u64) {
        self.sample(labels, value as f64);
    }

    /// A histogram: cumulative buckets in seconds.
    pub(super) fn reading(&mut self, labels: Labels<'_>, reading: &Reading) {
        let mut below = 0;
        for (class, count) in reading.counts.iter().enumerate() {
            below += count;
            let bound = BOUNDS_MICROS.get(class).map(|micros| *micros as f64 / 1e6);
            let bound = bound.map_or("+Inf".to_owned(), |seconds| seconds.to_string());
            self.line("_bucket", labels, Some(("le", &bound)), below as f64);
        }
        self.line("_sum", labels, None, reading.seconds());
        self.line("_count", labels, None, below as f64);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, more: Option<(&str, &str)>, value: f64) {
        let text = &mut self.exposition.text;
        text.push_str(self.name);
        text.push_str(suffix);
        for (position, (name, value)) in labels.iter().copied().chain(more).enumerate() {
            text.push(if position == 0 { '{' } else { ',' });
            text.push_str(name);
            text.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => text.push_str("\\\\"),
                    '"' => text.push_str("\\\""),
                    '\n' => text.push_str("\\n"),
                    other => text.push(other),
                }
            }
            text.push('"');
        }
        if !labels.is_empty() || more.is_some() {
            text.push('}');
        }
        // Writing to a string can't fail.
        let _ = writeln!(text, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Histogram, Took};

    #[test]
    fn samples_are_written_as_prometheus_reads_them() {
        let mut exposition = Exposition::default();
        exposition.gauge("up", "Whether.").count(&[("name", "a\"b\\c\nd")], 1);
        exposition.counter("plain_total", "None.").sample(&[], 0.5);
        let histogram = Histogram::default();
        histogram.record(Took::of(70_000));
        histogram.record(Took::of(60_000_000_000));
        exposition.histogram("h", "Time.").reading(&[("k", "v")], &histogram.read());
        let text = exposition.finish();
        for line in [
            "# HELP up Whether.\n# TYPE up gauge\nup{name=\"a\\\"b\\\\c\\nd\"} 1\n",
            "plain_total 0.5\n",
            "h_bucket{k=\"v\",le=\"0.00005\"} 0\nh_bucket{k=\"v\",le=\"0.0001\"} 1\n",
            "h_bucket{k=\"v\",le=\"30\"} 1\nh_bucket{k=\"v\",le=\"+Inf\"} 2\nh_sum{k=\"v\"} 60.00007\nh_count{k=\"v\"} 2\n",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
