//! Judges a target by an expectation.

use std::borrow::Cow;

use strum::VariantArray;

use super::comparison::{Outcome, compare, found_text, wanted_text};
use super::field::Field;
use super::pattern::{Properties, TextPattern};
use super::{Expectation, Presence};
use crate::fleet::{AccountId, Selected, Target};
use crate::model::DataSync;

/// What was observed in a target when it was last collected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ObservedTarget<'a> {
    pub(crate) target: &'a Target,
    /// The id of the account, if it is known.
    pub(crate) account_id: Option<&'a AccountId>,
    /// `None` if the syncs are not known.
    pub(crate) syncs: Option<&'a [DataSync]>,
    /// Whether AWS listed syncs besides these that could not be read.
    pub(crate) has_unreadable_syncs: bool,
}

/// How a target compares with an expectation. In snake case, each is a value of the label `state`, so
/// renaming a variant breaks users' queries.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum ExpectationState {
    /// Everything is as expected, as far as AWS reports it.
    Met,
    /// A required sync is not there.
    Missing,
    /// A field of a sync differs.
    Drifted,
    /// A forbidden sync is there.
    Forbidden,
    /// It is not known which syncs the target has, or whether the expectation is about it.
    Unknown,
}

impl ExpectationState {
    /// Every value, in the order of the declaration.
    pub(crate) const ALL: &[Self] = Self::VARIANTS;

    /// The label value.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }

    pub(crate) fn is_violation(self) -> bool {
        matches!(self, Self::Missing | Self::Drifted | Self::Forbidden)
    }

    /// Whether the expectation is met. `None` while that is unknown.
    pub(crate) fn is_met(self) -> Option<bool> {
        match self {
            Self::Met => Some(true),
            Self::Unknown => None,
            Self::Missing | Self::Drifted | Self::Forbidden => Some(false),
        }
    }
}

/// The judgement of a target by an expectation that selects it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// The index of the expectation.
    pub(crate) expectation: usize,
    pub(crate) state: ExpectationState,
    /// Not empty if and only if the state is a violation.
    pub(crate) violations: Box<[Violation]>,
    /// The fields that AWS reported no value for, so that they could not be compared.
    pub(crate) unverified: Box<[SyncField]>,
}

impl Judgement {
    /// Whether the sync with this index among the syncs of the target is not as expected.
    pub(crate) fn is_violated_by(&self, sync: usize) -> bool {
        self.violation_by(sync).is_some()
    }

    /// The first violation by the sync with this index among the syncs of the target.
    pub(crate) fn violation_by(&self, sync: usize) -> Option<&Violation> {
        self.violations.iter().find(|violation| violation.subject.sync() == Some(sync))
    }
}

/// A field of a sync, given by its index among the syncs of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SyncField {
    pub(crate) sync: usize,
    pub(crate) field: Field,
}

/// What is not as expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) subject: ViolationSubject,
    pub(crate) field: Field,
}

/// The sync that is not as expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ViolationSubject {
    /// The sync with this index among the syncs of the target.
    Sync(usize),
    /// No sync that the expectation accepts by name is as described. The sync with this index has the
    /// fewest differences.
    Closest(usize),
    /// There is no sync that the expectation accepts by name.
    Absent,
}

impl ViolationSubject {
    /// The index of the sync that was compared.
    pub(crate) fn sync(self) -> Option<usize> {
        match self {
            Self::Sync(index) | Self::Closest(index) => Some(index),
            Self::Absent => None,
        }
    }
}

impl Violation {
    /// The name of the sync that is not as expected; of a sync that is absent, the name that it has to
    /// have. `None` if other syncs would do as well.
    pub(crate) fn sync_name<'a>(
        &self,
        expectation: &'a Expectation,
        observed: &ObservedTarget<'a>,
    ) -> Option<Cow<'a, str>> {
        match self.subject {
            ViolationSubject::Sync(index) => {
                observed.syncs?.get(index).map(|sync| Cow::Borrowed(sync.name.as_str()))
            }
            ViolationSubject::Closest(_) => None,
            ViolationSubject::Absent => {
                expectation.request.single_name().map(|name| name.resolve(observed.properties()))
            }
        }
    }

    /// What the expectation wants of the field, for people. `None` if the field has to be absent, or
    /// if the violation is about the presence of the sync.
    pub(crate) fn wanted(&self, expectation: &Expectation, observed: &ObservedTarget<'_>) -> Option<String> {
        wanted_text(expectation.request.value(self.field)?, observed.properties())
    }

    /// What AWS reports for the field, for people. `None` if AWS reports nothing, or if the violation
    /// is about the presence of the sync.
    pub(crate) fn found(&self, observed: &ObservedTarget<'_>) -> Option<String> {
        found_text(observed.syncs?.get(self.subject.sync()?)?, self.field)
    }
}

impl<'a> ObservedTarget<'a> {
    pub(super) fn properties(&self) -> Properties<'a> {
        Properties { target: self.target, account_id: self.account_id }
    }
}

/// Judges a target by the expectation with the index `index`. `None` if the expectation is not about
/// the target.
pub(crate) fn judge(
    index: usize,
    expectation: &Expectation,
    observed: &ObservedTarget<'_>,
) -> Option<Judgement> {
    let unknown = Judgement {
        expectation: index,
        state: ExpectationState::Unknown,
        violations: Box::default(),
        unverified: Box::default(),
    };
    match expectation.targets.selects(observed.target, observed.account_id) {
        Selected::No => return None,
        Selected::Unknown => return Some(unknown),
        Selected::Yes => {}
    }
    let Some(syncs) = observed.syncs else { return Some(unknown) };
    if observed.account_id.is_none() && expectation.needs_account_id() {
        return Some(unknown);
    }
    let properties = observed.properties();
    let candidates: Vec<Candidate> = syncs
        .iter()
        .enumerate()
        .filter(|(_, sync)| expectation.is_about(sync, properties))
        .map(|(index, sync)| Candidate::new(index, expectation, sync, properties))
        .collect();
    let (state, violations, unverified) = match expectation.presence {
        Presence::Required => required(expectation, candidates),
        Presence::Allowed => allowed(candidates),
        Presence::Forbidden => forbidden(candidates),
    };
    if observed.has_unreadable_syncs && !expectation.is_final(state, &violations) {
        return Some(unknown);
    }
    Some(Judgement {
        state,
        violations: violations.into(),
        unverified: unverified.into(),
        expectation: index,
    })
}

impl Expectation {
    /// Whether the sync has the type, a name and an owner that the expectation is about.
    pub(super) fn is_about(&self, sync: &DataSync, properties: Properties<'_>) -> bool {
        sync.sync_type == self.request.sync_type
            && self.request.accepts_name(&sync.name, properties)
            && (self.managed_by.is_empty() || self.managed_by.contains(&sync.managed_by()))
    }

    /// Whether the expectation is about this sync of `target`, which it selects. False while that
    /// depends on the id of the account, and the id is not known.
    pub(crate) fn is_about_sync(
        &self,
        target: &Target,
        account_id: Option<&AccountId>,
        sync: &DataSync,
    ) -> bool {
        let is_name_known =
            account_id.is_some() || !self.request.names.iter().any(TextPattern::needs_account_id);
        is_name_known && self.is_about(sync, Properties { target, account_id })
    }

    /// Whether the state would be the same if the target had further syncs.
    fn is_final(&self, state: ExpectationState, violations: &[Violation]) -> bool {
        match self.presence {
            Presence::Required => {
                let is_of_sync =
                    |violation: &Violation| matches!(violation.subject, ViolationSubject::Sync(_));
                violations.iter().all(is_of_sync)
            }
            Presence::Allowed | Presence::Forbidden => state.is_violation(),
        }
    }

    fn needs_account_id(&self) -> bool {
        self.request.patterns().any(TextPattern::needs_account_id)
    }
}

/// A sync that an expectation is about, compared with it.
struct Candidate {
    sync: usize,
    differences: Vec<Field>,
    unverified: Vec<SyncField>,
}

impl Candidate {
    fn new(sync: usize, expectation: &Expectation, found: &DataSync, properties: Properties<'_>) -> Self {
        let (mut differences, mut unverified) = (Vec::new(), Vec::new());
        for (field, outcome) in compare(&expectation.request, found, properties) {
            match outcome {
                Outcome::Equal => {}
                Outcome::Different => differences.push(field),
                Outcome::NotReported => unverified.push(SyncField { sync, field }),
            }
        }
        Self { sync, differences, unverified }
    }

    fn violations(&self, subject: ViolationSubject) -> impl Iterator<Item = Violation> {
        self.differences.iter().map(move |field| Violation { subject, field: *field })
    }
}

type Finding = (ExpectationState, Vec<Violation>, Vec<SyncField>);

/// At least one candidate has to be as described. The others do not matter.
fn required(expectation: &Expectation, candidates: Vec<Candidate>) -> Finding {
    let best = candidates
        .into_iter()
        .min_by_key(|candidate| (candidate.differences.len(), candidate.unverified.len()));
    let Some(best) = best else {
        let absent = Violation { subject: ViolationSubject::Absent, field: Field::Presence };
        return (ExpectationState::Missing, vec![absent], Vec::new());
    };
    let subject = match expectation.request.single_name() {
        Some(_) => ViolationSubject::Sync(best.sync),
        None => ViolationSubject::Closest(best.sync),
    };
    let violations: Vec<Violation> = best.violations(subject).collect();
    (met_unless(&violations, ExpectationState::Drifted), violations, best.unverified)
}

/// Every candidate has to be as described.
fn allowed(candidates: Vec<Candidate>) -> Finding {
    let violations: Vec<Violation> = candidates
        .iter()
        .flat_map(|candidate| candidate.violations(ViolationSubject::Sync(candidate.sync)))
        .collect();
    let unverified = candidates.into_iter().flat_map(|candidate| candidate.unverified).collect();
    (met_unless(&violations, ExpectationState::Drifted), violations, unverified)
}

/// No candidate may be as described. If AWS does not report a field, the candidate may be different, so
/// it is no violation.
fn forbidden(candidates: Vec<Candidate>) -> Finding {
    let (mut violations, mut unverified) = (Vec::new(), Vec::new());
    for candidate in candidates.into_iter().filter(|candidate| candidate.differences.is_empty()) {
        if candidate.unverified.is_empty() {
            let subject = ViolationSubject::Sync(candidate.sync);
            violations.push(Violation { subject, field: Field::Forbidden });
        }
        unverified.extend(candidate.unverified);
    }
    (met_unless(&violations, ExpectationState::Forbidden), violations, unverified)
}

fn met_unless(violations: &[Violation], state: ExpectationState) -> ExpectationState {
    if violations.is_empty() { ExpectationState::Met } else { state }
}

#[cfg(test)]
mod tests;
