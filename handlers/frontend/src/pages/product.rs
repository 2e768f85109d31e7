//! The page of one product.

use sdk::Outcome;
use sdk::http::Response;
use shop::{Catalog, CatalogFault, Product};

use super::{Failure, held, recommended, things};
use crate::Neighbours;
use crate::markup::{escape, notices, page, shelf};
use crate::prices::Prices;
use crate::visit::Visit;

pub(crate) fn product<W: Neighbours>(world: &W, visit: &Visit, id: &str) -> Result<Response, Failure> {
    let product = product_of(world, id)?;
    let prices = Prices::new(world, visit);
    let offer = offer(&product, &prices.show(&product.price));
    let held = held(world, visit);
    let known = held.iter().flatten().map(|item| item.product_id.clone());
    let others = recommended(world, known.chain([product.id.clone()]).collect());
    let ads = world
        .get_ads(product.categories.clone())
        .optional(world, "ad")
        .unwrap_or_default();
    let shelf = shelf("recommendations", "Goes well with it", &others, &prices);
    let main = format!("{offer}{shelf}{}", notices(&ads));
    Ok(Response::html(
        200,
        page(world, visit, &product.name, held.as_deref().map(things), &main),
    ))
}

/// The product of an id that came from outside.
pub(super) fn product_of(world: &impl Catalog, id: &str) -> Result<Product, Failure> {
    match world.get_product(id.to_owned()) {
        Err(CatalogFault::NotFound(id)) => Err(Failure::NotFound(format!("We do not sell “{id}”"))),
        answer => answer
            .required("catalog")
            .map_err(|error| Failure::Silent("catalog", error)),
    }
}

fn offer(product: &Product, price: &str) -> String {
    let (id, name, summary) = (
        escape(&product.id),
        escape(&product.name),
        escape(&product.summary),
    );
    let texts = product
        .description
        .iter()
        .map(|text| format!("<p>{}</p>", escape(text)))
        .collect::<String>();
    let categories = product.categories.iter().map(|category| {
        let category = escape(category);
        format!("<a href=\"/?category={category}\">{category}</a>")
    });
    let categories = categories.collect::<Vec<_>>().join(", ");
    let price = escape(price);
    format!(
        "<article class=\"offer\" data-product=\"{id}\">\
         <img src=\"/pictures/{id}.svg\" alt=\"Drawing: {name}\" width=\"480\" height=\"360\">\
         <div><h1>{name}</h1><p class=\"intro\">{summary}</p><p class=\"price\" id=\"price\">{price}</p>\
         <form action=\"/cart\" method=\"post\" class=\"buy\"><input type=\"hidden\" name=\"product_id\" value=\"{id}\">\
         <label>Quantity <input type=\"number\" name=\"quantity\" value=\"1\" min=\"1\" max=\"99\" required></label>\
         <button id=\"add-to-cart\">Put in the cart</button></form>{texts}\
         <p class=\"detail\">Found under {categories}</p></div></article>"
    )
}
