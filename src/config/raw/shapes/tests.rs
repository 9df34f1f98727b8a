//! Tests that a shape accepts every text that the parser of its type accepts.

use jsonschema::Validator;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use super::*;
use crate::config::scalar::FromText;

fn validator<T: Shape>() -> Validator {
    jsonschema::draft7::new(T::shape().as_value()).unwrap()
}

/// Joins random pieces of texts, and counts how many of the results `T` accepts. The shape has to accept
/// them as well.
fn check<T: FromText + Shape>(pieces: &'static [&'static str]) {
    let validator = validator::<T>();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_000) };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let mut accepted = std::cell::Cell::new(0);
    let texts = prop::collection::vec(prop::sample::select(pieces), 0..6);
    runner
        .run(&texts, |texts| {
            let text = texts.concat();
            if T::from_text(&text).is_ok() {
                accepted.set(accepted.get() + 1);
                prop_assert!(validator.is_valid(&Value::from(text.as_str())), "the shape refuses {text:?}");
            }
            Ok(())
        })
        .unwrap();
    assert!(*accepted.get_mut() > 5, "{} of {pieces:?}", accepted.get());
}

const UNITS: &[&str] = &[
    "1", "20", "0", "0", "h", "m", "s", "ms", "d", "w", "y", "mo", " hours", "mins", " ", ", ", ",", ".5",
    ":30:00", "+", "-", "P", "T", "pt", "H", "M", "S", "D", "µs", "nanos", " ago", "2h", "3m",
];

#[test]
fn the_shape_of_a_duration_accepts_every_duration() {
    check::<Duration>(UNITS);
    check::<Limit>(UNITS);
}

#[test]
fn the_shape_of_a_name_accepts_every_name() {
    const PIECES: &[&str] = &[
        "a",
        "1",
        "-",
        "_",
        ".",
        "@",
        " ",
        "\t",
        "ä",
        "\u{a0}",
        "!",
        "*",
        "?",
        "{account_id}",
        "{region}",
        "{{",
        "}",
        "/",
        ":",
    ];
    check::<SessionName>(PIECES);
    check::<ExternalId>(PIECES);
    check::<Name>(PIECES);
    check::<ProfileName>(PIECES);
    check::<SyncNamePattern>(PIECES);
    check::<ExpectationName>(PIECES);
    check::<ExpectedName>(PIECES);
    check::<TextPattern>(PIECES);
    check::<RequestFile>(PIECES);
    check::<AccountEntry>(PIECES);
    check::<AccountEntry>(&["!", " ", "1", "111122223333", "a", "*", "\n"]);
}

#[test]
fn the_shape_of_a_region_accepts_every_region() {
    const PIECES: &[&str] = &["eu", "us", "-gov", "-west-1", "-northeast-12", "-iso", "-1", "-", "*", "?"];
    check::<RegionName>(PIECES);
    check::<RegionOrPattern>(PIECES);
}

#[test]
fn the_shape_of_an_arn_accepts_every_arn() {
    check::<RoleArn>(&["arn:aws-cn:iam::111122223333:role", "/a", "/", "a", "{~\u{7f}", "ü", " ", "@"]);
    check::<MemberRoleTemplate>(&[
        "arn:aws:iam::{account_id}:role",
        "arn:{partition}:iam::{account_id}:role/",
        "/a",
        "a",
        "{{",
        "}}",
        "{partition}",
        "/{account_id}",
        "~\u{7f}",
    ]);
}

#[test]
fn the_shape_of_an_id_accepts_every_id() {
    check::<OrganizationalUnitId>(&["ou-", "r-", "abcd", "-", "11111111", "z9z9z9z9", "A"]);
    check::<AccountId>(&["111122223333", "012345678901", "0", "1", "-"]);
}

#[test]
fn the_shape_of_a_number_accepts_every_number() {
    const PIECES: &[&str] = &["0", "1", "7", "+", "-", "0x", "0o", "f", "F", ".", "99999"];
    check::<NonZeroUsize>(PIECES);
    check::<u32>(PIECES);
}

#[test]
fn the_shape_of_a_url_accepts_every_url() {
    check::<EndpointUrl>(&[
        "http://",
        "https://",
        "HTTP://",
        "localhost",
        "[::1]",
        ":80",
        "/",
        "a",
        "?",
        "#",
        "@",
        "%20",
        "-",
        ".example",
    ]);
}
