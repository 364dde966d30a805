//! A scratch connection for a gather: in, what it is to hold; out, a connection in a transaction with the
//! temporary tables made and the session's settings as the client has them. Pulls nothing yet.

use std::sync::Arc;

use super::sql::create;
use super::{Gathering, is_state, lacks, scratch_types, sql};
use crate::execute::gather::{Checked, Made, check};
use crate::planning::Access;
use crate::planning::gather::{self, Gather};
use crate::planning::transfer::TARGET;
use crate::protocol::backend::Status;
use crate::session::scratch::Attached;
use crate::session::segment::Failure;
use crate::session::turn::Session;
use crate::transaction::Wants;
use crate::types::{ClientError, ShardId, SqlState};

impl Session {
    pub(super) async fn attach_scratch(&self) -> Result<Arc<Attached>, ClientError> {
        let definitions = self.database.planner.definitions();
        self.database.attach_scratch(&definitions).await
    }

    /// Takes a scratch connection, makes the tables and has the query looked at.
    pub(super) async fn open_scratch(
        &mut self,
        gathering: &Gathering<'_>,
        attached: &Attached,
        access: Access,
    ) -> Result<(ShardId, Vec<u32>, bool), Failure> {
        let scratch = self.take_scratch(gathering, attached).await?;
        let types = scratch_types(&gathering.types, attached);
        // What a view is grouped by isn't known before it is made.
        let tries: &[bool] = if gathering.gather.views.is_empty() { &[false, true] } else { &[true] };
        for &with_keys in tries {
            let (settings, preamble) = match self.preamble(gathering, scratch, with_keys) {
                Ok(preamble) => preamble,
                Err(error) => {
                    self.drop_scratch(scratch).await;
                    return Err(error.into());
                }
            };
            let lease = self.transaction.lease_mut(scratch).expect("added above");
            let checked = check(
                lease,
                settings.as_deref(),
                &preamble,
                gathering.gather.tables.len() + gathering.gather.views.len(),
                &gathering.spliced.query,
                &types,
            )
            .await;
            let failure = match checked {
                Ok(Checked::Fits { columns, tables }) => {
                    self.renumber((&gathering.gather, with_keys), scratch, &tables, attached);
                    return Ok((scratch, columns, with_keys));
                }
                Ok(Checked::Wrong(frame)) if !with_keys && is_state(&frame.0, b"42803") => {
                    // A column that depends on the primary key of its table, if there is one.
                    continue;
                }
                Ok(Checked::Wrong(frame)) => self.ask_home(gathering, &frame.0, access).await,
                Ok(Checked::Lacks(frame)) => lacks(&frame.0).into(),
                Err(error) => self.gather_failure(error, &[]).await,
            };
            self.drop_scratch(scratch).await;
            return Err(failure);
        }
        Err(ClientError::new(SqlState::INTERNAL_ERROR, "the statement was looked at twice").into())
    }

    /// The one that the client's other cursors are on, or one from the pool.
    async fn take_scratch(&mut self, gathering: &Gathering<'_>, attached: &Attached) -> Result<ShardId, ClientError> {
        let wants = Wants { holds: gathering.holds, tells_names: tells_names(&gathering.spliced.query) };
        if !self.transaction.apart().is_empty() {
            let settings = self.state.settings_at_begin().clone();
            if let Some(number) = self.transaction.add_layer(attached.node_id(), &settings, wants)? {
                return Ok(number);
            }
        }
        let login = self.database.login_of(&self.user).ok_or_else(|| {
            ClientError::new(SqlState::INVALID_AUTHORIZATION, "the user is not in the configuration any more")
        })?;
        let lease = attached.lease(&self.user, login).await.map_err(|error| {
            self.database.scratch.forget();
            ClientError::from(error)
        })?;
        self.cancel.add(&lease);
        self.transaction.add_apart(lease, wants)
    }

    /// What makes the connection ready: the session's settings, a transaction, the tables.
    pub(super) fn preamble(
        &mut self,
        gathering: &Gathering<'_>,
        scratch: ShardId,
        with_keys: bool,
    ) -> Result<(Option<String>, String), ClientError> {
        let wanted = self.state.settings_at_begin().clone();
        let in_block: Vec<String> = self.transaction.settings_in_block()?.into_iter().map(str::to_owned).collect();
        let apart = self.transaction.apart_of(scratch).expect("added by the caller");
        let savepoint = apart.layer_mut(scratch).expect("found by its number").savepoint();
        let is_first = apart.is_first(scratch);
        let lease = &mut apart.lease;
        let (mut settings, mut sql) = (String::new(), String::new());
        match (is_first, lease.status) {
            (true, status) => {
                if status != Status::Idle {
                    settings.push_str("ROLLBACK;");
                }
                if let Some(difference) = lease.settings.difference(&wanted) {
                    settings.push_str(&difference);
                    lease.settings = wanted;
                }
                sql.push_str("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;");
            }
            (false, Status::Failed) => settings.push_str(&format!("ROLLBACK TO SAVEPOINT {savepoint}")),
            (false, _) => sql.push_str(&format!("SAVEPOINT {savepoint};")),
        }
        if !is_first {
            // Tables of the same names, which other cursors read, go by other names from now on.
            let tables = gathering.gather.tables.iter().map(|table| &*table.made);
            let views = gathering.gather.views.iter().map(|view| &*view.name);
            for (position, name) in tables.chain(views).chain([TARGET]).enumerate() {
                sql.push_str(&sql::rename(name, &format!("{savepoint}_{position}")));
            }
        }
        for setting in in_block {
            sql.push_str(&setting);
            sql.push(';');
        }
        sql.push_str(&gathering.definitions);
        sql.push_str(&gathering.target);
        for table in &gathering.gather.tables {
            sql.push_str(&create(table, with_keys));
            sql.push(';');
        }
        let options = crate::sql::LexOptions { standard_conforming_strings: true };
        for view in &gathering.gather.views {
            let text = view.definition.as_bytes();
            let text = gather::splice(text, &options, &view.rewriting, gathering.moment.as_ref()).whole;
            sql.push_str(&sql::create_view(&view.name, &String::from_utf8_lossy(&text)));
        }
        for table in &gathering.gather.tables {
            sql.push_str(&sql::numbers(&table.made));
        }
        for view in &gathering.gather.views {
            sql.push_str(&sql::numbers(&view.name));
        }
        Ok(((!settings.is_empty()).then_some(settings), sql))
    }

    /// Descriptions of the result say what the home shard's would.
    pub(super) fn renumber(
        &mut self,
        (gather, with_keys): (&Gather, bool),
        scratch: ShardId,
        made: &[Made],
        attached: &Attached,
    ) {
        let Some(apart) = self.transaction.apart_of(scratch) else { return };
        // Cursors that were there before have numbers of their own.
        let renumbering = Arc::make_mut(&mut apart.renumbering);
        renumbering.types = Arc::clone(&attached.copied.types);
        let tables = gather.tables.iter().map(|table| {
            (table.oid, table.row_types, table.columns(with_keys).map(|column| column.number).collect::<Vec<i16>>())
        });
        let views = gather.views.iter().map(|view| (view.oid, view.row_types, view.columns.clone()));
        for (made, (oid, row_types, columns)) in made.iter().zip(tables.chain(views)) {
            renumbering.tables.insert(made.oid, (oid, columns));
            renumbering.row_types.insert(made.row_type, row_types.0);
            renumbering.row_types.insert(made.row_array_type, row_types.1);
        }
    }
}

/// If what it answers may have names of its tables or of their types in it.
fn tells_names(query: &[u8]) -> bool {
    const WORDS: [&[u8]; 2] = [b"pg_typeof", b"reg"];
    let query = query.to_ascii_lowercase();
    WORDS.iter().any(|word| query.windows(word.len()).any(|part| part == *word))
}
