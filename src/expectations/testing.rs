//! Targets, syncs and expectations for tests.

use std::sync::Arc;

use super::described_sync::{Place, place};
use super::{
    AccountScope, Expectation, ExpectedFlag, ExpectedSet, ExpectedSync, ExpectedText, Field,
    GeneratedExpectation, ObservedTarget, Presence, TextPattern,
};
use crate::fleet::{Account, AccountEntry, AccountId, RegionOrPattern, Target, TargetSelector};
use crate::model::{DataSync, Destination, SharingType, SyncType};

pub(super) fn target(account: &str, region: &str) -> Target {
    let account = Account { id: Some(account.parse().unwrap()), ..Account::default() };
    Target { account: Arc::new(account), region: region.parse().unwrap() }
}

/// A target that was collected.
pub(super) fn observed<'a>(target: &'a Target, syncs: &'a [DataSync]) -> ObservedTarget<'a> {
    let account_id = target.account.id.as_ref();
    ObservedTarget { target, account_id, syncs: Some(syncs), has_unreadable_syncs: false }
}

/// A sync without other fields.
pub(super) fn sync(sync_type: SyncType, name: &str) -> DataSync {
    DataSync::new(sync_type, name.to_owned())
}

pub(super) fn bucket_sync(name: &str, bucket: &str) -> DataSync {
    let destination = Destination { bucket_name: Some(bucket.to_owned()), ..Destination::default() };
    DataSync { destination: Some(destination), ..sync(SyncType::ToDestination, name) }
}

/// A text that matches this pattern.
pub(super) fn text(pattern: &str) -> ExpectedText {
    ExpectedText::AnyOf(vec![TextPattern::parse(pattern).unwrap()])
}

/// A generated expectation as it would be read from the configuration.
pub(super) fn read(generated: &GeneratedExpectation) -> Expectation {
    let excluded = |id: &AccountId| format!("!{id}");
    let accounts: Vec<String> = match &generated.accounts {
        AccountScope::All => Vec::new(),
        AccountScope::Only(ids) => ids.iter().map(ToString::to_string).collect(),
        AccountScope::AllBut(ids) => ids.iter().map(excluded).collect(),
    };
    let targets = TargetSelector {
        accounts: accounts.iter().map(|entry| entry.parse::<AccountEntry>().unwrap()).collect(),
        organizational_units: Vec::new(),
        regions: generated.regions.iter().cloned().map(RegionOrPattern::Region).collect(),
    };
    Expectation {
        name: generated.name.clone(),
        targets,
        ..expectation(generated.presence, generated.request.clone())
    }
}

/// An expectation about every target.
pub(super) fn expectation(presence: Presence, request: ExpectedSync) -> Expectation {
    Expectation {
        name: "expectation".to_owned(),
        targets: TargetSelector::default(),
        managed_by: Vec::new(),
        presence,
        request,
    }
}

/// The fields that are compared.
pub(super) fn compared_fields() -> impl Iterator<Item = Field> {
    Field::ALL.iter().copied().filter(|field| field.request_parameter().is_some())
}

/// Two values of a field: texts as they are, lists with spaces in between.
pub(super) fn two_values(field: Field) -> [&'static str; 2] {
    match field {
        Field::OrganizationalUnits | Field::SourceRegions => ["a b", "b c"],
        Field::IncludeFutureRegions | Field::EnableAllOpsDataSources => ["true", "false"],
        _ => ["a", "b"],
    }
}

/// Sets or removes what AWS reports for a field.
pub(super) fn set(sync: &mut DataSync, field: Field, value: Option<&str>) {
    let items = |value: &str| value.split_whitespace().map(ToOwned::to_owned).collect();
    match place(sync, field).expect("not a field of a sync") {
        Place::Text(text) => *text = value.map(ToOwned::to_owned),
        Place::Sharing(sharing) => *sharing = value.map(SharingType::from),
        Place::List(list) => *list = value.map(items),
        Place::Flag(flag) => *flag = value.map(|value| value.parse().unwrap_or_default()),
    }
}

/// Expects this value of a field, or its absence.
pub(super) fn expect(request: &mut ExpectedSync, field: Field, value: Option<&str>) {
    let expected_text = Some(value.map_or(ExpectedText::Absent, text));
    let expected_set = Some(value.map_or(ExpectedSet::Absent, |value| {
        ExpectedSet::Exactly(value.split_whitespace().map(|item| TextPattern::parse(item).unwrap()).collect())
    }));
    let expected_flag =
        Some(value.map_or(ExpectedFlag::Absent, |value| ExpectedFlag::Is(value.parse().unwrap_or_default())));
    match field {
        Field::Presence | Field::Forbidden => panic!("not a field of a sync"),
        Field::BucketName => request.bucket_name = expected_text,
        Field::BucketPrefix => request.bucket_prefix = expected_text,
        Field::BucketRegion => request.bucket_region = expected_text,
        Field::SyncFormat => request.sync_format = expected_text,
        Field::KmsKeyArn => request.kms_key_arn = expected_text,
        Field::SharingType => request.sharing_type = expected_text,
        Field::SourceType => request.source_type = expected_text,
        Field::OrganizationSourceType => request.organization_source_type = expected_text,
        Field::OrganizationalUnits => request.organizational_units = expected_set,
        Field::SourceRegions => request.source_regions = expected_set,
        Field::IncludeFutureRegions => request.include_future_regions = expected_flag,
        Field::EnableAllOpsDataSources => request.enable_all_ops_data_sources = expected_flag,
    }
}
