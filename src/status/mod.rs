//! The status page: the fleet at a glance, its problems and what to do about them.
//!
//! It renders the snapshot like `metrics` does, and `web` serves it under `/`. For each
//! request, `query` parses the URL's query, `overview` evaluates all targets once, and
//! `html` renders what the query selects. Lists are paginated, so the page stays small
//! whatever the size of the fleet.
//!
//! Everything from AWS or the configuration is text and never markup: `maud` escapes it, and
//! the page's Content-Security-Policy runs no inline script. The page is given no secrets.

mod html;
mod overview;
mod query;
mod timestamp;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::clock::Clock;
use crate::fleet::Shard;
use crate::fleet::stable_hash;
use crate::gate::{Full, Gate};
use crate::model::UnixSeconds;
use crate::snapshot::Store;
use crate::web::{Asset, PageError, PageFuture, RenderPage, TelemetryPath};
use overview::FleetOverview;
use query::PageQuery;

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

/// How many pages are rendered concurrently. Each occupies a thread for some tens of
/// milliseconds with 17,000 targets, and scrapes take precedence.
const CONCURRENCY: usize = 2;

/// How many requests for a page may wait. Those beyond are refused.
const MAX_QUEUED: usize = 14;

/// The page under `/`.
pub(crate) struct StatusPage {
    state: Arc<PageState>,
    gate: Gate,
}

/// What the page is rendered from.
struct PageState {
    store: Arc<Store>,
    clock: Clock,
    started: UnixSeconds,
    info: ExporterInfo,
    configuration: ArcSwap<LoadedConfiguration>,
    /// A hash of the assets, which are cached by browsers for as long as it is the same.
    asset_version: String,
}

/// What the page says about the exporter that does not change while it runs.
#[derive(Clone, Debug)]
pub(crate) struct ExporterInfo {
    pub(crate) telemetry_path: TelemetryPath,
    pub(crate) shard: Shard,
}

#[derive(Debug)]
struct LoadedConfiguration {
    /// YAML without secrets.
    text: String,
    loaded_at: UnixSeconds,
}

impl fmt::Debug for StatusPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusPage").field("info", &self.state.info).finish_non_exhaustive()
    }
}

impl StatusPage {
    /// A page about the targets of `store`, of an exporter that starts now.
    /// `configuration` must not contain secrets.
    pub(crate) fn new(store: Arc<Store>, clock: Clock, info: ExporterInfo, configuration: String) -> Self {
        let started = clock.now();
        let configuration =
            ArcSwap::from_pointee(LoadedConfiguration { text: configuration, loaded_at: started });
        let asset_version = format!("{:016x}", stable_hash(&ASSETS.map(|asset| asset.body)));
        Self {
            state: Arc::new(PageState { store, clock, started, info, configuration, asset_version }),
            gate: Gate::new(CONCURRENCY, MAX_QUEUED),
        }
    }

    /// Shows another configuration from now on, after a reload. It must not contain
    /// secrets.
    pub(crate) fn set_configuration(&self, text: String) {
        let loaded_at = self.state.clock.now();
        self.state.configuration.store(Arc::new(LoadedConfiguration { text, loaded_at }));
    }
}

impl RenderPage for StatusPage {
    fn html<'a>(&'a self, query: &'a str) -> PageFuture<'a> {
        Box::pin(async {
            let (state, query) = (Arc::clone(&self.state), PageQuery::parse(query));
            let rendered = self.gate.run_queued(async |permit| {
                // On the blocking pool, so that scrapes are not delayed. The task continues
                // if the client disconnects, so it keeps the permit.
                let rendering = tokio::task::spawn_blocking(move || {
                    let html = state.render(&query);
                    drop(permit);
                    html
                });
                rendering.await
            });
            match rendered.await {
                Ok(Ok(html)) => Ok(html),
                Ok(Err(_panicked)) => Err(PageError::Failed),
                Err(Full) => Err(PageError::Busy),
            }
        })
    }

    fn assets(&self) -> &[Asset] {
        &ASSETS
    }
}

impl PageState {
    fn render(&self, query: &PageQuery) -> String {
        let overview = FleetOverview::new(&self.store, self.clock.now());
        html::page(self, &overview, query).into_string()
    }
}

#[cfg(test)]
mod tests;
