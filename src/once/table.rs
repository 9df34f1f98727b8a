//! What is known as tables, for people.

use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table};

use super::{Known, Number, harmless, is_failed, spoken};
use crate::model::{DataSync, SourceState, SyncStatus, UnixSeconds};
use crate::snapshot::TargetView;

/// What stands where nothing is known.
const NONE: &str = "-";

/// The width from which on short columns are not wrapped.
const ROOMY: u16 = 100;

/// How long what is in them is at most.
const SHORT: u16 = 20;

/// A table of the syncs, those that failed first; one of the targets that were not
/// collected, if there are any; and how many there are of each. Lines are no longer
/// than `width`, if one is given.
pub(super) fn tables(known: &Known, width: Option<u16>) -> String {
    let mut syncs: Vec<(&TargetView, &DataSync)> = known
        .views
        .iter()
        .flat_map(|view| view.syncs().unwrap_or_default().iter().map(move |sync| (view, sync)))
        .collect();
    syncs.sort_by_key(|(_, sync)| !is_failed(sync));
    let failed_syncs = syncs.iter().filter(|(_, sync)| is_failed(sync)).count();
    let down: Vec<&TargetView> = known.views.iter().filter(|view| view.up() != Some(true)).collect();

    let mut text = String::new();
    if !syncs.is_empty() {
        let header = ["ACCOUNT", "REGION", "TYPE", "NAME", "STATUS", "LAST SUCCESS", "MESSAGE"];
        let rows = syncs.iter().map(|(view, sync)| sync_row(view, sync, known.now));
        text += &table(header, rows, width);
    }
    if !down.is_empty() {
        let header = ["ACCOUNT", "REGION", "REASON", "MESSAGE"];
        text += &table(header, down.iter().map(|view| target_row(view)), width);
    }
    let more = if known.complete { "" } else { ", and maybe more that could not be found" };
    let (all_syncs, targets) = (Number(syncs.len(), "sync"), Number(known.views.len(), "target"));
    let counts = format!("{all_syncs}, {failed_syncs} failed; {targets}, {} failed", down.len());
    text + &counts + more + "\n"
}

fn sync_row(view: &TargetView, sync: &DataSync, now: UnixSeconds) -> [String; 7] {
    let state = sync.source.as_ref().and_then(|source| source.state.as_ref());
    // All states are faults; a failure has a message to go with it.
    let failed = sync.last_status.as_ref().filter(|status| **status == SyncStatus::Failed);
    let status = failed.map(SyncStatus::as_str).or(state.map(SourceState::as_str));
    let status = status.or(sync.last_status.as_ref().map(SyncStatus::as_str));
    let age = |last: UnixSeconds| spoken(Duration::try_from_secs_f64(now - last).unwrap_or_default());
    let last_success = sync.last_successful_sync.map(|last| format!("{} ago", age(last)));
    [
        account(view),
        view.target().region.to_string(),
        sync.sync_type.as_str().to_owned(),
        sync.name.clone(),
        status.unwrap_or(NONE).to_owned(),
        last_success.unwrap_or_else(|| NONE.to_owned()),
        sync.last_status_message.clone().unwrap_or_default(),
    ]
}

fn target_row(view: &TargetView) -> [String; 4] {
    let failure = view.state.last.as_ref().and_then(|last| last.failure.as_ref());
    let (reason, message) = match failure {
        Some(failure) => (failure.reason.as_str(), failure.message.as_str()),
        None => (NONE, "not collected in time"),
    };
    [account(view), view.target().region.to_string(), reason.to_owned(), message.to_owned()]
}

fn account(view: &TargetView) -> String {
    let account = &view.target().account;
    let id = account.display_id(view.state.account.as_ref());
    match &account.name {
        Some(name) => format!("{id} ({name})"),
        None => id,
    }
}

/// A table with an empty line below it.
fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
    width: Option<u16>,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    for row in rows {
        table.add_row(row.map(|cell| harmless(&cell)));
    }
    let roomy = width.is_some_and(|width| width >= ROOMY);
    let lengths = table.column_max_content_widths();
    for (column, length) in table.column_iter_mut().zip(lengths) {
        column.set_padding((0, 2));
        if roomy && length <= SHORT {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    format!("{}\n\n", table.trim_fmt())
}
