//! Process ids as clients were told them at their login, which are the proxy's own: pg_backend_pid() tells the client's, and
//! pg_cancel_backend() and pg_terminate_backend() of one reach its session. In: a frame whose statement is such a call. Out:
//! the frame in its place that is planned and sent. Numbers that no client was told mean a server's own processes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::prepared::ClientStatement;
use super::segment::Failure;
use super::turn::{Session, SessionEnd, violation};
use crate::planning::{ProcessCall, ProcessFunction, ProcessOf, process_call};
use crate::pool::connect::connect_control;
use crate::protocol::frontend::{self, Bind, BindValue, encode};
use crate::types::limits::CANCEL_WAIT_MAX;
use crate::types::{ClientError, SqlState};

/// What becomes of a call.
enum Meant {
    /// The client's own text is sent.
    Server,
    /// This takes its place: an expression of the same type.
    Expression(String),
    /// The client has its own session ended.
    End,
}

/// Whether the caller may do that to another's process; as PostgreSQL decides it.
const MAY_SIGNAL: &str = "SELECT u.rolsuper OR (NOT t.rolsuper AND (pg_catalog.pg_has_role(u.oid, t.oid, 'USAGE')
     OR pg_catalog.pg_has_role(u.oid, 'pg_signal_backend', 'USAGE')))
     FROM pg_catalog.pg_roles u, pg_catalog.pg_roles t WHERE u.rolname = $1 AND t.rolname = $2";

impl Session {
    /// The Query at the front of the client's buffer, if it is such a call; gives its new length where it was replaced.
    pub(super) async fn process_query(&mut self, len: usize) -> Result<Result<Option<usize>, ClientError>, SessionEnd> {
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let sql = Bytes::copy_from_slice(frontend::query(frame).map_err(violation)?);
        let Some(call) = process_call(&sql, &self.lex_options()) else { return Ok(Ok(None)) };
        match Box::pin(self.mean(&call, |_| None)).await {
            Err(error) => Ok(Err(error)),
            Ok(Meant::Server) => Ok(Ok(None)),
            Ok(Meant::End) => Err(SessionEnd::Told(super::cancel::farewell(None))),
            Ok(Meant::Expression(expression)) => {
                let mut fresh = BytesMut::new();
                encode::query(&mut fresh, &replaced(&call, &sql, &expression));
                self.client.inbound.replace_front(len, &fresh);
                Ok(Ok(Some(fresh.len())))
            }
        }
    }

    /// The same of a Bind: gives the statement that it is for then.
    pub(super) async fn process_bind(
        &mut self,
        statement: &Arc<ClientStatement>,
        len: usize,
    ) -> Result<Arc<ClientStatement>, Failure> {
        let unchanged = Ok(Arc::clone(statement));
        if !statement.template.asks_process {
            return unchanged;
        }
        let Some(call) = process_call(&statement.sql, &self.lex_options()) else { return unchanged };
        let frame = Bytes::copy_from_slice(self.client.inbound.get(..len).unwrap_or_default());
        let message = Bind::decode(&frame)?;
        if call.function != ProcessFunction::BackendPid {
            // Were anything before it to fail, it wouldn't run.
            self.leave_segment().await?;
        }
        let value = |number: u16| message.values().nth(usize::from(number)).and_then(read_number);
        match Box::pin(self.mean(&call, value)).await? {
            Meant::Server => unchanged,
            Meant::End => Err(Failure::End(SessionEnd::Told(super::cancel::farewell(None)))),
            Meant::Expression(expression) => {
                let sql = Bytes::from(replaced(&call, &statement.sql, &expression));
                Ok(Arc::new(self.make_derived(statement, sql, statement.declared.clone()).await?))
            }
        }
    }

    /// Does what is to be done to another client's session.
    async fn mean(&mut self, call: &ProcessCall, value: impl Fn(u16) -> Option<u32>) -> Result<Meant, ClientError> {
        let own = self.notes.client().id;
        let (whose, ends) = match &call.function {
            ProcessFunction::BackendPid => return Ok(Meant::Expression(own.to_string())),
            _ if self.transaction.is_failed() => return Ok(Meant::Server),
            ProcessFunction::Cancel(whose) => (whose, false),
            ProcessFunction::Terminate(whose) => (whose, true),
        };
        let number = match whose {
            ProcessOf::Own => own,
            ProcessOf::Number(number) => *number,
            ProcessOf::Parameter(number) => match value(*number) {
                Some(number) => number,
                None => return Ok(Meant::Server),
            },
        };
        if number == own {
            return Ok(match (whose, ends) {
                (_, true) => Meant::End,
                (ProcessOf::Own, false) => Meant::Server,
                (_, false) => {
                    Meant::Expression(kept(whose, "pg_catalog.pg_cancel_backend(pg_catalog.pg_backend_pid())"))
                }
            });
        }
        let Some(client) = self.keys.of(number) else { return Ok(Meant::Server) };
        self.may_signal(number, ends).await?;
        if ends {
            client.kill().await;
            tokio::spawn(client.insist());
        } else {
            client.cancel().await;
        }
        Ok(Meant::Expression(kept(whose, "true")))
    }

    async fn may_signal(&self, number: u32, ends: bool) -> Result<(), ClientError> {
        let target = self.observed.clients.of(number);
        let Some(target) = target.filter(|target| *target.user != *self.user) else { return Ok(()) };
        let asked = async {
            let login = self.database.login_of(&self.user).ok_or("the user is gone")?;
            let role = match self.database.login_of(&target.user) {
                Some(login) => login.user,
                None => target.user.to_string(),
            };
            let home = Arc::clone(self.database.home_primary());
            let (client, _) = connect_control(&home.config, &login).await.map_err(|error| error.to_string())?;
            let row = client.query_opt(MAY_SIGNAL, &[&login.user, &role]).await.map_err(|error| error.to_string())?;
            Ok::<bool, String>(row.is_some_and(|row| row.get(0)))
        };
        let may = crate::net::timer::timeout(CANCEL_WAIT_MAX, asked).await;
        let text = if ends { "permission denied to terminate process" } else { "permission denied to cancel query" };
        let refused = ClientError::new(SqlState::INSUFFICIENT_PRIVILEGE, text);
        match may {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(refused.detail(
                "Only roles with privileges of the role whose process it is, or of \"pg_signal_backend\", may do that.",
            )),
            Ok(Err(reason)) => {
                Err(refused.detail(format!("The home shard can't be asked whether it is allowed: {reason}")))
            }
            Err(_) => Err(refused.detail("The home shard couldn't be asked in time whether it is allowed.")),
        }
    }
}

/// The client's parameter stays one, of its type.
fn kept(whose: &ProcessOf, expression: &str) -> String {
    match whose {
        ProcessOf::Parameter(number) => {
            format!("CASE WHEN ${}::pg_catalog.int4 IS NOT NULL THEN {expression} END", u32::from(*number) + 1)
        }
        ProcessOf::Own | ProcessOf::Number(_) => expression.to_owned(),
    }
}

fn replaced(call: &ProcessCall, sql: &[u8], expression: &str) -> Vec<u8> {
    let mut text = format!("SELECT {expression} ").into_bytes();
    match sql.get(call.rest.clone()) {
        Some(label) if !label.is_empty() => text.extend_from_slice(label),
        _ => text.extend_from_slice(format!("AS {}", call.function.name()).as_bytes()),
    }
    text
}

fn read_number(value: BindValue<'_>) -> Option<u32> {
    let number = match value {
        BindValue::Null => return None,
        BindValue::Text(text) => std::str::from_utf8(text).ok()?.trim().parse::<i64>().ok()?,
        BindValue::Binary(bytes) => match bytes.len() {
            2 => i64::from(i16::from_be_bytes(bytes.try_into().ok()?)),
            4 => i64::from(i32::from_be_bytes(bytes.try_into().ok()?)),
            _ => return None,
        },
    };
    u32::try_from(number).ok()
}
