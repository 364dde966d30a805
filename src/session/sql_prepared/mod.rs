//! PREPARE, EXECUTE and DEALLOCATE as SQL. In: such a statement. Out: a statement among the client's own, beside those of
//! Parse, or the Bind of one. What a statement and its arguments mean is said by a server; where it runs is decided by
//! its Bind, as for any other. On a database with one shard, what only a server can do with them (EXPLAIN EXECUTE, CREATE
//! TABLE ... AS EXECUTE, pg_prepared_statements, functions that may use them, several statements in one Query) has them
//! handed over first: from then on the client's connection has them, and the client keeps it.

use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};

mod hand_over;
mod replies;

use self::replies::{hide_protocol, leave_out_description};
use super::prepared::ClientStatement;
use super::segment::Failure;
use super::shape::Described;
use super::turn::{Session, SessionEnd};
use crate::execute::own::{self, OwnError};
use crate::execute::relay;
use crate::planning::{Access, Hint, Plan};
use crate::protocol::backend::{self, tag};
use crate::protocol::frontend::{Bind, encode};
use crate::protocol::moved::Moved;
use crate::sql::command::{SessionCommand, Verb};
use crate::sql::lexer::literal_text;
use crate::sql::prepared::{Executed, executed, prepared};
use crate::sql::{Command, Lexed, Literal, LiteralKind, TokenKind, Tokens};
use crate::types::limits::CLIENT_STATEMENTS_MAX;
use crate::types::{ClientError, ShardId, SqlState};

/// The name of what evaluates arguments, on servers; closed at once.
const ARGUMENTS: &str = "shardway_arguments";
/// The name under which the statement of an EXPLAIN EXECUTE is bound. No driver chooses it.
const EXPLAINED: &[u8] = b"shardway explains";

/// int8, int2, int4, text, varchar (pg_type.dat).
const INTEGERS: [u32; 3] = [20, 21, 23];
const TEXTS: [u32; 2] = [25, 1043];

/// A statement to be bound, and the values of its parameters in text format.
struct Bound {
    statement: Box<[u8]>,
    values: Vec<Option<String>>,
}

impl Bound {
    /// The Bind of it; the result's formats as Bind has them, their count ahead.
    fn bind(&self, out: &mut BytesMut, portal: &[u8], formats: &[u8]) {
        let count = u16::try_from(self.values.len()).expect("a statement's parameters are counted in 16 bits");
        let mut tail = vec![0, 0];
        tail.extend_from_slice(&count.to_be_bytes());
        for value in &self.values {
            match value {
                None => tail.extend_from_slice(&[0xff; 4]),
                Some(text) => {
                    let len = u32::try_from(text.len()).expect("it came in a frame");
                    tail.extend_from_slice(&len.to_be_bytes());
                    tail.extend_from_slice(text.as_bytes());
                }
            }
        }
        tail.extend_from_slice(formats);
        encode::bind(out, portal, &self.statement, &tail);
    }
}

impl Session {
    /// If the statement of this name is, or would be, the proxy's to keep.
    pub(super) fn keeps(&self, name: &str) -> bool {
        self.database.config.shards.len() > 1
            || !self.state.pins.sql_prepared
            || self.statements.contains_key(name.as_bytes())
    }

    /// The EXECUTE in this text, also within EXPLAIN.
    pub(super) fn executed(&self, command: &Command, sql: &[u8]) -> Option<Executed> {
        let may_be = match command {
            Command::Session(SessionCommand::Execute { .. }) => true,
            Command::Ordinary(Verb::Explain { .. }) => {
                sql.windows(7).any(|seven| seven.eq_ignore_ascii_case(b"execute"))
            }
            _ => false,
        };
        if !may_be {
            return None;
        }
        executed(sql, &self.lex_options()).filter(|call| self.keeps(&call.name))
    }

    /// A Query that is PREPARE, or an EXECUTE that isn't one; up to ReadyForQuery.
    pub(super) async fn prepare_query(&mut self, command: &Command, sql: &[u8]) -> Result<(), SessionEnd> {
        let prepared = match command {
            Command::Session(SessionCommand::Prepare { .. }) => self.prepare_sql(sql).await,
            _ => Err(self.malformed(sql).await),
        };
        match prepared {
            Ok(()) => backend::command_complete(&mut self.client.outbound, "PREPARE"),
            Err(failure) => self.fail_query(failure).await?,
        }
        self.say_ready();
        Ok(())
    }

    async fn fail_query(&mut self, failure: Failure) -> Result<(), SessionEnd> {
        match failure {
            Failure::Client(error) => {
                self.expects.clear();
                self.refuse(&error).await;
            }
            Failure::Told => {}
            Failure::End(end) => return Err(end),
        }
        Ok(())
    }

    /// A Query that is EXECUTE: the same messages as a client's of the extended protocol, whose answers are shown as
    /// those of a Query are.
    pub(super) async fn execute_query(&mut self, sql: &[u8], call: &Executed) -> Result<(), SessionEnd> {
        let bound = match self.bound(sql, call).await {
            Ok(bound) => bound,
            Err(failure) => {
                self.fail_query(failure).await?;
                self.say_ready();
                return Ok(());
            }
        };
        let mut frames = BytesMut::new();
        bound.bind(&mut frames, b"", &[0, 0]);
        encode::describe_portal(&mut frames, b"");
        encode::flush(&mut frames);
        self.client.inbound.replace_front(0, &frames);
        // A hint beside EXECUTE is for what it runs.
        let session_hint = self.hint.clone();
        if let Some(hint) = self.written_hint(sql) {
            self.hint = Some(hint);
        }
        let shown = self.client.outbound.len();
        self.in_extended = true;
        self.client.held = true;
        let turned = self.extended_turn().await;
        self.client.held = false;
        hide_protocol(&mut self.client.outbound, shown);
        turned?;
        let mut frames = BytesMut::new();
        if !self.skipping {
            encode::execute(&mut frames, b"", 0);
        }
        encode::sync(&mut frames);
        self.client.inbound.replace_front(0, &frames);
        let turned = self.extended_turn().await;
        leave_out_description(&mut self.client.outbound, shown);
        self.hint = session_hint;
        self.in_extended = false;
        self.statements.remove(EXPLAINED);
        turned
    }

    /// A hint on where to run, in a comment.
    fn written_hint(&self, sql: &[u8]) -> Option<Hint> {
        let mut lexed = Lexed::default();
        self.database.planner.lex(sql, self.standard_conforming_strings, &mut lexed).ok()?;
        let body = String::from_utf8_lossy(sql.get(lexed.hint?)?).into_owned();
        Hint::parse(&body).filter(|hint| !matches!(hint, Hint::Read(_)))
    }

    /// The Bind at the front of the client's buffer is of an EXECUTE: it becomes that of the statement it names.
    pub(super) async fn bind_executed(&mut self, sql: &[u8], call: &Executed, len: usize) -> Result<(), Failure> {
        self.answer_own_parses().await?;
        let bound = self.bound(sql, call).await?;
        let message = Bind::decode(self.client.inbound.get(..len).unwrap_or_default())?;
        let mut formats = u16::try_from(message.result_formats.len() / 2).unwrap_or(0).to_be_bytes().to_vec();
        formats.extend_from_slice(message.result_formats);
        let mut fresh = BytesMut::new();
        bound.bind(&mut fresh, message.portal, &formats);
        self.client.inbound.replace_front(len, &fresh);
        self.replaced = Some(fresh.len());
        Box::pin(self.bind(fresh.len())).await
    }

    /// Describe of a statement that is an EXECUTE: it takes no parameters, and gives what the statement it names gives.
    pub(super) async fn describe_executed(&mut self, call: &Executed) -> Result<(), Failure> {
        self.answer_own_parses().await?;
        let named = self.statements.get(call.name.as_bytes()).cloned().filter(|_| call.before.is_empty());
        let described = match named {
            Some(statement) => Some(self.ask_description(&statement).await?),
            None => None,
        };
        backend::no_parameters(&mut self.client.outbound);
        match described.flatten() {
            Some(frame) => self.client.outbound.extend_from_slice(&frame),
            None => backend::empty(&mut self.client.outbound, tag::NO_DATA),
        }
        Ok(())
    }

    /// The columns of a statement, in the home shard's words.
    async fn ask_description(&mut self, statement: &ClientStatement) -> Result<Option<Bytes>, Failure> {
        let shard = self.database.config.home;
        self.hold(shard).await?;
        let lease = self.transaction.lease_mut(shard).expect("held just now");
        let described = own::describe(lease, &statement.sql, &statement.declared).await;
        match described {
            Ok(answer) => Ok(answer.gives),
            Err(error) => Err(self.server_says(error, &Moved::default()).await),
        }
    }

    /// PREPARE: a server reads it, and says what types its parameters have.
    pub(super) async fn prepare_sql(&mut self, sql: &[u8]) -> Result<(), Failure> {
        self.admit_prepared()?;
        let shard = self.shard_of(&Plan::Touched).expect("session commands have a shard");
        self.hold(shard).await?;
        let options = self.lex_options();
        let Some(found) = prepared(sql, &options) else { return Err(self.malformed(sql).await) };
        let written = String::from_utf8_lossy(sql.get(found.written.clone()).unwrap_or_default()).into_owned();
        let question = format!(
            "SELECT pg_catalog.unnest(parameter_types::pg_catalog.oid[]) FROM pg_catalog.pg_prepared_statement() \
             WHERE name = E'{}';DEALLOCATE {written}",
            found.name.replace('\\', "\\\\").replace('\'', "''"),
        );
        let lease = self.transaction.lease_mut(shard).expect("held just now");
        let numbering = lease.numbering();
        // The client's own text as it is: what is wrong with it is told in its own words.
        let answers = match own::ask_after(lease, sql, &question).await {
            Ok(answers) => answers,
            Err(error) => return Err(self.server_says(error, &Moved::default()).await),
        };
        let types = answers.iter().flatten().flatten().flatten().filter_map(|oid| oid.parse::<u32>().ok());
        let types: Result<Vec<u8>, _> = types
            .map(|oid| numbering.as_ref().map_or(Ok(oid), |numbering| numbering.to_client.type_oid(oid)))
            .map(|oid| oid.map(u32::to_be_bytes))
            .collect::<Result<Vec<[u8; 4]>, _>>()
            .map(|oids| oids.concat());
        let types = types.map_err(|strange| ClientError::new(SqlState::UNDEFINED_OBJECT, strange.to_string()))?;
        if self.statements.contains_key(found.name.as_bytes()) {
            let text = format!("prepared statement \"{}\" already exists", found.name);
            return Err(ClientError::new(SqlState::DUPLICATE_PREPARED_STATEMENT, text).into());
        }
        // Servers count positions in the whole text.
        let before = String::from_utf8_lossy(sql.get(..found.statement.start).unwrap_or_default()).chars().count();
        let mut inner = vec![b' '; before];
        inner.extend_from_slice(sql.get(found.statement).unwrap_or_default());
        let inner = Bytes::from(inner);
        let types = Bytes::from(types);
        let definitions = self.database.statements.definitions();
        let lease = self.transaction.lease_mut(shard).expect("held just now");
        let described = match own::describe(lease, &inner, &types).await {
            Ok(answer) => answer.gives.map_or(Ok(Box::default()), |frame| backend::shape(&frame))?,
            Err(error) => return Err(self.server_says(error, &Moved::default()).await),
        };
        let written = Some(Bytes::copy_from_slice(sql));
        let known = OnceLock::from(Described::new(definitions, described));
        self.keep_prepared(found.name.as_bytes(), inner, types, (known, written)).await?;
        if self.database.config.shards.len() == 1 {
            if self.sql_prepared.len() > 2 * self.statements.len() {
                let statements = &self.statements;
                self.sql_prepared.retain(|name| statements.contains_key(name));
            }
            self.sql_prepared.push(found.name.as_bytes().into());
        }
        Ok(())
    }

    /// A server says what is wrong with the text.
    pub(super) async fn malformed(&mut self, sql: &[u8]) -> Failure {
        let shard = self.shard_of(&Plan::Touched).expect("session commands have a shard");
        if let Err(failure) = self.hold(shard).await {
            return failure;
        }
        let lease = self.transaction.lease_mut(shard).expect("held just now");
        match own::ask_after(lease, sql, "").await {
            Err(error) => self.server_says(error, &Moved::default()).await,
            Ok(_) => ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, "this statement is not understood").into(),
        }
    }

    fn admit_prepared(&self) -> Result<(), Failure> {
        if self.transaction.is_failed() {
            return Err(super::block::aborted().into());
        }
        if self.statements.len() >= CLIENT_STATEMENTS_MAX {
            let text = format!("a client may hold {CLIENT_STATEMENTS_MAX} prepared statements");
            return Err(ClientError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, text).into());
        }
        Ok(())
    }

    async fn keep_prepared(
        &mut self,
        name: &[u8],
        sql: Bytes,
        declared: Bytes,
        (described, written): (OnceLock<Arc<Described>>, Option<Bytes>),
    ) -> Result<(), Failure> {
        let generation = self.generation();
        let mut lexed = Lexed::default();
        self.database.planner.lex(&sql, self.standard_conforming_strings, &mut lexed)?;
        let template = match self.find_template(&sql, &lexed) {
            Some(template) => template,
            None => self.build_template(sql.clone(), lexed.clone()).await?,
        };
        let statement = ClientStatement {
            name: name.into(),
            shared: Some(self.database.statements.intern(&sql, &declared)),
            sql,
            declared,
            lexed,
            described,
            written,
            ..ClientStatement::unknown(template, generation, Arc::clone(self.names()))
        };
        self.statements.insert(name.into(), Arc::new(statement));
        Ok(())
    }

    /// What an EXECUTE binds.
    async fn bound(&mut self, sql: &[u8], call: &Executed) -> Result<Bound, Failure> {
        if self.transaction.is_failed() {
            return Err(super::block::aborted().into());
        }
        let Some(statement) = self.statements.get(call.name.as_bytes()).cloned() else {
            return Err(missing(&call.name).into());
        };
        let types = self.parameter_types(&statement).await?;
        if types.len() != call.arguments.len() {
            let text = format!("wrong number of parameters for prepared statement \"{}\"", call.name);
            let detail = format!("Expected {} parameters but got {}.", types.len(), call.arguments.len());
            return Err(ClientError::new(SqlState::SYNTAX_ERROR, text).detail(detail).into());
        }
        let values = match self.plain_values(sql, call, &types) {
            Some(values) => values,
            None => self.evaluate(sql, call, &types).await?,
        };
        if call.before.is_empty() {
            return Ok(Bound { statement: call.name.as_bytes().into(), values });
        }
        let mut text = sql.get(call.before.clone()).unwrap_or_default().to_vec();
        text.extend_from_slice(&statement.sql);
        let declared: Vec<u8> = types.iter().flat_map(|oid| oid.to_be_bytes()).collect();
        self.keep_prepared(EXPLAINED, Bytes::from(text), Bytes::from(declared), (OnceLock::new(), None)).await?;
        Ok(Bound { statement: EXPLAINED.into(), values })
    }

    /// The types of all parameters, in the home shard's numbers.
    async fn parameter_types(&mut self, statement: &ClientStatement) -> Result<Vec<u32>, Failure> {
        if let Some(types) = statement.types.get() {
            return Ok(types.to_vec());
        }
        let declared: Vec<u32> =
            statement.declared.as_chunks::<4>().0.iter().map(|oid| u32::from_be_bytes(*oid)).collect();
        if declared.len() >= usize::from(statement.lexed.parameters) && !declared.contains(&0) {
            return Ok(declared);
        }
        let shard = self.database.config.home;
        self.hold(shard).await?;
        let lease = self.transaction.lease_mut(shard).expect("held just now");
        match own::describe(lease, &statement.sql, &statement.declared).await {
            Ok(answer) => {
                let types = answer.takes.unwrap_or_default();
                // Another EXECUTE has set the same.
                let _ = statement.types.set(types.clone());
                Ok(types.into_vec())
            }
            Err(error) => Err(self.server_says(error, &Moved::default()).await),
        }
    }

    /// The values of arguments that are what they say: integers for integers, plain strings for texts, NULL.
    fn plain_values(&self, sql: &[u8], call: &Executed, types: &[u32]) -> Option<Vec<Option<String>>> {
        let options = self.lex_options();
        let value = |span: &std::ops::Range<usize>, ty: u32| {
            let text = sql.get(span.clone())?;
            let tokens: Vec<_> = Tokens::new(text, &options).collect();
            let [.., last] = &*tokens else { return None };
            let is_minus = |token: &crate::sql::Token| text.get(token.span.clone()) == Some(b"-");
            match (last.kind, tokens.len()) {
                (TokenKind::Word, 1) => {
                    text.get(last.span.clone()).filter(|word| word.eq_ignore_ascii_case(b"null")).map(|_| None)
                }
                (TokenKind::Literal(LiteralKind::Integer), count)
                    if INTEGERS.contains(&ty) && (count == 1 || count == 2 && tokens.first().is_some_and(is_minus)) =>
                {
                    let digits = std::str::from_utf8(text.get(last.span.clone())?).ok()?;
                    let number = format!("{}{digits}", if count == 2 { "-" } else { "" });
                    let fits = match ty {
                        21 => number.parse::<i16>().is_ok(),
                        23 => number.parse::<i32>().is_ok(),
                        _ => number.parse::<i64>().is_ok(),
                    };
                    fits.then_some(Some(number))
                }
                (TokenKind::Literal(kind), 1) if TEXTS.contains(&ty) && kind != LiteralKind::Integer => {
                    if text.get(last.span.start) != Some(&b'\'') {
                        return None;
                    }
                    let literal = Literal { span: last.span.clone(), kind };
                    Some(Some(literal_text(text, &literal)?.into_owned()))
                }
                _ => None,
            }
        };
        call.arguments.iter().zip(types).map(|(span, ty)| value(span, *ty)).collect()
    }

    /// The values of arguments as a server computes them and takes them for these types.
    async fn evaluate(&mut self, sql: &[u8], call: &Executed, types: &[u32]) -> Result<Vec<Option<String>>, Failure> {
        let list = call.list.clone().unwrap_or(0..0);
        let list_text = String::from_utf8_lossy(sql.get(list.clone()).unwrap_or_default()).into_owned();
        self.keeps_values_exact()?;
        let shard = self.shard_of(&Plan::Touched).expect("session commands have a shard");
        self.hold(shard).await?;
        let lease = self.transaction.lease_mut(shard).expect("held just now");
        let outputs: Vec<String> = (1..=types.len()).map(|number| format!("${number}")).collect();
        let query = format!("SELECT {}", outputs.join(", "));
        let declared: Vec<u8> = types.iter().flat_map(|oid| oid.to_be_bytes()).collect();
        lease.queue_parse(ARGUMENTS.as_bytes(), query.as_bytes(), &declared);
        let head = format!("EXECUTE {ARGUMENTS}");
        let answers = own::ask_of_prepared(lease, ARGUMENTS.as_bytes(), &format!("{head}{list_text}")).await;
        let characters = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().count();
        let mut moved = Moved::default();
        moved.note(0, head.chars().count(), characters(sql.get(..list.start).unwrap_or_default()));
        match answers {
            Ok(answers) => {
                let row = answers.into_iter().flatten().next().unwrap_or_default();
                if row.len() == types.len() {
                    return Ok(row);
                }
                Err(ClientError::new(SqlState::INTERNAL_ERROR, "the arguments were not computed").into())
            }
            Err(error) => Err(self.server_says(error, &moved).await),
        }
    }

    /// Values go through text: settings that make of it less than the value aren't for that.
    fn keeps_values_exact(&self) -> Result<(), Failure> {
        let value = |name: &str| match self.state.settings().get(name)? {
            crate::pool::SettingValue::Text(text) => Some(text.clone()),
            crate::pool::SettingValue::List(values) => values.first().cloned(),
        };
        let digits =
            value("extra_float_digits").is_some_and(|digits| digits.parse::<i32>().is_ok_and(|digits| digits < 1));
        let interval = value("intervalstyle").is_some_and(|style| style.eq_ignore_ascii_case("sql_standard"));
        if !digits && !interval {
            return Ok(());
        }
        let text =
            "EXECUTE with computed arguments while extra_float_digits is below 1 or intervalstyle is sql_standard";
        let error = ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, text);
        Err(error.hint("Bind the values with the protocol's messages, or reset the setting.").into())
    }

    /// A connection on that shard at which nothing is awaited.
    pub(super) async fn hold(&mut self, shard: ShardId) -> Result<(), Failure> {
        self.reach(shard, Access::Write).await?;
        let lease = self.transaction.lease_mut(shard).expect("reached above");
        if !self.expects.is_empty()
            && let Err(error) = relay(&mut self.client, lease, &mut self.expects).await
        {
            return Err(self.lost_ahead(shard, error).into());
        }
        Ok(())
    }

    /// An error that a server found is the client's.
    async fn server_says(&mut self, error: OwnError, moved: &Moved) -> Failure {
        match error {
            OwnError::Refused(frame) => {
                moved.error(&mut self.client.outbound, &frame.0);
                self.fail_block().await;
                Failure::Told
            }
            OwnError::Lost(reason) => {
                let text = "the connection to a server was lost";
                ClientError::new(SqlState::CONNECTION_FAILURE, text).detail(reason).into()
            }
        }
    }
}

pub(super) fn missing(name: &str) -> ClientError {
    let text = format!("prepared statement \"{name}\" does not exist");
    ClientError::new(SqlState::INVALID_SQL_STATEMENT_NAME, text)
}
