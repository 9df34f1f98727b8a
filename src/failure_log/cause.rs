//! Decides which failures have the same cause.

use super::subject::{Problem, Subject};
use crate::model::{Failure, Reason};

/// The cause of a failure, derived from its reason and message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    Known {
        problem: Problem,
        reason: Reason,
        /// The message without the parts that are different for each subject or request.
        message: String,
    },
    /// One of the causes that are not logged separately, because there are too many.
    Other,
}

impl Cause {
    pub(super) fn of(subject: &Subject, problem: Problem, failure: &Failure) -> Self {
        let names = [&subject.account, &subject.region, &subject.source];
        let names: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
        Self::Known { problem, reason: failure.reason, message: without_details(&failure.message, &names) }
    }
}

/// Replaces a detail.
const DETAIL: &str = "…";

/// Replaces `names` and all words that may be different for each subject or request: account
/// ids, ARNs, request ids, regions, hosts, addresses and quoted names. Failures with the same reason
/// and the same result have the same cause.
pub(crate) fn without_details(message: &str, names: &[&str]) -> String {
    let mut message = message.to_owned();
    for name in names.iter().filter(|name| !name.is_empty()) {
        message = message.replace(name, DETAIL);
    }
    let mut words: Vec<&str> = Vec::new();
    let mut previous = "";
    for word in message.split_whitespace() {
        let replaced = if previous == "(request" || is_detail(word) { DETAIL } else { word };
        // The number of details in a row does not matter.
        if replaced != DETAIL || words.last() != Some(&DETAIL) {
            words.push(replaced);
        }
        previous = word;
    }
    words.join(" ")
}

fn is_detail(word: &str) -> bool {
    // Punctuation at the end of a word is not part of it.
    let word = word.trim_end_matches(|c: char| c.is_ascii_punctuation());
    let has_detail = |c: char| c.is_ascii_digit() || matches!(c, '.' | '/' | '…');
    word.contains(has_detail) || word.starts_with(['`', '"', '\'', '<']) || word.starts_with("arn:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(account: &str, region: &str, message: &str) -> Cause {
        let subject = Subject::target(format!("{account}/{region}"), account.to_owned(), region);
        Cause::of(&subject, Problem::TargetFailing, &Failure::new(Reason::Other, message))
    }

    #[test]
    fn details_of_targets_and_requests_do_not_matter() {
        for (one, other) in [
            (
                "dispatch failure: io error: client error (Connect): dns error: ssm.eu-west-1.amazonaws.com: not found",
                "dispatch failure: io error: client error (Connect): dns error: ssm.us-east-1.amazonaws.com: not found",
            ),
            ("tcp connect error: 127.0.0.1:4566: refused", "tcp connect error: [::1]:80: refused"),
            (
                "AccessDenied: User: arn:aws:sts::111122223333:assumed-role/A/b is not authorized (request 1f0e-77)",
                "AccessDenied: User: arn:aws:sts::444455556666:assumed-role/C/d is not authorized (request abc)",
            ),
            (
                "cannot list syncs of 111122223333 in eu-west-1",
                "cannot list syncs of 444455556666 in us-east-1",
            ),
            ("the profile `one` was not defined", "the profile `two` was not defined"),
            ("no answer within 7.5s", "no answer within 625ms"),
            ("hosts a.example b.example failed", "hosts c.example failed"),
        ] {
            assert_eq!(cause("111122223333", "eu-west-1", one), cause("444455556666", "us-east-1", other));
        }
    }

    #[test]
    fn different_messages_and_reasons_are_different_causes() {
        let denied = cause("111122223333", "eu-west-1", "AccessDenied: not authorized to list");
        assert_ne!(denied, cause("111122223333", "eu-west-1", "AccessDenied: not authorized to assume"));
        let subject = Subject::target("a".to_owned(), "111122223333".to_owned(), "eu-west-1");
        let failure = Failure::new(Reason::AccessDenied, "AccessDenied: not authorized to list");
        assert_ne!(denied, Cause::of(&subject, Problem::TargetFailing, &failure));
    }
}
