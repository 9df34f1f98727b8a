//! What to try if no target has any sync.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::Context;
use super::components::{console, untrusted};
use crate::health::Health;
use crate::model::SyncType;
use crate::status::text::with_commas;

/// The number of accounts and of regions that are named.
const MAX_NAMES: usize = 5;

const CREATE_A_SYNC: &str =
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/inventory-create-resource-data-sync.html";

const DELEGATED_ADMINISTRATOR: &str = "https://docs.aws.amazon.com/systems-manager/latest/userguide/Explorer-setup-delegated-administrator.html";

/// Where the exporter looked, and what to try. Empty if there is any sync, or if nothing has been
/// collected successfully.
pub(super) fn section(context: Context<'_>) -> Markup {
    let overview = context.overview;
    let searched: Vec<_> =
        overview.targets.iter().filter(|target| target.health() == Health::NoSyncs).collect();
    if overview.sync_counts.total() > 0 || searched.is_empty() {
        return html! {};
    }
    let accounts: BTreeSet<(&str, Option<&str>)> =
        searched.iter().map(|target| (target.account.as_str(), target.account_name())).collect();
    let regions: BTreeSet<_> = searched.iter().map(|target| target.region()).collect();
    html! {
        section #nothing-found aria-labelledby="nothing-found-heading" {
            h2 #nothing-found-heading { "No resource data syncs found" }
            dl {
                div {
                    dt { (plural(accounts.len(), "Account")) " searched" }
                    dd {
                        @for (index, (id, name)) in accounts.iter().take(MAX_NAMES).enumerate() {
                            @if index > 0 { ", " }
                            @if let Some(name) = name { (untrusted(name)) " (" (untrusted(id)) ")" } @else { (untrusted(id)) }
                        }
                        (and_more(accounts.len()))
                    }
                }
                div {
                    dt { (plural(regions.len(), "Region")) " searched" }
                    dd {
                        @for (index, region) in regions.iter().take(MAX_NAMES).enumerate() {
                            @if index > 0 { ", " }
                            (region)
                        }
                        (and_more(regions.len()))
                    }
                }
            }
            h3 { "What to try" }
            ul.steps {
                li {
                    "Are these the right accounts and regions? Syncs exist in one account and one region each. Add others to "
                    code { "accounts" } ", " code { "organization" } " or " code { "regions" } " in the configuration."
                }
                li {
                    "Syncs that a delegated administrator created are visible only in the account of that administrator: poll that \
                     account as well. " a href=(DELEGATED_ADMINISTRATOR) rel="noreferrer" { "AWS on delegated administrators" }
                }
                li {
                    "Look in the " @if let Some(first) = searched.first() { (console(first.region(), &SyncType::ToDestination)) ", here of " (first.region()) "." }
                }
                li { "There is none yet? " a href=(CREATE_A_SYNC) rel="noreferrer" { "How to create a resource data sync" } }
            }
        }
    }
}

fn plural(number: usize, noun: &str) -> String {
    if number == 1 { noun.to_owned() } else { format!("{noun}s") }
}

fn and_more(number: usize) -> Markup {
    html! { @if number > MAX_NAMES { " and " (with_commas(number - MAX_NAMES)) " more" } }
}
