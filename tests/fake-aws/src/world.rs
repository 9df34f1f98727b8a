//! The state of the fake AWS: accounts with their roles, regions, syncs and managed nodes.

mod calls;
mod nodes;
mod organization;
mod policies;
mod roles;
mod sessions;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::fault::FaultRule;
use crate::reply::Reply;
use crate::schedule::RunSchedule;
use crate::ssm;

use calls::Calls;
pub(crate) use nodes::ManagedNodes;
use nodes::NodesOfRegion;
pub(crate) use organization::{Member, ORGANIZATION, Organization, ROOT, Unit};
pub use policies::OrganizationPolicyType;
use policies::VpcEndpoint;
pub(crate) use policies::{Attachments, ManagedPolicy, Permissions};
pub use roles::Identity;
use roles::Role;
use sessions::Session;
pub use sessions::{AssumedRole, SessionCredentials};
pub(crate) use sessions::{Caller, CredentialError, session_token};

/// The type of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncKind {
    /// `SyncToDestination`
    ToDestination,
    /// `SyncFromSource`
    FromSource,
}

impl SyncKind {
    /// The kind with this AWS name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::ToDestination, Self::FromSource].into_iter().find(|kind| kind.as_str() == name)
    }

    /// The name that AWS uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ToDestination => "SyncToDestination",
            Self::FromSource => "SyncFromSource",
        }
    }
}

/// Maximum number of syncs of one kind in an account and region.
pub(crate) const SYNC_QUOTA: usize = 5;

/// The state of the fake AWS, shared by all connections. Changes take effect immediately.
#[derive(Debug)]
pub struct World(Mutex<Inner>);

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
struct Inner {
    accounts: BTreeMap<String, Account>,
    organization: Option<Organization>,
    sessions: HashMap<String, Session>,
    assumed_roles: Vec<AssumedRole>,
    /// The syncs that are listed in accounts and regions without syncs of that kind.
    default_syncs: BTreeMap<SyncKind, Vec<Sync>>,
    /// The managed nodes of accounts and regions whose nodes were not set.
    default_nodes: ManagedNodes,
    vpc_endpoints: Vec<VpcEndpoint>,
    faults: Vec<FaultRule>,
    calls: BTreeMap<(String, String, String), Calls>,
    records_call_times: bool,
    requests: u64,
    run_schedule: RunSchedule,
    /// Whether created syncs run only where there are managed nodes.
    runs_need_nodes: bool,
    session_lifetime: Option<Duration>,
    /// How far the clock of the fake is ahead of the system's.
    clock_offset: SignedDuration,
    trusts_foreign_keys: bool,
    reports_sharing: bool,
}

#[derive(Debug, Default)]
struct Account {
    /// The roles by name, with path.
    roles: BTreeMap<String, Role>,
    /// Those of the user that the static access key belongs to.
    user: Permissions,
    /// The regions whose status was set, with the status.
    regions: BTreeMap<String, String>,
    syncs: BTreeMap<(String, SyncKind), Vec<Sync>>,
    /// The managed nodes of the regions whose nodes were set.
    nodes: BTreeMap<String, NodesOfRegion>,
}

#[derive(Clone, Debug)]
pub(crate) enum Sync {
    /// Created by a call. Runs on the [`RunSchedule`].
    Created(CreatedSync),
    /// Listed exactly as a test set it.
    Fixed(FixedItem),
}

#[derive(Clone, Debug)]
pub(crate) struct FixedItem {
    item: Value,
    /// `item` as JSON text, cached because it is listed often.
    pub(crate) text: String,
}

impl FixedItem {
    pub(crate) fn new(item: Value) -> Self {
        let text = item.to_string();
        Self { item, text }
    }

    /// A copy with another source.
    pub(crate) fn with_source(&self, source: Value) -> Self {
        let mut item = self.item.clone();
        item["SyncSource"] = source;
        Self::new(item)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct CreatedSync {
    pub(crate) name: String,
    pub(crate) created: f64,
    pub(crate) modified: f64,
    /// `S3Destination` or `SyncSource` of the request that created it.
    pub(crate) details: Value,
}

impl Sync {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Created(sync) => &sync.name,
            Self::Fixed(fixed) => fixed.item["SyncName"].as_str().unwrap_or_default(),
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self(Mutex::new(Inner {
            accounts: BTreeMap::new(),
            organization: None,
            sessions: HashMap::new(),
            assumed_roles: Vec::new(),
            default_syncs: BTreeMap::new(),
            default_nodes: ManagedNodes::default(),
            vpc_endpoints: Vec::new(),
            faults: Vec::new(),
            calls: BTreeMap::new(),
            records_call_times: false,
            requests: 0,
            run_schedule: RunSchedule::default(),
            runs_need_nodes: false,
            session_lifetime: None,
            clock_offset: SignedDuration::ZERO,
            trusts_foreign_keys: false,
            reports_sharing: true,
        }))
    }
}

impl World {
    /// Creates a state without accounts.
    #[must_use]
    pub fn new() -> std::sync::Arc<Self> {
        std::sync::Arc::default()
    }

    /// Adds an account without roles, syncs or managed nodes.
    pub fn add_account(&self, id: &str) {
        self.lock().accounts.entry(id.to_owned()).or_default();
    }

    /// Sets the status of a region in an account, such as `ENABLED`. By default, AWS's default
    /// regions are `ENABLED_BY_DEFAULT` and the others `DISABLED`.
    pub fn set_region(&self, account: &str, region: &str, status: &str) {
        let mut inner = self.lock();
        let account = inner.accounts.entry(account.to_owned()).or_default();
        account.regions.insert(region.to_owned(), status.to_owned());
    }

    /// Adds a sync that `ListResourceDataSync` returns exactly as `item`. Replaces a sync of the
    /// same name.
    pub fn put_item(&self, account: &str, region: &str, kind: SyncKind, item: Value) {
        let mut inner = self.lock();
        let account = inner.accounts.entry(account.to_owned()).or_default();
        let syncs = account.syncs.entry((region.to_owned(), kind)).or_default();
        let new = Sync::Fixed(FixedItem::new(item));
        syncs.retain(|sync| sync.name().is_empty() || sync.name() != new.name());
        syncs.push(new);
    }

    /// Sets the items that are listed in every account and region without syncs of that kind. Calls
    /// cannot update or delete these items.
    pub fn set_default_syncs(&self, kind: SyncKind, items: Vec<Value>) {
        let items = items.into_iter().map(|item| Sync::Fixed(FixedItem::new(item))).collect();
        self.lock().default_syncs.insert(kind, items);
    }

    /// Creates a sync as a call of `CreateResourceDataSync` with `request` does.
    ///
    /// # Errors
    /// The code and message of the error that AWS would return.
    pub fn create_sync(&self, account: &str, region: &str, request: &Value) -> Result<(), String> {
        match ssm::handle(self, account, region, "CreateResourceDataSync", request, &[]) {
            Reply::Error(error) => Err(format!("{}: {}", error.code, error.message)),
            Reply::Json(_) | Reply::Xml { .. } => Ok(()),
        }
    }

    /// Sets how many seconds the clock of the fake is ahead of the system's. Negative values
    /// make the clocks of all clients look as if they were ahead. The clock determines the `Date` of
    /// responses, which signatures are rejected as too old or too new, and when sessions expire.
    pub fn set_clock_offset(&self, seconds: i32) {
        self.lock().clock_offset = SignedDuration::from_secs(seconds.into());
    }

    pub(crate) fn clock_offset(&self) -> SignedDuration {
        self.lock().clock_offset
    }

    /// Seconds since the Unix epoch by the clock of the fake.
    pub(crate) fn now(&self) -> f64 {
        now() + self.clock_offset().as_secs_f64()
    }

    /// Removes all syncs of an account in a region.
    pub fn clear_syncs(&self, account: &str, region: &str) {
        if let Some(account) = self.lock().accounts.get_mut(account) {
            account.syncs.retain(|(sync_region, _), _| sync_region != region);
        }
    }

    /// Sets when syncs that were created by calls run.
    pub fn set_run_schedule(&self, schedule: RunSchedule) {
        self.lock().run_schedule = schedule;
    }

    /// Sets whether lists include `DestinationDataSharing`, which AWS does not always return. On by
    /// default.
    pub fn set_reports_sharing(&self, reports: bool) {
        self.lock().reports_sharing = reports;
    }

    /// The regions of an account whose status was set, with the status.
    pub(crate) fn region_statuses(&self, account: &str) -> BTreeMap<String, String> {
        self.lock().accounts.get(account).map(|account| account.regions.clone()).unwrap_or_default()
    }

    /// Calls `work` with the syncs of one kind in an account and region.
    pub(crate) fn with_syncs<T>(
        &self,
        account: &str,
        region: &str,
        kind: SyncKind,
        work: impl FnOnce(&mut Vec<Sync>) -> T,
    ) -> T {
        let mut inner = self.lock();
        let account = inner.accounts.entry(account.to_owned()).or_default();
        work(account.syncs.entry((region.to_owned(), kind)).or_default())
    }

    /// Calls `work` with the syncs of one kind that are listed in an account and region: its own
    /// syncs, or the default syncs if it has none.
    pub(crate) fn with_listed_syncs<T>(
        &self,
        account: &str,
        region: &str,
        kind: SyncKind,
        work: impl FnOnce(&[Sync]) -> T,
    ) -> T {
        let inner = self.lock();
        let own =
            inner.accounts.get(account).and_then(|account| account.syncs.get(&(region.to_owned(), kind)));
        let listed = own.filter(|own| !own.is_empty()).or_else(|| inner.default_syncs.get(&kind));
        work(listed.map_or(&[], Vec::as_slice))
    }

    pub(crate) fn run_schedule(&self) -> RunSchedule {
        self.lock().run_schedule
    }

    pub(crate) fn reports_sharing(&self) -> bool {
        self.lock().reports_sharing
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "the fake always uses the system time")]
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A time in JSON as AWS sends it: seconds since the Unix epoch, rounded to milliseconds.
pub(crate) fn aws_time(time: f64) -> Value {
    json!((time * 1000.0).round() / 1000.0)
}
