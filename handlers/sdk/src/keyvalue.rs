//! What a handler remembers (`wasi:keyvalue`): values under keys, in buckets that are this handler's alone.
//!
//! Instances come and go; memory is no place for state. A change that depends on the old value goes through
//! `update`, which swaps and tries again when somebody else was faster, at most `UPDATE_TRIES` times.

pub use crate::bindings::wasi::keyvalue::store::Error as StoreError;

/// Enough for sixteen writers of one key at once; more are better served by another key.
const UPDATE_TRIES: usize = 16;

/// Keys of a bucket, and where the next ones begin.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyPage {
    pub keys: Vec<String>,
    /// Pass it to get the keys that follow; absent at the end.
    pub cursor: Option<String>,
}

/// Why a swap did not happen.
#[derive(Debug)]
pub enum SwapError<C> {
    /// Somebody else wrote first: this stands there now, and this handle swaps it.
    Conflict(Option<Vec<u8>>, C),
    /// The store failed.
    Store(StoreError),
}

/// Why an update did not happen.
#[derive(Debug, PartialEq)]
pub enum UpdateError<E> {
    /// The change itself was refused.
    Refused(E),
    /// Others wrote in between, every time.
    Busy,
    /// The store failed.
    Store(StoreError),
}

/// Reads and writes values.
pub trait KeyValue {
    /// A read value that can be swapped for another as long as nobody else writes.
    type Cas;

    /// The value under a key, absent if there is none.
    fn get(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes a value, whatever stood there.
    fn set(&self, bucket: &str, key: &str, value: &[u8]) -> Result<(), StoreError>;

    /// Removes a key; that there is none is not an error.
    fn delete(&self, bucket: &str, key: &str) -> Result<(), StoreError>;

    /// Whether a key has a value.
    fn exists(&self, bucket: &str, key: &str) -> Result<bool, StoreError>;

    /// The keys of a bucket, page by page.
    fn list_keys(&self, bucket: &str, cursor: Option<String>) -> Result<KeyPage, StoreError>;

    /// Adds to a number, which starts at 0, and returns the sum.
    fn increment(&self, bucket: &str, key: &str, delta: i64) -> Result<i64, StoreError>;

    /// Reads a value in order to swap it.
    fn read_to_swap(&self, bucket: &str, key: &str) -> Result<(Option<Vec<u8>>, Self::Cas), StoreError>;

    /// Writes a value if nobody wrote since it was read.
    fn swap(&self, cas: Self::Cas, value: &[u8]) -> Result<(), SwapError<Self::Cas>>;

    /// Changes a value in one step, seen from outside, and returns what was written. `change` gets what stands
    /// there and may be called several times.
    fn update<E>(
        &self,
        bucket: &str,
        key: &str,
        mut change: impl FnMut(Option<Vec<u8>>) -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, UpdateError<E>> {
        let (mut current, mut cas) = self.read_to_swap(bucket, key).map_err(UpdateError::Store)?;
        for _ in 0..UPDATE_TRIES {
            let next = change(current).map_err(UpdateError::Refused)?;
            match self.swap(cas, &next) {
                Ok(()) => return Ok(next),
                Err(SwapError::Conflict(newer, again)) => (current, cas) = (newer, again),
                Err(SwapError::Store(error)) => return Err(UpdateError::Store(error)),
            }
        }
        Err(UpdateError::Busy)
    }
}

/// Natively, several handlers of one program can share a store.
#[cfg(not(target_arch = "wasm32"))]
impl<K: KeyValue> KeyValue for &K {
    type Cas = K::Cas;

    fn get(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        K::get(self, bucket, key)
    }

    fn set(&self, bucket: &str, key: &str, value: &[u8]) -> Result<(), StoreError> {
        K::set(self, bucket, key, value)
    }

    fn delete(&self, bucket: &str, key: &str) -> Result<(), StoreError> {
        K::delete(self, bucket, key)
    }

    fn exists(&self, bucket: &str, key: &str) -> Result<bool, StoreError> {
        K::exists(self, bucket, key)
    }

    fn list_keys(&self, bucket: &str, cursor: Option<String>) -> Result<KeyPage, StoreError> {
        K::list_keys(self, bucket, cursor)
    }

    fn increment(&self, bucket: &str, key: &str, delta: i64) -> Result<i64, StoreError> {
        K::increment(self, bucket, key, delta)
    }

    fn read_to_swap(&self, bucket: &str, key: &str) -> Result<(Option<Vec<u8>>, Self::Cas), StoreError> {
        K::read_to_swap(self, bucket, key)
    }

    fn swap(&self, cas: Self::Cas, value: &[u8]) -> Result<(), SwapError<Self::Cas>> {
        K::swap(self, cas, value)
    }
}

#[cfg(target_arch = "wasm32")]
mod inside {
    use super::{KeyPage, KeyValue, StoreError, SwapError};
    use crate::bindings::wasi::keyvalue::atomics::{Cas, CasError, increment, swap};
    use crate::bindings::wasi::keyvalue::store::open;

    impl<W: crate::grant::KeyValueStore> KeyValue for W {
        type Cas = Cas;

        fn get(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
            open(bucket)?.get(key)
        }

        fn set(&self, bucket: &str, key: &str, value: &[u8]) -> Result<(), StoreError> {
            open(bucket)?.set(key, value)
        }

        fn delete(&self, bucket: &str, key: &str) -> Result<(), StoreError> {
            open(bucket)?.delete(key)
        }

        fn exists(&self, bucket: &str, key: &str) -> Result<bool, StoreError> {
            open(bucket)?.exists(key)
        }

        fn list_keys(&self, bucket: &str, cursor: Option<String>) -> Result<KeyPage, StoreError> {
            let page = open(bucket)?.list_keys(cursor.as_deref())?;
            Ok(KeyPage {
                keys: page.keys,
                cursor: page.cursor,
            })
        }

        fn increment(&self, bucket: &str, key: &str, delta: i64) -> Result<i64, StoreError> {
            increment(&open(bucket)?, key, delta)
        }

        fn read_to_swap(&self, bucket: &str, key: &str) -> Result<(Option<Vec<u8>>, Cas), StoreError> {
            let cas = Cas::new(&open(bucket)?, key)?;
            Ok((cas.current()?, cas))
        }

        fn swap(&self, cas: Cas, value: &[u8]) -> Result<(), SwapError<Cas>> {
            match swap(cas, value) {
                Ok(()) => Ok(()),
                Err(CasError::StoreError(error)) => Err(SwapError::Store(error)),
                Err(CasError::CasFailed(cas)) => {
                    let current = cas.current().map_err(SwapError::Store)?;
                    Err(SwapError::Conflict(current, cas))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Memory;

    fn append(store: &Memory, text: &str) -> Result<Vec<u8>, UpdateError<()>> {
        store.update("notes", "today", |old| {
            let mut value = old.unwrap_or_default();
            value.extend_from_slice(text.as_bytes());
            Ok(value)
        })
    }

    #[test]
    fn update_keeps_what_others_wrote_in_between() {
        let store = Memory::default();
        append(&store, "a").expect("nobody else writes");
        store.write_before_next_swap("notes", "today", b"ab");
        assert_eq!(append(&store, "c"), Ok(b"abc".to_vec()));
        assert_eq!(store.get("notes", "today"), Ok(Some(b"abc".to_vec())));
    }

    #[test]
    fn update_gives_up_after_a_bounded_number_of_tries() {
        let store = Memory::default();
        for n in 0..=UPDATE_TRIES {
            store.write_before_next_swap("notes", "today", n.to_string().as_bytes());
        }
        assert_eq!(append(&store, "x"), Err(UpdateError::Busy));
    }

    #[test]
    fn refused_change_writes_nothing() {
        let store = Memory::default();
        assert_eq!(
            store.update("notes", "today", |_| Err("no")),
            Err(UpdateError::Refused("no"))
        );
        assert_eq!(store.exists("notes", "today"), Ok(false));
    }
}
