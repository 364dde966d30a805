//! The plan of one Bind: in, a statement and the values of its parameters; out, where it runs and what it
//! changes in the session. Sends nothing, but for looking rows up.

use bytes::Bytes;

use crate::planning::Plan;
use crate::planning::template::{ParameterValue, Parameters};
use crate::protocol::frontend::{Bind, BindValue};
use crate::session::effects::{self, Change};
use crate::session::prepared::ClientStatement;
use crate::session::segment::Failure;
use crate::session::turn::Session;
use crate::types::ClientError;

fn values_of<'a>(message: &Bind<'a>) -> Vec<ParameterValue<'a>> {
    let value = |value| match value {
        BindValue::Null => ParameterValue::Null,
        BindValue::Text(bytes) => ParameterValue::Text(bytes),
        BindValue::Binary(bytes) => ParameterValue::Binary(bytes),
    };
    message.values().map(value).collect()
}

/// The types of a statement's parameters, and whether a server has said so.
fn types_of(statement: &ClientStatement) -> (Vec<u32>, bool) {
    match statement.types.get() {
        Some(types) => (types.to_vec(), true),
        None => {
            let declared = statement.declared.as_chunks::<4>().0.iter();
            (declared.map(|oid| u32::from_be_bytes(*oid)).collect(), false)
        }
    }
}

impl Session {
    /// The plan of one call, and what it changes in the session.
    pub(super) fn plan_bind(
        &self,
        statement: &ClientStatement,
        message: &Bind<'_>,
    ) -> Result<(Plan, Vec<Change>), Failure> {
        let template = &statement.template;
        if template.statements.is_empty() {
            return Ok((Plan::Touched, Vec::new()));
        }
        let values = values_of(message);
        let declared: Vec<u32>;
        let (types, certain): (&[u32], bool) = match statement.types.get() {
            Some(types) => (types, true),
            None => {
                declared = statement.declared.as_chunks::<4>().0.iter().map(|oid| u32::from_be_bytes(*oid)).collect();
                (&declared, false)
            }
        };
        let parameters = Parameters { types, types_are_certain: certain, values: &values };
        let plan = template
            .bind_hinted(&statement.sql, &statement.lexed, Some(parameters), self.hint.as_ref())
            .map_err(ClientError::from)?;
        let changes = if effects::is_quiet(template) {
            Vec::new()
        } else {
            let all =
                effects::changes(&statement.sql, &statement.lexed, template, Some(parameters), &self.lex_options());
            if let Some(error) = crate::session::own::set_by_call(template, &all) {
                return Err(error.into());
            }
            all.into_iter().map(|(_, change)| self.as_it_will_end(change)).collect()
        };
        Ok((plan, changes))
    }

    /// The plan of a call whose rows can be looked up.
    pub(super) async fn look_up_bind(
        &mut self,
        plan: Plan,
        statement: &ClientStatement,
        len: usize,
    ) -> Result<Plan, Failure> {
        self.leave_segment().await?;
        let frame = Bytes::copy_from_slice(self.client.inbound.get(..len).unwrap_or_default());
        let message = Bind::decode(&frame)?;
        let values = values_of(&message);
        let (types, certain) = types_of(statement);
        let parameters = Parameters { types: &types, types_are_certain: certain, values: &values };
        let looked =
            self.look_up(plan, &statement.template, (&statement.sql, &statement.lexed), Some(parameters)).await;
        looked.map_err(|undone| match self.look_up_failed(undone) {
            Ok(error) => error.into(),
            Err(end) => Failure::End(end),
        })
    }

    /// A session command within a transaction that is on several shards runs on each of them; one on a
    /// cursor, where that is.
    pub(super) fn wherever_held(&self, plan: Plan, statement: &ClientStatement) -> Plan {
        if let Some(shard) = self.cursor_apart(&statement.template) {
            return Plan::Single { shard, why: crate::planning::Why::Home };
        }
        if plan != Plan::Touched || self.transaction.held().len() < 2 || self.resets_at_rest(&statement.template) {
            return plan;
        }
        let cursor = match &statement.template.statements[..] {
            [only] => crate::session::block::cursor_of(&only.command).and_then(|name| self.cursors.get(name)),
            _ => None,
        };
        if let Some(cursor) = cursor {
            let shard = cursor.shard;
            return Plan::Single { shard, why: crate::planning::Why::Home };
        }
        match crate::types::ShardSet::from_shards(self.transaction.held().iter().map(|held| held.shard)) {
            Some(shards) => Plan::Scatter { shards },
            None => plan,
        }
    }

    /// The plan with the times of the transaction in its place, where the template has one.
    pub(super) fn plan_timed(&self, statement: &ClientStatement, len: usize) -> Result<Option<Plan>, Failure> {
        let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let values = values_of(&message);
        let (types, types_are_certain) = types_of(statement);
        let parameters = Parameters { types: &types, types_are_certain, values: &values };
        Ok(statement.template.bind_timed(&statement.sql, &statement.lexed, Some(parameters)))
    }
}
