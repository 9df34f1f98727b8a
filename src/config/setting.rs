//! A setting and where it is, for errors about it.

use std::fmt::Display;

use super::error::ConfigError;
use super::key_path::{KeyPath, Segment};
use super::layers::Layers;

/// A setting, given by its path.
#[derive(Clone)]
pub(super) struct Setting<'a> {
    layers: &'a Layers,
    path: KeyPath,
}

impl<'a> Setting<'a> {
    /// The mapping of all settings.
    pub(super) fn root(layers: &'a Layers) -> Self {
        Self { layers, path: KeyPath::default() }
    }

    /// The setting that `segment` leads to.
    pub(super) fn at(&self, segment: impl Into<Segment>) -> Self {
        Self { layers: self.layers, path: self.path.join(segment) }
    }

    pub(super) fn invalid(&self, message: impl Display) -> ConfigError {
        let path = &self.path;
        let message =
            if path.segments().is_empty() { message.to_string() } else { format!("{path}: {message}") };
        ConfigError::Invalid { place: self.layers.place(path), message }
    }
}
