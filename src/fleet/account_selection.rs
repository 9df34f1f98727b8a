//! Which accounts a rule applies to, selected by id or by a wildcard pattern for names.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use super::target_selector::Selected;
use super::{Account, AccountId};
use crate::wildcard::Wildcard;

/// The accounts that a rule applies to, as configured. The default selects all accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSelection {
    /// If empty, all accounts are included.
    included: AccountPatterns,
    /// Excluded even if they are included as well.
    excluded: AccountPatterns,
}

impl AccountSelection {
    /// Whether the selection contains `account`, whose id is `id` if it is known. An account
    /// without a name matches no pattern for names but `*`.
    ///
    /// The organization names its accounts and tells their units at the same time, so the name of an
    /// account is final when its units are known.
    pub(super) fn selects(&self, account: &Account, id: Option<&AccountId>) -> Selected {
        let included =
            if self.included.is_empty() { Selected::Yes } else { self.included.matches(account, id) };
        included.and_also(|| self.excluded.matches(account, id).not())
    }

    /// Whether the selection contains every account.
    pub(crate) fn contains_all(&self) -> bool {
        self.excluded.is_empty() && (self.included.is_empty() || self.included.matches_all())
    }
}

impl FromIterator<AccountEntry> for AccountSelection {
    fn from_iter<T: IntoIterator<Item = AccountEntry>>(entries: T) -> Self {
        let mut selection = Self::default();
        for AccountEntry { is_excluded, pattern } in entries {
            let patterns = if is_excluded { &mut selection.excluded } else { &mut selection.included };
            patterns.insert(pattern);
        }
        selection
    }
}

/// Account ids, and patterns for account names. A configuration may list thousands of accounts and
/// ask for each of thousands of targets, so ids and names are looked up and not compared one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct AccountPatterns {
    ids: HashSet<AccountId>,
    /// Names without wildcards.
    names: HashSet<String>,
    wildcards: Vec<Wildcard>,
}

impl AccountPatterns {
    fn insert(&mut self, pattern: AccountPattern) {
        match pattern {
            AccountPattern::Id(id) => drop(self.ids.insert(id)),
            AccountPattern::Name(name) if name.is_literal() => drop(self.names.insert(name.to_string())),
            AccountPattern::Name(name) => self.wildcards.push(name),
        }
    }

    fn is_empty(&self) -> bool {
        let Self { ids, names, wildcards } = self;
        ids.is_empty() && names.is_empty() && wildcards.is_empty()
    }

    /// Whether a pattern matches every account, even one without a name.
    fn matches_all(&self) -> bool {
        self.wildcards.iter().any(Wildcard::matches_all)
    }

    fn matches(&self, account: &Account, id: Option<&AccountId>) -> Selected {
        if self.matches_all() {
            return Selected::Yes;
        }
        let by_id = match id {
            _ if self.ids.is_empty() => Selected::No,
            Some(id) => Selected::known(self.ids.contains(id)),
            None => Selected::Unknown,
        };
        let by_name = match &account.name {
            _ if self.names.is_empty() && self.wildcards.is_empty() => Selected::No,
            Some(name) => Selected::known(
                self.names.contains(name) || self.wildcards.iter().any(|pattern| pattern.matches(name)),
            ),
            None if account.organizational_units.is_none() => Selected::Unknown,
            None => Selected::No,
        };
        by_id.or(by_name)
    }
}

/// An account id, or a pattern for account names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum AccountPattern {
    Id(AccountId),
    Name(Wildcard),
}

/// An entry of a configured list of accounts: an account id or a pattern for names. `!` in front of
/// it excludes the accounts that it matches.
///
/// ```
/// use ssm_sync_exporter::fleet::AccountEntry;
///
/// for text in ["111122223333", "prod-*", "!sandbox-?", "*"] {
///     assert!(text.parse::<AccountEntry>().is_ok());
/// }
/// assert!("!".parse::<AccountEntry>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountEntry {
    is_excluded: bool,
    pattern: AccountPattern,
}

/// The text is neither an account id nor a pattern for account names.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAccountEntry {
    /// There is nothing after the `!`, if there is one.
    #[error(
        "`{0}` names no account; expected an account id, or a name in which `*` and `?` are wildcards, such as `prod-*` or `!sandbox-*`"
    )]
    Empty(String),
    /// No account has such an id.
    #[error(
        "`{0}` has {1} digits; expected the 12 digits of an account id, or a name in which `*` and `?` are wildcards"
    )]
    Digits(String, usize),
}

impl AccountEntry {
    /// The account id, if the entry includes an account by its id.
    pub(crate) fn included_id(&self) -> Option<&AccountId> {
        match &self.pattern {
            AccountPattern::Id(id) if !self.is_excluded => Some(id),
            _ => None,
        }
    }
}

impl FromStr for AccountEntry {
    type Err = InvalidAccountEntry;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (is_excluded, rest) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let rest = rest.trim();
        if rest.is_empty() {
            return Err(InvalidAccountEntry::Empty(text.to_owned()));
        }
        let pattern = match rest.parse() {
            Ok(id) => AccountPattern::Id(id),
            Err(_) if rest.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(InvalidAccountEntry::Digits(text.to_owned(), rest.len()));
            }
            Err(_) => AccountPattern::Name(Wildcard::new(rest)),
        };
        Ok(Self { is_excluded, pattern })
    }
}

impl fmt::Display for AccountEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.is_excluded { "!" } else { "" };
        match &self.pattern {
            AccountPattern::Id(id) => write!(f, "{prefix}{id}"),
            AccountPattern::Name(name) => write!(f, "{prefix}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(entries: &[&str]) -> AccountSelection {
        entries.iter().map(|entry| entry.parse::<AccountEntry>().unwrap()).collect()
    }

    /// Whether the selection contains an account with this id and name. An empty text stands for
    /// an unknown one.
    fn contains(entries: &[&str], id: &str, name: &str) -> bool {
        let account = Account {
            name: Some(name.to_owned()).filter(|name| !name.is_empty()),
            organizational_units: Some(Vec::new()),
            ..Account::default()
        };
        selection(entries).selects(&account, id.parse().ok().as_ref()) == Selected::Yes
    }

    #[test]
    fn accounts_are_selected_by_id_and_by_name() {
        assert!(contains(&[], "", ""));
        assert!(contains(&["*"], "", ""));
        assert!(contains(&["111122223333"], "111122223333", ""));
        assert!(!contains(&["111122223333"], "111122223334", "111122223333"));
        assert!(!contains(&["111122223333"], "", "prod"));
        assert!(contains(&["prod-*", "stage"], "111122223333", "prod-a"));
        assert!(contains(&["prod-*", "stage"], "111122223333", "stage"));
        assert!(!contains(&["prod-*", "stage"], "111122223333", "my-prod-a"));
        assert!(!contains(&["prod-*"], "111122223333", ""));
        assert!(!contains(&["Prod"], "111122223333", "prod"));
    }

    #[test]
    fn an_exclusion_wins_in_any_order() {
        for entries in [["*", "!sandbox-*"], ["!sandbox-*", "*"]] {
            assert!(!contains(&entries, "111122223333", "sandbox-1"));
            assert!(contains(&entries, "111122223333", "prod"));
            assert!(contains(&entries, "111122223333", ""));
        }
        assert!(contains(&["!111122223333"], "111122223334", "prod"));
        assert!(!contains(&["!111122223333"], "111122223333", "prod"));
    }

    #[test]
    fn only_a_selection_without_effect_contains_all() {
        for (entries, expected) in [
            (&[][..], true),
            (&["*"], true),
            (&["prod", "*"], true),
            (&["prod"], false),
            (&["*", "!prod"], false),
            (&["!prod"], false),
        ] {
            assert_eq!(selection(entries).contains_all(), expected, "{entries:?}");
        }
    }

    #[test]
    fn an_entry_is_displayed_as_it_is_written() {
        for text in ["111122223333", "!111122223333", "prod-*", "!a b?"] {
            assert_eq!(text.parse::<AccountEntry>().unwrap().to_string(), text);
        }
        for (text, error) in [
            ("", "`` names no account; expected"),
            ("!", "`!` names no account; expected"),
            ("1111", "`1111` has 4 digits; expected the 12 digits"),
            ("!1111222233334", "`!1111222233334` has 13 digits; expected"),
        ] {
            let message = text.parse::<AccountEntry>().unwrap_err().to_string();
            assert!(message.starts_with(error), "{message}");
        }
    }
}
