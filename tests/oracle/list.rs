//! Lists of statements. In: a file of entries with blank lines between them. Out: [`Entry`] values.
//!
//! An entry may begin with comment lines. Those that start with `--!` say how it is to be run and compared:
//!
//! - `must`: may not be refused. `refused`: must be, by more than one shard. Neither: it may be.
//! - `param TYPE VALUE`: the next parameter, to the end of the line; `null` is NULL.
//! - `script`: each line is sent by itself, one after the other, on a connection of its own.
//! - `simple`: only the simple protocol. `extended`: only the extended one.
//! - `unordered`: an ORDER BY that doesn't order the result.
//! - `rows`: only the number of rows is compared. `outcome`: only tags and errors.
//! - `opaque N`: of column N (from 0) only the number of different values.
//! - `error CODE`: what more than one shard must answer; one server knows no such error.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    Answer,
    Refusal,
    Either,
}

/// How much of an answer is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compared {
    All,
    RowCount,
    Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocols {
    Both,
    Simple,
    Extended,
    /// Parse without a name, text.
    Unnamed,
    /// A prepared statement, binary and with a row limit.
    Named,
}

#[derive(Clone, Debug)]
pub struct Parameter {
    /// As `format_type` would print it.
    pub type_name: String,
    pub text: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Entry {
    /// File and line.
    pub place: String,
    pub sql: String,
    pub expected: Expected,
    pub compared: Compared,
    pub protocols: Protocols,
    pub parameters: Vec<Parameter>,
    pub is_script: bool,
    pub is_ordered: bool,
    pub opaque: Vec<usize>,
    pub error: Option<String>,
}

impl Entry {
    pub fn new(place: String, sql: String) -> Self {
        Self {
            is_ordered: has_order(&sql),
            place,
            sql,
            expected: Expected::Either,
            compared: Compared::All,
            protocols: Protocols::Both,
            parameters: Vec::new(),
            is_script: false,
            opaque: Vec::new(),
            error: None,
        }
    }

    /// If it may change what is stored; too often yes is only slow.
    pub fn writes(&self) -> bool {
        const WORDS: [&str; 9] =
            ["INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CREATE", "DROP", "CALL", "ADD_USER"];
        let sql = self.sql.to_uppercase();
        WORDS.iter().any(|word| sql.contains(word))
    }

    fn direct(&mut self, directive: &str) {
        let (word, rest) = directive.split_once(' ').unwrap_or((directive, ""));
        match word {
            "must" => self.expected = Expected::Answer,
            "refused" => self.expected = Expected::Refusal,
            "script" => self.is_script = true,
            "simple" => self.protocols = Protocols::Simple,
            "extended" => self.protocols = Protocols::Extended,
            "unordered" => self.is_ordered = false,
            "rows" => self.compared = Compared::RowCount,
            "outcome" => self.compared = Compared::Outcome,
            "error" => self.error = Some(rest.to_owned()),
            "opaque" => self.opaque.push(rest.parse().unwrap_or_else(|_| panic!("{}: {directive}", self.place))),
            "param" => {
                let (type_name, value) = rest.split_once(' ').unwrap_or((rest, ""));
                self.parameters.push(Parameter {
                    type_name: type_name.to_owned(),
                    text: (value != "null").then(|| value.to_owned()),
                });
            }
            _ => panic!("{}: an unknown directive: {directive}", self.place),
        }
    }
}

/// If an ORDER BY stands outside all parentheses.
fn has_order(sql: &str) -> bool {
    let upper = sql.to_uppercase();
    let mut depth = 0;
    upper.char_indices().any(|(at, character)| {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0 && upper[at..].starts_with("ORDER BY")
    })
}

/// The entries of a file. A file that can't be read so is a mistake in the file, and panics.
pub fn parse(file: &str, text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut block: Vec<&str> = Vec::new();
    for (number, line) in text.lines().chain([""]).enumerate() {
        if !line.trim().is_empty() {
            block.push(line);
            continue;
        }
        let first = number + 1 - block.len();
        let head = block.iter().take_while(|line| line.starts_with("--")).count();
        let sql = block[head..].join("\n");
        if !sql.is_empty() {
            let mut entry = Entry::new(format!("{file}:{}", first + head), sql);
            let directives = block[..head].iter().filter_map(|line| line.strip_prefix("--!"));
            directives.flat_map(|line| split(line.trim())).for_each(|directive| entry.direct(directive));
            if !entry.is_script {
                let end = entry.sql.trim_end().trim_end_matches(';').len();
                entry.sql.truncate(end);
            }
            entries.push(entry);
        }
        block.clear();
    }
    entries
}

/// Several words may stand on one line; what takes the rest of its line stands alone.
fn split(line: &str) -> Vec<&str> {
    match line.split(' ').next() {
        Some("param" | "error" | "opaque") => vec![line],
        _ => line.split_whitespace().collect(),
    }
}
