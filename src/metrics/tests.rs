//! What an exposition says, whichever way it is written.

use std::collections::BTreeMap;
use std::io::Read as _;

use prometheus::proto::{MetricFamily, MetricType};
use proptest::prelude::*;
use protobuf::{CodedInputStream, Message as _};

use super::sample_encoding::SampleEncoding;
use super::*;
use crate::fleet::{Account, Shard, Target, TargetList};
use crate::model::{DataSync, Destination, Failure, Reason, SyncStatus, SyncType, UnixSeconds};
use crate::snapshot::Report;

const NOW: UnixSeconds = 1_763_800_000.25;
const FORMATS: [Format; 4] =
    [Format::Text0_0_4, Format::Text1_0_0, Format::OpenMetrics1_0_0, Format::Protobuf];

/// A sample: its name, its labels and its value.
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

fn good(syncs: Vec<DataSync>) -> Report {
    Report { account: None, ended: NOW, took: Duration::from_millis(5), outcome: Ok(syncs) }
}

/// An exporter whose targets have these syncs, without the exporter's own
/// families, which are different in each scrape.
fn exporter(targets: Vec<(Target, Vec<DataSync>)>) -> (Arc<Store>, Metrics) {
    let store = Arc::new(Store::new(Duration::from_mins(30)));
    let (targets, syncs): (Vec<_>, Vec<_>) = targets.into_iter().unzip();
    let slots = store.set_targets(&TargetList { targets, pending: 0, ..TargetList::default() });
    for (slot, syncs) in slots.iter().zip(syncs) {
        store.record(slot, good(syncs));
    }
    let metrics = metrics(&store, Clock::new(|| NOW));
    (store, metrics)
}

fn metrics(store: &Arc<Store>, clock: Clock) -> Metrics {
    let own = ExporterMetrics::new(Shard::default()).unwrap();
    let disabled = exporter_families::NAMES.iter().map(|name| name.parse().unwrap()).collect();
    Metrics::new(Arc::clone(store), Arc::new(own), Quota::default(), disabled, clock)
}

fn body(metrics: &Metrics, format: Format, coding: Coding) -> Vec<u8> {
    metrics.scrape(format, coding, &Choice::All).flatten().collect()
}

fn text(metrics: &Metrics) -> String {
    String::from_utf8(body(metrics, Format::Text0_0_4, Coding::Identity)).unwrap()
}

fn decompressed(body: &[u8], coding: Coding) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        Coding::Identity => plain.extend_from_slice(body),
        Coding::Gzip => {
            flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
        }
        Coding::Zstd => {
            zstd::Decoder::new(body).unwrap().read_to_end(&mut plain).unwrap();
        }
    }
    plain
}

/// Reads a text by the rules of the format, not by how we write it.
fn read_text(text: &str) -> Vec<Sample> {
    text.split_terminator('\n').filter(|line| !line.starts_with('#')).map(read_line).collect()
}

fn read_line(line: &str) -> Sample {
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

fn read_protobuf(body: &[u8]) -> Vec<MetricFamily> {
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

fn anything() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[\"\\\\\n{},= #a-é€😀]{0,20}"]
}

prop_compose! {
    fn any_sync()(name in anything(), prefix in proptest::option::of(anything()), message in anything(),
                  status in anything(), last in proptest::option::of(0.0..2e9)) -> DataSync {
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
    fn whatever_aws_says_survives_each_format_and_each_coding(
        accounts in proptest::collection::vec((anything(), proptest::collection::vec(any_sync(), 0..4)), 1..20),
    ) {
        let targets = accounts.iter().zip(1..).map(|((name, syncs), id)| (target(id, Some(name)), syncs.clone()));
        let (_, metrics) = exporter(targets.collect());

        let expected = samples(&read_protobuf(&body(&metrics, Format::Protobuf, Coding::Identity)));
        // Each thing that was put in comes out as it was.
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

        for format in FORMATS {
            let plain = body(&metrics, format, Coding::Identity);
            if format != Format::Protobuf {
                let text = std::str::from_utf8(&plain).unwrap();
                prop_assert_eq!(&read_text(text), &expected, "{:?}", format);
                prop_assert_eq!(text.ends_with("# EOF\n"), format == Format::OpenMetrics1_0_0);
            }
            for coding in [Coding::Gzip, Coding::Zstd] {
                // Twice: what has been kept is as good as what is new.
                for _ in 0..2 {
                    let body = body(&metrics, format, coding);
                    prop_assert!(decompressed(&body, coding) == plain, "{:?} {:?}", format, coding);
                }
            }
        }
    }

    #[test]
    fn what_was_kept_is_never_outdated(
        steps in proptest::collection::vec((0_usize..20, 0_usize..3, any::<bool>(), any::<bool>()), 1..20),
    ) {
        let (store, metrics) = exporter((1..=20).map(|id| (target(id, None), vec![sync("a")])).collect());
        for (index, syncs, fails, scraped) in steps {
            let slot = &store.slots()[index];
            let outcome = if fails {
                Err(Failure::new(Reason::Timeout, "no answer"))
            } else {
                Ok((0..syncs).map(|number| sync(&number.to_string())).collect())
            };
            store.record(slot, Report { outcome, ..good(Vec::new()) });
            if scraped {
                let fresh = self::metrics(&store, Clock::new(|| NOW));
                for (format, coding) in [(Format::Text0_0_4, Coding::Gzip), (Format::Protobuf, Coding::Zstd)] {
                    let expected = body(&fresh, format, Coding::Identity);
                    prop_assert!(decompressed(&body(&metrics, format, coding), coding) == expected);
                }
            }
        }
    }
}

#[test]
fn a_scrape_shows_one_moment_to_its_end() {
    let (store, metrics) = exporter((1..=20).map(|id| (target(id, None), vec![sync("before")])).collect());
    for coding in Coding::ALL {
        let expected = decompressed(&body(&metrics, Format::Text0_0_4, coding), coding);
        let mut scrape = metrics.scrape(Format::Text0_0_4, coding, &Choice::All);
        let mut begun = scrape.next().unwrap();
        for slot in store.slots().iter() {
            store.record(slot, good(vec![sync("after")]));
        }
        begun.extend(scrape.flatten());
        assert_eq!(decompressed(&begun, coding), expected);
        let now =
            String::from_utf8(decompressed(&body(&metrics, Format::Text0_0_4, coding), coding)).unwrap();
        assert!(now.contains("after") && !now.contains("before"));
        for slot in store.slots().iter() {
            store.record(slot, good(vec![sync("before")]));
        }
    }
}

#[test]
fn what_changes_is_compressed_anew_and_nothing_else() {
    let (store, metrics) = exporter((1..=20).map(|id| (target(id, None), vec![sync("a")])).collect());
    let Generation { context, cache, .. } = &*metrics.current.load_full();
    let index = |name: &str| registry::FAMILIES.iter().position(|family| family.name == name).unwrap();
    let [status, last_sync, up] = [
        "aws_ssm_resource_data_sync_last_status",
        "aws_ssm_resource_data_sync_last_sync_timestamp_seconds",
        "ssm_sync_exporter_target_up",
    ]
    .map(index);
    let compressed = |block: usize, family: usize| {
        let layout = cache.layout(&store, NOW);
        let (block, _) = layout.block(block, SampleEncoding::Text, (&*store, context), NOW);
        block.packed(family, SampleEncoding::Text, Coding::Gzip, context).1
    };
    body(&metrics, Format::Text0_0_4, Coding::Gzip);
    for family in [status, last_sync, up] {
        assert!(!compressed(0, family), "it has been compressed by the scrape");
    }
    // One of the first eight has had another attempt, of the same outcome.
    store.record(&store.slots()[3], good(vec![DataSync { last_sync: Some(NOW), ..sync("a") }]));
    assert!(compressed(0, last_sync), "the time is another");
    assert!(!compressed(0, status), "the status is the same");
    assert!(!compressed(0, up), "so is how the target fares");
    assert!(!compressed(1, last_sync), "the others have nothing to do with it");
}

#[tokio::test(start_paused = true)]
async fn what_has_been_asked_for_is_kept_ready() {
    let (store, metrics) = exporter(vec![(target(1, None), vec![sync("a")])]);
    let metrics = Arc::new(metrics);
    let shutdown = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(Arc::clone(&metrics).keep_ready(shutdown.clone()));
    let is_ready = |coding| {
        let Generation { context, cache, .. } = &*metrics.current.load_full();
        let layout = cache.layout(&store, NOW);
        let (block, _) = layout.block(0, SampleEncoding::Text, (&*store, context), NOW);
        !block.packed(0, SampleEncoding::Text, coding, context).1
    };
    metrics.scrape(Format::OpenMetrics1_0_0, Coding::Gzip, &Choice::All).for_each(drop);
    store.record(&store.slots()[0], good(vec![sync("b")]));
    tokio::time::sleep(REST * 2).await;
    assert!(is_ready(Coding::Gzip), "it has been asked for");
    assert!(!is_ready(Coding::Zstd), "nobody has asked for it");
    shutdown.cancel();
    assert!(tasks.join_next().await.unwrap().is_ok());
}

#[test]
fn syncs_go_when_their_time_has_come_without_a_collection() {
    let (store, _) = exporter(vec![(target(1, None), vec![sync("a")])]);
    let slot = &store.slots()[0];
    store.record(slot, Report { outcome: Err(Failure::new(Reason::Timeout, "")), ..good(Vec::new()) });
    let now = Arc::new(std::sync::Mutex::new(NOW));
    let clock = Clock::new({
        let now = Arc::clone(&now);
        move || *now.lock().unwrap()
    });
    let metrics = metrics(&store, clock);
    let shown = || text(&metrics).contains("aws_ssm_resource_data_sync_last_status{");
    assert!(shown());
    *now.lock().unwrap() = NOW + 1800.0;
    assert!(shown());
    *now.lock().unwrap() = NOW + 1800.1;
    assert!(!shown());
}

#[test]
fn targets_come_and_go() {
    let (store, metrics) = exporter((1..=20).map(|id| (target(id, None), vec![sync("a")])).collect());
    let shown = || -> Vec<String> {
        let samples = read_text(&text(&metrics));
        let info = samples.into_iter().filter(|(name, ..)| name == "ssm_sync_exporter_target_info");
        info.map(|(_, mut labels, _)| labels.remove("aws_account_id").unwrap()).collect()
    };
    assert_eq!(shown(), (1..=20).map(|id| format!("{id:012}")).collect::<Vec<_>>());
    let ids = [2, 3, 4, 30, 5, 19];
    store.set_targets(&TargetList {
        targets: ids.map(|id| target(id, None)).to_vec(),
        pending: 0,
        ..TargetList::default()
    });
    assert_eq!(shown(), ids.map(|id| format!("{id:012}")));
    store.set_targets(&TargetList { targets: Vec::new(), pending: 0, ..TargetList::default() });
    assert_eq!(text(&metrics), "");
    assert_eq!(body(&metrics, Format::OpenMetrics1_0_0, Coding::Identity), b"# EOF\n");
}

#[test]
fn an_age_has_milliseconds_and_no_more() {
    for (last, shown) in [
        (NOW - 0.0004, "0"),
        (NOW - 0.1236, "0.124"),
        (NOW - 86_400.5, "86400.5"),
        (NOW - 3600.0, "3600"),
        // The clocks of AWS are not ours.
        (NOW + 2.5, "-2.5"),
    ] {
        let (_, metrics) =
            exporter(vec![(target(1, None), vec![DataSync { last_sync: Some(last), ..sync("a") }])]);
        let text = text(&metrics);
        let line =
            text.lines().find(|line| line.starts_with("aws_ssm_resource_data_sync_last_sync_age_seconds{"));
        assert_eq!(line.unwrap().rsplit_once(' ').unwrap().1, shown);
    }
}

#[test]
fn the_names_of_our_own_families_are_those_that_come() {
    let store = Store::new(Duration::from_mins(30));
    let own = ExporterMetrics::new(Shard::default()).unwrap();
    own.api_request("ssm", "ListResourceDataSync", Duration::from_millis(1), Some("Throttled"));
    own.discovered("regions", NOW);
    let mut names: Vec<String> = own.gather(&store).iter().map(|family| family.name().to_owned()).collect();
    names.sort_unstable();
    assert_eq!(names, exporter_families::NAMES);
}

#[test]
fn only_what_is_chosen_is_shown() {
    let (_, metrics) = exporter(vec![(target(1, None), vec![sync("a")])]);
    let families = |choice: &Choice| -> Vec<String> {
        let body: Vec<u8> = metrics.scrape(Format::Protobuf, Coding::Identity, choice).flatten().collect();
        read_protobuf(&body).iter().map(|family| family.name().to_owned()).collect()
    };
    let [up, info] =
        ["ssm_sync_exporter_target_up", "aws_ssm_resource_data_sync_info"].map(|name| name.parse().unwrap());
    assert_eq!(
        families(&Choice::Only(vec![up, info, up])),
        ["aws_ssm_resource_data_sync_info", "ssm_sync_exporter_target_up"]
    );
    let all = families(&Choice::All);
    assert!(all.is_sorted());
    let rest = all.into_iter().filter(|name| name != up.as_str()).collect::<Vec<_>>();
    assert_eq!(families(&Choice::Without(vec![up])), rest);
}

#[test]
fn the_format_is_what_the_client_likes() {
    let content_type =
        |accept: &str| Format::negotiate(&crate::negotiation::Accept::read([accept])).content_type();
    for (accept, expected) in [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
        (
            "text/plain;version=1.0.0;escaping=allow-utf-8",
            "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        ),
        (
            "application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
        // We have neither this version nor this way of escaping.
        (
            "application/openmetrics-text;version=0.0.1,text/plain;version=1.0.0;escaping=dots,*/*;q=0.1",
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
        ),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=underscores",
        ),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
        ),
    ] {
        assert_eq!(content_type(accept), expected, "{accept}");
    }
}
