//! Groups failed checks by cause, with what to do about each.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::check::{AccountLabel, Check, Step};
use crate::health::remedy::{AccessAdvice, AccessCause, AccessExample};
use crate::health::{AccessCauseKind, Alert, CauseGuide, CheckedStep};
use crate::model::{Denial, Failure};

/// How many accounts a cause has as examples.
pub(super) const MAX_EXAMPLES: usize = 3;

/// Why checks failed.
#[derive(Debug)]
pub(super) struct Cause {
    /// The name of its kind in JSON.
    pub(super) kind: &'static str,
    pub(super) advice: AccessAdvice,
    /// The number of checks that failed for it.
    pub(super) checks: usize,
    /// The number of accounts, and of regions of all of these, in which they failed.
    pub(super) accounts: usize,
    pub(super) regions: usize,
    /// Of different accounts, as far as there are several.
    pub(super) examples: Vec<Example>,
}

/// A check that failed.
#[derive(Clone, Debug)]
pub(super) struct Example {
    /// `None` if the check is not about an account.
    pub(super) account: Option<AccountLabel>,
    pub(super) region: Option<String>,
    /// What AWS said, or the exporter.
    pub(super) message: String,
    /// What the message says about a denied call.
    pub(super) denial: Option<Box<Denial>>,
}

/// What checks that fail for the same cause have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum CauseKey {
    Access(AccessCause),
    WrongClock,
    NothingPolled,
}

/// Finds the causes of the failed checks, that of most accounts first, and tells each check its cause.
pub(super) fn find_causes(checks: &mut [Check]) -> Vec<Cause> {
    let clock_is_wrong = checks.iter().any(|check| check.step == Step::Clock && check.failure().is_some());
    // The positions of the checks.
    let mut groups: HashMap<CauseKey, Vec<usize>> = HashMap::new();
    for (position, check) in checks.iter().enumerate() {
        if let Some(failure) = check.failure() {
            let key = CauseKey::of(&check.step, failure, clock_is_wrong);
            groups.entry(key).or_default().push(position);
        }
    }
    let mut causes: Vec<(Cause, CauseKey, Vec<usize>)> = groups
        .into_iter()
        .map(|(key, positions)| {
            let failed: Vec<&Check> = positions.iter().filter_map(|position| checks.get(*position)).collect();
            (Cause::new(&key, &failed), key, positions)
        })
        .collect();
    // The first check decides between causes that hit as many.
    causes.sort_by_key(|(cause, _, positions)| {
        (Reverse(cause.accounts), Reverse(cause.checks), positions.first().copied())
    });
    for (index, (_, _, positions)) in causes.iter().enumerate() {
        for position in positions {
            if let Some(check) = checks.get_mut(*position) {
                check.cause = Some(index);
            }
        }
    }
    let mut causes: Vec<(Cause, CauseKey)> = causes.into_iter().map(|(cause, key, _)| (cause, key)).collect();
    distinguish_titles(&mut causes);
    causes.into_iter().map(|(cause, _)| cause).collect()
}

/// Adds to titles that are the same in what the causes differ.
fn distinguish_titles(causes: &mut [(Cause, CauseKey)]) {
    let mut by_title: HashMap<String, Vec<(usize, [String; 6])>> = HashMap::new();
    for (index, (cause, key)) in causes.iter().enumerate() {
        if let CauseKey::Access(access) = key {
            by_title.entry(cause.advice.title.clone()).or_default().push((index, access.distinctions()));
        }
    }
    for same in by_title.into_values() {
        let is_shared = |position: usize, text: &String| {
            same.iter().all(|(_, distinctions)| distinctions.get(position) == Some(text))
        };
        for (index, distinctions) in &same {
            let different = distinctions.iter().enumerate().filter(|(at, text)| !is_shared(*at, text));
            for (_, text) in different {
                if let Some((cause, _)) = causes.get_mut(*index) {
                    cause.advice.title.extend([", ", text.as_str()]);
                }
            }
        }
    }
}

impl Cause {
    fn new(key: &CauseKey, failed: &[&Check]) -> Self {
        let accounts: BTreeSet<&str> =
            failed.iter().filter_map(|check| Some(check.subject.account()?.id.as_str())).collect();
        let regions: BTreeSet<&str> =
            failed.iter().filter_map(|check| Some(check.region.as_ref()?.as_str())).collect();
        Self {
            kind: key.kind(),
            advice: key.advice(failed),
            checks: failed.len(),
            accounts: accounts.len(),
            regions: regions.len(),
            examples: examples(failed),
        }
    }
}

/// The first checks of different accounts, or else of the same.
fn examples(failed: &[&Check]) -> Vec<Example> {
    let mut seen: BTreeSet<Option<&str>> = BTreeSet::new();
    let (mut of_new_accounts, mut others) = (Vec::new(), Vec::new());
    for check in failed {
        if seen.insert(check.subject.account().map(|account| account.id.as_str())) {
            of_new_accounts.push(*check);
        } else {
            others.push(*check);
        }
        if of_new_accounts.len() == MAX_EXAMPLES {
            break;
        }
    }
    let chosen = of_new_accounts.into_iter().chain(others).take(MAX_EXAMPLES);
    chosen.map(Example::of).collect()
}

impl Example {
    fn of(check: &Check) -> Self {
        Self {
            account: check.subject.account().cloned(),
            region: check.region.as_ref().map(ToString::to_string),
            message: check.failure().map(|failure| failure.message.clone()).unwrap_or_default(),
            denial: check.failure().and_then(|failure| failure.denial.clone()),
        }
    }

    /// The account with its name and the region, such as `111122223333 (production) eu-west-1`.
    pub(super) fn describe(&self) -> Option<String> {
        let account = self.account.as_ref()?.describe();
        Some(match &self.region {
            Some(region) => format!("{account} in {region}"),
            None => account,
        })
    }
}

impl CauseKey {
    /// If `clock_is_wrong`, that is why AWS does not accept signatures.
    fn of(step: &Step, failure: &Failure, clock_is_wrong: bool) -> Self {
        let checked = match checked_step(step) {
            Some(checked) => checked,
            None if *step == Step::Clock => return Self::WrongClock,
            None => return Self::NothingPolled,
        };
        let cause = AccessCause::of(failure, checked);
        if clock_is_wrong && cause.kind == AccessCauseKind::InvalidSignature {
            return Self::WrongClock;
        }
        Self::Access(cause)
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Access(cause) => cause.kind.as_str(),
            Self::WrongClock => "wrong_clock",
            Self::NothingPolled => "nothing_polled",
        }
    }

    fn advice(&self, failed: &[&Check]) -> AccessAdvice {
        let advice = |title: &str, explanation: &str, remedy: &str, runbook_url: String| AccessAdvice {
            title: title.to_owned(),
            explanation: explanation.to_owned(),
            remedy: remedy.to_owned(),
            first_step: None,
            statement: None,
            command: None,
            deployment_parameter: None,
            policy_arn: None,
            owner: None,
            runbook_url,
        };
        match self {
            Self::Access(cause) => {
                let failures = failed.iter().copied().filter_map(access_example);
                cause.advice(&failures.collect::<Vec<_>>())
            }
            Self::WrongClock => advice(
                "The clock of this host is wrong",
                "AWS rejects requests that were signed more than 5 minutes ago, or as far in the future. The exporter then \
                 signs by AWS's clock, but the ages of syncs and the times in the metrics are wrong.",
                "Synchronize the clock with NTP, for example with chrony. On EC2, the time service has the address \
                 169.254.169.123.",
                CauseGuide::of_access(AccessCauseKind::InvalidSignature).runbook_url(),
            ),
            Self::NothingPolled => advice(
                "Nothing is polled",
                "The configuration selects no account, or no region that the accounts have enabled.",
                "Check `accounts`, `organization` and `regions` in the configuration.",
                Alert::SsmSyncNothingPolled.runbook_url(),
            ),
        }
    }
}

fn access_example(check: &Check) -> Option<AccessExample<'_>> {
    let (failure, step) = (check.failure()?, checked_step(&check.step)?);
    Some(AccessExample { failure, step, caller: check.caller.as_ref() })
}

/// `None` if the step calls nothing.
fn checked_step(step: &Step) -> Option<CheckedStep<'_>> {
    Some(match step {
        Step::Targets | Step::Clock => return None,
        Step::Credentials(_) => CheckedStep::Credentials,
        Step::AssumeRole { role_arn, external_id_configured } => {
            CheckedStep::AssumeRole { role_arn, external_id_configured: *external_id_configured }
        }
        Step::ListAccounts => CheckedStep::ListAccounts,
        Step::ListUnits => CheckedStep::ListUnits,
        Step::ListRegions => CheckedStep::ListRegions,
        Step::ListSyncs(_) => CheckedStep::ListSyncs,
        Step::ListManagedNodes => CheckedStep::ListManagedNodes,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::aws::CredentialOrigin;
    use crate::doctor::check::{Outcome, Subject};
    use crate::model::{Reason, SyncType};

    fn account(number: usize) -> Arc<Subject> {
        let label = AccountLabel { id: format!("{number:012}"), name: Some(format!("name-{number}")) };
        Arc::new(Subject::Account(label))
    }

    fn denied(number: usize, region: &str) -> Check {
        let message = format!(
            "AccessDeniedException: User: arn:aws:sts::{number:012}:assumed-role/SsmSyncExporter/x is not authorized to \
             perform: ssm:ListResourceDataSync because no identity-based policy allows the action (request {number}-{region})"
        );
        let failure = Failure {
            denial: crate::model::Denial::parse(&message).map(Box::new),
            ..Failure::new(Reason::AccessDenied, message)
        };
        failed(number, Step::ListSyncs(SyncType::ToDestination), failure).in_region(region)
    }

    fn failed(number: usize, step: Step, failure: Failure) -> Check {
        Check::new(&account(number), step, Outcome::Failed(failure))
    }

    impl Check {
        fn in_region(self, region: &str) -> Self {
            Self { region: Some(region.parse().unwrap()), ..self }
        }
    }

    /// Each cause: its kind, the numbers of checks, accounts and regions, and its examples.
    fn summary(causes: &[Cause]) -> Vec<(&'static str, [usize; 3], Vec<String>)> {
        let summary = |cause: &Cause| {
            let examples = cause.examples.iter().filter_map(Example::describe).collect();
            (cause.kind, [cause.checks, cause.accounts, cause.regions], examples)
        };
        causes.iter().map(summary).collect()
    }

    #[test]
    fn the_same_mistake_in_many_accounts_is_one_cause() {
        let mut checks: Vec<Check> = (0..5)
            .flat_map(|number| ["eu-west-1", "us-east-1"].map(|region| denied(number, region)))
            .collect();
        let connection =
            Failure::new(Reason::Connection, "no response from SSM at ssm.eu-west-1.amazonaws.com:443");
        checks.insert(0, failed(7, Step::ListRegions, connection));
        checks.push(Check::new(&account(8), Step::ListRegions, Outcome::NotTested));
        let causes = find_causes(&mut checks);
        let of_different_accounts = [
            "000000000000 (name-0) in eu-west-1",
            "000000000001 (name-1) in eu-west-1",
            "000000000002 (name-2) in eu-west-1",
        ];
        assert_eq!(
            summary(&causes),
            [
                ("identity_policy", [10, 5, 2], of_different_accounts.map(ToOwned::to_owned).to_vec()),
                ("connection", [1, 1, 0], vec!["000000000007 (name-7)".to_owned()]),
            ]
        );
        let indices: Vec<Option<usize>> = checks.iter().map(|check| check.cause).collect();
        assert_eq!((indices[0], indices[1], indices[10], indices[11]), (Some(1), Some(0), Some(0), None));
    }

    #[test]
    fn examples_are_of_one_account_if_there_is_only_one() {
        let mut checks: Vec<Check> =
            ["eu-west-1", "eu-west-2", "eu-west-3", "us-east-1"].map(|region| denied(1, region)).into();
        let causes = find_causes(&mut checks);
        let examples = &summary(&causes)[0].2;
        assert_eq!(examples.len(), 3);
        assert_eq!(examples[2], "000000000001 (name-1) in eu-west-3");
    }

    #[test]
    fn causes_of_the_same_kind_have_different_titles() {
        let assuming = |number: usize, path: &str, external_id_configured: bool, caller: &str| {
            let role_arn = format!("arn:aws:iam::{number:012}:role/{path}Reader");
            let message = format!(
                "User: arn:aws:sts::999900000000:assumed-role/{caller}/x is not authorized to perform: sts:AssumeRole on \
                 resource: {role_arn}"
            );
            let failure = Failure {
                denial: Denial::parse(&message).map(Box::new),
                ..Failure::new(Reason::AssumeRoleDenied, message)
            };
            let role_arn = role_arn.parse().unwrap();
            failed(number, Step::AssumeRole { role_arn, external_id_configured }, failure)
        };
        let timeout = |number: usize, text: &str| {
            failed(number, Step::ListRegions, Failure::new(Reason::Timeout, text))
        };
        let mut checks = [
            assuming(1, "", true, "hub"),
            assuming(2, "", false, "hub"),
            assuming(3, "", false, "other"),
            assuming(4, "team/", false, "other"),
            timeout(5, "no response from SSM"),
            timeout(6, "no response from STS"),
        ];
        let causes = find_causes(&mut checks);
        let titles: Vec<&str> = causes.iter().map(|cause| cause.advice.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "Cannot assume a role: Reader",
                "Cannot assume a role without an external id: Reader, arn:aws:iam::*:role/Reader, to the role hub",
                "Cannot assume a role without an external id: Reader, arn:aws:iam::*:role/Reader, to the role other",
                "Cannot assume a role without an external id: Reader, arn:aws:iam::*:role/team/Reader, to the role other",
                "Timed out, no response from SSM",
                "Timed out, no response from STS",
            ]
        );
    }

    #[test]
    fn denied_lists_and_denied_managed_node_lookups_are_two_causes() {
        let denied =
            |step| failed(1, step, Failure::new(Reason::AccessDenied, "AccessDeniedException: denied"));
        let timeout = |step| failed(1, step, Failure::new(Reason::Timeout, "no response from SSM"));
        let lists = || Step::ListSyncs(SyncType::ToDestination);
        let steps = [
            denied(lists()),
            denied(Step::ListManagedNodes),
            timeout(lists()),
            timeout(Step::ListManagedNodes),
        ];
        let causes = find_causes(&mut steps.map(|check| check.in_region("eu-west-1")));
        let titles: Vec<(&str, usize)> =
            causes.iter().map(|cause| (cause.advice.title.as_str(), cause.checks)).collect();
        assert_eq!(
            titles,
            [
                ("Timed out", 2),
                ("Access denied: ssm:ListResourceDataSync", 1),
                ("Access denied: ssm:DescribeInstanceInformation", 1),
            ]
        );
    }

    #[test]
    fn rejected_signatures_have_the_cause_of_a_wrong_clock() {
        let signature = || {
            let text = "InvalidSignatureException: Signature expired: 20261127T000000Z is now earlier than 20261127T001000Z";
            failed(1, Step::Credentials(CredentialOrigin::default()), Failure::new(Reason::Credentials, text))
        };
        let clock = Check::new(
            &Arc::new(Subject::Host),
            Step::Clock,
            Outcome::Failed(Failure::new(Reason::Credentials, "10m behind AWS")),
        );
        assert_eq!(summary(&find_causes(&mut [signature()]))[0].0, "invalid_signature");
        let causes = find_causes(&mut [clock, signature()]);
        assert_eq!(summary(&causes), [("wrong_clock", [2, 1, 0], vec!["000000000001 (name-1)".to_owned()])]);
    }
}
