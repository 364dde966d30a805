//! PostgreSQL's log (`stderr`, `csvlog` or `jsonlog`, whatever `log_line_prefix` is): the statements in it, with the
//! values of their parameters where they were logged (`log_parameter_max_length`). Where only auto_explain logged, those that
//! it explained.

mod explained;

use super::Sent;

/// If a text is one of these logs.
pub(super) fn is_one(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    json_line(first).is_some()
        || record(text).is_some_and(|(fields, _)| is_csv(&fields))
        || text.lines().any(|line| message_of(line).is_some_and(|(level, text)| level == "LOG" && is_told_in(text)))
}

/// # Errors
/// Never so far: what isn't understood isn't a statement.
pub(super) fn read(text: &str) -> Result<Vec<Sent>, String> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let mut all = Found::default();
    if json_line(first).is_some() {
        for (number, line) in (1..).zip(text.lines()) {
            if let Some([message, detail, context]) = json_line(line) {
                all.note(number, &message, &detail, !context.is_empty());
            }
        }
    } else if record(text).is_some_and(|(fields, _)| is_csv(&fields)) {
        let (mut rest, mut line) = (text, 1);
        while !rest.is_empty() {
            let Some((fields, read)) = record(rest) else { break };
            let field = |at: usize| fields.get(at).map(String::as_str).unwrap_or_default();
            if field(11) == "LOG" {
                all.note(line, field(13), field(14), !field(18).is_empty());
            }
            line += rest.bytes().take(read).filter(|byte| *byte == b'\n').count();
            rest = rest.get(read..).unwrap_or_default();
        }
    } else {
        stderr(text, &mut all);
    }
    Ok(if all.sent.is_empty() { all.explained } else { all.sent })
}

/// What a log tells so far.
#[derive(Default)]
struct Found {
    sent: Vec<Sent>,
    /// By auto_explain: the same statements once more where they are logged as well.
    explained: Vec<Sent>,
}

impl Found {
    /// `is_within`: it is a part of what another statement does.
    fn note(&mut self, line: usize, message: &str, detail: &str, is_within: bool) -> Told {
        let sent = |sql: &str, parameters| Sent { sql: sql.to_owned(), line, parameters, calls: 1 };
        if let Some(sql) = statement_in(message) {
            self.sent.push(sent(sql, parameters_in(detail)));
            Told::Sent
        } else if let Some((sql, parameters)) = explained::statement_in(message).filter(|_| !is_within) {
            self.explained.push(sent(&sql, parameters));
            Told::Explained
        } else {
            Told::Nothing
        }
    }
}

/// What the last message was, which what comes behind it belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Sent,
    Explained,
}

/// Lines that begin with a tab go on with the message of the line before.
fn stderr(text: &str, all: &mut Found) {
    let mut lines = (1..).zip(text.lines()).peekable();
    let mut told = Told::Nothing;
    while let Some((number, line)) = lines.next() {
        let Some((level, message)) = message_of(line) else { continue };
        let mut message = message.to_owned();
        while let Some((_, more)) = lines.next_if(|(_, next)| next.starts_with('\t')) {
            message.push('\n');
            message.push_str(more.strip_prefix('\t').unwrap_or(more));
        }
        match level {
            "DETAIL" if told == Told::Sent => {
                if let Some(last) = all.sent.last_mut() {
                    last.parameters = parameters_in(&message);
                }
            }
            "CONTEXT" if told == Told::Explained => {
                all.explained.pop();
                told = Told::Nothing;
            }
            "LOG" => told = all.note(number, &message, "", false),
            "DETAIL" | "HINT" | "CONTEXT" | "STATEMENT" => {}
            _ => told = Told::Nothing,
        }
    }
}

/// Level and text of a line, behind whatever `log_line_prefix` says.
fn message_of(line: &str) -> Option<(&'static str, &str)> {
    const LEVELS: [&str; 9] = ["LOG", "DETAIL", "HINT", "ERROR", "FATAL", "PANIC", "WARNING", "STATEMENT", "CONTEXT"];
    let found = LEVELS.into_iter().filter_map(|level| {
        let at = line.find(&format!("{level}:  "))?;
        let is_word = line.get(..at)?.chars().next_back().is_none_or(|before| !before.is_alphanumeric());
        is_word.then_some((at, level))
    });
    let (at, level) = found.min()?;
    Some((level, line.get(at + level.len() + 3..)?))
}

/// A line of `stderr`, without those that go on with it.
fn is_told_in(message: &str) -> bool {
    statement_in(message).is_some() || explained::begins(message)
}

/// `statement: ...` or `execute name: ...`, perhaps behind `duration: 1.234 ms  `. What was parsed or bound is told again
/// when it is executed.
fn statement_in(message: &str) -> Option<&str> {
    let message = match message.strip_prefix("duration: ") {
        Some(rest) => rest.split_once(" ms  ")?.1,
        None => message,
    };
    if let Some(sql) = message.strip_prefix("statement: ") {
        return Some(sql);
    }
    let (name, sql) = message.strip_prefix("execute ")?.split_once(": ")?;
    (!name.starts_with("fetch from ")).then_some(sql)
}

/// `parameters: $1 = '42', $2 = NULL`
fn parameters_in(detail: &str) -> Option<Vec<Option<String>>> {
    let (name, mut rest) = detail.split_once(": ")?;
    if !name.eq_ignore_ascii_case("parameters") {
        return None;
    }
    let mut values = Vec::new();
    while let Some(begun) = rest.strip_prefix('$') {
        let (_, value) = begun.split_once(" = ")?;
        if let Some(behind) = value.strip_prefix("NULL") {
            values.push(None);
            rest = behind;
        } else {
            let quoted = value.strip_prefix('\'')?;
            let mut text = String::new();
            let mut characters = quoted.char_indices().peekable();
            let end = loop {
                match characters.next()? {
                    (_, '\'') if characters.next_if(|(_, next)| *next == '\'').is_some() => text.push('\''),
                    (at, '\'') => break at + 1,
                    (_, other) => text.push(other),
                }
            };
            values.push(Some(text));
            rest = quoted.get(end..).unwrap_or_default();
        }
        rest = rest.strip_prefix(", ").unwrap_or(rest);
    }
    Some(values)
}

/// Message, detail and context of a line of `jsonlog`.
fn json_line(line: &str) -> Option<[String; 3]> {
    if !line.trim_start().starts_with('{') {
        return None;
    }
    let event: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| event.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    event.get("error_severity").map(|_| [text("message"), text("detail"), text("context")])
}

fn is_csv(fields: &[String]) -> bool {
    const LEVELS: [&str; 6] = ["LOG", "ERROR", "FATAL", "PANIC", "WARNING", "NOTICE"];
    fields.len() > 20 && fields.get(11).is_some_and(|level| LEVELS.contains(&level.as_str()))
}

/// The first record of a text in CSV, and how many bytes it has.
fn record(text: &str) -> Option<(Vec<String>, usize)> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' if quoted && characters.next_if(|(_, next)| *next == '"').is_some() => fields.last_mut()?.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            '\n' if !quoted => return Some((fields, at + 1)),
            other => fields.last_mut()?.push(other),
        }
    }
    Some((fields, text.len()))
}
