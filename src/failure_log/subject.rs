//! Targets, credentials and lookups, and the log messages about them.

/// Something that fails and recovers: a target, credentials or a lookup.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(super) key: Key,
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    /// Where credentials come from.
    pub(super) source: Option<String>,
}

/// Identifies a subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// A target by its name, which does not change when the account id becomes known.
    Target(String),
    /// The items that AWS lists for a target, by the name of the target.
    ItemsOfTarget(String),
    /// The managed-node lookup of a target, by the name of the target.
    NodesOfTarget(String),
    Credentials(u64),
    Roles(u64),
    EnabledRegions(String),
}

impl Subject {
    /// A target. `name` identifies it, and `account` is the account id as far as it is known.
    pub(crate) fn target(name: String, account: String, region: &str) -> Self {
        Self { account: Some(account), region: Some(region.to_owned()), ..Self::new(Key::Target(name)) }
    }

    /// The items that AWS lists for a target. The arguments are those of [`target`](Self::target).
    pub(crate) fn items_of_target(name: String, account: String, region: &str) -> Self {
        Self {
            account: Some(account),
            region: Some(region.to_owned()),
            ..Self::new(Key::ItemsOfTarget(name))
        }
    }

    /// The managed-node lookup of a target. The arguments are those of [`target`](Self::target).
    pub(crate) fn nodes_of_target(name: String, account: String, region: &str) -> Self {
        Self {
            account: Some(account),
            region: Some(region.to_owned()),
            ..Self::new(Key::NodesOfTarget(name))
        }
    }

    /// The credentials that `source` provides. Several stores may have the same source, so an
    /// `id` of [`FailureLog::next_id`](super::FailureLog::next_id) identifies the store.
    pub(crate) fn credentials(id: u64, source: String) -> Self {
        Self { source: Some(source), ..Self::new(Key::Credentials(id)) }
    }

    /// The roles that are assumed with the credentials of `source`. `id` is as in
    /// [`credentials`](Self::credentials).
    pub(crate) fn roles(id: u64, source: String) -> Self {
        Self { source: Some(source), ..Self::new(Key::Roles(id)) }
    }

    /// The lookup of the regions that `account` has enabled.
    pub(crate) fn enabled_regions(account: String) -> Self {
        Self { account: Some(account.clone()), ..Self::new(Key::EnabledRegions(account)) }
    }

    fn new(key: Key) -> Self {
        Self { key, account: None, region: None, source: None }
    }

    /// The name in a list of examples, such as `111122223333/eu-west-1`.
    pub(super) fn name(&self) -> String {
        let parts = [&self.account, &self.region, &self.source];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("/")
    }
}

/// What fails for a subject. This determines the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Problem {
    /// A target cannot be collected.
    TargetFailing,
    /// A target cannot be collected until somebody changes the account or the organization.
    RegionUnavailable,
    /// AWS lists items for a target that cannot be used.
    InvalidItems,
    /// A managed-node lookup fails.
    NodesUnknown,
    /// Credentials cannot be obtained.
    NoCredentials,
    /// No role can be assumed with some credentials.
    NoRoles,
    /// The regions that an account has enabled cannot be listed.
    RegionsNotListed,
}

/// What the log says about a problem.
pub(super) struct Messages {
    pub(super) failed: &'static str,
    /// Failed for another reason than before.
    pub(super) changed: &'static str,
    pub(super) several_failed: &'static str,
    pub(super) recovered: &'static str,
    pub(super) several_recovered: &'static str,
    pub(super) all_recovered: &'static str,
}

impl Problem {
    pub(super) fn messages(self) -> Messages {
        match self {
            Self::TargetFailing => Messages {
                failed: "target is failing",
                changed: "target is failing for another reason",
                several_failed: "targets are failing",
                recovered: "target recovered",
                several_recovered: "targets recovered",
                all_recovered: "all targets recovered",
            },
            Self::RegionUnavailable => Messages {
                failed: "region unavailable, polling it rarely",
                changed: "region unavailable, polling it rarely",
                several_failed: "regions unavailable, polling them rarely",
                recovered: "region available again",
                several_recovered: "regions available again",
                all_recovered: "all regions available again",
            },
            Self::InvalidItems => Messages {
                failed: "AWS lists syncs that cannot be read",
                changed: "AWS lists syncs that cannot be read",
                several_failed: "AWS lists syncs that cannot be read for several targets",
                recovered: "all listed syncs can be read again",
                several_recovered: "all listed syncs of several targets can be read again",
                all_recovered: "all listed syncs of all targets can be read again",
            },
            Self::NodesUnknown => Messages {
                failed: "cannot look up managed nodes",
                changed: "cannot look up managed nodes",
                several_failed: "cannot look up managed nodes in several targets",
                recovered: "can look up managed nodes again",
                several_recovered: "can look up managed nodes in several targets again",
                all_recovered: "can look up managed nodes in all targets again",
            },
            Self::NoCredentials => Messages {
                failed: "cannot obtain credentials",
                changed: "cannot obtain credentials",
                several_failed: "cannot obtain credentials from several sources",
                recovered: "can obtain credentials again",
                several_recovered: "can obtain credentials from several sources again",
                all_recovered: "can obtain credentials from all sources again",
            },
            Self::NoRoles => Messages {
                failed: "cannot assume roles",
                changed: "cannot assume roles",
                several_failed: "cannot assume roles with several sources",
                recovered: "can assume roles again",
                several_recovered: "can assume roles with several sources again",
                all_recovered: "can assume roles with all sources again",
            },
            Self::RegionsNotListed => Messages {
                failed: "cannot list the enabled regions of an account",
                changed: "cannot list the enabled regions of an account",
                several_failed: "cannot list the enabled regions of accounts",
                recovered: "can list the enabled regions of an account again",
                several_recovered: "can list the enabled regions of accounts again",
                all_recovered: "can list the enabled regions of all accounts again",
            },
        }
    }
}
