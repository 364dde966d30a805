//! Queries: plain, grouped, DISTINCT, with windows, set operations, WITH. Out: trees, and the columns of their results.

use super::tables::KINDS;
use super::tables::Kind::{self, Big, Int, Json, Text};
use super::tree::{Tree, text};
use super::value::tighten;
use super::{Column, Common, Generator, Scope};

/// A query before it is put in order.
struct Body {
    tree: Tree,
    columns: Vec<Column>,
    /// Expressions that the order may begin with, besides the positions of its columns.
    orders: Vec<Tree>,
}

impl Generator {
    /// A whole statement, and if the order of its rows is determined.
    pub(super) fn statement(&mut self) -> (Tree, bool) {
        let with = if self.dice.percent(22) { self.with() } else { Tree::empty() };
        let is_ordered = self.dice.percent(55);
        let body = if self.dice.percent(16) { self.set_operation(0) } else { self.body(0, None, is_ordered) };
        let order = if is_ordered { self.order(&body) } else { Tree::empty() };
        (Tree::Query(Box::new(Tree::All(vec![with, body.tree, order]))), is_ordered)
    }

    /// A query for a FROM or a WITH, whose columns have names.
    pub(super) fn query(&mut self, depth: usize, wanted: Option<Kind>) -> (Tree, Vec<Column>) {
        let kinds = wanted.map(|kind| vec![kind]);
        let is_limited = self.dice.percent(18);
        let body = if wanted.is_none() && self.dice.percent(10) {
            self.set_operation(depth)
        } else {
            self.body(depth, kinds, is_limited)
        };
        let order = if is_limited { self.order(&body) } else { Tree::empty() };
        (Tree::Query(Box::new(Tree::All(vec![body.tree, order]))), body.columns)
    }

    /// A sub-select of a condition, which may name the columns around it.
    pub(super) fn within(&mut self, scope: &Scope, depth: usize, wanted: Option<Kind>) -> Tree {
        let before = self.outer.clone();
        self.outer.extend(scope.columns.iter().cloned());
        let (tree, _) = self.query(depth + 1, Some(wanted.unwrap_or(Int)));
        self.outer = before;
        tree
    }

    /// A sub-select with one row at the most.
    pub(super) fn single(&mut self, kind: Kind, scope: &Scope, depth: usize) -> Option<Tree> {
        if depth >= 2 {
            return None;
        }
        let before = self.outer.clone();
        self.outer.extend(scope.columns.iter().cloned());
        let (from, inner) = self.from(depth + 1);
        let aggregate = self.aggregate(kind, &inner, depth + 2);
        let filter = self.filter(&inner, depth + 1);
        self.outer = before;
        let parts = vec![text("SELECT "), aggregate?, text(" FROM "), from, filter];
        Some(Tree::Query(Box::new(Tree::All(parts))))
    }

    fn filter(&mut self, scope: &Scope, depth: usize) -> Tree {
        let conditions = (0..self.dice.one_of(&[0, 1, 1, 2])).map(|_| self.condition(scope, depth)).collect();
        Tree::list(" WHERE ", " AND ", conditions, 0)
    }

    fn body(&mut self, depth: usize, wanted: Option<Vec<Kind>>, is_tight: bool) -> Body {
        let (from, scope) = self.from(depth);
        let kinds = wanted.unwrap_or_else(|| {
            let columns = 1 + self.dice.below(4);
            let of_column = |generator: &mut Self| scope.columns[generator.dice.below(scope.columns.len())].kind;
            (0..columns)
                .map(|_| if self.dice.percent(70) { of_column(self) } else { self.dice.one_of(KINDS) })
                .collect()
        });
        match self.dice.below(12) {
            0..=3 => self.grouped(depth, kinds, from, &scope),
            4 => self.distinct(depth, kinds, from, &scope),
            5 | 6 => self.plain(depth, kinds, from, &scope, is_tight, true),
            7 if depth == 0 && !scope.columns.is_empty() => self.whole(depth, from, &scope, is_tight),
            _ => self.plain(depth, kinds, from, &scope, is_tight, false),
        }
    }

    fn names(&mut self, depth: usize, items: Vec<(Kind, Tree)>) -> (Vec<Tree>, Vec<Column>) {
        let mut columns = Vec::new();
        let mut named = Vec::new();
        for (at, (kind, value)) in items.into_iter().enumerate() {
            let name = format!("c{}", at + 1);
            // At the top some columns are named by PostgreSQL.
            let label = if depth == 0 && self.dice.percent(50) { String::new() } else { format!(" AS {name}") };
            named.push(Tree::All(vec![value, text(label)]));
            columns.push(Column { name, kind });
        }
        (named, columns)
    }

    fn plain(
        &mut self,
        depth: usize,
        kinds: Vec<Kind>,
        from: Tree,
        scope: &Scope,
        is_tight: bool,
        has_windows: bool,
    ) -> Body {
        let items = kinds
            .into_iter()
            .map(|kind| {
                let window = has_windows && self.dice.percent(60);
                let window = if window { self.window(kind, scope, depth) } else { None };
                let value = window.unwrap_or_else(|| self.value(kind, scope, depth));
                (kind, if is_tight { tighten(kind, value) } else { value })
            })
            .collect();
        let filter = self.filter(scope, depth);
        let orders = (0..2)
            .map(|_| {
                let kind = self.dice.one_of(&[Int, Text, Kind::Num, Kind::Float, Kind::Time, Kind::Mood, Kind::Bool]);
                self.value(kind, scope, depth + 1)
            })
            .collect();
        let (items, columns) = self.names(depth, items);
        let least = columns.len();
        let tree = Tree::All(vec![Tree::list("SELECT ", ", ", items, least), text(" FROM "), from, filter]);
        Body { tree, columns, orders }
    }

    /// Stars.
    fn whole(&mut self, depth: usize, from: Tree, scope: &Scope, is_tight: bool) -> Body {
        // A star's columns have no names here that an order could use: its rows stay unordered.
        if is_tight {
            return self.plain(depth, vec![Int, Text], from, scope, true, false);
        }
        let filter = self.filter(scope, depth);
        let column = &scope.columns[self.dice.below(scope.columns.len())].name;
        let alias = column.split('.').next().unwrap_or_default();
        let star = match self.dice.below(4) {
            0 => format!("{alias}.*"),
            // In binary it has the types' numbers, which differ from server to server.
            1 if !self.is_binary => alias.to_owned(),
            _ => "*".to_owned(),
        };
        let tree = Tree::All(vec![text(format!("SELECT {star} FROM ")), from, filter]);
        Body { tree, columns: vec![Column { name: "c1".to_owned(), kind: Int }], orders: Vec::new() }
    }

    fn distinct(&mut self, depth: usize, kinds: Vec<Kind>, from: Tree, scope: &Scope) -> Body {
        let items: Vec<_> = kinds.into_iter().map(|kind| (kind, self.safe(kind, scope, depth))).collect();
        let filter = self.filter(scope, depth);
        // The first row of each is determined only if the order is complete: by all columns.
        let on = self.dice.percent(30).then(|| self.dice.below(items.len()));
        let (items, columns) = self.names(depth, items);
        let least = columns.len();
        let Some(on) = on else {
            let tree =
                Tree::All(vec![Tree::list("SELECT DISTINCT ", ", ", items, least), text(" FROM "), from, filter]);
            return Body { tree, columns, orders: Vec::new() };
        };
        let lead = text(format!("SELECT DISTINCT ON ({}) ", on + 1));
        let positions: Vec<_> = std::iter::once(on).chain((0..least).filter(|at| *at != on)).collect();
        let order: Vec<_> = positions.iter().map(|at| text((at + 1).to_string())).collect();
        let order = Tree::list(" ORDER BY ", ", ", order, least);
        let inner = vec![lead, Tree::list("", ", ", items, least), text(" FROM "), from, filter, order];
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        let alias = self.alias();
        let tree = Tree::All(vec![
            text("SELECT * FROM ("),
            Tree::Query(Box::new(Tree::All(inner))),
            text(format!(") AS {alias}({})", names.join(", "))),
        ]);
        Body { tree, columns, orders: Vec::new() }
    }

    fn grouped(&mut self, depth: usize, kinds: Vec<Kind>, from: Tree, scope: &Scope) -> Body {
        let groups: Vec<(Kind, Tree)> = (0..self.dice.one_of(&[0, 1, 1, 1, 2]))
            .map(|_| {
                let kind = match scope.columns.get(self.dice.below(scope.columns.len().max(1))) {
                    Some(column) if column.kind != Json => column.kind,
                    _ => Int,
                };
                (kind, self.safe(kind, scope, depth + 1))
            })
            .collect();
        let mut items = Vec::new();
        for kind in kinds {
            let group = groups.iter().find(|group| group.0 == kind).filter(|_| self.dice.percent(60)).cloned();
            items.push(match group {
                Some(group) => group,
                None => match self.aggregate(kind, scope, depth) {
                    Some(call) => (kind, tighten(kind, call)),
                    None => (kind, self.constant(kind)),
                },
            });
        }
        let filter = self.filter(scope, depth);
        let having = if self.dice.percent(25) {
            let number = self.aggregate(Big, scope, depth + 1).expect("there are aggregates of numbers");
            Tree::optional(vec![text(" HAVING "), number, text(self.dice.pick(&[" > 1", " IS NOT NULL", " < 4"]))])
        } else {
            Tree::empty()
        };
        let expressions: Vec<Tree> = groups.iter().map(|group| group.1.clone()).collect();
        let least = expressions.len();
        let by = match self.dice.below(8) {
            0 if least > 0 => Tree::All(vec![Tree::list(" GROUP BY ROLLUP (", ", ", expressions, least), text(")")]),
            1 if least > 0 => {
                Tree::All(vec![Tree::list(" GROUP BY GROUPING SETS ((), ", ", ", expressions, least), text(")")])
            }
            2 if least > 0 => Tree::All(vec![Tree::list(" GROUP BY CUBE (", ", ", expressions, least), text(")")]),
            _ => Tree::list(" GROUP BY ", ", ", expressions, least),
        };
        let orders = groups.into_iter().map(|group| group.1).collect();
        let (items, columns) = self.names(depth, items);
        let least = columns.len();
        let tree = Tree::All(vec![Tree::list("SELECT ", ", ", items, least), text(" FROM "), from, filter, by, having]);
        Body { tree, columns, orders }
    }

    fn set_operation(&mut self, depth: usize) -> Body {
        let kinds: Vec<_> = (0..1 + self.dice.below(2)).map(|_| self.dice.one_of(KINDS)).collect();
        let mut parts = Vec::new();
        let mut columns = Vec::new();
        for at in 0..self.dice.one_of(&[2, 2, 3]) {
            if at > 0 {
                let operator =
                    self.dice.pick(&["UNION ALL", "UNION", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL"]);
                parts.push(text(format!(" {operator} ")));
            }
            let body = self.body(depth + 1, Some(kinds.clone()), true);
            parts.push(text("("));
            parts.push(Tree::Query(Box::new(body.tree)));
            parts.push(text(")"));
            columns = body.columns;
        }
        Body { tree: Tree::All(parts), columns, orders: Vec::new() }
    }

    /// A complete order, and perhaps a part of the rows.
    fn order(&mut self, body: &Body) -> Tree {
        let mut items = Vec::new();
        if !body.orders.is_empty() && self.dice.percent(40) {
            let first = body.orders[self.dice.below(body.orders.len())].clone();
            items.push(Tree::optional(vec![Tree::All(vec![first, text(self.direction()), text(", ")])]));
        }
        let mut positions: Vec<_> = (1..=body.columns.len()).collect();
        for at in (1..positions.len()).rev() {
            let other = self.dice.below(at + 1);
            positions.swap(at, other);
        }
        let least = positions.len();
        let positions = positions.into_iter().map(|at| text(format!("{at}{}", self.direction()))).collect();
        items.push(Tree::list("", ", ", positions, least));
        let limit = match self.dice.below(8) {
            0 => Tree::optional(vec![text(format!(" LIMIT {}", self.dice.below(8)))]),
            1 => Tree::optional(vec![text(format!(" LIMIT 5 OFFSET {}", self.dice.below(6)))]),
            2 => Tree::optional(vec![text(format!(" OFFSET {} FETCH FIRST 4 ROWS ONLY", self.dice.below(3)))]),
            3 => Tree::optional(vec![text(" FETCH FIRST 3 ROWS WITH TIES")]),
            4 => Tree::optional(vec![text(format!(" OFFSET {}", self.dice.below(6)))]),
            _ => Tree::empty(),
        };
        items.push(limit);
        Tree::optional(vec![text(" ORDER BY "), Tree::All(items)])
    }

    fn with(&mut self) -> Tree {
        let mut items = Vec::new();
        let mut is_recursive = false;
        for at in 0..self.dice.one_of(&[1, 1, 2]) {
            let name = format!("w{}", at + 1);
            if self.dice.percent(22) {
                is_recursive = true;
                let (tree, columns) = self.recursive(&name);
                items.push(tree);
                self.common.push(Common { name, columns });
                continue;
            }
            let (query, columns) = self.query(1, None);
            let how = self.dice.pick(&["", "", "MATERIALIZED ", "NOT MATERIALIZED "]);
            items.push(Tree::All(vec![text(format!("{name} AS {how}(")), query, text(")")]));
            self.common.push(Common { name, columns });
        }
        let lead = if is_recursive { "WITH RECURSIVE " } else { "WITH " };
        let least = items.len();
        Tree::All(vec![Tree::list(lead, ", ", items, least), text(" ")])
    }

    fn recursive(&mut self, name: &str) -> (Tree, Vec<Column>) {
        let columns = vec![Column { name: "n".to_owned(), kind: Int }, Column { name: "id".to_owned(), kind: Big }];
        let union = self.dice.pick(&["UNION", "UNION ALL"]);
        let step = match self.dice.below(3) {
            0 => format!("SELECT n + 1, id % 1000 + 2 FROM {name} WHERE n < 4"),
            1 => format!("SELECT r.n + 1, u.id FROM {name} r JOIN users u ON u.id = r.id % 1000 + 7 WHERE r.n < 5"),
            _ => format!(
                "SELECT r.n + 1, o.id FROM {name} r JOIN orders o ON o.user_id = r.id WHERE r.n < 4 AND o.id < 4"
            ),
        };
        let start = self.constant(Big);
        let tree = Tree::All(vec![
            text(format!(
                "{name}(n, id) AS (SELECT 0, id FROM users WHERE id >= 0 AND id < 100 AND (id % 10 = 3 OR id = "
            )),
            start,
            text(format!(") {union} {step})")),
        ]);
        (tree, columns)
    }
}
