//! The web configuration file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssm_sync_exporter::config::WebConfig;

fuzz_target!(|input: &[u8]| {
    match WebConfig::load(&fuzz::file("web.yaml", input)) {
        Ok(config) => config.warnings.iter().for_each(|warning| fuzz::check_line(warning)),
        Err(error) => fuzz::check_error(&error),
    }
});
