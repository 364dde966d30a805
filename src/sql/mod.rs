//! SQL text and its meaning. In: a statement's bytes. Out: a fingerprint with the places of its
//! literals ([`lexer`]), what the session must know of it ([`command`]), and for statements that are
//! new a [`statement::Statement`] of our own types. The only import of `sqlparser` is in `parse`.
//!
//! Knows nothing of shards, of the configuration or of the servers' catalogs.

pub mod clauses;
pub mod command;
pub mod lexer;
pub mod parse;
pub mod prepared;
pub mod statement;

pub use command::{Command, recognise};
pub use lexer::{
    LexError, LexOptions, Lexed, Literal, LiteralKind, Token, TokenKind, Tokens, first_statement, fold_identifier, lex,
    literal_text, quote_identifier, readable,
};
