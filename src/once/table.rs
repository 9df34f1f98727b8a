//! The results as tables, for people.

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table};

use super::{Results, escape_control_characters, pluralize};
use crate::duration;
use crate::health::{AssessedSync, AssessedTarget, Health};
use crate::model::{SourceState, SyncStatus, UnixSeconds};

/// The content of a cell without a value.
const UNKNOWN: &str = "-";

/// A terminal with at least this width is wide. On it, narrow columns are not wrapped.
const WIDE_TERMINAL: u16 = 100;

/// A column is narrow if its contents have at most this width.
const NARROW_COLUMN: u16 = 20;

/// Renders a table of the syncs, with failed syncs first; a table of the targets that are
/// down or not collected, if there are any; and a line of totals. No line of a table is
/// longer than `width` columns, if given.
pub(super) fn tables(results: &Results, width: Option<u16>) -> String {
    let now = results.now;
    let mut syncs: Vec<(&AssessedTarget, AssessedSync<'_>)> = results.syncs().collect();
    syncs.sort_by_key(|(_, sync)| !sync.health.is_failed_sync());
    let failed_syncs = syncs.iter().filter(|(_, sync)| sync.health.is_failed_sync()).count();
    let not_up: Vec<&AssessedTarget> =
        results.targets.iter().filter(|target| target.up() != Some(true)).collect();

    let mut text = String::new();
    if !syncs.is_empty() {
        let header = ["ACCOUNT", "REGION", "TYPE", "NAME", "STATUS", "LAST SUCCESS", "MESSAGE"];
        let rows = syncs.iter().map(|(target, sync)| sync_row(target, *sync, now));
        text += &table(header, rows, width);
    }
    if !not_up.is_empty() {
        let header = ["ACCOUNT", "REGION", "REASON", "MESSAGE"];
        text += &table(header, not_up.iter().map(|target| target_row(target)), width);
    }
    let (syncs_text, targets_text) =
        (pluralize(syncs.len(), "sync"), pluralize(results.targets.len(), "target"));
    let totals = format!("{syncs_text}, {failed_syncs} failed; {targets_text}, {} failed", not_up.len());
    let note = if results.targets_complete {
        ""
    } else {
        "; targets may be missing, because discovery is incomplete"
    };
    text + &totals + note + "\n"
}

fn sync_row(
    target: &AssessedTarget,
    AssessedSync { sync, health, .. }: AssessedSync<'_>,
    now: UnixSeconds,
) -> [String; 7] {
    let status = match health {
        Health::SourceFault => {
            sync.source.as_ref().and_then(|source| source.state.as_ref()).map(SourceState::as_str)
        }
        _ => sync.last_status.as_ref().map(SyncStatus::as_str),
    };
    let last_success = sync.last_successful_sync.map(|at| duration::format_age(now - at));
    [
        account(target),
        target.target().region.to_string(),
        sync.sync_type.as_str().to_owned(),
        sync.name.clone(),
        status.unwrap_or(UNKNOWN).to_owned(),
        last_success.unwrap_or_else(|| UNKNOWN.to_owned()),
        sync.last_status_message.clone().unwrap_or_default(),
    ]
}

fn target_row(target: &AssessedTarget) -> [String; 4] {
    let failure = target.state().last.as_ref().and_then(|last| last.failure.as_ref());
    let (reason, message) = match failure {
        Some(failure) => (failure.reason.as_str(), failure.message.as_str()),
        None => (UNKNOWN, "not collected in time"),
    };
    [account(target), target.target().region.to_string(), reason.to_owned(), message.to_owned()]
}

fn account(target: &AssessedTarget) -> String {
    let (account, id) = (&target.target().account, target.display_id());
    match &account.name {
        Some(name) => format!("{id} ({name})"),
        None => id,
    }
}

/// Renders a table, with an empty line below it.
fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
    width: Option<u16>,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    for row in rows {
        table.add_row(row.map(|cell| escape_control_characters(&cell)));
    }
    let is_wide = width.is_some_and(|width| width >= WIDE_TERMINAL);
    let widths = table.column_max_content_widths();
    for (column, content_width) in table.column_iter_mut().zip(widths) {
        column.set_padding((0, 2));
        if is_wide && content_width <= NARROW_COLUMN {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    format!("{}\n\n", table.trim_fmt())
}
