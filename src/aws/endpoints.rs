//! Which regions have FIPS and dual-stack endpoints of SSM.
//!
//! The SDK builds an endpoint's host name for any region, even if the host does not exist.
//! This check rejects a configuration with such a region. Without the check, the target
//! would merely be down.

use crate::fleet::{Partition, RegionName};

/// The variant of the endpoints to use. If both fields are `false`, that is the standard
/// endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointKind {
    /// FIPS 140 validated endpoints.
    pub fips: bool,
    /// Endpoints that are reachable over IPv4 and IPv6.
    pub dualstack: bool,
}

/// The regions in which `ssm-fips.REGION.amazonaws.com` exists. (AWS General
/// Reference, Systems Manager endpoints.)
const FIPS_REGIONS: [&str; 6] =
    ["ca-central-1", "ca-west-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"];

impl EndpointKind {
    /// Why SSM has no endpoint of this kind in `region`; `None` if it has one.
    #[must_use]
    pub fn missing_in(self, region: &RegionName) -> Option<String> {
        let partition = region.partition();
        // In GovCloud, the standard endpoints are FIPS validated.
        if self.fips && partition != Partition::AwsUsGov && !FIPS_REGIONS.contains(&region.as_str()) {
            return Some(format!(
                "use_fips: SSM has no FIPS endpoint in {region}, only in {} and in GovCloud",
                FIPS_REGIONS.join(", ")
            ));
        }
        let dualstack_partitions =
            [Partition::Aws, Partition::AwsCn, Partition::AwsUsGov, Partition::AwsEusc];
        if self.dualstack && !dualstack_partitions.contains(&partition) {
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
    fn fips_endpoints_are_only_allowed_where_ssm_has_them() {
        let (fips, standard) =
            (EndpointKind { fips: true, dualstack: true }, EndpointKind { fips: false, dualstack: false });
        for region in FIPS_REGIONS.into_iter().chain(["us-gov-west-1", "us-gov-east-1"]) {
            assert_eq!(fips.missing_in(&region.parse().unwrap()), None, "{region}");
        }
        for region in ["eu-west-1", "ap-southeast-2", "mx-central-1", "cn-north-1"] {
            let region = region.parse().unwrap();
            let error = fips.missing_in(&region).unwrap();
            assert!(
                error.starts_with(&format!("use_fips: SSM has no FIPS endpoint in {region}, only in ca-")),
                "{error}"
            );
            assert_eq!(standard.missing_in(&region), None);
        }
    }
}
