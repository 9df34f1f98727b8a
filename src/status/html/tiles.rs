//! The counts of syncs and targets by status.

use maud::{Markup, html};

use super::Context;
use super::components::{
    NOT_AS_EXPECTED, NOT_AS_EXPECTED_MEANING, concern_label, concern_meaning, icon, label, meaning, plain,
};
use crate::health::{ConcernKind, Health};
use crate::status::query::{HealthFilter, PageQuery};
use crate::status::text::with_commas;
use crate::status::verdict::Mark;

/// A number that links to the list of what it counts.
struct Tile {
    mark: Mark,
    label: &'static str,
    meaning: String,
    filter: HealthFilter,
    number: usize,
}

pub(super) fn section(context: Context<'_>) -> Markup {
    let overview = context.overview;
    let tile = |health: Health, number: usize| Tile {
        mark: health.into(),
        label: label(health),
        meaning: plain(meaning(health)),
        filter: HealthFilter::Only(health),
        number,
    };
    let of_sync = |health: Health| tile(health, overview.sync_counts.get(health));
    let of_target = |health: Health| tile(health, overview.target_counts.get(health));
    let syncs: Vec<Tile> = Health::SYNC_VALUES.into_iter().map(of_sync).collect();
    let mut targets: Vec<Tile> = Health::TARGET_ONLY_VALUES.into_iter().map(of_target).collect();
    let troubles = ConcernKind::ALL.iter().copied().filter(|kind| kind.is_trouble());
    let concerns = troubles.map(|kind| Tile {
        mark: kind.into(),
        label: concern_label(kind),
        meaning: concern_meaning(kind).to_owned(),
        filter: HealthFilter::Concern(kind),
        number: overview.concern_counts.get(&kind).copied().unwrap_or_default(),
    });
    let not_as_expected = Tile {
        mark: Mark::NotAsExpected,
        label: NOT_AS_EXPECTED,
        meaning: plain(NOT_AS_EXPECTED_MEANING),
        filter: HealthFilter::NotAsExpected,
        number: overview.not_as_expected,
    };
    // Without expectations, the number would be a zero that reassures for no reason.
    let not_as_expected = (!overview.policy.expectations.is_empty()).then_some(not_as_expected);
    // After the targets that are down.
    targets.splice(1..1, not_as_expected.into_iter().chain(concerns));
    html! {
        div.tiles {
            (group(context, "Syncs", overview.sync_counts.total(), &syncs))
            (group(context, "Targets", overview.targets.len(), &targets))
        }
    }
}

fn group(context: Context<'_>, heading: &str, total: usize, tiles: &[Tile]) -> Markup {
    html! {
        section.group aria-label=(heading) {
            h2 { (heading) " " span.total { (with_commas(total)) } }
            ul {
                @for Tile { mark, label, meaning, filter, number } in tiles {
                    @let query = PageQuery { health: Some(*filter), ..PageQuery::default() };
                    li.zero[*number == 0] {
                        a class={ "tile " (mark.as_str()) @if *number == 0 { " zero" } }
                            href=(query.link()) title=(meaning)
                            aria-current=[(context.query.health == Some(*filter)).then_some("true")] {
                            span.number { (with_commas(*number)) }
                            span.word { (icon(*mark)) (label) }
                        }
                    }
                }
            }
        }
    }
}
