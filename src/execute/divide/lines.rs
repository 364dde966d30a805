//! Which line of the client's data a line of one shard's share is: a server counts those it got.

use std::collections::VecDeque;

use crate::types::limits::COPY_LINES_REMEMBERED_MAX;

/// Of one shard, for as long back as a server may still complain.
#[derive(Debug, Default)]
pub struct Lines {
    /// The client's last line of each row that was sent, and how many lines the row has.
    rows: VecDeque<(u64, u64)>,
    /// The shard's last line that isn't remembered any more.
    forgotten: u64,
    /// The shard's last line.
    sent: u64,
}

impl Lines {
    /// A row of so many lines was sent, which ended at that line of the client's.
    pub fn note(&mut self, client_line: u64, lines: u64) {
        self.sent += lines;
        self.rows.push_back((client_line, lines));
        if self.rows.len() > COPY_LINES_REMEMBERED_MAX
            && let Some((_, lines)) = self.rows.pop_front()
        {
            self.forgotten += lines;
        }
    }

    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The client's line for a line of the shard's; `client_line` is the last one that was read. `None`: it is
    /// too long ago.
    pub fn client_line(&self, line: u64, client_line: u64) -> Option<u64> {
        if line > self.sent {
            return Some(client_line + (line - self.sent));
        }
        let mut end = self.sent;
        for (client_line, lines) in self.rows.iter().rev() {
            if line + lines > end {
                return Some(client_line - (end - line));
            }
            end -= lines;
        }
        None
    }
}
