//! The symbol and the colour of each outcome, and the names of steps.

use anstyle::{AnsiColor, Style};

use super::super::check::{Outcome, Step};
use crate::aws::CredentialOrigin;
use crate::terminal::Word;

/// Describes [`Step::ListManagedNodes`].
pub(super) const LIST_MANAGED_NODES: &str = "look up managed nodes";

/// The style of headings.
pub(super) const HEADING: Style = Style::new().bold();

const PASSED: Style = AnsiColor::Green.on_default();
const FAILED: Style = AnsiColor::Red.on_default().bold();

pub(super) fn symbol(outcome: &Outcome) -> Word {
    match outcome {
        Outcome::Passed(_) => passed_symbol(),
        Outcome::Failed(_) => failed_symbol(),
        Outcome::NotTested => not_tested_symbol(),
    }
}

pub(super) fn passed_symbol() -> Word {
    Word::new("✓").styled(PASSED)
}

pub(super) fn failed_symbol() -> Word {
    Word::new("✗").styled(FAILED)
}

pub(super) fn not_tested_symbol() -> Word {
    Word::new("–").styled(Style::new().dimmed())
}

pub(super) fn failed(text: &str) -> Word {
    Word::new(text).styled(FAILED)
}

/// The number of a cause, such as `[1]`.
pub(super) fn cause_number(index: usize) -> Word {
    failed(&format!("[{}]", index + 1))
}

/// What the step does.
pub(super) fn describe(step: &Step) -> String {
    match step {
        Step::Targets => "targets".to_owned(),
        Step::Clock => "clock".to_owned(),
        Step::Credentials(origin) => format!("credentials: {}", describe_origin(origin)),
        Step::AssumeRole { role_arn, .. } => format!("assume {role_arn}"),
        Step::ListAccounts => "list the accounts".to_owned(),
        Step::ListUnits => "list the organizational units".to_owned(),
        Step::ListRegions => "list the enabled regions".to_owned(),
        Step::ListSyncs(sync_type) => format!("list {sync_type}"),
        Step::ListManagedNodes => LIST_MANAGED_NODES.to_owned(),
    }
}

/// Where credentials come from, such as `profile prod, static keys (/home/ops/.aws/credentials)`.
pub(super) fn describe_origin(origin: &CredentialOrigin) -> String {
    let CredentialOrigin { profile, provider, source } = origin;
    let chain = profile.as_ref().map_or_else(|| "default chain".to_owned(), |name| format!("profile {name}"));
    let provider = provider.as_ref().map(|provider| format!(", {provider}")).unwrap_or_default();
    let source = source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
    format!("{chain}{provider}{source}")
}
