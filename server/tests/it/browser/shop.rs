//! What a person does in the shop: looks around, changes the currency, fills the cart, buys.
//!
//! Promises: everything is clicked and typed; what each page must show is asserted on the way.

use chromium::Page;

use super::gallery::Gallery;

/// As many as a curious person opens within the seconds that rates look back on.
const VISITS: usize = 40;

/// Buys one thing and gives the number of the order. `url` is the shop's address.
pub(super) async fn buy(page: &mut Page, url: &str, name: &str) -> String {
    page.goto(url).await;
    page.click("#products .card[data-product] a").await;
    let product = page.wait_until(
        "the product's page",
        "document.querySelector('.offer[data-product]').dataset.product",
    );
    let product = product.await.as_str().expect("a name").to_owned();
    let before = count(page).await;

    page.click("#add-to-cart").await;
    page.wait_for(&format!("#cart tr[data-product='{product}']"))
        .await;
    assert_eq!(count(page).await, before + 1);
    assert!(!page.text("#total").await.is_empty());

    page.type_into("#checkout [name=name]", name).await;
    page.type_into("#checkout [name=email]", "wren@harbour.example")
        .await;
    page.click("#place-order").await;
    let order = page.text("#order-id").await;
    assert!(order.starts_with("ORD-"), "{order}");
    assert!(!page.text("#tracking-id").await.is_empty());
    assert!(
        page.text(".receipt").await.contains(name),
        "what was typed is on the receipt"
    );
    assert_eq!(count(page).await, 0);
    order
}

/// Prices follow the chosen currency, on the page where it was chosen.
pub(super) async fn change_currency(page: &mut Page, url: &str) {
    page.goto(url).await;
    let old = page.text("#products .price").await;
    let options = page.attributes(".currency option", "value").await;
    let chosen = page
        .evaluate("document.querySelector('.currency select').value")
        .await;
    let other = options
        .iter()
        .find(|code| chosen != ***code)
        .expect("several currencies");
    page.choose(".currency select", other).await;
    page.click(".currency button").await;
    let shown = format!("document.querySelector('.currency select').value === '{other}'");
    let is_new = format!("document.querySelector('#products .price').innerText.trim() !== {old:?}");
    page.wait_until("prices in the other currency", &format!("{shown} && {is_new}"))
        .await;
}

/// The shop's pages in both themes and widths.
pub(super) async fn photograph(page: &mut Page, url: &str, gallery: &Gallery) {
    page.goto(url).await;
    gallery.take(page, "shop").await;
    page.click("#products .card[data-product] a").await;
    page.wait_for("#add-to-cart").await;
    gallery.take(page, "shop-product").await;
    page.click("#add-to-cart").await;
    page.wait_for("#cart").await;
    gallery.take(page, "shop-cart").await;
}

/// Opens many pages, so that there are rates to be seen.
pub(super) async fn crowd(page: &mut Page, url: &str) {
    page.goto(url).await;
    let products = page
        .attributes("#products .card[data-product]", "data-product")
        .await;
    for product in products.iter().cycle().take(VISITS) {
        page.goto(&format!("{url}product/{product}")).await;
        page.wait_for("#add-to-cart").await;
    }
}

/// How many things the cart holds, as the page's head says.
async fn count(page: &mut Page) -> u32 {
    page.text("#cart-count").await.parse().expect("a number")
}
