//! Discovery follows the settings that a reload changes, and keeps what it has looked up.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_reload_without_changes_makes_no_lookups() {
    let discovery = RunningDiscovery::start(sources("eu-*"), fake_lookups(&[1], &[(1, &["eu-west-1"])]));
    sleep(SOON).await;
    discovery.reconfigure(sources("eu-*"));
    sleep(SOON).await;
    assert_eq!(discovery.fake.count("members"), 1);
    assert_eq!(discovery.fake.count("1"), 1);
}

#[tokio::test(start_paused = true)]
async fn results_are_kept_when_a_reload_changes_the_regions() {
    let regions: &[&str] = &["eu-west-1", "us-east-1"];
    let discovery =
        RunningDiscovery::start(sources("eu-*"), fake_lookups(&[1, 2], &[(1, regions), (2, regions)]));
    sleep(SOON).await;
    assert_eq!(discovery.targets(), ["1/eu-west-1", "2/eu-west-1"]);
    // Lookups fail from now on, but the results are known.
    *discovery.fake.members.lock().unwrap() = None;
    discovery.fake.regions.lock().unwrap().clear();
    discovery.reconfigure(sources("us-*"));
    sleep(SOON).await;
    assert_eq!(discovery.targets(), ["1/us-east-1", "2/us-east-1"]);
    assert_eq!(discovery.fake.count("1"), 1, "its regions are known");
    assert_eq!(
        discovery.fake.count("members"),
        2,
        "the organization may have other accounts with the new settings"
    );
    assert_eq!(discovery.pending(), 1, "the organization has not been listed again");
}

#[tokio::test(start_paused = true)]
async fn another_organization_is_pending_and_a_removed_one_is_not() {
    let discovery = RunningDiscovery::start(sources("eu-west-1"), fake_lookups(&[1], &[]));
    sleep(SOON).await;
    *discovery.fake.members.lock().unwrap() = None;
    let mut other = sources("eu-west-1");
    other.organization.as_mut().unwrap().administrator =
        Arc::new(Account { id: Some("999900000000".parse().unwrap()), ..Account::default() });
    discovery.reconfigure(other);
    sleep(SOON).await;
    assert_eq!(
        (discovery.targets().len(), discovery.pending()),
        (0, 1),
        "another administrator account means another organization"
    );
    let none = AccountSources { organization: None, ..sources("eu-west-1") };
    discovery.reconfigure(none);
    sleep(SOON).await;
    assert_eq!((discovery.targets().len(), discovery.pending()), (0, 0));
    let before = discovery.fake.count("members");
    sleep(REFRESH * 3).await;
    assert_eq!(discovery.fake.count("members"), before);
}

#[tokio::test(start_paused = true)]
async fn a_reload_retries_failed_lookups_immediately() {
    let discovery = RunningDiscovery::start(sources("eu-*"), fake_lookups(&[1, 2], &[(2, &["eu-west-1"])]));
    // Long enough for a long back-off.
    sleep(Duration::from_mins(20)).await;
    let before = discovery.fake.count("1");
    discovery.fake.regions.lock().unwrap().insert(1, vec!["eu-west-3"]);
    let mut other = sources("eu-*");
    other.organization.as_mut().unwrap().member_access.policy = SessionPolicy::None;
    discovery.reconfigure(other);
    sleep(SOON).await;
    assert_eq!(discovery.fake.count("1"), before + 1);
    assert_eq!(discovery.fake.count("2"), 1);
    assert_eq!(discovery.targets(), ["1/eu-west-3", "2/eu-west-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_result_requested_with_previous_settings_is_discarded() {
    let hanging = FakeLookups { hanging_account: Some(1), ..fake_lookups(&[1], &[(1, &["eu-west-1"])]) };
    let discovery = RunningDiscovery::start(sources("eu-*"), hanging);
    sleep(SOON).await;
    let mut other = sources("eu-*");
    other.organization.as_mut().unwrap().member_access.policy = SessionPolicy::None;
    discovery.reconfigure(other);
    sleep(SOON).await;
    assert_eq!(discovery.fake.count("1"), 2, "it is looked up again with the new settings");
    sleep(HANG).await;
    assert_eq!((discovery.targets(), discovery.pending()), (vec!["1/eu-west-1".into()], 0));
    assert_eq!(discovery.fake.count("1"), 2);
}

#[tokio::test(start_paused = true)]
async fn delayed_lookups_follow_a_changed_refresh_interval() {
    let discovery = RunningDiscovery::start(sources("eu-*"), fake_lookups(&[1], &[(1, &["eu-west-1"])]));
    sleep(SOON).await;
    discovery.reconfigure(AccountSources { refresh_interval: Duration::from_mins(5), ..sources("eu-*") });
    sleep(Duration::from_mins(5) + SOON).await;
    assert_eq!(discovery.fake.count("1"), 2);
}

#[tokio::test(start_paused = true)]
async fn accounts_are_kept_until_the_organization_is_listed_with_other_credentials() {
    // Regression: another default region or role dropped all accounts.
    let by_role = |role: &str, default_region: &str| {
        let role = crate::fleet::Role {
            arn: format!("arn:aws:iam::999900000000:role/{role}").parse().unwrap(),
            external_id: None,
            session_name: SessionName::default(),
            policy: SessionPolicy::None,
        };
        let mut sources = sources("eu-west-1");
        sources.organization.as_mut().unwrap().administrator = Arc::new(Account {
            id: Some("999900000000".parse().unwrap()),
            access: crate::fleet::Access { profile: None, roles: vec![role] },
            default_region: Some(default_region.parse().unwrap()),
            ..Account::default()
        });
        sources
    };
    let discovery = RunningDiscovery::start(by_role("Lister", "eu-west-1"), fake_lookups(&[1, 2], &[]));
    sleep(SOON).await;
    *discovery.fake.members.lock().unwrap() = None;
    for other in [by_role("Lister", "eu-central-1"), by_role("Denied", "eu-central-1")] {
        discovery.reconfigure(other);
        sleep(SOON).await;
        assert_eq!((discovery.targets().len(), discovery.pending()), (2, 1));
    }
    *discovery.fake.members.lock().unwrap() = Some(vec![2]);
    sleep(INITIAL_BACKOFF * 2).await;
    assert_eq!((discovery.targets(), discovery.pending()), (vec!["2/eu-west-1".to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn a_reload_resets_the_backoff() {
    let discovery = RunningDiscovery::start(sources("eu-*"), fake_lookups(&[1], &[]));
    sleep(REFRESH * 3).await;
    discovery.reconfigure(sources("eu-*"));
    sleep(SOON).await;
    let before = discovery.fake.count("1");
    sleep(INITIAL_BACKOFF).await;
    assert_eq!(discovery.fake.count("1"), before + 1, "after the initial back-off, not after an hour");
}
