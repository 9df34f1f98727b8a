//! What a person wants to see: the query of the page's URL.
//!
//! It never makes an error. What is not understood is left out, and told.

use crate::fleet::RegionName;
use crate::model::Reason;

use crate::health::Health;

/// How long what is looked for may be. No name of an account is longer.
const LONGEST: usize = 200;

/// What is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// A part of an account's id or name, as it was typed.
    pub(super) account: String,
    /// A region.
    pub(super) region: Option<RegionName>,
    /// How it is to fare.
    pub(super) status: Option<Wanted>,
    /// Why it is to be down.
    pub(super) reason: Option<Reason>,
    /// Which page of each list, counted from 0.
    pub(super) pages: Pages,
    /// Whether all of the configuration is wanted, however long.
    pub(super) whole_configuration: bool,
    /// What was not understood, each a sentence.
    pub(super) notes: Vec<String>,
}

/// How something is to fare to be wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Badly, in whatever way.
    Trouble,
    /// So.
    Is(Health),
}

/// Which page of each list, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pages {
    /// Of the syncs.
    pub(super) syncs: usize,
    /// Of the targets.
    pub(super) targets: usize,
    /// Of the grid.
    pub(super) grid: usize,
}

impl Wanted {
    /// All there are.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Trouble).chain(Health::ALL.map(Self::Is))
    }

    /// What it is called in URLs.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Trouble => "trouble",
            Self::Is(health) => health.key(),
        }
    }

    /// What it is called on the page.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Trouble => "Any trouble",
            Self::Is(health) => health.word(),
        }
    }

    /// Whether it is what fares so.
    pub(super) fn covers(self, health: Health) -> bool {
        match self {
            Self::Trouble => health.is_trouble(),
            Self::Is(wanted) => wanted == health,
        }
    }
}

impl Query {
    /// Reads the query of a URL.
    pub(super) fn read(text: &str) -> Self {
        let mut query = Self::default();
        for (key, value) in form_urlencoded::parse(text.as_bytes()) {
            let value: String = value.trim_start().chars().take(LONGEST).collect();
            if !value.trim_end().is_empty() {
                query.take(&key, value.trim_end().to_owned());
            }
        }
        query
    }

    fn take(&mut self, key: &str, value: String) {
        let known = match key {
            "account" => {
                self.account = value;
                return;
            }
            "region" => {
                self.region = value.parse().ok();
                self.region.is_some()
            }
            "status" => {
                self.status = Wanted::all().find(|wanted| wanted.key() == value);
                self.status.is_some()
            }
            "reason" => {
                self.reason = value.parse().ok();
                self.reason.is_some()
            }
            "configuration" => {
                self.whole_configuration = value == "all";
                self.whole_configuration
            }
            "syncs" => page(&value, &mut self.pages.syncs),
            "targets" => page(&value, &mut self.pages.targets),
            "grid" => page(&value, &mut self.pages.grid),
            // What others put behind URLs is none of our business.
            _ => return,
        };
        if !known {
            let what = match key {
                "region" => "the name of a region",
                "status" => "a status",
                "reason" => "a reason",
                "configuration" => "a part of the configuration",
                _ => "the number of a page",
            };
            self.notes.push(format!("“{value}” is not {what}, so it is passed over."));
        }
    }

    /// Whether it asks for a part of what there is.
    pub(super) fn is_filter(&self) -> bool {
        !self.account.is_empty() || self.region.is_some() || self.status.is_some() || self.reason.is_some()
    }

    /// The same filter, with each list from its beginning.
    pub(super) fn first_pages(&self) -> Self {
        Self { pages: Pages::default(), notes: Vec::new(), whole_configuration: false, ..self.clone() }
    }

    /// The way to it, from the page: a relative URL.
    pub(super) fn link(&self) -> String {
        let mut query = form_urlencoded::Serializer::for_suffix("?".to_owned(), 1);
        let texts = [
            ("account", self.account.as_str()),
            ("region", self.region.as_ref().map_or("", RegionName::as_str)),
            ("status", self.status.map_or("", Wanted::key)),
            ("reason", self.reason.map_or("", Reason::as_str)),
            ("configuration", if self.whole_configuration { "all" } else { "" }),
        ];
        for (key, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(key, value);
        }
        let Pages { syncs, targets, grid } = self.pages;
        for (key, page) in [("syncs", syncs), ("targets", targets), ("grid", grid)] {
            if page > 0 {
                query.append_pair(key, &(page + 1).to_string());
            }
        }
        query.finish()
    }
}

/// Reads the number of a page, which people count from 1.
fn page(text: &str, page: &mut usize) -> bool {
    match text.parse::<usize>() {
        Ok(number) if number > 0 => {
            *page = number - 1;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_query_is_understood() {
        let query =
            Query::read("account=+Prod%20x+&region=eu-west-1&status=failed&reason=throttled&syncs=3&grid=1");
        let expected = Query {
            account: "Prod x".to_owned(),
            region: Some("eu-west-1".parse().unwrap()),
            status: Some(Wanted::Is(Health::Failed)),
            reason: Some(Reason::Throttled),
            pages: Pages { syncs: 2, targets: 0, grid: 0 },
            ..Query::default()
        };
        assert_eq!(query, expected);
        assert_eq!(query.link(), "?account=Prod+x&region=eu-west-1&status=failed&reason=throttled&syncs=3");
        assert_eq!(
            query.first_pages().link(),
            "?account=Prod+x&region=eu-west-1&status=failed&reason=throttled"
        );
        assert_eq!(Query::read("status=trouble").status, Some(Wanted::Trouble));
    }

    #[test]
    fn nothing_is_asked_for_by_empty_fields() {
        let query = Query::read("account=&region=&status=&utm_source=x");
        assert_eq!(query, Query::default());
        assert!(!query.is_filter());
        assert_eq!(query.link(), "?");
    }

    #[test]
    fn what_is_not_understood_is_told() {
        let query = Query::read("region=<b>&status=bad&reason=no&syncs=0&targets=-1&grid=x&configuration=1");
        assert!(!query.is_filter());
        assert_eq!(query.pages, Pages::default());
        assert_eq!(query.notes.len(), 7);
        assert_eq!(query.notes[0], "“<b>” is not the name of a region, so it is passed over.");
        assert_eq!(query.first_pages(), Query::default());
    }

    proptest! {
        #[test]
        fn whatever_is_asked_is_asked_again_by_its_link(query in ".{0,300}") {
            let query = Query { notes: Vec::new(), ..Query::read(&query) };
            prop_assert_eq!(Query::read(&query.link()[1..]), query);
        }
    }
}
