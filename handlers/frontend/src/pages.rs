//! The pages and what their forms do. Forms answer with a redirect, so that going back or reloading repeats nothing;
//! only a placed order is shown at once, because nobody keeps it.

mod cart;
mod failure;
mod home;
mod order;
mod product;

use sdk::http::{Form, Response};
use sdk::{Log, Outcome};
use shop::{Cart, Catalog, Item, Product, Recommendation};

pub(crate) use cart::{add_to_cart, cart, checkout, empty_cart};
pub(crate) use failure::{Failure, failure};
pub(crate) use home::home;
pub(crate) use product::product;

use crate::visit::{Visit, cookie, is_currency};

pub(crate) fn switch_currency(form: &Form) -> Response {
    let (currency, back) = (form.get("currency"), form.get("back"));
    let elsewhere = !back.starts_with('/') || back.starts_with("//") || back.contains(['\\', '\r', '\n']);
    let response = Response::see_other(if elsewhere { "/" } else { back });
    match is_currency(currency) {
        true => response.with_header("set-cookie", cookie("currency", currency)),
        false => response,
    }
}

/// What is in the cart, for pages that can do without knowing.
fn held(world: &(impl Cart + Log), visit: &Visit) -> Option<Vec<Item>> {
    world.get_cart(visit.session.clone()).optional(world, "cart")
}

fn things(items: &[Item]) -> u32 {
    items
        .iter()
        .fold(0, |sum, item| sum.saturating_add(item.quantity))
}

/// Products that go with the given ones; none if nobody knows.
fn recommended(world: &(impl Catalog + Recommendation + Log), product_ids: Vec<String>) -> Vec<Product> {
    let ids = world
        .list_recommendations(product_ids)
        .optional(world, "recommendation")
        .unwrap_or_default();
    ids.into_iter()
        .filter_map(|id| world.get_product(id).optional(world, "catalog"))
        .collect()
}
