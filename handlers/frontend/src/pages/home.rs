//! The shop window: all products, those of a category, or those that a search finds.

use std::collections::BTreeSet;

use sdk::Outcome;
use sdk::http::{Form, Response, percent_encode};
use shop::Product;

use super::{Failure, held, things};
use crate::Neighbours;
use crate::markup::{card, escape, notices, page};
use crate::prices::Prices;
use crate::visit::Visit;

pub(crate) fn home<W: Neighbours>(world: &W, visit: &Visit, query: &Form) -> Result<Response, Failure> {
    let silent = |error| Failure::Silent("catalog", error);
    let (words, category) = (query.get("q"), query.get("category"));
    let found = match words {
        "" => world.list_products().required("catalog").map_err(silent)?,
        words => world
            .search_products(words.to_owned())
            .required("catalog")
            .map_err(silent)?,
    };
    let categories = categories(&found, category);
    let shown = found
        .iter()
        .filter(|product| category.is_empty() || product.categories.iter().any(|c| c == category));
    let prices = Prices::new(world, visit);
    let cards = shown.map(|product| card(product, &prices)).collect::<String>();
    let held = held(world, visit);
    let wanted = if category.is_empty() {
        vec![]
    } else {
        vec![category.to_owned()]
    };
    let ads = world.get_ads(wanted).optional(world, "ad").unwrap_or_default();
    let (heading, intro) = heading(words, category);
    let grid = match cards.as_str() {
        "" => "<p id=\"nothing\">Nothing fits. <a href=\"/\">See everything</a>.</p>".to_owned(),
        cards => format!("<ul class=\"grid\" id=\"products\">{cards}</ul>"),
    };
    let main = format!("<h1>{heading}</h1>{intro}{categories}{}{grid}", notices(&ads));
    Ok(Response::html(
        200,
        page(
            world,
            visit,
            "The shop window",
            held.as_deref().map(things),
            &main,
        ),
    ))
}

fn heading(words: &str, category: &str) -> (String, &'static str) {
    match (words, category) {
        ("", "") => (
            "Packed for the next small adventure".to_owned(),
            "<p class=\"intro\">Lanterns, kettles, kites: things that last, chosen by people who use them.</p>",
        ),
        ("", category) => (format!("All for {}", escape(category)), ""),
        (words, _) => (format!("What we have for “{}”", escape(words)), ""),
    }
}

fn categories(products: &[Product], current: &str) -> String {
    let all = products
        .iter()
        .flat_map(|product| &product.categories)
        .collect::<BTreeSet<_>>();
    let links = all.into_iter().map(|category| {
        let mark = if category == current {
            " aria-current=\"page\""
        } else {
            ""
        };
        format!(
            "<a href=\"/?category={}\"{mark}>{}</a>",
            percent_encode(category),
            escape(category)
        )
    });
    let everything = if current.is_empty() {
        " aria-current=\"page\""
    } else {
        ""
    };
    format!(
        "<nav class=\"categories\" aria-label=\"Categories\"><a href=\"/\"{everything}>everything</a>{}</nav>",
        links.collect::<String>()
    )
}
