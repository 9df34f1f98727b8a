//! Replaces names in the parameters of a request to STS.

use super::Pseudonyms;
use super::encoding::Encoding;
use super::vocabulary::TextKind;

impl Pseudonyms {
    /// A request with percent-encoded parameters.
    pub(in super::super) fn form(&mut self, body: &str) -> String {
        let parameters = body.split('&').map(|parameter| match parameter.split_once('=') {
            Some((name @ ("Action" | "Version" | "DurationSeconds"), value)) => format!("{name}={value}"),
            Some((name, value)) => {
                let value = self.value(name, value, Encoding::Form);
                format!("{name}={value}")
            }
            None => self.replace(parameter, Encoding::Form, TextKind::Name),
        });
        parameters.collect::<Vec<_>>().join("&")
    }
}
