//! Statements whose rows come from several shards and are merged on their way to the client. In: a plan. Out:
//! what each shard is asked, in either protocol, and the client's answer. The first call of a shape asks a
//! server for its types.

mod ask;
mod carry;
mod give;
mod judge;
mod lock;
mod portal;
mod query;

use std::sync::Arc;

use bytes::Bytes;

use super::segment::Failure;
use super::turn::Session;
use crate::execute::scatter::Remap;
use crate::planning::merge::{Described, Merge, Spliced, Verdict, Window, tokens};
use crate::planning::{Plan, Template};
use crate::pool::SettingValue;
use crate::protocol::backend;
use crate::sql::Command;
use crate::sql::command::Verb;
use crate::types::{ClientError, ShardSet};

use give::finishing;

/// One call of a statement that is merged.
pub(super) struct MergeCall {
    pub shards: ShardSet,
    pub merge: Arc<Merge>,
    pub window: Window,
    pub verdict: Arc<Verdict>,
}

impl MergeCall {
    /// If it locks the first rows of all.
    pub fn locks(&self, template: &Template) -> bool {
        self.merge.lock.is_some() && !explains(template)
    }
}

/// The position of the first description that isn't the expected one.
pub(super) fn stranger(verdict: &Verdict, described: &[Bytes]) -> Option<usize> {
    let (_, columns) = verdict.descriptions()?;
    described.iter().position(|frame| {
        let mut expected = columns.iter();
        let mut same = true;
        let read = backend::columns(frame, |_, type_oid, size, _, _| {
            let fits = |known: &Described| known.size == size && known.type_oid == type_oid;
            same &= expected.next().is_some_and(fits);
        });
        read.is_err() || !same || expected.next().is_some()
    })
}

fn explains(template: &Template) -> bool {
    template.statements.iter().any(|one| matches!(one.command, Command::Ordinary(Verb::Explain { .. })))
}

/// Positions in the statement that was made, as positions in the client's.
fn remap(spliced: Spliced, client: Bytes) -> Remap {
    Remap(Arc::new(move |position| spliced.position(&client, position)))
}

/// The formats of what the shards give: the client's for its columns, binary for what is the proxy's.
fn formats(given: &[u8], verdict: &Verdict) -> Vec<u8> {
    let Verdict::Native(native) = verdict else { return vec![0, 1] };
    let visible = native.visible.columns.len();
    let mut all = match given.as_chunks::<2>().0 {
        [] => vec![0; visible * 2],
        [all] => all.repeat(visible),
        each => each.as_flattened().to_vec(),
    };
    all.extend([0, 1].repeat(native.orders.len()));
    all
}

/// The types of what the shards give.
fn columns(verdict: &Verdict) -> Vec<u32> {
    let (_, columns) = verdict.descriptions().unzip();
    columns.into_iter().flatten().map(|column: &Described| column.type_oid).collect()
}

/// The types of the parameters with which shards are asked: where what they are asked hasn't all of the client's
/// parameters, those that a server has found.
fn types(verdict: &Verdict, declared: &[u8]) -> Vec<u8> {
    match verdict {
        Verdict::Finished(finish) => finish.visible.parameters.iter().flat_map(|oid| oid.to_be_bytes()).collect(),
        Verdict::Native(_) | Verdict::Unfit => declared.to_vec(),
    }
}

impl Session {
    /// What becomes of a plan to merge, now that a server can be asked for the types: it stays, with the
    /// verdict, or is replaced by the next of the chain.
    pub(super) async fn settle_merge(
        &mut self,
        plan: Plan,
        sql: &Bytes,
        declared: &[u8],
        template: &Template,
    ) -> Result<(Plan, Option<Arc<Verdict>>), Failure> {
        let Plan::Merge { merge, otherwise, .. } = &plan else { return Ok((plan, None)) };
        let tokens = tokens(sql, self.standard_conforming_strings);
        let verdict = match merge.verdicts.get(declared) {
            Some(verdict) => verdict,
            None => {
                let access = super::admission::access_of(template);
                match self.judge(merge, sql, &tokens, declared, access).await? {
                    Some(verdict) => verdict,
                    // No server can read it: any of them says why.
                    None => {
                        let why = crate::planning::Why::NoRows;
                        return Ok((Plan::Single { shard: self.database.config.home, why }, None));
                    }
                }
            }
        };
        let fits = match &*verdict {
            Verdict::Unfit => false,
            Verdict::Native(native) => !native.compares_text || self.speaks_utf8(),
            Verdict::Finished(finish) => {
                let shards = match &plan {
                    Plan::Merge { shards, .. } => shards.as_slice(),
                    _ => &[],
                };
                merge.holds(sql, &tokens) && (!finish.is_at_home || shards.contains(&self.database.config.home))
            }
        };
        if fits {
            return Ok((plan, Some(verdict)));
        }
        let otherwise = (**otherwise).clone().map_err(ClientError::from)?;
        if explains(template) {
            self.note_explain(template, sql, &otherwise);
        }
        match otherwise {
            Plan::Merge { .. } => Box::pin(self.settle_merge(otherwise, sql, declared, template)).await,
            other => Ok((other, None)),
        }
    }

    /// For EXPLAIN: what each shard is asked, and what is asked of all that they give.
    fn explain_merge(&mut self, call: &MergeCall, sql: &[u8], tokens: &[std::ops::Range<usize>]) {
        if let Some(spliced) = call.merge.render(sql, tokens, false) {
            self.explain_further("each is asked", &spliced.sql);
        }
        if let Verdict::Finished(finish) = &*call.verdict
            && let Some(spliced) = finish.statement.render(sql, tokens)
        {
            self.explain_further("of what they give, one is asked", &spliced.sql);
        }
    }

    fn speaks_utf8(&self) -> bool {
        let is_utf8 = |word: &str| ["utf8", "utf-8", "unicode"].iter().any(|name| word.eq_ignore_ascii_case(name));
        match self.state.settings().get("client_encoding") {
            None => true,
            Some(SettingValue::Text(word)) => is_utf8(word),
            Some(SettingValue::List(words)) => words.iter().all(|word| is_utf8(word)),
        }
    }
}
