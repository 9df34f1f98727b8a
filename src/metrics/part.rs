//! What is known of one target, as it is written in one dialect.
//!
//! It is made once for every collection. What differs between the samples of a
//! sync is short, so that is kept apart from what they share, and a scrape puts
//! the two together: this takes a fifth of the room that the whole text would.

use std::ops::Range;

use super::catalogue::{FAMILIES, SAMPLED};
use super::dialect::{Dialect, short};
use super::family::{Samples, Source, sync_labels, target_labels};
use crate::model::{Quota, UnixSeconds};
use crate::snapshot::TargetView;

/// What is known of one target, written.
#[derive(Debug)]
pub(super) struct Part {
    dialect: Dialect,
    /// The bases, one after the other, then the tails of all samples, in the
    /// order of the families.
    bytes: Box<[u8]>,
    /// Where each base ends.
    bases: Box<[u32]>,
    samples: Box<[Sample]>,
    /// For each family, where its samples end.
    ends: [u32; SAMPLED],
    moments: Box<[Moment]>,
    /// For each family, where its moments end.
    moment_ends: [u32; SAMPLED],
}

/// A sample whose value is known.
#[derive(Debug)]
struct Sample {
    base: u32,
    /// Where its tail ends, which is where that of the next begins.
    end: u32,
}

/// A sample whose value is how long ago something was.
#[derive(Debug)]
struct Moment {
    base: u32,
    at: UnixSeconds,
}

impl Part {
    /// Writes what is known of a target, of the families that are `shown`.
    pub(super) fn new(
        dialect: Dialect,
        view: &TargetView,
        quota: Quota,
        shown: impl Fn(usize) -> bool,
    ) -> Self {
        let syncs = view.syncs().unwrap_or_default();
        let of_target = target_labels(view);

        let mut bytes = Vec::new();
        let mut bases = Vec::with_capacity(1 + syncs.len());
        let of_syncs = syncs.iter().map(|sync| sync_labels(&of_target, sync));
        for labels in std::iter::once(of_target.clone()).chain(of_syncs) {
            bytes.extend_from_slice(&dialect.base(labels));
            bases.push(short(bytes.len()));
        }

        let mut part = Self {
            dialect,
            bytes: Box::default(),
            bases: bases.into_boxed_slice(),
            samples: Box::default(),
            ends: [0; SAMPLED],
            moments: Box::default(),
            moment_ends: [0; SAMPLED],
        };
        let (mut samples, mut moments) = (Vec::new(), Vec::new());
        for (index, family) in FAMILIES.iter().enumerate() {
            let mut found = Samples::new(family.kind);
            let mut found_for = Vec::new();
            match family.samples {
                _ if !shown(index) => {}
                Source::Target(of_target) => {
                    of_target(view, &quota, &mut found);
                    found_for.resize(found.len(), 0);
                }
                Source::Sync(of_sync) => {
                    for (base, sync) in (1..).zip(syncs) {
                        of_sync(sync, &mut found);
                        found_for.resize(found.len(), base);
                    }
                }
                Source::Age(since) => {
                    let known = (1..).zip(syncs).filter_map(|(base, sync)| Some((base, since(sync)?)));
                    moments.extend(known.map(|(base, at)| Moment { base, at }));
                }
            }
            if found.len() > 0 {
                let ends = dialect.tails(family.kind, found.into_metrics(), &mut bytes);
                assert_eq!(ends.len(), found_for.len(), "each metric is one sample");
                samples.extend(found_for.into_iter().zip(ends).map(|(base, end)| Sample { base, end }));
            }
            part.ends[index] = short(samples.len());
            part.moment_ends[index] = short(moments.len());
        }
        part.bytes = bytes.into_boxed_slice();
        part.samples = samples.into_boxed_slice();
        part.moments = moments.into_boxed_slice();
        part
    }

    /// Whether there is nothing of a family.
    pub(super) fn is_empty(&self, family: usize) -> bool {
        self.samples_of(family).is_empty() && self.moments_of(family).is_empty()
    }

    /// Whether all of a family that is known before the scrape is as in
    /// `other`.
    pub(super) fn is_like(&self, other: &Self, family: usize) -> bool {
        self.pieces(family).eq(other.pieces(family))
    }

    /// Puts all samples of a family behind `out`, as of `now`.
    pub(super) fn write(&self, family: usize, prefix: &[u8], now: UnixSeconds, out: &mut Vec<u8>) {
        for (base, tail) in self.pieces(family) {
            self.dialect.join(prefix, base, tail, out);
        }
        for moment in self.moments_of(family) {
            self.dialect.join_age(prefix, self.base(moment.base), now - moment.at, out);
        }
    }

    /// How many bytes [`write`](Self::write) puts behind in
    /// [`Protobuf`](Dialect::Protobuf).
    pub(super) fn length(&self, family: usize) -> usize {
        let of_samples = self.pieces(family).map(|(base, tail)| Dialect::joined_length(base, tail.len()));
        let age_length = Dialect::age_length();
        let age = |moment: &Moment| Dialect::joined_length(self.base(moment.base), age_length);
        of_samples.sum::<usize>() + self.moments_of(family).iter().map(age).sum::<usize>()
    }

    /// The base and the tail of each sample of a family.
    fn pieces(&self, family: usize) -> impl Iterator<Item = (&[u8], &[u8])> {
        let range = range(&self.ends, family);
        let first = match range.start.checked_sub(1) {
            Some(before) => self.samples[before].end,
            None => self.bases.last().copied().unwrap_or_default(),
        };
        self.samples[range].iter().scan(first, |start, sample| {
            let tail = &self.bytes[std::mem::replace(start, sample.end) as usize..sample.end as usize];
            Some((self.base(sample.base), tail))
        })
    }

    fn base(&self, index: u32) -> &[u8] {
        &self.bytes[range(&self.bases, index as usize)]
    }

    fn samples_of(&self, family: usize) -> &[Sample] {
        &self.samples[range(&self.ends, family)]
    }

    fn moments_of(&self, family: usize) -> &[Moment] {
        &self.moments[range(&self.moment_ends, family)]
    }
}

/// The range that ends where `ends` says, and begins where the one before ends.
fn range(ends: &[u32], index: usize) -> Range<usize> {
    let start = index.checked_sub(1).map_or(0, |before| ends[before]);
    start as usize..ends[index] as usize
}
