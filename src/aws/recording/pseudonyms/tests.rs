//! Tests of what is replaced, and of what stays.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fleet::{AccountId, MemberRoleTemplate, OrganizationalUnitId, RoleArn};
use crate::health::FailureCause;
use crate::model::{DataSync, Denial, ManagedBy, SyncType};

fn pseudonyms() -> Pseudonyms {
    Pseudonyms::new(false).unwrap()
}

#[test]
fn names_are_replaced_and_everything_public_stays() {
    let mut pseudonyms = pseudonyms();
    for text in [
        "User: arn:aws:sts::{}:assumed-role/{}/{} is not authorized to perform: ssm:ListResourceDataSync on resource: arn:aws:ssm:eu-west-1:{}:* because no identity-based policy allows the ssm:ListResourceDataSync action",
        "with an explicit deny in a service control policy: arn:aws:organizations::{}:policy/o-{}/service_control_policy/p-{}",
        "S3 write failed for bucket {}: Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied)",
        "cannot use KMS key arn:aws-cn:kms:cn-north-1:{}:key/{}; call kms:GenerateDataKey at 2026-11-27T10:55:45.123Z",
        "<!DOCTYPE html><html><head><title>403 Forbidden</title></head><body bgcolor=\"{}\">nginx</body></html>",
        "no response from SSM at 127.0.0.1:41234 within 7.5s: connection refused (os error 111)",
        "{} <{}@{}.com>, http://{}:3128/{}",
    ] {
        let text: String = text.split("{}").collect::<Vec<_>>().join("Acme");
        let replaced = pseudonyms.message(&text);
        let acme = pseudonyms.message("Acme");
        assert_eq!(replaced, text.replace("Acme", &acme).replace("bgcolor", &pseudonyms.message("bgcolor")));
        assert!(!replaced.contains("Acme"), "{replaced}");
    }
}

/// `corp:SendGrid` stayed, because it looks like an action of a service.
#[test]
fn only_actions_of_services_stay() {
    let mut pseudonyms = pseudonyms();
    let text = "ssm:ListResourceDataSync kms:GenerateDataKey s3:PutObject";
    assert_eq!(pseudonyms.name(text), text);
    let names = pseudonyms.name("corp:SendGrid dept:StartNordwind xssm:ListNordwind");
    assert!(!names.contains("Grid") && !names.contains("Nordwind"), "{names}");
}

/// A proxy called `secure-gateway.internal` stayed, because error messages have all of these words.
#[test]
fn hosts_are_replaced_unless_they_are_those_of_aws() {
    let mut pseudonyms = pseudonyms();
    let host = pseudonyms.host("secure-gateway.internal:3128 (HTTPS_PROXY)");
    assert!(host.ends_with(":3128 (HTTPS_PROXY)"), "{host}");
    for word in ["secure", "gateway", "internal"] {
        assert!(!host.contains(word), "{host}");
    }
    let (name, _variable) = host.split_once(' ').unwrap();
    let message = pseudonyms.message("cannot connect through the proxy secure-gateway.internal:3128");
    assert!(message.ends_with(&format!(" the proxy {name}")), "{message}");
    for aws in ["organizations.us-east-1.amazonaws.com:443", "ssm.eu-west-1.api.aws:443", "localhost:8080"] {
        assert_eq!(pseudonyms.host(aws), aws);
    }
    assert_ne!(pseudonyms.host("organizations.example.net:443"), "organizations.example.net:443");
}

#[test]
fn ids_keep_their_forms() {
    let mut pseudonyms = pseudonyms();
    let account = pseudonyms.name("012345678901");
    assert!(account.parse::<AccountId>().is_ok() && account.starts_with('0') && account != "012345678901");
    assert!(!pseudonyms.name("111122223333").starts_with('0'));
    let unit = pseudonyms.name("ou-ab12-z9y8x7w6");
    assert!(unit.parse::<OrganizationalUnitId>().is_ok(), "{unit}");
    assert!(unit.starts_with(&format!("ou-{}", &pseudonyms.name("r-ab12")[2..])));
    let role = pseudonyms.name("arn:aws-us-gov:iam::012345678901:role/ops/Sync.Reader@1");
    assert!(role.parse::<RoleArn>().is_ok() && role.contains(&account), "{role}");
    let key = pseudonyms.name("AKIA111122223333FAKE");
    assert!(key.starts_with("AKIA") && key.len() == 20 && !key.contains("1111"), "{key}");
    assert_eq!(key, pseudonyms.access_key_id("AKIA111122223333FAKE"));
    let id = "6fa459ea-ee8a-3ca4-894e-db77e160355e";
    let uuid = pseudonyms.name(id);
    assert!(
        uuid != id && uuid.len() == 36 && uuid.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
    );
    let address = pseudonyms.name("10.20.30.40:3128");
    assert!(address.starts_with("198.1") && address.ends_with(":3128"), "{address}");
    assert_eq!(pseudonyms.name("169.254.169.254:80 127.0.0.1"), "169.254.169.254:80 127.0.0.1");
}

#[test]
fn a_template_expands_to_what_its_expansion_is_replaced_with() {
    let mut pseudonyms = pseudonyms();
    let account = pseudonyms.name("111122223333");
    let role = pseudonyms.name("arn:{partition}:iam::{account_id}:role/acme/SsmSyncExporter");
    assert!(
        role.starts_with("arn:{partition}:iam::{account_id}:role/")
            && role.parse::<MemberRoleTemplate>().is_ok()
    );
    for template in ["acme-{account_id}", "acme{account_id}x", "{account_id}", "acme@{account_id}.logs"] {
        let expanded = pseudonyms.name(&template.replace("{account_id}", "111122223333"));
        assert_eq!(pseudonyms.name(template).replace("{account_id}", &account), expanded, "{template}");
    }
}

#[test]
fn patterns_select_the_same_names() {
    let mut pseudonyms = pseudonyms();
    let patterns = [
        "acme-*",
        "prod*",
        "*-web?",
        "*finance*",
        "team?",
        "!sandbox-*",
        "memb*",
        "inven*",
        "license*",
        "license-manager*",
        "license-*",
        "AWS-Quick*",
        "Inspector*",
        "*not-delete",
    ];
    let configuration = pseudonyms.configuration(&json!({"health": {"rules": [{"accounts": patterns}]}}));
    let names = [
        "acme-1",
        "acmes",
        "production",
        "Production",
        "x-web1",
        "x-web",
        "xfinancey",
        "refinance",
        "team1",
        "team12",
        "prod",
        "member-1",
        "membrane",
        "memb",
        "xmembex",
        "inventory",
        "invenx",
        "license-manager-x",
        "licensed",
        "AWS-QuickSetup-x",
        "InspectorResourceDataSync-do-not-delete",
    ];
    let replaced_patterns = configuration["health"]["rules"][0]["accounts"].as_array().unwrap();
    for (pattern, replaced) in patterns.iter().zip(replaced_patterns) {
        let matches = |pattern: &str, name: &str| crate::wildcard::Wildcard::new(pattern).matches(name);
        for name in names {
            let replaced_name = pseudonyms.name(name);
            let replaced = replaced.as_str().unwrap();
            assert_eq!(
                matches(pattern, name),
                matches(replaced, &replaced_name),
                "{pattern} {name}: {replaced} {replaced_name}"
            );
        }
    }
}

#[test]
fn the_structure_of_json_stays() {
    let mut pseudonyms = pseudonyms();
    let acme = pseudonyms.name("acme");
    let long = pseudonyms.name("111122223333");
    for (body, replaced) in [
        (
            "{\"SyncName\" : \"acme\",\n\t\"LastSyncTime\":1.7638E9}",
            "{\"SyncName\" : \"{}\",\n\t\"LastSyncTime\":1.7638E9}",
        ),
        (
            "{\"SyncName\":\"\\u0061cm\\u0065\\n\\\"acme\\q\\ud800acme",
            "{\"SyncName\":\"{}\\n\\\"{}\\q\\ud800{}",
        ),
        ("{\"acme\": 111122223333, \"Id\": [null, true, acme]}", "{\"{}\": §, \"Id\": [null, true, {}]}"),
        (
            "{\"LastStatus\":\"Whatever\",\"__type\":\"com.amazonaws.ssm#NewException\",\"Region\":\"nz-south-1\"}",
            "{\"LastStatus\":\"Whatever\",\"__type\":\"com.amazonaws.ssm#NewException\",\"Region\":\"nz-south-1\"}",
        ),
        (
            "{\"Token\": \"s3cr3t\", \"SecretAccessKey\":\"\", \"SessionToken\":\"s3cr\\n3t\"",
            "{\"Token\": \"redacted\", \"SecretAccessKey\":\"\", \"SessionToken\":\"redacted and unusable\"",
        ),
        ("", ""),
        ("\u{feff}{", "\u{feff}{"),
        ("{\"", "{\""),
        ("{\"a\\", "{\"a\\"),
    ] {
        assert_eq!(pseudonyms.body(body), replaced.replace("{}", &acme).replace('§', &long), "{body}");
    }
}

#[test]
fn secrets_of_xml_and_forms_are_replaced_even_if_names_stay() {
    let mut raw = Pseudonyms::new(true).unwrap();
    let key = raw.access_key_id("ASIAACME000000000000");
    assert!(key.starts_with("ASIA") && key != "ASIAACME000000000000");
    let body = "<C><AccessKeyId>ASIAACME000000000000</AccessKeyId><SecretAccessKey>a/b&amp;c</SecretAccessKey>\
                <x:SessionToken a='b'>\n <![CDATA[<s3cr3t>]]> </x:SessionToken><Arn>acme</Arn><SessionToken>trunc";
    let replaced = format!(
        "<C><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>redacted</SecretAccessKey>\
         <x:SessionToken a='b'>\n redacted </x:SessionToken><Arn>acme</Arn><SessionToken>redacted"
    );
    assert_eq!(raw.body(body), replaced);
    assert_eq!(
        raw.form("Action=AssumeRole&ExternalId=a%2Fb&RoleArn=arn%3Aacme&WebIdentityToken=x.y&x"),
        "Action=AssumeRole&ExternalId=redacted&RoleArn=arn%3Aacme&WebIdentityToken=redacted&x"
    );
    assert_eq!(raw.access_key_id("acme-key"), raw.value("AccessKeyId", "acme-key", Encoding::Xml));
    assert_ne!(raw.access_key_id("acme-key"), "acme-key");
}

#[test]
fn texts_are_replaced_alike_in_every_encoding() {
    let mut pseudonyms = pseudonyms();
    let text = "Åcme & Söhne \"日本\" 100% <x>/acme+\u{1f600}";
    let plain = pseudonyms.message(text);
    let json = serde_json::to_string(text).unwrap();
    let replaced: String = serde_json::from_str(&pseudonyms.json(&json)).unwrap();
    assert_eq!(replaced, plain);
    let escaped: String =
        text.encode_utf16().fold(String::new(), |text, unit| text + &format!("\\u{unit:04x}"));
    let replaced: String = serde_json::from_str(&pseudonyms.json(&format!("\"{escaped}\""))).unwrap();
    assert_eq!(replaced, plain);
    let form: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let replaced = pseudonyms.replace(&form.replace('+', "%20"), Encoding::Form, TextKind::Message);
    assert_eq!(form_urlencoded::parse(format!("a={replaced}").as_bytes()).next().unwrap().1, plain);
    let xml = text.replace('&', "&amp;").replace('<', "&lt;").replace("Å", "&#xC5;").replace('ö', "&#246;");
    assert_eq!(
        pseudonyms.replace(&xml, Encoding::Xml, TextKind::Message),
        plain.replace('&', "&amp;").replace('<', "&lt;")
    );
}

#[test]
fn the_policy_of_a_session_stays() {
    use crate::fleet::SessionPolicy::{ListAccounts, Poll};
    let all = [
        ListAccounts,
        Poll { regions: false, managed_nodes: false },
        Poll { regions: true, managed_nodes: true },
    ];
    for policy in all.map(|policy| policy.document().unwrap()) {
        assert_eq!(pseudonyms().message(&policy), policy);
        let form: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("Policy", &policy).finish();
        assert_eq!(pseudonyms().form(&form), form);
    }
}

#[test]
fn a_public_word_in_a_name_is_replaced_and_in_messages_as_well() {
    let mut pseudonyms = pseudonyms();
    let network = pseudonyms.name("network");
    assert_ne!(network, "network");
    let body = "{\"message\":\"The gateway and the network are temporarily unavailable: Access Denied\",\"Name\":\"Gateway Access\"}";
    let gateway = pseudonyms.name("gateway");
    let replaced = pseudonyms.body(body);
    let name = pseudonyms.name("Gateway Access");
    // What denials are told by stays.
    let expected = format!(
        "{{\"message\":\"The {gateway} and the {network} are temporarily unavailable: Access Denied\",\"Name\":\"{name}\"}}"
    );
    assert_eq!(replaced, expected);
    for name in ["Security", "shared-services", "Network", "log-archive", "Management", "Audit", "data"] {
        for part in name.split('-') {
            assert!(!pseudonyms.name(name).to_lowercase().contains(&part.to_lowercase()), "{name}");
        }
    }
}

#[test]
fn what_aws_denies_is_told_from_the_recorded_message() {
    for message in [
        "User: arn:aws:sts::111122223333:assumed-role/acme/session is not authorized to perform: ssm:ListResourceDataSync on resource: arn:aws:ssm:eu-west-1:111122223333:* because no identity-based policy allows the ssm:ListResourceDataSync action",
        "User: arn:aws:iam::111122223333:user/acme is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222233334444:role/acme/Reader",
        "User: arn:aws:iam::111122223333:user/acme is not authorized to perform: organizations:ListAccounts with an explicit deny in a service control policy: arn:aws:organizations::111122223333:policy/o-acmeacme01/service_control_policy/p-acme1234",
        "User: arn:aws:iam::111122223333:user/acme is not authorized to perform: account:ListRegions because no permissions boundary allows the account:ListRegions action",
        "User: arn:aws:iam::111122223333:user/acme is not authorized to perform: ssm:ListResourceDataSync with an explicit deny in a VPC endpoint policy transitively through a service control policy",
        "User: arn:aws:iam::111122223333:user/acme is not authorized to perform: ssm:ListResourceDataSync because no session policy allows the ssm:ListResourceDataSync action",
        "User: arn:aws:iam::111122223333:user/acme is not authorized to perform: ssm:ListResourceDataSync with an explicit deny in a resource-based policy",
        "User: arn:aws:sts::111122223333:assumed-role/acme/session is not authorized to perform: ssm:DescribeInstanceInformation on resource: arn:aws:ssm:eu-west-1:111122223333:* because no identity-based policy allows the ssm:DescribeInstanceInformation action",
    ] {
        let mut pseudonyms = pseudonyms();
        // Names that have the words of the message change nothing.
        for name in ["policy", "User", "explicit-deny", "Identity", "resource", "acme"] {
            pseudonyms.name(name);
        }
        let before = Denial::parse(message).unwrap();
        let after = Denial::parse(&pseudonyms.message(message)).unwrap();
        assert_eq!(
            (before.kind, before.is_explicit, &before.action),
            (after.kind, after.is_explicit, &after.action)
        );
        let mut replaced = |text: Option<String>| text.map(|text| pseudonyms.name(&text));
        assert_eq!(replaced(before.principal), after.principal, "{message}");
        assert_eq!(replaced(before.resource), after.resource, "{message}");
        assert_eq!(replaced(before.policy_arn), after.policy_arn, "{message}");
    }
}

#[test]
fn the_time_for_a_body_grows_with_its_length() {
    // Each of these once took the square of the length, or a stack frame for each repetition.
    let mut pseudonyms = pseudonyms();
    for part in
        ["kms", "role/", "arn:aws:a:b:", "1.", "x", "aacme ", "<", "&#", "\"", "\\u", "%41", "a-west-", "é"]
    {
        let body = part.repeat(200_000 / part.len());
        assert!(!pseudonyms.body(&body).is_empty());
        assert!(!pseudonyms.json(&body).is_empty());
        assert!(!pseudonyms.form(&body).is_empty());
        assert!(!pseudonyms.message(&body).is_empty());
    }
}

#[test]
fn what_the_exporter_asks_for_stays() {
    for request in [
        "{\"MaxResults\":50,\"RegionOptStatusContains\":[\"ENABLED\",\"ENABLED_BY_DEFAULT\"]}",
        "{\"SyncType\":\"SyncFromSource\",\"MaxResults\":50}",
        "{\"MaxResults\":5}",
    ] {
        assert_eq!(pseudonyms().body(request), request);
    }
}

#[test]
fn many_short_words_get_different_pseudonyms() {
    let mut pseudonyms = pseudonyms();
    let mut seen = HashMap::new();
    for first in b'a'..=b'z' {
        for second in b'a'..=b'z' {
            let word = String::from_utf8(vec![first, second, b'9']).unwrap();
            let pseudonym = pseudonyms.message(&word);
            assert_eq!(seen.insert(pseudonym.clone(), word.clone()), None, "{word} {pseudonym}");
        }
    }
}

proptest! {
    #[test]
    fn the_same_text_gets_the_same_pseudonym_and_others_get_others(texts in prop::collection::vec("[a-zA-Z0-9ü_./@ -]{1,12}", 1..40)) {
        let mut pseudonyms = pseudonyms();
        let replaced: Vec<String> = texts.iter().map(|text| pseudonyms.name(text)).collect();
        for (a, replaced_a) in texts.iter().zip(&replaced) {
            prop_assert_eq!(&pseudonyms.name(a), replaced_a);
            prop_assert_eq!(a.chars().count(), replaced_a.chars().count());
            for (b, replaced_b) in texts.iter().zip(&replaced) {
                prop_assert_eq!(a == b, replaced_a == replaced_b, "{} {}", a, b);
            }
            let separators = |text: &str| text.chars().map(|c| if c.is_alphanumeric() { 'x' } else { c }).collect::<String>();
            prop_assert_eq!(separators(a), separators(replaced_a));
            prop_assert_eq!(ManagedBy::from_sync_name(a), ManagedBy::from_sync_name(replaced_a));
        }
    }

    #[test]
    fn valid_json_stays_valid_and_keeps_its_shape(value in prop::collection::vec(json_value(), 0..3)) {
        let value = serde_json::Value::from(value);
        let mut pseudonyms = pseudonyms();
        let text = serde_json::to_string_pretty(&value).unwrap();
        let replaced = pseudonyms.body(&text);
        let parsed: serde_json::Value = serde_json::from_str(&replaced).unwrap();
        prop_assert_eq!(shape(&value), shape(&parsed));
        prop_assert_eq!(text.lines().count(), replaced.lines().count());
    }

    #[test]
    fn no_body_and_no_configuration_causes_a_panic(body in "\\PC{0,40}", prefix in "[{<\"&%\\\\]{0,3}") {
        let mut pseudonyms = pseudonyms();
        for body in [body.clone(), format!("{prefix}{body}")] {
            pseudonyms.configuration(&json!({"accounts": [body]}));
            pseudonyms.body(&body);
            pseudonyms.form(&body);
            pseudonyms.json(&body);
            pseudonyms.markup(&body);
        }
    }

    #[test]
    fn the_cause_of_a_failed_sync_and_its_owner_stay_the_same(
        words in prop::collection::vec(prop_oneof![
            "[a-zA-Z0-9]{1,9}", Just("kms:Decrypt".to_owned()), Just("MyPolicyName".to_owned()), Just("not".to_owned()),
            Just("found".to_owned()), Just("existing".to_owned()), Just("redirected".to_owned()), Just("NoSuchBucketPolicy".to_owned()),
            Just("s3:PutObjectTagging".to_owned()), Just("write failed".to_owned()), Just("Object Lock".to_owned()),
        ], 0..8),
    ) {
        let message = words.join(" ");
        let replaced = pseudonyms().message(&message);
        prop_assert_eq!(cause(&message), cause(&replaced), "{}", replaced);
    }
}

fn cause(message: &str) -> FailureCause {
    let mut sync = DataSync::new(SyncType::ToDestination, "sync".to_owned());
    sync.last_status_message = Some(message.to_owned());
    FailureCause::of_sync(&sync)
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u32>().prop_map(|number| (f64::from(number) / 7.0).into()),
        "\\PC{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[a-zA-Z]{1,8}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A value with the type of each part only, and numbers as they are.
fn shape(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => format!("s{}", text.chars().count()),
        serde_json::Value::Array(values) => {
            format!("[{}]", values.iter().map(shape).collect::<Vec<_>>().join(","))
        }
        serde_json::Value::Object(values) => {
            let mut shapes: Vec<String> = values.values().map(shape).collect();
            shapes.sort();
            format!("{{{}}}", shapes.join(","))
        }
        other if other.to_string().trim_start_matches('-').len() == 12 => "12".to_owned(),
        other => other.to_string(),
    }
}
