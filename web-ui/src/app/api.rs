//! The only file that knows how `/api/v1` is spoken to: typed get and send; failures as `Problem`.
//!
//! Promises: every request ends within [`TIMEOUT_MS`]; every failure, also of the network, has a title and a detail
//! that say what to do.

use protocol::HandlerName;
use protocol::api::problem::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, ProgressEvent, RequestInit, Response, XmlHttpRequest};

use crate::format::upright;
use crate::json;
use crate::route::encode;

const BASE: &str = "/api/v1/";

/// Longer than any answer takes; a placement change is accepted at once and then watched.
const TIMEOUT_MS: u32 = 15_000;
/// A component is compiled and placed before the answer.
const UPLOAD_TIMEOUT_MS: u32 = 180_000;

/// The path of a function by hand, of one handler: `call/cart%40shop%3Acart%2Fcart/get-cart`.
pub fn call_path(handler: &HandlerName, interface: &str, function: &str) -> String {
    format!(
        "call/{}/{}",
        encode(&format!("{handler}@{interface}")),
        encode(function)
    )
}

/// Reads a resource: `get("handlers")`.
pub async fn get<T: DeserializeOwned>(path: &str) -> Result<T, Problem> {
    parse(&request("GET", path, None).await?)
}

/// Changes a resource.
pub async fn send<T: DeserializeOwned>(
    method: &str,
    path: &str,
    body: &impl Serialize,
) -> Result<T, Problem> {
    let body = serde_json::to_string(body).map_err(|error| unreadable(&error.to_string()))?;
    parse(&request(method, path, Some(body)).await?)
}

/// Asks for something that answers with nothing: `act("POST", "nodes/cart/kill")`.
pub async fn act(method: &str, path: &str) -> Result<(), Problem> {
    request(method, path, Some("{}".to_owned())).await.map(|_| ())
}

/// Deletes a resource.
pub async fn delete(path: &str) -> Result<(), Problem> {
    request("DELETE", path, None).await.map(|_| ())
}

/// Sends a component; `progress` hears the share that has left this page. The server answers once it serves, or says why
/// it does not. The file is read first: one that changed or went since it was chosen is no fault of the server.
pub async fn upload<T: DeserializeOwned>(
    path: &str,
    file: &web_sys::File,
    progress: impl Fn(f64) + 'static,
) -> Result<T, Problem> {
    let bytes = JsFuture::from(file.array_buffer()).await;
    let bytes = bytes.map_err(|_| unread(&file.name()))?;
    let sender = XmlHttpRequest::new().map_err(unreachable)?;
    let url = format!("{BASE}{path}");
    sender.open("PUT", &url).map_err(unreachable)?;
    sender
        .set_request_header("content-type", "application/wasm")
        .map_err(unreachable)?;
    sender.set_timeout(UPLOAD_TIMEOUT_MS);
    let heard = Closure::<dyn FnMut(ProgressEvent)>::new(move |event: ProgressEvent| {
        if event.total() > 0.0 {
            progress(event.loaded() / event.total());
        }
    });
    if let Ok(upload) = sender.upload() {
        upload.set_onprogress(Some(heard.as_ref().unchecked_ref()));
    }
    let waiting = sender.clone();
    let ended = js_sys::Promise::new(&mut |done, _| waiting.set_onloadend(Some(&done)));
    sender
        .send_with_opt_buffer_source(Some(bytes.unchecked_ref()))
        .map_err(unreachable)?;
    JsFuture::from(ended).await.map_err(unreachable)?;
    let status = sender.status().unwrap_or_default();
    let text = sender.response_text().ok().flatten().unwrap_or_default();
    match status {
        0 => Err(unreachable(JsValue::NULL)),
        200..=299 => parse(&text),
        _ => Err(refusal(&text, status, &format!("PUT {url}"))),
    }
}

/// What the server says to a request that it does not carry out.
fn refusal(text: &str, status: u16, request: &str) -> Problem {
    json::from_str(text).unwrap_or_else(|_| Problem {
        title: format!("The server answered {status}"),
        status,
        code: "unexpected".to_owned(),
        detail: format!("`{request}` was not understood. Look at the log of `cleave up`."),
        pointer: None,
        trace_id: None,
    })
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    json::from_str(text).map_err(|error| unreadable(&error.to_string()))
}

async fn request(method: &str, path: &str, body: Option<String>) -> Result<String, Problem> {
    let init = RequestInit::new();
    init.set_method(method);
    init.set_signal(Some(&AbortSignal::timeout_with_u32(TIMEOUT_MS)));
    if let Some(body) = body {
        let headers = web_sys::Headers::new().map_err(unreachable)?;
        headers
            .set("content-type", "application/json")
            .map_err(unreachable)?;
        init.set_headers(&headers);
        init.set_body(&JsValue::from_str(&body));
    }
    let url = format!("{BASE}{path}");
    let answer = JsFuture::from(leptos::prelude::window().fetch_with_str_and_init(&url, &init))
        .await
        .map_err(unreachable)?;
    let response: Response = answer.unchecked_into();
    let text = response.text().map_err(unreachable)?;
    let text = JsFuture::from(text)
        .await
        .map_err(unreachable)?
        .as_string()
        .unwrap_or_default();
    let text = upright(text);
    if response.ok() {
        return Ok(text);
    }
    Err(refusal(&text, response.status(), &format!("{method} {url}")))
}

fn unread(name: &str) -> Problem {
    Problem {
        title: format!("{name} cannot be read"),
        status: 0,
        code: "unread".to_owned(),
        detail: "It changed or went since it was chosen, or this browser may not read it. Choose it again."
            .to_owned(),
        pointer: None,
        trace_id: None,
    }
}

fn unreachable(_: JsValue) -> Problem {
    Problem {
        title: "Cleave does not answer".to_owned(),
        status: 0,
        code: "unreachable".to_owned(),
        detail: "The server may be restarting, or it has stopped: `cleave up` starts it again.".to_owned(),
        pointer: None,
        trace_id: None,
    }
}

fn unreadable(error: &str) -> Problem {
    Problem {
        title: "The answer cannot be read".to_owned(),
        status: 0,
        code: "unreadable".to_owned(),
        detail: format!("Page and server may be of different versions; reload the page. ({error})"),
        pointer: None,
        trace_id: None,
    }
}
