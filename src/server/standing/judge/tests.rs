use super::*;

fn primary(timeline: i32) -> Sight {
    Sight::Seen(Seen {
        is_standby: false,
        system: 1,
        timeline,
        position: 100,
        at: Instant::now(),
        details: Details::default(),
    })
}

fn standby(timeline: i32) -> Sight {
    Sight::Seen(Seen {
        is_standby: true,
        system: 1,
        timeline,
        position: 100,
        at: Instant::now(),
        details: Details::default(),
    })
}

fn stranger(is_standby: bool) -> Sight {
    Sight::Seen(Seen {
        is_standby,
        system: 2,
        timeline: 9,
        position: 100,
        at: Instant::now(),
        details: Details::default(),
    })
}

fn away() -> Sight {
    Sight::Away("gone".to_owned())
}

fn verdict(sights: &[Sight], leader: Option<usize>, timeline: Option<i32>) -> Verdict {
    elect(sights, leader, timeline.map(|timeline| Term { system: 1, timeline })).0
}

#[test]
fn the_primary_is_found_wherever_it_is() {
    assert_eq!(verdict(&[primary(1), standby(1)], None, None), Verdict::Leads(0));
    assert_eq!(verdict(&[standby(2), primary(2)], None, None), Verdict::Leads(1));
    assert_eq!(verdict(&[away(), primary(2)], Some(0), Some(1)), Verdict::Leads(1));
    assert_eq!(elect(&[standby(1), primary(2)], None, None).1, Some(Term { system: 1, timeline: 2 }));
}

#[test]
fn nobody_leads_before_all_were_looked_at() {
    assert_eq!(verdict(&[primary(1), Sight::Unknown], None, None), Verdict::Wait);
    assert_eq!(verdict(&[Sight::Unknown, standby(1)], None, None), Verdict::Wait);
    assert_eq!(verdict(&[primary(1), away()], None, None), Verdict::Leads(0));
}

#[test]
fn of_two_primaries_the_higher_timeline_leads() {
    assert_eq!(verdict(&[primary(1), primary(2)], Some(0), Some(1)), Verdict::Leads(1));
    assert_eq!(verdict(&[primary(1), primary(2)], Some(1), Some(2)), Verdict::Leads(1));
    assert_eq!(verdict(&[primary(3), primary(2)], None, None), Verdict::Leads(0));
    assert!(matches!(verdict(&[primary(2), primary(2)], Some(1), Some(2)), Verdict::Torn(_)));
    assert!(matches!(verdict(&[primary(2), primary(2)], None, None), Verdict::Torn(_)));
}

#[test]
fn an_old_primary_is_not_followed_while_the_new_one_is_away() {
    assert!(matches!(verdict(&[primary(1), away()], Some(1), Some(2)), Verdict::Nobody(_)));
    // A standby knows as well that there was a newer one.
    assert!(matches!(verdict(&[primary(1), away(), standby(2)], None, None), Verdict::Nobody(_)));
}

#[test]
fn servers_of_another_cluster_never_lead() {
    assert_eq!(verdict(&[primary(1), stranger(false)], Some(0), Some(1)), Verdict::Leads(0));
    assert_eq!(verdict(&[primary(1), stranger(true)], None, None), Verdict::Leads(0));
    assert!(matches!(verdict(&[primary(1), stranger(false)], None, None), Verdict::Torn(_)));
    assert!(matches!(verdict(&[stranger(false), standby(1)], Some(0), Some(1)), Verdict::Nobody(_)));
}

#[test]
fn one_that_is_away_leads_until_another_does() {
    assert_eq!(verdict(&[away(), standby(1)], Some(0), Some(1)), Verdict::Leads(0));
    assert!(matches!(verdict(&[standby(1), standby(1)], Some(0), Some(1)), Verdict::Nobody(_)));
    assert!(matches!(verdict(&[away(), standby(1)], None, None), Verdict::Nobody(_)));
    assert_eq!(verdict(&[Sight::Closed("no".to_owned()), standby(1)], None, None), Verdict::Leads(0));
}

#[test]
fn where_patroni_speaks_its_leader_leads_once_it_takes_writes() {
    let term = Some(Term { system: 1, timeline: 2 });
    let verdict = |sights: &[Sight], named, leader| elect_named(sights, named, leader, term).0;
    assert_eq!(verdict(&[primary(2), primary(2)], Some(1), Some(0)), Verdict::Leads(1));
    assert_eq!(verdict(&[primary(2), primary(3)], Some(0), Some(0)), Verdict::Leads(0));
    assert!(matches!(verdict(&[primary(2), standby(2)], Some(1), Some(0)), Verdict::Nobody(_)));
    assert!(matches!(verdict(&[primary(2), standby(2)], None, Some(0)), Verdict::Nobody(_)));
    assert!(matches!(verdict(&[stranger(false), standby(2)], Some(0), Some(0)), Verdict::Nobody(_)));
    assert_eq!(verdict(&[away(), standby(2)], Some(0), Some(0)), Verdict::Leads(0));
    assert_eq!(verdict(&[Sight::Unknown, standby(2)], Some(0), None), Verdict::Wait);
}

#[test]
fn an_only_node_leads_unless_it_is_a_standby_that_may_be_waited_for() {
    let term = |timeline| Some(Term { system: 1, timeline });
    assert_eq!(elect_only(&primary(2), term(1), true), (Verdict::Leads(0), term(2)));
    assert_eq!(elect_only(&primary(1), term(2), true), (Verdict::Leads(0), term(2)));
    assert_eq!(elect_only(&away(), term(2), true), (Verdict::Leads(0), term(2)));
    assert_eq!(elect_only(&standby(1), None, false), (Verdict::Leads(0), term(1)));
    assert!(matches!(elect_only(&standby(1), None, true).0, Verdict::Nobody(_)));
    assert_eq!(elect_only(&stranger(false), term(12), true).1, Some(Term { system: 2, timeline: 9 }));
    let problem = |sight: Sight, term| sight.seen().and_then(|seen| problem_of_only(seen, term));
    assert_eq!(problem(primary(2), term(2)), None);
    assert_eq!(problem(stranger(false), term(12)), None);
    assert!(problem(primary(1), term(2)).is_some_and(|text| text.contains("timeline 2")));
    assert!(problem(standby(2), term(2)).is_some_and(|text| text.contains("standby")));
}

#[test]
fn what_a_server_says_tells_whether_it_is_there() {
    for (code, is_away, is_missed) in [
        ("57P03", true, true),
        ("53300", false, true),
        ("57014", false, true),
        ("28P01", false, false),
        ("57P04", false, false),
    ] {
        let sight = Sight::refused(code, String::new());
        assert_eq!((matches!(sight, Sight::Away(_)), sight.is_missed()), (is_away, is_missed), "{code}");
    }
}

#[test]
fn a_standby_is_found_among_those_that_stream() {
    let streams = Some("a=sync\nb=c=async".to_owned());
    let details = Details { streams, ..Details::default() };
    assert_eq!(details.sync_state_of("a").as_deref(), Some("sync"));
    assert_eq!(details.sync_state_of("b=c").as_deref(), Some("async"));
    assert_eq!(details.sync_state_of("c"), None);
}

#[test]
fn a_replica_is_judged_by_what_it_is() {
    let (none, second) = ((0, Duration::ZERO), Duration::from_secs(1));
    let leader = Seen {
        is_standby: false,
        system: 1,
        timeline: 1,
        position: 100,
        at: Instant::now(),
        details: Details::default(),
    };
    let problem = |leader: Option<&Seen>, sight: Sight, lag, limit| {
        judge(leader, &sight, lag, &Limits { lag: limit, ..Limits::default() }).and_then(|standing| standing.problem)
    };
    let leads = Some(&leader);
    assert_eq!(problem(leads, standby(1), (50, second), None), None);
    assert_eq!(problem(leads, standby(1), none, Some(Duration::ZERO)), None);
    let behind = problem(leads, standby(1), (50, second), Some(Duration::ZERO));
    assert!(behind.is_some_and(|text| text.contains("behind")));
    assert!(problem(leads, stranger(true), none, None).is_some_and(|text| text.contains("cluster")));
    assert!(problem(leads, primary(1), none, None).is_some_and(|text| text.contains("standby")));
    assert!(problem(leads, standby(0), none, None).is_some_and(|text| text.contains("timeline")));
    assert!(problem(None, primary(1), none, None).is_some_and(|text| text.contains("standby")));
    assert_eq!(problem(None, standby(1), none, None), None);
    assert!(problem(leads, away(), none, Some(Duration::ZERO)).is_some());
    let free = Limits::default();
    assert!(judge(leads, &away(), none, &free).is_none());
    assert!(judge(leads, &away(), none, &Limits { is_missing: true, ..free }).is_some());
    let bytes = Limits { bytes: Some(49), ..free };
    assert!(judge(leads, &standby(1), (50, second), &bytes).is_some_and(|standing| standing.problem.is_some()));
    assert_eq!(judge(leads, &standby(1), (50, second), &free).and_then(|standing| standing.lag), Some((50, second)));
}
