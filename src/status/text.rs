//! Numbers in English texts.

/// A number with its noun, such as `1 sync` and `1,234 syncs`.
pub(crate) fn pluralize(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", with_commas(number))
}

/// A number with thousands separators.
pub(crate) fn with_commas(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_thousands_separators() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (17_000, "17,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(with_commas(number), text);
        }
        assert_eq!((pluralize(1, "sync"), pluralize(2, "sync")), ("1 sync".to_owned(), "2 syncs".to_owned()));
    }
}
