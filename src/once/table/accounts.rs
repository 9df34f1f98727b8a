//! The accounts with their regions and syncs, worst first.

use std::collections::BTreeMap;

use super::super::Results;
use super::failures::write_group;
use super::look::{self, HEADING};
use super::managed_nodes;
use super::places::{Places, account_label};
use crate::duration;
use crate::health::{AssessedSync, AssessedTarget, FailureCause, Health};
use crate::model::{SyncStatus, SyncType, UnixSeconds};
use crate::terminal::{Page, Word, message, separated_by_commas, words};

/// The indentation of regions, of syncs and of what is said about a sync.
const REGION_INDENT: usize = 2;
const SYNC_INDENT: usize = 4;
const DETAIL_INDENT: usize = 6;

/// The space between two columns.
const GAP: usize = 2;

/// If the terminal leaves fewer columns for the names of syncs, times have a line of their own.
const MIN_NAME_WIDTH: usize = 20;

/// A time that AWS did not report.
const NO_TIME: &str = "-";

/// The width of the heading of a time: `ATTEMPT` or `SUCCESS`.
const MIN_TIME_WIDTH: usize = 7;

/// The widths of the columns.
struct Columns {
    status: usize,
    /// The columns that are left for a name whose times have a line of their own.
    wide_name: usize,
    /// The widths of the names and of each of the two times; `None` if all times have lines of their
    /// own.
    beside: Option<(usize, usize)>,
}

/// An account with its targets.
#[derive(Default)]
struct Account<'a> {
    name: Option<&'a str>,
    targets: Vec<&'a AssessedTarget>,
}

/// Writes every account that has syncs, and a summary of the accounts without any.
pub(super) fn write(page: &mut Page, results: &Results) {
    if results.syncs().next().is_none() {
        return;
    }
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    for target in &results.targets {
        let account = accounts.entry(target.display_id()).or_default();
        account.name = account.name.or(target.target().account.name.as_deref());
        account.targets.push(target);
    }
    let (mut with_syncs, mut without_syncs) = (Vec::new(), Vec::new());
    for (id, mut account) in accounts {
        account.targets.sort_by(|one, other| {
            let by_region = || one.target().region.cmp(&other.target().region);
            one.health.cmp(&other.health).then_with(by_region)
        });
        if account.targets.iter().any(|target| target.syncs().len() > 0) {
            with_syncs.push((id, account));
        } else {
            let is_empty = |target: &&AssessedTarget| target.health == Health::NoSyncs;
            without_syncs.extend(account.targets.into_iter().filter(is_empty));
        }
    }
    with_syncs.sort_by_key(|(_, account)| account.targets.first().map(|target| target.health));

    let columns = Columns::new(page, results);
    page.separate();
    columns.write_header(page);
    for (index, (id, account)) in with_syncs.iter().enumerate() {
        if index > 0 {
            page.separate();
        }
        let heading = account_label(id, account.name);
        page.paragraph(0, 0, [Word::new(&heading).styled(HEADING)]);
        write_account(page, &columns, account, results.now);
    }
    if !without_syncs.is_empty() {
        let text = Places::of(without_syncs.iter().copied()).count();
        write_group(page, Health::NoSyncs, words(&text), &without_syncs);
    }
}

/// Writes the regions with their syncs. Regions that are down, not collected or without syncs share a
/// line each.
fn write_account(page: &mut Page, columns: &Columns, account: &Account, now: UnixSeconds) {
    for health in [Health::Down, Health::NotCollected] {
        write_regions(page, columns, account, health);
    }
    for target in account.targets.iter().filter(|target| target.syncs().len() > 0) {
        let region = Word::new(target.target().region.as_str());
        page.paragraph(
            REGION_INDENT,
            SYNC_INDENT,
            [region].into_iter().chain(managed_nodes::of_region(target)),
        );
        let mut syncs: Vec<AssessedSync> = target.syncs().collect();
        syncs.sort_by_key(|assessed| (assessed.health, &assessed.sync.name, &assessed.sync.sync_type));
        for sync in syncs {
            write_sync(page, columns, sync, now);
        }
    }
    write_regions(page, columns, account, Health::NoSyncs);
}

fn write_regions(page: &mut Page, columns: &Columns, account: &Account, health: Health) {
    let targets = account.targets.iter().filter(|target| target.health == health);
    let regions: Vec<&str> = targets.map(|target| target.target().region.as_str()).collect();
    if !regions.is_empty() {
        let status = columns.status(look::status(health));
        let hanging = columns.status + GAP;
        page.paragraph(REGION_INDENT, hanging, [status].into_iter().chain(words(&regions.join(", "))));
    }
}

fn write_sync(page: &mut Page, columns: &Columns, assessed: AssessedSync<'_>, now: UnixSeconds) {
    let times = [assessed.sync.last_sync, assessed.sync.last_successful_sync];
    let status = columns.status(look::status(assessed.health));
    let name = name_and_type(assessed);
    if let Some((name_width, time_width)) = columns.beside.filter(|(width, _)| name.width() <= *width) {
        let times = times.map(|at| time_cell(&age(at, now), time_width));
        page.paragraph(SYNC_INDENT, 0, [status, name.left_aligned(name_width)].into_iter().chain(times));
    } else {
        page.paragraph(SYNC_INDENT, 0, [status, Word::new(&assessed.sync.name).shortened(columns.wide_name)]);
        let [attempt, success] =
            times.map(|at| at.map_or_else(|| "not reported".to_owned(), |at| duration::format_age(now - at)));
        let times = [format!("last attempt: {attempt}"), format!("last success: {success}")];
        let facts = sync_type(assessed).map(Word::new).into_iter();
        let facts = facts.chain(times.iter().map(|text| Word::new(text))).collect();
        page.paragraph(DETAIL_INDENT, 0, separated_by_commas(facts));
    }
    let details = details(assessed);
    if !details.is_empty() {
        page.paragraph(DETAIL_INDENT, 0, details);
    }
}

fn name_and_type(assessed: AssessedSync<'_>) -> Word {
    let name = &assessed.sync.name;
    Word::new(&sync_type(assessed).map_or_else(|| name.clone(), |sync_type| format!("{name} ({sync_type})")))
}

/// The type, unless the sync writes to a bucket as most do.
fn sync_type(assessed: AssessedSync<'_>) -> Option<&str> {
    match &assessed.sync.sync_type {
        SyncType::ToDestination => None,
        SyncType::FromSource => Some("from source"),
        SyncType::Unknown(text) => Some(text),
    }
}

fn age(at: Option<UnixSeconds>, now: UnixSeconds) -> String {
    let Some(at) = at else { return NO_TIME.to_owned() };
    let age = duration::format_age(now - at);
    // The heading of the column says that times are in the past.
    age.strip_suffix(" ago").map(ToOwned::to_owned).unwrap_or(age)
}

/// Why the sync has a problem; nothing for a sync without one.
fn details(assessed: AssessedSync<'_>) -> Vec<Word> {
    let AssessedSync { sync, health, max_success_age, max_run_time, .. } = assessed;
    let limit = |text: &str, limit| {
        let limit = Word::new(&duration::format(limit));
        words(text).chain([limit]).collect::<Vec<Word>>()
    };
    let mut details = match health {
        Health::Failed => {
            let cause = assessed.cause().filter(|cause| *cause != FailureCause::Unknown.as_str());
            let text = sync.last_status_message.as_deref().unwrap_or("no message from AWS");
            let cause = cause.map(|cause| Word::new(&format!("{cause}:")));
            let mut details: Vec<Word> = cause.into_iter().chain(message(text)).collect();
            let bucket = sync.destination.as_ref().and_then(|destination| destination.bucket_name.as_deref());
            if let Some(bucket) = bucket.filter(|bucket| !text.contains(bucket)) {
                details.extend([Word::new("(bucket"), Word::new(&format!("{bucket})"))]);
            }
            details
        }
        Health::SourceFault => assessed.cause().map(Word::new).into_iter().collect(),
        Health::Stale => limit("no success within", max_success_age),
        Health::Stuck => limit("in progress for longer than", max_run_time),
        _ => Vec::new(),
    };
    // The health says what the known statuses mean.
    if let Some(SyncStatus::Unknown(status)) = &sync.last_status {
        details.extend(words("status reported by AWS:").chain([Word::new(status)]));
    }
    details
}

impl Columns {
    fn new(page: &Page, results: &Results) -> Self {
        let statuses = results.targets.iter().map(|target| target.health);
        let statuses = statuses.chain(results.syncs().map(|(_, assessed)| assessed.health));
        let status = statuses.map(|health| look::status(health).width()).max().unwrap_or_default();
        let times = results.syncs().flat_map(|(_, AssessedSync { sync, .. })| {
            [sync.last_sync, sync.last_successful_sync].map(|at| age(at, results.now).len())
        });
        let time = times.max().unwrap_or_default().max(MIN_TIME_WIDTH);

        let wide_name = page.columns(SYNC_INDENT + status + GAP);
        let beside_times = wide_name.saturating_sub(2 * (GAP + time));
        let names = results.syncs().map(|(_, assessed)| name_and_type(assessed).width());
        // A longer name does not widen the column, because its times are on another line.
        let name = names.filter(|width| *width <= beside_times).max().unwrap_or(MIN_NAME_WIDTH);
        let beside = (beside_times >= MIN_NAME_WIDTH).then_some((name, time));
        Self { status, wide_name, beside }
    }

    fn write_header(&self, page: &mut Page) {
        let Some((name_width, time_width)) = self.beside else { return };
        let header = |status: &str, name: &str, times: [&str; 2]| {
            let left = [self.status(Word::new(status)), Word::new(name).left_aligned(name_width)];
            let times = times.map(|text| time_cell(text, time_width));
            left.into_iter().chain(times).map(|word| word.styled(HEADING)).collect::<Vec<_>>()
        };
        page.paragraph(SYNC_INDENT, 0, header("", "", ["LAST", "LAST"]));
        page.paragraph(SYNC_INDENT, 0, header("STATUS", "SYNC", ["ATTEMPT", "SUCCESS"]));
    }

    /// A cell of the column of statuses. The paragraph adds the last space of a gap.
    fn status(&self, status: Word) -> Word {
        status.left_aligned(self.status + GAP - 1)
    }
}

/// A cell of a column of times.
fn time_cell(text: &str, width: usize) -> Word {
    Word::new(text).right_aligned(GAP - 1 + width)
}
