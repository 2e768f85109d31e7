//! `Page`: one window, used as a person would use it.
//!
//! Promises: a click lands on what is seen at that place, or it waits; every wait is for a condition, ends within the
//! watchdog, and leaves `failure.png` and the page's text when it gives up; a navigation in between only begins a wait
//! anew. Not here: which pages there are.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::WATCHDOG;
use crate::connection::{Connection, exception};

/// How long one look from inside the page lasts; between looks, the watchdog is asked.
const LOOK_MS: u32 = 1_000;

/// How often the condition is tried during a look.
const TRY_MS: u32 = 30;

/// What is read of a record at once.
const RECORD_BYTES: u32 = 4 << 20;

/// Beyond this, a page's picture ends.
const HEIGHT_MAX: f64 = 4_000.0;

/// What the system says about colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    Light,
    Dark,
}

impl Theme {
    /// As style sheets call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// One window.
pub struct Page {
    connection: Connection,
    /// Where it leaves its picture when it waits in vain.
    pictures: PathBuf,
}

impl Page {
    pub(crate) async fn attach(url: &str, pictures: PathBuf) -> Self {
        let mut page = Self {
            connection: Connection::open(url).await,
            pictures,
        };
        for domain in ["Page", "Runtime", "Log", "Network", "Audits"] {
            page.command(&format!("{domain}.enable"), json!({})).await;
        }
        page.size(1280, 800, 1.0).await;
        page.theme(Theme::Light).await;
        page
    }

    /// Runs a script in every document from now on, before its own.
    pub async fn prepare(&mut self, script: &str) {
        self.command(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": script }),
        )
        .await;
    }

    /// Goes to an address, and does not wait for it.
    pub async fn head_for(&mut self, url: &str) {
        let answer = self.command("Page.navigate", json!({ "url": url })).await;
        if let Some(error) = answer["errorText"].as_str() {
            panic!("cannot open {url}: {error}");
        }
    }

    /// Loads an address and everything that its page names.
    pub async fn goto(&mut self, url: &str) {
        self.head_for(url).await;
        self.wait_until("the page to be loaded", "document.readyState === 'complete'")
            .await;
    }

    /// The window's inner size in CSS pixels, and how many pixels a screenshot has for each.
    pub async fn size(&mut self, width: u32, height: u32, scale: f64) {
        // Not `mobile`: a phone's layout grows with what sticks out, which would hide that something does.
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// What the system says about colours.
    pub async fn theme(&mut self, theme: Theme) {
        let features = json!([{ "name": "prefers-color-scheme", "value": theme.name() }]);
        self.command("Emulation.setEmulatedMedia", json!({ "features": features }))
            .await;
    }

    /// Waits until an element is there.
    pub async fn wait_for(&mut self, selector: &str) {
        let what = format!("`{selector}`");
        self.wait_until(&what, &format!("!!{}", query(selector))).await;
    }

    /// Waits until an expression (it may be a promise) is truthy, and gives its value. A failing expression is not
    /// true yet.
    pub async fn wait_until(&mut self, what: &str, expression: &str) -> Value {
        let script = format!(
            "(async () => {{
                const end = Date.now() + {LOOK_MS};
                let error = null;
                do {{
                    try {{
                        const value = await ({expression});
                        if (value) return {{ value }};
                        error = null;
                    }} catch (thrown) {{ error = String(thrown); }}
                    await new Promise(go => setTimeout(go, {TRY_MS}));
                }} while (Date.now() < end);
                return {{ error }};
            }})()"
        );
        let deadline = Instant::now() + WATCHDOG;
        let mut last = String::new();
        while Instant::now() < deadline {
            match self.try_evaluate(&script).await {
                Ok(mut found) if !found["value"].is_null() => return found["value"].take(),
                Ok(found) => last = found["error"].as_str().unwrap_or_default().to_owned(),
                Err(reason) => last = reason,
            }
        }
        self.give_up(what, &last).await
    }

    /// The value of an expression, now.
    pub async fn evaluate(&mut self, expression: &str) -> Value {
        match self.try_evaluate(expression).await {
            Ok(value) => value,
            Err(reason) => panic!("`{expression}`: {reason}"),
        }
    }

    /// Waits for an element and gives its text as it is shown, trimmed.
    pub async fn text(&mut self, selector: &str) -> String {
        let expression = format!("{}.innerText.trim()", query(selector));
        let text = self
            .wait_until(&format!("a text in `{selector}`"), &expression)
            .await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// The texts of all elements of a selector.
    pub async fn texts(&mut self, selector: &str) -> Vec<String> {
        self.all(selector, "element.innerText.trim()").await
    }

    /// An attribute of all elements of a selector that have it.
    pub async fn attributes(&mut self, selector: &str, name: &str) -> Vec<String> {
        self.all(
            &format!("{selector}[{name}]"),
            &format!("element.getAttribute('{name}')"),
        )
        .await
    }

    async fn all(&mut self, selector: &str, each: &str) -> Vec<String> {
        let all = json!(selector);
        let expression = format!("Array.from(document.querySelectorAll({all}), element => {each})");
        serde_json::from_value(self.evaluate(&expression).await).expect("a list of texts")
    }

    /// Clicks the first element of a selector with the mouse, once it rests in sight and nothing lies over it.
    pub async fn click(&mut self, selector: &str) {
        let element = query(selector);
        let place = format!(
            "(async () => {{
                const place = () => {{
                    const element = {element};
                    if (element.disabled) return null;
                    element.scrollIntoView({{ block: 'center', inline: 'nearest', behavior: 'instant' }});
                    const box = element.getClientRects()[0];
                    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
                    return element.contains(document.elementFromPoint(x, y)) ? [x, y] : null;
                }};
                const before = place();
                await new Promise(go => setTimeout(go, {TRY_MS}));
                const after = place();
                return before && after && before[0] === after[0] && before[1] === after[1] && after;
            }})()"
        );
        let place = self
            .wait_until(&format!("`{selector}` to rest in sight"), &place)
            .await;
        for (kind, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({
                "type": kind, "x": place[0], "y": place[1], "button": button, "buttons": buttons, "clickCount": 1,
            });
            self.command("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Drags from the middle of an element to a point that an expression gives, by ten steps; `meanwhile` must hold before
    /// the button is let go.
    pub async fn drag(&mut self, selector: &str, to: &str, meanwhile: &str) {
        let from = format!(
            "(box => box && [box.left + box.width / 2, box.top + box.height / 2])({}?.getBoundingClientRect())",
            query(selector)
        );
        let from = self.wait_until(&format!("`{selector}`"), &from).await;
        let to = self.wait_until("a place to drop it", to).await;
        let at = |part: f64| {
            let axis = |index: usize| {
                let (a, b) = (
                    from[index].as_f64().unwrap_or_default(),
                    to[index].as_f64().unwrap_or_default(),
                );
                a + (b - a) * part
            };
            (axis(0), axis(1))
        };
        self.mouse("mouseMoved", at(0.0), 0).await;
        self.mouse("mousePressed", at(0.0), 1).await;
        for step in 1..=10 {
            self.mouse("mouseMoved", at(f64::from(step) / 10.0), 1).await;
        }
        self.wait_until("what is said while it is dragged", meanwhile)
            .await;
        self.mouse("mouseReleased", at(1.0), 1).await;
    }

    /// Moves the pointer, presses or lets go at a point of the window.
    pub async fn mouse(&mut self, kind: &str, (x, y): (f64, f64), buttons: u32) {
        let button = if buttons == 0 { "none" } else { "left" };
        let event =
            json!({ "type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1 });
        self.command("Input.dispatchMouseEvent", event).await;
    }

    /// Presses a key that writes nothing: `Enter`, `ArrowLeft`.
    pub async fn press_named(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            let event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            self.command("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Types a text into a field, in place of what stands there.
    pub async fn type_into(&mut self, selector: &str, text: &str) {
        self.click(selector).await;
        self.evaluate(&format!("{}.select()", query(selector))).await;
        self.command("Input.insertText", json!({ "text": text })).await;
    }

    /// Chooses an option of a select.
    pub async fn choose(&mut self, selector: &str, value: &str) {
        self.wait_for(selector).await;
        let (element, value) = (query(selector), json!(value));
        let choose = format!(
            "(element => {{ element.focus(); element.value = {value};
                for (const kind of ['input', 'change']) element.dispatchEvent(new Event(kind, {{ bubbles: true }}));
                return element.value; }})({element})"
        );
        assert_eq!(
            self.evaluate(&choose).await,
            value,
            "`{selector}` has that option"
        );
    }

    /// Presses a key that writes a character.
    pub async fn press(&mut self, key: char) {
        let key = key.to_string();
        self.command(
            "Input.dispatchKeyEvent",
            json!({ "type": "keyDown", "key": key, "text": key }),
        )
        .await;
        self.command("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key }))
            .await;
    }

    /// Presses a key that writes nothing, or acts beside writing: `Tab`, `Enter`.
    pub async fn key(&mut self, name: &str) {
        let text = if name == "Enter" { "\r" } else { "" };
        let code = match name {
            "Enter" => 13,
            "Tab" => 9,
            _ => 0,
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event = json!({ "type": kind, "key": name, "code": name, "text": text, "windowsVirtualKeyCode": code });
            self.command("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Presses Tab until an element has the focus, and then Enter: as a person without a mouse does.
    pub async fn press_by_keyboard(&mut self, selector: &str) {
        const STOPS_MAX: usize = 200;
        self.wait_for(&format!("{selector}:not([disabled])")).await;
        for _ in 0..STOPS_MAX {
            let is_there = format!("document.activeElement === {}", query(selector));
            if self.evaluate(&is_there).await == json!(true) {
                return self.key("Enter").await;
            }
            self.key("Tab").await;
        }
        panic!("`{selector}` is not among the first {STOPS_MAX} stops of the Tab key");
    }

    /// Chooses a file for a file field.
    pub async fn choose_file(&mut self, selector: &str, file: &Path) {
        self.wait_for(selector).await;
        let document = self.command("DOM.getDocument", json!({})).await;
        let root = &document["root"]["nodeId"];
        let found = self
            .command(
                "DOM.querySelector",
                json!({ "nodeId": root, "selector": selector }),
            )
            .await;
        let files = json!({ "nodeId": found["nodeId"], "files": [file] });
        self.command("DOM.setFileInputFiles", files).await;
    }

    /// What sticks out sideways and lets the page scroll; nothing, if it cannot be scrolled.
    pub async fn sticks_out(&mut self) -> Vec<String> {
        let elements = self.evaluate(
            "document.scrollingElement.scrollWidth <= innerWidth ? [] :
             [`page ${document.scrollingElement.scrollWidth} of ${innerWidth}`].concat(
                Array.from(document.querySelectorAll('body *'))
                    .filter(element => element.getBoundingClientRect().right > innerWidth + 0.5)
                    .map(element => `${element.tagName.toLowerCase()}.${element.getAttribute('class') ?? ''}`
                        + ` to ${Math.round(element.getBoundingClientRect().right)}`)
                    .slice(0, 8))",
        );
        serde_json::from_value(elements.await).expect("a list of texts")
    }

    /// Records what the browser does from now on: events of these categories.
    pub async fn record(&mut self, categories: &str) {
        let params = json!({ "categories": categories, "transferMode": "ReturnAsStream" });
        self.command("Tracing.start", params).await;
    }

    /// Ends the record, and gives its events.
    pub async fn recorded(&mut self) -> Vec<Value> {
        self.command("Tracing.end", json!({})).await;
        let ended = self.connection.event("Tracing.tracingComplete").await;
        let mut text = String::new();
        loop {
            let params = json!({ "handle": ended["stream"], "size": RECORD_BYTES });
            let part = self.command("IO.read", params).await;
            text.push_str(part["data"].as_str().unwrap_or_default());
            if part["eof"] == json!(true) {
                break;
            }
        }
        self.command("IO.close", json!({ "handle": ended["stream"] }))
            .await;
        let mut record: Value = serde_json::from_str(&text).expect("a record is JSON");
        match record["traceEvents"].take() {
            Value::Array(events) => events,
            other => panic!("a record without events: {other}"),
        }
    }

    /// Closes the window.
    pub async fn close(mut self) {
        self.command("Page.close", json!({})).await;
    }

    /// Adds a complaint.
    pub fn complain(&mut self, what: String) {
        self.connection.complain(what);
    }

    /// What the page complained about since the last time: errors, exceptions, violations of its security policy.
    pub async fn complaints(&mut self) -> Vec<String> {
        // An answer comes after the events before it.
        self.evaluate("0").await;
        self.connection.complaints()
    }

    /// Waits until pictures are loaded and movements that end have ended.
    pub async fn rest(&mut self) {
        self.wait_until(
            "pictures and movements",
            "new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)))
             .then(() => !document.querySelector('[data-stale=true]') && Array.from(document.images).every(image => image.complete || image.loading === 'lazy')
                && document.getAnimations().every(movement => movement.playState !== 'running'
                    || movement.effect.getComputedTiming().endTime === Infinity)
                && document.fonts.ready)
             .then(ready => !!ready)",
        )
        .await;
    }

    /// Writes a picture of the whole page, at rest.
    pub async fn photograph(&mut self, file: &Path) {
        self.evaluate("scrollTo(0, 0)").await;
        self.rest().await;
        let size = self
            .evaluate("[innerWidth, Math.max(innerHeight, document.documentElement.scrollHeight)]")
            .await;
        let height = size[1].as_f64().unwrap_or_default().min(HEIGHT_MAX);
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": height, "scale": 1 });
        self.capture(
            file,
            json!({ "format": "png", "captureBeyondViewport": true, "clip": clip }),
        )
        .await;
    }

    async fn capture(&mut self, file: &Path, params: Value) {
        let picture = self.command("Page.captureScreenshot", params).await;
        let picture = BASE64_STANDARD
            .decode(picture["data"].as_str().unwrap_or_default())
            .expect("base64");
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("the folder of the screenshots");
        std::fs::write(file, picture).expect("a screenshot can be written");
    }

    /// A command of the protocol; what it refuses is told by a panic.
    pub async fn command(&mut self, method: &str, params: Value) -> Value {
        match self.connection.command(method, params).await {
            Ok(result) => result,
            Err(reason) => panic!("{method}: {reason}"),
        }
    }

    /// The value, or why there is none (the page may be on its way to another).
    async fn try_evaluate(&mut self, expression: &str) -> Result<Value, String> {
        let params = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let mut answer = self.connection.command("Runtime.evaluate", params).await?;
        match &answer["exceptionDetails"] {
            Value::Null => Ok(answer["result"]["value"].take()),
            details => Err(exception(details)),
        }
    }

    async fn give_up(&mut self, what: &str, last: &str) -> ! {
        let file = self.pictures.join("failure.png");
        self.capture(&file, json!({ "format": "png" })).await;
        let seen = self
            .try_evaluate("`${location.href}\n${document.title}\n${document.body.innerText.slice(0, 3000)}`")
            .await;
        let seen = seen.unwrap_or_else(|reason| reason.into());
        panic!(
            "waited {WATCHDOG:?} in vain for {what} ({last})\nscreenshot: {}\ncomplaints: {:#?}\npage: {}",
            file.display(),
            self.connection.complaints(),
            seen.as_str().unwrap_or_default(),
        );
    }
}

fn query(selector: &str) -> String {
    format!("document.querySelector({})", json!(selector))
}
