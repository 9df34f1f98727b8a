use pretty_assertions::assert_eq;

use super::series::rendered_series;
use super::*;
use crate::app::stages::exposition_settings;
use crate::config::SdkDefaults;

fn report(text: &str, shard: Shard) -> CheckReport {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, text).unwrap();
    let config = Config::load(Some(&file), []).unwrap_or_else(|error| panic!("{error}"));
    let sources = config.account_sources(&SdkDefaults::default()).unwrap();
    CheckReport::new(config, sources, shard, Vec::new()).unwrap()
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The report for an output that is not a terminal, without the numbers of series, which change with every new
/// family.
fn text(report: &CheckReport) -> String {
    let SeriesCounts { exporter, target, sync, .. } = report.series;
    let counts = format!("{exporter} of the exporter, {target} for each target, {sync} for each sync");
    let text = report.render(None);
    assert!(text.contains(&counts), "{text}");
    let own = report.targets.of_shard(report.shard);
    let with_lookups = own.iter().filter(|target| target.account.managed_nodes_interval.is_some()).count();
    let targets = if own.is_empty() { 100 } else { own.len() };
    text.replace(&counts, "E of the exporter, T for each target, S for each sync").replace(
        &format!("example {} in all", report.series.total(targets, with_lookups, 5)),
        "example N in all",
    )
}

#[test]
fn a_list_of_accounts_is_described_exactly() {
    let report = report(
        "interval: 10m
regions: [eu-west-1, us-east-1]
accounts:
  - name: production
    assume_roles:
      - arn: arn:aws:iam::999900000000:role/Hub
      - {arn: 'arn:aws:iam::111122223333:role/SsmSyncExporter', external_id: swordfish}
  - {id: 222233334444, assume_roles: [{arn: 'arn:aws:iam::999900000000:role/Hub'}, {arn: 'arn:aws:iam::222233334444:role/x'}]}
  - {profile: staging, regions: [eu-central-1]}
expectations:
  - {name: org-inventory, regions: ['eu-*'], request: {SyncName: a}}
  - {name: production, accounts: [production], presence: forbidden, request: {SyncName: b}}
",
        Shard::default(),
    );
    assert_eq!(
        text(&report),
        "\
accounts: 3
  111122223333 (production)
    credentials  those that the AWS CLI would use here
    role         arn:aws:iam::999900000000:role/Hub
    role         arn:aws:iam::111122223333:role/SsmSyncExporter with an external
                 id
    regions      eu-west-1, us-east-1
  222233334444
    credentials  those that the AWS CLI would use here
    role         arn:aws:iam::999900000000:role/Hub
    role         arn:aws:iam::222233334444:role/x
    regions      eu-west-1, us-east-1
  the account of the credentials
    profile      staging
    regions      eu-central-1

targets (an account in a region): 5

schedule
  each target is collected every 10m, for at most 1m
  at most 64 targets are collected at the same time

expectations: 2
  org-inventory: required in 3 targets
  production: forbidden in 2 targets

series
  E of the exporter, T for each target, S for each sync to a bucket
  for example N in all for 5 targets with 5 syncs each
  not counted: problems, failures and expectations

API calls per hour, if none fails
  12 for each target to list its syncs
  ssm:ListResourceDataSync      60
  sts:AssumeRole               3.3
  sts:GetCallerIdentity for 1 account, whenever credentials are renewed
"
    );
}

#[test]
fn what_only_aws_knows_is_said_to_be_unknown() {
    let report = report(&example("organization.yaml"), Shard::new(1, 3.try_into().unwrap()).unwrap());
    assert_eq!(
        text(&report),
        "\
organization
  to list its accounts
    credentials  those that the AWS CLI would use here
  to poll its accounts
    accounts     all, except 999900000000
    credentials  those that the AWS CLI would use here
    role         arn:{partition}:iam::{account_id}:role/SsmSyncExporter with an
                 external id
    regions      all that are enabled

targets (an account in a region): not known yet
  AWS has to list the organization's accounts and their enabled regions.
  Shard 1 of 3 (counted from 0) polls about 1 in 3 of them.

schedule
  each target is collected every 5m, for at most 1m
  at most 64 targets are collected at the same time
  the organization is listed every 1h
  the enabled regions of each account are listed every 1h

expectations: 1
  org-inventory: required in targets that are not known yet

series
  E of the exporter, T for each target, S for each sync to a bucket
  for example N in all for 100 targets with 5 syncs each
  not counted: problems, failures and expectations

API calls per hour, if none fails
  24 for each target to list its syncs

and for every 100 accounts of the organization, in 1 region each
  ssm:ListResourceDataSync       800
  sts:AssumeRole               109.1
  organizations:ListAccounts       5
  account:ListRegions            100
"
    );
}

#[test]
fn a_report_fits_the_terminal_and_has_no_secrets() {
    for (name, width) in [
        ("full.yaml", None),
        ("govcloud.yaml", None),
        ("minimal.yaml", None),
        ("organization.yaml", None),
        ("full.yaml", Some(60)),
        ("organization.yaml", Some(120)),
    ] {
        let text = example(name).replace("external_id: \"example\"", "external_id: swordfish");
        let text = report(&text, Shard::default()).render(width);
        assert!(!text.contains("swordfish") && !text.contains("\n\n\n") && text.ends_with('\n'), "{text}");
        for line in text.lines() {
            let is_word = line.split_whitespace().count() <= 2;
            assert!(line.len() <= width.unwrap_or(80).into() || is_word, "{line:?}");
            assert_eq!(line.trim_end(), line);
        }
    }
}

/// Regression test: the calls that list units were counted as one call of `ListAccounts` for 20 accounts, and the
/// roles on the way to the members were not counted.
#[test]
fn the_calls_for_an_organization_depend_on_its_units_roles_and_regions() {
    let text = report(
        "regions: [eu-west-1, us-east-1, eu-central-1]
organization:
  organizational_units: [ou-abcd-11111111, ou-abcd-22222222]
  member_assume_roles: [{arn: 'arn:aws:iam::999900000000:role/Hub'}]
  member_role: 'arn:{partition}:iam::{account_id}:role/x'
",
        Shard::default(),
    )
    .render(None);
    let (_, calls) = text.split_once("API calls").unwrap();
    assert_eq!(
        calls,
        " per hour, if none fails
  24 for each target to list its syncs
  sts:AssumeRole                                     1.1
  organizations:ListAccountsForParent                  2
  organizations:ListOrganizationalUnitsForParent       2

and for every 100 accounts of the organization, in 3 regions each
  ssm:ListResourceDataSync    7200
  sts:AssumeRole             109.1
"
    );
}

#[test]
fn a_large_number_of_accounts_is_cut() {
    let entry = |n: usize| format!("{{id: '{:012}', profile: p{n}}}", 100 + n);
    let entries: Vec<String> = (0..1000).map(entry).collect();
    let report = report(&format!("regions: [eu-*]\naccounts: [{}]\n", entries.join(", ")), Shard::default());
    let text = report.render(None);
    assert!(text.starts_with("accounts: 1000\n") && text.contains("\n  and 950 more\n"), "{text}");
    assert!(text.lines().count() < 200, "{text}");
    // Without a partition, nothing is known of the enabled regions.
    assert!(text.contains("\ntargets (an account in a region): not known yet\n"), "{text}");
}

#[test]
fn the_report_says_where_managed_nodes_are_looked_up() {
    let role = "{arn: 'arn:aws:iam::111122223333:role/x'}";
    let listed = format!(
        "regions: [eu-west-1, us-east-1]
managed_nodes: {{enabled: true}}
accounts:
  - {{name: a, assume_roles: [{role}]}}
  - {{profile: b, managed_nodes: {{interval: 12h}}}}
  - {{profile: c, regions: [eu-west-1], managed_nodes: {{enabled: false}}}}
"
    );
    let nodes = |text: &str, shard| {
        let report = report(text, shard);
        let text = report.render(None).replace("\n    ", " ");
        let is_about_nodes = |line: &&str| {
            ["managed nodes", "DescribeInstanceInformation"].iter().any(|part| line.contains(part))
        };
        text.lines().filter(is_about_nodes).map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let one = Shard::default();
    let series = "2 more for each target whose managed nodes are looked up";
    assert_eq!(
        nodes(&listed, one),
        [
            "managed nodes are looked up in 2 of 3 accounts every 6h to 12h",
            series,
            // 2 targets every 6 hours, and 2 every 12 hours.
            "ssm:DescribeInstanceInformation     0.5",
        ]
    );
    let members = |accounts: &str| {
        format!(
            "regions: [eu-west-1, us-east-1]
{accounts}
organization:
  member_role: 'arn:{{partition}}:iam::{{account_id}}:role/x'
  managed_nodes: {{enabled: true, interval: 2h}}
"
        )
    };
    assert_eq!(
        nodes(&members(""), one),
        [
            "managed nodes are looked up in the organization's accounts every 2h",
            series,
            "ssm:DescribeInstanceInformation     100",
        ]
    );
    assert_eq!(
        nodes(&members(""), Shard::new(1, 4.try_into().unwrap()).unwrap()).last().unwrap(),
        "ssm:DescribeInstanceInformation      25"
    );
    assert_eq!(
        nodes(
            &members("accounts: [{id: '111122223333', managed_nodes: {enabled: true, interval: 30m}}]"),
            one
        ),
        [
            "managed nodes are looked up in 1 account every 30m, and in the organization's accounts every 2h",
            series,
            "ssm:DescribeInstanceInformation       4",
            "ssm:DescribeInstanceInformation     100",
        ]
    );
    // The number of lookups is unknown, because the enabled regions are.
    let patterns =
        "regions: ['eu-*']\nmanaged_nodes: {enabled: true, interval: 1h}\naccounts: [{profile: a}]\n";
    assert_eq!(nodes(patterns, one), ["managed nodes are looked up in 1 account every 1h", series]);
    assert_eq!(nodes("regions: [eu-west-1]\nmanaged_nodes: {interval: 1h}\n", one), [""; 0]);
}

#[test]
fn the_numbers_of_series_are_those_of_the_renderer() {
    let large_fleets = "metrics: {sparse_states: true, disable: [aws_ssm_resource_data_sync_last_sync_age_seconds, \
                        ssm_sync_exporter_target_collections_total]}\nregions: [eu-west-1]\n";
    let with_nodes = "regions: [eu-west-1]\nmanaged_nodes: {enabled: true}\n";
    let without_a_family = "regions: [eu-west-1]\nmanaged_nodes: {enabled: true}\nmetrics: {disable: \
                            [aws_ssm_managed_nodes_last_checked_timestamp_seconds]}\n";
    let (mut per_sync, mut lookups) = (Vec::new(), Vec::new());
    for text in ["regions: [eu-west-1]\n", large_fleets, with_nodes, without_a_family] {
        let report = report(text, Shard::default());
        let enabled = report.series.node_lookup > 0;
        for (targets, with_lookups, syncs) in [(1, 1, 1), (1, 0, 1), (2, 1, 1), (5, 5, 3), (7, 2, 10)] {
            let with_lookups = if enabled { with_lookups } else { 0 };
            let settings = exposition_settings(&report.config);
            let activity = Activity::new(&report.sources, &report.calls);
            let all = vec![syncs; targets];
            let rendered =
                rendered_series(settings, Shard::default(), &activity, &all, with_lookups).unwrap();
            assert_eq!(
                report.series.total(targets, with_lookups, syncs),
                rendered,
                "{targets} {with_lookups} {syncs} {:?}",
                report.series
            );
        }
        lookups.push(report.series.node_lookup);
        per_sync.push(report.series.sync);
    }
    // As in the table of deploy/requirements.md.
    assert_eq!(per_sync[0], 12);
    assert!(per_sync[1] < per_sync[0], "{per_sync:?}");
    assert_eq!(lookups, [0, 0, 2, 1]);
}
