//! A bounded set of tokens, which evicts the least recently used.

use std::collections::HashMap;

/// A keyed hash of a user, its password hash and a password.
pub(super) type Token = [u8; 32];

#[derive(Debug)]
pub(super) struct TokenCache {
    /// The value of `lookups` when each token was last used.
    last_used: HashMap<Token, u64>,
    lookups: u64,
    capacity: usize,
}

impl TokenCache {
    /// Holds up to `capacity` tokens.
    pub(super) fn new(capacity: usize) -> Self {
        Self { last_used: HashMap::new(), lookups: 0, capacity }
    }

    /// Whether the token is in the set. If it is, this counts as a use.
    pub(super) fn contains(&mut self, token: &Token) -> bool {
        self.lookups += 1;
        let now = self.lookups;
        self.last_used.get_mut(token).map(|last| *last = now).is_some()
    }

    /// Adds a token. If there is no room, evicts the least recently used one.
    pub(super) fn insert(&mut self, token: Token) {
        if self.last_used.len() >= self.capacity && !self.last_used.contains_key(&token) {
            let oldest = self.last_used.iter().min_by_key(|(_, last)| **last).map(|(token, _)| *token);
            if let Some(oldest) = oldest {
                self.last_used.remove(&oldest);
            }
        }
        self.lookups += 1;
        self.last_used.insert(token, self.lookups);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_bounded_and_evicts_the_least_recently_used() {
        let mut cache = TokenCache::new(10);
        let token = |number: u8| [number; 32];
        for number in 1..=100 {
            cache.insert(token(number));
            cache.insert(token(0));
            assert!(cache.contains(&token(0)));
        }
        assert_eq!(cache.last_used.len(), 10);
        assert!(cache.contains(&token(100)) && cache.contains(&token(92)) && !cache.contains(&token(91)));
    }
}
