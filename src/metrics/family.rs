//! Families as data, and the samples they are made of.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::snapshot::{Snapshot, TargetView};

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// What every family has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
}

/// A family with samples for each target.
pub(super) struct TargetFamily {
    pub(super) header: Header,
    pub(super) samples: fn(&TargetView, &mut Samples<'_>),
}

impl TargetFamily {
    /// All samples; `None` if there are none, for a family without samples
    /// must not be shown.
    pub(super) fn gather(&self, snapshot: &Snapshot) -> Option<MetricFamily> {
        let mut metrics = Vec::with_capacity(snapshot.targets.len());
        for view in &snapshot.targets {
            let base = target_labels(view);
            (self.samples)(view, &mut Samples::new(self.header.kind, base, &mut metrics));
        }
        self.header.family(metrics)
    }
}

impl Header {
    pub(super) fn family(&self, metrics: Vec<Metric>) -> Option<MetricFamily> {
        if metrics.is_empty() {
            return None;
        }
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(match self.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
        });
        family.set_metric(metrics);
        Some(family)
    }
}

/// Takes in the samples of one target or one sync, all of which share labels.
pub(super) struct Samples<'a> {
    kind: Kind,
    base: Vec<LabelPair>,
    metrics: &'a mut Vec<Metric>,
}

impl<'a> Samples<'a> {
    pub(super) fn new(kind: Kind, base: Vec<LabelPair>, metrics: &'a mut Vec<Metric>) -> Self {
        Self { kind, base, metrics }
    }

    /// A sample with the shared labels and `extra` ones. An extra label
    /// without a value is left out.
    pub(super) fn add(&mut self, extra: &[(&str, Option<&str>)], value: f64) {
        let mut labels = self.base.clone();
        labels.extend(extra.iter().filter_map(|(name, value)| Some(label(name, (*value)?))));
        let mut metric = Metric::from_label(labels);
        match self.kind {
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Kind::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        self.metrics.push(metric);
    }

    /// A sample with the shared labels, if there is a value.
    pub(super) fn add_if_known(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.add(&[], value);
        }
    }
}

/// The labels that every series of a target carries.
pub(super) fn target_labels(view: &TargetView) -> Vec<LabelPair> {
    let account = view.target().account.shown(view.state.account.as_ref());
    vec![label("aws_account_id", &account), label("aws_region", view.target().region.as_str())]
}

pub(super) fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

/// 0 or 1.
pub(super) fn flag(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}

/// A number of things. No number that we count gets near the 2^53 from which
/// on this would lose precision.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(super) fn count(number: u64) -> f64 {
    number as f64
}
