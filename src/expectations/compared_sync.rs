//! A single sync, compared with an expectation field by field.

use super::Expectation;
use super::comparison::{Outcome, compare, found_text, wanted_text};
use super::field::Field;
use super::judgement::ObservedTarget;
use crate::model::DataSync;

/// A field of a sync that matters to an expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ComparedField {
    pub(crate) field: Field,
    pub(crate) outcome: Outcome,
    /// What the field has to be, for people. `None` if it has to be absent.
    pub(crate) wanted: Option<String>,
    /// What AWS reports, for people. `None` if AWS reports nothing.
    pub(crate) found: Option<String>,
}

impl Expectation {
    /// Every field that matters of a sync of the target. `None` if the sync does not have the type, a
    /// name and an owner that the expectation is about. Does not check whether the expectation is about
    /// the target.
    pub(crate) fn compared_fields(
        &self,
        sync: &DataSync,
        observed: &ObservedTarget<'_>,
    ) -> Option<Vec<ComparedField>> {
        let properties = observed.properties();
        if !self.is_about(sync, properties) {
            return None;
        }
        let outcomes = compare(&self.request, sync, properties);
        let fields = outcomes.filter_map(|(field, outcome)| {
            Some(ComparedField {
                field,
                outcome,
                wanted: wanted_text(self.request.value(field)?, properties),
                found: found_text(sync, field),
            })
        });
        Some(fields.collect())
    }

    /// What each field that matters has to be in the target, for people. The text is `None` if the
    /// field has to be absent.
    pub(crate) fn wanted_fields(&self, observed: &ObservedTarget<'_>) -> Vec<(Field, Option<String>)> {
        let text = |(field, value)| (field, wanted_text(value, observed.properties()));
        self.request.values().map(text).collect()
    }

    /// Whether the expectation accepts a sync with this name in the target.
    pub(crate) fn accepts_name(&self, name: &str, observed: &ObservedTarget<'_>) -> bool {
        self.request.accepts_name(name, observed.properties())
    }
}
