//! What a Query means: in, its bytes; out, a template, the plan of this call and what it changes in the session.
//! Sends nothing, but for looking rows up.

use super::Planned;
use std::sync::Arc;

use crate::planning::Plan;
use crate::protocol::frame::HEADER_BYTES;
use crate::protocol::frontend;
use crate::session::effects::{self};
use crate::session::turn::{Session, SessionEnd, violation};
use crate::sql::command::Verb;
use crate::sql::{Command, Lexed};
use crate::types::ClientError;
use crate::types::limits::{INLINE_STATEMENT_BYTES_MAX, QUICK_STATEMENT_BYTES_MAX};

impl Session {
    pub(in crate::session) async fn plan_query(
        &mut self,
        len: usize,
        lexed: &mut Lexed,
    ) -> Result<Result<Planned, ClientError>, SessionEnd> {
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let sql = frontend::query(frame).map_err(violation)?;
        let text = HEADER_BYTES..HEADER_BYTES + sql.len();
        let found = if sql.len() > INLINE_STATEMENT_BYTES_MAX {
            let sql = bytes::Bytes::copy_from_slice(sql);
            match Box::pin(self.lex_apart(sql)).await {
                Ok((apart, found)) => {
                    *lexed = *apart;
                    found
                }
                Err(error) => return Ok(Err(error)),
            }
        } else {
            if let Err(error) = self.database.planner.lex(sql, self.standard_conforming_strings, lexed) {
                return Ok(Err(error));
            }
            self.find_template(sql, lexed)
        };
        self.note_template(found.is_some());
        self.freshness.said = None;
        if lexed.hint.is_some() {
            let sql = self.client.inbound.get(text.clone()).unwrap_or_default().to_vec();
            self.note_said(&sql, lexed);
        }
        let template = match found {
            Some(template) => template,
            None => {
                let frame = self.client.inbound.get(..len).unwrap_or_default();
                let sql = bytes::Bytes::copy_from_slice(frontend::query(frame).map_err(violation)?);
                match self.build_template(sql, lexed.clone()).await {
                    Ok(template) => template,
                    Err(error) => return Ok(Err(error)),
                }
            }
        };
        let sql = self.client.inbound.get(text.clone()).unwrap_or_default();
        if template.statements.is_empty() || template.filling.is_some() {
            return Ok(Ok(Planned { template, plan: Plan::Touched, changes: Vec::new() }));
        }
        self.notes.look(sql);
        let bound = template.bind_hinted(sql, lexed, None, self.hint.as_ref());
        let bound = match bound {
            Ok(plan) if template.has_lookups() => {
                let sql = bytes::Bytes::copy_from_slice(sql);
                match Box::pin(self.look_up(plan, &template, (&sql, lexed), None)).await {
                    Ok(plan) => Ok(plan),
                    Err(undone) => return Ok(Err(self.look_up_failed(undone)?)),
                }
            }
            other => other,
        };
        let sql = self.client.inbound.get(text.clone()).unwrap_or_default();
        match bound {
            Ok(plan) => {
                if sql.len() < QUICK_STATEMENT_BYTES_MAX && crate::session::quick::is_ordinary(&template) {
                    self.remember(sql, lexed, &template);
                }
                self.note_plan(Arc::clone(&template), &plan);
                let explains = template
                    .statements
                    .iter()
                    .any(|one| matches!(one.command, Command::Ordinary(Verb::Explain { .. })));
                self.explaining = None;
                if explains {
                    let sql = self.client.inbound.get(text.clone()).unwrap_or_default().to_vec();
                    self.note_explain(&template, &sql, &plan);
                }
                let sql = self.client.inbound.get(text.clone()).unwrap_or_default();
                let changes = if effects::is_quiet(&template) {
                    Vec::new()
                } else {
                    let all = effects::changes(sql, lexed, &template, None, &self.lex_options());
                    all.into_iter().map(|(at, change)| (at, self.as_it_will_end(change))).collect()
                };
                if let Some(error) = crate::session::own::set_by_call(&template, &changes) {
                    return Ok(Err(error));
                }
                let owns = template.statements.iter().any(|one| crate::session::own::is_of_own_setting(&one.command));
                let plan = if owns && template.statements.len() > 1 { Plan::Batch } else { plan };
                Ok(Ok(Planned { template, plan, changes }))
            }
            Err(refusal) => {
                self.refused = Some(template);
                Ok(Err(refusal.into()))
            }
        }
    }
}
