//! The samples of a few targets in one sample encoding.
//!
//! The labels of a sync are the longest part of its samples, and all its samples share them.
//! They are therefore stored once, as a label set. What differs between the samples is stored
//! separately: the tail of each sample, which is its own labels and its value. A scrape joins
//! both (see [`sample_encoding`](crate::metrics::sample_encoding)). This takes a fifth of the
//! memory of the joined samples. The samples of a family are contiguous, as they are in the
//! exposition, so that a scrape reads memory sequentially.

use std::ops::Range;

use crate::expectations::Expectation;
use crate::health::{AssessedSync, AssessedTarget};
use crate::metrics::family::{JudgedTarget, SampleSource, SampleWriter};
use crate::metrics::registry::{SNAPSHOT_FAMILIES, SNAPSHOT_FAMILY_COUNT};
use crate::metrics::sample_encoding::{SampleEncoding, to_u32};
use crate::model::UnixSeconds;

/// The samples of some targets, grouped into cells. A cell is the samples of one family of one
/// target. Cells are ordered by family, and within a family by target.
#[derive(Debug)]
pub(super) struct RenderedSamples {
    encoding: SampleEncoding,
    /// All label sets, then the tails of all samples but ages.
    bytes: Box<[u8]>,
    /// Where each label set ends in `bytes`. A target has one for itself, then one for
    /// each of its syncs.
    label_set_ends: Box<[u32]>,
    /// The end of each target's label sets, as an index into `label_set_ends`.
    target_ends: Box<[u32]>,
    encoded_samples: Box<[EncodedSample]>,
    /// Where each cell ends in `encoded_samples`.
    cell_sample_ends: Box<[u32]>,
    ages: Box<[AgeSample]>,
    /// Where each cell ends in `ages`.
    cell_age_ends: Box<[u32]>,
}

/// A sample whose value does not depend on the time of the scrape.
#[derive(Clone, Copy, Debug)]
struct EncodedSample {
    /// The index of the sample's label set.
    label_set: u32,
    /// Where the tail ends in `bytes`. The tail of the next sample begins there.
    tail_end: u32,
}

/// A sample whose value is the time from `since` to the scrape.
#[derive(Clone, Copy, Debug)]
struct AgeSample {
    /// The index of the sample's label set.
    label_set: u32,
    since: UnixSeconds,
}

impl RenderedSamples {
    /// Renders the enabled families of one target. `is_enabled` is indexed by family,
    /// `expectations` are those that the target was judged by, and `run_labels` are added if the
    /// account id is unknown.
    pub(super) fn of_target(
        encoding: SampleEncoding,
        (target, expectations): (&AssessedTarget, &[Expectation]),
        is_enabled: &[bool; SNAPSHOT_FAMILY_COUNT],
        sparse_states: bool,
        run_labels: &[(&'static str, String)],
    ) -> Self {
        let syncs = target.syncs();

        let mut bytes = Vec::new();
        let mut label_set_ends = Vec::with_capacity(1 + syncs.len());
        let account = target.display_id();
        let account = ("aws_account_id", account.as_str());
        let region = ("aws_region", target.target().region.as_str());
        let mut labels = vec![account, region];
        if !target.has_account_id() {
            labels.extend(run_labels.iter().map(|(name, value)| (*name, value.as_str())));
        }
        let target_labels = labels.len();
        encoding.write_shared_labels(&labels, &mut bytes);
        label_set_ends.push(to_u32(bytes.len()));
        for AssessedSync { sync, .. } in syncs.clone() {
            labels.truncate(target_labels);
            labels.extend([("sync_type", sync.sync_type.as_str()), ("sync_name", sync.name.as_str())]);
            encoding.write_shared_labels(&labels, &mut bytes);
            label_set_ends.push(to_u32(bytes.len()));
        }

        let mut writer = SampleWriter::new(encoding, bytes, sparse_states);
        // The index of each sample's label set.
        let mut sample_label_sets = Vec::new();
        let mut ages = Vec::new();
        let mut cell_sample_ends = Vec::with_capacity(SNAPSHOT_FAMILY_COUNT);
        let mut cell_age_ends = Vec::with_capacity(SNAPSHOT_FAMILY_COUNT);
        for (family, is_enabled) in SNAPSHOT_FAMILIES.iter().zip(is_enabled) {
            writer.kind = family.kind;
            match family.source {
                _ if !is_enabled => {}
                SampleSource::Target(write) => {
                    write(target, &mut writer);
                    sample_label_sets.resize(writer.len(), 0);
                }
                SampleSource::Judgement(write) => {
                    for judgement in target.judgements() {
                        if let Some(expectation) = expectations.get(judgement.expectation) {
                            write(JudgedTarget { target, expectation, judgement }, &mut writer);
                        }
                    }
                    sample_label_sets.resize(writer.len(), 0);
                }
                SampleSource::Sync(write) => {
                    for (label_set, sync) in (1..).zip(syncs.clone()) {
                        write(sync, target, &mut writer);
                        sample_label_sets.resize(writer.len(), label_set);
                    }
                }
                SampleSource::SyncAge(since) => {
                    let age = |(label_set, sync): (u32, AssessedSync<'_>)| {
                        Some(AgeSample { label_set, since: since(sync.sync)? })
                    };
                    ages.extend((1..).zip(syncs.clone()).filter_map(age));
                }
            }
            cell_sample_ends.push(to_u32(sample_label_sets.len()));
            cell_age_ends.push(to_u32(ages.len()));
        }
        let (bytes, tail_ends) = writer.finish();
        let samples = sample_label_sets.into_iter().zip(tail_ends);
        Self {
            encoding,
            bytes: bytes.into(),
            target_ends: [to_u32(label_set_ends.len())].into(),
            label_set_ends: label_set_ends.into(),
            encoded_samples: samples
                .map(|(label_set, tail_end)| EncodedSample { label_set, tail_end })
                .collect(),
            cell_sample_ends: cell_sample_ends.into(),
            ages: ages.into(),
            cell_age_ends: cell_age_ends.into(),
        }
    }

    /// Copies targets from other rendered samples. Each target is given by its source and its
    /// position in the source. All sources must be in `encoding`.
    pub(super) fn concat(encoding: SampleEncoding, targets: &[(&Self, usize)]) -> Self {
        let mut bytes = Vec::new();
        let (mut label_set_ends, mut target_ends) = (Vec::new(), Vec::with_capacity(targets.len()));
        // The index of each target's first label set, in the source and in the result.
        let mut first_label_sets = Vec::with_capacity(targets.len());
        for (source, target) in targets {
            let range = range(&source.target_ends, *target);
            first_label_sets.push((to_u32(range.start), to_u32(label_set_ends.len())));
            for label_set in range {
                bytes.extend_from_slice(source.labels(to_u32(label_set)));
                label_set_ends.push(to_u32(bytes.len()));
            }
            target_ends.push(to_u32(label_set_ends.len()));
        }
        let (mut encoded_samples, mut ages) = (Vec::new(), Vec::new());
        let cells = SNAPSHOT_FAMILY_COUNT * targets.len();
        let (mut cell_sample_ends, mut cell_age_ends) =
            (Vec::with_capacity(cells), Vec::with_capacity(cells));
        for family in 0..SNAPSHOT_FAMILY_COUNT {
            for ((source, target), (old_first, new_first)) in targets.iter().zip(&first_label_sets) {
                let cell = family * source.target_ends.len() + target;
                for (sample, tail) in source.samples_with_tails(range(&source.cell_sample_ends, cell)) {
                    bytes.extend_from_slice(tail);
                    let label_set = sample.label_set - old_first + new_first;
                    encoded_samples.push(EncodedSample { label_set, tail_end: to_u32(bytes.len()) });
                }
                for age in &source.ages[range(&source.cell_age_ends, cell)] {
                    ages.push(AgeSample { label_set: age.label_set - old_first + new_first, ..*age });
                }
                cell_sample_ends.push(to_u32(encoded_samples.len()));
                cell_age_ends.push(to_u32(ages.len()));
            }
        }
        Self {
            encoding,
            bytes: bytes.into(),
            label_set_ends: label_set_ends.into(),
            target_ends: target_ends.into(),
            encoded_samples: encoded_samples.into(),
            cell_sample_ends: cell_sample_ends.into(),
            ages: ages.into(),
            cell_age_ends: cell_age_ends.into(),
        }
    }

    /// Whether a family has no samples.
    pub(super) fn is_empty(&self, family: usize) -> bool {
        self.family_range(&self.cell_sample_ends, family).is_empty()
            && self.family_range(&self.cell_age_ends, family).is_empty()
    }

    /// Whether the samples of a family are the same in `other`. Ages are not compared.
    pub(super) fn has_same_encoded_samples(&self, other: &Self, family: usize) -> bool {
        self.encoded_samples(family).eq(other.encoded_samples(family))
    }

    /// Appends all samples of a family, ages as of `now`.
    pub(super) fn write(&self, family: usize, now: UnixSeconds, out: &mut Vec<u8>) {
        let prefix = self.encoding.prefix(SNAPSHOT_FAMILIES[family].name);
        for (labels, tail) in self.encoded_samples(family) {
            self.encoding.join(&prefix, labels, tail, out);
        }
        for age in self.ages(family) {
            self.encoding.join_age(&prefix, self.labels(age.label_set), now - age.since, out);
        }
    }

    /// The number of bytes that [`write`](Self::write) appends in
    /// [`Protobuf`](SampleEncoding::Protobuf).
    pub(super) fn protobuf_len(&self, family: usize) -> usize {
        let samples = self
            .encoded_samples(family)
            .map(|(labels, tail)| SampleEncoding::protobuf_len(labels, tail.len()));
        let age_tail_len = SampleEncoding::protobuf_age_tail_len();
        let age_len =
            |age: &AgeSample| SampleEncoding::protobuf_len(self.labels(age.label_set), age_tail_len);
        samples.sum::<usize>() + self.ages(family).iter().map(age_len).sum::<usize>()
    }

    /// The shared labels and the tail of each sample of a family, except ages.
    fn encoded_samples(&self, family: usize) -> impl Iterator<Item = (&[u8], &[u8])> {
        let samples = self.samples_with_tails(self.family_range(&self.cell_sample_ends, family));
        samples.map(|(sample, tail)| (self.labels(sample.label_set), tail))
    }

    fn samples_with_tails(&self, samples: Range<usize>) -> impl Iterator<Item = (&EncodedSample, &[u8])> {
        let previous_end =
            samples.start.checked_sub(1).map(|previous| self.encoded_samples[previous].tail_end);
        // The first tail begins where the last label set ends.
        let start = previous_end.unwrap_or_else(|| self.label_set_ends.last().copied().unwrap_or_default());
        self.encoded_samples[samples].iter().scan(start, |start, sample| {
            let tail = std::mem::replace(start, sample.tail_end) as usize..sample.tail_end as usize;
            Some((sample, &self.bytes[tail]))
        })
    }

    fn labels(&self, label_set: u32) -> &[u8] {
        &self.bytes[range(&self.label_set_ends, label_set as usize)]
    }

    fn ages(&self, family: usize) -> &[AgeSample] {
        &self.ages[self.family_range(&self.cell_age_ends, family)]
    }

    /// The range of a family, given where each cell ends. There must be at least one target.
    fn family_range(&self, cell_ends: &[u32], family: usize) -> Range<usize> {
        let targets = self.target_ends.len();
        let (first, last) = (family * targets, (family + 1) * targets - 1);
        range(cell_ends, first).start..range(cell_ends, last).end
    }
}

/// The range from `ends[index - 1]`, or 0 for the first range, to `ends[index]`.
fn range(ends: &[u32], index: usize) -> Range<usize> {
    let start = index.checked_sub(1).map_or(0, |previous| ends[previous]);
    start as usize..ends[index] as usize
}
