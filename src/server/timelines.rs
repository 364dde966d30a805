//! The highest timeline of each shard, over restarts. In: what those who look at the nodes have seen. Out: a file of a line
//! each: database, shard, system identifier, timeline. Without a file nothing is remembered. Doesn't know of servers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::pool::Term;

type Terms = BTreeMap<(String, String), Term>;

#[derive(Debug)]
pub(super) struct Timelines {
    file: Option<PathBuf>,
    terms: Mutex<Terms>,
}

impl Timelines {
    /// # Errors
    /// When the file is there and can't be read: what it says must not be overlooked.
    pub(super) fn read(file: Option<PathBuf>) -> Result<Self, String> {
        let terms = match &file {
            None => Terms::new(),
            Some(path) => match std::fs::read_to_string(path) {
                Ok(text) => parse(&text).ok_or_else(|| format!("{} has: a line isn't understood", path.display()))?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Terms::new(),
                Err(error) => return Err(format!("{} has: {error}", path.display())),
            },
        };
        Ok(Self { file, terms: Mutex::new(terms) })
    }

    pub(super) fn of(&self, database: &str, shard: &str) -> Option<Term> {
        let terms = self.terms.lock().unwrap_or_else(PoisonError::into_inner);
        terms.get(&(database.to_owned(), shard.to_owned())).copied()
    }

    /// Written when it is new, which is at promotions.
    pub(super) fn note(&self, database: &str, shard: &str, term: Term) {
        let Some(file) = &self.file else { return };
        let mut terms = self.terms.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (database.to_owned(), shard.to_owned());
        if terms.get(&name) == Some(&term) {
            return;
        }
        terms.insert(name, term);
        if let Err(error) = write(file, &terms) {
            tracing::error!(file = %file.display(), %error, "the timelines can't be remembered over a restart");
        }
    }
}

fn parse(text: &str) -> Option<Terms> {
    let line = |line: &str| {
        let mut words = line.split('\t');
        let mut word = || words.next();
        let name = (word()?.to_owned(), word()?.to_owned());
        Some((name, Term { system: word()?.parse().ok()?, timeline: word()?.parse().ok()? }))
    };
    text.lines().map(line).collect()
}

/// All of it or nothing, as far as the file system can promise it.
fn write(file: &Path, terms: &Terms) -> std::io::Result<()> {
    let line = |((database, shard), term): (&(String, String), &Term)| {
        format!("{database}\t{shard}\t{}\t{}\n", term.system, term.timeline)
    };
    let text: String = terms.iter().map(line).collect();
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, text)?;
    std::fs::File::open(&fresh)?.sync_all()?;
    std::fs::rename(&fresh, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let term = |timeline| Term { system: -7, timeline };
        let name = |shard: &str| ("shop".to_owned(), shard.to_owned());
        let terms = Terms::from([(name("a"), term(1)), (name("b c"), term(12))]);
        let text = "shop\ta\t-7\t1\nshop\tb c\t-7\t12\n";
        assert_eq!(parse(text), Some(terms));
        assert_eq!(parse("shop\ta\t1\n"), None);
        assert_eq!(parse("shop a 1 2\n"), None);
    }
}
