//! COPY FROM STDIN to tables on several shards: one transaction on all of them, whatever the protocol.

use std::sync::Arc;

use bytes::Bytes;

use super::segment::Failure;
use super::turn::{Session, SessionEnd};
use crate::execute::RelayError;
use crate::execute::copy_in::{Copied, Division, copy_in};
use crate::execute::divide::{DataFormat, Divider, Kind};
use crate::execute::relay;
use crate::planning::Access;
use crate::planning::copy::{self, CopyFormat, CopyKey, CopyOptions, CopyTarget, RawKey, RowPlace};
use crate::pool::SettingValue;
use crate::protocol::backend;
use crate::types::{ClientError, ShardId};

/// Encodings in which a byte of a character may be an ASCII character's (PostgreSQL's PG_ENCODING_BE_LAST and
/// behind).
const NOT_ASCII_SAFE: &[&str] = &[
    "sjis",
    "shiftjis",
    "mskanji",
    "win932",
    "windows932",
    "shiftjis2004",
    "big5",
    "win950",
    "windows950",
    "gbk",
    "win936",
    "windows936",
    "uhc",
    "win949",
    "windows949",
    "gb18030",
    "johab",
];

/// A COPY that is to run once its Execute has been taken off the client's messages.
pub(super) struct PendingCopy {
    pub target: Arc<CopyTarget>,
    pub sql: Bytes,
}

impl Session {
    /// The Execute of a COPY to several shards; what was sent before it is answered first.
    pub(super) async fn execute_copy(&mut self, target: Arc<CopyTarget>, sql: Bytes) -> Result<(), Failure> {
        self.place_anywhere().await?;
        self.leave_segment().await?;
        if self.skipping {
            return Err(Failure::Told);
        }
        self.copying = Some(PendingCopy { target, sql });
        Ok(())
    }

    /// Runs the COPY up to its CommandComplete or error, which have been said when this returns; true: it was the
    /// former.
    pub(super) async fn copy_into_shards(&mut self, target: &CopyTarget, sql: &Bytes) -> Result<bool, SessionEnd> {
        self.state.start_implicit();
        let options = match copy::options(sql, &self.lex_options(), target.key.as_ref().map(|key| &*key.column)) {
            Ok(options) => options,
            Err(refusal) => return Ok(self.fail_copy(&refusal.into()).await),
        };
        let utf8 = match self.copy_encoding(&options) {
            Ok(utf8) => utf8,
            Err(error) => return Ok(self.fail_copy(&error).await),
        };
        if let Err(error) = self.admit_watched(&target.watched).await {
            return Ok(self.fail_copy(&error).await);
        }
        if let Err(error) = self.begin_spread(&target.shards).await {
            return Ok(self.fail_copy(&error).await);
        }
        for &shard in &target.shards {
            if let Err(error) = self.reach_for_copy(shard).await? {
                self.refuse(&error).await;
                return Ok(self.end_spread(true).await);
            }
        }
        self.copy_on(target, sql, &options, utf8).await
    }

    async fn fail_copy(&mut self, error: &ClientError) -> bool {
        self.refuse(error).await;
        false
    }

    /// Holds a connection on which everything is answered that goes ahead of the statement.
    pub(super) async fn reach_for_copy(&mut self, shard: ShardId) -> Result<Result<(), ClientError>, SessionEnd> {
        if let Err(error) = self.reach(shard, Access::Write).await {
            return Ok(Err(error));
        }
        let lease = self.transaction.lease_mut(shard).expect("reached above");
        let Err(error) = relay(&mut self.client, lease, &mut self.expects).await else { return Ok(Ok(())) };
        if let Some(end) = super::turn::ends_session(&error) {
            return Err(end);
        }
        Ok(Err(self.lost_ahead(shard, error)))
    }

    async fn copy_on(
        &mut self,
        target: &CopyTarget,
        sql: &Bytes,
        options: &CopyOptions,
        utf8: bool,
    ) -> Result<bool, SessionEnd> {
        let divider = Divider::new(data_format(options), target.key.as_ref().map(|key| key.position));
        let place = target.key.as_ref().map(|key| move |value: RawKey<'_>| place(key, utf8, value));
        let table = target.display.rsplit('.').next().unwrap_or_default();
        let division = Division {
            divider,
            place: place.as_ref().map(|place| place as &(dyn Fn(RawKey<'_>) -> RowPlace + Sync)),
            table,
            aside: None,
        };
        let mut backends: Vec<_> = Vec::with_capacity(target.shards.len());
        for held in self.transaction.held_mut() {
            if target.shards.contains(&held.shard) {
                backends.push((held.shard, &mut *held.lease));
            }
        }
        backends.sort_by_key(|(shard, _)| *shard);
        let order: Vec<ShardId> = backends.iter().map(|(shard, _)| *shard).collect();
        match copy_in(&mut self.client, backends, sql, division).await {
            Ok(Copied::Rows(rows)) => {
                if !target.watched.is_empty()
                    && let Err(undone) = Box::pin(self.settle_claims(&target.shards, false, &[])).await
                {
                    self.undo_write(undone).await?;
                    self.complete(Vec::new(), 0, true);
                    return Ok(false);
                }
                let committed = self.end_spread(false).await;
                if committed {
                    backend::command_complete(&mut self.client.outbound, &format!("COPY {rows}"));
                }
                Ok(committed)
            }
            Ok(Copied::Failed(frame)) => {
                self.client.outbound.extend_from_slice(&frame);
                self.complete(Vec::new(), 0, true);
                Ok(self.end_spread(true).await)
            }
            Ok(Copied::Refused(refusal)) => {
                self.refuse(&refusal.into()).await;
                Ok(self.end_spread(true).await)
            }
            Err((position, error)) => {
                let shard = order.get(position).copied().unwrap_or(self.database.config.home);
                self.lose_copy(shard, error).await
            }
        }
    }

    async fn lose_copy(&mut self, shard: ShardId, error: RelayError) -> Result<bool, SessionEnd> {
        self.abandon_copy(shard);
        self.survive(shard, error, false).await?;
        self.end_spread(true).await;
        Ok(false)
    }

    /// One server was lost in the middle of a copy.
    pub(super) fn abandon_copy(&mut self, shard: ShardId) {
        // The others are in the middle of it.
        let mut held = self.transaction.held().iter();
        let owing: Vec<ShardId> = held
            .by_ref()
            .filter(|held| !held.lease.is_at_rest() && held.shard != shard)
            .map(|held| held.shard)
            .collect();
        for shard in owing {
            self.transaction.remove(shard);
        }
    }

    /// Whether the data is UTF-8.
    ///
    /// # Errors
    /// An encoding in which rows can't be told apart by their bytes.
    pub(super) fn copy_encoding(&self, options: &CopyOptions) -> Result<bool, ClientError> {
        let set = self.state.settings().get("client_encoding").map(|value| match value {
            SettingValue::List(words) => words.join(","),
            SettingValue::Text(text) => text.clone(),
        });
        let greeted = || {
            let mut parameters = self.greeting.parameters.iter();
            parameters.find(|(name, _)| name == "client_encoding").map(|(_, value)| value.clone())
        };
        let Some(name) = options.encoding.clone().or(set).or_else(greeted) else { return Ok(false) };
        // As PostgreSQL compares them (pg_char_to_encoding).
        let plain: String =
            name.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_lowercase()).collect();
        if NOT_ASCII_SAFE.contains(&plain.as_str()) {
            return Err(crate::planning::refusal::copy_encoding(&name).into());
        }
        Ok(matches!(plain.as_str(), "utf8" | "unicode"))
    }
}

/// A key of other bytes than ASCII means something else in each encoding.
pub(super) fn place(key: &CopyKey, utf8: bool, value: RawKey<'_>) -> RowPlace {
    if !utf8
        && key.is_text()
        && let RawKey::Text(bytes) | RawKey::Binary(bytes) = value
        && !bytes.is_ascii()
    {
        return RowPlace::Nowhere(crate::planning::refusal::copy_key_encoding(&key.column));
    }
    key.place(value)
}

pub(super) fn data_format(options: &CopyOptions) -> DataFormat {
    DataFormat {
        kind: match options.format {
            CopyFormat::Text => Kind::Text,
            CopyFormat::Csv => Kind::Csv,
            CopyFormat::Binary => Kind::Binary,
        },
        delimiter: options.delimiter,
        null: options.null.clone(),
        header: options.header,
        quote: options.quote,
        escape: options.escape,
        force_not_null: options.force_not_null,
        force_null: options.force_null,
    }
}
