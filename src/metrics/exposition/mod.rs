//! Renders once and serves often.

pub(super) mod cache;
pub(super) mod chunk;
pub(super) mod compress;
pub(super) mod recent_formats;
mod rendered;
pub(super) mod scrape;
