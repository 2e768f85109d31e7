//! A person in a real browser: the tour through the shop and Cleave, and what the pages look like.
//!
//! Promises: everything is clicked and typed where it is seen; the pages complain of nothing (console, exceptions,
//! content security policy) and never scroll sideways. `--skip browser::` leaves this out where there is no Chromium.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails the test, and says where"
)]

mod axe;
mod cleave;
mod frozen;
mod gallery;
mod handlers;
mod learn;
mod mishaps;
mod odd;
mod seeing;
mod shop;
mod trace;
mod traces;

use std::path::{Path, PathBuf};

use chromium::{Chromium, Page, Theme};

use self::gallery::Gallery;
use crate::support::{Home, SHOP};

/// Handlers without which there is no checkout.
const TAKING_PART: [&str; 6] = ["frontend", "checkout", "cart", "catalog", "payment", "shipping"];

/// Scenario: a page does everything that a good page does not. If this went unnoticed, so would it in the tour.
#[tokio::test]
async fn a_page_that_misbehaves_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.html");
    let text = "<!doctype html><title>bad</title>
        <meta http-equiv='content-security-policy' content=\"style-src 'none'\">
        <img src='missing.png' alt=''><p style='color: red'>styled</p><div id='wide'>&nbsp;</div>
        <button id='button'>press</button><input id='field' value='before'>
        <script>
            document.querySelector('#wide').style.width = '3000px';
            console.error('a word');
            document.querySelector('#button').onclick = () => { document.title = 'pressed'; throw new Error('thrown') };
        </script>";
    std::fs::write(&file, text).unwrap();

    let mut chromium = Chromium::start(screenshots()).await;
    let mut page = chromium.open().await;
    page.goto(&format!("file://{}", file.display())).await;
    page.click("#button").await;
    page.wait_until("the press", "document.title === 'pressed'").await;
    page.type_into("#field", "after").await;
    assert_eq!(
        page.evaluate("document.querySelector('#field').value").await,
        "after"
    );

    let complaints = page.complaints().await;
    for word in [
        "a word",
        "missing.png",
        "thrown",
        "Content Security Policy",
        "content security policy: ",
    ] {
        assert!(
            complaints.iter().any(|complaint| complaint.contains(word)),
            "{word}: {complaints:#?}"
        );
    }
    let wide = page.sticks_out().await;
    assert!(wide.iter().any(|element| element.starts_with("div.")), "{wide:?}");
}

/// Scenario: a person buys something while Cleave is open beside the shop, reads the trace, presses Apart, buys again,
/// and finds the second purchase spread over the processes.
#[test]
fn a_purchase_is_followed_together_and_apart() {
    let home = Home::shop().start();
    let (shop, ui) = (format!("http://{}/", home.ingress.address()), home.url());
    on_this_thread(async {
        let mut tour = Tour::start(shop, &ui).await;
        tour.buy_together().await;
        tour.press_apart().await;
        tour.buy_apart().await;
        tour.look_at_lists().await;
        frozen::record(&mut tour.cleave, &ui, &tour.purchases[1], &tour.purchases[0]).await;
    });
}

/// Scenario: a person reads a handler's contract, calls it by hand, and drops another handler on the page.
#[test]
fn a_handler_is_called_by_hand_and_another_one_uploaded() {
    let home = Home::with(&["currency"])
        .rules("[traces]\narguments = true\n")
        .start();
    on_this_thread(async {
        let mut chromium = Chromium::start(screenshots()).await;
        let mut page = chromium.open().await;
        page.goto(&home.url()).await;
        handlers::call_by_hand(&mut page).await;
        handlers::call_again(&mut page).await;
        handlers::upload(&mut page).await;
        let mut complaints = page.complaints().await;
        // The trace of a call is asked for until it is stored, of which the browser complains.
        complaints
            .retain(|complaint| !(complaint.contains(" 404 ") && complaint.contains("/api/v1/traces/")));
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    });
}

/// Scenario: a person without a mouse walks the tour from its first step to its last, and undoes what it changed.
#[test]
fn the_tour_is_walked_by_keyboard_alone() {
    let home = Home::shop().start();
    on_this_thread(async {
        let mut chromium = Chromium::start(screenshots()).await;
        let mut page = chromium.open().await;
        page.goto(&home.url()).await;
        learn::walk(&mut page).await;
        let mut complaints = page.complaints().await;
        // A trace is asked for until it is stored, and a service that was killed is called: the browser complains of both.
        complaints.retain(|complaint| {
            let is_meant = |status, path| complaint.contains(status) && complaint.contains(path);
            !is_meant(" 404 ", "/api/v1/traces/") && !is_meant(" 503 ", "/api/v1/call/")
        });
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    });
    assert_eq!(home.placement().actual, home.placement().file);
}

/// Scenario: a person cuts an edge by dragging, reads what it cost, undoes it, does the same by keys, looks back an hour
/// and reads the bill.
#[test]
fn a_handler_is_dragged_out_and_the_bill_is_read() {
    let home = Home::shop().start();
    let (shop, ui) = (format!("http://{}/", home.ingress.address()), home.url());
    on_this_thread(async {
        let mut tour = Tour::start(shop, &ui).await;
        tour.drag_and_undo().await;
        tour.move_by_keys().await;
        tour.look_back().await;
        tour.read_the_bill().await;
    });
}

/// Scenario: a person looks for something among the traces: by a query, on the map, by counts and by a saved search,
/// compares what was found, and reads further down while more comes.
#[test]
fn traces_are_searched_selected_saved_and_compared() {
    let home = Home::shop().start();
    let (shop, ui) = (format!("http://{}/", home.ingress.address()), home.url());
    on_this_thread(async {
        let mut tour = Tour::start(shop, &ui).await;
        tour.search().await;
        tour.read_on().await;
    });
}

/// Scenario: a person opens a trace that another program sent, and that makes no sense.
#[test]
fn a_trace_without_sense_is_shown_as_it_is() {
    let home = Home::with(&["currency"]).start();
    odd::import(&home);
    on_this_thread(async {
        let mut chromium = Chromium::start(screenshots()).await;
        let mut page = chromium.open().await;
        odd::look(&mut page, &Gallery::new(), &home.url()).await;
        let complaints = page.complaints().await;
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    });
}

/// Scenario: the server is killed and comes back, at last without its traces, while a list and a trace are open.
#[test]
fn a_server_that_comes_back_finds_its_pages_waiting() {
    let mut home = Home::with(&["currency"]).start();
    on_this_thread(mishaps::restart(&mut home));
}

/// Scenario: every page, with data that stand still, beside the pictures of the documents.
#[test]
fn the_pages_look_as_they_did() {
    let home = Home::with(&["currency"]).start();
    on_this_thread(frozen::compare(&home));
}

/// Scenario: a person has Cleave open twice.
#[test]
fn two_tabs_live_side_by_side() {
    let home = Home::with(&["currency"]).start();
    on_this_thread(mishaps::two_tabs(&home));
}

/// Scenario: an answer comes after what happened since.
#[test]
fn an_answer_that_is_overtaken_changes_nothing() {
    let home = Home::with(&["currency"]).start();
    on_this_thread(mishaps::overtaken(&home));
}

/// Scenario: Cleave is looked at over the line of a phone.
#[test]
fn a_slow_line_shows_a_face_at_once() {
    let home = Home::with(&["currency"]).start();
    on_this_thread(mishaps::slow(&home));
}

/// Scenario: a part of the UI does not come through.
#[test]
fn a_chunk_that_is_lost_is_tried_again() {
    let home = Home::with(&["currency"]).start();
    on_this_thread(mishaps::lost_chunk(&home));
}

/// Scenario: another program sends spans whose names are markup, control characters and turned writing.
#[test]
fn odd_names_are_shown_as_what_they_are() {
    let rules = "[traces]\nsampling = \"all\"\n[otlp]\nlisten = \"127.0.0.1:0\"\n";
    let home = Home::with(&["currency"]).rules(rules).start();
    on_this_thread(mishaps::odd_names(&home));
}

/// `target/screenshots`
fn screenshots() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots")
}

/// Runs a scenario: this thread drives the browser.
fn on_this_thread(scenario: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(scenario);
}

/// Two windows side by side.
struct Tour {
    _chromium: Chromium,
    shop: Page,
    cleave: Page,
    shop_url: String,
    gallery: Gallery,
    /// The traces of what was bought.
    purchases: Vec<String>,
}

impl Tour {
    async fn start(shop_url: String, ui: &str) -> Self {
        let mut chromium = Chromium::start(screenshots()).await;
        let shop = chromium.open().await;
        let mut cleave = chromium.open().await;
        cleave.goto(ui).await;
        cleave.wait_for("main[data-page='map']").await;
        Self {
            _chromium: chromium,
            shop,
            cleave,
            shop_url,
            gallery: Gallery::new(),
            purchases: Vec::new(),
        }
    }

    async fn buy_together(&mut self) {
        let (shop, cleave) = (&mut self.shop, &mut self.cleave);
        cleave::visit(cleave, "traces").await;
        cleave.wait_for("[data-face='empty']").await;
        self.gallery.take(cleave, "traces-empty").await;
        shop::change_currency(shop, &self.shop_url).await;
        shop::buy(shop, &self.shop_url, "Wren Thimble").await;

        self.purchases
            .push(cleave::open_checkout(cleave, "together").await);
        let nodes = cleave::read_waterfall(cleave, &TAKING_PART).await;
        assert_eq!(nodes.into_iter().collect::<Vec<_>>(), ["home"]);
        cleave::read_steps(cleave, "payment").await;
        self.gallery.take(cleave, "trace-together").await;

        cleave::visit(cleave, "queues").await;
        cleave::wait_done(cleave, "checkout.email", 1).await;
        self.calm("the purchase together").await;
    }

    async fn press_apart(&mut self) {
        let (shop, cleave) = (&mut self.shop, &mut self.cleave);
        shop::photograph(shop, &self.shop_url, &self.gallery).await;
        cleave::visit(cleave, "map").await;
        cleave.wait_for(".map-handler").await;
        let handlers = cleave.attributes(".map-handler", "data-handler").await;
        assert_eq!(handlers.len(), SHOP.len(), "{handlers:?}");
        shop::crowd(shop, &self.shop_url).await;
        self.gallery.take(cleave, "map-together").await;
        cleave::place_apart(cleave, SHOP.len()).await;
        self.calm("the change of placement").await;
    }

    async fn buy_apart(&mut self) {
        let (shop, cleave) = (&mut self.shop, &mut self.cleave);
        shop::buy(shop, &self.shop_url, "Martin Bobbin").await;
        shop::crowd(shop, &self.shop_url).await;
        cleave.wait_for(".map-line.crossing").await;
        self.gallery.take(cleave, "map-apart").await;
        self.gallery.document(cleave, "map-apart.png", Theme::Light).await;
        self.gallery
            .document(cleave, "map-apart-dark.png", Theme::Dark)
            .await;

        cleave::visit(cleave, "traces").await;
        cleave.wait_for("tr[data-trace]").await;
        self.gallery.take(cleave, "traces").await;
        cleave::filter(cleave, "payment").await;
        self.purchases.push(cleave::open_checkout(cleave, "apart").await);
        let nodes = cleave::read_waterfall(cleave, &TAKING_PART).await;
        assert!(nodes.len() >= 5, "{nodes:?}");
        cleave::read_steps(cleave, "payment").await;
        self.gallery.take(cleave, "trace").await;
        self.gallery.document(cleave, "trace.png", Theme::Light).await;
        trace::look_around(cleave, &self.gallery).await;
        self.calm("the purchase apart").await;
    }

    async fn search(&mut self) {
        let (shop, cleave) = (&mut self.shop, &mut self.cleave);
        shop::buy(shop, &self.shop_url, "Wren Thimble").await;
        shop::crowd(shop, &self.shop_url).await;
        cleave::visit(cleave, "traces").await;
        traces::ask(cleave, &self.gallery).await;
        traces::select(cleave, &self.gallery).await;
        traces::count(cleave).await;
        traces::save(cleave, &self.gallery).await;
        traces::compare(cleave).await;
        cleave.size(2560, 1200, 1.0).await;
        cleave.wait_for("tr[data-trace]").await;
        let wide = cleave.sticks_out().await;
        assert!(wide.is_empty(), "scrolls sideways at 2560: {wide:#?}");
        cleave.size(1280, 800, 1.0).await;
    }

    async fn read_on(&mut self) {
        let (shop, cleave) = (&mut self.shop, &mut self.cleave);
        let before = traces::scroll_away(cleave).await;
        shop::change_currency(shop, &self.shop_url).await;
        traces::come_back(cleave, &before).await;
        let mut complaints = cleave.complaints().await;
        // A query that cannot be read is refused, of which the browser complains.
        complaints.retain(|complaint| !(complaint.contains(" 400 ") && complaint.contains("duration")));
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    async fn drag_and_undo(&mut self) {
        let (shop, cleave) = (&mut self.shop, &mut self.cleave);
        shop::crowd(shop, &self.shop_url).await;
        seeing::drag_out(cleave, "currency").await;
        shop::crowd(shop, &self.shop_url).await;
        seeing::wait_measured(cleave).await;
        self.gallery.take(cleave, "map-moved").await;
        seeing::undo(cleave, "currency").await;
        self.calm("dragging").await;
    }

    async fn move_by_keys(&mut self) {
        let cleave = &mut self.cleave;
        seeing::open_menu(cleave, "cart").await;
        self.gallery.take(cleave, "map-menu").await;
        seeing::open_menu(cleave, "cart").await;
        seeing::choose_first(cleave, "cart").await;
        self.calm("the menu").await;
    }

    async fn look_back(&mut self) {
        let cleave = &mut self.cleave;
        seeing::look_back(cleave).await;
        self.gallery.take(cleave, "map-past").await;
        seeing::come_back(cleave).await;
        self.calm("the slider").await;
    }

    async fn read_the_bill(&mut self) {
        let cleave = &mut self.cleave;
        cleave::visit(cleave, "edges").await;
        seeing::open_edge(cleave, "frontend-currency").await;
        self.gallery.take(cleave, "edges-open").await;
        seeing::sort_and_propose(cleave, "frontend-currency").await;
        self.gallery.take(cleave, "map-proposed").await;
        self.calm("the bill").await;
    }

    async fn look_at_lists(&mut self) {
        let cleave = &mut self.cleave;
        // By the keyboard: `g`, then the page's letter.
        cleave.press('g').await;
        cleave.press('q').await;
        cleave.wait_for("main[data-page='queues']").await;
        cleave::wait_done(cleave, "checkout.email", 2).await;
        self.gallery.take(cleave, "queues").await;
        cleave::visit(cleave, "handlers").await;
        let serving = cleave::serving(cleave).await;
        assert_eq!(serving.into_iter().collect::<Vec<_>>(), SHOP);
        self.gallery.take(cleave, "handlers").await;
        cleave::visit(cleave, "edges").await;
        cleave.wait_for("tr[data-edge]").await;
        self.gallery.take(cleave, "edges").await;
        cleave::visit(cleave, "nodes").await;
        let nodes = cleave.attributes("main *", "data-node").await;
        assert_eq!(nodes.len(), SHOP.len() + 1, "{nodes:?}");
        self.gallery.take(cleave, "nodes").await;
        self.calm("the lists").await;
    }

    /// Fails if one of the two pages complained of anything.
    async fn calm(&mut self, when: &str) {
        for (name, page) in [("the shop", &mut self.shop), ("Cleave", &mut self.cleave)] {
            let complaints = page.complaints().await;
            assert!(
                complaints.is_empty(),
                "{name} complains during {when}:\n{}",
                complaints.join("\n")
            );
        }
    }
}
