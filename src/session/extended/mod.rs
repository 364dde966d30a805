//! The extended protocol. Messages are read one by one and queued on the connection that they are
//! for; nothing is sent before Sync or Flush, so that a turn is one write and one read on each side.
//! A run of messages for one shard is a segment.
//! Here is the pipeline of a turn; each message has a file.

mod bind;
mod close;
mod describe;
mod execute;
mod parse;
mod plan;

use bytes::Buf;

use super::effects::Change;
use super::numbering;
use super::prepared::Place;
use super::segment::{End, Failure, Ran};
use super::turn::{Session, SessionEnd, violation};
use super::undo::Unplaced;
use crate::execute::Expect;
use crate::planning::{Access, Plan};
use crate::protocol::backend;
use crate::protocol::frame::{self, Header};
use crate::protocol::frontend::{Execute, tag};
use crate::types::limits::FRAME_BYTES_MAX;
use crate::types::{ClientError, ShardId, SqlState};

fn unknown_statement(name: &[u8]) -> ClientError {
    let text = match name {
        [] => "unnamed prepared statement does not exist".to_owned(),
        name => format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(name)),
    };
    ClientError::new(SqlState::INVALID_SQL_STATEMENT_NAME, text)
}

/// Whether the last whole frame of the proxy's own messages is an ErrorResponse.
pub(in crate::session) fn last_is_error(mut frames: &[u8]) -> bool {
    let mut last = None;
    while let Ok(Some(header)) = frame::peek(frames, FRAME_BYTES_MAX + 1) {
        last = Some(header.tag);
        frames = frames.get(header.len..).unwrap_or_default();
    }
    last == Some(backend::tag::ERROR)
}

impl Session {
    /// Reads and answers messages up to a Sync or Flush, or to one that isn't of the extended protocol.
    pub(in crate::session) async fn extended_turn(&mut self) -> Result<(), SessionEnd> {
        loop {
            let header = match frame::peek(&self.client.inbound, FRAME_BYTES_MAX + 1).map_err(violation)? {
                Some(header) => header,
                None => {
                    self.tell_failure().await?;
                    match self.client.fill().await {
                        Ok(0) => return Err(SessionEnd::Left),
                        Ok(_) => continue,
                        Err(error) => return Err(SessionEnd::Lost(error)),
                    }
                }
            };
            if matches!(header.tag, tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL)
                && self.segment.is_some()
                && !self.expects.is_empty()
            {
                // Data for a COPY that has only been queued yet.
                if let Err(Failure::End(end)) = self.run_segment(End::Flush).await {
                    return Err(end);
                }
                continue;
            }
            if !matches!(
                header.tag,
                tag::PARSE | tag::BIND | tag::DESCRIBE | tag::EXECUTE | tag::CLOSE | tag::FLUSH | tag::SYNC
            ) {
                return Ok(());
            }
            self.await_frame(header).await?;
            if self.skipping && header.tag != tag::SYNC {
                self.client.inbound.advance(header.len);
                if self.client.held && header.tag == tag::FLUSH {
                    // The messages are the proxy's own, and there are no more.
                    return Ok(());
                }
                continue;
            }
            let ends = matches!(header.tag, tag::SYNC | tag::FLUSH);
            if ends {
                // What follows may be the data of a COPY, which is read at once.
                self.client.inbound.advance(header.len);
            }
            let result = self.message(header).await;
            let len = self.replaced.take().unwrap_or(header.len);
            if !ends {
                self.client.inbound.advance(len);
            }
            let result = match self.copying.take() {
                Some(copy) if result.is_ok() => match Box::pin(self.copy_into_shards(&copy.target, &copy.sql)).await {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(Failure::Told),
                    Err(end) => Err(Failure::End(end)),
                },
                _ => result,
            };
            match result {
                Ok(()) => {}
                Err(Failure::Client(error)) => self.fail_extended(&error).await?,
                Err(Failure::Told) => self.skipping = true,
                Err(Failure::End(end)) => return Err(end),
            }
            if !ends {
                self.bound_queue().await?;
            }
            if self.skipping {
                self.drop_unplaced();
            }
            if ends {
                return Ok(());
            }
        }
    }

    async fn message(&mut self, header: Header) -> Result<(), Failure> {
        if !self.continues_write(header) {
            self.settle_pending_write().await?;
        }
        match header.tag {
            tag::PARSE => {
                self.look_within().await;
                self.parse(header.len).await
            }
            tag::BIND => {
                self.look_within().await;
                self.bind(header.len).await
            }
            tag::DESCRIBE => self.describe(header.len).await,
            tag::EXECUTE => self.execute(header.len).await,
            tag::CLOSE => self.close(header.len).await,
            tag::FLUSH => self.flush_segment().await,
            _ => self.sync().await,
        }
    }

    async fn flush_segment(&mut self) -> Result<(), Failure> {
        if self.scattering.is_some() && self.unplaced.is_empty() {
            return self.flush_parts().await;
        }
        self.place_anywhere().await?;
        if self.segment.is_some() {
            self.run_segment(End::Flush).await?;
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), Failure> {
        if !self.skipping
            && let Err(failure) = self.place_anywhere().await
        {
            match failure {
                Failure::Client(error) => self.fail_extended(&error).await?,
                Failure::Told => {}
                Failure::End(end) => return Err(Failure::End(end)),
            }
        }
        self.drop_unplaced();
        if self.scattering.is_some() {
            match self.run_scatter(false).await {
                Err(Failure::End(end)) => return Err(Failure::End(end)),
                ran => self.skipping |= ran.is_err(),
            }
            self.commit_turn().await;
            self.say_ready();
        } else if self.segment.is_some() {
            let shard = self.segment.as_ref().map(|segment| segment.shard);
            let resets =
                self.segment.as_ref().is_some_and(|segment| segment.executes.iter().flatten().any(Change::resets));
            let is_scratch = shard.is_some_and(crate::types::ShardId::is_scratch);
            let alone = self.transaction.held().len() == 1 && !resets && !is_scratch && !self.transaction.is_spread();
            let ran = self.run_segment(End::Sync { shown: alone }).await?;
            if ran == Ran::SyncIgnored {
                return Ok(());
            }
            if let Some(shard) = shard.filter(|_| resets && ran == Ran::Answered) {
                self.restore_baseline(shard).await;
            }
            if is_scratch && ran == Ran::Answered {
                self.keep_declared(false).await;
            }
            if !(alone && ran == Ran::Answered) {
                self.commit_turn().await;
                self.say_ready();
            }
        } else {
            self.commit_turn().await;
            self.say_ready();
        }
        self.skipping = false;
        self.forget_segment().await;
        self.settle().await;
        Ok(())
    }

    /// Has everything answered that came before a command of the proxy's own.
    async fn catch_up(&mut self) -> Result<(), Failure> {
        self.flush_parts().await?;
        if self.segment.is_some() {
            self.run_segment(End::Flush).await?;
        }
        if self.skipping { Err(Failure::Told) } else { Ok(()) }
    }

    /// Parses that are not all of the proxy's own commands go to a server.
    async fn place_unless_own(&mut self) -> Result<(), Failure> {
        let own = |waiting: &Unplaced| matches!(&*waiting.statement.template.statements, [only] if self.is_own_command(&only.command));
        if self.unplaced.iter().all(own) { Ok(()) } else { self.place_anywhere().await }
    }

    fn say_parsed(&mut self) {
        for _ in std::mem::take(&mut self.unplaced) {
            backend::empty(&mut self.client.outbound, backend::tag::PARSE_COMPLETE);
        }
    }

    /// Has everything answered that came before, on connections that are at rest afterwards.
    pub(in crate::session) async fn answer_own_parses(&mut self) -> Result<(), Failure> {
        self.place_unless_own().await?;
        self.leave_segment().await?;
        self.say_parsed();
        Ok(())
    }

    /// A message that goes as it is to the shard of its portal.
    async fn pass_message(&mut self, place: Option<Place>, len: usize, expect: Expect) -> Result<(), Failure> {
        if self.fails_locally() {
            return Err(super::block::aborted().into());
        }
        let shard = match place {
            Some(Place::Shard(shard)) => shard,
            _ => self.shard_of(&Plan::Touched).expect("session commands have a shard"),
        };
        if shard.is_scratch() {
            // It has no tables that other statements could be looked at with.
            self.place_anywhere().await?;
        }
        if self.segment.as_ref().is_none_or(|segment| segment.shard != shard) {
            self.leave_segment().await?;
            self.reach(shard, Access::Write).await?;
            self.open_segment(shard);
        }
        if let Some(segment) = &mut self.segment {
            segment.only_looks = false;
        }
        self.place_parses(shard);
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let lease = self.transaction.lease_mut(shard).expect("the segment's connection is held");
        if let Expect::Execute = expect {
            let name = Execute::decode(frame)?.portal;
            let carries = self.portals.get(name).is_some_and(|portal| portal.carries);
            if carries && numbering::describe_ahead(lease, name) {
                self.expects.push_back(Expect::DescribeOwn);
            }
        }
        lease.framed.outbound.extend_from_slice(frame);
        self.expects.push_back(expect);
        Ok(())
    }

    /// The segment that there is, or a new one where the session is.
    pub(in crate::session) async fn enter_anywhere(&mut self) -> Result<ShardId, Failure> {
        if self.fails_locally() {
            return Err(super::block::aborted().into());
        }
        if let Some(segment) = self.segment.as_ref().filter(|segment| !segment.shard.is_scratch()) {
            return Ok(segment.shard);
        }
        self.leave_segment().await?;
        let shard = self.shard_of(&Plan::Touched).expect("session commands have a shard");
        let joins = self.would_join(shard);
        self.reach(shard, Access::Write).await?;
        self.open_segment(shard);
        if let Some(segment) = &mut self.segment {
            segment.only_looks = joins;
        }
        Ok(shard)
    }
}
