//! The simple protocol: one Query, one plan, one relay.
//! Here is the pipeline of a Query; what it is becomes a plan in `understand`, which `run` brings to its place.

mod call;
mod relay;
mod run;
mod understand;

use std::sync::Arc;

use bytes::Buf;

use crate::planning::{Plan, Template};
use crate::protocol::frontend;
use crate::session::effects::Change;
use crate::session::turn::{Session, SessionEnd, violation};
use crate::types::{ClientError, SqlState};

/// A Query that has been understood.
pub(in crate::session) struct Planned {
    template: Arc<Template>,
    plan: Plan,
    changes: Vec<(usize, Change)>,
}

impl Session {
    /// Answers the Query at the front of the client's buffer, `len` bytes long, up to ReadyForQuery.
    pub(in crate::session) async fn simple_query(&mut self, len: usize) -> Result<(), SessionEnd> {
        if !self.close_segment().await? {
            self.client.inbound.advance(len);
            return Ok(());
        }
        // A Query does away with the unnamed statement and the unnamed portal, as on a server.
        if !self.portals.is_empty() {
            self.portals.remove(&b""[..]);
        }
        if !self.statements.is_empty() {
            self.statements.remove(&b""[..]);
        }
        self.moved = None;
        self.look_within().await;
        let mut lexed = crate::session::planner::take_scratch();
        let mut len = len;
        let mut planned = self.plan_query(len, &mut lexed).await?;
        if let Ok(Planned { template, .. }) = &planned
            && template.filling.is_some()
        {
            let template = Arc::clone(template);
            planned = match self.fill_query(&template, len).await? {
                Ok(filled) => {
                    len = filled;
                    let planned = self.plan_query(len, &mut lexed).await?;
                    planned.and_then(|planned| crate::session::filling::is_full(&planned.template).map(|()| planned))
                }
                Err(error) => Err(error),
            };
        }
        if matches!(&planned, Ok(Planned { template, .. }) if template.asks_process) {
            match self.process_query(len).await? {
                Ok(None) => {}
                Ok(Some(replaced)) => {
                    len = replaced;
                    planned = self.plan_query(len, &mut lexed).await?;
                }
                Err(error) => planned = Err(error),
            }
        }
        if let Ok(Planned { template, plan, .. }) = &planned
            && let Some(first) = self.differs_in_time(plan)
        {
            let template = Arc::clone(template);
            let frame = self.client.inbound.get(..len).unwrap_or_default();
            let timed = template.bind_timed(frontend::query(frame).unwrap_or_default(), &lexed, None);
            if let (Some(timed), Ok(planned)) = (timed, &mut planned) {
                planned.plan = timed;
            } else if template.stamps.is_some() {
                planned = match self.stamp_query(&template, first, len).await? {
                    Ok(stamped) => {
                        len = stamped;
                        self.plan_query(len, &mut lexed).await?
                    }
                    Err(error) => Err(error),
                };
            }
        }
        if let Ok(Planned { template, .. }) = &planned
            && template.meets_prepared
        {
            let template = Arc::clone(template);
            if !Box::pin(self.hand_over_for_query(&template)).await? {
                self.client.inbound.advance(len);
                self.settle().await;
                return Ok(());
            }
        }
        crate::session::planner::put_scratch(lexed);
        match planned {
            Ok(planned) => self.run_query(planned, len).await?,
            Err(error) => {
                if error.state != SqlState::FEATURE_NOT_SUPPORTED || !Box::pin(self.call_insert(len)).await? {
                    self.refuse_statement(&error, len).await?;
                    self.say_ready();
                }
            }
        }
        self.settle().await;
        Ok(())
    }

    /// The Query at the front of the client's buffer isn't run.
    pub(in crate::session) async fn refuse_query(&mut self, error: &ClientError, len: usize) {
        self.client.inbound.advance(len);
        self.expects.clear();
        self.refuse(error).await;
        self.say_ready();
    }

    /// The text of a Query, for those few that are told again to shards that join later.
    pub(in crate::session) fn query_text(&self, len: usize) -> Result<String, SessionEnd> {
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let sql = frontend::query(frame).map_err(violation)?;
        Ok(String::from_utf8_lossy(sql).trim_end_matches([';', ' ', '\n', '\t', '\r']).to_owned())
    }
}
