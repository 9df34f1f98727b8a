//! Why a sync failed, as told from the message that AWS reports.
//!
//! AWS documents no list of these messages. The causes are those that users of resource data
//! syncs have reported, and those that the AWS documentation describes as prerequisites of a
//! bucket; [`cause_guide`](super::cause_guide) says what each means and what to do about it.

use crate::model::DataSync;

/// Why a sync failed. In snake case, each is a value of the `cause` label, so renaming a variant
/// breaks users' queries.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum FailureCause {
    /// The bucket's policy, or another permission, does not allow SSM to write.
    BucketPolicy,
    /// The bucket does not exist, or is in another region.
    BucketMissing,
    /// SSM may not use the KMS key, or the key cannot be used for the bucket.
    KmsKey,
    /// Object Lock on the bucket.
    ObjectLock,
    /// The bucket's policy does not allow what sharing with the organization needs.
    OrganizationSharing,
    /// There is no message, or it matches none of the other causes.
    Unknown,
}

/// How much of a message is searched, in bytes. The messages of AWS are shorter; what a proxy makes
/// up must not cost more.
const MAX_SEARCHED: usize = 2048;

/// The causes with the words that messages about them contain. The first that matches applies,
/// because messages about keys, locks and tags also speak of policies and denied access. S3 and KMS
/// define the error codes among the words. "S3 write failed for bucket" is how Systems Manager
/// begins its own message when it cannot write; what follows tells the cause more precisely, if
/// anything does.
const WORDS: [(FailureCause, &[&str]); 7] = [
    (FailureCause::KmsKey, &["kms", "encrypt", "generatedatakey"]),
    (FailureCause::ObjectLock, &["object lock", "objectlock", "content-md5", "x-amz-checksum-"]),
    (FailureCause::OrganizationSharing, &["tagging", "orgid", "requestobjecttag"]),
    (
        FailureCause::BucketMissing,
        &[
            "nosuchbucket",
            "invalidbucketname",
            "bucket does not exist",
            "bucket doesn't exist",
            "bucket not found",
            "authorizationheadermalformed",
            "illegallocationconstraint",
            "moved permanently",
            "redirect",
            "wrong region",
        ],
    ),
    (
        FailureCause::BucketPolicy,
        &["polic", "denied", "permission", "putobject", "getbucketacl", "forbidden", "status code: 403"],
    ),
    // Less specific words, for messages that have none of the above.
    (FailureCause::BucketMissing, &["not exist", "not found"]),
    (FailureCause::BucketPolicy, &["write failed"]),
];

impl FailureCause {
    /// Every cause, in the order of the public contract.
    #[cfg(test)]
    pub(crate) const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The label value.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }

    /// The cause that the message of the sync tells.
    pub(crate) fn of_sync(sync: &DataSync) -> Self {
        let message = sync.last_status_message.as_deref().unwrap_or_default();
        let bucket = sync.destination.as_ref().and_then(|destination| destination.bucket_name.as_deref());
        Self::from_message(message, bucket)
    }

    /// Recognizes the cause by words in the message. The name of the bucket does not count, because
    /// it may contain any word, as in `kms-encrypted-inventory`.
    fn from_message(message: &str, bucket: Option<&str>) -> Self {
        let mut message = message[..message.floor_char_boundary(MAX_SEARCHED)].to_lowercase();
        if let Some(bucket) = bucket.filter(|bucket| !bucket.is_empty()) {
            message = message.replace(&bucket.to_lowercase(), "");
        }
        let found = WORDS.iter().find(|(_, words)| words.iter().any(|word| message.contains(word)));
        found.map_or(Self::Unknown, |(cause, _)| *cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_told_from_words_in_the_message() {
        use FailureCause::{BucketMissing, BucketPolicy, KmsKey, ObjectLock, OrganizationSharing, Unknown};
        for (message, cause) in [
            ("The bucket policy does not allow ssm.amazonaws.com to call s3:PutObject", BucketPolicy),
            ("Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied)", BucketPolicy),
            // The beginning of the message that the Terraform provider waits for to go away.
            ("S3 write failed for bucket inventory", BucketPolicy),
            ("S3 write failed for bucket inventory: NoSuchBucket", BucketMissing),
            ("S3 write failed for bucket inventory: KMS.DisabledException", KmsKey),
            ("KMS key policy denies kms:GenerateDataKey", KmsKey),
            ("The KMS key does not exist", KmsKey),
            ("NoSuchBucket", BucketMissing),
            ("The specified bucket does not exist", BucketMissing),
            ("PermanentRedirect: the bucket must be addressed using the specified endpoint", BucketMissing),
            ("AuthorizationHeaderMalformed: the region 'us-east-1' is wrong", BucketMissing),
            ("The bucket has Object Lock", ObjectLock),
            (
                "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
                ObjectLock,
            ),
            ("not allowed to call s3:PutObjectTagging", OrganizationSharing),
            ("", Unknown),
            ("Something went wrong", Unknown),
            ("Internal error, request id 1403-4030", Unknown),
        ] {
            assert_eq!(FailureCause::from_message(message, Some("inventory")), cause, "{message}");
        }
    }

    #[test]
    fn the_name_of_the_bucket_is_not_part_of_the_message() {
        // Regression: a bucket whose name contained `kms` made every failure one of the KMS key.
        let message = "S3 write failed for bucket KMS-encrypted-inventory: Access Denied";
        let cause = |bucket| FailureCause::from_message(message, bucket);
        assert_eq!(cause(Some("kms-encrypted-inventory")), FailureCause::BucketPolicy);
        assert_eq!(cause(None), FailureCause::KmsKey);
        assert_eq!(cause(Some("")), FailureCause::KmsKey);
    }

    #[test]
    fn only_the_beginning_of_a_message_is_searched() {
        let message = "é".repeat(MAX_SEARCHED) + "NoSuchBucket";
        assert_eq!(FailureCause::from_message(&message, Some("é")), FailureCause::Unknown);
    }

    #[test]
    fn causes_have_the_label_values_of_the_contract() {
        let labels: Vec<&str> = FailureCause::ALL.iter().map(|cause| cause.as_str()).collect();
        assert_eq!(
            labels.join(" "),
            "bucket_policy bucket_missing kms_key object_lock organization_sharing unknown"
        );
    }
}
