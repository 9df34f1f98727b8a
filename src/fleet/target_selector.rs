//! Which targets a rule or an expectation is about.

use super::{AccountId, AccountSelection, OrganizationalUnitId, RegionOrPattern, Target};

/// Selects targets by account, organizational unit and region. The default selects every target.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TargetSelector {
    pub(crate) accounts: AccountSelection,
    /// Selects the accounts of these units and of all units below. If empty, units do not matter.
    pub(crate) organizational_units: Vec<OrganizationalUnitId>,
    /// If empty, regions do not matter.
    pub(crate) regions: Vec<RegionOrPattern>,
}

/// Whether a target is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selected {
    Yes,
    No,
    /// The answer depends on the id, the name or the organizational units of the account, which are
    /// not known.
    Unknown,
}

impl Selected {
    pub(super) fn known(is_selected: bool) -> Self {
        if is_selected { Self::Yes } else { Self::No }
    }

    /// Selected by one of the two.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::No, Self::No) => Self::No,
            _ => Self::Unknown,
        }
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
        }
    }

    /// Selected by both. Evaluates `other` only if it matters.
    pub(super) fn and_also(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::No => Self::No,
            Self::Yes => other(),
            Self::Unknown if other() == Self::No => Self::No,
            Self::Unknown => Self::Unknown,
        }
    }
}

impl TargetSelector {
    /// Whether `target` is selected. `account_id` is the id of its account, if it is known.
    pub(crate) fn selects(&self, target: &Target, account_id: Option<&AccountId>) -> Selected {
        self.selects_region(target)
            .and_also(|| self.accounts.selects(&target.account, account_id))
            .and_also(|| self.selects_unit(target))
    }

    fn selects_region(&self, target: &Target) -> Selected {
        Selected::known(
            self.regions.is_empty() || self.regions.iter().any(|region| region.matches(&target.region)),
        )
    }

    fn selects_unit(&self, target: &Target) -> Selected {
        let names_any = |units: &[OrganizationalUnitId]| {
            units.iter().any(|unit| self.organizational_units.contains(unit))
        };
        match &target.account.organizational_units {
            _ if self.organizational_units.is_empty() => Selected::Yes,
            Some(units) if names_any(units) => Selected::Yes,
            Some(_) if !names_any(&target.account.unlisted_units) => Selected::No,
            _ => Selected::Unknown,
        }
    }

    /// Whether every target is selected.
    pub(crate) fn selects_all(&self) -> bool {
        let Self { accounts, organizational_units, regions } = self;
        accounts.contains_all() && organizational_units.is_empty() && regions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fleet::{Account, AccountEntry};

    fn target(name: Option<&str>, units: Option<&[&str]>) -> Target {
        let account = Account {
            name: name.map(ToOwned::to_owned),
            organizational_units: units.map(|units| units.iter().map(|unit| unit.parse().unwrap()).collect()),
            ..Account::default()
        };
        Target { account: Arc::new(account), region: "eu-west-1".parse().unwrap() }
    }

    fn accounts(entries: &[&str]) -> TargetSelector {
        let accounts = entries.iter().map(|entry| entry.parse::<AccountEntry>().unwrap()).collect();
        TargetSelector { accounts, ..TargetSelector::default() }
    }

    #[test]
    fn a_selection_by_units_is_unknown_until_the_units_of_the_account_are_known() {
        let selector = TargetSelector {
            organizational_units: vec!["ou-abcd-11111111".parse().unwrap()],
            ..TargetSelector::default()
        };
        let selects = |units: Option<&[&str]>| selector.selects(&target(Some("a"), units), None);
        assert_eq!(selects(Some(&["ou-abcd-22222222", "ou-abcd-11111111"])), Selected::Yes);
        assert_eq!(selects(Some(&["ou-abcd-22222222"])), Selected::No);
        assert_eq!(selects(Some(&[])), Selected::No);
        assert_eq!(selects(None), Selected::Unknown);
        assert_eq!(TargetSelector::default().selects(&target(None, None), None), Selected::Yes);
    }

    #[test]
    fn a_selection_by_a_unit_that_was_not_listed_yet_is_unknown_unless_another_unit_selects_the_account() {
        let [listed, other, unlisted] = [1, 2, 3].map(|number| format!("ou-abcd-{number:08}"));
        let target = target(None, Some(&[&listed]));
        let account =
            Account { unlisted_units: vec![unlisted.parse().unwrap()], ..Account::clone(&target.account) };
        let target = Target { account: Arc::new(account), ..target };
        let selects = |units: &[&str]| {
            let organizational_units = units.iter().map(|unit| unit.parse().unwrap()).collect();
            TargetSelector { organizational_units, ..TargetSelector::default() }.selects(&target, None)
        };
        assert_eq!(selects(&[&unlisted]), Selected::Unknown);
        assert_eq!(selects(&[&unlisted, &listed]), Selected::Yes);
        assert_eq!(selects(&[&unlisted, &other]), Selected::Unknown);
        assert_eq!(selects(&[&other]), Selected::No);
    }

    #[test]
    fn a_selection_by_name_is_unknown_until_the_organization_was_asked_for_the_name() {
        let unnamed = target(None, None);
        let has_no_name = target(None, Some(&[]));
        for (entries, pending, asked) in [
            (&["prod-*"][..], Selected::Unknown, Selected::No),
            (&["!prod-*"], Selected::Unknown, Selected::Yes),
            (&["*", "!prod-*"], Selected::Unknown, Selected::Yes),
            (&["*"], Selected::Yes, Selected::Yes),
            (&["!*"], Selected::No, Selected::No),
        ] {
            assert_eq!(accounts(entries).selects(&unnamed, None), pending, "{entries:?}");
            assert_eq!(accounts(entries).selects(&has_no_name, None), asked, "{entries:?}");
        }
    }

    #[test]
    fn a_selection_by_id_is_unknown_until_the_id_is_known() {
        let target = target(Some("prod-1"), None);
        let [one, other] = ["111122223333", "444455556666"].map(|id| id.parse().unwrap());
        let selector = accounts(&["111122223333"]);
        assert_eq!(selector.selects(&target, Some(&one)), Selected::Yes);
        assert_eq!(selector.selects(&target, Some(&other)), Selected::No);
        assert_eq!(selector.selects(&target, None), Selected::Unknown);
        assert_eq!(accounts(&["111122223333", "prod-*"]).selects(&target, None), Selected::Yes);
        assert_eq!(accounts(&["!111122223333", "!prod-*"]).selects(&target, None), Selected::No);
    }

    #[test]
    fn another_region_is_not_selected_whatever_else_is_unknown() {
        let selector = TargetSelector { regions: vec!["us-*".parse().unwrap()], ..accounts(&["prod-*"]) };
        assert_eq!(selector.selects(&target(None, None), None), Selected::No);
    }
}
