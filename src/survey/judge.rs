//! One statement after the other, as a session would plan them. In: what was sent. Out: a [`Verdict`] for each
//! statement of the text.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::standing::{assignments, mend};
use super::{Class, Sent};
use crate::observe::Strategy;
use crate::planning::{
    Hint, Names, ParameterValue, Parameters, Plan, Refusal, Scene, Template, TemplateCache, explain,
};
use crate::sql::command::SessionCommand;
use crate::sql::{Command, LexOptions, Lexed, TokenKind, Tokens, fold_identifier, lex};
use crate::types::SqlState;

/// What the statements before have left.
pub struct Judge {
    scene: Scene,
    names: Names,
    hint: Option<Hint>,
    templates: TemplateCache,
}

/// What becomes of one statement.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) class: Class,
    pub(super) plan: String,
    pub(super) refusal: Option<Refusal>,
    pub(super) readable: String,
    pub(super) normalized: Vec<u8>,
}

const OPTIONS: LexOptions = LexOptions { standard_conforming_strings: true };

impl Judge {
    pub fn new(scene: Scene, search_path: Vec<String>) -> Self {
        let names = Names { search_path, temporary: BTreeSet::new(), standard_conforming_strings: true, atomic: false };
        Self { scene, names, hint: None, templates: TemplateCache::default() }
    }

    pub(super) fn judge(&mut self, sent: &Sent) -> Vec<Verdict> {
        let mut lexed = Lexed::default();
        if let Err(error) = lex(sent.sql.as_bytes(), &OPTIONS, &mut lexed) {
            let what = format!("unterminated quote or comment at byte {} of the statement", error.at);
            let refusal = Refusal { state: SqlState::SYNTAX_ERROR, ..Refusal::new(what, "", "Close it.") };
            return vec![Verdict {
                class: Class::Refused,
                plan: String::new(),
                refusal: Some(refusal),
                readable: sent.sql.clone(),
                normalized: sent.sql.clone().into_bytes(),
            }];
        }
        if lexed.statements.len() > 1 {
            return sent.clone().divide().iter().flat_map(|one| self.judge(one)).collect();
        }
        if lexed.statements.is_empty() {
            return Vec::new();
        }
        let sql = match sent.parameters {
            Some(_) => sent.sql.clone(),
            None => mend(&sent.sql),
        };
        let planned = self.worst(&sql, sent.parameters.as_deref());
        let (class, plan, refusal) = match planned {
            Ok(plan) => (class(&plan), explain::plan(&plan, &self.scene.map), None),
            Err(refusal) => (Class::Refused, String::new(), Some(refusal)),
        };
        self.follow(&sql);
        vec![Verdict {
            class,
            plan,
            refusal,
            readable: without_values(&sent.sql, &lexed),
            normalized: lexed.normalized,
        }]
    }

    /// With the values that were sent; where they aren't known, the most that a call may cost with values that fit.
    fn worst(&self, sql: &str, sent: Option<&[Option<String>]>) -> Result<Plan, Refusal> {
        let mut lexed = Lexed::default();
        let _ = lex(sql.as_bytes(), &OPTIONS, &mut lexed);
        let parameters = usize::from(lexed.parameters);
        if parameters == 0 {
            return self.plan(sql.as_bytes(), None);
        }
        if let Some(values) = sent {
            return self.plan(sql.as_bytes(), Some(values));
        }
        // Each family has values of one type: those of the key's type are the ones that tell.
        let rank = |planned: &Result<Plan, Refusal>| match planned {
            Ok(plan) => (class(plan), plan.strategy().1),
            Err(_) => (Class::Refused, usize::MAX),
        };
        let families = assignments(sql, parameters).into_iter().map(|family| {
            let each = family.into_iter().map(|values| self.plan(sql.as_bytes(), Some(&values)));
            each.reduce(|worst, next| if rank(&next) > rank(&worst) { next } else { worst })
        });
        let best = families.flatten().reduce(|best, next| if rank(&next) < rank(&best) { next } else { best });
        best.unwrap_or_else(|| self.plan(sql.as_bytes(), None))
    }

    fn plan(&self, sql: &[u8], values: Option<&[Option<String>]>) -> Result<Plan, Refusal> {
        let (lexed, template) = self.template(sql);
        if let Some(filling) = &template.filling {
            // Which ids the proxy serves doesn't matter: any will do.
            let (filled, _) = filling.apply(sql, &OPTIONS, |at| (at + 1).to_string());
            let (lexed, template) = self.template(&filled);
            return self.bind(&filled, &lexed, &template, values);
        }
        self.bind(sql, &lexed, &template, values)
    }

    fn template(&self, sql: &[u8]) -> (Lexed, Arc<Template>) {
        let mut lexed = Lexed::default();
        // It was lexed before, or made of a text that was.
        let _ = lex(sql, &OPTIONS, &mut lexed);
        let key = self.names.fingerprint();
        let template = self.templates.get(sql, &lexed, key).unwrap_or_else(|| {
            let template = Arc::new(Template::build(sql, &lexed, &self.scene, &self.names));
            self.templates.insert(&lexed, key, Arc::clone(&template));
            template
        });
        (lexed, template)
    }

    fn bind(
        &self,
        sql: &[u8],
        lexed: &Lexed,
        template: &Template,
        values: Option<&[Option<String>]>,
    ) -> Result<Plan, Refusal> {
        let values: Option<Vec<_>> = values
            .map(|values| values.iter().map(|value| value.as_deref().map_or(ParameterValue::Null, text)).collect());
        let parameters = values.as_deref().map(|values| Parameters { types: &[], types_are_certain: false, values });
        template.bind_hinted(sql, lexed, parameters, self.hint.as_ref())
    }

    /// What holds for the statements that follow.
    fn follow(&mut self, sql: &str) {
        let (_, template) = self.template(sql.as_bytes());
        let Some(statement) = template.statements.first() else { return };
        if statement.effects.creates_temporary
            && let Some(name) = temporary_name(sql)
        {
            self.names.temporary.insert(name);
        }
        match &statement.command {
            Command::Session(SessionCommand::Set { setting, .. }) => {
                let value: Vec<String> = value_of(sql, setting.value_after_tokens);
                match setting.name.as_str() {
                    "search_path" => self.names.search_path = value,
                    "shardway.key" => self.hint = value.into_iter().next().map(Hint::Key),
                    "shardway.shard" => self.hint = value.into_iter().next().map(Hint::Shard),
                    _ => {}
                }
            }
            Command::Session(SessionCommand::Reset { name, .. }) if name.starts_with("shardway.") => self.hint = None,
            Command::Session(SessionCommand::ResetAll | SessionCommand::DiscardAll) => {
                self.hint = None;
                self.names.temporary.clear();
            }
            _ => {}
        }
    }
}

impl Sent {
    /// Each statement of the text.
    pub fn divide(self) -> Vec<Self> {
        let mut lexed = Lexed::default();
        if lex(self.sql.as_bytes(), &OPTIONS, &mut lexed).is_err() || lexed.statements.len() < 2 {
            return vec![self];
        }
        let each = lexed.statements.iter().filter_map(|span| self.sql.get(span.clone()));
        each.map(|sql| Self { sql: sql.to_owned(), ..self.clone() }).collect()
    }
}

/// As it was written, on one line, a question mark in the place of each value.
fn without_values(sql: &str, lexed: &Lexed) -> String {
    let start = lexed.statements.first().map_or(0, |span| span.start);
    let mut out = String::with_capacity(sql.len());
    let mut copied = start;
    for literal in lexed.literals.iter().filter(|literal| literal.span.start >= start) {
        out.push_str(sql.get(copied..literal.span.start).unwrap_or_default());
        out.push('?');
        copied = literal.span.end;
    }
    out.push_str(sql.get(copied..).unwrap_or_default());
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn text(value: &str) -> ParameterValue<'_> {
    ParameterValue::Text(value.as_bytes())
}

fn class(plan: &Plan) -> Class {
    let (strategy, shards) = plan.strategy();
    match strategy {
        Strategy::Session => Class::Session,
        Strategy::Definition => Class::Definition,
        Strategy::Gather => Class::Gathered,
        Strategy::Split | Strategy::WriteSeveral if shards > 1 => Class::Written,
        Strategy::Scatter | Strategy::Merge if shards > 1 => Class::Scattered,
        Strategy::OnlyShard
        | Strategy::Key
        | Strategy::Range
        | Strategy::NoRows
        | Strategy::Home
        | Strategy::Hint
        | Strategy::Reference
        | Strategy::Scatter
        | Strategy::Merge
        | Strategy::Split
        | Strategy::WriteSeveral => Class::One,
    }
}

/// The elements of a setting's value, behind so many tokens.
fn value_of(sql: &str, after: usize) -> Vec<String> {
    let words =
        Tokens::new(sql.as_bytes(), &OPTIONS).skip(after).filter(|token| !matches!(token.kind, TokenKind::Punct(_)));
    words.filter_map(|token| plain(sql.get(token.span)?)).collect()
}

fn plain(written: &str) -> Option<String> {
    match written.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(text) => Some(text.replace("''", "'")),
        None => Some(fold_identifier(written.as_bytes())),
    }
}

/// Of the table, view or sequence that `CREATE TEMP ...` or `INTO TEMP ...` makes.
fn temporary_name(sql: &str) -> Option<String> {
    const BETWEEN: [&str; 7] = ["table", "sequence", "view", "recursive", "if", "not", "exists"];
    let mut words = Tokens::new(sql.as_bytes(), &OPTIONS).filter_map(|token| sql.get(token.span));
    words.find(|word| word.eq_ignore_ascii_case("temp") || word.eq_ignore_ascii_case("temporary"))?;
    let name = words.find(|word| !BETWEEN.iter().any(|between| word.eq_ignore_ascii_case(between)))?;
    plain(name)
}
