//! One hash for all that has to come out the same in every process: the same
//! on every machine and in every version, unlike that of the standard library.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;

/// The hash of some texts in their order.
pub(crate) fn hash(texts: &[&str]) -> u64 {
    let mut hasher = SipHasher24::new();
    for text in texts {
        hasher.write(text.as_bytes());
        // Keeps `ab`, `c` from `a`, `bc`; no text has it.
        hasher.write(&[0xff]);
    }
    hasher.finish()
}
