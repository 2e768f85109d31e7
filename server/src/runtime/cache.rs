//! `CodeCache`: compiled components by content, in a private directory.
//!
//! The key is BLAKE3 of the component and wasmtime's compatibility hash. Deserialising compiled code executes it, so the
//! directory is 0700, files are written by temp + rename, and nothing from anywhere else is ever loaded. Home compiles;
//! children only load.

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

/// The directory of compiled code.
#[derive(Debug, Clone)]
pub struct CodeCache {
    directory: PathBuf,
    compatibility: String,
}

/// What is wrong with the directory.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It cannot be made or read.
    #[error("the directory `{path}` of compiled code cannot be used; make it writable for this user")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others could put code there.
    #[error("the directory `{path}` of compiled code is open to other users; run `chmod 700 {path}`")]
    Open {
        /// Where.
        path: PathBuf,
    },
}

impl CodeCache {
    /// Opens the directory, making it if needed.
    pub fn open(directory: &Path, engine: &Engine) -> Result<Self, CacheError> {
        let io = |source| CacheError::Io {
            path: directory.to_owned(),
            source,
        };
        if !directory.exists() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(io)?;
        }
        let metadata = fs::metadata(directory).map_err(io)?;
        if metadata.mode() & 0o077 != 0 {
            return Err(CacheError::Open {
                path: directory.to_owned(),
            });
        }
        let mut hasher = HashText(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let compatibility = hasher.0.finalize().to_hex().as_str()[..16].to_owned();
        Ok(Self {
            directory: directory.to_owned(),
            compatibility,
        })
    }

    /// The same directory for the code of the concurrent engine, by names of its own. That engine is made only when there
    /// is such code, so that its names cannot follow from it; loading checks that the code is for it.
    pub fn concurrent(&self) -> Self {
        Self {
            directory: self.directory.clone(),
            compatibility: format!("{}-async", self.compatibility),
        }
    }

    /// Whether there is code of a content hash.
    pub fn has(&self, artifact: &str) -> bool {
        self.path(artifact).exists()
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The compiled component of a content hash, where it is cached.
    #[expect(unsafe_code, reason = "compiled code is mapped and will be run")]
    pub fn load(&self, engine: &Engine, artifact: &str) -> Option<Component> {
        let path = self.path(artifact);
        if !path.exists() {
            return None;
        }
        // SAFETY: only this module writes into the private directory, and never in place.
        match unsafe { Component::deserialize_file(engine, &path) } {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(artifact, %error, "compiled code is not usable, compiling again");
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Keeps a compiled component.
    pub fn store(&self, artifact: &str, component: &Component) -> wasmtime::Result<()> {
        let bytes = component.serialize()?;
        let temporary = self.directory.join(format!(".{artifact}.{}", std::process::id()));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_data()?;
        fs::rename(&temporary, self.path(artifact))?;
        Ok(())
    }

    fn path(&self, artifact: &str) -> PathBuf {
        self.directory
            .join(format!("{artifact}-{}.cwasm", self.compatibility))
    }
}

/// Feeds a `Hash` into BLAKE3, whose output does not change between builds.
struct HashText(blake3::Hasher);

impl Hasher for HashText {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::engine::{EngineKind, Executor};

    #[test]
    fn code_is_found_again_and_a_damaged_file_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let executor = Executor::new(EngineKind::Sync).unwrap();
        let cache = CodeCache::open(&directory.path().join("code"), executor.engine()).unwrap();
        let component = Component::new(executor.engine(), wat::parse_str("(component)").unwrap()).unwrap();
        assert!(cache.load(executor.engine(), "abc").is_none());
        cache.store("abc", &component).unwrap();
        assert!(cache.load(executor.engine(), "abc").is_some());
        fs::write(cache.path("abc"), b"nonsense").unwrap();
        assert!(cache.load(executor.engine(), "abc").is_none());
        assert!(!cache.path("abc").exists());
    }

    #[test]
    fn a_directory_open_to_others_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("code");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let executor = Executor::new(EngineKind::Sync).unwrap();
        let error = CodeCache::open(&path, executor.engine()).unwrap_err();
        assert!(matches!(error, CacheError::Open { .. }), "{error}");
    }
}
