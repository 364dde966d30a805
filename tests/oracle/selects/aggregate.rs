//! Aggregates, in every form: FILTER, DISTINCT, an order of their own, ordered sets. In: the columns that may be named.
//! Out: calls whose value doesn't depend on the order of rows that are alike.

use super::tables::Kind::{self, Big, Bool, Date, Float, Int, Json, Mood, Num, Text, Texts, Time};
use super::tree::{Tree, text};
use super::value::tighten;
use super::{Generator, Scope};

impl Generator {
    /// A call of this kind, if there is an aggregate for it. One that names only columns of a query around would be
    /// that query's, and mostly not allowed where it stands.
    pub(super) fn aggregate(&mut self, kind: Kind, scope: &Scope, depth: usize) -> Option<Tree> {
        let outer = std::mem::take(&mut self.outer);
        let call = self.call(kind, scope, depth);
        self.outer = outer;
        call
    }

    fn call(&mut self, kind: Kind, scope: &Scope, depth: usize) -> Option<Tree> {
        let mut call = match (kind, self.dice.below(5)) {
            (Big, 0) => vec![text("count(*)")],
            (Big, 1) => vec![text("count(DISTINCT "), self.any_safe(scope, depth), text(")")],
            (Big, 2) => vec![text("sum("), self.value(Int, scope, depth), text(")")],
            (Big, _) => vec![text("count("), self.any_safe(scope, depth), text(")")],
            (Num, 0) => vec![text("avg("), self.value(Int, scope, depth), text(")")],
            (Num, 1) => vec![text("sum("), self.value(Big, scope, depth), text(")")],
            (Num, 2) => vec![
                text(self.dice.pick(&["stddev(", "var_pop(", "variance("])),
                self.value(Int, scope, depth),
                text(")"),
            ],
            (Num, 3) => vec![text("sum(DISTINCT "), self.safe(Num, scope, depth), text(")")],
            (Num, _) => vec![text(self.dice.pick(&["sum(", "avg("])), self.value(Num, scope, depth), text(")")],
            (Bool, _) => vec![
                text(self.dice.pick(&["bool_and(", "bool_or(", "every("])),
                self.value(Bool, scope, depth),
                text(")"),
            ],
            (Float, 0) => {
                vec![text("percentile_cont(0.5) WITHIN GROUP (ORDER BY "), self.value(Int, scope, depth), text(")")]
            }
            (Int | Text | Mood | Date | Time, 0) => {
                let how =
                    self.dice.pick(&["percentile_disc(0.3) WITHIN GROUP (ORDER BY ", "mode() WITHIN GROUP (ORDER BY "]);
                vec![text(how), self.safe(kind, scope, depth), text(")")]
            }
            (Int, 1) => vec![text(self.dice.pick(&["bit_or(", "bit_and("])), self.value(Int, scope, depth), text(")")],
            (Text, 1 | 2) => {
                let value = self.value(Text, scope, depth);
                vec![text("string_agg("), value.clone(), text(", ',' ORDER BY "), value, text(")")]
            }
            (Kind::Ints, _) => {
                let value = self.value(Int, scope, depth);
                let order = self.dice.pick(&["", " DESC", " NULLS FIRST"]);
                vec![text("array_agg("), value.clone(), text(" ORDER BY "), value, text(format!("{order})"))]
            }
            (Texts, _) => {
                let value = self.value(Text, scope, depth);
                vec![text("array_agg(DISTINCT "), value.clone(), text(" ORDER BY "), value, text(")")]
            }
            (Json, _) => {
                let of = self.dice.one_of(&[Int, Text, Date]);
                let value = self.safe(of, scope, depth);
                vec![text("jsonb_agg("), value.clone(), text(" ORDER BY "), value, text(")")]
            }
            (Int | Text | Date | Time | Mood, _) => {
                vec![text(self.dice.pick(&["min(", "max("])), self.value(kind, scope, depth), text(")")]
            }
            (Float, _) => vec![text(self.dice.pick(&["min(", "max("])), self.safe(kind, scope, depth), text(")")],
            (Kind::Span | Kind::Bytes | Kind::Uuid, _) => return None,
        };
        if self.dice.percent(18) {
            let filter = self.condition(scope, 1);
            call.push(Tree::optional(vec![text(" FILTER (WHERE "), filter, text(")")]));
        }
        Some(Tree::value(kind, call))
    }

    fn any_safe(&mut self, scope: &Scope, depth: usize) -> Tree {
        let kind = self.dice.one_of(&[Int, Big, Num, Text, Mood, Date, Time, Float]);
        let value = self.value(kind, scope, depth);
        tighten(kind, value)
    }
}
