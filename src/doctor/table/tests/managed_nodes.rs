//! Tests of the text about managed-node lookups.

use pretty_assertions::assert_eq;

use super::*;

fn lookup(subject: &Arc<Subject>, region: &str, outcome: Outcome, cause: Option<usize>) -> Check {
    let host = if matches!(outcome, Outcome::NotTested) { String::new() } else { format!("ssm.{region}") };
    let check = check(subject, Step::ListManagedNodes, outcome, &host);
    Check { region: Some(region.parse().unwrap()), cause, ..check }
}

fn found(text: &str) -> Outcome {
    Outcome::Passed(Some(text.to_owned()))
}

/// An account in four regions, and one whose role cannot be assumed.
fn checks(id: &str, name: &str) -> Vec<Check> {
    let subject = account(id, name);
    let denied = || failed(Reason::AccessDenied, "not authorized");
    let passed = || [PASSED, PASSED];
    let mut checks = Vec::new();
    for (region, lists_of, nodes) in [
        ("eu-west-1", passed(), found("managed nodes are present")),
        ("eu-west-2", passed(), found("no managed nodes here")),
        ("us-east-1", passed(), denied()),
        ("us-east-2", [denied(), Outcome::NotTested], Outcome::NotTested),
    ] {
        checks.extend(lists(&subject, region, lists_of, Some(0)));
        let cause = matches!(nodes, Outcome::Failed(_)).then_some(1);
        checks.push(lookup(&subject, region, nodes, cause));
    }
    let unreachable = account(&id.replace('1', "2"), "sandbox");
    for region in ["eu-west-1", "us-east-1"] {
        checks.extend(lists(&unreachable, region, [Outcome::NotTested, Outcome::NotTested], None));
        checks.push(lookup(&unreachable, region, Outcome::NotTested, None));
    }
    checks
}

fn text(checks: Vec<Check>) -> String {
    let report = Report { checks, causes: Vec::new(), now: 0.0 };
    let text = render(&report, None, false);
    text.split("checks failed").next().unwrap().to_owned()
}

#[test]
fn each_lookup_says_what_it_found() {
    assert_eq!(
        text(checks("111111111111", "production")),
        "\
111111111111 (production)
  ✓ list SyncToDestination in eu-west-1 (ssm.eu-west-1.amazonaws.com:443, 52ms)
  ✓ list SyncFromSource in eu-west-1 (ssm.eu-west-1.amazonaws.com:443, 52ms)
  ✓ look up managed nodes in eu-west-1: managed nodes are present
    (ssm.eu-west-1.amazonaws.com:443, 52ms)
  ✓ list SyncToDestination in eu-west-2 (ssm.eu-west-2.amazonaws.com:443, 52ms)
  ✓ list SyncFromSource in eu-west-2 (ssm.eu-west-2.amazonaws.com:443, 52ms)
  ✓ look up managed nodes in eu-west-2: no managed nodes here
    (ssm.eu-west-2.amazonaws.com:443, 52ms)
  ✓ list SyncToDestination in us-east-1 (ssm.us-east-1.amazonaws.com:443, 52ms)
  ✓ list SyncFromSource in us-east-1 (ssm.us-east-1.amazonaws.com:443, 52ms)
  ✗ look up managed nodes in us-east-1: access_denied [2]
    (ssm.us-east-1.amazonaws.com:443, 52ms)
  ✗ list SyncToDestination in us-east-2: access_denied [1]
    (ssm.us-east-2.amazonaws.com:443, 52ms)
  – list syncs and look up managed nodes in us-east-2: not tested

222222222222 (sandbox)
  – list syncs and look up managed nodes in 2 regions: not tested

2 of 18 "
    );
}

#[test]
fn many_lookups_are_counted() {
    let checks = ["111111111111", "111111111113", "111111111115"].map(|id| checks(id, "production")).concat();
    assert_eq!(
        text(checks),
        "\
6 accounts
  ✗ list SyncToDestination: 9 passed, 3 failed, 6 not tested [1] (4 endpoints)
  ✓ list SyncFromSource: 9 passed, 9 not tested (3 endpoints)
  ✗ look up managed nodes: 6 passed, 3 failed, 9 not tested [2] (3 endpoints)

6 of 54 "
    );
}
