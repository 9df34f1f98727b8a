//! The status page under `/`: an overview of the fleet, its problems and what to do about
//! them. The page under `/sync` shows everything about one sync, and the JSON document under
//! `/api/v1/status` the same as the page, for programs (`document`, `api`).
//!
//! The page is rendered from the snapshot and served by `web`. For each request, `query`
//! parses the URL's query, `overview` evaluates all targets once, and `html` renders the part
//! that the query selects. Lists are paginated, so the page stays small even if the fleet is
//! large. `managed_nodes` has what page and document say about managed nodes. For the page about one
//! sync, `sync_lookup` finds the sync that the URL names.
//!
//! Everything from AWS or the configuration is text and never markup: `maud` escapes it, and
//! the page's Content-Security-Policy forbids inline scripts. The caller must redact secrets
//! in the configuration.

mod api;
mod aws_console;
pub(crate) mod document;
mod html;
pub(crate) mod managed_nodes;
mod notice;
mod overview;
mod query;
mod sync_link;
mod sync_lookup;
pub(crate) mod text;
mod timestamp;
mod verdict;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::fleet::Shard;
use crate::fleet::stable_hash;
use crate::gate::Gate;
use crate::health::HealthPolicy;
use crate::model::UnixSeconds;
use crate::snapshot::Store;
use crate::web::{
    Asset, PageError, PageFuture, RenderPage, SyncPage, SyncPageFuture, SyncPageOutcome, TelemetryPath,
};
use notice::{Notice, ReloadFailure};
use overview::FleetOverview;
use query::PageQuery;
use sync_lookup::SyncKey;
use verdict::Verdict;

const ASSETS: [Asset; 3] = [
    Asset {
        path: "/-/status.css",
        content_type: "text/css; charset=utf-8",
        body: include_str!("status.css"),
    },
    Asset {
        path: "/-/status.js",
        content_type: "text/javascript; charset=utf-8",
        body: include_str!("status.js"),
    },
    Asset { path: "/-/status.svg", content_type: "image/svg+xml", body: include_str!("status.svg") },
];

/// The maximum number of pages and documents that are prepared concurrently. With 17,000
/// targets, each occupies a thread for tens of milliseconds, and scrapes take precedence.
const MAX_CONCURRENT: usize = 2;

/// How long a request may wait for its turn before it fails with [`PageError::Busy`]. The web
/// server limits how many wait.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The page under `/`, and the document under `/api/v1/status`.
pub(crate) struct StatusPage {
    state: Arc<PageState>,
    gate: Gate,
}

/// The inputs of a page, shared with the threads that render it.
struct PageState {
    store: Arc<Store>,
    clock: Clock,
    started: UnixSeconds,
    info: ExporterInfo,
    configuration: ArcSwap<LoadedConfiguration>,
    /// Why the last reload failed. `None` if it succeeded, or if there has been none.
    reload_failure: ArcSwapOption<ReloadFailure>,
    /// A hash of the assets. The hash is part of the assets' URLs, so browsers cache an
    /// asset until the hash changes.
    asset_version: String,
}

/// Properties of the exporter that the page shows and that do not change while it runs.
#[derive(Clone, Debug)]
pub(crate) struct ExporterInfo {
    pub(crate) telemetry_path: TelemetryPath,
    pub(crate) shard: Shard,
    /// Whether a recording answers in place of AWS, at the time of the clock.
    pub(crate) is_replay: bool,
}

#[derive(Debug)]
struct LoadedConfiguration {
    /// YAML without secrets.
    text: String,
    health: Arc<HealthPolicy>,
    loaded_at: UnixSeconds,
}

impl fmt::Debug for StatusPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusPage").field("info", &self.state.info).finish_non_exhaustive()
    }
}

impl StatusPage {
    /// Creates a page about the targets of `store`. The shown uptime counts from this call.
    /// `configuration` is YAML and must not contain secrets.
    pub(crate) fn new(
        store: Arc<Store>,
        clock: Clock,
        info: ExporterInfo,
        configuration: String,
        health: Arc<HealthPolicy>,
    ) -> Self {
        let started = clock.now();
        let configuration =
            ArcSwap::from_pointee(LoadedConfiguration { text: configuration, health, loaded_at: started });
        let asset_version = format!("{:016x}", stable_hash(&ASSETS.map(|asset| asset.body)));
        Self {
            state: Arc::new(PageState {
                store,
                clock,
                started,
                info,
                configuration,
                reload_failure: ArcSwapOption::empty(),
                asset_version,
            }),
            gate: Gate::new(MAX_CONCURRENT),
        }
    }

    /// Replaces the shown configuration after a reload, and forgets an earlier reload that failed.
    /// `text` must not contain secrets.
    pub(crate) fn set_configuration(&self, text: String, health: Arc<HealthPolicy>) {
        let loaded_at = self.state.clock.now();
        self.state.configuration.store(Arc::new(LoadedConfiguration { text, health, loaded_at }));
        self.state.reload_failure.store(None);
    }

    /// Shows that a reload failed, until one succeeds. `message` must not contain secrets.
    pub(crate) fn reload_failed(&self, message: String) {
        let failure = ReloadFailure { message, at: self.state.clock.now() };
        self.state.reload_failure.store(Some(Arc::new(failure)));
    }

    /// Runs `work` when it is its turn.
    async fn run_in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&PageState) -> T + Send + 'static,
    ) -> Result<T, PageError> {
        let state = Arc::clone(&self.state);
        let Ok(Some(permit)) = timeout(MAX_WAIT, self.gate.enter()).await else {
            return Err(PageError::Busy);
        };
        // Runs on the blocking pool, so that scrapes are not delayed. The work continues if the
        // client disconnects, so the task keeps the permit.
        let working = tokio::task::spawn_blocking(move || {
            let result = work(&state);
            drop(permit);
            result
        });
        working.await.map_err(|_panicked| PageError::Failed)
    }
}

impl RenderPage for StatusPage {
    fn html<'a>(&'a self, query: &'a str) -> PageFuture<'a> {
        let query = PageQuery::parse(query);
        Box::pin(self.run_in_turn(move |state| state.page(query)))
    }

    fn sync_html<'a>(&'a self, query: &'a str) -> SyncPageFuture<'a> {
        let key = SyncKey::parse(query);
        Box::pin(self.run_in_turn(move |state| state.sync_page(key)))
    }

    fn assets(&self) -> &[Asset] {
        &ASSETS
    }
}

impl PageState {
    fn page(&self, mut query: PageQuery) -> String {
        let overview = FleetOverview::new(&self.store, &self.configuration.load().health, self.clock.now());
        query.check_expectation(&overview.policy.expectations);
        let is_one_of_many_shards = self.info.shard.is_one_of_many();
        let reload_failure = self.reload_failure.load();
        let notices = Notice::all(&overview, reload_failure.as_deref(), is_one_of_many_shards);
        let verdict = Verdict::new(&overview, &notices, is_one_of_many_shards);
        html::page(html::Context {
            state: self,
            overview: &overview,
            query: &query,
            verdict: &verdict,
            notices: &notices,
        })
        .into_string()
    }

    /// The page about one sync. The error says what is wrong with the URL.
    fn sync_page(&self, key: Result<SyncKey, Vec<String>>) -> SyncPage {
        let now = self.clock.now();
        let policy = &self.configuration.load().health;
        let (outcome, markup) = match key {
            Err(problems) => (SyncPageOutcome::InvalidQuery, html::invalid_page(self, &problems)),
            Ok(key) => match key.look_up(&self.store, policy, now) {
                Ok(found) => (SyncPageOutcome::Found, html::sync_page(self, &found, policy, now)),
                Err(missing) => {
                    (SyncPageOutcome::NotFound, html::missing_page(self, &key, &missing, policy, now))
                }
            },
        };
        SyncPage { outcome, html: markup.into_string() }
    }
}

#[cfg(test)]
mod expectations_tests;
#[cfg(test)]
mod managed_nodes_tests;
#[cfg(test)]
mod tests;
