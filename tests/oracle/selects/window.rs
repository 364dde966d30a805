//! Window functions. In: the columns that may be named, and which of them tell rows apart. Out: calls whose value
//! doesn't depend on the order of peers.

use super::tables::Kind::{self, Big, Float, Int, Num};
use super::tree::{Tree, text};
use super::{Generator, Scope};

impl Generator {
    pub(super) fn window(&mut self, kind: Kind, scope: &Scope, depth: usize) -> Option<Tree> {
        let partition = match self.dice.percent(60) {
            true => {
                let of = self.dice.one_of(super::tables::KINDS);
                let of = if of == Kind::Json { Int } else { of };
                let by = self.value(of, scope, depth + 1);
                Tree::optional(vec![text("PARTITION BY "), by, text(" ")])
            }
            false => Tree::empty(),
        };
        let mut order = Vec::new();
        if self.dice.percent(60) {
            let of = self.dice.one_of(&[Int, Kind::Text, Num, Kind::Time]);
            order.push(Tree::All(vec![self.value(of, scope, depth + 1), text(self.direction())]));
        }
        // Without a complete order only what is the same for peers.
        let unique = scope.unique.clone().filter(|_| self.dice.percent(60));
        let (call, frame) = match unique {
            Some(unique) => {
                let mut unique: Vec<_> = unique.iter().map(|column| text(&column.name)).collect();
                order.append(&mut unique);
                (
                    self.ordered_call(kind, scope, depth)?,
                    self.dice.pick(&[
                        "",
                        " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
                        " ROWS UNBOUNDED PRECEDING",
                        " GROUPS 2 PRECEDING",
                    ]),
                )
            }
            None => (self.peers_call(kind, scope, depth)?, ""),
        };
        let order = if order.is_empty() {
            Tree::empty()
        } else {
            let least = order.len();
            Tree::All(vec![Tree::list("ORDER BY ", ", ", order, least), text(frame)])
        };
        Some(Tree::value(kind, vec![call, text(" OVER ("), partition, order, text(")")]))
    }

    pub(super) fn direction(&mut self) -> &'static str {
        self.dice.pick(&["", "", " DESC", " NULLS FIRST", " DESC NULLS LAST", " ASC NULLS LAST"])
    }

    /// The same for rows that the order doesn't tell apart.
    fn peers_call(&mut self, kind: Kind, scope: &Scope, depth: usize) -> Option<Tree> {
        Some(match kind {
            Big => match self.dice.below(4) {
                0 => text("rank()"),
                1 => text("dense_rank()"),
                2 => text("count(*)"),
                _ => Tree::All(vec![text("sum("), self.value(Int, scope, depth + 1), text(")")]),
            },
            Float => text(self.dice.pick(&["percent_rank()", "cume_dist()"])),
            _ => self.aggregate_over(kind, scope, depth)?,
        })
    }

    fn ordered_call(&mut self, kind: Kind, scope: &Scope, depth: usize) -> Option<Tree> {
        if kind == Big && self.dice.percent(40) {
            return Some(text("row_number()"));
        }
        if kind == Int && self.dice.percent(30) {
            return Some(text("ntile(3)"));
        }
        let (open, close) = self.dice.one_of(&[
            ("lag(", ")"),
            ("lead(", ", 2)"),
            ("first_value(", ")"),
            ("last_value(", ")"),
            ("nth_value(", ", 2)"),
        ]);
        Some(Tree::All(vec![text(open), self.value(kind, scope, depth + 1), text(close)]))
    }

    fn aggregate_over(&mut self, kind: Kind, scope: &Scope, depth: usize) -> Option<Tree> {
        match kind {
            Num => Some(Tree::All(vec![
                text(self.dice.pick(&["sum(", "avg("])),
                self.value(Num, scope, depth + 1),
                text(")"),
            ])),
            Int | Kind::Text | Kind::Date | Kind::Time => Some(Tree::All(vec![
                text(self.dice.pick(&["min(", "max("])),
                self.value(kind, scope, depth + 1),
                text(")"),
            ])),
            _ => None,
        }
    }
}
