//! One call: its values choose among the routes of a template.

use std::sync::Arc;

use super::evaluate::{Call, Claimed};
use super::gather::{self, Gather, Source};
use super::merge::{Amounts, Carrying};
use super::plan::{CarryWay, Definition, Plan, Pull, Refusal, RowsByShard, Step, Way, Why};
use super::refusal;
use super::route::{Keyed, Override, Route, Routed, Rows, Spread, Use};
use super::scene::Hint;
use super::stages::Stages;
use super::template::{Parameters, Template};
use super::transfer::Transfer;
use super::writes::{Copies, How, Moves, Several};
use crate::routing::Unique;
use crate::routing::key;
use crate::sql::{Command, Lexed};
use crate::types::{KeyType, KeyValue, ShardId, ShardSet};

pub fn bind(
    template: &Template,
    sql: &[u8],
    lexed: &Lexed,
    parameters: Option<Parameters<'_>>,
    session_hint: Option<&Hint>,
    claimed: &Claimed,
) -> Result<Plan, Refusal> {
    let plan = chosen(template, sql, lexed, parameters, session_hint, claimed)?;
    Ok(watched(template, plan))
}

/// As [`Template::bind_timed`] says.
pub fn timed(template: &Template, sql: &[u8], lexed: &Lexed, parameters: Option<Parameters<'_>>) -> Option<Plan> {
    let [Routed { route: Route::Keyed(keyed), .. }] = &*template.routes else { return None };
    let Spread::Write(several @ Several { how: How::Rows(layout), .. }) = &keyed.spread else { return None };
    if layout.fills.is_empty() {
        return None;
    }
    let claimed = Claimed::default();
    let call = Call { sql, lexed, parameters, occurrences: &template.occurrences, claimed: &claimed };
    let binding = Binding { template, call };
    let shards = keyed.uses.iter().filter_map(|uses| Some(uses.reach(&binding.call).ok()?.shards)).flatten();
    binding.several(keyed, several, ShardSet::from_shards(shards.collect::<Vec<_>>())?).ok()
}

/// A statement that may change what is kept unique over all shards isn't simply passed on: its shard is asked what it has
/// changed.
fn watched(template: &Template, plan: Plan) -> Plan {
    if template.routes.iter().all(|routed| routed.watched.is_empty()) {
        return plan;
    }
    match plan {
        Plan::Single { shard, why } if !matches!(why, Why::OnlyShard | Why::NoRows) => match &*template.routes {
            [_] => Plan::WriteAll { shards: ShardSet::one(shard), moments: Arc::default() },
            _ => Plan::Batch,
        },
        other => other,
    }
}

/// What is unique, and the values of one call: `Some(None)` where one of them is NULL, `None` where they aren't known.
pub type LookedFor = (Arc<Unique>, Option<Option<Vec<KeyValue>>>);

/// What is to be looked up before this call is bound: for each of the statement's lookups.
pub fn lookups(template: &Template, sql: &[u8], lexed: &Lexed, parameters: Option<Parameters<'_>>) -> Vec<LookedFor> {
    let [routed] = &*template.routes else { return Vec::new() };
    let claimed = Claimed::default();
    let call = Call { sql, lexed, parameters, occurrences: &template.occurrences, claimed: &claimed };
    routed.lookups.iter().map(|lookup| (Arc::clone(&lookup.unique), lookup.wanted(&call))).collect()
}

fn chosen(
    template: &Template,
    sql: &[u8],
    lexed: &Lexed,
    parameters: Option<Parameters<'_>>,
    session_hint: Option<&Hint>,
    claimed: &Claimed,
) -> Result<Plan, Refusal> {
    let call = Call { sql, lexed, parameters, occurrences: &template.occurrences, claimed };
    let binding = Binding { template, call };
    let written;
    let hint = match &lexed.hint {
        None => session_hint,
        Some(span) => {
            written = binding.written_hint(span.clone())?;
            // Says nothing of the place.
            if matches!(written, Hint::Read(_)) { session_hint } else { Some(&written) }
        }
    };
    if template.map.shard_count() == 1 {
        return binding.only_shard(hint);
    }
    if let Some(refusal) = &template.batch {
        return if hint.is_none() { Ok(Plan::Batch) } else { Err(refusal.clone()) };
    }
    match hint {
        Some(Hint::Shard(name)) => binding.on_shard(name),
        Some(Hint::Key(value)) => match binding.combine(|routed| binding.by_key(routed, value))? {
            Plan::Batch => Err(refusal::batch("with a hint must all concern its shard")),
            plan => Ok(plan),
        },
        None | Some(Hint::Read(_)) => binding.combine(|routed| binding.route(routed)),
    }
}

struct Binding<'a> {
    template: &'a Template,
    call: Call<'a>,
}

impl Binding<'_> {
    fn written_hint(&self, span: std::ops::Range<usize>) -> Result<Hint, Refusal> {
        let body = String::from_utf8_lossy(self.call.sql.get(span).unwrap_or_default());
        Hint::parse(&body).ok_or_else(|| refusal::bad_hint(&body))
    }

    fn shard_named(&self, name: &str) -> Result<ShardId, Refusal> {
        let map = &self.template.map;
        map.shard_by_name(name).ok_or_else(|| {
            let known: Vec<&str> = map.shard_ids().map(|shard| map.shard_name(shard)).collect();
            refusal::no_such_shard(name, &known.join(", "))
        })
    }

    fn is_touched(&self) -> bool {
        use crate::sql::command::SessionCommand as Session;
        self.template.statements.iter().all(|statement| match &statement.command {
            Command::Empty | Command::Transaction(_) => true,
            Command::Session(
                Session::Declare { .. } | Session::Listen | Session::Unlisten { .. } | Session::Notify | Session::Load,
            ) => false,
            Command::Session(Session::Prepare { .. } | Session::Execute { .. }) => false,
            Command::Session(_) => true,
            Command::Ordinary(_) => false,
        })
    }

    fn only_shard(&self, hint: Option<&Hint>) -> Result<Plan, Refusal> {
        if let Some(Hint::Shard(name)) = hint {
            self.shard_named(name)?;
        }
        if self.is_touched() {
            return Ok(Plan::Touched);
        }
        Ok(Plan::Single { shard: self.template.map.home(), why: Why::OnlyShard })
    }

    /// The client names the shard. Rows whose place is known still don't go anywhere else.
    fn on_shard(&self, name: &str) -> Result<Plan, Refusal> {
        let shard = self.shard_named(name)?;
        if self.template.routes.iter().all(|routed| matches!(routed.route, Route::Touched)) {
            return Ok(Plan::Touched);
        }
        for routed in &self.template.routes {
            match &routed.route {
                Route::Refused(refusal, Override::Never) => return Err(refusal.clone()),
                Route::Keyed(keyed) => {
                    keyed.stays()?;
                    for new in keyed.uses.iter().filter(|uses| matches!(uses.rows, Rows::New(_))) {
                        self.agrees(new, shard)?;
                    }
                }
                _ => {}
            }
        }
        Ok(Plan::Single { shard, why: Why::Hint })
    }

    /// That what is known of a use doesn't contradict a hint. Not knowing is what hints are for.
    fn agrees(&self, uses: &Use, shard: ShardId) -> Result<(), Refusal> {
        match uses.reach(&self.call) {
            Ok(reached)
                if reached.shards.iter().any(|reached| *reached != shard) && matches!(uses.rows, Rows::New(_)) =>
            {
                Err(refusal::hint_disagrees(&uses.display))
            }
            Ok(reached) if !reached.shards.is_empty() && !reached.shards.contains(&shard) => {
                Err(refusal::hint_disagrees(&uses.display))
            }
            Ok(_) => Ok(()),
            // Rows without a key, or with one that has no shard, are errors whatever the hint.
            Err(refusal) if refusal.state != crate::types::SqlState::FEATURE_NOT_SUPPORTED => Err(refusal),
            Err(_) => Ok(()),
        }
    }

    /// The client gives the key of the statement's sharded tables.
    fn by_key(&self, routed: &Routed, value: &str) -> Result<Plan, Refusal> {
        let overridable = match &routed.route {
            Route::Keyed(_) | Route::Refused(_, Override::Key) => true,
            Route::CopyIn(target) => target.key.is_some(),
            Route::Transfer(_) | Route::Stages(_) => true,
            Route::Refused(refusal, _) => return Err(refusal.clone()),
            Route::Touched | Route::Home | Route::Any | Route::Copies(_) | Route::Everywhere(..) => false,
        };
        if !overridable {
            return self.route(routed);
        }
        let mut shard = None;
        for (table, sharded) in &routed.sharded {
            let bad = || refusal::hint_value(value, table, &sharded.key);
            let key = match sharded.key_type {
                Some(key_type) => key::from_text(key_type, value).map_err(|_| bad())?,
                None => [KeyType::Int8, KeyType::Uuid, KeyType::Text]
                    .into_iter()
                    .find_map(|key_type| key::from_text(key_type, value).ok())
                    .ok_or_else(bad)?,
            };
            let found = sharded.placement.shard_of(&key).map_err(|_| bad())?;
            if shard.is_some_and(|shard| shard != found) {
                return Err(refusal::several_shards("a hint with a key"));
            }
            shard = Some(found);
        }
        let shard = shard.ok_or_else(refusal::hint_not_applicable)?;
        if let Route::Keyed(keyed) = &routed.route {
            keyed.stays()?;
            if keyed.home && shard != self.template.map.home() {
                return Err(refusal::hint_and_home());
            }
            keyed.uses.iter().try_for_each(|uses| self.agrees(uses, shard))?;
        }
        Ok(Plan::Single { shard, why: Why::Hint })
    }

    fn route(&self, routed: &Routed) -> Result<Plan, Refusal> {
        match &routed.route {
            Route::Touched => Ok(Plan::Touched),
            Route::Home => Ok(Plan::Single { shard: self.template.map.home(), why: Why::Home }),
            Route::Any => Ok(Plan::Any),
            Route::Copies(copies) => self.copies(copies),
            Route::Everywhere(way, absent) => {
                Ok(Plan::Definition(Definition { steps: vec![Step::Everywhere(*way, Arc::clone(absent))] }))
            }
            Route::CopyIn(target) => Ok(Plan::CopyIn(Arc::clone(target))),
            Route::Transfer(transfer) => self.transfer(transfer),
            Route::Stages(stages) => Ok(self.stages(stages)),
            Route::Refused(refusal, _) => Err(refusal.clone()),
            Route::Keyed(keyed) => self.keyed(keyed),
        }
    }

    fn keyed(&self, keyed: &Keyed) -> Result<Plan, Refusal> {
        if let Spread::Write(Several { how: How::Moves(moves), dated }) = &keyed.spread {
            return self.moves(keyed, moves, *dated);
        }
        if let [only] = &*keyed.uses
            && !keyed.home
            && let Some((shard, value)) = only.one_key(&self.call)
        {
            return Ok(Plan::Single { shard, why: only.why(Some(value)) });
        }
        let mut shards: Vec<ShardId> = keyed.home.then(|| self.template.map.home()).into_iter().collect();
        let mut why = None;
        let mut reached_by = Vec::with_capacity(keyed.uses.len());
        for uses in &keyed.uses {
            let reached = uses.reach(&self.call)?;
            if why.is_none() && !reached.shards.is_empty() {
                why = Some(uses.why(reached.key));
            }
            shards.extend(&reached.shards);
            reached_by.push(reached.shards);
        }
        match ShardSet::from_shards(shards) {
            // Nothing can be found on any shard, which one of them may say.
            None => Ok(Plan::Single { shard: self.template.map.home(), why: Why::NoRows }),
            Some(shards) => match (shards.single(), &keyed.spread) {
                (Some(_), Spread::Write(several @ Several { how: How::Rows(layout), .. }))
                    if !layout.conflicts.is_empty() =>
                {
                    self.several(keyed, several, shards)
                }
                (Some(shard), _) => Ok(Plan::Single { shard, why: why.unwrap_or(Why::NoRows) }),
                (None, Spread::Write(several)) => self.several(keyed, several, shards),
                (None, spread) => self.spread(spread, shards, &reached_by),
            },
        }
    }

    /// An UPDATE that sets the shard key.
    fn moves(&self, keyed: &Keyed, moves: &Arc<Moves>, dated: bool) -> Result<Plan, Refusal> {
        if dated && self.call.names_moment() {
            return Err(refusal::dated_literal());
        }
        let (mut sources, mut goals, mut why) = (Vec::new(), Vec::new(), None);
        for uses in &keyed.uses {
            let reached = uses.reach(&self.call)?;
            if matches!(uses.rows, Rows::New(_)) {
                goals.extend(reached.shards);
                continue;
            }
            if why.is_none() && !reached.shards.is_empty() {
                why = Some(uses.why(reached.key));
            }
            sources.extend(reached.shards);
        }
        let Some(sources) = ShardSet::from_shards(sources) else {
            return Ok(Plan::Single { shard: self.template.map.home(), why: Why::NoRows });
        };
        let goal = goals.first().copied();
        let stays = |shard: &ShardId| goal.is_none_or(|goal| goal == *shard);
        if !moves.is_computed() && sources.as_slice().iter().all(stays) {
            // A key that is NULL where it can't be moves nothing: the servers say what is wrong with it.
            return Ok(match sources.single() {
                Some(shard) => Plan::Single { shard, why: why.unwrap_or(Why::NoRows) },
                None => Plan::WriteAll { shards: sources, moments: moves.moments.iter().cloned().collect() },
            });
        }
        Ok(Plan::Move { sources, goal, moves: Arc::clone(moves) })
    }

    fn spread(&self, spread: &Spread, shards: ShardSet, reached_by: &[Vec<ShardId>]) -> Result<Plan, Refusal> {
        let reads = matches!(spread, Spread::Concatenate | Spread::Merge(..) | Spread::Carry(..) | Spread::Gather(_));
        if reads && self.call.asks_clocks() {
            return Err(refusal::dated_parameter());
        }
        match spread {
            Spread::Concatenate => Ok(Plan::Scatter { shards }),
            Spread::Merge(merge, otherwise) => match merge.amounts(&self.call) {
                Amounts::Window(window) => Ok(Plan::Merge {
                    otherwise: Box::new(self.spread(otherwise, shards.clone(), reached_by)),
                    shards,
                    merge: Arc::clone(merge),
                    window,
                }),
                // Any server says what is wrong with it.
                Amounts::Negative => Ok(Plan::Single { shard: self.template.map.home(), why: Why::NoRows }),
                Amounts::Unknown => self.spread(otherwise, shards, reached_by),
            },
            Spread::Carry(carryings, otherwise) => self.carry(carryings, otherwise, shards, reached_by),
            Spread::Gather(gather) => Ok(self.gather(gather, reached_by)),
            Spread::Transfer(transfer) => self.transfer(transfer),
            Spread::Stages(stages) => Ok(self.stages(stages)),
            Spread::Write(_) => Err(refusal::several_shards("a write")),
            Spread::Refused(refusal) => Err(refusal.clone()),
        }
    }

    fn stages(&self, stages: &Arc<Stages>) -> Plan {
        Plan::Stages { conditions: stages.conditions(&self.call), stages: Arc::clone(stages) }
    }

    fn carry(
        &self,
        carryings: &Arc<[Carrying]>,
        otherwise: &Spread,
        shards: ShardSet,
        reached_by: &[Vec<ShardId>],
    ) -> Result<Plan, Refusal> {
        let otherwise = self.spread(otherwise, shards, reached_by)?;
        let way = |(number, carrying): (usize, &Carrying)| {
            let position = carrying.carried.position;
            let others = reached_by.iter().enumerate().filter(|(at, _)| *at != position);
            let to = ShardSet::from_shards(others.flat_map(|(_, reached)| reached).copied().collect::<Vec<_>>())?;
            let from = reached_by.get(position)?.clone();
            let asked = carrying.carried.asked(&self.call);
            Some(CarryWay { number, of: Arc::clone(carryings), from, asked, to })
        };
        let ways: Vec<CarryWay> = carryings.iter().enumerate().filter_map(way).collect();
        if ways.is_empty() {
            return Ok(otherwise);
        }
        Ok(Plan::Carry { ways, otherwise: Box::new(otherwise) })
    }

    fn transfer(&self, transfer: &Arc<Transfer>) -> Result<Plan, Refusal> {
        let reach = |uses: &super::route::Use| Ok(uses.reach(&self.call)?.shards);
        let reached_by = transfer.uses.iter().map(reach).collect::<Result<Vec<_>, Refusal>>()?;
        match self.gather(&transfer.gather, &reached_by) {
            Plan::Gather { pulls, .. } => Ok(Plan::Transfer { transfer: Arc::clone(transfer), pulls }),
            other => Ok(other),
        }
    }

    fn gather(&self, gather: &Arc<Gather>, reached_by: &[Vec<ShardId>]) -> Plan {
        let home = self.template.map.home();
        let shards = |table: &gather::Table| match &table.source {
            Source::Home | Source::Any => vec![home],
            Source::Shards(uses) => {
                let mut shards: Vec<ShardId> =
                    uses.iter().filter_map(|uses| reached_by.get(*uses)).flatten().copied().collect();
                shards.sort_unstable();
                shards.dedup();
                shards
            }
        };
        let pull = |table: &gather::Table| Pull { shards: shards(table), condition: table.condition(&self.call) };
        Plan::Gather { pulls: gather.tables.iter().map(pull).collect(), gather: Arc::clone(gather) }
    }

    /// A text with a definition runs statement by statement.
    fn definition(&self, plan: impl Fn(&Routed) -> Result<Plan, Refusal>) -> Result<Plan, Refusal> {
        let mut steps = Vec::with_capacity(self.template.routes.len());
        for (routed, statement) in self.template.routes.iter().zip(&self.template.statements) {
            let places = matches!(steps.last(), Some(Step::Everywhere(Way::Placing | Way::Ruled, _)));
            if places && !matches!(statement.command, Command::Transaction(_) | Command::Empty) {
                // It was planned for where the table was before.
                return Err(refusal::batch("can't go on behind a statement that places a new table"));
            }
            steps.push(match (plan(routed)?, &statement.command) {
                (Plan::Definition(definition), _) => match &definition.steps[..] {
                    [Step::Everywhere(Way::Apart, _)] => {
                        return Err(refusal::batch("can't contain one that runs shard by shard"));
                    }
                    [step] => step.clone(),
                    _ => return Err(refusal::batch("can't go to several shards")),
                },
                (Plan::Single { shard, .. }, _) => Step::One(shard),
                (Plan::Any, _) => Step::One(self.template.map.home()),
                (Plan::Touched, Command::Transaction(_) | Command::Empty) => Step::Touched,
                (Plan::Touched, _) => return Err(refusal::batch("can't change settings beside definitions")),
                (
                    Plan::Scatter { .. }
                    | Plan::Merge { .. }
                    | Plan::Carry { .. }
                    | Plan::Gather { .. }
                    | Plan::WriteAll { .. }
                    | Plan::InsertByShard(_)
                    | Plan::Move { .. }
                    | Plan::WriteCopies { .. }
                    | Plan::Transfer { .. }
                    | Plan::Stages { .. }
                    | Plan::CopyIn(_)
                    | Plan::Batch,
                    _,
                ) => {
                    return Err(refusal::batch("can't go to several shards"));
                }
            });
        }
        Ok(Plan::Definition(Definition { steps }))
    }

    fn copies(&self, copies: &Arc<Copies>) -> Result<Plan, Refusal> {
        if copies.dated && self.call.names_moment() {
            return Err(refusal::dated_literal());
        }
        let map = &self.template.map;
        let shards = ShardSet::from_shards(map.shard_ids()).unwrap_or_else(|| ShardSet::one(map.home()));
        Ok(Plan::WriteCopies { shards, home: map.home(), copies: Arc::clone(copies) })
    }

    /// A write on several shards.
    fn several(&self, keyed: &Keyed, several: &Several, shards: ShardSet) -> Result<Plan, Refusal> {
        if several.dated && self.call.names_moment() {
            return Err(refusal::dated_literal());
        }
        let layout = match &several.how {
            How::Shares(moments) => return Ok(Plan::WriteAll { shards, moments: Arc::clone(moments) }),
            How::Rows(layout) => layout,
            How::Moves(_) => return Err(refusal::several_shards("UPDATE")),
            How::Fails => return Ok(Plan::Single { shard: self.template.map.home(), why: Why::NoRows }),
        };
        let new = keyed.uses.iter().find_map(|uses| match &uses.rows {
            Rows::New(keys) => Some((uses, keys)),
            Rows::Matching(_) => None,
        });
        let (uses, keys) = new.ok_or_else(|| refusal::several_shards("INSERT"))?;
        let mut shares: Vec<(ShardId, Vec<usize>)> =
            shards.as_slice().iter().map(|shard| (*shard, Vec::new())).collect();
        let mut values = Vec::with_capacity(keys.len());
        for (row, key) in keys.iter().enumerate() {
            let (shard, value) = uses.new_row(key, &self.call)?.unzip();
            values.push(value);
            let position = shares.iter().position(|(of, _)| shard.is_none_or(|shard| shard == *of));
            let share = position.and_then(|position| shares.get_mut(position));
            share.ok_or_else(|| refusal::several_shards("INSERT"))?.1.push(row);
        }
        let wanted = layout.conflicts.iter().map(|conflicts| conflicts.wanted(&self.call));
        let wanted = wanted.collect::<Result<Vec<_>, _>>()?;
        Ok(Plan::InsertByShard(Arc::new(RowsByShard { layout: Arc::clone(layout), shares, keys: values, wanted })))
    }

    /// All statements of a text go to one shard, and those that don't mind go along; or each goes by itself.
    fn combine(&self, plan: impl Fn(&Routed) -> Result<Plan, Refusal>) -> Result<Plan, Refusal> {
        if let [only] = &*self.template.routes {
            return plan(only);
        }
        if self.template.routes.iter().any(|routed| matches!(routed.route, Route::Everywhere(..))) {
            return self.definition(plan);
        }
        let mut all = Plan::Touched;
        for routed in &self.template.routes {
            all = match (all, plan(routed)?) {
                (all, Plan::Touched) => all,
                (Plan::Touched | Plan::Any, plan @ (Plan::Single { .. } | Plan::Any)) => plan,
                (all @ Plan::Single { .. }, Plan::Any) => all,
                (Plan::Single { shard, why }, Plan::Single { shard: other, .. }) if shard == other => {
                    Plan::Single { shard, why }
                }
                _ => return Ok(Plan::Batch),
            };
        }
        Ok(all)
    }
}
