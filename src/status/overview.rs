//! What there is to see: how everything fares, and of that what is asked for.
//!
//! It knows no HTML. All of it is as of one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::query::{Query, Wanted};
use crate::fleet::RegionName;
use crate::fleet::Unresolved;
use crate::health::{Health, Tally};
use crate::model::{DataSync, Failure, Reason, UnixSeconds};
use crate::snapshot::{Store, TargetView};

/// All targets, looked at in one moment.
#[derive(Debug)]
pub(super) struct Overview {
    /// The moment.
    pub(super) now: UnixSeconds,
    /// How many answers are pending that may bring more targets.
    pub(super) pending: usize,
    /// What could not be found out, so that there may be more of them, too.
    pub(super) unresolved: Arc<Unresolved>,
    /// All targets, by account and region.
    pub(super) targets: Vec<Seen>,
    /// How they fare.
    pub(super) of_targets: Tally,
    /// How all syncs fare.
    pub(super) of_syncs: Tally,
    /// All regions, by name.
    pub(super) regions: BTreeSet<RegionName>,
}

/// A target, and how it fares.
#[derive(Debug)]
pub(super) struct Seen {
    /// What is known of it.
    pub(super) view: TargetView,
    /// What its account is shown as.
    pub(super) account: String,
    /// How it fares.
    pub(super) health: Health,
    /// How its syncs fare: none if they are not known.
    pub(super) tally: Tally,
}

impl Seen {
    fn new(view: TargetView, now: UnixSeconds) -> Self {
        let mut tally = Tally::default();
        for sync in view.syncs().unwrap_or_default() {
            tally.add(Health::of_sync(sync, now));
        }
        let account = view.target().account.display_id(view.state.account.as_ref());
        Self { health: Health::of_target(&view, now), account, tally, view }
    }

    /// The region.
    pub(super) fn region(&self) -> &RegionName {
        &self.view.target().region
    }

    /// The account's name, if it has one.
    pub(super) fn name(&self) -> Option<&str> {
        self.view.target().account.name.as_deref()
    }

    /// Why the last collection failed, if it did.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.view.state.last.as_ref()?.failure.as_ref()
    }

    /// Whether it is among those that are asked for, by how they fare.
    fn answers(&self, query: &Query) -> bool {
        query.status.is_none_or(|wanted| self.has(wanted)) && self.fails_for(query)
    }

    /// Whether it fails for the reason that is asked for, if one is.
    fn fails_for(&self, query: &Query) -> bool {
        let fails = |reason| self.failure().is_some_and(|failure| failure.reason == reason);
        query.reason.is_none_or(fails)
    }

    /// Whether it or a sync of it fares so.
    fn has(&self, wanted: Wanted) -> bool {
        wanted.covers(self.health)
            || Health::OF_SYNCS.into_iter().any(|health| wanted.covers(health) && self.tally.of(health) > 0)
    }
}

/// A sync, where it is and how it fares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) seen: &'a Seen,
    pub(super) sync: &'a DataSync,
    pub(super) health: Health,
}

/// All targets that cannot be polled for the same reason.
#[derive(Debug)]
pub(super) struct Cause<'a> {
    /// The reason.
    pub(super) reason: Reason,
    /// How many there are.
    pub(super) targets: usize,
    /// The same by account or by region, whichever tells more with less; the largest
    /// first.
    pub(super) groups: Vec<Group<'a>>,
}

/// Some of the targets that cannot be polled for the same reason.
#[derive(Debug)]
pub(super) struct Group<'a> {
    /// What they have in common.
    pub(super) common: Common<'a>,
    /// They, each with why; one at least.
    pub(super) targets: Vec<(&'a Seen, &'a Failure)>,
}

/// What targets have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Common<'a> {
    /// The account: what it is shown as, and its name.
    Account(&'a str, Option<&'a str>),
    /// The region.
    Region(&'a RegionName),
}

/// An account in the grid.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// What the account is shown as.
    pub(super) account: &'a str,
    /// Its name, if it has one.
    pub(super) name: Option<&'a str>,
    /// Its targets.
    pub(super) cells: BTreeMap<&'a RegionName, &'a Seen>,
}

impl Row<'_> {
    fn worst(&self) -> Option<Health> {
        self.cells.values().map(|seen| seen.health).min()
    }
}

/// Accounts × regions.
#[derive(Debug)]
pub(super) struct Grid<'a> {
    /// The regions in which one of the accounts is polled, by name.
    pub(super) regions: Vec<&'a RegionName>,
    /// The accounts, those that fare worst first.
    pub(super) rows: Vec<Row<'a>>,
}

impl Overview {
    /// Looks at all targets of `store`.
    pub(super) fn take(store: &Store, now: UnixSeconds) -> Self {
        // In this order: what is pending now may be there then.
        let (pending, unresolved) = (store.pending(), store.unresolved());
        let slots = store.slots();
        let mut targets: Vec<Seen> = slots.iter().map(|slot| Seen::new(store.view(slot, now), now)).collect();
        targets.sort_by(|one, other| {
            one.account.cmp(&other.account).then_with(|| one.region().cmp(other.region()))
        });
        let (mut of_targets, mut of_syncs) = (Tally::default(), Tally::default());
        for seen in &targets {
            of_targets.add(seen.health);
            of_syncs.add_all(&seen.tally);
        }
        let regions = targets.iter().map(|seen| seen.region().clone()).collect();
        Self { now, pending, unresolved, targets, of_targets, of_syncs, regions }
    }

    /// The targets of the accounts and regions that are asked for, however they fare.
    fn within<'a>(&'a self, query: &'a Query) -> impl Iterator<Item = &'a Seen> {
        let typed = query.account.to_lowercase();
        let asked = move |text: &str| text.to_lowercase().contains(&typed);
        // The targets of an account stand beside each other.
        let mut last = None;
        self.targets.iter().filter(move |seen| {
            let account = (seen.account.as_str(), seen.name());
            let account = match last {
                Some((before, answer)) if before == account => answer,
                _ => {
                    let answer = asked(account.0) || account.1.is_some_and(&asked);
                    last = Some((account, answer));
                    answer
                }
            };
            let region = query.region.as_ref().is_none_or(|region| region == seen.region());
            account && region
        })
    }

    /// The targets that are asked for, those that fare worst first.
    pub(super) fn targets<'a>(&'a self, query: &'a Query) -> Vec<&'a Seen> {
        let mut targets: Vec<&Seen> = self.within(query).filter(|seen| seen.answers(query)).collect();
        targets.sort_by_key(|seen| seen.health);
        targets
    }

    /// The syncs that are asked for, the worst first, and of those that fare alike
    /// the ones whose last success is longest ago. Where nothing is asked for, all
    /// in trouble.
    pub(super) fn syncs<'a>(&'a self, query: &'a Query) -> Vec<Found<'a>> {
        let wanted = if query.is_filter() { query.status } else { Some(Wanted::Trouble) };
        let mut found = Vec::new();
        for seen in self.within(query).filter(|seen| seen.fails_for(query)) {
            for sync in seen.view.syncs().unwrap_or_default() {
                let health = Health::of_sync(sync, self.now);
                if wanted.is_none_or(|wanted| wanted.covers(health)) {
                    found.push(Found { seen, sync, health });
                }
            }
        }
        found.sort_by(|one, other| {
            let success = |found: &Found| found.sync.last_successful_sync.unwrap_or(f64::NEG_INFINITY);
            one.health.cmp(&other.health).then_with(|| success(one).total_cmp(&success(other)))
        });
        found
    }

    /// Why the targets that are asked for cannot be polled; what most have first.
    pub(super) fn causes<'a>(&'a self, query: &'a Query) -> Vec<Cause<'a>> {
        if query.status.is_some_and(|wanted| !wanted.covers(Health::Down)) {
            return Vec::new();
        }
        let mut by_reason: BTreeMap<Reason, Vec<(&Seen, &Failure)>> = BTreeMap::new();
        for seen in self.within(query).filter(|seen| seen.fails_for(query)) {
            if let Some(failure) = seen.failure() {
                by_reason.entry(failure.reason).or_default().push((seen, failure));
            }
        }
        let mut causes: Vec<Cause<'_>> =
            by_reason.into_iter().map(|(reason, down)| cause(reason, &down)).collect();
        causes.sort_by_key(|cause| (std::cmp::Reverse(cause.targets), cause.reason));
        causes
    }

    /// The accounts that are asked for, with their targets in all regions that are.
    pub(super) fn grid<'a>(&'a self, query: &'a Query) -> Grid<'a> {
        let mut rows: BTreeMap<&str, (Row<'_>, bool)> = BTreeMap::new();
        for seen in self.within(query) {
            let new = || (Row { account: &seen.account, name: None, cells: BTreeMap::new() }, false);
            let (row, asked) = rows.entry(&seen.account).or_insert_with(new);
            row.name = row.name.or(seen.name());
            row.cells.insert(seen.region(), seen);
            *asked |= seen.answers(query);
        }
        let mut rows: Vec<Row<'_>> =
            rows.into_values().filter_map(|(row, asked)| asked.then_some(row)).collect();
        rows.sort_by_key(|row| (row.worst(), row.account));
        let regions: BTreeSet<&RegionName> = rows.iter().flat_map(|row| row.cells.keys().copied()).collect();
        Grid { regions: regions.into_iter().collect(), rows }
    }
}

fn cause<'a>(reason: Reason, down: &[(&'a Seen, &'a Failure)]) -> Cause<'a> {
    let mut by_account: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    let mut by_region: BTreeMap<&RegionName, Vec<_>> = BTreeMap::new();
    for (seen, failure) in down {
        by_account.entry(&seen.account).or_default().push((*seen, *failure));
        by_region.entry(seen.region()).or_default().push((*seen, *failure));
    }
    // An account that is lost is lost in all of its regions.
    let of_accounts = matches!(reason, Reason::AssumeRoleDenied | Reason::Credentials);
    let mut groups: Vec<Group<'a>> = if of_accounts || by_account.len() <= by_region.len() {
        let common = |account, targets: &[(&'a Seen, _)]| {
            Common::Account(account, targets.first().and_then(|(seen, _)| seen.name()))
        };
        let groups = by_account.into_iter();
        groups.map(|(account, targets)| Group { common: common(account, &targets), targets }).collect()
    } else {
        let groups = by_region.into_iter();
        groups.map(|(region, targets)| Group { common: Common::Region(region), targets }).collect()
    };
    groups.sort_by_key(|group| std::cmp::Reverse(group.targets.len()));
    Cause { reason, targets: down.len(), groups }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, account, failed, store, sync, target};
    use super::*;
    use crate::model::SyncStatus;

    /// Two accounts in two regions: the first has a failed and a stale sync, and is
    /// refused in us-east-1; the second is well, and waits in us-east-1.
    fn overview() -> Overview {
        let (one, two) = (account(1, Some("Production")), account(2, None));
        let bad = DataSync { last_status: Some(SyncStatus::Failed), ..sync("bad", Some(NOW - 60.0)) };
        let old = sync("old", Some(NOW - 9e5));
        let older = sync("older", Some(NOW - 1e6));
        let store = store(vec![
            (target(&two, "eu-west-1"), Some(Ok(vec![sync("good", Some(NOW))]))),
            (target(&two, "us-east-1"), None),
            (target(&one, "eu-west-1"), Some(Ok(vec![sync("fine", Some(NOW)), old, bad, older]))),
            (target(&one, "us-east-1"), Some(Err(failed(Reason::ScpDenied)))),
        ]);
        Overview::take(&store, NOW)
    }

    fn names(overview: &Overview, query: &str) -> Vec<String> {
        let query = Query::read(query);
        overview.syncs(&query).iter().map(|found| found.sync.name.clone()).collect()
    }

    fn places(overview: &Overview, query: &str) -> Vec<String> {
        let query = Query::read(query);
        let place = |seen: &&Seen| format!("{} {}", &seen.account[11..], seen.region());
        overview.targets(&query).iter().map(place).collect()
    }

    #[test]
    fn everything_is_counted() {
        let overview = overview();
        let of_targets = |health| overview.of_targets.of(health);
        assert_eq!(
            Health::ALL.map(of_targets),
            [1, 1, 0, 0, 0, 1, 1, 0],
            "one each is down, has a failed sync, is well, waits"
        );
        assert_eq!(Health::OF_SYNCS.map(|health| overview.of_syncs.of(health)), [1, 0, 2, 0, 2]);
    }

    #[test]
    fn troubles_come_first_and_the_oldest_of_them() {
        let overview = overview();
        assert_eq!(names(&overview, ""), ["bad", "older", "old"]);
        assert_eq!(names(&overview, "region=eu-west-1"), ["bad", "older", "old", "fine", "good"]);
    }

    #[test]
    fn a_filter_takes_account_region_and_status() {
        let overview = overview();
        assert_eq!(names(&overview, "account=pROD&status=stale"), ["older", "old"]);
        assert_eq!(names(&overview, "account=000000000002"), ["good"]);
        assert_eq!(names(&overview, "account=nobody"), [""; 0]);
        assert_eq!(names(&overview, "region=sa-east-1"), [""; 0]);
        assert_eq!(names(&overview, "status=down"), [""; 0]);
        assert_eq!(names(&overview, "reason=scp_denied"), [""; 0]);
        assert_eq!(
            places(&overview, "status=trouble"),
            ["1 us-east-1", "1 eu-west-1"],
            "the one that cannot be polled first"
        );
        assert_eq!(
            places(&overview, "status=well"),
            ["1 eu-west-1", "2 eu-west-1"],
            "all that have a sync that is"
        );
        assert_eq!(places(&overview, "status=waiting"), ["2 us-east-1"]);
        assert_eq!(places(&overview, "reason=scp_denied"), ["1 us-east-1"]);
    }

    #[test]
    fn the_grid_has_whole_accounts_and_the_worst_first() {
        let overview = overview();
        let rows = |query: &str| {
            let query = Query::read(query);
            let grid = overview.grid(&query);
            let rows: Vec<_> =
                grid.rows.iter().map(|row| (row.account[11..].to_owned(), row.cells.len())).collect();
            (grid.regions.len(), rows)
        };
        let row = |account: &str, cells| (account.to_owned(), cells);
        assert_eq!(rows(""), (2, vec![row("1", 2), row("2", 2)]));
        assert_eq!(rows("region=us-east-1"), (1, vec![row("1", 1), row("2", 1)]));
        assert_eq!(rows("status=waiting"), (2, vec![row("2", 2)]));
        assert_eq!(rows("status=empty"), (0, Vec::new()));
    }

    #[test]
    fn a_region_that_refuses_all_accounts_is_one_line() {
        let accounts: Vec<_> = (1..=9).map(|number| account(number, None)).collect();
        let refused = |account| (target(account, "us-east-1"), Some(Err(failed(Reason::RegionDisabled))));
        let mut targets: Vec<_> = accounts.iter().map(refused).collect();
        for region in ["eu-west-1", "eu-west-2", "us-east-1"] {
            let lost = account(77, Some("lost"));
            targets.push((target(&lost, region), Some(Err(failed(Reason::AssumeRoleDenied)))));
        }
        let overview = Overview::take(&store(targets), NOW);
        let query = Query::default();
        let causes = overview.causes(&query);
        let summary: Vec<_> =
            causes.iter().map(|cause| (cause.reason, cause.targets, cause.groups.len())).collect();
        assert_eq!(summary, [(Reason::RegionDisabled, 9, 1), (Reason::AssumeRoleDenied, 3, 1)]);
        assert_eq!(causes[0].groups[0].common, Common::Region(&"us-east-1".parse().unwrap()));
        assert_eq!(causes[1].groups[0].common, Common::Account("000000000077", Some("lost")));
        assert_eq!(overview.causes(&Query::read("status=well")).len(), 0);
        assert_eq!(overview.causes(&Query::read("status=down&account=lost")).len(), 1);
    }

    #[test]
    fn an_account_without_an_id_is_found_by_what_it_is_shown_as() {
        let nameless = std::sync::Arc::new(crate::fleet::Account {
            access: crate::fleet::Access { profile: Some("Prod".to_owned()), ..Default::default() },
            ..Default::default()
        });
        let overview = Overview::take(&store(vec![(target(&nameless, "eu-west-1"), None)]), NOW);
        assert_eq!(overview.targets[0].account, "unknown (profile Prod)");
        assert_eq!(overview.targets(&Query::read("account=unknown+(profile+prod)")).len(), 1);
    }
}
