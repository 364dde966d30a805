//! INSERTs of a query's rows with ON CONFLICT or RETURNING: the rows are made as for any other, and then inserted by a
//! statement of their own, in the same transaction. In: the plan. Out: what one server would have said.

use bytes::Bytes;

use crate::execute::gather::answer;
use crate::planning::transfer::{Tail, Transfer};
use crate::planning::writes::splice::tokens_of;
use crate::planning::{Plan, Pull, Template, refusal, stages};
use crate::protocol::backend::{self, tag};
use crate::session::bound::{Bound, Until};
use crate::session::parts::{Told, Undone};
use crate::session::stages::{READS_BACK, of_part, too_large, unreadable};
use crate::session::turn::Session;
use crate::types::limits::STAGED_BYTES_MAX;
use crate::types::{ClientError, ShardId};

impl Session {
    pub(super) async fn transfer_with_tail(
        &mut self,
        (transfer, tail, pulls): (&Transfer, &Tail, &[Pull]),
        template: &Template,
        sql: &Bytes,
        bind: Option<(&Bound, Until)>,
    ) -> Result<Told, Undone> {
        let none = Bound::none();
        let bound = bind.map_or(&none, |(bound, _)| bound);
        // What is wrong with the statement itself, and what it returns.
        let mut described = self.describe_whole(sql, bound).await?;
        if bind.is_some_and(|(_, until)| until == Until::Described) {
            return Ok(described);
        }
        let mut notices = std::mem::take(&mut described.notices);
        if bind.is_some() {
            // Its Parse has told them.
            notices.clear();
        }
        let without = bound.with(&[], &[]);
        let bind = bind.map(|(_, until)| (&without, until));
        let mut told = if tail.moments.is_empty() && !bound.has_values() {
            self.insert_rows((transfer, tail, pulls), template, sql, bind).await?
        } else {
            let span = self.span_of(sql);
            let settled = self.settle_text(sql, &span, &tail.moments, bound).await?;
            let planned = self.plan_part(settled).await?;
            let Plan::Transfer { transfer, pulls } = &planned.plan else {
                return Err(ClientError::from(refusal::many_writes()).into());
            };
            let tail = transfer.tail.as_ref().ok_or_else(|| ClientError::from(refusal::many_writes()))?;
            self.insert_rows((transfer, tail, pulls), &planned.template, &planned.sql, bind).await?
        };
        notices.append(&mut told.notices);
        Ok(Told { notices, description: described.description, ..told })
    }

    async fn insert_rows(
        &mut self,
        (transfer, tail, pulls): (&Transfer, &Tail, &[Pull]),
        template: &Template,
        sql: &Bytes,
        bind: Option<(&Bound, Until)>,
    ) -> Result<Told, Undone> {
        let scratch = self.gather_rows(transfer, pulls, template, sql, None).await?;
        let rows = match self.read_rows(transfer, scratch).await {
            Ok(rows) => rows,
            Err(undone) => {
                self.drop_scratch(scratch).await;
                return Err(undone);
            }
        };
        self.leave_scratch(scratch).await;
        let tokens = tokens_of(sql, &self.span_of(sql), &self.lex_options());
        if rows.is_empty() {
            let text = tail.empty(sql, &tokens, transfer.listed.len());
            let answer = self.ask_one(self.database.config.home, &String::from_utf8_lossy(&text)).await?;
            return Ok(Told { tag: "INSERT 0 0".to_owned(), notices: answer.notices, ..Told::default() });
        }
        let text = tail.text(sql, &tokens, &[b"VALUES ".as_slice(), &rows].concat());
        let (told, on) = Box::pin(self.run_part(text.into(), true, bind)).await?;
        self.leave_scratch(on).await;
        Ok(told)
    }

    /// The rows as they stand behind VALUES, in the order in which they were made.
    async fn read_rows(&mut self, transfer: &Transfer, scratch: ShardId) -> Result<Vec<u8>, Undone> {
        let reads_back = self.ask_scratch(scratch, &format!("SELECT {READS_BACK}")).await?;
        if reads_back.as_deref() != Some("true") {
            return Err(unreadable(
                "DateStyle isn't ISO, IntervalStyle isn't postgres, or extra_float_digits is below 1",
            )
            .into());
        }
        let quote = crate::sql::quote_identifier;
        let columns: Vec<String> = transfer.listed.iter().map(|name| quote(name)).collect();
        let table = quote(crate::planning::transfer::TARGET);
        let question = format!("SELECT {} FROM pg_temp.{table} ORDER BY ctid", columns.join(", "));
        let lease = self.transaction.lease_mut(scratch).expect("held by the gather");
        crate::protocol::frontend::encode::query(&mut lease.framed.outbound, question.as_bytes());
        lease.unanswered += 1;
        let mut rows = Vec::new();
        let ended = answer(lease, |frame| {
            if frame.first() == Some(&tag::DATA_ROW) && rows.len() <= STAGED_BYTES_MAX {
                let cells = backend::cells(frame).unwrap_or_default();
                stages::row(cells.iter().map(Option::as_deref), &mut rows);
            }
        })
        .await;
        match ended {
            Ok(None) if rows.len() > STAGED_BYTES_MAX => Err(too_large().into()),
            Ok(None) => Ok(rows),
            Ok(Some(frame)) => Err(of_part(Undone::Server { frame: frame.0, bound: true, description: None })),
            Err(error) => Err(super::undone(self.gather_failure(error, &[]).await)),
        }
    }

    fn span_of(&self, sql: &[u8]) -> std::ops::Range<usize> {
        crate::sql::first_statement(sql, &self.lex_options())
    }
}
