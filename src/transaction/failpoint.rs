//! Places at which a test lets the process die, wait, or lose an answer. Set by the environment variable
//! `SHARDWAY_FAILPOINT`, as in `after_prepares:kill`, `decided:hold:500:10` (for 500 ms, in 10 % of the cases) or
//! `prepared:while:/some/file`, several separated by commas; without it a point costs the look at one flag.

use std::sync::OnceLock;
use std::time::Duration;

/// Between which steps of a two-phase commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Point {
    /// The client's COMMIT has come.
    Begun,
    /// Each writer has its row.
    Noted,
    /// Some participants are prepared, others aren't.
    PreparedSome,
    /// All participants are prepared.
    Prepared,
    /// The anchor has its row as well, but was not told to commit.
    Anchored,
    /// The anchor's COMMIT was sent; what it answers is not known.
    Deciding,
    /// The anchor has committed.
    Decided,
    /// Some participants have committed, others haven't.
    FinishedSome,
    /// All have; the client doesn't know it yet.
    Finished,
    /// Recovery knows what the anchor decided.
    RecoveryAsked,
    /// Recovery has finished one participant.
    RecoveryFinished,
}

impl Point {
    fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Noted => "noted",
            Self::PreparedSome => "prepared_some",
            Self::Prepared => "prepared",
            Self::Anchored => "anchored",
            Self::Deciding => "deciding",
            Self::Decided => "decided",
            Self::FinishedSome => "finished_some",
            Self::Finished => "finished",
            Self::RecoveryAsked => "recovery_asked",
            Self::RecoveryFinished => "recovery_finished",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Action {
    /// SIGKILL for the process itself.
    Kill,
    Hold(Duration),
    /// As long as that file is there.
    While(std::path::PathBuf),
    /// The answer that has come is taken as lost, with its connection.
    Lose,
}

#[derive(Debug)]
struct Set {
    name: String,
    action: Action,
    percent: u32,
}

fn sets() -> &'static [Set] {
    static SETS: OnceLock<Vec<Set>> = OnceLock::new();
    SETS.get_or_init(|| std::env::var("SHARDWAY_FAILPOINT").map_or(Vec::new(), |text| parse(&text)))
}

fn parse(text: &str) -> Vec<Set> {
    let one = |text: &str| {
        let mut parts = text.split(':');
        let name = parts.next()?.trim().to_owned();
        let action = match parts.next()? {
            "kill" => Action::Kill,
            "lose" => Action::Lose,
            "hold" => Action::Hold(Duration::from_millis(parts.next()?.parse().ok()?)),
            "while" => Action::While(parts.next()?.into()),
            _ => return None,
        };
        let percent = parts.next().and_then(|text| text.parse().ok()).unwrap_or(100);
        Some(Set { name, action, percent })
    };
    text.split(',').filter_map(one).collect()
}

/// Whether something is set at that point: then steps that run at once otherwise run one by one.
pub fn is_set(point: Point) -> bool {
    sets().iter().any(|set| set.name == point.name())
}

/// Takes the anchor's missing record for its decision, without a fence. For tests that must see what goes
/// wrong then.
pub fn lacks_fence() -> bool {
    static LACKS: OnceLock<bool> = OnceLock::new();
    *LACKS.get_or_init(|| std::env::var("SHARDWAY_FAILPOINT").is_ok_and(|text| text.contains("without_fence")))
}

/// For tests of sessions that go from worker to worker: each does whenever it rests.
pub fn moves_sessions() -> bool {
    static MOVES: OnceLock<bool> = OnceLock::new();
    *MOVES.get_or_init(|| std::env::var("SHARDWAY_FAILPOINT").is_ok_and(|text| text.contains("moves_sessions")))
}

/// Does what is set there. True: the answer that has come is to be taken as lost.
pub async fn pass(point: Point) -> bool {
    let mut loses = false;
    for set in sets().iter().filter(|set| set.name == point.name()) {
        if rand::random_range(0..100) >= set.percent {
            continue;
        }
        tracing::warn!("failpoint {} {:?}", set.name, set.action);
        match &set.action {
            Action::Kill => {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
                std::process::abort();
            }
            Action::Hold(time) => crate::net::timer::sleep(*time).await,
            Action::While(path) => {
                while path.exists() {
                    crate::net::timer::sleep(Duration::from_millis(10)).await;
                }
            }
            Action::Lose => loses = true,
        }
    }
    loses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_set_by_a_text() {
        let sets = parse("noted:kill, decided:hold:500:10,prepared:lose,nonsense,noted:what");
        let shown: Vec<_> = sets.iter().map(|set| (set.name.as_str(), set.action.clone(), set.percent)).collect();
        assert_eq!(
            shown,
            [
                ("noted", Action::Kill, 100),
                ("decided", Action::Hold(Duration::from_millis(500)), 10),
                ("prepared", Action::Lose, 100),
            ]
        );
        assert!(!is_set(Point::Noted) && !lacks_fence());
    }
}
