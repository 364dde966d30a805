//! The `options` start-up parameter: a command line for the server. In: its text. Out: the settings
//! it makes, in order. Doesn't know which settings exist.
//!
//! As pg_split_opts and process_postgres_switches in PostgreSQL's source read it.

use crate::types::{ClientError, SqlState};

/// # Errors
/// 42601 for what isn't `-c name=value` or `--name=value`.
pub(super) fn settings(text: &str) -> Result<Vec<(String, String)>, ClientError> {
    let mut settings = Vec::new();
    let mut arguments = split(text).into_iter();
    while let Some(argument) = arguments.next() {
        if let Some(long) = argument.strip_prefix("--") {
            settings.push(assignment(long, "--")?);
        } else if let Some(attached) = argument.strip_prefix("-c") {
            if attached.is_empty() {
                let detached = arguments.next().ok_or_else(|| invalid(&argument))?;
                settings.push(assignment(&detached, "-c ")?);
            } else {
                settings.push(assignment(attached, "-c ")?);
            }
        } else {
            return Err(invalid(&argument));
        }
    }
    Ok(settings)
}

/// Words between white space; a backslash takes the next character as it is.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    loop {
        // isspace() in the C locale, which has the vertical tab too.
        while characters.next_if(|c| c.is_ascii_whitespace() || *c == '\x0b').is_some() {}
        if characters.peek().is_none() {
            return words;
        }
        let mut word = String::new();
        while let Some(c) = characters.next_if(|c| !(c.is_ascii_whitespace() || *c == '\x0b')) {
            word.extend(if c == '\\' { characters.next() } else { Some(c) });
        }
        words.push(word);
    }
}

/// `name=value`; dashes in the name stand for underscores (ParseLongOption).
fn assignment(text: &str, switch: &str) -> Result<(String, String), ClientError> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.replace('-', "_"), value.to_owned())),
        _ => Err(ClientError::new(SqlState::SYNTAX_ERROR, format!("{switch}{text} requires a value"))),
    }
}

fn invalid(argument: &str) -> ClientError {
    let message = format!("invalid command-line argument for server process: {argument}");
    ClientError::new(SqlState::SYNTAX_ERROR, message).hint("Only \"-c name=value\" and \"--name=value\" are supported.")
}
