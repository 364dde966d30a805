//! Placements as text that stays the same as long as every key stays where it is, whatever order the
//! file has: recorded on the servers, and compared when a proxy starts.

use std::collections::BTreeMap;

use super::key::{date_text, timestamp_text};
use super::map::{ShardMap, TableRoute};
use super::placement::{HashPlacement, ListPlacement, Placement, RangePlacement};
use crate::types::{Bucket, KeyValue, ShardId};

impl ShardMap {
    /// Which bucket, range or value of a table is on which shard, by the shards' names. `None` for a
    /// table that isn't in the map.
    pub fn describe_placement(&self, schema: &str, name: &str) -> Option<String> {
        let sharded = match self.table(schema, name)? {
            TableRoute::Reference => return Some("reference".to_owned()),
            TableRoute::Sharded(sharded) => sharded,
        };
        let (kind, places) = match &*sharded.placement {
            Placement::Hash(placement) => ("hash", self.describe_hash(placement)),
            Placement::Range(placement) => ("range", self.describe_range(placement)),
            Placement::List(placement) => ("list", self.describe_list(placement)),
        };
        Some(format!("{kind} of {}\n{places}", quoted(&sharded.key)))
    }

    /// `first-last "shard"` lines for the shortest run of buckets that repeats itself.
    fn describe_hash(&self, placement: &HashPlacement) -> String {
        let buckets = placement.buckets();
        let repeats = |period: &usize| buckets.iter().skip(*period).eq(buckets.iter().take(buckets.len() - period));
        let period = (1..buckets.len()).find(repeats).unwrap_or(buckets.len());
        let mut text = format!("buckets {} period {period}", Bucket::COUNT);
        let mut first = 0;
        for run in buckets.get(..period).unwrap_or_default().chunk_by(|one, other| one == other) {
            let last = first + run.len() - 1;
            if let Some(shard) = run.first() {
                text.push_str(&format!("\n{first}-{last} {}", self.quoted_shard(*shard)));
            }
            first = last + 1;
        }
        text
    }

    /// `below end "shard"` lines, neighbours on one shard joined.
    fn describe_range(&self, placement: &RangePlacement) -> String {
        let parts = placement.parts();
        let mut lines = Vec::new();
        for (position, (until, shard)) in parts.iter().enumerate() {
            if parts.get(position + 1).is_some_and(|(_, next)| next == shard) {
                continue;
            }
            let end = until.as_ref().map_or_else(|| "else".to_owned(), |until| format!("below {}", value_text(until)));
            lines.push(format!("{end} {}", self.quoted_shard(*shard)));
        }
        lines.join("\n")
    }

    /// `value "shard"` lines in alphabetical order.
    fn describe_list(&self, placement: &ListPlacement) -> String {
        let mut lines: Vec<String> = placement
            .values()
            .map(|(value, shard)| format!("{} {}", value_text(value), self.quoted_shard(shard)))
            .collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    fn quoted_shard(&self, shard: ShardId) -> String {
        quoted(self.shard_name(shard))
    }
}

/// Written so that a line is a line and a quote is a quote.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// With the type, widths of integers apart: a wider column changes no placement.
fn value_text(value: &KeyValue) -> String {
    match value {
        KeyValue::Int(number) => format!("int {number}"),
        KeyValue::Text(text) => format!("text {}", quoted(text)),
        KeyValue::Uuid(bytes) => format!("uuid {}", uuid::Uuid::from_bytes(*bytes)),
        KeyValue::Date(days) => format!("date {}", date_text(*days)),
        KeyValue::Timestamp(moment) => format!("timestamp {}", timestamp_text(*moment)),
        KeyValue::TimestampTz(moment) => format!("timestamptz {} UTC", timestamp_text(*moment)),
        KeyValue::Numeric(number) => format!("numeric {}", number.normalized().to_plain_string()),
    }
}

/// The shard of each bucket, by its quoted name; `None` if the text describes no hash placement.
fn buckets_of(description: &str) -> Option<Vec<&str>> {
    let mut lines = description.lines();
    lines.next()?.strip_prefix("hash of ")?;
    let (count, period) = lines.next()?.strip_prefix("buckets ")?.split_once(" period ")?;
    let (count, period): (usize, usize) = (count.parse().ok()?, period.parse().ok()?);
    if count != usize::from(Bucket::COUNT) || period == 0 || period > count {
        return None;
    }
    let mut run = Vec::with_capacity(period);
    for line in lines {
        let (numbers, shard) = line.split_once(' ')?;
        let (first, last) = numbers.split_once('-')?;
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first != run.len() || last < first || last >= period {
            return None;
        }
        run.resize(last + 1, shard);
    }
    (run.len() == period).then(|| run.iter().copied().cycle().take(count).collect())
}

/// The buckets that two descriptions put on different shards; `None` unless both describe hash placements.
pub fn differing_buckets(recorded: &str, current: &str) -> Option<Vec<Bucket>> {
    let pairs = buckets_of(recorded)?.into_iter().zip(buckets_of(current)?);
    let differing = (0..Bucket::COUNT).zip(pairs).filter(|(_, (recorded, current))| recorded != current);
    Some(differing.filter_map(|(number, _)| Bucket::new(number)).collect())
}

/// What differs between two descriptions of a table's placement, a line each for people; empty
/// only if they place every key alike.
pub fn placement_differences(recorded: &str, current: &str) -> Vec<String> {
    if recorded == current {
        return Vec::new();
    }
    let head = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    if head(recorded) != head(current) {
        return vec![format!("recorded as {}, configured as {}", head(recorded), head(current))];
    }
    match (buckets_of(recorded), buckets_of(current)) {
        (Some(recorded), Some(current)) => bucket_differences(&recorded, &current),
        _ => {
            let gone = recorded.lines().filter(|line| !current.lines().any(|other| other == *line));
            let new = current.lines().filter(|line| !recorded.lines().any(|other| other == *line));
            let gone = gone.map(|line| format!("recorded: {line}"));
            let mut lines: Vec<String> = gone.chain(new.map(|line| format!("configured: {line}"))).collect();
            if lines.is_empty() {
                lines.push("the recorded and the configured placement have another order".to_owned());
            }
            lines
        }
    }
}

/// One line for each pair of shards, with how many buckets moved and the first few of them.
fn bucket_differences(recorded: &[&str], current: &[&str]) -> Vec<String> {
    const SHOWN: usize = 8;
    let mut moved: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (number, (from, to)) in recorded.iter().zip(current).enumerate() {
        if from != to {
            moved.entry((from, to)).or_default().push(number);
        }
    }
    let line = |((from, to), numbers): ((&str, &str), Vec<usize>)| {
        let shown: Vec<String> = numbers.iter().take(SHOWN).map(usize::to_string).collect();
        let more = if numbers.len() > SHOWN { ", ..." } else { "" };
        let count = numbers.len();
        format!("{count} buckets recorded on {from} are configured on {to}: {}{more}", shown.join(", "))
    };
    moved.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests;
