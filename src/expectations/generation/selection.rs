//! The accounts and regions that select some targets and no others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{Fleet, MAX_PER_SYNC};
use crate::fleet::{AccountId, RegionName};

/// Which accounts an expectation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccountScope {
    All,
    Only(Vec<AccountId>),
    AllBut(Vec<AccountId>),
}

impl AccountScope {
    pub(super) fn all_but<'a>(excluded: impl IntoIterator<Item = &'a AccountId>) -> Self {
        let excluded: Vec<AccountId> = excluded.into_iter().cloned().collect();
        if excluded.is_empty() { Self::All } else { Self::AllBut(excluded) }
    }
}

/// Selects targets by account and region.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) accounts: AccountScope,
    /// If empty, all regions.
    pub(super) regions: Vec<RegionName>,
    /// How many of the wanted targets are selected.
    pub(super) targets: usize,
}

/// The columns of each row.
pub(super) type Rows<A, B> = BTreeMap<A, BTreeSet<B>>;

/// All places of the fleet whose syncs are known, and those of them that are wanted.
struct Grid<'a, A, B> {
    known: &'a Rows<A, B>,
    wanted: Rows<A, B>,
}

impl<A: Ord, B: Ord> Grid<'_, A, B> {
    /// Whether one of these places is known and not wanted.
    fn lacks_any(&self, row: &A, columns: &BTreeSet<B>) -> bool {
        let contains = |rows: &Rows<A, B>, column| rows.get(row).is_some_and(|found| found.contains(column));
        columns.iter().any(|column| contains(self.known, column) && !contains(&self.wanted, column))
    }

    /// Whether one of the known places in this row is not wanted.
    fn lacks_some(&self, row: &A) -> bool {
        let number = |rows: &Rows<A, B>| rows.get(row).map_or(0, BTreeSet::len);
        number(self.known) > number(&self.wanted)
    }
}

/// Each of the rows with each of the columns.
#[derive(Debug)]
struct Product<A, B> {
    rows: BTreeSet<A>,
    columns: BTreeSet<B>,
}

/// Selections that together select `targets` and no other target of the fleet whose syncs are known.
/// `None` if that takes more than [`MAX_PER_SYNC`].
pub(super) fn of_targets(fleet: &Fleet<'_>, targets: &BTreeSet<usize>) -> Option<Vec<Selection>> {
    let (mut by_account, mut by_region) = (Rows::new(), Rows::new());
    for target in targets.iter().filter_map(|index| fleet.targets.get(*index)) {
        let (account, region) = (target.account_id, &target.target.region);
        by_account.entry(account).or_insert_with(BTreeSet::new).insert(region);
        by_region.entry(region).or_insert_with(BTreeSet::new).insert(account);
    }
    let by_account = Grid { known: &fleet.regions_by_account, wanted: by_account };
    let by_region = Grid { known: &fleet.accounts_by_region, wanted: by_region };
    let products = products(&by_account, &by_region)?;
    Some(products.iter().map(|product| selection(fleet, product, &by_account)).collect())
}

fn products<'a>(
    by_account: &Grid<'_, &'a AccountId, &'a RegionName>,
    by_region: &Grid<'_, &'a RegionName, &'a AccountId>,
) -> Option<Vec<Product<&'a AccountId, &'a RegionName>>> {
    let all = Product {
        rows: by_account.wanted.keys().copied().collect(),
        columns: by_region.wanted.keys().copied().collect(),
    };
    if !all.rows.iter().any(|account| by_account.lacks_any(account, &all.columns)) {
        return Some(vec![all]);
    }
    let by_account = grouped(by_account);
    let by_region = grouped(by_region).map(|products| {
        products
            .into_iter()
            .map(|Product { rows, columns }| Product { rows: columns, columns: rows })
            .collect::<Vec<_>>()
    });
    match (by_account, by_region) {
        (Some(by_account), Some(by_region)) if by_region.len() < by_account.len() => Some(by_region),
        (Some(by_account), _) => Some(by_account),
        (None, by_region) => by_region,
    }
}

/// Puts each row into the first product that has all of its wanted columns and no other known ones.
fn grouped<A: Copy + Ord, B: Copy + Ord>(grid: &Grid<'_, A, B>) -> Option<Vec<Product<A, B>>> {
    let mut products: Vec<Product<A, B>> = Vec::new();
    let mut rows: Vec<_> = grid.wanted.iter().collect();
    rows.sort_by_key(|(_, columns)| Reverse(columns.len()));
    for (row, columns) in rows {
        let fits = |product: &Product<A, B>| {
            columns.is_subset(&product.columns) && !grid.lacks_any(row, &product.columns)
        };
        if let Some(index) = products.iter().position(fits) {
            products[index].rows.insert(*row);
        } else if products.len() < MAX_PER_SYNC {
            products.push(Product { rows: [*row].into(), columns: columns.clone() });
        } else {
            return None;
        }
    }
    Some(products)
}

/// The shortest selectors that select the product.
fn selection(
    fleet: &Fleet<'_>,
    product: &Product<&AccountId, &RegionName>,
    grid: &Grid<'_, &AccountId, &RegionName>,
) -> Selection {
    let Product { rows: accounts, columns: regions } = product;
    let has_all_regions = !accounts.iter().any(|account| grid.lacks_some(account));
    let is_excluded = |account: &&&AccountId| {
        if has_all_regions { grid.lacks_some(account) } else { grid.lacks_any(account, regions) }
    };
    let lacking: BTreeSet<&AccountId> = grid.known.keys().filter(is_excluded).copied().collect();
    let excluded: BTreeSet<&AccountId> = lacking.union(&fleet.unknown_accounts).copied().collect();
    let others = grid.wanted.iter().filter(|(account, found)| {
        !accounts.contains(*account) && !excluded.contains(*account) && !found.is_disjoint(regions)
    });
    // An account that is added later is expected to be like most accounts.
    let is_rule = lacking.len() * 2 <= accounts.len()
        && excluded.len() <= accounts.len()
        && others.count() <= accounts.len();
    let targets = grid
        .wanted
        .iter()
        .filter(|(account, _)| accounts.contains(*account))
        .map(|(_, found)| found.intersection(regions).count())
        .sum();
    Selection {
        accounts: if is_rule {
            AccountScope::all_but(excluded)
        } else {
            AccountScope::Only(accounts.iter().copied().cloned().collect())
        },
        regions: if has_all_regions { Vec::new() } else { regions.iter().copied().cloned().collect() },
        targets,
    }
}
