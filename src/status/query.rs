//! The query of the page's URL: which syncs and targets to show.
//!
//! An invalid value is never an error: it is ignored, with a note on the page.

use crate::expectations::Expectation;
use crate::fleet::RegionName;
use crate::health::{ConcernKind, Health};
use crate::model::Reason;

/// The maximum length of a value, in characters. Longer values are truncated. No account
/// name is longer.
pub(super) const MAX_VALUE_LENGTH: usize = 200;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PageQuery {
    /// A part of an account's id or name, as typed.
    pub(super) account: String,
    pub(super) region: Option<RegionName>,
    pub(super) health: Option<HealthFilter>,
    /// Why the target is down.
    pub(super) reason: Option<Reason>,
    /// The name of an expectation. Any text, until [`check_expectation`](Self::check_expectation).
    pub(super) expectation: String,
    /// A part of the name, the bucket or the message of a sync, or of the message or the reason of
    /// the failure of a target, as typed.
    pub(super) search: String,
    pub(super) pages: Pages,
    /// Whether to show the whole configuration, however long.
    pub(super) show_whole_configuration: bool,
    /// Notes about ignored values, each a sentence.
    pub(super) notes: Vec<String>,
}

/// The parameter `status`. Every value selects by the one verdict on a sync or a target, so a target
/// with a failed and a healthy sync is selected by `failed` and not by `healthy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HealthFilter {
    /// Syncs whose health is a problem; targets that are down, have such a sync, violate an
    /// expectation, or have a concern that is trouble.
    AnyProblem,
    /// Syncs with this health; targets with this health, which is that of their worst sync unless
    /// they are down. So `healthy` selects the targets whose syncs are all healthy.
    Only(Health),
    /// Syncs that violate an expectation; targets that do. If the query names an expectation, that one.
    NotAsExpected,
    /// The syncs that a concern of this kind is about; targets that have one. If a quota is the
    /// concern, these are all syncs of the type.
    Concern(ConcernKind),
    /// Targets whose last managed-node lookup found none, and those of their syncs that depend on them.
    NoManagedNodes,
    /// Targets whose last managed-node lookup failed, and those of their syncs that depend on them.
    ManagedNodesUnknown,
}

/// The current page of each list, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pages {
    pub(super) syncs: usize,
    pub(super) violations: usize,
    pub(super) expectations: usize,
    pub(super) quotas: usize,
    pub(super) targets: usize,
    pub(super) grid: usize,
}

impl HealthFilter {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let concerns = ConcernKind::ALL.iter().copied().map(Self::Concern);
        let healths = Health::ALL.iter().copied().map(Self::Only);
        let nodes = [Self::NoManagedNodes, Self::ManagedNodesUnknown];
        let others = healths.chain([Self::NotAsExpected]).chain(concerns).chain(nodes);
        std::iter::once(Self::AnyProblem).chain(others)
    }

    /// The value in URLs.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            // This value is documented, and bookmarks contain it, so it must not change.
            Self::AnyProblem => "trouble",
            Self::Only(health) => health.as_str(),
            Self::NotAsExpected => "not_as_expected",
            Self::Concern(kind) => kind.as_str(),
            Self::NoManagedNodes => "no_managed_nodes",
            Self::ManagedNodesUnknown => "managed_nodes_unknown",
        }
    }
}

impl PageQuery {
    pub(super) fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for (key, value) in form_urlencoded::parse(text.as_bytes()) {
            let value: String = value.trim_start().chars().take(MAX_VALUE_LENGTH).collect();
            if !value.trim_end().is_empty() {
                query.set_parameter(&key, value.trim_end());
            }
        }
        query
    }

    fn set_parameter(&mut self, key: &str, value: &str) {
        let (is_valid, expected) = match key {
            "configuration" => {
                self.show_whole_configuration = value == "all";
                (self.show_whole_configuration, "“all”")
            }
            "syncs" => (set_page(&mut self.pages.syncs, value), "a page number"),
            "violations" => (set_page(&mut self.pages.violations, value), "a page number"),
            "expectations" => (set_page(&mut self.pages.expectations, value), "a page number"),
            "quotas" => (set_page(&mut self.pages.quotas, value), "a page number"),
            "targets" => (set_page(&mut self.pages.targets, value), "a page number"),
            "grid" => (set_page(&mut self.pages.grid, value), "a page number"),
            // No note on unknown parameters: proxies and mail programs append their own.
            _ => match self.set_filter(key, value) {
                None | Some(Ok(())) => return,
                Some(Err(expected)) => (false, expected),
            },
        };
        if !is_valid {
            self.notes.push(format!("Ignored “{key}={value}”: not {expected}."));
        }
    }

    /// Sets the filter `key`. `None` if there is no such filter.
    ///
    /// # Errors
    /// What the value should be.
    pub(super) fn set_filter(&mut self, key: &str, value: &str) -> Option<Result<(), &'static str>> {
        let is_set = |is_set: bool, expected: &'static str| if is_set { Ok(()) } else { Err(expected) };
        Some(match key {
            "account" => {
                value.clone_into(&mut self.account);
                Ok(())
            }
            "expectation" => {
                value.clone_into(&mut self.expectation);
                Ok(())
            }
            "q" => {
                value.clone_into(&mut self.search);
                Ok(())
            }
            "region" => {
                self.region = value.parse().ok();
                is_set(self.region.is_some(), "a region name")
            }
            "status" => {
                self.health = HealthFilter::all().find(|filter| filter.as_str() == value);
                is_set(self.health.is_some(), "a known status")
            }
            "reason" => {
                self.reason = value.parse().ok();
                is_set(self.reason.is_some(), "a known reason")
            }
            _ => return None,
        })
    }

    /// Ignores the expectation, with a note, if it is not one of these.
    pub(super) fn check_expectation(&mut self, known: &[Expectation]) {
        if !self.expectation.is_empty() && !known.iter().any(|known| known.name == self.expectation) {
            let name = std::mem::take(&mut self.expectation);
            self.notes.push(format!(
                "Ignored “expectation={name}”: not the name of an expectation in the configuration."
            ));
        }
    }

    /// Whether the query selects only a part of the fleet.
    pub(super) fn has_filter(&self) -> bool {
        let Self { account, region, health, reason, expectation, search, .. } = self;
        let has_text = [account, expectation, search].into_iter().any(|text| !text.is_empty());
        has_text || region.is_some() || health.is_some() || reason.is_some()
    }

    /// A query with the same filter and the first page of each list, for links that change
    /// the filter or open a list. The notes and `show_whole_configuration` are reset.
    pub(super) fn first_pages(&self) -> Self {
        Self { pages: Pages::default(), notes: Vec::new(), show_whole_configuration: false, ..self.clone() }
    }

    /// A URL with this query, relative to the page.
    pub(super) fn link(&self) -> String {
        let mut query = form_urlencoded::Serializer::for_suffix("?".to_owned(), 1);
        let filters = [
            ("account", self.account.as_str()),
            ("region", self.region.as_ref().map_or("", RegionName::as_str)),
            ("status", self.health.map_or("", HealthFilter::as_str)),
            ("reason", self.reason.map_or("", Reason::as_str)),
            ("expectation", &self.expectation),
            ("q", &self.search),
            ("configuration", if self.show_whole_configuration { "all" } else { "" }),
        ];
        for (key, value) in filters.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(key, value);
        }
        let Pages { syncs, violations, expectations, quotas, targets, grid } = self.pages;
        for (key, page) in [
            ("syncs", syncs),
            ("violations", violations),
            ("expectations", expectations),
            ("quotas", quotas),
            ("targets", targets),
            ("grid", grid),
        ] {
            if page > 0 {
                query.append_pair(key, &(page + 1).to_string());
            }
        }
        query.finish()
    }
}

/// Parses a page number, which counts from 1 in URLs. Returns whether it is valid.
fn set_page(page: &mut usize, text: &str) -> bool {
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
    fn a_query_is_parsed_and_linked_to() {
        let query = PageQuery::parse(
            "account=+Prod%20x+&region=eu-west-1&status=failed&reason=throttled&expectation=a_b-1&q=a%26b&syncs=3&grid=1",
        );
        let expected = PageQuery {
            account: "Prod x".to_owned(),
            region: Some("eu-west-1".parse().unwrap()),
            health: Some(HealthFilter::Only(Health::Failed)),
            reason: Some(Reason::Throttled),
            expectation: "a_b-1".to_owned(),
            search: "a&b".to_owned(),
            pages: Pages { syncs: 2, ..Pages::default() },
            ..PageQuery::default()
        };
        assert_eq!(query, expected);
        let first_pages =
            "?account=Prod+x&region=eu-west-1&status=failed&reason=throttled&expectation=a_b-1&q=a%26b";
        assert_eq!(query.first_pages().link(), first_pages);
        assert_eq!(query.link(), format!("{first_pages}&syncs=3"));
        for (status, filter) in [
            ("trouble", HealthFilter::AnyProblem),
            ("stuck", HealthFilter::Only(Health::Stuck)),
            ("not_as_expected", HealthFilter::NotAsExpected),
            ("quota_used", HealthFilter::Concern(ConcernKind::QuotaUsed)),
        ] {
            assert_eq!(PageQuery::parse(&format!("status={status}")).health, Some(filter));
        }
    }

    #[test]
    fn every_status_has_a_value_of_its_own() {
        let mut values: Vec<&str> = HealthFilter::all().map(HealthFilter::as_str).collect();
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), HealthFilter::all().count());
    }

    #[test]
    fn empty_and_unknown_parameters_are_ignored() {
        let query = PageQuery::parse("account=&region=&status=&q=+&utm_source=x");
        assert_eq!(query, PageQuery::default());
        assert!(!query.has_filter());
        assert_eq!(query.link(), "?");
    }

    #[test]
    fn invalid_values_are_ignored_with_a_note() {
        let query =
            PageQuery::parse("region=<b>&status=bad&reason=no&syncs=0&targets=-1&grid=x&configuration=1");
        assert!(!query.has_filter());
        assert_eq!(query.pages, Pages::default());
        assert_eq!(query.notes.len(), 7);
        assert_eq!(query.notes[0], "Ignored “region=<b>”: not a region name.");
        assert_eq!(query.first_pages(), PageQuery::default());
    }

    #[test]
    fn an_expectation_that_is_not_configured_is_ignored_with_a_note() {
        let mut query = PageQuery::parse("expectation=<b>");
        assert!(query.has_filter());
        query.check_expectation(&[]);
        assert!(!query.has_filter());
        assert_eq!(
            query.notes,
            ["Ignored “expectation=<b>”: not the name of an expectation in the configuration."]
        );
    }

    proptest! {
        #[test]
        fn the_link_of_any_query_parses_to_the_same_query(query in ".{0,300}") {
            let query = PageQuery { notes: Vec::new(), ..PageQuery::parse(&query) };
            prop_assert_eq!(PageQuery::parse(&query.link()[1..]), query);
        }
    }
}
