//! Lanes: other transports beside a link's own connection, for calls alone.
//!
//! A lane belongs to one link and ends with it: the caller dials it with its first call that goes by it, both ends prove
//! by a token that they hold that link, and it ends once nobody used it for a while. A shaped edge has a lane for itself.
//! Hellos, tables, messages and drains stay on the link's connection, which alone says who lives.

pub(super) mod dial;
pub(super) mod greet;
pub(super) mod listen;
pub(super) mod mux;
mod socket;
mod streams;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::{HandlerName, InterfaceName, Rung, Shaping};
use tokio::sync::OnceCell;

use super::gauge::Gauge;
use super::path::Path;
pub(super) use socket::Meter;

/// Lanes of one link, shaped edges among them: beyond it a call finds none.
const LANES_MAX: usize = 256;
/// A lane that nobody used for so long is ended.
const IDLE: Duration = Duration::from_secs(10);

/// Which lane: by its rung, and for a shaped edge whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) rung: Rung,
    pub(super) shaping: Shaping,
    pub(super) edge: Option<(HandlerName, InterfaceName)>,
}

/// One other transport to the peer of a link.
pub(super) struct Lane {
    pub(super) rung: Rung,
    pub(super) path: Path,
    /// Calls that go by it now, and that ever did.
    pub(super) under_way: Arc<Gauge>,
    used: AtomicU64,
    /// It ends, as nobody used it.
    is_ending: AtomicBool,
}

impl Lane {
    fn new(rung: Rung, path: Path) -> Arc<Self> {
        Arc::new(Self {
            rung,
            path,
            under_way: Arc::default(),
            used: AtomicU64::new(0),
            is_ending: AtomicBool::new(false),
        })
    }

    /// Counts a call that is about to go by it; false where it is ending.
    pub(super) fn begin_use(&self) -> bool {
        // In one total order with `idle`: either it sees this use, or this use sees that it ends.
        self.used.fetch_add(1, Ordering::SeqCst);
        !self.is_ending.load(Ordering::SeqCst)
    }

    /// Resolves when nobody used it for a while.
    async fn idle(&self) {
        loop {
            let before = self.used.load(Ordering::SeqCst);
            tokio::time::sleep(IDLE).await;
            if self.under_way.count() == 0 {
                self.is_ending.store(true, Ordering::SeqCst);
                if self.used.load(Ordering::SeqCst) == before {
                    return;
                }
                self.is_ending.store(false, Ordering::SeqCst);
            }
        }
    }
}

/// The lanes that a link's caller has dialed, or is dialing: one attempt for everyone who needs it.
#[derive(Default)]
pub(super) struct Lanes(Mutex<HashMap<Key, Arc<OnceCell<Arc<Lane>>>>>);

impl Lanes {
    /// The place of a lane, empty where there is none that is open; nothing beyond [`LANES_MAX`].
    fn place(&self, key: &Key) -> Option<Arc<OnceCell<Arc<Lane>>>> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_usable = |place: &OnceCell<Arc<Lane>>| place.get().is_none_or(|lane| lane.path.is_open());
        if let Some(place) = lanes.get(key).filter(|place| is_usable(place)) {
            return Some(Arc::clone(place));
        }
        // One that nobody dials any more keeps no place either.
        lanes.retain(|_, place| is_usable(place) && (place.initialized() || Arc::strong_count(place) > 1));
        if lanes.len() >= LANES_MAX {
            return None;
        }
        let place = Arc::<OnceCell<_>>::default();
        lanes.insert(key.clone(), Arc::clone(&place));
        Some(place)
    }
    /// The lanes that are there.
    #[cfg(test)]
    pub(super) fn open_paths(&self) -> Vec<Path> {
        let lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let paths = lanes
            .values()
            .filter_map(|place| place.get().map(|lane| lane.path.clone()));
        paths.filter(Path::is_open).collect()
    }
}
