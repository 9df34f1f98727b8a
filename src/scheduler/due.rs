//! Turns that are due, in the order in which they are served.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::Turn;
use crate::target::AccountKey;

/// Targets whose turn has come and that the limit on collections holds back.
///
/// The next one is always of an account with the fewest collections under way,
/// and among those the one that has waited longest. So an account that hangs
/// holds as many places as nobody else wants, and no more.
#[derive(Debug, Default)]
pub(super) struct Due {
    accounts: HashMap<AccountKey, Account>,
    /// All accounts that have turns: how many collections of theirs are under
    /// way, since when they wait, and which they are.
    order: BTreeSet<(usize, u64, AccountKey)>,
    /// A number for each account that begins to wait.
    tickets: u64,
}

#[derive(Debug, Default)]
struct Account {
    turns: VecDeque<Turn>,
    running: usize,
    ticket: u64,
}

impl Due {
    /// A target's turn has come.
    pub(super) fn push(&mut self, turn: Turn) {
        let key = turn.slot.target().account.key();
        let account = self.accounts.entry(key.clone()).or_default();
        account.turns.push_back(turn);
        if account.turns.len() == 1 {
            account.ticket = self.tickets;
            self.tickets += 1;
            self.order.insert((account.running, account.ticket, key));
        }
    }

    /// The turn to serve next. From then on its account has one more
    /// collection under way.
    pub(super) fn pop(&mut self) -> Option<Turn> {
        let (_, _, key) = self.order.pop_first()?;
        let account = self.accounts.get_mut(&key)?;
        let turn = account.turns.pop_front()?;
        account.running += 1;
        if !account.turns.is_empty() {
            account.ticket = self.tickets;
            self.tickets += 1;
            self.order.insert((account.running, account.ticket, key));
        }
        Some(turn)
    }

    /// A collection of an account is not under way any longer.
    pub(super) fn ended(&mut self, key: &AccountKey) {
        let Some(account) = self.accounts.get_mut(key) else { return };
        let was = (account.running, account.ticket, key.clone());
        account.running = account.running.saturating_sub(1);
        if self.order.remove(&was) {
            self.order.insert((account.running, account.ticket, key.clone()));
        } else if account.running == 0 {
            self.accounts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::snapshot::Store;
    use crate::target::{Account, Plan, Target};

    /// A turn for each of the accounts, a letter each.
    fn due(accounts: &str) -> Due {
        let region = |index: usize| format!("eu-west-{}", index + 1).parse().unwrap();
        let target = |(index, letter): (usize, char)| Target {
            account: Arc::new(Account {
                id: Some(format!("{:012}", u32::from(letter)).parse().unwrap()),
                name: Some(letter.to_string()),
                ..Account::default()
            }),
            region: region(index),
        };
        let plan = Plan { targets: accounts.chars().enumerate().map(target).collect(), awaited: 0 };
        let mut due = Due::default();
        for slot in Store::new(Duration::ZERO).adopt(&plan) {
            due.push(Turn { slot, due: Instant::now() });
        }
        due
    }

    fn pop(due: &mut Due, number: usize) -> String {
        (0..number).filter_map(|_| due.pop()?.slot.target().account.name.clone()).collect()
    }

    #[tokio::test]
    async fn accounts_take_turns() {
        let mut due = due("aaaabbc");
        assert_eq!(pop(&mut due, 9), "abcabaa");
        assert_eq!(pop(&mut due, 1), "");
    }

    #[tokio::test]
    async fn an_account_that_hangs_gets_no_more_places_while_others_want_them() {
        let mut due = due("aaaabbbcc");
        let key = |letter: char| AccountKey::Id(format!("{:012}", u32::from(letter)).parse().unwrap());
        // There are two places: `a` takes one and keeps it.
        assert_eq!(pop(&mut due, 2), "ab");
        let mut served = String::new();
        for letter in ['b', 'c', 'b', 'c', 'b'] {
            due.ended(&key(letter));
            served += &pop(&mut due, 1);
        }
        assert_eq!(served, "cbcba", "only when nobody else waits");
    }

    #[tokio::test]
    async fn nothing_is_left_of_what_has_ended() {
        let mut due = due("aab");
        assert_eq!(pop(&mut due, 3).len(), 3);
        for letter in ['a', 'b', 'a'] {
            due.ended(&AccountKey::Id(format!("{:012}", u32::from(letter)).parse().unwrap()));
        }
        assert!(due.accounts.is_empty() && due.order.is_empty());
    }
}
