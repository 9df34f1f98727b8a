//! Turns that are still to come.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::Turn;

/// Turns, by the moment at which they are due.
#[derive(Debug, Default)]
pub(super) struct DelayedTurns {
    turns: BTreeMap<(Instant, u64), Turn>,
    /// A number for each turn: several may be due at the same moment.
    tickets: u64,
}

impl DelayedTurns {
    pub(super) fn push(&mut self, turn: Turn) {
        self.turns.insert((turn.due, self.tickets), turn);
        self.tickets += 1;
    }

    /// Waits until a turn is due.
    pub(super) async fn next(&mut self) -> Option<Turn> {
        let (due, _) = self.turns.first_key_value()?.0;
        tokio::time::sleep_until(*due).await;
        self.turns.pop_first().map(|(_, turn)| turn)
    }

    /// Drops those that are not to be kept.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&Turn) -> bool) {
        self.turns.retain(|_, turn| is_kept(turn));
    }

    /// Takes all of them out.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Turn> + use<> {
        std::mem::take(&mut self.turns).into_values()
    }
}
