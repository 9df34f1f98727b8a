//! The checks of the steps to the credentials of an account.

use std::sync::Arc;

use super::check::{Check, Outcome, Requests, Step, Subject};
use super::exchanges::{ExchangeLog, Operation};
use crate::aws::{AccessStep, AccessStepKind, CredentialOrigin, Sessions, StepOutcome};
use crate::fleet::{Account, Role, RoleArn};
use crate::model::{Failure, FailureScope};

/// The steps to the credentials of an account, and whether the calls with these credentials could be
/// tested.
#[derive(Debug)]
pub(super) struct AccessChain {
    pub(super) checks: Vec<Check>,
    /// The access key of the calls, if it is known.
    access_key_id: Option<String>,
    /// The role of the calls.
    caller: Option<RoleArn>,
    /// Set if a step failed.
    blocked_by: Option<Blocked>,
}

/// What calls with the credentials of an account say about the credentials.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof<'a> {
    /// Whether a call succeeded.
    pub(super) works: bool,
    /// The failures of the other calls.
    pub(super) failures: &'a [&'a Failure],
    /// Whether the account id is neither configured nor found. Then no call was made but that to find it.
    pub(super) is_unidentified: bool,
}

/// Which failures of calls only repeat that a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blocked {
    /// Those of the credentials.
    Credentials,
    /// All of them: no call was made.
    All,
}

impl AccessChain {
    /// `proof` is what the other calls with the credentials say about them.
    pub(super) fn of(
        account: &Account,
        subject: &Arc<Subject>,
        sessions: &Sessions,
        exchanges: &ExchangeLog,
        proof: Proof<'_>,
    ) -> Self {
        let steps = match sessions.existing(account) {
            Some(session) => session.access_steps(),
            None => not_tested(account),
        };
        let mut roles = account.access.roles.iter();
        let (mut access_key, mut caller): (Option<String>, Option<RoleArn>) = (None, None);
        let mut checks = Vec::with_capacity(steps.len());
        for AccessStep { kind, outcome } in steps {
            let step = step(kind, &mut roles);
            let requests = requests(&step, access_key.as_deref(), exchanges);
            let (access_key_id, outcome) = match outcome {
                StepOutcome::Passed { access_key_id } => (Some(access_key_id), Outcome::Passed(None)),
                // The credentials were used since.
                _ if proof.works => (None, Outcome::Passed(None)),
                StepOutcome::Failed(failure) => (None, Outcome::Failed(failure)),
                StepOutcome::NotTested => (None, Outcome::NotTested),
            };
            let assumed = match &step {
                Step::AssumeRole { role_arn, .. } => Some(role_arn.clone()),
                _ => None,
            };
            access_key = access_key_id;
            let caller = std::mem::replace(&mut caller, assumed);
            checks.push(Check { caller, requests, ..Check::new(subject, step, outcome) });
        }
        let blocked_by = if proof.works { None } else { find_fault(&mut checks, proof) };
        Self { checks, access_key_id: access_key, caller, blocked_by }
    }

    /// How a call with the credentials ended, which failed with `failure`.
    pub(super) fn outcome_of_failure(&self, failure: &Failure) -> Outcome {
        let repeats_step = match self.blocked_by {
            None => false,
            Some(Blocked::Credentials) => is_about_credentials(failure),
            Some(Blocked::All) => true,
        };
        if repeats_step { Outcome::NotTested } else { Outcome::Failed(failure.clone()) }
    }

    /// A check of a call with the credentials.
    pub(super) fn check(
        &self,
        subject: &Arc<Subject>,
        step: Step,
        outcome: Outcome,
        requests: Option<Requests>,
    ) -> Check {
        Check { caller: self.caller.clone(), requests, ..Check::new(subject, step, outcome) }
    }

    /// The requests of a call with the credentials.
    pub(super) fn requests(&self, exchanges: &ExchangeLog, operation: Operation) -> Option<Requests> {
        exchanges.requests(self.access_key_id.as_deref()?, operation)
    }
}

/// Makes sure that a step failed if the credentials are at fault, and that no step passed or is untested
/// without a reason. Steps after the one that failed were not tested.
fn find_fault(checks: &mut [Check], proof: Proof<'_>) -> Option<Blocked> {
    let Proof { failures, is_unidentified, .. } = proof;
    let shows_fault = |failure: &&&Failure| is_unidentified || failure.is_wrong_account;
    let (position, blocked) = if let Some(failed) = checks.iter().position(|check| check.failure().is_some())
    {
        (failed, Blocked::Credentials)
    } else if let Some(untested) = checks.iter().position(|check| matches!(check.outcome, Outcome::NotTested))
    {
        // The step had not ended when the time for the calls was over.
        let failure = *failures.first()?;
        checks.get_mut(untested)?.outcome = Outcome::Failed(failure.clone());
        (untested, Blocked::All)
    } else {
        // The account of the credentials is another one, or STS did not say which it is.
        let failure = *failures.iter().find(shows_fault)?;
        checks.last_mut()?.outcome = Outcome::Failed(failure.clone());
        (checks.len(), if is_unidentified { Blocked::All } else { Blocked::Credentials })
    };
    for later in checks.iter_mut().skip(position + 1) {
        later.outcome = Outcome::NotTested;
    }
    Some(blocked)
}

fn is_about_credentials(failure: &Failure) -> bool {
    failure.scope == FailureScope::Credentials || failure.rejects_credentials || failure.is_wrong_account
}

fn step<'a>(kind: AccessStepKind, roles: &mut impl Iterator<Item = &'a Role>) -> Step {
    match kind {
        AccessStepKind::Credentials(origin) => Step::Credentials(origin),
        AccessStepKind::AssumeRole(role_arn) => {
            let external_id_configured = roles.next().is_some_and(|role| role.external_id.is_some());
            Step::AssumeRole { role_arn, external_id_configured }
        }
    }
}

fn requests(step: &Step, access_key: Option<&str>, exchanges: &ExchangeLog) -> Option<Requests> {
    let Step::AssumeRole { role_arn, .. } = step else { return None };
    exchanges.requests(access_key?, Operation::AssumeRole { role_arn: role_arn.as_str().to_owned() })
}

/// The steps of an account for which nothing was called.
fn not_tested(account: &Account) -> Vec<AccessStep> {
    let origin = CredentialOrigin { profile: account.access.profile.clone(), ..CredentialOrigin::default() };
    let roles = account.access.roles.iter().map(|role| AccessStepKind::AssumeRole(role.arn.clone()));
    let kinds = [AccessStepKind::Credentials(origin)].into_iter().chain(roles);
    kinds.map(|kind| AccessStep { kind, outcome: StepOutcome::NotTested }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::AccountLabel;
    use crate::model::Reason;

    fn failure(reason: Reason) -> Failure {
        Failure::new(reason, reason.as_str())
    }

    /// The outcomes of the steps to credentials, and of calls with them that failed. `p`, `f` and `-` are
    /// steps that passed, failed and were not tested.
    fn judged(steps: &str, is_unidentified: bool, failures: &[Failure]) -> String {
        let subject = Arc::new(Subject::Account(AccountLabel { id: "a".to_owned(), name: None }));
        let outcome = |step| match step {
            'p' => Outcome::Passed(None),
            'f' => Outcome::Failed(failure(Reason::AssumeRoleDenied)),
            _ => Outcome::NotTested,
        };
        let step = || Step::Credentials(CredentialOrigin::default());
        let mut checks: Vec<Check> =
            steps.chars().map(|symbol| Check::new(&subject, step(), outcome(symbol))).collect();
        let failures: Vec<&Failure> = failures.iter().collect();
        let blocked_by =
            find_fault(&mut checks, Proof { works: false, failures: &failures, is_unidentified });
        let chain = AccessChain { checks, access_key_id: None, caller: None, blocked_by };
        let calls = failures.iter().map(|failure| chain.outcome_of_failure(failure));
        let outcomes = chain.checks.iter().map(|check| check.outcome.clone()).chain(calls);
        let symbol = |outcome: Outcome| match outcome {
            Outcome::Passed(_) => "p".to_owned(),
            Outcome::Failed(failure) => failure.reason.to_string(),
            Outcome::NotTested => "-".to_owned(),
        };
        outcomes.map(symbol).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_fault_is_a_failed_check_of_the_step_that_has_it() {
        let denied = || failure(Reason::AccessDenied);
        let of_credentials = || failure(Reason::AssumeRoleDenied).with_credentials_scope();
        let rejected = || Failure { rejects_credentials: true, ..failure(Reason::Credentials) };
        for (steps, failures, expected) in [
            ("pp", vec![denied(), failure(Reason::Timeout)], "p p access_denied timeout"),
            ("pf-", vec![of_credentials(), of_credentials()], "p assume_role_denied - - -"),
            // Credentials that were used by others before AWS rejected them.
            ("fp", vec![of_credentials()], "assume_role_denied - -"),
            // AWS rejects the credentials, but another call was denied before that.
            ("pf", vec![rejected(), denied()], "p assume_role_denied - access_denied"),
            // The collection timed out before the role was assumed.
            ("p--", vec![failure(Reason::Timeout), failure(Reason::Timeout)], "p timeout - - -"),
            ("--", vec![failure(Reason::Timeout)], "timeout - -"),
            ("p", vec![Failure::wrong_account("")], "credentials -"),
            // A failure to obtain credentials that no step shows is not lost.
            ("pp", vec![of_credentials()], "p p assume_role_denied"),
        ] {
            assert_eq!(judged(steps, false, &failures), expected, "{steps}");
        }
        let unreachable = [failure(Reason::Connection), failure(Reason::Connection)];
        assert_eq!(judged("p", true, &unreachable), "connection - -");
        assert_eq!(judged("f", true, &[of_credentials()]), "assume_role_denied -");
    }
}
