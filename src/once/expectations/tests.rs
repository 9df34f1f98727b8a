use std::sync::Arc;
use std::time::Duration;

use pretty_assertions::assert_eq;
use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::expectations::ExpectationState;
use crate::fleet::{Account, Target, TargetList};
use crate::health::HealthPolicy;
use crate::health::tests::sync;
use crate::model::{DataSync, Destination, Failure, Reason, SharingType, Source, SyncType, UnixSeconds};
use crate::snapshot::{Report, Store};

const NOW: UnixSeconds = 1_763_800_000.0;

/// Targets by account id, account name and region, with their syncs. `None` for a target that is down.
type Fleet<'a> = Vec<(&'a str, Option<&'a str>, &'a str, Option<Vec<DataSync>>)>;

/// Assesses a fleet by a policy.
fn results(fleet: &Fleet<'_>, policy: &Arc<HealthPolicy>) -> Results {
    let targets = fleet.iter().map(|(id, name, region, _)| {
        let (id, name) = (Some(id.parse().unwrap()), name.map(ToOwned::to_owned));
        let account = Account { id, name, ..Account::default() };
        Target { account: Arc::new(account), region: region.parse().unwrap() }
    });
    let store = Store::new(Duration::from_mins(30));
    let slots = store.set_targets(&TargetList { targets: targets.collect(), ..TargetList::default() });
    for (slot, (_, _, _, syncs)) in slots.iter().zip(fleet) {
        let outcome = syncs.clone().ok_or_else(|| Failure::new(Reason::AssumeRoleDenied, "denied"));
        let took = Duration::from_secs(1);
        store.record(slot, Report { account: None, ended: NOW, took, outcome, invalid_items: None });
    }
    let targets = slots.iter().map(|slot| AssessedTarget::of_slot(&store, slot, policy, NOW)).collect();
    Results { targets, policy: Arc::clone(policy), targets_complete: true, now: NOW }
}

fn written(fleet: &Fleet<'_>) -> String {
    render(&results(fleet, &Arc::default()))
}

/// The states of all targets by the expectations of a configuration with this text.
fn states(text: &str, fleet: &Fleet<'_>) -> Vec<ExpectationState> {
    let regions: BTreeSet<&str> = fleet.iter().map(|(_, _, region, _)| *region).collect();
    let config = format!(
        "regions: [{}]\norganization: {{member_role: 'arn:{{partition}}:iam::{{account_id}}:role/x'}}\n{text}",
        Vec::from_iter(regions).join(", ")
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, config).unwrap();
    let config = Config::load(Some(&file), []).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let results = results(fleet, &config.health);
    results.targets.iter().flat_map(AssessedTarget::judgements).map(|judgement| judgement.state).collect()
}

fn to_bucket(name: &str, bucket: &str) -> DataSync {
    let destination = Destination {
        bucket_name: Some(bucket.to_owned()),
        prefix: Some("inventory".to_owned()),
        region: Some("eu-west-1".to_owned()),
        format: Some("JsonSerDe".to_owned()),
        sharing: Some(SharingType::Organization),
        ..Destination::default()
    };
    DataSync { destination: Some(destination), ..sync(name, Some(NOW)) }
}

fn explorer(name: &str) -> DataSync {
    let source = Source {
        source_type: Some("AwsOrganizations".to_owned()),
        organization_source_type: Some("OrganizationalUnits".to_owned()),
        organizational_units: Some(vec!["ou-abcd-11111111".to_owned(), "ou-abcd-22222222".to_owned()]),
        regions: Some(vec!["us-east-1".to_owned(), "eu-west-1".to_owned()]),
        include_future_regions: Some(true),
        ..Source::default()
    };
    DataSync { sync_type: SyncType::FromSource, source: Some(source), ..sync(name, None) }
}

fn example() -> Fleet<'static> {
    let mut fleet: Fleet<'_> = Vec::new();
    for (id, name) in [("111122223333", "production"), ("222233334444", "staging"), ("333344445555", "data")]
    {
        for region in ["eu-west-1", "us-east-1"] {
            let mut syncs = vec![to_bucket("org-inventory", &format!("org-inventory-{id}-{region}"))];
            if (name, region) == ("production", "eu-west-1") {
                syncs.push(explorer("explorer"));
                syncs.push(to_bucket("license-manager-1f2e", "licences"));
            }
            fleet.push((id, Some(name), region, Some(syncs)));
        }
    }
    fleet.push(("444455556666", Some("sandbox"), "eu-west-1", None));
    fleet.push(("444455556666", Some("sandbox"), "us-east-1", None));
    fleet.push(("555566667777", None, "us-east-1", Some(Vec::new())));
    fleet
}

/// The text with the entries that are commented out.
fn uncommented(text: &str) -> String {
    let start = text.find("\n  # - name:").map_or(text.len(), |index| index + 1);
    let (before, after) = text.split_at(start);
    let entries = after.lines().filter_map(|line| line.strip_prefix("  #"));
    entries.fold(before.to_owned(), |text, line| format!("{text} {line}\n"))
}

fn is_met_everywhere(text: &str, fleet: &Fleet<'_>) {
    let states = states(text, fleet);
    assert!(!states.is_empty(), "{text}");
    assert!(states.iter().all(|state| *state == ExpectationState::Met), "{states:?} {text}");
}

#[test]
fn a_sync_that_is_alike_in_many_targets_is_written_once() {
    let version = build_info::VERSION;
    assert_eq!(
        written(&example()),
        format!(
            "\
# Expectations that the syncs of 7 targets meet. Written by ssm-sync-exporter
# {version} at 2025-11-22T08:26:40Z.
#
# 1. Remove what is there but does not have to be, and correct what should be
#    different.
# 2. Copy the rest into the configuration file, and check it with
#    `--config.check`.
# 3. Reload the exporter, and look at `ssm_sync_exporter_expectation_targets`.
#
# These targets could not be collected, so nothing is known of their syncs.
# Accounts of which nothing is known are excluded from each expectation. Write
# this file again when they can be collected, or remove the exclusions.
# - 444455556666 (sandbox): eu-west-1, us-east-1

expectations:
  # Met by 6 targets.
  - name: org-inventory
    accounts:
      - \"*\"
      - \"!444455556666\"  # sandbox, not collected
      - \"!555566667777\"
    request:
      SyncName: org-inventory
      SyncType: SyncToDestination
      S3Destination:
        BucketName: \"org-inventory-{{account_id}}-{{region}}\"
        Prefix: inventory
        Region: eu-west-1
        SyncFormat: JsonSerDe
        DestinationDataSharing:
          DestinationDataSharingType: Organization

  # Met by 1 target.
  - name: explorer
    accounts:
      - \"111122223333\"  # production
    regions: [eu-west-1]
    request:
      SyncName: explorer
      SyncType: SyncFromSource
      SyncSource:
        SourceType: AwsOrganizations
        AwsOrganizationsSource:
          OrganizationSourceType: OrganizationalUnits
          OrganizationalUnits:
            - OrganizationalUnitId: ou-abcd-11111111
            - OrganizationalUnitId: ou-abcd-22222222
        SourceRegions: [eu-west-1, us-east-1]
        IncludeFutureRegions: true

  # Syncs that AWS services manage. A service may change them or delete them at any
  # time, so decide for each whether to expect it. To do so, remove the `# ` in
  # front of its lines.
  #
  # # Met by 1 target. License Manager deletes some of its syncs and creates them
  # # again under other names, so any of them will do.
  # - name: license-manager
  #   accounts:
  #     - \"111122223333\"  # production
  #   regions: [eu-west-1]
  #   request:
  #     SyncName: \"license-manager-*\"
  #     SyncType: SyncToDestination
"
        )
    );
}

#[test]
fn what_is_written_is_met_when_it_is_read() {
    let text = written(&example());
    is_met_everywhere(&text, &example());
    let with_managed = uncommented(&text);
    assert_eq!(with_managed.matches("\n  - name:").count(), 3, "{with_managed}");
    is_met_everywhere(&with_managed, &example());
}

#[test]
fn the_key_is_commented_out_with_its_only_entries() {
    let syncs = vec![to_bucket("InspectorResourceDataSync-do-not-delete", "inspector")];
    let fleet = vec![("111122223333", None, "eu-west-1", Some(syncs))];
    let text = written(&fleet);
    assert_eq!(states(&text, &fleet), []);
    let (head, entries) = text.split_once("\n# expectations:\n").unwrap();
    let entries = entries.lines().filter_map(|line| line.strip_prefix("# ")).collect::<Vec<_>>().join("\n");
    is_met_everywhere(&format!("{head}\nexpectations:\n{entries}\n"), &fleet);
}

#[test]
fn nothing_is_expected_where_nothing_is_known() {
    let down = vec![("111122223333", Some("a\u{1b}b"), "eu-west-1", None)];
    let text = written(&down);
    assert!(text.contains("# - 111122223333 (a\\u{1b}b): eu-west-1\n"), "{text}");
    assert!(text.ends_with("\n# expectations:\n"), "{text}");
    assert_eq!(states(&text, &down), []);
}

#[test]
fn the_expectations_about_the_fewest_targets_are_commented_out_beyond_the_limit() {
    let names: Vec<String> = (0..MAX_EXPECTATIONS + 5).map(|number| format!("sync-{number:03}")).collect();
    let syncs = |names: &[String]| names.iter().map(|name| to_bucket(name, "org")).collect::<Vec<_>>();
    let fleet = vec![
        ("111122223333", None, "eu-west-1", Some(syncs(&names))),
        ("222233334444", None, "eu-west-1", Some(syncs(&names[5..]))),
    ];
    let text = written(&fleet);
    assert_eq!(text.matches("\n  - name: ").count(), MAX_EXPECTATIONS);
    assert!(
        text.contains("\n  # - name: sync-000\n") && !text.contains("\n  # - name: sync-005\n"),
        "{text}"
    );
    let quota = format!("quota: {{SyncToDestination: 500}}\n{text}");
    is_met_everywhere(&quota, &fleet);
}

#[test]
fn many_accounts_are_listed_on_long_lines() {
    let ids: Vec<String> = (0..40).map(|number| format!("1111222233{number:02}")).collect();
    let fleet: Fleet<'_> = ids
        .iter()
        .enumerate()
        .map(|(index, id)| {
            let syncs = if index < 20 { vec![to_bucket("inventory", "org")] } else { Vec::new() };
            (id.as_str(), None, "eu-west-1", Some(syncs))
        })
        .collect();
    let text = written(&fleet);
    assert!(text.contains("    accounts:\n      [\n        \"111122223300\", \"111122223301\","), "{text}");
    assert!(text.lines().count() < 30, "{text}");
    is_met_everywhere(&text, &fleet);
}

#[test]
fn a_sync_whose_values_differ_everywhere_has_one_expectation() {
    let ids: Vec<String> = (0..30).map(|number| format!("1111222233{number:02}")).collect();
    let syncs = |number: usize| Some(vec![to_bucket("inventory", &format!("org-{}", number * 7919 % 1000))]);
    let fleet: Fleet<'_> =
        ids.iter().enumerate().map(|(number, id)| (id.as_str(), None, "eu-west-1", syncs(number))).collect();
    let text = written(&fleet);
    assert_eq!(text.matches("- name:").count(), 1, "{text}");
    assert!(text.contains("        BucketName: \"org-*\"\n"), "{text}");
    assert!(text.contains("too many different values of\n  # S3Destination.BucketName."), "{text}");
    is_met_everywhere(&text, &fleet);
}

#[test]
fn a_sync_in_targets_without_a_pattern_is_allowed_and_not_required() {
    const AREAS: [&str; 10] = ["af", "ap", "ca", "eu", "il", "me", "mx", "sa", "us", "xx"];
    let ids: Vec<String> = (0..30).map(|number| format!("1111222233{number:02}")).collect();
    let regions: Vec<String> = AREAS.iter().map(|area| format!("{area}-west-1")).collect();
    let mut fleet: Fleet<'_> = Vec::new();
    for (row, id) in ids.iter().enumerate() {
        for (column, region) in regions.iter().enumerate() {
            let is_there = (row + 1) * (column + 7) % 13 < 5;
            let syncs = if is_there { vec![to_bucket("inventory", "org")] } else { Vec::new() };
            fleet.push((id, None, region, Some(syncs)));
        }
    }
    let text = written(&fleet);
    assert_eq!(text.matches("- name:").count(), 1, "{text}");
    assert!(text.contains("    presence: allowed\n"), "{text}");
    is_met_everywhere(&text, &fleet);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_text_survives(name in "\\PC{1,20}", bucket in "\\PC{1,30}", prefix in "[ -~]{1,60}", unprintable in "\\p{Cf}{0,2}") {
        let mut sync = to_bucket(&name, &format!("{bucket}{unprintable}"));
        sync.destination.as_mut().unwrap().prefix = Some(prefix);
        let fleet = vec![("111122223333", Some("a"), "eu-west-1", Some(vec![sync]))];
        let text = written(&fleet);
        let states = states(&if text.contains("\nexpectations:") { text } else { uncommented(&text) }, &fleet);
        prop_assert!(states.iter().all(|state| *state == ExpectationState::Met), "{:?}", states);
    }
}
