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

/// Which failures of calls only repeat that a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blocked {
    /// Those of the credentials.
    Credentials,
    /// All of them: no call was made.
    All,
}

impl AccessChain {
    /// `works` is whether a call with the credentials succeeded. `failures` are those of the other calls.
    pub(super) fn of(
        account: &Account,
        subject: &Arc<Subject>,
        sessions: &Sessions,
        exchanges: &ExchangeLog,
        works: bool,
        failures: &[&Failure],
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
                _ if works => (None, Outcome::Passed(None)),
                StepOutcome::Failed(failure) => (None, Outcome::Failed(failure)),
                StepOutcome::NotTested => (None, Outcome::NotTested),
            };
            let assumed = match &step {
                Step::AssumeRole { role_arn, .. } => Some(role_arn.clone()),
                _ => None,
            };
            access_key = access_key_id;
            let caller = std::mem::replace(&mut caller, assumed);
            checks.push(Check { requests, caller, ..Check::new(subject, step, outcome) });
        }
        let blocked_by = if works { None } else { find_fault(&mut checks, failures) };
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
fn find_fault(checks: &mut [Check], failures: &[&Failure]) -> Option<Blocked> {
    let is_wrong_account = |failure: &&&Failure| failure.is_wrong_account;
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
        let failure = *failures.iter().find(is_wrong_account)?;
        checks.last_mut()?.outcome = Outcome::Failed(failure.clone());
        (checks.len(), Blocked::Credentials)
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
