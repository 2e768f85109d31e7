//! The frontend: the only handler that speaks HTTP. It renders whole pages; they work without JavaScript.
//!
//! Which handler is needed for what: the catalog for every page with goods, the cart for the cart page, the checkout
//! for buying. Currency, shipping, recommendation and ad are asked too, but a page comes out without them: prices in
//! the shop's own currency, no carriage, no notices. What is needed and fails makes an error page that names it.

mod markup;
mod pages;
mod picture;
mod prices;
mod visit;

use sdk::http::{Handler, Request, Response, percent_decode};
use sdk::{Log, Random};
use shop::{Ad, Cart, Catalog, Checkout, Currency, Recommendation, Shipping};

use pages::Failure;
use visit::Visit;

sdk::handler! { path: "../wit", world: "frontend", contract: shop, handler: Window(World) }

/// Everybody that the frontend asks.
pub trait Neighbours:
    Ad + Cart + Catalog + Checkout + Currency + Recommendation + Shipping + Log + Random
{
}

impl<W> Neighbours for W where
    W: Ad + Cart + Catalog + Checkout + Currency + Recommendation + Shipping + Log + Random
{
}

/// The shop window.
pub struct Window<W>(pub W);

impl<W: Neighbours> Handler for Window<W> {
    fn handle(&self, request: Request) -> Response {
        let segments = request
            .path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(percent_decode);
        let segments = segments.collect::<Vec<_>>();
        let segments = segments.iter().map(String::as_str).collect::<Vec<_>>();
        let read = matches!(request.method.as_str(), "GET" | "HEAD");
        match segments.as_slice() {
            ["health"] if read => return Response::text(200, "ok\n"),
            ["style.css"] if read => return lasting("text/css; charset=utf-8", include_str!("style.css")),
            ["pictures", file] if read => return picture(file),
            _ => {}
        }
        let visit = Visit::of(&request, &self.0);
        let answer = match (segments.as_slice(), read, request.method.as_str()) {
            ([], true, _) => pages::home(&self.0, &visit, &request.query_fields()),
            (["product", id], true, _) => pages::product(&self.0, &visit, id),
            (["cart"], true, _) => pages::cart(&self.0, &visit),
            (["cart"], _, "POST") => pages::add_to_cart(&self.0, &visit, &request.form()),
            (["cart", "empty"], _, "POST") => pages::empty_cart(&self.0, &visit),
            (["cart", "checkout"], _, "POST") => pages::checkout(&self.0, &visit, &request.form()),
            (["currency"], _, "POST") => Ok(pages::switch_currency(&request.form())),
            ([] | ["product", _] | ["cart"], ..) => Err(Failure::Method("GET, HEAD, POST")),
            (["cart", "empty" | "checkout"] | ["currency"], ..) => Err(Failure::Method("POST")),
            _ => Err(Failure::NotFound("There is no such page".to_owned())),
        };
        let response = answer.unwrap_or_else(|failure| pages::failure(&self.0, &visit, &failure));
        guarded(visit.remember(response))
    }
}

fn picture(file: &str) -> Response {
    match file.strip_suffix(".svg") {
        Some(id) => lasting("image/svg+xml", picture::of(id)),
        None => Response::text(404, "there is no such picture\n"),
    }
}

/// Files of this component: they change only with it, and an hour of staleness does no harm.
fn lasting(media_type: &str, body: &str) -> Response {
    Response::new(200, media_type, body)
        .with_header("cache-control", "public, max-age=3600")
        .with_header("x-content-type-options", "nosniff")
}

/// Pages hold what is one visitor's own, and run nothing.
fn guarded(response: Response) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                          base-uri 'none'; frame-ancestors 'none'";
    response
        .with_header("cache-control", "private, no-store")
        .with_header("content-security-policy", POLICY)
        .with_header("referrer-policy", "same-origin")
        .with_header("x-content-type-options", "nosniff")
}

#[cfg(test)]
mod tests;
