//! Templates for a database's statements: found by fingerprint, or built on threads of their own whose
//! stacks bear deep statements and whose work doesn't stall the other clients.

mod found;
mod names;
mod parsers;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use crate::catalog::Catalog;
use crate::catalog::record::Record;
use crate::config::DatabaseConfig;
use crate::observe::DatabaseFigures;
use crate::planning::declared::with_declared;
use crate::planning::{Plan, Scene, StatementTemplate, Template, TemplateCache, record_of};
use crate::routing::ShardMap;
use crate::sql::Lexed;
use crate::sql::lexer::{LexOptions, lex};
use crate::types::limits::CATALOG_WAIT_MAX;
use crate::types::{ClientError, SqlState};

pub(super) use self::found::{put_scratch, take_scratch};
pub use self::names::KeyedNames;
pub(super) use self::names::default_names;
use self::parsers::{Job, parsers};

#[derive(Debug)]
pub struct Planner {
    config: Arc<DatabaseConfig>,
    figures: Arc<DatabaseFigures>,
    /// `None` until the servers' catalog has been read: planning needs the types of the keys.
    current: ArcSwapOption<Current>,
    /// Counts scenes: a template of an older one is looked up again.
    generation: AtomicU64,
    /// A statement has named a sequence function: see [`super::sequences`].
    watches_sequences: AtomicBool,
    /// A statement has asked for what a session last got from one, or has defined what will.
    reads_sequences: AtomicBool,
    /// DDL was seen: nothing is planned until the catalog has been read again.
    pub(super) stale: AtomicBool,
    /// How often DDL was seen: a catalog that was being read meanwhile is old when it comes.
    definitions: AtomicU64,
    wanted: Notify,
    refreshed: Notify,
    /// Looks at the servers' catalogs: how many were begun, and the number of the last one that came to an end.
    looks: AtomicU64,
    looked: AtomicU64,
    /// Why nothing is planned at all: the file would place rows differently from the servers' record.
    refused: ArcSwapOption<ClientError>,
    /// Statements that come before the servers were asked wait for it, but not for long.
    created: Instant,
}

/// Numbers scenes over the life of the process: no two databases share a number.
static NEXT_GENERATION: AtomicU64 = AtomicU64::new(1);

/// A scene and the templates that were built in it.
#[derive(Debug)]
struct Current {
    scene: Scene,
    templates: TemplateCache,
}

impl Planner {
    /// A database with one shard and nothing placed on it can be planned for at once; others once their
    /// servers' records were compared.
    pub fn new(config: &Arc<DatabaseConfig>, figures: &Arc<DatabaseFigures>) -> Self {
        let planner = Self {
            config: Arc::clone(config),
            figures: Arc::clone(figures),
            current: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            watches_sequences: AtomicBool::new(false),
            reads_sequences: AtomicBool::new(false),
            stale: AtomicBool::new(false),
            definitions: AtomicU64::new(0),
            wanted: Notify::new(),
            refreshed: Notify::new(),
            looks: AtomicU64::new(0),
            looked: AtomicU64::new(0),
            refused: ArcSwapOption::empty(),
            created: Instant::now(),
        };
        if planner.is_single() && config.tables.is_empty() {
            planner.enter_without_catalog();
        }
        planner
    }

    /// What is to be placed, by the file and by the tables' own comments: nothing on an only shard, so that its tables need
    /// not fit the file.
    fn placed(&self, catalog: Option<&Catalog>) -> DatabaseConfig {
        let mut config = DatabaseConfig::clone(&self.config);
        if self.is_single() {
            config.tables.clear();
            return config;
        }
        match catalog {
            Some(catalog) => with_declared(config, catalog),
            None => config,
        }
    }

    fn is_single(&self) -> bool {
        self.config.shards.len() == 1
    }

    fn enter_without_catalog(&self) {
        match ShardMap::new(&self.placed(None), &|_, _, _| None) {
            Ok(map) => self.enter(map, None),
            Err(mistakes) => tracing::error!(database = %self.config.name, ?mistakes, "no shard map"),
        }
    }

    fn enter(&self, map: ShardMap, catalog: Option<Arc<Catalog>>) {
        let version = map.version();
        if self.current.load().as_ref().is_none_or(|current| current.scene.map.version() != version) {
            tracing::info!(database = %self.config.name, version = format!("{version:016x}"), "the shard map is known");
        }
        let safe_functions: BTreeSet<String> = self.config.safe_functions.iter().cloned().collect();
        let scene = Scene {
            map: Arc::new(map),
            catalog,
            safe_functions: Arc::new(safe_functions),
            views: Arc::default(),
            missed: Arc::default(),
        };
        self.current.store(Some(Arc::new(Current { scene, templates: TemplateCache::default() })));
        self.generation.store(NEXT_GENERATION.fetch_add(1, Ordering::Relaxed), Ordering::Release);
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// To be asked before a catalog is read, and given back with it.
    pub fn definitions_seen(&self) -> u64 {
        self.definitions.load(Ordering::Acquire)
    }

    /// A look at the catalogs begins; its number.
    pub fn begin_look(&self) -> u64 {
        self.looks.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// It has ended, and what it found was taken over.
    pub fn end_look(&self, number: u64) {
        self.looked.store(number, Ordering::Release);
        self.refreshed.notify_waiters();
    }

    /// Waits, within bounds, for a look that begins from now on: a statement names what isn't known, which another
    /// Shardway, or whoever is connected to the servers, may have made just now.
    pub async fn look_now(&self) {
        let begun = self.looks.load(Ordering::Acquire);
        let looked = async {
            loop {
                let refreshed = self.refreshed.notified();
                if self.looked.load(Ordering::Acquire) > begun {
                    return;
                }
                self.wanted.notify_one();
                refreshed.await;
            }
        };
        if crate::net::timer::timeout(CATALOG_WAIT_MAX, looked).await.is_err() {
            tracing::warn!(database = %self.config.name, "planning names that no catalog has without a look for them");
        }
    }

    /// Takes over what a server's catalog says. Templates are built anew only if it says something new.
    pub fn adopt_catalog(&self, catalog: Catalog, definitions_seen: u64) {
        if self.refused.swap(None).is_some() {
            tracing::info!(database = %self.config.name, "the placement is as recorded again");
        }
        let is_old = self.definitions_seen() != definitions_seen;
        if is_old && self.is_single() {
            // The next one is on its way; until then everything goes to the primary.
            return;
        }
        self.take_over(catalog);
        if !is_old {
            self.stale.store(false, Ordering::Release);
            self.refreshed.notify_waiters();
        }
    }

    fn take_over(&self, catalog: Catalog) {
        let same = self
            .current
            .load()
            .as_ref()
            .is_some_and(|current| current.scene.catalog.as_ref().is_some_and(|known| **known == catalog));
        if same {
            return;
        }
        let key_type = |schema: &str, table: &str, column: &str| catalog.key_type(schema, table, column);
        match ShardMap::new(&self.placed(Some(&catalog)), &key_type) {
            Ok(map) => self.enter(map, Some(Arc::new(catalog))),
            Err(mistakes) => tracing::error!(
                database = %self.config.name, ?mistakes,
                "the configuration doesn't fit the servers' tables"
            ),
        }
    }

    /// The catalog is read soon; nobody waits for it.
    pub fn look_again(&self) {
        self.wanted.notify_one();
    }

    /// DDL was seen. With one shard nobody waits: what isn't known to be a read goes to the primary.
    pub fn invalidate(&self) {
        self.definitions.fetch_add(1, Ordering::AcqRel);
        if self.is_single() {
            if self.has_catalog() && self.config.shards.iter().any(|shard| !shard.replicas.is_empty()) {
                self.enter_without_catalog();
            }
            self.wanted.notify_one();
        } else if self.has_catalog() {
            self.stale.store(true, Ordering::Release);
            self.generation.store(NEXT_GENERATION.fetch_add(1, Ordering::Relaxed), Ordering::Release);
            self.wanted.notify_one();
        }
    }

    /// Waits, within bounds, for the catalog as it is after the last DDL.
    async fn freshness(&self) {
        let fresh = async {
            loop {
                let refreshed = self.refreshed.notified();
                if !self.stale.load(Ordering::Acquire) {
                    return;
                }
                refreshed.await;
            }
        };
        if crate::net::timer::timeout(CATALOG_WAIT_MAX, fresh).await.is_err() {
            tracing::warn!(database = %self.config.name, "planning with a catalog from before the last DDL");
        }
    }

    /// Waits for the servers to have been asked, unless that has been tried for long enough.
    async fn first_look(&self) {
        let looked = async {
            loop {
                let refreshed = self.refreshed.notified();
                if self.is_settled() {
                    return;
                }
                refreshed.await;
            }
        };
        let until = self.created + CATALOG_WAIT_MAX;
        // What is missing then is told by the caller.
        let _ = crate::net::timer::timeout_at(until.into(), looked).await;
    }

    pub async fn catalog_wanted(&self) {
        self.wanted.notified().await;
    }

    /// What a shard's server should remember of this configuration; `None` if that doesn't fit the tables, so
    /// that nothing is planned either.
    pub fn record_for(&self, catalog: &Catalog, shard: &str) -> Option<Record> {
        let key_type = |schema: &str, table: &str, column: &str| catalog.key_type(schema, table, column);
        ShardMap::new(&with_declared(DatabaseConfig::clone(&self.config), catalog), &key_type)
            .ok()
            .map(|map| record_of(&map, shard))
    }

    /// Nothing more is to be learned of the servers for now.
    pub fn is_settled(&self) -> bool {
        self.current.load().is_some() || self.refused.load().is_some()
    }

    /// From now on every statement is refused: rows would be looked for where they aren't.
    pub fn refuse_service(&self, node: &str, differences: &[String]) {
        let error = ClientError::new(
            SqlState::CONFIGURATION_ERROR,
            format!("database \"{}\" is not served: the configuration would place rows differently", self.config.name),
        )
        .detail(format!("Recorded on {node}: {}", differences.join("; ")))
        .hint("Restore the order and the number of the shards in the file, or assign the buckets there as they are recorded.");
        let known = self.refused.load().as_ref().is_some_and(|known| known.detail == error.detail);
        if known {
            return;
        }
        tracing::error!(database = %self.config.name, detail = error.detail, "placement differs from the record");
        self.refused.store(Some(Arc::new(error)));
        self.stale.store(false, Ordering::Release);
        self.generation.store(NEXT_GENERATION.fetch_add(1, Ordering::Relaxed), Ordering::Release);
        self.current.store(None);
        self.refreshed.notify_waiters();
    }

    /// What is defined beside relations; see [`Catalog::definitions`].
    pub fn definitions(&self) -> String {
        let current = self.current.load();
        let catalog = current.as_ref().and_then(|current| current.scene.catalog.as_ref());
        catalog.map(|catalog| catalog.definitions().to_owned()).unwrap_or_default()
    }

    /// A plan in one line, with the names of shards.
    pub fn describe(&self, plan: &Plan) -> String {
        match self.current.load().as_ref() {
            Some(current) => crate::planning::explain::plan(plan, &current.scene.map),
            None => String::new(),
        }
    }

    /// What is planned by now.
    pub fn scene(&self) -> Option<Scene> {
        self.current.load().as_ref().map(|current| current.scene.clone())
    }

    /// Where tables are, as it is planned by now.
    pub fn map(&self) -> Option<Arc<ShardMap>> {
        self.current.load().as_ref().map(|current| Arc::clone(&current.scene.map))
    }

    /// Statements that needn't be parsed again.
    pub fn templates(&self) -> usize {
        self.current.load().as_ref().map_or(0, |current| current.templates.len())
    }

    /// Why the database isn't served, if it isn't.
    pub fn refused(&self) -> Option<Arc<ClientError>> {
        self.refused.load_full()
    }

    pub fn has_catalog(&self) -> bool {
        self.current.load().as_ref().is_some_and(|current| current.scene.catalog.is_some())
    }

    /// # Errors
    /// 42601 for a text with an unterminated quote or comment, as PostgreSQL's scanner says.
    pub fn lex(&self, sql: &[u8], standard_conforming_strings: bool, lexed: &mut Lexed) -> Result<(), ClientError> {
        lex(sql, &LexOptions { standard_conforming_strings }, lexed).map_err(|error| {
            let (before, near) = sql.split_at(error.at.min(sql.len()));
            let what = match near {
                [b'/', ..] => "unterminated /* comment",
                [b'"', ..] | [b'u' | b'U', b'&', b'"', ..] => "unterminated quoted identifier",
                [b'$', digit, ..] if digit.is_ascii_digit() => "parameter number too large",
                [b'$', ..] => "unterminated dollar-quoted string",
                [b'b' | b'B', b'\'', ..] => "unterminated bit string literal",
                [b'x' | b'X', b'\'', ..] => "unterminated hexadecimal string literal",
                _ => "unterminated quoted string",
            };
            let text = format!("{what} at or near \"{}\"", String::from_utf8_lossy(near));
            let position = String::from_utf8_lossy(before).chars().count() + 1;
            ClientError::new(SqlState::SYNTAX_ERROR, text).position(position)
        })
    }

    /// What a transaction sees that has changed definitions: a scene of its own. `None` if the file doesn't fit it.
    pub fn within(&self, catalog: Catalog) -> Option<Within> {
        let key_type = |schema: &str, table: &str, column: &str| catalog.key_type(schema, table, column);
        let map = ShardMap::new(&self.placed(Some(&catalog)), &key_type).ok()?;
        let safe_functions: BTreeSet<String> = self.config.safe_functions.iter().cloned().collect();
        let scene = Scene {
            map: Arc::new(map),
            catalog: Some(Arc::new(catalog)),
            safe_functions: Arc::new(safe_functions),
            views: Arc::default(),
            missed: Arc::default(),
        };
        Some(Within {
            current: Arc::new(Current { scene, templates: TemplateCache::default() }),
            generation: NEXT_GENERATION.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// The template of a statement of this shape, if one was seen before.
    pub fn find(&self, sql: &[u8], lexed: &Lexed, names: &KeyedNames) -> Option<Arc<Template>> {
        if self.stale.load(Ordering::Acquire) {
            return None;
        }
        self.current.load().as_ref()?.templates.get(sql, lexed, names.key)
    }

    /// Builds the template on a parser thread.
    ///
    /// # Errors
    /// 57P03 while no server's catalog could be read; 53200-like when the parsers are overwhelmed.
    pub async fn build(&self, sql: Bytes, lexed: Lexed, names: Arc<KeyedNames>) -> Result<Arc<Template>, ClientError> {
        if self.stale.load(Ordering::Acquire) {
            self.freshness().await;
        }
        if self.current.load().is_none() {
            self.first_look().await;
        }
        let Some(current) = self.current.load_full() else {
            if let Some(refused) = self.refused.load_full() {
                return Err(ClientError::clone(&refused));
            }
            return Err(ClientError::new(
                SqlState::CANNOT_CONNECT_NOW,
                format!("the tables of database \"{}\" are not known yet", self.config.name),
            )
            .detail("None of its primaries could be asked for its catalog since Shardway started.")
            .hint("Look at the log for what the connections fail with; this is tried again every second."));
        };
        self.build_in(current, sql, lexed, names).await
    }

    async fn build_in(
        &self,
        current: Arc<Current>,
        sql: Bytes,
        lexed: Lexed,
        names: Arc<KeyedNames>,
    ) -> Result<Arc<Template>, ClientError> {
        let (reply, built) = oneshot::channel();
        let figures = Arc::clone(&self.figures);
        let job = Job { sql, lexed, names, current, figures, reply };
        let overwhelmed = |_| {
            ClientError::new(SqlState::CANNOT_CONNECT_NOW, "too many new statements are being planned at once")
                .hint("Try again in a moment.")
        };
        parsers().try_send(job).map_err(overwhelmed)?;
        let failed = |_| ClientError::new(SqlState::STATEMENT_TOO_COMPLEX, "the statement could not be planned");
        let template = built.await.map_err(failed)?;
        if template.statements.iter().any(|one| one.effects.uses_sequence || one.effects.reads_sequence) {
            self.watches_sequences.store(true, Ordering::Release);
        }
        let asks = |one: &StatementTemplate| one.effects.reads_sequence || one.effects.defines_reader;
        if template.statements.iter().any(asks) {
            self.reads_sequences.store(true, Ordering::Release);
        }
        Ok(template)
    }

    /// As [`Planner::build`], in a transaction's own scene.
    ///
    /// # Errors
    /// As [`Planner::build`].
    pub async fn build_within(
        &self,
        within: &Within,
        sql: Bytes,
        lexed: Lexed,
        names: Arc<KeyedNames>,
    ) -> Result<Arc<Template>, ClientError> {
        self.build_in(Arc::clone(&within.current), sql, lexed, names).await
    }

    pub fn watches_sequences(&self) -> bool {
        self.watches_sequences.load(Ordering::Acquire)
    }

    pub fn reads_sequences(&self) -> bool {
        self.reads_sequences.load(Ordering::Acquire)
    }
}

/// See [`Planner::within`].
#[derive(Clone, Debug)]
pub struct Within {
    current: Arc<Current>,
    generation: u64,
}

impl Within {
    pub fn scene(&self) -> &Scene {
        &self.current.scene
    }
}
