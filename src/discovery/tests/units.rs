//! Targets follow the organizational units of their accounts.

use super::*;

#[tokio::test(start_paused = true)]
async fn targets_follow_the_units_of_their_accounts() {
    let fake = fake_lookups(&[1, 2], &[(1, &["eu-west-1"]), (2, &["eu-west-1"])]);
    *fake.units.lock().unwrap() = Some(vec![(1, 7)]);
    let mut discovery = RunningDiscovery::start(sources("eu-*"), fake);
    sleep(SOON).await;
    assert_eq!(discovery.units(), ["1:7", "2:"]);
    *discovery.fake.units.lock().unwrap() = Some(vec![(1, 8), (2, 7)]);
    discovery.target_list.mark_unchanged();
    sleep(REFRESH).await;
    assert_eq!(discovery.units(), ["1:8", "2:7"]);
    assert!(discovery.target_list.has_changed().unwrap());
    assert_eq!(discovery.fake.count("1"), 2, "its regions are looked up at the next refresh as usual");
}

#[tokio::test(start_paused = true)]
async fn a_failure_to_list_units_keeps_the_accounts_and_the_last_known_units() {
    let (lines, _guard) = Lines::of("discovery");
    let fake = fake_lookups(&[1], &[]);
    *fake.units.lock().unwrap() = None;
    let discovery = RunningDiscovery::start(sources("eu-west-1"), fake);
    sleep(SOON).await;
    assert_eq!((discovery.units(), discovery.pending()), (vec!["1:unknown".to_owned()], 0));
    let failing = discovery.target_list.borrow().failing_lookups.clone();
    assert_eq!((failing.units.is_some(), failing.may_hide_targets()), (true, false));
    assert_eq!(discovery.outcomes(LookupKind::Organization), (0, 1));

    *discovery.fake.units.lock().unwrap() = Some(vec![(1, 7)]);
    sleep(INITIAL_BACKOFF).await;
    assert_eq!(discovery.units(), ["1:7"]);
    assert_eq!(discovery.target_list.borrow().failing_lookups, FailingLookups::default());

    *discovery.fake.units.lock().unwrap() = None;
    *discovery.fake.members.lock().unwrap() = Some(vec![1, 2]);
    sleep(REFRESH + SOON).await;
    assert_eq!(discovery.units(), ["1:7", "2:unknown"], "the second account has just joined");
    assert!(discovery.target_list.borrow().failing_lookups.units.is_some());
    // From then on, the accounts cannot be listed either.
    *discovery.fake.members.lock().unwrap() = None;
    sleep(INITIAL_BACKOFF * 2).await;
    assert_eq!(discovery.failing_lookups(), (true, 0));
    assert_eq!(discovery.target_list.borrow().failing_lookups.units, None);
    assert_eq!(discovery.units(), ["1:7", "2:unknown"]);
    let lines = lines.take();
    let lines: Vec<&str> = lines.iter().map(String::as_str).filter(|line| line.contains("can")).collect();
    let failed =
        "WARN cannot list the organizational units of the configuration reason=other error=set by the test";
    assert_eq!(
        lines,
        [
            failed,
            "INFO can list the organizational units of the configuration again",
            failed,
            "WARN cannot list the organization's accounts reason=access_denied error=set by the test still_polled_accounts=2",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_tracks_other_units_lists_the_organization_again_and_keeps_targets() {
    let (lines, _guard) = Lines::of("discovery");
    let fake = fake_lookups(&[1, 2], &[]);
    let discovery = RunningDiscovery::start(sources("eu-west-1"), fake);
    sleep(SOON).await;
    *discovery.fake.units.lock().unwrap() = Some(vec![(1, 7)]);
    let mut other = sources("eu-west-1");
    other.organization.as_mut().unwrap().tracked_units = vec![unit_id(7), unit_id(9)];
    *discovery.fake.members.lock().unwrap() = None;
    discovery.reconfigure(other);
    sleep(SOON).await;
    let units = "1:?79 2:?79";
    assert_eq!((discovery.units().join(" "), discovery.fake.count("members")), (units.to_owned(), 2));
    *discovery.fake.members.lock().unwrap() = Some(vec![1, 2]);
    sleep(INITIAL_BACKOFF).await;
    assert_eq!((discovery.units().join(" "), discovery.pending()), ("1:7 2:".to_owned(), 0));
    sleep(REFRESH * 3).await;
    let lines: Vec<String> = lines.take().into_iter().filter(|line| line.contains("unit")).collect();
    assert_eq!(
        lines,
        ["WARN organizational unit contains no account or does not exist unit=ou-fake-00000009"],
        "logged once"
    );
}

#[tokio::test(start_paused = true)]
async fn units_that_a_reload_adds_are_unknown_while_they_cannot_be_listed() {
    let fake = fake_lookups(&[1, 2], &[]);
    *fake.units.lock().unwrap() = Some(vec![(1, 7)]);
    let tracking = |units: &[u64]| {
        let mut sources = sources("eu-west-1");
        sources.organization.as_mut().unwrap().tracked_units = units.iter().copied().map(unit_id).collect();
        sources
    };
    let discovery = RunningDiscovery::start(tracking(&[7]), fake);
    sleep(SOON).await;
    assert_eq!(discovery.units(), ["1:7", "2:"]);
    *discovery.fake.units.lock().unwrap() = None;
    discovery.reconfigure(tracking(&[7, 9]));
    sleep(SOON).await;
    assert_eq!(discovery.units(), ["1:7?9", "2:?9"]);
    assert!(discovery.target_list.borrow().failing_lookups.units.is_some());
    *discovery.fake.units.lock().unwrap() = Some(vec![(1, 7), (2, 9)]);
    sleep(INITIAL_BACKOFF).await;
    assert_eq!(discovery.units(), ["1:7", "2:9"]);
}
