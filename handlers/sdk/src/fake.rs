//! Stand-ins for the capabilities, so that business code runs in plain native tests.
//!
//! A test's world is a struct of these; it implements the traits by handing them on.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

use crate::keyvalue::{KeyPage, KeyValue, StoreError, SwapError};
use crate::log::{Level, Log};
use crate::random::Random;
use crate::time::Clock;

/// Remembers log lines as `level message`.
#[derive(Default)]
pub struct Lines(RefCell<Vec<String>>);

impl Lines {
    /// Every line so far.
    pub fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

impl Log for Lines {
    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Critical => "critical",
        };
        self.0.borrow_mut().push(format!("{level} {message}"));
    }
}

/// Counts instead of surprising: the bytes 0, 1, 2 and so on, over all calls.
#[derive(Default)]
pub struct Counting(Cell<u8>);

impl Random for Counting {
    fn random_bytes(&self, count: usize) -> Vec<u8> {
        let next = || self.0.replace(self.0.get().wrapping_add(1));
        std::iter::repeat_with(next).take(count).collect()
    }
}

/// A clock that stands still.
pub struct Stopped(pub u64);

impl Clock for Stopped {
    fn now_seconds(&self) -> u64 {
        self.0
    }
}

type Place = (String, String);

/// Keeps values in memory. Writes of others can be made to fall between a read and its swap.
#[derive(Default)]
pub struct Memory {
    values: RefCell<BTreeMap<Place, (u64, Vec<u8>)>>,
    version: Cell<u64>,
    others: RefCell<VecDeque<(Place, Vec<u8>)>>,
}

impl Memory {
    /// Lets somebody else write just before the next swap, once.
    pub fn write_before_next_swap(&self, bucket: &str, key: &str, value: &[u8]) {
        self.others
            .borrow_mut()
            .push_back((place(bucket, key), value.to_vec()));
    }

    fn write(&self, place: Place, value: &[u8]) {
        self.version.set(self.version.get() + 1);
        self.values
            .borrow_mut()
            .insert(place, (self.version.get(), value.to_vec()));
    }

    fn read(&self, place: &Place) -> (Option<Vec<u8>>, u64) {
        match self.values.borrow().get(place) {
            Some((version, value)) => (Some(value.clone()), *version),
            None => (None, 0),
        }
    }
}

fn place(bucket: &str, key: &str) -> Place {
    (bucket.to_owned(), key.to_owned())
}

impl KeyValue for Memory {
    type Cas = (Place, u64);

    fn get(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read(&place(bucket, key)).0)
    }

    fn set(&self, bucket: &str, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.write(place(bucket, key), value);
        Ok(())
    }

    fn delete(&self, bucket: &str, key: &str) -> Result<(), StoreError> {
        self.values.borrow_mut().remove(&place(bucket, key));
        Ok(())
    }

    fn exists(&self, bucket: &str, key: &str) -> Result<bool, StoreError> {
        Ok(self.read(&place(bucket, key)).0.is_some())
    }

    fn list_keys(&self, bucket: &str, _cursor: Option<String>) -> Result<KeyPage, StoreError> {
        let values = self.values.borrow();
        let keys = values
            .keys()
            .filter(|place| place.0 == bucket)
            .map(|place| place.1.clone())
            .collect();
        Ok(KeyPage { keys, cursor: None })
    }

    fn increment(&self, bucket: &str, key: &str, delta: i64) -> Result<i64, StoreError> {
        let old = self.get(bucket, key)?.unwrap_or_else(|| b"0".to_vec());
        let number = String::from_utf8(old)
            .ok()
            .and_then(|text| text.parse::<i64>().ok());
        let sum = number.ok_or_else(|| StoreError::Other(format!("`{key}` is no number")))? + delta;
        self.write(place(bucket, key), sum.to_string().as_bytes());
        Ok(sum)
    }

    fn read_to_swap(&self, bucket: &str, key: &str) -> Result<(Option<Vec<u8>>, Self::Cas), StoreError> {
        let place = place(bucket, key);
        let (value, version) = self.read(&place);
        Ok((value, (place, version)))
    }

    fn swap(&self, (place, version): Self::Cas, value: &[u8]) -> Result<(), SwapError<Self::Cas>> {
        if let Some((place, value)) = self.others.borrow_mut().pop_front() {
            self.write(place, &value);
        }
        let (current, now) = self.read(&place);
        if now != version {
            return Err(SwapError::Conflict(current, (place, now)));
        }
        self.write(place, value);
        Ok(())
    }
}
