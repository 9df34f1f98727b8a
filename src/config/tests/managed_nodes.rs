//! Tests of the keys `managed_nodes`, and of the rules of health that depend on them.

use pretty_assertions::assert_eq;

use super::*;

const HOUR: Duration = Duration::from_hours(1);

/// A configuration with `managed_nodes` at the top level, in an account and in the organization. An empty value leaves
/// the key out.
fn configuration([top_level, account, organization]: [&str; 3], aws: &str) -> Config {
    let key = |indent: &str, value: &str| {
        if value.is_empty() { String::new() } else { format!("{indent}managed_nodes: {value}\n") }
    };
    loaded(&format!(
        "regions: [eu-west-1]\naws: {{{aws}}}\n{}accounts:\n  - assume_roles: [{{arn: \
         'arn:aws:iam::111122223333:role/Hub'}}, {{arn: 'arn:aws:iam::444455556666:role/Reader'}}]\n{}  - {{id: \
         '777788889999', profile: other}}\norganization:\n  assume_roles: [{{arn: \
         'arn:aws:iam::111122223333:role/Lister'}}]\n  member_role: \
         'arn:aws:iam::{{account_id}}:role/Reader'\n{}",
        key("", top_level),
        key("    ", account),
        key("  ", organization),
    ))
}

/// The intervals of an account with an entry of its own, of one without, and of the organization's accounts.
fn intervals(config: &Config) -> [Option<Duration>; 3] {
    let [own, inherited] = &config.accounts[..] else { panic!("{config:?}") };
    [&own.account, &inherited.account, &Arc::new(member(config))]
        .map(|account| account.managed_nodes_interval)
}

#[test]
fn an_entry_inherits_what_it_leaves_out_of_managed_nodes() {
    let hours = |hours: u32| Some(HOUR * hours);
    for (settings, expected) in [
        (["", "", ""], [None, None, None]),
        (["{}", "{}", "{}"], [None, None, None]),
        (["~", "", "~"], [None, None, None]),
        (["{enabled: true}", "", ""], [hours(6), hours(6), hours(6)]),
        (["{enabled: TRUE, interval: }", "{enabled: }", "{}"], [hours(6), hours(6), hours(6)]),
        (["{enabled: true, interval: 2h}", "", ""], [hours(2), hours(2), hours(2)]),
        (["{enabled: true}", "{enabled: false}", ""], [None, hours(6), hours(6)]),
        (["{enabled: true}", "", "{enabled: false}"], [hours(6), hours(6), None]),
        // The interval alone enables nothing.
        (["{interval: 2h}", "{interval: 3h}", "{interval: 4h}"], [None, None, None]),
        (["{interval: 2h}", "{enabled: true}", ""], [hours(2), None, None]),
        (["{interval: 2h}", "", "{enabled: true}"], [None, None, hours(2)]),
        (["", "{enabled: true, interval: 3h}", "{enabled: true}"], [hours(3), None, hours(6)]),
        (["{enabled: true}", "{interval: 3h}", "{interval: 4h}"], [hours(3), hours(6), hours(4)]),
        (
            ["{enabled: true, interval: 2h}", "{interval: 3h}", "{enabled: false, interval: 4h}"],
            [hours(3), hours(2), None],
        ),
    ] {
        let config = configuration(settings, "");
        assert_eq!(intervals(&config), expected, "{settings:?}");
        // The administrator only lists the organization.
        let organization = &config.organization.as_ref().unwrap().organization;
        assert_eq!(organization.administrator.managed_nodes_interval, None);
    }
}

#[test]
fn without_accounts_the_ambient_account_has_the_setting_of_the_top_level() {
    let interval = |text: &str| loaded(&format!("{text}\n")).accounts[0].account.managed_nodes_interval;
    assert_eq!(interval("managed_nodes: {interval: 1h}"), None);
    assert_eq!(interval("managed_nodes: {enabled: true, interval: 1h}"), Some(HOUR));
}

#[test]
fn variables_set_managed_nodes_beside_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(
        &file,
        "regions: [eu-west-1]\nmanaged_nodes: {interval: 2h}\norganization: {member_role: \
         'arn:aws:iam::{account_id}:role/x'}\n",
    )
    .unwrap();
    let interval = |variables: &[(&str, &str)]| {
        let config = checked(Some(&file), environment(variables)).unwrap();
        member(&config).managed_nodes_interval
    };
    assert_eq!(interval(&[("SSM_SYNC_EXPORTER_MANAGED_NODES__ENABLED", "true")]), Some(2 * HOUR));
    assert_eq!(
        interval(&[
            ("SSM_SYNC_EXPORTER_MANAGED_NODES", "{enabled: true, interval: 3h}"),
            ("SSM_SYNC_EXPORTER_ORGANIZATION__MANAGED_NODES__INTERVAL", "4h"),
        ]),
        Some(4 * HOUR)
    );
    assert_eq!(
        from_environment(&[("SSM_SYNC_EXPORTER_MANAGED_NODES_ENABLED", "true")]).unwrap_err(),
        "environment variable SSM_SYNC_EXPORTER_MANAGED_NODES_ENABLED: unknown key; did you mean \
         `SSM_SYNC_EXPORTER_MANAGED_NODES__ENABLED`?"
    );
    assert_eq!(
        from_environment(&[("SSM_SYNC_EXPORTER_MANAGED_NODES", "true")]).unwrap_err(),
        "environment variable SSM_SYNC_EXPORTER_MANAGED_NODES: managed_nodes: found a string, expected a mapping \
         such as `{enabled: true}`"
    );
}

#[test]
fn sessions_may_look_up_managed_nodes_only_where_that_is_enabled() {
    let policies = |config: &Config| {
        let policies = |account: &Account| account.access.roles.iter().map(|role| role.policy).collect();
        let organization = &config.organization.as_ref().unwrap().organization;
        let all: [Vec<SessionPolicy>; 3] = [
            policies(&config.accounts[0].account),
            policies(&member(config)),
            policies(&organization.administrator),
        ];
        all
    };
    let poll = |managed_nodes| SessionPolicy::Poll { regions: false, managed_nodes };
    for (settings, account, organization) in [
        (["", "", ""], false, false),
        (["{interval: 1h}", "{interval: 1h}", ""], false, false),
        (["{enabled: true}", "", "{enabled: false}"], true, false),
        (["{enabled: true}", "{enabled: false}", ""], false, true),
        (["", "{enabled: true}", ""], true, false),
        (["", "", "{enabled: true}"], false, true),
    ] {
        assert_eq!(
            policies(&configuration(settings, "")),
            [
                vec![SessionPolicy::None, poll(account)],
                vec![poll(organization)],
                vec![SessionPolicy::ListAccounts]
            ],
            "{settings:?}"
        );
    }
    let all = configuration(["{enabled: true}", "", ""], "session_policy: false");
    assert_eq!(policies(&all).concat(), [SessionPolicy::None; 4]);
}

/// A reload that enables lookups has to replace the sessions that do not allow them.
#[test]
fn a_target_has_other_credentials_after_lookups_are_enabled() {
    let target = |settings: &str, aws: &str| {
        let config = configuration([settings, "", ""], aws);
        let target = |account| Target { account, region: "eu-west-1".parse().unwrap() };
        [
            target(Arc::clone(&config.accounts[0].account)),
            target(Arc::clone(&config.accounts[1].account)),
            target(Arc::new(member(&config))),
        ]
    };
    let same = |first: [Target; 3], second: [Target; 3]| {
        [0, 1, 2].map(|index| first[index].is_same_target_with_same_access(&second[index]))
    };
    let disabled = || target("{}", "");
    let enabled = |interval: &str| target(&format!("{{enabled: true, interval: {interval}}}"), "");
    // The second account has no role, so its credentials have no policy.
    assert_eq!(same(disabled(), enabled("6h")), [false, true, false]);
    assert_eq!(same(enabled("6h"), enabled("7h")), [true; 3]);
    let without_policy = |settings: &str| target(settings, "session_policy: false");
    assert_eq!(same(without_policy("{}"), without_policy("{enabled: true}")), [true; 3]);
}

#[test]
fn lookups_that_are_more_frequent_than_collections_give_a_warning_with_the_line() {
    let warnings = |text: &str| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, text).unwrap();
        let warnings = checked(Some(&file), Vec::new()).unwrap().warnings.into_iter();
        let start = format!("{}:", file.display());
        warnings.filter_map(|warning| Some(warning.strip_prefix(&start)?.to_owned())).collect::<Vec<_>>()
    };
    let warning = |place: &str| {
        format!(
            "{place}.interval: is shorter than `interval`, so managed nodes are looked up more often than syncs are collected"
        )
    };
    let inherited = "regions: [eu-west-1]\nmanaged_nodes:\n  interval: 4m\naccounts:\n  - {profile: a, managed_nodes: \
                     {enabled: true}}\n  - {profile: b, managed_nodes: {enabled: true}}\n";
    assert_eq!(warnings(inherited), [warning("3:13: managed_nodes")]);
    assert_eq!(warnings(&format!("interval: 4m\n{inherited}")), [""; 0]);
    assert_eq!(
        warnings(
            "regions: [eu-west-1]\nmanaged_nodes: {interval: 1s}\naccounts:\n  - {profile: a}\n  - profile: b\n    \
             managed_nodes:\n      enabled: true\n      interval: 299s\n  - {profile: c, managed_nodes: {interval: 2s}}\n"
        ),
        [warning("8:17: accounts[1].managed_nodes")],
        "only what is enabled counts"
    );
    // The default is longer than every usual interval.
    assert_eq!(
        warnings("interval: 7h\nstale_after: 8h\nmanaged_nodes: {enabled: true}\n"),
        [warning("3:1: managed_nodes")]
    );
    let variables = [
        ("SSM_SYNC_EXPORTER_MANAGED_NODES__ENABLED", "true"),
        ("SSM_SYNC_EXPORTER_MANAGED_NODES__INTERVAL", "1s"),
    ];
    assert_eq!(
        from_environment(&variables).unwrap().warnings,
        [warning("environment variable SSM_SYNC_EXPORTER_MANAGED_NODES__INTERVAL: managed_nodes")]
    );
}

#[test]
fn ignoring_managed_nodes_without_lookups_gives_a_warning() {
    let rules = "health:\n  rules:\n    - {sync_names: [a], ignore_managed_nodes: false}\n    - sync_names: [b]\n      \
                 ignore_managed_nodes: true\n    - {ignore_managed_nodes: true}\n";
    let warnings = |text: &str| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, format!("{rules}{text}")).unwrap();
        let warnings = checked(Some(&file), Vec::new()).unwrap().warnings.into_iter();
        let start = format!("{}:", file.display());
        warnings.map(|warning| warning.replace(&start, "")).collect::<Vec<_>>()
    };
    let expected = [
        "5:29: health.rules[1].ignore_managed_nodes: has no effect, because `managed_nodes` is not enabled for any account",
        "6:30: health.rules[2].ignore_managed_nodes: has no effect, because `managed_nodes` is not enabled for any account",
    ];
    assert_eq!(warnings(""), expected);
    assert_eq!(warnings("managed_nodes: {interval: 2h}\n"), expected);
    assert_eq!(warnings("managed_nodes: {enabled: true}\n"), [""; 0]);
    let overridden = "regions: [eu-west-1]\nmanaged_nodes: {enabled: true}\naccounts: [{profile: a, managed_nodes: \
                      {enabled: false}}]\n";
    assert_eq!(warnings(overridden), expected);
    let of_organization = "regions: [eu-west-1]\norganization: {member_role: 'arn:aws:iam::{account_id}:role/x', \
                           managed_nodes: {enabled: true}}\n";
    assert_eq!(warnings(of_organization), [""; 0]);

    let rules = loaded(rules).health.rules.clone();
    let ignored: Vec<Option<bool>> = rules.iter().map(|rule| rule.ignore_managed_nodes).collect();
    assert_eq!(ignored, [Some(false), Some(true), Some(true)]);
    assert!(rules[2].matches_everything() && rules[2].max_run_time.is_none());
}

#[test]
fn the_settings_are_shown_with_what_is_inherited_left_out() {
    let config = configuration(["{enabled: True}", "{interval: 3h}", "{}"], "");
    for part in [
        "\nmanaged_nodes:\n  enabled: true\n  interval: 6h\n",
        "\n    managed_nodes:\n      interval: 3h\n",
        "\n  managed_nodes: {}\n",
    ] {
        assert!(config.redacted.contains(part), "{part} {}", config.redacted);
    }
}
