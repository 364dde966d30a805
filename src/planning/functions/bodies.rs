//! What a user's SQL or PL/pgSQL function may do, as far as its body tells. In: the body. Out: a [`Class`].
//!
//! A body reads no table if it has none of the words that statements need for that, and calls nothing that does; whatever
//! can't be told is [`Class::Unknown`]. Operators and casts of the user's own aren't seen: the catalog gives no body then.

use super::{Class, FunctionKind, Functions, is_bare};
use crate::planning::build;
use crate::planning::text::Text;
use crate::sql::{LexOptions, TokenKind};

/// Without any of these no table, sequence or file is read or changed, and no text is run as a statement. FROM is also part
/// of `extract(... FROM ...)` and its like: nothing is concluded then.
const TOUCHING: &[&str] = &[
    "alter",
    "analyze",
    "call",
    "close",
    "cluster",
    "comment",
    "commit",
    "copy",
    "create",
    "deallocate",
    "delete",
    "discard",
    "do",
    "drop",
    "execute",
    "explain",
    "fetch",
    "from",
    "grant",
    "import",
    "insert",
    "join",
    "listen",
    "load",
    "lock",
    "merge",
    "move",
    "notify",
    "open",
    "prepare",
    "reassign",
    "refresh",
    "reindex",
    "reset",
    "revoke",
    "rollback",
    "savepoint",
    "security",
    "set",
    "show",
    "start",
    "table",
    "truncate",
    "unlisten",
    "update",
    "vacuum",
    "with",
];

impl Functions<'_> {
    /// Without looking into bodies.
    pub fn declared(&self) -> Self {
        Self { bodies: false, ..*self }
    }

    /// The class of a trigger's function that isn't declared; [`Class::Unknown`] also where the row may get another `key`.
    pub fn class_of_trigger(&self, schema: &str, name: &str, key: Option<&str>) -> Class {
        let class = |function: &crate::catalog::Function| match &function.body {
            Some(body) if function.kind == FunctionKind::Function && keeps(body, key) => self.class_of_body(body),
            _ => Class::Unknown,
        };
        let functions = self.catalog.into_iter().flat_map(|catalog| catalog.functions(Some(schema), name));
        functions.map(class).max().unwrap_or(Class::Unknown)
    }

    /// The class of a function with this body.
    pub(super) fn class_of_body(&self, body: &str) -> Class {
        let sql = body.as_bytes();
        let pieces = build::pieces(sql, &LexOptions { standard_conforming_strings: true });
        let text = Text { sql, pieces: &pieces };
        let mut worst = Class::Harmless;
        for at in 0..pieces.len() {
            let class = match text.kind(at) {
                // Not every session reads a backslash in a string in the same way.
                Some(TokenKind::Literal(_)) if text.bytes(at).contains(&b'\\') => Class::Unknown,
                Some(TokenKind::UnicodeIdent) => Class::Unknown,
                Some(TokenKind::Word | TokenKind::QuotedIdent) => self.class_of_word(text, at),
                _ => Class::Harmless,
            };
            worst = worst.max(class);
        }
        let called = text.calls().into_iter().map(|called| self.class_within(called.schema.as_deref(), &called.name));
        called.fold(worst, Class::max)
    }

    fn class_of_word(&self, text: Text<'_>, at: usize) -> Class {
        let Some(name) = text.name(at) else { return Class::Unknown };
        let is_keyword = text.kind(at) == Some(TokenKind::Word);
        // IS DISTINCT FROM compares.
        let compares = name == "from" && at.checked_sub(1).is_some_and(|before| text.is(before, "distinct"));
        // TG_OP = 'UPDATE' is a string; ON UPDATE stands in definitions alone.
        if is_keyword && TOUCHING.contains(&name.as_str()) && !compares {
            return Class::Unknown;
        }
        if is_keyword && is_bare(&name) {
            return self.class_within(None, &name);
        }
        // `(row).name` may call a function, too.
        let is_own = self.catalog.is_some_and(|catalog| catalog.functions(None, &name).next().is_some());
        if is_own { self.class_within(None, &name) } else { Class::Harmless }
    }

    /// Bodies within bodies aren't looked at.
    fn class_within(&self, schema: Option<&str>, name: &str) -> Class {
        match self.declared().class(schema, name) {
            class @ (Class::Harmless | Class::Moment | Class::Server) => class,
            // A trigger with a sequence would draw from that of its shard.
            Class::HomeBound | Class::Aggregate | Class::Window | Class::ReadsTables | Class::Unknown => Class::Unknown,
        }
    }
}

/// If a trigger with this body returns the row that it was given, other columns than the key changed at most.
fn keeps(body: &str, key: Option<&str>) -> bool {
    let Some(key) = key else { return true };
    let sql = body.as_bytes();
    let pieces = build::pieces(sql, &LexOptions { standard_conforming_strings: true });
    let text = Text { sql, pieces: &pieces };
    let is = |at: usize, name: &str| text.name(at).as_deref() == Some(name);
    (0..pieces.len()).all(|at| {
        if text.is_any(at, &["into", "alias"]) {
            return false;
        }
        if text.is(at, "return") {
            return text.is_any(at + 1, &["new", "old", "null"]) && text.punct(at + 2, b';');
        }
        if !is(at, "new") {
            return true;
        }
        // `NEW.column`, and what may be an assignment to it: `=` or `:=`, or the variable of a FOR.
        let returned = at.checked_sub(1).is_some_and(|before| text.is(before, "return"));
        let column = if text.punct(at + 1, b'.') { text.name(at + 2) } else { None };
        let behind = text.bytes(at + 3);
        match column {
            Some(column) if column == key => {
                !matches!(behind, b"=" | b":=" | b":" | b"," | b"[" | b".") && !text.is(at + 3, "in")
            }
            Some(_) => true,
            None => returned,
        }
    })
}
