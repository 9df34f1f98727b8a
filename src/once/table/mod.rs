//! The results for people: what failed and why first, then every account with its syncs, then what is
//! not as expected and what needs attention, and at the end where `once` looked and the totals.
//!
//! - `look`: the word, the symbol and the colour of each health;
//! - `places`: the accounts and regions of some targets, as far as they fit on a line;
//! - `failures`: the targets without a result, those that fail for the same cause together;
//! - `accounts`: the accounts with their regions and syncs;
//! - `expectations`: what is not as expected;
//! - `concerns`: quotas and settings that need attention;
//! - `managed_nodes`: which targets have no managed nodes, and why managed-node lookups fail;
//! - `totals`: where `once` looked, and how many targets and syncs have each health and each state of an
//!   expectation.

mod accounts;
mod concerns;
mod expectations;
mod failures;
mod look;
mod managed_nodes;
mod places;
mod totals;

use super::Results;
use crate::terminal::Page;

/// Renders everything for a terminal of `width` columns, if it is one.
pub(super) fn render(results: &Results, width: Option<u16>, has_color: bool) -> String {
    let mut page = Page::for_terminal(width, has_color);
    failures::write(&mut page, results);
    accounts::write(&mut page, results);
    expectations::write(&mut page, results);
    concerns::write(&mut page, results);
    totals::write(&mut page, results);
    page.into_text()
}

#[cfg(test)]
mod tests;
