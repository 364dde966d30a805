//! The simple protocol: a Query whose rows are merged.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

use super::give::Run;
use super::{MergeCall, tokens};
use crate::execute::Expect;
use crate::execute::merge::{Ask, Progress};
use crate::execute::scatter::Merge as Way;
use crate::planning::Template;
use crate::protocol::backend;
use crate::session::effects::Change;
use crate::session::several::How;
use crate::session::turn::{Session, SessionEnd};
use crate::types::{ClientError, ShardId, SqlState};

impl Session {
    /// A Query whose rows are merged.
    pub(in crate::session) async fn run_merged(
        &mut self,
        call: MergeCall,
        template: &Template,
        changes: Vec<(usize, Change)>,
        sql: &Bytes,
        len: usize,
    ) -> Result<(), SessionEnd> {
        let tokens = tokens(sql, self.standard_conforming_strings);
        let explains = super::explains(template);
        let (Some(spliced), Some((visible, _))) =
            (call.merge.render(sql, &tokens, explains), call.verdict.descriptions())
        else {
            self.client.inbound.advance(len);
            self.say_error(&ClientError::new(SqlState::INTERNAL_ERROR, "a merge without a statement"));
            self.say_ready();
            return Ok(());
        };
        let text = spliced.sql.clone();
        let remap = super::remap(spliced, sql.clone());
        let shards = call.shards.as_slice().to_vec();
        if explains {
            self.explain_merge(&call, sql, &tokens);
            return self.run_on_several(shards, template, changes, len, Some((text, remap))).await;
        }
        let types = super::types(&call.verdict, b"");
        let finishing = super::finishing(&call, sql, &tokens, None);
        let formats = super::formats(&[], &call.verdict);
        let access = crate::session::admission::access_of(template);
        let mut waiting: Vec<(ShardId, VecDeque<Expect>)> = Vec::with_capacity(shards.len());
        for shard in shards {
            if let Err(error) = self.reach(shard, access).await {
                self.client.inbound.advance(len);
                self.abandon(&waiting);
                self.refuse(&error).await;
                self.say_ready();
                return Ok(());
            }
            let expects = self.queue_question(shard, &text, &types, (&[0; 4], &formats));
            waiting.push((shard, expects));
        }
        self.client.inbound.advance(len);
        self.state.start_implicit();
        let how =
            How { merge: Way::Prologue { quiet: true }, expected: Some(Arc::clone(&call.verdict)), remap: Some(remap) };
        let types = super::columns(&call.verdict);
        let renumber = self.renumberings(waiting.iter().map(|(shard, _)| *shard), &types, &formats);
        let mut progress = Progress::new(renumber, call.window);
        progress.set_running();
        let mut result = self.scatter(&mut waiting, &how).await.map(|(failed, ..)| failed);
        for (_, expects) in &mut waiting {
            expects.clear();
            expects.push_back(Expect::Sync { shown: false });
        }
        let mut rows = 0;
        if let Ok(false) = result {
            let mut described = BytesMut::new();
            let _ = backend::with_formats(&mut described, &visible.frame, &[]);
            self.client.outbound.extend_from_slice(&described);
            let run = Run { verdict: &call.verdict, ask: Ask::All, finishing: finishing.as_ref(), how: &how };
            result = self.give_rows(&mut waiting, &mut progress, run).await.map(|given| {
                rows = given.rows;
                given.failed
            });
        } else if let Ok(true) = result {
            result = self.drain_rows(&mut waiting, &mut progress, true).await.map(|()| true);
        }
        match result {
            Ok(failed) => {
                self.notes.merged(rows, failed);
                if !failed {
                    self.say_tag(Some(format!("SELECT {rows}")));
                }
                self.complete(changes, 1, failed);
            }
            Err((shard, error)) => self.survive(shard, error, false).await?,
        }
        self.say_ready();
        Ok(())
    }
}
