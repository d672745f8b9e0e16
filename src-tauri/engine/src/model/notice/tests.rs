use super::*;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
}

fn out() -> DateTime<Utc> {
    at("2026-03-01T12:00:00Z")
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn release(text: &str) -> Behind {
    let breaking = version(text).major > 1;
    Behind { version: version(text), since: out(), known_at: out(), breaking, security: false }
}

fn hole(severity: HoleSeverity, fixed_in: &str, known_at: DateTime<Utc>) -> Hole {
    Hole {
        id: "GHSA-1".into(),
        severity,
        summary: "a hole".into(),
        url: None,
        fixed_in: Some(version(fixed_in)),
        known_at,
    }
}

fn facts(releases: &[&str]) -> Facts {
    Facts {
        running: version("1.0.0"),
        behind: releases.iter().map(|it| release(it)).collect(),
        holes: Vec::new(),
        choices: Choices::default(),
        busy: false,
    }
}

fn told(facts: &Facts, now: DateTime<Utc>) -> Notice {
    notice(facts, now).unwrap()
}

fn days(days: i64) -> TimeDelta {
    TimeDelta::days(days)
}

const SECOND: TimeDelta = TimeDelta::seconds(1);

#[test]
fn the_level_rises_at_the_end_of_the_7th_the_30th_and_the_60th_day() {
    let table = [
        (TimeDelta::zero(), 0, Level::Subtle),
        (days(1) - SECOND, 0, Level::Subtle),
        (days(7), 7, Level::Subtle),
        (days(8) - SECOND, 7, Level::Subtle),
        (days(8), 8, Level::Yellow),
        (days(31) - SECOND, 30, Level::Yellow),
        (days(31), 31, Level::Orange),
        (days(61) - SECOND, 60, Level::Orange),
        (days(61), 61, Level::Red),
        (days(4000), 4000, Level::Red),
        // The clock was set back to before the release.
        (-SECOND, 0, Level::Subtle),
        (-days(365), 0, Level::Subtle),
    ];
    for (passed, expected_days, level) in table {
        let told = told(&facts(&["1.1.0"]), out() + passed);
        assert_eq!((told.days_behind, told.level), (expected_days, level), "after {passed}");
        assert!(told.is_shown(), "after {passed}");
    }
}

#[test]
fn days_count_from_the_first_release_and_all_of_them_are_counted() {
    let mut facts = facts(&["1.1.0", "1.1.1", "1.2.0"]);
    facts.behind[1].since = out() + days(20);
    facts.behind[2].since = out() + days(40);
    let before = told(&facts, out() + days(41));
    assert_eq!((before.to, before.level, before.versions_behind), (version("1.2.0"), Level::Orange, 3));
    // The first one was withdrawn: the installation is behind only since the next.
    facts.behind.remove(0);
    let after = told(&facts, out() + days(41));
    assert_eq!((after.days_behind, after.level, after.versions_behind), (21, Level::Yellow, 2));
    facts.behind.clear();
    assert_eq!(notice(&facts, out()), None);
}

#[test]
fn the_same_instant_in_another_time_zone_is_the_same_level() {
    let far_east = DateTime::parse_from_rfc3339("2026-03-10T02:00:00+14:00").unwrap().with_timezone(&Utc);
    let far_west = DateTime::parse_from_rfc3339("2026-03-09T00:00:00-12:00").unwrap().with_timezone(&Utc);
    assert_eq!((far_east, far_west), (out() + days(8), out() + days(8)));
    for now in [far_east, far_west] {
        assert_eq!(told(&facts(&["1.1.0"]), now).level, Level::Yellow);
    }
}

#[test]
fn a_breaking_release_stays_yellow_by_days_and_only_a_hole_in_what_runs_raises_it() {
    let mut facts = facts(&["2.0.0"]);
    for (passed, level) in
        [(0, Level::Subtle), (7, Level::Subtle), (8, Level::Yellow), (31, Level::Yellow), (4000, Level::Yellow)]
    {
        assert_eq!(told(&facts, out() + days(passed)).level, level, "after {passed} days");
    }
    facts.behind[0].security = true;
    assert_eq!(told(&facts, out()).level, Level::Subtle, "what its notes say may not be about what runs");
    facts.holes = vec![hole(HoleSeverity::Low, "2.0.0", out())];
    assert_eq!(told(&facts, out()).level, Level::Orange);
    facts.holes = vec![hole(HoleSeverity::Critical, "2.0.0", out())];
    let raised = told(&facts, out());
    assert_eq!((raised.level, raised.breaking, raised.asks), (Level::Red, true, true));
}

#[test]
fn security_raises_the_level_at_once() {
    let mut facts = facts(&["1.1.0"]);
    facts.behind[0].security = true;
    assert_eq!(told(&facts, out()).level, Level::Orange, "by its notes");
    assert_eq!(told(&facts, out() + days(61)).level, Level::Red, "days still count");
    facts.behind[0].security = false;
    for (severity, level) in [
        (HoleSeverity::Unknown, Level::Orange),
        (HoleSeverity::Low, Level::Orange),
        (HoleSeverity::Medium, Level::Orange),
        (HoleSeverity::High, Level::Red),
        (HoleSeverity::Critical, Level::Red),
    ] {
        facts.holes = vec![hole(HoleSeverity::Low, "1.1.0", out()), hole(severity, "1.1.0", out())];
        let told = told(&facts, out());
        assert_eq!((told.level, told.hole.unwrap().severity), (level, severity.max(HoleSeverity::Low)), "{severity:?}");
    }
    facts.holes = vec![hole(HoleSeverity::Critical, "1.2.0", out())];
    assert_eq!(told(&facts, out()).level, Level::Subtle, "a release that does not close the hole is not raised by it");
}

#[test]
fn within_a_line_is_offered_first_unless_only_the_next_closes_a_hole() {
    let mut facts = facts(&["1.1.0", "2.0.0"]);
    facts.behind[1].since = out() - days(100);
    let within = told(&facts, out() + days(1));
    assert_eq!(
        (within.to, within.days_behind, within.versions_behind, within.breaking),
        (version("1.1.0"), 1, 1, false)
    );
    facts.holes = vec![hole(HoleSeverity::High, "2.0.0", out())];
    let beyond = told(&facts, out() + days(1));
    assert_eq!((beyond.to, beyond.breaking, beyond.level), (version("2.0.0"), true, Level::Red));
    facts.holes = vec![hole(HoleSeverity::High, "1.1.0", out())];
    assert_eq!(told(&facts, out()).to, version("1.1.0"));
}

#[test]
fn staying_on_a_line_silences_the_next_and_counts_what_comes_within() {
    let mut facts = facts(&["2.0.0"]);
    facts.choices.stay = Some(Stay { line: "1".into(), at: out() });
    assert_eq!(told(&facts, out() + days(900)).quiet, Some(Quiet::Staying));
    facts.behind.push(release("1.1.0"));
    let within = told(&facts, out() + days(10));
    assert_eq!(
        (within.quiet, within.to, within.versions_behind, within.level),
        (None, version("1.1.0"), 1, Level::Yellow)
    );
    facts.behind.pop();
    facts.holes = vec![hole(HoleSeverity::Low, "2.0.0", out() + days(5))];
    let raised = told(&facts, out() + days(6));
    assert_eq!((raised.quiet, raised.level, raised.ended_by_security), (None, Level::Orange, true));
    // On another line the wish says nothing.
    facts.holes.clear();
    facts.choices.stay = Some(Stay { line: "0.9".into(), at: out() });
    assert_eq!(told(&facts, out()).quiet, None);
    assert_eq!((line_of(&version("0.9.3")), line_of(&version("3.1.0"))), ("0.9".into(), "3".into()));
}

/// Choices, how long after them it is, and whether it is quiet.
#[test]
fn what_was_chosen_holds_to_its_last_second_and_not_longer() {
    let until = |long| Some(Until::from(out(), long));
    let hidden = |level: Level| Choices {
        hidden: Some(Hidden { until: Until::from(out(), level.hidden_for().unwrap()), level }),
        ..Choices::default()
    };
    let remind = Choices { remind: until(days(7)), ..Choices::default() };
    let pause = Choices { pause: until(days(30)), ..Choices::default() };
    let table: &[(&str, &Choices, TimeDelta, Option<Quiet>)] = &[
        ("hidden for a week", &hidden(Level::Subtle), days(7) - SECOND, Some(Quiet::Hidden)),
        ("hidden for a week", &hidden(Level::Subtle), days(7), None),
        ("hidden for a day", &hidden(Level::Yellow), days(1) - SECOND, Some(Quiet::Hidden)),
        ("hidden for a day", &hidden(Level::Yellow), days(1), None),
        ("reminded", &remind, days(7) - SECOND, Some(Quiet::Reminded)),
        ("reminded", &remind, days(7), None),
        ("paused", &pause, days(30) - SECOND, Some(Quiet::Paused)),
        ("paused", &pause, days(30), None),
        // The clock was set right by a little, and by a lot.
        ("reminded", &remind, -TimeDelta::minutes(59), Some(Quiet::Reminded)),
        ("reminded", &remind, -days(365), None),
        ("paused", &pause, -days(1), None),
        ("hidden", &hidden(Level::Subtle), -days(2), None),
    ];
    for (what, choices, passed, quiet) in table {
        let mut facts = facts(&["1.1.0"]);
        // As quiet as can be, so that nothing but the choice decides.
        facts.behind[0].since = out() + *passed;
        facts.choices = (*choices).clone();
        assert_eq!(told(&facts, out() + *passed).quiet, *quiet, "{what}, after {passed}");
    }
}

#[test]
fn a_hidden_notice_comes_back_when_it_becomes_louder() {
    let mut facts = facts(&["1.1.0"]);
    let at = out() + days(7);
    facts.choices.hidden = Some(Hidden { until: Until::from(at, days(7)), level: Level::Subtle });
    assert_eq!(told(&facts, at).quiet, Some(Quiet::Hidden));
    assert_eq!(told(&facts, at + days(1)).quiet, None, "yellow by then");
    assert_eq!(Level::Red.hidden_for(), None);
}

#[test]
fn skip_remind_and_pause_work_when_it_is_red_and_a_hole_ends_them() {
    let now = out() + days(90);
    let skipped = vec![SkippedVersion { version: version("1.1.0"), at: now }];
    let all = [
        (Choices { skipped, ..Choices::default() }, Quiet::Skipped, None),
        (
            Choices { remind: Some(Until::from(now, days(1))), ..Choices::default() },
            Quiet::Reminded,
            Some(now + days(1)),
        ),
        (Choices { pause: Some(Until::from(now, days(9))), ..Choices::default() }, Quiet::Paused, Some(now + days(9))),
    ];
    for (choices, quiet, until) in all {
        let mut facts = Facts { choices, ..facts(&["1.1.0"]) };
        let silent = told(&facts, now + SECOND);
        assert_eq!((silent.level, silent.quiet, silent.quiet_until), (Level::Red, Some(quiet), until));
        assert!(!silent.asks && !silent.ended_by_security);
        // Known when it was chosen: then it was part of the choice.
        facts.holes = vec![hole(HoleSeverity::High, "1.1.0", now)];
        assert_eq!(told(&facts, now + SECOND).quiet, Some(quiet));
        facts.holes = vec![hole(HoleSeverity::High, "1.1.0", now + SECOND)];
        let raised = told(&facts, now + SECOND);
        assert_eq!((raised.quiet, raised.quiet_until, raised.ended_by_security), (None, None, true), "{quiet:?}");
        assert!(raised.asks);
    }
}

#[test]
fn skipping_one_version_says_nothing_about_the_next() {
    let mut facts = facts(&["1.1.0"]);
    facts.choices.skipped = vec![SkippedVersion { version: version("1.1.0"), at: out() }];
    assert_eq!(told(&facts, out()).quiet, Some(Quiet::Skipped));
    facts.behind.push(release("1.2.0"));
    let next = told(&facts, out());
    assert_eq!((next.quiet, next.to, next.versions_behind), (None, version("1.2.0"), 2));
}

#[test]
fn the_daily_question_is_asked_once_in_24_hours_and_only_when_red_and_seen() {
    let now = out() + days(61);
    let mut facts = facts(&["1.1.0"]);
    assert!(told(&facts, now).asks);
    assert!(!told(&facts, now - SECOND).asks, "orange");
    facts.choices.asked_at = Some(now);
    assert!(!told(&facts, now + days(1) - SECOND).asks);
    assert!(told(&facts, now + days(1)).asks);
    facts.choices.asked_at = Some(now + days(365));
    assert!(told(&facts, now).asks, "asked in a future that was not");
    facts.choices.asked_at = None;
    facts.busy = true;
    let busy = told(&facts, now);
    assert_eq!((busy.quiet, busy.asks), (Some(Quiet::Busy), false));
}
