//! Which sync the URL of the page about one sync names, and the sync itself. This module does not
//! know HTML.

use std::cmp::Reverse;

use super::sync_link::sync_link;
use crate::fleet::RegionName;
use crate::health::{AssessedSync, AssessedTarget, Concern, HealthPolicy, LimitOrigins};
use crate::model::{DataSync, UnixSeconds};
use crate::snapshot::{Store, TargetView};

/// The parameters of the URL, all required.
const PARAMETERS: [&str; 4] = ["account", "region", "type", "name"];

/// The maximum length of names that are compared for their similarity, in bytes. The names of syncs
/// have at most 64 characters.
const MAX_COMPARED: usize = 256;

/// From this similarity on, a name counts as similar.
const MIN_SIMILARITY: f64 = 0.8;

/// The maximum number of similar syncs that are suggested.
const MAX_SUGGESTIONS: usize = 8;

/// The labels of a sync, exactly as in the metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SyncKey {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) sync_type: String,
    pub(super) name: String,
}

/// A sync that was found.
#[derive(Debug)]
pub(super) struct FoundSync {
    pub(super) target: AssessedTarget,
    /// Among the syncs of the target.
    pub(super) index: usize,
    pub(super) limit_origins: LimitOrigins,
}

/// What there is instead of a sync that was not found.
#[derive(Debug)]
pub(super) struct MissingSync {
    /// The target that the key names, if it is polled.
    pub(super) target: Option<AssessedTarget>,
    /// The regions in which the account is polled.
    pub(super) regions: Vec<RegionName>,
    /// Syncs that the reader may have meant, best first.
    pub(super) similar: Vec<Suggestion>,
}

/// A sync that the reader may have meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suggestion {
    pub(super) account: String,
    pub(super) region: RegionName,
    pub(super) sync_type: String,
    pub(super) name: String,
    /// The URL of the page about the sync.
    pub(super) link: String,
}

impl SyncKey {
    /// # Errors
    /// What is wrong with the parameters, as sentences.
    pub(super) fn parse(query: &str) -> Result<Self, Vec<String>> {
        let mut values: [Option<String>; PARAMETERS.len()] = Default::default();
        let mut problems = Vec::new();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            // Other parameters are ignored: proxies and mail programs append their own.
            let Some(index) = PARAMETERS.iter().position(|name| *name == key) else { continue };
            if values[index].replace(value.into_owned()).is_some() {
                problems.push(format!("The parameter `{}` occurs more than once.", PARAMETERS[index]));
            }
        }
        problems.dedup();
        for (name, value) in PARAMETERS.iter().zip(&values) {
            if value.as_ref().is_none_or(String::is_empty) {
                problems.push(format!("The parameter `{name}` is missing."));
            }
        }
        match (values, problems.is_empty()) {
            ([Some(account), Some(region), Some(sync_type), Some(name)], true) => {
                Ok(Self { account, region, sync_type, name })
            }
            _ => Err(problems),
        }
    }

    fn is_target(&self, view: &TargetView) -> bool {
        view.target().region.as_str() == self.region && view.display_id() == self.account
    }

    /// Looks the sync up.
    ///
    /// # Errors
    /// There is no such sync.
    pub(super) fn look_up(
        &self,
        store: &Store,
        policy: &HealthPolicy,
        now: UnixSeconds,
    ) -> Result<FoundSync, Box<MissingSync>> {
        let slots = store.slots();
        // The region is compared first, because it takes no allocation.
        let in_region = slots.iter().filter(|slot| slot.target().region.as_str() == self.region);
        let view = in_region.map(|slot| store.view(slot, now)).find(|view| self.is_target(view));
        let target = view.map(|view| AssessedTarget::new(view, policy, now));
        let index = target.as_ref().and_then(|target| target.syncs().position(|sync| self.is(sync.sync)));
        match (target, index) {
            (Some(target), Some(index)) => {
                let limit_origins = match target.sync(index) {
                    Some(found) => {
                        policy.limit_origins(target.target(), target.state().account.as_ref(), found.sync)
                    }
                    None => LimitOrigins::default(),
                };
                Ok(FoundSync { target, index, limit_origins })
            }
            (target, _) => Err(Box::new(self.missing(store, target, now))),
        }
    }

    fn is(&self, sync: &DataSync) -> bool {
        sync.name == self.name && sync.sync_type.as_str() == self.sync_type
    }

    fn missing(&self, store: &Store, target: Option<AssessedTarget>, now: UnixSeconds) -> MissingSync {
        let mut regions = Vec::new();
        let mut similar: Vec<(u32, Suggestion)> = Vec::new();
        for slot in store.slots().iter() {
            let view = store.view(slot, now);
            let account = view.display_id();
            let is_account = account == self.account;
            let region = &view.target().region;
            if is_account {
                regions.push(region.clone());
            }
            for sync in view.syncs().unwrap_or_default() {
                let similarity = if sync.name == self.name {
                    1.0
                } else if is_account && sync.name.len().max(self.name.len()) <= MAX_COMPARED {
                    strsim::jaro_winkler(&sync.name, &self.name)
                } else {
                    0.0
                };
                if similarity < MIN_SIMILARITY {
                    continue;
                }
                // Syncs of the account come before those of others, and then those of the region.
                let is_region = region.as_str() == self.region;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "from 800 to 1000"
                )]
                let rank =
                    (similarity * 1000.0) as u32 + 2000 * u32::from(is_account) + 1000 * u32::from(is_region);
                let suggestion = Suggestion {
                    account: account.clone(),
                    region: region.clone(),
                    sync_type: sync.sync_type.as_str().to_owned(),
                    name: sync.name.clone(),
                    link: sync_link(&account, region, sync),
                };
                similar.push((rank, suggestion));
                // Many syncs may have the same name, so the list must not grow with the fleet.
                if similar.len() > 4 * MAX_SUGGESTIONS {
                    best(&mut similar);
                }
            }
        }
        best(&mut similar);
        regions.sort();
        let similar = similar.into_iter().map(|(_, suggestion)| suggestion).collect();
        MissingSync { target, regions, similar }
    }
}

/// Keeps the best suggestions, best first.
fn best(suggestions: &mut Vec<(u32, Suggestion)>) {
    suggestions.sort_by_key(|(rank, _)| Reverse(*rank));
    suggestions.truncate(MAX_SUGGESTIONS);
}

impl FoundSync {
    pub(super) fn sync(&self) -> Option<AssessedSync<'_>> {
        self.target.sync(self.index)
    }

    /// The concerns about the sync, and those about all syncs of its type.
    pub(super) fn concerns(&self) -> Vec<Concern> {
        let Some(AssessedSync { sync, .. }) = self.sync() else { return Vec::new() };
        let mut concerns = self.target.concerns();
        concerns.retain(|concern| concern.is_about(self.index, &sync.sync_type));
        concerns
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, account, failed, store, sync, target};
    use super::*;
    use crate::model::{Reason, SyncType};

    fn key(name: &str) -> SyncKey {
        SyncKey {
            account: "000000000001".to_owned(),
            region: "eu-west-1".to_owned(),
            sync_type: "SyncToDestination".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn the_link_of_any_sync_parses_to_the_same_sync() {
        for name in ["org-inventory", "a&b=c d+e%41#f", "<b>é\u{202e}\n", "?"] {
            let sync_type = SyncType::Unknown("x y".to_owned());
            let wanted = SyncKey {
                sync_type: sync_type.as_str().to_owned(),
                account: "unknown (profile a)".to_owned(),
                ..key(name)
            };
            let sync = DataSync { sync_type, ..sync(name, None) };
            let link = sync_link(&wanted.account, &"eu-west-1".parse().unwrap(), &sync);
            assert_eq!(SyncKey::parse(link.strip_prefix("./sync?").unwrap()), Ok(wanted));
        }
    }

    #[test]
    fn missing_and_repeated_parameters_are_named() {
        let errors = |query| SyncKey::parse(query).unwrap_err().join(" ");
        let all = "account=1&region=r&type=t&name=n";
        assert!(SyncKey::parse(&format!("{all}&utm_source=x&utm_source=y")).is_ok());
        assert_eq!(
            errors("account=1&region=&name=n"),
            "The parameter `region` is missing. The parameter `type` is missing."
        );
        assert_eq!(
            errors(&format!("{all}&name=n&name=m&type=t")),
            "The parameter `name` occurs more than once. The parameter `type` occurs more than once."
        );
        assert_eq!(SyncKey::parse("").unwrap_err().len(), 4);
    }

    /// Two accounts in two regions. The first is down in one of them.
    fn fleet() -> Store {
        let (one, two) = (account(1, None), account(2, None));
        let same = || sync("org-inventory", Some(NOW));
        store(vec![
            (
                target(&one, "eu-west-1"),
                Some(Ok(vec![sync("org-inventory-2", Some(NOW)), sync("other", Some(NOW))])),
            ),
            (target(&one, "us-east-1"), Some(Ok(vec![same()]))),
            (target(&one, "sa-east-1"), Some(Err(failed(Reason::Timeout)))),
            (target(&two, "eu-west-1"), Some(Ok(vec![same()]))),
        ])
    }

    #[test]
    fn a_sync_is_found_by_its_exact_labels() {
        let store = fleet();
        let look_up = |key: &SyncKey| key.look_up(&store, &HealthPolicy::default(), NOW);
        let found = look_up(&key("other")).unwrap();
        assert_eq!(found.sync().unwrap().sync.name, "other");
        for key in [
            key("Other"),
            SyncKey { account: "1".to_owned(), ..key("other") },
            SyncKey { region: "eu-west".to_owned(), ..key("other") },
            SyncKey { sync_type: "SyncFromSource".to_owned(), ..key("other") },
        ] {
            assert!(look_up(&key).is_err(), "{key:?}");
        }
    }

    #[test]
    fn similar_syncs_are_suggested_nearest_first() {
        let store = fleet();
        let missing = key("org-inventory").look_up(&store, &HealthPolicy::default(), NOW).unwrap_err();
        assert!(missing.target.is_some());
        assert_eq!(missing.regions.len(), 3);
        let similar: Vec<String> = missing
            .similar
            .iter()
            .map(|found| format!("{} {} {}", &found.account[11..], found.region, found.name))
            .collect();
        assert_eq!(
            similar,
            ["1 eu-west-1 org-inventory-2", "1 us-east-1 org-inventory", "2 eu-west-1 org-inventory"]
        );
        let elsewhere = SyncKey { region: "ap-south-1".to_owned(), ..key("x") };
        let missing = elsewhere.look_up(&store, &HealthPolicy::default(), NOW).unwrap_err();
        assert!(missing.target.is_none() && missing.similar.is_empty());
    }

    #[test]
    fn suggestions_are_few_and_long_names_are_not_compared() {
        let one = account(1, None);
        let many = (0..500).map(|index| sync(&format!("inventory-{index}"), Some(NOW))).collect();
        let store = store(vec![(target(&one, "eu-west-1"), Some(Ok(many)))]);
        let similar =
            |name: &str| key(name).look_up(&store, &HealthPolicy::default(), NOW).unwrap_err().similar.len();
        assert_eq!(similar("inventory"), MAX_SUGGESTIONS);
        assert_eq!(similar(&"inventory-1".repeat(1_000_000)), 0);
    }
}
