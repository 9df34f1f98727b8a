//! The accounts and regions of some targets.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{pluralize, target_name};
use crate::health::AssessedTarget;
use crate::terminal::{Page, Word, separated_by_commas, width};

/// Some targets with their accounts and regions, each once.
#[derive(Debug, Default)]
pub(super) struct Places<'a> {
    /// The names by the account id.
    accounts: BTreeMap<String, Option<&'a str>>,
    regions: BTreeSet<&'a str>,
    targets: Vec<&'a AssessedTarget>,
}

impl<'a> Places<'a> {
    pub(super) fn of(targets: impl IntoIterator<Item = &'a AssessedTarget>) -> Self {
        let mut places = Self::default();
        for target in targets {
            let name = places.accounts.entry(target.display_id()).or_default();
            *name = name.or(target.target().account.name.as_deref());
            places.regions.insert(target.target().region.as_str());
            places.targets.push(target);
        }
        places
    }

    /// The numbers, such as `12 targets in 3 accounts`.
    pub(super) fn count(&self) -> String {
        format!(
            "{} in {}",
            pluralize(self.targets.len(), "target"),
            pluralize(self.accounts.len(), "account")
        )
    }

    /// All regions and how many accounts, such as `3 accounts x 2 regions: eu-west-1, us-east-1`. The
    /// `x` says that there is a target for each region in each account.
    pub(super) fn describe(&self) -> String {
        let (accounts, regions) =
            (pluralize(self.accounts.len(), "account"), pluralize(self.regions.len(), "region"));
        let by = if self.is_product() { "x" } else { "and" };
        let names: Vec<&str> = self.regions.iter().copied().collect();
        format!("{accounts} {by} {regions}: {}", names.join(", "))
    }

    /// Writes a line of accounts and a line of regions, each as far as it fits. Unless there is a
    /// target for each region in each account, a line of targets takes the place of the accounts.
    pub(super) fn write(&self, page: &mut Page, indent: usize) {
        if self.is_product() {
            let accounts = self.accounts.iter().map(|(id, name)| account_label(id, *name));
            write_list(page, indent, "accounts:", &accounts.collect::<Vec<_>>());
        } else {
            let targets = self.targets.iter().map(|target| target_name(target));
            write_list(page, indent, "targets: ", &targets.collect::<Vec<_>>());
        }
        let regions = self.regions.iter().map(|&region| region.to_owned());
        write_list(page, indent, "regions: ", &regions.collect::<Vec<_>>());
    }

    fn is_product(&self) -> bool {
        self.accounts.len() * self.regions.len() == self.targets.len()
    }
}

/// The account with its name, such as `111122223333 (production)`.
pub(super) fn account_label(id: &str, name: Option<&str>) -> String {
    name.map_or_else(|| id.to_owned(), |name| format!("{id} ({name})"))
}

/// Writes a label and as many items as fit on its line, but at least one.
pub(super) fn write_list(page: &mut Page, indent: usize, label: &str, items: &[String]) {
    let hanging = width(label) + 1;
    let words: Vec<Word> = items.iter().map(|item| Word::new(item)).collect();
    let number = number_fitting(&words, page.columns(indent + hanging));
    let rest = items.len().saturating_sub(number);
    let rest = (rest > 0).then(|| Word::new(&and_more(rest)));
    let shown = separated_by_commas(words.into_iter().take(number).collect());
    page.paragraph(indent, hanging, [Word::new(label)].into_iter().chain(shown).chain(rest));
}

/// How many items fit on a line of this width, together with the number of the others. At least one.
fn number_fitting(items: &[Word], columns: usize) -> usize {
    let (mut number, mut used) = (1, 0);
    for (index, item) in items.iter().enumerate() {
        used += item.width();
        let rest = items.len() - index - 1;
        let with_rest = if rest > 0 { used + 1 + width(&and_more(rest)) } else { used };
        if with_rest <= columns {
            number = index + 1;
        } else if used > columns {
            break;
        }
        used += ", ".len();
    }
    number
}

fn and_more(rest: usize) -> String {
    format!("and {rest} more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_items_are_named_as_fit() {
        let items = ["eu-west-1", "us-east-1", "us-east-2", "us-west-2"].map(ToOwned::to_owned);
        for (columns, expected) in [
            (45, "in eu-west-1, us-east-1, us-east-2, us-west-2\n"),
            (44, "in eu-west-1, us-east-1 and 2 more\n"),
            (34, "in eu-west-1, us-east-1 and 2 more\n"),
            (33, "in eu-west-1 and 3 more\n"),
            (15, "in eu-west-1\n   and 3 more\n"),
        ] {
            let mut page = Page::new(columns, false);
            write_list(&mut page, 0, "in", &items);
            assert_eq!(page.into_text(), expected, "{columns}");
        }
    }
}
