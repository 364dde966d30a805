//! What can go wrong while real servers are found, installed, started or stopped.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Errors of the development cluster. They are shown to a developer, so they carry the program's own
/// words and, where there is one, the command that helps.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no PostgreSQL {minimum} or newer was found ({searched}); install it with: {remedy}", minimum = super::OLDEST_MAJOR)]
    NoPostgres { searched: String, remedy: String },
    #[error("{source}\nPostgreSQL could not be set up; install it with: {remedy}")]
    NotProvided { source: Box<Error>, remedy: String },
    #[error("{program} could not be run: {source}")]
    NotRunnable { program: String, source: std::io::Error },
    #[error("{program} failed ({status}):\n{output}")]
    Failed { program: String, status: ExitStatus, output: String },
    #[error("could not {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("server {name} did not become ready: {reason}; its log ends with:\n{log}")]
    NotReady { name: String, reason: &'static str, log: String },
    #[error("no free port was found for server {name} in {attempts} attempts")]
    NoPort { name: String, attempts: usize },
    #[error(
        "PostgreSQL refuses to run as root, and neither `postgres` nor `nobody` exists to run it; create one: useradd --system postgres"
    )]
    NoAccount,
    #[error("user {user} can't reach {}; set TMPDIR to a directory that every user can enter", path.display())]
    Unreachable { user: String, path: PathBuf },
    #[error("server {name} did not start streaming from its primary: {state}")]
    NotStreaming { name: String, state: String },
    #[error("signal to process {pid}: {source}")]
    Signal { pid: u32, source: nix::Error },
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// An [`Error::Io`] for use with `map_err`.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { doing, path, source }
    }
}
