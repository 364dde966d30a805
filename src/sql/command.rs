//! What a session must know of a statement, whether or not it can be parsed. In: the tokens of one
//! statement. Out: a [`Command`].
//!
//! Recognised from tokens, not from a syntax tree: it must hold for statements that the parser
//! can't read, and for databases with one shard, where nothing is parsed at all.

mod recognise;
mod settings;

#[cfg(test)]
mod tests;

pub use recognise::recognise;

/// One statement as the session sees it. Names are folded as PostgreSQL folds them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    Transaction(TransactionCommand),
    Session(SessionCommand),
    /// Goes by its tables. The leading keyword, lower case.
    Ordinary(Verb),
    /// Nothing but white space and comments: PostgreSQL answers EmptyQueryResponse.
    Empty,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// SELECT, VALUES, TABLE, also in parentheses and behind WITH, where nothing in it writes. (What
    /// it calls may still.)
    Select,
    Insert,
    Update,
    Delete,
    Merge,
    Copy(CopyDirection),
    Explain { analyze: bool },
    Ddl,
    /// DO, CALL: may do anything.
    Procedure,
    /// VACUUM, ANALYZE, LOCK, CHECKPOINT, REINDEX, CLUSTER and whatever else there is.
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyDirection {
    FromStdin,
    ToStdout,
    /// A file or program of the server.
    ServerSide,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TransactionCommand {
    Begin,
    Commit { chain: bool },
    Rollback { chain: bool },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    /// SET TRANSACTION, SET CONSTRAINTS: hold until the transaction ends, on every shard in it.
    SetTransaction,
    /// PREPARE TRANSACTION and COMMIT or ROLLBACK PREPARED.
    TwoPhase,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionCommand {
    Set { local: bool, setting: Setting },
    /// `RESET name` and `SET name TO DEFAULT`.
    Reset { local: bool, name: String },
    ResetAll,
    Show { name: String },
    ShowAll,
    DiscardAll,
    DiscardTemp,
    DiscardPlans,
    DiscardSequences,
    Prepare { name: String },
    Execute { name: String },
    /// `None`: ALL.
    Deallocate { name: Option<String> },
    Declare { name: String, hold: bool },
    Fetch { name: String },
    /// `None`: ALL.
    CloseCursor { name: Option<String> },
    Listen,
    /// `all`: UNLISTEN *.
    Unlisten { all: bool },
    Notify,
    Load,
}

/// A setting that is being set. Its value is not part of the template, from which literals are taken
/// out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// Lower case. `role`, `session_authorization`, `timezone`, `search_path`, `client_encoding` and
    /// `xmloption` for the spellings of their own; `session characteristics` for SET SESSION
    /// CHARACTERISTICS, whose value is the list of transaction modes.
    pub name: String,
    /// Byte offsets can't be kept in a template, so the value is found again in the statement's own
    /// text: it begins behind the n-th of its tokens (`TO`, `=`, or the words of the special spellings)
    /// and reaches to the statement's end. `FROM CURRENT` is such a value, too.
    pub value_after_tokens: usize,
}
