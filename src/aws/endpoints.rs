//! Which endpoints there are.
//!
//! The SDK makes up a host name for any region, and one that does not exist
//! would only show as a target that never answers.

use crate::fleet::{Partition, RegionName};

/// Kinds of endpoints to use instead of the plain ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointKind {
    /// Those that are validated by FIPS 140.
    pub fips: bool,
    /// Those that answer over IPv6, too.
    pub dualstack: bool,
}

/// Regions with a host `ssm-fips.REGION.amazonaws.com`. (AWS General Reference,
/// Systems Manager endpoints.)
const WITH_FIPS: [&str; 6] =
    ["ca-central-1", "ca-west-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"];

impl EndpointKind {
    /// Why SSM cannot be called in `region` like this, if it cannot.
    #[must_use]
    pub fn lacking_in(self, region: &RegionName) -> Option<String> {
        let partition = region.partition();
        // In GovCloud the plain hosts are the validated ones.
        if self.fips && partition != Partition::AwsUsGov && !WITH_FIPS.contains(&region.as_str()) {
            return Some(format!(
                "use_fips: SSM has no FIPS endpoint in {region}, only in {} and in GovCloud",
                WITH_FIPS.join(", ")
            ));
        }
        let with_dualstack = [Partition::Aws, Partition::AwsCn, Partition::AwsUsGov, Partition::AwsEusc];
        if self.dualstack && !with_dualstack.contains(&partition) {
            return Some(format!(
                "use_dualstack: the partition {partition} of {region} has no dual-stack endpoints"
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fips_is_where_ssm_has_it() {
        let (fips, plain) =
            (EndpointKind { fips: true, dualstack: true }, EndpointKind { fips: false, dualstack: false });
        for region in WITH_FIPS.into_iter().chain(["us-gov-west-1", "us-gov-east-1"]) {
            assert_eq!(fips.lacking_in(&region.parse().unwrap()), None, "{region}");
        }
        for region in ["eu-west-1", "ap-southeast-2", "mx-central-1", "cn-north-1"] {
            let region = region.parse().unwrap();
            let why = fips.lacking_in(&region).unwrap();
            assert!(
                why.starts_with(&format!("use_fips: SSM has no FIPS endpoint in {region}, only in ca-")),
                "{why}"
            );
            assert_eq!(plain.lacking_in(&region), None);
        }
    }
}
