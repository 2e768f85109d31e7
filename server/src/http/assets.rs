//! The UI's files, embedded by `build.rs` from `web-ui/dist`, and how they are served.
//!
//! Files below `/assets/` carry a hash of their content in their name and are kept for ever; everything else is asked
//! for anew, with an `ETag`. A path that is no file is a page of the UI, whose one document is `index.html`. A binary
//! built without the UI says how to build it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};

/// A file as `build.rs` embeds it.
pub(super) struct File {
    /// Its path below `dist`.
    pub(super) path: &'static str,
    pub(super) bytes: &'static [u8],
    /// Its Brotli twin.
    pub(super) brotli: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// No inline script or style, nothing from elsewhere. WASM needs its own word.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";
const DOCUMENT: &str = "index.html";
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Cleave</title></head><body>\
     <h1>Cleave runs, without its web UI</h1><p>This binary was built before the UI was. Run \
     <code>cargo xtask build --ui</code>, then <code>cargo xtask build --server</code>; or both, and the handlers, with \
     <code>cargo xtask build</code>.</p><p>The API is there: <a href=\"/api/v1/status\">/api/v1/status</a>.</p></body></html>\n";

/// Files ready to be served.
pub(super) struct Assets(HashMap<&'static str, Asset>);

struct Asset {
    bytes: &'static [u8],
    brotli: Option<&'static [u8]>,
    /// Of the content, quoted.
    etag: HeaderValue,
}

/// The UI that this binary carries.
pub(super) fn embedded() -> &'static Assets {
    static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets::new(FILES));
    &ASSETS
}

impl Assets {
    fn new(files: &[File]) -> Self {
        let assets = files.iter().map(|file| {
            let hash = blake3::hash(file.bytes).to_hex();
            let etag = HeaderValue::try_from(format!("\"{}\"", &hash[..16])).expect("hexadecimal digits");
            (
                file.path,
                Asset {
                    bytes: file.bytes,
                    brotli: file.brotli,
                    etag,
                },
            )
        });
        Self(assets.collect())
    }

    /// Answers `GET` of a path.
    pub(super) fn answer(&self, path: &str, headers: &HeaderMap) -> Response {
        let path = path.trim_start_matches('/');
        let (name, asset) = match self.0.get(path) {
            Some(asset) => (path, asset),
            // A file that is gone is not the document: a browser would run it as a script.
            None if path.starts_with("assets/") => return missing(),
            None => match self.0.get(DOCUMENT) {
                Some(asset) => (DOCUMENT, asset),
                None => return page(NOT_BUILT),
            },
        };
        asset.answer(name, headers)
    }
}

impl Asset {
    fn answer(&self, name: &str, headers: &HeaderMap) -> Response {
        let has_it = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .any(|given| names(given, &self.etag));
        let mut response = Response::new(Body::empty());
        if has_it {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let is_immutable = name.starts_with("assets/");
        let kept = if is_immutable { IMMUTABLE } else { "no-cache" };
        let answer = response.headers_mut();
        answer.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
        answer.insert(ETAG, self.etag.clone());
        answer.insert(VARY, HeaderValue::from_static("accept-encoding"));
        answer.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(name)));
        answer.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        if has_it {
            return response;
        }
        let bytes = match self.brotli.filter(|_| reads_brotli(headers)) {
            Some(brotli) => {
                answer.insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
                brotli
            }
            None => self.bytes,
        };
        *response.body_mut() = Body::from(Bytes::from_static(bytes));
        response
    }
}

/// Whether `If-None-Match` names a tag; a weak one means the same bytes here.
fn names(given: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(given), Ok(etag)) = (given.to_str(), etag.to_str()) else {
        return false;
    };
    given
        .split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

fn reads_brotli(headers: &HeaderMap) -> bool {
    let given = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|given| given.to_str().ok());
    given.flat_map(|given| given.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_brotli = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("br"));
        let is_refused =
            parts.any(|part| part.strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0_f32));
        is_brotli && !is_refused
    })
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" | "webmanifest" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn page(html: impl Into<Cow<'static, str>>) -> Response {
    let mut response = Response::new(Body::from(html.into()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

fn missing() -> Response {
    use axum::response::IntoResponse;
    let detail = "this file belongs to another version of the UI; load the page again";
    super::error::Failure::not_found(detail).into_response()
}

#[cfg(test)]
mod tests;
