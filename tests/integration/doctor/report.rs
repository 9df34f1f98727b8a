//! What `doctor` writes with `--format json`, as far as the tests look at it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) summary: Summary,
    pub(super) checks: Vec<Check>,
    pub(super) causes: Vec<Cause>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Summary {
    pub(super) accounts: usize,
    pub(super) causes: usize,
}

#[derive(Debug, Deserialize)]
pub(super) struct Check {
    pub(super) aws_account_id: Option<String>,
    pub(super) aws_region: Option<String>,
    pub(super) step: String,
    pub(super) status: String,
    pub(super) message: Option<String>,
    pub(super) requests: Option<u32>,
    pub(super) cause: Option<usize>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Cause {
    pub(super) kind: String,
    pub(super) title: String,
    pub(super) remedy: String,
    pub(super) statement: Option<String>,
    pub(super) command: Option<String>,
    pub(super) policy_arn: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) runbook_url: String,
    pub(super) accounts: usize,
    pub(super) regions: usize,
    pub(super) examples: Vec<Example>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Example {
    /// Absent if the exporter does not know in which account it runs.
    pub(super) aws_account_id: Option<String>,
    pub(super) denial: Option<Denial>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Denial {
    pub(super) principal: Option<String>,
    pub(super) action: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) kind: String,
    pub(super) policy_arn: Option<String>,
}

impl Cause {
    /// Whether the cause and its examples have the ARN of this policy.
    pub(super) fn names_policy(&self, arn: &str) -> bool {
        let is_in = |policy: Option<&String>| policy.is_some_and(|policy| policy.contains(arn));
        let of_example =
            |example: &Example| is_in(example.denial.as_ref()?.policy_arn.as_ref()).then_some(());
        is_in(self.policy_arn.as_ref()) && self.examples.iter().all(|example| of_example(example).is_some())
    }
}

impl Report {
    /// The causes by the accounts whose checks failed for them.
    pub(super) fn causes_by_accounts(&self) -> BTreeMap<BTreeSet<String>, Cause> {
        let accounts_of = |index| {
            let checks = self.checks.iter().filter(move |check| check.cause == Some(index));
            checks.filter_map(|check| check.aws_account_id.clone()).collect()
        };
        let causes: BTreeMap<_, _> = self
            .causes
            .iter()
            .enumerate()
            .map(|(index, cause)| (accounts_of(index), cause.clone()))
            .collect();
        assert_eq!(causes.len(), self.causes.len(), "two causes have the same accounts: {:#?}", self.causes);
        causes
    }

    /// The accounts of checks with this status.
    pub(super) fn accounts_with(&self, status: &str) -> BTreeSet<&str> {
        let checks = self.checks.iter().filter(|check| check.status == status);
        checks.filter_map(|check| check.aws_account_id.as_deref()).collect()
    }
}
