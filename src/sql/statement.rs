//! One statement as the planner sees it: which relations are read and written, what must hold for
//! their rows, and which functions are called. Made by [`super::parse`], from a syntax tree that is
//! thrown away.
//!
//! Everything here under-promises: what isn't a [`Predicate`] of these shapes is left out, and a
//! predicate that is left out can only make a plan wider. Names are folded as PostgreSQL folds them.

use std::ops::Range;

pub type Name = Box<str>;

/// A SELECT, INSERT, UPDATE, DELETE or MERGE.
#[derive(Debug)]
pub struct Statement {
    pub kind: Kind,
    /// The outermost scope.
    pub root: usize,
    /// Each SELECT, VALUES, set operation and data-modifying command has one.
    pub scopes: Vec<Scope>,
    /// What is written, in common table expressions too.
    pub writes: Vec<Write>,
    /// Every call of a function anywhere.
    pub calls: Vec<Call>,
    /// `table.name` in expressions: a column, or if there is none of that name, PostgreSQL calls a
    /// function of that name with the row (`users.count`).
    pub attributes: Vec<Attribute>,
    /// Names without a qualifier in expressions: columns, or rows of relations by the relation's name.
    pub bare_names: Vec<Name>,
    /// Names of common table expressions.
    pub common_names: Vec<Name>,
    /// `*` or `t.*` stands in a select list, or `t.*` among arguments.
    pub stars: bool,
    /// Names ctid, xmin, tableoid or another system column.
    pub system_columns: bool,
    /// A literal becomes a date or time in the output: `'now'::timestamp` differs from shard to shard.
    pub dated_output: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Select,
    Insert,
    Update,
    Delete,
    Merge,
}

/// Relations that are joined, and what is asked of their rows.
#[derive(Debug, Default)]
pub struct Scope {
    /// Where names go that aren't found here.
    pub parent: Option<Parent>,
    /// In the order of FROM; each join covers a contiguous range of them.
    pub relations: Vec<Relation>,
    /// The items of FROM; several are a cross join.
    pub from: Vec<JoinTree>,
    pub filters: Vec<Filter>,
    /// Columns of JOIN ... USING: unqualified, they mean the merged column.
    pub merged: Vec<Name>,
    pub natural: bool,
    /// The select list, as far as it is known by position: ends before the first `*`.
    pub outputs: Vec<Operand>,
    pub features: Features,
    /// What each FOR UPDATE and the like is OF; `None`: all.
    pub locks: Vec<Option<Name>>,
    pub shape: Shape,
}

/// The lists of a SELECT, item by item; [`super::clauses`] finds them in its text.
#[derive(Debug, Default)]
pub struct Shape {
    pub items: Vec<Item>,
    /// How many expressions GROUP BY has.
    pub group_by: usize,
    /// GROUP BY, as far as its items are columns or constants.
    pub groups: Vec<Operand>,
    pub order_by: Vec<Order>,
    /// LIMIT, but for LIMIT ALL.
    pub limit: Option<Operand>,
    pub offset: Option<Operand>,
    pub fetch: Option<Fetch>,
}

/// Of a select list.
#[derive(Debug)]
pub enum Item {
    /// `*` or `table.*`.
    Star,
    Value {
        operand: Operand,
        alias: Option<Name>,
    },
}

/// Of an ORDER BY.
#[derive(Debug)]
pub struct Order {
    pub operand: Operand,
    pub descending: bool,
    pub nulls_first: Option<bool>,
    /// USING.
    pub by_operator: bool,
}

#[derive(Debug)]
pub struct Fetch {
    /// Without one it is one row.
    pub quantity: Option<Operand>,
    pub with_ties: bool,
}

/// The enclosing scope and which of its relations can be seen from here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parent {
    pub scope: usize,
    pub visible: Range<usize>,
}

/// Clauses that make a result more than the sum of its shards' results.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features {
    pub order_by: bool,
    /// LIMIT, OFFSET or FETCH.
    pub limit: bool,
    pub distinct: bool,
    pub distinct_on: bool,
    pub group_by: bool,
    /// GROUPING SETS, CUBE or ROLLUP: columns may be null that aren't null in any row.
    pub grouping_sets: bool,
    pub having: bool,
    pub window: bool,
    pub set_operation: bool,
    /// FOR UPDATE, FOR SHARE and the like.
    pub locking: bool,
    /// SELECT INTO: makes a table.
    pub into: bool,
    /// TABLESAMPLE.
    pub sample: bool,
    /// WITH before this query.
    pub with: bool,
    pub values: bool,
    pub recursive: bool,
}

#[derive(Debug)]
pub struct Relation {
    pub source: Source,
    /// What qualifies its columns; without it the table's own name does.
    pub alias: Option<Name>,
    /// `AS t (a, b)`: its columns are called otherwise.
    pub renamed: bool,
    /// The target of INSERT, UPDATE, DELETE or MERGE.
    pub is_target: bool,
}

#[derive(Debug)]
pub enum Source {
    Table(TableName),
    /// A common table expression, by its scope; `None` for one that may see itself, or whose columns are renamed.
    Common(Option<usize>),
    /// A sub-select or VALUES in FROM, by its scope.
    Derived(usize),
    /// A function; the call is in [`Statement::calls`].
    Function,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TableName {
    pub schema: Option<Name>,
    pub name: Name,
}

#[derive(Debug)]
pub enum JoinTree {
    Relation(usize),
    Join {
        kind: JoinKind,
        left: Box<JoinTree>,
        right: Box<JoinTree>,
        /// Its ON or USING, as a range of [`Scope::filters`].
        on: Range<usize>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

/// A conjunct of WHERE or of a join condition.
#[derive(Debug)]
pub struct Filter {
    pub predicate: Predicate,
    /// The relations of this scope whose rows don't matter where the predicate isn't true: all of
    /// them for WHERE, both sides for an inner join, the nullable side for LEFT and RIGHT, none for
    /// FULL.
    pub restricts: Range<usize>,
    /// The relations of this scope that its columns can mean.
    pub visible: Range<usize>,
}

#[derive(Debug)]
pub enum Predicate {
    Equal(Operand, Operand),
    /// `column IN (constants)`, and `= ANY (ARRAY[...])`.
    OneOf(Column, Vec<Constant>),
    /// `column = ANY (constant)`.
    AnyOf(Column, Constant),
    Range {
        column: Column,
        low: Option<Limit>,
        high: Option<Limit>,
    },
    /// OR: one of these conjunctions holds.
    Either(Vec<Vec<Predicate>>),
    /// USING: the column of that name on either side, where it means that side's own column (not
    /// one that an outer join may have replaced).
    Using {
        name: Name,
        left: Vec<usize>,
        right: Vec<usize>,
    },
}

#[derive(Debug)]
pub struct Limit {
    pub value: Constant,
    pub inclusive: bool,
}

#[derive(Debug)]
pub enum Operand {
    Column(Column),
    Constant(Constant),
    /// DEFAULT in VALUES or SET.
    Default,
    Opaque,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    pub qualifier: Option<TableName>,
    pub name: Name,
}

/// An expression of literals and parameters whose value the planner may be able to tell.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Constant {
    Null,
    /// Position in [`super::Lexed::literals`].
    Literal(usize),
    /// `$n`, counted from 0.
    Parameter(u16),
    Negative(Box<Constant>),
    Arithmetic(Arithmetic, Box<(Constant, Constant)>),
    Cast(Box<Constant>, CastType),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
}

/// A type without length, precision or scale.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CastType {
    pub base: BaseType,
    pub array: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BaseType {
    Int2,
    Int4,
    Int8,
    /// text and varchar.
    Text,
    Uuid,
    Date,
    Timestamp,
    TimestampTz,
    Numeric,
}

/// A call of a function, or a cast to a type that isn't a plain built-in one, by the type's name.
#[derive(Debug)]
pub struct Call {
    pub schema: Option<Name>,
    pub name: Name,
    pub place: Place,
    /// The scope it is written in.
    pub scope: usize,
    /// How many arguments there are.
    pub arguments: usize,
    /// DISTINCT or ORDER BY among the arguments, FILTER or WITHIN GROUP: only aggregates have these.
    pub is_aggregate: bool,
    /// OVER.
    pub is_window: bool,
}

/// See [`Statement::attributes`].
#[derive(Debug)]
pub struct Attribute {
    /// `None`: of a row that isn't simply a table's.
    pub qualifier: Option<TableName>,
    pub name: Name,
    pub place: Place,
    pub scope: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// The select list or RETURNING.
    Output,
    /// WHERE or a join condition.
    Filter,
    /// FROM.
    From,
    /// VALUES, SET, ORDER BY and everything else.
    Other,
}

/// What a data-modifying command does. Its target is a relation of its scope.
#[derive(Debug)]
pub enum Write {
    Insert {
        scope: usize,
        target: usize,
        /// Empty: none given.
        columns: Vec<Name>,
        source: InsertSource,
        /// Columns set by ON CONFLICT DO UPDATE to something else than what the new row has in them: a row that conflicts is
        /// on the new one's shard, so that its key may become the new one's.
        conflict_sets: Vec<Name>,
    },
    Update {
        scope: usize,
        target: usize,
        assignments: Vec<Assignment>,
    },
    Delete {
        scope: usize,
        target: usize,
    },
    Merge {
        scope: usize,
        target: usize,
        assignments: Vec<Assignment>,
        inserts: Vec<MergeInsert>,
    },
}

#[derive(Debug)]
pub enum InsertSource {
    Rows(Vec<Vec<Operand>>),
    /// A query, by its scope.
    Query(usize),
    DefaultValues,
}

#[derive(Debug)]
pub struct Assignment {
    pub column: Name,
    pub value: Operand,
}

#[derive(Debug)]
pub struct MergeInsert {
    pub columns: Vec<Name>,
    pub values: Vec<Operand>,
}

impl Relation {
    /// If `qualifier.column` can mean a column of this relation, whatever search_path is.
    pub fn may_be_called(&self, qualifier: &TableName) -> bool {
        match (&self.alias, &self.source) {
            (Some(alias), _) => *alias == qualifier.name,
            (None, Source::Table(table)) => table.name == qualifier.name,
            (None, _) => false,
        }
    }
}

impl JoinTree {
    /// The relations under this node that it never replaces by nulls.
    pub fn plain(&self, out: &mut Vec<usize>) {
        let mut node = self;
        loop {
            match node {
                Self::Relation(relation) => return out.push(*relation),
                Self::Join { kind, left, right, .. } => match kind {
                    JoinKind::Inner => {
                        right.plain(out);
                        node = left;
                    }
                    JoinKind::Left => node = left,
                    JoinKind::Right => node = right,
                    JoinKind::Full => return,
                },
            }
        }
    }

    /// All relations under this node.
    pub fn relations(&self, out: &mut Vec<usize>) {
        let mut node = self;
        loop {
            match node {
                Self::Relation(relation) => return out.push(*relation),
                Self::Join { left, right, .. } => {
                    right.relations(out);
                    node = left;
                }
            }
        }
    }
}
