//! A survey as text for people and as JSON for programs.

use std::fmt;

use serde_json::{Value, json};

use super::{Class, Shape, Survey};

/// Longer texts are cut: the shape is what matters.
const SHOWN_CHARACTERS: usize = 160;

impl Shape {
    /// Its beginning.
    pub fn short(&self) -> String {
        match self.readable.char_indices().nth(SHOWN_CHARACTERS) {
            Some((at, _)) => format!("{}…", self.readable.get(..at).unwrap_or_default()),
            None => self.readable.clone(),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}", self.line)?;
        }
        match (self.line, self.calls) {
            (0, calls) => write!(f, "{calls} calls: ")?,
            (_, 1) => f.write_str(": ")?,
            (_, calls) => write!(f, " ({calls} calls): ")?,
        }
        writeln!(f, "{}", self.short())?;
        match &self.refusal {
            Some(refusal) => {
                write!(f, "    refused {}: {}", refusal.state, refusal.message)?;
                for (label, text) in [("detail", &refusal.detail), ("hint", &refusal.hint)] {
                    if !text.is_empty() {
                        write!(f, "\n    {label}: {text}")?;
                    }
                }
            }
            None => write!(f, "    {}: {}", self.class.name(), self.plan.replace('\n', "\n    "))?,
        }
        if self.by_class.len() > 1 {
            let mut each = self.by_class.clone();
            each.sort_unstable_by_key(|(class, _)| *class);
            let each: Vec<String> = each.iter().map(|(class, calls)| format!("{calls} {}", class.name())).collect();
            write!(f, "\n    its calls: {}", each.join(", "))?;
        }
        Ok(())
    }
}

impl Survey {
    /// `20 statements of 15 shapes: 12 one shard (60 %), ...`
    pub fn summary(&self) -> String {
        let total = self.total();
        let each = Class::ALL.into_iter().map(|class| (class, self.calls(class))).filter(|(_, calls)| *calls > 0);
        let each: Vec<String> =
            each.map(|(class, calls)| format!("{calls} {} ({})", class.name(), percent(calls, total))).collect();
        let nouns = |number: u64, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
        let shapes = u64::try_from(self.shapes.len()).unwrap_or(u64::MAX);
        let head = format!("{} of {}", nouns(total, "statement"), nouns(shapes, "shape"));
        if each.is_empty() { head } else { format!("{head}: {}", each.join(", ")) }
    }

    pub fn to_json(&self) -> Value {
        let shape = |shape: &Shape| {
            let refusal = shape.refusal.as_ref().map(|refusal| {
                json!({
                    "sqlstate": refusal.state.code(), "message": refusal.message,
                    "detail": refusal.detail, "hint": refusal.hint,
                })
            });
            json!({
                "line": shape.line, "statement": shape.readable, "calls": shape.calls, "class": shape.class.key(),
                "plan": shape.plan, "refusal": refusal, "calls_by_class": counts(&shape.by_class),
            })
        };
        let all: Vec<(Class, u64)> = Class::ALL.into_iter().map(|class| (class, self.calls(class))).collect();
        json!({
            "calls": self.total(), "calls_by_class": counts(&all),
            "statements": self.shapes.iter().map(shape).collect::<Vec<_>>(),
        })
    }
}

fn counts(each: &[(Class, u64)]) -> Value {
    each.iter().map(|(class, calls)| (class.key().to_owned(), json!(calls))).collect::<serde_json::Map<_, _>>().into()
}

/// Whole per cents, but never 0 or 100 for what is some or not all.
fn percent(part: u64, whole: u64) -> String {
    let rounded = (part * 100 + whole / 2).checked_div(whole).unwrap_or(0);
    match rounded {
        0 if part > 0 => "< 1 %".to_owned(),
        100 if part < whole => "> 99 %".to_owned(),
        rounded => format!("{rounded} %"),
    }
}
