//! The paths of accounts, which the response to `ListAccounts` may contain.
//!
//! A path names the organization, its root, the units from the root to the account, and
//! possibly the account: `o-aaaaaaaaaa/r-abcd/ou-abcd-11111111/ou-abcd-22222222/111122223333/`.
//! Other implementations of the API leave the paths out, so they are only a shortcut: if an
//! account has none, or one of another form, units are walked instead.

use std::collections::BTreeSet;

use aws_sdk_organizations::types::Account as AwsAccount;

use super::members::is_active;
use crate::discovery::AccountUnits;
use crate::fleet::{AccountId, OrganizationalUnitId};

/// The maximum number of paths of an account, far above the single one of a tree.
const MAX_PATHS: usize = 10;

/// The maximum length of a path. AWS nests units 5 levels deep, with ids of at most 68
/// characters.
const MAX_PATH_LEN: usize = 2048;

/// The units of accounts according to their paths.
pub(super) struct PathUnits<'a> {
    named: &'a [OrganizationalUnitId],
    /// `None` once an active account had no usable path.
    units: Option<AccountUnits>,
}

impl<'a> PathUnits<'a> {
    /// Looks for the units `named`.
    pub(super) fn new(named: &'a [OrganizationalUnitId]) -> Self {
        Self { named, units: Some(AccountUnits::new()) }
    }

    pub(super) fn add(&mut self, accounts: &[AwsAccount]) {
        // Without units to look for, it does not matter whether the paths are usable.
        if self.named.is_empty() {
            return;
        }
        for account in accounts {
            let Some(units) = &mut self.units else { return };
            match units_on_paths(account) {
                Some((id, on_paths)) => {
                    let named: BTreeSet<_> =
                        on_paths.into_iter().filter(|unit| self.named.contains(unit)).collect();
                    if !named.is_empty() {
                        units.insert(id, named.into_iter().collect());
                    }
                }
                None if is_active(account) => self.units = None,
                // Accounts that are not active are not polled.
                None => {}
            }
        }
    }

    /// `None` if an active account had no usable path.
    pub(super) fn into_units(self) -> Option<AccountUnits> {
        self.units
    }
}

/// The id of the account, and the root and units on all of its paths. `None` if there is no path
/// or if one has another form.
fn units_on_paths(account: &AwsAccount) -> Option<(AccountId, Vec<OrganizationalUnitId>)> {
    let id: AccountId = account.id()?.parse().ok()?;
    let paths = account.paths();
    if !(1..=MAX_PATHS).contains(&paths.len()) {
        return None;
    }
    let units = paths.iter().map(|path| units_on_path(path, &id)).collect::<Option<Vec<_>>>()?;
    Some((id, units.concat()))
}

fn units_on_path(path: &str, account: &AccountId) -> Option<Vec<OrganizationalUnitId>> {
    if path.len() > MAX_PATH_LEN {
        return None;
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut ids = path.split('/');
    ids.next().filter(|organization| organization.starts_with("o-"))?;
    let root = ids.next().filter(|root| root.starts_with("r-"))?;
    let mut units = vec![root.parse().ok()?];
    while let Some(id) = ids.next() {
        if id == account.as_str() {
            // The account is at the end of the path.
            return ids.next().is_none().then_some(units);
        }
        units.push(id.parse().ok().filter(|_| id.starts_with("ou-"))?);
    }
    Some(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(paths: &[&str]) -> AwsAccount {
        let paths = paths.iter().map(ToString::to_string).collect();
        AwsAccount::builder().id("111122223333").set_paths(Some(paths)).build()
    }

    #[test]
    fn the_units_on_a_path_are_read_with_and_without_the_account() {
        for (path, expected) in [
            ("o-aaaaaaaaaa/r-abcd/", "r-abcd"),
            ("o-aaaaaaaaaa/r-abcd/111122223333/", "r-abcd"),
            (
                "o-aaaaaaaaaa/r-abcd/ou-abcd-11111111/ou-abcd-22222222/",
                "r-abcd ou-abcd-11111111 ou-abcd-22222222",
            ),
            ("o-aaaaaaaaaa/r-abcd/ou-abcd-11111111/111122223333", "r-abcd ou-abcd-11111111"),
        ] {
            let (_, units) = units_on_paths(&account(&[path])).unwrap();
            let units: Vec<&str> = units.iter().map(OrganizationalUnitId::as_str).collect();
            assert_eq!(units.join(" "), expected, "{path}");
        }
        let (_, units) = units_on_paths(&account(&["o-a/r-abcd/", "o-b/r-efgh/"])).unwrap();
        assert_eq!(units.len(), 2);
    }

    #[test]
    fn paths_of_another_form_are_not_used() {
        let too_long = format!("o-aaaaaaaaaa/r-abcd{}/", "/ou-abcd-11111111".repeat(200));
        for path in [
            "",
            "/",
            "o-aaaaaaaaaa",
            "o-aaaaaaaaaa/",
            "r-abcd/ou-abcd-11111111/",
            "o-aaaaaaaaaa/ou-abcd-11111111/",
            "o-aaaaaaaaaa/r-abcd//",
            "o-aaaaaaaaaa/r-abcd/r-abcd/",
            "o-aaaaaaaaaa/r-abcd/Root/",
            "o-aaaaaaaaaa/r-abcd/ou-abcd-1/",
            "o-aaaaaaaaaa/r-abcd/444455556666/",
            "o-aaaaaaaaaa/r-abcd/111122223333/ou-abcd-11111111/",
            &too_long,
        ] {
            assert_eq!(units_on_paths(&account(&[path])), None, "{path}");
            assert_eq!(units_on_paths(&account(&["o-a/r-abcd/", path])), None, "{path}");
        }
        assert_eq!(units_on_paths(&account(&[])), None);
        assert_eq!(units_on_paths(&account(&["o-a/r-abcd/"; MAX_PATHS + 1])), None);
        assert_eq!(units_on_paths(&AwsAccount::builder().id("111122223333").build()), None);
        assert_eq!(units_on_paths(&AwsAccount::builder().paths("o-a/r-abcd/").build()), None);
    }

    #[test]
    fn only_active_accounts_need_a_path() {
        let named = ["ou-abcd-11111111".parse().unwrap()];
        let with_path = account(&["o-a/r-abcd/ou-abcd-11111111/"]);
        let without = AwsAccount::builder().id("444455556666");
        let mut units = PathUnits::new(&named);
        units.add(&[with_path.clone(), without.clone().state("SUSPENDED".into()).build()]);
        assert_eq!(units.into_units(), Some([("111122223333".parse().unwrap(), named.to_vec())].into()));
        let mut units = PathUnits::new(&named);
        units.add(&[with_path, without.build()]);
        assert_eq!(units.into_units(), None);
    }
}
