//! What PostgreSQL itself finds wrong with a statement that Shardway can't run. In: the text. Out: the server's error for the
//! client, if it has one: an unknown column stays an unknown column, whatever else would have been in the way.
//!
//! The home shard has every table, so its Parse tells; nothing is run.

use bytes::{Buf, Bytes};

use super::admission::access_of;
use super::segment::Failure;
use super::turn::{Session, SessionEnd, violation};
use crate::execute::{Expect, relay};
use crate::planning::Access;
use crate::protocol::frontend::{self, encode};
use crate::sql::Command;
use crate::sql::command::Verb;
use crate::types::{ClientError, SqlState};

impl Session {
    /// The Query at the front of the client's buffer is refused, by its server first.
    pub(super) async fn refuse_statement(&mut self, error: &ClientError, len: usize) -> Result<(), SessionEnd> {
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let sql = Bytes::copy_from_slice(frontend::query(frame).map_err(violation)?);
        self.client.inbound.advance(len);
        match self.objection(error, &sql).await {
            Some(Failure::End(end)) => return Err(end),
            Some(Failure::Told) => {
                self.expects.clear();
                self.fail_block().await;
            }
            Some(Failure::Client(_)) | None => {
                self.expects.clear();
                self.refuse(error).await;
            }
        }
        Ok(())
    }

    async fn objection(&mut self, error: &ClientError, sql: &Bytes) -> Option<Failure> {
        let is_analysed = |command: &Command| {
            use Verb::{Delete, Explain, Insert, Merge, Select, Update};
            matches!(command, Command::Ordinary(Select | Insert | Update | Delete | Merge | Explain { .. }))
        };
        let template = self.refused.as_ref()?;
        let [only] = &*template.statements else { return None };
        let home = self.database.config.home;
        // Positions in a text that ids were put into are others.
        let is_own_text = self.moved.is_none();
        let can_ask = self.database.lead(home).at().is_some() && !self.transaction.is_failed() && is_own_text;
        if error.state != SqlState::FEATURE_NOT_SUPPORTED || !is_analysed(&only.command) || !can_ask {
            return None;
        }
        let access = access_of(template);
        match self.parse_at_home((sql, b""), access).await {
            Ok(true) => Some(Failure::Told),
            Ok(false) => None,
            Err(failure) => Some(failure),
        }
    }

    /// If the home shard refuses the text; then the client was told. Parameter types as Parse declares them.
    pub(super) async fn parse_at_home(
        &mut self,
        (sql, types): (&[u8], &[u8]),
        access: Access,
    ) -> Result<bool, Failure> {
        let home = self.database.config.home;
        if let Err(error) = self.reach(home, access).await {
            self.expects.clear();
            return Err(error.into());
        }
        let lease = self.transaction.lease_mut(home).expect("reached above");
        encode::parse(&mut lease.framed.outbound, b"", sql, types);
        encode::sync(&mut lease.framed.outbound);
        lease.unanswered += 1;
        lease.unnamed = None;
        self.expects.push_back(Expect::Parse { shown: false, statement: None });
        self.expects.push_back(Expect::Sync { shown: false });
        match relay(&mut self.client, lease, &mut self.expects).await {
            Ok(outcome) => Ok(outcome.failed),
            Err(error) => match self.survive(home, error, false).await {
                Ok(()) => Ok(true),
                Err(end) => Err(Failure::End(end)),
            },
        }
    }
}
