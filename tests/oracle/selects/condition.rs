//! Conditions. In: the columns that may be named. Out: trees of truth values that can't fail.

use super::tables::KINDS;
use super::tables::Kind::{self, Bool, Int, Ints, Json, Span, Text, Texts};
use super::tree::{Tree, text};
use super::{Generator, Scope};

const CONNECTED_DEPTH_MAX: usize = 2;

impl Generator {
    pub(super) fn condition(&mut self, scope: &Scope, depth: usize) -> Tree {
        if depth < CONNECTED_DEPTH_MAX && self.dice.percent(25) {
            let one = self.condition(scope, depth + 1);
            let connected = match self.dice.below(3) {
                0 => vec![text("(NOT "), one, text(")")],
                1 => vec![Tree::list("(", " AND ", vec![one, self.condition(scope, depth + 1)], 1), text(")")],
                _ => vec![Tree::list("(", " OR ", vec![one, self.condition(scope, depth + 1)], 1), text(")")],
            };
            return Tree::value(Bool, connected);
        }
        if depth < CONNECTED_DEPTH_MAX && self.dice.percent(16) {
            return self.with_query(scope, depth + 1);
        }
        if !scope.users.is_empty() && self.dice.percent(20) {
            return self.of_user(scope);
        }
        let kind = if self.dice.percent(70) && !scope.columns.is_empty() {
            scope.columns[self.dice.below(scope.columns.len())].kind
        } else {
            self.dice.one_of(KINDS)
        };
        self.comparison(kind, scope, depth + 1)
    }

    /// Names a user by the key.
    fn of_user(&mut self, scope: &Scope) -> Tree {
        let user = &scope.users[self.dice.below(scope.users.len())];
        let mut parts = vec![text(user)];
        match self.dice.below(6) {
            0 => {
                parts.extend([text(" IN ("), self.constant(Kind::Big), text(", "), self.constant(Kind::Big), text(")")])
            }
            1 => parts.extend([text(" > "), self.constant(Kind::Big)]),
            2 => parts.push(text(" = ANY ('{1,3,5,8}')")),
            _ => parts.extend([text(" = "), self.constant(Kind::Big)]),
        }
        Tree::value(Bool, parts)
    }

    fn comparison(&mut self, kind: Kind, scope: &Scope, depth: usize) -> Tree {
        let one = self.value(kind, scope, depth);
        let parts = match (kind, self.dice.below(12)) {
            (_, 0) => vec![one, text(" IS NULL")],
            (_, 1) => vec![one, text(" IS NOT NULL")],
            (_, 2) => vec![one, text(" IS DISTINCT FROM "), self.value(kind, scope, depth)],
            (_, 3) => vec![one, text(" IN ("), self.constant(kind), text(", "), self.constant(kind), text(")")],
            (Bool, _) => vec![one, text(self.dice.pick(&[" IS TRUE", " IS NOT FALSE", " IS UNKNOWN"]))],
            (Text, 4) => {
                vec![one, text(self.dice.pick(&[" LIKE '%a%'", " NOT LIKE 'b_'", " ILIKE 'B%'", " ~ '^[a-m]'"]))]
            }
            (Ints, 4 | 5) => vec![self.constant(Int), text(" = ANY ("), one, text(")")],
            (Texts, 4 | 5) => vec![one, text(" && ARRAY['a', 'x']")],
            (Json, 4) => vec![one, text(" ? 'n'")],
            (Json, 5) => vec![one, text(" @> '{}'")],
            (Span, 4) => vec![one, text(" @> "), self.value(Int, scope, depth)],
            (Span, 5) => vec![text("isempty("), one, text(")")],
            (_, 4) => vec![one, text(" BETWEEN "), self.constant(kind), text(" AND "), self.constant(kind)],
            (_, 5) => vec![one, text(" BETWEEN SYMMETRIC "), self.constant(kind), text(" AND "), self.constant(kind)],
            _ => {
                let operator = self.dice.pick(&[" = ", " = ", " < ", " >= ", " <> "]);
                vec![one, text(operator), self.value(kind, scope, depth)]
            }
        };
        Tree::value(Bool, vec![text("("), Tree::All(parts), text(")")])
    }

    /// EXISTS, IN, ANY and ALL over a sub-select.
    fn with_query(&mut self, scope: &Scope, depth: usize) -> Tree {
        let negated = if self.dice.percent(30) { "NOT " } else { "" };
        if self.dice.percent(45) {
            let query = self.within(scope, depth, None);
            return Tree::value(Bool, vec![text(format!("{negated}EXISTS (")), query, text(")")]);
        }
        let kind = self.dice.one_of(KINDS);
        let one = self.value(kind, scope, depth);
        let query = self.within(scope, depth, Some(kind));
        let how = match self.dice.below(5) {
            0 => " = ANY (".to_owned(),
            1 => self.dice.pick(&[" > ALL (", " <> ALL (", " <= ANY ("]).to_owned(),
            _ => format!(" {negated}IN ("),
        };
        Tree::value(Bool, vec![text("("), one, text(how), query, text("))")])
    }
}
