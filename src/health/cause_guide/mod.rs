//! What each cause of a problem means, and what to do about it: the one list that the status page
//! shows and that `deploy/runbook.md` repeats, with a section for each cause.

mod access;

use super::{Alert, FailureCause, runbook_url_of_cause};
use crate::model::SourceState;

/// A cause of a problem, explained. In the texts, names between backticks are code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CauseGuide {
    /// The value of the label `cause`, or the name of an [access cause](super::AccessCauseKind).
    pub(crate) name: &'static str,
    /// The alert that a problem with this cause raises.
    pub(crate) alert: Alert,
    /// Names the cause in a few words, without a full stop.
    pub(crate) title: &'static str,
    /// Says what goes wrong, in full sentences.
    pub(crate) explanation: &'static str,
    /// Says what to do, in a sentence.
    pub(crate) remedy: &'static str,
    /// The document that explanation and remedy come from.
    pub(crate) source: &'static str,
}

const CREATE_FOR_INVENTORY: &str =
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/inventory-create-resource-data-sync.html";
const UPDATE_OPERATION: &str =
    "https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_UpdateResourceDataSync.html";
const SOURCE_STATES: &str = "https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ResourceDataSyncSourceWithState.html";

impl CauseGuide {
    /// The guide to a cause of failure.
    pub(crate) fn of_failure(cause: FailureCause) -> Self {
        let (title, explanation, remedy, source) = match cause {
            FailureCause::BucketPolicy => (
                "The bucket policy does not allow Systems Manager to write",
                "Systems Manager writes as the service `ssm.amazonaws.com`. It needs `s3:GetBucketAcl` on the bucket, and \
                 `s3:PutObject` on the objects of the account.",
                "In the bucket policy, allow `ssm.amazonaws.com` to call `s3:GetBucketAcl` on the bucket, and `s3:PutObject` on \
                 `PREFIX/*/accountid=ACCOUNT/*` on the condition that `s3:x-amz-acl` is `bucket-owner-full-control`.",
                CREATE_FOR_INVENTORY,
            ),
            FailureCause::BucketMissing => (
                "The bucket does not exist, or is in another region",
                "S3 has no bucket of this name in the region that the sync names.",
                "Recreate the bucket with its policy, or delete the sync and create it again with the right bucket and region, \
                 because a sync to a bucket cannot be edited.",
                UPDATE_OPERATION,
            ),
            FailureCause::KmsKey => (
                "Systems Manager may not use the KMS key",
                "The objects are encrypted with a KMS key. Systems Manager has to be allowed to use the key, and the key has to \
                 be in the region of the bucket.",
                "In the key policy, allow `ssm.amazonaws.com` to call `kms:GenerateDataKey`, and check that the key is enabled \
                 and in the region of the bucket.",
                CREATE_FOR_INVENTORY,
            ),
            FailureCause::ObjectLock => (
                "The bucket has Object Lock",
                "Systems Manager cannot write to a bucket with a default retention by Object Lock.",
                "Use a bucket without a default retention: remove the retention from this one, or delete the sync and create it \
                 again with another bucket.",
                CREATE_FOR_INVENTORY,
            ),
            FailureCause::OrganizationSharing => (
                "The bucket policy does not allow what sharing with the organization needs",
                "A sync that shares its data with the organization tags each object with the id of the organization.",
                "In the bucket policy, allow `ssm.amazonaws.com` to call `s3:PutObjectTagging`, and `s3:PutObject` on the \
                 condition that `s3:RequestObjectTag/OrgId` is the id of your organization.",
                CREATE_FOR_INVENTORY,
            ),
            FailureCause::Unknown => (
                "The message does not tell the cause",
                "AWS reported no message, or one that this version of the exporter does not recognize.",
                "Check, in this order: the bucket and its region, the bucket policy, Object Lock, and the KMS key.",
                CREATE_FOR_INVENTORY,
            ),
        };
        let name = cause.as_str();
        Self { name, alert: Alert::SsmSyncFailed, title, explanation, remedy, source }
    }

    /// The guide to a source state; `None` if this version does not know the state.
    pub(crate) fn of_state(state: &SourceState) -> Option<Self> {
        let (name, title, explanation, remedy, source) = match state {
            SourceState::OrganizationNotExists => (
                "OrganizationNotExists",
                "The account does not belong to an organization",
                "The sync reads the accounts of an organization, but its own account is not, or no longer, a member of one.",
                "Add the account to the organization, or delete the sync.",
                SOURCE_STATES,
            ),
            SourceState::NoPermissions => (
                "NoPermissions",
                "The service-linked role is missing",
                "Systems Manager reads the organization with the service-linked role \
                 `AWSServiceRoleForAmazonSSM_AccountDiscovery`, and cannot find or use it.",
                "Create the service-linked role, and exempt it from service control policies that deny its actions.",
                "https://docs.aws.amazon.com/systems-manager/latest/userguide/using-service-linked-roles-service-action-2.html",
            ),
            SourceState::InvalidOrganizationalUnit => (
                "InvalidOrganizationalUnit",
                "An organizational unit of the sync does not exist",
                "The sync names an organizational unit that was deleted, or that belongs to another organization.",
                "Update the sync so that it names only units that exist.",
                SOURCE_STATES,
            ),
            SourceState::TrustedAccessDisabled => (
                "TrustedAccessDisabled",
                "Systems Manager has no trusted access to the organization",
                "Without trusted access, Systems Manager cannot read the accounts and units of the organization.",
                "Enable trusted access for Systems Manager in AWS Organizations, from the management account.",
                "https://docs.aws.amazon.com/organizations/latest/userguide/services-that-can-integrate-ssm.html",
            ),
            SourceState::Unknown(_) => return None,
        };
        Some(Self { name, alert: Alert::SsmSyncSourceFault, title, explanation, remedy, source })
    }

    /// The section of the runbook about the cause.
    pub(crate) fn runbook_url(&self) -> String {
        runbook_url_of_cause(self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::health::AccessCauseKind;

    fn guides() -> Vec<CauseGuide> {
        let failures = FailureCause::ALL.iter().map(|cause| CauseGuide::of_failure(*cause));
        let states = SourceState::KNOWN.iter().filter_map(CauseGuide::of_state);
        let access = AccessCauseKind::ALL.iter().map(|kind| CauseGuide::of_access(*kind));
        failures.chain(states).chain(access).collect()
    }

    /// The sections `### Cause: …` of the runbook by the name of the cause: the alert that each
    /// belongs to, and its text in one line.
    fn sections() -> BTreeMap<String, (String, String)> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/runbook.md");
        let runbook = std::fs::read_to_string(path).unwrap();
        let mut sections = BTreeMap::new();
        for part in runbook.split("\n## ").skip(1) {
            let alert = part.lines().next().unwrap();
            for section in part.split("\n### ").skip(1) {
                let (heading, text) = section.split_once('\n').unwrap();
                let Some(name) = heading.strip_prefix("Cause: ") else { continue };
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let previous = sections.insert(name.to_owned(), (alert.to_owned(), text));
                assert_eq!(previous, None, "two sections about {name}");
            }
        }
        sections
    }

    #[test]
    fn the_runbook_has_a_section_for_each_cause_with_the_same_texts() {
        let mut sections = sections();
        for guide in guides() {
            let (alert, text) =
                sections.remove(guide.name).unwrap_or_else(|| panic!("no section {}", guide.name));
            assert_eq!(alert, guide.alert.name(), "{}", guide.name);
            let CauseGuide { name, title, explanation, remedy, source, .. } = guide;
            let begins = format!("**{title}.** {explanation}");
            assert!(text.starts_with(&begins), "{name}: the section has to begin with:\n{begins}");
            let fix = format!("**Fix.** {remedy}");
            assert!(text.contains(&fix), "{name}: the section has to contain:\n{fix}");
            assert!(text.contains(&format!("]({source})")), "{name}: the section has to link to {source}");
        }
        assert_eq!(sections.keys().collect::<Vec<_>>(), [""; 0], "sections about causes that do not exist");
    }

    #[test]
    fn names_are_those_of_the_label_and_titles_are_unique() {
        for state in SourceState::KNOWN {
            assert_eq!(CauseGuide::of_state(state).unwrap().name, state.as_str());
        }
        assert_eq!(CauseGuide::of_state(&"Unheard".into()), None);
        let mut titles: Vec<&str> = guides().iter().map(|guide| guide.title).collect();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), guides().len());
        let guide = CauseGuide::of_failure(FailureCause::KmsKey);
        assert!(guide.runbook_url().ends_with("/deploy/runbook.md#cause-kms_key"));
    }
}
