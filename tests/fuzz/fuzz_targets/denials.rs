//! The message of an error that denies access.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssm_sync_exporter::fuzzing::denial;

fuzz_target!(|message: &str| {
    if let Some(denial) = denial(message) {
        let texts = [denial.principal, denial.action, denial.resource, denial.policy_arn];
        for text in texts.into_iter().flatten() {
            fuzz::check_line(&text);
        }
    }
});
