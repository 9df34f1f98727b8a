//! AWS account ids.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The id of an AWS account: twelve digits, leading zeros included.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(Arc<str>);

/// The text is not an AWS account id.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an AWS account id; expected twelve digits, such as `012345678901`")]
pub struct InvalidAccountId(String);

impl AccountId {
    /// An id for validating configuration that applies to any account.
    pub(crate) fn example() -> Self {
        Self("012345678901".into())
    }

    /// An id other than [`example`](Self::example).
    pub(super) fn other_example() -> Self {
        Self("111122223333".into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = InvalidAccountId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidAccountId(text.to_owned()))
        }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_are_kept() {
        let id: AccountId = "012345678901".parse().unwrap();
        assert_eq!(id.as_str(), "012345678901");
    }

    #[test]
    fn anything_but_twelve_ascii_digits_is_rejected() {
        for text in ["", "1234", "1111222233334", "11112222333x", "1111-2222-3333", "١١١١٢٢٢٢٣٣٣٣"]
        {
            let error = text.parse::<AccountId>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`{text}` is not an AWS account id; expected twelve digits, such as `012345678901`")
            );
        }
    }
}
