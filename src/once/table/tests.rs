//! Tests of the text as a whole.

mod expectations;
mod managed_nodes;

use std::sync::Arc;
use std::time::Duration;

use pretty_assertions::assert_eq;

use self::expectations::{expectation, expectations};
use super::*;
use crate::expectations::{Expectation, Presence};
use crate::fleet::{Account, Target, TargetList};
use crate::health::{AssessedTarget, HealthPolicy};
use crate::model::{
    DataSync, Denial, Destination, Failure, Reason, Source, SourceState, SyncStatus, SyncType, UnixSeconds,
};
use crate::snapshot::{Report, Store};

const NOW: UnixSeconds = 1_763_800_000.0;
const MINUTE: UnixSeconds = 60.0;
const HOUR: UnixSeconds = 3600.0;
const DAY: UnixSeconds = 86400.0;

/// The outcome of a collection; `None` if there was none.
type Outcome = Option<Result<Vec<DataSync>, Failure>>;

/// Targets by account id, account name and region.
#[derive(Default)]
struct Fleet(Vec<(String, Option<String>, &'static str, Outcome)>);

impl Fleet {
    fn add(&mut self, id: &str, name: &str, region: &'static str, outcome: Outcome) {
        let name = Some(name.to_owned()).filter(|name| !name.is_empty());
        self.0.push((id.to_owned(), name, region, outcome));
    }

    fn results(self) -> Results {
        self.judged_by(Vec::new())
    }

    fn judged_by(self, expectations: Vec<Expectation>) -> Results {
        let (mut targets, mut outcomes) = (Vec::new(), Vec::new());
        for (id, name, region, outcome) in self.0 {
            let account = Account { id: Some(id.parse().unwrap()), name, ..Account::default() };
            targets.push(Target { account: Arc::new(account), region: region.parse().unwrap() });
            outcomes.push(outcome);
        }
        let store = Store::new(Duration::from_mins(30));
        let slots = store.set_targets(&TargetList { targets, ..TargetList::default() });
        for (slot, outcome) in slots.iter().zip(outcomes) {
            if let Some(outcome) = outcome {
                let took = Duration::from_secs(1);
                store.record(slot, Report { account: None, ended: NOW, took, outcome, invalid_items: None });
            }
        }
        let policy = HealthPolicy { expectations, ..HealthPolicy::default() };
        let assess = |slot| AssessedTarget::of_slot(&store, slot, &policy, NOW);
        let targets = slots.iter().map(|slot| assess(slot)).collect();
        Results { targets, policy: Arc::new(policy), targets_complete: true, now: NOW }
    }

    fn render(self, width: Option<u16>) -> String {
        render(&self.results(), width, false)
    }
}

/// A sync that was attempted and succeeded this long ago.
fn sync(name: &str, attempt: UnixSeconds, success: UnixSeconds) -> DataSync {
    DataSync {
        last_sync: Some(NOW - attempt),
        last_successful_sync: Some(NOW - success),
        ..crate::health::tests::sync(name, None)
    }
}

fn failed(name: &str, bucket: &str, message: &str) -> DataSync {
    let destination = Destination { bucket_name: Some(bucket.to_owned()), ..Destination::default() };
    DataSync {
        last_status: Some(SyncStatus::Failed),
        last_status_message: Some(message.to_owned()),
        destination: Some(destination),
        ..sync(name, 2.0 * MINUTE, 26.0 * HOUR)
    }
}

fn from_source(name: &str, source: Source) -> DataSync {
    let (last_sync, last_successful_sync) = (None, None);
    let (sync_type, source) = (SyncType::FromSource, Some(source));
    DataSync { sync_type, last_sync, last_successful_sync, source, ..sync(name, 0.0, 0.0) }
}

#[expect(clippy::unnecessary_wraps, reason = "the type of an outcome")]
fn down(reason: Reason, message: &str) -> Outcome {
    Some(Err(Failure::new(reason, message)))
}

/// Everything that can be shown.
fn fleet() -> Fleet {
    let mut fleet = Fleet::default();
    let healthy = |name: &str| sync(name, 5.0 * MINUTE, 5.0 * MINUTE);
    fleet.add("111122223333", "production", "us-east-1", Some(Ok(vec![healthy("org-inventory")])));
    let explorer = Source {
        source_type: Some("AwsOrganizations".to_owned()),
        enable_all_ops_data_sources: Some(true),
        ..Source::default()
    };
    let syncs = vec![
        healthy("org-inventory"),
        from_source("AWS-QuickSetup-SSM-explorer", explorer),
        DataSync { last_status: Some("Paused".into()), ..healthy("paused") },
    ];
    fleet.add("111122223333", "production", "eu-west-1", Some(Ok(syncs)));
    fleet.add("111122223333", "production", "eu-west-2", Some(Ok(vec![])));
    fleet.add("111122223333", "production", "eu-west-3", Some(Ok(vec![])));

    let running = |name: &str, since: UnixSeconds| DataSync {
        last_status: Some(SyncStatus::InProgress),
        ..sync(name, since, since + HOUR)
    };
    let state = Some(SourceState::InvalidOrganizationalUnit);
    let syncs = vec![
        healthy("InspectorResourceDataSync-do-not-delete"),
        running("running", 10.0 * MINUTE),
        running("stuck", 3.0 * HOUR),
        sync("weekly", 9.0 * DAY, 9.0 * DAY),
        from_source("closed-units", Source { state, ..Source::default() }),
        failed("patches", "staging-patch-compliance", "The bucket policy does not allow s3:PutObject"),
    ];
    fleet.add("222233334444", "", "eu-west-1", Some(Ok(syncs)));
    let message = "AccessDeniedException: not authorized (request 4711)";
    fleet.add("222233334444", "", "us-east-1", down(Reason::AccessDenied, message));
    fleet.add("333344445555", "sandbox", "eu-west-1", down(Reason::AccessDenied, message));
    fleet.add("333344445555", "sandbox", "us-east-1", None);
    fleet.add("444455556666", "empty", "eu-west-1", Some(Ok(vec![])));
    fleet
}

#[test]
fn the_text_for_80_columns() {
    assert_eq!(fleet().render(Some(80)), fleet().render(None), "80 columns are the default");
    assert_eq!(
        fleet().render(None),
        "\
▼ down  2 targets in 2 accounts: access_denied: AccessDeniedException: not
    authorized (request 4711)
    targets:  222233334444/us-east-1, 333344445555/eu-west-1
    regions:  eu-west-1, us-east-1

? not collected  1 target in 1 account: no result in time
    accounts: 333344445555 (sandbox)
    regions:  us-east-1

                                                                   LAST     LAST
    STATUS           SYNC                                       ATTEMPT  SUCCESS
222233334444
  ▼ down           us-east-1
  eu-west-1
    ✗ failed         patches                                         2m    1d 2h
      bucket_policy: The bucket policy does not allow s3:PutObject (bucket
      staging-patch-compliance)
    ▲ source fault   closed-units (from source)                       -        -
      InvalidOrganizationalUnit
    ○ stale          weekly                                          9d       9d
      no success within 2d
    ■ stuck          stuck                                           3h       4h
      in progress for longer than 2h
    ► in progress    running                                        10m   1h 10m
    ✓ healthy        InspectorResourceDataSync-do-not-delete         5m       5m

111122223333 (production)
  eu-west-1
    ✓ healthy        AWS-QuickSetup-SSM-explorer (from source)        -        -
    ✓ healthy        org-inventory                                   5m       5m
    ✓ healthy        paused                                          5m       5m
      status reported by AWS: Paused
  us-east-1
    ✓ healthy        org-inventory                                   5m       5m
  - no syncs       eu-west-2, eu-west-3

- no syncs  1 target in 1 account
    accounts: 444455556666 (empty)
    regions:  eu-west-1

Needs attention
  1 target: quota of SyncToDestination used up, no further sync can be created
    in 222233334444/eu-west-1
  1 sync: all OpsData sources enabled for an organization, AWS charges for
    OpsData
    in 111122223333/eu-west-1/AWS-QuickSetup-SSM-explorer

looked in 4 accounts and 4 regions: eu-west-1, eu-west-2, eu-west-3, us-east-1
9 targets: 6 up, 2 down, 1 not collected
10 syncs: 1 failed, 1 source fault, 1 stale, 1 stuck, 1 in progress, 5 healthy
"
    );
}

#[test]
fn the_text_for_120_columns() {
    // Only wrapped lines are different: wider columns would be harder to read.
    let mut expected = fleet().render(Some(80));
    for (wrapped, whole) in [
        ("not\n    authorized (request", "not authorized (request"),
        ("(bucket\n      staging", "(bucket staging"),
        ("charges for\n    OpsData", "charges for OpsData"),
    ] {
        assert!(expected.contains(wrapped), "{wrapped}");
        expected = expected.replace(wrapped, whole);
    }
    assert_eq!(fleet().render(Some(120)), expected);
}

#[test]
fn the_text_for_40_columns() {
    let text = fleet().render(Some(20));
    assert_eq!(text, fleet().render(Some(40)), "40 columns are the minimum");
    let lines: Vec<&str> = text.lines().take(26).collect();
    assert_eq!(
        lines.join("\n"),
        "\
▼ down  2 targets in 2 accounts:
    access_denied:
    AccessDeniedException: not
    authorized (request 4711)
    targets:  222233334444/us-east-1
              and 1 more
    regions:  eu-west-1, us-east-1

? not collected  1 target in 1 account:
    no result in time
    accounts: 333344445555 (sandbox)
    regions:  us-east-1

222233334444
  ▼ down           us-east-1
  eu-west-1
    ✗ failed         patches
      last attempt: 2m ago,
      last success: 1d 2h ago
      bucket_policy: The bucket policy
      does not allow s3:PutObject
      (bucket staging-patch-compliance)
    ▲ source fault   closed-units
      from source,
      last attempt: not reported,
      last success: not reported"
    );
}

#[test]
fn colours_change_nothing_but_the_colours() {
    let results = fleet().results();
    let (plain, colored) = (render(&results, None, false), render(&results, None, true));
    assert_eq!(anstream::adapter::strip_str(&colored).to_string(), plain);
    assert!(!plain.contains('\u{1b}'));
    assert!(colored.contains("\u{1b}[32m✓ healthy\u{1b}[0m  "), "{colored}");
    assert!(colored.contains("\u{1b}[1m\u{1b}[31m✗ failed\u{1b}[0m  "), "{colored}");
}

#[test]
fn two_hundred_targets_that_are_down_for_three_causes_take_three_entries() {
    let mut fleet = Fleet::default();
    for index in 0..100 {
        let id = format!("{}", 100_000_000_000_u64 + index);
        let name = format!("workload-{index}");
        let role = format!("arn:aws:iam::{id}:role/SsmSyncExporter");
        let outcome = |region: &str| match index {
            0..50 => down(
                Reason::AssumeRoleDenied,
                &format!("cannot assume the role {role}: AccessDenied: not authorized (request {index})"),
            ),
            50..90 => down(
                Reason::Connection,
                &format!("dispatch failure: dns error: ssm.{region}.amazonaws.com: not found"),
            ),
            // Another message is another cause.
            _ => down(Reason::Connection, "dispatch failure: connection refused"),
        };
        fleet.add(&id, &name, "eu-west-1", outcome("eu-west-1"));
        fleet.add(&id, &name, "us-east-1", outcome("us-east-1"));
    }
    assert_eq!(
        fleet.render(None),
        "\
▼ down  100 targets in 50 accounts: assume_role_denied: cannot assume the role
    arn:aws:iam::100000000000:role/SsmSyncExporter: AccessDenied: not authorized
    (request 0)
    accounts: 100000000000 (workload-0), 100000000001 (workload-1) and 48 more
    regions:  eu-west-1, us-east-1

▼ down  80 targets in 40 accounts: connection: dispatch failure: dns error:
    ssm.eu-west-1.amazonaws.com: not found
    accounts: 100000000050 (workload-50), 100000000051 (workload-51) and 38 more
    regions:  eu-west-1, us-east-1

▼ down  20 targets in 10 accounts: connection: dispatch failure: connection
    refused
    accounts: 100000000090 (workload-90), 100000000091 (workload-91) and 8 more
    regions:  eu-west-1, us-east-1

looked in 100 accounts x 2 regions: eu-west-1, us-east-1
200 targets: 200 down
no target was collected, so no syncs are known
"
    );
}

#[test]
fn a_denial_names_its_cause_and_denials_by_different_policies_are_different_entries() {
    let mut fleet = Fleet::default();
    for (id, policy) in
        [("111122223333", "session"), ("222233334444", "session"), ("333344445555", "identity-based")]
    {
        let message =
            format!("AccessDenied: not authorized to perform: ssm:X because no {policy} policy allows it");
        let denial = Denial::parse(&message).map(Box::new);
        let failure = Failure { denial, ..Failure::new(Reason::AccessDenied, message) };
        fleet.add(id, "", "eu-west-1", Some(Err(failure)));
    }
    let text = fleet.render(Some(200));
    for line in [
        "▼ down  2 targets in 2 accounts: access_denied (session_policy): AccessDenied: not authorized to perform: ssm:X because",
        "▼ down  1 target in 1 account: access_denied (identity_policy): AccessDenied: not authorized to perform: ssm:X because",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn without_syncs_the_text_says_where_it_looked_and_what_to_try() {
    let mut fleet = Fleet::default();
    for (id, name) in [("111122223333", "production"), ("222233334444", "")] {
        fleet.add(id, name, "eu-west-1", Some(Ok(vec![])));
        fleet.add(id, name, "us-east-1", Some(Ok(vec![])));
    }
    let text = render(&fleet.results(), None, true);
    // Also with colours nothing is green.
    assert_eq!(
        text,
        "\
No resource data syncs were found.
looked in 2 accounts x 2 regions: eu-west-1, us-east-1
4 targets: 4 up
0 syncs

If you expect syncs, look elsewhere:
- in other regions: add them to `regions`, or set it to [\"*\"] for all that are
  enabled
- in other accounts: syncs of an organization are visible only in the account
  that created them, which is the management account or a delegated
  administrator
"
    );
}

#[test]
fn without_a_result_nothing_is_said_about_syncs() {
    let mut fleet = Fleet::default();
    fleet.add("111122223333", "", "eu-west-1", None);
    fleet.add("111122223333", "", "us-east-1", down(Reason::Timeout, "no answer within 60s"));
    assert_eq!(
        fleet.render(None),
        "\
▼ down  1 target in 1 account: timeout: no answer within 60s
    accounts: 111122223333
    regions:  us-east-1

? not collected  1 target in 1 account: no result in time
    accounts: 111122223333
    regions:  eu-west-1

looked in 1 account x 2 regions: eu-west-1, us-east-1
2 targets: 1 down, 1 not collected
no target was collected, so no syncs are known
"
    );
    let incomplete =
        Results { targets: Vec::new(), policy: Arc::default(), targets_complete: false, now: NOW };
    assert_eq!(
        render(&incomplete, None, false),
        "\
0 targets
no target was collected, so no syncs are known
targets may be missing, because discovery is incomplete
"
    );
}

/// Texts that are hard to lay out, in every field.
fn hostile_fleet() -> Fleet {
    let mut fleet = Fleet::default();
    let texts = [
        "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\r\n\u{202e}x".to_owned(),
        "日本語の名前".repeat(20),
        "👩‍👩‍👧‍👦🏳️‍🌈e\u{301}".repeat(20),
        "x".repeat(1000),
        "many short words ".repeat(200),
        String::new(),
    ];
    for (index, text) in texts.iter().enumerate() {
        let id = format!("{}", 100_000_000_000 + index);
        let text = text.as_str();
        let syncs = vec![
            failed(text, text, text),
            DataSync {
                sync_type: text.to_owned().as_str().into(),
                last_status: Some(text.into()),
                last_sync: Some(NOW + 1e12),
                ..sync(text, 0.0, f64::NAN)
            },
            from_source(text, Source { state: Some(text.into()), ..Source::default() }),
        ];
        fleet.add(&id, text, "eu-west-1", Some(Ok(syncs)));
        fleet.add(&id, text, "us-east-1", down(Reason::Other, text));
        fleet.add(&id, text, "us-east-2", None);
        fleet.add(&format!("{}", 200_000_000_000 + index), text, "eu-west-1", Some(Ok(vec![])));
    }
    fleet
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for fleet in [fleet, hostile_fleet] {
        let mut expectations = expectations();
        expectations.push(expectation(&"x".repeat(64), Presence::Forbidden, None, None));
        let results = fleet().judged_by(expectations);
        for columns in 40..200 {
            let text = render(&results, u16::try_from(columns).ok(), false);
            for line in text.lines() {
                assert!(crate::terminal::width(line) <= columns, "{columns}: {line}");
                assert_eq!(line.trim_end(), line, "no spaces at the end of a line");
            }
        }
    }
}

#[test]
fn texts_from_aws_and_the_configuration_cannot_control_the_terminal() {
    let text = render(&hostile_fleet().judged_by(expectations()), Some(200), false);
    let shown = "\\u{1b}[2J\\u{1b}]0;owned\\u{7}\\u{9b}31m\\r\\n\\u{202e}x";
    assert!(text.matches(shown).count() >= 10, "{text}");
    let is_harmful = |c: &char| {
        *c != '\n' && (c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'))
    };
    assert_eq!(text.chars().find(is_harmful), None);
}

#[test]
fn a_name_is_shown_whole_wherever_a_line_can_hold_it() {
    let name = "a-name-of-sixty-characters-which-is-nearly-the-maximum-aaaaa";
    assert_eq!(name.len(), 60);
    for columns in [80, 120] {
        let mut fleet = Fleet::default();
        let long = sync(name, MINUTE, MINUTE);
        fleet.add("111122223333", "", "eu-west-1", Some(Ok(vec![long, sync("short", MINUTE, MINUTE)])));
        let text = fleet.render(Some(columns));
        assert!(text.contains(name), "{text}");
        let is_beside_times = |line: &str| line.contains("short") && line.ends_with("1m");
        assert!(text.lines().any(is_beside_times), "{text}");
    }
}
