//! What the console understands. In: one statement. Out: a [`Command`], or that it is none.

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    Show(Shown),
    Reload,
    /// `None`: all databases.
    Pause(Option<String>),
    Resume(Option<String>),
    Reconnect(Option<String>),
    Disconnect(String),
    /// A client's number, or a database: all of its clients.
    Kill(String),
    Set {
        name: String,
        value: String,
    },
    ShutDown,
    /// What drivers send without being asked to, with the tag of its answer.
    Nothing(&'static str),
    Empty,
}

macro_rules! shown {
    ($($variant:ident = $word:literal, $about:literal;)+) => {
        /// Tables of SHOW.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Shown { $($variant),+ }

        impl Shown {
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => $about),+ }
            }
        }
    };
}

shown! {
    Clients = "CLIENTS", "who is connected";
    Config = "CONFIG", "settings, and whether SET changes them";
    Databases = "DATABASES", "databases and their limits";
    Gathers = "GATHERS", "rows that are being gathered from the shards now";
    Help = "HELP", "this list";
    Hot = "HOT", "busiest shards, buckets and keys, by samples";
    Lists = "LISTS", "how many there are of everything";
    Maps = "MAPS", "the versions of the shard maps, which all proxies must agree on";
    Mem = "MEM", "memory";
    Nodes = "NODES", "servers by shard, and whether they are up";
    Plans = "PLANS", "statements by shape: calls, times, rows, strategy";
    Pools = "POOLS", "connections by database and user";
    Queries = "QUERIES", "what runs now, on which shards";
    Refusals = "REFUSALS", "statements that were refused lately, and what to write instead";
    Servers = "SERVERS", "connections to servers";
    Shards = "SHARDS", "shards, their nodes, buckets and traffic";
    Slow = "SLOW", "slow statements of late";
    Stats = "STATS", "totals and averages by database";
    StatsAverages = "STATS_AVERAGES", "averages by database";
    StatsTotals = "STATS_TOTALS", "totals by database";
    Tables = "TABLES", "where tables are";
    Totals = "TOTALS", "totals over all databases";
    Transactions = "TRANSACTIONS", "transactions that are open";
    Users = "USERS", "who may log in";
    Version = "VERSION", "which version this is";
}

/// PgBouncer's own words, so that tools which look for them find them.
pub fn invalid(text: &str) -> String {
    format!("invalid command '{text}', use SHOW HELP;")
}

/// # Errors
/// What is wrong with it, for the client.
pub fn parse(sql: &str) -> Result<Command, String> {
    let text = sql.trim().trim_end_matches(';').trim();
    if text.is_empty() {
        return Ok(Command::Empty);
    }
    let (verb, rest) = split_word(text);
    let rest = rest.trim();
    let none = || Err(invalid(text));
    let only = |command: Command| if rest.is_empty() { Ok(command) } else { none() };
    match verb.to_ascii_uppercase().as_str() {
        "SHOW" => {
            let word = rest.to_ascii_uppercase();
            match Shown::ALL.into_iter().find(|shown| shown.word() == word) {
                Some(shown) => Ok(Command::Show(shown)),
                None if word == "FDS" => {
                    Err("SHOW FDS is not supported: Shardway doesn't hand its sockets over".to_owned())
                }
                None => none(),
            }
        }
        "RELOAD" => only(Command::Reload),
        "SHUTDOWN" => only(Command::ShutDown),
        "PAUSE" => Ok(Command::Pause(optional(rest))),
        "RESUME" => Ok(Command::Resume(optional(rest))),
        "RECONNECT" => Ok(Command::Reconnect(optional(rest))),
        "DISCONNECT" if !rest.is_empty() => Ok(Command::Disconnect(unquoted(rest))),
        "KILL" if !rest.is_empty() => Ok(Command::Kill(unquoted(rest))),
        "SET" => set(rest).ok_or_else(|| invalid(text)),
        "BEGIN" => only(Command::Nothing("BEGIN")),
        "COMMIT" => only(Command::Nothing("COMMIT")),
        "ROLLBACK" => only(Command::Nothing("ROLLBACK")),
        "DISCARD" => Ok(Command::Nothing("DISCARD ALL")),
        "DEALLOCATE" => Ok(Command::Nothing("DEALLOCATE")),
        _ => none(),
    }
}

fn split_word(text: &str) -> (&str, &str) {
    text.split_once(|letter: char| letter.is_whitespace()).unwrap_or((text, ""))
}

fn optional(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| unquoted(name))
}

/// Names as they are written, with the quotes taken off that SQL would want.
fn unquoted(name: &str) -> String {
    let name = name.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = name.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.to_owned();
        }
    }
    name.to_owned()
}

/// `name = value`, `name TO value`.
fn set(rest: &str) -> Option<Command> {
    let (name, value) = match rest.split_once('=') {
        Some(parts) => parts,
        None => {
            let (name, rest) = split_word(rest);
            let (to, value) = split_word(rest.trim());
            if !to.eq_ignore_ascii_case("to") {
                return None;
            }
            (name, value)
        }
    };
    let (name, value) = (name.trim(), unquoted(value));
    (!name.is_empty() && !value.is_empty()).then(|| Command::Set { name: name.to_ascii_lowercase(), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_understood_however_they_are_written() {
        let set = |name: &str, value: &str| Command::Set { name: name.to_owned(), value: value.to_owned() };
        for (sql, command) in [
            ("SHOW POOLS", Command::Show(Shown::Pools)),
            ("  show\n pools ; ", Command::Show(Shown::Pools)),
            ("show stats_totals;", Command::Show(Shown::StatsTotals)),
            ("PAUSE", Command::Pause(None)),
            ("pause \"Shop\";", Command::Pause(Some("Shop".to_owned()))),
            ("KILL 42", Command::Kill("42".to_owned())),
            ("SET max_clients = 5", set("max_clients", "5")),
            ("set max_clients='5'", set("max_clients", "5")),
            ("SET slow_statement TO '250ms';", set("slow_statement", "250ms")),
            ("", Command::Empty),
            (" ; ", Command::Empty),
        ] {
            assert_eq!(parse(sql), Ok(command), "{sql}");
        }
        for sql in ["SHOW", "SHOW FOO", "SELECT 1", "KILL", "SET a", "SET a b", "RELOAD now", "DISCONNECT"] {
            assert_eq!(parse(sql), Err(invalid(sql)));
        }
    }
}
