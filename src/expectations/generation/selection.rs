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

type Rows<A, B> = BTreeMap<A, BTreeSet<B>>;

/// Each of the rows with each of the columns.
#[derive(Debug)]
struct Product<A, B> {
    rows: BTreeSet<A>,
    columns: BTreeSet<B>,
}

/// Selections that together select `targets` and no other target of the fleet whose syncs are known.
/// `None` if that takes more than [`MAX_PER_SYNC`].
pub(super) fn of_targets(fleet: &Fleet<'_>, targets: &BTreeSet<usize>) -> Option<Vec<Selection>> {
    let (mut wanted, mut unwanted) = (Rows::new(), Rows::new());
    for (index, target) in fleet.targets.iter().enumerate() {
        let rows = if targets.contains(&index) { &mut wanted } else { &mut unwanted };
        rows.entry(target.account_id).or_default().insert(&target.target.region);
    }
    let products = products(&wanted, &unwanted)?;
    Some(products.iter().map(|product| selection(fleet, product, &wanted, &unwanted)).collect())
}

fn products<'a>(
    wanted: &Rows<&'a AccountId, &'a RegionName>,
    unwanted: &Rows<&'a AccountId, &'a RegionName>,
) -> Option<Vec<Product<&'a AccountId, &'a RegionName>>> {
    let all = Product {
        rows: wanted.keys().copied().collect(),
        columns: wanted.values().flatten().copied().collect(),
    };
    if !all.rows.iter().any(|row| contains_any(unwanted, row, &all.columns)) {
        return Some(vec![all]);
    }
    let by_account = grouped(wanted, unwanted);
    let by_region = grouped(&transposed(wanted), &transposed(unwanted)).map(|products| {
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

/// Puts each row into the first product that has all of its wanted columns and none of its unwanted
/// ones. Targets that are neither are not known, and may be selected.
fn grouped<A: Copy + Ord, B: Copy + Ord>(
    wanted: &Rows<A, B>,
    unwanted: &Rows<A, B>,
) -> Option<Vec<Product<A, B>>> {
    let mut products: Vec<Product<A, B>> = Vec::new();
    let mut rows: Vec<_> = wanted.iter().collect();
    rows.sort_by_key(|(_, columns)| Reverse(columns.len()));
    for (row, columns) in rows {
        let fits = |product: &Product<A, B>| {
            columns.is_subset(&product.columns) && !contains_any(unwanted, row, &product.columns)
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

fn contains_any<A: Ord, B: Ord>(rows: &Rows<A, B>, row: &A, columns: &BTreeSet<B>) -> bool {
    rows.get(row).is_some_and(|found| !found.is_disjoint(columns))
}

fn transposed<A: Copy + Ord, B: Copy + Ord>(rows: &Rows<A, B>) -> Rows<B, A> {
    let mut transposed = Rows::new();
    for (row, columns) in rows {
        for column in columns {
            transposed.entry(*column).or_insert_with(BTreeSet::new).insert(*row);
        }
    }
    transposed
}

/// The shortest selectors that select the product.
fn selection(
    fleet: &Fleet<'_>,
    product: &Product<&AccountId, &RegionName>,
    wanted: &Rows<&AccountId, &RegionName>,
    unwanted: &Rows<&AccountId, &RegionName>,
) -> Selection {
    let Product { rows: accounts, columns: regions } = product;
    let has_all_regions = !accounts.iter().any(|account| unwanted.contains_key(account));
    let is_excluded = |account: &&&AccountId| has_all_regions || contains_any(unwanted, *account, regions);
    let lacking: BTreeSet<&AccountId> = unwanted.keys().filter(is_excluded).copied().collect();
    let excluded: BTreeSet<&AccountId> = lacking.union(&fleet.unknown_accounts).copied().collect();
    let others = wanted.keys().filter(|account| {
        !accounts.contains(*account) && !excluded.contains(*account) && contains_any(wanted, account, regions)
    });
    // An account that is added later is expected to be like most accounts.
    let is_rule = lacking.len() * 2 <= accounts.len()
        && excluded.len() <= accounts.len()
        && others.count() <= accounts.len();
    let targets = wanted
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
