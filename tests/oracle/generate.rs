//! Random statements over the schema. In: a seed. Out: [`Statement`]s, some bound to a key, some not, most of them
//! valid, each of which can be made smaller when it shows a difference.

use super::dice::Dice;
use super::list::Parameter;
use super::sources::Type::{self, Big, Bool, Int, Numeric, Text, Time};
use super::sources::{COLOCATED, REFERENCE, SOURCES, Source};
use super::statement::{Clause, Fragment, MARK, Statement};

/// A table in FROM, and the alias under which it stands there.
struct Used {
    source: &'static Source,
    alias: String,
}

pub struct Generator {
    dice: Dice,
    aliases: usize,
    /// If this statement takes values as parameters.
    has_parameters: bool,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), aliases: 0, has_parameters: false }
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.dice.below(bound)
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.dice.percent(percent)
    }

    pub(super) fn pick<'t, T: ?Sized>(&mut self, items: &[&'t T]) -> &'t T {
        self.dice.pick(items)
    }

    pub fn statement(&mut self) -> Statement {
        self.aliases = 0;
        self.has_parameters = self.percent(40);
        match self.below(20) {
            0..13 => self.select(0),
            13 | 14 => self.set_operation(),
            15 => self.with(),
            _ => self.write(),
        }
    }

    pub(super) fn write(&mut self) -> Statement {
        match self.below(4) {
            0 => self.insert(),
            1 | 2 => self.update(),
            _ => self.delete(),
        }
    }

    /// A SELECT without parameters.
    pub(super) fn plain(&mut self) -> Statement {
        self.set_plain();
        self.select(0)
    }

    pub(super) fn set_plain(&mut self) {
        (self.aliases, self.has_parameters) = (0, false);
    }

    fn used(&mut self, source: &'static Source) -> Used {
        let alias = format!("t{}", self.aliases);
        self.aliases += 1;
        Used { source, alias }
    }

    fn any_source(&mut self) -> &'static Source {
        let bound = if self.percent(60) { COLOCATED } else { SOURCES.len() };
        let at = self.below(bound);
        &SOURCES[at]
    }

    /// A value for a column, in one of the spellings.
    fn value(&mut self, of: Type) -> Fragment {
        let number = self.below(14);
        let (text, name) = match of {
            Big => (number.to_string(), "int8"),
            Int => (number.to_string(), "int4"),
            Numeric => (self.pick(&["0", "10.5", "1.10", "100", "161.25", "-1"]).to_owned(), "numeric"),
            Text => (
                self.pick(&["ann", "Bob", "Zoë", "", "eu", "us", "new", "paid", "v1", "nz", "theme", "O'Neil"])
                    .to_owned(),
                "text",
            ),
            Bool => (self.pick(&["true", "false"]).to_owned(), "bool"),
            Time => (format!("2026-01-{:02} {:02}:00:00+00", 1 + number, 10 * self.below(2)), "timestamptz"),
        };
        if self.has_parameters && self.percent(70) {
            let text = if self.percent(4) { None } else { Some(text) };
            return Fragment {
                text: MARK.to_string(),
                parameters: vec![Parameter { type_name: name.to_owned(), text }],
            };
        }
        let quoted = format!("'{}'", text.replace('\'', "''"));
        let is_number = matches!(of, Big | Int | Numeric);
        Fragment::of(match self.below(20) {
            0 => "NULL".to_owned(),
            1 => format!("{quoted}::{name}"),
            2 => format!("CAST({quoted} AS {name})"),
            3 if matches!(of, Big | Int) => format!("({number} + 1)"),
            4 if is_number => format!("{text}::{name}"),
            5 if is_number => quoted,
            _ if is_number || of == Bool => text,
            _ => quoted,
        })
    }

    fn column(&mut self, used: &[Used]) -> (String, Type) {
        let used = &used[self.below(used.len())];
        let (name, of) = used.source.columns[self.below(used.source.columns.len())];
        (format!("{}.{name}", used.alias), of)
    }

    /// A comparison of the shard key of one of the tables.
    fn key_condition(&mut self, used: &[Used]) -> Fragment {
        let one = &used[self.below(used.len())];
        let Some(key) = one.source.key else {
            return self.plain_condition(used);
        };
        let of = one.source.columns.iter().find(|column| column.0 == key).expect("the key is a column").1;
        let column = Fragment::of(format!("{}.{key}", one.alias));
        let value = self.value(of);
        match self.below(16) {
            0 | 1 => column.add(" IN (", value).add(", ", self.value(of)).end(")"),
            2 if of == Big => column.end(" = ANY ('{1,3,5}')"),
            3 => value.add(" = ", column),
            4 => column.add(" > ", value),
            5 => column.add(" BETWEEN ", value).add(" AND ", self.value(of)),
            6 => column.add(" <> ", value),
            7 => Fragment::default().add("(", column).add(" = ", value).end(") IS NOT TRUE"),
            8 => Fragment::default().add("NOT ", column).add(" = ", value),
            9 if matches!(of, Big | Int) => column.end(" % 3 = 1"),
            _ => column.add(" = ", value),
        }
    }

    fn plain_condition(&mut self, used: &[Used]) -> Fragment {
        let (column, of) = self.column(used);
        match self.below(8) {
            0 => Fragment::of(format!("{column} IS NULL")),
            1 => Fragment::of(format!("{column} IS NOT NULL")),
            2 => Fragment::of(column).add(" >= ", self.value(of)),
            3 => Fragment::of(format!("{column} IN (")).add("", self.value(of)).add(", ", self.value(of)).end(")"),
            4 if of == Bool => Fragment::of(column),
            5 if of == Text => Fragment::of(format!("{column} LIKE '%a%'")),
            6 => {
                let (other, other_type) = self.column(used);
                let operator = self.pick(&["=", "<", "<>"]);
                if other_type == of {
                    Fragment::of(format!("{column} {operator} {other}"))
                } else {
                    Fragment::of("true")
                }
            }
            _ => Fragment::of(column).add(" = ", self.value(of)),
        }
    }

    fn condition(&mut self, used: &[Used], depth: usize) -> Fragment {
        if depth > 2 || self.percent(70) {
            return if self.percent(65) { self.key_condition(used) } else { self.plain_condition(used) };
        }
        let open = Fragment::of("(");
        let a = self.condition(used, depth + 1);
        match self.below(8) {
            0 | 1 => open.add("", a).add(" AND ", self.condition(used, depth + 1)).end(")"),
            2 | 3 => open.add("", a).add(" OR ", self.condition(used, depth + 1)).end(")"),
            4 => Fragment::of("NOT (").add("", a).end(")"),
            5 => Fragment::of("CASE WHEN ")
                .add("", a)
                .add(" THEN ", self.condition(used, depth + 1))
                .end(" ELSE true END"),
            _ => self.sub_select(used, depth + 1),
        }
    }

    /// EXISTS or IN, correlated or not.
    fn sub_select(&mut self, outer: &[Used], depth: usize) -> Fragment {
        let source = self.any_source();
        let inner = [self.used(source)];
        let from = format!("FROM {} {} WHERE ", source.table, inner[0].alias);
        let condition = self.condition(&inner, depth + 1);
        let correlated = match (source.key, outer[0].source.key) {
            (Some(a), Some(b)) if self.percent(60) => format!("{}.{a} = {}.{b} AND ", inner[0].alias, outer[0].alias),
            _ => String::new(),
        };
        let negated = if self.percent(25) { "NOT " } else { "" };
        let (column, of) = self.column(outer);
        match source.columns.iter().find(|column| column.1 == of) {
            Some((name, _)) if self.percent(40) => {
                let lead = format!("{column} {negated}IN (SELECT {}.{name} {from}{correlated}", inner[0].alias);
                Fragment::of(lead).add("", condition).end(")")
            }
            _ => Fragment::of(format!("{negated}EXISTS (SELECT {from}{correlated}")).add("", condition).end(")"),
        }
    }

    fn join(&mut self, used: &mut Vec<Used>) -> Fragment {
        let bound = match self.below(10) {
            0..6 => 0..COLOCATED,
            6..9 => REFERENCE,
            _ => 0..SOURCES.len(),
        };
        let source = &SOURCES[bound.start + self.below(bound.len())];
        let joined = self.used(source);
        let kind = self.pick(&["JOIN", "JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
        let other = &used[self.below(used.len())];
        let on = match (source.key, other.source.key) {
            (Some(a), Some(b)) if self.percent(80) => format!("{}.{a} = {}.{b}", joined.alias, other.alias),
            _ => {
                let pairs = source.columns.iter().flat_map(|a| other.source.columns.iter().map(move |b| (a, b)));
                let same: Vec<_> = pairs.filter(|(a, b)| a.1 == b.1).collect();
                match same.is_empty() {
                    true => "true".to_owned(),
                    false => {
                        let (a, b) = same[self.below(same.len())];
                        format!("{}.{} = {}.{}", joined.alias, a.0, other.alias, b.0)
                    }
                }
            }
        };
        let lead = format!("{kind} {} {} ON {on}", source.table, joined.alias);
        used.push(joined);
        match self.percent(20) {
            true => Fragment::of(lead).add(" AND ", self.condition(used, 2)),
            false => Fragment::of(lead),
        }
    }

    fn select(&mut self, depth: usize) -> Statement {
        let source = self.any_source();
        let first = self.used(source);
        let mut from = Fragment::of(format!("{} {}", source.table, first.alias));
        if depth == 0 && self.percent(8) {
            let columns: Vec<_> = source.columns.iter().map(|column| column.0).collect();
            let inner = Used { source, alias: "inside".to_owned() };
            let lead = format!("(SELECT {} FROM {} inside WHERE ", columns.join(", "), source.table);
            from = Fragment::of(lead).add("", self.condition(&[inner], 1)).end(&format!(") {}", first.alias));
        }
        let mut used = vec![first];
        let joins: Vec<_> = (0..[0, 0, 0, 1, 1, 2][self.below(6)]).map(|_| self.join(&mut used)).collect();
        let filters: Vec<_> = (0..[0, 1, 1, 1, 2, 3][self.below(6)]).map(|_| self.condition(&used, 0)).collect();
        let is_grouped = self.percent(8);
        let mut items: Vec<_> = (0..1 + self.below(3)).map(|_| self.item(&used, is_grouped)).collect();
        let group = if is_grouped { vec![Fragment::of(self.column(&used).0)] } else { Vec::new() };
        items.splice(0..0, group.clone());
        let is_ordered = self.percent(20);
        let positions = (1..=items.len()).map(|position| Fragment::of(position.to_string()));
        let order = if is_ordered { positions.collect() } else { Vec::new() };
        let limit = if is_ordered && self.percent(40) { vec![Fragment::of("4")] } else { Vec::new() };
        let select = if self.percent(8) { "SELECT DISTINCT " } else { "SELECT " };
        let clause = |lead, separator, items, is_needed| Clause { lead, separator, items, is_needed };
        Statement {
            clauses: vec![
                clause(select, ", ", items, true),
                clause(" FROM ", ", ", vec![from], true),
                clause(" ", " ", joins, false),
                clause(" WHERE ", " AND ", filters, false),
                clause(" GROUP BY ", ", ", group, false),
                // Dropped together by the shrinking's order: a LIMIT without ORDER BY has no one answer.
                clause(" ORDER BY ", ", ", order, !limit.is_empty()),
                clause(" LIMIT ", ", ", limit, false),
            ],
            is_ordered,
        }
    }

    fn item(&mut self, used: &[Used], is_grouped: bool) -> Fragment {
        let (column, of) = self.column(used);
        let aggregate = if is_grouped { 100 } else { 3 };
        if self.percent(aggregate) {
            let function = self.pick(&["count", "min", "max"]);
            let function = if of == Bool { "count" } else { function };
            return Fragment::of(format!("{function}({column})"));
        }
        match self.below(20) {
            0 => Fragment::default().add("(", self.condition(used, 2)).end(") AS c"),
            1 if matches!(of, Big | Int) => Fragment::of(format!("{column} + 1")),
            2 if of == Text => Fragment::of(format!("upper({column})")),
            3 => Fragment::of(format!("{column}::text")),
            4 => {
                let source = self.any_source();
                let inner = [self.used(source)];
                let lead = format!("(SELECT count(*) FROM {} {} WHERE ", source.table, inner[0].alias);
                Fragment::of(lead).add("", self.condition(&inner, 1)).end(")")
            }
            _ => Fragment::of(column),
        }
    }

    fn whole(items: Vec<Fragment>, separator: &'static str) -> Statement {
        Statement { clauses: vec![Clause { lead: "", separator, items, is_needed: true }], is_ordered: false }
    }

    fn set_operation(&mut self) -> Statement {
        let source = self.any_source();
        let column = source.columns[self.below(source.columns.len())].0;
        let separator = self.pick(&[" UNION ALL ", " UNION ", " INTERSECT ", " EXCEPT "]);
        let items = (0..2 + self.below(2)).map(|_| {
            let used = [self.used(source)];
            let lead = format!("SELECT {}.{column} FROM {} {} WHERE ", used[0].alias, source.table, used[0].alias);
            Fragment::of(lead).add("", self.condition(&used, 0))
        });
        Self::whole(items.collect(), separator)
    }

    /// A CTE, sometimes by the name of a table.
    fn with(&mut self) -> Statement {
        let inner = self.select(1);
        let name = self.pick(&["w", "w", "users", "settings"]);
        let column = self.pick(&["id", "name", "user_id"]);
        let outer = match self.below(3) {
            0 => format!(") SELECT * FROM {name}"),
            1 => format!(") SELECT count(*) FROM {name} WHERE {name}.{column} IS NOT NULL"),
            _ => format!(") SELECT {name}.{column} FROM {name} JOIN orders o ON o.user_id = {name}.{column}"),
        };
        Self::whole(vec![Fragment::of(format!("WITH {name} AS (")).add("", inner.fragment()).end(&outer)], "")
    }

    fn insert(&mut self) -> Statement {
        let source = &SOURCES[self.below(SOURCES.len())];
        let columns: Vec<_> = source.columns.iter().map(|column| column.0).collect();
        let rows: Vec<_> = (0..[1, 1, 1, 2, 3][self.below(5)])
            .map(|_| {
                let mut row = Fragment::of("(");
                for (at, column) in source.columns.iter().enumerate() {
                    row = row.add(if at == 0 { "" } else { ", " }, self.value(column.1));
                }
                row.end(")")
            })
            .collect();
        let conflict = if self.percent(40) { vec![Fragment::of("")] } else { Vec::new() };
        let into = Fragment::of(format!("{} ({})", source.table, columns.join(", ")));
        let clause = |lead, items, is_needed| Clause { lead, separator: ", ", items, is_needed };
        Statement {
            clauses: vec![
                clause("INSERT INTO ", vec![into], true),
                clause(" VALUES ", rows, true),
                clause(" ON CONFLICT DO NOTHING", conflict, false),
                clause(" RETURNING ", self.returning(source.columns[0].0), false),
            ],
            is_ordered: false,
        }
    }

    fn returning(&mut self, column: &str) -> Vec<Fragment> {
        if self.percent(40) { vec![Fragment::of(column)] } else { Vec::new() }
    }

    /// A table that a statement writes to: any of the sharded ones, mostly.
    fn target(&mut self) -> Used {
        let source = self.any_source();
        self.used(source)
    }

    fn filters(&mut self, used: &[Used]) -> Clause {
        let items = (0..1 + self.below(2)).map(|_| self.condition(used, 0)).collect();
        Clause { lead: " WHERE ", separator: " AND ", items, is_needed: false }
    }

    fn update(&mut self) -> Statement {
        let used = [self.target()];
        let source = used[0].source;
        let (column, of) = source.columns[self.below(source.columns.len())];
        let set = Fragment::of(format!("{column} = ")).add("", self.value(of));
        let head = Fragment::of(format!("UPDATE {} {} SET ", source.table, used[0].alias));
        let filters = self.filters(&used);
        let clause = |lead, items, is_needed| Clause { lead, separator: ", ", items, is_needed };
        let returning = self.returning(source.columns[0].0);
        let clauses = vec![
            clause("", vec![head], true),
            clause("", vec![set], true),
            filters,
            clause(" RETURNING ", returning, false),
        ];
        Statement { clauses, is_ordered: false }
    }

    fn delete(&mut self) -> Statement {
        let used = [self.target()];
        let source = used[0].source;
        let head = Fragment::of(format!("DELETE FROM {} {}", source.table, used[0].alias));
        let filters = self.filters(&used);
        let clause = |lead, items, is_needed| Clause { lead, separator: ", ", items, is_needed };
        let clauses = vec![
            clause("", vec![head], true),
            filters,
            clause(" RETURNING ", self.returning(source.columns[0].0), false),
        ];
        Statement { clauses, is_ordered: false }
    }
}
