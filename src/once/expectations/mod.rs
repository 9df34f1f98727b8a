//! The results as a configuration: the expectations that everything that was collected meets.
//!
//! - `entry`: one expectation;
//! - `yaml`: scalars, lists and comments of limited width.

mod entry;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use super::{Results, escape_control_characters, pluralize};
use crate::build_info;
use crate::expectations::{GeneratedExpectation, MAX_EXPECTATIONS, generate};
use crate::fleet::AccountId;
use crate::health::AssessedTarget;
use crate::model::ManagedBy;
use crate::status::document::rfc3339;
use entry::AccountNames;
use yaml::comment;

/// How many accounts without results are listed.
const MAX_LISTED_ACCOUNTS: usize = 100;

const MANAGED: &str = "Syncs that AWS services manage. A service may change them or delete them at any time, so \
                       decide for each whether to expect it. To do so, remove the `# ` in front of its lines.";

const BEYOND_LIMIT: &str = "The configuration accepts no more expectations than those above. These are about the \
                            fewest targets. To use one, remove the `# ` in front of its lines, and another one instead.";

/// Renders the expectations that all targets meet whose syncs are known.
pub(super) fn render(results: &Results) -> String {
    let generated = generate(results.targets.iter().map(AssessedTarget::observed));
    let (customer, managed): (Vec<_>, Vec<_>) =
        generated.into_iter().partition(|expectation| expectation.managed_by == ManagedBy::Customer);
    let (active, beyond_limit) = within_limit(customer);
    let names = account_names(results);
    let entries = |expectations: &[GeneratedExpectation]| -> Vec<String> {
        expectations.iter().flat_map(|expectation| entry::lines(expectation, &names)).collect()
    };

    let mut lines = head(results);
    // The key without an expectation below it would be rejected.
    lines.push(if active.is_empty() { "# expectations:" } else { "expectations:" }.to_owned());
    // The first entry follows the key without an empty line.
    lines.extend(entries(&active).into_iter().skip(1).map(|line| format!("  {line}")));
    for (heading, expectations) in [(BEYOND_LIMIT, beyond_limit), (MANAGED, managed)] {
        if !expectations.is_empty() {
            lines.push(String::new());
            lines.extend(comment(heading).map(|line| format!("  {line}")));
            let commented = |line: String| {
                // With the key, its entries lose a whole `# `.
                if active.is_empty() { format!("#   {line}") } else { format!("  # {line}") }
            };
            lines.extend(entries(&expectations).into_iter().map(commented));
        }
    }
    let mut text = String::new();
    for line in &lines {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The expectations about the most targets, up to the limit, and the others. Both keep their order.
fn within_limit(
    expectations: Vec<GeneratedExpectation>,
) -> (Vec<GeneratedExpectation>, Vec<GeneratedExpectation>) {
    let mut by_targets: Vec<(usize, usize)> =
        expectations.iter().map(|expectation| expectation.targets).zip(0..).collect();
    by_targets.sort_by_key(|(targets, _)| std::cmp::Reverse(*targets));
    let kept: BTreeSet<usize> = by_targets.iter().take(MAX_EXPECTATIONS).map(|(_, index)| *index).collect();
    let (kept, others): (Vec<_>, Vec<_>) =
        expectations.into_iter().enumerate().partition(|(index, _)| kept.contains(index));
    let without_index =
        |indexed: Vec<(usize, _)>| indexed.into_iter().map(|(_, expectation)| expectation).collect();
    (without_index(kept), without_index(others))
}

/// Says what follows and what to do with it, and which targets it says nothing about.
fn head(results: &Results) -> Vec<String> {
    let known = results.targets.iter().filter(|target| target.knows_syncs()).count();
    let at = rfc3339(results.now).map(|time| format!(" at {time}")).unwrap_or_default();
    let mut lines: Vec<String> = comment(&format!(
        "Expectations that the syncs of {} meet. Written by ssm-sync-exporter {}{at}.",
        pluralize(known, "target"),
        build_info::VERSION
    ))
    .collect();
    lines.push("#".to_owned());
    for step in [
        "1. Remove what is there but does not have to be, and correct what should be different.",
        "2. Copy the rest into the configuration file, and check it with `--config.check`.",
        "3. Reload the exporter, and look at `ssm_sync_exporter_expectation_targets`.",
    ] {
        lines.extend(comment(step));
    }
    if !results.targets_complete {
        lines.push("#".to_owned());
        lines.extend(comment(
            "Not all accounts and regions could be listed, so there may be further targets.",
        ));
    }
    let unknown = unknown_targets(results);
    if !unknown.is_empty() {
        lines.push("#".to_owned());
        lines.extend(comment(
            "These targets could not be collected, so nothing is known of their syncs. Accounts of which \
             nothing is known are excluded from each expectation. Write this file again when they can be \
             collected, or remove the exclusions.",
        ));
        for account in unknown.iter().take(MAX_LISTED_ACCOUNTS) {
            lines.extend(comment(&format!("- {account}")));
        }
        if let Some(more) = unknown.len().checked_sub(MAX_LISTED_ACCOUNTS).filter(|more| *more > 0) {
            let more = pluralize(more, "further account");
            lines.extend(comment(&format!("- {more}; `once --format table` lists all")));
        }
    }
    lines.push(String::new());
    lines
}

/// The targets without known syncs: a line for each account, with the regions.
fn unknown_targets(results: &Results) -> Vec<String> {
    let mut accounts: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for target in results.targets.iter().filter(|target| !target.knows_syncs()) {
        let account = match &target.target().account.name {
            Some(name) => format!("{} ({name})", target.display_id()),
            None => target.display_id(),
        };
        accounts
            .entry(escape_control_characters(&account))
            .or_default()
            .insert(target.target().region.as_str());
    }
    accounts
        .into_iter()
        .map(|(account, regions)| {
            format!("{account}: {}", regions.into_iter().collect::<Vec<_>>().join(", "))
        })
        .collect()
}

fn account_names(results: &Results) -> AccountNames<'_> {
    let mut names: BTreeMap<&AccountId, (Option<&str>, bool)> = BTreeMap::new();
    for target in &results.targets {
        if let Some(id) = target.observed().account_id {
            let (name, is_known) = names.entry(id).or_default();
            *name = name.or(target.target().account.name.as_deref());
            *is_known |= target.knows_syncs();
        }
    }
    AccountNames(names)
}

#[cfg(test)]
mod tests;
