//! Expressions over groups. In: their tokens. Out: the same with marks for aggregates and for what is grouped by.

use std::ops::Range;

use super::build::Inquiry;
use crate::sql::TokenKind;
use crate::sql::statement::Source;

/// A piece of an expression over groups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FinalPart {
    /// Tokens of the client's text.
    Client(Range<usize>),
    /// A column of the parts, by the expression that it is, counted from 0.
    Group(usize),
    /// An aggregate, by its position in the calls.
    Call(usize),
    /// A name alone in ORDER BY: an output if one is called so, else this.
    Name(Box<str>, Vec<FinalPart>),
}

/// What of an aggregate a shard computes, and what is made of that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aggregate {
    Count,
    Sum,
    Average,
    /// The aggregate of the parts' aggregates.
    Same(&'static str),
    /// Of the different values of a column of the parts.
    Distinct {
        function: &'static str,
        group: usize,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    pub aggregate: Aggregate,
    /// Tokens of the client's text.
    pub arguments: Range<usize>,
    /// FILTER and its parenthesis.
    pub filter: Range<usize>,
}

/// What rows are grouped by.
pub struct Group {
    /// Tokens of the statement.
    pub tokens: Range<usize>,
    /// It is one operand wherever it stands.
    is_primary: bool,
}

const SAME: &[&str] = &["min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or", "bit_xor"];
const OF_DISTINCT: &[&str] = &["count", "sum", "avg"];

impl Group {
    pub fn of(inquiry: &Inquiry<'_>, tokens: Range<usize>) -> Self {
        let text = inquiry.text;
        let is_name = |at: usize| {
            matches!(text.kind(at), Some(TokenKind::Word | TokenKind::QuotedIdent)) && text.name(at).is_some()
        };
        let names = match tokens.len() {
            1 => is_name(tokens.start),
            3 => is_name(tokens.start) && text.punct(tokens.start + 1, b'.') && is_name(tokens.start + 2),
            _ => false,
        };
        let is_call = tokens.len() > 2
            && is_name(tokens.start)
            && text.punct(tokens.start + 1, b'(')
            && closing(inquiry, tokens.start + 1) == Some(tokens.end - 1);
        Self { tokens, is_primary: names || is_call }
    }
}

/// The parenthesis that closes this one.
fn closing(inquiry: &Inquiry<'_>, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for at in open..inquiry.text.pieces.len() {
        match inquiry.text.kind(at)? {
            TokenKind::Punct(b'(' | b'[') => depth += 1,
            TokenKind::Punct(b')' | b']') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

pub struct Scan<'a> {
    inquiry: &'a Inquiry<'a>,
    pub groups: Vec<Group>,
    pub calls: Vec<Call>,
    /// How many aggregates were met.
    pub found: usize,
    /// Tokens of the client's text: literals that have to be the same in each call.
    pub same: Vec<(usize, usize)>,
}

impl<'a> Scan<'a> {
    pub fn new(inquiry: &'a Inquiry<'a>) -> Self {
        Self { inquiry, groups: Vec::new(), calls: Vec::new(), found: 0, same: Vec::new() }
    }

    /// `None` for aggregates that can't be put together.
    pub fn expression(&mut self, tokens: Range<usize>) -> Option<Vec<FinalPart>> {
        let mut parts: Vec<FinalPart> = Vec::new();
        let mut at = tokens.start;
        while at < tokens.end {
            let (part, end) = if let Some((call, end)) = self.call(at, tokens.end)? {
                (FinalPart::Call(call), end)
            } else if let Some((group, end)) = self.group(at, &tokens) {
                (FinalPart::Group(group), end)
            } else {
                (FinalPart::Client(self.inquiry.at(&(at..at + 1))), at + 1)
            };
            match (parts.last_mut(), &part) {
                (Some(FinalPart::Client(last)), FinalPart::Client(next)) if last.end == next.start => {
                    last.end = next.end
                }
                _ => parts.push(part),
            }
            at = end;
        }
        Some(parts)
    }

    /// A call of an aggregate here, and where it ends.
    fn call(&mut self, at: usize, limit: usize) -> Option<Option<(usize, usize)>> {
        let text = self.inquiry.text;
        let before_dot = at.checked_sub(1).is_some_and(|before| text.punct(before, b'.'));
        let mut name_at = at;
        if text.is(at, "pg_catalog") && text.punct(at + 1, b'.') {
            name_at = at + 2;
        }
        let (Some(name), true, false) = (text.name(name_at), text.punct(name_at + 1, b'('), before_dot) else {
            return Some(None);
        };
        let statement = self.inquiry.statement;
        let is_aggregate = statement
            .calls
            .iter()
            .any(|call| call.scope == statement.root && *call.name == *name && self.inquiry.is_aggregate(call));
        if !is_aggregate {
            return Some(None);
        }
        self.found += 1;
        let close = closing(self.inquiry, name_at + 1)?;
        let mut arguments = name_at + 2..close;
        let mut end = close + 1;
        let mut filter = end..end;
        if text.is(end, "filter") && text.punct(end + 1, b'(') {
            end = closing(self.inquiry, end + 1)? + 1;
            filter.end = end;
        }
        if end > limit || text.is_any(end, &["over", "within"]) || arguments.is_empty() {
            return None;
        }
        let mut depth = 0_usize;
        for at in arguments.clone() {
            match text.kind(at)? {
                TokenKind::Punct(b'(' | b'[') => depth += 1,
                TokenKind::Punct(b')' | b']') => depth = depth.checked_sub(1)?,
                TokenKind::Punct(b',') if depth == 0 => return None,
                TokenKind::Word if text.is(at, "order") && text.is(at + 1, "by") => return None,
                _ => {}
            }
        }
        let same = SAME.iter().find(|known| **known == name);
        let distinct = text.is(arguments.start, "distinct");
        if distinct {
            arguments.start += 1;
        }
        let aggregate = match (name.as_str(), same) {
            (_, Some(same)) => Aggregate::Same(same),
            (name, None) if distinct => {
                let function = OF_DISTINCT.iter().find(|known| **known == name)?;
                if !filter.is_empty() || arguments.is_empty() {
                    return None;
                }
                self.groups.push(Group { tokens: arguments.clone(), is_primary: false });
                Aggregate::Distinct { function, group: self.groups.len() - 1 }
            }
            ("count", None) => Aggregate::Count,
            ("sum", None) => Aggregate::Sum,
            ("avg", None) => Aggregate::Average,
            _ => return None,
        };
        let (arguments, filter) = (self.inquiry.at(&arguments), self.inquiry.at(&filter));
        self.calls.push(Call { aggregate, arguments, filter });
        Some(Some((self.calls.len() - 1, end)))
    }

    /// What is grouped by, here, and where it ends.
    fn group(&mut self, at: usize, tokens: &Range<usize>) -> Option<(usize, usize)> {
        let text = self.inquiry.text;
        let before = at.checked_sub(1);
        if before.is_some_and(|before| text.punct(before, b'.') || text.is(before, "as") || text.bytes(before) == b"::")
        {
            return None;
        }
        let mut best: Option<(usize, usize)> = None;
        for (position, group) in self.groups.iter().enumerate() {
            let Some(end) = self.matches(group, at).filter(|end| *end <= tokens.end) else { continue };
            let opens =
                at == tokens.start || before.is_some_and(|before| text.punct(before, b'(') || text.punct(before, b','));
            let closes = end == tokens.end || text.punct(end, b')') || text.punct(end, b',');
            let stands_alone = opens && closes;
            let is_operand = group.is_primary
                && !(text.punct(end, b'.') || text.punct(end, b'(') || text.punct(end, b'['))
                // `date '2026-01-01'`
                && !matches!(text.kind(end), Some(TokenKind::Literal(_)));
            if (stands_alone || is_operand) && best.is_none_or(|(_, longest)| end > longest) {
                best = Some((position, end));
            }
        }
        let (position, end) = best?;
        let group = self.groups.get(position)?;
        let is_literal = |at: &usize| matches!(text.kind(*at), Some(TokenKind::Literal(_)));
        let pairs = group.tokens.clone().zip(at..end).filter(|(one, _)| is_literal(one));
        self.same.extend(pairs.map(|(one, other)| (self.inquiry.base + one, self.inquiry.base + other)));
        Some((position, end))
    }

    /// Where the group's tokens end, if they stand here. A column may have its table's name before it in one
    /// place and not in another, where there is one table.
    fn matches(&self, group: &Group, at: usize) -> Option<usize> {
        let text = self.inquiry.text;
        let equal = |one: usize, other: usize| match (text.name(one), text.name(other)) {
            (Some(one), Some(other)) => one == other,
            (None, None) => text.kind(one) == text.kind(other) && text.bytes(one) == text.bytes(other),
            _ => false,
        };
        let written = group.tokens.clone();
        if written.clone().enumerate().all(|(ahead, token)| equal(token, at + ahead)) {
            return Some(at + written.len());
        }
        let relation = match self.inquiry.root.relations.as_slice() {
            [only] => only,
            _ => return None,
        };
        let name = match (&relation.alias, &relation.source) {
            (Some(alias), _) => alias,
            (None, Source::Table(table)) => &table.name,
            (None, _) => return None,
        };
        let is_table = |at: usize| text.name(at).is_some_and(|found| *found == **name) && text.punct(at + 1, b'.');
        match written.len() {
            1 if is_table(at) && equal(written.start, at + 2) => Some(at + 3),
            3 if is_table(written.start) && equal(written.end - 1, at) && !text.punct(at + 1, b'.') => Some(at + 1),
            _ => None,
        }
    }
}
