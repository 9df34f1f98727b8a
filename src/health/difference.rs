//! A violation of an expectation by a target, with everything that is shown of it.

use std::borrow::Cow;

use super::AssessedTarget;
use crate::expectations::{Expectation, Field, Violation, ViolationSubject};

/// How a reader is told that a field has to be absent.
pub(crate) const ABSENT: &str = "absent";

/// How a reader is told that AWS reports nothing for a field.
pub(crate) const NOT_REPORTED: &str = "not reported";

/// How a reader is told that AWS reports an empty list.
pub(crate) const EMPTY_LIST: &str = "none";

/// A violation of an expectation by a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference<'a> {
    pub(crate) field: Field,
    pub(crate) subject: ViolationSubject,
    pub(crate) sync_type: &'a str,
    /// `None` if a sync of another name would do as well.
    pub(crate) sync_name: Option<Cow<'a, str>>,
    /// `None` if the field has to be absent, or if the violation is about the presence of the sync.
    pub(crate) wanted: Option<String>,
    /// `None` if AWS reports nothing, or if the violation is about the presence of the sync.
    pub(crate) found: Option<String>,
}

impl<'a> Difference<'a> {
    /// The violation of `expectation` by `target`.
    pub(crate) fn new(
        target: &'a AssessedTarget,
        expectation: &'a Expectation,
        violation: &Violation,
    ) -> Self {
        let observed = target.observed();
        Self {
            field: violation.field,
            subject: violation.subject,
            sync_type: expectation.request.sync_type.as_str(),
            sync_name: violation.sync_name(expectation, &observed),
            wanted: violation.wanted(expectation, &observed),
            found: violation.found(&observed),
        }
    }

    /// What the field has to be, as text or in a word.
    pub(crate) fn wanted_text(&self) -> &str {
        self.wanted.as_deref().unwrap_or(ABSENT)
    }

    /// What AWS reports for the field, as text or in a word.
    pub(crate) fn found_text(&self) -> &str {
        match self.found.as_deref() {
            None => NOT_REPORTED,
            Some("") => EMPTY_LIST,
            Some(found) => found,
        }
    }
}
