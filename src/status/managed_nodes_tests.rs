//! Tests of managed nodes on the page, on the page about a sync and in the document.

use std::time::Duration;

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use super::tests::{
    NOW, account, assert_small_and_fast, failed, html_of, linked_alerts, page_by, store, sync, target,
};
use super::*;
use crate::fleet::{Account, Target, TargetList};
use crate::model::{DataSync, Failure, Reason, SyncStatus};
use crate::negotiation::ContentCoding;
use crate::snapshot::{NodeReport, Report};
use crate::web::ServeDocument as _;

const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;

/// When a lookup ended, and its result.
type Lookup = (f64, Result<bool, Failure>);

/// A target, the outcome of its collection, and its lookups.
type TargetWithLookups = (Target, Result<Vec<DataSync>, Failure>, Vec<Lookup>);

/// Records the collection and the managed-node lookups of each target.
fn store_with(targets: Vec<TargetWithLookups>) -> Store {
    let store = Store::new(Duration::from_mins(30));
    let list = targets.iter().map(|(target, ..)| target.clone()).collect();
    let slots = store.set_targets(&TargetList { targets: list, ..TargetList::default() });
    for (slot, (_, outcome, lookups)) in slots.iter().zip(targets) {
        let took = Duration::from_millis(5);
        store.record(slot, Report { account: None, ended: NOW - 60.0, took, outcome, invalid_items: None });
        for (ended, outcome) in lookups {
            store.record_managed_nodes(slot, NodeReport { account: None, ended, outcome });
        }
    }
    store
}

fn looking(number: u32) -> Arc<Account> {
    let interval = Some(Duration::from_hours(6));
    Arc::new(Account { managed_nodes_interval: interval, ..Account::clone(&account(number, None)) })
}

/// An account with a sync in each region, and with each state of managed nodes.
fn fleet() -> Store {
    let account = looking(1);
    let syncs = || Ok(vec![sync("inventory", Some(NOW - HOUR))]);
    let denied = Failure::new(Reason::AccessDenied, "not authorized <b>");
    store_with(vec![
        (target(&account, "eu-west-1"), syncs(), vec![(NOW - HOUR, Ok(true))]),
        (target(&account, "eu-west-2"), syncs(), vec![(NOW - HOUR, Ok(false))]),
        (
            target(&account, "eu-west-3"),
            syncs(),
            vec![(NOW - DAY, Ok(false)), (NOW - HOUR, Err(denied.clone())), (NOW - 60.0, Err(denied))],
        ),
        (target(&account, "us-east-1"), syncs(), Vec::new()),
        (target(&super::tests::account(2, None), "eu-west-1"), syncs(), Vec::new()),
    ])
}

async fn document_of(store: Store) -> Value {
    let page = page_by(store, Arc::default());
    let document = page.document("", ContentCoding::Identity).await.ok().unwrap();
    serde_json::from_slice(&document.chunks.flatten().collect::<Vec<u8>>()).unwrap()
}

async fn sync_html(store: Store, region: &str) -> String {
    let query = format!("account=000000000001&region={region}&type=SyncToDestination&name=inventory");
    page_by(store, Arc::default()).sync_html(&query).await.unwrap().html
}

#[tokio::test]
async fn the_document_has_the_managed_nodes_of_each_target_with_lookups() {
    let document = document_of(fleet()).await;
    let counts = json!({"present": 1, "absent": 1, "pending": 1, "unknown": 1});
    assert_eq!(document["summary"]["managed_nodes"], counts);
    let nodes: Vec<Option<&Value>> =
        document["targets"].as_array().unwrap().iter().map(|target| target.get("managed_nodes")).collect();
    assert_eq!(
        nodes,
        [
            Some(&json!({"state": "present", "checked_at": "2025-11-22T07:26:40Z"})),
            Some(&json!({"state": "absent", "checked_at": "2025-11-22T07:26:40Z"})),
            Some(&json!({
                "state": "unknown", "checked_at": "2025-11-21T08:26:40Z", "reason": "access_denied",
                "message": "not authorized <b>"
            })),
            Some(&json!({"state": "pending"})),
            None,
        ]
    );
}

#[tokio::test]
async fn without_lookups_nothing_mentions_managed_nodes() {
    let plain = || {
        store(vec![(target(&account(1, None), "eu-west-1"), Some(Ok(vec![sync("inventory", Some(NOW))])))])
    };
    let document = document_of(plain()).await;
    assert_eq!(
        (document["summary"].get("managed_nodes"), document["targets"][0].get("managed_nodes")),
        (None, None)
    );
    let pages = [
        html_of(plain(), "").await,
        html_of(plain(), "region=eu-west-1").await,
        sync_html(plain(), "eu-west-1").await,
    ];
    for html in pages {
        let text = html.to_lowercase().replace("managed node-", "");
        assert!(!text.contains("managed nodes") && !text.contains("managed_nodes"), "{html}");
    }
}

#[tokio::test]
async fn the_page_counts_targets_and_explains_failing_lookups() {
    let html = html_of(fleet(), "").await;
    for part in [
        "Managed nodes: present in 1 target, <a href=\"?status=no_managed_nodes#targets\">none in 1</a>, \
         <a href=\"?status=managed_nodes_unknown#targets\">unknown in 1</a>, not looked up in 1.",
        "Managed nodes unknown <span class=\"total\">1</span>",
        "<code>access_denied</code>",
        "<p class=\"message\"><bdi>not authorized &lt;b&gt;</bdi></p>",
        "data-label=\"Failed in a row\">2 times<",
        "data-label=\"Last success\"><time datetime=\"2025-11-21T08:26:40Z\"",
        "title=\"1 sync; no managed nodes here\"",
        "title=\"1 sync; managed nodes are unknown\"",
        // Unknown managed nodes alone are no problem.
        "<td class=\"healthy\">",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let expected = ["cause-access_denied", "ssmsyncmanagednodesunknown"].map(str::to_owned);
    assert_eq!(linked_alerts(&html), expected.into());
}

#[tokio::test]
async fn the_lists_note_absent_and_unknown_managed_nodes() {
    const NONE: &str = "<p class=\"raw\">no managed nodes here</p>";
    const UNKNOWN: &str = "<p class=\"raw\">managed nodes are unknown (<code>access_denied</code>)</p>";
    for (region, notes_on_none, notes_on_unknown) in
        // Both lists note that there are no nodes. Only the list of syncs has the note on a failed lookup.
        [("eu-west-1", 0, 0), ("eu-west-2", 2, 0), ("eu-west-3", 0, 1), ("us-east-1", 0, 0)]
    {
        let html = html_of(fleet(), &format!("region={region}")).await;
        let found = (html.matches(NONE).count(), html.matches(UNKNOWN).count());
        assert_eq!(found, (notes_on_none, notes_on_unknown), "{region}: {html}");
        let in_targets = html.contains(
            "<p class=\"raw\">managed nodes are unknown: <code>access_denied</code>, failed 2 times in a row",
        );
        assert_eq!(in_targets, notes_on_unknown > 0, "{region}: {html}");
    }
}

#[tokio::test]
async fn the_filters_select_by_managed_nodes() {
    let cell = |region: &str| format!("<span class=\"region\">{region}</span>");
    for (status, region, other) in
        [("no_managed_nodes", "eu-west-2", "eu-west-3"), ("managed_nodes_unknown", "eu-west-3", "eu-west-2")]
    {
        let html = html_of(fleet(), &format!("status={status}")).await;
        // In the lists of syncs and of targets. A failed lookup is also in the section on lookups.
        assert!(html.matches(&cell(region)).count() >= 2, "{status}: {html}");
        assert_eq!(html.matches(&cell(other)).count(), 0, "{status}: {html}");
        assert!(html.contains(&format!("<option value=\"{status}\" selected>")), "{status}: {html}");
    }
    let html = html_of(fleet(), "q=not+authorized").await;
    assert!(html.contains("Matching targets <span class=\"total\">1</span>"), "{html}");
}

#[tokio::test]
async fn the_page_about_a_sync_shows_the_result_of_the_lookup() {
    let row = |term: &str, value: &str| format!("<div><dt>{term}</dt><dd>{value}");
    let place = "In this account and region";
    for (region, parts) in [
        (
            "eu-west-1",
            vec![
                row(place, "present"),
                row("Last successful lookup", "<time datetime=\"2025-11-22T07:26:40Z\""),
            ],
        ),
        (
            "eu-west-2",
            vec![
                row(place, "none"),
                row("Last successful lookup", "<time datetime=\"2025-11-22T07:26:40Z\""),
            ],
        ),
        (
            "eu-west-3",
            vec![
                row(place, "unknown: <code>access_denied</code>"),
                row("Error", "<p class=\"message\"><bdi>not authorized &lt;b&gt;</bdi></p>"),
                row("Last successful lookup", "<time datetime=\"2025-11-21T08:26:40Z\""),
                row("Last found none", "<time datetime=\"2025-11-21T08:26:40Z\""),
                "<strong>Managed nodes are unknown</strong>: ".to_owned(),
                "Consecutive failures: 2.".to_owned(),
                "deploy/runbook.md#ssmsyncmanagednodesunknown".to_owned(),
            ],
        ),
        (
            "us-east-1",
            vec![
                row(place, "<span class=\"none\">not looked up yet</span>"),
                row("Last successful lookup", "<span class=\"none\">none since the exporter started"),
            ],
        ),
    ] {
        let html = sync_html(fleet(), region).await;
        for part in parts {
            assert!(html.contains(&part), "{region}: {part}: {html}");
        }
        assert_eq!(html.contains("Managed nodes are unknown"), region == "eu-west-3", "{html}");
    }
}

#[tokio::test]
async fn the_message_of_a_lookup_never_becomes_markup_and_is_bounded() {
    const HOSTILE: &str = "</td><script>alert(1)</script>\"'&\u{202e}";
    let hostile = || {
        let failure = Failure::new(Reason::Other, HOSTILE.repeat(10_000));
        let syncs = Ok(vec![sync("inventory", Some(NOW))]);
        store_with(vec![(target(&looking(1), "eu-west-1"), syncs, vec![(NOW, Err(failure))])])
    };
    let pages = [
        html_of(hostile(), "").await,
        html_of(hostile(), "region=eu-west-1").await,
        sync_html(hostile(), "eu-west-1").await,
    ];
    for html in pages {
        assert_eq!(html.matches("<script").count(), 1, "{html}");
        assert!(html.contains("&lt;/td&gt;&lt;script&gt;alert(1)") && html.len() < 60_000, "{}", html.len());
    }
    let document = document_of(hostile()).await;
    let message = document["targets"][0]["managed_nodes"]["message"].as_str().unwrap();
    assert!(message.starts_with(HOSTILE) && message.len() < 10_000, "{}", message.len());
}

#[tokio::test]
async fn a_missing_sync_of_the_unified_console_is_noted_where_there_are_nodes() {
    use crate::expectations::{Expectation, ExpectedSync, Presence, TextPattern};
    use crate::fleet::TargetSelector;
    use crate::model::{SyncType, UNIFIED_CONSOLE_SYNC};
    let request = ExpectedSync {
        names: vec![TextPattern::literal(UNIFIED_CONSOLE_SYNC)],
        ..ExpectedSync::any(SyncType::FromSource)
    };
    let expectation = Expectation {
        name: "console".to_owned(),
        targets: TargetSelector::default(),
        managed_by: Vec::new(),
        presence: Presence::Required,
        request,
    };
    let policy = Arc::new(HealthPolicy { expectations: vec![expectation], ..HealthPolicy::default() });
    let page = page_by(fleet(), policy);
    let html = page.html("").await.unwrap();
    for part in [
        "<a href=\"?status=unified_console_sync_missing#targets\">No sync for the unified console</a> <span class=\"total\">1</span>",
        "deploy/runbook.md#ssmsyncunifiedconsolesyncmissing",
        "<a href=\"./sync?account=000000000001&amp;region=eu-west-1&amp;type=SyncFromSource&amp;name=AWS-QuickSetup-ManagedNode\">AWS-QuickSetup-ManagedNode</a> in ",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let missing = |region: &str| {
        format!("account=000000000001&region={region}&type=SyncFromSource&name={UNIFIED_CONSOLE_SYNC}")
    };
    let with_nodes = page.sync_html(&missing("eu-west-1")).await.unwrap().html;
    assert!(
        with_nodes.contains("Unified console: The sync of the unified console is missing"),
        "{with_nodes}"
    );
    let without_nodes = page.sync_html(&missing("eu-west-2")).await.unwrap().html;
    assert!(!without_nodes.contains("Unified console: "), "{without_nodes}");
    let document = page.document("region=eu-west-1", ContentCoding::Identity).await.ok().unwrap();
    let document: Value = serde_json::from_slice(&document.chunks.flatten().collect::<Vec<u8>>()).unwrap();
    assert_eq!(document["summary"]["concerns"]["unified_console_sync_missing"], 1);
    let concern = json!([{
        "kind": "unified_console_sync_missing", "sync_type": "SyncFromSource", "sync_name": UNIFIED_CONSOLE_SYNC
    }]);
    assert_eq!(document["targets"][0]["concerns"], concern);
}

#[tokio::test]
async fn pages_of_17_000_targets_whose_lookups_fail_are_small_and_rendered_quickly() {
    let regions: Vec<String> = (0..17).map(|number| format!("eu-west-{number}")).collect();
    let mut targets = Vec::new();
    for number in 0..1_000 {
        let account = looking(number);
        for (region, index) in regions.iter().zip(number..) {
            let lookup = match index % 4 {
                0 => Ok(true),
                1 => Ok(false),
                _ => {
                    let message =
                        format!("account {number} is not authorized to describe nodes. ").repeat(12);
                    Err(Failure::new(
                        if index % 4 == 2 { Reason::AccessDenied } else { Reason::Other },
                        message,
                    ))
                }
            };
            let old =
                DataSync { last_status: Some(SyncStatus::Successful), ..sync("inventory", Some(NOW - HOUR)) };
            targets.push((target(&account, region), Ok(vec![old]), vec![(NOW, lookup)]));
        }
    }
    let page = page_by(store_with(targets), Arc::default());
    let queries =
        ["", "status=no_managed_nodes", "status=managed_nodes_unknown", "q=authorized", "account=0000000000"];
    assert_small_and_fast(&page, &queries).await;
}

#[tokio::test]
async fn a_target_that_is_down_for_long_has_pending_nodes_and_the_time_of_its_last_answer() {
    let syncs = || Ok(vec![sync("inventory", Some(NOW))]);
    let store = store_with(vec![(target(&looking(1), "eu-west-1"), syncs(), vec![(NOW - DAY, Ok(false))])]);
    let (slot, took) = (Arc::clone(&store.slots()[0]), Duration::ZERO);
    let ended = NOW - DAY;
    store.record(&slot, Report { account: None, ended, took, outcome: syncs(), invalid_items: None });
    let outcome = Err(failed(Reason::Timeout));
    store.record(&slot, Report { account: None, ended: NOW, took, outcome, invalid_items: None });
    let document = document_of(store).await;
    let nodes = json!({"state": "pending", "checked_at": "2025-11-21T08:26:40Z"});
    assert_eq!(document["targets"][0]["managed_nodes"], nodes);
}
