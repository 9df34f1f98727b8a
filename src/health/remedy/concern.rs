//! What to do about quotas that are used up, about a sync that the unified console needs, and about
//! settings that may cost more than expected.

use std::collections::BTreeMap;

use super::command::Command;
use super::sync::update;
use super::{Advice, Detail, SyncInTarget, account_of};
use crate::health::{Alert, AssessedTarget, Concern, ConcernKind};
use crate::model::{DataSync, ManagedBy, SyncType};

const EXPLORER_COSTS: &str = "https://docs.aws.amazon.com/systems-manager/latest/userguide/Explorer-resource-data-sync-multiple-accounts-and-regions.html";

const LIST_NODES: &str = "https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ListNodes.html";

/// What to do about a concern about `target`.
pub(crate) fn for_concern(target: &AssessedTarget, concern: &Concern) -> Advice {
    let alert = Alert::of_concern(concern.kind);
    let (used, limit) = concern.quota.unwrap_or_default();
    let sync_type = concern.sync_type.as_str();
    let of_quota = |remedy| {
        let title = format!("{used} of {limit} syncs of the type {sync_type} exist");
        quota(target, &concern.sync_type, Advice::new(title, remedy, alert))
    };
    match concern.kind {
        ConcernKind::QuotaUsed => of_quota(
            "No further sync of this type can be created in this account and region, so a rollout fails here. Delete syncs \
             that are no longer needed, or ask AWS Support for a higher quota.",
        ),
        ConcernKind::QuotaNearlyUsed => of_quota(
            "Few further syncs of this type can be created in this account and region. Delete syncs that are no longer needed \
             before the next rollout.",
        ),
        ConcernKind::InspectorSyncBlocked => {
            let remedy = "Amazon Inspector needs a sync of its own to scan instances through SSM Agent, and cannot create it \
                          while the quota is used up. Make room for it if Inspector is, or will be, active in this account.";
            let advice = Advice::new("No room for the sync of Amazon Inspector", remedy, alert);
            let advice = advice.command(
                "Show whether Inspector is active in the account.",
                Command::new("aws inspector2 batch-get-account-status")
                    .option("--region", target.target().region.as_str())
                    .option("--account-ids", &account_of(target)),
            );
            quota(target, &concern.sync_type, advice)
        }
        ConcernKind::UnifiedConsoleSyncMissing => {
            let remedy = "There are managed nodes in this account and region. The unified console of Systems Manager needs this \
                          sync to list the nodes of several accounts and regions together. Set up the console in this account \
                          and region, or change the expectation if the sync is not needed here.";
            let advice = Advice::new("The sync of the unified console is missing", remedy, alert);
            let advice = Advice { source: Some(LIST_NODES), ..advice };
            advice
                .step("Quick Setup creates the sync `AWS-QuickSetup-ManagedNode`. Do not create it yourself.")
        }
        ConcernKind::AllOpsDataSources => cost(
            target,
            concern,
            "All OpsData sources are enabled in the accounts of the organization",
            "AWS charges for OpsData. If Explorer does not need all sources in all of these accounts, update the sync without \
             `EnableAllOpsDataSources`. The sources that it has enabled stay enabled until they are disabled in Explorer.",
        ),
        ConcernKind::FutureRegions => cost(
            target,
            concern,
            "Regions that AWS opens later are included for the organization",
            "AWS charges for OpsData. If new regions should not be included by themselves, update the sync without \
             `IncludeFutureRegions`.",
        ),
    }
}

/// The syncs that use the quota, by owner, and how to raise the quota.
fn quota(target: &AssessedTarget, sync_type: &SyncType, mut advice: Advice) -> Advice {
    let mut by_owner: BTreeMap<&str, (ManagedBy, Vec<String>)> = BTreeMap::new();
    for sync in target.syncs().map(|sync| sync.sync).filter(|sync| sync.sync_type == *sync_type) {
        let owner = sync.managed_by();
        let (_, names) = by_owner.entry(owner.as_str()).or_insert_with(|| (owner, Vec::new()));
        names.push(description(sync));
    }
    for (owner, names) in by_owner.into_values() {
        advice = advice.detail(owner_text(owner), Detail::List(names));
    }
    advice
        .command(
            "Show the quotas of Systems Manager for resource data syncs.",
            Command::new("aws service-quotas list-service-quotas --service-code ssm")
                .option("--region", target.target().region.as_str())
                .and("--query \"Quotas[?contains(QuotaName, 'data sync')].[QuotaName, Value, Adjustable]\" --output table"),
        )
        .step("After AWS has raised the quota, set `quota` in the configuration of the exporter.")
}

/// The name of the sync, and where it writes to.
fn description(sync: &DataSync) -> String {
    match sync.destination.as_ref().and_then(|destination| destination.bucket_name.as_deref()) {
        Some(bucket) => format!("{} (bucket {bucket})", sync.name),
        None => sync.name.clone(),
    }
}

fn owner_text(owner: ManagedBy) -> &'static str {
    match owner {
        ManagedBy::Customer => {
            "Your own syncs. Leftovers of former tools are common, and several readers can share one bucket."
        }
        ManagedBy::Inspector => "The sync of Amazon Inspector. Do not delete it.",
        ManagedBy::LicenseManager => {
            "Syncs of License Manager, for cross-account discovery. Disable that feature there if it is unused."
        }
        ManagedBy::QuickSetup => {
            "Syncs that Quick Setup created for Explorer. Remove them in Quick Setup if they are unused."
        }
    }
}

fn cost(target: &AssessedTarget, concern: &Concern, title: &'static str, remedy: &'static str) -> Advice {
    let advice = Advice::new(title, remedy, Alert::of_concern(concern.kind));
    let advice = Advice { source: Some(EXPLORER_COSTS), ..advice };
    let Some(sync) = concern.sync.and_then(|index| target.syncs().nth(index)) else { return advice };
    let context = SyncInTarget { target, sync: sync.sync };
    if context.sync.managed_by() == ManagedBy::QuickSetup {
        return advice.step("Quick Setup owns this sync: change its settings only in Quick Setup.");
    }
    update(context, advice, "Update the sync. All other settings stay as they are.", |source| {
        match concern.kind {
            ConcernKind::FutureRegions => source.include_future_regions = Some(false),
            _ => source.enable_all_ops_data_sources = Some(false),
        }
    })
}
