//! The text of a [`CheckReport`].

use std::fmt::{self, Display};
use std::time::Duration;

use super::calls::MemberCalls;
use super::{ApiCalls, CheckReport};
use crate::discovery::Organization;
use crate::duration;
use crate::fleet::{Access, Account, RegionSelection, Role, Target};
use crate::printable::escape_control_characters;

/// How many columns a line has at most, unless a single word is longer.
const WIDTH: usize = 80;

/// How many accounts are described. The others are counted.
const MAX_ACCOUNTS: usize = 50;

/// The syncs of each target in the example of a total.
const EXAMPLE_SYNCS: usize = 5;

impl Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut page = Page::default();
        self.accounts(&mut page);
        if let Some(organization) = &self.sources.organization {
            self.organization(organization, &mut page);
        }
        self.targets(&mut page);
        self.schedule(&mut page);
        self.expectations(&mut page);
        self.series(&mut page);
        self.calls(&mut page);
        f.write_str(page.0.trim_end_matches('\n'))
    }
}

impl CheckReport {
    fn accounts(&self, page: &mut Page) {
        let accounts = &self.sources.configured;
        if accounts.is_empty() {
            return;
        }
        page.heading(&format!("accounts: {}", accounts.len()));
        for entry in accounts.iter().take(MAX_ACCOUNTS) {
            page.text(&account_title(&entry.account));
            page.access(&entry.account.access);
            page.row("regions", &regions(&entry.regions));
        }
        if accounts.len() > MAX_ACCOUNTS {
            page.text(&format!("and {} more", accounts.len() - MAX_ACCOUNTS));
        }
    }

    fn organization(&self, organization: &Organization, page: &mut Page) {
        let Organization { administrator, units, excluded, member_access, .. } = organization;
        page.heading("organization: its accounts are known only from AWS");
        page.text("listed by");
        page.access(&administrator.access);
        page.text("members");
        let mut members = match units.as_slice() {
            [] => "all".to_owned(),
            units => format!("in {} and below", joined(units)),
        };
        if !excluded.is_empty() {
            members = format!("{members}, without {}", joined(excluded));
        }
        page.row("accounts", &members);
        if !self.sources.configured.is_empty() {
            page.row("", "an account above is polled as described there");
        }
        page.credentials(member_access.profile.as_deref());
        page.roles(&member_access.intermediate_roles);
        page.row("role", &format!("{}{}", member_access.role, secret(member_access.external_id.is_some())));
        page.row("regions", &regions(&organization.regions));
    }

    fn targets(&self, page: &mut Page) {
        let all = self.targets.all.len();
        page.heading(&match (self.targets.are_all, all) {
            (true, _) => format!("targets: {all}"),
            (false, 0) => "targets: known only from AWS".to_owned(),
            (false, _) => format!("targets: at least {all}, and what AWS tells"),
        });
        if self.shard.is_one_of_many() {
            let (index, total, own) =
                (self.shard.index(), self.shard.total(), self.targets.of_shard(self.shard));
            let mut text = format!("shard index {index} of {total}");
            if all > 0 {
                text = format!("{text} polls {own} of those that are known");
            }
            page.text(&text);
        }
    }

    fn schedule(&self, page: &mut Page) {
        let config = &self.config;
        let (interval, timeout) = (format_setting(config.interval), format_setting(config.timeout));
        page.heading("schedule");
        page.text(&format!(
            "collections   every {interval}, each at most {timeout}, {} in parallel",
            config.concurrency
        ));
        if self.sources.needs_region_lookups() {
            let refresh = format_setting(self.sources.refresh_interval);
            page.text(&format!("regions       looked up every {refresh}"));
        }
        if let Some(organization) = &self.sources.organization {
            let refresh = format_setting(organization.refresh_interval);
            page.text(&format!("organization  listed every {refresh}"));
        }
    }

    fn expectations(&self, page: &mut Page) {
        let expectations = &self.config.health.expectations;
        if expectations.is_empty() {
            return;
        }
        page.heading(&format!("expectations: {}", expectations.len()));
        for expectation in expectations {
            let selects = |target: &Target| expectation.targets.selects(target, target.account.id.as_ref());
            let (certain, undecided) = self.targets.selected(selects);
            let targets = counted(certain, "target");
            let unknown = match (undecided, self.targets.are_all) {
                (0, true) => String::new(),
                (0, false) => ", and others that AWS tells".to_owned(),
                (_, true) => format!(", and AWS decides about {undecided} more"),
                (_, false) => format!(", AWS decides about {undecided} more and tells others"),
            };
            let targets = targets + &unknown;
            page.text(&format!("{} ({}): {targets}", expectation.name, expectation.presence.as_str()));
        }
    }

    fn series(&self, page: &mut Page) {
        let (series, targets) = (self.series, self.targets.of_shard(self.shard));
        page.heading("series, without problems and expectations");
        page.text(&format!(
            "{} of the exporter, {} of each target, {} of each sync to a bucket",
            series.exporter, series.target, series.sync
        ));
        if targets > 0 {
            let total = series.total(targets, EXAMPLE_SYNCS);
            page.text(&format!("{total} if {} {EXAMPLE_SYNCS} syncs each", counted_with_verb(targets)));
        }
        if !self.config.health.expectations.is_empty() {
            page.text("and 1 of each target for each expectation about it, unless disabled");
        }
    }

    fn calls(&self, page: &mut Page) {
        let ApiCalls {
            list_syncs,
            list_syncs_per_target,
            assume_role,
            identified_accounts,
            list_regions,
            members,
        } = &self.calls;
        page.heading("API calls per hour, without retries");
        let of_each = format!("{} of each target", rounded(*list_syncs_per_target));
        if *list_syncs > 0.0 {
            page.call("ssm:ListResourceDataSync", *list_syncs, &of_each);
        } else {
            page.text(&format!("ssm:ListResourceDataSync: {of_each}"));
        }
        page.call_if_any("sts:AssumeRole", *assume_role);
        page.call_if_any("account:ListRegions", *list_regions);
        if *identified_accounts > 0 {
            let accounts = counted(*identified_accounts, "account");
            page.text(&format!("sts:GetCallerIdentity for {accounts}, whenever credentials are renewed"));
        }
        if let Some(MemberCalls { assume_role, list_accounts, list_regions }) = members {
            page.text("for each 100 accounts of the organization in one region");
            page.call("  ssm:ListResourceDataSync", 100.0 * list_syncs_per_target, "");
            page.call("  sts:AssumeRole", *assume_role, "");
            page.call("  organizations:ListAccounts", *list_accounts, "");
            page.call_if_any("  account:ListRegions", list_regions.unwrap_or_default());
        }
    }
}

/// The text as it is written.
#[derive(Default)]
struct Page(String);

impl Page {
    fn heading(&mut self, text: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.lines("", "", text);
    }

    fn text(&mut self, text: &str) {
        self.lines("  ", "  ", text);
    }

    fn row(&mut self, label: &str, text: &str) {
        self.lines(&format!("    {label:<13}"), &" ".repeat(17), text);
    }

    fn call(&mut self, operation: &str, number: f64, explanation: &str) {
        let number = rounded(number);
        let explanation = if explanation.is_empty() { String::new() } else { format!(" ({explanation})") };
        let row = format!("  {operation:<30}{number:>8}{explanation}\n");
        self.0.push_str(&row);
    }

    fn call_if_any(&mut self, operation: &str, number: f64) {
        if number > 0.0 {
            self.call(operation, number, "");
        }
    }

    fn access(&mut self, access: &Access) {
        self.credentials(access.profile.as_deref());
        self.roles(&access.roles);
    }

    fn credentials(&mut self, profile: Option<&str>) {
        match profile {
            Some(profile) => self.row("profile", &escape_control_characters(profile)),
            None => self.row("credentials", "ambient"),
        }
    }

    fn roles(&mut self, roles: &[Role]) {
        for role in roles {
            self.row("role", &format!("{}{}", role.arn, secret(role.external_id.is_some())));
        }
    }

    /// Writes a text in lines of at most [`WIDTH`] columns.
    fn lines(&mut self, first: &str, others: &str, text: &str) {
        let mut line = first.to_owned();
        let mut is_empty = true;
        for word in text.split(' ') {
            if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.0 += line.trim_end();
                self.0.push('\n');
                others.clone_into(&mut line);
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line += word;
            is_empty = false;
        }
        self.0 += line.trim_end();
        self.0.push('\n');
    }
}

fn account_title(account: &Account) -> String {
    let id = account.id.as_ref().map_or_else(|| "account of the credentials".to_owned(), ToString::to_string);
    match &account.name {
        Some(name) => format!("{id} ({})", escape_control_characters(name)),
        None => id,
    }
}

fn regions(regions: &RegionSelection) -> String {
    let named = regions.named.iter().map(ToString::to_string);
    let patterns = regions.patterns.iter().map(|pattern| format!("{pattern} of those that are enabled"));
    named.chain(patterns).collect::<Vec<_>>().join(", ")
}

fn secret(has_external_id: bool) -> &'static str {
    if has_external_id { " with an external id" } else { "" }
}

fn joined(texts: impl IntoIterator<Item = impl Display>) -> String {
    texts.into_iter().map(|text| text.to_string()).collect::<Vec<_>>().join(", ")
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn counted_with_verb(targets: usize) -> String {
    format!("{} {}", counted(targets, "target"), if targets == 1 { "has" } else { "have" })
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
