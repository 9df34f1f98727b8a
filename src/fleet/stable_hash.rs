//! A hash that is the same in every process, on every machine and in every version,
//! unlike that of the standard library. Shards and polling times depend on it.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;

/// Hashes a sequence of texts.
pub(crate) fn stable_hash(texts: &[&str]) -> u64 {
    let mut hasher = SipHasher24::new();
    for text in texts {
        hasher.write(text.as_bytes());
        // A separator that does not occur in UTF-8, so that ["ab", "c"] and ["a", "bc"]
        // differ.
        hasher.write(&[0xff]);
    }
    hasher.finish()
}
