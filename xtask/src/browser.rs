//! The browser for the browser test: Chromium or Chrome, found or installed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command;
use crate::debian;
use crate::steps::say;

const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// `CHROME`, then `PATH`, then Debian's package.
pub fn find() -> Result<PathBuf> {
    let browser = match std::env::var_os("CHROME").filter(|chrome| !chrome.is_empty()) {
        Some(chrome) => named(Path::new(&chrome))?,
        None => match on_path() {
            Some(browser) => browser,
            None => install()?,
        },
    };
    say(&browser.display().to_string());
    Ok(browser)
}

fn named(chrome: &Path) -> Result<PathBuf> {
    if !chrome.is_file() {
        bail!("CHROME names `{}`, which is no file", chrome.display());
    }
    Ok(chrome.to_path_buf())
}

fn on_path() -> Option<PathBuf> {
    NAMES.iter().find_map(|name| command::on_path(name))
}

fn install() -> Result<PathBuf> {
    debian::install(&["chromium"], "the browser test").context(
        "no Chromium or Chrome: set CHROME to one, put one on PATH, or leave its test out with --no-browser",
    )?;
    on_path().context("apt-get installed chromium, but it is not on PATH: set CHROME, or use --no-browser")
}
