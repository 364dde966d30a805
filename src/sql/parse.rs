//! The only import of `sqlparser`. In: the tokens of one statement. Out: a [`Statement`], or
//! [`NotParsed`] for whatever isn't understood completely.
//!
//! The parser isn't given the client's text but one made of the same tokens ([`skeleton`]), in which
//! each literal is replaced by its position among the statement's literals: values can't be
//! misread, and nothing is ever printed back. Its tree is read by exhaustive patterns: a clause or an
//! expression that isn't known here makes the statement not parsed.

mod call;
mod expression;
mod from;
mod names;
mod predicate;
mod query;
mod skeleton;
mod write;

#[cfg(test)]
mod tests;

use sqlparser::ast;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::lexer::Token;
use super::statement::{Call, Kind, Name, Parent, Place, Scope, Statement};
use crate::types::limits;

/// The statement may still be right; it just isn't known what it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotParsed;

type Lowered<T> = Result<T, NotParsed>;

/// A token of one statement, with the position of its literal among those of the whole text.
#[derive(Clone, Debug)]
pub struct Piece {
    pub token: Token,
    pub literal: Option<usize>,
}

/// Reads one SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES or WITH.
///
/// # Errors
/// [`NotParsed`] for everything else, for what the parser can't read, and beyond the limits on
/// tokens and nesting.
pub fn parse(sql: &[u8], pieces: &[Piece]) -> Lowered<Statement> {
    let text = skeleton::write(sql, pieces)?;
    let mut statements = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(limits::PARSER_RECURSION_MAX)
        .try_with_sql(&text)
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|_| NotParsed)?;
    let statement = statements.pop().ok_or(NotParsed)?;
    if !statements.is_empty() {
        return Err(NotParsed);
    }
    let mut lowering = Lowering::new();
    lowering.statement(&statement)?;
    Ok(lowering.out)
}

/// What is being built, and the common table expressions in sight.
struct Lowering {
    out: Statement,
    common: Vec<(Name, Option<usize>)>,
}

/// Where an expression stands.
#[derive(Clone)]
struct At {
    scope: usize,
    visible: std::ops::Range<usize>,
    place: Place,
}

impl At {
    fn parent(&self) -> Parent {
        Parent { scope: self.scope, visible: self.visible.clone() }
    }
}

impl Lowering {
    fn new() -> Self {
        Self {
            out: Statement {
                kind: Kind::Select,
                root: 0,
                scopes: Vec::new(),
                writes: Vec::new(),
                calls: Vec::new(),
                attributes: Vec::new(),
                bare_names: Vec::new(),
                common_names: Vec::new(),
                stars: false,
                system_columns: false,
                dated_output: false,
            },
            common: Vec::new(),
        }
    }

    fn statement(&mut self, statement: &ast::Statement) -> Lowered<()> {
        self.out.kind = match statement {
            ast::Statement::Query(query) => {
                self.out.root = self.query(query, None)?;
                // `WITH ... INSERT` is a query whose body is the INSERT.
                match query.body.as_ref() {
                    ast::SetExpr::Insert(_) => Kind::Insert,
                    ast::SetExpr::Update(_) => Kind::Update,
                    ast::SetExpr::Delete(_) => Kind::Delete,
                    ast::SetExpr::Merge(_) => Kind::Merge,
                    _ => Kind::Select,
                }
            }
            ast::Statement::Insert(_) => {
                self.out.root = self.write(statement, None)?;
                Kind::Insert
            }
            ast::Statement::Update(_) => {
                self.out.root = self.write(statement, None)?;
                Kind::Update
            }
            ast::Statement::Delete(_) => {
                self.out.root = self.write(statement, None)?;
                Kind::Delete
            }
            ast::Statement::Merge(_) => {
                self.out.root = self.write(statement, None)?;
                Kind::Merge
            }
            _ => return Err(NotParsed),
        };
        Ok(())
    }

    fn open(&mut self, parent: Option<Parent>) -> usize {
        self.out.scopes.push(Scope { parent, ..Scope::default() });
        self.out.scopes.len() - 1
    }

    /// A scope that [`Lowering::open`] made.
    fn scope(&mut self, scope: usize) -> &mut Scope {
        self.out.scopes.get_mut(scope).expect("scopes are opened before they are filled and never removed")
    }

    fn call(&mut self, call: Call) {
        self.out.calls.push(call);
    }

    /// The place of an expression that sees all relations of `scope`.
    fn at(&mut self, scope: usize, place: Place) -> At {
        At { scope, visible: 0..self.scope(scope).relations.len(), place }
    }
}
