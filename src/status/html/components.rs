//! Markup that several sections use.

use maud::{Markup, PreEscaped, html};

use crate::fleet::RegionName;
use crate::health::{Alert, CauseGuide, ConcernKind, Health};
use crate::model::{ManagedBy, SyncType, UnixSeconds};
use crate::printable::shorten_middle;
use crate::status::aws_console::console_link;
use crate::status::query::PageQuery;
use crate::status::text::{pluralize, with_commas};
use crate::status::timestamp::Timestamp;
use crate::status::verdict::Mark;

/// The number of characters of a collapsed message that are shown.
const MESSAGE_EXCERPT: usize = 150;

/// The maximum number of characters of a message that are shown. AWS's messages are shorter.
const MAX_MESSAGE: usize = 2_000;

pub(super) fn label(health: Health) -> &'static str {
    match health {
        Health::Down => "Down",
        Health::Failed => "Failed",
        Health::SourceFault => "Source fault",
        Health::Stale => "Stale",
        Health::Stuck => "Stuck",
        Health::InProgress => "In progress",
        Health::Healthy => "Healthy",
        Health::NotCollected => "Not collected yet",
        Health::NoSyncs => "No syncs",
    }
}

pub(super) fn concern_label(kind: ConcernKind) -> &'static str {
    match kind {
        ConcernKind::QuotaUsed => "Quota used up",
        ConcernKind::QuotaNearlyUsed => "Quota nearly used up",
        ConcernKind::InspectorSyncBlocked => "No room for Inspector’s sync",
        ConcernKind::UnifiedConsoleSyncMissing => "No sync for the unified console",
        ConcernKind::AllOpsDataSources => "All OpsData sources enabled",
        ConcernKind::FutureRegions => "Future regions included",
    }
}

/// The meaning of a health, with names of configuration keys between backticks.
pub(super) fn meaning(health: Health) -> &'static str {
    match health {
        Health::Down => {
            "The exporter could not list the syncs of the account in the region when it last tried."
        }
        Health::Failed => "AWS reports that the last run of the sync failed.",
        Health::SourceFault => {
            "AWS reports a fault of the organization or the units that the sync reads from."
        }
        Health::Stale => "The last success of the sync is longer ago than `max_success_age` allows.",
        Health::Stuck => {
            "A run of the sync has been in progress for longer than `max_run_time` allows, and none has succeeded since it began."
        }
        Health::InProgress => "A run of the sync is in progress.",
        Health::Healthy => {
            "The last run of the sync succeeded recently enough, or AWS reports no problem with it."
        }
        Health::NotCollected => "The exporter has not yet asked for the syncs of the account in the region.",
        Health::NoSyncs => "The account has no resource data syncs in the region.",
    }
}

/// The meaning of a concern.
pub(super) fn concern_meaning(kind: ConcernKind) -> &'static str {
    match kind {
        ConcernKind::QuotaUsed => "No further sync of the type can be created in the account and the region.",
        ConcernKind::QuotaNearlyUsed => {
            "At least four fifths of the syncs that AWS allows in the account and the region exist."
        }
        ConcernKind::InspectorSyncBlocked => {
            "The quota is used up, and Amazon Inspector has no sync yet. It cannot create one, so its scans of instances fail."
        }
        ConcernKind::UnifiedConsoleSyncMissing => {
            "There are managed nodes, and the required sync is missing that the unified console of Systems Manager needs to list them."
        }
        ConcernKind::AllOpsDataSources => {
            "A sync enables all OpsData sources in every account of an organization, and AWS charges for OpsData."
        }
        ConcernKind::FutureRegions => {
            "A sync from an organization includes regions that AWS opens later, and AWS charges for their OpsData."
        }
    }
}

/// Each health has its own shape, so that readers need no colour to distinguish them. The
/// shapes are paths and not characters, so that they do not depend on the fonts of the
/// client.
fn icon_shape(health: Health) -> &'static str {
    match health {
        Health::Down => {
            "<circle cx='8' cy='8' r='6.5' fill='currentColor' stroke='none'/><path class='cut' d='M5.5 5.5l5 5m0-5l-5 5'/>"
        }
        Health::Failed => "<path d='M4 4l8 8m0-8l-8 8' stroke-width='2.4'/>",
        Health::SourceFault => "<path d='M8 1.5L14.7 13.5H1.3z'/><path d='M8 6v3.6M8 11.2v.6'/>",
        Health::Stale => "<circle cx='8' cy='8' r='6'/><path d='M8 4.5V8l2.4 1.6'/>",
        Health::Stuck => {
            "<path d='M4.5 2h7M4.5 14h7M5.5 2c0 4 5 4 5 6s-5 2-5 6M10.5 2c0 4-5 4-5 6s5 2 5 6'/>"
        }
        Health::InProgress => "<path d='M13.5 8A5.5 5.5 0 1 1 11.6 3.8M11.8 1v3.2H8.6'/>",
        Health::Healthy => "<path d='M2.5 8.6l3.6 3.6 7.4-8' stroke-width='2.2'/>",
        Health::NotCollected => "<path d='M3 8h.1M8 8h.1M13 8h.1' stroke-width='2.6'/>",
        Health::NoSyncs => "<path d='M3.5 8h9'/>",
    }
}

/// The definitions of all icons, which [`icon`] refers to. They occur once per page.
pub(super) fn sprite() -> Markup {
    let healths = Health::ALL.iter().map(|health| (Mark::Health(*health), icon_shape(*health)));
    let others = [
        // A box that is full.
        (
            Mark::Concern(ConcernKind::QuotaUsed),
            "<rect x='2' y='2' width='12' height='12' rx='1.5'/><path d='M5 5.5h6M5 8h6M5 10.5h6' stroke-width='2'/>",
        ),
        // An equals sign that is struck through.
        (Mark::NotAsExpected, "<path d='M3 6h10M3 10h10M11 2.5L5 13.5'/>"),
        (Mark::Warning, "<path d='M8 2.5v7' stroke-width='2.4'/><path d='M8 13.2v.1' stroke-width='2.8'/>"),
    ];
    html! {
        svg.sprite aria-hidden="true" {
            @for (mark, shape) in healths.chain(others) {
                symbol id=(mark.as_str()) viewBox="0 0 16 16" { (PreEscaped(shape)) }
            }
        }
    }
}

/// An icon. It is hidden from screen readers, because a label is always next to it.
pub(super) fn icon(mark: impl Into<Mark>) -> Markup {
    html! { svg.i aria-hidden="true" { use href={ "#" (mark.into().as_str()) } {} } }
}

pub(super) fn badge(health: Health) -> Markup {
    html! {
        span class={ "badge " (health.as_str()) } title=(plain(meaning(health))) { (icon(health)) (label(health)) }
    }
}

/// The badge of a target with a used-up quota.
pub(super) fn quota_used_badge() -> Markup {
    let kind = ConcernKind::QuotaUsed;
    html! {
        span class={ "badge " (kind.as_str()) } title=(concern_meaning(kind)) { (icon(kind)) (concern_label(kind)) }
    }
}

pub(super) const NOT_AS_EXPECTED: &str = "Not as expected";

/// The meaning of [`NOT_AS_EXPECTED`], with names of configuration keys between backticks.
pub(super) const NOT_AS_EXPECTED_MEANING: &str = "A sync that `expectations` require is missing, a sync differs from what they describe, or a sync that they forbid exists.";

/// The badge of what violates an expectation.
pub(super) fn not_as_expected_badge() -> Markup {
    html! {
        span class={ "badge " (Mark::NotAsExpected.as_str()) } title=(plain(NOT_AS_EXPECTED_MEANING)) {
            (icon(Mark::NotAsExpected)) (NOT_AS_EXPECTED)
        }
    }
}

/// The AWS service that owns a sync; `None` if the sync is the customer's.
pub(super) fn owning_service(managed_by: ManagedBy) -> Option<&'static str> {
    match managed_by {
        ManagedBy::Customer => None,
        ManagedBy::Inspector => Some("Amazon Inspector"),
        ManagedBy::LicenseManager => Some("AWS License Manager"),
        ManagedBy::QuickSetup => Some("Systems Manager Quick Setup"),
    }
}

/// When the page was rendered, followed by `more`. With the script, also when the page will be
/// refreshed. A page without these elements is not refreshed.
pub(super) fn freshness(now: UnixSeconds, more: &Markup) -> Markup {
    let Some(Timestamp { rfc3339, exact, .. }) = Timestamp::new(now, now) else { return html! {} };
    html! {
        p.freshness {
            span { "As of " time #as-of datetime=(rfc3339) title=(exact) { (exact) } span #countdown {} "." (more) }
            label #refresh-setting hidden { input #refresh type="checkbox"; " Refresh every 30s" }
        }
    }
}

/// A link to the section of the runbook about an alert.
pub(super) fn runbook(alert: Alert) -> Markup {
    html! { a.runbook href=(alert.runbook_url()) rel="noreferrer" { "Runbook: " (alert.name()) } }
}

/// A link to the section of the runbook about a cause.
pub(super) fn runbook_of_cause(guide: &CauseGuide) -> Markup {
    html! { a.runbook href=(guide.runbook_url()) rel="noreferrer" { "Runbook: " (guide.name) } }
}

/// A link to the syncs of a type in a region in the AWS console, which shows those of whatever
/// account the reader is logged in to.
pub(super) fn console(region: &RegionName, sync_type: &SyncType) -> Markup {
    html! {
        @if let Some(url) = console_link(region, sync_type) {
            a.console href=(url) rel="noreferrer" title="Shows the account that you are logged in to" { "AWS console" }
        }
    }
}

/// A text without the backticks that enclose code, for tooltips.
pub(super) fn plain(text: &str) -> String {
    text.replace('`', "")
}

/// A time with its age, or `placeholder` if there is no valid time.
pub(super) fn when(at: Option<UnixSeconds>, now: UnixSeconds, placeholder: &str) -> Markup {
    match at.and_then(|at| Timestamp::new(at, now)) {
        Some(Timestamp { rfc3339, short, exact, age }) => html! {
            time datetime=(rfc3339) title=(exact) { span.ago { (age) } " " span.at { (short) } }
        },
        None => html! { span.none { (placeholder) } },
    }
}

/// The age of something, with its time as a tooltip.
pub(super) fn age(at: UnixSeconds, now: UnixSeconds) -> Markup {
    match Timestamp::new(at, now) {
        Some(Timestamp { rfc3339, exact, age, .. }) => html! {
            time datetime=(rfc3339) title=(exact) { span.ago { (age) } }
        },
        None => html! { "unknown" },
    }
}

/// A text from AWS or the configuration. `bdi` isolates it, so that right-to-left characters
/// in it do not reorder the text around it.
pub(super) fn untrusted(text: &str) -> Markup {
    html! { bdi { (text) } }
}

/// A message from AWS, of any length. A long message is collapsed to its beginning and its end, and a
/// very long one is truncated.
pub(super) fn message(text: &str) -> Markup {
    let excerpt = shorten_middle(text, MESSAGE_EXCERPT);
    if excerpt == text {
        return html! { p.message { (untrusted(text)) } };
    }
    let shown: String = text.chars().take(MAX_MESSAGE).collect();
    let more = text.chars().count() - shown.chars().count();
    html! {
        details.message {
            summary { (untrusted(&excerpt)) " " span.more { "show the whole message" } }
            p { (untrusted(&shown)) @if more > 0 { " (and " (pluralize(more, "more character")) ")" } }
        }
    }
}

/// Renders a text of this program, in which backticks enclose code.
pub(super) fn backticks_to_code(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// The name and the id of an account, with a link that filters by it.
pub(super) fn account(id: &str, name: Option<&str>, query: &PageQuery) -> Markup {
    let query = PageQuery { account: id.to_owned(), ..query.first_pages() };
    html! {
        a href=(query.link()) {
            @if let Some(name) = name { span.name { (untrusted(name)) } " " }
            span.id { (untrusted(id)) }
        }
    }
}

/// A paginated list and its current page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pagination {
    /// The current page, counted from 0.
    pub(super) page: usize,
    pub(super) pages: usize,
    pub(super) per_page: usize,
    pub(super) total: usize,
}

impl Pagination {
    /// Selects the page `requested` of a list of `total` items, or the last page if there are
    /// fewer pages.
    pub(super) fn new(requested: usize, total: usize, per_page: usize) -> Self {
        let pages = total.div_ceil(per_page).max(1);
        Self { page: requested.min(pages - 1), pages, per_page, total }
    }

    /// The items on the page.
    pub(super) fn slice<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        let start = (self.page * self.per_page).min(all.len());
        &all[start..all.len().min(start + self.per_page)]
    }

    /// Links to the other pages, if there are any. `items` names the items for screen readers,
    /// `anchor` is the id of the list's section, and `query_of_page` returns the query of a page.
    pub(super) fn links(
        &self,
        items: &str,
        anchor: &str,
        query_of_page: impl Fn(usize) -> PageQuery,
    ) -> Markup {
        let link = |page: usize| format!("{}#{anchor}", query_of_page(page).link());
        let first = self.page * self.per_page;
        html! {
            @if self.pages > 1 {
                nav.pages aria-label={ "Pages of " (items) } {
                    @if self.page > 0 {
                        a href=(link(0)) { "First" }
                        a rel="prev" href=(link(self.page - 1)) { "Previous" }
                    } @else {
                        span aria-disabled="true" { "First" }
                        span aria-disabled="true" { "Previous" }
                    }
                    span.current {
                        (with_commas(first + 1)) "–" (with_commas(self.total.min(first + self.per_page))) " of " (with_commas(self.total))
                    }
                    @if self.page + 1 < self.pages {
                        a rel="next" href=(link(self.page + 1)) { "Next" }
                        a href=(link(self.pages - 1)) { "Last" }
                    } @else {
                        span aria-disabled="true" { "Next" }
                        span aria-disabled="true" { "Last" }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "<img src=x onerror='alert(1)'>\" & \u{202e}gnp";

    #[test]
    fn untrusted_texts_are_escaped() {
        let escaped = "&lt;img src=x onerror='alert(1)'&gt;&quot; &amp; \u{202e}gnp";
        assert_eq!(untrusted(HOSTILE).into_string(), format!("<bdi>{escaped}</bdi>"));
        assert_eq!(message(HOSTILE).into_string(), format!("<p class=\"message\"><bdi>{escaped}</bdi></p>"));
        let link = account("unknown (profile \"><b>)", Some(HOSTILE), &PageQuery::default()).into_string();
        assert_eq!(
            link,
            format!(
                "<a href=\"?account=unknown+%28profile+%22%3E%3Cb%3E%29\"><span class=\"name\"><bdi>{escaped}</bdi></span> \
                 <span class=\"id\"><bdi>unknown (profile &quot;&gt;&lt;b&gt;)</bdi></span></a>"
            )
        );
    }

    #[test]
    fn a_long_message_is_collapsed_and_a_very_long_one_is_truncated() {
        let long = message(&"é".repeat(MESSAGE_EXCERPT + 1)).into_string();
        assert!(long.starts_with("<details"), "{long}");
        assert_eq!(long.matches('é').count(), MESSAGE_EXCERPT - 1 + MESSAGE_EXCERPT + 1);
        let very_long = message(&"é".repeat(1_000_000)).into_string();
        assert_eq!(very_long.matches('é').count(), MESSAGE_EXCERPT - 1 + MAX_MESSAGE);
        assert!(
            very_long.contains("(and 998,000 more characters)"),
            "{}",
            &very_long[very_long.len() - 80..]
        );
    }

    #[test]
    fn a_page_number_beyond_the_list_selects_the_last_page() {
        let all: Vec<usize> = (0..120).collect();
        let pagination = Pagination::new(1, all.len(), 50);
        assert_eq!((pagination.slice(&all)[0], pagination.slice(&all).len(), pagination.pages), (50, 50, 3));
        let beyond = Pagination::new(usize::MAX, all.len(), 50);
        assert_eq!((beyond.slice(&all)[0], beyond.slice(&all).len()), (100, 20));
        let none = Pagination::new(7, 0, 50);
        assert_eq!((none.slice(&all[..0]).len(), none.pages), (0, 1));
        let query = |syncs| PageQuery::parse(&format!("status=failed&syncs={}", syncs + 1));
        let links = pagination.links("syncs", "syncs", query).into_string();
        assert!(links.contains("href=\"?status=failed&amp;syncs=3#syncs\">Next"), "{links}");
        assert!(links.contains("51–100 of 120"), "{links}");
        assert_eq!(Pagination::new(0, 50, 50).links("syncs", "syncs", query).into_string(), "");
    }

    #[test]
    fn backticks_become_code() {
        assert_eq!(
            backticks_to_code("Remove it from `regions`.").into_string(),
            "Remove it from <code>regions</code>."
        );
    }
}
