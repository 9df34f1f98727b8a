//! The configuration: a YAML file, and after a line `---`, environment variables, one on each line.

#![no_main]

use std::ffi::OsString;

use libfuzzer_sys::fuzz_target;
use ssm_sync_exporter::config::Config;

fuzz_target!(|input: &[u8]| {
    let separator = b"\n---env---\n";
    let split = input.windows(separator.len()).position(|window| window == separator);
    let (file, environment) =
        split.map_or((input, &[][..]), |at| (&input[..at], &input[at + separator.len()..]));
    let environment = String::from_utf8_lossy(environment);
    let variables = environment.lines().filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        Some((OsString::from(format!("SSM_SYNC_EXPORTER_{name}")), OsString::from(value)))
    });
    match Config::load(Some(&fuzz::file("config.yaml", file)), variables) {
        Ok(config) => {
            config.warnings.iter().for_each(|warning| fuzz::check_line(warning));
            if let Err(error) = ssm_sync_exporter::fuzzing::check(&config) {
                fuzz::check_error(&error);
            }
        }
        Err(error) => fuzz::check_error(&error),
    }
});
