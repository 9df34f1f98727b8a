//! What the configuration says about health: how fresh a sync has to be, how long its runs may
//! take, how many syncs there may be, and which have to be there.

use std::time::Duration;

use crate::expectations::Expectation;
use crate::fleet::{AccountId, Selected, Target, TargetSelector};
use crate::model::{DataSync, ManagedBy, Quota, SyncType};
use crate::wildcard::Wildcard;

/// The settings that decide on the health of syncs and targets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HealthPolicy {
    /// The limits for a sync that no rule matches, and for what the matching rule leaves open.
    pub(crate) default_limits: SyncLimits,
    /// Of the rules that match a sync, the first applies. Those of expectations come before all others.
    pub(crate) expectation_rules: Vec<ExpectationRule>,
    pub(crate) rules: Vec<HealthRule>,
    pub(crate) quota: Quota,
    /// What should be there.
    pub(crate) expectations: Vec<Expectation>,
}

/// The limits beyond which a sync counts as stale or stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SyncLimits {
    /// A sync without a success for longer is stale.
    pub(crate) max_success_age: Duration,
    /// A sync whose run is in progress for longer, without a success since it began, is stuck.
    pub(crate) max_run_time: Duration,
    /// Whether a sync is judged by its age alone, even if there are no managed nodes.
    pub(crate) ignores_managed_nodes: bool,
}

impl Default for SyncLimits {
    /// Inventory is usually collected at least once a day, so a gap of a little over a day is
    /// normal.
    fn default() -> Self {
        Self {
            max_success_age: Duration::from_hours(48),
            max_run_time: Duration::from_hours(2),
            ignores_managed_nodes: false,
        }
    }
}

/// Where the limits of a sync come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LimitOrigins {
    pub(crate) max_success_age: LimitOrigin,
    pub(crate) max_run_time: LimitOrigin,
}

/// Where a limit comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum LimitOrigin {
    /// The limits of syncs without a rule.
    #[default]
    Default,
    /// The rule with this number, counted from 1.
    Rule(usize),
    /// The expectation with this name.
    Expectation(String),
}

/// Other limits for the syncs that an expectation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExpectationRule {
    /// The index of the expectation.
    pub(crate) expectation: usize,
    pub(crate) max_success_age: Option<Duration>,
    pub(crate) max_run_time: Option<Duration>,
}

/// Other limits for some syncs. A selector that is empty selects everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HealthRule {
    /// A target is not selected while it is unknown whether it is.
    pub(crate) targets: TargetSelector,
    pub(crate) sync_types: Vec<SyncType>,
    pub(crate) sync_names: Vec<Wildcard>,
    pub(crate) managed_by: Vec<ManagedBy>,
    pub(crate) max_success_age: Option<Duration>,
    pub(crate) max_run_time: Option<Duration>,
    /// Also applies to syncs whose other limits come from an expectation.
    pub(crate) ignore_managed_nodes: Option<bool>,
}

impl HealthRule {
    fn matches_target(&self, target: &Target, account_id: Option<&AccountId>) -> bool {
        self.targets.selects(target, account_id) == Selected::Yes
    }

    fn matches_sync(&self, sync: &DataSync) -> bool {
        (self.sync_types.is_empty() || self.sync_types.contains(&sync.sync_type))
            && (self.sync_names.is_empty() || self.sync_names.iter().any(|name| name.matches(&sync.name)))
            && (self.managed_by.is_empty() || self.managed_by.contains(&sync.managed_by()))
    }

    /// Whether the rule matches every sync, so that no later rule ever applies.
    pub(crate) fn matches_everything(&self) -> bool {
        let Self {
            targets,
            sync_types,
            sync_names,
            managed_by,
            max_success_age: _,
            max_run_time: _,
            ignore_managed_nodes: _,
        } = self;
        targets.selects_all()
            && sync_types.is_empty()
            && (sync_names.is_empty() || sync_names.iter().any(Wildcard::matches_all))
            && managed_by.is_empty()
    }
}

impl HealthPolicy {
    /// The part of the policy that applies to the syncs of `target`, whose account id may have been
    /// learned by a collection.
    pub(super) fn for_target<'a>(
        &'a self,
        target: &'a Target,
        account_id: Option<&'a AccountId>,
    ) -> TargetPolicy<'a> {
        let of_expectations = self.expectation_rules.iter().filter_map(|rule| {
            let expectation = self.expectations.get(rule.expectation)?;
            let is_selected = expectation.targets.selects(target, account_id) == Selected::Yes;
            is_selected.then_some(RuleOfTarget::Expectation(expectation, rule))
        });
        let others = (1..)
            .zip(&self.rules)
            .filter(|(_, rule)| rule.matches_target(target, account_id))
            .map(|(number, rule)| RuleOfTarget::Numbered(number, rule));
        let rules = of_expectations.chain(others).collect();
        TargetPolicy { target, account_id, default_limits: self.default_limits, rules }
    }

    /// Where the limits of a sync of `target` come from.
    pub(crate) fn limit_origins(
        &self,
        target: &Target,
        account_id: Option<&AccountId>,
        sync: &DataSync,
    ) -> LimitOrigins {
        let policy = self.for_target(target, account_id);
        let Some(rule) = policy.rule(sync) else { return LimitOrigins::default() };
        let origin = |limit: Option<Duration>| limit.map_or(LimitOrigin::Default, |_| rule.origin());
        LimitOrigins {
            max_success_age: origin(rule.max_success_age()),
            max_run_time: origin(rule.max_run_time()),
        }
    }
}

/// The rules that match a target.
#[derive(Debug)]
pub(super) struct TargetPolicy<'a> {
    target: &'a Target,
    account_id: Option<&'a AccountId>,
    default_limits: SyncLimits,
    /// In the order of their precedence.
    rules: Vec<RuleOfTarget<'a>>,
}

/// A rule that matches a target.
#[derive(Clone, Copy, Debug)]
enum RuleOfTarget<'a> {
    Expectation(&'a Expectation, &'a ExpectationRule),
    /// A rule with its number, counted from 1.
    Numbered(usize, &'a HealthRule),
}

impl RuleOfTarget<'_> {
    fn max_success_age(&self) -> Option<Duration> {
        match self {
            Self::Expectation(_, rule) => rule.max_success_age,
            Self::Numbered(_, rule) => rule.max_success_age,
        }
    }

    fn max_run_time(&self) -> Option<Duration> {
        match self {
            Self::Expectation(_, rule) => rule.max_run_time,
            Self::Numbered(_, rule) => rule.max_run_time,
        }
    }

    fn origin(&self) -> LimitOrigin {
        match self {
            Self::Expectation(expectation, _) => LimitOrigin::Expectation(expectation.name.clone()),
            Self::Numbered(number, _) => LimitOrigin::Rule(*number),
        }
    }
}

impl<'a> TargetPolicy<'a> {
    /// The rule that applies to a sync of the target.
    fn rule(&self, sync: &DataSync) -> Option<&RuleOfTarget<'a>> {
        self.rules.iter().find(|rule| match rule {
            RuleOfTarget::Expectation(expectation, _) => {
                expectation.is_about_sync(self.target, self.account_id, sync)
            }
            RuleOfTarget::Numbered(_, rule) => rule.matches_sync(sync),
        })
    }

    /// The first rule that matches a sync of the target, whatever expectations say.
    fn numbered_rule(&self, sync: &DataSync) -> Option<&'a HealthRule> {
        let mut numbered = self.rules.iter().filter_map(|rule| match rule {
            RuleOfTarget::Numbered(_, rule) => Some(*rule),
            RuleOfTarget::Expectation(..) => None,
        });
        numbered.find(|rule| rule.matches_sync(sync))
    }

    pub(super) fn limits(&self, sync: &DataSync) -> SyncLimits {
        let (default, rule) = (self.default_limits, self.rule(sync));
        let numbered_rule = match rule {
            Some(RuleOfTarget::Numbered(_, rule)) => Some(*rule),
            Some(RuleOfTarget::Expectation(..)) => self.numbered_rule(sync),
            None => None,
        };
        SyncLimits {
            max_success_age: rule.and_then(RuleOfTarget::max_success_age).unwrap_or(default.max_success_age),
            max_run_time: rule.and_then(RuleOfTarget::max_run_time).unwrap_or(default.max_run_time),
            ignores_managed_nodes: numbered_rule
                .and_then(|rule| rule.ignore_managed_nodes)
                .unwrap_or(default.ignores_managed_nodes),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::expectations::{ExpectedSync, Presence, TextPattern};
    use crate::fleet::Account;
    use crate::health::tests::sync;

    const DAY: Duration = Duration::from_hours(24);

    fn target() -> Target {
        let account = Account {
            id: Some("111122223333".parse().unwrap()),
            name: Some("sandbox-1".to_owned()),
            organizational_units: Some(vec!["ou-abcd-11111111".parse().unwrap()]),
            ..Account::default()
        };
        Target { account: Arc::new(account), region: "eu-west-1".parse().unwrap() }
    }

    fn limits_of(rules: Vec<HealthRule>, target: &Target, name: &str) -> SyncLimits {
        let policy = HealthPolicy { rules, ..HealthPolicy::default() };
        policy.for_target(target, target.account.id.as_ref()).limits(&sync(name, None))
    }

    /// Whether the rule applies to the sync `inventory` of [`target`].
    fn applies(rule: HealthRule) -> bool {
        let rule = HealthRule { max_success_age: Some(DAY), ..rule };
        limits_of(vec![rule], &target(), "inventory").max_success_age == DAY
    }

    #[test]
    fn every_selector_has_to_match() {
        let matching = || HealthRule {
            targets: TargetSelector {
                accounts: ["sandbox-*".parse().unwrap()].into_iter().collect(),
                organizational_units: vec!["ou-abcd-11111111".parse().unwrap()],
                regions: vec!["eu-*".parse().unwrap()],
            },
            sync_types: vec![SyncType::ToDestination],
            sync_names: vec![Wildcard::new("other"), Wildcard::new("inv*")],
            managed_by: vec![ManagedBy::Customer],
            ..HealthRule::default()
        };
        assert!(applies(HealthRule::default()));
        assert!(applies(matching()));
        let changes: [fn(&mut HealthRule); 6] = [
            |rule| rule.targets.accounts = ["!sandbox-1".parse().unwrap()].into_iter().collect(),
            |rule| rule.targets.organizational_units = vec!["ou-abcd-22222222".parse().unwrap()],
            |rule| rule.targets.regions = vec!["us-*".parse().unwrap(), "eu-west-2".parse().unwrap()],
            |rule| rule.sync_types = vec![SyncType::FromSource],
            |rule| rule.sync_names = vec![Wildcard::new("inv")],
            |rule| rule.managed_by = vec![ManagedBy::Inspector, ManagedBy::QuickSetup],
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut rule = matching();
            change(&mut rule);
            assert!(!applies(rule), "{index}");
        }
    }

    #[test]
    fn a_rule_with_units_does_not_match_an_account_whose_units_are_unknown() {
        let organizational_units = vec!["ou-abcd-11111111".parse().unwrap()];
        let targets = TargetSelector { organizational_units, ..TargetSelector::default() };
        let rule = HealthRule { targets, max_success_age: Some(DAY), ..HealthRule::default() };
        let account = Account { organizational_units: None, ..Account::clone(&target().account) };
        let unknown = Target { account: Arc::new(account), ..target() };
        let default = SyncLimits::default();
        assert_eq!(limits_of(vec![rule], &unknown, "inventory"), default);
    }

    #[test]
    fn the_first_matching_rule_applies_and_the_defaults_fill_what_it_leaves_open() {
        let rule = |name: &str, max_success_age, max_run_time| HealthRule {
            sync_names: vec![Wildcard::new(name)],
            max_success_age,
            max_run_time,
            ..HealthRule::default()
        };
        let rules = || vec![rule("a*", None, Some(DAY)), rule("*", Some(DAY), None)];
        let default_limits = SyncLimits::default();
        assert_eq!(limits_of(rules(), &target(), "abc"), SyncLimits { max_run_time: DAY, ..default_limits });
        assert_eq!(
            limits_of(rules(), &target(), "xyz"),
            SyncLimits { max_success_age: DAY, ..default_limits }
        );

        let policy = HealthPolicy { rules: rules(), ..HealthPolicy::default() };
        let origins = |name| policy.limit_origins(&target(), target().account.id.as_ref(), &sync(name, None));
        let [default, first, second] = [LimitOrigin::Default, LimitOrigin::Rule(1), LimitOrigin::Rule(2)];
        assert_eq!(origins("abc"), LimitOrigins { max_success_age: default.clone(), max_run_time: first });
        assert_eq!(origins("xyz"), LimitOrigins { max_success_age: second, max_run_time: default });
        let policy = HealthPolicy::default();
        let origins = policy.limit_origins(&target(), None, &sync("abc", None));
        assert_eq!(origins, LimitOrigins::default());
    }

    #[test]
    fn the_first_rule_that_matches_a_sync_decides_whether_managed_nodes_are_ignored() {
        let rule = |name: &str, ignore_managed_nodes| HealthRule {
            sync_names: vec![Wildcard::new(name)],
            ignore_managed_nodes,
            ..HealthRule::default()
        };
        let all = |value| vec![rule("own-*", None), rule("org-*", value), rule("*", Some(true))];
        let ignored = |rules, name| limits_of(rules, &target(), name).ignores_managed_nodes;
        assert!(!ignored(Vec::new(), "other"));
        assert!(ignored(all(None), "other"));
        // If the first rule leaves the key out, the default applies, not a later rule.
        for (value, expected) in [(None, false), (Some(false), false), (Some(true), true)] {
            assert_eq!(ignored(all(value), "org-a"), expected, "{value:?}");
            assert!(!ignored(all(value), "own-a"), "{value:?}");
        }
        // The rule needs no limits, and changes none.
        let limits = limits_of(all(None), &target(), "other");
        assert_eq!(limits, SyncLimits { ignores_managed_nodes: true, ..SyncLimits::default() });
    }

    #[test]
    fn the_limits_beside_an_expectation_leave_managed_nodes_to_the_rules() {
        let policy = |rules| HealthPolicy {
            expectations: vec![Expectation {
                name: "any".to_owned(),
                targets: TargetSelector::default(),
                managed_by: Vec::new(),
                presence: Presence::Required,
                request: ExpectedSync::any(SyncType::ToDestination),
            }],
            expectation_rules: vec![ExpectationRule {
                expectation: 0,
                max_success_age: Some(DAY),
                max_run_time: None,
            }],
            rules,
            ..HealthPolicy::default()
        };
        let limits = |rules| policy(rules).for_target(&target(), None).limits(&sync("inventory", None));
        let rule = |name: &str, ignore_managed_nodes| HealthRule {
            sync_names: vec![Wildcard::new(name)],
            max_success_age: Some(2 * DAY),
            ignore_managed_nodes,
            ..HealthRule::default()
        };
        let expected = |ignores_managed_nodes| SyncLimits {
            max_success_age: DAY,
            ignores_managed_nodes,
            ..SyncLimits::default()
        };
        assert_eq!(limits(Vec::new()), expected(false));
        assert_eq!(limits(vec![rule("other", Some(true))]), expected(false));
        assert_eq!(limits(vec![rule("other", None), rule("inv*", Some(true))]), expected(true));
        assert_eq!(limits(vec![rule("inventory", None), rule("*", Some(true))]), expected(false));
    }

    #[test]
    fn a_learned_account_id_is_matched_as_well() {
        let target = Target { account: Arc::default(), ..target() };
        let rule = HealthRule {
            targets: TargetSelector {
                accounts: ["111122223333".parse().unwrap()].into_iter().collect(),
                ..TargetSelector::default()
            },
            max_success_age: Some(DAY),
            ..HealthRule::default()
        };
        let policy = HealthPolicy { rules: vec![rule], ..HealthPolicy::default() };
        let learned = "111122223333".parse().unwrap();
        let limits = |id| policy.for_target(&target, id).limits(&sync("a", None)).max_success_age;
        assert_eq!(limits(Some(&learned)), DAY);
        assert_ne!(limits(None), DAY);
    }

    #[test]
    fn the_limits_beside_an_expectation_come_before_all_rules() {
        let expectation = |name: &str, sync_name: &str| Expectation {
            name: name.to_owned(),
            targets: TargetSelector { regions: vec!["eu-*".parse().unwrap()], ..TargetSelector::default() },
            managed_by: vec![ManagedBy::Customer],
            presence: Presence::Required,
            request: ExpectedSync {
                names: vec![TextPattern::parse(sync_name).unwrap()],
                ..ExpectedSync::any(SyncType::ToDestination)
            },
        };
        let rule = |expectation, max_run_time| ExpectationRule {
            expectation,
            max_success_age: Some(DAY),
            max_run_time,
        };
        let policy = HealthPolicy {
            expectations: vec![
                expectation("without-limits", "*"),
                expectation("own", "{account_id}-*"),
                expectation("in-region", "org-{region}"),
            ],
            expectation_rules: vec![rule(1, Some(DAY)), rule(2, None)],
            rules: vec![HealthRule { max_run_time: Some(2 * DAY), ..HealthRule::default() }],
            ..HealthPolicy::default()
        };
        let target = target();
        let us = Target { region: "us-east-1".parse().unwrap(), ..target.clone() };
        let id = target.account.id.as_ref();
        let default = SyncLimits::default();
        let origin = |name: &str| LimitOrigin::Expectation(name.to_owned());
        let all = LimitOrigins { max_success_age: LimitOrigin::Default, max_run_time: LimitOrigin::Rule(1) };
        for (target, id, name, limits, origins) in [
            (
                &target,
                id,
                "111122223333-a",
                SyncLimits { max_success_age: DAY, max_run_time: DAY, ..default },
                LimitOrigins { max_success_age: origin("own"), max_run_time: origin("own") },
            ),
            (
                &target,
                id,
                "org-eu-west-1",
                // What the rule leaves open is the default, and not that of a later rule.
                SyncLimits { max_success_age: DAY, ..default },
                LimitOrigins { max_success_age: origin("in-region"), max_run_time: LimitOrigin::Default },
            ),
            (&target, id, "other", SyncLimits { max_run_time: 2 * DAY, ..default }, all.clone()),
            // The id is not known, so the name is not known either.
            (&target, None, "111122223333-a", SyncLimits { max_run_time: 2 * DAY, ..default }, all.clone()),
            (&target, None, "-a", SyncLimits { max_run_time: 2 * DAY, ..default }, all.clone()),
            // The expectations are not about this region.
            (&us, id, "org-us-east-1", SyncLimits { max_run_time: 2 * DAY, ..default }, all),
        ] {
            let sync = sync(name, None);
            assert_eq!(policy.for_target(target, id).limits(&sync), limits, "{name}");
            assert_eq!(policy.limit_origins(target, id, &sync), origins, "{name}");
        }
    }
}
