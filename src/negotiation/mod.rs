//! Which of several representations a client is sent: RFC 9110, section 12.
//!
//! It is the one place where headers with preferences are read. What is offered
//! comes from whoever has it; what is asked for never makes an error, for a
//! client that asks oddly still wants an answer.

mod coding;
mod media_type;

pub use coding::Coding;
pub use media_type::{Accept, Offer, Parameter};

/// A preference from 0, which is a refusal, to 1000 thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Weight(u16);

impl Weight {
    const REFUSED: Self = Self(0);
    const FULL: Self = Self(1000);

    /// Reads what stands behind `q=`: 0 to 1, with up to three digits after the
    /// point.
    fn read(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
        match (whole, thousandths) {
            ("0", thousandths) => Some(Self(thousandths)),
            ("1", 0) => Some(Self::FULL),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_what_the_standard_lets_it_be() {
        for (text, thousandths) in
            [("0", 0), ("0.", 0), ("0.5", 500), ("0.001", 1), ("1", 1000), ("1.000", 1000), ("0.25", 250)]
        {
            assert_eq!(Weight::read(text), Some(Weight(thousandths)), "{text}");
        }
        for text in
            ["", "1.001", "2", "-1", "0.0001", ".5", "+0.5", "1e0", "0,5", "0.5x", "NaN", "0.+1", "00"]
        {
            assert_eq!(Weight::read(text), None, "{text}");
        }
    }
}
