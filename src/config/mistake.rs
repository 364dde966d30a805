//! What is wrong with a file, and where. In: byte spans and sentences. Out: lines and columns.

use std::fmt;
use std::ops::Range;

/// One thing to be put right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

/// Everything that keeps a file from being used, in the file's order; never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistakes {
    /// The file's name, as it is to be shown.
    pub file: String,
    pub mistakes: Vec<Mistake>,
    /// What would have been warned of.
    pub warnings: Vec<Mistake>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.line, self.column, self.what, self.remedy)
    }
}

impl fmt::Display for Mistakes {
    /// One line a mistake: `file:line:column: what; remedy`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, mistake) in self.mistakes.iter().enumerate() {
            let end = if position == 0 { "" } else { "\n" };
            write!(f, "{end}{}:{mistake}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Collects mistakes and warnings on the way through one text.
pub(super) struct Notes<'t> {
    text: &'t str,
    mistakes: Vec<(usize, Mistake)>,
    warnings: Vec<(usize, Mistake)>,
    /// Title of the section and key, for the test that the sample file has them all.
    #[cfg(test)]
    pub(super) keys_seen: std::collections::BTreeSet<(&'static str, &'static str)>,
}

impl<'t> Notes<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            mistakes: Vec::new(),
            warnings: Vec::new(),
            #[cfg(test)]
            keys_seen: std::collections::BTreeSet::new(),
        }
    }

    /// The file can't be used.
    pub(super) fn mistake(&mut self, at: &Range<usize>, what: impl Into<String>, remedy: impl Into<String>) {
        let mistake = self.place(at, what.into(), remedy.into());
        self.mistakes.push((at.start, mistake));
    }

    /// The file can be used, but probably isn't meant so.
    pub(super) fn warning(&mut self, at: &Range<usize>, what: impl Into<String>, remedy: impl Into<String>) {
        let warning = self.place(at, what.into(), remedy.into());
        self.warnings.push((at.start, warning));
    }

    /// The line of a place, for a mistake that has two.
    pub(super) fn line(&self, at: &Range<usize>) -> usize {
        self.position(at.start).0
    }

    /// Mistakes and warnings, in the file's order.
    pub(super) fn finish(self) -> (Vec<Mistake>, Vec<Mistake>) {
        (in_order(self.mistakes), in_order(self.warnings))
    }

    fn place(&self, at: &Range<usize>, what: String, remedy: String) -> Mistake {
        let (line, column) = self.position(at.start);
        Mistake { line, column, what, remedy }
    }

    fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).map_or(0, |line| line.chars().count());
        (before.matches('\n').count() + 1, column + 1)
    }
}

fn in_order(mut notes: Vec<(usize, Mistake)>) -> Vec<Mistake> {
    notes.sort_by_key(|(offset, _)| *offset);
    notes.into_iter().map(|(_, mistake)| mistake).collect()
}

/// The candidate that `written` is most likely a misspelling of.
pub(super) fn similar<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let written = written.to_lowercase().replace('-', "_");
    // Names of one or two letters resemble each other without being meant.
    let allowed = (written.chars().count() / 3).min(3);
    let distance = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let is_beginning = written.len() > 3 && candidate.starts_with(&written);
        if is_beginning { 1 } else { distance(&written, &candidate) }
    };
    candidates
        .into_iter()
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}
