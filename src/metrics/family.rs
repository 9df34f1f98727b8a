//! A metric family as data: a name, a help text, a type, and a function that maps one
//! target or one sync to its samples.
//!
//! Families know neither the format nor how often they are rendered. Their functions add
//! samples to a [`SampleWriter`], which hides the encoding, or return the time from which
//! each scrape computes an age.

use prometheus::proto::{Metric, MetricFamily, MetricType};

pub(super) use super::sample_encoding::Kind;
use super::sample_encoding::{SampleEncoding, to_u32};
use crate::expectations::{Expectation, Judgement};
use crate::health::{AssessedSync, AssessedTarget};
use crate::model::{DataSync, UnixSeconds};

/// A family whose samples are rendered from the snapshot.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) source: SampleSource,
}

/// Where the samples of a [`Family`] come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum SampleSource {
    Sync(fn(AssessedSync<'_>, &AssessedTarget, &mut SampleWriter)),
    /// The time from which the age of a sync is measured. The age itself is computed
    /// by each scrape.
    SyncAge(fn(&DataSync) -> Option<UnixSeconds>),
    Target(fn(&AssessedTarget, &mut SampleWriter)),
    /// Called for each expectation that is about the target.
    Judgement(fn(JudgedTarget<'_>, &mut SampleWriter)),
}

/// A target, and how it compares with an expectation.
#[derive(Clone, Copy, Debug)]
pub(super) struct JudgedTarget<'a> {
    pub(super) target: &'a AssessedTarget,
    pub(super) expectation: &'a Expectation,
    pub(super) judgement: &'a Judgement,
}

/// Writes the tail of each sample: the sample's own labels and its value (see
/// [`sample_encoding`](super::sample_encoding)). The caller adds the labels that all samples
/// of a target or a sync share.
#[derive(Debug)]
pub(super) struct SampleWriter {
    encoding: SampleEncoding,
    /// The metric type of the samples that are added next. The caller sets it for each family.
    pub(super) kind: Kind,
    /// Whether [`add_states`](Self::add_states) leaves out the zeros.
    sparse_states: bool,
    bytes: Vec<u8>,
    tail_ends: Vec<u32>,
}

impl SampleWriter {
    /// A writer that appends to `bytes`.
    pub(super) fn new(encoding: SampleEncoding, bytes: Vec<u8>, sparse_states: bool) -> Self {
        Self { encoding, kind: Kind::Gauge, sparse_states, bytes, tail_ends: Vec::new() }
    }

    /// Adds a sample with `labels` beside the shared ones. A label without a value is
    /// left out.
    pub(super) fn add(&mut self, labels: &[(&str, Option<&str>)], value: f64) {
        self.encoding.write_tail(self.kind, labels, value, &mut self.bytes);
        self.tail_ends.push(to_u32(self.bytes.len()));
    }

    /// Adds a sample with the shared labels only, if there is a value.
    pub(super) fn add_if_known(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.add(&[], value);
        }
    }

    /// Adds a sample for each of the `known` values of `label`: 1 for the reported one, 0 for the
    /// others. A reported value that is not among them is added under its own name.
    pub(super) fn add_states<'a>(
        &mut self,
        label: &str,
        known: impl Iterator<Item = &'a str>,
        reported: Option<&str>,
    ) {
        let mut is_known = false;
        for value in known {
            let is_reported = reported == Some(value);
            is_known |= is_reported;
            if is_reported || !self.sparse_states {
                self.add(&[(label, Some(value))], flag(is_reported));
            }
        }
        if let (false, Some(unknown)) = (is_known, reported) {
            self.add(&[(label, Some(unknown))], 1.0);
        }
    }

    /// The number of samples so far.
    pub(super) fn len(&self) -> usize {
        self.tail_ends.len()
    }

    /// Returns the bytes, and where in them the tail of each sample ends.
    pub(super) fn finish(self) -> (Vec<u8>, Vec<u32>) {
        (self.bytes, self.tail_ends)
    }
}

/// Builds a family of the `prometheus` crate.
pub(super) fn metric_family(
    name: &str,
    help: &str,
    metric_type: MetricType,
    metrics: Vec<Metric>,
) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(metric_type);
    family.set_metric(metrics);
    family
}

/// The value of a gauge that is 0 or 1.
pub(super) fn flag(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}

/// A count as the value of a sample. It is exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(super) fn count(number: u64) -> f64 {
    number as f64
}
