//! More traces than one answer holds, and moments as people write them.

use std::time::{Duration, UNIX_EPOCH};

use protocol::api::traces::TracePage;

use crate::cli::client::Client;
use crate::cli::error::Error;
use crate::clock::Clock;

/// What one answer holds at most.
const PAGE_MAX: u32 = 500;

/// The newest traces of a path that ends where its limit goes on, as if one answer held them.
pub(super) async fn list(client: &Client, path: &str, most: u32) -> Result<TracePage, Error> {
    let mut all = TracePage::default();
    let mut before = String::new();
    loop {
        let left = most - all.items.len() as u32;
        let page = format!("{path}limit={}{before}", left.min(PAGE_MAX));
        let page: TracePage = client.get(&page).await?;
        all.items.extend(page.items);
        all.searched_to_unix_ns = page.searched_to_unix_ns;
        all.next = page.next;
        match &all.next {
            Some(next) if most > PAGE_MAX && (all.items.len() as u32) < most => {
                before = format!("&before={next}")
            }
            _ => return Ok(all),
        }
    }
}

/// `10m` is so long ago, else it is a moment of RFC 3339; in ms since the epoch.
pub(super) fn moment(text: &str) -> Result<u64, String> {
    let ms = |time: Duration| u64::try_from(time.as_millis()).ok();
    let moment = match humantime::parse_duration(text) {
        Ok(past) => ms(past).and_then(|past| (Clock::system().unix_ms() as u64).checked_sub(past)),
        Err(_) => humantime::parse_rfc3339_weak(text)
            .ok()
            .and_then(|moment| ms(moment.duration_since(UNIX_EPOCH).ok()?)),
    };
    moment.ok_or_else(|| {
        "write how long ago, as `10m`, or a moment in UTC, as `2026-11-22T09:30:00Z`".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_an_age_or_a_date() {
        assert_eq!(moment("2026-11-22T09:30:00Z"), Ok(1_795_339_800_000));
        assert_eq!(moment("1970-01-01 00:00:01"), Ok(1_000));
        let now = moment("0s").unwrap();
        let ago = moment("10m").unwrap();
        assert!(
            (600_000..660_000).contains(&(now - ago + 1_000)),
            "{ago} of {now}"
        );
        for bad in ["", "yesterday", "1969-12-31T00:00:00Z", "99999999999y"] {
            assert!(moment(bad).is_err(), "{bad:?}");
        }
    }
}
