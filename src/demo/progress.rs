//! Shows what the demo is doing. In: steps and counts. Out: a spinner or a bar on a terminal, plain lines
//! anywhere else.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Where progress goes: standard error, so that standard output has only the result.
#[derive(Clone)]
pub(super) struct Progress {
    terminal: bool,
}

/// One step under way; clones advance the same one.
#[derive(Clone)]
pub(super) struct Step {
    bar: Option<ProgressBar>,
}

impl Progress {
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal() }
    }

    pub fn say(&self, line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// A step of unknown length.
    pub fn step(&self, message: &str) -> Step {
        self.begin(message, ProgressBar::new_spinner)
    }

    /// A step of `total` parts.
    pub fn count(&self, message: &str, total: u64) -> Step {
        self.begin(message, || {
            let style = ProgressStyle::with_template("{spinner} {msg} {bar:32} {human_pos} of {human_len}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total).with_style(style)
        })
    }

    fn begin(&self, message: &str, bar: impl FnOnce() -> ProgressBar) -> Step {
        if !self.terminal {
            let _ = writeln!(std::io::stderr(), "{message} ...");
            return Step { bar: None };
        }
        let bar = bar().with_message(message.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Step { bar: Some(bar) }
    }
}

impl Step {
    pub fn advance(&self, parts: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(parts);
        }
    }

    /// Ends the step and leaves one line.
    pub fn done(self, message: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let _ = writeln!(std::io::stderr(), "{message}");
    }
}
