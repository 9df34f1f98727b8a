//! Escaping for the text formats.
//!
//! Only ASCII bytes are escaped, so the escaped text is valid UTF-8, too.

/// Appends the value of a label, without its quotes, escaped as the Prometheus text format
/// and `OpenMetrics` require. `OpenMetrics` escapes help texts in the same way.
pub(super) fn write_label_value(text: &str, out: &mut Vec<u8>) {
    write_escaped(text, |byte| matches!(byte, b'\\' | b'\n' | b'"'), out);
}

/// Appends a help text, escaped as the Prometheus text format requires: a double quote stays
/// as it is. For `OpenMetrics`, use [`write_label_value`].
pub(super) fn write_prometheus_help(text: &str, out: &mut Vec<u8>) {
    write_escaped(text, |byte| matches!(byte, b'\\' | b'\n'), out);
}

fn write_escaped(text: &str, is_special: impl Fn(u8) -> bool, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(index) = rest.iter().position(|byte| is_special(*byte)) {
        let escaped = if rest[index] == b'\n' { b'n' } else { rest[index] };
        out.extend_from_slice(&rest[..index]);
        out.extend_from_slice(&[b'\\', escaped]);
        rest = &rest[index + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};
    use prometheus::{Encoder as _, TextEncoder};
    use proptest::prelude::*;

    use super::*;

    /// A gauge of value 0 as the `prometheus` crate writes it, with `text` as its
    /// help text and as the value of its only label.
    fn encoded_by_the_crate(text: &str) -> String {
        let mut label = LabelPair::default();
        label.set_name("label".to_owned());
        label.set_value(text.to_owned());
        let mut family = MetricFamily::default();
        family.set_name("name".to_owned());
        family.set_help(text.to_owned());
        family.set_field_type(MetricType::GAUGE);
        family.set_metric(vec![Metric::from_label(vec![label])]);
        let mut out = Vec::new();
        TextEncoder::new().encode(&[family], &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn escaped(write: fn(&str, &mut Vec<u8>), text: &str) -> String {
        let mut out = Vec::new();
        write(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[\"\\\\\n\r{},= #a-é€😀]{1,20}"]
    }

    proptest! {
        #[test]
        fn texts_are_escaped_as_by_the_prometheus_crate(text in any_text().prop_filter("the crate omits an empty help text", |text| !text.is_empty())) {
            let (help, value) = (escaped(write_prometheus_help, &text), escaped(write_label_value, &text));
            let expected = format!("# HELP name {help}\n# TYPE name gauge\nname{{label=\"{value}\"}} 0\n");
            prop_assert_eq!(encoded_by_the_crate(&text), expected);
        }
    }

    #[test]
    fn prometheus_help_keeps_quotes() {
        assert_eq!(escaped(write_label_value, "a\\b\"c\nd"), r#"a\\b\"c\nd"#);
        assert_eq!(escaped(write_prometheus_help, "a\\b\"c\nd"), r#"a\\b"c\nd"#);
        assert_eq!(escaped(write_label_value, ""), "");
    }
}
