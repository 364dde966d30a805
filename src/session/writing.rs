//! Portals of statements that write several shards. Nothing is sent when they are bound: what the shards say of it is
//! told with what comes next, so that a turn is one exchange with each shard. In: Bind, Describe, Execute. Out: what a
//! server would have said.

use std::sync::Arc;

use bytes::Bytes;

use super::bound::{Bound, Until};
use super::effects::Change;
use super::parts::{Told, Undone};
use super::prepared::{ClientStatement, Place, Portal};
use super::segment::Failure;
use super::turn::Session;
use crate::planning::Plan;
use crate::protocol::backend;
use crate::protocol::frame::Header;
use crate::protocol::frontend::{Bind, Execute, Target, tag, target};
use crate::types::{ClientError, SqlState};

/// A portal that writes several shards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WritePortal {
    plan: Plan,
    bound: Arc<Bound>,
    /// Once it has run.
    kept: Option<Kept>,
}

/// Rows that the client hasn't asked for yet.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Kept {
    description: Option<Bytes>,
    rows: Bytes,
    ends: Arc<[usize]>,
    next: usize,
    tag: Arc<str>,
}

/// A Bind of which the shards don't know yet.
#[derive(Debug)]
pub struct PendingWrite {
    portal: Box<[u8]>,
    /// Its Describe came behind.
    describes: bool,
}

impl Kept {
    /// Without RETURNING a portal runs once; with it, it can be asked for rows again and again.
    fn is_over(&self) -> bool {
        self.description.as_ref().is_none_or(|frame| frame.first() == Some(&backend::tag::NO_DATA))
    }
}

impl Session {
    pub(super) async fn bind_write(
        &mut self,
        portal: Box<[u8]>,
        statement: Arc<ClientStatement>,
        plan: Plan,
        changes: Vec<Change>,
        len: usize,
    ) -> Result<(), Failure> {
        // What came before is answered first.
        self.place_anywhere().await?;
        self.leave_segment().await?;
        let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let types = match statement.types.get() {
            Some(types) => types.to_vec(),
            None => statement.declared.as_chunks::<4>().0.iter().map(|oid| u32::from_be_bytes(*oid)).collect(),
        };
        let bound = Arc::new(Bound::new(&message, types));
        let place = Place::Write(Box::new(WritePortal { plan, bound, kept: None }));
        self.portals.insert(portal.clone(), Portal { statement, place, changes, carries: false });
        self.pending_write = Some(PendingWrite { portal, describes: false });
        Ok(())
    }

    /// If the message belongs to the Bind that is pending.
    pub(super) fn continues_write(&self, header: Header) -> bool {
        let Some(pending) = &self.pending_write else { return true };
        let frame = self.client.inbound.get(..header.len).unwrap_or_default();
        match header.tag {
            tag::DESCRIBE => matches!(target(frame), Ok(Target::Portal(name)) if *name == *pending.portal),
            tag::EXECUTE => Execute::decode(frame).is_ok_and(|message| *message.portal == *pending.portal),
            _ => false,
        }
    }

    /// Has the shards say what they think of a Bind that isn't executed with its turn.
    pub(super) async fn settle_pending_write(&mut self) -> Result<(), Failure> {
        let Some(name) = self.pending_write.as_ref().map(|pending| pending.portal.clone()) else { return Ok(()) };
        let told = self.run_write_portal(&name, Until::Described).await?;
        self.say_bound(told.description.as_ref());
        Ok(())
    }

    fn say_bound(&mut self, description: Option<&Bytes>) {
        let Some(pending) = self.pending_write.take() else { return };
        backend::empty(&mut self.client.outbound, backend::tag::BIND_COMPLETE);
        if pending.describes {
            match description {
                Some(frame) => self.client.outbound.extend_from_slice(frame),
                None => backend::empty(&mut self.client.outbound, backend::tag::NO_DATA),
            }
        }
    }

    async fn run_write_portal(&mut self, name: &[u8], until: Until) -> Result<Told, Failure> {
        let Some(Portal { statement, place: Place::Write(write), .. }) = self.portals.get(name) else {
            return Err(ClientError::new(SqlState::INVALID_CURSOR_NAME, "portal does not exist").into());
        };
        let (statement, plan, bound) = (Arc::clone(statement), write.plan.clone(), Arc::clone(&write.bound));
        let span = statement.lexed.statements.first().cloned().unwrap_or_default();
        let shards = Self::written_by(&plan).unwrap_or_default();
        let result = match self.begin_spread(&shards).await {
            Ok(()) => {
                let text = (&statement.sql, &span);
                self.write_parts(&plan, &statement.template, text, Some((&bound, until))).await
            }
            Err(error) => Err(error.into()),
        };
        match result {
            Ok(told) => {
                self.say_notices(&told.notices);
                Ok(told)
            }
            Err(undone) => {
                self.portals.remove(name);
                if let Undone::Server { bound: true, description, .. } = &undone {
                    let description = description.clone();
                    self.say_bound(description.as_ref());
                }
                self.pending_write = None;
                self.undo_write(undone).await.map_err(Failure::End)?;
                self.complete(Vec::new(), 0, true);
                Err(Failure::Told)
            }
        }
    }

    pub(super) async fn describe_write(&mut self, name: &[u8]) -> Result<(), Failure> {
        if let Some(pending) = &mut self.pending_write {
            // A second Describe needs an answer of its own.
            if pending.describes {
                self.settle_pending_write().await?;
            } else {
                pending.describes = true;
                return Ok(());
            }
        }
        let kept = match self.portals.get(name).map(|portal| &portal.place) {
            Some(Place::Write(write)) => write.kept.as_ref().map(|kept| kept.description.clone()),
            _ => None,
        };
        let description = match kept {
            Some(description) => description,
            None => self.run_write_portal(name, Until::Described).await?.description,
        };
        match description {
            Some(frame) => self.client.outbound.extend_from_slice(&frame),
            None => backend::empty(&mut self.client.outbound, backend::tag::NO_DATA),
        }
        Ok(())
    }

    pub(super) async fn execute_write(&mut self, name: &[u8], len: usize) -> Result<(), Failure> {
        let message = Execute::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let limit = usize::try_from(message.rows_max).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let is_kept = matches!(
            self.portals.get(name).map(|portal| &portal.place),
            Some(Place::Write(write)) if write.kept.is_some()
        );
        let has_run = matches!(
            self.portals.get(name).map(|portal| &portal.place),
            Some(Place::Write(write)) if write.kept.as_ref().is_some_and(Kept::is_over)
        );
        if has_run {
            let text = format!("portal \"{}\" cannot be run", String::from_utf8_lossy(name));
            return Err(ClientError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text).into());
        }
        if !is_kept {
            self.leave_segment().await?;
            let told = self.run_write_portal(name, Until::Executed).await?;
            self.say_bound(told.description.as_ref());
            if let Some(Portal { place: Place::Write(write), .. }) = self.portals.get_mut(name) {
                write.kept = Some(Kept {
                    description: told.description,
                    rows: told.rows,
                    ends: told.ends.into(),
                    next: 0,
                    tag: told.tag.into(),
                });
            }
            let portal = self.portals.get_mut(name);
            let changes = portal.map(|portal| std::mem::take(&mut portal.changes)).unwrap_or_default();
            self.complete(changes.into_iter().map(|change| (0, change)).collect(), 1, false);
        }
        self.say_kept(name, limit);
        Ok(())
    }

    /// As many rows as are wanted, and what a server says behind them.
    fn say_kept(&mut self, name: &[u8], limit: usize) {
        let Some(Portal { place: Place::Write(write), .. }) = self.portals.get_mut(name) else { return };
        let Some(kept) = &mut write.kept else { return };
        let start = kept.next.checked_sub(1).and_then(|before| kept.ends.get(before).copied()).unwrap_or(0);
        let count = limit.min(kept.ends.len().saturating_sub(kept.next));
        let last = (kept.next + count).checked_sub(1).and_then(|last| kept.ends.get(last).copied());
        let rows = kept.rows.get(start..last.unwrap_or(start)).unwrap_or_default();
        self.client.outbound.extend_from_slice(rows);
        kept.next += count;
        if count == limit {
            backend::empty(&mut self.client.outbound, backend::tag::PORTAL_SUSPENDED);
        } else {
            backend::command_complete(&mut self.client.outbound, &kept.tag);
        }
    }

    /// The end of a turn outside a block: what its statements have written on several shards is committed. False: the
    /// client has been told an error.
    pub(super) async fn commit_turn(&mut self) -> bool {
        if !self.transaction.is_spread() {
            return true;
        }
        self.piped = false;
        // What failed, by the proxy's word or a server's, takes the rest of the turn with it.
        self.end_spread(self.skipping || self.transaction.is_failed()).await
    }
}
