//! The routes of queries and data-modifying commands. In: tokens and the scene. Out: a [`Routed`].

use std::sync::Arc;

use super::ddl::{self, Suspects};
use super::functions::Class;
use super::gather;
use super::keys::{Keys, Locations};
use super::merge::{self, Way};
use super::plan::Refusal;
use super::refusal;
use super::route::{Keyed, Override, Route, Routed, Rows, Spread, Use};
use super::scatter;
use super::scene::{Names, Scene};
use super::stages;
use super::tables::{self, Found, Location};
use super::text::Text;
use super::transfer;
use super::triggers::{self, Triggers};
use super::writes;
use crate::sql::parse;
use crate::sql::statement::{Attribute, Call, Kind, Source, Statement, Write};

/// Uses of sharded tables in one statement that are followed. PostgreSQL's own planner gives up on
/// exhaustive search at 12 tables in one join.
const USES_MAX: usize = 200;

/// Where a query is to be answered on a database with several shards.
pub fn route(text: Text<'_>, scene: &Scene, names: &Names) -> Routed {
    staged(routed(text, scene, names, false), text, scene, names)
}

/// As [`route`], for a part of a statement that runs in stages.
pub fn route_alone(text: Text<'_>, scene: &Scene, names: &Names) -> Routed {
    routed(text, scene, names, false)
}

/// A write that is refused may be run part by part.
fn staged(routed: Routed, text: Text<'_>, scene: &Scene, names: &Names) -> Routed {
    let is_refused = match &routed.route {
        Route::Refused(_, who) => *who != Override::Never,
        Route::Keyed(keyed) => matches!(keyed.spread, Spread::Refused(_)),
        _ => false,
    };
    if !is_refused {
        return routed;
    }
    let Some((statement, _)) = read(text, scene, names) else { return routed };
    let Some(stages) = stages::plan(text, &statement, scene, names) else { return routed };
    let stages = Arc::new(stages);
    let Routed { route, sharded, watched, lookups } = routed;
    match route {
        Route::Keyed(keyed) => {
            let route = Route::Keyed(Keyed { spread: Spread::Stages(stages), ..keyed });
            Routed { route, sharded, watched, lookups }
        }
        _ => Routed { route: Route::Stages(stages), sharded, watched, lookups: Arc::default() },
    }
}

/// As [`route`], for a query that is a part of another command: one server has to answer it as a whole.
pub fn route_as_one(text: Text<'_>, scene: &Scene, names: &Names) -> Routed {
    routed(text, scene, names, true)
}

fn routed(text: Text<'_>, scene: &Scene, names: &Names, as_one: bool) -> Routed {
    let Ok(mut statement) = parse::parse(text.sql, text.pieces) else {
        if Suspects::new(scene, names).provably_home(text) {
            look_for_names(text, scene, names);
            return Routed::new(Route::Home, Vec::new());
        }
        let gathered = gather::route_unparsed(text, scene, names);
        return gathered
            .unwrap_or_else(|| Routed::new(Route::Refused(refusal::not_parsed(), Override::Shard), Vec::new()));
    };
    let locations = locations(&statement, scene, names);
    calls_of_attributes(&mut statement, &locations, scene);
    let mut sharded = Vec::new();
    for found in locations.iter().flatten().flatten() {
        match (&found.stands_for, &found.location) {
            (Some(table), _) => sharded.push((found.display.clone(), table.clone())),
            (None, Location::Sharded(table)) => sharded.push((found.display.clone(), table.clone())),
            _ => {}
        }
    }
    let is_into = statement.scopes.get(statement.root).is_some_and(|root| root.features.into);
    if is_into && !as_one && statement.kind == Kind::Select && scene.catalog.is_some() {
        let route = match transfer::select_into(text, scene, names) {
            Ok(transfer) => Route::Transfer(Arc::new(transfer)),
            Err(refusal) => Route::Refused(refusal, Override::Shard),
        };
        return Routed::new(route, sharded);
    }
    // Parts of one moment are gathered.
    let gathers = as_one || names.atomic;
    let route = match planned(&statement, &locations, scene, (text, names, gathers)) {
        Ok(route) => route,
        Err((refusal, who)) => Route::Refused(refusal, who),
    };
    let route = if as_one { route } else { transferred(route, text, &statement, &locations, (scene, names)) };
    let targets = statement.writes.iter().filter_map(|write| target(write, &locations));
    let watched = targets.flat_map(|found| writes::watch::watched(scene, &found.schema, &found.name)).collect();
    let lookups = match &route {
        Route::Keyed(_) => Keys::with_lookups(&statement, &locations, scene).lookups.into(),
        _ => Arc::default(),
    };
    Routed { watched, lookups, ..Routed::new(route, sharded) }
}

/// An INSERT of a query's rows that can't be run where they are: the rows are taken to where they belong.
fn transferred(
    route: Route,
    text: Text<'_>,
    statement: &Statement,
    locations: &Locations,
    (scene, names): (&Scene, &Names),
) -> Route {
    let is_refused = match &route {
        Route::Refused(..) => true,
        Route::Keyed(keyed) => matches!(keyed.spread, Spread::Refused(_)),
        _ => false,
    };
    let found = statement.writes.first().and_then(|write| target(write, locations));
    let Some(found) = found.filter(|_| is_refused && scene.catalog.is_some()) else { return route };
    // Its rows may be for several shards.
    if !matches!(triggers_of(statement, locations, scene), Ok(Triggers::Same)) {
        return route;
    }
    let Some(Ok(transfer)) = transfer::plan(text, statement, found, scene, names) else { return route };
    let transfer = Arc::new(transfer);
    match route {
        Route::Keyed(keyed) => Route::Keyed(Keyed { spread: Spread::Transfer(transfer), ..keyed }),
        _ => Route::Transfer(transfer),
    }
}

/// A query that runs on the scratch database.
pub struct Gathered {
    pub gather: gather::Gather,
    pub uses: Vec<Use>,
}

/// A query as it is understood, and where its tables are.
pub fn read(text: Text<'_>, scene: &Scene, names: &Names) -> Option<(Statement, Locations)> {
    let mut statement = parse::parse(text.sql, text.pieces).ok()?;
    let locations = locations(&statement, scene, names);
    calls_of_attributes(&mut statement, &locations, scene);
    Some((statement, locations))
}

/// If the scratch database's own catalogs would come before those that were gathered.
fn finds_own_catalogs(names: &Names) -> bool {
    names.search_path.iter().any(|schema| schema == "pg_temp")
}

/// # Errors
/// Why the query can't be answered on gathered rows.
pub fn gathered(text: Text<'_>, scene: &Scene, names: &Names) -> Result<Gathered, Refusal> {
    let Some((statement, locations)) = read(text, scene, names) else {
        let routed = gather::route_unparsed(text, scene, names).ok_or_else(refusal::not_parsed)?;
        return match routed.route {
            Route::Keyed(Keyed { uses, spread: Spread::Gather(gather), .. }) => {
                Ok(Gathered { gather: Arc::try_unwrap(gather).map_err(|_| refusal::not_parsed())?, uses })
            }
            Route::Refused(refusal, _) => Err(refusal),
            _ => Err(refusal::not_parsed()),
        };
    };
    let all = || locations.iter().flatten().flatten();
    if let Some(refusal) = all().find_map(|found| found.refusal.clone()) {
        return Err(refusal);
    }
    let first = |is: fn(&Location) -> bool| all().find(|found| is(&found.location)).map(|found| found.display.as_str());
    if let Some(system) = first(|location| matches!(location, Location::System)).filter(|_| finds_own_catalogs(names)) {
        let sharded = first(|location| !matches!(location, Location::System)).unwrap_or("another shard's");
        return Err(refusal::system_and_sharded(system, sharded));
    }
    let keys = Keys::of(&statement, &locations);
    if keys.nodes.len() > USES_MAX {
        return Err(refusal::too_many_relations());
    }
    let own = keys
        .nodes
        .iter()
        .map(|node| Use { rows: Rows::Matching(node.tests.clone()), ..Use::of_all(&node.display, &node.sharded) });
    let uses = own.chain(all().flat_map(Found::uses_within)).collect();
    Ok(Gathered { gather: gather::plan(text, &statement, &keys, &locations, scene)?, uses })
}

/// Of a statement that isn't parsed: what stands where a table does must be known.
fn look_for_names(text: Text<'_>, scene: &Scene, names: &Names) {
    const BEFORE: &[&str] = &["from", "join", "into", "update", "only", "table", "using"];
    for at in (1..text.pieces.len()).filter(|at| text.is_any(at - 1, BEFORE) && !text.is_any(*at, BEFORE)) {
        if let Some((table, _)) = ddl::table_name(text, at) {
            tables::find_needed(scene, names, &table);
        }
    }
}

fn locations(statement: &Statement, scene: &Scene, names: &Names) -> Locations {
    let locate = |source: &Source| match source {
        Source::Table(table) => Some(tables::find_needed(scene, names, table)),
        Source::Common(_) | Source::Derived(_) | Source::Function => None,
    };
    statement
        .scopes
        .iter()
        .map(|scope| scope.relations.iter().map(|relation| locate(&relation.source)).collect())
        .collect()
}

/// Adds the calls that are written like columns.
fn calls_of_attributes(statement: &mut Statement, locations: &Locations, scene: &Scene) {
    let functions = scene.functions();
    let calls: Vec<Call> = statement
        .attributes
        .iter()
        .filter(|attribute| functions.exists(&attribute.name))
        .filter(|attribute| is_call(statement, locations, scene, attribute, functions.class(None, &attribute.name)))
        .map(|attribute| Call {
            schema: None,
            name: attribute.name.clone(),
            place: attribute.place,
            scope: attribute.scope,
            arguments: 1,
            is_aggregate: false,
            is_window: false,
        })
        .collect();
    statement.calls.extend(calls);
}

/// If an attribute may be a call of the function of its name, which has this class.
fn is_call(statement: &Statement, locations: &Locations, scene: &Scene, attribute: &Attribute, class: Class) -> bool {
    let Some(qualifier) = &attribute.qualifier else {
        return true;
    };
    let mut scope = attribute.scope;
    while let Some(this) = statement.scopes.get(scope) {
        let Some(relation) = this.relations.iter().position(|relation| relation.may_be_called(qualifier)) else {
            let Some(parent) = &this.parent else { break };
            scope = parent.scope;
            continue;
        };
        let Some(found) = locations.get(scope).and_then(|found| found.get(relation)?.as_ref()) else {
            // Columns of sub-selects are called what they like; only what is dangerous anywhere counts.
            return class >= Class::HomeBound;
        };
        let is_key = matches!(&found.location, Location::Sharded(sharded) if *sharded.key == *attribute.name);
        let known = scene.catalog.as_ref().and_then(|catalog| catalog.relation(&found.schema, &found.name));
        let is_column = known.is_some_and(|known| known.column(&attribute.name).is_some());
        let renamed = this.relations.get(relation).is_some_and(|relation| relation.renamed);
        return renamed || !(is_key || is_column);
    }
    true
}

type Planned<T> = Result<T, (Refusal, Override)>;

/// The text, what its names mean, and if one server has to answer it.
type Written<'a> = (Text<'a>, &'a Names, bool);

fn planned(statement: &Statement, locations: &Locations, scene: &Scene, written: Written<'_>) -> Planned<Route> {
    let all = || locations.iter().flatten().flatten();
    if let Some((found, refusal)) = all().find_map(|found| Some((found, found.refusal.clone()?))) {
        let who = if found.stands_for.is_some() { Override::Key } else { Override::Shard };
        return Err((refusal, who));
    }
    for write in &statement.writes {
        if let Some(found @ Found { location: Location::Reference, .. }) = target(write, locations) {
            triggers_of(statement, locations, scene)?;
            let copies = writes::copies::plan(statement, write, found, all(), scene, written.0);
            return copies.map(|copies| Route::Copies(Arc::new(copies))).map_err(|why| (why, Override::Shard));
        }
    }
    if !statement.writes.is_empty() {
        let is_target = |found: &Found| {
            statement
                .writes
                .iter()
                .any(|write| target(write, locations).is_some_and(|target| std::ptr::eq(target, found)))
        };
        let viewed = |found: &&Found| matches!(found.location, Location::Viewed) || is_target(found);
        if let Some(view) = all().filter(viewed).find_map(|found| found.view.as_ref()) {
            return Err((view.refusal.clone(), Override::Key));
        }
    }
    let triggers = triggers_of(statement, locations, scene)?;
    let first = |is: fn(&Location) -> bool| all().find(|found| is(&found.location)).map(|found| found.display.as_str());
    let within = || all().filter_map(|found| found.view.as_ref()).flat_map(|view| &view.bases);
    let home_within = within().find(|base| matches!(base.found.location, Location::Home));
    let home =
        first(|location| matches!(location, Location::Home)).or(home_within.map(|base| base.found.display.as_str()));
    let system = first(|location| matches!(location, Location::System));
    let Some(sharded) = first(|location| matches!(location, Location::Sharded(_) | Location::Viewed)) else {
        let only_reference = home.is_none() && system.is_none() && all().next().is_some();
        return without_sharded(statement, scene, only_reference);
    };
    if let Some(system) = system.filter(|_| finds_own_catalogs(written.1)) {
        return Err((refusal::system_and_sharded(system, sharded), Override::Shard));
    }
    let home = home.or(system);
    let functions = scene.functions();
    for call in &statement.calls {
        match functions.class(call.schema.as_deref(), &call.name) {
            Class::HomeBound => {
                return Err((refusal::function_and_sharded(&call.name, sharded), Override::Shard));
            }
            Class::ReadsTables => return Err((refusal::reads_tables(&call.name), Override::Key)),
            Class::Unknown => return Err((refusal::unknown_function(&call.name), Override::Key)),
            _ => {}
        }
    }
    if statement.scopes.iter().any(|scope| scope.features.into) {
        return Err((refusal::makes_table("SELECT INTO"), Override::Shard));
    }
    if let Some(home) = home
        && (statement.kind != Kind::Select || !statement.writes.is_empty())
    {
        return Err((refusal::home_and_sharded(home, sharded), Override::Shard));
    }
    let viewed = all().find(|found| matches!(found.location, Location::Viewed));
    let viewed = viewed.and_then(|found| found.view.as_ref()).map(|view| view.refusal.clone());
    let apart = home.map(|home| refusal::home_and_sharded(home, sharded)).or(viewed);
    let mut keyed = keyed(statement, locations, scene, written, apart)?;
    keyed.home = home.is_some();
    if triggers == Triggers::Dated {
        keyed.spread = Spread::Refused(refusal::dated_trigger());
    }
    // Behind those that the statement names itself.
    keyed.uses.extend(all().flat_map(Found::uses_within));
    Ok(Route::Keyed(keyed))
}

fn triggers_of(statement: &Statement, locations: &Locations, scene: &Scene) -> Planned<Triggers> {
    let targets = statement.writes.iter().filter_map(|write| target(write, locations));
    triggers::check(targets, scene).map_err(|why| (why, Override::Shard))
}

fn target<'a>(write: &Write, locations: &'a Locations) -> Option<&'a Found> {
    let (Write::Insert { scope, target, .. }
    | Write::Update { scope, target, .. }
    | Write::Delete { scope, target }
    | Write::Merge { scope, target, .. }) = write;
    locations.get(*scope)?.get(*target)?.as_ref()
}

/// Home tables, reference tables, or no table at all.
fn without_sharded(statement: &Statement, scene: &Scene, only_reference: bool) -> Planned<Route> {
    let functions = scene.functions();
    let mut any = only_reference && statement.writes.is_empty();
    for call in &statement.calls {
        match functions.class(call.schema.as_deref(), &call.name) {
            Class::Unknown => return Err((refusal::unknown_function(&call.name), Override::Shard)),
            Class::ReadsTables => return Err((refusal::reads_tables(&call.name), Override::Shard)),
            Class::HomeBound | Class::Server => any = false,
            Class::Harmless | Class::Moment | Class::Aggregate | Class::Window => {}
        }
    }
    for scope in &statement.scopes {
        if scope.features.into {
            return Err((refusal::makes_table("SELECT INTO"), Override::Shard));
        }
        // Locks must meet each other; copies differ in what the system columns say.
        any &= !scope.features.locking;
    }
    any &= !statement.system_columns;
    Ok(if any { Route::Any } else { Route::Home })
}

/// `apart`: why it isn't on one shard even where its keys are, since it reads home tables too.
fn keyed(
    statement: &Statement,
    locations: &Locations,
    scene: &Scene,
    written: Written<'_>,
    apart: Option<Refusal>,
) -> Planned<Keyed> {
    let keys = Keys::with_lookups(statement, locations, scene);
    if keys.nodes.len() > USES_MAX {
        return Err((refusal::too_many_relations(), Override::Shard));
    }
    let mut uses = Vec::new();
    for node in &keys.nodes {
        if writes::is_insert_target(statement, node.place) {
            continue;
        }
        uses.push(Use {
            display: node.display.clone(),
            column: format!("{}.{}", node.display, node.sharded.key).into(),
            sharded: node.sharded.clone(),
            rows: Rows::Matching(node.tests.clone()),
            cuts: false,
            not_null: false,
        });
    }
    let mut spread = match statement.kind {
        Kind::Merge => Spread::Refused(refusal::merge()),
        _ => spread(statement, &keys, locations, scene, written, apart),
    };
    for write in &statement.writes {
        let Some(found) = target(write, locations) else {
            continue;
        };
        let Location::Sharded(sharded) = &found.location else {
            continue;
        };
        let table = writes::Target { found, sharded, statement, locations, keys: &keys, scene };
        if let Some(moments) = transfer::stays(&table, write, written.0, written.1) {
            spread = Spread::Write(writes::Several { how: writes::How::Shares(moments.into()), dated: true });
            continue;
        }
        writes::check_defaults(&table, write, written.0)?;
        uses.extend(table.new_rows(write)?);
        spread = match table.several(write, written.0) {
            Ok(several) => Spread::Write(several),
            // Not even on one shard: nobody knows where its rows belong then.
            Err(refusal) if table.computes_key(write) => return Err((refusal, Override::Never)),
            // A row that conflicts may be on any shard.
            Err(refusal) if writes::conflicts_elsewhere(&table, written.0) => return Err((refusal, Override::Never)),
            Err(refusal) => Spread::Refused(refusal),
        };
    }
    Ok(Keyed { uses, home: false, spread })
}

/// The chain of what several shards can do together, the cheapest first.
fn spread(
    statement: &Statement,
    keys: &Keys,
    locations: &Locations,
    scene: &Scene,
    (text, names, as_one): Written<'_>,
    apart: Option<Refusal>,
) -> Spread {
    let is_apart = apart.is_some();
    let root = statement.scopes.get(statement.root);
    let views = locations.get(statement.root).into_iter().flatten().flatten().any(|found| found.view.is_some());
    if views && root.is_some_and(|root| root.features.locking) {
        // What it locks is behind it, reference tables perhaps.
        return Spread::Refused(refusal::not_concatenable("FOR UPDATE or FOR SHARE of a view"));
    }
    let refusal = match apart {
        Some(apart) => apart,
        None => match scatter::check(statement, keys, &scene.functions()) {
            Ok(()) if as_one => refusal::not_parsed(),
            Ok(()) => return Spread::Concatenate,
            Err(refusal) => refusal,
        },
    };
    let locks = statement.scopes.get(statement.root).is_some_and(|root| root.features.locking && !root.features.limit);
    let otherwise = if scene.catalog.is_none() || locks {
        Spread::Refused(refusal)
    } else {
        match gather::plan(text, statement, keys, locations, scene) {
            Ok(gather) => Spread::Gather(Arc::new(gather)),
            Err(refusal) => Spread::Refused(refusal),
        }
    };
    if is_apart || as_one {
        return otherwise;
    }
    match merge::build(statement, keys, locations, scene, names, text) {
        Some(Way::Concatenate) => Spread::Concatenate,
        Some(Way::Merge(merge)) => Spread::Merge(Arc::from(merge), Box::new(otherwise)),
        // Tables of one name are told apart where they are gathered.
        None if matches!(&otherwise, Spread::Gather(gather) if gather.renamed.is_empty()) => {
            let carried = merge::carried(statement, keys, locations, (scene, names), text);
            if carried.is_empty() { otherwise } else { Spread::Carry(carried.into(), Box::new(otherwise)) }
        }
        None => otherwise,
    }
}
