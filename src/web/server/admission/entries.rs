//! Places or waiting clients, counted by peer and by connection.

use std::collections::{BTreeMap, HashMap};

use crate::web::peer::Peer;
use crate::web::server::admission::Client;

/// Entries by id, with the number of entries of each peer and of each connection. The counts are
/// kept up to date, because a flood of connections needs them for every connection.
#[derive(Debug)]
pub(super) struct Entries<T> {
    rows: BTreeMap<u64, (Client, T)>,
    of_peers: HashMap<Peer, usize>,
    of_connections: HashMap<u64, usize>,
}

impl<T> Entries<T> {
    pub(super) fn new() -> Self {
        Self { rows: BTreeMap::new(), of_peers: HashMap::new(), of_connections: HashMap::new() }
    }

    pub(super) fn insert(&mut self, id: u64, client: Client, entry: T) {
        *self.of_peers.entry(client.peer).or_insert(0) += 1;
        *self.of_connections.entry(client.connection).or_insert(0) += 1;
        self.rows.insert(id, (client, entry));
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<(Client, T)> {
        let (client, entry) = self.rows.remove(&id)?;
        decrement(&mut self.of_peers, client.peer);
        decrement(&mut self.of_connections, client.connection);
        Some((client, entry))
    }

    /// The entries in the order of their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Client, &T)> {
        self.rows.iter().map(|(id, (client, entry))| (*id, *client, entry))
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn of_peer(&self, peer: Peer) -> usize {
        self.of_peers.get(&peer).copied().unwrap_or_default()
    }

    pub(super) fn of_connection(&self, connection: u64) -> usize {
        self.of_connections.get(&connection).copied().unwrap_or_default()
    }
}

/// Removes a count that becomes 0, so that the map does not grow with every client there ever was.
fn decrement<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if let std::collections::hash_map::Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}
