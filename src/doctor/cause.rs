//! Groups failed checks by cause, with what to do about each.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::access_stub::{AccessAdvice, AccessCause, AccessExample, CheckedStep};
use super::check::{AccountLabel, Check, Step};
use crate::health::Alert;
use crate::model::Failure;

/// How many accounts a cause has as examples.
const MAX_EXAMPLES: usize = 3;

/// Why checks failed.
#[derive(Debug)]
pub(super) struct Cause {
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
}

/// What checks that fail for the same cause have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum CauseKey {
    Access(AccessCause),
    WrongClock,
    NothingPolled,
}

#[derive(Default)]
struct Group {
    /// The positions of the checks.
    checks: Vec<usize>,
}

/// Finds the causes of the failed checks, that of most accounts first, and tells each check its cause.
pub(super) fn find_causes(checks: &mut [Check]) -> Vec<Cause> {
    let mut groups: HashMap<CauseKey, Group> = HashMap::new();
    for (position, check) in checks.iter().enumerate() {
        if let Some(failure) = check.failure() {
            groups.entry(CauseKey::of(&check.step, failure)).or_default().checks.push(position);
        }
    }
    let mut causes: Vec<(Cause, Vec<usize>)> = groups
        .into_iter()
        .map(|(key, group)| {
            let failed: Vec<&Check> =
                group.checks.iter().filter_map(|position| checks.get(*position)).collect();
            (Cause::new(&key, &failed), group.checks)
        })
        .collect();
    // The first check decides between causes that hit as many.
    causes.sort_by_key(|(cause, positions)| {
        (Reverse(cause.accounts), Reverse(cause.checks), positions.first().copied())
    });
    for (index, (_, positions)) in causes.iter().enumerate() {
        for position in positions {
            if let Some(check) = checks.get_mut(*position) {
                check.cause = Some(index);
            }
        }
    }
    causes.into_iter().map(|(cause, _)| cause).collect()
}

impl Cause {
    fn new(key: &CauseKey, failed: &[&Check]) -> Self {
        let accounts: BTreeSet<&str> =
            failed.iter().filter_map(|check| Some(check.subject.account()?.id.as_str())).collect();
        let regions: BTreeSet<&str> =
            failed.iter().filter_map(|check| Some(check.region.as_ref()?.as_str())).collect();
        let examples = examples(failed);
        Self {
            advice: key.advice(&examples),
            checks: failed.len(),
            accounts: accounts.len(),
            regions: regions.len(),
            examples,
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
    fn of(step: &Step, failure: &Failure) -> Self {
        let checked = match step {
            Step::Targets => return Self::NothingPolled,
            Step::Clock => return Self::WrongClock,
            Step::Credentials(_) => CheckedStep::Credentials,
            Step::AssumeRole { role_arn, external_id_configured } => {
                CheckedStep::AssumeRole { role_arn, external_id_configured: *external_id_configured }
            }
            Step::ListAccounts => CheckedStep::ListAccounts,
            Step::ListUnits => CheckedStep::ListUnits,
            Step::ListRegions => CheckedStep::ListRegions,
            Step::ListSyncs(_) => CheckedStep::ListSyncs,
        };
        Self::Access(AccessCause::of(failure, checked))
    }

    fn advice(&self, examples: &[Example]) -> AccessAdvice {
        match self {
            Self::Access(cause) => {
                let examples: Vec<AccessExample> = examples
                    .iter()
                    .filter_map(|example| {
                        let account = example.account.as_ref()?.id.clone();
                        Some(AccessExample { account, region: example.region.clone() })
                    })
                    .collect();
                cause.advice(&examples)
            }
            Self::WrongClock => AccessAdvice {
                title: "The clock of this host is wrong".to_owned(),
                explanation: "AWS rejects requests whose signature is more than 5 minutes old, or as far in the future. \
                              The exporter then signs by AWS's clock, but the ages of syncs and the times in metrics are \
                              wrong."
                    .to_owned(),
                remedy: "Synchronize the clock with NTP, for example with chrony. On EC2, the time service is at \
                         169.254.169.123."
                    .to_owned(),
                command: Some("chronyc tracking".to_owned()),
                runbook_url: Alert::SsmSyncTargetDown.runbook_url(),
                ..AccessAdvice::default()
            },
            Self::NothingPolled => AccessAdvice {
                title: "Nothing is polled".to_owned(),
                explanation: "The configuration selects no account, or no region that the accounts have enabled."
                    .to_owned(),
                remedy: "Check `accounts`, `organization` and `regions` in the configuration.".to_owned(),
                runbook_url: Alert::SsmSyncNothingPolled.runbook_url(),
                ..AccessAdvice::default()
            },
        }
    }
}
