//! What happened between two readings of one database. In: an earlier reading, or none, and a later one. Out: numbers a
//! second, and times of the statements in between.

use super::reading::{Database, Node, Reading};

/// Of a database.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rates {
    pub requests: f64,
    pub transactions: f64,
    /// Bytes a second from clients, and to them.
    pub received: f64,
    pub sent: f64,
    /// Seconds; none without a request.
    pub mean: Option<f64>,
    /// Of the statements, those of a known shape; none without a statement.
    pub known_share: Option<f64>,
}

/// Of one node.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NodeRates {
    pub requests: f64,
    /// Seconds; the upper bounds of the classes in which the median and 99 % lie.
    pub median: Option<f64>,
    pub worst: Option<f64>,
}

/// Seconds between two readings; an earlier one of another process is none.
fn between(earlier: Option<&Reading>, now: &Reading) -> Option<f64> {
    let seconds = now.uptime_seconds - earlier?.uptime_seconds;
    (seconds > 0.0).then_some(seconds)
}

/// Zero without an earlier reading.
pub fn of_database(earlier: Option<&Reading>, now: &Reading, database: &Database) -> Rates {
    let old = earlier.and_then(|earlier| earlier.databases.iter().find(|old| old.name == database.name));
    let (Some(seconds), Some(old)) = (between(earlier, now), old) else {
        return Rates { requests: 0.0, transactions: 0.0, received: 0.0, sent: 0.0, mean: None, known_share: None };
    };
    let (then, now) = (&old.totals, &database.totals);
    let requests = now.requests - then.requests;
    let (hits, misses) = (now.template_hits - then.template_hits, now.template_misses - then.template_misses);
    Rates {
        requests: requests / seconds,
        transactions: (now.transactions - then.transactions) / seconds,
        received: (now.received - then.received) / seconds,
        sent: (now.sent - then.sent) / seconds,
        mean: (requests > 0.0).then(|| (now.request_seconds - then.request_seconds) / requests),
        known_share: (hits + misses > 0.0).then(|| hits / (hits + misses)),
    }
}

pub fn of_node(earlier: Option<&Reading>, now: &Reading, node: &Node) -> NodeRates {
    let same = |old: &&Node| (&old.database, &old.shard, &old.address) == (&node.database, &node.shard, &node.address);
    let old = earlier.and_then(|earlier| earlier.nodes.iter().find(same));
    let (Some(seconds), Some(old)) = (between(earlier, now), old) else {
        return NodeRates { requests: 0.0, median: None, worst: None };
    };
    let counts: Vec<f64> = node.counts.iter().zip(&old.counts).map(|(now, then)| (now - then).max(0.0)).collect();
    NodeRates {
        requests: counts.iter().sum::<f64>() / seconds,
        median: quantile(&counts, &now.bounds, 0.5),
        worst: quantile(&counts, &now.bounds, 0.99),
    }
}

/// The upper bound of the class in which that share lies.
fn quantile(counts: &[f64], bounds: &[f64], share: f64) -> Option<f64> {
    let all: f64 = counts.iter().sum();
    if all <= 0.0 {
        return None;
    }
    let mut below = 0.0;
    let class = counts.iter().position(|count| {
        below += count;
        below >= share * all
    });
    class.and_then(|class| bounds.get(class)).or(bounds.last()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_bounds_of_classes() {
        let bounds = [0.001, 0.01, 0.1];
        assert_eq!(quantile(&[0.0, 0.0, 0.0, 0.0], &bounds, 0.5), None);
        assert_eq!(quantile(&[98.0, 1.0, 1.0, 0.0], &bounds, 0.5), Some(0.001));
        assert_eq!(quantile(&[98.0, 1.0, 1.0, 0.0], &bounds, 0.99), Some(0.01));
        // What took longer than the last bound is told as that.
        assert_eq!(quantile(&[0.0, 0.0, 0.0, 5.0], &bounds, 0.5), Some(0.1));
    }
}
