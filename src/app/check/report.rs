//! The text of a [`CheckReport`].

use std::fmt::Display;
use std::time::Duration;

use super::calls::{GET_IDENTITY, MEMBERS, OperationCalls, member_regions};
use super::{ApiCalls, CheckReport};
use crate::discovery::Organization;
use crate::duration;
use crate::fleet::{Access, Account, RegionSelection, Role, Target};
use crate::terminal::{Output, Page, Word, words};

/// How many accounts are described. The others are counted.
const MAX_ACCOUNTS: usize = 50;

/// The syncs of each target in the example of a total.
const EXAMPLE_SYNCS: usize = 5;

/// The targets in that example, if none are known.
const EXAMPLE_TARGETS: usize = 100;

impl CheckReport {
    /// What would be polled, in lines that fit the output.
    #[must_use]
    pub fn text(&self, output: &Output) -> String {
        self.render(output.terminal_width())
    }

    /// Renders everything for a terminal of `width` columns, if it is one.
    pub(super) fn render(&self, width: Option<u16>) -> String {
        let mut page = Page::for_terminal(width, false).with_whole_words();
        self.accounts(&mut page);
        if let Some(organization) = &self.sources.organization {
            self.organization(organization, &mut page);
        }
        self.targets(&mut page);
        self.schedule(&mut page);
        self.expectations(&mut page);
        self.series(&mut page);
        self.calls(&mut page);
        page.into_text()
    }

    fn accounts(&self, page: &mut Page) {
        let accounts = &self.sources.configured;
        if accounts.is_empty() {
            return;
        }
        heading(page, &format!("accounts: {}", accounts.len()));
        for entry in accounts.iter().take(MAX_ACCOUNTS) {
            page.paragraph(2, 2, account_title(&entry.account));
            access(page, &entry.account.access);
            row(page, "regions", regions(&entry.regions));
        }
        if accounts.len() > MAX_ACCOUNTS {
            line(page, &format!("and {} more", accounts.len() - MAX_ACCOUNTS));
        }
    }

    fn organization(&self, organization: &Organization, page: &mut Page) {
        let Organization { administrator, units, excluded, member_access, .. } = organization;
        heading(page, "organization");
        line(page, "to list its accounts");
        access(page, &administrator.access);
        line(page, "to poll its accounts");
        let mut accounts = match units.as_slice() {
            [] => "all".to_owned(),
            units => format!("those in {} and below", joined(units)),
        };
        if !excluded.is_empty() {
            accounts = format!("{accounts}, except {}", joined(excluded));
        }
        if !self.sources.configured.is_empty() {
            accounts += "; those above are polled as described there";
        }
        row(page, "accounts", words(&accounts));
        credentials(page, member_access.profile.as_deref());
        roles(page, &member_access.intermediate_roles);
        role(page, &member_access.role, member_access.external_id.is_some());
        row(page, "regions", regions(&organization.regions));
    }

    fn targets(&self, page: &mut Page) {
        let all = self.targets.all.len();
        let number = match (self.targets.are_all, all) {
            (true, _) => all.to_string(),
            (false, 0) => "not known yet".to_owned(),
            (false, _) => format!("at least {all}"),
        };
        heading(page, &format!("targets (an account in a region): {number}"));
        let listed = match (self.sources.organization.is_some(), self.sources.needs_region_lookups()) {
            (true, true) => Some("the organization's accounts and their enabled regions"),
            (true, false) => Some("the organization's accounts"),
            (false, true) => Some("the enabled regions of accounts"),
            (false, false) => None,
        };
        if let Some(listed) = listed {
            line(page, &format!("AWS has to list {listed}."));
        }
        if self.shard.is_one_of_many() {
            let (index, total) = (self.shard.index(), self.shard.total());
            let polled = match (self.targets.of_shard(self.shard).len(), all) {
                (_, 0) => format!("about 1 in {total} of them"),
                (own, all) => format!("{own} of the {all} that are known"),
            };
            line(page, &format!("Shard {index} of {total} (counted from 0) polls {polled}."));
        }
    }

    fn schedule(&self, page: &mut Page) {
        let config = &self.config;
        let (interval, timeout) = (format_setting(config.interval), format_setting(config.timeout));
        heading(page, "schedule");
        line(page, &format!("each target is collected every {interval}, for at most {timeout}"));
        line(page, &format!("at most {} targets are collected at the same time", config.concurrency));
        if let Some(organization) = &self.sources.organization {
            let refresh = format_setting(organization.refresh_interval);
            line(page, &format!("the organization is listed every {refresh}"));
        }
        if self.sources.needs_region_lookups() {
            let refresh = format_setting(self.sources.refresh_interval);
            line(page, &format!("the enabled regions of each account are listed every {refresh}"));
        }
        if let Some(lookups) = self.node_lookups() {
            line(page, &lookups);
        }
    }

    /// In how many accounts managed nodes are looked up, and how often. `None` if lookups are not enabled.
    fn node_lookups(&self) -> Option<String> {
        let accounts = &self.sources.configured;
        let mut intervals: Vec<Duration> =
            accounts.iter().filter_map(|entry| entry.account.managed_nodes_interval).collect();
        intervals.sort_unstable();
        let in_listed = intervals.first().zip(intervals.last()).map(|(shortest, longest)| {
            let accounts = match (intervals.len(), accounts.len()) {
                (number, all) if number == all => counted(all, "account"),
                (number, all) => format!("{number} of {}", counted(all, "account")),
            };
            let (shortest, longest) = (format_setting(*shortest), format_setting(*longest));
            let interval = if shortest == longest { shortest } else { format!("{shortest} to {longest}") };
            format!("in {accounts} every {interval}")
        });
        let organization = self.sources.organization.as_ref();
        let in_members = organization
            .and_then(|organization| organization.member_access.managed_nodes_interval)
            .map(|interval| format!("in the organization's accounts every {}", format_setting(interval)));
        let places: Vec<String> = in_listed.into_iter().chain(in_members).collect();
        let lookups = format!("managed nodes are looked up {}", places.join(", and "));
        (!places.is_empty()).then_some(lookups)
    }

    fn expectations(&self, page: &mut Page) {
        let expectations = &self.config.health.expectations;
        if expectations.is_empty() {
            return;
        }
        heading(page, &format!("expectations: {}", expectations.len()));
        for expectation in expectations {
            let selects = |target: &Target| expectation.targets.selects(target, target.account.id.as_ref());
            let (certain, undecided) = self.targets.selected(selects);
            let targets = match (self.targets.are_all, certain, undecided) {
                (true, _, 0) => counted(certain, "target"),
                (true, ..) => {
                    let most = certain + undecided;
                    format!("{certain} to {}, depending on account ids", counted(most, "target"))
                }
                (false, 0, _) => "targets that are not known yet".to_owned(),
                (false, ..) => format!("at least {}", counted(certain, "target")),
            };
            let name = Word::new(&expectation.name).followed_by(":");
            let text = format!("{} in {targets}", expectation.presence.as_str());
            page.paragraph(2, 2, [name].into_iter().chain(words(&text)));
        }
    }

    fn series(&self, page: &mut Page) {
        let (series, known) = (self.series, self.targets.of_shard(self.shard));
        let has_lookups = |target: &&&Target| target.account.managed_nodes_interval.is_some();
        let (targets, with_lookups) = match known.len() {
            0 if series.node_lookup > 0 => (EXAMPLE_TARGETS, EXAMPLE_TARGETS),
            0 => (EXAMPLE_TARGETS, 0),
            targets => (targets, known.iter().filter(has_lookups).count()),
        };
        heading(page, "series");
        line(
            page,
            &format!(
                "{} of the exporter, {} for each target, {} for each sync to a bucket",
                series.exporter, series.target, series.sync
            ),
        );
        if series.node_lookup > 0 {
            let text =
                format!("{} more for each target whose managed nodes are looked up", series.node_lookup);
            line(page, &text);
        }
        let total = series.total(targets, with_lookups, EXAMPLE_SYNCS);
        let example = counted(targets, "target");
        line(page, &format!("for example {total} in all for {example} with {EXAMPLE_SYNCS} syncs each"));
        line(page, "not counted: problems, failures and expectations");
    }

    fn calls(&self, page: &mut Page) {
        let ApiCalls { certain, members, list_syncs_per_target, identified_accounts, .. } = &self.calls;
        heading(page, "API calls per hour, if none fails");
        line(page, &format!("{} for each target to list its syncs", rounded(*list_syncs_per_target)));
        calls(page, certain);
        if *identified_accounts > 0 {
            let accounts = counted(*identified_accounts, "account");
            let text = format!("{GET_IDENTITY} for {accounts}, whenever credentials are renewed");
            line(page, &text);
        }
        if let Some(organization) = &self.sources.organization {
            let regions = counted(member_regions(organization), "region");
            heading(
                page,
                &format!("and for every {MEMBERS} accounts of the organization, in {regions} each"),
            );
            calls(page, members);
        }
    }
}

fn heading(page: &mut Page, text: &str) {
    page.separate();
    page.paragraph(0, 2, words(text));
}

fn line(page: &mut Page, text: &str) {
    page.paragraph(2, 2, words(text));
}

/// A property of an account.
fn row(page: &mut Page, label: &str, value: impl IntoIterator<Item = Word>) {
    let label = Word::new(label).left_aligned(12);
    page.paragraph(4, 13, [label].into_iter().chain(value));
}

fn calls(page: &mut Page, calls: &[OperationCalls]) {
    let columns = calls.iter().map(|calls| calls.operation.len()).max().unwrap_or_default();
    for OperationCalls { operation, number } in calls {
        let number = Word::new(&rounded(*number)).right_aligned(7);
        page.paragraph(2, 2, [Word::new(operation).left_aligned(columns), number]);
    }
}

fn access(page: &mut Page, access: &Access) {
    credentials(page, access.profile.as_deref());
    roles(page, &access.roles);
}

fn credentials(page: &mut Page, profile: Option<&str>) {
    match profile {
        Some(profile) => row(page, "profile", [Word::new(profile)]),
        None => row(page, "credentials", words("those that the AWS CLI would use here")),
    }
}

fn roles(page: &mut Page, roles: &[Role]) {
    for entry in roles {
        role(page, &entry.arn, entry.external_id.is_some());
    }
}

fn role(page: &mut Page, arn: &impl Display, has_external_id: bool) {
    let external_id = if has_external_id { "with an external id" } else { "" };
    row(page, "role", [Word::new(&arn.to_string())].into_iter().chain(words(external_id)));
}

fn account_title(account: &Account) -> Vec<Word> {
    let name = account.name.as_ref().map(|name| Word::new(&format!("({name})")));
    match &account.id {
        Some(id) => [Word::new(id.as_str())].into_iter().chain(name).collect(),
        None => words("the account of the credentials").chain(name).collect(),
    }
}

fn regions(regions: &RegionSelection) -> impl Iterator<Item = Word> {
    let named = regions.named.iter().map(ToString::to_string);
    let patterns = regions.patterns.iter().map(|pattern| match pattern.to_string().as_str() {
        "*" => "all that are enabled".to_owned(),
        pattern => format!("{pattern} (those that are enabled)"),
    });
    let texts: Vec<String> = named.chain(patterns).collect();
    words(&texts.join(", ")).collect::<Vec<_>>().into_iter()
}

fn joined(texts: impl IntoIterator<Item = impl Display>) -> String {
    texts.into_iter().map(|text| text.to_string()).collect::<Vec<_>>().join(", ")
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A duration as it is written in the configuration, as far as it is in whole seconds.
fn format_setting(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        duration::format(duration).replace(' ', "")
    } else {
        format!("{duration:?}")
    }
}

/// At most one digit after the point.
fn rounded(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), ToOwned::to_owned)
}
