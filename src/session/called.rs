//! The INSERT in a temporary function that is made, called and dropped by one Query (`planning::called`). In: a Query that
//! can't be planned as it stands. Out: its answer, from the shard that the INSERT belongs to, which runs the client's own text.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::turn::{Session, SessionEnd, violation};
use crate::planning::called::insert_in;
use crate::planning::{Plan, Template};
use crate::protocol::frontend::{self, encode};
use crate::sql::command::Verb;
use crate::sql::{Command, Lexed};
use crate::types::{ClientError, ShardId};

impl Session {
    /// True: the Query was of this kind, and is answered.
    pub(super) async fn call_insert(&mut self, len: usize) -> Result<bool, SessionEnd> {
        let frame = self.client.inbound.get(..len).unwrap_or_default();
        let sql = frontend::query(frame).map_err(violation)?;
        let Some(place) = insert_in(sql) else { return Ok(false) };
        if self.fails_locally() || self.transaction.is_failed() {
            return Ok(false);
        }
        let part = |range: std::ops::Range<usize>| sql.get(range).unwrap_or_default().to_vec();
        let (head, tail) = (part(0..place.start), part(place.end..sql.len()));
        let insert = Bytes::from(part(place));
        let placed = match self.place_insert(insert).await {
            Ok(Some(placed)) => placed,
            Ok(None) => return Ok(false),
            Err(error) => {
                self.refuse_query(&error, len).await;
                return Ok(true);
            }
        };
        let (insert, template, shard) = placed;
        self.refused = None;
        let mut fresh = BytesMut::new();
        encode::query(&mut fresh, &[&head[..], &insert, &tail].concat());
        let len = self.replace_front(len, fresh);
        self.run_on(shard, &template, Vec::new(), len).await?;
        Ok(true)
    }

    /// Where it belongs, with the ids that it leaves to sequences in it. `None`: on no one shard, or nobody knows.
    async fn place_insert(
        &mut self,
        mut insert: Bytes,
    ) -> Result<Option<(Bytes, Arc<Template>, ShardId)>, ClientError> {
        for _ in 0..2 {
            let mut lexed = Lexed::default();
            self.database.planner.lex(&insert, self.standard_conforming_strings, &mut lexed)?;
            let template = match self.find_template(&insert, &lexed) {
                Some(template) => template,
                None => self.build_template(insert.clone(), lexed.clone()).await?,
            };
            let inserts = |template: &Template| match &*template.statements {
                [only] => matches!(only.command, Command::Ordinary(Verb::Insert)),
                _ => false,
            };
            if !inserts(&template) || lexed.parameters > 0 || template.has_lookups() {
                return Ok(None);
            }
            if let Some(filling) = &template.filling {
                let ids = self.serve_ids(filling).await?;
                let value = |at: usize| ids.get(at).map(i64::to_string).unwrap_or_default();
                insert = Bytes::from(filling.apply(&insert, &self.lex_options(), value).0);
                continue;
            }
            return Ok(match template.bind_hinted(&insert, &lexed, None, self.hint.as_ref()) {
                Ok(plan @ Plan::Single { shard, .. }) => {
                    self.note_plan(Arc::clone(&template), &plan);
                    Some((insert, template, shard))
                }
                _ => None,
            });
        }
        Ok(None)
    }
}
