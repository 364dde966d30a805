//! Builds templates: divides a text into statements, recognises each, and finds its route.

use std::ops::Range;
use std::sync::Arc;

use super::copy;
use super::ddl::{self, Definition, Suspects};
use super::definitions;
use super::effects;
use super::functions::Class;
use super::ids::Filling;
use super::numbers;
use super::plan::{Absent, Refusal, Way};
use super::process;
use super::query;
use super::refusal;
use super::route::{Override, Route, Routed, Spread};
use super::scene::{Names, Scene};
use super::shaping;
use super::sizes;
use super::stamps::Stamps;
use super::tables;
use super::template::{Effects, StatementTemplate, Template};
use super::text::Text;
use super::transfer;
use super::writes::How;
use crate::sql::command::{SessionCommand, TransactionCommand, Verb};
use crate::sql::parse::Piece;
use crate::sql::{Command, LexOptions, Lexed, TokenKind, Tokens, recognise};

/// EXPLAIN within EXPLAIN isn't SQL, but costs a recursion.
const WRAPPERS_MAX: usize = 4;

pub fn build(sql: &[u8], lexed: &Lexed, scene: &Scene, names: &Names) -> Template {
    let options = LexOptions { standard_conforming_strings: names.standard_conforming_strings };
    let pieces = pieces(sql, &options);
    let scene = &scene.looking();
    let functions = scene.functions();
    let several = scene.map.shard_count() > 1;
    let mut template = Template {
        statements: Box::default(),
        normalized: lexed.normalized.clone().into_boxed_slice(),
        shaping: Box::default(),
        routes: Box::default(),
        batch: None,
        occurrences: occurrences(&pieces, lexed.parameters),
        filling: None,
        misses: false,
        asks_process: process::find(Text { sql, pieces: &pieces }).is_some(),
        meets_prepared: false,
        lists_prepared: false,
        stamps: None,
        map: Arc::clone(&scene.map),
        observed: std::sync::OnceLock::new(),
    };
    let (mut statements, mut routes, mut shaping) = (Vec::new(), Vec::new(), Vec::new());
    let mut fillings = Vec::new();
    for span in &lexed.statements {
        let text = Text { sql, pieces: within(&pieces, span) };
        let tokens: Vec<_> = text.pieces.iter().map(|piece| piece.token.clone()).collect();
        let command = recognise(sql, &tokens);
        shaping.extend(shaping::literals(text, &command));
        let effects = effects::effects(text, &command, &functions);
        if several {
            fillings.extend(Filling::of(text, first_piece(&pieces, span), scene, names));
            let shadow = effects.creates_temporary.then(|| ddl::shadowed(text, &Suspects::new(scene, names))).flatten();
            let routed = match shadow {
                Some(why) => refused(why),
                None => route(text, &command, scene, names, WRAPPERS_MAX),
            };
            let routed = with_names(routed, text, scene);
            let routed = match sizes::judge(text, scene, names) {
                Err(why) if !matches!(routed.route, Route::Refused(..)) => {
                    Routed { route: Route::Refused(why, Override::Shard), ..routed }
                }
                _ => routed,
            };
            let routed = if looks_at_prepared(text) { refused(refusal::prepared_statements_view()) } else { routed };
            let routed = match &command {
                Command::Session(
                    SessionCommand::Prepare { .. }
                    | SessionCommand::Execute { .. }
                    | SessionCommand::Deallocate { name: Some(_) },
                ) if lexed.statements.len() > 1 => refused(refusal::prepared_among_others()),
                _ => routed,
            };
            routes.push(match routed.route {
                // Temporary objects are in a schema of their own.
                Route::Everywhere(Way::AtHome, _) if effects.creates_temporary => {
                    Routed { route: Route::Home, ..routed }
                }
                _ => routed,
            });
        }
        let effects = Effects { needs_primary: effects::needs_primary(text, scene, names), ..effects };
        template.lists_prepared |= !several && looks_at_prepared(text);
        template.meets_prepared |= !several && meets_prepared(text, &command, &effects, lexed.statements.len() > 1);
        statements.push(StatementTemplate { access: effects::access(text, &command, scene, names), effects, command });
    }
    if several {
        template.batch = batch(&statements);
    }
    // What a definition says of the time it says of later ones.
    let asks = |one: &StatementTemplate| {
        matches!(
            one.command,
            Command::Ordinary(Verb::Select | Verb::Insert | Verb::Update | Verb::Delete | Verb::Merge)
        )
    };
    if let ([span], true) = (&*lexed.statements, several && statements.iter().all(asks)) {
        let text = Text { sql, pieces: within(&pieces, span) };
        template.stamps = Stamps::of(text, first_piece(&pieces, span), scene, names);
    }
    template.filling = Filling::join(fillings);
    for position in template.filling.iter().flat_map(|filling| &filling.shaping) {
        let text = lexed.literals.get(*position).and_then(|literal| sql.get(literal.span.clone()));
        shaping.extend(text.map(|text| (*position, text.into())));
    }
    template.statements = statements.into_boxed_slice();
    template.routes = routes.into_boxed_slice();
    template.shaping = shaping.into_boxed_slice();
    template.misses = several && scene.missed.load(std::sync::atomic::Ordering::Relaxed);
    template
}

/// What runs elsewhere than on the home shard tells no numbers of types and tables.
fn with_names(routed: Routed, text: Text<'_>, scene: &Scene) -> Routed {
    if matches!(routed.route, Route::Touched | Route::Home | Route::CopyIn(_) | Route::Refused(..)) {
        return routed;
    }
    match numbers::judge(text, Some(scene)) {
        Ok(()) => routed,
        Err(refusal) => Routed { route: Route::Refused(refusal, Override::Shard), ..routed },
    }
}

/// Whether only a server that has the statements of PREPARE itself can run this; functions may use them.
fn meets_prepared(text: Text<'_>, command: &Command, effects: &Effects, is_among_others: bool) -> bool {
    let executes = || (0..text.pieces.len()).any(|at| text.is(at, "execute"));
    match command {
        Command::Session(
            SessionCommand::Prepare { .. } | SessionCommand::Execute { .. } | SessionCommand::Deallocate { .. },
        ) => is_among_others,
        Command::Ordinary(Verb::Ddl | Verb::Explain { .. }) if executes() => true,
        _ => effects.unknown || looks_at_prepared(text),
    }
}

fn looks_at_prepared(text: Text<'_>) -> bool {
    (0..text.pieces.len())
        .any(|at| matches!(text.name(at).as_deref(), Some("pg_prepared_statements" | "pg_prepared_statement")))
}

pub(super) fn pieces(sql: &[u8], options: &LexOptions) -> Vec<Piece> {
    let mut literals = 0;
    let piece = |token: crate::sql::Token| {
        let literal = matches!(token.kind, TokenKind::Literal(_)).then(|| {
            literals += 1;
            literals - 1
        });
        Piece { token, literal }
    };
    Tokens::new(sql, options).map(piece).collect()
}

/// The position of a statement's first token.
fn first_piece(pieces: &[Piece], span: &Range<usize>) -> usize {
    pieces.partition_point(|piece| piece.token.span.start < span.start)
}

pub(super) fn within<'a>(pieces: &'a [Piece], span: &Range<usize>) -> &'a [Piece] {
    let start = first_piece(pieces, span);
    let end = pieces.partition_point(|piece| piece.token.span.start < span.end);
    pieces.get(start..end).unwrap_or_default()
}

fn occurrences(pieces: &[Piece], parameters: u16) -> Box<[u32]> {
    let mut counts = vec![0; usize::from(parameters)];
    for piece in pieces {
        if let TokenKind::Parameter(number) = piece.token.kind
            && let Some(count) = usize::from(number).checked_sub(1).and_then(|position| counts.get_mut(position))
        {
            *count += 1;
        }
    }
    counts.into_boxed_slice()
}

/// Names mean what they mean when the text arrives: a text that changes that midway isn't planned.
fn batch(statements: &[StatementTemplate]) -> Option<Refusal> {
    let (last, before) = statements.split_last()?;
    let renames = |statement: &StatementTemplate| {
        let changes_names = |name: &str| {
            matches!(name, "search_path" | "role" | "session_authorization" | "standard_conforming_strings")
        };
        let command = match &statement.command {
            Command::Session(SessionCommand::Set { setting, .. }) => {
                changes_names(&setting.name) || setting.name.starts_with("shardway.")
            }
            Command::Session(SessionCommand::Reset { name, .. }) => {
                changes_names(name) || name.starts_with("shardway.")
            }
            Command::Session(SessionCommand::ResetAll | SessionCommand::DiscardAll | SessionCommand::DiscardTemp) => {
                true
            }
            Command::Transaction(TransactionCommand::Rollback { .. } | TransactionCommand::RollbackTo(_)) => true,
            _ => false,
        };
        command || statement.effects.creates_temporary || !statement.effects.settings.is_empty()
    };
    let ordinary = |statement: &StatementTemplate| matches!(statement.command, Command::Ordinary(_));
    let first = before.iter().position(renames)?;
    let goes_by_names = before.iter().skip(first + 1).chain([last]).any(ordinary);
    goes_by_names.then(|| {
        refusal::batch(
            "can't change settings, temporary tables or transactions that decide what the names in later ones mean",
        )
    })
}

pub(super) fn routed(route: Route) -> Routed {
    Routed::new(route, Vec::new())
}

pub(super) fn refused(refusal: Refusal) -> Routed {
    routed(Route::Refused(refusal, Override::Shard))
}

/// The route of one statement on a database with several shards. `wrappers` bounds what may be
/// wrapped into each other.
fn route(text: Text<'_>, command: &Command, scene: &Scene, names: &Names, wrappers: usize) -> Routed {
    match command {
        Command::Empty => routed(Route::Touched),
        Command::Transaction(TransactionCommand::TwoPhase) => refused(refusal::two_phase()),
        Command::Transaction(_) => routed(Route::Touched),
        Command::Session(command) => session(text, command, scene, names),
        Command::Ordinary(verb) => ordinary(text, *verb, scene, names, wrappers),
    }
}

fn session(text: Text<'_>, command: &SessionCommand, scene: &Scene, names: &Names) -> Routed {
    match command {
        SessionCommand::Prepare { .. } => routed(Route::Touched),
        SessionCommand::Execute { .. } => {
            // What is prepared is planned when it is bound; its arguments are computed wherever the session is.
            let arguments = text.from(2);
            let functions = scene.functions();
            let computes =
                |called: &super::text::Called| functions.class(called.schema.as_deref(), &called.name) <= Class::Moment;
            match arguments.calls().iter().find(|called| !computes(called)) {
                Some(called) => refused(refusal::execute_arguments(&called.name)),
                None => routed(Route::Touched),
            }
        }
        SessionCommand::Declare { .. } => {
            let query = (0..text.pieces.len()).find(|at| text.is(*at, "for")).map_or(text.pieces.len(), |at| at + 1);
            let inner = text.from(query);
            let stays = text.range(0..query);
            // Binary values may hold OIDs.
            let apart = (0..query).any(|at| stays.is(at, "binary"));
            let mut routed =
                if apart { query::route(inner, scene, names) } else { query::route_as_one(inner, scene, names) };
            if apart {
                return on_one_shard(routed, refusal::cursor());
            }
            shift(&mut routed, query);
            routed
        }
        SessionCommand::Listen | SessionCommand::Unlisten { .. } | SessionCommand::Notify | SessionCommand::Load => {
            routed(Route::Home)
        }
        SessionCommand::Set { .. }
        | SessionCommand::Reset { .. }
        | SessionCommand::ResetAll
        | SessionCommand::Show { .. }
        | SessionCommand::ShowAll
        | SessionCommand::DiscardAll
        | SessionCommand::DiscardTemp
        | SessionCommand::DiscardPlans
        | SessionCommand::DiscardSequences
        | SessionCommand::Deallocate { .. }
        | SessionCommand::Fetch { .. }
        | SessionCommand::CloseCursor { .. } => routed(Route::Touched),
    }
}

/// The query stands behind `before` other tokens of its statement.
pub(super) fn shift(routed: &mut Routed, before: usize) {
    if let Route::Keyed(keyed) = &mut routed.route {
        keyed.spread.shift(before);
    }
}

/// As the query, but not on several shards.
fn on_one_shard(mut inner: Routed, why: Refusal) -> Routed {
    if let Route::Keyed(keyed) = &mut inner.route
        && !matches!(keyed.spread, Spread::Refused(_))
    {
        keyed.spread = Spread::Refused(why);
    } else if matches!(inner.route, Route::Copies(_)) {
        inner.route = Route::Refused(why, Override::Shard);
    }
    inner
}

fn ordinary(text: Text<'_>, verb: Verb, scene: &Scene, names: &Names, wrappers: usize) -> Routed {
    match verb {
        Verb::Select | Verb::Insert | Verb::Update | Verb::Delete | Verb::Merge => query::route(text, scene, names),
        Verb::Copy(direction) => copy::route(text, direction, scene, names),
        Verb::Explain { .. } => match wrappers.checked_sub(1) {
            Some(wrappers) => explain(text, scene, names, wrappers),
            None => refused(refusal::explain()),
        },
        Verb::Ddl => beside_own_schema(definition(text, scene, names), text, names),
        Verb::Procedure => refused(refusal::procedure(&text.name(0).unwrap_or_default().to_ascii_uppercase())),
        Verb::Other if let Some(verdict) = definitions::maintenance(text, scene, names) => placed(verdict),
        Verb::Other => match ddl::other(text, &Suspects::new(scene, names)) {
            Ok(()) => routed(Route::Home),
            Err(refusal) => refused(refusal),
        },
    }
}

/// What a role that is called as Shardway's schema creates would be in that schema.
fn beside_own_schema(routed: Routed, text: Text<'_>, names: &Names) -> Routed {
    let creates = matches!(routed.route, Route::Home) && text.is(0, "create");
    if creates && names.search_path.iter().any(|schema| schema == tables::OWN_SCHEMA) {
        return self::routed(everywhere(Way::AtHome));
    }
    routed
}

/// As it is on every shard.
fn everywhere(way: Way) -> Route {
    Route::Everywhere(way, Absent::default())
}

fn placed(verdict: Result<definitions::Definition, Refusal>) -> Routed {
    match verdict {
        Ok(definitions::Definition::Home) => routed(Route::Home),
        Ok(definitions::Definition::Everywhere(way)) => routed(everywhere(way)),
        Ok(definitions::Definition::Listed(way, absent)) => routed(Route::Everywhere(way, absent.into())),
        Err(refusal) => refused(refusal),
    }
}

fn definition(text: Text<'_>, scene: &Scene, names: &Names) -> Routed {
    if let Some(verdict) = definitions::definition(text, scene, names) {
        return placed(verdict);
    }
    match ddl::definition(text, &Suspects::new(scene, names)) {
        Definition::Home => routed(Route::Home),
        Definition::Refused(refusal) => refused(refusal),
        Definition::AsQuery { query, .. } if text.is(query, "execute") => refused(refusal::as_execute()),
        Definition::AsQuery { what, query } => {
            let end = without_data(text);
            let inner = query::route(text.range(query..end), scene, names);
            match inner.route {
                Route::Keyed(ref keyed) if what == "CREATE TABLE" && !writes(keyed) => {
                    // Without rows the columns are all that is wanted, which the home shard knows.
                    let empty = text.is(end, "with") && text.is(end + 1, "no");
                    let route = match transfer::create_as(text, query..end, scene, names) {
                        _ if empty => Route::Home,
                        Ok(transfer) => Route::Transfer(Arc::new(transfer)),
                        Err(refusal) => Route::Refused(refusal, Override::Shard),
                    };
                    Routed::new(route, inner.sharded)
                }
                // A copy of a reference table on the home shard is as good as any.
                Route::Home | Route::Any if what != "CREATE OR REPLACE VIEW" => routed(Route::Home),
                Route::Refused(..) => inner,
                // Every shard has what it reads, or only the home shard does.
                Route::Keyed(keyed) if what == "CREATE OR REPLACE VIEW" && !keyed.home && !writes(&keyed) => {
                    Routed::new(everywhere(Way::Together), inner.sharded)
                }
                Route::Keyed(keyed) if what == "CREATE VIEW" && !is_temporary(text) && !writes(&keyed) => {
                    let route = if keyed.home { Route::Home } else { everywhere(Way::Together) };
                    Routed::new(route, inner.sharded)
                }
                Route::Home
                | Route::Any
                | Route::Keyed(_)
                | Route::Touched
                | Route::Copies(_)
                | Route::Everywhere(..)
                | Route::Transfer(_)
                | Route::Stages(_)
                | Route::CopyIn(_) => {
                    Routed::new(Route::Refused(refusal::makes_table(what), Override::Shard), inner.sharded)
                }
            }
        }
    }
}

fn is_temporary(text: Text<'_>) -> bool {
    (1..5).any(|at| text.is_any(at, &["temp", "temporary"])) || text.is(2, "pg_temp") || text.is(4, "pg_temp")
}

fn writes(keyed: &super::route::Keyed) -> bool {
    matches!(keyed.spread, Spread::Write(_) | Spread::Stages(_))
}

/// Where `WITH [NO] DATA` or `WITH CHECK OPTION` begins, or the end.
fn without_data(text: Text<'_>) -> usize {
    let end = text.pieces.len();
    for words in [4, 3] {
        let Some(start) = end.checked_sub(words) else { continue };
        let scoped = words == 3 || text.is_any(start + 1, &["local", "cascaded"]);
        if text.is(start, "with") && scoped && text.is(end - 2, "check") && text.is(end - 1, "option") {
            return start;
        }
    }
    for words in [3, 2] {
        let Some(start) = end.checked_sub(words) else {
            continue;
        };
        if text.is(start, "with") && text.is(end - 1, "data") && (words == 2 || text.is(start + 1, "no")) {
            return start;
        }
    }
    end
}

/// The statement that is explained.
fn explain(text: Text<'_>, scene: &Scene, names: &Names, wrappers: usize) -> Routed {
    let mut at = 1;
    if text.punct(at, b'(') && !text.is_any(at + 1, &["select", "values", "with", "table"]) && !text.punct(at + 1, b'(')
    {
        at = ddl::closing(text, at) + 1;
    }
    while text.is_any(at, &["analyze", "analyse", "verbose"]) {
        at += 1;
    }
    let inner = text.from(at);
    let tokens: Vec<_> = inner.pieces.iter().map(|piece| piece.token.clone()).collect();
    match recognise(text.sql, &tokens) {
        command @ (Command::Ordinary(_)
        | Command::Session(SessionCommand::Declare { .. } | SessionCommand::Execute { .. })) => {
            let mut routed = route(inner, &command, scene, names, wrappers);
            shift(&mut routed, at);
            explained(text, routed)
        }
        _ => refused(refusal::not_parsed()),
    }
}

/// A write is explained by each shard for itself; to run it takes more than its text.
fn explained(text: Text<'_>, mut inner: Routed) -> Routed {
    if !(0..text.pieces.len()).any(|at| text.is_any(at, &["analyze", "analyse"])) {
        inner.watched.clear();
    }
    if let Route::Keyed(keyed) = &mut inner.route
        && let Spread::Write(several) = &keyed.spread
    {
        let runs = (0..text.pieces.len()).any(|at| text.is_any(at, &["analyze", "analyse"]));
        if runs && matches!(several.how, How::Moves(_)) {
            inner.route = Route::Refused(refusal::explain(), Override::Never);
            return inner;
        }
        let same = matches!(several.how, How::Shares(_) | How::Moves(_));
        keyed.spread = if same && !runs { Spread::Concatenate } else { Spread::Refused(refusal::explain()) };
    } else if matches!(inner.route, Route::Transfer(_) | Route::Stages(_))
        || matches!(&inner.route, Route::Keyed(keyed) if matches!(keyed.spread, Spread::Transfer(_) | Spread::Stages(_)))
    {
        inner.route = Route::Refused(refusal::explain(), Override::Shard);
    } else if matches!(inner.route, Route::Copies(_)) {
        let runs = (0..text.pieces.len()).any(|at| text.is_any(at, &["analyze", "analyse"]));
        inner.route = if runs { Route::Refused(refusal::explain(), Override::Shard) } else { Route::Home };
    }
    inner
}
