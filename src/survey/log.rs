//! PostgreSQL's log (`stderr`, `csvlog` or `jsonlog`, whatever `log_line_prefix` is): the statements in it, with the
//! values of their parameters where they were logged (`log_parameter_max_length`).

use super::Sent;

/// If a text is one of these logs.
pub(super) fn is_one(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    json_line(first).is_some()
        || record(text).is_some_and(|(fields, _)| is_csv(&fields))
        || text
            .lines()
            .any(|line| message_of(line).is_some_and(|(level, text)| level == "LOG" && statement_in(text).is_some()))
}

/// # Errors
/// Never so far: what isn't understood isn't a statement.
pub(super) fn read(text: &str) -> Result<Vec<Sent>, String> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let mut all = Vec::new();
    if json_line(first).is_some() {
        for (number, line) in (1..).zip(text.lines()) {
            if let Some((message, detail)) = json_line(line) {
                note(&mut all, number, &message, &detail);
            }
        }
    } else if record(text).is_some_and(|(fields, _)| is_csv(&fields)) {
        let (mut rest, mut line) = (text, 1);
        while !rest.is_empty() {
            let Some((fields, read)) = record(rest) else { break };
            let field = |at: usize| fields.get(at).map(String::as_str).unwrap_or_default();
            if field(11) == "LOG" {
                note(&mut all, line, field(13), field(14));
            }
            line += rest.bytes().take(read).filter(|byte| *byte == b'\n').count();
            rest = rest.get(read..).unwrap_or_default();
        }
    } else {
        stderr(text, &mut all);
    }
    Ok(all)
}

/// Lines that begin with a tab go on with the message of the line before.
fn stderr(text: &str, all: &mut Vec<Sent>) {
    let mut lines = (1..).zip(text.lines()).peekable();
    while let Some((number, line)) = lines.next() {
        let Some((level, message)) = message_of(line) else { continue };
        let mut message = message.to_owned();
        while let Some((_, more)) = lines.next_if(|(_, next)| next.starts_with('\t')) {
            message.push('\n');
            message.push_str(more.strip_prefix('\t').unwrap_or(more));
        }
        match level {
            "LOG" => note(all, number, &message, ""),
            "DETAIL" => {
                if let Some(last) = all.last_mut().filter(|last| last.parameters.is_none()) {
                    last.parameters = parameters_in(&message);
                }
            }
            _ => {}
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

fn note(all: &mut Vec<Sent>, line: usize, message: &str, detail: &str) {
    if let Some(sql) = statement_in(message) {
        all.push(Sent { sql: sql.to_owned(), line, parameters: parameters_in(detail), calls: 1 });
    }
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

/// Message and detail of a line of `jsonlog`.
fn json_line(line: &str) -> Option<(String, String)> {
    if !line.trim_start().starts_with('{') {
        return None;
    }
    let event: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| event.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    event.get("error_severity").map(|_| (text("message"), text("detail")))
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
