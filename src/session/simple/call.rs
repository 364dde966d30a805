//! FunctionCall: in, the message; out, the home shard's answer to it.

use bytes::Buf;

use crate::execute::{Expect, relay};
use crate::planning::{Access, Plan};
use crate::session::turn::{Session, SessionEnd};
use crate::types::{ClientError, SqlState};

impl Session {
    /// FunctionCall, which only libpq's large objects still use: they live on the home shard.
    pub(in crate::session) async fn function_call(&mut self, len: usize) -> Result<(), SessionEnd> {
        if !self.close_segment().await? {
            self.client.inbound.advance(len);
            return Ok(());
        }
        let home = self.database.config.home;
        let target = self.shard_of(&Plan::Single { shard: home, why: crate::planning::plan::Why::Home });
        let ready = match target {
            Some(shard) if self.fails_locally() => Err((shard, crate::session::block::aborted())),
            Some(shard) => self.reach(shard, Access::Write).await.map(|()| shard).map_err(|error| (shard, error)),
            None => Err((home, ClientError::new(SqlState::INTERNAL_ERROR, "a single plan has a shard"))),
        };
        let frame = self.client.inbound.split_to(len);
        match ready {
            Ok(shard) => {
                self.freshness.note_write(shard);
                let lease = self.transaction.lease_mut(shard).expect("reached above");
                lease.framed.outbound.extend_from_slice(&frame);
                lease.unanswered += 1;
                self.expects.push_back(Expect::Query { shown_ready: true });
                if let Err(error) = relay(&mut self.client, lease, &mut self.expects).await {
                    self.survive(shard, error, true).await?;
                    self.say_ready();
                }
            }
            Err((_, error)) => {
                self.expects.clear();
                self.refuse(&error).await;
                self.say_ready();
            }
        }
        self.settle().await;
        Ok(())
    }
}
