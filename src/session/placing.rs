//! A comment that places a table which its transaction has just made, on the home shard: the table is made on the other shards
//! as well, by statements that are planned as if the client had sent them for a table in the configuration. In: the
//! client's COMMENT. Out: the table on every shard, with the comment, or an error.
//!
//! Only in the transaction that makes the table: nobody else knows it yet, so that no other Shardway can take it for one of
//! the home shard (a name that a Shardway doesn't know makes it look: `Planner::look_now`).

use bytes::Bytes;

use super::definition::Stepped;
use super::planner::Within;
use super::turn::{Session, SessionEnd};
use crate::catalog::table;
use crate::execute::own::{self, OwnError, TextRow};
use crate::planning::declared::{self, Declared};
use crate::planning::{Plan, Step, Way};
use crate::routing::{ShardMap, TableRoute};
use crate::sql::quote_identifier;
use crate::sql::{Lexed, Literal, TokenKind, Tokens, literal_text};
use crate::types::{ClientError, ShardId, SqlState};

/// Why it isn't placed.
enum Unplaced {
    Refused(ClientError),
    /// The client was told.
    Told,
}

impl From<ClientError> for Unplaced {
    fn from(error: ClientError) -> Self {
        Self::Refused(error)
    }
}

fn refused(message: impl Into<String>, hint: &'static str) -> Unplaced {
    Unplaced::Refused(ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, message.into()).hint(hint))
}

impl Session {
    pub(super) async fn place_table(&mut self, sql: &str) -> Result<Stepped, SessionEnd> {
        let shards = self.home_first();
        let Some((&home, others)) = shards.split_first() else { return Ok(Stepped::Done(None)) };
        if let Err(error) = self.begin_spread(&shards).await {
            self.refuse(&error).await;
            return Ok(Stepped::Failed);
        }
        let Stepped::Done(tag) = self.on_first(home, sql).await? else { return Ok(Stepped::Failed) };
        let placed = Box::pin(self.place_elsewhere(home, others, sql)).await;
        Ok(self.told(placed, tag).await)
    }

    /// CREATE TABLE of a table that the rule for new tables places: made at home, commented on, and made elsewhere.
    pub(super) async fn create_ruled(&mut self, sql: &str) -> Result<Stepped, SessionEnd> {
        let shards = self.home_first();
        let Some((&home, others)) = shards.split_first() else { return Ok(Stepped::Done(None)) };
        let rule = self.map_now().and_then(|map| map.new_tables().map(ToString::to_string));
        let Some(comment) = rule.zip(self.created_name(sql)).map(|(rule, name)| {
            format!("COMMENT ON TABLE {name} IS '{}'", format!("{} {rule}", declared::PREFIX).replace('\'', "''"))
        }) else {
            self.refuse(&ClientError::new(SqlState::FEATURE_NOT_SUPPORTED, "the new table's name is not understood"))
                .await;
            return Ok(Stepped::Failed);
        };
        if let Err(error) = self.begin_spread(&shards).await {
            self.refuse(&error).await;
            return Ok(Stepped::Failed);
        }
        let Stepped::Done(tag) = self.on_first(home, sql).await? else { return Ok(Stepped::Failed) };
        if !self.on_others(&[home], &comment, Some("COMMENT")).await {
            return Ok(Stepped::Failed);
        }
        let placed = Box::pin(self.place_elsewhere(home, others, &comment)).await;
        Ok(self.told(placed, tag).await)
    }

    /// What came of it, once the client has been told why if it has failed.
    async fn told(&mut self, placed: Result<(), Unplaced>, tag: Option<String>) -> Stepped {
        match placed {
            Ok(()) => return Stepped::Done(tag),
            Err(Unplaced::Told) => {}
            Err(Unplaced::Refused(error)) => {
                self.expects.clear();
                self.refuse(&error).await;
            }
        }
        Stepped::Failed
    }

    /// The name behind CREATE TABLE, as it is written.
    fn created_name(&self, sql: &str) -> Option<String> {
        let options = self.lex_options();
        let tokens: Vec<_> = Tokens::new(sql.as_bytes(), &options).collect();
        let is = |at: usize, word: &str| {
            tokens.get(at).is_some_and(|token| {
                token.kind == TokenKind::Word
                    && sql.get(token.span.clone()).is_some_and(|text| text.eq_ignore_ascii_case(word))
            })
        };
        let table = (0..tokens.len().min(4)).find(|at| is(*at, "table"))?;
        let at = if is(table + 1, "if") { table + 4 } else { table + 1 };
        let open =
            (at..tokens.len()).find(|at| tokens.get(*at).is_some_and(|token| token.kind == TokenKind::Punct(b'(')))?;
        let name = sql.get(tokens.get(at)?.span.start..tokens.get(open)?.span.start)?.trim();
        Some(name.to_owned())
    }

    async fn place_elsewhere(&mut self, home: ShardId, others: &[ShardId], sql: &str) -> Result<(), Unplaced> {
        let Some((written, declared)) = self.read_comment(sql) else {
            return Err(refused("the comment is not understood", "Write it as COMMENT ON TABLE name IS 'text'."));
        };
        let [schema, name] = self.check_new(home, &written).await?;
        self.ask_within().await;
        let Some(within) = self.within.clone() else {
            return Err(refused("the table can't be looked at", "Try again, or place it by the configuration."));
        };
        check_route(&within.scene().map, (&schema, &name), &declared)?;
        let full = format!("{}.{}", quote_identifier(&schema), quote_identifier(&name));
        for shard in others {
            let mut ready = self.reach(*shard, crate::planning::Access::Write).await;
            if ready.is_ok() {
                ready = self.settle_ahead(*shard).await;
            }
            ready?;
        }
        let mut answers = self.ask_on(home, &table::definitions(&full)).await?.into_iter();
        let definitions = answers.nth(1).unwrap_or_default();
        for definition in definitions.into_iter().filter_map(|row| row.into_iter().next().flatten()) {
            let way = self.way_of(&within, &definition).await?;
            let (before, after) = self.around(way);
            for text in [before, Some(definition), after].into_iter().flatten() {
                if !self.on_others(others, &text, None).await {
                    return Err(Unplaced::Told);
                }
            }
        }
        if !self.on_others(others, sql, Some("COMMENT")).await {
            return Err(Unplaced::Told);
        }
        self.compare_tables(home, others, &full).await
    }

    /// The table's name as it is written, and what the comment says.
    fn read_comment(&self, sql: &str) -> Option<(String, Declared)> {
        let options = self.lex_options();
        let tokens: Vec<_> = Tokens::new(sql.as_bytes(), &options).collect();
        let last = tokens.iter().rev().find(|token| matches!(token.kind, TokenKind::Literal(_)))?;
        let TokenKind::Literal(kind) = last.kind else { return None };
        let comment = literal_text(sql.as_bytes(), &Literal { span: last.span.clone(), kind })?;
        let declared = declared::read(&comment)?.ok()?;
        // COMMENT ON TABLE, and IS before the text.
        let first = tokens.get(3)?.span.start;
        let is = tokens.iter().position(|token| token.span == last.span)?.checked_sub(1)?;
        let name = sql.get(first..tokens.get(is)?.span.start)?.trim();
        Some((name.to_owned(), declared))
    }

    /// Schema and name of a table that this transaction has made, that has no rows, and that can be made elsewhere.
    async fn check_new(&mut self, home: ShardId, written: &str) -> Result<[String; 2], Unplaced> {
        let mut answers = self.ask_on(home, &table::facts(written)).await?.into_iter();
        let row = answers.next().and_then(|rows| rows.into_iter().next()).unwrap_or_default();
        let mut row = row.into_iter();
        let (Some(Some(schema)), Some(Some(name)), is_new, problem) =
            (row.next(), row.next(), row.next().flatten(), row.next().flatten())
        else {
            return Err(refused("the table can't be looked at", "Try again, or place it by the configuration."));
        };
        if is_new.as_deref() != Some("t") {
            return Err(refused(
                format!("{name} is not new: a comment places a table in the transaction that makes it"),
                "Send CREATE TABLE and COMMENT ON TABLE between BEGIN and COMMIT, or put the table into the configuration.",
            ));
        }
        if let Some(problem) = problem {
            return Err(refused(
                format!("{name} can't be placed by a comment: {problem}"),
                "Comment on it right behind CREATE TABLE; what belongs to it can be made after that.",
            ));
        }
        let mut answers = self.ask_on(home, &table::has_rows(written)).await?.into_iter();
        if !matches!(answers.next().as_deref(), Some([row]) if matches!(&row[..], [Some(has)] if has == "f")) {
            return Err(refused(
                format!("{name} can't be placed by a comment: it has rows"),
                "Comment on it before rows are inserted.",
            ));
        }
        Ok([schema, name])
    }

    /// How a statement on the table, as it is placed now, runs on every shard.
    async fn way_of(&mut self, within: &Within, definition: &str) -> Result<Way, Unplaced> {
        let mut lexed = Lexed::default();
        let planner = &self.database.planner;
        planner.lex(definition.as_bytes(), true, &mut lexed)?;
        let sql = Bytes::copy_from_slice(definition.as_bytes());
        let names = super::planner::default_names();
        let template = planner.build_within(within, sql, lexed.clone(), names).await?;
        match template.bind_hinted(definition.as_bytes(), &lexed, None, None) {
            Ok(Plan::Definition(definition)) => match &definition.steps[..] {
                [Step::Everywhere(way @ (Way::Table | Way::Together | Way::Bodies), _)] => Ok(*way),
                _ => Err(refused("the table can't be made on every shard", "Put the table into the configuration.")),
            },
            Ok(_) => Err(refused("the table can't be made on every shard", "Put the table into the configuration.")),
            Err(refusal) => Err(Unplaced::Refused(refusal.into())),
        }
    }

    async fn compare_tables(&mut self, home: ShardId, others: &[ShardId], full: &str) -> Result<(), Unplaced> {
        let question = table::likeness(full);
        let texts =
            std::iter::once(home).chain(others.iter().copied()).map(|shard| (shard, question.clone())).collect();
        let mut known: Option<Option<String>> = None;
        for (_, answer) in self.try_each(texts).await {
            let value =
                answer.map_err(|error| ClientError::new(SqlState::CONNECTION_FAILURE, error.to_string()))?.value;
            if known.get_or_insert_with(|| value.clone()) != &value {
                return Err(refused(
                    format!("{full} would not be the same on every shard"),
                    "Comment on it right behind CREATE TABLE, or put the table into the configuration.",
                ));
            }
        }
        Ok(())
    }

    async fn ask_on(&mut self, home: ShardId, sql: &str) -> Result<Vec<Vec<TextRow>>, Unplaced> {
        let lost = |reason: String| ClientError::new(SqlState::CONNECTION_FAILURE, reason);
        let Some(lease) = self.transaction.lease_mut(home) else {
            return Err(lost("the home shard".to_owned()).into());
        };
        match own::ask(lease, sql).await {
            Ok(answers) => Ok(answers),
            Err(OwnError::Lost(reason)) => Err(lost(reason).into()),
            Err(OwnError::Refused(frame)) => {
                self.client.outbound.extend_from_slice(&frame.0);
                self.fail_block().await;
                Err(Unplaced::Told)
            }
        }
    }
}

/// Whether the map has taken the comment at its word.
fn check_route(map: &ShardMap, (schema, name): (&str, &str), declared: &Declared) -> Result<(), Unplaced> {
    let holds = match (map.table(schema, name), declared) {
        (Some(TableRoute::Reference), Declared::Reference) => true,
        (Some(TableRoute::Sharded(sharded)), Declared::Sharded { key, colocate }) => {
            let target = colocate.as_ref().map(|(schema, name)| map.table(schema, name));
            let together = |target: &Option<&TableRoute>| matches!(target, Some(TableRoute::Sharded(other)) if other.group == sharded.group);
            sharded.key == *key && target.as_ref().is_none_or(together)
        }
        _ => false,
    };
    if holds {
        return Ok(());
    }
    Err(refused(
        format!("{name} can't be placed as its comment says"),
        "The key has to be a column of type smallint, integer, bigint, text, varchar or uuid, and of the type of the key of the table \
         that it is colocated with.",
    ))
}
