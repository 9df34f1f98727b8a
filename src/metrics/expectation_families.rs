//! The families about expectations: how each target compares with each of them, and totals over all
//! targets.
//!
//! The totals are not rendered with the targets. Each chunk of the exposition counts its own targets
//! once, and a scrape adds up the counts of its chunks, see [`gather`].

use prometheus::proto::{LabelPair, Metric, MetricFamily};

use super::family::{Family, JudgedTarget, Kind, SampleSource, SampleWriter, flag, metric_family};
use crate::expectations::{Expectation, ExpectationState, ExpectationTotals, Field, TotalsOfExpectation};

const fn gauge(
    name: &'static str,
    help: &'static str,
    samples: fn(JudgedTarget<'_>, &mut SampleWriter),
) -> Family {
    Family { name, help, kind: Kind::Gauge, source: SampleSource::Judgement(samples) }
}

pub(super) const FAMILIES: [Family; 2] = [
    gauge(
        "ssm_sync_exporter_expectation_met",
        "1 if a target meets an expectation, 0 if it violates it, as of the last good collection. Absent while that is unknown.",
        |JudgedTarget { expectation, judgement, .. }, samples| {
            if let Some(is_met) = judgement.state.is_met() {
                samples.add(&[("expectation", Some(&expectation.name))], flag(is_met));
            }
        },
    ),
    gauge(
        "ssm_sync_exporter_expectation_violation",
        "Field of a resource data sync that violates an expectation, as of the last good collection. Without sync_name if a sync of another name would do as well. 1 while the violation lasts, absent otherwise.",
        |JudgedTarget { target, expectation, judgement }, samples| {
            let observed = target.observed();
            for violation in &judgement.violations {
                let sync_name = violation.sync_name(expectation, &observed);
                samples.add(
                    &[
                        ("sync_type", Some(expectation.request.sync_type.as_str())),
                        ("sync_name", sync_name.as_deref()),
                        ("expectation", Some(&expectation.name)),
                        ("field", Some(violation.field.as_str())),
                    ],
                    1.0,
                );
            }
        },
    ),
];

const TARGETS: &str = "ssm_sync_exporter_expectation_targets";
const UNVERIFIED: &str = "ssm_sync_exporter_expectation_unverified";

/// The names of the families of totals, sorted.
pub(super) const TOTALS: [&str; 2] = [TARGETS, UNVERIFIED];

/// The families of totals that have samples. `totals` has the counts of each of the `expectations`.
pub(super) fn gather(
    expectations: &[Expectation],
    totals: &ExpectationTotals,
) -> impl Iterator<Item = MetricFamily> {
    let family = |name, help, samples: fn(&Expectation, &TotalsOfExpectation) -> Vec<Metric>| {
        let metrics = expectations.iter().zip(totals.iter());
        let metrics = metrics.flat_map(|(expectation, totals)| samples(expectation, totals)).collect();
        metric_family(name, help, Kind::Gauge.metric_type(), metrics)
    };
    let families = [
        family(
            TARGETS,
            "Number of targets by how they compare with an expectation. A target is unknown while it is not known whether the expectation is about it, or which syncs it has.",
            |expectation, totals| {
                let sample = |state: &ExpectationState| {
                    sample(expectation, ("state", state.as_str()), totals.targets(*state))
                };
                ExpectationState::ALL.iter().map(sample).collect()
            },
        ),
        family(
            UNVERIFIED,
            "Number of resource data syncs for which AWS reports no value of a field, so that the field cannot be compared with an expectation.",
            |expectation, totals| {
                let fields = expectation.request.values().map(|(field, _)| field);
                let sample =
                    |field: Field| sample(expectation, ("field", field.as_str()), totals.unverified(field));
                fields.map(sample).collect()
            },
        ),
    ];
    // The encoders reject a family without samples.
    families.into_iter().filter(|family| !family.get_metric().is_empty())
}

fn sample(expectation: &Expectation, (label, value): (&str, &str), number: u32) -> Metric {
    let pair = |name: &str, value: &str| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    let mut metric = Kind::Gauge.metric(f64::from(number));
    metric.set_label(vec![pair("expectation", &expectation.name), pair(label, value)]);
    metric
}
