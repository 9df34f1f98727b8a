use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::fleet::{Access, Account, Shard, TargetList};
use crate::health::HealthPolicy;
use crate::model::{DataSync, Failure, Reason, SyncStatus, UnixSeconds};
use crate::snapshot::{Report, Store};
use crate::status::ExporterInfo;
use crate::status::expectations_tests;
use crate::status::tests::{Collected, NOW, account, failed, large_store, store, sync, target};
use crate::web::TelemetryPath;

/// A page about `store`, whose clock the test sets.
struct Fixture {
    page: StatusPage,
    store: Arc<Store>,
    now: Arc<Mutex<UnixSeconds>>,
}

impl Fixture {
    fn new(store: Store) -> Self {
        let (store, now) = (Arc::new(store), Arc::new(Mutex::new(NOW)));
        let clock = Clock::new({
            let now = Arc::clone(&now);
            move || *now.lock().unwrap()
        });
        let (telemetry_path, shard) = (TelemetryPath::default(), Shard::default());
        let info = ExporterInfo { telemetry_path, shard, is_replay: false };
        let page = StatusPage::new(Arc::clone(&store), clock, info, String::new(), Arc::default());
        Self { page, store, now }
    }

    async fn try_get(&self, query: &str, coding: ContentCoding) -> Result<(StatusDocument, Vec<u8>), String> {
        match self.page.document(query, coding).await {
            Ok(StatusDocument { entity_tag, next, chunks }) => {
                let body = chunks.flatten().collect();
                Ok((StatusDocument { entity_tag, next, chunks: Box::new(std::iter::empty()) }, body))
            }
            Err(DocumentError::InvalidQuery(message)) => Err(message),
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn get(&self, query: &str) -> Value {
        let (_, body) = self.try_get(query, ContentCoding::Identity).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    async fn tag(&self, query: &str) -> String {
        self.try_get(query, ContentCoding::Identity).await.unwrap().0.entity_tag
    }

    /// The targets, such as `1 eu-west-1`, each followed by the names of its syncs.
    async fn selected(&self, query: &str) -> Vec<String> {
        let document = self.get(query).await;
        let describe = |target: &Value| {
            let account = target["aws_account_id"].as_str().unwrap();
            let mut text = format!("{} {}", &account[11..], target["aws_region"].as_str().unwrap());
            for sync in target["syncs"].as_array().into_iter().flatten() {
                text.push(' ');
                text.push_str(sync["sync_name"].as_str().unwrap());
            }
            text
        };
        document["targets"].as_array().unwrap().iter().map(describe).collect()
    }

    fn record(&self, slot: usize, outcome: Result<Vec<DataSync>, Failure>) {
        let report = Report {
            account: None,
            ended: NOW,
            took: Duration::from_millis(5),
            outcome,
            invalid_items: None,
        };
        self.store.record(&self.store.slots()[slot], report);
    }
}

fn failing(name: &str) -> DataSync {
    DataSync {
        last_status: Some(SyncStatus::Failed),
        last_status_message: Some("Access Denied".to_owned()),
        ..sync(name, Some(NOW))
    }
}

/// Two accounts in two regions, of which one target is down and one was not collected.
fn small_fleet() -> Vec<(crate::fleet::Target, Collected)> {
    let (one, two) = (account(1, Some("Production")), account(2, None));
    vec![
        (target(&two, "eu-west-1"), Some(Ok(vec![sync("good", Some(NOW))]))),
        (target(&two, "us-east-1"), None),
        (
            target(&one, "eu-west-1"),
            Some(Ok(vec![sync("fine", Some(NOW)), sync("old", Some(NOW - 9e5)), failing("bad")])),
        ),
        (target(&one, "us-east-1"), Some(Err(failed(Reason::ScpDenied)))),
    ]
}

#[tokio::test]
async fn the_document_is_that_of_once_in_every_coding() {
    let fixture = Fixture::new(store(small_fleet()));
    let document = fixture.get("").await;
    let assess = |slot: &Arc<crate::snapshot::Slot>| {
        crate::health::AssessedTarget::of_slot(&fixture.store, slot, &HealthPolicy::default(), NOW)
    };
    let mut targets: Vec<_> = fixture.store.slots().iter().map(assess).collect();
    targets.sort_by_key(|target| target.target().key());
    let mut summary = Summary::new(0, &fixture.store.failing_lookups(), &[]);
    for target in &targets {
        summary.add(target, target.syncs());
    }
    let head = Head { generated_at: NOW, summary, next: None };
    let pretty = crate::status::document::to_vec_pretty(&head, &[], &targets).unwrap();
    let mut expected: Value = serde_json::from_slice(&pretty).unwrap();
    expected["summary"]["config_last_reload_successful"] = true.into();
    assert_eq!(document, expected);

    let (identity, body) = fixture.try_get("", ContentCoding::Identity).await.unwrap();
    let (gzip, compressed) = fixture.try_get("", ContentCoding::Gzip).await.unwrap();
    let mut decompressed = Vec::new();
    flate2::bufread::GzDecoder::new(&*compressed).read_to_end(&mut decompressed).unwrap();
    assert_eq!((decompressed, gzip.entity_tag), (body.clone(), identity.entity_tag.clone()));
    let (zstd, compressed) = fixture.try_get("", ContentCoding::Zstd).await.unwrap();
    assert_eq!((zstd::decode_all(&*compressed).unwrap(), zstd.entity_tag), (body, identity.entity_tag));
}

#[tokio::test]
async fn the_document_says_how_targets_compare_with_expectations() {
    let (fixture, policy) = (Fixture::new(expectations_tests::fleet()), expectations_tests::policy());
    fixture.page.set_configuration(String::new(), Arc::clone(&policy));
    let document = fixture.get("").await;
    let summary = &document["summary"];
    assert_eq!(summary["targets_not_as_expected"], 2);
    let counts = |met, missing, drifted, forbidden, unknown| json!({"met": met, "missing": missing, "drifted": drifted, "forbidden": forbidden, "unknown": unknown});
    assert_eq!(
        summary["expectations"],
        json!([
            {"name": "no-legacy", "targets_by_state": counts(2, 0, 0, 1, 1)},
            {"name": "org-inventory", "targets_by_state": counts(1, 1, 1, 0, 1)},
            {"name": "misspelt", "targets_by_state": counts(0, 0, 0, 0, 0)},
        ])
    );
    let expectations = |index: usize| document["targets"][index]["expectations"].clone();
    let of = |name: &str, state: &str, differences: Value| json!({"name": name, "state": state, "differences": differences});
    let none = || json!([]);
    assert_eq!(expectations(0), json!([of("no-legacy", "met", none()), of("org-inventory", "met", none())]));
    let missing = json!([
        {"field": "presence", "sync_type": "SyncToDestination", "sync_name": "inventory"}
    ]);
    assert_eq!(
        expectations(1),
        json!([of("no-legacy", "met", none()), of("org-inventory", "missing", missing)])
    );
    let forbidden =
        json!([{"field": "forbidden", "sync_type": "SyncToDestination", "sync_name": "legacy-1"}]);
    let drifted = json!([{
        "field": "bucket_name", "sync_type": "SyncToDestination", "sync_name": "inventory", "wanted": "org-us-east-1",
        "found": "<b>elsewhere",
    }]);
    assert_eq!(
        expectations(2),
        json!([of("no-legacy", "forbidden", forbidden), of("org-inventory", "drifted", drifted)])
    );
    assert_eq!(
        expectations(3),
        json!([of("no-legacy", "unknown", none()), of("org-inventory", "unknown", none())])
    );
    // The document of `once` is the same.
    let assess = |slot: &Arc<crate::snapshot::Slot>| {
        crate::health::AssessedTarget::of_slot(&fixture.store, slot, &policy, NOW)
    };
    let targets: Vec<_> = fixture.store.slots().iter().map(assess).collect();
    let mut summary = Summary::new(0, &fixture.store.failing_lookups(), &policy.expectations);
    for target in &targets {
        summary.add(target, target.syncs());
    }
    let head = Head { generated_at: NOW, summary, next: None };
    let pretty = crate::status::document::to_vec_pretty(&head, &policy.expectations, &targets).unwrap();
    let of_once: Value = serde_json::from_slice(&pretty).unwrap();
    assert_eq!(of_once["targets"], document["targets"]);
    assert_eq!(of_once["summary"]["expectations"], document["summary"]["expectations"]);

    for (query, selected) in [
        ("status=not_as_expected", &["1 eu-west-2", "1 us-east-1 inventory legacy-1"][..]),
        ("status=not_as_expected&expectation=no-legacy", &["1 us-east-1 legacy-1"]),
        ("expectation=no-legacy", &["1 eu-west-1", "1 eu-west-2", "1 us-east-1 legacy-1", "1 us-west-1"]),
        ("expectation=misspelt", &[]),
        ("status=trouble", &["1 eu-west-2", "1 us-east-1"]),
    ] {
        assert_eq!(fixture.selected(query).await, selected, "{query}");
    }
    assert_eq!(
        fixture.get("expectation=no-legacy&limit=1").await["next"],
        "?expectation=no-legacy&limit=1&after=000000000001%2Feu-west-1"
    );
    let unknown = fixture.try_get("expectation=no-legcy", ContentCoding::Identity).await.err().unwrap();
    assert_eq!(
        unknown,
        "`expectation=no-legcy`: expected the name of an expectation in the configuration; did you mean `no-legacy`?"
    );
}

#[tokio::test]
async fn a_large_document_is_rendered_in_short_steps() {
    let many = |id| {
        (
            target(&account(id, None), "eu-west-1"),
            Some(Ok((0..500).map(|number| failing(&format!("{id}-{number}"))).collect())),
        )
    };
    let fixture = Fixture::new(store((1..=8).map(many).collect()));
    for coding in ContentCoding::ALL {
        let document = fixture.page.document("", coding).await.ok().unwrap();
        let chunks: Vec<Vec<u8>> = document.chunks.collect();
        let (empty, parts): (Vec<_>, Vec<_>) =
            chunks.iter().enumerate().partition(|(_, chunk)| chunk.is_empty());
        assert!(chunks.len() > 20 && empty.len() >= chunks.len() / 2 - 1, "the task yields after each part");
        assert!(parts.iter().all(|(_, part)| part.len() < 70_000), "a part is never much more than 64 KiB");
    }
}

#[tokio::test]
async fn the_filters_select_as_on_the_page() {
    let fixture = Fixture::new(store(small_fleet()));
    for (query, selected) in [
        ("", &["1 eu-west-1 fine old bad", "1 us-east-1", "2 eu-west-1 good", "2 us-east-1"][..]),
        ("account=pROD", &["1 eu-west-1 fine old bad", "1 us-east-1"]),
        ("account=+000000000002+&region=eu-west-1", &["2 eu-west-1 good"]),
        ("status=failed", &["1 eu-west-1 bad"]),
        // The worst sync of the target has failed, but the stale one must not be missed.
        ("status=stale", &["1 eu-west-1 old"]),
        ("status=healthy", &["1 eu-west-1 fine", "2 eu-west-1 good"]),
        ("status=trouble", &["1 eu-west-1 old bad", "1 us-east-1"]),
        ("status=down", &["1 us-east-1"]),
        ("status=not_collected", &["2 us-east-1"]),
        ("reason=scp_denied", &["1 us-east-1"]),
        ("q=denied", &["1 eu-west-1 bad", "1 us-east-1"]),
        ("q=OLD&status=stale", &["1 eu-west-1 old"]),
        ("account=absent", &[]),
        (
            "account=&region=&status=&reason=&q=&after=",
            &["1 eu-west-1 fine old bad", "1 us-east-1", "2 eu-west-1 good", "2 us-east-1"],
        ),
    ] {
        assert_eq!(fixture.selected(query).await, selected, "{query}");
    }
    let summary = &fixture.get("status=trouble&limit=1").await["summary"];
    let count = |key: &str| summary[key].as_u64().unwrap();
    assert_eq!(
        (count("targets"), count("targets_failed"), count("syncs"), count("syncs_failed")),
        (2, 1, 2, 1)
    );
    assert_eq!(summary["syncs_by_health"]["stale"], 1);
    assert_eq!(summary["targets_by_health"]["down"], 1);
}

#[tokio::test]
async fn what_is_not_understood_is_rejected_with_what_would_be_right() {
    let fixture = Fixture::new(store(Vec::new()));
    for (query, message) in [
        ("acount=1", "unknown parameter `acount`; did you mean `account`?"),
        (
            "utm_source=x",
            "unknown parameter `utm_source`; known are account, region, status, reason, expectation, q, limit, after",
        ),
        ("account=a&account=b", "`account` is given more than once; give it once"),
        ("region=Mars", "`region=Mars`: expected a region name, such as `eu-west-1`"),
        ("status=helthy", "`status=helthy`: expected a known status; did you mean `healthy`?"),
        ("reason=throttle", "`reason=throttle`: expected a known reason; did you mean `throttled`?"),
        (
            "expectation=x",
            "`expectation=x`: expected the name of an expectation in the configuration, and there are none",
        ),
        ("limit=0", "`limit=0`: expected a number from 1 to 5000"),
        ("limit=5001", "`limit=5001`: expected a number from 1 to 5000"),
        ("limit=", "`limit=`: expected a number from 1 to 5000"),
        ("limit=1e3", "`limit=1e3`: expected a number from 1 to 5000"),
        ("after=1", "`after=1`: expected the value in the URL of the next page"),
        (
            "after=unknown+(profile+x/eu-west-1",
            "`after=unknown (profile x/eu-west-1`: expected the value in the URL of the next page",
        ),
        ("q=%1b[2J%E2%80%AE&x=", "unknown parameter `x`; did you mean `q`?"),
        (
            "%1b[2J=1",
            "unknown parameter `\\u{1b}[2J`; known are account, region, status, reason, expectation, q, limit, after",
        ),
    ] {
        let result = fixture.try_get(query, ContentCoding::Identity).await;
        assert_eq!(result.err().as_deref(), Some(message), "{query}");
    }
    let long = format!("account={}", "x".repeat(201));
    let message = fixture.try_get(&long, ContentCoding::Identity).await.err().unwrap();
    assert_eq!(message, "`account` is too long; expected at most 200 characters");
    let status = fixture.try_get("status=entirely_wrong", ContentCoding::Identity).await.err().unwrap();
    assert!(status.contains("; known are trouble, down, failed, "), "{status}");
}

#[tokio::test]
async fn the_entity_tag_changes_with_the_content_and_only_then() {
    let soon_stale = sync("a", Some(NOW - 48.0 * 3600.0 + 60.0));
    let fleet = |name| {
        let other = (target(&account(2, None), "eu-west-1"), Some(Ok(vec![sync("b", Some(NOW))])));
        vec![(target(&account(1, name), "eu-west-1"), Some(Ok(vec![soon_stale.clone()]))), other]
    };
    let fixture = Fixture::new(store(fleet(Some("prod"))));
    let first = fixture.tag("").await;
    let [one, other] = ["account=000000000001", "account=000000000002"];
    let (tag_of_one, tag_of_other) = (fixture.tag(one).await, fixture.tag(other).await);
    assert!(first != tag_of_one && tag_of_one != tag_of_other);
    *fixture.now.lock().unwrap() = NOW + 60.0;
    assert_eq!(fixture.tag("").await, first, "only the time has passed");
    assert_ne!(fixture.get("").await["generated_at"], "2025-11-22T08:26:40Z");

    *fixture.now.lock().unwrap() = NOW + 60.01;
    let stale = fixture.tag("").await;
    assert_ne!(stale, first, "a verdict has changed with time");
    assert_ne!(fixture.tag(one).await, tag_of_one);
    assert_eq!(fixture.tag(other).await, tag_of_other, "nothing about the other account has changed");

    fixture.record(0, Ok(vec![soon_stale.clone()]));
    let collected = fixture.tag("").await;
    assert_ne!(collected, stale, "the time of the collection has changed");
    assert_eq!(fixture.tag(other).await, tag_of_other);
    fixture.page.reload_failed("invalid".to_owned());
    let reload_failed = fixture.tag("").await;
    assert_ne!(reload_failed, collected);
    fixture.page.set_configuration(String::new(), Arc::default());
    assert_eq!(fixture.tag("").await, collected);
    let quota = crate::model::Quota { to_destination: 1, ..crate::model::Quota::default() };
    fixture
        .page
        .set_configuration(String::new(), Arc::new(HealthPolicy { quota, ..HealthPolicy::default() }));
    assert_ne!(fixture.tag("").await, collected, "a quota is used up according to the configuration");
    assert_ne!(Fixture::new(store(fleet(Some("test")))).tag("").await, first);
}

#[tokio::test]
async fn all_pages_together_have_each_target_once_while_targets_come_and_go() {
    let targets =
        |ids: &[u32]| ids.iter().map(|id| target(&account(*id, None), "eu-west-1")).collect::<Vec<_>>();
    let fixture = Fixture::new(store(
        targets(&[1, 2, 4, 5, 7, 8, 9]).into_iter().map(|target| (target, None)).collect(),
    ));
    let mut query = "?limit=2&region=eu-west-1".to_owned();
    let mut seen = Vec::new();
    // The targets after each page.
    for ids in [&[0, 2, 3, 4, 5, 7, 8, 9][..], &[0, 3, 4, 7, 8, 9], &[9, 3], &[]] {
        let (document, body) = fixture.try_get(&query[1..], ContentCoding::Identity).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["next"].as_str(), document.next.as_deref());
        let ids_of_page = body["targets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|target| target["aws_account_id"].as_str().unwrap().parse::<u32>().unwrap());
        seen.extend(ids_of_page);
        let Some(next) = document.next else { break };
        query = next;
        fixture.store.set_targets(&TargetList { targets: targets(ids), ..TargetList::default() });
    }
    assert_eq!(seen, [1, 2, 3, 4, 7, 8, 9], "5 was removed before its page, 3 was added before its page");
    assert_eq!(query, "?region=eu-west-1&limit=2&after=000000000008%2Feu-west-1");
}

#[tokio::test]
async fn learning_an_account_id_moves_no_target_to_another_page() {
    let profile = |name: &str| {
        let access = Access { profile: Some(name.to_owned()), ..Access::default() };
        target(&Arc::new(Account { access, ..Account::default() }), "eu-west-1")
    };
    let targets = vec![
        (target(&account(5, None), "eu-west-1"), None),
        (profile("a/b (c)"), None),
        (profile("z"), None),
    ];
    let fixture = Fixture::new(store(targets));
    let account_of = |document: &Value| document["targets"][0]["aws_account_id"].as_str().unwrap().to_owned();
    let first = fixture.get("limit=1").await;
    assert_eq!(account_of(&first), "000000000005");
    let second = fixture.get(&first["next"].as_str().unwrap()[1..]).await;
    assert_eq!(account_of(&second), "unknown (profile a/b (c))");
    let report = Report {
        account: Some("000000000001".parse().unwrap()),
        ended: NOW,
        took: Duration::from_millis(5),
        outcome: Ok(Vec::new()),
        invalid_items: None,
    };
    let slots = fixture.store.slots();
    fixture.store.record(&slots[2], report);
    // By its account id, the target would belong to the first page, which has been read.
    let third = fixture.get(&second["next"].as_str().unwrap()[1..]).await;
    assert_eq!((account_of(&third).as_str(), third.get("next")), ("000000000001", None));
}

#[tokio::test]
async fn a_fleet_of_17_000_targets_is_read_page_by_page() {
    let fixture = Fixture::new(large_store());
    let (mut query, mut pages) = ("?limit=5000".to_owned(), 0);
    let (mut targets, mut syncs) = (std::collections::BTreeSet::new(), 0);
    loop {
        let document = fixture.get(&query[1..]).await;
        assert_eq!(document["summary"]["targets"], 17_000);
        for target in document["targets"].as_array().unwrap() {
            assert!(targets.insert(format!("{}/{}", target["aws_account_id"], target["aws_region"])));
            syncs += target["syncs"].as_array().map_or(0, Vec::len);
        }
        pages += 1;
        match document["next"].as_str() {
            Some(next) => query = next.to_owned(),
            None => break,
        }
    }
    assert_eq!((pages, targets.len(), syncs), (4, 17_000, 975 * 16 * 5));
}

#[tokio::test(start_paused = true)]
async fn pages_and_documents_wait_for_the_same_two_places() {
    let fixture = Fixture::new(store(Vec::new()));
    let first = fixture.page.gate.enter().await;
    let second = fixture.page.gate.enter().await;
    let refused = fixture.page.document("", ContentCoding::Identity).await.err();
    assert!(matches!(refused, Some(DocumentError::Page(PageError::Busy))), "{refused:?}");
    drop((first, second));
    assert!(fixture.page.document("", ContentCoding::Identity).await.is_ok());
}
