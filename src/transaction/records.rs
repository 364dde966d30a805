//! `shardway.txn` on each shard: what decides a two-phase transaction, and how a server is asked. In:
//! connections of the control plane. Out: decisions. Doesn't know of clients.
//!
//! A row `c` that is committed on the anchor means: commit. A row `a` there, which whoever finds a transaction
//! abandoned inserts under the same key, means that it never will. A row `p` that is committed on a participant
//! means: done here. Rows are inserted by a function that runs as its owner, so that clients' roles need
//! no right to write the table.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::gid::Gid;
use crate::sql::quote_identifier;

/// The schema and who may call what is in it. Under a lock, since two proxies may come to it at once.
pub(super) const SCHEMA: &str = r#"
SELECT pg_catalog.pg_advisory_xact_lock(8316560481943545973);
CREATE SCHEMA IF NOT EXISTS shardway;
GRANT USAGE ON SCHEMA shardway TO PUBLIC;
CREATE TABLE IF NOT EXISTS shardway.logins (role name PRIMARY KEY);
CREATE OR REPLACE FUNCTION shardway.only_logins() RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM shardway.logins l WHERE l.role = session_user) THEN
        RAISE EXCEPTION 'permission denied: role % is not one that Shardway logs in as', session_user
            USING ERRCODE = '42501', HINT = 'shardway setup lets in the users of its configuration.';
    END IF;
END $$;
"#;

const CREATE: &str = r#"
CREATE TABLE IF NOT EXISTS shardway.txn (
    gid text PRIMARY KEY,
    role "char" NOT NULL,
    participants text[],
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
GRANT SELECT ON shardway.txn TO PUBLIC;
CREATE OR REPLACE FUNCTION shardway.txn_note(text, "char", text[]) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM shardway.only_logins();
    IF pg_catalog.pg_current_xact_id_if_assigned() IS NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_catalog.set_config('synchronous_commit', 'on', true)
        WHERE pg_catalog.current_setting('synchronous_commit') IN ('off', 'local');
    PERFORM pg_catalog.set_config('idle_in_transaction_session_timeout', '30s', true);
    INSERT INTO shardway.txn (gid, role, participants) VALUES ($1, $2, $3);
    RETURN true;
END $$;
-- As txn_note for a shard that was written for sure. Every name is qualified, so that it needs no search_path of its own.
CREATE OR REPLACE FUNCTION shardway.txn_write(text, "char", text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
    IF pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) ANY (ARRAY['off', 'local']) THEN
        PERFORM pg_catalog.set_config('synchronous_commit', 'on', true);
    END IF;
    INSERT INTO shardway.txn (gid, role, participants)
        SELECT $1, $2, $3 FROM shardway.logins l WHERE l.role OPERATOR(pg_catalog.=) SESSION_USER;
    IF NOT FOUND THEN
        PERFORM shardway.only_logins();
    END IF;
END $$;
CREATE OR REPLACE FUNCTION shardway.txn_forget(text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM shardway.only_logins();
    -- Only a row of this transaction: it is seen though its inserter is in progress.
    DELETE FROM shardway.txn WHERE gid = $1 AND pg_catalog.pg_xact_status(
        ((pg_catalog.pg_current_xact_id()::text::bigint >> 32 << 32) + xmin::text::bigint)::text::xid8) = 'in progress';
END $$;
"#;

const IS_THERE: &str = r#"SELECT pg_catalog.to_regclass('shardway.txn') IS NOT NULL
    AND pg_catalog.to_regprocedure('shardway.txn_note(text,"char",text[])') IS NOT NULL
    AND pg_catalog.to_regprocedure('shardway.txn_forget(text)') IS NOT NULL
    AND pg_catalog.to_regprocedure('shardway.txn_write(text,"char",text[])') IS NOT NULL
    AND pg_catalog.to_regprocedure('shardway.txn_note(text,"char",text[])')::pg_catalog.regproc::pg_catalog.oid IN (
        SELECT oid FROM pg_catalog.pg_proc WHERE prosrc LIKE '%only_logins%')"#;

/// Why a server can't take part in a two-phase transaction.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    #[error("prepared transactions are disabled there (max_prepared_transactions is 0)")]
    Disabled,
    #[error("table shardway.txn is missing there")]
    Missing,
    #[error("table shardway.txn can't be created there: {0}")]
    Forbidden(String),
    #[error("{0}")]
    Failed(String),
}

/// What an anchor says of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    Commit,
    /// It never will be: its transaction has ended without a row.
    Abort,
    /// Its transaction is still open.
    Undecided,
}

/// Creates what two-phase transactions need where it is missing; changes nothing else.
///
/// # Errors
/// The server's, as when the role may not create a schema.
pub async fn create(client: &Client) -> Result<(), tokio_postgres::Error> {
    if client.query_one(IS_THERE, &[]).await?.try_get(0)? {
        return Ok(());
    }
    // Functions of an older Shardway are replaced.
    if let Err(error) = client.batch_execute(&format!("BEGIN;{SCHEMA}{CREATE}COMMIT;")).await {
        let _ = client.batch_execute("ROLLBACK").await;
        return Err(error);
    }
    Ok(())
}

/// Whether the server can take part; with `creates` the table is made if it is missing.
///
/// # Errors
/// Why it can't.
pub async fn make_ready(client: &Client, creates: bool) -> Result<(), Unready> {
    let failed = |error: tokio_postgres::Error| Unready::Failed(describe(&error));
    let setting = "SELECT pg_catalog.current_setting('max_prepared_transactions') <> '0'";
    if !client.query_one(setting, &[]).await.map_err(failed)?.try_get::<_, bool>(0).map_err(failed)? {
        return Err(Unready::Disabled);
    }
    if client.query_one(IS_THERE, &[]).await.map_err(failed)?.try_get(0).map_err(failed)? {
        return Ok(());
    }
    if !creates {
        return Err(Unready::Missing);
    }
    create(client).await.map_err(|error| Unready::Forbidden(describe(&error)))
}

/// Lets roles in that Shardway logs in as: others can't call the functions. Whoever may not write the list has it from
/// `shardway setup`.
///
/// # Errors
/// The server's.
pub async fn admit(client: &Client, logins: &[String]) -> Result<(), tokio_postgres::Error> {
    const MISSING: &str = "SELECT EXISTS (SELECT FROM pg_catalog.unnest($1::pg_catalog.text[]) u (role) \
         WHERE NOT EXISTS (SELECT FROM shardway.logins l WHERE l.role::pg_catalog.text = u.role))";
    if client.query_one(MISSING, &[&logins]).await?.try_get(0)? {
        const ADD: &str =
            "INSERT INTO shardway.logins SELECT pg_catalog.unnest($1::pg_catalog.text[]) ON CONFLICT DO NOTHING";
        client.execute(ADD, &[&logins]).await?;
    }
    Ok(())
}

/// The writer's own row, on the client's connection and in its transaction: answers `t` if the shard was
/// written (a row lock counts), `f` without a trace if not.
pub fn note_sql(gid: &Gid, participants: Option<&[&str]>) -> String {
    match participants {
        Some(names) => format!("SELECT shardway.txn_note('{gid}', 'c', '{{{}}}')", names.join(",")),
        None => format!("SELECT shardway.txn_note('{gid}', 'p', NULL)"),
    }
}

/// Takes back what [`note_sql`] inserted in the same transaction.
pub fn forget_sql(gid: &Gid) -> String {
    format!("SELECT shardway.txn_forget('{gid}')")
}

/// The participant's row, of a shard that was written for sure.
pub fn join_sql(gid: &Gid) -> String {
    format!("SELECT shardway.txn_write('{gid}', 'p', NULL)")
}

/// The anchor's row, likewise.
pub fn anchor_sql(gid: &Gid, participants: &[&str]) -> String {
    format!("SELECT shardway.txn_write('{gid}', 'c', '{{{}}}')", participants.join(","))
}

/// Whether that error of the anchor's means that its row `a` was there already.
pub fn is_refused(frame: &[u8]) -> bool {
    use crate::protocol::backend::error_field;
    let says = |field, text: &str| error_field(frame, field) == Some(text.as_bytes());
    says(b'C', "23505") && says(b's', "shardway") && says(b't', "txn")
}

/// Asks the anchor, and if it hasn't decided, decides: a row `a` that is there keeps its own from being inserted ever
/// after. The unique index makes the question wait for an anchor transaction that has inserted its row.
/// `leaves`: what the anchor still works at is left to it.
///
/// # Errors
/// The server's or the connection's: nothing is known then.
pub async fn ask(client: &Client, gid: &Gid, leaves: bool) -> Result<Decision, tokio_postgres::Error> {
    if super::failpoint::lacks_fence() {
        return Ok(if is_done(client, gid).await? { Decision::Commit } else { Decision::Abort });
    }
    if let Some(process) = gid.process().filter(|_| leaves)
        && is_at_work(client, process).await?
    {
        return Ok(Decision::Undecided);
    }
    // A crash that loses the row has ended the anchor's transaction as well.
    client.batch_execute("BEGIN; SET LOCAL lock_timeout = '2s'; SET LOCAL synchronous_commit = off").await?;
    let insert = format!(
        "INSERT INTO shardway.txn (gid, role, participants) VALUES ('{gid}', 'a', ARRAY[pg_catalog.pg_current_xact_id()::text]) \
         ON CONFLICT DO NOTHING"
    );
    if let Err(error) = client.batch_execute(&insert).await {
        client.batch_execute("ROLLBACK").await?;
        let waits = error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE);
        return if waits { Ok(Decision::Undecided) } else { Err(error) };
    }
    client.batch_execute("COMMIT").await?;
    let role = format!("SELECT role::text FROM shardway.txn WHERE gid = '{gid}'");
    let role: Option<String> = client.query_opt(&role, &[]).await?.map(|row| row.try_get(0)).transpose()?;
    Ok(match role.as_deref() {
        Some("c") => Decision::Commit,
        Some("a") => Decision::Abort,
        // Swept just now.
        _ => Decision::Undecided,
    })
}

/// Whether that process of the server has a transaction open that has written: of locks of others everybody may know.
async fn is_at_work(client: &Client, process: u32) -> Result<bool, tokio_postgres::Error> {
    let query = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'transactionid' AND pid = {process} \
         AND mode = 'ExclusiveLock' AND granted)"
    );
    client.query_one(&query, &[]).await?.try_get(0)
}

/// Whether the participant's part is committed: its row `p` is there.
///
/// # Errors
/// The server's or the connection's.
pub async fn is_done(client: &Client, gid: &Gid) -> Result<bool, tokio_postgres::Error> {
    let query = format!("SELECT EXISTS (SELECT FROM shardway.txn WHERE gid = '{gid}')");
    client.query_one(&query, &[]).await?.try_get(0)
}

/// What became of a prepared transaction that was to be finished.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finished {
    Done,
    /// The server doesn't know it any more, and has no row of it: an asynchronous failover lost it.
    Lost,
    /// Somebody else is at it: to be tried again.
    Busy,
}

/// Finishes a shard's part of a transaction as the anchor decided; `owner` is the role that prepared it. Only that
/// role or a superuser may.
///
/// # Errors
/// The server's or the connection's: to be tried again.
pub async fn finish(
    client: &Client,
    (gid, shard): (&Gid, &str),
    commit: bool,
    owner: Option<&str>,
) -> Result<Finished, tokio_postgres::Error> {
    let verb = if commit { "COMMIT" } else { "ROLLBACK" };
    let name = gid.prepared_on(shard);
    let sql = format!("{verb} PREPARED '{name}'");
    let mut outcome = client.batch_execute(&sql).await;
    let forbidden = |error: &tokio_postgres::Error| error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE);
    if outcome.as_ref().is_err_and(forbidden) {
        let owner = match owner {
            Some(owner) => Some(owner.to_owned()),
            None => owner_of(client, &name).await?,
        };
        if let Some(owner) = owner {
            client.batch_execute(&format!("SET ROLE {}", quote_identifier(&owner))).await?;
            outcome = client.batch_execute(&sql).await;
            client.batch_execute("RESET ROLE").await?;
        }
    }
    match outcome {
        Ok(()) => Ok(Finished::Done),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => {
            // Somebody else was faster; or the server has lost it, which only a commit has to mind.
            if !commit || is_done(client, gid).await? { Ok(Finished::Done) } else { Ok(Finished::Lost) }
        }
        Err(error) if error.code() == Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE) => Ok(Finished::Busy),
        Err(error) => Err(error),
    }
}

async fn owner_of(client: &Client, name: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let query = format!("SELECT owner::text FROM pg_catalog.pg_prepared_xacts WHERE gid = '{name}'");
    client.query_opt(&query, &[]).await?.map(|row| row.try_get(0)).transpose()
}

/// tokio-postgres's errors say what failed; why is in their source.
pub fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(refused) => format!("{} ({})", refused.message(), refused.code().code()),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}
