//! Proactive content negotiation (RFC 9110, section 12): parses `Accept` and
//! `Accept-Encoding`, and selects a media type and a content coding.
//!
//! The caller passes in the media types that it offers. A malformed header is not an error:
//! its malformed items are ignored, because the client still wants a response. This module
//! knows neither metrics nor the HTTP library.

mod coding;
mod media_type;

pub use coding::ContentCoding;
pub use media_type::Accept;
pub(crate) use media_type::Offer;

/// A weight (`q`) in thousandths, from 0 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Weight(u16);

impl Weight {
    const NOT_ACCEPTABLE: Self = Self(0);
    /// The default of a header item without a weight.
    const MAX: Self = Self(1000);

    /// Parses the value of `q`: 0 to 1. The RFC allows three decimals and requires the 0 before
    /// the point, but some clients send more of the former and omit the latter.
    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let thousandths: u16 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        let is_zero = fraction.bytes().all(|digit| digit == b'0');
        match whole {
            "1" if is_zero => Some(Self::MAX),
            "" if fraction.is_empty() => None,
            "0" | "" if is_zero => Some(Self::NOT_ACCEPTABLE),
            // A weight that is rounded down to 0 would exclude what the client accepts.
            "0" | "" => Some(Self(thousandths.max(1))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_parsed_as_in_the_rfc() {
        for (text, thousandths) in
            [("0", 0), ("0.", 0), ("0.5", 500), ("0.001", 1), ("1", 1000), ("1.000", 1000), ("0.25", 250)]
        {
            assert_eq!(Weight::parse(text), Some(Weight(thousandths)), "{text}");
        }
        for text in ["", ".", "1.001", "1.0001", "2", "-1", "+0.5", "1e0", "0,5", "0.5x", "NaN", "0.+1", "00"]
        {
            assert_eq!(Weight::parse(text), None, "{text}");
        }
    }

    /// Regression: an item with such a weight was ignored.
    #[test]
    fn weights_that_clients_write_in_another_way_are_understood() {
        for (text, thousandths) in [
            (".2", 200),
            (".0", 0),
            ("0.6666666666666666", 666),
            ("0.0001", 1),
            ("0.0000", 0),
            ("1.00000", 1000),
            ("0.9999", 999),
        ] {
            assert_eq!(Weight::parse(text), Some(Weight(thousandths)), "{text}");
        }
    }
}
