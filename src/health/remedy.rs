//! What to do about what is wrong.
//!
//! The causes are those of the AWS documentation and of what users of these syncs
//! have met; each says where it was read.

use super::Health;
use crate::model::{DataSync, ManagedBy, Reason, SourceState, SyncType};

/// What a reason means, and what to do about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advice {
    /// What is wrong, in a few words.
    pub(crate) title: &'static str,
    /// What to do.
    pub(crate) remedy: &'static str,
}

/// About targets that cannot be polled. The permissions are those of the service
/// authorization references of Systems Manager and STS.
pub(crate) fn of_reason(reason: Reason) -> Advice {
    let (title, remedy) = match reason {
        Reason::AssumeRoleDenied => (
            "A role cannot be assumed",
            "Check that the role exists in the account, that its trust policy names the exporter's identity (and asks for the \
             same external id, if for any), and that this identity may call sts:AssumeRole on it.",
        ),
        Reason::AccessDenied => (
            "The credentials may not list syncs",
            "Allow ssm:ListResourceDataSync on resource * in the role's policy, and check its permissions boundary and session \
             policy.",
        ),
        Reason::ScpDenied => (
            "A service control policy forbids it",
            "If the organization denies this region on purpose, leave it out of `regions`; otherwise exempt \
             ssm:ListResourceDataSync from the policy for the exporter's role.",
        ),
        Reason::Credentials => (
            "No usable credentials",
            "Check the profile or the environment that the exporter starts with: whether credentials are there, have not \
             expired, belong to this account, and whether the clock of the host is right.",
        ),
        Reason::RegionDisabled => (
            "The account has not enabled the region",
            "Enable the region in the account, or leave it out of `regions`; with a wildcard there, the exporter asks each \
             account which regions it has.",
        ),
        Reason::Throttled => (
            "AWS asks for fewer calls",
            "Nothing, if it passes: the exporter tries again. If it stays, lengthen `interval` and look for others that call \
             Systems Manager or STS in this account.",
        ),
        Reason::Timeout => (
            "No answer in time",
            "Check the way to the region's endpoints (proxy, firewall, VPC endpoint). If AWS is merely slow, lengthen `timeout`.",
        ),
        Reason::Connection => (
            "No connection",
            "Check the name resolution and the way to the region's endpoints: proxy, firewall, VPC endpoint, trusted \
             certificates, and `aws.endpoint_url` if it is set.",
        ),
        Reason::ServerError => (
            "AWS says the fault is its own",
            "Nothing, if it passes: the exporter tries again. If it stays, look at the AWS Health Dashboard.",
        ),
        Reason::InvalidResponse => (
            "The answer is not what the API promises",
            "Check whether a proxy or `aws.endpoint_url` answers in place of AWS.",
        ),
        Reason::Pagination => (
            "The pages of the list do not come to an end",
            "Check whether a proxy or `aws.endpoint_url` answers in place of AWS; if it is AWS, report it with the message.",
        ),
        Reason::Other => (
            "Something else",
            "Read the message, and the exporter's log around the time of the first failure.",
        ),
    };
    Advice { title, remedy }
}

/// About a sync that fares so; nothing where there is nothing to do.
pub(crate) fn of_sync(sync: &DataSync, health: Health) -> Option<&'static str> {
    match health {
        Health::Failed => Some(match sync.managed_by() {
            ManagedBy::Customer => of_failure(sync.last_status_message.as_deref().unwrap_or_default()),
            ManagedBy::Inspector => {
                "Amazon Inspector owns this sync and its bucket; do not delete it. See in Inspector whether scanning is \
                 active in the account, and ask AWS Support if it is."
            }
            ManagedBy::LicenseManager => {
                "License Manager owns this sync and recreates it by itself. If it stays, look at License Manager's settings: its \
                 bucket, and whether discovery across accounts is still set up."
            }
            ManagedBy::QuickSetup => {
                "Quick Setup owns this sync: mend or create it again from Quick Setup in Systems Manager."
            }
        }),
        Health::Fault => sync.source.as_ref()?.state.as_ref().map(of_source_state),
        Health::Stale if sync.sync_type == SyncType::FromSource => Some(
            "See in Systems Manager Explorer whether data of the sources still comes in, and whether its roles and \
             trusted access are there.",
        ),
        Health::Stale => Some(of_staleness(sync.managed_by())),
        _ => None,
    }
}

/// The conditions are those of the AWS documentation, "Create a resource data sync
/// for Inventory", and of its page on organizations; AWS promises no text of the
/// message, so it is searched for what it cannot do without.
fn of_failure(message: &str) -> &'static str {
    let message = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["kms", "encrypt", "generatedatakey"]) {
        "Let ssm.amazonaws.com call kms:GenerateDataKey in the policy of the KMS key, and check that the key is in the \
         bucket's region."
    } else if says(&["object lock", "objectlock", "content-md5"]) {
        "The bucket has a default Object Lock retention, which syncs do not support: use a bucket without it."
    } else if says(&["nosuchbucket", "not exist", "not found"]) {
        "Check that the bucket still exists, and in the region that the sync names. An S3 sync cannot be edited: delete it and \
         create it again."
    } else if says(&["tagging", "orgid", "requestobjecttag"]) {
        "For a bucket shared with the organization, let ssm.amazonaws.com call s3:PutObjectTagging and s3:PutObject with the \
         condition s3:RequestObjectTag/OrgId in the bucket policy."
    } else if says(&["polic", "denied", "permission", "putobject", "getbucketacl", "forbidden", "403"]) {
        "Let ssm.amazonaws.com call s3:GetBucketAcl on the bucket, and s3:PutObject with bucket-owner-full-control on \
         PREFIX/*/accountid=ACCOUNT/*, in the bucket policy; check the policy of the KMS key if there is one."
    } else {
        "Check, in this order: the bucket and its region, the bucket policy (s3:GetBucketAcl and s3:PutObject for \
         ssm.amazonaws.com, with bucket-owner-full-control), Object Lock, and the policy of the KMS key \
         (kms:GenerateDataKey)."
    }
}

/// The states are those of `ResourceDataSyncSourceWithState` in the API reference.
fn of_source_state(state: &SourceState) -> &'static str {
    match state {
        SourceState::OrganizationNotExists => {
            "The account belongs to no organization (any longer): delete the sync, or let the account join."
        }
        SourceState::NoPermissions => {
            "The service-linked role AWSServiceRoleForAmazonSSM_AccountDiscovery may not read the organization: create it \
             again, and check service control policies."
        }
        SourceState::InvalidOrganizationalUnit => {
            "An organizational unit of the sync does not exist any longer: update the sync's units."
        }
        SourceState::TrustedAccessDisabled => {
            "Enable trusted access for Systems Manager in AWS Organizations, from the management account."
        }
        SourceState::Unknown(_) => {
            "This version does not know this state: look it up in the AWS documentation."
        }
    }
}

/// Inventory moves only when there is some, so an account without managed nodes may
/// be well. License Manager's user guide says of its syncs that it recreates them.
fn of_staleness(managed_by: ManagedBy) -> &'static str {
    match managed_by {
        ManagedBy::LicenseManager => {
            "License Manager deletes and creates some of its syncs again by itself. If it stays, see whether the account has \
             managed nodes that report inventory."
        }
        ManagedBy::Inspector => {
            "Amazon Inspector owns this sync; do not delete it. See whether Inspector is still active in the account and \
             whether there are managed nodes that report inventory."
        }
        ManagedBy::QuickSetup | ManagedBy::Customer => {
            "See whether the account has managed nodes and whether they report inventory (an association with \
             AWS-GatherSoftwareInventory): data moves only then. Without any, this is no fault, and the sync may go."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::tests::sync;
    use crate::model::{Source, SyncStatus};

    #[test]
    fn every_reason_has_its_own() {
        let mut titles: Vec<&str> = Reason::ALL.iter().map(|reason| of_reason(*reason).title).collect();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), Reason::ALL.len());
        for &reason in Reason::ALL {
            assert!(of_reason(reason).remedy.ends_with('.'), "{reason}");
        }
    }

    #[test]
    fn what_to_do_about_a_failure_is_told_from_its_message() {
        for (message, remedy) in [
            ("The bucket policy does not allow ssm.amazonaws.com to call s3:PutObject", "s3:GetBucketAcl on"),
            ("Access Denied (Service: Amazon S3)", "s3:GetBucketAcl on"),
            ("KMS key policy denies kms:GenerateDataKey", "KMS key, and"),
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
            let advice = of_sync(&sync, Health::Failed).unwrap();
            assert!(advice.contains(remedy), "{message}: {advice}");
        }
    }

    #[test]
    fn what_is_well_needs_none() {
        let well = sync("a", None);
        assert_eq!(of_sync(&well, Health::Well), None);
        assert!(of_sync(&well, Health::Stale).unwrap().contains("managed nodes"));
        let state = Some(SourceState::TrustedAccessDisabled);
        let faulty = DataSync { source: Some(Source { state, ..Source::default() }), ..well };
        assert!(of_sync(&faulty, Health::Fault).unwrap().starts_with("Enable trusted access"));
    }
}
