//! FROM: tables, sub-selects, common table expressions, functions, and how they are joined. Out: its tree, and what
//! may be named behind it.

use super::tables::{Kind, OF_USERS, TABLES, Table};
use super::tree::{Tree, text};
use super::{Column, Generator, Scope};

/// Rows of a join that isn't on equality would be too many of three tables.
const JOINED_MAX: usize = 3;

struct Item {
    tree: Tree,
    scope: Scope,
    /// If another relation may be joined to it with any condition.
    is_small: bool,
}

impl Generator {
    pub(super) fn from(&mut self, depth: usize) -> (Tree, Scope) {
        let first = self.item(depth);
        let mut parts = vec![first.tree];
        let (mut scope, mut is_small) = (first.scope, first.is_small);
        let joins = match depth {
            0 => self.dice.one_of(&[0, 0, 1, 1, 1, 2, JOINED_MAX - 1]),
            1 => self.dice.one_of(&[0, 0, 0, 1]),
            _ => 0,
        };
        for _ in 0..joins {
            let tree = self.join(&mut scope, &mut is_small, depth);
            parts.push(tree);
        }
        (Tree::All(parts), scope)
    }

    fn table(&mut self) -> &'static Table {
        let at = if self.dice.percent(60) { self.dice.below(OF_USERS) } else { self.dice.below(TABLES.len()) };
        &TABLES[at]
    }

    fn item(&mut self, depth: usize) -> Item {
        if !self.common.is_empty() && self.dice.percent(45) {
            let common = self.common[self.dice.below(self.common.len())].clone();
            let alias = self.alias();
            let scope = named(&alias, &common.columns);
            return Item { tree: text(format!("{} {alias}", common.name)), scope, is_small: false };
        }
        match self.dice.below(24) {
            0 | 1 if depth < 2 => self.derived(depth, ""),
            2 => self.values(),
            3 => {
                let alias = self.alias();
                let tree = text(format!("generate_series(1, 4) AS {alias}(n)"));
                let columns = vec![Column { name: format!("{alias}.n"), kind: Kind::Int }];
                let scope = Scope { unique: Some(columns.clone()), columns, users: Vec::new() };
                Item { tree, scope, is_small: true }
            }
            _ => {
                let table = self.table();
                let alias = self.alias();
                let tree = text(format!("{} {}{alias}", table.name, self.dice.pick(&["", "AS "])));
                let is_small = !["odds", "orders", "order_items"].contains(&table.name);
                Item { tree, scope: of_table(table, &alias), is_small }
            }
        }
    }

    /// A sub-select in FROM.
    fn derived(&mut self, depth: usize, lead: &str) -> Item {
        let (query, columns) = self.query(depth + 1, None);
        let alias = self.alias();
        let scope = named(&alias, &columns);
        let tree = Tree::All(vec![text(format!("{lead}(")), query, text(format!(") {alias}"))]);
        Item { tree, scope, is_small: false }
    }

    fn values(&mut self) -> Item {
        let alias = self.alias();
        let kinds = [Kind::Int, Kind::Text];
        let mut rows = Vec::new();
        for number in 1..=3 {
            let other = self.constant(kinds[1]);
            rows.push(Tree::All(vec![text(format!("({number}, ")), other, text(")")]));
        }
        let tree = Tree::All(vec![Tree::list("(VALUES ", ", ", rows, 1), text(format!(") AS {alias}(n, v)"))]);
        let column = |name: &str, kind| Column { name: format!("{alias}.{name}"), kind };
        let columns = vec![column("n", kinds[0]), column("v", kinds[1])];
        let scope = Scope { unique: Some(columns[..1].to_vec()), columns, users: Vec::new() };
        Item { tree, scope, is_small: true }
    }

    /// One more relation, added to the scope.
    fn join(&mut self, scope: &mut Scope, is_small: &mut bool, depth: usize) -> Tree {
        if self.dice.percent(10) {
            return self.lateral(scope, depth);
        }
        let other = self.item(depth);
        let on = self.joined_on(scope, &other.scope);
        let Some(on) = on else {
            // A product of large tables would take long.
            if !(*is_small && other.is_small) {
                return Tree::empty();
            }
            *is_small = false;
            scope.add(other.scope);
            return Tree::optional(vec![text(self.dice.pick(&[" CROSS JOIN ", ", "])), other.tree]);
        };
        *is_small = false;
        let mut both = scope.clone();
        both.add(other.scope);
        let kind = self.dice.pick(&[" JOIN ", " JOIN ", " LEFT JOIN ", " RIGHT JOIN ", " FULL JOIN "]);
        let mut condition = vec![text(on)];
        // A FULL JOIN with more than equality isn't possible on PostgreSQL.
        if kind != " FULL JOIN " && self.dice.percent(25) {
            let more = self.condition(&both, 1);
            condition.push(Tree::optional(vec![text(" AND "), more]));
        }
        *scope = both;
        Tree::optional(vec![text(kind), other.tree, text(" ON "), Tree::All(condition)])
    }

    /// A sub-select that sees what stands before it.
    fn lateral(&mut self, scope: &mut Scope, depth: usize) -> Tree {
        let before = std::mem::replace(&mut self.outer, scope.columns.clone());
        let item = self.derived(depth.max(1), "LATERAL ");
        self.outer = before;
        let kind = self.dice.pick(&[" CROSS JOIN ", " LEFT JOIN "]);
        let on = if kind == " CROSS JOIN " { "" } else { " ON true" };
        scope.add(item.scope);
        Tree::optional(vec![text(kind), item.tree, text(on)])
    }

    /// An equality of two columns; users' tables mostly meet at the user.
    fn joined_on(&mut self, one: &Scope, other: &Scope) -> Option<String> {
        if !one.users.is_empty() && !other.users.is_empty() && self.dice.percent(60) {
            let (a, b) = (self.dice.below(one.users.len()), self.dice.below(other.users.len()));
            return Some(format!("{} = {}", one.users[a], other.users[b]));
        }
        let same = |a: &&Column, b: &&Column| a.kind == b.kind && a.kind != Kind::Bool;
        let pairs: Vec<_> = one
            .columns
            .iter()
            .flat_map(|a| other.columns.iter().map(move |b| (a, b)))
            .filter(|(a, b)| same(a, b))
            .collect();
        if pairs.is_empty() || self.dice.percent(8) {
            return None;
        }
        let (a, b) = pairs[self.dice.below(pairs.len())];
        Some(format!("{} = {}", a.name, b.name))
    }
}

impl Scope {
    pub(super) fn add(&mut self, other: Scope) {
        self.columns.extend(other.columns);
        self.users.extend(other.users);
        self.unique = match (self.unique.take(), other.unique) {
            (Some(one), Some(other)) => Some([one, other].concat()),
            _ => None,
        };
    }
}

fn of_table(table: &Table, alias: &str) -> Scope {
    let column = |(name, kind): &(&str, Kind)| Column { name: format!("{alias}.{name}"), kind: *kind };
    let of = |name: &&str| table.columns.iter().find(|column| column.0 == *name).expect("the key is a column");
    Scope {
        columns: table.columns.iter().map(column).collect(),
        unique: Some(table.unique.iter().map(of).map(column).collect()),
        users: table.user.iter().map(|user| format!("{alias}.{user}")).collect(),
    }
}

fn named(alias: &str, columns: &[Column]) -> Scope {
    let column = |column: &Column| Column { name: format!("{alias}.{}", column.name), kind: column.kind };
    Scope { columns: columns.iter().map(column).collect(), unique: None, users: Vec::new() }
}
