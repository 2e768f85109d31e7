//! The catalog: looks products up and searches them. It needs nobody and forgets nothing.
//!
//! The goods themselves are data in `goods.rs`. Prices are in the shop's own currency; converting them is the
//! business of the currency handler.

mod goods;

use shop::{Catalog, CatalogFault, Money, Product, SHOP_CURRENCY};

use goods::{GOODS, Good};

sdk::handler! { path: "../wit", world: "catalog", contract: shop, handler: Shelf }

/// The shelf with all goods.
pub struct Shelf;

impl Catalog for Shelf {
    fn list_products(&self) -> Result<Vec<Product>, CatalogFault> {
        Ok(GOODS.iter().map(product).collect())
    }

    fn get_product(&self, id: String) -> Result<Product, CatalogFault> {
        GOODS
            .iter()
            .find(|good| good.id == id)
            .map(product)
            .ok_or(CatalogFault::NotFound(id))
    }

    fn search_products(&self, query: String) -> Result<Vec<Product>, CatalogFault> {
        let words = query.to_lowercase();
        let found = GOODS.iter().filter(|good| {
            let text = text_of(good);
            words.split_whitespace().all(|word| text.contains(word))
        });
        Ok(found.map(product).collect())
    }
}

fn product(good: &Good) -> Product {
    let texts = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect();
    Product {
        id: good.id.to_owned(),
        name: good.name.to_owned(),
        summary: good.summary.to_owned(),
        description: texts(good.description),
        price: Money::from_cents(SHOP_CURRENCY, good.cents),
        categories: texts(good.categories),
    }
}

/// Everything that a search looks at, in lower case.
fn text_of(good: &Good) -> String {
    let mut text = [good.name, good.summary].join(" ");
    for part in good.description.iter().chain(good.categories) {
        text.push(' ');
        text.push_str(part);
    }
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_product_is_complete_and_found_by_its_id() {
        let all = Shelf.list_products().expect("the shelf never fails");
        assert!(all.len() >= 12);
        for product in &all {
            assert!(
                product.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{}",
                product.id
            );
            assert!(!product.name.is_empty() && !product.summary.is_empty());
            assert!(!product.description.is_empty() && !product.categories.is_empty());
            assert!(product.price.total_nanos() > Some(0));
            assert_eq!(Shelf.get_product(product.id.clone()).as_ref(), Ok(product));
        }
        let ids = all.iter().map(|product| &product.id).collect::<BTreeSet<_>>();
        assert_eq!(ids.len(), all.len(), "ids are unique");
    }

    #[test]
    fn unknown_id_is_named() {
        let answer = Shelf.get_product("flying-carpet".into());
        assert_eq!(answer, Err(CatalogFault::NotFound("flying-carpet".into())));
    }

    #[test]
    fn search_wants_every_word_somewhere() {
        let ids = |query: &str| {
            let found = Shelf
                .search_products(query.into())
                .expect("the shelf never fails");
            found.into_iter().map(|product| product.id).collect::<Vec<_>>()
        };
        assert_eq!(ids("BRASS compass"), ["tern-compass"]);
        assert_eq!(ids("brass"), ["tern-compass", "pocket-telescope"]);
        assert_eq!(ids("brass candle"), Vec::<String>::new());
        assert_eq!(ids("  ").len(), GOODS.len(), "no words leave nothing out");
    }
}
