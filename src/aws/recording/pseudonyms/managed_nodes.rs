//! Removes managed nodes from the response to a managed-node lookup. The response has the ids, IP
//! addresses and names of computers. The exporter only needs to know whether there are any.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::super::request_secrets::RECORDED_SECRET;
use super::json::{Part, is_number_or_literal, parts};

/// The fields of the response that the exporter reads.
const FIELDS: [&str; 2] = ["InstanceInformationList", "NextToken"];

/// The response to a managed-node lookup.
#[derive(Deserialize)]
struct NodePage {
    #[serde(rename = "InstanceInformationList")]
    nodes: Vec<IgnoredAny>,
    #[serde(default, rename = "NextToken")]
    next_token: Option<String>,
}

/// The body of a list of managed nodes as it is recorded, with or without `--record.raw`: an empty list, or
/// a list with one empty node. Any other body keeps only its structure, so that it stays invalid.
pub(in super::super) fn without_nodes(body: &str) -> String {
    match serde_json::from_str(body) {
        Ok(NodePage { nodes, next_token }) => {
            let nodes = if nodes.is_empty() { "[]" } else { "[{}]" };
            let next_token = match next_token.as_deref() {
                None | Some("") => String::new(),
                Some(_) => format!(",\"NextToken\":\"{RECORDED_SECRET}\""),
            };
            format!("{{\"InstanceInformationList\":{nodes}{next_token}}}")
        }
        Err(_) => form_of(body),
    }
}

/// The body without the contents of its strings and numbers.
fn form_of(body: &str) -> String {
    let mut form = String::with_capacity(body.len());
    for part in parts(body) {
        match part {
            Part::OutsideStrings(text) => push_form_of_values(&mut form, text),
            Part::String { text, is_key, is_closed } => {
                form.push('"');
                if is_key && FIELDS.contains(&text) {
                    form.push_str(text);
                } else {
                    push_form_of_text(&mut form, text);
                }
                if is_closed {
                    form.push('"');
                }
            }
        }
    }
    form
}

/// Digits of numbers become `1`, because JSON allows no leading zeros. Literals and separators stay.
/// All other characters become `x`.
fn push_form_of_values(form: &mut String, mut text: &str) {
    let is_structure = |character: char| character.is_ascii_whitespace() || "{}[],:".contains(character);
    while let Some(first) = text.chars().next() {
        let end = if is_structure(first) {
            first.len_utf8()
        } else {
            text.find(is_structure).unwrap_or(text.len())
        };
        let (word, rest) = text.split_at(end);
        text = rest;
        if is_structure(first) || is_number_or_literal(word) {
            form.extend(
                word.chars().map(|character| if character.is_ascii_digit() { '1' } else { character }),
            );
        } else {
            form.extend(word.chars().map(|_| 'x'));
        }
    }
}

/// Characters become `x`. Whatever makes a JSON string invalid stays: control characters, unknown escape
/// sequences and unpaired surrogates.
fn push_form_of_text(form: &mut String, text: &str) {
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        let escaped = if character == '\\' { rest.chars().next() } else { None };
        match escaped {
            None => {
                form.push(if character == '\\' || character.is_ascii_control() { character } else { 'x' });
            }
            Some('u') => {
                rest = &rest[1..];
                let digits =
                    rest.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
                form.push_str("\\u");
                if let Some(digits) = digits {
                    rest = &rest[4..];
                    form.push_str(match u16::from_str_radix(digits, 16) {
                        Ok(0xd800..=0xdbff) => "d800",
                        Ok(0xdc00..=0xdfff) => "dc00",
                        _ => "0078",
                    });
                }
            }
            Some(escaped) => {
                rest = &rest[escaped.len_utf8()..];
                form.push_str(if "\"\\/bfnrt".contains(escaped) { "\\n" } else { "\\x" });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// A node with every field of the API.
    fn node() -> Value {
        json!({
            "InstanceId": "mi-0123456789abcdef0", "PingStatus": "Online", "LastPingDateTime": 1_763_800_000.5,
            "AgentVersion": "3.3.987.0", "IsLatestVersion": true, "PlatformType": "Linux",
            "PlatformName": "Amazon Linux", "PlatformVersion": "2023",
            "ActivationId": "6fa459ea-ee8a-3ca4-894e-db77e160355e", "IamRole": "service-role/NordwindHybrid",
            "RegistrationDate": 1_663_800_000, "ResourceType": "ManagedInstance", "Name": "gateway",
            "IPAddress": "10.20.30.40", "ComputerName": "payroll-db.nordwind.example", "AssociationStatus": "Success",
            "AssociationOverview": {"InstanceAssociationStatusAggregatedCount": {"Success": 7}},
            "SourceId": "arn:aws:iot:eu-west-1:111122223333:thing/nordwind", "SourceType": "AWS::IoT::Thing",
        })
    }

    #[test]
    fn only_whether_there_are_nodes_and_further_pages_is_kept() {
        for (nodes, token, recorded) in [
            (json!([]), json!(null), r#"{"InstanceInformationList":[]}"#),
            (json!([node()]), json!(null), r#"{"InstanceInformationList":[{}]}"#),
            (json!([null, "gateway", node()]), json!(""), r#"{"InstanceInformationList":[{}]}"#),
            (
                json!([node(), node()]),
                json!("t0ken"),
                r#"{"InstanceInformationList":[{}],"NextToken":"redacted"}"#,
            ),
            (json!([]), json!("t0ken"), r#"{"InstanceInformationList":[],"NextToken":"redacted"}"#),
        ] {
            let body = json!({"InstanceInformationList": nodes, "NextToken": token, "Nordwind": node()});
            assert_eq!(without_nodes(&body.to_string()), recorded);
            assert_eq!(without_nodes(&format!("\n{body:#}\n")), recorded);
        }
        assert_eq!(
            without_nodes("{\"InstanceInformationList\":[{\"Name\":\"\\ud800\"}]}"),
            r#"{"InstanceInformationList":[{}]}"#
        );
    }

    #[test]
    fn anything_else_keeps_only_its_form() {
        for (body, recorded) in [
            ("", ""),
            ("[]", "[]"),
            (r#"{"InstanceInformationList": null}"#, r#"{"InstanceInformationList": null}"#),
            (
                r#"{"InstanceInformationList": {"IPAddress": "10.0.0.1"}, "NextToken": 5}"#,
                r#"{"InstanceInformationList": {"xxxxxxxxx": "xxxxxxxx"}, "NextToken": 1}"#,
            ),
            (
                r#"{"InstanceInformationList": [{"Name": "gateway", "LastPingDateTime": -1.25E+9, "a": [true, gateway"#,
                r#"{"InstanceInformationList": [{"xxxx": "xxxxxxx", "xxxxxxxxxxxxxxxx": -1.11E+1, "x": [true, xxxxxxx"#,
            ),
            (
                "{\"Name\": \"\\u0067\\ud83d\\ude00\\ud83d\\q\\\"\u{1}ü\\",
                "{\"xxxx\": \"\\u0078\\ud800\\udc00\\ud800\\x\\n\u{1}x\\",
            ),
            ("{\"a\": \"\\u00g\"} 10.0.0.1 NaN", "{\"x\": \"\\uxxx\"} xxxxxxxx xxx"),
            ("gateway \u{feff}{\"InstanceInformationList\":[]}", "xxxxxxx x{\"InstanceInformationList\":[]}"),
        ] {
            assert_eq!(without_nodes(body), recorded, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_body_is_more_valid_afterwards_or_keeps_a_name(
            body in prop::collection::vec(prop_oneof![
                Just("{".to_owned()), Just("}".to_owned()), Just("[".to_owned()), Just("]".to_owned()), Just(",".to_owned()),
                Just(":".to_owned()), Just("\"".to_owned()), Just("\"InstanceInformationList\"".to_owned()), Just("\\".to_owned()),
                Just("\"NextToken\"".to_owned()), Just("null".to_owned()), Just("5".to_owned()), "\\PC{0,3}",
                Just("nordwind".to_owned()), Just("\\ud83d".to_owned()), Just("\\u006".to_owned()),
            ], 0..20),
        ) {
            let body = body.concat();
            let recorded = without_nodes(&body);
            prop_assert!(!recorded.contains("nordwind"), "{}", recorded);
            let is_page = |body: &str| serde_json::from_str::<NodePage>(body).is_ok();
            prop_assert_eq!(is_page(&body), is_page(&recorded), "{}", recorded);
            let is_json = |body: &str| serde_json::from_str::<IgnoredAny>(body).is_ok();
            prop_assert_eq!(is_json(&body), is_json(&recorded), "{}", recorded);
            prop_assert_eq!(without_nodes(&recorded), recorded);
        }
    }
}
