//! Tests of the text as a whole.

mod denials;
mod large;
mod managed_nodes;

use std::sync::Arc;
use std::time::Duration;

use pretty_assertions::assert_eq;

use super::super::cause::{Cause, Example};
use super::super::check::{AccountLabel, Check, Outcome, Requests, Step, Subject};
use super::*;
use crate::aws::{CredentialOrigin, CredentialProvider};
use crate::health::remedy::AccessAdvice;
use crate::model::{Failure, Reason, SyncType};

const RUNBOOK: &str = "https://example.com/runbook.md";

fn label(id: &str, name: &str) -> AccountLabel {
    AccountLabel { id: id.to_owned(), name: Some(name.to_owned()).filter(|name| !name.is_empty()) }
}

fn account(id: &str, name: &str) -> Arc<Subject> {
    Arc::new(Subject::Account(label(id, name)))
}

fn credentials() -> Step {
    Step::Credentials(CredentialOrigin {
        profile: Some("hub".to_owned()),
        provider: Some(CredentialProvider::ProfileKeys),
        source: Some("/home/ops/.aws/credentials".to_owned()),
    })
}

fn assume(account: &str) -> Step {
    let role_arn = format!("arn:aws:iam::{account}:role/SsmSyncExporter").parse().unwrap();
    Step::AssumeRole { role_arn, external_id_configured: true }
}

const PASSED: Outcome = Outcome::Passed(None);

fn failed(reason: Reason, message: &str) -> Outcome {
    Outcome::Failed(Failure::new(reason, message))
}

/// A check whose requests went to this host.
fn check(subject: &Arc<Subject>, step: Step, outcome: Outcome, host: &str) -> Check {
    let endpoint = format!("{host}.amazonaws.com:443");
    let requests =
        Requests { number: 1, endpoint, proxy: None, status: None, duration: Duration::from_millis(52) };
    let is_sent = !host.is_empty();
    Check { requests: is_sent.then_some(requests), ..Check::new(subject, step, outcome) }
}

fn lists(subject: &Arc<Subject>, region: &str, outcomes: [Outcome; 2], cause: Option<usize>) -> Vec<Check> {
    let list = |(sync_type, outcome): (&SyncType, Outcome)| {
        let host = match outcome {
            Outcome::NotTested => String::new(),
            _ => format!("ssm.{region}"),
        };
        let cause = cause.filter(|_| matches!(outcome, Outcome::Failed(_)));
        let check = check(subject, Step::ListSyncs(sync_type.clone()), outcome, &host);
        Check { region: Some(region.parse().unwrap()), cause, ..check }
    };
    SyncType::KNOWN.iter().zip(outcomes).map(list).collect()
}

fn advice(title: &str) -> AccessAdvice {
    AccessAdvice {
        title: title.to_owned(),
        explanation: "A call needs a policy that allows it.".to_owned(),
        remedy: "Add the statement to a policy of the role.".to_owned(),
        first_step: None,
        statement: Some(
            r#"{"Effect":"Allow","Action":"ssm:ListResourceDataSync","Resource":"*"}"#.to_owned(),
        ),
        command: Some(
            "aws iam put-role-policy --role-name SsmSyncExporter --policy-name list\naws iam x".to_owned(),
        ),
        deployment_parameter: Some("`ExternalId` of the StackSet".to_owned()),
        policy_arn: Some(
            "arn:aws:organizations::999900000000:policy/o-1/service_control_policy/p-1".to_owned(),
        ),
        owner: Some("the management account".to_owned()),
        runbook_url: RUNBOOK.to_owned(),
    }
}

fn cause(title: &str, accounts: usize, examples: &[(&str, &str, &str)]) -> Cause {
    let example = |(id, name, region): &(&str, &str, &str)| Example {
        account: Some(label(id, name)),
        region: Some((*region).to_owned()).filter(|region| !region.is_empty()),
        message: "AccessDeniedException: not authorized (request 4711)".to_owned(),
        denial: None,
    };
    Cause {
        kind: "identity_policy",
        advice: advice(title),
        checks: accounts * 2,
        accounts,
        regions: 1,
        examples: examples.iter().map(example).collect(),
    }
}

/// Everything that can be shown.
fn report() -> Report {
    let host = Arc::new(Subject::Host);
    let clock = "1s ahead of AWS, by the `Date` of a response from sts.eu-west-1.amazonaws.com:443";
    let organization = Arc::new(Subject::Organization(Some(label("999900000000", ""))));
    let production = account("111122223333", "production");
    let sandbox = account("222233334444", "sand\u{1b}[31mbox");
    let mut checks = vec![
        Check::new(&host, Step::Clock, Outcome::Passed(Some(clock.to_owned()))),
        check(&organization, credentials(), PASSED, ""),
        check(&organization, Step::ListAccounts, PASSED, "organizations.us-east-1"),
        check(
            &organization,
            Step::ListUnits,
            failed(Reason::Throttled, "Rate exceeded"),
            "organizations.us-east-1",
        ),
        check(&production, credentials(), PASSED, ""),
        check(&production, assume("111122223333"), PASSED, "sts.eu-west-1"),
        check(&production, Step::ListRegions, PASSED, "account.us-east-1"),
    ];
    let denied = || failed(Reason::AccessDenied, "AccessDeniedException: not authorized (request 4711)");
    checks.extend(lists(&production, "eu-west-1", [PASSED, PASSED], None));
    checks.extend(lists(&production, "us-east-1", [denied(), Outcome::NotTested], Some(0)));
    checks.push(check(&sandbox, credentials(), PASSED, ""));
    let role = check(
        &sandbox,
        assume("222233334444"),
        failed(Reason::AssumeRoleDenied, "AccessDenied"),
        "sts.eu-west-1",
    );
    checks.push(Check { cause: Some(1), ..role });
    checks.extend(lists(&sandbox, "eu-west-1", [Outcome::NotTested, Outcome::NotTested], None));
    let last_proxied = checks.iter_mut().filter_map(|check| check.requests.as_mut()).next_back().unwrap();
    last_proxied.proxy = Some("proxy.example.com:3128 (HTTPS_PROXY)".to_owned());
    if let Some(units) = checks.get_mut(3) {
        units.cause = Some(2);
    }
    let mut throttled = cause("Throttled by AWS", 1, &[("999900000000", "", "")]);
    throttled.advice = AccessAdvice {
        statement: None,
        command: None,
        deployment_parameter: None,
        policy_arn: None,
        owner: None,
        ..advice("Throttled by AWS")
    };
    let causes = vec![
        cause("No policy allows the call", 1, &[("111122223333", "production", "us-east-1")]),
        cause("The role does not trust the caller", 1, &[("222233334444", "sand\u{1b}[31mbox", "")]),
        throttled,
    ];
    Report { checks, causes, now: 0.0 }
}

#[test]
fn the_text_for_80_columns() {
    let text = render(&report(), Some(80), false);
    assert_eq!(text, render(&report(), None, false), "80 columns are the default");
    assert_eq!(
        text,
        "\
host
  ✓ clock: 1s ahead of AWS, by the `Date` of a response from
    sts.eu-west-1.amazonaws.com:443

organization, listed by 999900000000
  ✓ credentials: profile hub, access keys (/home/ops/.aws/credentials)
  ✓ list the accounts (organizations.us-east-1.amazonaws.com:443, 52ms)
  ✗ list the organizational units: throttled [3]
    (organizations.us-east-1.amazonaws.com:443, 52ms)

111122223333 (production)
  ✓ credentials: profile hub, access keys (/home/ops/.aws/credentials)
  ✓ assume arn:aws:iam::111122223333:role/SsmSyncExporter
    (sts.eu-west-1.amazonaws.com:443, 52ms)
  ✓ list the enabled regions (account.us-east-1.amazonaws.com:443, 52ms)
  ✓ list SyncToDestination in eu-west-1 (ssm.eu-west-1.amazonaws.com:443, 52ms)
  ✓ list SyncFromSource in eu-west-1 (ssm.eu-west-1.amazonaws.com:443, 52ms)
  ✗ list SyncToDestination in us-east-1: access_denied [1]
    (ssm.us-east-1.amazonaws.com:443, 52ms)
  – list SyncFromSource in us-east-1: not tested

222233334444 (sand\\u{1b}[31mbox)
  ✓ credentials: profile hub, access keys (/home/ops/.aws/credentials)
  ✗ assume arn:aws:iam::222233334444:role/SsmSyncExporter: assume_role_denied
    [2] (sts.eu-west-1.amazonaws.com:443 through proxy.example.com:3128
    (HTTPS_PROXY), 52ms)
  – list syncs in eu-west-1: not tested

3 of 15 checks failed, 3 not tested; 3 causes:

[1] No policy allows the call
    1 account, 1 region, 2 checks: 111122223333 (production) in us-east-1
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

[2] The role does not trust the caller
    1 account, 1 region, 2 checks: 222233334444 (sand\\u{1b}[31mbox)
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

[3] Throttled by AWS
    1 account, 1 region, 2 checks: 999900000000
    AccessDeniedException: not authorized (request 4711)
    why: A call needs a policy that allows it.
    do: Add the statement to a policy of the role.
    see https://example.com/runbook.md
"
    );
}

#[test]
fn the_text_for_40_columns() {
    assert_eq!(
        render(&report(), Some(40), false),
        "\
host
  ✓ clock: 1s ahead of AWS, by the
    `Date` of a response from
    sts.eu-west-1.amazonaws.com:443

organization, listed by 999900000000
  ✓ credentials: profile hub, access
    keys (/home/ops/.aws/credentials)
  ✓ list the accounts
    (organizations.us-east-1.amazonaws.com:443,
    52ms)
  ✗ list the organizational units:
    throttled [3]
    (organizations.us-east-1.amazonaws.com:443,
    52ms)

111122223333 (production)
  ✓ credentials: profile hub, access
    keys (/home/ops/.aws/credentials)
  ✓ assume
    arn:aws:iam::111122223333:role/SsmSyncExporter
    (sts.eu-west-1.amazonaws.com:443,
    52ms)
  ✓ list the enabled regions
    (account.us-east-1.amazonaws.com:443,
    52ms)
  ✓ list SyncToDestination in eu-west-1
    (ssm.eu-west-1.amazonaws.com:443,
    52ms)
  ✓ list SyncFromSource in eu-west-1
    (ssm.eu-west-1.amazonaws.com:443,
    52ms)
  ✗ list SyncToDestination in us-east-1:
    access_denied [1]
    (ssm.us-east-1.amazonaws.com:443,
    52ms)
  – list SyncFromSource in us-east-1:
    not tested

222233334444 (sand\\u{1b}[31mbox)
  ✓ credentials: profile hub, access
    keys (/home/ops/.aws/credentials)
  ✗ assume
    arn:aws:iam::222233334444:role/SsmSyncExporter:
    assume_role_denied [2]
    (sts.eu-west-1.amazonaws.com:443
    through proxy.example.com:3128
    (HTTPS_PROXY), 52ms)
  – list syncs in eu-west-1: not tested

3 of 15 checks failed, 3 not tested; 3
causes:

[1] No policy allows the call
    1 account, 1 region, 2 checks:
      111122223333 (production) in
      us-east-1
    AccessDeniedException: not
      authorized (request 4711)
    why: A call needs a policy that
      allows it.
    policy: arn:aws:organizations::999900000000:policy/o-1/service_control_policy/p-1
    owner: the management account
    do: Add the statement to a policy of
      the role.
    statement: {\"Effect\":\"Allow\",\"Action\":\"ssm:ListResourceDataSync\",\"Resource\":\"*\"}
    command:
      aws iam put-role-policy --role-name SsmSyncExporter --policy-name list
      aws iam x
    deployment: `ExternalId` of the
      StackSet
    see https://example.com/runbook.md

[2] The role does not trust the caller
    1 account, 1 region, 2 checks:
      222233334444 (sand\\u{1b}[31mbox)
    policy: arn:aws:organizations::999900000000:policy/o-1/service_control_policy/p-1
    owner: the management account
    statement: {\"Effect\":\"Allow\",\"Action\":\"ssm:ListResourceDataSync\",\"Resource\":\"*\"}
    see https://example.com/runbook.md
[3] Throttled by AWS
    1 account, 1 region, 2 checks:
      999900000000
    do: Add the statement to a policy of
      the role.
    see https://example.com/runbook.md
"
    );
}

#[test]
fn the_text_for_120_columns() {
    assert_eq!(render(&report(), Some(120), false), "\
host
  ✓ clock: 1s ahead of AWS, by the `Date` of a response from sts.eu-west-1.amazonaws.com:443

organization, listed by 999900000000
  ✓ credentials: profile hub, access keys (/home/ops/.aws/credentials)
  ✓ list the accounts (organizations.us-east-1.amazonaws.com:443, 52ms)
  ✗ list the organizational units: throttled [3] (organizations.us-east-1.amazonaws.com:443, 52ms)

111122223333 (production)
  ✓ credentials: profile hub, access keys (/home/ops/.aws/credentials)
  ✓ assume arn:aws:iam::111122223333:role/SsmSyncExporter (sts.eu-west-1.amazonaws.com:443, 52ms)
  ✓ list the enabled regions (account.us-east-1.amazonaws.com:443, 52ms)
  ✓ list SyncToDestination in eu-west-1 (ssm.eu-west-1.amazonaws.com:443, 52ms)
  ✓ list SyncFromSource in eu-west-1 (ssm.eu-west-1.amazonaws.com:443, 52ms)
  ✗ list SyncToDestination in us-east-1: access_denied [1] (ssm.us-east-1.amazonaws.com:443, 52ms)
  – list SyncFromSource in us-east-1: not tested

222233334444 (sand\\u{1b}[31mbox)
  ✓ credentials: profile hub, access keys (/home/ops/.aws/credentials)
  ✗ assume arn:aws:iam::222233334444:role/SsmSyncExporter: assume_role_denied [2] (sts.eu-west-1.amazonaws.com:443
    through proxy.example.com:3128 (HTTPS_PROXY), 52ms)
  – list syncs in eu-west-1: not tested

3 of 15 checks failed, 3 not tested; 3 causes:

[1] No policy allows the call
    1 account, 1 region, 2 checks: 111122223333 (production) in us-east-1
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

[2] The role does not trust the caller
    1 account, 1 region, 2 checks: 222233334444 (sand\\u{1b}[31mbox)
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

[3] Throttled by AWS
    1 account, 1 region, 2 checks: 999900000000
    AccessDeniedException: not authorized (request 4711)
    why: A call needs a policy that allows it.
    do: Add the statement to a policy of the role.
    see https://example.com/runbook.md
");
}

#[test]
fn a_run_without_failures_ends_with_one_line() {
    let mut report = report();
    report.causes.clear();
    report.checks.truncate(3);
    let text = render(&report, None, false);
    assert!(text.ends_with("\n\n✓ 3 checks passed\n"), "{text}");
    report.checks.push(Check::new(&Arc::new(Subject::Host), Step::Clock, Outcome::NotTested));
    let text = render(&report, None, false);
    assert!(text.ends_with("\n\n✓ 3 checks passed, 1 not tested\n"), "{text}");
}

#[test]
fn only_colours_need_escape_codes() {
    for (has_color, width) in [(true, 80), (false, 80), (false, 40)] {
        let text = render(&report(), Some(width), has_color);
        assert_eq!(text.contains("\u{1b}[3"), has_color, "{text:?}");
        assert!(text.contains("sand\\u{1b}[31mbox"), "{text:?}");
    }
    let plain = anstream::adapter::strip_str(&render(&report(), Some(80), true)).to_string();
    assert_eq!(plain, render(&report(), Some(80), false));
}
