//! Divides the targets among several exporters by rendezvous hashing.
//!
//! Each exporter computes a hash for every pair of a shard and a target. The shard with
//! the highest hash owns the target. All exporters get the same result without talking to
//! each other. A shard that is added takes over an equal share of the targets from each of
//! the others, and no other target moves.

use std::num::NonZeroU32;

use super::Target;
use super::stable_hash::stable_hash;

/// The maximum number of shards. Each target costs a hash for every shard.
const MAX_SHARDS: u32 = 1_000;

/// One of several exporters that share the targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    total: NonZeroU32,
}

/// The reasons why a shard is invalid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidShard {
    /// The index is not below the number of shards.
    #[error("shard index {index} is out of range; expected 0 to {} for a total of {total}", .total.get() - 1)]
    OutOfRange {
        /// The configured index.
        index: u32,
        /// The number of shards.
        total: NonZeroU32,
    },
    /// There are more shards than [`MAX_SHARDS`].
    #[error("a total of {0} shards is too large; expected at most {MAX_SHARDS}")]
    TooMany(NonZeroU32),
    /// The host name does not end in a number.
    #[error(
        "the host name `{0}` does not end in a shard index; expected a name such as `exporter-0`, as pods of a StatefulSet have, or use --shard.index"
    )]
    NoOrdinal(String),
}

impl Default for Shard {
    /// The only shard, which owns all targets.
    fn default() -> Self {
        Self { index: 0, total: NonZeroU32::MIN }
    }
}

impl Shard {
    /// The shard `index`, counted from 0, of `total`.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use ssm_sync_exporter::fleet::Shard;
    ///
    /// let total = NonZeroU32::new(3).unwrap();
    /// assert_eq!(Shard::new(2, total).unwrap().index(), 2);
    /// assert!(Shard::new(3, total).is_err());
    /// ```
    ///
    /// # Errors
    /// `index` is not below `total`, or `total` is too large.
    pub fn new(index: u32, total: NonZeroU32) -> Result<Self, InvalidShard> {
        if total.get() > MAX_SHARDS {
            Err(InvalidShard::TooMany(total))
        } else if index < total.get() {
            Ok(Self { index, total })
        } else {
            Err(InvalidShard::OutOfRange { index, total })
        }
    }

    /// The shard whose index is the number at the end of the host name, as in the pods
    /// of a Kubernetes StatefulSet: `exporter-2` is shard 2.
    ///
    /// # Errors
    /// The host name does not end in a number, the number is not below `total`, or `total` is too large.
    pub(crate) fn from_hostname(hostname: &str, total: NonZeroU32) -> Result<Self, InvalidShard> {
        // The host name may be fully qualified: `exporter-2.exporters.monitoring.svc`.
        let name = hostname.split('.').next().unwrap_or_default();
        let index = name
            .rsplit_once('-')
            .map(|(_, ordinal)| ordinal)
            .filter(|ordinal| ordinal.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|ordinal| ordinal.parse().ok())
            .ok_or_else(|| InvalidShard::NoOrdinal(hostname.to_owned()))?;
        Self::new(index, total)
    }

    /// The index, counted from 0.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }

    /// The number of shards.
    #[must_use]
    pub fn total(self) -> u32 {
        self.total.get()
    }

    /// Whether the targets are divided among several shards.
    pub(crate) fn is_one_of_many(self) -> bool {
        self.total.get() > 1
    }

    /// Whether this shard polls `target`.
    pub(crate) fn owns(self, target: &Target) -> bool {
        // Most exporters are not sharded, so they skip the hashing.
        !self.is_one_of_many() || self.index == owner(&target.to_string(), self.total)
    }
}

/// The index of the shard that owns `target`.
fn owner(target: &str, total: NonZeroU32) -> u32 {
    (0..total.get()).max_by_key(|index| stable_hash(&[&index.to_string(), target])).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::fleet::Account;

    fn total(total: u32) -> NonZeroU32 {
        NonZeroU32::new(total).unwrap()
    }

    fn target(account: u64, region: &str) -> Target {
        let account = Account { id: Some(format!("{account:012}").parse().unwrap()), ..Account::default() };
        Target { account: Arc::new(account), region: region.parse().unwrap() }
    }

    proptest! {
        #[test]
        fn every_target_belongs_to_exactly_one_shard(
            account in 0u64..1_000_000_000_000,
            region in "(us|eu|ap)-(east|west|south)-[1-9]",
            shards in 1u32..40,
        ) {
            let target = target(account, &region);
            let owners = (0..shards).filter(|index| Shard::new(*index, total(shards)).unwrap().owns(&target)).count();
            prop_assert_eq!(owners, 1);
        }

        #[test]
        fn a_target_moves_only_to_the_shard_that_was_added(
            account in 0u64..1_000_000_000_000,
            region in "(us|eu|ap)-(east|west|south)-[1-9]",
            shards in 1u32..40,
        ) {
            let target = target(account, &region).to_string();
            let (before, after) = (owner(&target, total(shards)), owner(&target, total(shards + 1)));
            prop_assert!(after == before || after == shards, "{} from {} to {}", target, before, after);
        }
    }

    /// A recording with four billion shards kept a replay busy for hours.
    #[test]
    fn the_number_of_shards_is_limited() {
        assert!(Shard::new(0, total(MAX_SHARDS)).is_ok());
        let error = Shard::new(0, total(u32::MAX)).unwrap_err();
        assert_eq!(error.to_string(), "a total of 4294967295 shards is too large; expected at most 1000");
    }

    #[test]
    fn targets_are_spread_evenly_and_an_added_shard_takes_only_its_share() {
        let targets: Vec<String> = (0..1000u64)
            .flat_map(|account| ["eu-west-1", "us-east-1"].map(|region| target(account, region).to_string()))
            .collect();
        for shards in [2, 3, 5, 10] {
            let mut sizes = vec![0; shards as usize];
            let mut moved = 0;
            for target in &targets {
                let before = owner(target, total(shards));
                sizes[before as usize] += 1;
                moved += usize::from(owner(target, total(shards + 1)) != before);
            }
            let share = targets.len() / shards as usize;
            assert!(sizes.iter().all(|size| (share * 3 / 4..=share * 5 / 4).contains(size)), "{sizes:?}");
            let share = targets.len() / (shards as usize + 1);
            assert!(
                (share * 3 / 4..=share * 5 / 4).contains(&moved),
                "{shards}: {moved} of {}",
                targets.len()
            );
        }
    }

    /// Exporters of different versions share targets during a rolling update. The
    /// expected owners were computed by the first version that supported shards.
    #[test]
    fn the_owner_of_a_target_does_not_change_with_the_version() {
        let owners: Vec<u32> =
            [(1, "eu-west-1"), (2, "eu-west-1"), (3, "us-east-1"), (4, "ap-south-1"), (5, "sa-east-1")]
                .map(|(account, region)| owner(&target(account, region).to_string(), total(4)))
                .into();
        assert_eq!(owners, [0, 0, 1, 2, 2]);
    }

    #[test]
    fn the_index_is_the_ordinal_of_a_stateful_set_pod() {
        let shard = |name| Shard::from_hostname(name, total(3));
        assert_eq!(shard("ssm-sync-exporter-2"), Shard::new(2, total(3)));
        assert_eq!(shard("exporter-0.exporter.monitoring.svc.cluster.local"), Shard::new(0, total(3)));
        assert_eq!(
            shard("exporter-3").unwrap_err().to_string(),
            "shard index 3 is out of range; expected 0 to 2 for a total of 3"
        );
        for name in ["exporter", "exporter-", "exporter-6b7f9c-x2x9z", "12", "", "exporter-99999999999"] {
            assert_eq!(shard(name), Err(InvalidShard::NoOrdinal(name.to_owned())));
        }
    }
}
