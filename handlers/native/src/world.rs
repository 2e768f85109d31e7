//! `Plain`: the capabilities as a plain program has them: a map, the system's clock and random bytes, no log.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use sdk::{Clock, KeyValue, Level, Log, Random, StoreError};
use sdk::{KeyPage, SwapError};

use crate::World;

/// The world of `shop-native`; for one thread at a time.
#[derive(Default)]
pub struct Plain {
    carts: Map,
}

/// Values in memory. Nobody writes between a read and its swap, because one thread at a time is here.
#[derive(Default)]
pub struct Map(RefCell<HashMap<String, Vec<u8>>>);

impl World for Plain {
    type Store = Map;

    fn carts(&self) -> &Map {
        &self.carts
    }
}

impl Log for Plain {
    fn log(&self, _: Level, _: &str) {}
}

impl Random for Plain {
    fn random_bytes(&self, count: usize) -> Vec<u8> {
        rand::random_iter().take(count).collect()
    }
}

impl Clock for Plain {
    #[expect(clippy::disallowed_methods, reason = "the server's clock is not linked here")]
    fn now_seconds(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }
}

impl KeyValue for Map {
    type Cas = String;

    fn get(&self, _: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.borrow().get(key).cloned())
    }

    fn set(&self, _: &str, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.0.borrow_mut().insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn delete(&self, _: &str, key: &str) -> Result<(), StoreError> {
        self.0.borrow_mut().remove(key);
        Ok(())
    }

    fn exists(&self, _: &str, key: &str) -> Result<bool, StoreError> {
        Ok(self.0.borrow().contains_key(key))
    }

    fn list_keys(&self, _: &str, _: Option<String>) -> Result<KeyPage, StoreError> {
        let keys = self.0.borrow().keys().cloned().collect();
        Ok(KeyPage { keys, cursor: None })
    }

    fn increment(&self, bucket: &str, key: &str, delta: i64) -> Result<i64, StoreError> {
        let old = self.get(bucket, key)?.unwrap_or_else(|| b"0".to_vec());
        let old: i64 = std::str::from_utf8(&old)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| StoreError::Other(format!("`{key}` is no number")))?;
        self.set(bucket, key, (old + delta).to_string().as_bytes())?;
        Ok(old + delta)
    }

    fn read_to_swap(&self, bucket: &str, key: &str) -> Result<(Option<Vec<u8>>, String), StoreError> {
        Ok((self.get(bucket, key)?, key.to_owned()))
    }

    fn swap(&self, key: String, value: &[u8]) -> Result<(), SwapError<String>> {
        self.set("", &key, value).map_err(SwapError::Store)
    }
}
