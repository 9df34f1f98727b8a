//! Tests of the exposition through its public type, and of the chunks that it keeps ready.

mod expectations;

use std::collections::BTreeMap;
use std::io::Read as _;

use prometheus::proto::{MetricFamily, MetricType};
use proptest::prelude::*;
use protobuf::{CodedInputStream, Message as _};
use strum::VariantArray as _;

use super::*;
use crate::fleet::{Account, Shard, Target, TargetList};
use crate::metrics::exporter_families;
use crate::metrics::registry::SNAPSHOT_FAMILIES;
use crate::metrics::sample_encoding::SampleEncoding;
use crate::model::{DataSync, Destination, Failure, Reason, SyncStatus, SyncType, UnixSeconds};
use crate::snapshot::Report;

const NOW: UnixSeconds = 1_763_800_000.25;

/// The name, the labels and the value.
type Sample = (String, BTreeMap<String, String>, f64);

fn sync(name: &str) -> DataSync {
    DataSync {
        sync_type: SyncType::ToDestination,
        name: name.to_owned(),
        last_status: Some(SyncStatus::Successful),
        last_status_message: None,
        last_sync: Some(NOW - 60.0),
        last_successful_sync: Some(NOW - 120.5),
        created: None,
        last_modified: None,
        destination: None,
        source: None,
    }
}

fn target(id: u64, name: Option<&str>) -> Target {
    let account = Account {
        id: Some(format!("{id:012}").parse().unwrap()),
        name: name.map(ToOwned::to_owned),
        ..Account::default()
    };
    Target { account: Arc::new(account), region: "eu-west-1".parse().unwrap() }
}

fn success(syncs: Vec<DataSync>) -> Report {
    Report {
        account: None,
        ended: NOW,
        took: Duration::from_millis(5),
        outcome: Ok(syncs),
        invalid_items: None,
    }
}

/// A store and an exposition of targets with these syncs. The families about the exporter
/// itself are disabled, because they differ from scrape to scrape.
fn exposition_of(targets: Vec<(Target, Vec<DataSync>)>) -> (Arc<Store>, Exposition) {
    let store = Arc::new(Store::new(Duration::from_mins(30)));
    let (targets, syncs): (Vec<_>, Vec<_>) = targets.into_iter().unzip();
    let slots = store.set_targets(&TargetList { targets, pending_lookups: 0, ..TargetList::default() });
    for (slot, syncs) in slots.iter().zip(syncs) {
        store.record(slot, success(syncs));
    }
    let exposition = new_exposition(&store, Clock::new(|| NOW));
    (store, exposition)
}

fn new_exposition(store: &Arc<Store>, clock: Clock) -> Exposition {
    let exporter = ExporterMetrics::new(Shard::default(), Arc::default()).unwrap();
    let settings = ExpositionSettings { disabled_families: exporter_family_names(), ..Default::default() };
    Exposition::new(Arc::clone(store), Arc::new(exporter), settings, clock)
}

fn exporter_family_names() -> Vec<FamilyName> {
    exporter_families::NAMES.iter().map(|name| name.parse().unwrap()).collect()
}

fn body(exposition: &Exposition, format: Format, coding: ContentCoding) -> Vec<u8> {
    exposition.scrape(format, coding, &FamilyFilter::All).flatten().collect()
}

fn text(exposition: &Exposition) -> String {
    String::from_utf8(body(exposition, Format::Text0_0_4, ContentCoding::Identity)).unwrap()
}

fn decompressed(body: &[u8], coding: ContentCoding) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        ContentCoding::Identity => plain.extend_from_slice(body),
        ContentCoding::Gzip => {
            flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
        }
        ContentCoding::Zstd => {
            zstd::Decoder::new(body).unwrap().read_to_end(&mut plain).unwrap();
        }
    }
    plain
}

/// Parses a text by the rules of the format, not by how the exporter writes it.
fn parse_text(text: &str) -> Vec<Sample> {
    text.split_terminator('\n').filter(|line| !line.starts_with('#')).map(parse_line).collect()
}

fn parse_line(line: &str) -> Sample {
    let mut labels = BTreeMap::new();
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = (line[..end].to_owned(), &line[end..]);
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.trim_start_matches(',').split_once("=\"").unwrap();
            let mut value = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next().unwrap() {
                    (index, '"') => break index,
                    (_, '\\') => value.push(match chars.next().unwrap().1 {
                        'n' => '\n',
                        escaped => escaped,
                    }),
                    (_, plain) => value.push(plain),
                }
            };
            assert_eq!(labels.insert(label.to_owned(), value), None);
            rest = &after[end + 1..];
        }
        rest = &rest[1..];
    }
    (name, labels, rest.strip_prefix(' ').unwrap().parse().unwrap())
}

fn parse_protobuf(body: &[u8]) -> Vec<MetricFamily> {
    let mut input = CodedInputStream::from_bytes(body);
    let mut families = Vec::new();
    while !input.eof().unwrap() {
        let mut family = MetricFamily::new();
        let length = input.read_raw_varint64().unwrap();
        let end = input.push_limit(length).unwrap();
        family.merge_from(&mut input).unwrap();
        input.pop_limit(end);
        families.push(family);
    }
    families
}

fn samples(families: &[MetricFamily]) -> Vec<Sample> {
    let of_family = |family: &MetricFamily| {
        let sample = |metric: &prometheus::proto::Metric| {
            let labels =
                metric.get_label().iter().map(|label| (label.name().to_owned(), label.value().to_owned()));
            let value = match family.get_field_type() {
                MetricType::COUNTER => metric.get_counter().value(),
                _ => metric.get_gauge().value(),
            };
            (family.name().to_owned(), labels.collect(), value)
        };
        family.get_metric().iter().map(sample).collect::<Vec<_>>()
    };
    families.iter().flat_map(of_family).collect()
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[\"\\\\\n{},= #a-é€😀]{0,20}"]
}

prop_compose! {
    fn any_sync()(name in any_text(), prefix in proptest::option::of(any_text()), message in any_text(),
                  status in any_text(), last in proptest::option::of(0.0..2e9)) -> DataSync {
        DataSync {
            last_status: Some(SyncStatus::from(&*status)),
            last_status_message: Some(message),
            last_sync: last,
            destination: Some(Destination { prefix, ..Destination::default() }),
            ..sync(&name)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_text_survives_every_format_and_coding(
        accounts in proptest::collection::vec((any_text(), proptest::collection::vec(any_sync(), 0..4)), 1..20),
    ) {
        let targets = accounts.iter().zip(1..).map(|((name, syncs), id)| (target(id, Some(name)), syncs.clone()));
        let (_, exposition) = exposition_of(targets.collect());

        let expected = samples(&parse_protobuf(&body(&exposition, Format::Protobuf, ContentCoding::Identity)));
        // Every text that was put in comes out unchanged.
        let values = |name: &str, label: &str| -> Vec<&String> {
            expected.iter().filter(|sample| sample.0 == name).filter_map(|sample| sample.1.get(label)).collect()
        };
        let syncs = || accounts.iter().flat_map(|(_, syncs)| syncs);
        let names: Vec<_> = accounts.iter().map(|(name, _)| name).collect();
        prop_assert_eq!(values("ssm_sync_exporter_target_info", "account_name"), names);
        let info = "aws_ssm_resource_data_sync_info";
        prop_assert_eq!(values(info, "sync_name"), syncs().map(|sync| &sync.name).collect::<Vec<_>>());
        let prefix = |sync: &'_ DataSync| sync.destination.as_ref().and_then(|to| to.prefix.clone());
        let prefixes: Vec<_> = syncs().filter_map(prefix).collect();
        prop_assert_eq!(values(info, "bucket_prefix"), prefixes.iter().collect::<Vec<_>>());

        for format in Format::VARIANTS.iter().copied() {
            let plain = body(&exposition, format, ContentCoding::Identity);
            if format != Format::Protobuf {
                let text = std::str::from_utf8(&plain).unwrap();
                prop_assert_eq!(&parse_text(text), &expected, "{:?}", format);
                prop_assert_eq!(text.ends_with("# EOF\n"), format == Format::OpenMetrics1_0_0);
            }
            for coding in [ContentCoding::Gzip, ContentCoding::Zstd] {
                // The second body reuses the samples that were compressed for the first.
                for _ in 0..2 {
                    let body = body(&exposition, format, coding);
                    prop_assert!(decompressed(&body, coding) == plain, "{:?} {:?}", format, coding);
                }
            }
        }
    }

    #[test]
    fn a_cached_chunk_is_never_served_outdated(
        steps in proptest::collection::vec((0_usize..20, 0_usize..3, any::<bool>(), any::<bool>()), 1..20),
    ) {
        let (store, exposition) = exposition_of((1..=20).map(|id| (target(id, None), vec![sync("a")])).collect());
        for (index, syncs, fails, is_scraped) in steps {
            let slot = &store.slots()[index];
            let outcome = if fails {
                Err(Failure::new(Reason::Timeout, "no answer"))
            } else {
                Ok((0..syncs).map(|number| sync(&number.to_string())).collect())
            };
            store.record(slot, Report { outcome, ..success(Vec::new()) });
            if is_scraped {
                let fresh = new_exposition(&store, Clock::new(|| NOW));
                for (format, coding) in [(Format::Text0_0_4, ContentCoding::Gzip), (Format::Protobuf, ContentCoding::Zstd)] {
                    let expected = body(&fresh, format, ContentCoding::Identity);
                    prop_assert!(decompressed(&body(&exposition, format, coding), coding) == expected);
                }
            }
        }
    }
}

#[test]
fn a_scrape_serves_one_collection_of_each_target_to_its_end() {
    let (store, exposition) =
        exposition_of((1..=20).map(|id| (target(id, None), vec![sync("before")])).collect());
    for coding in ContentCoding::ALL {
        let expected = decompressed(&body(&exposition, Format::Text0_0_4, coding), coding);
        let mut scrape = exposition.scrape(Format::Text0_0_4, coding, &FamilyFilter::All);
        let mut slow_body = scrape.next().unwrap();
        for slot in store.slots().iter() {
            store.record(slot, success(vec![sync("after")]));
        }
        slow_body.extend(scrape.flatten());
        assert_eq!(decompressed(&slow_body, coding), expected);
        let next =
            String::from_utf8(decompressed(&body(&exposition, Format::Text0_0_4, coding), coding)).unwrap();
        assert!(next.contains("after") && !next.contains("before"));
        for slot in store.slots().iter() {
            store.record(slot, success(vec![sync("before")]));
        }
    }
}

#[test]
fn only_what_changed_is_compressed_again() {
    let (store, exposition) = exposition_of((1..=20).map(|id| (target(id, None), vec![sync("a")])).collect());
    let Generation { context, cache, .. } = &*exposition.generation.load_full();
    let index = |name: &str| SNAPSHOT_FAMILIES.iter().position(|family| family.name == name).unwrap();
    let [status, last_sync, up] = [
        "aws_ssm_resource_data_sync_last_status",
        "aws_ssm_resource_data_sync_last_sync_timestamp_seconds",
        "ssm_sync_exporter_target_up",
    ]
    .map(index);
    let is_compressed_now = |chunk: usize, family: usize| {
        let chunks = cache.current_list(&store, context, NOW);
        let (chunk, _) = chunks.refresh(chunk, SampleEncoding::Text, (&*store, context), NOW);
        chunk.compressed(family, SampleEncoding::Text, ContentCoding::Gzip, context).1
    };
    body(&exposition, Format::Text0_0_4, ContentCoding::Gzip);
    for family in [status, last_sync, up] {
        assert!(!is_compressed_now(0, family), "the scrape has compressed it");
    }
    // A target of the first chunk was collected: its sync has run again, with the same status.
    store.record(&store.slots()[3], success(vec![DataSync { last_sync: Some(NOW), ..sync("a") }]));
    assert!(is_compressed_now(0, last_sync), "the time has changed");
    assert!(!is_compressed_now(0, status), "the status is the same");
    assert!(!is_compressed_now(0, up), "the target is still up");
    assert!(!is_compressed_now(1, last_sync), "no target of the second chunk was collected");
}

#[tokio::test(start_paused = true)]
async fn recently_requested_codings_are_kept_ready() {
    let (store, exposition) = exposition_of(vec![(target(1, None), vec![sync("a")])]);
    let exposition = Arc::new(exposition);
    let shutdown = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(Arc::clone(&exposition).keep_ready(shutdown.clone()));
    let is_ready = |coding| {
        let Generation { context, cache, .. } = &*exposition.generation.load_full();
        let chunks = cache.current_list(&store, context, NOW);
        let (chunk, _) = chunks.refresh(0, SampleEncoding::Text, (&*store, context), NOW);
        !chunk.compressed(0, SampleEncoding::Text, coding, context).1
    };
    exposition.scrape(Format::OpenMetrics1_0_0, ContentCoding::Gzip, &FamilyFilter::All).for_each(drop);
    store.record(&store.slots()[0], success(vec![sync("b")]));
    tokio::time::sleep(MIN_PAUSE * 2).await;
    assert!(is_ready(ContentCoding::Gzip), "it was requested");
    assert!(!is_ready(ContentCoding::Zstd), "it was never requested");
    shutdown.cancel();
    assert!(tasks.join_next().await.unwrap().is_ok());
}

/// A clock whose time the test sets.
fn settable_clock() -> (Arc<std::sync::Mutex<UnixSeconds>>, Clock) {
    let now = Arc::new(std::sync::Mutex::new(NOW));
    let clock = Clock::new({
        let now = Arc::clone(&now);
        move || *now.lock().unwrap()
    });
    (now, clock)
}

#[test]
fn a_verdict_that_changes_with_time_is_rendered_again_at_that_moment_and_no_sooner() {
    let stale_soon = DataSync { last_successful_sync: Some(NOW - 48.0 * 3600.0 + 60.0), ..sync("a") };
    let targets = vec![(target(1, Some("prod")), vec![stale_soon]), (target(2, None), vec![sync("b")])];
    let (store, _) = exposition_of(targets);
    let (now, clock) = settable_clock();
    let exposition = new_exposition(&store, clock);
    let verdicts = || {
        let text = text(&exposition);
        let of_interest = |line: &&str| {
            ["data_sync_problem{", "data_syncs_by_health{", "target_health{"]
                .iter()
                .any(|name| line.contains(name))
        };
        text.lines().filter(of_interest).map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let Generation { context, cache, .. } = &*exposition.generation.load_full();
    let rendered_chunk = |at: UnixSeconds| {
        let chunks = cache.current_list(&store, context, at);
        chunks.refresh(0, SampleEncoding::Text, (&*store, context), at).0
    };
    let first = rendered_chunk(NOW);
    let healthy = [
        r#"aws_ssm_resource_data_syncs_by_health{aws_account_id="000000000001",aws_region="eu-west-1",sync_type="SyncToDestination",health="healthy",managed_by="customer"} 1"#,
        r#"aws_ssm_resource_data_syncs_by_health{aws_account_id="000000000002",aws_region="eu-west-1",sync_type="SyncToDestination",health="healthy",managed_by="customer"} 1"#,
        r#"ssm_sync_exporter_target_health{aws_account_id="000000000001",aws_region="eu-west-1",account_name="prod"} 0"#,
        r#"ssm_sync_exporter_target_health{aws_account_id="000000000002",aws_region="eu-west-1"} 0"#,
    ];
    assert_eq!(verdicts(), healthy);
    *now.lock().unwrap() = NOW + 60.0;
    assert_eq!(verdicts(), healthy);
    assert!(Arc::ptr_eq(&first, &rendered_chunk(NOW + 60.0)), "nothing has changed yet");
    *now.lock().unwrap() = NOW + 60.01;
    let stale = [
        r#"aws_ssm_resource_data_sync_problem{aws_account_id="000000000001",aws_region="eu-west-1",sync_type="SyncToDestination",sync_name="a",problem="stale",account_name="prod",managed_by="customer"} 1"#,
        r#"aws_ssm_resource_data_syncs_by_health{aws_account_id="000000000001",aws_region="eu-west-1",sync_type="SyncToDestination",health="stale",managed_by="customer"} 1"#,
        healthy[1],
        r#"ssm_sync_exporter_target_health{aws_account_id="000000000001",aws_region="eu-west-1",account_name="prod"} 3"#,
        healthy[3],
    ];
    assert_eq!(verdicts(), stale);
    let second = rendered_chunk(NOW + 60.01);
    assert!(!Arc::ptr_eq(&first, &second));
    assert!(Arc::ptr_eq(&second, &rendered_chunk(NOW + 3600.0)), "nothing else changes within the hour");
}

#[test]
fn sparse_states_show_only_the_value_that_holds() {
    let destination = Some(Destination::default());
    let (store, dense) = exposition_of(vec![(target(1, None), vec![DataSync { destination, ..sync("a") }])]);
    let states = |exposition: &Exposition| {
        let has_state = |line: &&str| [",status=", ",sharing_type="].iter().any(|label| line.contains(label));
        let text = text(exposition);
        let tail = |line: &str| line.split_once("sync_name=\"a\",").unwrap().1.to_owned();
        text.lines().filter(has_state).map(tail).collect::<Vec<_>>()
    };
    assert_eq!(
        states(&dense),
        [
            r#"sharing_type="Organization"} 0"#,
            r#"sharing_type="NotReported"} 1"#,
            r#"status="Successful"} 1"#,
            r#"status="Failed"} 0"#,
            r#"status="InProgress"} 0"#,
        ]
    );
    let exporter = ExporterMetrics::new(Shard::default(), Arc::default()).unwrap();
    let settings = ExpositionSettings { sparse_states: true, ..ExpositionSettings::default() };
    let sparse = Exposition::new(store, Arc::new(exporter), settings, Clock::new(|| NOW));
    assert_eq!(states(&sparse), [r#"sharing_type="NotReported"} 1"#, r#"status="Successful"} 1"#]);
}

#[test]
fn stale_syncs_are_dropped_without_another_collection() {
    let (store, _) = exposition_of(vec![(target(1, None), vec![sync("a")])]);
    let slot = &store.slots()[0];
    store.record(slot, Report { outcome: Err(Failure::new(Reason::Timeout, "")), ..success(Vec::new()) });
    let (now, clock) = settable_clock();
    let exposition = new_exposition(&store, clock);
    let shown = || text(&exposition).contains("aws_ssm_resource_data_sync_last_status{");
    assert!(shown());
    *now.lock().unwrap() = NOW + 1800.0;
    assert!(shown());
    *now.lock().unwrap() = NOW + 1800.1;
    assert!(!shown());
}

#[test]
fn the_exposition_follows_the_target_list() {
    let (store, exposition) = exposition_of((1..=20).map(|id| (target(id, None), vec![sync("a")])).collect());
    let shown = || -> Vec<String> {
        let samples = parse_text(&text(&exposition));
        let info = samples.into_iter().filter(|(name, ..)| name == "ssm_sync_exporter_target_info");
        info.map(|(_, mut labels, _)| labels.remove("aws_account_id").unwrap()).collect()
    };
    assert_eq!(shown(), (1..=20).map(|id| format!("{id:012}")).collect::<Vec<_>>());
    let ids = [2, 3, 4, 30, 5, 19];
    store.set_targets(&TargetList {
        targets: ids.map(|id| target(id, None)).to_vec(),
        pending_lookups: 0,
        ..TargetList::default()
    });
    assert_eq!(shown(), ids.map(|id| format!("{id:012}")));
    store.set_targets(&TargetList { targets: Vec::new(), pending_lookups: 0, ..TargetList::default() });
    assert_eq!(text(&exposition), "");
    assert_eq!(body(&exposition, Format::OpenMetrics1_0_0, ContentCoding::Identity), b"# EOF\n");
}

#[test]
fn ages_are_rounded_to_milliseconds() {
    for (last, shown) in [
        (NOW - 0.0004, "0"),
        (NOW - 0.1236, "0.124"),
        (NOW - 86_400.5, "86400.5"),
        (NOW - 3600.0, "3600"),
        // The clock of AWS may be ahead of ours.
        (NOW + 2.5, "-2.5"),
    ] {
        let (_, exposition) =
            exposition_of(vec![(target(1, None), vec![DataSync { last_sync: Some(last), ..sync("a") }])]);
        let text = text(&exposition);
        let line =
            text.lines().find(|line| line.starts_with("aws_ssm_resource_data_sync_last_sync_age_seconds{"));
        assert_eq!(line.unwrap().rsplit_once(' ').unwrap().1, shown);
    }
}

#[test]
fn a_scrape_contains_only_the_families_that_the_filter_includes() {
    let (_, exposition) = exposition_of(vec![(target(1, None), vec![sync("a")])]);
    let families = |filter: &FamilyFilter| -> Vec<String> {
        let body: Vec<u8> =
            exposition.scrape(Format::Protobuf, ContentCoding::Identity, filter).flatten().collect();
        parse_protobuf(&body).iter().map(|family| family.name().to_owned()).collect()
    };
    let [up, info] =
        ["ssm_sync_exporter_target_up", "aws_ssm_resource_data_sync_info"].map(|name| name.parse().unwrap());
    assert_eq!(
        families(&FamilyFilter::Only(vec![up, info, up])),
        ["aws_ssm_resource_data_sync_info", "ssm_sync_exporter_target_up"]
    );
    let all = families(&FamilyFilter::All);
    assert!(all.is_sorted());
    let rest = all.into_iter().filter(|name| name != up.as_str()).collect::<Vec<_>>();
    assert_eq!(families(&FamilyFilter::Except(vec![up])), rest);
}
