//! A recording, and the configuration in its first line.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use ssm_sync_exporter::aws::Recording;
use ssm_sync_exporter::config::Config;

fuzz_target!(|input: &[u8]| {
    match Recording::read(&fuzz::file("recording.ndjson", input)) {
        Ok(recording) => match Config::load_for_recording(&Arc::new(recording), None, []) {
            Ok(config) => config.warnings.iter().for_each(|warning| fuzz::check_line(warning)),
            Err(error) => fuzz::check_error(&error),
        },
        Err(error) => fuzz::check_error(&error),
    }
});
