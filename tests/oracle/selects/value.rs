//! Expressions of a kind. In: the columns that may be named. Out: trees whose value is determined and can't fail.

use super::super::list::Parameter;
use super::tables::Kind::{self, Big, Bool, Date, Float, Int, Ints, Json, Num, Span, Text, Texts, Time};
use super::tree::{Tree, text};
use super::{Generator, Scope};

/// Deeper expressions are leaves.
const DEPTH_MAX: usize = 3;

/// `"(~ + 1)"` with expressions for the blanks.
fn form(kind: Kind, pattern: &str, parts: Vec<Tree>) -> Tree {
    let mut parts = parts.into_iter();
    let mut all = Vec::new();
    for (at, between) in pattern.split('~').enumerate() {
        if at > 0 {
            all.push(parts.next().expect("a pattern has as many blanks as parts"));
        }
        all.push(text(between));
    }
    Tree::value(kind, all)
}

impl Generator {
    /// Any expression.
    pub(super) fn value(&mut self, kind: Kind, scope: &Scope, depth: usize) -> Tree {
        if depth >= DEPTH_MAX || self.dice.percent(55) {
            return self.leaf(kind, scope);
        }
        if self.dice.percent(22) {
            return self.of_any_kind(kind, scope, depth);
        }
        let choice = self.dice.below(840);
        let mut of = |kind| self.value(kind, scope, depth + 1);
        match kind {
            Int => {
                let one = of(Int);
                match choice % 8 {
                    0 => form(kind, "(~ % 100 + ~ % 100)", vec![one, self.value(Int, scope, depth + 1)]),
                    1 => form(kind, "(~ % 50 * 3)", vec![one]),
                    2 => form(kind, "length(~)", vec![self.value(Text, scope, depth + 1)]),
                    3 => form(kind, "cardinality(~)", vec![self.value(Ints, scope, depth + 1)]),
                    4 => form(kind, "abs(~ % 1000)", vec![one]),
                    5 => form(kind, "(~ % 1000)::int4", vec![self.value(Big, scope, depth + 1)]),
                    6 => form(kind, "array_length(~, 1)", vec![self.value(Texts, scope, depth + 1)]),
                    _ => form(kind, "(- (~ % 1000))", vec![one]),
                }
            }
            Big => match choice % 5 {
                0 => form(kind, "(~ % 1000)", vec![of(Big)]),
                1 => form(kind, "~::int8", vec![of(Int)]),
                2 => form(kind, "twice(~ % 1000)", vec![of(Big)]),
                3 => form(kind, "(~ % 100 + ~)", vec![of(Big), of(Int)]),
                _ => self.scalar(kind, scope, depth),
            },
            Num => match choice % 7 {
                0 => form(kind, "(~ * 2)", vec![of(Num)]),
                1 => form(kind, "round(~, 2)", vec![of(Num)]),
                2 => form(kind, "(~ + ~)", vec![of(Num), of(Int)]),
                3 => form(kind, "~::numeric", vec![of(Int)]),
                4 => form(kind, "trunc(~)", vec![of(Num)]),
                5 => form(kind, "(~ / 3)", vec![of(Num)]),
                _ => form(kind, "extract(month FROM ~)", vec![of(Time)]),
            },
            Float => match choice % 5 {
                0 => form(kind, "(- ~)", vec![of(Float)]),
                1 => form(kind, "~::float8", vec![of(Int)]),
                2 => form(kind, "abs(~)", vec![of(Float)]),
                3 => form(kind, "greatest(~ + 0, ~)", vec![of(Float), of(Int)]),
                _ => form(kind, "~::float4::float8", vec![of(Int)]),
            },
            Text => self.of_text(scope, depth),
            Bool => self.condition(scope, depth),
            Time => match choice % 4 {
                0 => form(kind, "date_trunc('month', ~)", vec![of(Time)]),
                1 => form(kind, "(~ + interval '1 day')", vec![of(Time)]),
                2 => form(kind, "~::timestamptz", vec![of(Date)]),
                _ => form(kind, "(~ AT TIME ZONE 'Pacific/Auckland' AT TIME ZONE 'UTC')", vec![of(Time)]),
            },
            Date => match choice % 2 {
                0 => form(kind, "(~ + 1)", vec![of(Date)]),
                _ => form(kind, "~::date", vec![of(Time)]),
            },
            Ints => match choice % 3 {
                0 => form(kind, "ARRAY[~, ~]", vec![of(Int), of(Int)]),
                1 => form(kind, "array_remove(ARRAY[~, 2], 2)", vec![of(Int)]),
                _ => form(kind, "array_append(ARRAY[1, NULL], ~)", vec![of(Int)]),
            },
            Texts => match choice % 3 {
                0 => form(kind, "ARRAY[~, ~]", vec![of(Text), of(Text)]),
                1 => form(kind, "string_to_array(~, 'a')", vec![of(Text)]),
                _ => form(kind, "(ARRAY[~] || ARRAY['x'])", vec![of(Text)]),
            },
            Json => match choice % 4 {
                0 => form(kind, "to_jsonb(~)", vec![of(Text)]),
                1 => form(kind, "jsonb_build_object('a', ~, 'b', ~)", vec![of(Int), of(Text)]),
                2 => form(kind, "(~ -> 'n')", vec![of(Json)]),
                _ => form(kind, "jsonb_build_array(~, ~)", vec![of(Bool), of(Time)]),
            },
            Span => form(kind, "(~ * '[0,6)'::int4range)", vec![of(Span)]),
            Kind::Mood | Kind::Bytes | Kind::Uuid => self.of_any_kind(kind, scope, depth),
        }
    }

    fn of_text(&mut self, scope: &Scope, depth: usize) -> Tree {
        let choice = self.dice.below(14);
        let mut of = |kind| self.value(kind, scope, depth + 1);
        let one = of(Text);
        match choice {
            0 => form(Text, "upper(~)", vec![one]),
            1 => form(Text, "lower(~)", vec![one]),
            2 => form(Text, "(~ || '-' || ~)", vec![one, self.value(Text, scope, depth + 1)]),
            3 => form(Text, "substr(~, 2)", vec![one]),
            4 => form(Text, "left(~, 2)", vec![one]),
            5 => form(Text, "replace(~, 'a', 'xx')", vec![one]),
            6 => form(Text, "concat(~, 1, ~)", vec![one, self.value(Bool, scope, depth + 1)]),
            7 => form(Text, "(~ ->> 'n')", vec![self.value(Json, scope, depth + 1)]),
            8 => form(Text, "(~ COLLATE \"C\")", vec![one]),
            9 => form(Text, "md5(~)", vec![one]),
            10 => form(Text, "trim(~)", vec![one]),
            11 => form(Text, "to_char(~, 'YYYY-MM')", vec![self.value(Time, scope, depth + 1)]),
            _ => {
                let from = self.dice.one_of(super::tables::KINDS);
                form(Text, "~::text", vec![self.value(from, scope, depth + 1)])
            }
        }
    }

    fn of_any_kind(&mut self, kind: Kind, scope: &Scope, depth: usize) -> Tree {
        let choice = self.dice.below(6);
        let mut of = |kind| self.value(kind, scope, depth + 1);
        match choice {
            0 => form(kind, "coalesce(~, ~)", vec![of(kind), of(kind)]),
            1 => form(kind, "CASE WHEN ~ THEN ~ ELSE ~ END", vec![of(Bool), of(kind), of(kind)]),
            2 => form(kind, "CASE WHEN ~ THEN ~ END", vec![of(Bool), of(kind)]),
            3 => form(kind, "nullif(~, ~)", vec![of(kind), of(kind)]),
            _ => self.scalar(kind, scope, depth),
        }
    }

    /// A column or a constant.
    pub(super) fn leaf(&mut self, kind: Kind, scope: &Scope) -> Tree {
        let of_kind = |columns: &[super::Column]| -> Vec<String> {
            columns.iter().filter(|column| column.kind == kind).map(|column| column.name.clone()).collect()
        };
        let (own, outer) = (of_kind(&scope.columns), of_kind(&self.outer));
        if !outer.is_empty() && (own.is_empty() || self.dice.percent(25)) {
            let name = self.dice.below(outer.len());
            return Tree::value(kind, vec![text(&outer[name])]);
        }
        if own.is_empty() || self.dice.percent(12) {
            return self.constant(kind);
        }
        let name = self.dice.below(own.len());
        Tree::value(kind, vec![text(&own[name])])
    }

    pub(super) fn constant(&mut self, kind: Kind) -> Tree {
        let value = self.dice.pick(kind.values());
        if self.has_parameters && self.dice.percent(40) {
            let type_name = kind.type_name();
            let given = if self.dice.percent(5) { None } else { Some(value.to_owned()) };
            let parameter = Tree::Parameter(Parameter { type_name: type_name.to_owned(), text: given });
            return Tree::value(kind, vec![parameter, text(format!("::{type_name}"))]);
        }
        if self.dice.percent(6) {
            return Tree::value(kind, vec![text(format!("NULL::{}", kind.type_name()))]);
        }
        let quoted = format!("'{}'", value.replace('\'', "''"));
        let literal = match kind {
            Int if !value.starts_with('-') => value.to_owned(),
            Bool => value.to_owned(),
            _ => format!("{quoted}::{}", kind.type_name()),
        };
        Tree::value(kind, vec![text(literal)])
    }

    /// An expression whose equal values print alike.
    pub(super) fn safe(&mut self, kind: Kind, scope: &Scope, depth: usize) -> Tree {
        let value = self.value(kind, scope, depth);
        tighten(kind, value)
    }

    /// A sub-select that gives one value.
    fn scalar(&mut self, kind: Kind, scope: &Scope, depth: usize) -> Tree {
        match self.single(kind, scope, depth) {
            Some(query) => Tree::value(kind, vec![text("("), query, text(")")]),
            None => self.leaf(kind, scope),
        }
    }
}

/// The same value, so that those that are equal print alike.
pub(super) fn tighten(kind: Kind, value: Tree) -> Tree {
    match kind {
        Num => form(kind, "round(~, 10)", vec![value]),
        Float => form(kind, "(~ + 0)", vec![value]),
        _ => value,
    }
}
