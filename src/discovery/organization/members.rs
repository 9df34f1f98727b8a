//! The accounts in the responses to the two operations that list accounts.

use std::collections::BTreeMap;

use aws_sdk_organizations::types::{Account as AwsAccount, AccountState, AccountStatus};

use crate::discovery::Member;
use crate::fleet::Partition;
use crate::model::limits::{self, MAX_ACCOUNTS};
use crate::model::{Failure, Reason};

/// The active accounts found so far.
#[derive(Default)]
pub(super) struct MemberList {
    members: BTreeMap<String, Member>,
    pub(super) partition: Option<Partition>,
    /// The number of accounts found, active or not.
    pub(super) seen: usize,
}

impl MemberList {
    /// The accounts, ordered by id.
    pub(super) fn into_members(self) -> Vec<Member> {
        self.members.into_values().collect()
    }

    pub(super) fn add(&mut self, accounts: Vec<AwsAccount>) -> Result<(), Failure> {
        for account in accounts {
            self.seen += 1;
            limits::check_number("accounts in the organization", self.seen, MAX_ACCOUNTS)?;
            check_texts(&account)?;
            if !is_active(&account) {
                continue;
            }
            let id = account.id.unwrap_or_default();
            let member = Member {
                id: id.parse().map_err(|error| {
                    let message = format!("the organization has an account with an invalid id: {error}");
                    Failure::new(Reason::InvalidResponse, message)
                })?,
                name: account.name.filter(|name| !name.is_empty()),
            };
            self.members.insert(id, member);
            let partition = account.arn.as_deref().and_then(|arn| arn.split(':').nth(1));
            self.partition = self.partition.or_else(|| partition.and_then(|name| name.parse().ok()));
        }
        Ok(())
    }
}

fn check_texts(account: &AwsAccount) -> Result<(), Failure> {
    for (what, text) in [
        ("the id of an account", account.id.as_deref()),
        ("the name of an account", account.name.as_deref()),
        ("the ARN of an account", account.arn.as_deref()),
        ("the status of an account", account.status.as_ref().map(AccountStatus::as_str)),
        ("the state of an account", account.state.as_ref().map(AccountState::as_str)),
    ] {
        limits::check_text(what, text.unwrap_or_default())?;
    }
    Ok(())
}

/// Whether the account is active: not suspended, not closed, and neither pending
/// closure nor pending activation. An unknown state counts as active.
pub(super) fn is_active(account: &AwsAccount) -> bool {
    // `State` replaces `Status`, which AWS has announced it will retire on 2026-09-09.
    let status = account.status.as_ref().map(AccountStatus::as_str);
    let state = account.state.as_ref().map(AccountState::as_str);
    let state = state.filter(|state| !state.is_empty()).or(status);
    !matches!(state, Some("SUSPENDED" | "CLOSED" | "PENDING_CLOSURE" | "PENDING_ACTIVATION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_active_by_its_state_or_else_its_status() {
        for (state, status, active) in [
            (Some("ACTIVE"), None, true),
            (Some("ACTIVE"), Some("SUSPENDED"), true),
            (Some("SUSPENDED"), Some("ACTIVE"), false),
            (Some("CLOSED"), None, false),
            (Some("PENDING_CLOSURE"), None, false),
            (Some("PENDING_ACTIVATION"), None, false),
            (Some("SOMETHING_NEW"), None, true),
            (None, Some("ACTIVE"), true),
            (None, Some("SUSPENDED"), false),
            (None, Some("PENDING_CLOSURE"), false),
            (None, None, true),
        ] {
            let account = AwsAccount::builder()
                .set_state(state.map(AccountState::from))
                .set_status(status.map(AccountStatus::from))
                .build();
            assert_eq!(is_active(&account), active, "{state:?} {status:?}");
        }
    }
}
