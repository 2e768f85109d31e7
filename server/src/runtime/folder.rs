//! The handlers folder: the truth about which handlers there are.
//!
//! A file is read when its writer closes it, or after 200 ms of quiet; a rename into the folder counts at once. What
//! stands there at the start is reported the same way. Only `.wasm` files count; hidden ones never do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use protocol::HandlerName;
use tokio::sync::mpsc;

use super::inspect::Rejection;

/// A file that was written without being closed counts as whole after this long without another write.
const QUIET: Duration = Duration::from_millis(200);
/// Events of the file system that wait to be looked at; beyond it the folder is read again.
const EVENTS_WAITING_MAX: usize = 1_024;

/// The folder, watched.
pub struct Folder {
    path: PathBuf,
    events: mpsc::Receiver<Option<(PathBuf, bool)>>,
    /// Files that are being written, with the moment of the last write.
    writing: BTreeMap<PathBuf, Instant>,
    _watcher: RecommendedWatcher,
}

impl Folder {
    /// Watches a folder, making it if needed.
    pub fn open(path: &Path) -> Result<Self, notify::Error> {
        fs::create_dir_all(path)?;
        let (sender, events) = mpsc::channel(EVENTS_WAITING_MAX);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else {
                let _ = sender.try_send(None);
                return;
            };
            let Some(whole) = is_whole(&event.kind) else {
                return;
            };
            for path in event.paths {
                if sender.try_send(Some((path, whole))).is_err() {
                    return;
                }
            }
        })?;
        watcher.watch(path, RecursiveMode::NonRecursive)?;
        Ok(Self {
            path: path.to_owned(),
            events,
            writing: BTreeMap::new(),
            _watcher: watcher,
        })
    }

    /// The files that stand there now.
    pub fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries
            .map(|entry| entry.path())
            .filter(|path| is_handler_file(path))
            .collect();
        files.sort();
        files
    }

    /// Waits for files that are whole now, or gone. Cancellation safe: nothing is forgotten.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            let quiet_at = self.writing.values().min().map(|last| *last + QUIET);
            let event = match quiet_at {
                None => self.events.recv().await,
                Some(at) => match tokio::time::timeout_at(at.into(), self.events.recv()).await {
                    Ok(event) => event,
                    Err(_) => return self.take_quiet(),
                },
            };
            match event {
                None => return std::future::pending().await,
                Some(None) => return self.files(),
                Some(Some((path, _))) if !is_handler_file(&path) => {}
                Some(Some((path, true))) => {
                    self.writing.remove(&path);
                    return vec![path];
                }
                Some(Some((path, false))) => {
                    self.writing.insert(path, Instant::now());
                }
            }
        }
    }

    fn take_quiet(&mut self) -> Vec<PathBuf> {
        let now = Instant::now();
        let quiet: Vec<_> = self
            .writing
            .iter()
            .filter(|(_, last)| now >= **last + QUIET)
            .map(|(path, _)| path.clone())
            .collect();
        for path in &quiet {
            self.writing.remove(path);
        }
        quiet
    }
}

/// Whether a file of this event is whole (or gone), is still being written, or is not concerned.
fn is_whole(kind: &EventKind) -> Option<bool> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Remove(_)
        | EventKind::Modify(ModifyKind::Name(_)) => Some(true),
        EventKind::Create(_) | EventKind::Modify(_) => Some(false),
        _ => None,
    }
}

fn is_handler_file(path: &Path) -> bool {
    let visible = path
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| !name.starts_with('.'));
    visible
        && path
            .extension()
            .is_some_and(|extension| extension == "wasm" || extension == "cwasm")
}

/// The handler's name: the file's stem.
pub fn handler_name(path: &Path) -> Result<HandlerName, Rejection> {
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let name = HandlerName::parse(&stem).map_err(|error| {
        Rejection::new(
            format!("the file's name gives no handler name: {error}"),
            "rename the file",
        )
    })?;
    if name.is_reserved() {
        return Err(Rejection::new(
            format!("`{name}` is a name of the platform"),
            "rename the file",
        ));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_stems() {
        assert_eq!(handler_name(Path::new("/x/cart.wasm")).unwrap().as_str(), "cart");
        assert!(handler_name(Path::new("/x/My Cart.wasm")).is_err());
        assert!(
            handler_name(Path::new("/x/queue.wasm"))
                .unwrap_err()
                .reason
                .contains("platform")
        );
    }

    #[tokio::test]
    async fn files_that_come_change_and_go_are_reported() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("handlers");
        let mut folder = Folder::open(&path).unwrap();
        let file = path.join("cart.wasm");
        let wait = Duration::from_secs(30);

        fs::write(path.join("notes.txt"), b"x").unwrap();
        fs::write(&file, b"one").unwrap();
        assert_eq!(
            tokio::time::timeout(wait, folder.changed()).await.unwrap(),
            std::slice::from_ref(&file)
        );
        assert_eq!(folder.files(), std::slice::from_ref(&file));

        fs::write(path.join(".cart.tmp"), b"two").unwrap();
        fs::rename(path.join(".cart.tmp"), &file).unwrap();
        assert_eq!(
            tokio::time::timeout(wait, folder.changed()).await.unwrap(),
            std::slice::from_ref(&file)
        );

        fs::remove_file(&file).unwrap();
        assert_eq!(
            tokio::time::timeout(wait, folder.changed()).await.unwrap(),
            [file]
        );
        assert!(folder.files().is_empty());
    }
}
