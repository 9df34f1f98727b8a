//! Limits the values of the label `code`, because a proxy on the way to AWS can make up a new
//! error code for every request.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::aws::ErrorCode;

/// The number of unknown error codes that become values of the label.
const MAX_UNKNOWN_CODES: usize = 64;

/// The label value of all further unknown error codes.
const OTHER: &str = "other";

/// The unknown error codes that are values of the label, those that occurred first.
#[derive(Debug, Default)]
pub(super) struct ErrorCodes {
    unknown: Mutex<HashSet<String>>,
}

impl ErrorCodes {
    /// The label value for `code`.
    pub(super) fn label<'a>(&self, code: &'a ErrorCode) -> &'a str {
        match code {
            ErrorCode::Known(code) => code,
            ErrorCode::Unknown(code) => {
                let mut unknown = self.unknown.lock();
                if unknown.contains(code) {
                    code
                } else if unknown.len() < MAX_UNKNOWN_CODES {
                    unknown.insert(code.clone());
                    code
                } else {
                    OTHER
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_unknown_codes_and_all_known_ones_are_kept() {
        let codes = ErrorCodes::default();
        let unknown = |number: usize| ErrorCode::Unknown(format!("Code{number}"));
        for _ in 0..2 {
            for number in 0..10_000 {
                let expected =
                    if number < MAX_UNKNOWN_CODES { format!("Code{number}") } else { OTHER.to_owned() };
                assert_eq!(codes.label(&unknown(number)), expected);
            }
        }
        let known = ErrorCode::Known("ThrottlingException".to_owned());
        assert_eq!(codes.label(&known), "ThrottlingException");
    }
}
