//! Statements of PREPARE go to the client's own connection, where only the server can do what comes next. In: what runs
//! next. Out: the connection has them, and the client keeps it.

use bytes::Bytes;

use crate::execute::own::{self, OwnError};
use crate::planning::Template;
use crate::protocol::backend::Status;
use crate::protocol::moved::Moved;
use crate::session::segment::Failure;
use crate::session::turn::{Session, SessionEnd};

impl Session {
    /// Gives the client's connection the statements of PREPARE, if what runs next may need them there.
    pub(in crate::session) async fn hand_over_prepared(&mut self, template: &Template) -> Result<(), Failure> {
        let lists = template.lists_prepared && !self.state.pins.sql_prepared;
        if !template.meets_prepared || self.sql_prepared.is_empty() && !lists || self.transaction.is_failed() {
            return Ok(());
        }
        let names = std::mem::take(&mut self.sql_prepared);
        let texts: Vec<(Box<[u8]>, Bytes)> = names
            .into_iter()
            .filter_map(|name| Some((self.statements.get(&name)?.written.clone()?, name)))
            .map(|(text, name)| (name, text))
            .collect();
        if texts.is_empty() && !lists {
            return Ok(());
        }
        self.leave_segment().await?;
        let shard = self.database.config.home;
        self.hold(shard).await?;
        if !self.state.pins.sql_prepared {
            // What the pool has prepared there is nobody's to see.
            let lease = self.transaction.lease_mut(shard).expect("held just now");
            if let Err(error) = own::run(lease, "DEALLOCATE ALL").await {
                return Err(self.server_says(error, &Moved::default()).await);
            }
            lease.prepared.forget_all();
        }
        if texts.is_empty() {
            return Ok(());
        }
        for (name, text) in texts {
            let lease = self.transaction.lease_mut(shard).expect("held just now");
            match own::ask_after(lease, &text, "").await {
                Ok(_) => {
                    self.statements.remove(&name);
                }
                // Its tables have changed; that is told when it is executed.
                Err(OwnError::Refused(_)) if lease.status == Status::Idle => self.sql_prepared.push(name),
                Err(error) => return Err(self.server_says(error, &Moved::default()).await),
            }
        }
        self.state.pins.sql_prepared = true;
        Ok(())
    }

    /// The same before a Query; false: it failed and isn't run.
    pub(in crate::session) async fn hand_over_for_query(&mut self, template: &Template) -> Result<bool, SessionEnd> {
        match self.hand_over_prepared(template).await {
            Ok(()) => Ok(true),
            Err(failure) => {
                self.fail_query(failure).await?;
                self.say_ready();
                Ok(false)
            }
        }
    }
}
