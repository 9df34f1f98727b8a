//! What becomes of the accounts of an organization when something goes wrong
//! with a part of them: all others are collected as often as ever.
//!
//! How often that is depends on the machine, so targets are only compared with
//! each other, while one of them has some rounds. A machine that stands still
//! for a moment spoils such a comparison; an exporter that lets one target wait
//! for another spoils every one.

mod credentials;
mod discovery;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fake_aws::{FakeAws, Fault, FaultRule, SyncKind, World};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::exporter::{Exporter, HUB, NOW, ROLE, Scrape, up};

/// The accounts that are polled: the one that manages the organization, and
/// its members.
const ACCOUNTS: [(&str, &str); 5] = [
    (HUB, "management"),
    ("100000000001", "production"),
    ("100000000002", "staging"),
    ("100000000003", "billing"),
    ("100000000004", "archive"),
];

/// A member that is not polled.
const EXCLUDED: &str = "100000000009";

const REGIONS: [&str; 3] = ["eu-west-1", "eu-central-1", "us-east-1"];

/// The account with which something goes wrong, and the region.
const AILING: &str = "100000000002";
const AILING_REGION: &str = "eu-central-1";

const COLLECTIONS: &str = "ssm_sync_exporter_target_collections_total";
const FAILURES: &str = "ssm_sync_exporter_target_collection_failures_total";
const OVERRUNS: &str = "ssm_sync_exporter_collection_overruns_total";

/// For how many rounds targets are compared.
const ROUNDS: f64 = 6.0;

/// How often they are, at most.
const COMPARISONS: u32 = 3;

/// A fake AWS with the organization. Every account has a role that may be
/// assumed, and a sync in every region.
async fn organization() -> FakeAws {
    let world = World::new();
    world.create_organization(HUB);
    world.add_role(HUB, ROLE, None);
    for (account, name) in &ACCOUNTS[1..] {
        join(&world, account, name, "r-fake");
    }
    join(&world, EXCLUDED, "sandbox", "r-fake");
    world.set_default_syncs(SyncKind::ToDestination, vec![json!({"SyncName": "inventory"})]);
    FakeAws::start(world, "127.0.0.1:0").await.unwrap()
}

/// Lets an account with the role join the organization.
fn join(world: &World, account: &str, name: &str, parent: &str) {
    world.add_member(account, name, parent);
    world.add_role(account, ROLE, None);
}

/// The configuration that polls it.
fn config() -> String {
    format!("regions: [{}]\n{}", REGIONS.join(", "), without_regions())
}

/// The same, but for the regions.
fn without_regions() -> String {
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

/// An account and a region.
type Place = (String, String);

/// The values of a family of targets, summed up for each of them.
fn by_target(scrape: &Scrape, family: &str) -> BTreeMap<Place, f64> {
    let mut values = BTreeMap::new();
    for line in scrape.0.lines().filter(|line| line.strip_prefix(family).is_some_and(|s| s.starts_with('{')))
    {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let place = (label(series, "aws_account_id").to_owned(), label(series, "aws_region").to_owned());
        *values.entry(place).or_default() += value.parse::<f64>().unwrap();
    }
    values
}

/// The value of a label of a series, which has to have it.
fn label<'a>(series: &'a str, name: &str) -> &'a str {
    let (_, value) = series.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("{name}: {series}"));
    value.split('"').next().unwrap()
}

/// Every target that fails, and all the reasons for which it ever has.
fn reasons(scrape: &Scrape) -> BTreeMap<Place, BTreeSet<String>> {
    let mut reasons: BTreeMap<Place, BTreeSet<String>> = BTreeMap::new();
    for series in scrape.series().into_iter().filter(|series| series.starts_with(FAILURES)) {
        let place = (label(series, "aws_account_id").to_owned(), label(series, "aws_region").to_owned());
        reasons.entry(place).or_default().insert(label(series, "reason").to_owned());
    }
    reasons
}

/// Waits until every target of which `ailing` is true fails, and checks that no
/// other has, and for what reason.
async fn only_these_fail(exporter: &Exporter, reason: &str, ailing: impl Fn(&str, &str) -> bool) {
    let expected = all_for(reason, &ailing);
    let all_fail = async || {
        let reasons = reasons(&exporter.scrape().await);
        (reasons.len() >= expected.len()).then_some(reasons)
    };
    let reasons = exporter.wait_for(&format!("failures by {reason}"), all_fail).await;
    assert_eq!(reasons, expected);
}

/// The targets of which `ailing` is true, each with one reason.
fn all_for(reason: &str, ailing: impl Fn(&str, &str) -> bool) -> BTreeMap<Place, BTreeSet<String>> {
    let places = ACCOUNTS.iter().flat_map(|(account, _)| REGIONS.map(|region| (*account, region)));
    places
        .filter(|(account, region)| ailing(account, region))
        .map(|(account, region)| ((account.to_owned(), region.to_owned()), [reason.to_owned()].into()))
        .collect()
}

/// Waits until there are so many targets and all are up.
async fn all_are_up(exporter: &Exporter, targets: usize) -> Scrape {
    let up = async || {
        let scrape = exporter.scrape().await;
        let up = scrape.values("ssm_sync_exporter_target_up");
        (up.len() == targets && up.iter().all(|up| *up == 1.0)).then_some(scrape)
    };
    exporter.wait_for(&format!("{targets} targets that are up"), up).await
}

const ALL: usize = ACCOUNTS.len() * REGIONS.len();

/// What came of a comparison.
struct Compared {
    /// How often each target that was there all the time was collected.
    collections: BTreeMap<Place, f64>,
    /// How many turns were missed meanwhile.
    overruns: f64,
}

/// Counts while a target of `reference` that is not ailing has [`ROUNDS`]
/// collections.
async fn compare(reference: &Exporter, exporter: &Exporter, ailing: impl Fn(&str, &str) -> bool) -> Compared {
    let first = exporter.scrape().await;
    let before = by_target(&first, COLLECTIONS);
    let mut of_reference = by_target(&reference.scrape().await, COLLECTIONS).into_iter();
    let (chosen, had) = of_reference.find(|((account, region), _)| !ailing(account, region)).unwrap();
    let had_its_rounds = async || {
        let has = by_target(&reference.scrape().await, COLLECTIONS)[&chosen];
        (has >= had + ROUNDS).then_some(())
    };
    reference.wait_for("some rounds of a target", had_its_rounds).await;
    let last = exporter.scrape().await;
    let mut collections = by_target(&last, COLLECTIONS);
    collections.retain(|place, _| before.contains_key(place));
    for (place, number) in &mut collections {
        *number -= before[place];
    }
    Compared { collections, overruns: last.sum(OVERRUNS) - first.sum(OVERRUNS) }
}

/// Compares until all targets that are not ailing have been on time, and
/// checks that none of them has ever failed.
async fn others_are_on_time(exporter: &Exporter, ailing: impl Fn(&str, &str) -> bool) -> Compared {
    others_are(exporter, exporter, ailing, |_| true).await
}

/// The same in comparison with another exporter, for what might hold all of
/// them up alike.
async fn others_keep_up_with(
    reference: &Exporter,
    exporter: &Exporter,
    ailing: impl Fn(&str, &str) -> bool,
) -> Compared {
    others_are(reference, exporter, ailing, |_| true).await
}

/// The same where no call takes long: then no turn at all is missed.
async fn all_turns_are_taken(exporter: &Exporter, ailing: impl Fn(&str, &str) -> bool) -> Compared {
    others_are(exporter, exporter, ailing, |compared| compared.overruns == 0.0).await
}

async fn others_are(
    reference: &Exporter,
    exporter: &Exporter,
    ailing: impl Fn(&str, &str) -> bool,
    and: impl Fn(&Compared) -> bool,
) -> Compared {
    let mut spoilt = 0;
    loop {
        let compared = compare(reference, exporter, &ailing).await;
        let mut others =
            compared.collections.iter().filter(|((account, region), _)| !ailing(account, region));
        if others.all(|(_, number)| *number >= ROUNDS - 1.0) && and(&compared) {
            let scrape = exporter.scrape().await;
            for (place, failures) in by_target(&scrape, "ssm_sync_exporter_target_consecutive_failures") {
                assert!(failures == 0.0 || ailing(&place.0, &place.1), "{place:?}: {failures}");
            }
            for (place, reasons) in reasons(&scrape) {
                assert!(ailing(&place.0, &place.1), "{place:?}: {reasons:?}");
            }
            return compared;
        }
        spoilt += 1;
        let Compared { collections, overruns } = compared;
        assert!(spoilt < COMPARISONS, "not on time, with {overruns} overruns: {collections:#?}");
    }
}

impl Compared {
    /// The most collections of an ailing target.
    fn most_of(&self, ailing: impl Fn(&str, &str) -> bool) -> f64 {
        let ailing = self.collections.iter().filter(|((account, region), _)| ailing(account, region));
        ailing.map(|(_, number)| *number).fold(0.0, f64::max)
    }
}

fn nothing(_account: &str, _region: &str) -> bool {
    false
}

fn account(account: &str, _region: &str) -> bool {
    account == AILING
}

fn region(_account: &str, region: &str) -> bool {
    region == AILING_REGION
}

/// Lists go wrong by `fault` in the ailing region, for all accounts.
fn in_region(fault: Fault) -> Vec<FaultRule> {
    vec![FaultRule::new(fault).region(AILING_REGION).operation("ListResourceDataSync")]
}

#[tokio::test]
async fn all_are_collected_in_every_round() {
    let aws = organization().await;
    let exporter = Exporter::start_ready(&aws, &config()).await;
    let scrape = all_are_up(&exporter, ALL).await;
    assert_eq!(scrape.sum("aws_ssm_resource_data_syncs"), 15.0);
    all_turns_are_taken(&exporter, nothing).await;
}

/// Lists hang where `hangs` is true, of as many targets as there are places, so
/// that they would take all of them. An exporter with `reference` for its
/// configuration, which does not poll those, shows how often the others can be
/// collected.
async fn hang(fault: FaultRule, hangs: impl Fn(&str, &str) -> bool + Copy, reference: &str) {
    let aws = organization().await;
    let without = Exporter::start_ready(&aws, reference).await;
    let exporter =
        Exporter::start_ready(&aws, &config().replace("timeout: 2m", "timeout: 8s\nconcurrency: 3")).await;
    let calls = || -> u64 {
        let places = ACCOUNTS.iter().flat_map(|(account, _)| REGIONS.map(|region| (*account, region)));
        let calls =
            |(account, region): (&str, &str)| aws.world().calls_of(account, region, "ListResourceDataSync");
        places.filter(|(account, region)| hangs(account, region)).map(calls).sum()
    };
    aws.world().set_faults(vec![fault.operation("ListResourceDataSync")]);
    let before = calls();
    exporter.wait_for("a call that hangs", async || (calls() > before).then_some(())).await;
    others_keep_up_with(&without, &exporter, hangs).await;
    only_these_fail(&exporter, "timeout", hangs).await;
    others_keep_up_with(&without, &exporter, hangs).await;

    aws.world().set_faults(Vec::new());
    all_are_up(&exporter, ALL).await;
}

#[tokio::test]
async fn an_account_hangs() {
    hang(FaultRule::new(Fault::Stall).account(AILING), account, &config().replace(EXCLUDED, AILING)).await;
}

#[tokio::test]
async fn a_region_hangs_for_all_accounts() {
    let without = config().replace(&format!("{AILING_REGION}, "), "");
    hang(FaultRule::new(Fault::Stall).region(AILING_REGION), region, &without).await;
}

#[tokio::test]
async fn an_account_denies_its_role() {
    let aws = organization().await;
    aws.world().add_denied_role(AILING, ROLE);
    let exporter = Exporter::start_ready(&aws, &config()).await;
    all_turns_are_taken(&exporter, account).await;
    only_these_fail(&exporter, "assume_role_denied", account).await;
    let scrape = exporter.scrape().await;

    // One call for each of the other roles; the rest is for this one.
    let asked = aws.world().calls("AssumeRole") - (ACCOUNTS.len() as u64 - 1);
    let rounds = by_target(&scrape, COLLECTIONS)[&(HUB.to_owned(), REGIONS[0].to_owned())];
    let tried: f64 = REGIONS
        .map(|region| by_target(&scrape, COLLECTIONS)[&(AILING.to_owned(), region.to_owned())])
        .iter()
        .sum();
    assert!(asked as f64 <= rounds / 2.0, "{asked} calls in {rounds} rounds");
    assert!((asked as f64) < tried, "{asked} calls for {tried} collections");
    assert_eq!(aws.world().calls_of(AILING, REGIONS[0], "ListResourceDataSync"), 0);

    aws.world().add_role(AILING, ROLE, None);
    all_are_up(&exporter, ALL).await;
}

#[tokio::test]
async fn a_region_is_throttled() {
    const ATTEMPTS: usize = 3;
    const INTERVAL: Duration = Duration::from_secs(1);
    let aws = organization().await;
    aws.world().set_faults(in_region(Fault::Throttle));
    aws.world().record_call_times(true);
    let exporter = Exporter::start_ready(&aws, &config()).await;
    let compared = others_are_on_time(&exporter, region).await;
    only_these_fail(&exporter, "throttled", region).await;
    let most = compared.most_of(region);
    assert!(most <= ROUNDS / 2.0, "{most} collections where calls are throttled");

    // Beyond the pauses between attempts, whole turns are passed over.
    let begun = |account: &str| aws.world().call_times(account, AILING_REGION, "ListResourceDataSync");
    let four_times =
        async || ACCOUNTS.iter().all(|(account, _)| begun(account).len() > 3 * ATTEMPTS).then_some(());
    exporter.wait_for("four collections of each throttled target", four_times).await;
    for (account, _) in ACCOUNTS {
        let begun = begun(account);
        for next in [2 * ATTEMPTS, 3 * ATTEMPTS] {
            let pause = begun[next] - begun[next - 1];
            assert!(pause > INTERVAL, "AWS asks for fewer calls, and {account} pauses for {pause:?}");
        }
    }

    aws.world().set_faults(Vec::new());
    all_are_up(&exporter, ALL).await;
}

#[tokio::test]
async fn a_region_answers_500() {
    let aws = organization().await;
    let exporter = Exporter::start_ready(&aws, &config()).await;
    aws.world().set_faults(in_region(Fault::ServerError));
    exporter.scrape_until(&up(AILING, AILING_REGION, 0)).await;
    others_are_on_time(&exporter, region).await;
    only_these_fail(&exporter, "server_error", region).await;

    aws.world().set_faults(Vec::new());
    all_are_up(&exporter, ALL).await;
}

#[tokio::test]
async fn the_answers_of_an_account_are_cut_off() {
    let aws = organization().await;
    let exporter = Exporter::start_ready(&aws, &config()).await;
    aws.world().set_faults(vec![
        FaultRule::new(Fault::TruncatedBody).account(AILING).operation("ListResourceDataSync"),
    ]);
    exporter.scrape_until(&up(AILING, REGIONS[0], 0)).await;
    others_are_on_time(&exporter, account).await;
    only_these_fail(&exporter, "connection", account).await;

    aws.world().set_faults(Vec::new());
    all_are_up(&exporter, ALL).await;
}

/// How often each role has been assumed.
fn assumed(world: &World) -> BTreeMap<String, u32> {
    let mut numbers = BTreeMap::new();
    for assumed in world.assumed_roles() {
        *numbers.entry(assumed.role).or_default() += 1;
    }
    numbers
}

#[tokio::test]
async fn credentials_come_to_their_end_and_are_renewed_before() {
    let aws = organization().await;
    aws.world().set_session_lifetime(Some(Duration::from_secs(10)));
    let exporter = Exporter::start_ready(&aws, &config()).await;
    while assumed(aws.world()).values().any(|number| *number < 3) {
        all_turns_are_taken(&exporter, nothing).await;
    }
    let numbers = assumed(aws.world());
    assert_eq!(numbers.len(), ACCOUNTS.len());
    let (least, most) = (numbers.values().min().unwrap(), numbers.values().max().unwrap());
    assert!(most - least <= 1, "one renewal serves all regions: {numbers:?}");
    assert_eq!(aws.world().calls("AssumeRole"), u64::from(numbers.values().sum::<u32>()));
}

#[tokio::test]
async fn credentials_that_are_still_good_are_used_while_sts_fails() {
    let aws = organization().await;
    aws.world().set_session_lifetime(Some(Duration::from_secs(40)));
    let exporter = Exporter::start_ready(&aws, &config()).await;
    let roles = ACCOUNTS.len() as u64;
    assert_eq!(aws.world().calls("AssumeRole"), roles);
    aws.world().set_faults(vec![FaultRule::new(Fault::ServerError).operation("AssumeRole")]);
    // Halfway through their life they are to be renewed, which is tried three
    // times.
    let tried = async || (aws.world().calls("AssumeRole") >= roles * (1 + 3)).then_some(());
    exporter.wait_for("attempts to renew all credentials", tried).await;
    aws.world().set_faults(Vec::new());
    assert_eq!(reasons(&exporter.scrape().await), BTreeMap::new());
    let renewed = async || assumed(aws.world()).values().all(|number| *number >= 2).then_some(());
    exporter.wait_for("renewal of all credentials", renewed).await;
    all_turns_are_taken(&exporter, nothing).await;
}

#[tokio::test]
async fn the_accounts_stay_while_the_organization_does_not_tell_them() {
    const FAILURES: &str = "ssm_sync_exporter_discovery_failures_total{kind=\"organization\"}";
    const SUCCESS: &str = "ssm_sync_exporter_discovery_last_success_timestamp_seconds{kind=\"organization\"}";
    const UNANSWERED: &str = "ssm_sync_exporter_discovery_failing_lookups{kind=\"organization\"}";
    let aws = organization().await;
    let exporter = Exporter::start_ready(&aws, &config()).await;
    let scrape = all_are_up(&exporter, ALL).await;
    assert!(scrape.has(&format!("{FAILURES} 0")) && scrape.has(&format!("{SUCCESS} {NOW}")));
    assert!(scrape.has(&format!("{UNANSWERED} 0")));

    aws.world().set_faults(vec![FaultRule::new(Fault::Deny).operation("ListAccounts")]);
    exporter.scrape_until(&format!("{FAILURES} 1")).await;
    exporter.set_clock(60);
    join(aws.world(), "100000000005", "newcomer", "r-fake");
    let compared = all_turns_are_taken(&exporter, nothing).await;
    assert_eq!(compared.collections.len(), ALL);
    let scrape = exporter.scrape().await;
    assert!(scrape.sum("ssm_sync_exporter_discovery_failures_total") > 1.0, "it is asked for again");
    assert!(scrape.has(&format!("{SUCCESS} {NOW}")) && scrape.has(&format!("{UNANSWERED} 1")));
    assert_eq!(scrape.sum("ssm_sync_exporter_targets"), 15.0);

    aws.world().set_faults(Vec::new());
    exporter.scrape_until(&format!("{SUCCESS} {}", NOW + 60)).await;
    exporter.scrape_until(&format!("{UNANSWERED} 0")).await;
    all_are_up(&exporter, ALL + REGIONS.len()).await;
}

#[tokio::test]
async fn an_account_joins() {
    let aws = organization().await;
    let exporter = Exporter::start_ready(&aws, &config()).await;
    all_are_up(&exporter, ALL).await;
    join(aws.world(), "100000000005", "newcomer", "r-fake");
    let scrape = all_are_up(&exporter, ALL + REGIONS.len()).await;
    for region in REGIONS {
        assert!(scrape.has(&format!(
            "ssm_sync_exporter_target_info{{aws_account_id=\"100000000005\",aws_region=\"{region}\",account_name=\"newcomer\",partition=\"aws\"}} 1"
        )));
        assert!(scrape.has(&up("100000000005", region, 1)));
    }
    all_turns_are_taken(&exporter, nothing).await;
}

#[tokio::test]
async fn an_account_leaves_and_another_one_is_suspended() {
    let (left, suspended) = ("100000000003", "100000000004");
    let gone = |account: &str, _: &str| [left, suspended].contains(&account);
    let aws = organization().await;
    let exporter = Exporter::start_ready(&aws, &config()).await;
    // They have failed before, so that they have every series there is.
    let denied = |account| FaultRule::new(Fault::Deny).account(account).operation("ListResourceDataSync");
    aws.world().set_faults(vec![denied(left), denied(suspended)]);
    let both_fail = async || (reasons(&exporter.scrape().await).len() == 2 * REGIONS.len()).then_some(());
    exporter.wait_for("failures of both accounts", both_fail).await;
    aws.world().set_faults(Vec::new());

    aws.world().remove_member(left);
    aws.world().set_account_state(suspended, Some("SUSPENDED"), Some("ACTIVE"));
    let nothing_is_left = async || {
        let scrape = exporter.scrape().await;
        (!scrape.0.contains(left) && !scrape.0.contains(suspended)).then_some(scrape)
    };
    let scrape = exporter.wait_for("the end of both accounts", nothing_is_left).await;
    assert_eq!(scrape.values("ssm_sync_exporter_target_info").len(), ALL - 2 * REGIONS.len());
    assert_eq!(scrape.values("ssm_sync_exporter_target_consecutive_failures").len(), ALL - 2 * REGIONS.len());

    // What was under way ends within a round, and nothing is called after it.
    exporter.scrape_after_next_collection().await;
    let calls = || {
        let of = |account: &str, operation: &str| -> u64 {
            REGIONS.iter().map(|region| aws.world().calls_of(account, region, operation)).sum()
        };
        [left, suspended].map(|account| of(account, "ListResourceDataSync"))
    };
    let (called, assumed) = (calls(), aws.world().calls("AssumeRole"));
    all_turns_are_taken(&exporter, gone).await;
    assert_eq!((calls(), aws.world().calls("AssumeRole")), (called, assumed));

    // One comes back.
    aws.world().set_account_state(suspended, Some("ACTIVE"), None);
    all_are_up(&exporter, ALL - REGIONS.len()).await;
}

/// Where nothing will mend by itself, calls become rare.
async fn refused(fault: Fault, reason: &str) {
    let aws = organization().await;
    aws.world().set_faults(in_region(fault));
    aws.world().record_call_times(true);
    let exporter = Exporter::start_ready(&aws, &config()).await;
    all_turns_are_taken(&exporter, region).await;
    only_these_fail(&exporter, reason, region).await;
    // An ordinary failure is tried again after three intervals at the latest.
    let pauses = || {
        let begun = aws.world().call_times(AILING, AILING_REGION, "ListResourceDataSync");
        begun.windows(2).map(|pair| pair[1].duration_since(pair[0])).collect::<Vec<_>>()
    };
    let long = async || pauses().into_iter().find(|pause| *pause > Duration::from_secs(4));
    exporter.wait_for("a pause of more than four intervals", long).await;

    aws.world().set_faults(Vec::new());
    all_are_up(&exporter, ALL).await;
}

#[tokio::test]
async fn the_organization_forbids_a_region() {
    refused(Fault::DenyByScp, "scp_denied").await;
}

#[tokio::test]
async fn no_account_has_enabled_a_region() {
    refused(Fault::RegionDisabled, "region_disabled").await;
}
