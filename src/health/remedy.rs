//! What to do about an unhealthy sync or a target that is down.
//!
//! The causes come from the AWS documentation and from reports of users of resource data
//! syncs. A function that relies on the AWS documentation names the document. In the
//! remedies of [`for_reason`], names between backticks are configuration keys.

use super::{FailureCause, Health};
use crate::model::{DataSync, ManagedBy, Reason, SourceState, SyncType};

/// The meaning of a failure reason, and the remedy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Explanation {
    /// Names the problem in a few words, without a full stop.
    pub(crate) title: &'static str,
    /// Says what to do, in full sentences.
    pub(crate) remedy: &'static str,
}

/// Explains why a target is down. The permissions named are those of the service
/// authorization references of Systems Manager and STS.
pub(crate) fn for_reason(reason: Reason) -> Explanation {
    let (title, remedy) = match reason {
        Reason::AssumeRoleDenied => (
            "Cannot assume a role",
            "Check that the role exists in the account, that its trust policy allows the exporter's identity and expects the \
             configured external id (if any), and that this identity has sts:AssumeRole on the role.",
        ),
        Reason::AccessDenied => (
            "Not allowed to list resource data syncs",
            "Allow ssm:ListResourceDataSync on resource * in the role's policy. Check the role's permissions boundary and the \
             session policy as well.",
        ),
        Reason::ScpDenied => (
            "Denied by a service control policy",
            "If the organization denies this region on purpose, remove the region from `regions`. Otherwise change the policy \
             so that it no longer denies ssm:ListResourceDataSync to the exporter's role.",
        ),
        Reason::Credentials => (
            "No valid credentials",
            "Check the profile or the environment that the exporter gets its credentials from: are credentials present, not \
             expired, and of this account? Check that the host's clock is correct.",
        ),
        Reason::RegionDisabled => (
            "Region not enabled",
            "Enable the region in the account, or remove it from `regions`. With a wildcard in `regions`, the exporter polls only \
             the regions that are enabled in each account.",
        ),
        Reason::Throttled => (
            "Throttled by AWS",
            "If this is temporary, there is nothing to do: the exporter retries with a back-off. If it persists, increase \
             `interval`, and look for other clients that call Systems Manager or STS in this account.",
        ),
        Reason::Timeout => (
            "Timed out",
            "Check the network path to the region's endpoints: proxy, firewall, VPC endpoint. If AWS is only slow, increase \
             `timeout`.",
        ),
        Reason::Connection => (
            "Connection failed",
            "Check DNS and the network path to the region's endpoints: proxy, firewall, VPC endpoint, trusted CA certificates, and \
             `aws.endpoint_url` if it is set.",
        ),
        Reason::ServerError => (
            "AWS server error",
            "If this is temporary, there is nothing to do: the exporter retries with a back-off. If it persists, check the AWS \
             Health Dashboard.",
        ),
        Reason::InvalidResponse => (
            "Invalid response",
            "The response does not match the API. Check whether a proxy or `aws.endpoint_url` answers in place of AWS.",
        ),
        Reason::Pagination => (
            "Pagination failed",
            "Check whether a proxy or `aws.endpoint_url` answers in place of AWS. If AWS itself answers, report a bug and include the \
             message.",
        ),
        Reason::Other => (
            "Unclassified error",
            "Read the message, and the exporter's log around the time of the first failure.",
        ),
    };
    Explanation { title, remedy }
}

/// What to do about a sync with this health. `None` if the health is no
/// [problem](Health::is_problem).
pub(crate) fn for_sync(sync: &DataSync, health: Health) -> Option<&'static str> {
    match health {
        Health::Failed => Some(match sync.managed_by() {
            ManagedBy::Customer => {
                let message = sync.last_status_message.as_deref().unwrap_or_default();
                for_failure_cause(FailureCause::from_message(message))
            }
            ManagedBy::Inspector => {
                "Amazon Inspector owns this sync and its bucket: do not delete it. Check in Inspector whether scanning is \
                 active in the account; if it is, contact AWS Support."
            }
            ManagedBy::LicenseManager => {
                "License Manager owns this sync and recreates it. If the failure persists, check the bucket and cross-account \
                 discovery in the License Manager settings."
            }
            ManagedBy::QuickSetup => {
                "Quick Setup owns this sync: repair or recreate it from Quick Setup in Systems Manager."
            }
        }),
        Health::SourceFault => sync.source.as_ref()?.state.as_ref().map(for_source_state),
        Health::Stale if sync.sync_type == SyncType::FromSource => Some(
            "Check in Systems Manager Explorer whether data still arrives from the sources, and whether Explorer's roles still \
             exist and its trusted access is still enabled.",
        ),
        Health::Stale => Some(for_stale_sync(sync.managed_by())),
        Health::Stuck => Some(
            "AWS reports some working syncs as in progress forever. Check whether new objects arrive in the bucket. If they do, \
             set a longer `max_run_time` for this sync in `health.rules`. If they do not, delete the sync and create it again.",
        ),
        _ => None,
    }
}

/// What to do about a failed sync of the customer. The causes come from the Systems Manager user
/// guide: from the instructions for creating a resource data sync for Inventory, for one account
/// and for the accounts of an organization.
pub(crate) fn for_failure_cause(cause: FailureCause) -> &'static str {
    match cause {
        FailureCause::KmsKey => {
            "Allow ssm.amazonaws.com to call kms:GenerateDataKey in the KMS key policy, and check that the key is in the bucket's \
             region."
        }
        FailureCause::ObjectLock => {
            "The bucket has a default Object Lock retention, which resource data syncs do not support. Use a bucket without \
             a default retention."
        }
        FailureCause::BucketMissing => {
            "Check that the bucket still exists in the region that the sync names. If not, recreate the bucket with its policy. To \
             change the bucket or the region, delete the sync and create it again, because a sync to S3 cannot be edited."
        }
        FailureCause::OrganizationSharing => {
            "In the bucket policy, allow ssm.amazonaws.com to call s3:PutObject and s3:PutObjectTagging on the condition that \
             s3:RequestObjectTag/OrgId is the id of your organization. A sync that shares its data with the organization needs both."
        }
        FailureCause::BucketPolicy => {
            "In the bucket policy, allow ssm.amazonaws.com to call s3:GetBucketAcl on the bucket, and s3:PutObject on \
             PREFIX/*/accountid=ACCOUNT/* on the condition that s3:x-amz-acl is bucket-owner-full-control. If the sync uses a KMS \
             key, check the key policy as well."
        }
        FailureCause::Unknown => {
            "Check, in this order: the bucket and its region; the bucket policy (for ssm.amazonaws.com: s3:GetBucketAcl, and \
             s3:PutObject on the condition that s3:x-amz-acl is bucket-owner-full-control); Object Lock; the KMS key policy \
             (kms:GenerateDataKey)."
        }
    }
}

/// The states are those of `ResourceDataSyncSourceWithState` in the API reference.
fn for_source_state(state: &SourceState) -> &'static str {
    match state {
        SourceState::OrganizationNotExists => {
            "The account is not, or no longer, a member of an organization: delete the sync, or add the account to an \
             organization."
        }
        SourceState::NoPermissions => {
            "The service-linked role AWSServiceRoleForAmazonSSM_AccountDiscovery may not read the organization: recreate the \
             role, and check service control policies."
        }
        SourceState::InvalidOrganizationalUnit => {
            "An organizational unit of the sync no longer exists: update the sync so that it names only existing units."
        }
        SourceState::TrustedAccessDisabled => {
            "Enable trusted access for Systems Manager in AWS Organizations, from the management account."
        }
        SourceState::Unknown(_) => {
            "This version of the exporter does not know this state: look it up in the AWS documentation."
        }
    }
}

/// A sync copies data only when inventory is collected from managed nodes, so a stale sync
/// in an account without managed nodes is not necessarily broken. The License Manager user
/// guide says that License Manager recreates its syncs.
fn for_stale_sync(managed_by: ManagedBy) -> &'static str {
    match managed_by {
        ManagedBy::LicenseManager => {
            "License Manager deletes and recreates some of its syncs. If this one stays stale, check whether the account has \
             managed nodes that report inventory."
        }
        ManagedBy::Inspector => {
            "Amazon Inspector owns this sync: do not delete it. Check whether Inspector is still active in the account, and \
             whether there are managed nodes that report inventory."
        }
        ManagedBy::QuickSetup | ManagedBy::Customer => {
            "A sync copies data only when inventory is collected from managed nodes. Check whether the account has managed nodes, and \
             whether an association with AWS-GatherSoftwareInventory runs on them. In an account without managed nodes the sync \
             is not broken; you may keep or delete it."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::tests::sync;
    use crate::model::{Source, SyncStatus};

    #[test]
    fn every_reason_has_a_unique_title_and_a_remedy() {
        let mut titles: Vec<&str> = Reason::ALL.iter().map(|reason| for_reason(*reason).title).collect();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), Reason::ALL.len());
        for &reason in Reason::ALL {
            assert!(for_reason(reason).remedy.ends_with('.'), "{reason}");
        }
    }

    #[test]
    fn the_remedy_for_a_failed_sync_depends_on_its_cause() {
        for (message, remedy) in [
            ("Access Denied (Service: Amazon S3)", "s3:GetBucketAcl on the bucket"),
            ("KMS key policy denies kms:GenerateDataKey", "kms:GenerateDataKey in the KMS key policy"),
            ("NoSuchBucket", "still exists"),
            ("The bucket has Object Lock", "Object Lock retention"),
            ("not allowed to call s3:PutObjectTagging", "OrgId"),
            ("", "in this order"),
        ] {
            let sync = DataSync {
                last_status: Some(SyncStatus::Failed),
                last_status_message: Some(message.to_owned()),
                ..sync("a", None)
            };
            let found = for_sync(&sync, Health::Failed).unwrap();
            assert!(found.contains(remedy), "{message}: {found}");
        }
    }

    #[test]
    fn only_problems_have_a_remedy() {
        let healthy = sync("a", None);
        assert_eq!(for_sync(&healthy, Health::Healthy), None);
        assert!(for_sync(&healthy, Health::Stale).unwrap().contains("managed nodes"));
        assert!(for_sync(&healthy, Health::Stuck).unwrap().contains("max_run_time"));
        let state = Some(SourceState::TrustedAccessDisabled);
        let faulty = DataSync { source: Some(Source { state, ..Source::default() }), ..healthy };
        assert!(for_sync(&faulty, Health::SourceFault).unwrap().starts_with("Enable trusted access"));
    }
}
