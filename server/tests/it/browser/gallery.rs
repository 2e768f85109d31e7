//! `Gallery`: what the pages look like, in both themes, on a desk and on a phone.
//!
//! Promises: each picture is taken at rest and of the whole page; a page that could be scrolled sideways is a failure, and
//! so is one that is not accessible (`axe.rs`).
//! Pictures are in `target/screenshots`; those of the documents are written only where CLEAVE_UPDATE_DOCS is `1`.

use std::path::Path;

use chromium::{Page, Theme};

use super::axe;
use super::screenshots;

const WIDTHS: [(u32, u32); 2] = [(1280, 800), (390, 844)];

/// Sharp on dense screens, and still small files.
const SCALE_DOCS: f64 = 1.5;

pub(super) struct Gallery {
    update_docs: bool,
}

impl Gallery {
    pub(super) fn new() -> Self {
        Self {
            update_docs: std::env::var_os("CLEAVE_UPDATE_DOCS").is_some_and(|update| update == "1"),
        }
    }

    /// Four pictures of what a page shows: `NAME-THEME-WIDTH.png`. Ends with the page as it was.
    pub(super) async fn take(&self, page: &mut Page, name: &str) {
        for (width, height) in WIDTHS {
            page.size(width, height, 1.0).await;
            for theme in [Theme::Light, Theme::Dark] {
                page.theme(theme).await;
                let file = format!("{name}-{}-{width}.png", theme.name());
                page.photograph(&screenshots().join(&file)).await;
                axe::check(page, &file).await;
            }
            let wide = page.sticks_out().await;
            assert!(wide.is_empty(), "{name} scrolls sideways at {width}: {wide:#?}");
        }
        page.theme(Theme::Light).await;
        page.size(WIDTHS[0].0, WIDTHS[0].1, 1.0).await;
    }

    /// One picture for the documents.
    pub(super) async fn document(&self, page: &mut Page, file: &str, theme: Theme) {
        if !self.update_docs {
            return;
        }
        page.size(WIDTHS[0].0, WIDTHS[0].1, SCALE_DOCS).await;
        page.theme(theme).await;
        page.photograph(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file))
            .await;
        page.theme(Theme::Light).await;
        page.size(WIDTHS[0].0, WIDTHS[0].1, 1.0).await;
    }
}
