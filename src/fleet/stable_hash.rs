//! A hash that is the same in every process, on every machine and in every version of the
//! exporter, unlike the standard library's. Sharding and collection times depend on this
//! stability.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;

/// Hashes a sequence of strings.
pub(crate) fn stable_hash(texts: &[&str]) -> u64 {
    let mut hasher = SipHasher24::new();
    for text in texts {
        hasher.write(text.as_bytes());
        // Separates the strings with a byte that never occurs in UTF-8, so that
        // ["ab", "c"] and ["a", "bc"] differ.
        hasher.write(&[0xff]);
    }
    hasher.finish()
}
