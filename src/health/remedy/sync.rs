//! What to do about a sync with a problem.

use super::command::{self, Command};
use super::request::{Request, SyncSource};
use super::{Advice, Detail, SyncInTarget, policy};
use crate::fleet::RegionName;
use crate::health::{Alert, AssessedSync, AssessedTarget, CauseGuide, FailureCause, Health};
use crate::model::{DataSync, ManagedBy, SharingType, SourceState, SyncType};
use crate::snapshot::ManagedNodes;

/// The maximum number of organizational units that commands are shown for.
const MAX_UNIT_COMMANDS: usize = 10;

/// What to do about a sync of `target`. `None` if its health is no [problem](Health::is_problem).
pub(crate) fn for_sync(target: &AssessedTarget, sync: AssessedSync<'_>) -> Option<Advice> {
    let context = SyncInTarget { target, sync: sync.sync };
    Some(match sync.health {
        Health::Failed => for_failure(context, sync.failure_cause()),
        Health::SourceFault => for_source_state(context, sync.sync.source.as_ref()?.state.as_ref()?),
        Health::Stale => for_stale(context),
        Health::Stuck => for_stuck(context),
        _ => return None,
    })
}

fn for_failure(context: SyncInTarget<'_>, cause: FailureCause) -> Advice {
    let advice = Advice::of_cause(CauseGuide::of_failure(cause));
    if let Some(advice) = for_owner(context, &advice) {
        return advice;
    }
    let sharing = context.sync.destination.as_ref().and_then(|destination| destination.sharing.as_ref());
    let shares = sharing == Some(&SharingType::Organization) || cause == FailureCause::OrganizationSharing;
    match cause {
        FailureCause::BucketPolicy => {
            let advice = bucket_policy(context, advice, shares);
            advice.step(
                "If other accounts write to the bucket without failure, compare the conditions of the policy: \
                 `aws:SourceAccount` and `aws:SourceArn` have to include this account.",
            )
        }
        FailureCause::OrganizationSharing => bucket_policy(context, advice, shares),
        FailureCause::BucketMissing => recreate(context, bucket_location(context, advice)),
        FailureCause::KmsKey => key_policy(context, bucket_encryption(context, advice)),
        FailureCause::ObjectLock => recreate(context, object_lock(context, advice)),
        FailureCause::Unknown => {
            let advice = bucket_policy(context, bucket_location(context, advice), shares);
            key_policy(context, bucket_encryption(context, object_lock(context, advice)))
        }
    }
}

/// The advice about a failed sync that an AWS service owns: the service has to repair it.
fn for_owner(context: SyncInTarget<'_>, cause: &Advice) -> Option<Advice> {
    let account = context.account();
    let with_remedy = |remedy| Advice { remedy, ..cause.clone() };
    Some(match context.sync.managed_by() {
        ManagedBy::Customer => return None,
        ManagedBy::Inspector => with_remedy(
            "Amazon Inspector owns this sync and its bucket: do not delete or change it. Check in Inspector whether scanning is \
             active in the account; if it is, contact AWS Support.",
        )
        .command(
            "Show whether Inspector is active in the account.",
            context.regional("aws inspector2 batch-get-account-status").option("--account-ids", &account),
        ),
        ManagedBy::LicenseManager => with_remedy(
            "License Manager owns this sync and recreates it. If the failure persists, check the bucket and cross-account \
             discovery in the License Manager settings.",
        )
        .command(
            "Show the settings of License Manager.",
            context.regional("aws license-manager get-service-settings"),
        ),
        ManagedBy::QuickSetup => with_remedy(
            "Quick Setup owns this sync: repair or recreate it from Quick Setup in Systems Manager.",
        ),
    })
}

/// A command about the bucket of the sync, in the region of the bucket.
fn bucket_command(context: SyncInTarget<'_>, text: &'static str) -> Option<Command> {
    let command = Command::new(text).option("--bucket", context.bucket()?);
    let region = context.sync.destination.as_ref().and_then(|destination| destination.region.as_deref());
    Some(region.into_iter().fold(command, |command, region| command.option("--region", region)))
}

const BUCKET_OWNER: &str = "with credentials of the account that owns the bucket";

fn bucket_policy(context: SyncInTarget<'_>, advice: Advice, shares: bool) -> Advice {
    let (Some(bucket), Some(command)) =
        (context.bucket(), bucket_command(context, "aws s3api get-bucket-policy"))
    else {
        return advice;
    };
    let advice = advice.command(
        format!("Show the bucket policy, {BUCKET_OWNER}."),
        command.and("--query Policy --output text"),
    );
    let policy = policy::of_bucket(context, bucket, shares);
    if shares {
        advice
            .command(
                "Show the id of the organization.",
                Command::new("aws organizations describe-organization --query Organization.Id --output text"),
            )
            .document(
                "The bucket policy needs these statements, with the id of the organization instead of `ORGANIZATION_ID`.",
                &policy,
            )
    } else {
        advice.document(
            "The bucket policy needs these statements. If it has them for other accounts, add this account to their \
             resources and conditions.",
            &policy,
        )
    }
}

fn bucket_location(context: SyncInTarget<'_>, advice: Advice) -> Advice {
    // The command must not name a region, because the bucket may be in another.
    let Some(bucket) = context.bucket() else { return advice };
    advice.command(
        format!("Show the region of the bucket, {BUCKET_OWNER}. `None` means us-east-1."),
        Command::new("aws s3api get-bucket-location --output text").option("--bucket", bucket),
    )
}

fn object_lock(context: SyncInTarget<'_>, advice: Advice) -> Advice {
    let Some(command) = bucket_command(context, "aws s3api get-object-lock-configuration") else {
        return advice;
    };
    advice.command(
        format!("Show Object Lock, {BUCKET_OWNER}. A `Rule` in the answer is a default retention."),
        command,
    )
}

fn bucket_encryption(context: SyncInTarget<'_>, advice: Advice) -> Advice {
    let Some(command) = bucket_command(context, "aws s3api get-bucket-encryption") else { return advice };
    advice.command(
        format!(
            "Show the default encryption of the bucket, {BUCKET_OWNER}. Its key needs the same permission."
        ),
        command,
    )
}

fn key_policy(context: SyncInTarget<'_>, advice: Advice) -> Advice {
    let key = context.sync.destination.as_ref().and_then(|destination| destination.kms_key_arn.as_deref());
    let Some(key) = key else {
        return advice
            .step("AWS reports no KMS key for the sync itself, so only the key of the bucket matters.");
    };
    let in_region_of_key = |text| {
        let command = Command::new(text).option("--key-id", key);
        // arn:PARTITION:kms:REGION:ACCOUNT:key/ID
        match key.split(':').nth(3).and_then(|region| region.parse::<RegionName>().ok()) {
            Some(region) => command.option("--region", region.as_str()),
            None => command,
        }
    };
    advice
        .command(
            "Show whether the key is enabled, with credentials of the account that owns the key.",
            in_region_of_key("aws kms describe-key").and("--query KeyMetadata.KeyState --output text"),
        )
        .command(
            "Show the key policy.",
            in_region_of_key("aws kms get-key-policy --policy-name default --query Policy --output text"),
        )
        .document("The key policy needs this statement.", &policy::of_key(context.region(), key))
}

/// How to delete the sync and create it again with its settings.
fn recreate(context: SyncInTarget<'_>, advice: Advice) -> Advice {
    let text = "Create the sync again. These are its settings as AWS reports them: correct what is wrong before you run the \
                command.";
    recreate_as(context, context.sync, advice, text)
}

/// How to delete the sync and create `wanted` in its place. No advice if not everything is known
/// that is needed to create it, or if an AWS service owns the sync.
pub(super) fn recreate_as(
    context: SyncInTarget<'_>,
    wanted: &DataSync,
    advice: Advice,
    text: &'static str,
) -> Advice {
    let Some(request) = Request::creating(wanted).filter(|_| context.is_customers()) else {
        return advice;
    };
    let to_destination = wanted.sync_type == SyncType::ToDestination;
    let sharing = wanted.destination.as_ref().and_then(|destination| destination.sharing.as_ref());
    let advice = advice.detail("Delete the sync. The data in the bucket stays.", delete_command(context));
    let create = context.regional("aws ssm create-resource-data-sync").input(&request);
    let advice = advice.command(text, create);
    if to_destination && sharing.is_none() {
        return advice.step(
            "AWS does not always report whether a sync shares its data with the organization. If this one does, add \
             `\"DestinationDataSharing\": {\"DestinationDataSharingType\": \"Organization\"}` to `S3Destination`.",
        );
    }
    advice
}

pub(super) fn delete_command(context: SyncInTarget<'_>) -> Detail {
    Command::deleting("aws ssm delete-resource-data-sync")
        .option("--region", context.region().as_str())
        .option("--sync-type", context.sync.sync_type.as_str())
        .option("--sync-name", &context.sync.name)
        .finish()
}

fn for_source_state(context: SyncInTarget<'_>, state: &SourceState) -> Advice {
    let Some(guide) = CauseGuide::of_state(state) else {
        let remedy =
            "This version of the exporter does not know the state: look it up in the AWS documentation.";
        let source = "https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ResourceDataSyncSourceWithState.html";
        let advice = Advice::new("Unknown fault of the source", remedy, Alert::SsmSyncSourceFault);
        return Advice { source: Some(source), ..advice };
    };
    let advice = Advice::of_cause(guide);
    let advice = match state {
        SourceState::OrganizationNotExists => {
            let advice = advice.command(
                "Show the organization of the account.",
                Command::new("aws organizations describe-organization"),
            );
            if context.is_customers() && Request::creating(context.sync).is_some() {
                advice.detail("If the account is to stay outside, delete the sync.", delete_command(context))
            } else {
                advice
            }
        }
        SourceState::NoPermissions => advice
            .command(
                "Show whether the role exists.",
                Command::new("aws iam get-role --role-name AWSServiceRoleForAmazonSSM_AccountDiscovery"),
            )
            .command(
                "Create the role.",
                Command::new(
                    "aws iam create-service-linked-role --aws-service-name accountdiscovery.ssm.amazonaws.com",
                ),
            ),
        SourceState::InvalidOrganizationalUnit => units(context, advice),
        SourceState::TrustedAccessDisabled | SourceState::Unknown(_) => advice
            .command(
                "Show the services with trusted access.",
                Command::new("aws organizations list-aws-service-access-for-organization"),
            )
            .command(
                "Enable trusted access, with credentials of the management account.",
                Command::new("aws organizations enable-aws-service-access --service-principal ssm.amazonaws.com"),
            ),
    };
    match context.sync.managed_by() {
        ManagedBy::QuickSetup => {
            advice.step("Quick Setup owns this sync: change its accounts and units only in Quick Setup.")
        }
        _ => advice,
    }
}

/// How to find the unit that does not exist, and how to update the sync.
fn units(context: SyncInTarget<'_>, advice: Advice) -> Advice {
    let units = context
        .sync
        .source
        .as_ref()
        .and_then(|source| source.organizational_units.as_deref())
        .unwrap_or_default();
    let mut advice = advice;
    for (index, unit) in units.iter().take(MAX_UNIT_COMMANDS).enumerate() {
        let text = if index == 0 {
            "Find the unit that does not exist: for it, the command fails. Use credentials of the management account."
        } else {
            "The next unit:"
        };
        let command = Command::new("aws organizations describe-organizational-unit");
        advice = advice.command(text, command.option("--organizational-unit-id", unit));
    }
    if units.len() > MAX_UNIT_COMMANDS {
        advice =
            advice.step(format!("{} further units are not shown here.", units.len() - MAX_UNIT_COMMANDS));
    }
    update(
        context,
        advice,
        "Update the sync. Remove the unit that does not exist before you run the command.",
        |_| (),
    )
}

/// How to update a sync from a source. No advice if AWS did not report all that is needed, or if an
/// AWS service owns the sync.
pub(super) fn update<'a>(
    context: SyncInTarget<'a>,
    advice: Advice,
    text: &'static str,
    change: impl FnOnce(&mut SyncSource<'a>),
) -> Advice {
    match Request::updating(context.sync, change).filter(|_| context.is_customers()) {
        Some(request) => {
            advice.command(text, context.regional("aws ssm update-resource-data-sync").input(&request))
        }
        None => advice,
    }
}

/// A sync copies data only when inventory is collected from managed nodes, so a stale sync
/// in an account without managed nodes is not necessarily broken. The License Manager user
/// guide says that License Manager recreates its syncs.
fn for_stale(context: SyncInTarget<'_>) -> Advice {
    let with_remedy = |remedy| Advice::new("No success within the limit", remedy, Alert::SsmSyncStale);
    if context.sync.sync_type == SyncType::FromSource {
        let advice = with_remedy(
            "Check in Systems Manager Explorer whether data still arrives from the sources, and whether Explorer's roles still \
             exist and its trusted access is still enabled.",
        );
        return advice
            .command(
                "Show whether the role exists.",
                Command::new("aws iam get-role --role-name AWSServiceRoleForAmazonSSM_AccountDiscovery"),
            )
            .command(
                "Show the services with trusted access, with credentials of the management account.",
                Command::new("aws organizations list-aws-service-access-for-organization"),
            );
    }
    let advice = with_remedy(match context.sync.managed_by() {
        ManagedBy::LicenseManager => {
            "License Manager deletes and recreates some of its syncs. If this one stays stale, check whether the account has \
             managed nodes that report inventory."
        }
        ManagedBy::Inspector => {
            "Amazon Inspector owns this sync: do not delete it. Check whether Inspector is still active in the account, and \
             whether there are managed nodes that report inventory."
        }
        ManagedBy::QuickSetup | ManagedBy::Customer => {
            "A sync copies data only when inventory is collected from managed nodes. Check whether the account has managed \
             nodes, and whether an association with `AWS-GatherSoftwareInventory` runs on them."
        }
    });
    let advice = match context.sync.managed_by() {
        ManagedBy::Inspector => advice.command(
            "Show whether Inspector is active in the account.",
            context
                .regional("aws inspector2 batch-get-account-status")
                .option("--account-ids", &context.account()),
        ),
        _ => advice,
    };
    let nodes = context.target.managed_nodes();
    let advice = match nodes {
        None => advice.step(
            "In an account without managed nodes, the sync is not broken. With `managed_nodes.enabled: true`, the exporter looks \
             up managed nodes, and such a sync does not become stale.",
        ),
        Some(ManagedNodes::Present) => {
            advice.step("The exporter found managed nodes here, so inventory should arrive.")
        }
        Some(ManagedNodes::Unknown(_)) => advice.step(
            "The managed-node lookup fails here. Fix it first: in an account without managed nodes, the sync is not broken.",
        ),
        Some(ManagedNodes::Pending | ManagedNodes::Absent) => advice,
    };
    let advice = match nodes {
        Some(ManagedNodes::Present) => advice,
        _ => advice.command(
            "Count the managed nodes.",
            context
                .regional("aws ssm describe-instance-information")
                .and("--query 'length(InstanceInformationList)'"),
        ),
    };
    let advice = advice.command(
        "Show the associations that collect inventory.",
        context
            .regional("aws ssm list-associations")
            .and("--association-filter-list key=Name,value=AWS-GatherSoftwareInventory"),
    );
    let text = "If an old success is normal for this sync, set a longer limit in the configuration, before other rules.";
    rule(context, advice, text, "max_success_age: 30d")
}

fn for_stuck(context: SyncInTarget<'_>) -> Advice {
    let remedy = "AWS reports some working syncs as in progress forever. Check whether new objects arrive in the bucket. If they \
                  do, set a longer `max_run_time` for this sync in `health.rules`. If they do not, the sync has to be created \
                  again.";
    let mut advice = Advice::new("A run has been in progress for too long", remedy, Alert::SsmSyncStuck);
    if let Some(bucket) = context.bucket() {
        let prefix = context.sync.destination.as_ref().and_then(|destination| destination.prefix.as_deref());
        let prefix = prefix.map(|prefix| prefix.trim_matches('/')).filter(|prefix| !prefix.is_empty());
        let directory = prefix.map(|prefix| format!("{prefix}/")).unwrap_or_default();
        let (account, region) = (context.account(), context.region());
        let objects =
            format!("s3://{bucket}/{directory}AWS:InstanceInformation/accountid={account}/region={region}/");
        advice = advice.command(
            format!("Show the newest objects of this account, {BUCKET_OWNER}."),
            Command::new("aws s3 ls --recursive").argument(&objects).and("| sort | tail -3"),
        );
    }
    let text = "If objects arrive, set a longer limit in the configuration, before other rules.";
    let advice = rule(context, advice, text, "max_run_time: 30d");
    match context.sync.managed_by() {
        ManagedBy::Customer => recreate(context, advice),
        _ => advice.step("An AWS service owns this sync: recreate it only in that service."),
    }
}

/// Adds the rule of the configuration that sets a limit for this sync alone.
fn rule(context: SyncInTarget<'_>, advice: Advice, text: &'static str, limit: &'static str) -> Advice {
    // The rule would not select an account whose id is not known.
    let (Some(account), Some(name)) = (&context.target.state().account, command::json(&context.sync.name))
    else {
        return advice;
    };
    let (region, sync_type) = (context.region(), &context.sync.sync_type);
    if matches!(sync_type, SyncType::Unknown(_)) {
        return advice;
    }
    let rule = format!(
        "health:\n  rules:\n    - accounts: [\"{account}\"]\n      regions: [{region}]\n      sync_types: [{sync_type}]\n      \
         sync_names: [{name}]\n      {limit}\n"
    );
    advice.detail(text, Detail::Document(rule))
}
