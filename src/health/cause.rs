//! Why a sync failed, as told from the message that AWS reports.
//!
//! AWS documents no list of these messages. The causes are those that users of resource data
//! syncs have reported, and those that the AWS documentation describes as prerequisites of a
//! bucket; [`remedy`](super::remedy) says what to do about each.

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

impl FailureCause {
    /// Every cause, in the order of the public contract.
    pub(crate) const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The label value.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }

    /// Recognizes the cause by words in the message. The order matters: messages about keys, locks
    /// and tags also speak of policies and denied access.
    pub(crate) fn from_message(message: &str) -> Self {
        let message = message.to_lowercase();
        let contains_any = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if contains_any(&["kms", "encrypt", "generatedatakey"]) {
            Self::KmsKey
        } else if contains_any(&["object lock", "objectlock", "content-md5"]) {
            Self::ObjectLock
        } else if contains_any(&["nosuchbucket", "not exist", "not found", "redirect", "wrong region"]) {
            Self::BucketMissing
        } else if contains_any(&["tagging", "orgid", "requestobjecttag"]) {
            Self::OrganizationSharing
        } else if contains_any(&[
            "polic",
            "denied",
            "permission",
            "putobject",
            "getbucketacl",
            "forbidden",
            "403",
        ]) {
            Self::BucketPolicy
        } else {
            Self::Unknown
        }
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
            ("Access Denied (Service: Amazon S3)", BucketPolicy),
            ("KMS key policy denies kms:GenerateDataKey", KmsKey),
            ("NoSuchBucket", BucketMissing),
            ("PermanentRedirect: the bucket must be addressed using the specified endpoint", BucketMissing),
            ("The bucket has Object Lock", ObjectLock),
            ("not allowed to call s3:PutObjectTagging", OrganizationSharing),
            ("", Unknown),
            ("Something went wrong", Unknown),
        ] {
            assert_eq!(FailureCause::from_message(message), cause, "{message}");
        }
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
