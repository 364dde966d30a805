//! Asks a server, once for each shape of statement, what merging has to know of its types. In: a merge and the text
//! of a call. Out: a [`Verdict`], or that no server can read the statement.

use std::ops::Range;
use std::sync::Arc;

use crate::execute::own::{self, Answer, OwnError};
use crate::execute::{RelayError, relay};
use crate::planning::Access;
use crate::planning::merge::{
    Described, Description, Merge, Spliced, Task, Verdict, answer, finish, needs_facts, ordered, question,
};
use crate::pool::Backend;
use crate::protocol::backend::{self, Status};
use crate::session::segment::Failure;
use crate::session::turn::Session;
use crate::types::{ClientError, SqlState};

impl Session {
    /// Asks the home shard for the types of a statement; `None` when it can't be read there.
    pub(super) async fn judge(
        &mut self,
        merge: &Merge,
        sql: &[u8],
        tokens: &[Range<usize>],
        declared: &[u8],
        access: Access,
    ) -> Result<Option<Arc<Verdict>>, Failure> {
        let internal = || ClientError::new(SqlState::INTERNAL_ERROR, "a statement has other tokens than its template");
        let shard = merge.render(sql, tokens, false).ok_or_else(internal)?;
        let home = self.database.config.home;
        self.reach(home, access).await?;
        let lease = self.transaction.lease_mut(home).expect("reached above");
        if !self.expects.is_empty()
            && let Err(error) = relay(&mut self.client, lease, &mut self.expects).await
        {
            return Err(self.lost_ahead(home, error).into());
        }
        let lease = self.transaction.lease_mut(home).expect("reached above");
        let guarded = lease.status == Status::InTransaction;
        let result = async {
            if guarded {
                own::run(lease, "SAVEPOINT shardway_asks").await?;
            }
            let asked = ask(lease, merge, (sql, tokens), &shard, declared).await;
            if guarded && !matches!(asked, Err(OwnError::Lost(_))) {
                own::run(lease, "ROLLBACK TO SAVEPOINT shardway_asks").await?;
                own::run(lease, "RELEASE SAVEPOINT shardway_asks").await?;
            }
            asked
        }
        .await;
        match result {
            Ok(verdict) => {
                let verdict = verdict.map(Arc::new);
                if let Some(verdict) = &verdict {
                    merge.verdicts.keep(declared, verdict);
                }
                Ok(verdict)
            }
            Err(OwnError::Refused(_)) => Ok(Some(Arc::new(Verdict::Unfit))),
            Err(OwnError::Lost(reason)) => {
                let error = RelayError::Backend { reason, last_words: None };
                Err(self.lost_ahead(home, error).into())
            }
        }
    }
}

fn described(answer: Answer) -> Option<Description> {
    let frame = answer.gives?;
    let mut columns = Vec::new();
    let each = |name: &[u8], type_oid, size, modifier, _| {
        columns.push(Described { name: name.into(), type_oid, size, modifier });
    };
    backend::columns(&frame, each).ok()?;
    Some(Description { parameters: answer.takes.unwrap_or_default(), columns, frame })
}

/// `None`: the client's statement can't be read.
async fn ask(
    lease: &mut Backend,
    merge: &Merge,
    (sql, tokens): (&[u8], &[Range<usize>]),
    shard: &Spliced,
    declared: &[u8],
) -> Result<Option<Verdict>, OwnError> {
    let statement = merge.statement(sql, tokens).unwrap_or_default();
    let visible = match own::describe(lease, statement, declared).await {
        Ok(answer) => answer,
        Err(OwnError::Refused(_)) => return Ok(None),
        Err(lost) => return Err(lost),
    };
    // A column of no rows, as SELECT has without a list.
    let Some(visible) = described(visible) else { return Ok(Some(Verdict::Unfit)) };
    let mut types: Vec<u8> = visible.parameters.iter().flat_map(|oid| oid.to_be_bytes()).collect();
    // Of the arrays that stand for a table the text says the types; they are numbered behind the client's parameters.
    if merge.arrays > 0 && visible.parameters.len() != merge.parameters {
        return Ok(Some(Verdict::Unfit));
    }
    types.extend([0; 4].repeat(merge.arrays));
    // A savepoint guards the transaction, but a failed one answers nothing more: what fails is unfit.
    let Some(columns) = described(own::describe(lease, &shard.sql, &types).await?) else {
        return Ok(Some(Verdict::Unfit));
    };
    let needs_facts = match &merge.task {
        Task::Ordered { .. } => needs_facts(columns.columns.get(visible.columns.len()..).unwrap_or_default()),
        Task::Grouped(_) => true,
    };
    let mut facts = Vec::new();
    if needs_facts {
        let asked = own::run_without_values(lease, &question(shard, merge.hidden()), &types).await?;
        match asked.value.as_deref().and_then(|text| answer(text, merge.hidden())) {
            Some(found) => facts = found,
            None => return Ok(Some(Verdict::Unfit)),
        }
    }
    if let Task::Ordered { .. } = merge.task {
        return Ok(Some(ordered(merge, visible, columns, &facts)));
    }
    let Some(finish) = finish(merge, visible, columns, &facts) else { return Ok(Some(Verdict::Unfit)) };
    // What it makes has to be what the client's statement makes.
    let Some(text) = finish.statement.render(sql, tokens) else { return Ok(Some(Verdict::Unfit)) };
    let types: Vec<u8> = finish.types.iter().flat_map(|oid| oid.to_be_bytes()).collect();
    let Some(made) = described(own::describe(lease, &text.sql, &types).await?) else {
        return Ok(Some(Verdict::Unfit));
    };
    let same = made.columns.len() == finish.visible.columns.len()
        && made.columns.iter().zip(&finish.visible.columns).all(|(one, other)| one.type_oid == other.type_oid);
    Ok(Some(if same { Verdict::Finished(finish) } else { Verdict::Unfit }))
}
