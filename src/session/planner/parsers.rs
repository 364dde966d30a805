//! The threads that build templates: in, a statement and the scene; out, its template, in the cache as well.

use super::{Current, KeyedNames};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::observe::DatabaseFigures;
use crate::planning::Template;
use crate::sql::Lexed;
use crate::types::limits::{PARSER_QUEUE_MAX, PARSER_STACK_BYTES};

pub(super) struct Job {
    pub sql: Bytes,
    pub lexed: Lexed,
    pub names: Arc<KeyedNames>,
    pub current: Arc<Current>,
    pub figures: Arc<DatabaseFigures>,
    pub reply: oneshot::Sender<Arc<Template>>,
}

/// Two threads: a huge statement on one leaves the other for everybody else.
pub(super) fn parsers() -> &'static std::sync::mpsc::SyncSender<Job> {
    static PARSERS: OnceLock<std::sync::mpsc::SyncSender<Job>> = OnceLock::new();
    PARSERS.get_or_init(|| {
        let (sender, jobs) = std::sync::mpsc::sync_channel::<Job>(PARSER_QUEUE_MAX);
        let jobs = Arc::new(std::sync::Mutex::new(jobs));
        for number in 0..2 {
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new()
                .name(format!("parser-{number}"))
                .stack_size(PARSER_STACK_BYTES)
                .spawn(move || {
                    loop {
                        let job = jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
                        let Ok(job) = job else { return };
                        // A statement that makes the planner panic must not take the thread with it.
                        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| build(job)));
                        if outcome.is_err() {
                            tracing::error!("planning a statement failed unexpectedly");
                        }
                    }
                })
                .expect("a thread can be started at the first statement");
        }
        sender
    })
}

fn build(job: Job) {
    let Job { sql, lexed, names, current, figures, reply } = job;
    let template = Arc::new(Template::build(&sql, &lexed, &current.scene, &names.names));
    let _ =
        template.observed.set(figures.statements.of(template.normalized(), || (template.kind(), template.readable())));
    tracing::trace!(bytes = sql.len(), "statement parsed");
    current.templates.insert(&lexed, names.key, Arc::clone(&template));
    // The client may be gone.
    let _ = reply.send(template);
}
