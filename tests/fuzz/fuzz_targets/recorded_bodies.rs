//! A body from AWS, which a recording has with pseudonyms in place of names.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssm_sync_exporter::fuzzing::recorded_body;

fuzz_target!(|body: &str| {
    // A name that no vocabulary has, in the middle of anything.
    const NAME: &str = "qzxvkwjy";
    let recorded = recorded_body(&format!("{body} {NAME} {body}")).expect("there are random numbers");
    assert!(!recorded.contains(NAME), "{recorded}");
    assert!(recorded.len() < 100 * (body.len() + 100), "{} bytes of {}", recorded.len(), body.len());
});
