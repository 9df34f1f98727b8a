//! The targets in which a sync is alike.

use std::collections::{BTreeMap, BTreeSet};

use super::values::{self, Value, Values, common_text};
use super::{Fleet, MAX_PER_SYNC, Member};
use crate::expectations::comparison::{Outcome, compare};
use crate::expectations::pattern::Properties;
use crate::expectations::{ExpectedSync, Field};

/// Syncs with the same values.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) values: Values,
    /// Indices of members.
    pub(super) members: Vec<usize>,
}

impl Group {
    /// All of `members` members, about whose fields nothing is said.
    pub(super) fn without_values(members: usize) -> Self {
        Self { values: Values::new(), members: (0..members).collect() }
    }
}

/// The groups of members with the same values, largest first, and the fields whose values differ so
/// much that they are described by a wildcard or not at all. There are at most [`MAX_PER_SYNC`]
/// groups.
pub(super) fn alike(
    fleet: &Fleet<'_>,
    any: &ExpectedSync,
    members: &[Member<'_>],
) -> (Vec<Group>, Vec<Field>) {
    let syncs: Vec<_> =
        members.iter().filter_map(|member| Some((member.sync, fleet.targets.get(member.target)?))).collect();
    let mut values = values::of_syncs(&syncs);
    let mut differing = Vec::new();
    loop {
        let groups = merged(fleet, any, members, equal(&values));
        let field = if groups.len() > MAX_PER_SYNC { most_different(&groups, &differing) } else { None };
        let Some(field) = field else { return (groups, differing) };
        differing.push(field);
        let common = common_text(&syncs, field);
        for values in &mut values {
            // A field that AWS does not report stays left out.
            if values.remove(&field).is_some() {
                values.extend(common.clone().map(|common| (field, common)));
            }
        }
    }
}

/// Groups members with equal values. AWS does not always report with whom a bucket is shared, so a sync
/// without that belongs to those with it.
fn equal(values: &[Values]) -> Vec<Group> {
    let mut by_values: BTreeMap<Values, BTreeMap<Option<&Value>, Vec<usize>>> = BTreeMap::new();
    for (index, values) in values.iter().enumerate() {
        let mut without_sharing = values.clone();
        without_sharing.remove(&Field::SharingType);
        let sharing = values.get(&Field::SharingType);
        by_values.entry(without_sharing).or_default().entry(sharing).or_default().push(index);
    }
    let mut groups = Vec::new();
    for (values, mut by_sharing) in by_values {
        let unreported = by_sharing.remove(&None).unwrap_or_default();
        let mut shared: Vec<Group> = by_sharing
            .into_iter()
            .map(|(sharing, members)| {
                let mut values = values.clone();
                values.extend(sharing.map(|sharing| (Field::SharingType, sharing.clone())));
                Group { values, members }
            })
            .collect();
        match shared.iter_mut().max_by_key(|group| group.members.len()) {
            Some(largest) => largest.members.extend(unreported),
            None => shared.push(Group { values, members: unreported }),
        }
        groups.extend(shared);
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.members.len()));
    groups
}

/// Merges each group into a larger one whose patterns match all of its members. A text can contain
/// the region twice, once of the bucket and once of the target, and in one target the two are equal.
fn merged(fleet: &Fleet<'_>, any: &ExpectedSync, members: &[Member<'_>], groups: Vec<Group>) -> Vec<Group> {
    let mut kept: Vec<(ExpectedSync, Group)> = Vec::new();
    for group in groups {
        let matches_all = |(request, larger): &&mut (ExpectedSync, Group)| {
            larger.values.keys().eq(group.values.keys())
                && group
                    .members
                    .iter()
                    .filter_map(|index| members.get(*index))
                    .all(|member| fleet.is_as_described(request, member))
        };
        match kept.iter_mut().take(MAX_PER_SYNC).find(matches_all) {
            Some((_, larger)) => larger.members.extend(group.members),
            None => kept.push((values::request(any.clone(), &group.values), group)),
        }
    }
    kept.into_iter().map(|(_, group)| group).collect()
}

impl Fleet<'_> {
    fn is_as_described(&self, request: &ExpectedSync, member: &Member<'_>) -> bool {
        self.targets.get(member.target).is_some()
            && self.outcomes(request, member).all(|(_, outcome)| outcome == Outcome::Equal)
    }

    /// How the fields of a member compare with a request.
    fn outcomes(
        &self,
        request: &ExpectedSync,
        member: &Member<'_>,
    ) -> impl Iterator<Item = (Field, Outcome)> {
        self.targets.get(member.target).into_iter().flat_map(move |target| {
            let properties = Properties { target: target.target, account_id: Some(target.account_id) };
            compare(request, member.sync, properties)
        })
    }
}

/// The field with the most values, unless it is one of `done`. `None` if no field has several values.
fn most_different(groups: &[Group], done: &[Field]) -> Option<Field> {
    let number = |field: Field| {
        groups.iter().filter_map(|group| group.values.get(&field)).collect::<BTreeSet<_>>().len()
    };
    let fields = Field::ALL.iter().copied().filter(|field| !done.contains(field));
    let (number, field) = fields.map(|field| (number(field), field)).max_by_key(|(number, _)| *number)?;
    (number > 1).then_some(field)
}

/// The `values` in which no member differs. A group lacks a value that cannot be written, and the value
/// of the other groups is not that of its members.
pub(super) fn without_differences(
    fleet: &Fleet<'_>,
    any: &ExpectedSync,
    members: &[Member<'_>],
    mut values: Values,
) -> Values {
    let request = values::request(any.clone(), &values);
    for member in members {
        for (field, outcome) in fleet.outcomes(&request, member) {
            if outcome == Outcome::Different {
                values.remove(&field);
            }
        }
    }
    values
}

/// Values that are as expected in every group that has them.
pub(super) fn any_of(groups: &[Group]) -> Values {
    let mut combined = Values::new();
    for field in Field::ALL {
        let values: BTreeSet<&Value> = groups.iter().filter_map(|group| group.values.get(field)).collect();
        let texts: Option<BTreeSet<&String>> = values
            .iter()
            .map(|value| match value {
                Value::Text(texts) => Some(texts),
                Value::List(_) | Value::Flag(_) => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(|texts| texts.into_iter().flatten().collect());
        let value = match (texts, values.first()) {
            (Some(texts), Some(_)) => Some(Value::Text(texts.into_iter().cloned().collect())),
            (None, Some(value)) if values.len() == 1 => Some((*value).clone()),
            _ => None,
        };
        combined.extend(value.map(|value| (*field, value)));
    }
    combined
}
