//! Describe: of a statement, a shard answers with the client's own text; of a portal, whoever has it.

use std::sync::Arc;

use super::unknown_statement;

use crate::execute::Expect;
use crate::planning::Plan;
use crate::protocol::backend;
use crate::protocol::frontend::{Target, encode, target};
use crate::session::prepared::Place;
use crate::session::segment::Failure;
use crate::session::turn::Session;

impl Session {
    pub(super) async fn describe(&mut self, len: usize) -> Result<(), Failure> {
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        match target(frame)? {
            Target::Statement(name) => {
                let Some(statement) = self.statements.get(name).cloned() else {
                    if self.state.pins.sql_prepared && !name.is_empty() {
                        self.pass_message(None, len, Expect::DescribeStatement).await?;
                        if let Some(segment) = &mut self.segment {
                            segment.describes.push(None);
                        }
                        return Ok(());
                    }
                    return Err(unknown_statement(name).into());
                };
                if self.fails_locally() {
                    return Err(crate::session::block::aborted().into());
                }
                if let [only] = &*statement.template.statements
                    && let Some(call) = self.executed(&only.command, &statement.sql)
                {
                    return self.describe_executed(&call).await;
                }
                let shard = self.shard_of(&Plan::Touched).expect("session commands have a shard");
                let joins = self.would_join(shard);
                // What is executed next finds itself where it can run.
                self.enter_segment(shard, crate::session::admission::access_of(&statement.template)).await?;
                if let Some(segment) = &mut self.segment {
                    segment.only_looks |= joins;
                }
                self.place_parses(shard);
                self.prepare(shard, &statement);
                let lease = self.transaction.lease_mut(shard).expect("the segment's connection is held");
                let name = statement.shared.as_ref().map_or(&b""[..], |shared| shared.name());
                encode::describe_statement(&mut lease.framed.outbound, name);
                self.expects.push_back(Expect::DescribeStatement);
                if let Some(segment) = &mut self.segment {
                    segment.describes.push(Some(statement));
                }
                Ok(())
            }
            Target::Portal(name) => match self.portal_or_cursor(name) {
                Some(Place::Local { .. } | Place::CopyIn(_)) => {
                    let name: Box<[u8]> = name.into();
                    self.describe_local(&name).await
                }
                Some(Place::Scatter { .. }) => {
                    let name: Box<[u8]> = name.into();
                    self.describe_scatter(&name, len).await
                }
                Some(Place::Merged(merged)) => {
                    let name: Box<[u8]> = name.into();
                    self.describe_merge(&name, &merged).await
                }
                Some(Place::Write(_)) => {
                    let name: Box<[u8]> = name.into();
                    self.describe_write(&name).await
                }
                place => self.pass_message(place, len, Expect::DescribePortal).await,
            },
        }
    }

    /// Where a portal is, or a cursor of DECLARE, which is a portal, too.
    fn portal_or_cursor(&self, name: &[u8]) -> Option<Place> {
        if let Some(portal) = self.portals.get(name) {
            return Some(portal.place.clone());
        }
        let shard = self.cursors.get(std::str::from_utf8(name).ok()?)?.shard;
        let is_held = self.transaction.held().iter().any(|held| held.shard == shard);
        (is_held || shard.is_scratch()).then_some(Place::Shard(shard))
    }

    async fn describe_local(&mut self, portal: &[u8]) -> Result<(), Failure> {
        let Some(statement) = self.portals.get(portal).map(|portal| Arc::clone(&portal.statement)) else {
            return Ok(());
        };
        self.catch_up().await?;
        let shown = match &statement.template.statements[..] {
            [only] => crate::session::own::shown_setting(&only.command),
            _ => None,
        };
        match shown {
            Some(name) => backend::text_columns(&mut self.client.outbound, &[name]),
            None => backend::empty(&mut self.client.outbound, backend::tag::NO_DATA),
        }
        Ok(())
    }
}
