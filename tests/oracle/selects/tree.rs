//! A SELECT as a tree, of which branches can be cut off when it shows a difference. In: pieces. Out: text with its
//! parameters, and smaller trees.

use super::super::list::Parameter;
use super::super::statement::{Fragment, MARK};
use super::tables::Kind;

#[derive(Clone, Debug)]
pub enum Tree {
    Text(String),
    Parameter(Parameter),
    All(Vec<Tree>),
    /// May be left out as a whole.
    Optional(Box<Tree>),
    /// `lead item separator item ...`, of which items may be left out, but not more than leave `least`.
    List {
        lead: &'static str,
        separator: &'static str,
        items: Vec<Tree>,
        least: usize,
    },
    /// May be any value of its kind: one within it, or NULL.
    Value(Kind, Box<Tree>),
    /// A query, which may be one within it.
    Query(Box<Tree>),
}

use Tree::{All, List, Optional, Query, Text, Value};

impl Tree {
    pub fn empty() -> Self {
        All(Vec::new())
    }

    pub fn value(kind: Kind, parts: Vec<Tree>) -> Self {
        Value(kind, Box::new(All(parts)))
    }

    pub fn optional(parts: Vec<Tree>) -> Self {
        Optional(Box::new(All(parts)))
    }

    pub fn list(lead: &'static str, separator: &'static str, items: Vec<Tree>, least: usize) -> Self {
        List { lead, separator, items, least }
    }

    pub fn fragment(&self) -> Fragment {
        let mut fragment = Fragment::default();
        self.write(&mut fragment);
        fragment
    }

    fn write(&self, out: &mut Fragment) {
        match self {
            Text(text) => out.text += text,
            Self::Parameter(parameter) => {
                out.text.push(MARK);
                out.parameters.push(parameter.clone());
            }
            All(parts) => parts.iter().for_each(|part| part.write(out)),
            Optional(inner) | Value(_, inner) | Query(inner) => inner.write(out),
            List { lead, separator, items, .. } => {
                for (at, item) in items.iter().enumerate() {
                    out.text += if at == 0 { lead } else { separator };
                    item.write(out);
                }
            }
        }
    }

    /// The same with one branch less or a shorter one, in every way; the largest cuts come first.
    pub fn smaller(&self) -> Vec<Tree> {
        match self {
            Text(_) | Self::Parameter(_) => Vec::new(),
            All(parts) => within(parts, &|parts| All(parts)),
            Optional(inner) => std::iter::once(Self::empty())
                .chain(inner.smaller().into_iter().map(|inner| Optional(Box::new(inner))))
                .collect(),
            Query(inner) => {
                let mut inside = Vec::new();
                inner.queries(&mut inside);
                inside.extend(inner.smaller().into_iter().map(|inner| Query(Box::new(inner))));
                inside
            }
            Value(kind, inner) => {
                let mut instead = Vec::new();
                inner.values(*kind, &mut instead);
                if !inner.is_leaf() {
                    instead.push(Text(kind.plain().to_owned()));
                }
                instead.extend(inner.smaller().into_iter().map(|inner| Value(*kind, Box::new(inner))));
                instead
            }
            List { lead, separator, items, least } => {
                let list = |items| List { lead, separator, items, least: *least };
                let mut fewer = Vec::new();
                for at in (0..items.len()).filter(|_| items.len() > *least) {
                    let mut items = items.clone();
                    items.remove(at);
                    fewer.push(list(items));
                }
                fewer.extend(within(items, &list));
                fewer
            }
        }
    }

    fn is_leaf(&self) -> bool {
        matches!(self, All(parts) if matches!(&parts[..], [Text(_) | Self::Parameter(_)]))
    }

    fn children(&self) -> &[Tree] {
        match self {
            Text(_) | Self::Parameter(_) => &[],
            All(parts) => parts,
            List { items, .. } => items,
            Optional(inner) | Value(_, inner) | Query(inner) => std::slice::from_ref(inner),
        }
    }

    fn queries(&self, found: &mut Vec<Tree>) {
        for child in self.children() {
            if matches!(child, Query(_)) {
                found.push(child.clone());
            } else {
                child.queries(found);
            }
        }
    }

    fn values(&self, kind: Kind, found: &mut Vec<Tree>) {
        for child in self.children() {
            match child {
                Value(of, _) if *of == kind => found.push(child.clone()),
                // What is in a query means nothing outside of it.
                Query(_) => {}
                other => other.values(kind, found),
            }
        }
    }
}

pub fn text(text: impl Into<String>) -> Tree {
    Text(text.into())
}

fn within(parts: &[Tree], whole: &dyn Fn(Vec<Tree>) -> Tree) -> Vec<Tree> {
    let mut all = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        for smaller in part.smaller() {
            let mut parts = parts.to_vec();
            parts[at] = smaller;
            all.push(whole(parts));
        }
    }
    all
}
