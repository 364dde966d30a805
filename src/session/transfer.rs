//! INSERTs of a query's rows: the rows are made in a temporary table of the scratch database, with the types of the
//! target's columns, and each is copied to its shard, all in the statement's transaction. In: a [`Transfer`] and what
//! its tables are read from. Out: what one server would have said.

use bytes::Bytes;

mod tail;

use super::bound::{Bound, Until};
use super::copy::{data_format, place};
use super::gather::Gathering;
use super::parts::{Part, Told, Undone};
use super::segment::Failure;
use super::turn::Session;
use crate::execute::copy_in::{Copied, Division, copy_in};
use crate::execute::divide::Divider;
use crate::execute::gather::answer;
use crate::execute::own::{self, OwnError};
use crate::planning::copy::{self, RawKey, RowPlace};
use crate::planning::transfer::{Made, TARGET, Transfer};
use crate::planning::{Access, Template};
use crate::protocol::backend::{self, tag};
use crate::protocol::frame;
use crate::protocol::frontend::encode;
use crate::types::limits::FRAME_BYTES_MAX;
use crate::types::{ClientError, ShardId, SqlState};

/// Where a table is made whose name has no schema.
const CREATION_SCHEMA: &str = "SELECT pg_catalog.quote_ident(pg_catalog.current_schema())";

/// Ids that are put into one text.
const SERVED_AT_ONCE: usize = 50_000;

/// What a column's default says that was taken to be given.
const LEFT_OUT: &str = "shardway: a column is left out";

/// Where rows are given ids: the column with their numbers, from 1 on, in the order in which they were made.
const ROW: &str = "\"shardway row\"";

impl Session {
    /// Runs the statement; `bind`: the client's Bind, in the extended protocol.
    pub(super) async fn transfer(
        &mut self,
        transfer: &Transfer,
        pulls: &[crate::planning::Pull],
        template: &Template,
        sql: &Bytes,
        bind: Option<(&Bound, Until)>,
    ) -> Result<Told, Undone> {
        if bind.is_some_and(|(_, until)| until == Until::Described) && transfer.tail.is_none() {
            // It returns no rows.
            return Ok(Told::default());
        }
        if self.recodes() {
            let text = "INSERT from a query over several shards is not supported with another client_encoding than the servers'";
            return Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
                .detail("Its rows would be recoded on their way.")
                .hint("RESET client_encoding.")
                .into());
        }
        for &shard in &transfer.target.shards {
            self.admit_write(shard, template).await?;
        }
        if let Some(made) = &transfer.made {
            return self.make_table(transfer, made, pulls, template, (sql, bind)).await;
        }
        if let Some(tail) = &transfer.tail {
            return Box::pin(self.transfer_with_tail((transfer, tail, pulls), template, sql, bind)).await;
        }
        let scratch = self.gather_rows(transfer, pulls, template, sql, bind.map(|(bound, _)| bound)).await?;
        if let Err(undone) = self.serve_rows(transfer, scratch).await {
            self.drop_scratch(scratch).await;
            return Err(undone);
        }
        let quote = crate::sql::quote_identifier;
        let columns: Vec<String> = transfer.copied().map(quote).collect();
        let columns = columns.join(", ");
        let table = format!("{}.{} ({columns})", quote(&transfer.schema), quote(&transfer.name));
        let rows = format!("pg_temp.{} ({columns})", quote(TARGET));
        let copied = self.copy_rows(transfer, scratch, (&rows, &table)).await;
        if copied.is_err() {
            self.drop_scratch(scratch).await;
        }
        copied
    }

    /// The home shard makes the table, and the query's rows are copied into it.
    async fn make_table(
        &mut self,
        transfer: &Transfer,
        made: &Made,
        pulls: &[crate::planning::Pull],
        template: &Template,
        (sql, bind): (&Bytes, Option<(&Bound, Until)>),
    ) -> Result<Told, Undone> {
        if bind.is_some_and(|(bound, _)| bound.has_values()) {
            let text = "a new table of rows of several shards is not supported with parameters";
            return Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
                .detail("Two statements make it, on two databases.")
                .hint("Write the values into the text.")
                .into());
        }
        self.changed_catalog = true;
        self.changed_within = true;
        self.database.statements.renew();
        let spliced = self.splice(sql, &transfer.gather);
        let query = String::from_utf8_lossy(&spliced.query).into_owned();
        let mut gathering = Gathering::new(&transfer.gather, pulls, spliced, (sql.clone(), Bytes::new()), template);
        gathering.is_query = bind.is_none();
        let gathered = self.gather(&mut gathering, Access::Write).await.map_err(undone)?;
        let home = self.database.config.home;
        let created = self.create_made(made, home, sql).await;
        let copied = match created {
            Ok(Err(told)) => {
                self.drop_scratch(gathered.scratch).await;
                return Ok(told);
            }
            Ok(Ok(table)) => {
                // Its rows are made first, so that what fails on them is told before any of them is sent.
                let quote = crate::sql::quote_identifier;
                let names: Vec<String> = (1..=gathered.columns.len()).map(|at| format!("c{at}")).collect();
                let names = if names.is_empty() { String::new() } else { format!("({})", names.join(", ")) };
                let rows = format!("pg_temp.{}", quote(TARGET));
                let make = format!("CREATE TEMPORARY TABLE {rows} {names} ON COMMIT DROP AS {query}");
                match self.make_rows(gathered.scratch, make.into(), None).await {
                    Ok(()) => self.copy_rows(transfer, gathered.scratch, (&rows, &table)).await,
                    Err(undone) => Err(undone),
                }
            }
            Err(undone) => Err(undone),
        };
        match copied {
            Ok(told) => {
                let rows = told.tag.rsplit(' ').next().unwrap_or("0").to_owned();
                Ok(Told { tag: format!("SELECT {rows}"), ..told })
            }
            Err(undone) => {
                self.drop_scratch(gathered.scratch).await;
                Err(undone)
            }
        }
    }

    /// The temporary table that takes the rows.
    async fn target_of(&mut self, transfer: &Transfer) -> Result<String, Undone> {
        let quote = crate::sql::quote_identifier;
        let first = transfer.target.shards.first().copied().unwrap_or(self.database.config.home);
        let moment = if transfer.fills.is_empty() { None } else { Some(self.moment(first).await?) };
        let mut sql = String::new();
        if transfer.is_whole {
            sql.push_str(&format!(
                "CREATE OR REPLACE FUNCTION pg_temp.shardway_left_out() RETURNS pg_catalog.text LANGUAGE sql VOLATILE \
                 AS $left$SELECT pg_catalog.int4in('{LEFT_OUT}')::pg_catalog.text$left$;"
            ));
        }
        sql.push_str(&format!("CREATE TEMPORARY TABLE pg_temp.{} (", quote(TARGET)));
        for (position, column) in transfer.columns.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            sql.push_str(&format!("{separator}{} {}", quote(&column.name), column.type_name));
            if let Some(collation) = &column.collation {
                sql.push_str(&format!(" COLLATE {collation}"));
            }
            let default = moment.as_ref().and_then(|moment| transfer.default_of(&column.name, moment));
            match default {
                Some(default) => sql.push_str(&format!(" DEFAULT {default}")),
                None if transfer.is_whole => {
                    sql.push_str(&format!(" DEFAULT CAST(pg_temp.shardway_left_out() AS {})", column.type_name));
                }
                None => {}
            }
        }
        sql.push_str(") ON COMMIT DROP;");
        Ok(sql)
    }

    /// Makes the query's rows in the temporary table.
    async fn gather_rows(
        &mut self,
        transfer: &Transfer,
        pulls: &[crate::planning::Pull],
        template: &Template,
        sql: &Bytes,
        bind: Option<&Bound>,
    ) -> Result<ShardId, Undone> {
        let types = bind.map(Bound::declared).unwrap_or_default();
        let spliced = self.splice(sql, &transfer.gather);
        let mut gathering = Gathering::new(&transfer.gather, pulls, spliced, (sql.clone(), types), template);
        gathering.is_query = bind.is_none();
        gathering.target = self.target_of(transfer).await?;
        let gathered = match self.gather(&mut gathering, Access::Write).await {
            Ok(gathered) => gathered,
            Err(failure) => return Err(undone(failure)),
        };
        let whole = Bytes::from(gathering.spliced.whole);
        if let Err(undone) = self.make_rows(gathered.scratch, whole, bind).await {
            self.drop_scratch(gathered.scratch).await;
            return Err(undone);
        }
        Ok(gathered.scratch)
    }

    /// Runs the client's own text, whose target is the temporary table.
    async fn make_rows(&mut self, scratch: ShardId, whole: Bytes, bound: Option<&Bound>) -> Result<(), Undone> {
        let lease = self.transaction.lease_mut(scratch).expect("held by the gather");
        match bound {
            None => encode::query(&mut lease.framed.outbound, &whole),
            Some(bound) => bound.encode(&Part::whole(scratch, whole), Until::Executed, lease)?,
        }
        lease.unanswered += 1;
        lease.unnamed = None;
        match answer(lease, |_| ()).await {
            Ok(None) => Ok(()),
            Ok(Some(frame)) if backend::error_field(&frame.0, b'M').is_some_and(left_out) => {
                let text = "INSERT from a query that gives less columns than the table has is not supported unless they are listed";
                Err(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
                    .detail("The rows are made in another database, where the others' defaults aren't known.")
                    .hint("Write the columns behind the table's name.")
                    .into())
            }
            Ok(Some(frame)) => Err(Undone::Server { frame: frame.0, bound: true, description: None }),
            Err(error) => Err(undone(self.gather_failure(error, &[]).await)),
        }
    }

    /// Gives the rows their ids, in the order in which they were made.
    async fn serve_rows(&mut self, transfer: &Transfer, scratch: ShardId) -> Result<(), Undone> {
        if transfer.served.is_empty() {
            return Ok(());
        }
        let quote = crate::sql::quote_identifier;
        let table = format!("pg_temp.{}", quote(TARGET));
        let count =
            self.ask_scratch(scratch, &format!("SELECT pg_catalog.count(*)::pg_catalog.text FROM {table}")).await?;
        let count: usize = count.as_deref().and_then(|count| count.parse().ok()).unwrap_or(0);
        if count == 0 {
            return Ok(());
        }
        // An UPDATE leaves rows where it likes: their order is noted before the first.
        let noted = format!("ALTER TABLE {table} ADD COLUMN {ROW} pg_catalog.int8 GENERATED ALWAYS AS IDENTITY");
        self.ask_scratch(scratch, &noted).await?;
        for (column, sequence) in &transfer.served {
            let mut first = 0;
            // A text of moderate size each time.
            while first < count {
                let wanted = (count - first).min(SERVED_AT_ONCE);
                let ids = self.take_ids(sequence, wanted).await?;
                self.served_last = true;
                let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
                let update = format!(
                    "UPDATE {table} AS shardway_rows SET {} = shardway_ids.v::{} FROM \
                     pg_catalog.unnest('{{{}}}'::pg_catalog.int8[]) WITH ORDINALITY AS shardway_ids(v, n) \
                     WHERE shardway_rows.{ROW} = shardway_ids.n + {first}",
                    quote(&column.name),
                    column.type_name,
                    ids.join(",")
                );
                self.ask_scratch(scratch, &update).await?;
                first += wanted;
            }
        }
        Ok(())
    }

    /// The first value of the answer of a query of the proxy's own.
    async fn ask_scratch(&mut self, scratch: ShardId, sql: &str) -> Result<Option<String>, Undone> {
        let lease = self.transaction.lease_mut(scratch).expect("held by the gather");
        match own::run(lease, sql).await {
            Ok(answer) => Ok(answer.value),
            Err(OwnError::Refused(frame)) => Err(Undone::Server { frame: frame.0, bound: true, description: None }),
            Err(OwnError::Lost(reason)) => Err(scratch_lost(reason).into()),
        }
    }

    /// Makes the table; gives its name as COPY is to know it, or what is told where it was there before.
    async fn create_made(&mut self, made: &Made, home: ShardId, sql: &Bytes) -> Result<Result<String, Told>, Undone> {
        let options = self.lex_options();
        let name = made.name(sql, &options);
        let (evade, restore) = self.evasion().unzip();
        if let Some(evade) = evade {
            self.ask_one(home, &evade).await?;
        }
        let is_there = made.if_absent && {
            let answer = self.ask_one(home, &made.existence(&name)).await?;
            answer.row(0).and_then(backend::first_text) != Some("f")
        };
        let answer = self.ask_one(home, &made.definition(sql, &options, is_there)).await?;
        if is_there {
            if let Some(restore) = restore {
                self.ask_one(home, &restore).await?;
            }
            let tag = answer.tag.unwrap_or_default();
            return Ok(Err(Told { tag, notices: answer.notices, ..Told::default() }));
        }
        let table = if made.is_qualified {
            name
        } else if made.is_temporary {
            format!("pg_temp.{name}")
        } else {
            let answer = self.ask_one(home, CREATION_SCHEMA).await?;
            format!("{}.{name}", answer.row(0).and_then(backend::first_text).unwrap_or_default())
        };
        if let Some(restore) = restore {
            self.ask_one(home, &restore).await?;
        }
        Ok(Ok(table))
    }

    /// Copies each row to its shard. `from`: what the scratch database copies; `into`: the table, perhaps with columns.
    async fn copy_rows(
        &mut self,
        transfer: &Transfer,
        scratch: ShardId,
        (from, into): (&str, &str),
    ) -> Result<Told, Undone> {
        let into = format!("COPY {into} FROM STDIN (FORMAT binary)");
        let options = copy::options(into.as_bytes(), &self.lex_options(), None).map_err(ClientError::from)?;
        let utf8 = self.copy_encoding(&options)?;
        for &shard in &transfer.target.shards {
            let reached = self.reach_for_copy(shard).await.map_err(Undone::Ended)?;
            reached?;
        }
        let Some(mut apart) = self.transaction.take_apart(scratch) else {
            return Err(ClientError::new(SqlState::INTERNAL_ERROR, "the scratch connection is held").into());
        };
        let out_of = format!("COPY {from} TO STDOUT (FORMAT binary)");
        encode::query(&mut apart.lease.framed.outbound, out_of.as_bytes());
        apart.lease.unanswered += 1;
        if let Err(reason) = begin_copy(&mut apart.lease).await {
            return Err(scratch_lost(reason).into());
        }
        let key = transfer.target.key.as_ref();
        let placed = key.map(|key| move |value: RawKey<'_>| place(key, utf8, value));
        let mut notices = Vec::new();
        let division = Division {
            divider: Divider::new(data_format(&options), key.map(|key| key.position)),
            place: placed.as_ref().map(|place| place as &(dyn Fn(RawKey<'_>) -> RowPlace + Sync)),
            table: &transfer.name,
            aside: Some(&mut notices),
        };
        let mut backends: Vec<_> = Vec::with_capacity(transfer.target.shards.len());
        for held in self.transaction.held_mut() {
            if transfer.target.shards.contains(&held.shard) {
                backends.push((held.shard, &mut *held.lease));
            }
        }
        backends.sort_by_key(|(shard, _)| *shard);
        let order: Vec<ShardId> = backends.iter().map(|(shard, _)| *shard).collect();
        match copy_in(&mut apart.lease.framed, backends, into.as_bytes(), division).await {
            Ok(Copied::Rows(rows)) => {
                let ended = answer(&mut apart.lease, |_| ()).await;
                self.transaction.put_apart(apart);
                match ended {
                    Ok(None) => Ok(Told { tag: format!("INSERT 0 {rows}"), notices, ..Told::default() }),
                    Ok(Some(frame)) => Err(Undone::Server { frame: frame.0, bound: true, description: None }),
                    Err(error) => Err(undone(self.gather_failure(error, &[]).await)),
                }
            }
            Ok(Copied::Failed(frame)) => {
                let frame = without_copy(&frame);
                Err(Undone::Server { frame, bound: true, description: None })
            }
            Ok(Copied::Refused(refusal)) => Err(ClientError::from(refusal).into()),
            Err((position, error)) => {
                let shard = order.get(position).copied().unwrap_or(self.database.config.home);
                self.abandon_copy(shard);
                Err(Undone::Lost(shard, error))
            }
        }
    }
}

fn left_out(message: &[u8]) -> bool {
    message.windows(LEFT_OUT.len()).any(|part| part == LEFT_OUT.as_bytes())
}

/// Reads up to the CopyOutResponse; behind it is the data.
async fn begin_copy(scratch: &mut crate::pool::Backend) -> Result<(), String> {
    use bytes::Buf;
    scratch.framed.flush().await.map_err(|error| error.to_string())?;
    loop {
        let header = frame::peek(&scratch.framed.inbound, FRAME_BYTES_MAX + 1).map_err(|error| error.to_string())?;
        match header.filter(|header| scratch.framed.inbound.len() >= header.len) {
            Some(header) => {
                scratch.framed.inbound.advance(header.len);
                match header.tag {
                    tag::COPY_OUT => return Ok(()),
                    tag::ERROR => return Err("the rows could not be read back".to_owned()),
                    _ => {}
                }
            }
            None => match scratch.framed.fill().await {
                Ok(0) => return Err("end of stream".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            },
        }
    }
}

fn scratch_lost(reason: String) -> ClientError {
    ClientError::new(SqlState::CONNECTION_FAILURE, "the connection to the scratch database was lost")
        .detail(reason)
        .hint("The statement can be tried again.")
}

pub(super) fn undone(failure: Failure) -> Undone {
    match failure {
        Failure::Client(error) => Undone::Proxy(error),
        Failure::Told => Undone::Told,
        Failure::End(end) => Undone::Ended(end),
    }
}

/// The client has asked for no COPY: an error doesn't tell of one.
fn without_copy(frame: &[u8]) -> Vec<u8> {
    let mut made = frame.get(..5).unwrap_or_default().to_vec();
    for field in frame.get(5..).unwrap_or_default().split_inclusive(|&byte| byte == 0) {
        if field.first() != Some(&b'W') {
            made.extend_from_slice(field);
            continue;
        }
        let text = field.get(1..field.len().saturating_sub(1)).unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("COPY ")).collect();
        if !lines.is_empty() {
            made.push(b'W');
            made.extend_from_slice(lines.join("\n").as_bytes());
            made.push(0);
        }
    }
    let len = u32::try_from(made.len().saturating_sub(1)).unwrap_or(u32::MAX);
    if let Some(place) = made.get_mut(1..5) {
        place.copy_from_slice(&len.to_be_bytes());
    }
    made
}
