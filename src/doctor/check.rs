//! A check: what was done, for which account and region, and how it ended.

use std::sync::Arc;
use std::time::Duration;

use crate::aws::CredentialOrigin;
use crate::fleet::{RegionName, RoleArn};
use crate::model::{Failure, SyncType};

/// A step that the daemon takes, and how it ended.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) subject: Arc<Subject>,
    pub(super) region: Option<RegionName>,
    pub(super) step: Step,
    pub(super) outcome: Outcome,
    /// The role with whose credentials the calls were made, if a role had been assumed.
    pub(super) caller: Option<RoleArn>,
    /// The requests that were sent for it, if it sent any.
    pub(super) requests: Option<Requests>,
    /// The position of the cause of a failed check in the list of causes.
    pub(super) cause: Option<usize>,
}

/// What a check is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The host that the exporter runs on.
    Host,
    /// The configuration as a whole.
    Configuration,
    /// The organization, which is listed with the credentials of this account, if its id is known.
    Organization(Option<AccountLabel>),
    Account(AccountLabel),
}

/// The id and the name of an account, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccountLabel {
    /// The id, or what is shown in its place if it is not known.
    pub(super) id: String,
    pub(super) name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Whether anything is polled.
    Targets,
    /// Compares the clock of the host with the clock of AWS.
    Clock,
    /// Obtains the first credentials.
    Credentials(CredentialOrigin),
    AssumeRole {
        role_arn: RoleArn,
        external_id_configured: bool,
    },
    /// Lists the accounts of the organization.
    ListAccounts,
    /// Determines the organizational units of the accounts.
    ListUnits,
    /// Lists the enabled regions of the account.
    ListRegions,
    /// Lists the syncs of a type in a region.
    ListSyncs(SyncType),
    /// Looks up managed nodes in a region.
    ListManagedNodes,
}

/// How a check ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// With what was found, if there is something to say.
    Passed(Option<String>),
    Failed(Failure),
    /// An earlier step failed, or there was nothing to test it with.
    NotTested,
}

/// The requests of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Requests {
    pub(super) number: u32,
    /// Where the last one went: host and port.
    pub(super) endpoint: String,
    /// The proxy that it went through.
    pub(super) proxy: Option<String>,
    /// The HTTP status of the last response.
    pub(super) status: Option<u16>,
    /// How long all of them took together.
    pub(super) duration: Duration,
}

impl Check {
    pub(super) fn new(subject: &Arc<Subject>, step: Step, outcome: Outcome) -> Self {
        let subject = Arc::clone(subject);
        Self { subject, region: None, step, outcome, caller: None, requests: None, cause: None }
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Failed(failure) => Some(failure),
            Outcome::Passed(_) | Outcome::NotTested => None,
        }
    }

    /// What there is to say about the outcome.
    pub(super) fn message(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Passed(text) => text.as_deref(),
            Outcome::Failed(failure) => Some(&failure.message),
            Outcome::NotTested => None,
        }
    }
}

impl Subject {
    /// The account that the check concerns.
    pub(super) fn account(&self) -> Option<&AccountLabel> {
        match self {
            Self::Account(account) | Self::Organization(Some(account)) => Some(account),
            Self::Organization(None) | Self::Host | Self::Configuration => None,
        }
    }
}

impl AccountLabel {
    /// The account with its name, such as `111122223333 (production)`.
    pub(super) fn describe(&self) -> String {
        match &self.name {
            Some(name) => format!("{} ({name})", self.id),
            None => self.id.clone(),
        }
    }
}

impl Step {
    /// The name in JSON.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Targets => "targets",
            Self::Clock => "clock",
            Self::Credentials(_) => "credentials",
            Self::AssumeRole { .. } => "assume_role",
            Self::ListAccounts => "list_accounts",
            Self::ListUnits => "list_units",
            Self::ListRegions => "list_regions",
            Self::ListSyncs(_) => "list_syncs",
            Self::ListManagedNodes => "list_managed_nodes",
        }
    }
}

impl Outcome {
    /// The name in JSON.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Passed(_) => "passed",
            Self::Failed(_) => "failed",
            Self::NotTested => "not_tested",
        }
    }
}
