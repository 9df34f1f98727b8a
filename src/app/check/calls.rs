//! How many calls to AWS a configuration leads to, if all of them succeed.

use std::collections::HashSet;
use std::time::Duration;

use crate::config::Config;
use crate::discovery::{AccountSources, Organization};
use crate::fleet::{Access, Account, Role};

/// How many types of syncs each collection lists. Each list of up to 50 syncs is one call.
const LISTS_PER_COLLECTION: f64 = 2.0;

/// After how long the credentials of a role are renewed: 5 minutes before the hour is over for which STS
/// issues them.
const ROLE_SESSION: Duration = Duration::from_mins(55);

/// How many accounts AWS lists in one call.
const ACCOUNTS_PER_PAGE: f64 = 20.0;

/// Calls per hour.
#[derive(Debug, PartialEq)]
pub(super) struct ApiCalls {
    /// `ssm:ListResourceDataSync` for the targets that are known.
    pub(super) list_syncs: f64,
    /// The same for each target.
    pub(super) list_syncs_per_target: f64,
    /// `sts:AssumeRole` for the accounts that are listed, and to list the organization.
    pub(super) assume_role: f64,
    /// How many accounts have no role, so that `sts:GetCallerIdentity` is called for their credentials.
    pub(super) identified_accounts: usize,
    /// `account:ListRegions` for the accounts that are listed.
    pub(super) list_regions: f64,
    pub(super) members: Option<MemberCalls>,
}

/// Calls per hour for each 100 accounts of an organization.
#[derive(Debug, PartialEq)]
pub(super) struct MemberCalls {
    pub(super) assume_role: f64,
    pub(super) list_accounts: f64,
    /// `None` without wildcards in the regions.
    pub(super) list_regions: Option<f64>,
}

impl ApiCalls {
    pub(super) fn new(config: &Config, sources: &AccountSources, targets: usize) -> Self {
        let list_syncs_per_target = LISTS_PER_COLLECTION * per_hour(config.interval);
        let AccountSources { configured, organization, refresh_interval, .. } = sources;
        let accounts = configured.iter().map(|entry| &*entry.account);
        let administrator = organization.iter().map(|organization| &*organization.administrator);
        let identified = configured.iter().filter(|entry| entry.account.access.roles.is_empty()).count();
        let with_wildcards = configured.iter().filter(|entry| entry.regions.needs_discovery()).count();
        Self {
            list_syncs: count(targets) * list_syncs_per_target,
            list_syncs_per_target,
            assume_role: count(role_sessions(accounts.chain(administrator))) * per_hour(ROLE_SESSION),
            identified_accounts: identified,
            list_regions: count(with_wildcards) * per_hour(*refresh_interval),
            members: organization
                .as_ref()
                .map(|organization| MemberCalls::new(organization, *refresh_interval)),
        }
    }
}

impl MemberCalls {
    fn new(organization: &Organization, refresh_interval: Duration) -> Self {
        let needs_regions = organization.regions.needs_discovery();
        Self {
            assume_role: 100.0 * per_hour(ROLE_SESSION),
            list_accounts: 100.0 / ACCOUNTS_PER_PAGE * per_hour(organization.refresh_interval),
            list_regions: needs_regions.then(|| 100.0 * per_hour(refresh_interval)),
        }
    }
}

/// The number of different sessions of roles. Chains that begin with the same roles share these.
fn role_sessions<'a>(accounts: impl Iterator<Item = &'a Account>) -> usize {
    let mut sessions: HashSet<(Option<&str>, &[Role])> = HashSet::new();
    for account in accounts {
        let Access { profile, roles } = &account.access;
        sessions.extend((1..=roles.len()).map(|length| (profile.as_deref(), &roles[..length])));
    }
    sessions.len()
}

fn per_hour(period: Duration) -> f64 {
    3600.0 / period.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "no fleet is that large")]
fn count(number: usize) -> f64 {
    number as f64
}
