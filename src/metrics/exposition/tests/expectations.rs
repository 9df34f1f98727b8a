//! Tests of the families about expectations.

use pretty_assertions::assert_eq;

use super::*;
use crate::expectations::{Expectation, ExpectedSync, ExpectedText, Presence, TextPattern};
use crate::fleet::TargetSelector;
use crate::metrics::expectation_families;

/// An expectation that each target has a sync to a bucket with one of these names. No names: any.
fn expectation(name: &str, sync_names: &[&str]) -> Expectation {
    let names = sync_names.iter().map(|name| TextPattern::parse(name).unwrap()).collect();
    Expectation {
        name: name.to_owned(),
        targets: TargetSelector::default(),
        managed_by: Vec::new(),
        presence: Presence::Required,
        request: ExpectedSync { names, ..ExpectedSync::any(SyncType::ToDestination) },
    }
}

fn in_regions(expectation: Expectation, pattern: &str) -> Expectation {
    let targets = TargetSelector { regions: vec![pattern.parse().unwrap()], ..TargetSelector::default() };
    Expectation { targets, ..expectation }
}

fn in_bucket(expectation: Expectation, bucket: &str) -> Expectation {
    let bucket = ExpectedText::AnyOf(vec![TextPattern::parse(bucket).unwrap()]);
    let request = ExpectedSync { bucket_name: Some(bucket), ..expectation.request };
    Expectation { request, ..expectation }
}

fn with_presence(expectation: Expectation, presence: Presence) -> Expectation {
    Expectation { presence, ..expectation }
}

fn sync_to(name: &str, bucket: &str) -> DataSync {
    let destination = Destination { bucket_name: Some(bucket.to_owned()), ..Destination::default() };
    DataSync { destination: Some(destination), ..sync(name) }
}

/// An exposition of `store` with these expectations, without the families about the exporter itself and
/// without those that `disabled` names.
fn judging(
    store: &Arc<Store>,
    expectations: Vec<Expectation>,
    disabled: &[&str],
    clock: Clock,
) -> Exposition {
    let exporter = ExporterMetrics::new(Shard::default(), Arc::default()).unwrap();
    let disabled = disabled.iter().map(|name| name.parse().unwrap());
    let settings = ExpositionSettings {
        health: Arc::new(HealthPolicy { expectations, ..HealthPolicy::default() }),
        disabled_families: exporter_family_names().into_iter().chain(disabled).collect(),
        sparse_states: true,
        ..ExpositionSettings::default()
    };
    Exposition::new(Arc::clone(store), Arc::new(exporter), settings, clock)
}

/// The samples of the families about expectations, without the prefix that their names share.
fn shown(exposition: &Exposition) -> Vec<String> {
    let text = text(exposition);
    text.lines()
        .filter_map(|line| line.strip_prefix("ssm_sync_exporter_expectation_"))
        .map(ToOwned::to_owned)
        .collect()
}

fn totals(exposition: &Exposition) -> Vec<String> {
    let is_total = |line: &String| line.starts_with("targets{") || line.starts_with("unverified{");
    shown(exposition).into_iter().filter(is_total).collect()
}

#[test]
fn every_state_and_every_subject_of_a_violation_is_exposed() {
    let (store, _) = exposition_of(vec![
        (target(1, Some("prod")), vec![sync_to("a", "one"), sync_to("b", "other")]),
        (target(2, None), vec![sync("a")]),
    ]);
    let new = target(3, None);
    let all = [store.slots()[0].target(), store.slots()[1].target()].map(|target| Target::clone(&target));
    store.set_targets(&TargetList {
        targets: all.into_iter().chain([new]).collect(),
        ..TargetList::default()
    });
    let expectations = vec![
        in_bucket(expectation("named", &["a"]), "one"),
        in_bucket(expectation("any", &[]), "no-such-bucket"),
        expectation("absent", &["b", "c"]),
        expectation("single", &["c-{account_id}"]),
        in_bucket(with_presence(expectation("allowed", &[]), Presence::Allowed), "one"),
        with_presence(expectation("forbidden", &["b"]), Presence::Forbidden),
        in_regions(expectation("elsewhere", &["a"]), "us-*"),
    ];
    let exposition = judging(&store, expectations, &[], Clock::new(|| NOW));
    let one = r#"aws_account_id="000000000001",aws_region="eu-west-1""#;
    let two = r#"aws_account_id="000000000002",aws_region="eu-west-1""#;
    let to_destination = r#"sync_type="SyncToDestination""#;
    let met = |target: &str, name: &str, met: u8| format!("met{{{target},expectation=\"{name}\"}} {met}");
    let mut expected = vec![
        met(one, "named", 1),
        met(one, "any", 0),
        met(one, "absent", 1),
        met(one, "single", 0),
        met(one, "allowed", 0),
        met(one, "forbidden", 0),
        met(two, "named", 1),
        met(two, "any", 1),
        met(two, "absent", 0),
        met(two, "single", 0),
        met(two, "allowed", 1),
        met(two, "forbidden", 1),
    ];
    for (name, counts) in [
        ("named", [2, 0, 0, 0, 1]),
        ("any", [1, 0, 1, 0, 1]),
        ("absent", [1, 1, 0, 0, 1]),
        ("single", [0, 2, 0, 0, 1]),
        ("allowed", [1, 0, 1, 0, 1]),
        ("forbidden", [1, 0, 0, 1, 1]),
        ("elsewhere", [0, 0, 0, 0, 0]),
    ] {
        for (state, count) in ["met", "missing", "drifted", "forbidden", "unknown"].into_iter().zip(counts) {
            expected.push(format!("targets{{expectation=\"{name}\",state=\"{state}\"}} {count}"));
        }
    }
    expected.extend([
        r#"unverified{expectation="named",field="bucket_name"} 1"#.to_owned(),
        r#"unverified{expectation="any",field="bucket_name"} 1"#.to_owned(),
        r#"unverified{expectation="allowed",field="bucket_name"} 1"#.to_owned(),
    ]);
    let violation = |target: &str, labels: &str| format!("violation{{{target},{to_destination},{labels}}} 1");
    expected.extend([
        violation(one, r#"expectation="any",field="bucket_name""#),
        violation(one, r#"sync_name="c-000000000001",expectation="single",field="presence""#),
        violation(one, r#"sync_name="b",expectation="allowed",field="bucket_name""#),
        violation(one, r#"sync_name="b",expectation="forbidden",field="forbidden""#),
        violation(two, r#"expectation="absent",field="presence""#),
        violation(two, r#"sync_name="c-000000000002",expectation="single",field="presence""#),
    ]);
    assert_eq!(shown(&exposition), expected);
}

#[test]
fn without_expectations_there_are_no_series_and_nothing_is_counted() {
    let (store, exposition) = exposition_of(vec![(target(1, None), vec![sync("a")])]);
    assert_eq!(shown(&exposition), [""; 0]);
    let expectations = || vec![expectation("a", &["a"])];
    assert_eq!(counted(&exposition, &store), 0);
    // Disabling both families of totals spares the counting as well.
    let judged = judging(&store, expectations(), &expectation_families::TOTALS, Clock::new(|| NOW));
    assert_eq!(shown(&judged), [met_line(1)]);
    assert_eq!(counted(&judged, &store), 0);
    let judged = judging(&store, expectations(), &expectation_families::TOTALS[..1], Clock::new(|| NOW));
    assert_eq!(shown(&judged), [met_line(1)], "the request names no field that could be unverified");
    assert_eq!(counted(&judged, &store), 1);
}

fn met_line(met: u8) -> String {
    format!(r#"met{{aws_account_id="000000000001",aws_region="eu-west-1",expectation="a"}} {met}"#)
}

/// The number of expectations by which the first chunk counts its targets.
fn counted(exposition: &Exposition, store: &Store) -> usize {
    let Generation { context, cache, .. } = &*exposition.generation.load_full();
    let chunks = cache.current_list(store, context, NOW);
    let (chunk, _) = chunks.refresh(0, SampleEncoding::Text, (store, context), NOW);
    chunk.totals().iter().count()
}

#[test]
fn totals_of_an_expectation_are_exposed_even_without_targets() {
    let store = Arc::new(Store::new(Duration::from_mins(30)));
    let exposition = judging(&store, vec![expectation("a", &["a"])], &[], Clock::new(|| NOW));
    let states = ["met", "missing", "drifted", "forbidden", "unknown"];
    assert_eq!(
        shown(&exposition),
        states.map(|state| format!(r#"targets{{expectation="a",state="{state}"}} 0"#))
    );
}

#[test]
fn the_totals_of_a_scrape_agree_with_its_other_families() {
    let (store, _) = exposition_of((1..=20).map(|id| (target(id, None), vec![sync("a")])).collect());
    let expectations = vec![in_bucket(expectation("a", &["a"]), "one")];
    let exposition = judging(&store, expectations, &[], Clock::new(|| NOW));
    let summary = |text: &str| {
        let count = |name: &str, value: &str| {
            let is_counted = |line: &&str| line.contains(name) && line.ends_with(value);
            text.lines().filter(is_counted).count()
        };
        let total = |start: &str| {
            let line = text.lines().find(|line| line.contains(start)).unwrap();
            line.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap()
        };
        let (met, violated) = (count("expectation_met{", " 1"), count("expectation_met{", " 0"));
        assert_eq!((met, violated), (total(r#"state="met""#), total(r#"state="drifted""#)));
        assert_eq!(count("expectation_violation{", " 1"), violated);
        (met, violated, total("expectation_unverified{"))
    };
    assert_eq!(summary(&text(&exposition)), (20, 0, 20));
    for slot in &store.slots()[..5] {
        store.record(slot, success(vec![sync_to("a", "one")]));
    }
    assert_eq!(summary(&text(&exposition)), (20, 0, 15));
    // The scrape takes its chunks before it returns a buffer, and what is collected later is not in it.
    let mut scrape = exposition.scrape(Format::Text0_0_4, ContentCoding::Identity, &FamilyFilter::All);
    let mut body = scrape.find(|buffer| !buffer.is_empty()).unwrap();
    for slot in &store.slots()[..7] {
        store.record(slot, success(vec![sync_to("a", "other")]));
    }
    body.extend(scrape.flatten());
    assert_eq!(summary(&String::from_utf8(body).unwrap()), (20, 0, 15));
    assert_eq!(summary(&text(&exposition)), (13, 7, 13));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cached_totals_are_never_outdated(
        steps in proptest::collection::vec((0_usize..20, 0_usize..3, any::<bool>(), any::<bool>()), 1..20),
    ) {
        let (store, _) = exposition_of((1..=20).map(|id| (target(id, None), vec![sync("a")])).collect());
        let expectations = || {
            let allowed = with_presence(expectation("allowed", &[]), Presence::Allowed);
            vec![expectation("0", &["0"]), in_bucket(allowed, "one")]
        };
        let exposition = judging(&store, expectations(), &[], Clock::new(|| NOW));
        for (index, syncs, fails, is_scraped) in steps {
            let outcome = if fails {
                Err(Failure::new(Reason::Timeout, "no answer"))
            } else {
                Ok((0..syncs).map(|number| sync(&number.to_string())).collect())
            };
            store.record(&store.slots()[index], Report { outcome, ..success(Vec::new()) });
            if is_scraped {
                let fresh = judging(&store, expectations(), &[], Clock::new(|| NOW));
                prop_assert_eq!(shown(&exposition), shown(&fresh));
            }
        }
    }
}

#[test]
fn a_target_that_is_down_is_judged_by_its_last_good_syncs_and_then_unknown() {
    let (store, _) = exposition_of(vec![(target(1, None), vec![sync("b")])]);
    let failed = Report { outcome: Err(Failure::new(Reason::Timeout, "")), ..success(Vec::new()) };
    store.record(&store.slots()[0], failed);
    let (now, clock) = settable_clock();
    let exposition = judging(&store, vec![expectation("a", &["a"])], &[], clock);
    let states = |counts: [u8; 2]| {
        let line = |state: &str, count: u8| format!(r#"targets{{expectation="a",state="{state}"}} {count}"#);
        let [missing, unknown] = counts;
        [
            line("met", 0),
            line("missing", missing),
            line("drifted", 0),
            line("forbidden", 0),
            line("unknown", unknown),
        ]
    };
    assert_eq!(totals(&exposition), states([1, 0]));
    assert_eq!(shown(&exposition)[0], met_line(0));
    *now.lock().unwrap() = NOW + 1800.1;
    assert_eq!(shown(&exposition), states([0, 1]));
}

#[test]
fn totals_can_be_collected_alone_without_rendering_samples() {
    let (store, _) = exposition_of(vec![(target(1, None), vec![sync("b")])]);
    let exposition = judging(&store, vec![expectation("a", &["a"])], &[], Clock::new(|| NOW));
    let only = FamilyFilter::Only(vec![expectation_families::TOTALS[0].parse().unwrap()]);
    let body: Vec<u8> =
        exposition.scrape(Format::Protobuf, ContentCoding::Identity, &only).flatten().collect();
    let families = parse_protobuf(&body);
    assert_eq!(
        families.iter().map(MetricFamily::name).collect::<Vec<_>>(),
        [expectation_families::TOTALS[0]]
    );
    assert_eq!(samples(&families).iter().map(|sample| sample.2).sum::<f64>().to_bits(), 1_f64.to_bits());
    let Generation { context, cache, .. } = &*exposition.generation.load_full();
    let chunks = cache.current_list(&store, context, NOW);
    let (chunk, was_outdated) = chunks.refresh_assessments(0, (&*store, context), NOW);
    let (_, was_rendered_now) = chunk.rendered(SampleEncoding::Protobuf, context);
    assert!(!was_outdated && was_rendered_now, "totals need no rendered samples");
}
