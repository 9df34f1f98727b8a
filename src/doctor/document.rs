//! The results as a JSON document.
//!
//! The keys are a public interface: new keys may be added, but no key may be renamed. What is not
//! known is left out. `config/README.md` describes every key.

use serde::Serialize;

use super::cause::{Cause, Example};
use super::check::{Check, Step, Subject};
use super::report::{Counts, Report};
use crate::build_info;
use crate::fleet::RegionName;
use crate::model::{Denial, Reason};
use crate::status::document::rfc3339;

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    generated_at: Option<String>,
    version: &'static str,
    summary: Summary,
    checks: Vec<CheckItem<'a>>,
    causes: Vec<CauseItem<'a>>,
}

#[derive(Serialize)]
struct Summary {
    accounts: usize,
    checks: Counts,
    causes: usize,
}

#[derive(Serialize)]
struct CheckItem<'a> {
    /// What the check is about: `host`, `configuration`, `organization` or `account`.
    subject: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aws_account_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aws_region: Option<&'a str>,
    step: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<Credentials<'a>>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    denial: Option<DenialItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<f64>,
}

#[derive(Serialize)]
struct Credentials<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
}

#[derive(Serialize)]
struct CauseItem<'a> {
    kind: &'static str,
    title: &'a str,
    explanation: &'a str,
    remedy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment_parameter: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    runbook_url: &'a str,
    checks: usize,
    accounts: usize,
    regions: usize,
    examples: Vec<ExampleItem<'a>>,
}

#[derive(Serialize)]
struct ExampleItem<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    aws_account_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aws_region: Option<&'a str>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    denial: Option<DenialItem<'a>>,
}

/// What AWS says about a denied call.
#[derive(Serialize)]
struct DenialItem<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    kind: &'static str,
    explicit: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_arn: Option<&'a str>,
}

/// Renders the whole document.
///
/// # Errors
/// None in practice: all keys are texts.
pub(super) fn render(report: &Report) -> serde_json::Result<Vec<u8>> {
    let document = Document {
        generated_at: rfc3339(report.now),
        version: build_info::VERSION,
        summary: Summary {
            accounts: report.accounts(),
            checks: report.counts(),
            causes: report.causes.len(),
        },
        checks: report.checks.iter().map(CheckItem::of).collect(),
        causes: report.causes.iter().map(CauseItem::of).collect(),
    };
    let mut text = serde_json::to_vec_pretty(&document)?;
    text.push(b'\n');
    Ok(text)
}

impl<'a> CheckItem<'a> {
    fn of(check: &'a Check) -> Self {
        let account = check.subject.account();
        let requests = check.requests.as_ref();
        Self {
            subject: match *check.subject {
                Subject::Host => "host",
                Subject::Configuration => "configuration",
                Subject::Organization(_) => "organization",
                Subject::Account(_) => "account",
            },
            aws_account_id: account.map(|account| account.id.as_str()),
            account_name: account.and_then(|account| account.name.as_deref()),
            aws_region: check.region.as_ref().map(RegionName::as_str),
            step: check.step.name(),
            role_arn: match &check.step {
                Step::AssumeRole { role_arn, .. } => Some(role_arn.as_str()),
                _ => None,
            },
            sync_type: match &check.step {
                Step::ListSyncs(sync_type) => Some(sync_type.as_str()),
                _ => None,
            },
            credentials: match &check.step {
                Step::Credentials(origin) => Some(Credentials {
                    profile: origin.profile.as_deref(),
                    provider: origin.provider.map(Into::into),
                    source: origin.source.as_deref(),
                }),
                _ => None,
            },
            status: check.outcome.name(),
            reason: check.failure().map(|failure| Reason::as_str(failure.reason)),
            message: check.message(),
            denial: check.failure().and_then(|failure| failure.denial.as_deref()).map(DenialItem::of),
            cause: check.cause,
            endpoint: requests.map(|requests| requests.endpoint.as_str()),
            proxy: requests.and_then(|requests| requests.proxy.as_deref()),
            http_status: requests.and_then(|requests| requests.status),
            requests: requests.map(|requests| requests.number),
            duration_seconds: requests.map(|requests| requests.duration.as_secs_f64()),
        }
    }
}

impl<'a> CauseItem<'a> {
    fn of(cause: &'a Cause) -> Self {
        let advice = &cause.advice;
        Self {
            kind: cause.kind,
            title: &advice.title,
            explanation: &advice.explanation,
            remedy: &advice.remedy,
            statement: advice.statement.as_deref(),
            command: advice.command.as_deref(),
            deployment_parameter: advice.deployment_parameter.as_deref(),
            policy_arn: advice.policy_arn.as_deref(),
            owner: advice.owner.as_deref(),
            runbook_url: &advice.runbook_url,
            checks: cause.checks,
            accounts: cause.accounts,
            regions: cause.regions,
            examples: cause.examples.iter().map(ExampleItem::of).collect(),
        }
    }
}

impl<'a> ExampleItem<'a> {
    fn of(example: &'a Example) -> Self {
        let account = example.account.as_ref();
        Self {
            aws_account_id: account.map(|account| account.id.as_str()),
            account_name: account.and_then(|account| account.name.as_deref()),
            aws_region: example.region.as_deref(),
            message: &example.message,
            denial: example.denial.as_deref().map(DenialItem::of),
        }
    }
}

impl<'a> DenialItem<'a> {
    fn of(denial: &'a Denial) -> Self {
        Self {
            principal: denial.principal.as_deref(),
            action: denial.action.as_deref(),
            resource: denial.resource.as_deref(),
            kind: denial.kind.into(),
            explicit: denial.is_explicit,
            policy_arn: denial.policy_arn.as_deref(),
        }
    }
}
