//! Accounts × regions, each coloured by how it fares.

use maud::{Markup, html};

use super::View;
use super::parts::{Paging, account, count, grouped, symbol};
use crate::fleet::RegionName;
use crate::health::Health;
use crate::status::overview::{Row, Seen};
use crate::status::query::{Pages, Query};

/// How many accounts stand on a page at most, and at least.
const PER_PAGE: usize = 50;
const AT_LEAST: usize = 10;

/// How many cells stand on a page, about: they are most of its size.
const CELLS: usize = 500;

/// With how many regions there is room for wide columns.
const ROOMY: usize = 8;

pub(super) fn section(view: View<'_>) -> Markup {
    let View { overview, query, .. } = view;
    let grid = overview.grid(query);
    let per_page = (CELLS / grid.regions.len().max(1)).clamp(AT_LEAST, PER_PAGE);
    let paging = Paging::new(query.pages.grid, grid.rows.len(), per_page);
    let at = |grid| Query { pages: Pages { grid, ..query.pages }, ..query.clone() };
    html! {
        section #grid aria-labelledby="grid-heading" {
            h2 #grid-heading {
                "Accounts and regions "
                span.total { (count(grid.rows.len(), "account")) ", " (count(grid.regions.len(), "region")) }
            }
            @if grid.rows.is_empty() {
                p.nothing { @if query.is_filter() { "No account matches the filter." } @else { "There is no account." } }
            } @else {
                ul.legend aria-label="Legend" {
                    @for health in Health::ALL { li class=(health.key()) { span.cell { (symbol(health)) } (health.word()) } }
                    li.absent { span.cell {} "Not polled" }
                }
                p.hint {
                    "Each as the worst in it, with how many of its syncs are so; the accounts that fare worst first."
                }
                div.scroll tabindex="0" role="group" aria-labelledby="grid-heading" {
                    table.grid.roomy[grid.regions.len() <= ROOMY] {
                        thead { tr {
                            th scope="col" { "Account" }
                            @for region in &grid.regions {
                                th scope="col" { a href=(region_link(query, region)) { (in_lines(region)) } }
                            }
                        } }
                        tbody { @for row in paging.of(&grid.rows) { (line(query, &grid.regions, row)) } }
                    }
                }
                (paging.links("accounts", "grid", at))
            }
        }
    }
}

fn region_link(query: &Query, region: &RegionName) -> String {
    Query { region: Some(region.clone()), ..query.first_pages() }.link()
}

fn line(query: &Query, regions: &[&RegionName], row: &Row<'_>) -> Markup {
    html! {
        tr {
            // Names are cut off where they are too long.
            th scope="row" title=[row.name] { (account(row.account, row.name, query)) }
            @for region in regions {
                @match row.cells.get(region) {
                    Some(seen) => (cell(seen)),
                    None => td {},
                }
            }
        }
    }
}

/// The name of a region, which may be broken within its longest words.
fn in_lines(region: &RegionName) -> Markup {
    let name = region.as_str();
    let end =
        ["northeast", "northwest", "southeast", "southwest"].into_iter().find_map(|word| name.find(word));
    let (begin, end) = name.split_at(end.map_or(0, |start| start + "north".len()));
    html! { @if !begin.is_empty() { (begin) wbr; } (end) }
}

/// A cell. There are many, so it says no more than it has to.
fn cell(seen: &Seen) -> Markup {
    let health = seen.health;
    let query =
        Query { account: seen.account.clone(), region: Some(seen.region().clone()), ..Query::default() };
    let (number, total) = (seen.tally.of(health), seen.tally.total());
    html! {
        td class=(health.key()) {
            a href=(query.link()) title=(tip(seen, number, total)) {
                svg { use href={ "#" (health.key()) } {} }
                i { (health.word()) }
                @if number > 0 { (grouped(number)) }
            }
        }
    }
}

/// What a cell says to who points at it.
fn tip(seen: &Seen, number: usize, total: usize) -> String {
    match (seen.failure(), number) {
        (Some(failure), _) => failure.reason.as_str().to_owned(),
        (None, 0) => String::new(),
        (None, _) if number == total => count(total, "sync"),
        (None, _) => format!("{} of {}", grouped(number), count(total, "sync")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_of_regions_may_be_broken() {
        for (name, html) in [
            ("ap-northeast-1", "ap-north<wbr>east-1"),
            ("us-gov-southwest-1", "us-gov-south<wbr>west-1"),
            ("eu-north-1", "eu-north-1"),
        ] {
            assert_eq!(in_lines(&name.parse().unwrap()).into_string(), html);
        }
    }
}
