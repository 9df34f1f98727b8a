//! The samples of a few targets in one encoding.
//!
//! The labels of a sync are the longest part of its samples, and all its samples share them.
//! They are stored once, separately from the tails, and a scrape joins both (see
//! [`sample_encoding`](crate::metrics::sample_encoding)). This takes a fifth of the memory of
//! the joined samples. The samples of a family are contiguous, as they are in the
//! exposition, so that a scrape reads memory sequentially.

use std::ops::Range;

use crate::metrics::family::{SampleSource, SampleWriter};
use crate::metrics::registry::{SNAPSHOT_FAMILIES, SNAPSHOT_FAMILY_COUNT};
use crate::metrics::sample_encoding::{SampleEncoding, to_u32};
use crate::model::{Quota, UnixSeconds};
use crate::snapshot::TargetView;

/// The samples of some targets. A "cell" holds the samples of one family of one target.
/// Cells are ordered by family, and within a family by target.
#[derive(Debug)]
pub(super) struct RenderedSamples {
    encoding: SampleEncoding,
    /// All label sets, then the tails of all samples.
    bytes: Box<[u8]>,
    /// Where each label set ends in `bytes`. A target has one for itself, then one for
    /// each of its syncs.
    label_ends: Box<[u32]>,
    /// Where the label sets of each target end in `label_ends`.
    target_ends: Box<[u32]>,
    samples: Box<[Sample]>,
    /// Where each cell ends in `samples`.
    sample_ends: Box<[u32]>,
    ages: Box<[Age]>,
    /// Where each cell ends in `ages`.
    age_ends: Box<[u32]>,
}

/// A sample whose value was known at the collection.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// The index of its label set.
    labels: u32,
    /// Where its tail ends in `bytes`, which is where the next one begins.
    tail_end: u32,
}

/// A sample whose value is the time that has passed since `since`.
#[derive(Clone, Copy, Debug)]
struct Age {
    /// The index of its label set.
    labels: u32,
    since: UnixSeconds,
}

impl RenderedSamples {
    /// Renders the enabled families of one target. `enabled` is indexed by family.
    pub(super) fn of_target(
        encoding: SampleEncoding,
        view: &TargetView,
        quota: Quota,
        enabled: &[bool; SNAPSHOT_FAMILY_COUNT],
    ) -> Self {
        let syncs = view.syncs().unwrap_or_default();

        let mut bytes = Vec::new();
        let mut label_ends = Vec::with_capacity(1 + syncs.len());
        let account = view.target().account.display_id(view.state.account.as_ref());
        let account = ("aws_account_id", account.as_str());
        let region = ("aws_region", view.target().region.as_str());
        encoding.write_shared_labels(&[account, region], &mut bytes);
        label_ends.push(to_u32(bytes.len()));
        for sync in syncs {
            let labels =
                [account, region, ("sync_type", sync.sync_type.as_str()), ("sync_name", sync.name.as_str())];
            encoding.write_shared_labels(&labels, &mut bytes);
            label_ends.push(to_u32(bytes.len()));
        }

        let mut writer = SampleWriter::new(encoding, bytes);
        // For each sample, the index of its label set.
        let mut sample_labels = Vec::new();
        let mut ages = Vec::new();
        let mut sample_ends = Vec::with_capacity(SNAPSHOT_FAMILY_COUNT);
        let mut age_ends = Vec::with_capacity(SNAPSHOT_FAMILY_COUNT);
        for (family, enabled) in SNAPSHOT_FAMILIES.iter().zip(enabled) {
            writer.kind = family.kind;
            match family.source {
                _ if !enabled => {}
                SampleSource::Target(write) => {
                    write(view, &quota, &mut writer);
                    sample_labels.resize(writer.len(), 0);
                }
                SampleSource::Sync(write) => {
                    for (labels, sync) in (1..).zip(syncs) {
                        write(sync, &mut writer);
                        sample_labels.resize(writer.len(), labels);
                    }
                }
                SampleSource::SyncAge(since) => {
                    let known = (1..).zip(syncs).filter_map(|(labels, sync)| Some((labels, since(sync)?)));
                    ages.extend(known.map(|(labels, since)| Age { labels, since }));
                }
            }
            sample_ends.push(to_u32(sample_labels.len()));
            age_ends.push(to_u32(ages.len()));
        }
        let (bytes, tail_ends) = writer.finish();
        let samples = sample_labels.into_iter().zip(tail_ends);
        Self {
            encoding,
            bytes: bytes.into(),
            target_ends: [to_u32(label_ends.len())].into(),
            label_ends: label_ends.into(),
            samples: samples.map(|(labels, tail_end)| Sample { labels, tail_end }).collect(),
            sample_ends: sample_ends.into(),
            ages: ages.into(),
            age_ends: age_ends.into(),
        }
    }

    /// Copies targets from other rendered samples. Each target is given by its source and its
    /// position there. All sources must be in `encoding`.
    pub(super) fn concat(encoding: SampleEncoding, targets: &[(&Self, usize)]) -> Self {
        let mut bytes = Vec::new();
        let (mut label_ends, mut target_ends) = (Vec::new(), Vec::with_capacity(targets.len()));
        // The index of each target's first label set, in its source and here.
        let mut first_labels = Vec::with_capacity(targets.len());
        for (source, target) in targets {
            let range = range(&source.target_ends, *target);
            first_labels.push((to_u32(range.start), to_u32(label_ends.len())));
            for labels in range {
                bytes.extend_from_slice(source.labels(to_u32(labels)));
                label_ends.push(to_u32(bytes.len()));
            }
            target_ends.push(to_u32(label_ends.len()));
        }
        let (mut samples, mut ages) = (Vec::new(), Vec::new());
        let cells = SNAPSHOT_FAMILY_COUNT * targets.len();
        let (mut sample_ends, mut age_ends) = (Vec::with_capacity(cells), Vec::with_capacity(cells));
        for family in 0..SNAPSHOT_FAMILY_COUNT {
            for ((source, target), (old_first, new_first)) in targets.iter().zip(&first_labels) {
                let cell = family * source.target_ends.len() + target;
                for (sample, tail) in source.samples_with_tails(range(&source.sample_ends, cell)) {
                    bytes.extend_from_slice(tail);
                    let labels = sample.labels - old_first + new_first;
                    samples.push(Sample { labels, tail_end: to_u32(bytes.len()) });
                }
                for age in &source.ages[range(&source.age_ends, cell)] {
                    ages.push(Age { labels: age.labels - old_first + new_first, ..*age });
                }
                sample_ends.push(to_u32(samples.len()));
                age_ends.push(to_u32(ages.len()));
            }
        }
        Self {
            encoding,
            bytes: bytes.into(),
            label_ends: label_ends.into(),
            target_ends: target_ends.into(),
            samples: samples.into(),
            sample_ends: sample_ends.into(),
            ages: ages.into(),
            age_ends: age_ends.into(),
        }
    }

    /// Whether a family has no samples.
    pub(super) fn is_empty(&self, family: usize) -> bool {
        self.family_range(&self.sample_ends, family).is_empty()
            && self.family_range(&self.age_ends, family).is_empty()
    }

    /// Whether the samples of a family are the same in `other`. Ages are not compared.
    pub(super) fn has_same_samples(&self, other: &Self, family: usize) -> bool {
        self.samples(family).eq(other.samples(family))
    }

    /// Appends all samples of a family, ages as of `now`.
    pub(super) fn write(&self, family: usize, now: UnixSeconds, out: &mut Vec<u8>) {
        let prefix = self.encoding.prefix(SNAPSHOT_FAMILIES[family].name);
        for (labels, tail) in self.samples(family) {
            self.encoding.join(&prefix, labels, tail, out);
        }
        for age in self.ages(family) {
            self.encoding.join_age(&prefix, self.labels(age.labels), now - age.since, out);
        }
    }

    /// The number of bytes that [`write`](Self::write) appends in
    /// [`Protobuf`](SampleEncoding::Protobuf).
    pub(super) fn protobuf_len(&self, family: usize) -> usize {
        let samples =
            self.samples(family).map(|(labels, tail)| SampleEncoding::protobuf_len(labels, tail.len()));
        let age_tail_len = SampleEncoding::protobuf_age_tail_len();
        let age_len = |age: &Age| SampleEncoding::protobuf_len(self.labels(age.labels), age_tail_len);
        samples.sum::<usize>() + self.ages(family).iter().map(age_len).sum::<usize>()
    }

    /// The shared labels and the tail of each sample of a family.
    fn samples(&self, family: usize) -> impl Iterator<Item = (&[u8], &[u8])> {
        let samples = self.samples_with_tails(self.family_range(&self.sample_ends, family));
        samples.map(|(sample, tail)| (self.labels(sample.labels), tail))
    }

    fn samples_with_tails(&self, samples: Range<usize>) -> impl Iterator<Item = (&Sample, &[u8])> {
        let previous_end = samples.start.checked_sub(1).map(|previous| self.samples[previous].tail_end);
        // The first tail begins where the last label set ends.
        let start = previous_end.unwrap_or_else(|| self.label_ends.last().copied().unwrap_or_default());
        self.samples[samples].iter().scan(start, |start, sample| {
            let tail = std::mem::replace(start, sample.tail_end) as usize..sample.tail_end as usize;
            Some((sample, &self.bytes[tail]))
        })
    }

    fn labels(&self, index: u32) -> &[u8] {
        &self.bytes[range(&self.label_ends, index as usize)]
    }

    fn ages(&self, family: usize) -> &[Age] {
        &self.ages[self.family_range(&self.age_ends, family)]
    }

    /// The range of a family, given where each cell ends. There must be at least one target.
    fn family_range(&self, cell_ends: &[u32], family: usize) -> Range<usize> {
        let targets = self.target_ends.len();
        let (first, last) = (family * targets, (family + 1) * targets - 1);
        range(cell_ends, first).start..range(cell_ends, last).end
    }
}

/// The range that ends at `ends[index]`. It begins at the end before, or at 0.
fn range(ends: &[u32], index: usize) -> Range<usize> {
    let start = index.checked_sub(1).map_or(0, |previous| ends[previous]);
    start as usize..ends[index] as usize
}
