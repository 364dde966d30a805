//! The one shape in which any room's error reaches a client.

use super::SqlState;

/// What a client is told: safe to show, with a SQLSTATE and, where there is one, a remedy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientError {
    pub state: SqlState,
    /// One sentence without a final stop, as PostgreSQL writes them.
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// Where in the client's text, in characters from 1.
    pub position: Option<usize>,
}

impl ClientError {
    pub fn new(state: SqlState, message: impl Into<String>) -> Self {
        Self { state, message: message.into(), detail: None, hint: None, position: None }
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    #[must_use]
    pub fn position(mut self, position: usize) -> Self {
        self.position = Some(position);
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.state, self.message)
    }
}

impl std::error::Error for ClientError {}
