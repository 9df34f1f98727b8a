//! Turns that are due, in the order in which they are served.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::Turn;
use crate::target::{AccountKey, Plan, RegionName, Target};

/// Targets whose turn has come and that the limit on collections holds back.
///
/// The next one is always of an account with the fewest collections under way,
/// and among those the one that has waited longest. And no account and no
/// region ever has more than half of the places, if there are others: one that
/// hangs, be it a region for all accounts, leaves room for what does not.
#[derive(Debug)]
pub(super) struct Due {
    accounts: HashMap<AccountKey, Account>,
    /// All accounts that have turns: how many collections of theirs are under
    /// way, since when they wait, and which they are.
    order: BTreeSet<(usize, u64, AccountKey)>,
    regions: HashMap<RegionName, Region>,
    /// A number for each account that begins to wait.
    tickets: u64,
    /// How many places there are in all, and for one account and one region.
    places: usize,
    most_of_account: usize,
    most_of_region: usize,
}

#[derive(Debug, Default)]
struct Account {
    turns: VecDeque<Turn>,
    running: usize,
    ticket: u64,
}

#[derive(Debug, Default)]
struct Region {
    running: usize,
    /// Turns that wait for others of the region to end.
    held: VecDeque<Turn>,
}

impl Due {
    /// Nothing is due. There are so many `places` for what will be.
    pub(super) fn new(places: usize) -> Self {
        Self {
            accounts: HashMap::new(),
            order: BTreeSet::new(),
            regions: HashMap::new(),
            tickets: 0,
            places,
            most_of_account: places,
            most_of_region: places,
        }
    }

    /// Looks at which accounts and regions there are.
    pub(super) fn share_out(&mut self, plan: &Plan) {
        let share = |sharers: usize| if sharers > 1 { (self.places / 2).max(1) } else { self.places };
        let accounts: HashSet<AccountKey> = plan.targets.iter().map(|target| target.account.key()).collect();
        let regions: HashSet<&RegionName> = plan.targets.iter().map(|target| &target.region).collect();
        (self.most_of_account, self.most_of_region) = (share(accounts.len()), share(regions.len()));
    }

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

    /// The turn to serve next, if one may be served. From then on its account
    /// and its region have one more collection under way.
    pub(super) fn pop(&mut self) -> Option<Turn> {
        loop {
            if self.order.first()?.0 >= self.most_of_account {
                return None;
            }
            let (_, _, key) = self.order.pop_first()?;
            let account = self.accounts.get_mut(&key)?;
            let turn = account.turns.pop_front()?;
            let region = self.regions.entry(turn.slot.target().region.clone()).or_default();
            let held = region.running >= self.most_of_region;
            if !held {
                account.running += 1;
                region.running += 1;
            }
            if !account.turns.is_empty() {
                account.ticket = self.tickets;
                self.tickets += 1;
                self.order.insert((account.running, account.ticket, key));
            } else if account.running == 0 {
                self.accounts.remove(&key);
            }
            if !held {
                return Some(turn);
            }
            region.held.push_back(turn);
        }
    }

    /// A collection of `target` is not under way any longer.
    pub(super) fn ended(&mut self, target: &Target) {
        let key = target.account.key();
        if let Some(account) = self.accounts.get_mut(&key) {
            let was = (account.running, account.ticket, key.clone());
            account.running = account.running.saturating_sub(1);
            if self.order.remove(&was) {
                self.order.insert((account.running, account.ticket, key));
            } else if account.running == 0 {
                self.accounts.remove(&key);
            }
        }
        if let Some(region) = self.regions.get_mut(&target.region) {
            region.running = region.running.saturating_sub(1);
            match region.held.pop_front() {
                Some(turn) => self.push(turn),
                None if region.running == 0 => drop(self.regions.remove(&target.region)),
                None => {}
            }
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

    /// A turn for each of the targets, which are a letter for the account and
    /// a digit for the region each.
    fn due(places: usize, targets: &str) -> Due {
        let mut due = Due::new(places);
        let plan = Plan { targets: targets.split(' ').map(target).collect(), awaited: 0 };
        due.share_out(&plan);
        for slot in Store::new(Duration::ZERO).adopt(&plan) {
            due.push(Turn { slot, due: Instant::now() });
        }
        due
    }

    fn target(text: &str) -> Target {
        let (letter, digit) = text.split_at(1);
        Target {
            account: Arc::new(Account {
                id: Some(format!("{:012}", letter.as_bytes()[0]).parse().unwrap()),
                name: Some(letter.to_owned()),
                ..Account::default()
            }),
            region: format!("eu-west-{digit}").parse().unwrap(),
        }
    }

    fn pop(due: &mut Due, number: usize) -> String {
        let shown = |turn: Turn| {
            let target = turn.slot.target();
            format!(
                "{}{} ",
                target.account.name.as_deref().unwrap(),
                target.region.as_str().trim_start_matches("eu-west-")
            )
        };
        (0..number).filter_map(|_| due.pop().map(shown)).collect::<String>().trim_end().to_owned()
    }

    #[tokio::test]
    async fn accounts_take_turns() {
        let mut due = due(100, "a1 a2 a3 a4 b1 b2 c1");
        assert_eq!(pop(&mut due, 9), "a1 b1 c1 a2 b2 a3 a4");
    }

    #[tokio::test]
    async fn an_account_that_hangs_leaves_half_of_the_places_to_others() {
        let mut due = due(4, "a1 a2 a3 a4 a5 b1 b2 b3");
        // `a` hangs; `b` is quick.
        assert_eq!(pop(&mut due, 4), "a1 b1 a2 b2");
        for (ended, next) in [("b1", "b3"), ("b2", ""), ("b3", "")] {
            due.ended(&target(ended));
            assert_eq!(pop(&mut due, 1), next);
        }
        due.ended(&target("a2"));
        assert_eq!(pop(&mut due, 4), "a3");
    }

    #[tokio::test]
    async fn a_region_that_hangs_leaves_half_of_the_places_to_others() {
        let mut due = due(4, "a1 b1 c1 d1 e1 f2 g2 h2");
        assert_eq!(pop(&mut due, 4), "a1 b1 f2 g2");
        due.ended(&target("f2"));
        assert_eq!(pop(&mut due, 4), "h2");
        due.ended(&target("g2"));
        assert_eq!(pop(&mut due, 4), "");
        due.ended(&target("b1"));
        assert_eq!(pop(&mut due, 4), "c1", "in the order in which they came");
    }

    #[tokio::test]
    async fn who_is_alone_has_all_places() {
        assert_eq!(pop(&mut due(4, "a1 a2 a3 a4 a5"), 4), "a1 a2 a3 a4");
        assert_eq!(pop(&mut due(4, "a1 b1 c1 d1 e1"), 4), "a1 b1 c1 d1");
        assert_eq!(pop(&mut due(1, "a1 b2"), 1), "a1", "half of one is one");
    }

    #[tokio::test]
    async fn nothing_is_left_of_what_has_ended() {
        let mut due = due(4, "a1 b1 c1 d1 a2");
        let mut under_way: VecDeque<String> = VecDeque::new();
        for _ in 0..10 {
            let served = pop(&mut due, 4);
            under_way.extend(served.split(' ').filter(|served| !served.is_empty()).map(ToOwned::to_owned));
            if let Some(ended) = under_way.pop_front() {
                due.ended(&target(&ended));
            }
        }
        assert!(due.accounts.is_empty() && due.order.is_empty() && due.regions.is_empty(), "{due:?}");
    }
}
