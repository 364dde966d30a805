//! SELECTs that PostgreSQL answers on the scratch database: rows are pulled from the shards over the client's own
//! connections, within its transaction, and the client's own text runs on them. The scratch connection is held
//! apart: it is in no block of the client's, and goes when nothing of the client is left on it.

use std::borrow::Cow;
use std::sync::Arc;

mod cursors;
mod fill;
mod open;
mod sql;
mod unknown;

use bytes::Bytes;

use super::block::aborted;
use super::effects::Change;
use super::parts::Undone;
use super::prepared::{ClientStatement, Place, Portal};
use super::scratch::Attached;
use super::segment::Failure;
use super::turn::{Session, SessionEnd};
use super::undo::Undo;
use crate::execute::Expect;
use crate::planning::gather::{self, Gather, Spliced};
use crate::planning::writes::Moment;
use crate::planning::{Access, Template};
use crate::protocol::frontend::{Bind, encode};
use crate::sql::Command;
use crate::sql::command::{SessionCommand, Verb};
use crate::types::{ClientError, ShardId, SqlState};

/// A statement to be answered so, and its text.
pub(super) struct Gathering<'a> {
    pub gather: Cow<'a, Gather>,
    pub pulls: &'a [crate::planning::Pull],
    pub spliced: Spliced,
    /// As the client sent it, for a server that has the tables.
    pub original: Bytes,
    /// Declared parameter types, four bytes each, as the client knows them.
    pub types: Bytes,
    /// False: EXPLAIN without ANALYZE, which reads no row.
    pub reads: bool,
    /// It opens a cursor that ends with its transaction.
    pub declares: bool,
    /// It opens one that doesn't.
    pub holds: bool,
    /// It came as a Query.
    pub is_query: bool,
    /// Makes what the text needs besides its tables.
    definitions: String,
    /// Of the client's block, if the text or a view asks for it.
    moment: Option<Moment>,
    /// Makes the table that stands for the target of an INSERT.
    pub target: String,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(
        gather: &'a Gather,
        pulls: &'a [crate::planning::Pull],
        spliced: Spliced,
        (original, types): (Bytes, Bytes),
        template: &Template,
    ) -> Self {
        let is = |wanted: fn(&Command) -> bool| matches!(&template.statements[..], [only] if wanted(&only.command));
        Self {
            gather: Cow::Borrowed(gather),
            pulls,
            spliced,
            original,
            types,
            reads: !is(|command| *command == Command::Ordinary(Verb::Explain { analyze: false })),
            declares: is(|command| matches!(command, Command::Session(SessionCommand::Declare { hold: false, .. }))),
            holds: is(|command| matches!(command, Command::Session(SessionCommand::Declare { hold: true, .. }))),
            is_query: false,
            definitions: String::new(),
            moment: None,
            target: String::new(),
        }
    }
}

/// A scratch connection with its tables filled.
pub(super) struct Gathered {
    pub scratch: ShardId,
    /// Of the result.
    pub columns: Vec<u32>,
    pub attached: Arc<Attached>,
}

impl Session {
    /// The one statement of a text, as the scratch database gets it.
    pub(super) fn splice(&self, sql: &[u8], gather: &Gather) -> Spliced {
        gather::splice(sql, &self.lex_options(), gather, None)
    }

    /// A Query: rows are gathered, then it runs on them.
    pub(super) async fn run_gather(
        &mut self,
        mut gathering: Gathering<'_>,
        template: &Template,
        changes: Vec<(usize, Change)>,
        len: usize,
    ) -> Result<(), SessionEnd> {
        use bytes::Buf;
        self.client.inbound.advance(len);
        gathering.is_query = true;
        if let Err(error) = self.is_new_cursor(template, None) {
            self.fail_gather(error.into()).await?;
            self.say_ready();
            return Ok(());
        }
        match self.gather(&mut gathering, super::admission::access_of(template)).await {
            Ok(gathered) => {
                let (scratch, whole) = (gathered.scratch, gathering.spliced.whole);
                let lease = self.transaction.lease_mut(scratch).expect("held by the gather");
                encode::query(&mut lease.framed.outbound, &whole);
                lease.unanswered += 1;
                self.relay_query(scratch, changes, Access::Read).await
            }
            Err(failure) => {
                self.fail_gather(failure).await?;
                self.say_ready();
                Ok(())
            }
        }
    }

    /// Tells the client, unless it was, and fails its transaction.
    pub(super) async fn fail_gather(&mut self, failure: Failure) -> Result<(), SessionEnd> {
        self.expects.clear();
        match failure {
            Failure::End(end) => return Err(end),
            Failure::Client(error) => self.refuse(&error).await,
            Failure::Told => self.fail_block().await,
        }
        Ok(())
    }

    /// Binds a portal on the scratch database, once the rows are there.
    pub(super) async fn bind_gather(
        &mut self,
        portal: Box<[u8]>,
        statement: Arc<ClientStatement>,
        mut gathering: Gathering<'_>,
        changes: Vec<Change>,
        len: usize,
    ) -> Result<(), Failure> {
        self.is_new_cursor(&statement.template, None)?;
        // What came before is answered first; the text is looked at where its tables are.
        if !self.unplaced.is_empty() {
            let home = self.database.config.home;
            let access = super::admission::access_of(&statement.template);
            self.enter_segment(home, access).await?;
            self.place_parses(home);
        }
        self.leave_segment().await?;
        if portal.is_empty() && self.portals.get(&portal).is_some_and(Portal::is_apart) {
            // The one before goes, and its tables with it.
            self.portals.remove(&portal);
            self.release_unused(false).await;
        }
        self.state.start_implicit();
        let declared = gathering.types.clone();
        let gathered = match self.gather(&mut gathering, super::admission::access_of(&statement.template)).await {
            Err(Failure::Told) => {
                self.expects.clear();
                self.fail_block().await;
                return Err(Failure::Told);
            }
            outcome => outcome?,
        };
        let text = gathering.spliced.whole;
        let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        binary_fits(&gathered, &message)?;
        let types = scratch_types(&declared, &gathered.attached);
        self.open_segment(gathered.scratch);
        let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let lease = self.transaction.lease_mut(gathered.scratch).expect("held by the gather");
        encode::parse(&mut lease.framed.outbound, b"", &text, &types);
        lease.unnamed = None;
        encode::bind(&mut lease.framed.outbound, message.portal, b"", message.tail);
        self.expects.push_back(Expect::Parse { shown: false, statement: None });
        self.expects.push_back(Expect::Bind);
        let place = Place::Shard(gathered.scratch);
        let previous = self.portals.insert(portal.clone(), Portal { statement, place, changes, carries: false });
        self.undo.push(Undo::Portal { name: portal, previous });
        Ok(())
    }

    /// Fills temporary tables with the rows that a statement needs.
    pub(super) async fn gather(&mut self, gathering: &mut Gathering<'_>, access: Access) -> Result<Gathered, Failure> {
        if self.transaction.is_failed() {
            return Err(aborted().into());
        }
        self.admit_gather(gathering)?;
        self.look_at_unknown(gathering, access).await?;
        gathering.definitions = self.database_names(&gathering.gather);
        self.tell_moment(gathering).await?;
        let gathering = &*gathering;
        let attached = self.attach_scratch().await?;
        check_definitions(&gathering.gather, &attached)?;
        let (scratch, columns, with_keys) = self.open_scratch(gathering, &attached, access).await?;
        self.explain_pulls(gathering, with_keys);
        let filled = if gathering.reads { self.fill(gathering, (scratch, with_keys), access).await } else { Ok(()) };
        match filled {
            Ok(()) => Ok(Gathered { scratch, columns, attached }),
            Err(failure) => {
                self.drop_scratch(scratch).await;
                Err(failure)
            }
        }
    }

    fn admit_gather(&self, gathering: &Gathering<'_>) -> Result<(), ClientError> {
        let gather = &gathering.gather;
        if gathering.declares && !self.transaction.in_block() {
            let text = "DECLARE CURSOR can only be used in transaction blocks";
            return Err(ClientError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, text));
        }
        let mut views = gather.views.iter();
        let is_lost = gather.moments.is_none()
            || names_moment(&gathering.spliced.query)
            || views.any(|view| view.rewriting.moments.is_none() || names_moment(view.definition.as_bytes()));
        if is_lost && self.transaction.in_block() {
            let text = "the time of the transaction in a statement over several shards is not supported in a transaction block";
            return Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
                .detail("The statement runs in a transaction of its own, on rows that are gathered from the shards, and the time would be that one's.")
                .hint("Use now(), CURRENT_TIMESTAMP or CURRENT_DATE, or pass the time as a parameter."));
        }
        if gather.reads_settings && names_transaction(&gathering.spliced.query) {
            let text = "settings of the transaction in a statement over several shards are not supported";
            return Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
                .detail("The statement runs in a transaction of its own, on rows that are gathered from the shards.")
                .hint("Select the setting by itself."));
        }
        Ok(())
    }

    /// Within a block `now()` is when that began, wherever it is asked for.
    async fn tell_moment(&mut self, gathering: &mut Gathering<'_>) -> Result<(), Failure> {
        let names = moment_names(&gathering.gather);
        if !self.transaction.in_block() {
            let of_statement = names.iter().filter(|name| name.is_of_statement());
            gathering.definitions.extend(of_statement.map(|name| name.of_query(gathering.is_query)));
            return Ok(());
        }
        if names.is_empty() {
            return Ok(());
        }
        let first =
            gathering.pulls.iter().flat_map(|pull| &pull.shards).next().copied().unwrap_or(self.database.config.home);
        let moment = match self.moment(first).await {
            Ok(moment) => moment,
            Err(undone) => return Err(self.undone_gather(undone).await),
        };
        gathering.spliced = gather::splice(&gathering.original, &self.lex_options(), &gathering.gather, Some(&moment));
        gathering.definitions.extend(names.iter().map(|name| name.definition(&moment)));
        gathering.moment = Some(moment);
        Ok(())
    }

    /// What says the name of the client's database.
    fn database_names(&self, gather: &Gather) -> String {
        let Some(database) = self.database.name_at_home() else { return String::new() };
        let within = gather.views.iter().map(|view| &view.rewriting);
        let names = within.chain([gather]).flat_map(|text| &text.databases);
        names.map(|(_, name)| gather::database_definition(name, database)).collect()
    }

    pub(super) async fn undone_gather(&mut self, undone: Undone) -> Failure {
        match undone {
            Undone::Proxy(error) => error.into(),
            Undone::Server { frame, .. } => {
                self.client.outbound.extend_from_slice(&frame);
                Failure::Told
            }
            Undone::Told => Failure::Told,
            Undone::Ended(end) => Failure::End(end),
            Undone::Lost(shard, error) => match self.survive(shard, error, false).await {
                Ok(()) => Failure::Told,
                Err(end) => Failure::End(end),
            },
        }
    }

    /// What EXPLAIN says that the shards are asked.
    fn explain_pulls(&mut self, gathering: &Gathering<'_>, with_keys: bool) {
        if self.explaining.is_some() {
            for (position, pull) in gathering.pulls.iter().enumerate().filter(|(_, pull)| !pull.shards.is_empty()) {
                let asked = sql::copy_out((&gathering.gather, gathering.pulls), &[position], with_keys, (false, false));
                let names: Vec<String> = pull.shards.iter().map(|shard| self.shard_name(*shard).to_owned()).collect();
                let what = if names.len() > 1 { "shards" } else { "shard" };
                let what = format!("{what} {} asked", names.join(", "));
                self.explain_further(&what, asked.as_bytes());
            }
        }
    }

    /// The scratch database finds the statement wrong: what does a server say that has the tables?
    async fn ask_home(&mut self, gathering: &Gathering<'_>, frame: &[u8], access: Access) -> Failure {
        match self.parse_at_home((&gathering.original, &gathering.types), access).await {
            Ok(true) => Failure::Told,
            Ok(false) => lacks(frame).into(),
            Err(failure) => failure,
        }
    }
}

/// If a literal may mean the moment: `'now'`, `'today'` and their like, as dates and times are written.
fn names_moment(query: &[u8]) -> bool {
    const WORDS: [&[u8]; 4] = [b"now", b"today", b"tomorrow", b"yesterday"];
    let begins = |rest: &[u8]| {
        let rest = rest.trim_ascii_start();
        WORDS.iter().any(|word| rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word)))
    };
    query.split(|byte| *byte == b'\'').skip(1).any(begins)
}

/// The calls of now() and its like in the text and in views.
fn moment_names(gather: &Gather) -> Vec<gather::MomentName> {
    let within = gather.views.iter().map(|view| &view.rewriting);
    within.chain([gather]).flat_map(|text| text.moments.iter().flatten()).cloned().collect()
}

/// If a literal names a setting of the transaction.
fn names_transaction(query: &[u8]) -> bool {
    let begins = |rest: &[u8]| {
        rest.trim_ascii_start().get(..12).is_some_and(|begin| begin.eq_ignore_ascii_case(b"transaction_"))
    };
    query.split(|byte| *byte == b'\'').skip(1).any(begins)
}

/// The scratch database must have what the statement calls.
fn check_definitions(gather: &Gather, attached: &Attached) -> Result<(), ClientError> {
    if attached.copied.has_operators {
        let text = "a database with operators or casts of its own can't be queried over several shards in this way";
        return Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
            .detail("They are not known to the scratch database, where the statement would be answered."));
    }
    match gather.functions.iter().find(|name| !attached.copied.functions.contains(*name)) {
        None => Ok(()),
        Some(name) => {
            let text = format!("{name}() over several shards is not supported");
            Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text).detail(
                "The function could not be made on the scratch database, where the statement would be answered.",
            ))
        }
    }
}

/// Something is missing on the scratch database that the servers have.
fn lacks(frame: &[u8]) -> ClientError {
    let message = crate::protocol::backend::error_field(frame, b'M').unwrap_or_default();
    ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, "this statement over several shards is not supported")
        .detail(format!("It can't be answered on the scratch database: {}.", String::from_utf8_lossy(message)))
        .hint("Compare the shard key with a constant or a parameter (=, IN, = ANY), joined tables included.")
}

fn is_state(frame: &[u8], state: &[u8]) -> bool {
    crate::protocol::backend::error_field(frame, b'C') == Some(state)
}

/// Declared types as the scratch database numbers them.
fn scratch_types(declared: &[u8], attached: &Attached) -> Vec<u8> {
    let mut types = Vec::with_capacity(declared.len());
    for oid in declared.as_chunks::<4>().0 {
        let home = u32::from_be_bytes(*oid);
        let there = attached.copied.types.iter().find(|(_, known)| **known == home).map(|(there, _)| *there);
        types.extend_from_slice(&there.unwrap_or(home).to_be_bytes());
    }
    types
}

/// Values in binary that hold OIDs would hold those of the scratch database.
fn binary_fits(gathered: &Gathered, message: &Bind<'_>) -> Result<(), ClientError> {
    const FIRST_USER_OID: u32 = 16_384;
    let wants_binary = message.wants_binary();
    for (position, oid) in gathered.columns.iter().enumerate() {
        let known = &gathered.attached.copied;
        // A type that isn't there for good is that of the rows of a table that was made.
        let holds_oids = HOLD_OIDS.contains(oid)
            || *oid >= FIRST_USER_OID && (known.nested.contains(oid) || !known.types.contains_key(oid));
        if holds_oids && wants_binary(position) {
            let text = "the result has values in binary that hold OIDs, which differ from server to server";
            return Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text).hint("Ask for text results."));
        }
    }
    Ok(())
}

/// record, record[], and the types of names in the catalogs.
const HOLD_OIDS: &[u32] = &[2249, 2287, 24, 26, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191];
