//! How files, pages and what is neither are served.

use http_body_util::BodyExt;

use super::*;

const FILES_OF_A_UI: &[File] = &[
    File {
        path: "index.html",
        bytes: b"<html>",
        brotli: Some(b"br-of-html"),
    },
    File {
        path: "assets/app-0123.wasm",
        bytes: b"\0asm",
        brotli: None,
    },
];

fn get(files: &[File], path: &str, headers: &[(http::HeaderName, &'static str)]) -> Response {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(name.clone(), HeaderValue::from_static(value));
    }
    Assets::new(files).answer(path, &map)
}

async fn body(response: Response) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn every_page_is_the_document_and_is_asked_for_anew() {
    for path in ["/", "/index.html", "/traces/1", "/handlers/cart"] {
        let response = get(FILES_OF_A_UI, path, &[]);
        assert_eq!(response.headers()[CACHE_CONTROL], "no-cache", "{path}");
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.contains("'wasm-unsafe-eval'") && !policy.contains("unsafe-inline"),
            "{policy}"
        );
        assert_eq!(body(response).await, "<html>");
    }
}

#[tokio::test]
async fn hashed_files_are_kept_for_ever_and_gone_ones_are_not_the_document() {
    let response = get(FILES_OF_A_UI, "/assets/app-0123.wasm", &[(ACCEPT_ENCODING, "br")]);
    assert_eq!(response.headers()[CACHE_CONTROL], IMMUTABLE);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/wasm");
    assert!(!response.headers().contains_key(CONTENT_ENCODING));
    assert_eq!(
        get(FILES_OF_A_UI, "/assets/app-9999.wasm", &[]).status().as_u16(),
        404
    );
}

#[tokio::test]
async fn brotli_is_sent_to_who_reads_it() {
    for (accepted, is_sent) in [
        ("gzip, br", true),
        ("BR;q=0.5", true),
        ("br;q=0", false),
        ("br;q=0.0", false),
        ("gzip", false),
    ] {
        let response = get(FILES_OF_A_UI, "/", &[(ACCEPT_ENCODING, accepted)]);
        assert_eq!(
            response.headers().contains_key(CONTENT_ENCODING),
            is_sent,
            "{accepted}"
        );
        assert_eq!(body(response).await == "br-of-html", is_sent, "{accepted}");
    }
}

#[tokio::test]
async fn who_has_it_is_not_sent_it_again() {
    let etag = get(FILES_OF_A_UI, "/", &[]).headers()[ETAG].clone();
    let mut headers = HeaderMap::new();
    headers.insert(
        IF_NONE_MATCH,
        HeaderValue::try_from(format!("\"x\", W/{}", etag.to_str().unwrap())).unwrap(),
    );
    let response = Assets::new(FILES_OF_A_UI).answer("/", &headers);
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert!(body(response).await.is_empty());
    assert_eq!(
        get(FILES_OF_A_UI, "/", &[(IF_NONE_MATCH, "\"x\"")]).status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn without_a_ui_the_page_says_how_to_build_it() {
    let page = body(get(&[], "/", &[])).await;
    assert!(
        std::str::from_utf8(&page)
            .unwrap()
            .contains("cargo xtask build --ui")
    );
}
