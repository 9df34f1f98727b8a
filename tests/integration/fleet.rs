//! Tests with an organization of several accounts and regions: failures in one part of it
//! do not delay the other targets.
//!
//! How often a target is collected depends on the speed of the machine. The tests
//! therefore compare the number of collections of the targets, over several collections of
//! one of them. If the machine stalls for a moment, one comparison fails and is repeated. If
//! the exporter delays one target because of another, every comparison fails.

mod access;
mod discovery;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind, World};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::exporter::{Exporter, HUB, NOW, ROLE, Scrape, up};

/// The accounts that are polled: the management account and the members.
const ACCOUNTS: [(&str, &str); 5] = [
    (HUB, "management"),
    ("100000000001", "production"),
    ("100000000002", "staging"),
    ("100000000003", "billing"),
    ("100000000004", "archive"),
];

/// A member that the configuration excludes.
const EXCLUDED: &str = "100000000009";

const REGIONS: [&str; 3] = ["eu-west-1", "eu-central-1", "us-east-1"];

/// The account and the region in which the tests inject faults.
const FAULTY_ACCOUNT: &str = "100000000002";
const FAULTY_REGION: &str = "eu-central-1";

const COLLECTIONS: &str = "ssm_sync_exporter_target_collections_total";
const FAILURES: &str = "ssm_sync_exporter_target_collection_failures_total";
const OVERRUNS: &str = "ssm_sync_exporter_collection_overruns_total";

/// A comparison lasts until its reference target has had this many collections.
const COMPARED_COLLECTIONS: f64 = 6.0;

/// The number of failed comparisons after which a test fails.
const MAX_COMPARISONS: u32 = 3;

/// A fake AWS with the organization. Every account has a role that the hub may
/// assume, and a sync in every region.
async fn organization() -> FakeAws {
    let world = World::new();
    world.create_organization(HUB);
    world.add_role(HUB, ROLE, None);
    for (account, name) in &ACCOUNTS[1..] {
        add_member_with_role(&world, account, name, "r-fake");
    }
    add_member_with_role(&world, EXCLUDED, "sandbox", "r-fake");
    world.set_default_syncs(SyncKind::ToDestination, vec![json!({"SyncName": "inventory"})]);
    FakeAws::start(world, "127.0.0.1:0").await.unwrap()
}

/// Adds an account with the role to the organization.
fn add_member_with_role(world: &World, account: &str, name: &str, parent: &str) {
    world.add_member(account, name, parent);
    world.add_role(account, ROLE, None);
}

/// The configuration that polls the organization in [`REGIONS`].
fn config() -> String {
    format!("regions: [{}]\n{}", REGIONS.join(", "), config_without_regions())
}

/// The same configuration without the key `regions`.
fn config_without_regions() -> String {
    format!(
        "interval: 1s
timeout: 2m
organization:
  profile: hub
  member_role: 'arn:{{partition}}:iam::{{account_id}}:role/{ROLE}'
  refresh_interval: 1s
  exclude_accounts: ['{EXCLUDED}']
"
    )
}

/// The account and the region of a target.
type TargetLabels = (String, String);

/// The sum of a family's values for each target.
fn by_target(scrape: &Scrape, family: &str) -> BTreeMap<TargetLabels, f64> {
    let mut values = BTreeMap::new();
    for line in scrape.0.lines().filter(|line| line.strip_prefix(family).is_some_and(|s| s.starts_with('{')))
    {
        let (series, value) = line.rsplit_once(' ').unwrap();
        *values.entry(target_labels(series)).or_default() += value.parse::<f64>().unwrap();
    }
    values
}

/// The value of a label. Panics if the series does not have it.
fn label<'a>(series: &'a str, name: &str) -> &'a str {
    let (_, value) = series.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("{name}: {series}"));
    value.split('"').next().unwrap()
}

fn target_labels(series: &str) -> TargetLabels {
    (label(series, "aws_account_id").to_owned(), label(series, "aws_region").to_owned())
}

/// Every target that has failed at least once, with all of its reasons.
fn failure_reasons(scrape: &Scrape) -> BTreeMap<TargetLabels, BTreeSet<String>> {
    let mut reasons: BTreeMap<TargetLabels, BTreeSet<String>> = BTreeMap::new();
    for series in scrape.series().into_iter().filter(|series| series.starts_with(FAILURES)) {
        reasons.entry(target_labels(series)).or_default().insert(label(series, "reason").to_owned());
    }
    reasons
}

/// Waits until every faulty target has failed. Checks that they failed for
/// `reason`, and that no other target has failed.
async fn assert_only_faulty_fail(exporter: &Exporter, reason: &str, is_faulty: impl Fn(&str, &str) -> bool) {
    let expected = expected_reasons(reason, &is_faulty);
    let all_fail = async || {
        let reasons = failure_reasons(&exporter.scrape().await);
        (reasons.len() >= expected.len()).then_some(reasons)
    };
    let reasons = exporter.wait_for(&format!("failures by {reason}"), all_fail).await;
    assert_eq!(reasons, expected);
}

/// All faulty targets, each with `reason` only.
fn expected_reasons(
    reason: &str,
    is_faulty: impl Fn(&str, &str) -> bool,
) -> BTreeMap<TargetLabels, BTreeSet<String>> {
    let targets = ACCOUNTS.iter().flat_map(|(account, _)| REGIONS.map(|region| (*account, region)));
    targets
        .filter(|(account, region)| is_faulty(account, region))
        .map(|(account, region)| ((account.to_owned(), region.to_owned()), [reason.to_owned()].into()))
        .collect()
}

/// Waits until there are exactly this many targets and all are up.
async fn wait_until_up(exporter: &Exporter, targets: usize) -> Scrape {
    let all_up = async || {
        let scrape = exporter.scrape().await;
        let up = scrape.values("ssm_sync_exporter_target_up");
        (up.len() == targets && up.iter().all(|up| *up == 1.0)).then_some(scrape)
    };
    exporter.wait_for(&format!("{targets} targets that are up"), all_up).await
}

/// The number of targets of [`config`].
const TARGET_COUNT: usize = ACCOUNTS.len() * REGIONS.len();

/// The collections during [`COMPARED_COLLECTIONS`] collections of a reference target.
struct Comparison {
    /// The number of collections of each target that existed at the start and at the end.
    collections: BTreeMap<TargetLabels, f64>,
    /// The number of collections that were skipped.
    overruns: f64,
}

/// Counts the collections of `exporter` while a target of `reference` that is not
/// faulty has [`COMPARED_COLLECTIONS`] collections.
async fn compare(
    reference: &Exporter,
    exporter: &Exporter,
    is_faulty: impl Fn(&str, &str) -> bool,
) -> Comparison {
    let first = exporter.scrape().await;
    let before = by_target(&first, COLLECTIONS);
    let mut candidates = by_target(&reference.scrape().await, COLLECTIONS).into_iter();
    let (target, at_start) = candidates.find(|((account, region), _)| !is_faulty(account, region)).unwrap();
    let had_collections = async || {
        let now = by_target(&reference.scrape().await, COLLECTIONS)[&target];
        (now >= at_start + COMPARED_COLLECTIONS).then_some(())
    };
    reference.wait_for("some collections of a target", had_collections).await;
    let last = exporter.scrape().await;
    let mut collections = by_target(&last, COLLECTIONS);
    collections.retain(|target, _| before.contains_key(target));
    for (target, number) in &mut collections {
        *number -= before[target];
    }
    Comparison { collections, overruns: last.sum(OVERRUNS) - first.sum(OVERRUNS) }
}

/// Checks that all targets that are not faulty are on time, compared with one of them, and
/// that none of them has ever failed.
async fn assert_others_on_time(exporter: &Exporter, is_faulty: impl Fn(&str, &str) -> bool) -> Comparison {
    assert_others(exporter, exporter, is_faulty, |_| true).await
}

/// Like [`assert_others_on_time`], but compares with a target of another exporter. This
/// detects faults that delay all targets alike.
async fn assert_others_keep_up_with(
    reference: &Exporter,
    exporter: &Exporter,
    is_faulty: impl Fn(&str, &str) -> bool,
) -> Comparison {
    assert_others(reference, exporter, is_faulty, |_| true).await
}

/// Like [`assert_others_on_time`], and also checks that no collection was skipped. For
/// faults without slow calls.
async fn assert_no_overruns(exporter: &Exporter, is_faulty: impl Fn(&str, &str) -> bool) -> Comparison {
    assert_others(exporter, exporter, is_faulty, |comparison| comparison.overruns == 0.0).await
}

async fn assert_others(
    reference: &Exporter,
    exporter: &Exporter,
    is_faulty: impl Fn(&str, &str) -> bool,
    is_acceptable: impl Fn(&Comparison) -> bool,
) -> Comparison {
    let mut failed = 0;
    loop {
        let comparison = compare(reference, exporter, &is_faulty).await;
        let mut others =
            comparison.collections.iter().filter(|((account, region), _)| !is_faulty(account, region));
        if others.all(|(_, number)| *number >= COMPARED_COLLECTIONS - 1.0) && is_acceptable(&comparison) {
            let scrape = exporter.scrape().await;
            for (target, failures) in by_target(&scrape, "ssm_sync_exporter_target_consecutive_failures") {
                assert!(failures == 0.0 || is_faulty(&target.0, &target.1), "{target:?}: {failures}");
            }
            for (target, reasons) in failure_reasons(&scrape) {
                assert!(is_faulty(&target.0, &target.1), "{target:?}: {reasons:?}");
            }
            return comparison;
        }
        failed += 1;
        let Comparison { collections, overruns } = comparison;
        assert!(failed < MAX_COMPARISONS, "not on time, with {overruns} overruns: {collections:#?}");
    }
}

impl Comparison {
    /// The number of collections of the faulty target that had the most.
    fn max_faulty_collections(&self, is_faulty: impl Fn(&str, &str) -> bool) -> f64 {
        let faulty = self.collections.iter().filter(|((account, region), _)| is_faulty(account, region));
        faulty.map(|(_, number)| *number).fold(0.0, f64::max)
    }
}

fn nothing_faulty(_account: &str, _region: &str) -> bool {
    false
}

fn faulty_account(account: &str, _region: &str) -> bool {
    account == FAULTY_ACCOUNT
}

fn faulty_region(_account: &str, region: &str) -> bool {
    region == FAULTY_REGION
}

/// Injects `fault` into listing syncs in the faulty region, for all accounts.
fn in_faulty_region(fault: Fault) -> Vec<FaultRule> {
    vec![FaultRule::new(fault).region(FAULTY_REGION).operation("ListResourceDataSync")]
}

#[tokio::test]
async fn all_targets_are_collected_in_every_interval() {
    let aws = organization().await;
    let exporter = Exporter::start_ready(&aws, &config()).await;
    let scrape = wait_until_up(&exporter, TARGET_COUNT).await;
    assert_eq!(scrape.sum("aws_ssm_resource_data_syncs"), 15.0);
    assert_no_overruns(&exporter, nothing_faulty).await;
}

/// Checks that hanging targets do not delay others. At least as many targets hang as
/// `concurrency` allows, so they would block all others if they could use all of it. A
/// second exporter with the configuration `reference`, which does not poll the hanging
/// targets, shows how often the others can be collected.
async fn assert_hanging_targets_delay_no_other(
    fault: FaultRule,
    hangs: impl Fn(&str, &str) -> bool + Copy,
    reference: &str,
) {
    let aws = organization().await;
    let reference_exporter = Exporter::start_ready(&aws, reference).await;
    let exporter =
        Exporter::start_ready(&aws, &config().replace("timeout: 2m", "timeout: 8s\nconcurrency: 3")).await;
    let calls = || -> u64 {
        let targets = ACCOUNTS.iter().flat_map(|(account, _)| REGIONS.map(|region| (*account, region)));
        let calls =
            |(account, region): (&str, &str)| aws.world().calls_of(account, region, "ListResourceDataSync");
        targets.filter(|(account, region)| hangs(account, region)).map(calls).sum()
    };
    aws.world().set_faults(vec![fault.operation("ListResourceDataSync")]);
    let before = calls();
    exporter.wait_for("a call that hangs", async || (calls() > before).then_some(())).await;
    assert_others_keep_up_with(&reference_exporter, &exporter, hangs).await;
    assert_only_faulty_fail(&exporter, "timeout", hangs).await;
    assert_others_keep_up_with(&reference_exporter, &exporter, hangs).await;

    aws.world().set_faults(Vec::new());
    wait_until_up(&exporter, TARGET_COUNT).await;
}

#[tokio::test]
async fn a_hanging_account_does_not_delay_others() {
    assert_hanging_targets_delay_no_other(
        FaultRule::new(Fault::Stall).account(FAULTY_ACCOUNT),
        faulty_account,
        &config().replace(EXCLUDED, FAULTY_ACCOUNT),
    )
    .await;
}

#[tokio::test]
async fn a_hanging_region_does_not_delay_others() {
    let reference = config().replace(&format!("{FAULTY_REGION}, "), "");
    assert_hanging_targets_delay_no_other(
        FaultRule::new(Fault::Stall).region(FAULTY_REGION),
        faulty_region,
        &reference,
    )
    .await;
}

#[tokio::test]
async fn a_denied_role_is_retried_rarely_and_does_not_delay_others() {
    let aws = organization().await;
    aws.world().add_denied_role(FAULTY_ACCOUNT, ROLE);
    let exporter = Exporter::start_ready(&aws, &config()).await;
    assert_no_overruns(&exporter, faulty_account).await;
    assert_only_faulty_fail(&exporter, "assume_role_denied", faulty_account).await;
    let scrape = exporter.scrape().await;

    // Each of the other roles was assumed with one call.
    let attempts = aws.world().calls("AssumeRole") - (ACCOUNTS.len() as u64 - 1);
    let intervals = by_target(&scrape, COLLECTIONS)[&(HUB.to_owned(), REGIONS[0].to_owned())];
    let collections: f64 = REGIONS
        .map(|region| by_target(&scrape, COLLECTIONS)[&(FAULTY_ACCOUNT.to_owned(), region.to_owned())])
        .iter()
        .sum();
    assert!(attempts as f64 <= intervals / 2.0, "{attempts} calls in {intervals} intervals");
    assert!((attempts as f64) < collections, "{attempts} calls for {collections} collections");
    assert_eq!(aws.world().calls_of(FAULTY_ACCOUNT, REGIONS[0], "ListResourceDataSync"), 0);

    aws.world().add_role(FAULTY_ACCOUNT, ROLE, None);
    wait_until_up(&exporter, TARGET_COUNT).await;
}

#[tokio::test]
async fn a_throttled_region_is_polled_less_often() {
    const ATTEMPTS: usize = 3;
    const INTERVAL: Duration = Duration::from_secs(1);
    let aws = organization().await;
    aws.world().set_faults(in_faulty_region(Fault::Throttle));
    aws.world().record_call_times(true);
    let exporter = Exporter::start_ready(&aws, &config()).await;
    let comparison = assert_others_on_time(&exporter, faulty_region).await;
    assert_only_faulty_fail(&exporter, "throttled", faulty_region).await;
    let most = comparison.max_faulty_collections(faulty_region);
    assert!(most <= COMPARED_COLLECTIONS / 2.0, "{most} collections of a throttled target");

    // In addition to the SDK's back-off between attempts, whole intervals are skipped.
    let started = |account: &str| aws.world().call_times(account, FAULTY_REGION, "ListResourceDataSync");
    let four_times =
        async || ACCOUNTS.iter().all(|(account, _)| started(account).len() > 3 * ATTEMPTS).then_some(());
    exporter.wait_for("four collections of each throttled target", four_times).await;
    for (account, _) in ACCOUNTS {
        let started = started(account);
        for next in [2 * ATTEMPTS, 3 * ATTEMPTS] {
            let pause = started[next] - started[next - 1];
            assert!(pause > INTERVAL, "{account} is throttled, but the pause is only {pause:?}");
        }
    }

    aws.world().set_faults(Vec::new());
    wait_until_up(&exporter, TARGET_COUNT).await;
}

#[tokio::test]
async fn server_errors_in_a_region_do_not_delay_others() {
    let aws = organization().await;
    let exporter = Exporter::start_ready(&aws, &config()).await;
    aws.world().set_faults(in_faulty_region(Fault::ServerError));
    exporter.scrape_until(&up(FAULTY_ACCOUNT, FAULTY_REGION, 0)).await;
    assert_others_on_time(&exporter, faulty_region).await;
    assert_only_faulty_fail(&exporter, "server_error", faulty_region).await;

    aws.world().set_faults(Vec::new());
    wait_until_up(&exporter, TARGET_COUNT).await;
}

#[tokio::test]
async fn truncated_responses_in_an_account_do_not_delay_others() {
    let aws = organization().await;
    let exporter = Exporter::start_ready(&aws, &config()).await;
    aws.world().set_faults(vec![
        FaultRule::new(Fault::TruncatedBody).account(FAULTY_ACCOUNT).operation("ListResourceDataSync"),
    ]);
    exporter.scrape_until(&up(FAULTY_ACCOUNT, REGIONS[0], 0)).await;
    assert_others_on_time(&exporter, faulty_account).await;
    assert_only_faulty_fail(&exporter, "connection", faulty_account).await;

    aws.world().set_faults(Vec::new());
    wait_until_up(&exporter, TARGET_COUNT).await;
}

/// How often each role has been assumed.
fn assumed_roles(world: &World) -> BTreeMap<String, u32> {
    let mut numbers = BTreeMap::new();
    for assumed in world.assumed_roles() {
        *numbers.entry(assumed.role).or_default() += 1;
    }
    numbers
}

#[tokio::test]
async fn credentials_are_refreshed_before_they_expire() {
    let aws = organization().await;
    aws.world().set_session_lifetime(Some(Duration::from_secs(10)));
    let exporter = Exporter::start_ready(&aws, &config()).await;
    while assumed_roles(aws.world()).values().any(|number| *number < 3) {
        assert_no_overruns(&exporter, nothing_faulty).await;
    }
    let numbers = assumed_roles(aws.world());
    assert_eq!(numbers.len(), ACCOUNTS.len());
    let (min, max) = (numbers.values().min().unwrap(), numbers.values().max().unwrap());
    assert!(max - min <= 1, "one refresh serves all regions: {numbers:?}");
    assert_eq!(aws.world().calls("AssumeRole"), u64::from(numbers.values().sum::<u32>()));
}

#[tokio::test]
async fn valid_credentials_are_used_while_sts_fails() {
    let aws = organization().await;
    aws.world().set_session_lifetime(Some(Duration::from_secs(40)));
    let exporter = Exporter::start_ready(&aws, &config()).await;
    let roles = ACCOUNTS.len() as u64;
    assert_eq!(aws.world().calls("AssumeRole"), roles);
    aws.world().set_faults(vec![FaultRule::new(Fault::ServerError).operation("AssumeRole")]);
    // Credentials are refreshed after half of their lifetime, with three attempts.
    let attempted = async || (aws.world().calls("AssumeRole") >= roles * (1 + 3)).then_some(());
    exporter.wait_for("attempts to refresh all credentials", attempted).await;
    aws.world().set_faults(Vec::new());
    assert_eq!(failure_reasons(&exporter.scrape().await), BTreeMap::new());
    let refreshed = async || assumed_roles(aws.world()).values().all(|number| *number >= 2).then_some(());
    exporter.wait_for("refresh of all credentials", refreshed).await;
    assert_no_overruns(&exporter, nothing_faulty).await;
}

#[tokio::test]
async fn accounts_are_kept_while_the_organization_cannot_be_listed() {
    const FAILURES: &str = "ssm_sync_exporter_discovery_failures_total{kind=\"organization\"}";
    const SUCCESS: &str = "ssm_sync_exporter_discovery_last_success_timestamp_seconds{kind=\"organization\"}";
    const FAILING: &str = "ssm_sync_exporter_discovery_failing_lookups{kind=\"organization\"}";
    let aws = organization().await;
    let exporter = Exporter::start_ready(&aws, &config()).await;
    let scrape = wait_until_up(&exporter, TARGET_COUNT).await;
    assert!(scrape.has(&format!("{FAILURES} 0")) && scrape.has(&format!("{SUCCESS} {NOW}")));
    assert!(scrape.has(&format!("{FAILING} 0")));

    aws.world().set_faults(vec![FaultRule::new(Fault::Deny).operation("ListAccounts")]);
    exporter.scrape_until(&format!("{FAILURES} 1")).await;
    exporter.set_clock(60);
    add_member_with_role(aws.world(), "100000000005", "newcomer", "r-fake");
    let comparison = assert_no_overruns(&exporter, nothing_faulty).await;
    assert_eq!(comparison.collections.len(), TARGET_COUNT);
    let scrape = exporter.scrape().await;
    assert!(scrape.sum("ssm_sync_exporter_discovery_failures_total") > 1.0, "the lookup is retried");
    assert!(scrape.has(&format!("{SUCCESS} {NOW}")) && scrape.has(&format!("{FAILING} 1")));
    assert_eq!(scrape.sum("ssm_sync_exporter_targets"), 15.0);

    aws.world().set_faults(Vec::new());
    exporter.scrape_until(&format!("{SUCCESS} {}", NOW + 60)).await;
    exporter.scrape_until(&format!("{FAILING} 0")).await;
    wait_until_up(&exporter, TARGET_COUNT + REGIONS.len()).await;
}

#[tokio::test]
async fn a_new_account_is_polled() {
    let aws = organization().await;
    let exporter = Exporter::start_ready(&aws, &config()).await;
    wait_until_up(&exporter, TARGET_COUNT).await;
    add_member_with_role(aws.world(), "100000000005", "newcomer", "r-fake");
    let scrape = wait_until_up(&exporter, TARGET_COUNT + REGIONS.len()).await;
    for region in REGIONS {
        assert!(scrape.has(&format!(
            "ssm_sync_exporter_target_info{{aws_account_id=\"100000000005\",aws_region=\"{region}\",account_name=\"newcomer\",partition=\"aws\"}} 1"
        )));
        assert!(scrape.has(&up("100000000005", region, 1)));
    }
    assert_no_overruns(&exporter, nothing_faulty).await;
}

#[tokio::test]
async fn series_of_an_account_that_leaves_or_is_suspended_are_dropped() {
    let (left, suspended) = ("100000000003", "100000000004");
    let is_dropped = |account: &str, _: &str| [left, suspended].contains(&account);
    let aws = organization().await;
    let exporter = Exporter::start_ready(&aws, &config()).await;
    // Both accounts fail first, so that they have every series of a target.
    let denied = |account| FaultRule::new(Fault::Deny).account(account).operation("ListResourceDataSync");
    aws.world().set_faults(vec![denied(left), denied(suspended)]);
    let both_fail =
        async || (failure_reasons(&exporter.scrape().await).len() == 2 * REGIONS.len()).then_some(());
    exporter.wait_for("failures of both accounts", both_fail).await;
    aws.world().set_faults(Vec::new());

    aws.world().remove_member(left);
    aws.world().set_account_state(suspended, Some("SUSPENDED"), Some("ACTIVE"));
    let all_dropped = async || {
        let scrape = exporter.scrape().await;
        (!scrape.0.contains(left) && !scrape.0.contains(suspended)).then_some(scrape)
    };
    let scrape = exporter.wait_for("the removal of both accounts", all_dropped).await;
    assert_eq!(scrape.values("ssm_sync_exporter_target_info").len(), TARGET_COUNT - 2 * REGIONS.len());
    assert_eq!(
        scrape.values("ssm_sync_exporter_target_consecutive_failures").len(),
        TARGET_COUNT - 2 * REGIONS.len()
    );

    // Collections in progress end within an interval. No calls are made after that.
    exporter.scrape_after_next_collection().await;
    let calls = || {
        let of = |account: &str, operation: &str| -> u64 {
            REGIONS.iter().map(|region| aws.world().calls_of(account, region, operation)).sum()
        };
        [left, suspended].map(|account| of(account, "ListResourceDataSync"))
    };
    let (listed, assumed) = (calls(), aws.world().calls("AssumeRole"));
    assert_no_overruns(&exporter, is_dropped).await;
    assert_eq!((calls(), aws.world().calls("AssumeRole")), (listed, assumed));

    // The suspended account is active again.
    aws.world().set_account_state(suspended, Some("ACTIVE"), None);
    wait_until_up(&exporter, TARGET_COUNT - REGIONS.len()).await;
}

/// Checks that targets that fail with `reason`, and are not expected to recover soon, are
/// polled rarely.
async fn assert_polled_rarely(fault: Fault, reason: &str) {
    let aws = organization().await;
    aws.world().set_faults(in_faulty_region(fault));
    aws.world().record_call_times(true);
    let exporter = Exporter::start_ready(&aws, &config()).await;
    assert_no_overruns(&exporter, faulty_region).await;
    assert_only_faulty_fail(&exporter, reason, faulty_region).await;
    // Other failures are retried after three intervals at the latest.
    let pauses = || {
        let started = aws.world().call_times(FAULTY_ACCOUNT, FAULTY_REGION, "ListResourceDataSync");
        started.windows(2).map(|pair| pair[1].duration_since(pair[0])).collect::<Vec<_>>()
    };
    let long_pause = async || pauses().into_iter().find(|pause| *pause > Duration::from_secs(4));
    exporter.wait_for("a pause of more than four intervals", long_pause).await;

    aws.world().set_faults(Vec::new());
    wait_until_up(&exporter, TARGET_COUNT).await;
}

#[tokio::test]
async fn a_region_that_a_service_control_policy_denies_is_polled_rarely() {
    assert_polled_rarely(Fault::DenyByScp, "scp_denied").await;
}

#[tokio::test]
async fn a_region_that_no_account_has_enabled_is_polled_rarely() {
    assert_polled_rarely(Fault::RegionDisabled, "region_disabled").await;
}
