//! The extended protocol of the console: statements and portals by the client's names.

use std::collections::HashMap;

use super::answer::Answer;
use super::command::{Command, parse};
use super::{Console, Done, text, violation};
use crate::protocol::backend::{self, tag};
use crate::protocol::frame::{FrameError, Header};
use crate::protocol::frontend::{self, Bind, Execute, Parse, Target};
use crate::types::limits::CONSOLE_STATEMENTS_MAX;
use crate::types::{ClientError, SqlState};

#[derive(Default)]
pub(super) struct Portals {
    statements: HashMap<String, Command>,
    portals: HashMap<String, Portal>,
}

struct Portal {
    command: Command,
    formats: Vec<i16>,
    /// Of SHOW: its table as of Bind, and how many of its rows were sent.
    answer: Option<(Answer, usize)>,
}

impl Portals {
    /// Portals end with their transaction, which is one turn.
    pub(super) fn end_turn(&mut self) {
        self.portals.clear();
    }
}

impl Console {
    pub(super) async fn extended(&mut self, header: Header) -> Result<(), ClientError> {
        let frame = self.guest.framed.inbound.get(..header.len).unwrap_or_default().to_vec();
        match header.tag {
            frontend::tag::PARSE => self.parse(&frame),
            frontend::tag::BIND => self.bind(&frame),
            frontend::tag::DESCRIBE => self.describe(&frame),
            frontend::tag::EXECUTE => self.execute(&frame).await,
            _ => self.close(&frame),
        }
    }

    fn parse(&mut self, frame: &[u8]) -> Result<(), ClientError> {
        let message = Parse::decode(frame).map_err(malformed)?;
        let name = text(Ok(message.statement))?;
        let command = parse(&text(Ok(message.sql))?).map_err(violation)?;
        if self.portals.statements.len() >= CONSOLE_STATEMENTS_MAX && !self.portals.statements.contains_key(&name) {
            let message = format!("the console keeps {CONSOLE_STATEMENTS_MAX} prepared statements");
            return Err(ClientError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        self.portals.statements.insert(name, command);
        backend::empty(&mut self.guest.framed.outbound, tag::PARSE_COMPLETE);
        Ok(())
    }

    fn statement(&self, name: &[u8]) -> Result<Command, ClientError> {
        let name = text(Ok(name))?;
        self.portals.statements.get(&name).cloned().ok_or_else(|| {
            let message = format!("prepared statement \"{name}\" does not exist");
            ClientError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
        })
    }

    fn bind(&mut self, frame: &[u8]) -> Result<(), ClientError> {
        let message = Bind::decode(frame).map_err(malformed)?;
        let command = self.statement(message.statement)?;
        if message.value_count() != 0 {
            return Err(violation("the console's statements have no parameters"));
        }
        if self.portals.portals.len() >= CONSOLE_STATEMENTS_MAX {
            let message = format!("the console keeps {CONSOLE_STATEMENTS_MAX} portals");
            return Err(ClientError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        let answer = match command {
            Command::Show(shown) => Some((self.show(shown), 0)),
            _ => None,
        };
        let formats =
            message.result_formats.as_chunks::<2>().0.iter().map(|format| i16::from_be_bytes(*format)).collect();
        self.portals.portals.insert(text(Ok(message.portal))?, Portal { command, formats, answer });
        backend::empty(&mut self.guest.framed.outbound, tag::BIND_COMPLETE);
        Ok(())
    }

    fn describe(&mut self, frame: &[u8]) -> Result<(), ClientError> {
        match frontend::target(frame).map_err(malformed)? {
            Target::Statement(name) => {
                let command = self.statement(name)?;
                let answer = match command {
                    Command::Show(shown) => Some(self.show(shown)),
                    _ => None,
                };
                let out = &mut self.guest.framed.outbound;
                backend::parameter_description(out, &[]);
                match answer {
                    Some(answer) => answer.describe(out, &[]),
                    None => backend::empty(out, tag::NO_DATA),
                }
            }
            Target::Portal(name) => {
                let name = text(Ok(name))?;
                let portal = self.portals.portals.get(&name).ok_or_else(|| no_portal(&name))?;
                let out = &mut self.guest.framed.outbound;
                match &portal.answer {
                    Some((answer, _)) => answer.describe(out, &portal.formats),
                    None => backend::empty(out, tag::NO_DATA),
                }
            }
        }
        Ok(())
    }

    async fn execute(&mut self, frame: &[u8]) -> Result<(), ClientError> {
        let message = Execute::decode(frame).map_err(malformed)?;
        let name = text(Ok(message.portal))?;
        let portal = self.portals.portals.get_mut(&name).ok_or_else(|| no_portal(&name))?;
        let out = &mut self.guest.framed.outbound;
        if let Some((answer, sent)) = &mut portal.answer {
            let limit = usize::try_from(message.rows_max).ok().filter(|&limit| limit > 0).unwrap_or(usize::MAX);
            let rest = answer.rows.get(*sent..).unwrap_or_default();
            let now = rest.len().min(limit);
            rest.iter().take(now).for_each(|row| answer.put_row(out, row, &portal.formats));
            let suspends = now == limit;
            *sent += now;
            if suspends {
                backend::empty(out, tag::PORTAL_SUSPENDED);
            } else {
                backend::command_complete(out, "SHOW");
            }
            return Ok(());
        }
        let command = portal.command.clone();
        match self.carry_out(command).await? {
            Done::Tag(tag) => backend::command_complete(&mut self.guest.framed.outbound, &tag),
            Done::Table(_) | Done::Empty => backend::empty(&mut self.guest.framed.outbound, tag::EMPTY_QUERY),
        }
        Ok(())
    }

    fn close(&mut self, frame: &[u8]) -> Result<(), ClientError> {
        match frontend::target(frame).map_err(malformed)? {
            Target::Statement(name) => drop(self.portals.statements.remove(&text(Ok(name))?)),
            Target::Portal(name) => drop(self.portals.portals.remove(&text(Ok(name))?)),
        }
        backend::empty(&mut self.guest.framed.outbound, tag::CLOSE_COMPLETE);
        Ok(())
    }
}

fn malformed(error: FrameError) -> ClientError {
    violation(error.to_string())
}

fn no_portal(name: &str) -> ClientError {
    ClientError::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}
