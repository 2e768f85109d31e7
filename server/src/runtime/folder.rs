//! The handlers folder: the truth about which handlers there are.
//!
//! A file is read when its writer closes it, or after 200 ms of quiet; a rename into the folder counts at once. What
//! stands there at the start is reported the same way. Where events were lost, because more came than were looked at
//! or because the system says so, the whole folder is read again: no file that came, changed or went is missed. Only
//! `.wasm` and `.cwasm` files count; hidden ones never do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use protocol::HandlerName;
use tokio::sync::{Notify, mpsc};

use super::inspect::Rejection;

/// A file that was written without being closed counts as whole after this long without another write.
const QUIET: Duration = Duration::from_millis(200);
/// Events of the file system that wait to be looked at; beyond it the folder is read again.
const EVENTS_WAITING_MAX: usize = 1_024;

/// The folder, watched.
pub struct Folder {
    path: PathBuf,
    /// A path with whether its file is whole.
    events: mpsc::Receiver<(PathBuf, bool)>,
    /// Says that events were lost.
    lost: Arc<Notify>,
    /// Files that are being written, with the moment of the last write.
    writing: BTreeMap<PathBuf, Instant>,
    /// Files that were reported and stood there: those whose end a lost event may have told.
    reported: BTreeSet<PathBuf>,
    _watcher: RecommendedWatcher,
}

impl Folder {
    /// Watches a folder, making it if needed.
    pub fn open(path: &Path) -> Result<Self, notify::Error> {
        Self::watch(path, EVENTS_WAITING_MAX)
    }

    fn watch(path: &Path, waiting_max: usize) -> Result<Self, notify::Error> {
        fs::create_dir_all(path)?;
        let (sender, events) = mpsc::channel(waiting_max);
        let lost = Arc::new(Notify::new());
        let losing = Arc::clone(&lost);
        let mut watcher = notify::recommended_watcher(move |event| {
            if !pass_on(event, &sender) {
                losing.notify_one();
            }
        })?;
        watcher.watch(path, RecursiveMode::NonRecursive)?;
        Ok(Self {
            path: path.to_owned(),
            events,
            lost,
            writing: BTreeMap::new(),
            reported: BTreeSet::new(),
            _watcher: watcher,
        })
    }

    /// The files that stand there now.
    pub fn files(&mut self) -> Vec<PathBuf> {
        let files = self.standing();
        self.reported.extend(files.iter().cloned());
        files
    }

    fn standing(&self) -> Vec<PathBuf> {
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
            let quiet = async {
                match quiet_at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.lost.notified() => self.suspect_all(),
                event = self.events.recv() => match event {
                    None => return std::future::pending().await,
                    Some((path, _)) if !is_handler_file(&path) => {}
                    Some((path, true)) => {
                        self.writing.remove(&path);
                        return self.report(vec![path]);
                    }
                    Some((path, false)) => {
                        self.writing.insert(path, Instant::now());
                    }
                },
                () = quiet => {
                    let quiet = self.take_quiet();
                    return self.report(quiet);
                }
            }
        }
    }

    /// Treats every file that stands there or did as one that is being written: it is reported after a while of quiet,
    /// so that none is read by halves. Events that still wait tell nothing beyond that.
    fn suspect_all(&mut self) {
        tracing::info!("events of `{}` were lost; it is read again", self.path.display());
        while self.events.try_recv().is_ok() {}
        let now = Instant::now();
        let files = self.standing().into_iter().chain(self.reported.iter().cloned());
        for path in files {
            // One that waits already is not put off: a storm of events shall not keep it waiting for ever.
            self.writing.entry(path).or_insert(now);
        }
    }

    fn report(&mut self, paths: Vec<PathBuf>) -> Vec<PathBuf> {
        for path in &paths {
            if path.exists() {
                self.reported.insert(path.clone());
            } else {
                self.reported.remove(path);
            }
        }
        paths
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

/// Hands the paths of an event on; `false` where something was lost, here or before.
fn pass_on(event: notify::Result<notify::Event>, to: &mpsc::Sender<(PathBuf, bool)>) -> bool {
    let Ok(event) = event else { return false };
    if event.need_rescan() {
        return false;
    }
    let Some(whole) = is_whole(&event.kind) else {
        return true;
    };
    let mut paths = event.paths.into_iter();
    paths.all(|path| to.try_send((path, whole)).is_ok())
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
        .is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."));
    visible
        && path
            .extension()
            .is_some_and(|extension| extension == "wasm" || extension == "cwasm")
}

/// The handler's name: the file's stem.
pub fn handler_name(path: &Path) -> Result<HandlerName, Rejection> {
    if path.extension().is_some_and(|extension| extension == "cwasm") {
        return Err(Rejection::new(
            "the file is compiled code (a `.cwasm`), which could do anything and is never loaded from a folder",
            "drop the `.wasm` that it was compiled from",
        ));
    }
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let name = HandlerName::parse(&stem).map_err(|error| {
        Rejection::new(
            format!("the file's name gives no handler name: {error}"),
            rename_to(&stem),
        )
    })?;
    if name.is_reserved() {
        return Err(Rejection::new(
            format!("`{name}` is a name of the platform"),
            rename_to(&stem),
        ));
    }
    Ok(name)
}

fn rename_to(stem: &str) -> String {
    format!("rename the file, to `{}.wasm` say", near_name(stem, |_| false))
}

/// A handler name that is like a file's stem, no name of the platform, and not taken.
pub fn near_name(stem: &str, is_taken: impl Fn(&HandlerName) -> bool) -> HandlerName {
    let mut base = String::new();
    for letter in stem.chars().map(|letter| letter.to_ascii_lowercase()) {
        match letter {
            'a'..='z' | '0'..='9' => base.push(letter),
            _ if base.is_empty() || base.ends_with('-') => {}
            _ => base.push('-'),
        }
    }
    // Room for what comes before it and for a number behind it.
    base.truncate(protocol::name::NAME_BYTES_MAX - 16);
    let base = base.trim_end_matches('-');
    let base = match base.chars().next() {
        Some('a'..='z') => base.to_owned(),
        Some(_) => format!("handler-{base}"),
        None => "handler".to_owned(),
    };
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    std::iter::once(base.clone())
        .chain(numbered)
        .filter_map(|name| HandlerName::parse(&name).ok())
        .find(|name| !name.is_reserved() && !is_taken(name))
        .expect("among endlessly many names one is free")
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

    #[test]
    fn a_name_that_would_do_is_found_for_every_file() {
        let near =
            |stem: &str, taken: &[&str]| near_name(stem, |name| taken.contains(&name.as_str())).to_string();
        for (stem, name) in [
            ("My Cart", "my-cart"),
            ("No_Name", "no-name"),
            ("queue", "queue-2"),
            ("9 lives", "handler-9-lives"),
            ("--", "handler"),
            ("Käse", "k-se"),
            ("", "handler"),
        ] {
            assert_eq!(near(stem, &[]), name, "{stem}");
        }
        assert_eq!(near("My Cart", &["my-cart", "my-cart-2"]), "my-cart-3");
        assert!(HandlerName::parse(&near(&"9 x".repeat(200), &[])).is_ok());
        let rejection = handler_name(Path::new("/x/My Cart.wasm")).unwrap_err();
        assert!(rejection.remedy.contains("`my-cart.wasm`"), "{rejection}");
        assert!(handler_name(Path::new("/x/cart.cwasm")).is_err());
    }

    const WAIT: Duration = Duration::from_secs(30);

    async fn next(folder: &mut Folder) -> Vec<PathBuf> {
        tokio::time::timeout(WAIT, folder.changed())
            .await
            .expect("a change is reported")
    }

    #[tokio::test]
    async fn files_that_come_change_and_go_are_reported() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("handlers");
        let mut folder = Folder::open(&path).unwrap();
        let file = path.join("cart.wasm");

        fs::write(path.join("notes.txt"), b"x").unwrap();
        fs::write(&file, b"one").unwrap();
        assert_eq!(next(&mut folder).await, std::slice::from_ref(&file));
        assert_eq!(folder.files(), std::slice::from_ref(&file));

        fs::write(path.join(".cart.tmp"), b"two").unwrap();
        fs::rename(path.join(".cart.tmp"), &file).unwrap();
        assert_eq!(next(&mut folder).await, std::slice::from_ref(&file));

        fs::remove_file(&file).unwrap();
        assert_eq!(next(&mut folder).await, [file]);
        assert!(folder.files().is_empty());
    }

    #[tokio::test]
    async fn more_events_than_may_wait_lead_to_a_look_at_the_whole_folder() {
        const WAITING_MAX: usize = 4;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("handlers");
        fs::create_dir_all(&path).unwrap();
        let (gone, stays) = (path.join("gone.wasm"), path.join("stays.wasm"));
        fs::write(&gone, b"one").unwrap();
        fs::write(&stays, b"one").unwrap();
        let mut folder = Folder::watch(&path, WAITING_MAX).unwrap();
        assert_eq!(folder.files(), [gone.clone(), stays.clone()]);

        // Nobody looks while the first events fill what may wait: all that comes after them is lost.
        fs::write(path.join("noise.txt"), b"x").unwrap();
        for turn in 0.. {
            fs::write(path.join("noise.txt"), turn.to_string()).unwrap();
            let began = Instant::now();
            while folder.events.len() < WAITING_MAX && began.elapsed() < Duration::from_millis(100) {
                std::thread::yield_now();
            }
            if folder.events.len() == WAITING_MAX {
                break;
            }
        }
        let came = path.join("came.wasm");
        fs::remove_file(&gone).unwrap();
        fs::write(&came, b"two").unwrap();
        fs::write(&stays, b"two").unwrap();

        let mut missing = BTreeSet::from([came.clone(), gone, stays.clone()]);
        while !missing.is_empty() {
            for path in next(&mut folder).await {
                missing.remove(&path);
            }
        }
        assert_eq!(folder.files(), [came, stays]);
    }

    #[test]
    fn what_the_system_says_it_lost_counts_as_lost() {
        let (sender, mut events) = mpsc::channel(1);
        let event = |kind: EventKind| notify::Event::new(kind).add_path(PathBuf::from("/x/cart.wasm"));
        let removed = EventKind::Remove(notify::event::RemoveKind::File);
        assert!(pass_on(Ok(event(removed)), &sender));
        assert!(!pass_on(Ok(event(removed)), &sender), "there is room for one");
        assert_eq!(events.try_recv().unwrap(), (PathBuf::from("/x/cart.wasm"), true));
        let rescan = notify::Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        assert!(!pass_on(Ok(rescan), &sender));
        assert!(!pass_on(Err(notify::Error::generic("gone")), &sender));
        assert!(events.try_recv().is_err());
    }
}
