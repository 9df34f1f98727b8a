//! The word, the symbol and the colour of each health.

use anstyle::{AnsiColor, Style};

use crate::expectations::ExpectationState;
use crate::health::Health;
use crate::terminal::Word;

/// The style of headings.
pub(super) const HEADING: Style = Style::new().bold();

/// The symbol and the word, such as `✗ failed`.
pub(super) fn status(health: Health) -> Word {
    Word::new(&format!("{} {}", symbol(health), label(health))).styled(style(health))
}

/// The number of targets or syncs with this health, such as `2 failed`.
pub(super) fn count(number: usize, health: Health) -> Word {
    Word::new(&format!("{number} {}", label(health))).styled(style(health))
}

/// The symbol and the word for a violation, such as `≠ missing`.
pub(super) fn violation(state: ExpectationState) -> Word {
    Word::new(&format!("≠ {}", state.as_str())).styled(style_of_state(state))
}

/// The number of targets in this state, such as `2 drifted`.
pub(super) fn count_of_state(number: u32, state: ExpectationState) -> Word {
    Word::new(&format!("{number} {}", state.as_str())).styled(style_of_state(state))
}

fn style_of_state(state: ExpectationState) -> Style {
    match state {
        ExpectationState::Met => AnsiColor::Green.on_default(),
        ExpectationState::Missing | ExpectationState::Drifted | ExpectationState::Forbidden => {
            AnsiColor::Magenta.on_default().bold()
        }
        ExpectationState::Unknown => AnsiColor::Yellow.on_default(),
    }
}

fn label(health: Health) -> &'static str {
    match health {
        Health::Down => "down",
        Health::Failed => "failed",
        Health::SourceFault => "source fault",
        Health::Stale => "stale",
        Health::Stuck => "stuck",
        Health::InProgress => "in progress",
        Health::Healthy => "healthy",
        Health::NotCollected => "not collected",
        Health::NoSyncs => "no syncs",
    }
}

/// Each symbol has its own shape, so that readers need no colour to find the problems.
fn symbol(health: Health) -> char {
    match health {
        Health::Down => '▼',
        Health::Failed => '✗',
        Health::SourceFault => '▲',
        Health::Stale => '○',
        Health::Stuck => '■',
        Health::InProgress => '►',
        Health::Healthy => '✓',
        Health::NotCollected => '?',
        Health::NoSyncs => '-',
    }
}

fn style(health: Health) -> Style {
    match health {
        Health::Down | Health::Failed => AnsiColor::Red.on_default().bold(),
        Health::SourceFault => AnsiColor::Red.on_default(),
        Health::Stale | Health::Stuck | Health::NotCollected => AnsiColor::Yellow.on_default(),
        Health::InProgress => AnsiColor::Cyan.on_default(),
        Health::Healthy => AnsiColor::Green.on_default(),
        Health::NoSyncs => Style::new().dimmed(),
    }
}
