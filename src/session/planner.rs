//! Templates for a database's statements: found by fingerprint, or built on threads of their own whose
//! stacks bear deep statements and whose work doesn't stall the other clients.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::turn::Session;
use crate::catalog::record::Record;
use crate::catalog::{Catalog, Cells};
use crate::config::DatabaseConfig;
use crate::execute::own;
use crate::observe::DatabaseFigures;
use crate::planning::{Names, Plan, Scene, Template, TemplateCache, record_of};
use crate::pool::SettingValue;
use crate::routing::ShardMap;
use crate::sql::Lexed;
use crate::sql::lexer::{LexOptions, lex};
use crate::types::limits::{CATALOG_WAIT_MAX, PARSER_QUEUE_MAX, PARSER_STACK_BYTES};
use crate::types::{ClientError, SqlState};

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
    /// DDL was seen: nothing is planned until the catalog has been read again.
    pub(super) stale: AtomicBool,
    /// How often DDL was seen: a catalog that was being read meanwhile is old when it comes.
    definitions: AtomicU64,
    wanted: Notify,
    refreshed: Notify,
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
            stale: AtomicBool::new(false),
            definitions: AtomicU64::new(0),
            wanted: Notify::new(),
            refreshed: Notify::new(),
            refused: ArcSwapOption::empty(),
            created: Instant::now(),
        };
        if planner.is_single() && config.tables.is_empty() {
            planner.enter_without_catalog();
        }
        planner
    }

    /// What is to be placed: nothing on an only shard, so that its tables need not fit the file.
    fn placed(&self) -> DatabaseConfig {
        let mut config = DatabaseConfig::clone(&self.config);
        if self.is_single() {
            config.tables.clear();
        }
        config
    }

    fn is_single(&self) -> bool {
        self.config.shards.len() == 1
    }

    fn enter_without_catalog(&self) {
        match ShardMap::new(&self.placed(), &|_, _, _| None) {
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
        let scene =
            Scene { map: Arc::new(map), catalog, safe_functions: Arc::new(safe_functions), views: Arc::default() };
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
        match ShardMap::new(&self.placed(), &key_type) {
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
        ShardMap::new(&self.config, &key_type).ok().map(|map| record_of(&map, shard))
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
        let map = ShardMap::new(&self.placed(), &key_type).ok()?;
        let safe_functions: BTreeSet<String> = self.config.safe_functions.iter().cloned().collect();
        let scene = Scene {
            map: Arc::new(map),
            catalog: Some(Arc::new(catalog)),
            safe_functions: Arc::new(safe_functions),
            views: Arc::default(),
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
        Ok(template)
    }

    pub fn watches_sequences(&self) -> bool {
        self.watches_sequences.load(Ordering::Acquire)
    }
}

/// See [`Planner::within`].
#[derive(Clone, Debug)]
pub struct Within {
    current: Arc<Current>,
    generation: u64,
}

/// How a session sees names, with its part of a template's key.
#[derive(Debug)]
pub struct KeyedNames {
    pub names: Names,
    pub key: u64,
}

impl KeyedNames {
    fn new(names: Names) -> Arc<Self> {
        Arc::new(Self { key: names.fingerprint(), names })
    }
}

struct Job {
    sql: Bytes,
    lexed: Lexed,
    names: Arc<KeyedNames>,
    current: Arc<Current>,
    figures: Arc<DatabaseFigures>,
    reply: oneshot::Sender<Arc<Template>>,
}

/// Two threads: a huge statement on one leaves the other for everybody else.
fn parsers() -> &'static std::sync::mpsc::SyncSender<Job> {
    static PARSERS: OnceLock<std::sync::mpsc::SyncSender<Job>> = OnceLock::new();
    PARSERS.get_or_init(|| {
        let (sender, jobs) = std::sync::mpsc::sync_channel::<Job>(PARSER_QUEUE_MAX);
        let jobs = Arc::new(std::sync::Mutex::new(jobs));
        for number in 0..2 {
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new()
                .name(format!("parser-{number}"))
                .stack_size(PARSER_STACK_BYTES)
                .spawn(move || {
                    loop {
                        let job = jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
                        let Ok(job) = job else { return };
                        // A statement that makes the planner panic must not take the thread with it.
                        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| build(job)));
                        if outcome.is_err() {
                            tracing::error!("planning a statement failed unexpectedly");
                        }
                    }
                })
                .expect("a thread can be started at the first statement");
        }
        sender
    })
}

fn build(job: Job) {
    let Job { sql, lexed, names, current, figures, reply } = job;
    let template = Arc::new(Template::build(&sql, &lexed, &current.scene, &names.names));
    let _ =
        template.observed.set(figures.statements.of(template.normalized(), || (template.kind(), template.readable())));
    tracing::trace!(bytes = sql.len(), "statement parsed");
    current.templates.insert(&lexed, names.key, Arc::clone(&template));
    // The client may be gone.
    let _ = reply.send(template);
}

thread_local! {
    static SCRATCH: RefCell<Option<Box<Lexed>>> = const { RefCell::new(None) };
}

/// A lexer's result to fill, with the buffers of the last one on this thread.
pub(super) fn take_scratch() -> Box<Lexed> {
    SCRATCH.with_borrow_mut(Option::take).unwrap_or_default()
}

pub(super) fn put_scratch(lexed: Box<Lexed>) {
    if lexed.normalized.capacity() <= crate::types::limits::INLINE_STATEMENT_BYTES_MAX {
        SCRATCH.with_borrow_mut(|place| *place = Some(lexed));
    }
}

/// PostgreSQL's own default search path, before any setting.
pub(super) fn default_names() -> Arc<KeyedNames> {
    static DEFAULT: LazyLock<Arc<KeyedNames>> = LazyLock::new(|| {
        KeyedNames::new(Names {
            search_path: vec!["public".to_owned()],
            temporary: BTreeSet::new(),
            standard_conforming_strings: true,
            atomic: false,
        })
    });
    Arc::clone(&DEFAULT)
}

impl Session {
    /// Lexes a huge statement and looks for its template on a thread where that holds nobody up.
    ///
    /// # Errors
    /// As [`Planner::lex`].
    pub(super) async fn lex_apart(&self, sql: Bytes) -> Result<(Box<Lexed>, Option<Arc<Template>>), ClientError> {
        let (database, names) = (Arc::clone(&self.database), Arc::clone(&self.names));
        let standard_conforming_strings = self.standard_conforming_strings;
        let within = self.within.clone();
        let lexing = tokio::task::spawn_blocking(move || {
            let mut lexed = Box::<Lexed>::default();
            database.planner.lex(&sql, standard_conforming_strings, &mut lexed)?;
            let found = match &within {
                Some(within) => within.current.templates.get(&sql, &lexed, names.key),
                None => database.planner.find(&sql, &lexed, &names),
            };
            Ok((lexed, found))
        });
        let failed = |_| ClientError::new(SqlState::STATEMENT_TOO_COMPLEX, "the statement could not be planned");
        lexing.await.map_err(failed)?
    }

    /// As [`Planner::find`], in the scene of the transaction if it has one of its own.
    pub(super) fn find_template(&self, sql: &[u8], lexed: &Lexed) -> Option<Arc<Template>> {
        match &self.within {
            Some(within) => within.current.templates.get(sql, lexed, self.names.key),
            None => self.database.planner.find(sql, lexed, &self.names),
        }
    }

    /// As [`Planner::build`], in the scene of the transaction if it has one of its own.
    ///
    /// # Errors
    /// As [`Planner::build`].
    pub(super) async fn build_template(&self, sql: Bytes, lexed: Lexed) -> Result<Arc<Template>, ClientError> {
        let (database, names) = (Arc::clone(&self.database), Arc::clone(&self.names));
        match self.within.clone() {
            Some(within) => database.planner.build_in(within.current, sql, lexed, names).await,
            None => database.planner.build(sql, lexed, names).await,
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.within.as_ref().map_or_else(|| self.database.planner.generation(), |within| within.generation)
    }

    /// Within a block that has changed definitions, statements are planned by what the transaction itself sees: its
    /// own connection to the home shard is asked. Not while answers are awaited: then by what was known before.
    pub(super) async fn look_within(&mut self) {
        if !self.changed_within || !self.transaction.in_block() || self.transaction.is_failed() {
            return;
        }
        let home = self.database.config.home;
        let is_at_rest = self.expects.is_empty() && self.segment.is_none() && self.scattering.is_none();
        let Some(lease) = self.transaction.lease_mut(home).filter(|lease| lease.is_at_rest()) else { return };
        if !is_at_rest {
            return;
        }
        self.changed_within = false;
        let question = format!("{};{}", crate::catalog::question(), crate::catalog::numbers::QUESTION);
        match own::ask(lease, &question).await {
            Ok(mut answers) => {
                // Behind the last answer there is an empty one.
                answers.truncate(crate::catalog::ANSWERS + 1);
                let numbers = answers.pop().unwrap_or_default();
                self.forget_numbers();
                self.numbers_within = super::numbering::read(numbers);
                let answers = answers.into_iter().map(|rows| rows.into_iter().map(Cells).collect()).collect();
                let catalog = crate::catalog::read(answers);
                self.within = catalog.ok().and_then(|catalog| self.database.planner.within(catalog));
            }
            Err(error) => tracing::warn!(%error, "the definitions of a transaction were not read"),
        }
    }

    /// The transaction has ended, and what it alone saw with it.
    pub(super) fn forget_within(&mut self) {
        self.within = None;
        self.changed_within = false;
        if self.numbers_within.is_some() {
            self.forget_numbers();
        }
    }

    pub(super) fn lex_options(&self) -> LexOptions {
        LexOptions { standard_conforming_strings: self.standard_conforming_strings }
    }

    pub(super) fn names(&self) -> &Arc<KeyedNames> {
        &self.names
    }

    /// The role that "$user" means.
    fn role(&self) -> String {
        let set =
            ["role", "session_authorization"].into_iter().find_map(|name| match self.state.settings().get(name)? {
                SettingValue::List(values) => values.first().filter(|role| *role != "none").cloned(),
                SettingValue::Text(role) => Some(role.clone()).filter(|role| role != "none"),
            });
        set.unwrap_or_else(|| self.login.to_string())
    }

    /// After a change of the settings or of the temporary tables.
    pub(super) fn refresh_names(&mut self) {
        let search_path = match self.state.search_path() {
            None => split_identifiers(&self.greeting.search_path),
            Some(SettingValue::List(elements)) => elements.clone(),
            Some(SettingValue::Text(text)) => split_identifiers(text),
        };
        let search_path =
            search_path.into_iter().map(|name| if name == "$user" { self.role() } else { name }).collect();
        let names = Names {
            search_path,
            // Those of a session are found where its statements are run.
            temporary: BTreeSet::new(),
            standard_conforming_strings: self.standard_conforming_strings,
            atomic: self.reads_atomic,
        };
        if self.names.names != names {
            self.names = KeyedNames::new(names);
        }
    }
}

/// The elements of a search_path given as one text, as SplitIdentifierString reads them.
fn split_identifiers(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut current = String::new();
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                current.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(std::mem::take(&mut current)),
            space if !quoted && space.is_whitespace() => {}
            other if quoted => current.push(other),
            other => current.extend(other.to_lowercase()),
        }
    }
    all.push(current);
    all.retain(|name| !name.is_empty());
    all
}
