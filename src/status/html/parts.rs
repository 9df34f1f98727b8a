//! What several sections are made of.

use maud::{Markup, PreEscaped, html};

use super::super::query::Query;
use super::super::time::Moment;
use crate::health::Health;
use crate::model::UnixSeconds;

/// How much of a message is shown at first, in characters.
const SHORT: usize = 150;

/// How much of it can be seen at all. What AWS says is shorter.
const LONG: usize = 2_000;

/// The symbols, drawn once: they differ in shape, so that nobody has to tell
/// colours apart, and no font has to have them.
const SYMBOLS: [(Health, &str); Health::ALL.len()] = [
    (
        Health::Down,
        "<circle cx='8' cy='8' r='6.5' fill='currentColor' stroke='none'/><path class='cut' d='M5.5 5.5l5 5m0-5l-5 5'/>",
    ),
    (Health::Failed, "<path d='M4 4l8 8m0-8l-8 8' stroke-width='2.4'/>"),
    (Health::Fault, "<path d='M8 1.5L14.7 13.5H1.3z'/><path d='M8 6v3.6M8 11.2v.6'/>"),
    (Health::Stale, "<circle cx='8' cy='8' r='6'/><path d='M8 4.5V8l2.4 1.6'/>"),
    (Health::InProgress, "<path d='M13.5 8A5.5 5.5 0 1 1 11.6 3.8M11.8 1v3.2H8.6'/>"),
    (Health::Well, "<path d='M2.5 8.6l3.6 3.6 7.4-8' stroke-width='2.2'/>"),
    (Health::Waiting, "<path d='M3 8h.1M8 8h.1M13 8h.1' stroke-width='2.6'/>"),
    (Health::Empty, "<path d='M3.5 8h9'/>"),
];

/// The symbols, for [`symbol`] to use.
pub(super) fn sprite() -> Markup {
    html! {
        svg.sprite aria-hidden="true" {
            @for (health, shape) in SYMBOLS {
                symbol id=(health.key()) viewBox="0 0 16 16" { (PreEscaped(shape)) }
            }
        }
    }
}

/// The symbol of a health, which says nothing by itself.
pub(super) fn symbol(health: Health) -> Markup {
    html! { svg.i aria-hidden="true" { use href={ "#" (health.key()) } {} } }
}

/// A health, with its symbol and in words.
pub(super) fn badge(health: Health) -> Markup {
    html! {
        span class={ "badge " (health.key()) } title=(health.meaning()) { (symbol(health)) (health.word()) }
    }
}

/// When something was: how long ago, and the time.
pub(super) fn when(at: Option<UnixSeconds>, now: UnixSeconds, never: &str) -> Markup {
    match at.and_then(|at| Moment::new(at, now)) {
        Some(Moment { exact, at, ago }) => html! {
            time datetime=(exact) { span.ago { (ago) } " " span.at { (at) } }
        },
        None => html! { span.none { (never) } },
    }
}

/// The number with what is counted, such as `1 sync` and `1,234 syncs`.
pub(super) fn count(number: usize, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", grouped(number))
}

/// The number with its thousands set apart.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A text that somebody else wrote. Whatever direction it runs in, what stands
/// beside it stays where it is.
pub(super) fn foreign(text: &str) -> Markup {
    html! { bdi { (text) } }
}

/// A message that somebody else wrote, of any length.
pub(super) fn message(text: &str) -> Markup {
    let short: String = text.chars().take(SHORT).collect();
    if short.len() == text.len() {
        return html! { p.message { (foreign(text)) } };
    }
    let long: String = text.chars().take(LONG).collect();
    let more = text.chars().count() - long.chars().count();
    html! {
        details.message {
            summary { (foreign(&short)) "… " span.more { "whole message" } }
            p { (foreign(&long)) @if more > 0 { " (and " (count(more, "character")) " more)" } }
        }
    }
}

/// A text of ours, in which names stand between backticks.
pub(super) fn prose(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// An account: its name and id, and the way to what is known of it.
pub(super) fn account(shown: &str, name: Option<&str>, query: &Query) -> Markup {
    let query = Query { account: shown.to_owned(), ..query.first_pages() };
    html! {
        a href=(query.link()) {
            @if let Some(name) = name { span.name { (foreign(name)) } " " }
            span.id { (foreign(shown)) }
        }
    }
}

/// What of a list stands on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    /// Which page it is, counted from 0.
    pub(super) page: usize,
    pub(super) pages: usize,
    pub(super) per_page: usize,
    pub(super) total: usize,
}

impl Paging {
    /// The page of a list of `total`; the last one if there are not so many.
    pub(super) fn new(asked: usize, total: usize, per_page: usize) -> Self {
        let pages = total.div_ceil(per_page).max(1);
        Self { page: asked.min(pages - 1), pages, per_page, total }
    }

    /// What stands on it.
    pub(super) fn of<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        let start = (self.page * self.per_page).min(all.len());
        &all[start..all.len().min(start + self.per_page)]
    }

    /// The way to the other pages, below `anchor`. `at` is the query that asks
    /// for a page.
    pub(super) fn links(&self, what: &str, anchor: &str, at: impl Fn(usize) -> Query) -> Markup {
        let link = |page: usize| format!("{}#{anchor}", at(page).link());
        let first = self.page * self.per_page;
        html! {
            @if self.pages > 1 {
                nav.pages aria-label={ "Pages of the " (what) } {
                    @if self.page > 0 {
                        a href=(link(0)) { "First" }
                        a rel="prev" href=(link(self.page - 1)) { "Previous" }
                    } @else {
                        span aria-disabled="true" { "First" }
                        span aria-disabled="true" { "Previous" }
                    }
                    span.current {
                        (grouped(first + 1)) "–" (grouped(self.total.min(first + self.per_page))) " of " (grouped(self.total))
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
    fn what_others_wrote_is_text() {
        let escaped = "&lt;img src=x onerror='alert(1)'&gt;&quot; &amp; \u{202e}gnp";
        assert_eq!(foreign(HOSTILE).into_string(), format!("<bdi>{escaped}</bdi>"));
        assert_eq!(message(HOSTILE).into_string(), format!("<p class=\"message\"><bdi>{escaped}</bdi></p>"));
        let link = account("unknown (profile \"><b>)", Some(HOSTILE), &Query::default()).into_string();
        assert_eq!(
            link,
            format!(
                "<a href=\"?account=unknown+%28profile+%22%3E%3Cb%3E%29\"><span class=\"name\"><bdi>{escaped}</bdi></span> \
                 <span class=\"id\"><bdi>unknown (profile &quot;&gt;&lt;b&gt;)</bdi></span></a>"
            )
        );
    }

    #[test]
    fn a_long_message_is_folded_and_an_endless_one_cut() {
        let long = message(&"é".repeat(SHORT + 1)).into_string();
        assert!(long.starts_with("<details"), "{long}");
        assert_eq!(long.matches('é').count(), SHORT + SHORT + 1);
        let endless = message(&"é".repeat(1_000_000)).into_string();
        assert_eq!(endless.matches('é').count(), SHORT + LONG);
        assert!(endless.contains("(and 998,000 characters more)"), "{}", &endless[endless.len() - 80..]);
    }

    #[test]
    fn pages_are_within_the_list() {
        let all: Vec<usize> = (0..120).collect();
        let paging = Paging::new(1, all.len(), 50);
        assert_eq!((paging.of(&all)[0], paging.of(&all).len(), paging.pages), (50, 50, 3));
        let beyond = Paging::new(usize::MAX, all.len(), 50);
        assert_eq!((beyond.of(&all)[0], beyond.of(&all).len()), (100, 20));
        let none = Paging::new(7, 0, 50);
        assert_eq!((none.of(&all[..0]).len(), none.pages), (0, 1));
        let query = |syncs| Query::read(&format!("status=failed&syncs={}", syncs + 1));
        let links = paging.links("syncs", "syncs", query).into_string();
        assert!(links.contains("href=\"?status=failed&amp;syncs=3#syncs\">Next"), "{links}");
        assert!(links.contains("51–100 of 120"), "{links}");
        assert_eq!(Paging::new(0, 50, 50).links("syncs", "syncs", query).into_string(), "");
    }

    #[test]
    fn names_in_prose_are_set_apart() {
        assert_eq!(
            prose("Leave it out of `regions`.").into_string(),
            "Leave it out of <code>regions</code>."
        );
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (17_000, "17,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
        assert_eq!((count(1, "sync"), count(2, "sync")), ("1 sync".to_owned(), "2 syncs".to_owned()));
    }
}
