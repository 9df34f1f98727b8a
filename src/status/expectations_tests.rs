//! Tests of what the pages show of expectations.

use std::sync::Arc;

use pretty_assertions::assert_eq;

use super::overview::TargetRow;
use super::tests::{NOW, account, failed, html_by, large_store, linked_alerts, page_by, store, sync, target};
use super::*;
use crate::expectations::{Expectation, ExpectedSync, ExpectedText, Presence, TextPattern};
use crate::fleet::TargetSelector;
use crate::model::{DataSync, Destination, Reason, SyncStatus, SyncType};

pub(super) fn text(pattern: &str) -> ExpectedText {
    ExpectedText::AnyOf(vec![TextPattern::parse(pattern).unwrap()])
}

/// An expectation of syncs to a bucket.
pub(super) fn expectation(
    name: &str,
    presence: Presence,
    sync_name: &str,
    bucket: Option<&str>,
) -> Expectation {
    let mut request = ExpectedSync::any(SyncType::ToDestination);
    request.names.push(TextPattern::parse(sync_name).unwrap());
    request.bucket_name = bucket.map(text);
    let targets = TargetSelector::default();
    Expectation { name: name.to_owned(), targets, managed_by: Vec::new(), presence, request }
}

/// `inventory` in a bucket of the region is required, `legacy-*` is forbidden, and one expectation is
/// about no target.
pub(super) fn expectations() -> Vec<Expectation> {
    let mut misspelt = expectation("misspelt", Presence::Required, "x", None);
    misspelt.targets.accounts = ["prodution".parse().unwrap()].into_iter().collect();
    vec![
        expectation("no-legacy", Presence::Forbidden, "legacy-*", None),
        expectation("org-inventory", Presence::Required, "inventory", Some("org-{region}")),
        misspelt,
    ]
}

pub(super) fn policy() -> Arc<HealthPolicy> {
    Arc::new(HealthPolicy { expectations: expectations(), ..HealthPolicy::default() })
}

pub(super) fn to_bucket(name: &str, bucket: &str) -> DataSync {
    let destination = Destination { bucket_name: Some(bucket.to_owned()), ..Destination::default() };
    DataSync { destination: Some(destination), ..sync(name, Some(NOW)) }
}

/// One account. By [`expectations`], it is met in eu-west-1, missing in eu-west-2, drifted in
/// us-east-1 with a forbidden sync, and unknown in us-west-1.
pub(super) fn fleet() -> Store {
    let one = account(1, Some("production"));
    store(vec![
        (target(&one, "eu-west-1"), Some(Ok(vec![to_bucket("inventory", "org-eu-west-1")]))),
        (target(&one, "eu-west-2"), Some(Ok(vec![to_bucket("other", "org-eu-west-2")]))),
        (
            target(&one, "us-east-1"),
            Some(Ok(vec![to_bucket("inventory", "<b>elsewhere"), to_bucket("legacy-1", "a")])),
        ),
        (target(&one, "us-west-1"), None),
    ])
}

fn overview() -> FleetOverview {
    FleetOverview::new(&fleet(), &policy(), NOW)
}

#[test]
fn violations_are_listed_by_urgency_with_what_was_wanted_and_found() {
    let overview = overview();
    let describe = |query: &str| -> Vec<String> {
        let query = PageQuery::parse(query);
        let rows = overview.violations(&query);
        let rows = rows.iter().map(|row| {
            let differences = row.differences().map(|it| {
                let name = it.sync_name.as_deref().unwrap_or("?").to_owned();
                format!("{name} {}: {} / {}", it.field.as_str(), it.wanted_text(), it.found_text())
            });
            let differences: Vec<String> = differences.collect();
            format!("{} {} {}", row.expectation.name, row.target.region(), differences.join(", "))
        });
        rows.collect()
    };
    let forbidden = "no-legacy us-east-1 legacy-1 forbidden: absent / not reported";
    let missing = "org-inventory eu-west-2 inventory presence: absent / not reported";
    let drifted = "org-inventory us-east-1 inventory bucket_name: org-us-east-1 / <b>elsewhere";
    for (query, rows) in [
        ("", &[forbidden, missing, drifted][..]),
        ("status=trouble", &[forbidden, missing, drifted]),
        ("status=not_as_expected", &[forbidden, missing, drifted]),
        ("status=not_as_expected&expectation=org-inventory", &[missing, drifted]),
        ("expectation=no-legacy", &[forbidden]),
        ("expectation=misspelt", &[]),
        ("region=us-east-1", &[forbidden, drifted]),
        ("account=elsewhere", &[]),
        ("status=failed", &[]),
        ("reason=timeout", &[]),
        ("q=legacy", &[forbidden]),
        ("q=ELSEWHERE", &[drifted]),
        ("q=org-inv", &[missing, drifted]),
    ] {
        assert_eq!(describe(query), rows, "{query}");
    }
}

#[test]
fn the_filters_select_targets_and_syncs_that_are_not_as_expected() {
    let overview = overview();
    let found = |query: &str| {
        let query = PageQuery::parse(query);
        let targets: Vec<&str> =
            overview.targets(&query).iter().map(|target| target.region().as_str()).collect();
        let syncs: Vec<&str> =
            overview.syncs(&query).iter().map(|row| row.assessed.sync.name.as_str()).collect();
        (targets.join(" "), syncs.join(" "))
    };
    let result = |targets: &str, syncs: &str| (targets.to_owned(), syncs.to_owned());
    assert_eq!(found("status=not_as_expected"), result("eu-west-2 us-east-1", "inventory legacy-1"));
    assert_eq!(
        found("status=not_as_expected&expectation=no-legacy"),
        result("us-east-1", "legacy-1"),
        "other expectations do not matter"
    );
    assert_eq!(found("status=trouble").0, "eu-west-2 us-east-1");
    assert_eq!(
        found("expectation=org-inventory"),
        result("eu-west-2 us-east-1 eu-west-1 us-west-1", "inventory inventory"),
        "targets with violations come first, and the unknown one is among them"
    );
    assert_eq!(found("expectation=misspelt"), result("", ""));
    assert_eq!(found("expectation=removed-by-a-reload"), result("", ""));
    assert_eq!(
        found("q=inventory&status=not_as_expected").0,
        "eu-west-2 us-east-1",
        "the search finds a sync that is missing"
    );
    let grid = overview.grid(&PageQuery::parse("status=not_as_expected"));
    assert_eq!(grid.rows.len(), 1);
}

#[test]
fn targets_with_violations_come_before_those_without_trouble_and_after_problems() {
    let one = account(1, None);
    let bad = DataSync { last_status: Some(SyncStatus::Failed), ..to_bucket("inventory", "org-sa-east-1") };
    let well = |region| to_bucket("inventory", &format!("org-{region}"));
    let regions = [
        ("ap-east-1", vec![well("ap-east-1")]),
        ("ap-south-1", Vec::new()),
        ("eu-west-1", [vec![well("eu-west-1")], vec![well("eu-west-1"); 4]].concat()),
        ("sa-east-1", vec![bad]),
    ];
    let targets = regions.map(|(region, syncs)| (target(&one, region), Some(Ok(syncs))));
    let overview = FleetOverview::new(&store(targets.into()), &policy(), NOW);
    let regions: Vec<&str> = overview
        .targets(&PageQuery::default())
        .into_iter()
        .map(|row: &TargetRow| row.region().as_str())
        .collect();
    assert_eq!(regions, ["sa-east-1", "ap-south-1", "eu-west-1", "ap-east-1"]);
}

#[test]
fn the_headline_and_the_title_count_targets_that_are_not_as_expected() {
    let verdict = |store: &Store, policy: Arc<HealthPolicy>| {
        let overview = FleetOverview::new(store, &policy, NOW);
        let Verdict { mark, text, title } =
            Verdict::new(&overview, &Notice::all(&overview, None, false), false);
        (mark.as_str(), text, title)
    };
    let (mark, text, title) = verdict(&fleet(), policy());
    assert_eq!((mark, text.as_str()), ("not_as_expected", "2 targets are not as expected."));
    assert_eq!(title, "(3) Expectation without targets · SSM Sync Exporter");
    let one = account(1, None);
    let down = (target(&one, "eu-west-1"), Some(Err(failed(Reason::Timeout))));
    let only = |name| {
        let expectations = vec![expectation("it", Presence::Required, name, None)];
        Arc::new(HealthPolicy { expectations, ..HealthPolicy::default() })
    };
    let well = || (target(&one, "eu-west-2"), Some(Ok(vec![sync("a", Some(NOW))])));
    let (mark, text, title) = verdict(&store(vec![well(), down]), only("b"));
    assert_eq!(
        (mark, text.as_str(), title.as_str()),
        ("down", "1 target is not as expected; 1 of 2 targets is down.", "(2) SSM Sync Exporter")
    );
    let (mark, text, _) = verdict(&store(vec![well()]), only("a"));
    assert_eq!((mark, text.as_str()), ("healthy", "No problems: 1 sync in 1 target."));
}

#[tokio::test]
async fn the_page_shows_expectations_with_their_counts_and_violations() {
    let html = html_by(fleet(), policy(), "").await;
    for part in [
        "class=\"headline not_as_expected\"",
        "class=\"tile not_as_expected\" href=\"?status=not_as_expected\"",
        "<option value=\"not_as_expected\">Not as expected</option>",
        "<h2 id=\"violations-heading\">Not as expected <span class=\"total\">3</span>",
        "<dt>Bucket</dt><dd><span>wanted <code><bdi>org-us-east-1</bdi></code></span>\
         <span>found <code><bdi>&lt;b&gt;elsewhere</bdi></code></span></dd>",
        "There is no such sync.",
        "This sync must not exist.",
        "/sync?account=000000000001&amp;region=eu-west-2&amp;type=SyncToDestination&amp;name=inventory\">",
        "<a class=\"badge not_as_expected\" href=\"?status=not_as_expected&amp;expectation=org-inventory\">",
        "<a class=\"badge not_collected\" href=\"?expectation=org-inventory\">",
        "required: sync to a bucket named <code><bdi>inventory</bdi></code>",
        "About no target: its accounts, units or regions are probably misspelt.",
        "1 expectation without targets",
        "<td class=\"not_as_expected\">",
        "<i>Healthy, not as expected</i>",
        "title=\"1 sync; not as expected\"",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("No problems"), "{html}");
    let alerts = ["ssmsyncmissing", "ssmsyncdrifted", "ssmsyncforbidden", "ssmsyncexpectationmatchesnothing"];
    let links = linked_alerts(&html);
    assert!(alerts.iter().all(|alert| links.contains(*alert)), "{links:?}");
    let order: Vec<usize> = ["no-legacy</a>", "org-inventory</a>", "misspelt</a>"]
        .map(|name| html[html.find("id=\"expectations\"").unwrap()..].find(name).unwrap())
        .into();
    assert!(order.is_sorted(), "{order:?}");
}

#[tokio::test]
async fn without_expectations_the_page_does_not_mention_them() {
    let html = html_by(fleet(), Arc::default(), "").await;
    assert!(
        !html.contains("class=\"tile not_as_expected") && !html.contains("id=\"expectations\""),
        "{html}"
    );
    let note = html_by(fleet(), Arc::default(), "expectation=x").await;
    assert!(note.contains("Ignored “expectation=x”: not the name of an expectation"), "{note}");
}

async fn sync_page(policy: Arc<HealthPolicy>, region: &str, name: &str) -> String {
    let query = format!("account=000000000001&region={region}&type=SyncToDestination&name={name}");
    page_by(fleet(), policy).sync_html(&query).await.unwrap().html
}

#[tokio::test]
async fn the_page_of_a_sync_compares_it_with_every_expectation_about_it() {
    let mut expectations = expectations();
    expectations[1].request.bucket_prefix = Some(ExpectedText::Absent);
    expectations[1].request.sharing_type = Some(text("Organization"));
    expectations.push(expectation("only-ours", Presence::Allowed, "*", Some("org-*")));
    let policy = Arc::new(HealthPolicy { expectations, ..HealthPolicy::default() });
    let html = sync_page(Arc::clone(&policy), "us-east-1", "inventory").await;
    for part in [
        "<title>Not as expected: inventory – SSM Sync Exporter</title>",
        "class=\"headline sync-headline not_as_expected\"",
        "This sync is required. In this sync, 1 field is different. AWS does not report 1 field, which could not be compared.",
        "<tr class=\"different\"><th scope=\"row\">Bucket</th>\
         <td data-label=\"Wanted\"><code><bdi>org-us-east-1</bdi></code></td>\
         <td data-label=\"Found\"><code><bdi>&lt;b&gt;elsewhere</bdi></code></td>\
         <td class=\"number\" data-label=\"Comparison\">different</td></tr>",
        "<th scope=\"row\">Prefix</th><td data-label=\"Wanted\"><span class=\"none\">absent</span></td>\
         <td data-label=\"Found\"><span class=\"none\">not reported</span></td>\
         <td class=\"number\" data-label=\"Comparison\">equal</td>",
        "<td class=\"number\" data-label=\"Comparison\">not reported</td>",
        "Every such sync has to be as described. In this sync, 1 field is different.",
        "AWS cannot change a sync to a bucket, so delete it and create it again.",
        "#ssmsyncdrifted",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains(">no-legacy<"), "it is not about this sync: {html}");
    let met = sync_page(policy, "eu-west-1", "inventory").await;
    assert!(met.contains("<title>Healthy: inventory") && met.contains("As expected"), "{met}");
    assert!(!met.contains("not_as_expected\"><use") && !met.contains("What to do"), "{met}");
}

#[tokio::test]
async fn the_page_of_a_missing_sync_says_who_requires_it_and_how_to_create_it() {
    let mut expectations = expectations();
    expectations[1].request.bucket_region = Some(text("eu-west-1"));
    let policy = Arc::new(HealthPolicy { expectations, ..HealthPolicy::default() });
    let html = sync_page(policy, "eu-west-2", "inventory").await;
    for part in [
        "This sync is required and does not exist",
        "The expectation <a href=\"./?expectation=org-inventory\">org-inventory</a> requires this sync",
        "aws ssm create-resource-data-sync --region eu-west-2",
        "\"BucketName\": \"org-eu-west-2\"",
        "#ssmsyncmissing",
    ] {
        let part = part.replace('"', if part.starts_with('"') { "&quot;" } else { "\"" });
        assert!(html.contains(&part), "{part}: {html}");
    }
    let other = sync_page(self::policy(), "eu-west-2", "another").await;
    assert!(other.contains("No such sync") && !other.contains("requires"), "{other}");
    let unknown = sync_page(self::policy(), "us-west-1", "inventory").await;
    assert!(!unknown.contains("requires"), "nothing is known of the target: {unknown}");
}

#[tokio::test]
async fn a_page_of_17_000_targets_that_are_all_violated_is_small_and_rendered_quickly() {
    let mut expectations: Vec<Expectation> = (0..9)
        .map(|number| expectation(&format!("expectation-{number}"), Presence::Required, "inventory", None))
        .collect();
    expectations.push(expectation("none", Presence::Forbidden, "organization-*", None));
    let policy = Arc::new(HealthPolicy { expectations, ..HealthPolicy::default() });
    let page = page_by(large_store(), policy);
    for query in ["", "status=not_as_expected", "expectation=none", "q=inventory"] {
        let before = std::time::Instant::now();
        let html = page.html(query).await.unwrap();
        let took = before.elapsed();
        assert!(html.contains("targets are not as expected"), "{query}: {html}");
        // The size is that without expectations. The time limit is generous, for a busy machine and an
        // unoptimised build.
        assert!(html.len() < 300_000, "{query}: {} bytes", html.len());
        assert!(took < std::time::Duration::from_secs(30), "{query}: {took:?}");
    }
}
