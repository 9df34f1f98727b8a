//! What is known becomes a page for people: the fleet at a glance, what is wrong in
//! it and what to do about that.
//!
//! It stands where the metrics stand: it reads the snapshot, and `web` serves it.
//! For each request the query becomes a query, all targets are looked at
//! once, which is the overview, and `html` writes down what was asked for. What
//! lists there are, are paged, so that the page stays small whatever the fleet.
//!
//! All that comes from AWS or the configuration is text to it and never markup:
//! `maud` escapes it, and the policy that the page is served with runs nothing that
//! stands in it. Secrets never get here.

mod html;
mod overview;
mod query;
mod time;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::fleet::Shard;
use crate::fleet::stable_hash;
use crate::model::UnixSeconds;
use crate::snapshot::Store;
use crate::web::{Asset, Making, NoPage, Page, TelemetryPath};
use overview::Overview;
use query::Query;

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

/// How many pages are made at once. Each takes some tens of milliseconds of a thread for
/// 17,000 targets, and scrapes come first.
const AT_ONCE: usize = 2;

/// How many may wait for one; the next are told to come back.
const MAX_WAITING: usize = 16;

/// The page under `/`.
pub struct StatusPage {
    source: Arc<Source>,
    turns: Arc<Semaphore>,
    waiting: Semaphore,
}

/// What the page is made from.
struct Source {
    store: Arc<Store>,
    clock: Clock,
    started: UnixSeconds,
    about: About,
    configured: ArcSwap<Configured>,
    /// Tells the assets of this build from those of another.
    mark: String,
}

/// What there is to say about this exporter that does not change.
#[derive(Clone, Debug)]
pub struct About {
    /// The path of the metrics.
    pub telemetry_path: TelemetryPath,
    /// Which part of the targets it polls.
    pub shard: Shard,
}

/// A configuration that has come into force.
#[derive(Debug)]
struct Configured {
    text: String,
    at: UnixSeconds,
}

impl fmt::Debug for StatusPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusPage").field("about", &self.source.about).finish_non_exhaustive()
    }
}

impl StatusPage {
    /// A page about the targets of `store`, of an exporter that starts now with the
    /// `configuration`, which is free of secrets.
    #[must_use]
    pub fn new(store: Arc<Store>, clock: Clock, about: About, configuration: String) -> Self {
        let started = clock.now();
        let configured = ArcSwap::from_pointee(Configured { text: configuration, at: started });
        let mark = format!("{:016x}", stable_hash(&ASSETS.map(|asset| asset.body)));
        let source = Source { store, clock, started, about, configured, mark };
        Self {
            source: Arc::new(source),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// Takes note of another configuration, free of secrets, that has come into
    /// force.
    pub fn configured(&self, configuration: String) {
        let at = self.source.clock.now();
        self.source.configured.store(Arc::new(Configured { text: configuration, at }));
    }
}

impl Page for StatusPage {
    fn html<'a>(&'a self, query: &'a str) -> Making<'a> {
        Box::pin(async {
            let _waiting = self.waiting.try_acquire().map_err(|_| NoPage::Busy)?;
            let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| NoPage::Failed)?;
            let (source, query) = (Arc::clone(&self.source), Query::read(query));
            // Those who scrape must not wait for those who look. It goes on if the client
            // leaves, so it takes its turn along.
            let making = tokio::task::spawn_blocking(move || {
                let html = source.html(&query);
                drop(turn);
                html
            });
            making.await.map_err(|_| NoPage::Failed)
        })
    }

    fn assets(&self) -> &[Asset] {
        &ASSETS
    }
}

impl Source {
    fn html(&self, query: &Query) -> String {
        let overview = Overview::take(&self.store, self.clock.now());
        html::page(self, &overview, query).into_string()
    }
}

#[cfg(test)]
mod tests;
