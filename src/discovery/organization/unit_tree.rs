//! Walks organizational units, and remembers which unit each account and each unit is in.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use aws_sdk_organizations::Client;
use aws_sdk_organizations::types::{Account as AwsAccount, OrganizationalUnit};

use super::pages::{check_token, for_each_page};
use crate::discovery::AccountUnits;
use crate::fleet::{AccountId, OrganizationalUnitId};
use crate::model::limits::{self, MAX_ACCOUNTS, MAX_UNIT_DEPTH, MAX_UNITS};
use crate::model::{Failure, Reason};

/// The units walked so far, with their accounts.
#[derive(Default)]
pub(super) struct UnitTree {
    /// Each known unit with the unit that it is in, if that has been walked.
    parents: BTreeMap<OrganizationalUnitId, Option<OrganizationalUnitId>>,
    /// Each account with the unit that it is directly in.
    accounts: BTreeMap<AccountId, OrganizationalUnitId>,
}

impl UnitTree {
    /// Lists the accounts and the units in `units` and in all units below them, except in those
    /// that are already known. Passes all accounts to `handle`, active or not.
    ///
    /// # Errors
    /// A unit could not be listed completely, or the organization exceeds a limit.
    pub(super) async fn walk(
        &mut self,
        client: &Client,
        units: &[OrganizationalUnitId],
        mut handle: impl FnMut(Vec<AwsAccount>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        // Units are visited once, even if one of `units` contains another.
        let new = units.iter().filter(|unit| !self.parents.contains_key(*unit));
        let new: BTreeSet<OrganizationalUnitId> = new.cloned().collect();
        self.parents.extend(new.iter().map(|unit| (unit.clone(), None)));
        // Each unit with its depth below one of `units`.
        let mut to_visit: Vec<(OrganizationalUnitId, usize)> =
            new.into_iter().map(|unit| (unit, 0)).collect();
        while let Some((unit, depth)) = to_visit.pop() {
            // The message names the unit, because the most likely cause is a unit in the configuration
            // that does not exist.
            let in_unit = |failure: Failure| failure.in_context(unit.as_str());
            let pages = client.list_accounts_for_parent().parent_id(unit.as_str()).into_paginator().send();
            for_each_page(pages, |page| {
                check_token(page.next_token.as_deref())?;
                let accounts = page.accounts.unwrap_or_default();
                self.add_accounts(&unit, &accounts)?;
                handle(accounts)
            })
            .await
            .map_err(in_unit)?;
            let request = client.list_organizational_units_for_parent().parent_id(unit.as_str());
            for_each_page(request.into_paginator().send(), |page| {
                check_token(page.next_token.as_deref())?;
                for child in page.organizational_units.unwrap_or_default() {
                    let child = unit_id(child)?;
                    if self.add_child(&unit, &child) {
                        let number = self.parents.len();
                        limits::check_number("organizational units in the organization", number, MAX_UNITS)?;
                        limits::check_number("levels of organizational units", depth + 1, MAX_UNIT_DEPTH)?;
                        to_visit.push((child, depth + 1));
                    }
                }
                Ok(())
            })
            .await
            .map_err(in_unit)?;
        }
        Ok(())
    }

    /// Which of `named` contain each account, directly or through units in between. Accounts that
    /// are in none of them are left out.
    pub(super) fn units_of_accounts<'a>(
        &self,
        named: impl Iterator<Item = &'a OrganizationalUnitId>,
    ) -> AccountUnits {
        let named: BTreeSet<&OrganizationalUnitId> = named.collect();
        // A unit holds many accounts, so its ancestors are looked up once.
        let containing: BTreeMap<&OrganizationalUnitId, Vec<OrganizationalUnitId>> = self
            .parents
            .keys()
            .map(|unit| (unit, self.with_ancestors(unit).filter(|unit| named.contains(unit))))
            .map(|(unit, containing)| (unit, containing.cloned().collect::<BTreeSet<_>>()))
            .map(|(unit, containing)| (unit, containing.into_iter().collect()))
            .collect();
        let accounts = self.accounts.iter().filter_map(|(account, unit)| {
            let units = containing.get(unit).filter(|units| !units.is_empty())?;
            Some((account.clone(), units.clone()))
        });
        accounts.collect()
    }

    fn with_ancestors<'a>(
        &'a self,
        unit: &'a OrganizationalUnitId,
    ) -> impl Iterator<Item = &'a OrganizationalUnitId> {
        // The limit ends cycles, which only a response that is not from AWS can contain.
        iter::successors(Some(unit), |unit| self.parents.get(*unit)?.as_ref()).take(MAX_UNIT_DEPTH + 1)
    }

    fn add_accounts(&mut self, unit: &OrganizationalUnitId, accounts: &[AwsAccount]) -> Result<(), Failure> {
        // An account without a valid id cannot be polled, so its units do not matter.
        let ids = accounts.iter().filter_map(|account| account.id()?.parse::<AccountId>().ok());
        for id in ids {
            self.accounts.insert(id, unit.clone());
            limits::check_number("accounts in the organization", self.accounts.len(), MAX_ACCOUNTS)?;
        }
        Ok(())
    }

    /// Records that `child` is in `unit`. Returns whether `child` was unknown.
    fn add_child(&mut self, unit: &OrganizationalUnitId, child: &OrganizationalUnitId) -> bool {
        match self.parents.entry(child.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(Some(unit.clone()));
                true
            }
            Entry::Occupied(mut entry) => {
                entry.get_mut().get_or_insert_with(|| unit.clone());
                false
            }
        }
    }
}

fn unit_id(unit: OrganizationalUnit) -> Result<OrganizationalUnitId, Failure> {
    let id = unit.id.unwrap_or_default();
    limits::check_text("the id of an organizational unit", &id)?;
    id.parse().map_err(|error| Failure::new(Reason::InvalidResponse, format!("{error}")))
}
