//! Benchmarks of the exposition without sockets: `cargo bench --bench exposition`.
//!
//! - `scrape`: nothing has changed since the last scrape.
//! - `first scrape`: nothing has been rendered yet.
//! - `record one collection`: one target was collected, and its chunk is rendered
//!   again for the next scrape.
//! - `negotiation`: parses the `Accept` and `Accept-Encoding` headers of a scrape.
//!
//! Each target has five syncs. 400 and 4,000 targets show how the cost grows.

#![expect(clippy::unwrap_used, reason = "a failed benchmark should panic")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ssm_sync_exporter::clock::Clock;
use ssm_sync_exporter::fleet::{Account, Shard, Target, TargetList};
use ssm_sync_exporter::metrics::{ExporterMetrics, Exposition, ExpositionSettings, FamilyFilter, Format};
use ssm_sync_exporter::model::{DataSync, Destination, SharingType, SyncStatus, SyncType, UnixSeconds};
use ssm_sync_exporter::negotiation::{Accept, ContentCoding};
use ssm_sync_exporter::snapshot::{Report, Store};

const NOW: UnixSeconds = 1_763_800_000.5;
const REGIONS: [&str; 4] = ["eu-west-1", "us-east-1", "ap-southeast-2", "sa-east-1"];
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
     application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
     text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

fn target(number: usize) -> Target {
    let id = format!("{:012}", 100_000_000_000 + number / REGIONS.len()).parse().unwrap();
    let account = Arc::new(Account { id: Some(id), ..Account::default() });
    Target { account, region: REGIONS[number % REGIONS.len()].parse().unwrap() }
}

/// The report of a collection. The times of the last attempt differ from round to round.
fn report(round: u32) -> Report {
    let sync = |number: u32| DataSync {
        sync_type: SyncType::ToDestination,
        name: format!("inventory-sync-{number}"),
        last_status: Some(SyncStatus::Successful),
        last_status_message: Some("Successful".to_owned()),
        last_sync: Some(NOW - 60.0 + f64::from(round)),
        last_successful_sync: Some(NOW - 60.0 + f64::from(round)),
        created: Some(NOW - 1e6),
        last_modified: Some(NOW - 1e5),
        destination: Some(Destination {
            bucket_name: Some("org-inventory-bucket".to_owned()),
            prefix: Some("inventory".to_owned()),
            region: Some("us-east-1".to_owned()),
            format: Some("JsonSerDe".to_owned()),
            kms_key_arn: None,
            sharing: Some(SharingType::Organization),
        }),
        source: None,
    };
    Report {
        account: None,
        ended: NOW + f64::from(round),
        took: Duration::from_millis(120),
        outcome: Ok((0..5).map(sync).collect()),
        invalid_items: None,
    }
}

fn store(targets: usize) -> Arc<Store> {
    let store = Arc::new(Store::new(Duration::from_mins(30)));
    for slot in store.set_targets(&TargetList {
        targets: (0..targets).map(target).collect(),
        pending_lookups: 0,
        ..TargetList::default()
    }) {
        store.record(&slot, report(0));
    }
    store
}

fn exposition(store: &Arc<Store>) -> Exposition {
    let exporter = Arc::new(ExporterMetrics::new(Shard::default(), Arc::default()).unwrap());
    Exposition::new(Arc::clone(store), exporter, ExpositionSettings::default(), Clock::new(|| NOW))
}

fn scrape(exposition: &Exposition, format: Format, coding: ContentCoding) -> usize {
    exposition.scrape(format, coding, &FamilyFilter::All).map(|buffer| black_box(buffer).len()).sum()
}

fn scrapes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scrape");
    group.sample_size(20);
    for targets in [400, 4000] {
        let store = store(targets);
        let exposition = exposition(&store);
        group.throughput(Throughput::Elements(targets as u64));
        for (format, name) in [(Format::Text0_0_4, "text"), (Format::Protobuf, "protobuf")] {
            for coding in [ContentCoding::Identity, ContentCoding::Gzip, ContentCoding::Zstd] {
                // Fills the cache.
                scrape(&exposition, format, coding);
                let id = BenchmarkId::new(format!("{name}/{coding:?}"), targets);
                group.bench_function(id, |bencher| bencher.iter(|| scrape(&exposition, format, coding)));
            }
        }
    }
    group.finish();
}

fn first_scrapes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("first scrape");
    group.sample_size(10);
    let store = store(4000);
    for coding in [ContentCoding::Identity, ContentCoding::Gzip, ContentCoding::Zstd] {
        group.bench_function(format!("text/{coding:?}"), |bencher| {
            bencher.iter_batched_ref(
                || exposition(&store),
                |exposition| scrape(exposition, Format::Text0_0_4, coding),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// `make_ready` never waits, so a runtime without a driver is enough.
fn record_collection(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record one collection");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for targets in [400, 4000] {
        let store = store(targets);
        let exposition = exposition(&store);
        // Makes the encoding and the coding recently requested ones.
        scrape(&exposition, Format::Text0_0_4, ContentCoding::Gzip);
        let slots = store.slots();
        let mut round = 0;
        group.bench_function(BenchmarkId::from_parameter(targets), |bencher| {
            bencher.iter(|| {
                round += 1;
                store.record(&slots[round as usize % targets], report(round));
                runtime.block_on(exposition.make_ready());
            });
        });
    }
    group.finish();
}

fn negotiation(criterion: &mut Criterion) {
    criterion.bench_function("negotiation", |bencher| {
        bencher.iter(|| {
            let format = Format::negotiate(&Accept::parse([black_box(ACCEPT)]));
            (format.content_type(), ContentCoding::negotiate([black_box("gzip")]))
        });
    });
}

criterion_group!(benches, scrapes, first_scrapes, record_collection, negotiation);
criterion_main!(benches);
