//! What the operator configured for this handler (`wasi:config`): texts under names, fixed while it runs.

pub use crate::bindings::wasi::config::store::Error as SettingsError;

/// Reads settings.
pub trait Settings {
    /// The setting of this name, absent if it is not set.
    fn setting(&self, name: &str) -> Result<Option<String>, SettingsError>;
}

#[cfg(target_arch = "wasm32")]
impl<W: crate::grant::ConfigStore> Settings for W {
    fn setting(&self, name: &str) -> Result<Option<String>, SettingsError> {
        crate::bindings::wasi::config::store::get(name)
    }
}
