//! Why a target is down, and what to do about it. Names between backticks are configuration keys.

use crate::model::Reason;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
