//! A body from AWS, which a recording has with pseudonyms in place of names, or as a list of managed nodes
//! without everything that is about a node.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssm_sync_exporter::fuzzing::{recorded_body, recorded_nodes};

fuzz_target!(|body: &str| {
    // A name that no vocabulary has, in the middle of anything.
    const NAME: &str = "qzxvkwjy";
    let with_name = format!("{body} {NAME} {body}");
    let recorded = recorded_body(&with_name).expect("there are random numbers");
    assert!(!recorded.contains(NAME), "{recorded}");
    assert!(recorded.len() < 100 * (body.len() + 100), "{} bytes of {}", recorded.len(), body.len());
    for body in [body, &with_name] {
        let recorded = recorded_nodes(body);
        assert!(!recorded.contains(NAME), "{recorded}");
        assert!(recorded.len() < body.len() + 100, "{} bytes of {}", recorded.len(), body.len());
        assert_eq!(recorded_nodes(&recorded), recorded);
    }
});
