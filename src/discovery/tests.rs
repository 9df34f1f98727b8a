//! Runs discovery with fake lookups. Time is paused, so all times are exact except for the
//! jitter.

mod reloads;
mod units;

use std::sync::Mutex;

use tokio::time::sleep;

use super::lookup_queue::INITIAL_BACKOFF;
use super::*;
use crate::fleet::{
    AccountId, Narrowing, OrganizationalUnitId, Partition, RegionOrPattern, RegionSelection, SessionName,
    SessionPolicy,
};
use crate::logging::captured::Lines;

/// Returns what the test has set, and records all lookups.
#[derive(Debug)]
struct FakeLookups {
    /// The accounts of the organization. If `None`, the lookup fails.
    members: Mutex<Option<Vec<u64>>>,
    /// Accounts, each with the number of the unit that contains it. If `None`, finding the units
    /// fails.
    units: Mutex<Option<Vec<(u64, u64)>>>,
    /// The enabled regions by account. For other accounts, the lookup fails.
    regions: Mutex<HashMap<u64, Vec<&'static str>>>,
    /// The account whose lookup takes [`HANG`].
    hanging_account: Option<u64>,
    /// What was looked up (`members` or the number of the account), and when.
    lookups: Mutex<Vec<(String, Duration)>>,
    /// The profiles with which regions were looked up.
    profiles: Mutex<Vec<String>>,
    retained: Mutex<usize>,
    started: Option<Instant>,
}

impl Default for FakeLookups {
    fn default() -> Self {
        Self {
            members: Mutex::default(),
            units: Mutex::new(Some(Vec::new())),
            regions: Mutex::default(),
            hanging_account: None,
            lookups: Mutex::default(),
            profiles: Mutex::default(),
            retained: Mutex::default(),
            started: None,
        }
    }
}

impl FakeLookups {
    /// When `key` was looked up.
    fn times(&self, key: &str) -> Vec<Duration> {
        let lookups = self.lookups.lock().unwrap();
        lookups.iter().filter(|(recorded, _)| recorded == key).map(|(_, at)| *at).collect()
    }

    /// How often `key` was looked up.
    fn count(&self, key: &str) -> usize {
        self.times(key).len()
    }

    fn record(&self, key: String) {
        self.lookups.lock().unwrap().push((key, self.started.unwrap().elapsed()));
    }
}

fn id(number: u64) -> AccountId {
    format!("{number:012}").parse().unwrap()
}

fn unit_id(number: u64) -> OrganizationalUnitId {
    format!("ou-fake-{number:08}").parse().unwrap()
}

fn number(account: &Account) -> u64 {
    account.id.as_ref().unwrap().as_str().parse().unwrap()
}

impl Lookups for Arc<FakeLookups> {
    async fn members(&self, organization: &Organization) -> Result<OrganizationListing, Failure> {
        self.record("members".to_owned());
        let members = self.members.lock().unwrap().clone();
        let members = members.ok_or_else(|| Failure::new(Reason::AccessDenied, "set by the test"))?;
        let member = |number: u64| Member { id: id(number), name: None };
        let accounts: Vec<Member> = members.into_iter().map(member).collect();
        let units = self.units.lock().unwrap().clone();
        let units_failure = units.is_none().then(|| Failure::new(Reason::Other, "set by the test"));
        let units = units.map(|units| {
            let mut by_account: AccountUnits =
                accounts.iter().map(|member| (member.id.clone(), Vec::new())).collect();
            by_account.extend(units.into_iter().map(|(account, unit)| (id(account), vec![unit_id(unit)])));
            by_account
        });
        Ok(OrganizationListing {
            members: Members {
                partition: Partition::Aws,
                accounts,
                units,
                listed_units: organization.tracked_units.clone(),
            },
            units_failure,
        })
    }

    async fn regions(&self, account: &Account) -> Result<Vec<RegionName>, Failure> {
        let number = number(account);
        self.record(number.to_string());
        self.profiles.lock().unwrap().extend(account.access.profile.clone());
        if self.hanging_account == Some(number) {
            sleep(HANG).await;
        }
        let regions = self.regions.lock().unwrap().get(&number).cloned();
        let regions = regions.ok_or_else(|| Failure::new(Reason::AccessDenied, "set by the test"))?;
        Ok(regions.into_iter().map(|name| name.parse().unwrap()).collect())
    }

    fn retain(&self, accounts: &[&Account]) {
        *self.retained.lock().unwrap() = accounts.len();
    }
}

/// Counts successes and failures by kind of lookup.
#[derive(Debug, Default)]
struct Outcomes(Mutex<HashMap<LookupKind, (u32, u32)>>);

impl LookupObserver for Outcomes {
    fn lookup_ended(&self, kind: LookupKind, succeeded: bool) {
        let mut outcomes = self.0.lock().unwrap();
        let (successes, failures) = outcomes.entry(kind).or_default();
        *(if succeeded { successes } else { failures }) += 1;
    }
}

const HANG: Duration = Duration::from_mins(1);

const REFRESH: Duration = Duration::from_hours(1);

fn selection(entry: &str) -> RegionSelection {
    [entry.parse::<RegionOrPattern>().unwrap()].into_iter().collect()
}

/// An organization with the role `Reader` in each of its accounts.
pub(super) fn organization(regions: RegionSelection) -> Organization {
    Organization {
        administrator: Arc::default(),
        units: Vec::new(),
        tracked_units: Vec::new(),
        excluded: std::collections::BTreeSet::new(),
        refresh_interval: REFRESH,
        member_access: MemberAccess {
            profile: None,
            intermediate_roles: Vec::new(),
            role: "arn:{partition}:iam::{account_id}:role/Reader".parse().unwrap(),
            external_id: None,
            session_name: SessionName::default(),
            policy: SessionPolicy::Poll { regions: false, managed_nodes: false },
            managed_nodes_interval: None,
            default_region: None,
        },
        regions,
    }
}

fn sources(regions: &str) -> AccountSources {
    let organization = organization(selection(regions));
    AccountSources {
        configured: Vec::new(),
        organization: Some(organization),
        refresh_interval: REFRESH,
        narrowing: Narrowing::default(),
    }
}

struct RunningDiscovery {
    fake: Arc<FakeLookups>,
    outcomes: Arc<Outcomes>,
    settings: watch::Sender<Arc<Settings<Arc<FakeLookups>>>>,
    target_list: watch::Receiver<Arc<TargetList>>,
    _tasks: JoinSet<()>,
}

impl RunningDiscovery {
    fn start(sources: AccountSources, fake: FakeLookups) -> Self {
        Self::start_with(sources, fake, |discovery| discovery)
    }

    fn start_with(
        sources: AccountSources,
        fake: FakeLookups,
        configure: fn(Discovery<Arc<FakeLookups>>) -> Discovery<Arc<FakeLookups>>,
    ) -> Self {
        let fake = Arc::new(FakeLookups { started: Some(Instant::now()), ..fake });
        let outcomes = Arc::new(Outcomes::default());
        let observer: Arc<dyn LookupObserver> = Arc::clone(&outcomes) as _;
        let concurrency = NonZeroUsize::new(8).unwrap();
        let lookups = Arc::new(Arc::clone(&fake));
        let (settings, receiver) = watch::channel(Arc::new(Settings { lookups, sources, concurrency }));
        let failure_log = Arc::new(FailureLog::default());
        let (discovery, target_list) =
            Discovery::new(receiver, Shard::default(), "a".to_owned(), observer, Arc::clone(&failure_log));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { failure_log.run(CancellationToken::new()).await });
        tasks.spawn(configure(discovery).run(CancellationToken::new()));
        Self { fake, outcomes, settings, target_list, _tasks: tasks }
    }

    /// Replaces the sources, as a reload does.
    fn reconfigure(&self, sources: AccountSources) {
        let before = Arc::clone(&self.settings.borrow());
        let Settings { lookups, concurrency, .. } = &*before;
        let settings = Settings { lookups: Arc::clone(lookups), sources, concurrency: *concurrency };
        self.settings.send_replace(Arc::new(settings));
    }

    fn targets(&self) -> Vec<String> {
        self.target_list
            .borrow()
            .targets
            .iter()
            .map(|target| target.to_string().trim_start_matches('0').to_owned())
            .collect()
    }

    /// The last digits of the ids of each target's account and of its units, such as `1:45`, and of the
    /// units that have not been listed yet, such as `1:45?6`.
    fn units(&self) -> Vec<String> {
        let last = |id: &str| id.chars().last().unwrap();
        let units = |target: &crate::fleet::Target| {
            let Account { id, organizational_units, unlisted_units, .. } = &*target.account;
            let all = |units: &[OrganizationalUnitId]| -> String {
                units.iter().map(|unit| last(unit.as_str())).collect()
            };
            let units = organizational_units.as_deref().map_or("unknown".to_owned(), all);
            let unlisted = if unlisted_units.is_empty() { "" } else { "?" };
            format!("{}:{units}{unlisted}{}", last(id.as_ref().unwrap().as_str()), all(unlisted_units))
        };
        self.target_list.borrow().targets.iter().map(units).collect()
    }

    fn pending(&self) -> usize {
        self.target_list.borrow().pending_lookups
    }

    /// Whether the organization could not be listed, and the number of accounts whose
    /// regions could not be listed.
    fn failing_lookups(&self) -> (bool, usize) {
        let failing_lookups = &self.target_list.borrow().failing_lookups;
        (failing_lookups.organization.is_some(), failing_lookups.accounts)
    }

    /// How many lookups have succeeded and failed.
    fn outcomes(&self, kind: LookupKind) -> (u32, u32) {
        self.outcomes.0.lock().unwrap().get(&kind).copied().unwrap_or_default()
    }
}

fn fake_lookups(members: &[u64], regions: &[(u64, &[&'static str])]) -> FakeLookups {
    FakeLookups {
        members: Mutex::new(Some(members.to_vec())),
        regions: Mutex::new(regions.iter().map(|(number, regions)| (*number, regions.to_vec())).collect()),
        ..FakeLookups::default()
    }
}

/// Long enough for lookups that do not hang, and for publishing their results.
const SOON: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn accounts_that_join_or_leave_the_organization_are_added_or_dropped() {
    let discovery = RunningDiscovery::start(sources("eu-west-1"), fake_lookups(&[1, 2], &[]));
    assert_eq!((discovery.targets().len(), discovery.pending()), (0, 1));
    sleep(SOON).await;
    assert_eq!(
        (discovery.targets(), discovery.pending()),
        (vec!["1/eu-west-1".to_owned(), "2/eu-west-1".to_owned()], 0)
    );
    *discovery.fake.members.lock().unwrap() = Some(vec![2, 3]);
    sleep(REFRESH + SOON).await;
    assert_eq!(discovery.targets(), ["2/eu-west-1", "3/eu-west-1"]);
    assert_eq!(discovery.fake.count("members"), 2);
    assert_eq!(discovery.outcomes(LookupKind::Organization), (2, 0));
    assert_eq!(*discovery.fake.retained.lock().unwrap(), 3, "two members and the administrator");
    assert!(discovery.fake.times("2").is_empty(), "named regions need no lookup");
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_keeps_the_accounts_and_is_retried_with_backoff() {
    let discovery = RunningDiscovery::start(sources("eu-west-1"), fake_lookups(&[1, 2], &[]));
    sleep(SOON).await;
    *discovery.fake.members.lock().unwrap() = None;
    sleep(REFRESH + Duration::from_mins(5)).await;
    assert_eq!(discovery.targets(), ["1/eu-west-1", "2/eu-west-1"]);
    let times = discovery.fake.times("members");
    let pauses: Vec<u64> = times[1..].windows(2).map(|pair| pair[1].abs_diff(pair[0]).as_secs()).collect();
    // The jitter shortens a pause by a tenth at most.
    assert_eq!(pauses.len(), 5, "{pauses:?}");
    for (pause, longest) in pauses.iter().zip([10, 20, 40, 80, 160]) {
        assert!((longest * 9 / 10..=longest).contains(pause), "{pauses:?}");
    }
    assert_eq!(discovery.outcomes(LookupKind::Organization), (1, 6));
    *discovery.fake.members.lock().unwrap() = Some(vec![1]);
    sleep(Duration::from_mins(6)).await;
    assert_eq!(discovery.targets(), ["1/eu-west-1"]);
    assert_eq!(discovery.outcomes(LookupKind::Organization).0, 2);
}

#[tokio::test(start_paused = true)]
async fn an_organization_that_has_never_been_listed_is_pending() {
    // Regression: the exporter was ready without targets, so a rollout continued.
    let discovery = RunningDiscovery::start(sources("eu-west-1"), FakeLookups::default());
    sleep(SOON).await;
    assert_eq!(
        (discovery.targets().len(), discovery.pending(), discovery.outcomes(LookupKind::Organization)),
        (0, 1, (0, 1))
    );
    assert_eq!(discovery.failing_lookups(), (true, 0));
    *discovery.fake.members.lock().unwrap() = Some(vec![7]);
    sleep(INITIAL_BACKOFF).await;
    assert_eq!((discovery.targets(), discovery.pending()), (vec!["7/eu-west-1".to_owned()], 0));
    assert_eq!(discovery.failing_lookups(), (false, 0));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_leaves_and_returns_is_looked_up_immediately_and_only_once() {
    let mut sources = sources("eu-*");
    sources.organization.as_mut().unwrap().refresh_interval = Duration::from_mins(1);
    let discovery =
        RunningDiscovery::start(sources, fake_lookups(&[1, 2], &[(1, &["eu-west-1"]), (2, &["eu-west-1"])]));
    sleep(SOON).await;
    for members in [vec![2], vec![1, 2], vec![2], vec![1, 2]] {
        *discovery.fake.members.lock().unwrap() = Some(members.clone());
        sleep(Duration::from_mins(1) + SOON).await;
        assert_eq!(discovery.targets().len(), members.len(), "{members:?}");
    }
    assert_eq!(discovery.fake.count("1"), 3);
    sleep(REFRESH * 2).await;
    assert_eq!((discovery.fake.count("1"), discovery.fake.count("2")), (5, 3));
}

#[tokio::test(start_paused = true)]
async fn regions_are_looked_up_with_an_entry_that_has_wildcards() {
    // Regression: the session policy of the other entry allows only listing syncs.
    let entry = |profile: &str, entry: &str| {
        let access = crate::fleet::Access { profile: Some(profile.to_owned()), roles: Vec::new() };
        let account = Account { id: Some("000000000001".parse().unwrap()), access, ..Account::default() };
        ConfiguredAccount { account: Arc::new(account), regions: selection(entry) }
    };
    let sources = AccountSources {
        configured: vec![
            entry("plain", "sa-east-1"),
            entry("wildcard", "us-*"),
            entry("another-wildcard", "eu-*"),
        ],
        organization: None,
        refresh_interval: REFRESH,
        narrowing: Narrowing::default(),
    };
    let discovery = RunningDiscovery::start(sources, fake_lookups(&[], &[(1, &["us-east-1", "eu-west-1"])]));
    sleep(SOON).await;
    assert_eq!(discovery.targets(), ["1/sa-east-1", "1/us-east-1", "1/eu-west-1"]);
    assert_eq!(discovery.fake.profiles.lock().unwrap().as_slice(), ["wildcard"]);
}

#[tokio::test(start_paused = true)]
async fn wildcards_follow_what_each_account_has_enabled() {
    let discovery = RunningDiscovery::start(
        sources("eu-*"),
        fake_lookups(&[1, 2], &[(1, &["eu-west-1", "us-east-1"]), (2, &["eu-south-1", "eu-west-1"])]),
    );
    sleep(SOON).await;
    assert_eq!(discovery.targets(), ["1/eu-west-1", "2/eu-south-1", "2/eu-west-1"]);
    discovery.fake.regions.lock().unwrap().insert(2, vec!["eu-west-1", "eu-west-2"]);
    *discovery.fake.members.lock().unwrap() = Some(vec![2]);
    sleep(REFRESH + SOON).await;
    assert_eq!(discovery.targets(), ["2/eu-west-1", "2/eu-west-2"]);
    sleep(REFRESH).await;
    assert!(discovery.fake.count("1") <= 2, "an account that has left is not looked up");
    assert_eq!(discovery.fake.count("2"), 3);
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_regions_cannot_be_listed_is_polled_in_those_always_enabled() {
    let discovery = RunningDiscovery::start(sources("us-*"), fake_lookups(&[1, 2], &[(1, &["us-east-1"])]));
    sleep(SOON).await;
    assert_eq!(
        discovery.targets(),
        ["1/us-east-1", "2/us-east-1", "2/us-east-2", "2/us-west-1", "2/us-west-2"],
        "the regions that are always enabled"
    );
    assert_eq!((discovery.pending(), discovery.outcomes(LookupKind::Regions)), (0, (1, 1)));
    assert_eq!(discovery.failing_lookups(), (false, 1));
    // The last result is kept when a later lookup fails.
    discovery.fake.regions.lock().unwrap().remove(&1);
    sleep(REFRESH * 2).await;
    assert_eq!(discovery.targets()[0], "1/us-east-1");
    assert_eq!(discovery.targets().len(), 5);
    assert!(discovery.fake.count("2") < 20, "{:?}", discovery.fake.times("2"));
    assert_eq!(discovery.failing_lookups(), (false, 2));
    *discovery.fake.members.lock().unwrap() = Some(Vec::new());
    sleep(REFRESH).await;
    assert_eq!(
        discovery.failing_lookups(),
        (false, 0),
        "lookups of accounts that have left do not count as failing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hanging_lookup_does_not_delay_others() {
    let mut fake = fake_lookups(&[1, 2], &[(2, &["eu-west-1"])]);
    fake.hanging_account = Some(1);
    let discovery = RunningDiscovery::start(sources("eu-*"), fake);
    sleep(SOON).await;
    assert_eq!((discovery.targets(), discovery.pending()), (vec!["2/eu-west-1".to_owned()], 1));
    sleep(HANG).await;
    assert_eq!((discovery.targets().len(), discovery.pending()), (5 + 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_panics_fails_alone_and_is_retried() {
    // The fake panics because the name is not valid.
    let fake = fake_lookups(&[1, 2], &[(1, &["not a region"]), (2, &["eu-west-1"])]);
    let discovery = RunningDiscovery::start(sources("eu-*"), fake);
    sleep(SOON).await;
    assert_eq!((discovery.targets().len(), discovery.pending()), (5 + 1, 0));
    assert_eq!(discovery.failing_lookups(), (false, 1));
    discovery.fake.regions.lock().unwrap().insert(1, vec!["eu-west-3"]);
    sleep(INITIAL_BACKOFF).await;
    assert_eq!(discovery.targets(), ["1/eu-west-3", "2/eu-west-1"]);
}

#[tokio::test(start_paused = true)]
async fn named_accounts_and_regions_need_no_lookups() {
    let configured = ConfiguredAccount {
        account: Arc::new(Account { id: Some("000000000001".parse().unwrap()), ..Account::default() }),
        regions: RegionSelection { named: vec!["eu-west-1".parse().unwrap()], patterns: Vec::new() },
    };
    let sources = AccountSources {
        configured: vec![configured],
        organization: None,
        refresh_interval: REFRESH,
        narrowing: Narrowing::default(),
    };
    let discovery = RunningDiscovery::start(sources, FakeLookups::default());
    assert_eq!(
        (discovery.targets(), discovery.pending()),
        (vec!["1/eu-west-1".to_owned()], 0),
        "immediately"
    );
    sleep(REFRESH * 3).await;
    assert!(discovery.fake.lookups.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_refresh_only_failed_lookups_are_repeated() {
    let mut sources = sources("eu-*");
    sources.refresh_interval = SOON;
    sources.organization.as_mut().unwrap().refresh_interval = SOON;
    let discovery = RunningDiscovery::start_with(
        sources,
        fake_lookups(&[1, 2], &[(1, &["eu-west-1"])]),
        Discovery::without_refresh,
    );
    sleep(Duration::from_secs(5)).await;
    assert_eq!(discovery.fake.count("2"), 1, "the refresh interval does not shorten the back-off");
    sleep(Duration::from_secs(45)).await;
    assert_eq!((discovery.fake.count("members"), discovery.fake.count("1")), (1, 1));
    assert_eq!(discovery.fake.count("2"), 3, "after about 10 and 30 s");
    discovery.fake.regions.lock().unwrap().insert(2, vec!["eu-west-2"]);
    sleep(REFRESH * 3).await;
    assert_eq!(discovery.targets(), ["1/eu-west-1", "2/eu-west-2"]);
    assert_eq!(discovery.fake.count("2"), 4);
}

#[tokio::test(start_paused = true)]
async fn failed_lookups_of_many_accounts_are_logged_together() {
    let (lines, _guard) = Lines::of("failure_log");
    let members: Vec<u64> = (1..=200).collect();
    let discovery = RunningDiscovery::start(sources("eu-*"), fake_lookups(&members, &[]));
    sleep(Duration::from_mins(30)).await;
    assert_eq!(discovery.failing_lookups(), (false, 200));
    let begin = lines.take();
    assert_eq!(begin.len(), 2, "{begin:#?}");
    assert!(begin[0].starts_with("WARN cannot list the enabled regions of an account account=00000000"));
    assert!(
        begin[1].starts_with(
            "WARN cannot list the enabled regions of accounts reason=access_denied accounts=200 failing=200 "
        ),
        "{begin:#?}"
    );
    // An account that leaves is forgotten, and does not delay the end.
    *discovery.fake.members.lock().unwrap() = Some((1..=199).collect());
    sleep(REFRESH).await;
    *discovery.fake.regions.lock().unwrap() = (1..=199).map(|number| (number, vec!["eu-west-1"])).collect();
    sleep(REFRESH * 2).await;
    let end = lines.take();
    assert!(
        end.last().unwrap().starts_with("INFO can list the enabled regions of all accounts again "),
        "{end:#?}"
    );
    assert!(end.len() < 30, "{end:#?}");
}
