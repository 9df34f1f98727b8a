//! The bcrypt hash of a password, as the web configuration has it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

/// The highest accepted bcrypt cost. At the next higher cost, a single check would occupy a
/// core for about half a minute.
const MAX_COST: u32 = 18;

/// The bcrypt hash of a password.
#[derive(Clone)]
pub struct PasswordHash(Arc<SecretString>);

/// Why a text is not accepted as a bcrypt hash. The message does not contain the text, because
/// the text may be the password itself.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPasswordHash {
    /// Not the format of a bcrypt hash.
    #[error(
        "not a bcrypt hash; expected 60 characters that begin with $2y$10$, as `htpasswd -nBC 10 \"\" | tr -d ':\\n'` prints"
    )]
    Format,
    /// The cost is above 18.
    #[error(
        "the cost {0} of the bcrypt hash is too high; the highest accepted cost is {MAX_COST}, and 10 is usual"
    )]
    Cost(u32),
}

impl FromStr for PasswordHash {
    type Err = InvalidPasswordHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: bcrypt::HashParts = text.parse().map_err(|_| InvalidPasswordHash::Format)?;
        match parts.get_cost() {
            4..=MAX_COST => Ok(Self(Arc::new(text.into()))),
            0..4 => Err(InvalidPasswordHash::Format),
            cost => Err(InvalidPasswordHash::Cost(cost)),
        }
    }
}

impl PasswordHash {
    pub(super) fn text(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for PasswordHash {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// Password hashes by user name.
pub type Users = BTreeMap<String, PasswordHash>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_not_a_hash_is_refused_and_not_shown() {
        let valid = bcrypt::hash("x", 4).unwrap();
        assert!(valid.replace("$2b$", "$2y$").parse::<PasswordHash>().is_ok());
        let error = |text: &str| text.parse::<PasswordHash>().unwrap_err().to_string();
        for text in
            ["", "hunter2", "$2y$10$", &valid[..59], &valid.replace("$04$", "$03$"), &valid.replace('$', "%")]
        {
            let error = error(text);
            assert!(error.starts_with("not a bcrypt hash"), "{error}");
            assert!(text.len() < 5 || !error.contains(text) || text == "$2y$10$", "{error}");
        }
        assert!(error(&valid.replace("$04$", "$19$")).starts_with("the cost 19 of the bcrypt hash "));
        assert_eq!(format!("{:?}", valid.parse::<PasswordHash>().unwrap()), "PasswordHash");
    }
}
