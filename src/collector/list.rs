//! Lists the syncs of a target: both types, all pages.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::Builder;
use aws_sdk_ssm::error::SdkError;
use aws_sdk_ssm::operation::list_resource_data_sync::ListResourceDataSyncError;
use serde_json::value::RawValue;

use super::call_failure::call_failure;
use super::item::{self, ItemError, ListedSync};
use super::page::{SyncPage, TakePage};
use crate::aws::{CachedCredentials, ObserveRequests, Session};
use crate::fleet::{Target, stable_hash};
use crate::model::limits::{self, MAX_PAGES, MAX_SOURCE_ITEMS_OF_TARGET, MAX_SYNCS};
use crate::model::{DataSync, Failure, Reason, SyncType};
use crate::snapshot::InvalidItems;

/// The largest page size that AWS allows.
const PAGE_SIZE: i32 = 50;

type ListError = SdkError<ListResourceDataSyncError>;

/// Lists the syncs of each type with separate calls, because it is not documented what a
/// call without a type returns.
pub(super) async fn list(
    session: &Session,
    credentials: &Arc<CachedCredentials>,
    target: &Target,
) -> Result<SyncList, Failure> {
    let client = session.ssm_client(credentials);
    let config = session
        .ssm_region_config(&target.region)
        .interceptor(ObserveRequests::new(&session.observer).with_error::<ListResourceDataSyncError>());

    let mut list = ListBuilder::default();
    for sync_type in SyncType::KNOWN {
        match list_type(&client, &config, sync_type, &mut list).await {
            Ok(()) => {}
            Err(ListTypeError::Call(error)) => {
                return Err(call_failure(&*error, session, target, credentials).await);
            }
            Err(ListTypeError::Response(failure)) => return Err(failure),
        }
        list.end_of_type();
    }
    credentials.mark_accepted_in(&target.region);
    session.credentials.record_acceptance(credentials);
    Ok(list.finish())
}

/// The syncs of a target, and the items that could not be read.
#[derive(Debug)]
pub(super) struct SyncList {
    pub(super) syncs: Vec<DataSync>,
    pub(super) invalid_items: Option<InvalidItems>,
}

/// Collects the items of all pages. An item counts once, even if the list changes between two pages,
/// or if a response contains syncs of the other type as well: some substitutes for AWS ignore the
/// type in the request.
#[derive(Debug, Default)]
struct ListBuilder {
    syncs: BTreeMap<(SyncType, String), DataSync>,
    /// The number of regions and organizational units in the sources of `syncs`.
    source_items: usize,
    /// The names of the syncs whose type was assumed, in the lists of earlier types.
    earlier_assumed: HashSet<String>,
    /// The same, in the list of the current type.
    assumed: HashSet<String>,
    /// How often each invalid item occurred in the list of the current type. The items are
    /// represented by hashes, because they can be long.
    invalid: HashMap<u64, u64>,
    /// The maximum of `invalid` in the lists of earlier types.
    earlier_invalid: HashMap<u64, u64>,
    /// What is wrong with the first invalid item.
    example: Option<&'static str>,
}

impl ListBuilder {
    /// Adds an item of a list that was requested for `requested_type`.
    ///
    /// # Errors
    /// A limit is exceeded.
    fn add(&mut self, item: &RawValue, requested_type: &SyncType) -> Result<(), Failure> {
        match item::read(item, requested_type) {
            Ok(ListedSync { sync, is_type_assumed }) => {
                if is_type_assumed {
                    if self.earlier_assumed.contains(&sync.name) {
                        return Ok(());
                    }
                    self.assumed.insert(sync.name.clone());
                }
                self.source_items += source_items(&sync);
                if let Some(replaced) = self.syncs.insert((sync.sync_type.clone(), sync.name.clone()), sync) {
                    self.source_items -= source_items(&replaced);
                }
                limits::check_number("syncs in the target", self.syncs.len(), MAX_SYNCS)?;
                let what = "regions and organizational units in the sources of the target's syncs";
                limits::check_number(what, self.source_items, MAX_SOURCE_ITEMS_OF_TARGET)
            }
            Err(ItemError::Invalid(problem)) => {
                *self.invalid.entry(stable_hash(&[item.get()])).or_default() += 1;
                self.example.get_or_insert(problem);
                limits::check_number("unreadable syncs in the target", self.invalid.len(), MAX_SYNCS)
            }
            Err(ItemError::Limit(failure)) => Err(failure),
        }
    }

    /// Ends the list of a type.
    fn end_of_type(&mut self) {
        self.earlier_assumed.extend(self.assumed.drain());
        for (item, number) in self.invalid.drain() {
            let earlier = self.earlier_invalid.entry(item).or_default();
            *earlier = number.max(*earlier);
        }
    }

    fn finish(self) -> SyncList {
        let number = self.earlier_invalid.into_values().sum();
        let invalid_items = self.example.map(|example| InvalidItems { number, example: example.to_owned() });
        SyncList { syncs: self.syncs.into_values().collect(), invalid_items }
    }
}

/// The number of regions and organizational units in the source of a sync.
fn source_items(sync: &DataSync) -> usize {
    let source = sync.source.as_ref();
    let lists = source.map(|source| [&source.regions, &source.organizational_units]);
    lists.into_iter().flatten().flatten().map(Vec::len).sum()
}

/// Why the syncs of a type could not be listed.
enum ListTypeError {
    /// The call failed.
    Call(Box<ListError>),
    /// The response is not usable.
    Response(Failure),
}

impl From<Failure> for ListTypeError {
    fn from(failure: Failure) -> Self {
        Self::Response(failure)
    }
}

async fn list_type(
    client: &Client,
    config: &Builder,
    sync_type: &SyncType,
    list: &mut ListBuilder,
) -> Result<(), ListTypeError> {
    let take_page = TakePage::<SyncPage>::default();
    let mut seen_tokens = HashSet::new();
    let mut token = None;
    for _ in 0..MAX_PAGES {
        client
            .list_resource_data_sync()
            .sync_type(sync_type.as_str())
            .max_results(PAGE_SIZE)
            .set_next_token(token)
            .customize()
            .config_override(config.clone())
            .interceptor(take_page.clone())
            .send()
            .await
            .map_err(|error| ListTypeError::Call(Box::new(error)))?;
        let Some(page) = take_page.take() else {
            let message =
                format!("the response to ListResourceDataSync for {sync_type} has no list of syncs");
            return Err(Failure::new(Reason::InvalidResponse, message).into());
        };
        let in_response = |failure: Failure| {
            failure.in_context(&format!("the response to ListResourceDataSync for {sync_type}"))
        };
        for item in page.items {
            list.add(&item, sync_type).map_err(in_response)?;
        }
        limits::check_text("the page token", page.next_token.as_deref().unwrap_or_default())
            .map_err(in_response)?;
        match page.next_token.filter(|token| !token.is_empty()) {
            None => return Ok(()),
            Some(next) if !seen_tokens.insert(next.clone()) => {
                let message =
                    format!("ListResourceDataSync for {sync_type} returned the same page token twice");
                return Err(Failure::new(Reason::Pagination, message).into());
            }
            next => token = next,
        }
    }
    let message = format!("ListResourceDataSync for {sync_type} did not end within {MAX_PAGES} pages");
    Err(Failure::new(Reason::Pagination, message).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists the syncs of a target whose two lists have these items.
    fn listed(to_destination: &[&str], from_source: &[&str]) -> SyncList {
        let mut list = ListBuilder::default();
        for (sync_type, items) in SyncType::KNOWN.iter().zip([to_destination, from_source]) {
            for item in items {
                list.add(&RawValue::from_string((*item).to_owned()).unwrap(), sync_type).unwrap();
            }
            list.end_of_type();
        }
        list.finish()
    }

    fn keys(list: &SyncList) -> Vec<(&str, &str)> {
        list.syncs.iter().map(|sync| (sync.sync_type.as_str(), sync.name.as_str())).collect()
    }

    #[test]
    fn an_item_in_the_answers_to_both_questions_counts_once() {
        // Regression: public emulators ignore the type in the request, and each sync without a type was
        // counted as one of each type.
        let items = [
            r#"{"SyncName": "bucket", "S3Destination": {"BucketName": "b"}}"#,
            r#"{"SyncName": "explorer", "SyncSource": {"SourceType": "x"}}"#,
            r#"{"SyncName": "typed", "SyncType": "SyncFromSource"}"#,
            r#"{"SyncName": "bare"}"#,
        ];
        let list = listed(&items, &items);
        assert_eq!(
            keys(&list),
            [
                ("SyncToDestination", "bare"),
                ("SyncToDestination", "bucket"),
                ("SyncFromSource", "explorer"),
                ("SyncFromSource", "typed"),
            ]
        );
        assert_eq!(list.invalid_items, None);
    }

    #[test]
    fn syncs_of_the_same_name_and_different_types_are_two() {
        let list = listed(&[r#"{"SyncName": "a", "S3Destination": {}}"#], &[r#"{"SyncName": "a"}"#]);
        assert_eq!(keys(&list), [("SyncToDestination", "a"), ("SyncFromSource", "a")]);
    }

    #[test]
    fn items_that_cannot_be_read_are_counted_once_and_hide_no_others() {
        let items = ["null", r#"{"SyncName": "a"}"#, "null", r#"{"SyncName": 5}"#];
        let expected = Some(InvalidItems { number: 3, example: "a sync is not a JSON object".to_owned() });
        for other_type in [&items[..], &[], &items[..1]] {
            let list = listed(&items, other_type);
            assert_eq!(keys(&list), [("SyncToDestination", "a")]);
            assert_eq!(list.invalid_items, expected);
        }
        let list = listed(&items[..1], &items[3..]);
        assert_eq!(list.invalid_items.unwrap().number, 2);
    }

    #[test]
    fn the_number_of_regions_and_units_of_all_syncs_together_is_limited() {
        // Each is a series, and all series of a sync have its name, which may be long.
        let mut list = ListBuilder::default();
        let mut add = |number: usize| {
            let regions: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
            let item = serde_json::json!({"SyncName": format!("{number}"), "SyncSource": {"SourceRegions": regions}});
            list.add(&RawValue::from_string(item.to_string()).unwrap(), &SyncType::FromSource)
        };
        assert!((0..10).all(|number| add(number).is_ok()));
        assert_eq!(add(9), Ok(()), "a sync that is listed twice counts once");
        assert_eq!(
            add(10).unwrap_err().message,
            "there are more than 10000 regions and organizational units in the sources of the target's syncs, the limit of the exporter"
        );
    }

    #[test]
    fn the_number_of_different_items_that_cannot_be_read_is_limited() {
        let mut list = ListBuilder::default();
        let mut add = |number: usize| {
            let item = RawValue::from_string(number.to_string()).unwrap();
            list.add(&item, &SyncType::ToDestination)
        };
        assert!((0..MAX_SYNCS).all(|number| add(number).is_ok()));
        let message = add(MAX_SYNCS).unwrap_err().message;
        assert_eq!(
            message,
            "there are more than 2000 unreadable syncs in the target, the limit of the exporter"
        );
    }
}
