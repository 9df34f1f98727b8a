//! Families as data, and the samples they are made of.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::model::{DataSync, Quota, UnixSeconds};
use crate::snapshot::TargetView;

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

impl Kind {
    /// As the `prometheus` crate calls it.
    pub(super) fn metric_type(self) -> MetricType {
        match self {
            Self::Counter => MetricType::COUNTER,
            Self::Gauge => MetricType::GAUGE,
        }
    }

    /// A metric of this type without labels.
    pub(super) fn metric(self, value: f64) -> Metric {
        let mut metric = Metric::default();
        match self {
            Self::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Self::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        metric
    }
}

/// A family about targets or their syncs.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) samples: Source,
}

/// Where the samples of a family come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// From what is known of a sync.
    Sync(fn(&DataSync, &mut Samples)),
    /// How long ago something happened to a sync, which is not known before
    /// the scrape.
    Age(fn(&DataSync) -> Option<UnixSeconds>),
    /// From what is known of a target.
    Target(fn(&TargetView, &Quota, &mut Samples)),
}

/// Takes in the samples of one family for one target or one sync. Those have
/// labels in common, which are added elsewhere.
#[derive(Debug)]
pub(super) struct Samples {
    kind: Kind,
    metrics: Vec<Metric>,
}

impl Samples {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, metrics: Vec::new() }
    }

    /// A sample with labels beside the common ones. One without a value is left
    /// out.
    pub(super) fn add(&mut self, extra: &[(&str, Option<&str>)], value: f64) {
        let mut metric = self.kind.metric(value);
        metric.set_label(extra.iter().filter_map(|(name, value)| Some(label(name, (*value)?))).collect());
        self.metrics.push(metric);
    }

    /// A sample with the common labels only, if there is a value.
    pub(super) fn add_if_known(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.add(&[], value);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.metrics.len()
    }

    pub(super) fn into_metrics(self) -> Vec<Metric> {
        self.metrics
    }
}

/// A family as the `prometheus` crate has it.
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

/// The labels that every series of a target carries.
pub(super) fn target_labels(view: &TargetView) -> Vec<LabelPair> {
    let account = view.target().account.display_id(view.state.account.as_ref());
    vec![label("aws_account_id", &account), label("aws_region", view.target().region.as_str())]
}

/// The labels that every series of a sync carries.
pub(super) fn sync_labels(target: &[LabelPair], sync: &DataSync) -> Vec<LabelPair> {
    let of_sync = [label("sync_type", sync.sync_type.as_str()), label("sync_name", &sync.name)];
    target.iter().cloned().chain(of_sync).collect()
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
