//! How the credentials of an account were obtained: from which source, and through which roles.

use super::credentials::{CredentialSource, CredentialStore};
use super::origin::CredentialOrigin;
use super::session::{Session, Sessions};
use crate::fleet::RoleArn;
use crate::model::Failure;

/// A step towards the credentials of an account.
#[derive(Clone, Debug)]
pub(crate) struct AccessStep {
    pub(crate) kind: AccessStepKind,
    pub(crate) outcome: StepOutcome,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum AccessStepKind {
    /// Obtains the credentials of a profile or of the default chain.
    Credentials(CredentialOrigin),
    /// Assumes a role with the credentials of the previous step.
    AssumeRole(RoleArn),
}

/// The outcome of the last attempt of a step.
#[derive(Clone, Debug)]
pub(crate) enum StepOutcome {
    /// Not attempted, because an earlier step failed or nothing needed it.
    NotTested,
    Passed {
        /// Identifies the calls that are made with the credentials.
        access_key_id: String,
    },
    Failed(Failure),
}

impl Sessions {
    /// Finds out where the credentials of all profiles and of the default chain come from. Reads the
    /// profile files, but sends no request.
    pub(crate) async fn find_origins(&self) {
        for store in self.credential_stores() {
            if let CredentialSource::Sdk(loader) = store.source() {
                store.origin.get_or_init(|| Box::pin(loader.origin())).await;
            }
        }
    }
}

impl Session {
    /// The steps to the credentials of this session, in their order, with the outcomes so far. The
    /// origin has no more than the profile before [`find_origins`](Sessions::find_origins) was called.
    pub(crate) fn access_steps(&self) -> Vec<AccessStep> {
        let mut steps = Vec::new();
        let mut store = Some(&self.credentials);
        while let Some(current) = store {
            let (kind, base) = match current.source() {
                CredentialSource::Sdk(loader) => {
                    let unknown =
                        || CredentialOrigin { profile: loader.profile.clone(), ..Default::default() };
                    let origin = current.origin.get().cloned().unwrap_or_else(unknown);
                    (AccessStepKind::Credentials(origin), None)
                }
                CredentialSource::Recorded { profile, .. } => {
                    let origin = CredentialOrigin { profile: profile.clone(), ..Default::default() };
                    (AccessStepKind::Credentials(origin), None)
                }
                CredentialSource::Role { role, base, .. } => {
                    (AccessStepKind::AssumeRole(role.arn.clone()), Some(base))
                }
            };
            steps.push(AccessStep { kind, outcome: current.last_outcome() });
            store = base;
        }
        steps.reverse();
        steps
    }
}

impl CredentialStore {
    fn last_outcome(&self) -> StepOutcome {
        match self.last_fetch() {
            None => StepOutcome::NotTested,
            Some(Ok(cached)) => {
                StepOutcome::Passed { access_key_id: cached.credentials.access_key_id().to_owned() }
            }
            Some(Err(failure)) => StepOutcome::Failed(failure),
        }
    }
}
