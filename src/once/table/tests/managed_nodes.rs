//! Tests of what the table says about managed nodes.

use pretty_assertions::assert_eq;

use super::*;
use crate::snapshot::NodeReport;

/// One account with a sync in each region, and the result of the managed-node lookup there.
fn results(regions: Vec<(&str, Option<Result<bool, Failure>>)>) -> Results {
    let account = Arc::new(Account {
        id: Some("111122223333".parse().unwrap()),
        managed_nodes_interval: Some(Duration::from_hours(6)),
        ..Account::default()
    });
    let target = |region: &str| Target { account: Arc::clone(&account), region: region.parse().unwrap() };
    let targets = regions.iter().map(|(region, _)| target(region)).collect();
    let store = Store::new(Duration::from_mins(30));
    let slots = store.set_targets(&TargetList { targets, ..TargetList::default() });
    for (slot, (_, nodes)) in slots.iter().zip(regions) {
        let outcome = Ok(vec![sync("inventory", HOUR, HOUR)]);
        let took = Duration::from_secs(1);
        store.record(slot, Report { account: None, ended: NOW, took, outcome, invalid_items: None });
        if let Some(outcome) = nodes {
            store.record_managed_nodes(slot, NodeReport { account: None, ended: NOW, outcome });
        }
    }
    let policy = HealthPolicy::default();
    let targets = slots.iter().map(|slot| AssessedTarget::of_slot(&store, slot, &policy, NOW)).collect();
    Results { targets, policy: Arc::new(policy), targets_complete: true, now: NOW }
}

#[test]
fn regions_without_managed_nodes_are_noted_and_failed_lookups_need_attention() {
    let denied = |region: &str| {
        let message = format!("AccessDeniedException: not authorized in {region}");
        Some(Err(Failure::new(Reason::AccessDenied, message)))
    };
    let results = results(vec![
        ("eu-west-1", Some(Ok(true))),
        ("eu-west-2", Some(Ok(false))),
        ("eu-west-3", denied("eu-west-3")),
        ("us-east-1", denied("us-east-1")),
        ("us-east-2", None),
    ]);
    let text = render(&results, Some(60), false);
    let (_, without_header) = text.split_once("SUCCESS\n").unwrap();
    assert_eq!(
        without_header,
        "\
111122223333
  eu-west-1
    ✓ healthy  inventory       1h       1h
  eu-west-2 (no managed nodes here)
    ✓ healthy  inventory       1h       1h
  eu-west-3 (managed nodes are unknown: access_denied)
    ✓ healthy  inventory       1h       1h
  us-east-1 (managed nodes are unknown: access_denied)
    ✓ healthy  inventory       1h       1h
  us-east-2
    ✓ healthy  inventory       1h       1h

Needs attention
  2 targets: managed nodes are unknown: access_denied:
    AccessDeniedException: not authorized in eu-west-3
    in 111122223333/eu-west-3, 111122223333/us-east-1

looked in 1 account x 5 regions: eu-west-1, eu-west-2,
    eu-west-3, us-east-1, us-east-2
5 targets: 5 up
5 syncs: 5 healthy
managed nodes: present in 1 target, none in 1, unknown in 2,
    not looked up in 1
"
    );
}

#[test]
fn no_line_is_wider_than_a_narrow_terminal_whatever_the_message() {
    let message = "\u{1b}[31mverylongword".repeat(40);
    let results = results(vec![
        ("ap-southeast-7", Some(Err(Failure::new(Reason::InvalidResponse, message)))),
        ("ap-northeast-3", Some(Ok(false))),
    ]);
    for width in [40, 60, 80] {
        let text = render(&results, Some(width), false);
        assert!(text.contains("(no managed nodes") && !text.contains('\u{1b}'), "{text}");
        for line in text.lines() {
            assert!(crate::terminal::width(line) <= usize::from(width), "{width}: {line}");
        }
    }
}
