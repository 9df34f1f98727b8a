//! AWS region names, and the partitions they belong to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::printable::excerpt;

/// The name of an AWS region, such as `eu-west-1`.
///
/// Only the form of the name is checked, because a list of regions would be outdated as
/// soon as AWS opens a new one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegionName(Arc<str>);

/// The text does not have the form of a region name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an AWS region name; expected a name such as `eu-west-1` or `us-gov-east-1`")]
pub struct InvalidRegion(String);

/// The directions that occur in region names.
const DIRECTIONS: [&str; 9] =
    ["central", "east", "north", "northeast", "northwest", "south", "southeast", "southwest", "west"];

impl RegionName {
    /// The length of the longest name that parsing accepts.
    pub(super) const MAX_LEN: usize = "abcd-abcd-northeast-10".len();

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the region is enabled in every account of its partition, as far as this
    /// version knows.
    pub(crate) fn is_always_enabled(&self) -> bool {
        self.partition().always_enabled().any(|region| region == *self)
    }

    /// The partition, derived from the name by the same rules as in the SDK's endpoint
    /// resolution.
    pub(crate) fn partition(&self) -> Partition {
        const PREFIXES: [(&str, Partition); 7] = [
            ("us-isob-", Partition::AwsIsoB),
            ("us-isof-", Partition::AwsIsoF),
            ("eu-isoe-", Partition::AwsIsoE),
            ("us-iso-", Partition::AwsIso),
            ("us-gov-", Partition::AwsUsGov),
            ("eusc-", Partition::AwsEusc),
            ("cn-", Partition::AwsCn),
        ];
        PREFIXES
            .into_iter()
            .find(|(prefix, _)| self.0.starts_with(prefix))
            .map_or(Partition::Aws, |(_, partition)| partition)
    }
}

impl FromStr for RegionName {
    type Err = InvalidRegion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('-').collect();
        let is_well_formed = match parts.as_slice() {
            [area, middle @ .., direction, number] => {
                (2..=4).contains(&area.len())
                    && area.bytes().all(|byte| byte.is_ascii_lowercase())
                    && middle.len() <= 1
                    && middle.iter().all(|part| {
                        (2..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_lowercase())
                    })
                    && DIRECTIONS.contains(direction)
                    && (1..=2).contains(&number.len())
                    && number.bytes().all(|byte| byte.is_ascii_digit())
            }
            _ => false,
        };
        if is_well_formed { Ok(Self(text.into())) } else { Err(InvalidRegion(excerpt(text))) }
    }
}

impl fmt::Display for RegionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A group of regions that share accounts and credentials. A role of one partition
/// cannot be assumed from another.
#[derive(Clone, Copy, Debug, Display, EnumString, IntoStaticStr, VariantArray, PartialEq, Eq, Hash)]
#[strum(serialize_all = "kebab-case")]
pub enum Partition {
    /// `aws`
    Aws,
    /// `aws-cn`
    AwsCn,
    /// `aws-us-gov`
    AwsUsGov,
    /// `aws-eusc`
    AwsEusc,
    /// `aws-iso`
    AwsIso,
    /// `aws-iso-b`
    AwsIsoB,
    /// `aws-iso-e`
    AwsIsoE,
    /// `aws-iso-f`
    AwsIsoF,
}

impl Partition {
    /// The name, as in ARNs.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }

    /// The regions that are enabled in every account of the partition and cannot be
    /// disabled, as far as this version knows. Source: "Regions enabled by default" in
    /// the reference guide of AWS Account Management.
    pub(crate) fn always_enabled(self) -> impl Iterator<Item = RegionName> {
        let names: &[&str] = match self {
            Self::Aws => &[
                "ap-northeast-1",
                "ap-northeast-2",
                "ap-northeast-3",
                "ap-south-1",
                "ap-southeast-1",
                "ap-southeast-2",
                "ca-central-1",
                "eu-central-1",
                "eu-north-1",
                "eu-west-1",
                "eu-west-2",
                "eu-west-3",
                "sa-east-1",
                "us-east-1",
                "us-east-2",
                "us-west-1",
                "us-west-2",
            ],
            Self::AwsCn => &["cn-north-1", "cn-northwest-1"],
            Self::AwsUsGov => &["us-gov-east-1", "us-gov-west-1"],
            Self::AwsEusc => &["eusc-de-east-1"],
            Self::AwsIso => &["us-iso-east-1", "us-iso-west-1"],
            Self::AwsIsoB => &["us-isob-east-1"],
            Self::AwsIsoE => &["eu-isoe-west-1"],
            Self::AwsIsoF => &["us-isof-east-1", "us-isof-south-1"],
        };
        names.iter().map(|name| RegionName((*name).into()))
    }

    /// The region to use if only the partition is known.
    pub(crate) fn default_region(self) -> RegionName {
        let name = match self {
            Self::Aws => "us-east-1",
            Self::AwsCn => "cn-northwest-1",
            Self::AwsUsGov => "us-gov-west-1",
            Self::AwsEusc => "eusc-de-east-1",
            Self::AwsIso => "us-iso-east-1",
            Self::AwsIsoB => "us-isob-east-1",
            Self::AwsIsoE => "eu-isoe-west-1",
            Self::AwsIsoF => "us-isof-south-1",
        };
        RegionName(name.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_is_derived_from_the_name() {
        for (region, partition) in [
            ("eu-west-1", "aws"),
            ("ap-southeast-5", "aws"),
            ("mx-central-1", "aws"),
            ("cn-northwest-1", "aws-cn"),
            ("us-gov-east-1", "aws-us-gov"),
            ("eusc-de-east-1", "aws-eusc"),
            ("us-iso-west-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-south-1", "aws-iso-f"),
        ] {
            let name: RegionName = region.parse().unwrap();
            assert_eq!(name.partition().as_str(), partition, "{region}");
            assert_eq!(partition.parse(), Ok(name.partition()));
        }
    }

    #[test]
    fn always_enabled_and_default_regions_belong_to_their_partition() {
        for &partition in Partition::VARIANTS {
            assert_eq!(partition.default_region().partition(), partition);
            for region in partition.always_enabled() {
                assert_eq!(region.partition(), partition);
                assert!(region.as_str().parse::<RegionName>().is_ok(), "{region}");
            }
        }
    }

    #[test]
    fn malformed_region_names_are_rejected() {
        for text in [
            "",
            "eu",
            "eu-west",
            "eu-wset-1",
            "EU-WEST-1",
            "eu-west-1a",
            "eu_west_1",
            "eu-west-123",
            "*",
            "eu-*",
            "eu-west-",
            "-west-1",
            "global",
            "us-east-1.evil.example",
        ] {
            assert!(text.parse::<RegionName>().is_err(), "{text}");
        }
    }
}
