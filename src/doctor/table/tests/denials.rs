//! Tests of the text about denied calls, with the messages of AWS.

use pretty_assertions::assert_eq;

use super::*;
use crate::model::Denial;

const CAUSES: usize = 9;

const SCP: &str =
    "arn:aws:organizations::999900000000:policy/o-exampleorgid/service_control_policy/p-0123456789abcdef";
const RCP: &str =
    "arn:aws:organizations::999900000000:policy/o-exampleorgid/resource_control_policy/p-fedcba9876543210";

/// The failed check of an account, of which each number below nine has a cause of its own.
fn denied(cause: usize, id: &str) -> (Step, Reason, String) {
    let role = format!("arn:aws:iam::{id}:role/SsmSyncExporter");
    let assuming = |context: &str| {
        format!(
            "User: arn:aws:sts::999900000000:assumed-role/ssm-sync-exporter/i-0abc is not authorized to perform: \
             sts:AssumeRole on resource: {role}{context}"
        )
    };
    let listing = |context: &str| {
        format!(
            "User: arn:aws:sts::{id}:assumed-role/SsmSyncExporter/exporter is not authorized to perform: \
             ssm:ListResourceDataSync on resource: arn:aws:ssm:eu-west-1:{id}:* {context}"
        )
    };
    let assume =
        |external_id_configured| Step::AssumeRole { role_arn: role.parse().unwrap(), external_id_configured };
    let list = Step::ListSyncs(SyncType::ToDestination);
    let lacks =
        |kind: &str| listing(&format!("because no {kind} allows the ssm:ListResourceDataSync action"));
    match cause {
        0 => (list, Reason::AccessDenied, lacks("identity-based policy")),
        1 => (assume(true), Reason::AssumeRoleDenied, assuming("")),
        2 => (assume(false), Reason::AssumeRoleDenied, assuming("")),
        3 => {
            let context = format!("with an explicit deny in a service control policy: {SCP}");
            (list, Reason::ScpDenied, listing(&context))
        }
        4 => (list, Reason::ScpDenied, listing("with an explicit deny in a service control policy")),
        5 => (list, Reason::AccessDenied, lacks("permissions boundary")),
        6 => (list, Reason::AccessDenied, lacks("session policy")),
        7 => (list, Reason::AccessDenied, lacks("VPC endpoint policy")),
        _ => {
            let context = format!(" with an explicit deny in a resource control policy: {RCP}");
            (assume(true), Reason::AssumeRoleDenied, assuming(&context))
        }
    }
}

/// A report about this many accounts, all of which fail. The first causes hit more of them.
fn report_of(accounts: usize) -> Report {
    let check = |number: usize| {
        let id = format!("{:012}", 100_000_000_000 + number);
        let cause = (0..CAUSES).find(|cause| number % (CAUSES + 1) <= *cause).unwrap_or(0);
        let (step, reason, message) = denied(cause, &id);
        let failure = Failure {
            denial: Denial::parse(&message).map(Box::new),
            ..Failure::new(reason, format!("AccessDeniedException: {message}"))
        };
        let region = matches!(step, Step::ListSyncs(_)).then(|| "eu-west-1".parse().unwrap());
        let subject = account(&id, "a-name-of-some-length");
        let check = check(&subject, step, Outcome::Failed(failure), "ssm.eu-west-1");
        vec![Check::new(&subject, credentials(), PASSED), Check { region, ..check }]
    };
    Report::new((0..accounts).flat_map(check).collect(), 0.0)
}

/// The part of the text about each cause.
fn causes_of(text: &str) -> Vec<String> {
    let (_, causes) = text.split_once("9 causes:\n").unwrap();
    (1..=CAUSES)
        .map(|number| {
            let start = causes.find(&format!("\n[{number}] ")).unwrap_or_else(|| panic!("{number}: {text}"));
            let rest = &causes[start + 1..];
            rest[..rest.find("\n[").unwrap_or(rest.len())].to_owned()
        })
        .collect()
}

#[test]
fn nine_causes_each_say_what_to_do_and_name_the_policy_within_two_screens() {
    for width in [Some(80), Some(100), Some(120), None] {
        let text = render(&report_of(1_000), width, false);
        let columns = width.map_or(usize::MAX, usize::from);
        let rows: usize =
            text.lines().map(|line| crate::terminal::width(line).div_ceil(columns).max(1)).sum();
        assert!(rows <= 100, "{width:?}: {rows} rows\n{text}");
        for cause in causes_of(&text) {
            let says = |label: &str| cause.contains(&format!("    {label}:"));
            assert!(says("command") || says("statement") || says("do"), "{cause}");
            assert!(cause.contains("deploy/runbook.md#cause-"), "{cause}");
        }
        for arn in [SCP, RCP] {
            assert_eq!(text.matches(&format!("    policy: {arn}\n")).count(), 1, "{text}");
        }
        let first = &causes_of(&text)[0];
        assert!(first.contains("    do: ") && first.contains("    command: "), "{text}");
        // In a file, every line is one row.
        assert!(width.is_some() || first.contains("    why: "), "{text}");
    }
}

#[test]
fn nothing_about_a_single_account_is_shortened() {
    let mut checks = Vec::new();
    for cause in 0..CAUSES {
        checks.extend(report_of(CAUSES + 1).checks.into_iter().skip(2 * cause).take(2));
    }
    let subject = account("100000000000", "one");
    let checks = checks.into_iter().map(|check| Check { subject: Arc::clone(&subject), ..check }).collect();
    let text = render(&Report::new(checks, 0.0), Some(40), false);
    assert!(!text.contains('…') && !text.contains("more cause"), "{text}");
    for cause in causes_of(&text) {
        assert!(cause.contains("    why: ") && cause.contains("    do: "), "{cause}");
    }
    assert!(text.contains(&format!("    policy: {SCP}\n")), "{text}");
}
