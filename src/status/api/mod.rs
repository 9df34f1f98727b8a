//! `GET /api/v1/status`: the JSON document about the targets that a query selects, page by page.
//!
//! Targets are assessed and selected on a thread of the blocking pool, within the same limit on
//! concurrency as the status page. The text is rendered and compressed step by step while it is sent.
//!
//! The entity tag is a hash of the text of the page without `generated_at`, so it changes with
//! everything else that the page shows: a collection of one of its targets, a verdict that
//! changes with time, the configuration, the summary. The text is rendered once more for the hash,
//! because versions of the states alone would miss whatever somebody adds to the document.

mod body;
mod encoder;
mod query;

use std::sync::Arc;

use super::document::{DocumentPage, Head, SelectedTarget, Summary};
use super::overview::FleetOverview;
use super::{PageState, StatusPage};
use crate::fleet::TargetKey;
use crate::negotiation::ContentCoding;
use crate::web::{DocumentError, DocumentFuture, PageError, ServeDocument, StatusDocument};
use body::DocumentBody;
use query::ApiQuery;

impl ServeDocument for StatusPage {
    fn document<'a>(&'a self, query: &'a str, coding: ContentCoding) -> DocumentFuture<'a> {
        Box::pin(async move {
            let query = ApiQuery::parse(query, &self.state.configuration.load().health.expectations)
                .map_err(|error| DocumentError::InvalidQuery(error.to_string()))?;
            let document = self.run_in_turn(move |state| state.document(&query, coding)).await?;
            Ok(document.map_err(|_bug| PageError::Failed)?)
        })
    }
}

impl PageState {
    fn document(&self, query: &ApiQuery, coding: ContentCoding) -> std::io::Result<StatusDocument> {
        let configuration = self.configuration.load();
        let overview = FleetOverview::new(&self.store, &configuration.health, self.clock.now());
        let page = page(overview, query, self.reload_failure.load().is_none());
        let entity_tag = format!("{:032x}", page.content_hash()?);
        let next = page.head.next.clone();
        Ok(StatusDocument { entity_tag, next, chunks: Box::new(DocumentBody::new(page, coding)?) })
    }
}

/// The page of the document that `query` asks for.
fn page(overview: FleetOverview, query: &ApiQuery, is_last_reload_successful: bool) -> DocumentPage {
    let FleetOverview { now, pending_lookups, .. } = overview;
    let policy = Arc::clone(&overview.policy);
    let mut summary = Summary::new(pending_lookups, &overview.failing_lookups, &policy.expectations);
    summary.set_last_reload(is_last_reload_successful);
    let mut selected: Vec<(TargetKey, SelectedTarget)> = Vec::new();
    for (assessed, syncs) in overview.into_selected(&query.filter) {
        let target = SelectedTarget { assessed, syncs };
        summary.add(&target.assessed, target.syncs());
        let key = target.assessed.target().key();
        if query.after.as_ref().is_none_or(|after| key > *after) {
            selected.push((key, target));
        }
    }
    // Sorted by key and not by the shown account id, which changes when it is learned: the target
    // would move to another page, and a client that reads all pages could miss it.
    selected.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let next = (selected.len() > query.limit).then(|| query.next_page(&selected[query.limit - 1].0));
    selected.truncate(query.limit);
    let targets = selected.into_iter().map(|(_, target)| target).collect();
    DocumentPage { head: Head { generated_at: now, summary, next }, policy, targets }
}

#[cfg(test)]
mod tests;
