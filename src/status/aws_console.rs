//! Links to the AWS Management Console.

use crate::fleet::{Partition, RegionName};
use crate::model::SyncType;

/// The page of the console from which the syncs of a type are managed, in a region: Fleet Manager for
/// syncs to a bucket, Explorer for syncs from a source. The reader has to be signed in to the account.
/// `None` for the isolated partitions, whose consoles have no public addresses.
pub(super) fn console_link(region: &RegionName, sync_type: &SyncType) -> Option<String> {
    let domain = match region.partition() {
        Partition::Aws => "aws.amazon.com",
        Partition::AwsCn => "amazonaws.cn",
        Partition::AwsUsGov => "amazonaws-us-gov.com",
        Partition::AwsEusc => "amazonaws-eusc.eu",
        Partition::AwsIso | Partition::AwsIsoB | Partition::AwsIsoE | Partition::AwsIsoF => return None,
    };
    let page = if *sync_type == SyncType::FromSource { "explorer" } else { "fleet-manager" };
    Some(format!("https://{region}.console.{domain}/systems-manager/{page}?region={region}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_depends_on_the_partition_and_the_page_on_the_type() {
        let link = |region: &str, sync_type| console_link(&region.parse().unwrap(), &sync_type);
        for (region, sync_type, expected) in [
            (
                "eu-west-1",
                SyncType::ToDestination,
                "https://eu-west-1.console.aws.amazon.com/systems-manager/fleet-manager?region=eu-west-1",
            ),
            (
                "cn-north-1",
                SyncType::FromSource,
                "https://cn-north-1.console.amazonaws.cn/systems-manager/explorer?region=cn-north-1",
            ),
            (
                "us-gov-west-1",
                SyncType::Unknown("x".to_owned()),
                "https://us-gov-west-1.console.amazonaws-us-gov.com/systems-manager/fleet-manager?region=us-gov-west-1",
            ),
        ] {
            assert_eq!(link(region, sync_type).as_deref(), Some(expected));
        }
        assert_eq!(link("us-iso-east-1", SyncType::ToDestination), None);
    }
}
