//! The AWS console.

use crate::fleet::{Partition, RegionName};

/// The URL of the resource data syncs of Systems Manager in the AWS console of a region. The console
/// shows them for the account that the reader is logged in to. `None` for partitions whose console
/// has no public address.
pub(super) fn console_link(region: &RegionName) -> Option<String> {
    let domain = match region.partition() {
        Partition::Aws => "console.aws.amazon.com",
        Partition::AwsCn => "console.amazonaws.cn",
        Partition::AwsUsGov => "console.amazonaws-us-gov.com",
        _ => return None,
    };
    // AWS's workshops link to this path.
    let path = "systems-manager/managed-instances/resource-data-sync";
    Some(format!("https://{region}.{domain}/{path}?region={region}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_depends_on_the_partition() {
        let link = |region: &str| console_link(&region.parse().unwrap());
        let url = |host: &str, region: &str| {
            Some(format!(
                "https://{region}.{host}/systems-manager/managed-instances/resource-data-sync?region={region}"
            ))
        };
        assert_eq!(link("eu-west-1"), url("console.aws.amazon.com", "eu-west-1"));
        assert_eq!(link("cn-north-1"), url("console.amazonaws.cn", "cn-north-1"));
        assert_eq!(link("us-gov-west-1"), url("console.amazonaws-us-gov.com", "us-gov-west-1"));
        for region in ["us-iso-east-1", "us-isob-east-1", "eusc-de-east-1"] {
            assert_eq!(link(region), None, "{region}");
        }
    }
}
