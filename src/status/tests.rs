//! Tests of the whole page, and fixtures for the tests of its submodules.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::*;
use crate::fleet::{Access, Account, Target, TargetList};
use crate::health::Alert;
pub(super) use crate::health::tests::sync;
use crate::model::{DataSync, Denial, Failure, Reason, Source, SourceState, SyncStatus, SyncType};
use crate::snapshot::Report;

pub(super) const NOW: UnixSeconds = 1_763_800_000.0;

/// The outcome of a target's last collection, if there was one.
pub(super) type Collected = Option<Result<Vec<DataSync>, Failure>>;

pub(super) fn account(number: u32, name: Option<&str>) -> Arc<Account> {
    let id = Some(format!("{number:012}").parse().unwrap());
    Arc::new(Account { id, name: name.map(ToOwned::to_owned), ..Account::default() })
}

pub(super) fn target(account: &Arc<Account>, region: &str) -> Target {
    Target { account: Arc::clone(account), region: region.parse().unwrap() }
}

pub(super) fn failed(reason: Reason) -> Failure {
    Failure::new(reason, format!("message about {reason}"))
}

pub(super) fn store(targets: Vec<(Target, Collected)>) -> Store {
    let store = Store::new(Duration::from_mins(30));
    let (targets, collected): (Vec<_>, Vec<_>) = targets.into_iter().unzip();
    let slots = store.set_targets(&TargetList { targets, pending_lookups: 0, ..TargetList::default() });
    for (slot, collected) in slots.iter().zip(collected) {
        if let Some(outcome) = collected {
            let took = Duration::from_millis(5);
            store.record(
                slot,
                Report { account: None, ended: NOW - 60.0, took, outcome, invalid_items: None },
            );
        }
    }
    store
}

fn page_of(store: Store, shard: Shard, configuration: &str) -> StatusPage {
    let info = ExporterInfo { telemetry_path: TelemetryPath::default(), shard, is_replay: false };
    StatusPage::new(Arc::new(store), Clock::new(|| NOW), info, configuration.to_owned(), Arc::default())
}

/// A page about targets that are judged by this policy.
pub(super) fn page_by(store: Store, policy: Arc<HealthPolicy>) -> StatusPage {
    let page = page_of(store, Shard::default(), "");
    page.set_configuration(String::new(), policy);
    page
}

pub(super) async fn html_by(store: Store, policy: Arc<HealthPolicy>, query: &str) -> String {
    page_by(store, policy).html(query).await.unwrap()
}

pub(super) async fn html_of(store: Store, query: &str) -> String {
    page_of(store, Shard::default(), "interval: 5m\n").html(query).await.unwrap()
}

const HOSTILE: &str = "</td><script>alert(1)</script>\"'&\u{202e}";

#[tokio::test]
async fn untrusted_texts_never_become_markup() {
    let hostile = DataSync {
        sync_type: SyncType::Unknown(HOSTILE.to_owned()),
        last_status: Some(SyncStatus::Failed),
        last_status_message: Some(HOSTILE.repeat(10)),
        ..sync(HOSTILE, Some(NOW))
    };
    let unknown_status =
        DataSync { last_status: Some(SyncStatus::Unknown(HOSTILE.to_owned())), ..sync("b", Some(0.0)) };
    let named = account(1, Some(HOSTILE));
    let without_id = Arc::new(Account {
        access: Access { profile: Some(HOSTILE.to_owned()), ..Access::default() },
        ..Account::default()
    });
    let store = store(vec![
        (target(&named, "eu-west-1"), Some(Ok(vec![hostile, unknown_status]))),
        (target(&without_id, "eu-west-1"), Some(Err(Failure::new(Reason::Other, HOSTILE)))),
    ]);
    let page = page_of(store, Shard::default(), HOSTILE);
    let query: String = form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    for query in
        ["", "status=trouble", &format!("account={query}"), &format!("region={query}&status={query}")]
    {
        let html = page.html(query).await.unwrap();
        assert_eq!(html.matches("<script").count(), 1, "{query}");
        assert!(!html.contains("</td><script>"), "{query}");
        assert!(html.contains("&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;'&amp;"), "{query}");
        assert!(!html.contains(" onerror=") && !html.contains(" style="), "{query}");
    }
}

#[tokio::test]
async fn empty_states_say_what_is_missing() {
    let waiting = html_of(store(vec![(target(&account(1, None), "eu-west-1"), None)]), "").await;
    assert!(waiting.contains("Waiting for the first collection of 1 target."), "{waiting}");
    assert!(!waiting.contains("id=\"syncs\""), "nothing is known of syncs: {waiting}");
    let empty = html_of(store(Vec::new()), "").await;
    assert!(empty.contains("No targets to poll"), "{empty}");
    let none = html_of(store(Vec::new()), "account=x&syncs=7").await;
    assert!(none.contains("No syncs match the filter."), "{none}");
}

#[tokio::test]
async fn the_about_section_shows_the_current_configuration() {
    let shard = Shard::new(1, NonZeroU32::new(3).unwrap()).unwrap();
    let page = page_of(store(Vec::new()), shard, "interval: 5m\n");
    let html = page.html("").await.unwrap();
    for part in ["index 1 of 3", "<code>interval: 5m\n</code>", "href=\"./metrics\"", "href=\"./-/ready\""] {
        assert!(html.contains(part), "{part}: {html}");
    }
    page.set_configuration("interval: 1m\n".to_owned(), Arc::default());
    assert!(page.html("").await.unwrap().contains("<code>interval: 1m\n</code>"));

    let lines = "accounts: x\n".repeat(10_000);
    page.set_configuration(lines.clone(), Arc::default());
    let (part, whole) = (page.html("").await.unwrap(), page.html("configuration=all").await.unwrap());
    assert!(part.len() < 50_000 && part.contains("configuration=all#configuration"), "{}", part.len());
    assert!(whole.contains(&lines));
}

/// 1,000 accounts in 17 regions with 5 syncs each. One region is not enabled anywhere, the
/// role of every 40th account cannot be assumed, and many syncs fail with long messages.
pub(super) fn large_store() -> Store {
    const REGIONS: [&str; 17] = [
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ca-central-1",
        "eu-central-1",
        "eu-north-1",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
    ];
    let mut targets = Vec::new();
    for number in 0..1_000_u32 {
        let account = account(100_000 + number, Some(&format!("workload-{number:04}-production")));
        for (index, region) in (0_u32..).zip(REGIONS) {
            let sync_with_number = |sync_number: u32| {
                let bad = (number + index + sync_number).is_multiple_of(23);
                let age = if (number * 7 + index + sync_number).is_multiple_of(31) { 9e5 } else { 600.0 };
                DataSync {
                    last_status: Some(if bad { SyncStatus::Failed } else { SyncStatus::Successful }),
                    last_status_message: bad.then(|| "The bucket policy does not allow \"it\". ".repeat(12)),
                    ..sync(&format!("organization-inventory-{sync_number}"), Some(NOW - age))
                }
            };
            let collected = if *region == *"ap-northeast-3" {
                Err(failed(Reason::RegionDisabled))
            } else if number % 40 == 0 {
                Err(failed(Reason::AssumeRoleDenied))
            } else {
                Ok((0..5).map(sync_with_number).collect())
            };
            targets.push((target(&account, region), Some(collected)));
        }
    }
    store(targets)
}

#[tokio::test]
async fn a_page_of_17_000_targets_is_small_and_rendered_quickly() {
    let page = page_of(large_store(), Shard::default(), &"a: b\n".repeat(20_000));
    let queries = [
        "",
        "status=trouble",
        "status=healthy",
        "region=eu-west-1&status=trouble",
        "status=quota_used",
        "account=workload",
        "q=bucket+policy",
        "status=down&reason=assume_role_denied",
    ];
    assert_small_and_fast(&page, &queries).await;
}

/// The page has a limited size and is rendered quickly, whatever it selects.
pub(super) async fn assert_small_and_fast(page: &StatusPage, queries: &[&str]) {
    for query in queries {
        let before = Instant::now();
        let html = page.html(query).await.unwrap();
        let took = before.elapsed();
        // The time limit is generous, for a busy machine and an unoptimised build.
        assert!(html.len() < 300_000, "{query}: {} bytes", html.len());
        assert!(took < Duration::from_secs(5), "{query}: {took:?}");
    }
}

/// Regression: of 150 requests at a time, 68 failed because the queue was full.
#[tokio::test]
async fn many_requests_at_a_time_wait_for_each_other() {
    let page = Arc::new(page_of(store(Vec::new()), Shard::default(), ""));
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..150 {
        let page = Arc::clone(&page);
        requests.spawn(async move { page.html("").await });
    }
    assert!(requests.join_all().await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_failed_reload_is_shown_until_the_next_success() {
    let page = page_of(store(Vec::new()), Shard::default(), "");
    page.reload_failed("line 3: unknown key `intervall` <b>".to_owned());
    let html = page.html("").await.unwrap();
    assert!(html.contains("unknown key `intervall` &lt;b&gt;</bdi>."), "{html}");
    assert!(html.contains("runbook.md#ssmsyncexporterreloadfailed"), "{html}");
    assert!(html.contains("<title>(2) Reload failed, No targets · SSM Sync Exporter</title>"), "{html}");
    page.set_configuration(String::new(), Arc::default());
    assert!(!page.html("").await.unwrap().contains("intervall"));
}

/// A target with syncs, of which one has each problem, and a used-up quota.
fn troubled_store() -> Store {
    let failed = DataSync { last_status: Some(SyncStatus::Failed), ..sync("failed", Some(NOW)) };
    let stuck = DataSync {
        last_status: Some(SyncStatus::InProgress),
        last_sync: Some(NOW - 10_800.0),
        ..sync("stuck", Some(NOW - 20_000.0))
    };
    let source = Source {
        source_type: Some("AwsOrganizations".to_owned()),
        enable_all_ops_data_sources: Some(true),
        state: Some(SourceState::NoPermissions),
        ..Source::default()
    };
    let faulty = DataSync { source: Some(source), sync_type: SyncType::FromSource, ..sync("faulty", None) };
    let stale = sync("stale", Some(NOW - 1e6));
    let (healthy, other) = (sync("healthy", Some(NOW)), sync("other", Some(NOW)));
    let account = account(1, Some("production"));
    store(vec![
        (target(&account, "eu-west-1"), Some(Ok(vec![failed, stuck, faulty, stale, healthy, other]))),
        (target(&account, "eu-west-2"), Some(Err(self::failed(Reason::Timeout)))),
        (target(&account, "eu-west-3"), Some(Err(self::failed(Reason::RegionDisabled)))),
    ])
}

/// The alerts whose sections of the runbook the page links to.
pub(super) fn linked_alerts(html: &str) -> BTreeSet<String> {
    let fragments = html.split("deploy/runbook.md#").skip(1);
    fragments.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn everything_that_raises_an_alert_links_to_the_runbook_and_nothing_else_does() {
    let links = linked_alerts(&html_of(troubled_store(), "").await);
    let expected = [
        Alert::SsmSyncFailed,
        Alert::SsmSyncSourceFault,
        Alert::SsmSyncStale,
        Alert::SsmSyncStuck,
        Alert::SsmSyncQuotaUsed,
        Alert::SsmSyncInspectorSyncBlocked,
        Alert::SsmSyncCostRisk,
    ];
    // The causes of targets that are down have sections of their own.
    let causes = ["cause-timeout", "cause-region_disabled"].map(str::to_owned);
    let expected = expected.iter().map(|alert| alert.name().to_lowercase());
    let expected: BTreeSet<String> = expected.chain(causes).collect();
    assert_eq!(links, expected);
    let healthy = store(vec![(target(&account(1, None), "eu-west-1"), Some(Ok(vec![sync("a", Some(NOW))])))]);
    assert_eq!(linked_alerts(&html_of(healthy, "").await), BTreeSet::new());
}

/// Regression: the page told to change the policy of the role, although its permissions boundary denied
/// the calls.
#[tokio::test]
async fn a_reason_is_explained_by_the_cause_that_all_of_its_targets_have() {
    let denied = |policy: &str| {
        let message = format!(
            "User: a is not authorized to perform: ssm:ListResourceDataSync because no {policy} allows it"
        );
        let denial = Denial::parse(&message).map(Box::new);
        Err(Failure { denial, ..Failure::new(Reason::AccessDenied, message) })
    };
    let page = async |policies: [&str; 2]| {
        let targets = [(1, policies[0]), (2, policies[1])];
        html_of(
            store(
                targets
                    .map(|(id, policy)| (target(&account(id, None), "eu-west-1"), Some(denied(policy))))
                    .into(),
            ),
            "",
        )
        .await
    };
    let html = page(["permissions boundary"; 2]).await;
    assert!(html.contains("The permissions boundary does not allow the call"), "{html}");
    assert!(
        html.contains("#cause-permissions_boundary\"") && !html.contains("#cause-access_denied"),
        "{html}"
    );
    let html = page(["permissions boundary", "session policy"]).await;
    assert!(html.contains("Access denied") && html.contains("#cause-access_denied\""), "{html}");
}

/// Regression: the cell of a target was green although its quota was used up.
#[tokio::test]
async fn a_used_up_quota_is_marked_in_the_grid_and_listed_with_its_owners() {
    let syncs = |names: [&str; 5]| names.map(|name| sync(name, Some(NOW))).to_vec();
    let full = syncs(["InspectorResourceDataSync-do-not-delete", "a", "b", "c", "d"]);
    let html = html_of(store(vec![(target(&account(1, None), "eu-west-1"), Some(Ok(full)))]), "").await;
    for part in [
        "<td class=\"quota_used\">",
        "<i>Healthy, quota used up</i>5",
        "title=\"5 of 5 syncs; the quota is used up\"",
        "5 of 5 syncs to a bucket",
        "Amazon Inspector: ",
        "class=\"tile quota_used\" href=\"?status=quota_used\"",
        "<title>(1) SSM Sync Exporter</title>",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("<td class=\"healthy\">") && !html.contains("No problems"), "{html}");
}

#[tokio::test]
async fn if_there_are_no_syncs_the_page_says_where_it_looked_and_what_to_try() {
    let production = account(1, Some("production"));
    let empty = ["eu-west-1", "us-east-1"].map(|region| (target(&production, region), Some(Ok(Vec::new()))));
    let html = html_of(store(empty.into()), "").await;
    for part in [
        "class=\"headline no_syncs\"",
        "No resource data syncs found in 2 targets.",
        "<bdi>production</bdi> (<bdi>000000000001</bdi>)",
        "eu-west-1, us-east-1",
        "delegated administrator",
        "How to create a resource data sync",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let other = (target(&production, "eu-west-2"), Some(Ok(vec![sync("a", Some(NOW))])));
    let with_sync =
        html_of(store(vec![(target(&production, "eu-west-1"), Some(Ok(Vec::new()))), other]), "").await;
    assert!(!with_sync.contains("nothing-found"), "{with_sync}");
}

#[tokio::test]
async fn times_have_the_age_as_text_and_the_absolute_time_as_title() {
    let html = html_of(troubled_store(), "").await;
    for time in [
        "As of <time id=\"as-of\" datetime=\"2025-11-22T08:26:40Z\" title=\"2025-11-22 08:26:40 UTC\">2025-11-22 08:26:40 UTC</time>",
        "Oldest data: <time datetime=\"2025-11-22T08:25:40Z\" title=\"2025-11-22 08:25:40 UTC\"><span class=\"ago\">1m ago</span></time>.",
    ] {
        assert!(html.contains(time), "{time}: {html}");
    }
}
