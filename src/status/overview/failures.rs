//! The targets for which a call fails, grouped so that one cause is one line.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::TargetRow;
use crate::fleet::RegionName;
use crate::model::{Failure, Reason};

/// All targets for which a call fails for one reason.
#[derive(Debug)]
pub(in crate::status) struct FailuresForReason<'a> {
    pub(in crate::status) reason: Reason,
    pub(in crate::status) target_count: usize,
    /// The targets by account or by region, whichever gives fewer groups. Largest first.
    pub(in crate::status) groups: Vec<FailureGroup<'a>>,
}

/// The targets of one account or one region for which a call fails for the same reason.
#[derive(Debug)]
pub(in crate::status) struct FailureGroup<'a> {
    pub(in crate::status) key: GroupKey<'a>,
    /// At least one.
    pub(in crate::status) targets: Vec<(&'a TargetRow, &'a Failure)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::status) enum GroupKey<'a> {
    Account { account: &'a str, name: Option<&'a str> },
    Region(&'a RegionName),
}

impl<'a> FailuresForReason<'a> {
    pub(super) fn new(reason: Reason, targets: &[(&'a TargetRow, &'a Failure)]) -> Self {
        let mut by_account: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        let mut by_region: BTreeMap<&RegionName, Vec<_>> = BTreeMap::new();
        for (target, failure) in targets {
            by_account.entry(&target.account).or_default().push((*target, *failure));
            by_region.entry(target.region()).or_default().push((*target, *failure));
        }
        // These reasons affect an account in all of its regions.
        let affects_whole_accounts = matches!(reason, Reason::AssumeRoleDenied | Reason::Credentials);
        let mut groups: Vec<FailureGroup<'a>> =
            if affects_whole_accounts || by_account.len() <= by_region.len() {
                let group = |(account, targets): (_, Vec<(&'a TargetRow, _)>)| {
                    let name = targets.first().and_then(|(target, _)| target.account_name());
                    FailureGroup { key: GroupKey::Account { account, name }, targets }
                };
                by_account.into_iter().map(group).collect()
            } else {
                let group = |(region, targets)| FailureGroup { key: GroupKey::Region(region), targets };
                by_region.into_iter().map(group).collect()
            };
        groups.sort_by_key(|group| Reverse(group.targets.len()));
        Self { reason, target_count: targets.len(), groups }
    }
}
