//! Commands by their leading tokens (PostgreSQL's reference, part VI).

use super::settings;
use super::{Command, CopyDirection, SessionCommand, TransactionCommand, Verb};
use crate::sql::lexer::{Token, TokenKind, fold_identifier};

/// The tokens of one statement, looked at from the front.
pub(super) struct Words<'a> {
    pub(super) sql: &'a [u8],
    pub(super) tokens: &'a [Token],
    pub(super) at: usize,
}

impl<'a> Words<'a> {
    pub(super) fn bytes(&self, token: &Token) -> &'a [u8] {
        self.sql.get(token.span.clone()).unwrap_or_default()
    }

    pub(super) fn peek(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(self.at + ahead)
    }

    /// If the token so far ahead is this keyword (lower case).
    pub(super) fn is_ahead(&self, ahead: usize, keyword: &str) -> bool {
        self.peek(ahead).is_some_and(|token| {
            token.kind == TokenKind::Word && self.bytes(token).eq_ignore_ascii_case(keyword.as_bytes())
        })
    }

    /// Passes this keyword if it is next.
    pub(super) fn pass(&mut self, keyword: &str) -> bool {
        let is = self.is_ahead(0, keyword);
        self.at += usize::from(is);
        is
    }

    pub(super) fn pass_any(&mut self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.pass(keyword))
    }

    /// Passes these keywords if all of them are next.
    pub(super) fn pass_all(&mut self, keywords: &[&str]) -> bool {
        let all = keywords.iter().enumerate().all(|(ahead, keyword)| self.is_ahead(ahead, keyword));
        self.at += if all { keywords.len() } else { 0 };
        all
    }

    pub(super) fn punct(&self, ahead: usize, byte: u8) -> bool {
        self.peek(ahead).is_some_and(|token| token.kind == TokenKind::Punct(byte))
    }

    pub(super) fn is_operator(&self, ahead: usize, operator: &[u8]) -> bool {
        self.peek(ahead).is_some_and(|token| token.kind == TokenKind::Operator && self.bytes(token) == operator)
    }

    /// The next token as a name.
    pub(super) fn name(&mut self) -> Option<String> {
        let token = self.peek(0)?;
        if !matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent | TokenKind::UnicodeIdent) {
            return None;
        }
        self.at += 1;
        Some(fold_identifier(self.bytes(token)))
    }

    pub(super) fn ended(&self) -> bool {
        self.at >= self.tokens.len()
    }
}

/// Recognises one statement. Where its tokens don't fit the command that they begin like, it is
/// [`Verb::Other`]: PostgreSQL will say what is wrong with it.
pub fn recognise(sql: &[u8], tokens: &[Token]) -> Command {
    let mut words = Words { sql, tokens, at: 0 };
    if words.ended() {
        return Command::Empty;
    }
    transaction(&mut words)
        .map(Command::Transaction)
        .or_else(|| session(&mut words).map(Command::Session))
        .unwrap_or_else(|| {
            words.at = 0;
            Command::Ordinary(verb(&mut words))
        })
}

fn transaction(words: &mut Words<'_>) -> Option<TransactionCommand> {
    words.at = 0;
    let command = if words.pass("begin") || words.pass_all(&["start", "transaction"]) {
        TransactionCommand::Begin
    } else if words.is_ahead(1, "prepared") && words.pass_any(&["commit", "rollback"]) {
        TransactionCommand::TwoPhase
    } else if words.pass_any(&["commit", "end"]) {
        words.pass_any(&["work", "transaction"]);
        TransactionCommand::Commit { chain: chain(words)? }
    } else if words.pass_any(&["rollback", "abort"]) {
        words.pass_any(&["work", "transaction"]);
        if words.pass("to") {
            words.pass_savepoint();
            TransactionCommand::RollbackTo(words.name()?)
        } else {
            TransactionCommand::Rollback { chain: chain(words)? }
        }
    } else if words.pass("savepoint") {
        TransactionCommand::Savepoint(words.name()?)
    } else if words.pass("release") {
        words.pass_savepoint();
        TransactionCommand::Release(words.name()?)
    } else if words.is_ahead(0, "prepare")
        && words.is_ahead(1, "transaction")
        && !words.is_ahead(2, "as")
        && !words.punct(2, b'(')
    {
        TransactionCommand::TwoPhase
    } else if words.pass("set") {
        let plain = words.is_ahead(0, "constraints") || words.is_ahead(0, "transaction");
        let local = words.is_ahead(0, "local") && words.is_ahead(1, "transaction");
        if !(plain && !settings::assigns(words, 1) || local) {
            return None;
        }
        TransactionCommand::SetTransaction
    } else {
        return None;
    };
    Some(command)
}

impl Words<'_> {
    /// `SAVEPOINT` is a word that may be left out, and also a possible name.
    fn pass_savepoint(&mut self) {
        if self.peek(1).is_some() {
            self.pass("savepoint");
        }
    }
}

/// `[AND [NO] CHAIN]` at the end; `None` when something else is there.
fn chain(words: &mut Words<'_>) -> Option<bool> {
    let chain = if words.pass_all(&["and", "no", "chain"]) { false } else { words.pass_all(&["and", "chain"]) };
    words.ended().then_some(chain)
}

fn session(words: &mut Words<'_>) -> Option<SessionCommand> {
    words.at = 0;
    let first = words.peek(0)?;
    let first = words.bytes(first).to_ascii_lowercase();
    words.at = 1;
    match first.as_slice() {
        b"set" => settings::set(words),
        b"reset" => settings::reset(words),
        b"show" => settings::show(words),
        b"discard" => discard(words),
        b"prepare" => words.name().map(|name| SessionCommand::Prepare { name }),
        b"execute" => words.name().map(|name| SessionCommand::Execute { name }),
        b"deallocate" => {
            if words.peek(1).is_some() {
                words.pass("prepare");
            }
            all_or_name(words).map(|name| SessionCommand::Deallocate { name })
        }
        b"declare" => declare(words),
        b"fetch" | b"move" => fetch(words),
        b"close" => all_or_name(words).map(|name| SessionCommand::CloseCursor { name }),
        b"listen" => Some(SessionCommand::Listen),
        b"unlisten" => Some(SessionCommand::Unlisten { all: words.is_operator(0, b"*") }),
        b"notify" => Some(SessionCommand::Notify),
        b"load" => Some(SessionCommand::Load),
        _ => None,
    }
}

/// The outer option is `None` where there is no name at all.
fn all_or_name(words: &mut Words<'_>) -> Option<Option<String>> {
    if words.pass("all") { Some(None) } else { words.name().map(Some) }
}

fn discard(words: &mut Words<'_>) -> Option<SessionCommand> {
    let command = if words.pass("all") {
        SessionCommand::DiscardAll
    } else if words.pass_any(&["temp", "temporary"]) {
        SessionCommand::DiscardTemp
    } else if words.pass("plans") {
        SessionCommand::DiscardPlans
    } else if words.pass("sequences") {
        SessionCommand::DiscardSequences
    } else {
        return None;
    };
    Some(command)
}

/// `DECLARE name [options] CURSOR [WITH | WITHOUT HOLD] FOR query`.
fn declare(words: &mut Words<'_>) -> Option<SessionCommand> {
    let name = words.name()?;
    while words.pass_any(&["binary", "asensitive", "insensitive", "no", "scroll"]) {}
    if !words.pass("cursor") {
        return None;
    }
    Some(SessionCommand::Declare { name, hold: words.pass_all(&["with", "hold"]) })
}

/// The cursor is the last word of FETCH and MOVE.
fn fetch(words: &mut Words<'_>) -> Option<SessionCommand> {
    words.at = words.tokens.len().checked_sub(1).filter(|last| *last > 0)?;
    words.name().map(|name| SessionCommand::Fetch { name })
}

fn verb(words: &mut Words<'_>) -> Verb {
    let Some(first) = words.tokens.iter().find(|token| token.kind != TokenKind::Punct(b'(')) else {
        return Verb::Other;
    };
    let word = words.bytes(first).to_ascii_lowercase();
    match word.as_slice() {
        b"select" | b"values" | b"table" | b"with" => query(words),
        b"insert" => Verb::Insert,
        b"update" => Verb::Update,
        b"delete" => Verb::Delete,
        b"merge" => Verb::Merge,
        b"copy" => copy(words),
        b"explain" => Verb::Explain { analyze: explains_by_running(words) },
        b"create" | b"alter" | b"drop" | b"truncate" | b"comment" | b"grant" | b"revoke" | b"security" | b"import"
        | b"reassign" | b"refresh" => Verb::Ddl,
        b"do" | b"call" => Verb::Procedure,
        _ => Verb::Other,
    }
}

/// A query is as its main verb, unless a common table expression in it writes: then it is as that.
fn query(words: &Words<'_>) -> Verb {
    let writes = |position: usize, token: &Token| {
        let verb = match words.bytes(token).to_ascii_lowercase().as_slice() {
            b"insert" => Verb::Insert,
            b"update" => Verb::Update,
            b"delete" => Verb::Delete,
            b"merge" => Verb::Merge,
            _ => return None,
        };
        // A command begins behind a parenthesis: `(` of a CTE, or `)` that ends the list of them. Elsewhere
        // these words are names, or parts of FOR UPDATE.
        let before = position.checked_sub(1).and_then(|before| words.tokens.get(before))?;
        matches!(before.kind, TokenKind::Punct(b'(' | b')')).then_some(verb)
    };
    let mut tokens = words.tokens.iter().enumerate().filter(|(_, token)| token.kind == TokenKind::Word);
    tokens.find_map(|(position, token)| writes(position, token)).unwrap_or(Verb::Select)
}

/// `COPY t [(columns)] FROM | TO ...` or `COPY (query) TO ...`.
fn copy(words: &mut Words<'_>) -> Verb {
    words.at = 1;
    let mut depth = 0_usize;
    while let Some(token) = words.peek(0) {
        match token.kind {
            TokenKind::Punct(b'(') => depth += 1,
            TokenKind::Punct(b')') => depth = depth.saturating_sub(1),
            TokenKind::Word if depth == 0 => {
                // The first word may be a table called `from`... but then it is quoted: FROM is reserved.
                let standard = words.is_ahead(1, "stdin") || words.is_ahead(1, "stdout");
                if words.is_ahead(0, "from") {
                    return Verb::Copy(if standard { CopyDirection::FromStdin } else { CopyDirection::ServerSide });
                }
                if words.is_ahead(0, "to") {
                    return Verb::Copy(if standard { CopyDirection::ToStdout } else { CopyDirection::ServerSide });
                }
            }
            _ => {}
        }
        words.at += 1;
    }
    Verb::Other
}

/// EXPLAIN ANALYZE, or ANALYZE among the options in parentheses and not false.
fn explains_by_running(words: &mut Words<'_>) -> bool {
    words.at = 1;
    if words.pass_any(&["analyze", "analyse"]) {
        return true;
    }
    if !words.punct(0, b'(') {
        return false;
    }
    let mut analyze = false;
    while let Some(token) = words.peek(0) {
        if token.kind == TokenKind::Punct(b')') {
            break;
        }
        words.at += 1;
        if words.pass_any(&["analyze", "analyse"]) {
            analyze = !is_false(words);
        }
    }
    analyze
}

/// If the value of a boolean option is one of the spellings of false (defGetBoolean).
fn is_false(words: &Words<'_>) -> bool {
    let Some(token) = words.peek(0) else {
        return false;
    };
    let text = words.bytes(token).to_ascii_lowercase();
    matches!(text.as_slice(), b"false" | b"off" | b"0" | b"'false'" | b"'off'" | b"'0'" | b"\"false\"" | b"\"off\"")
}
