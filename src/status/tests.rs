//! The page as a whole, and what its tests are made from.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::*;
use crate::fleet::{Access, Account, Target, TargetList};
pub(super) use crate::health::tests::sync;
use crate::model::{DataSync, Failure, Reason, SyncStatus, SyncType};
use crate::snapshot::Report;

pub(super) const NOW: UnixSeconds = 1_763_800_000.0;

/// What became of a target, if it has been collected.
pub(super) type Collected = Option<Result<Vec<DataSync>, Failure>>;

pub(super) fn account(number: u32, name: Option<&str>) -> Arc<Account> {
    let id = Some(format!("{number:012}").parse().unwrap());
    Arc::new(Account { id, name: name.map(ToOwned::to_owned), ..Account::default() })
}

pub(super) fn target(account: &Arc<Account>, region: &str) -> Target {
    Target { account: Arc::clone(account), region: region.parse().unwrap() }
}

pub(super) fn failed(reason: Reason) -> Failure {
    Failure::new(reason, format!("it says {reason}"))
}

pub(super) fn store(targets: Vec<(Target, Collected)>) -> Store {
    let store = Store::new(Duration::from_mins(30));
    let (targets, collected): (Vec<_>, Vec<_>) = targets.into_iter().unzip();
    let slots = store.set_targets(&TargetList { targets, pending: 0, ..TargetList::default() });
    for (slot, collected) in slots.iter().zip(collected) {
        if let Some(outcome) = collected {
            let took = Duration::from_millis(5);
            store.record(slot, Report { account: None, ended: NOW - 60.0, took, outcome });
        }
    }
    store
}

fn page_of(store: Store, shard: Shard, configuration: &str) -> StatusPage {
    let about = About { telemetry_path: TelemetryPath::default(), shard };
    StatusPage::new(Arc::new(store), Clock::new(|| NOW), about, configuration.to_owned())
}

async fn html(store: Store, query: &str) -> String {
    page_of(store, Shard::default(), "interval: 5m\n").html(query).await.unwrap()
}

const HOSTILE: &str = "</td><script>alert(1)</script>\"'&\u{202e}";

#[tokio::test]
async fn nothing_that_others_wrote_is_markup() {
    let hostile = DataSync {
        sync_type: SyncType::Unknown(HOSTILE.to_owned()),
        last_status: Some(SyncStatus::Failed),
        last_status_message: Some(HOSTILE.repeat(10)),
        ..sync(HOSTILE, Some(NOW))
    };
    let odd = DataSync { last_status: Some(SyncStatus::Unknown(HOSTILE.to_owned())), ..sync("b", Some(0.0)) };
    let one = account(1, Some(HOSTILE));
    let unknown = Arc::new(Account {
        access: Access { profile: Some(HOSTILE.to_owned()), ..Access::default() },
        ..Account::default()
    });
    let store = store(vec![
        (target(&one, "eu-west-1"), Some(Ok(vec![hostile, odd]))),
        (target(&unknown, "eu-west-1"), Some(Err(Failure::new(Reason::Other, HOSTILE)))),
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
        // Links are made of bytes that need no escaping but for the `&`.
        assert!(!html.contains(" onerror=") && !html.contains(" style="), "{query}");
    }
}

#[tokio::test]
async fn it_says_what_is_awaited_and_what_there_is_not() {
    let waiting = html(store(vec![(target(&account(1, None), "eu-west-1"), None)]), "").await;
    assert!(waiting.contains("Nothing is known yet: 1 target awaits collection."), "{waiting}");
    assert!(waiting.contains("No sync is known."), "{waiting}");
    let empty = html(store(Vec::new()), "").await;
    assert!(empty.contains("There is nothing to poll"), "{empty}");
    let none = html(store(Vec::new()), "account=x&syncs=7").await;
    assert!(none.contains("No sync matches the filter."), "{none}");
}

#[tokio::test]
async fn it_tells_about_the_exporter_and_takes_another_configuration() {
    let shard = Shard::new(1, NonZeroU32::new(3).unwrap()).unwrap();
    let page = page_of(store(Vec::new()), shard, "interval: 5m\n");
    let html = page.html("").await.unwrap();
    for part in ["index 1 of 3", "<code>interval: 5m\n</code>", "href=\"./metrics\"", "href=\"./-/ready\""] {
        assert!(html.contains(part), "{part}: {html}");
    }
    page.configured("interval: 1m\n".to_owned());
    assert!(page.html("").await.unwrap().contains("<code>interval: 1m\n</code>"));

    let lines = "accounts: x\n".repeat(10_000);
    page.configured(lines.clone());
    let (part, whole) = (page.html("").await.unwrap(), page.html("configuration=all").await.unwrap());
    assert!(part.len() < 50_000 && part.contains("configuration=all#configuration"), "{}", part.len());
    assert!(whole.contains(&lines));
}

/// 1,000 accounts in 17 regions, 5 syncs each. A region refuses all of them, some
/// accounts are lost, and a lot of syncs fail with long messages.
fn large() -> Store {
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
            let of_sync = |sync_number: u32| {
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
                Ok((0..5).map(of_sync).collect())
            };
            targets.push((target(&account, region), Some(collected)));
        }
    }
    store(targets)
}

#[tokio::test]
async fn a_page_about_17_000_targets_is_small_and_made_soon() {
    let page = page_of(large(), Shard::default(), &"a: b\n".repeat(20_000));
    for query in [
        "",
        "status=trouble",
        "status=well",
        "region=eu-west-1&status=trouble",
        "account=workload",
        "status=down&reason=assume_role_denied",
    ] {
        let before = Instant::now();
        let html = page.html(query).await.unwrap();
        let took = before.elapsed();
        // Far more than it takes, for a busy machine and a build that is not optimised.
        assert!(html.len() < 300_000, "{query}: {} bytes", html.len());
        assert!(took < Duration::from_secs(5), "{query}: {took:?}");
    }
}
