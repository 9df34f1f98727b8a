//! Ensures that no two targets serve the same series.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::Slot;
use crate::fleet::{AccountId, RegionName, Target, TargetKey};
use crate::model::{Failure, Reason};

/// Which target owns the series of each account and region.
///
/// A target without a configured account id learns the id from its credentials. The id may
/// turn out to be that of another target in the same region. If both were served, the
/// exposition would contain duplicate series.
#[derive(Debug, Default)]
pub(super) struct SeriesOwners(HashMap<(AccountId, RegionName), TargetKey>);

impl SeriesOwners {
    /// Determines the owners among the targets of `slots`. Targets with a configured id
    /// take precedence over targets that have learned theirs, and earlier targets over
    /// later ones. A target that owns no series loses its learned id and its syncs.
    pub(super) fn of(slots: &[Arc<Slot>]) -> Self {
        let mut owners = HashMap::new();
        for slot in slots {
            let target = slot.target();
            if let Some(id) = &target.account.id {
                owners.insert((id.clone(), target.region.clone()), target.key());
            }
        }
        for slot in slots.iter().filter(|slot| slot.target().account.id.is_none()) {
            let (target, state) = (slot.target(), slot.state());
            let Some(learned) = &state.account else { continue };
            match owners.entry((learned.clone(), target.region.clone())) {
                Entry::Vacant(entry) => {
                    entry.insert(target.key());
                }
                Entry::Occupied(_) => {
                    slot.set_state(state.without_account());
                }
            }
        }
        Self(owners)
    }

    /// Makes `target` the owner of the series of `account` in its region.
    ///
    /// # Errors
    /// Another target owns the series.
    pub(super) fn claim(&mut self, account: &AccountId, target: &Target) -> Result<(), Failure> {
        match self.0.entry((account.clone(), target.region.clone())) {
            Entry::Vacant(entry) => {
                entry.insert(target.key());
                Ok(())
            }
            Entry::Occupied(entry) if *entry.get() == target.key() => Ok(()),
            Entry::Occupied(_) => {
                let region = &target.region;
                Err(Failure::new(
                    Reason::Credentials,
                    format!(
                        "the credentials belong to account {account}, which another entry of the configuration polls in {region}"
                    ),
                ))
            }
        }
    }
}
