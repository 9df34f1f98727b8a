//! Tests of causes and advice, with the messages of AWS.

use super::*;
use crate::model::Reason;

const HUB: &str = "arn:aws:sts::999900000000:assumed-role/ssm-sync-exporter/i-0abc";

fn role(account: u64) -> RoleArn {
    format!("arn:aws:iam::{account:012}:role/SsmSyncExporter").parse().unwrap()
}

/// A failure with a message of AWS.
fn denied(reason: Reason, message: &str) -> Failure {
    let denial = Denial::parse(message).map(Box::new);
    Failure { denial, ..Failure::new(reason, format!("AccessDenied: {message} (request 1)")) }
}

/// A denial of `ssm:ListResourceDataSync` to the member role of an account.
fn listing(account: u64, context: &str) -> Failure {
    let reason = if context.contains("service control") { Reason::ScpDenied } else { Reason::AccessDenied };
    denied(
        reason,
        &format!(
            "User: arn:aws:sts::{account:012}:assumed-role/SsmSyncExporter/ssm-sync-exporter is not authorized to perform: \
             ssm:ListResourceDataSync on resource: arn:aws:ssm:eu-west-1:{account:012}:* {context}"
        ),
    )
}

/// A denial of assuming the member role of an account.
fn assuming(account: u64, caller: &str, context: &str) -> Failure {
    denied(
        Reason::AssumeRoleDenied,
        &format!(
            "User: {caller} is not authorized to perform: sts:AssumeRole on resource: {}{context}",
            role(account)
        ),
    )
}

/// The cause that the failures of a step share, and the advice about it.
fn advise(failures: &[Failure], step: CheckedStep<'_>) -> (AccessCause, AccessAdvice) {
    let examples: Vec<AccessExample> =
        failures.iter().map(|failure| AccessExample { failure, step, caller: None }).collect();
    let causes: std::collections::BTreeSet<AccessCause> =
        failures.iter().map(|failure| AccessCause::of(failure, step)).collect();
    assert_eq!(causes.len(), 1, "{causes:#?}");
    let cause = causes.into_iter().next().unwrap();
    let advice = cause.advice(&examples);
    (cause, advice)
}

fn advice_about_listing(context: &str) -> AccessAdvice {
    advise(&[listing(111_122_223_333, context), listing(444_455_556_666, context)], CheckedStep::ListSyncs).1
}

fn json(text: Option<&str>) -> serde_json::Value {
    serde_json::from_str(text.unwrap()).unwrap()
}
