//! Tests of the text about many accounts.

use pretty_assertions::assert_eq;

use super::*;

/// A report about this many accounts, of which every tenth fails for one of the causes.
fn large_report(accounts: usize, causes: usize) -> Report {
    let mut checks = Vec::new();
    for number in 0..accounts {
        let id = format!("{number:012}");
        let subject = account(&id, &format!("account-{number}"));
        checks.push(check(&subject, credentials(), PASSED, ""));
        checks.push(check(&subject, assume(&id), PASSED, "sts.eu-west-1"));
        for region in ["eu-west-1", "us-east-1"] {
            let (outcome, cause) = if number % 10 == 0 {
                (failed(Reason::AccessDenied, "not authorized"), Some(number / 10 % causes))
            } else {
                (PASSED, None)
            };
            let second = if cause.is_some() { Outcome::NotTested } else { PASSED };
            checks.extend(lists(&subject, region, [outcome, second], cause));
        }
    }
    let examples = [
        ("000000000000", "account-0", "eu-west-1"),
        ("000000000010", "account-10", "eu-west-1"),
        ("000000000020", "account-20", "eu-west-1"),
    ];
    let causes = (0..causes).map(|_| cause("No policy allows the call", accounts / 10, &examples)).collect();
    Report { checks, causes, now: 0.0 }
}

#[test]
fn many_checks_are_counted_by_kind() {
    assert_eq!(
        render(&large_report(1_000, 2), None, false),
        "\
1,000 accounts
  ✓ credentials: profile hub, access keys (/home/ops/.aws/credentials):
    1,000 passed
  ✓ assume role/SsmSyncExporter: 1,000 passed (sts.eu-west-1.amazonaws.com:443)
  ✗ list SyncToDestination: 1,800 passed, 200 failed [1] [2] (2 endpoints)
  ✓ list SyncFromSource: 1,800 passed, 200 not tested (2 endpoints)

200 of 6,000 checks failed, 200 not tested; 2 causes:

[1] No policy allows the call
    100 accounts, 1 region, 200 checks: 000000000000 (account-0) in eu-west-1,
      000000000010 (account-10) in eu-west-1, 000000000020 (account-20) in
      eu-west-1 and 97 more
    AccessDeniedException: not authorized (request 4711)
    why: A call needs a policy that allows it.
    policy: arn:aws:organizations::999900000000:policy/o-1/service_control_policy/p-1
    owner: the management account
    do: Add the statement to a policy of the role.
    statement: {\"Effect\":\"Allow\",\"Action\":\"ssm:ListResourceDataSync\",\"Resource\":\"*\"}
    command:
      aws iam put-role-policy --role-name SsmSyncExporter --policy-name list
      aws iam x
    deployment: `ExternalId` of the StackSet
    see https://example.com/runbook.md

[2] No policy allows the call
    100 accounts, 1 region, 200 checks: 000000000000 (account-0) in eu-west-1,
      000000000010 (account-10) in eu-west-1, 000000000020 (account-20) in
      eu-west-1 and 97 more
    AccessDeniedException: not authorized (request 4711)
    why: A call needs a policy that allows it.
    policy: arn:aws:organizations::999900000000:policy/o-1/service_control_policy/p-1
    owner: the management account
    do: Add the statement to a policy of the role.
    statement: {\"Effect\":\"Allow\",\"Action\":\"ssm:ListResourceDataSync\",\"Resource\":\"*\"}
    command:
      aws iam put-role-policy --role-name SsmSyncExporter --policy-name list
      aws iam x
    deployment: `ExternalId` of the StackSet
    see https://example.com/runbook.md
"
    );
}

#[test]
fn a_thousand_accounts_with_eight_causes_take_two_screens_at_most() {
    for causes in [1, 3, 8, 20, 200] {
        for width in [40, 80, 120, 250] {
            let text = render(&large_report(1_000, causes), Some(width), false);
            let rows: usize = text
                .lines()
                .map(|line| crate::terminal::width(line).div_ceil(usize::from(width)).max(1))
                .sum();
            assert!(rows <= 100, "{causes} causes, {width} columns: {rows} rows\n{text}");
            if causes <= 8 && width >= 80 {
                assert_eq!(text.matches("statement: {").count(), causes, "{width}: {text}");
                assert!(text.contains("do: Add the statement"), "{width}: {text}");
            }
            assert!(text.contains("[1] No policy allows the call"), "{text}");
            if !text.contains(&format!("[{causes}] No policy")) {
                assert!(text.contains("--format json"), "{text}");
            }
        }
    }
}
