//! Discovery on paused time: every moment below is exact, but for the jitter.

use std::sync::Mutex;

use tokio::time::sleep;

use super::*;
use crate::aws::ApiCall;
use crate::fleet::{Partition, RegionOrPattern, RegionSelection, SessionName, SessionPolicy};

/// Answers as a test says, and writes down what it was asked.
#[derive(Debug, Default)]
struct Oracle {
    members: Mutex<Option<Vec<u64>>>,
    /// The regions of each account; others do not answer.
    regions: Mutex<HashMap<u64, Vec<&'static str>>>,
    /// Who takes so long that it counts as no answer.
    hangs: Option<u64>,
    asked: Mutex<Vec<(String, Duration)>>,
    /// The profiles whose accounts were asked for their regions.
    asked_by: Mutex<Vec<String>>,
    retained: Mutex<usize>,
    started: Option<Instant>,
}

impl Oracle {
    fn asked(&self, what: &str) -> Vec<Duration> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(asked, _)| asked == what).map(|(_, at)| *at).collect()
    }

    fn note(&self, what: String) {
        self.asked.lock().unwrap().push((what, self.started.unwrap().elapsed()));
    }
}

fn number(account: &Account) -> u64 {
    account.id.as_ref().unwrap().as_str().parse().unwrap()
}

impl Lookups for Arc<Oracle> {
    async fn members(&self, _organization: &Organization) -> Result<Members, Failure> {
        self.note("members".to_owned());
        let members = self.members.lock().unwrap().clone();
        let members = members.ok_or_else(|| Failure::new(Reason::AccessDenied, "as the test wants it"))?;
        let member = |number: u64| Member { id: format!("{number:012}").parse().unwrap(), name: None };
        Ok(Members { partition: Partition::Aws, accounts: members.into_iter().map(member).collect() })
    }

    async fn regions(&self, account: &Account) -> Result<Vec<RegionName>, Failure> {
        let number = number(account);
        self.note(number.to_string());
        self.asked_by.lock().unwrap().extend(account.access.profile.clone());
        if self.hangs == Some(number) {
            sleep(PATIENCE).await;
        }
        let regions = self.regions.lock().unwrap().get(&number).cloned();
        let regions = regions.ok_or_else(|| Failure::new(Reason::AccessDenied, "as the test wants it"))?;
        Ok(regions.into_iter().map(|name| name.parse().unwrap()).collect())
    }

    fn retain(&self, accounts: &[&Account]) {
        *self.retained.lock().unwrap() = accounts.len();
    }
}

/// Counts what has been found, by kind.
#[derive(Debug, Default)]
struct Found(Mutex<HashMap<&'static str, (u32, u32)>>);

impl Observer for Found {
    fn api_call(&self, _call: &ApiCall<'_>) {}

    fn found(&self, finding: Finding) {
        let mut found = self.0.lock().unwrap();
        match finding {
            Finding::Succeeded(kind) => found.entry(kind).or_default().0 += 1,
            Finding::Failed(kind) => found.entry(kind).or_default().1 += 1,
        }
    }
}

const PATIENCE: Duration = Duration::from_mins(1);

const REFRESH: Duration = Duration::from_hours(1);

fn selection(entry: &str) -> RegionSelection {
    [entry.parse::<RegionOrPattern>().unwrap()].into_iter().collect()
}

fn sources(regions: &str) -> AccountSources {
    let organization = Organization {
        administrator: Arc::default(),
        units: Vec::new(),
        excluded: std::collections::BTreeSet::new(),
        refresh_interval: REFRESH,
        reach: MemberAccess {
            profile: None,
            via: Vec::new(),
            role: "arn:{partition}:iam::{account_id}:role/Reader".parse().unwrap(),
            external_id: None,
            session_name: SessionName::default(),
            policy: SessionPolicy::ListSyncs,
            home: None,
        },
        regions: selection(regions),
    };
    AccountSources { listed: Vec::new(), organization: Some(organization), refresh_interval: REFRESH }
}

struct Running {
    oracle: Arc<Oracle>,
    found: Arc<Found>,
    settings: watch::Sender<Arc<Settings<Arc<Oracle>>>>,
    plans: watch::Receiver<Arc<TargetList>>,
    _tasks: JoinSet<()>,
}

impl Running {
    fn start(sources: AccountSources, oracle: Oracle) -> Self {
        Self::start_with(sources, oracle, |discovery| discovery)
    }

    fn start_with(
        sources: AccountSources,
        oracle: Oracle,
        configure: impl Fn(Discovery<Arc<Oracle>>) -> Discovery<Arc<Oracle>>,
    ) -> Self {
        let oracle = Arc::new(Oracle { started: Some(Instant::now()), ..oracle });
        let found = Arc::new(Found::default());
        let observer: Arc<dyn Observer> = Arc::clone(&found) as _;
        let concurrency = NonZeroUsize::new(8).unwrap();
        let lookups = Arc::new(Arc::clone(&oracle));
        let (settings, receiver) = watch::channel(Arc::new(Settings { lookups, sources, concurrency }));
        let (discovery, plans) = Discovery::new(receiver, Shard::default(), "a".to_owned(), observer);
        let mut tasks = JoinSet::new();
        tasks.spawn(configure(discovery).run(CancellationToken::new()));
        Self { oracle, found, settings, plans, _tasks: tasks }
    }

    /// Another sources takes the place of what was to be polled.
    fn reconfigure(&self, sources: AccountSources) {
        let before = Arc::clone(&self.settings.borrow());
        let Settings { lookups, concurrency, .. } = &*before;
        let settings = Settings { lookups: Arc::clone(lookups), sources, concurrency: *concurrency };
        self.settings.send_replace(Arc::new(settings));
    }

    fn targets(&self) -> Vec<String> {
        self.plans
            .borrow()
            .targets
            .iter()
            .map(|target| target.to_string().trim_start_matches('0').to_owned())
            .collect()
    }

    fn pending(&self) -> usize {
        self.plans.borrow().pending
    }

    /// Whether the organization could not be listed, and how many accounts do not
    /// tell their regions.
    fn unresolved(&self) -> (bool, usize) {
        let unresolved = &self.plans.borrow().unresolved;
        (unresolved.organization.is_some(), unresolved.accounts)
    }

    fn found(&self, kind: &str) -> (u32, u32) {
        self.found.0.lock().unwrap().get(kind).copied().unwrap_or_default()
    }
}

fn oracle(members: &[u64], regions: &[(u64, &[&'static str])]) -> Oracle {
    Oracle {
        members: Mutex::new(Some(members.to_vec())),
        regions: Mutex::new(regions.iter().map(|(number, regions)| (*number, regions.to_vec())).collect()),
        ..Oracle::default()
    }
}

const SOON: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn accounts_come_and_go_with_the_organization() {
    let running = Running::start(sources("eu-west-1"), oracle(&[1, 2], &[]));
    assert_eq!((running.targets().len(), running.pending()), (0, 1));
    sleep(SOON).await;
    assert_eq!(
        (running.targets(), running.pending()),
        (vec!["1/eu-west-1".to_owned(), "2/eu-west-1".to_owned()], 0)
    );
    *running.oracle.members.lock().unwrap() = Some(vec![2, 3]);
    sleep(REFRESH + SOON).await;
    assert_eq!(running.targets(), ["2/eu-west-1", "3/eu-west-1"]);
    assert_eq!(running.oracle.asked("members").len(), 2);
    assert_eq!(running.found("organization"), (2, 0));
    assert_eq!(*running.oracle.retained.lock().unwrap(), 3, "two members and the administrator");
    assert!(running.oracle.asked("2").is_empty(), "a plain list of regions asks no account");
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_keeps_the_accounts_and_is_tried_again_soon() {
    let running = Running::start(sources("eu-west-1"), oracle(&[1, 2], &[]));
    sleep(SOON).await;
    *running.oracle.members.lock().unwrap() = None;
    sleep(REFRESH + Duration::from_mins(5)).await;
    assert_eq!(running.targets(), ["1/eu-west-1", "2/eu-west-1"]);
    let asked = running.oracle.asked("members");
    let pauses: Vec<u64> = asked[1..].windows(2).map(|pair| pair[1].abs_diff(pair[0]).as_secs()).collect();
    // The jitter takes away a tenth at the most.
    assert_eq!(pauses.len(), 5, "{pauses:?}");
    for (pause, most) in pauses.iter().zip([10, 20, 40, 80, 160]) {
        assert!((most * 9 / 10..=most).contains(pause), "{pauses:?}");
    }
    assert_eq!(running.found("organization"), (1, 6));
    *running.oracle.members.lock().unwrap() = Some(vec![1]);
    sleep(Duration::from_mins(6)).await;
    assert_eq!(running.targets(), ["1/eu-west-1"]);
    assert_eq!(running.found("organization").0, 2);
}

#[tokio::test(start_paused = true)]
async fn an_organization_that_has_never_been_listed_is_awaited() {
    // Regression: ready with nothing to show, a roll-out would go on.
    let running = Running::start(sources("eu-west-1"), Oracle::default());
    sleep(SOON).await;
    assert_eq!((running.targets().len(), running.pending(), running.found("organization")), (0, 1, (0, 1)));
    assert_eq!(running.unresolved(), (true, 0));
    *running.oracle.members.lock().unwrap() = Some(vec![7]);
    sleep(ASK_AGAIN).await;
    assert_eq!((running.targets(), running.pending()), (vec!["7/eu-west-1".to_owned()], 0));
    assert_eq!(running.unresolved(), (false, 0));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_leaves_and_comes_back_is_asked_at_once_and_once_only() {
    let mut sources = sources("eu-*");
    sources.organization.as_mut().unwrap().refresh_interval = Duration::from_mins(1);
    let running = Running::start(sources, oracle(&[1, 2], &[(1, &["eu-west-1"]), (2, &["eu-west-1"])]));
    sleep(SOON).await;
    for members in [vec![2], vec![1, 2], vec![2], vec![1, 2]] {
        *running.oracle.members.lock().unwrap() = Some(members.clone());
        sleep(Duration::from_mins(1) + SOON).await;
        assert_eq!(running.targets().len(), members.len(), "{members:?}");
    }
    assert_eq!(running.oracle.asked("1").len(), 3);
    sleep(REFRESH * 2).await;
    assert_eq!((running.oracle.asked("1").len(), running.oracle.asked("2").len()), (5, 3));
}

#[tokio::test(start_paused = true)]
async fn an_account_is_asked_by_the_entry_that_may_ask() {
    // Regression: the other's sessions may list syncs and nothing else.
    let entry = |profile: &str, entry: &str| {
        let access = crate::fleet::Access { profile: Some(profile.to_owned()), roles: Vec::new() };
        let account = Account { id: Some("000000000001".parse().unwrap()), access, ..Account::default() };
        ListedAccount { account: Arc::new(account), regions: selection(entry) }
    };
    let sources = AccountSources {
        listed: vec![entry("plain", "sa-east-1"), entry("asks", "us-*"), entry("asks-too", "eu-*")],
        organization: None,
        refresh_interval: REFRESH,
    };
    let running = Running::start(sources, oracle(&[], &[(1, &["us-east-1", "eu-west-1"])]));
    sleep(SOON).await;
    assert_eq!(running.targets(), ["1/sa-east-1", "1/us-east-1", "1/eu-west-1"]);
    assert_eq!(running.oracle.asked_by.lock().unwrap().as_slice(), ["asks"]);
}

#[tokio::test(start_paused = true)]
async fn wildcards_follow_what_each_account_has_enabled() {
    let running = Running::start(
        sources("eu-*"),
        oracle(&[1, 2], &[(1, &["eu-west-1", "us-east-1"]), (2, &["eu-south-1", "eu-west-1"])]),
    );
    sleep(SOON).await;
    assert_eq!(running.targets(), ["1/eu-west-1", "2/eu-south-1", "2/eu-west-1"]);
    running.oracle.regions.lock().unwrap().insert(2, vec!["eu-west-1", "eu-west-2"]);
    *running.oracle.members.lock().unwrap() = Some(vec![2]);
    sleep(REFRESH + SOON).await;
    assert_eq!(running.targets(), ["2/eu-west-1", "2/eu-west-2"]);
    sleep(REFRESH).await;
    assert!(running.oracle.asked("1").len() <= 2, "nobody asks an account that is gone");
    assert_eq!(running.oracle.asked("2").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_does_not_tell_its_regions_shows_nevertheless() {
    let running = Running::start(sources("us-*"), oracle(&[1, 2], &[(1, &["us-east-1"])]));
    sleep(SOON).await;
    assert_eq!(
        running.targets(),
        ["1/us-east-1", "2/us-east-1", "2/us-east-2", "2/us-west-1", "2/us-west-2"],
        "those that every account has"
    );
    assert_eq!((running.pending(), running.found("regions")), (0, (1, 1)));
    assert_eq!(running.unresolved(), (false, 1));
    // What is known once stays, even if it is not told any more.
    running.oracle.regions.lock().unwrap().remove(&1);
    sleep(REFRESH * 2).await;
    assert_eq!(running.targets()[0], "1/us-east-1");
    assert_eq!(running.targets().len(), 5);
    assert!(running.oracle.asked("2").len() < 20, "{:?}", running.oracle.asked("2"));
    assert_eq!(running.unresolved(), (false, 2));
    *running.oracle.members.lock().unwrap() = Some(Vec::new());
    sleep(REFRESH).await;
    assert_eq!(running.unresolved(), (false, 0), "accounts that have left owe no answer");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_hangs_holds_up_no_other() {
    let mut oracle = oracle(&[1, 2], &[(2, &["eu-west-1"])]);
    oracle.hangs = Some(1);
    let running = Running::start(sources("eu-*"), oracle);
    sleep(SOON).await;
    assert_eq!((running.targets(), running.pending()), (vec!["2/eu-west-1".to_owned()], 1));
    sleep(PATIENCE).await;
    assert_eq!((running.targets().len(), running.pending()), (5 + 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_plain_list_asks_nothing() {
    let listed = ListedAccount {
        account: Arc::new(Account { id: Some("000000000001".parse().unwrap()), ..Account::default() }),
        regions: RegionSelection { named: vec!["eu-west-1".parse().unwrap()], patterns: Vec::new() },
    };
    let sources = AccountSources { listed: vec![listed], organization: None, refresh_interval: REFRESH };
    let running = Running::start(sources, Oracle::default());
    assert_eq!((running.targets(), running.pending()), (vec!["1/eu-west-1".to_owned()], 0), "from the start");
    sleep(REFRESH * 3).await;
    assert!(running.oracle.asked.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reload_of_the_same_asks_nothing() {
    let running = Running::start(sources("eu-*"), oracle(&[1], &[(1, &["eu-west-1"])]));
    sleep(SOON).await;
    running.reconfigure(sources("eu-*"));
    sleep(SOON).await;
    assert_eq!(running.oracle.asked("members").len(), 1);
    assert_eq!(running.oracle.asked("1").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_found_out_stays_when_the_regions_are_others() {
    let regions: &[&str] = &["eu-west-1", "us-east-1"];
    let running = Running::start(sources("eu-*"), oracle(&[1, 2], &[(1, regions), (2, regions)]));
    sleep(SOON).await;
    assert_eq!(running.targets(), ["1/eu-west-1", "2/eu-west-1"]);
    // Nobody answers any more, but nobody has to.
    *running.oracle.members.lock().unwrap() = None;
    running.oracle.regions.lock().unwrap().clear();
    running.reconfigure(sources("us-*"));
    sleep(SOON).await;
    assert_eq!(running.targets(), ["1/us-east-1", "2/us-east-1"]);
    assert_eq!(running.oracle.asked("1").len(), 1, "its regions are known");
    assert_eq!(running.oracle.asked("members").len(), 2, "the organization may list others now");
    assert_eq!(running.pending(), 1, "and has not answered");
}

#[tokio::test(start_paused = true)]
async fn another_organization_is_awaited_and_none_is_not() {
    let running = Running::start(sources("eu-west-1"), oracle(&[1], &[]));
    sleep(SOON).await;
    *running.oracle.members.lock().unwrap() = None;
    let mut other = sources("eu-west-1");
    other.organization.as_mut().unwrap().administrator =
        Arc::new(Account { id: Some("999900000000".parse().unwrap()), ..Account::default() });
    running.reconfigure(other);
    sleep(SOON).await;
    assert_eq!((running.targets().len(), running.pending()), (0, 1), "the account is another");
    let none = AccountSources { organization: None, ..sources("eu-west-1") };
    running.reconfigure(none);
    sleep(SOON).await;
    assert_eq!((running.targets().len(), running.pending()), (0, 0));
    let before = running.oracle.asked("members").len();
    sleep(REFRESH * 3).await;
    assert_eq!(running.oracle.asked("members").len(), before);
}

#[tokio::test(start_paused = true)]
async fn a_reload_asks_again_at_once_what_has_failed() {
    let running = Running::start(sources("eu-*"), oracle(&[1, 2], &[(2, &["eu-west-1"])]));
    // The pauses have grown long by then.
    sleep(Duration::from_mins(20)).await;
    let before = running.oracle.asked("1").len();
    running.oracle.regions.lock().unwrap().insert(1, vec!["eu-west-3"]);
    let mut other = sources("eu-*");
    other.organization.as_mut().unwrap().reach.policy = SessionPolicy::None;
    running.reconfigure(other);
    sleep(SOON).await;
    assert_eq!(running.oracle.asked("1").len(), before + 1);
    assert_eq!(running.oracle.asked("2").len(), 1);
    assert_eq!(running.targets(), ["1/eu-west-3", "2/eu-west-1"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_what_is_not_asked_any_longer_is_not_taken() {
    let hanging = Oracle { hangs: Some(1), ..oracle(&[1], &[(1, &["eu-west-1"])]) };
    let running = Running::start(sources("eu-*"), hanging);
    sleep(SOON).await;
    let mut other = sources("eu-*");
    other.organization.as_mut().unwrap().reach.policy = SessionPolicy::None;
    running.reconfigure(other);
    sleep(SOON).await;
    assert_eq!(running.oracle.asked("1").len(), 2, "it is asked anew");
    sleep(PATIENCE).await;
    assert_eq!((running.targets(), running.pending()), (vec!["1/eu-west-1".into()], 0));
    assert_eq!(running.oracle.asked("1").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn questions_that_wait_follow_another_interval() {
    let running = Running::start(sources("eu-*"), oracle(&[1], &[(1, &["eu-west-1"])]));
    sleep(SOON).await;
    running.reconfigure(AccountSources { refresh_interval: Duration::from_mins(5), ..sources("eu-*") });
    sleep(Duration::from_mins(5) + SOON).await;
    assert_eq!(running.oracle.asked("1").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_organization_that_is_reached_in_another_way_stays_until_it_is_listed() {
    // Regression: a region in front of others, or another role, took all accounts away.
    let by_role = |role: &str, home: &str| {
        let role = crate::fleet::Role {
            arn: format!("arn:aws:iam::999900000000:role/{role}").parse().unwrap(),
            external_id: None,
            session_name: SessionName::default(),
            policy: SessionPolicy::None,
        };
        let mut sources = sources("eu-west-1");
        sources.organization.as_mut().unwrap().administrator = Arc::new(Account {
            id: Some("999900000000".parse().unwrap()),
            access: crate::fleet::Access { profile: None, roles: vec![role] },
            default_region: Some(home.parse().unwrap()),
            ..Account::default()
        });
        sources
    };
    let running = Running::start(by_role("Lister", "eu-west-1"), oracle(&[1, 2], &[]));
    sleep(SOON).await;
    *running.oracle.members.lock().unwrap() = None;
    for other in [by_role("Lister", "eu-central-1"), by_role("Denied", "eu-central-1")] {
        running.reconfigure(other);
        sleep(SOON).await;
        assert_eq!((running.targets().len(), running.pending()), (2, 1));
    }
    *running.oracle.members.lock().unwrap() = Some(vec![2]);
    sleep(ASK_AGAIN * 2).await;
    assert_eq!((running.targets(), running.pending()), (vec!["2/eu-west-1".to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn a_reload_begins_anew_to_count_what_fails() {
    let running = Running::start(sources("eu-*"), oracle(&[1], &[]));
    sleep(REFRESH * 3).await;
    running.reconfigure(sources("eu-*"));
    sleep(SOON).await;
    let asked = running.oracle.asked("1").len();
    sleep(ASK_AGAIN).await;
    assert_eq!(running.oracle.asked("1").len(), asked + 1, "not in an hour");
}

#[tokio::test(start_paused = true)]
async fn without_refresh_only_failed_lookups_are_repeated() {
    let mut sources = sources("eu-*");
    sources.refresh_interval = SOON;
    sources.organization.as_mut().unwrap().refresh_interval = SOON;
    let running =
        Running::start_with(sources, oracle(&[1, 2], &[(1, &["eu-west-1"])]), Discovery::without_refresh);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(running.oracle.asked("2").len(), 1, "the refresh interval does not shorten the back-off");
    sleep(Duration::from_secs(45)).await;
    assert_eq!((running.oracle.asked("members").len(), running.oracle.asked("1").len()), (1, 1));
    assert_eq!(running.oracle.asked("2").len(), 3, "after about 10 and 30 s");
    running.oracle.regions.lock().unwrap().insert(2, vec!["eu-west-2"]);
    sleep(REFRESH * 3).await;
    assert_eq!(running.targets(), ["1/eu-west-1", "2/eu-west-2"]);
    assert_eq!(running.oracle.asked("2").len(), 4);
}
