//! The confirmation of an order, straight after it was placed.

use shop::{Order, OrderItem};

use super::recommended;
use crate::Neighbours;
use crate::markup::{escape, page, shelf};
use crate::prices::{Prices, text};
use crate::visit::Visit;

pub(crate) fn confirmation<W: Neighbours>(world: &W, visit: &Visit, order: &Order) -> String {
    let rows = order.items.iter().map(row).collect::<String>();
    let address = &order.address;
    let others = recommended(
        world,
        order.items.iter().map(|item| item.product_id.clone()).collect(),
    );
    let shelf = shelf(
        "recommendations",
        "For next time",
        &others,
        &Prices::new(world, visit),
    );
    let main = format!(
        "<h1>Thank you. It is being packed.</h1><section class=\"receipt\" aria-label=\"Order\"><dl>\
         <dt>Order</dt><dd id=\"order-id\">{}</dd><dt>Travels as</dt><dd id=\"tracking-id\">{}</dd>\
         <dt>Paid as</dt><dd id=\"transaction-id\">{}</dd><dt>To</dt><dd>{}, {}, {} {}, {}</dd></dl>\
         <table><thead><tr><th scope=\"col\">Product</th><th scope=\"col\">Quantity</th><th scope=\"col\">Price</th></tr>\
         </thead><tbody>{rows}<tr class=\"carriage\"><th scope=\"row\" colspan=\"2\">Carriage</th><td>{}</td></tr></tbody>\
         <tfoot><tr><th scope=\"row\" colspan=\"2\">In all</th><td id=\"total\">{}</td></tr></tfoot></table>\
         <p>A confirmation is on its way to your inbox. <a href=\"/\">Back to the shop window</a></p></section>{shelf}",
        escape(&order.order_id),
        escape(&order.tracking_id),
        escape(&order.transaction_id),
        escape(&address.name),
        escape(&address.street),
        escape(&address.postcode),
        escape(&address.city),
        escape(&address.country),
        escape(&text(&order.shipping)),
        escape(&text(&order.total)),
    );
    page(world, visit, "Thank you", Some(0), &main)
}

fn row(item: &OrderItem) -> String {
    let (id, name) = (escape(&item.product_id), escape(&item.name));
    format!(
        "<tr data-product=\"{id}\"><th scope=\"row\"><a href=\"/product/{id}\">{name}</a></th><td>{}</td><td>{}</td></tr>",
        item.quantity,
        escape(&text(&item.cost))
    )
}
