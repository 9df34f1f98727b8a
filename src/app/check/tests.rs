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

/// The report without the numbers of series, which change with every new family.
fn text(report: &CheckReport) -> String {
    let SeriesCounts { exporter, target, sync } = report.series;
    let counts = format!("{exporter} of the exporter, {target} of each target, {sync} of each sync");
    let text = report.to_string();
    assert!(text.contains(&counts), "{text}");
    let total = report.series.total(report.targets.of_shard(report.shard), 5);
    text.replace(&counts, "E of the exporter, T of each target, S of each sync")
        .replace(&format!("  {total} if"), "  N if")
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
    credentials  ambient
    role         arn:aws:iam::999900000000:role/Hub
    role         arn:aws:iam::111122223333:role/SsmSyncExporter with an external
                 id
    regions      eu-west-1, us-east-1
  222233334444
    credentials  ambient
    role         arn:aws:iam::999900000000:role/Hub
    role         arn:aws:iam::222233334444:role/x
    regions      eu-west-1, us-east-1
  account of the credentials
    profile      staging
    regions      eu-central-1

targets: 5

schedule
  collections   every 10m, each at most 1m, 64 in parallel

expectations: 2
  org-inventory (required): 3 targets
  production (forbidden): 2 targets

series, without problems and expectations
  E of the exporter, T of each target, S of each sync to a bucket
  N if 5 targets have 5 syncs each
  and 1 of each target for each expectation about it, unless disabled

API calls per hour, without retries
  ssm:ListResourceDataSync            60 (12 of each target)
  sts:AssumeRole                     3.3
  sts:GetCallerIdentity for 1 account, whenever credentials are renewed"
    );
}

#[test]
fn what_only_aws_knows_is_said_to_be_unknown() {
    let report = report(&example("organization.yaml"), Shard::new(1, 3.try_into().unwrap()).unwrap());
    assert_eq!(
        text(&report),
        "\
organization: its accounts are known only from AWS
  listed by
    credentials  ambient
  members
    accounts     all, without 999900000000
    credentials  ambient
    role         arn:{partition}:iam::{account_id}:role/SsmSyncExporter with an
                 external id
    regions      * of those that are enabled

targets: known only from AWS
  shard index 1 of 3

schedule
  collections   every 5m, each at most 1m, 64 in parallel
  regions       looked up every 1h
  organization  listed every 1h

expectations: 1
  org-inventory (required): 0 targets, and others that AWS tells

series, without problems and expectations
  E of the exporter, T of each target, S of each sync to a bucket
  and 1 of each target for each expectation about it, unless disabled

API calls per hour, without retries
  ssm:ListResourceDataSync: 24 of each target
  for each 100 accounts of the organization in one region
    ssm:ListResourceDataSync        2400
    sts:AssumeRole                 109.1
    organizations:ListAccounts         5
    account:ListRegions              100"
    );
}

#[test]
fn a_report_fits_80_columns_and_has_no_secrets() {
    for name in ["full.yaml", "govcloud.yaml", "minimal.yaml", "organization.yaml"] {
        let text = report(
            &example(name).replace("external_id: \"example\"", "external_id: swordfish"),
            Shard::default(),
        )
        .to_string();
        assert!(!text.contains("swordfish") && !text.contains("\n\n\n") && !text.ends_with('\n'), "{text}");
        for line in text.lines() {
            assert!(line.len() <= 80 && line.trim_end() == line, "{line:?}");
        }
    }
}

#[test]
fn a_large_number_of_accounts_is_cut() {
    let entry = |n: usize| format!("{{id: '{:012}', profile: p{n}}}", 100 + n);
    let entries: Vec<String> = (0..1000).map(entry).collect();
    let report = report(&format!("regions: [eu-*]\naccounts: [{}]\n", entries.join(", ")), Shard::default());
    let text = report.to_string();
    assert!(text.starts_with("accounts: 1000\n") && text.contains("\n  and 950 more\n"), "{text}");
    assert!(text.lines().count() < 200, "{text}");
    // Without a partition, nothing is known of the enabled regions.
    assert!(text.contains("\ntargets: known only from AWS\n"), "{text}");
}

#[test]
fn the_numbers_of_series_are_those_of_the_renderer() {
    let large_fleets = "metrics: {sparse_states: true, disable: [aws_ssm_resource_data_sync_last_sync_age_seconds, \
                        ssm_sync_exporter_target_collections_total]}\nregions: [eu-west-1]\n";
    let mut per_sync = Vec::new();
    for text in ["regions: [eu-west-1]\n", large_fleets] {
        let report = report(text, Shard::default());
        for (targets, syncs) in [(1, 1), (2, 1), (5, 3), (7, 10)] {
            let settings = exposition_settings(&report.config);
            let rendered = rendered_series(settings, Shard::default(), &vec![syncs; targets]).unwrap();
            assert_eq!(
                report.series.total(targets, syncs),
                rendered,
                "{targets} {syncs} {:?}",
                report.series
            );
        }
        per_sync.push(report.series.sync);
    }
    // As in the table of deploy/prometheus/README.md.
    assert_eq!(per_sync[0], 13);
    assert!(per_sync[1] < per_sync[0], "{per_sync:?}");
}
