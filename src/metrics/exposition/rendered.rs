//! What is known of a few targets, as it is written in one encoding.
//!
//! It is made once for every collection. What differs between the samples of a
//! sync is short, so that is kept apart from what they share, and a scrape puts
//! the two together: this takes a fifth of the room that the whole text would. All
//! samples of a family stand together, as they are sent, so that a scrape reads
//! memory in long runs.

use std::ops::Range;

use super::super::family::{Samples, Source, sync_labels, target_labels};
use super::super::registry::{FAMILIES, SAMPLED};
use super::super::sample_encoding::{SampleEncoding, short};
use crate::model::{Quota, UnixSeconds};
use crate::snapshot::TargetView;

/// What is known of a few targets, written.
#[derive(Debug)]
pub(in crate::metrics) struct Rendered {
    encoding: SampleEncoding,
    /// The bases, one after the other, then the tails of all samples, in the
    /// order of the families.
    bytes: Box<[u8]>,
    /// Where each base ends.
    bases: Box<[u32]>,
    /// For each target, where its bases end.
    targets: Box<[u32]>,
    samples: Box<[Sample]>,
    /// For each family and in it for each target, where its samples end.
    ends: Box<[u32]>,
    moments: Box<[Moment]>,
    /// For each family and in it for each target, where its moments end.
    moment_ends: Box<[u32]>,
}

/// A sample whose value is known.
#[derive(Clone, Copy, Debug)]
struct Sample {
    base: u32,
    /// Where its tail ends, which is where that of the next begins.
    end: u32,
}

/// A sample whose value is how long ago something was.
#[derive(Clone, Copy, Debug)]
struct Moment {
    base: u32,
    at: UnixSeconds,
}

impl Rendered {
    /// Writes what is known of a target, of the families that are `shown`.
    pub(in crate::metrics) fn new(
        encoding: SampleEncoding,
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
            bytes.extend_from_slice(&encoding.base(labels));
            bases.push(short(bytes.len()));
        }

        let (mut samples, mut moments) = (Vec::new(), Vec::new());
        let (mut ends, mut moment_ends) = (Vec::with_capacity(SAMPLED), Vec::with_capacity(SAMPLED));
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
                let tails = encoding.tails(family.kind, found.into_metrics(), &mut bytes);
                assert_eq!(tails.len(), found_for.len(), "each metric is one sample");
                samples.extend(found_for.into_iter().zip(tails).map(|(base, end)| Sample { base, end }));
            }
            ends.push(short(samples.len()));
            moment_ends.push(short(moments.len()));
        }
        Self {
            encoding,
            bytes: bytes.into(),
            targets: [short(bases.len())].into(),
            bases: bases.into(),
            samples: samples.into(),
            ends: ends.into(),
            moments: moments.into(),
            moment_ends: moment_ends.into(),
        }
    }

    /// Puts targets together, each of which is the one of that number in a part of
    /// the same encoding.
    pub(in crate::metrics) fn joined(encoding: SampleEncoding, targets: &[(&Self, usize)]) -> Self {
        let mut bytes = Vec::new();
        let (mut bases, mut ends_of_bases) = (Vec::new(), Vec::with_capacity(targets.len()));
        // The number of each target's first base, before and now.
        let mut first = Vec::with_capacity(targets.len());
        for (part, target) in targets {
            let range = range(&part.targets, *target);
            first.push((short(range.start), short(bases.len())));
            for base in range {
                bytes.extend_from_slice(part.base(short(base)));
                bases.push(short(bytes.len()));
            }
            ends_of_bases.push(short(bases.len()));
        }
        let (mut samples, mut moments) = (Vec::new(), Vec::new());
        let cells = SAMPLED * targets.len();
        let (mut ends, mut moment_ends) = (Vec::with_capacity(cells), Vec::with_capacity(cells));
        for family in 0..SAMPLED {
            for ((part, target), (before, now)) in targets.iter().zip(&first) {
                let cell = family * part.targets.len() + target;
                for (sample, tail) in part.tails(range(&part.ends, cell)) {
                    bytes.extend_from_slice(tail);
                    samples.push(Sample { base: sample.base - before + now, end: short(bytes.len()) });
                }
                let of_target = &part.moments[range(&part.moment_ends, cell)];
                moments.extend(
                    of_target.iter().map(|moment| Moment { base: moment.base - before + now, ..*moment }),
                );
                ends.push(short(samples.len()));
                moment_ends.push(short(moments.len()));
            }
        }
        Self {
            encoding,
            bytes: bytes.into(),
            bases: bases.into(),
            targets: ends_of_bases.into(),
            samples: samples.into(),
            ends: ends.into(),
            moments: moments.into(),
            moment_ends: moment_ends.into(),
        }
    }

    /// Whether there is nothing of a family.
    pub(in crate::metrics) fn is_empty(&self, family: usize) -> bool {
        self.all_of(&self.ends, family).is_empty() && self.all_of(&self.moment_ends, family).is_empty()
    }

    /// Whether all of a family that is known before the scrape is as in
    /// `other`.
    pub(in crate::metrics) fn is_like(&self, other: &Self, family: usize) -> bool {
        self.pieces(family).eq(other.pieces(family))
    }

    /// Puts all samples of a family behind `out`, as of `now`.
    pub(in crate::metrics) fn write(&self, family: usize, now: UnixSeconds, out: &mut Vec<u8>) {
        let prefix = self.encoding.prefix(FAMILIES[family].name);
        for (base, tail) in self.pieces(family) {
            self.encoding.join(&prefix, base, tail, out);
        }
        for moment in self.moments_of(family) {
            self.encoding.join_age(&prefix, self.base(moment.base), now - moment.at, out);
        }
    }

    /// How many bytes [`write`](Self::write) puts behind in
    /// [`Protobuf`](SampleEncoding::Protobuf).
    pub(in crate::metrics) fn length(&self, family: usize) -> usize {
        let of_samples =
            self.pieces(family).map(|(base, tail)| SampleEncoding::joined_length(base, tail.len()));
        let age_length = SampleEncoding::age_length();
        let age = |moment: &Moment| SampleEncoding::joined_length(self.base(moment.base), age_length);
        of_samples.sum::<usize>() + self.moments_of(family).iter().map(age).sum::<usize>()
    }

    /// The base and the tail of each sample of a family.
    fn pieces(&self, family: usize) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.tails(self.all_of(&self.ends, family)).map(|(sample, tail)| (self.base(sample.base), tail))
    }

    /// Samples, each with its tail.
    fn tails(&self, samples: Range<usize>) -> impl Iterator<Item = (&Sample, &[u8])> {
        let before = samples.start.checked_sub(1).map(|before| self.samples[before].end);
        let first = before.unwrap_or_else(|| self.bases.last().copied().unwrap_or_default());
        self.samples[samples].iter().scan(first, |start, sample| {
            let tail = std::mem::replace(start, sample.end) as usize..sample.end as usize;
            Some((sample, &self.bytes[tail]))
        })
    }

    fn base(&self, index: u32) -> &[u8] {
        &self.bytes[range(&self.bases, index as usize)]
    }

    fn moments_of(&self, family: usize) -> &[Moment] {
        &self.moments[self.all_of(&self.moment_ends, family)]
    }

    /// The range of a family, of all targets, of which there is one at least.
    fn all_of(&self, ends: &[u32], family: usize) -> Range<usize> {
        let cells = family * self.targets.len()..(family + 1) * self.targets.len();
        range(ends, cells.start).start..range(ends, cells.end - 1).end
    }
}

/// The range that ends where `ends` says, and begins where the one before ends.
fn range(ends: &[u32], index: usize) -> Range<usize> {
    let start = index.checked_sub(1).map_or(0, |before| ends[before]);
    start as usize..ends[index] as usize
}
