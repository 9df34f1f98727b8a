//! The configuration of a recording: the settings of the file and the environment, with what AWS
//! profiles and variables of AWS add to them, so that a replay needs none of these. It has the form of
//! a configuration file, without secrets.

use serde_json::Value;

use super::entries::SdkDefaults;
use super::error::ConfigError;
use super::raw::RawConfig;
use super::{Config, expectations};
use crate::aws::RECORDED_EXTERNAL_ID;
use crate::discovery::AccountSources;
use crate::fleet::{RegionName, RegionSelection};

/// The keys of files that a replay does not read.
const FILES: [&str; 2] = ["shared_config_file", "shared_credentials_file"];

/// The settings with their defaults.
pub(super) fn document(raw: &RawConfig) -> Value {
    let mut document = serde_json::to_value(raw).unwrap_or_default();
    replace_external_ids(&mut document);
    if let Some(aws) = document.get_mut("aws").and_then(Value::as_object_mut) {
        FILES.iter().for_each(|key| drop(aws.remove(*key)));
    }
    document
}

fn replace_external_ids(value: &mut Value) {
    match value {
        Value::Object(values) => {
            for (key, value) in values {
                if key == "external_id" {
                    *value = RECORDED_EXTERNAL_ID.into();
                } else {
                    replace_external_ids(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(replace_external_ids),
        _ => {}
    }
}

impl Config {
    /// The configuration for a recording, given the defaults of the
    /// [entry accounts](Self::entry_accounts). What differs between profiles and cannot be set for a
    /// single account is left out.
    ///
    /// # Errors
    /// The file of an expectation can no longer be read.
    pub(crate) fn replayable(&self, defaults: &SdkDefaults) -> Result<Value, ConfigError> {
        let mut document = self.document.clone();
        self.inline_request_files(&mut document)?;
        set_regions(&mut document, &self.account_sources(defaults)?);
        let region = common(defaults.all().map(|defaults| defaults.region.clone().ok().flatten()));
        set_in_aws(&mut document, "sts_region", region.map(|region| region.to_string().into()));
        let url = common(defaults.all().map(|defaults| defaults.endpoint_url.clone()));
        // The URL replaces the other kinds of endpoints, and the configuration does not allow both.
        if let Some(url) = url {
            set_in_aws(&mut document, "endpoint_url", Some(url.into()));
        } else {
            let has = |kind: fn(&super::entries::AccountDefaults) -> bool| {
                defaults.all().any(kind).then_some(Value::Bool(true))
            };
            set_in_aws(&mut document, "use_fips", has(|defaults| defaults.endpoints.fips));
            set_in_aws(&mut document, "use_dualstack", has(|defaults| defaults.endpoints.dualstack));
        }
        Ok(document)
    }

    /// Replaces the names of files with requests by the requests.
    fn inline_request_files(&self, document: &mut Value) -> Result<(), ConfigError> {
        let directory = self.file().map_or("".as_ref(), crate::file::directory);
        let expectations = document.get_mut("expectations").and_then(Value::as_array_mut);
        for expectation in expectations.into_iter().flatten().filter_map(Value::as_object_mut) {
            if let Some(file) = expectation.remove("request_file") {
                let path = directory.join(file.as_str().unwrap_or_default());
                expectation.insert("request".to_owned(), expectations::read_request_file(&path)?);
            }
        }
        Ok(())
    }
}

/// Names the regions of entries that have none, which is the default region of their credentials.
fn set_regions(document: &mut Value, sources: &AccountSources) {
    if document.get("regions").is_some() {
        return;
    }
    // Without a list, there are no patterns.
    let regions =
        |selection: &RegionSelection| -> Value { selection.named.iter().map(RegionName::as_str).collect() };
    let organization = sources.organization.as_ref();
    if let Some((entry, organization)) = document.get_mut("organization").zip(organization)
        && entry.get("regions").is_none()
    {
        entry["regions"] = regions(&organization.regions);
    }
    match document.get_mut("accounts").and_then(Value::as_array_mut) {
        Some(entries) => {
            for (entry, configured) in entries.iter_mut().zip(&sources.configured) {
                if entry.get("regions").is_none() {
                    entry["regions"] = regions(&configured.regions);
                }
            }
        }
        None => {
            if let Some(configured) = sources.configured.first() {
                document["regions"] = regions(&configured.regions);
            }
        }
    }
}

fn set_in_aws(document: &mut Value, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        document["aws"][key] = value;
    }
}

/// The value that all have. `None` if two differ.
fn common<T: PartialEq>(values: impl Iterator<Item = Option<T>>) -> Option<T> {
    let mut values = values.flatten();
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}
