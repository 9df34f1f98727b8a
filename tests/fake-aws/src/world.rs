//! The state behind the services: accounts, their roles, regions and syncs.

mod calls;
mod organization;
mod sessions;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::fault::FaultRule;
use crate::lifecycle::Rhythm;
use crate::reply::Reply;
use crate::ssm;

use calls::Calls;
pub(crate) use organization::{Member, ORGANIZATION, Organization, ROOT, Unit};
pub use sessions::Assumed;
use sessions::Session;
pub(crate) use sessions::{Caller, Unknown, session_token};

/// The two kinds of sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncKind {
    /// `SyncToDestination`
    ToDestination,
    /// `SyncFromSource`
    FromSource,
}

impl SyncKind {
    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::ToDestination, Self::FromSource].into_iter().find(|kind| kind.as_str() == name)
    }

    /// The name, as AWS writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ToDestination => "SyncToDestination",
            Self::FromSource => "SyncFromSource",
        }
    }
}

/// How many syncs of a kind an account may have in a region.
pub(crate) const LIMIT: usize = 5;

/// The state behind the services. Shared by all connections; every method
/// takes effect at once.
#[derive(Debug)]
pub struct World(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    accounts: BTreeMap<String, Account>,
    organization: Option<Organization>,
    sessions: HashMap<String, Session>,
    assumed: Vec<Assumed>,
    /// Listed where there is nothing else.
    everywhere: BTreeMap<SyncKind, Vec<Sync>>,
    faults: Vec<FaultRule>,
    calls: BTreeMap<(String, String, String), Calls>,
    keeps_times: bool,
    requests: u64,
    rhythm: Rhythm,
    session_lifetime: Option<Duration>,
    trusts_foreign_keys: bool,
    reports_sharing: bool,
}

#[derive(Debug, Default)]
struct Account {
    roles: BTreeMap<String, Trust>,
    /// Those that are not what they are by default, and their status.
    regions: BTreeMap<String, String>,
    syncs: BTreeMap<(String, SyncKind), Vec<Sync>>,
}

/// Whom a role trusts: everybody, who knows the external id if there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    pub(crate) external_id: Option<String>,
    pub(crate) denied: bool,
}

/// A sync.
#[derive(Clone, Debug)]
pub(crate) enum Sync {
    /// Created by a call, and alive since.
    Alive(Alive),
    /// Listed exactly as given.
    AsGiven(Given),
}

#[derive(Clone, Debug)]
pub(crate) struct Given {
    item: Value,
    /// The same, written out: it is listed again and again.
    pub(crate) text: String,
}

impl Given {
    pub(crate) fn new(item: Value) -> Self {
        let text = item.to_string();
        Self { item, text }
    }

    /// The same with another source.
    pub(crate) fn with_source(&self, source: Value) -> Self {
        let mut item = self.item.clone();
        item["SyncSource"] = source;
        Self::new(item)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Alive {
    pub(crate) name: String,
    pub(crate) created: f64,
    pub(crate) modified: f64,
    /// `S3Destination` or `SyncSource`, as given to Create.
    pub(crate) details: Value,
}

impl Sync {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Alive(alive) => &alive.name,
            Self::AsGiven(given) => given.item["SyncName"].as_str().unwrap_or_default(),
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self(Mutex::new(Inner {
            accounts: BTreeMap::new(),
            organization: None,
            sessions: HashMap::new(),
            assumed: Vec::new(),
            everywhere: BTreeMap::new(),
            faults: Vec::new(),
            calls: BTreeMap::new(),
            keeps_times: false,
            requests: 0,
            rhythm: Rhythm::default(),
            session_lifetime: None,
            trusts_foreign_keys: false,
            reports_sharing: true,
        }))
    }
}

impl World {
    /// A world without accounts.
    #[must_use]
    pub fn new() -> std::sync::Arc<Self> {
        std::sync::Arc::default()
    }

    /// Adds an account that has nothing yet.
    pub fn add_account(&self, id: &str) {
        self.lock().accounts.entry(id.to_owned()).or_default();
    }

    /// Adds a role to an account, which may be assumed by everybody who knows
    /// its external id, if it has one.
    pub fn add_role(&self, account: &str, name: &str, external_id: Option<&str>) {
        let trust = Trust { external_id: external_id.map(ToOwned::to_owned), denied: false };
        self.lock().accounts.entry(account.to_owned()).or_default().roles.insert(name.to_owned(), trust);
    }

    /// Adds a role that nobody may assume.
    pub fn add_denied_role(&self, account: &str, name: &str) {
        let trust = Trust { external_id: None, denied: true };
        self.lock().accounts.entry(account.to_owned()).or_default().roles.insert(name.to_owned(), trust);
    }

    /// Sets the status of a region in an account, such as `ENABLED`. Without
    /// this, AWS's default regions are `ENABLED_BY_DEFAULT`, and the others
    /// `DISABLED`.
    pub fn set_region(&self, account: &str, region: &str, status: &str) {
        let mut inner = self.lock();
        let account = inner.accounts.entry(account.to_owned()).or_default();
        account.regions.insert(region.to_owned(), status.to_owned());
    }

    /// Adds a sync that is listed exactly as `item` says, an item of
    /// `ListResourceDataSync`. One of the same name is replaced.
    pub fn put_item(&self, account: &str, region: &str, kind: SyncKind, item: Value) {
        let mut inner = self.lock();
        let account = inner.accounts.entry(account.to_owned()).or_default();
        let syncs = account.syncs.entry((region.to_owned(), kind)).or_default();
        let new = Sync::AsGiven(Given::new(item));
        syncs.retain(|sync| sync.name().is_empty() || sync.name() != new.name());
        syncs.push(new);
    }

    /// Sets what is listed, exactly as `items` say, in every account and region
    /// that has no syncs of that kind of its own. Updating or deleting one of
    /// them is refused as if it were not there.
    pub fn set_everywhere(&self, kind: SyncKind, items: Vec<Value>) {
        let items = items.into_iter().map(|item| Sync::AsGiven(Given::new(item))).collect();
        self.lock().everywhere.insert(kind, items);
    }

    /// Creates a sync as a call of `CreateResourceDataSync` with `request`
    /// would.
    ///
    /// # Errors
    /// What AWS would say to the call.
    pub fn create(&self, account: &str, region: &str, request: &Value) -> Result<(), String> {
        match ssm::answer(self, account, region, "CreateResourceDataSync", request, None) {
            Reply::Error(error) => Err(format!("{}: {}", error.code, error.message)),
            Reply::Json(_) | Reply::Xml { .. } => Ok(()),
        }
    }

    /// Takes all syncs of an account in a region away.
    pub fn clear(&self, account: &str, region: &str) {
        if let Some(account) = self.lock().accounts.get_mut(account) {
            account.syncs.retain(|(of, _), _| of != region);
        }
    }

    /// How syncs that are created by calls live on.
    pub fn set_rhythm(&self, rhythm: Rhythm) {
        self.lock().rhythm = rhythm;
    }

    /// Whether lists say with whom a destination is shared. AWS is said not
    /// to.
    pub fn set_reports_sharing(&self, reports: bool) {
        self.lock().reports_sharing = reports;
    }

    /// Whom a role trusts, if there is such a role.
    pub(crate) fn trust(&self, account: &str, role: &str) -> Option<Trust> {
        self.lock().accounts.get(account)?.roles.get(role).cloned()
    }

    /// The regions of an account whose status has been set, and that.
    pub(crate) fn changed_regions(&self, account: &str) -> BTreeMap<String, String> {
        self.lock().accounts.get(account).map(|account| account.regions.clone()).unwrap_or_default()
    }

    /// Works on the syncs of one kind of an account in a region.
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

    /// Looks at what is listed of one kind in an account and a region, and
    /// leaves nothing behind where there is nothing.
    pub(crate) fn with_list<T>(
        &self,
        account: &str,
        region: &str,
        kind: SyncKind,
        work: impl FnOnce(&[Sync]) -> T,
    ) -> T {
        let inner = self.lock();
        let own =
            inner.accounts.get(account).and_then(|account| account.syncs.get(&(region.to_owned(), kind)));
        let listed = own.filter(|own| !own.is_empty()).or_else(|| inner.everywhere.get(&kind));
        work(listed.map_or(&[], Vec::as_slice))
    }

    pub(crate) fn rhythm(&self) -> Rhythm {
        self.lock().rhythm
    }

    pub(crate) fn reports_sharing(&self) -> bool {
        self.lock().reports_sharing
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a world has but one time")]
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A time as AWS sends it: seconds, with three digits after the point.
pub(crate) fn millis(time: f64) -> Value {
    json!((time * 1000.0).round() / 1000.0)
}
