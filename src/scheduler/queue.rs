//! Turns that are due, in the order in which they are served.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::num::NonZeroUsize;

use super::Turn;
use crate::fleet::{AccountKey, RegionName, TargetList};

/// Targets whose turn has come and that the limit on collections holds back.
///
/// The next one is always of an account with the fewest collections under way,
/// and among those the one that has waited longest. And no account and no
/// region ever has more than half of the places, if there are others: one that
/// hangs, be it a region for all accounts, leaves room for what does not. Those
/// that hung when they were last collected have no more than half all together,
/// so that even many of them do.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue {
    accounts: HashMap<AccountKey, Account>,
    /// All accounts that have turns: how many collections of theirs are under
    /// way, since when they wait, and which they are.
    order: BTreeSet<(usize, u64, AccountKey)>,
    regions: HashMap<RegionName, Share>,
    suspects: Share,
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

/// What has no more than its share of the places.
#[derive(Debug, Default)]
struct Share {
    running: usize,
    /// Turns that wait for others of the kind to end.
    held: VecDeque<Turn>,
}

impl ReadyQueue {
    /// There are so many `places` from now on, for the accounts and regions of `plan`.
    pub(super) fn share_out(&mut self, places: NonZeroUsize, plan: &TargetList) {
        self.places = places.get();
        let share = |sharers: usize| if sharers > 1 { self.half() } else { self.places };
        let accounts: HashSet<AccountKey> = plan.targets.iter().map(|target| target.account.key()).collect();
        let regions: HashSet<&RegionName> = plan.targets.iter().map(|target| &target.region).collect();
        (self.most_of_account, self.most_of_region) = (share(accounts.len()), share(regions.len()));
        let shares = self.regions.values_mut().chain([&mut self.suspects]);
        let held: Vec<Turn> = shares.flat_map(|share| share.held.drain(..)).collect();
        for turn in held {
            self.push(turn);
        }
    }

    /// All turns that are held back.
    pub(super) fn turns_mut(&mut self) -> impl Iterator<Item = &mut Turn> {
        let of_accounts = self.accounts.values_mut().flat_map(|account| &mut account.turns);
        let shares = self.regions.values_mut().chain([&mut self.suspects]);
        of_accounts.chain(shares.flat_map(|share| &mut share.held))
    }

    fn half(&self) -> usize {
        self.places.div_ceil(2)
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
        let half = self.half();
        loop {
            if self.order.first()?.0 >= self.most_of_account {
                return None;
            }
            let (_, _, key) = self.order.pop_first()?;
            let account = self.accounts.get_mut(&key)?;
            let turn = account.turns.pop_front()?;
            let region = self.regions.entry(turn.slot.target().region.clone()).or_default();
            let full = if region.running >= self.most_of_region {
                Some(&mut *region)
            } else if turn.suspect && self.suspects.running >= half {
                Some(&mut self.suspects)
            } else {
                None
            };
            let served = match full {
                Some(share) => {
                    share.held.push_back(turn);
                    None
                }
                None => {
                    account.running += 1;
                    region.running += 1;
                    self.suspects.running += usize::from(turn.suspect);
                    Some(turn)
                }
            };
            if !account.turns.is_empty() {
                account.ticket = self.tickets;
                self.tickets += 1;
                self.order.insert((account.running, account.ticket, key));
            } else if account.running == 0 {
                self.accounts.remove(&key);
            }
            if served.is_some() {
                return served;
            }
        }
    }

    /// The collection of a turn is not under way any longer.
    pub(super) fn ended(&mut self, turn: &Turn) {
        let target = turn.slot.target();
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
        let mut free = Vec::new();
        if let Some(region) = self.regions.get_mut(&target.region) {
            region.running = region.running.saturating_sub(1);
            // All of them, for the first may be of an account without room.
            free.extend(region.held.drain(..));
            if region.running == 0 {
                self.regions.remove(&target.region);
            }
        }
        if turn.suspect {
            self.suspects.running = self.suspects.running.saturating_sub(1);
            free.extend(self.suspects.held.drain(..));
        }
        for turn in free {
            self.push(turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;
    use crate::fleet::{Account, Target, TargetList};
    use crate::snapshot::{Slot, Store};

    /// A turn for each of the targets, which are a letter for the account and
    /// a digit for the region each.
    fn due(places: usize, targets: &str) -> ReadyQueue {
        let plan = TargetList {
            targets: targets.split(' ').map(target).collect(),
            pending: 0,
            ..TargetList::default()
        };
        let mut due = ReadyQueue::default();
        due.share_out(places.try_into().unwrap(), &plan);
        for slot in Store::new(Duration::ZERO).set_targets(&plan) {
            due.push(turn(slot));
        }
        due
    }

    /// Turns of the region 9 are those of suspects.
    fn turn(slot: Arc<Slot>) -> Turn {
        let suspect = slot.target().region.as_str().ends_with('9');
        Turn { slot, due: Instant::now(), begun: Instant::now(), counts_from: None, suspect }
    }

    fn ended(due: &mut ReadyQueue, text: &str) {
        let plan = TargetList { targets: vec![target(text)], pending: 0, ..TargetList::default() };
        let slot = Store::new(Duration::ZERO).set_targets(&plan).remove(0);
        due.ended(&turn(slot));
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

    fn pop(due: &mut ReadyQueue, number: usize) -> String {
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
        for (ended_one, next) in [("b1", "b3"), ("b2", ""), ("b3", "")] {
            ended(&mut due, ended_one);
            assert_eq!(pop(&mut due, 1), next);
        }
        ended(&mut due, "a2");
        assert_eq!(pop(&mut due, 4), "a3");
    }

    #[tokio::test]
    async fn a_region_that_hangs_leaves_half_of_the_places_to_others() {
        let mut due = due(4, "a1 b1 c1 d1 e1 f2 g2 h2");
        assert_eq!(pop(&mut due, 4), "a1 b1 f2 g2");
        ended(&mut due, "f2");
        assert_eq!(pop(&mut due, 4), "h2");
        ended(&mut due, "g2");
        assert_eq!(pop(&mut due, 4), "");
        ended(&mut due, "b1");
        assert_eq!(pop(&mut due, 4), "c1", "in the order in which they came");
    }

    #[tokio::test]
    async fn those_that_hung_leave_half_of_the_places_to_others() {
        let mut due = due(4, "a9 b9 c9 d9 e1 f2 g3");
        assert_eq!(pop(&mut due, 4), "a9 b9 e1 f2");
        ended(&mut due, "e1");
        assert_eq!(pop(&mut due, 4), "g3");
        ended(&mut due, "g3");
        assert_eq!(pop(&mut due, 4), "");
        ended(&mut due, "a9");
        assert_eq!(pop(&mut due, 4), "c9");
        ended(&mut due, "b9");
        assert_eq!(pop(&mut due, 4), "d9");
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
            if let Some(first) = under_way.pop_front() {
                ended(&mut due, &first);
            }
        }
        assert!(due.accounts.is_empty() && due.order.is_empty() && due.regions.is_empty(), "{due:?}");
    }

    #[tokio::test]
    async fn a_turn_that_is_held_waits_for_no_account_but_its_own() {
        let mut due = due(2, "b2 a2 a1 c2");
        assert_eq!(pop(&mut due, 2), "b2 a1");
        ended(&mut due, "b2");
        assert_eq!(pop(&mut due, 2), "c2", "a has its share");
    }

    proptest! {
        #[test]
        fn turns_are_neither_lost_nor_held_without_need(
            targets in proptest::collection::hash_set("[a-f][1-9]", 1..30),
            places in 1usize..9,
            steps in proptest::collection::vec(0usize..64, 200),
        ) {
            let targets: Vec<String> = targets.into_iter().collect();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _context = runtime.enter();
            let mut due = due(places, &targets.join(" "));
            let mut under_way: Vec<String> = Vec::new();
            let mut served = 0;
            for step in steps {
                while under_way.len() < places {
                    let next = pop(&mut due, 1);
                    if next.is_empty() {
                        break;
                    }
                    served += 1;
                    under_way.push(next);
                }
                // What is left over has no room in its account, its region or
                // among the suspects.
                if under_way.len() < places {
                    let running = |is: &dyn Fn(&str) -> bool| under_way.iter().filter(|at_work| is(at_work)).count();
                    let queued = due.accounts.values().flat_map(|account| &account.turns);
                    let held = due.regions.values().chain([&due.suspects]).flat_map(|share| &share.held);
                    for turn in queued.chain(held) {
                        let target = turn.slot.target();
                        let letter = target.account.name.clone().unwrap();
                        let digit = target.region.as_str().trim_start_matches("eu-west-").to_owned();
                        let full = running(&|at_work| at_work.starts_with(&letter)) >= due.most_of_account
                            || running(&|at_work| at_work.ends_with(&digit)) >= due.most_of_region
                            || (turn.suspect && running(&|at_work| at_work.ends_with('9')) >= due.half());
                        prop_assert!(full, "{letter}{digit} waits, under way are {under_way:?}");
                    }
                }
                if !under_way.is_empty() {
                    let over = under_way.remove(step % under_way.len());
                    ended(&mut due, &over);
                }
            }
            prop_assert_eq!(served, targets.len());
            prop_assert!(due.accounts.is_empty() && due.order.is_empty() && due.regions.is_empty());
        }
    }
}
