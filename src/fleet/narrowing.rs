//! A restriction of what is polled to some accounts and regions, for a command that looks only there.

use super::{Account, RegionName, RegionSelection};
use crate::printable::{escape_control_characters, excerpt};
use crate::suggestion::nearest;

/// The accounts and regions to poll, out of those that the configuration selects. The default selects
/// all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// Ids or names of accounts. If empty, all accounts are selected.
    pub accounts: Vec<String>,
    /// If empty, all regions are selected.
    pub regions: Vec<RegionName>,
}

impl Narrowing {
    pub(crate) fn is_everything(&self) -> bool {
        self.accounts.is_empty() && self.regions.is_empty()
    }

    pub(crate) fn selects(&self, account: &Account) -> bool {
        self.accounts.is_empty() || self.accounts.iter().any(|given| is_called(account, given))
    }

    /// Whether each of the given accounts is the id of one of `accounts`, so that nothing else has to be
    /// known to find them.
    pub(crate) fn selects_only_ids_of(&self, accounts: &[&Account]) -> bool {
        let is_id = |given: &String| accounts.iter().any(|account| has_id(account, given));
        !self.accounts.is_empty() && self.accounts.iter().all(is_id)
    }

    /// The part of `regions` that is selected. A region that `regions` has only by a pattern is still
    /// polled only if it is enabled.
    pub(crate) fn narrow(&self, regions: &RegionSelection) -> RegionSelection {
        if self.regions.is_empty() { regions.clone() } else { regions.restricted_to(&self.regions) }
    }
}

/// Whether `given` is the id or the name of the account.
pub(crate) fn is_called(account: &Account, given: &str) -> bool {
    has_id(account, given) || account.name.as_deref() == Some(given)
}

fn has_id(account: &Account, given: &str) -> bool {
    account.id.as_ref().is_some_and(|id| id.as_str() == given)
}

/// A given account or region is not polled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotPolled(String);

impl NotPolled {
    /// None of the `polled` accounts is called `given`.
    pub(crate) fn account(given: &str, polled: &[&Account]) -> Self {
        let names = polled.iter().flat_map(|account| {
            let id = account.id.as_ref().map(super::AccountId::as_str);
            id.into_iter().chain(account.name.as_deref())
        });
        let hint = hint(given, names);
        // An account without an id in the configuration has one that only AWS knows.
        let unknown = if polled.iter().any(|account| account.id.is_none()) {
            "; an account of the configuration without `id` can be given only by its `name`"
        } else {
            ""
        };
        Self(format!("the account `{}` is not polled{hint}{unknown}", excerpt(given)))
    }

    /// The account is polled, but in none of the selected regions.
    pub(crate) fn account_in_regions(given: &str, regions: &[RegionName]) -> Self {
        let regions: Vec<&str> = regions.iter().map(RegionName::as_str).collect();
        Self(format!("the account `{}` is not polled in {}", excerpt(given), regions.join(", ")))
    }

    /// The configuration selects no region called `given`, but `polled`.
    pub(crate) fn region<'a>(given: &RegionName, polled: impl IntoIterator<Item = &'a str>) -> Self {
        Self(format!("the region `{given}` is not polled{}", hint(given.as_str(), polled)))
    }

    /// A pattern of the configuration selects the region, but no account has enabled it.
    pub(crate) fn not_enabled(given: &RegionName) -> Self {
        Self(format!("the region `{given}` is not polled: no account has enabled it"))
    }
}

fn hint<'a>(given: &str, polled: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(given, polled) {
        Some(nearest) => format!("; did you mean `{}`?", escape_control_characters(nearest)),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::RegionOrPattern;

    fn account(id: &str, name: &str) -> Account {
        let named = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Account { id: named(id).map(|id| id.parse().unwrap()), name: named(name), ..Account::default() }
    }

    fn narrowing(accounts: &[&str], regions: &[&str]) -> Narrowing {
        Narrowing {
            accounts: accounts.iter().map(|&given| given.to_owned()).collect(),
            regions: regions.iter().map(|region| region.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn accounts_are_given_by_their_whole_id_or_name() {
        let production = account("111122223333", "production");
        for (given, expected) in [
            ("111122223333", true),
            ("production", true),
            ("Production", false),
            ("prod", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(narrowing(&[given], &[]).selects(&production), expected, "{given}");
        }
        assert!(narrowing(&[], &["eu-west-1"]).selects(&account("", "")));
        assert!(!narrowing(&[""], &[]).selects(&account("", "")));
    }

    #[test]
    fn a_region_stays_selected_by_name_or_by_pattern() {
        let entries =
            ["us-east-1", "eu-*", "eu-west-1"].map(|entry| entry.parse::<RegionOrPattern>().unwrap());
        let regions: RegionSelection = entries.into_iter().collect();
        let enabled = ["eu-west-1", "eu-west-2", "us-east-1", "us-east-2"].map(|name| name.parse().unwrap());
        for (given, chosen, needs_discovery) in [
            (&[][..], &["us-east-1", "eu-west-1", "eu-west-2"][..], true),
            (&["eu-west-1"], &["eu-west-1"], false),
            (&["eu-west-2"], &["eu-west-2"], true),
            (&["eu-west-3"], &[], true),
            (&["us-east-2"], &[], false),
            (&["eu-west-2", "us-east-1"], &["us-east-1", "eu-west-2"], true),
        ] {
            let narrowed = narrowing(&[], given).narrow(&regions);
            let names: Vec<String> = narrowed.choose(&enabled).iter().map(ToString::to_string).collect();
            assert_eq!(
                (names.as_slice(), narrowed.needs_discovery()),
                (&chosen.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()[..], needs_discovery),
                "{given:?}"
            );
        }
    }

    #[test]
    fn an_account_that_is_not_polled_is_named_with_the_nearest_that_is() {
        let polled = [account("111122223333", "production"), account("444455556666", "")];
        let error = |given: &str| NotPolled::account(given, &polled.iter().collect::<Vec<_>>()).to_string();
        assert_eq!(error("prodction"), "the account `prodction` is not polled; did you mean `production`?");
        assert_eq!(
            error("111122223334"),
            "the account `111122223334` is not polled; did you mean `111122223333`?"
        );
        assert_eq!(error("x\u{1b}"), "the account `x\\u{1b}` is not polled");
        let ambient = [account("", "")];
        assert_eq!(
            NotPolled::account("111122223333", &ambient.iter().collect::<Vec<_>>()).to_string(),
            "the account `111122223333` is not polled; an account of the configuration without `id` can be given only \
             by its `name`"
        );
    }
}
