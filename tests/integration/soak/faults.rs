//! The faults from which the soak test chooses at random.

use fake_aws::{Fault, FaultRule};

use super::Random;
use super::fleet::{DIRECT, FAULTY_REGION, HUB, NEIGHBOUR, REGIONS};
use crate::exporter::ACCOUNT;

/// Debug builds parse slowly, so the sizes are smaller there.
const SCALE: u64 = if cfg!(debug_assertions) { 1 } else { 10 };
const LONG_BODY: u64 = 6_400_000 * SCALE;
const LONG_TEXT: u64 = 500_000 * SCALE;
const MANY_ITEMS: u64 = 30_000 * SCALE;
/// No client can read this much.
const ENDLESS: u64 = u64::MAX / 4;

/// Up to three rules. No rule applies to the neighbours whose state the test checks.
pub(super) fn random_rules(random: &mut Random) -> Vec<FaultRule> {
    let wanted = std::env::var("SOAK_FAULTS").unwrap_or_default();
    let is_wanted = |rule: &FaultRule| format!("{rule:?}").contains(&wanted);
    let mut rule = || (0..500).map(|_| random_rule(random)).find(is_wanted);
    let rules: Vec<_> = std::iter::from_fn(|| Some(rule())).take(3).flatten().collect();
    rules.into_iter().take(random.below(4)).collect()
}

fn random_rule(random: &mut Random) -> FaultRule {
    let rule = |faults: &[Vec<Fault>], random: &mut Random| FaultRule::new(random.pick(&faults.concat()));
    match random.below(8) {
        0 => rule(&[common(), sts()], random).service("sts").account(HUB),
        1 => rule(&[common(), sts()], random).service("sts").account(DIRECT),
        2 => rule(&[common(), organizations()], random).service("organizations"),
        3 => rule(&[common(), ssm(), credentials()], random)
            .service("ssm")
            .account(NEIGHBOUR)
            .region(FAULTY_REGION),
        _ => {
            let rule = rule(&[common(), ssm(), credentials()], random).service("ssm").account(ACCOUNT);
            rule.region(random.pick(&REGIONS))
        }
    }
}

/// Faults of any service.
fn common() -> Vec<Fault> {
    let long = |fault: Fault, fields: [&str; 2]| {
        fields.into_iter().fold(fault, |fault, field| fault.and(Fault::long_text(field, LONG_TEXT)))
    };
    let mut faults = vec![
        Fault::Throttle,
        Fault::Deny,
        Fault::ServerError,
        Fault::Stall,
        Fault::Delay(700),
        Fault::TruncatedBody,
        Fault::Reset,
        Fault::Response { status: 200, body: "<html>".to_owned() },
        Fault::Response { status: 200, body: String::new() },
        Fault::Dribble(200),
        Fault::Padding { bytes: LONG_BODY, chunked: false },
        Fault::Padding { bytes: LONG_BODY, chunked: true },
        Fault::Padding { bytes: ENDLESS, chunked: false },
        Fault::Padding { bytes: ENDLESS, chunked: true },
        Fault::ServerError.and(Fault::Padding { bytes: ENDLESS, chunked: true }),
        Fault::header("content-encoding", "gzip"),
        Fault::header("content-length", "99999999"),
        Fault::header("content-type", "text/plain"),
        Fault::ManyHeaders(90),
        Fault::ManyHeaders(5000),
        Fault::NewErrorCode,
        long(Fault::Deny, ["message", "Message"]),
        long(Fault::Throttle, ["__type", "Code"]),
        Fault::Deny.and(Fault::text("message", r"\u0000\n\u001b[31m")),
    ];
    for date in dates() {
        // Only a retry is affected by the difference between the clocks.
        faults.push(Fault::ServerError.and(date.clone()));
        faults.push(date);
    }
    for name in ["x-amz-retry-after", "retry-after"] {
        for value in ["99999999999999999999", "3600000", "-1", "soon"] {
            faults.push(Fault::Throttle.and(Fault::header(name, value)));
            faults.push(Fault::ServerError.and(Fault::header(name, value)));
        }
    }
    faults
}

fn dates() -> Vec<Fault> {
    let twice = ["Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT"];
    vec![
        Fault::DateOffBy(3600),
        Fault::DateOffBy(-3600),
        Fault::header("date", twice[0]),
        Fault::header("date", twice[1]),
        Fault::header("date", "yesterday"),
        Fault::without_header("date"),
        Fault::Headers(twice.map(|value| ("date".to_owned(), Some(value.to_owned()))).to_vec()),
    ]
}

/// Faults of the list of syncs.
fn ssm() -> Vec<Fault> {
    vec![
        Fault::RepeatToken,
        Fault::EndlessPages,
        Fault::EndlessSlowPages(100),
        Fault::EndlessPages.and(Fault::long_text("NextToken", LONG_TEXT)),
        Fault::ManyItems(MANY_ITEMS),
        Fault::EndlessPages.and(Fault::ManyItems(MANY_ITEMS)),
        Fault::long_text("SyncName", LONG_TEXT),
        Fault::long_text("LastStatus", LONG_TEXT),
        Fault::text("SyncName", r#"\u0000\n\"{}\\\u2028"#),
        Fault::text("LastSyncTime", "1e300"),
        Fault::text("LastSyncTime", "1e999"),
        Fault::text("LastSyncTime", "\"9999-99-99\""),
    ]
}

/// Faults that reject the credentials, which all regions of an account share.
fn credentials() -> Vec<Fault> {
    vec![Fault::ExpiredToken, Fault::RegionDisabled]
}

/// Faults of `AssumeRole` and `GetCallerIdentity`.
fn sts() -> Vec<Fault> {
    vec![
        Fault::ExpiredToken,
        Fault::RegionDisabled,
        Fault::ExpiresIn(-3600),
        Fault::ExpiresIn(0),
        Fault::ExpiresIn(1),
        Fault::text("Expiration", "9999-12-31T23:59:59Z"),
        Fault::text("Expiration", "0001-01-01T00:00:00Z"),
        Fault::text("Expiration", "soon"),
        Fault::text("AccessKeyId", ""),
        Fault::text("AccessKeyId", "ASIA&#10;"),
        Fault::text("AccessKeyId", "ASIA\u{7}"),
        Fault::text("SecretAccessKey", "&#0;"),
        Fault::text("SessionToken", "a&#13;&#10;Injected: header"),
        Fault::long_text("SessionToken", LONG_TEXT),
        Fault::long_text("Account", LONG_TEXT),
        Fault::text("Account", "not a number"),
    ]
}

/// Faults of the list of accounts.
fn organizations() -> Vec<Fault> {
    vec![
        Fault::RepeatToken,
        Fault::EndlessPages,
        Fault::ManyItems(50),
        Fault::long_text("Name", LONG_TEXT),
        Fault::long_text("Id", LONG_TEXT),
        Fault::text("Name", r#"\u0000\n\"{}\\"#),
    ]
}
