//! The recommendation: products that share categories with those at hand, none of which is among them.
//!
//! The order is fixed for the same question: most shared categories first, then the order of the shop window.

use sdk::Outcome;
use shop::{Catalog, Product, Recommendation, RecommendationFault};

sdk::handler! { path: "../wit", world: "recommendation", contract: shop, handler: Friend(World) }

const RECOMMENDATIONS_MAX: usize = 4;

/// The friend who knows what goes well with it.
pub struct Friend<W>(pub W);

impl<W: Catalog> Recommendation for Friend<W> {
    fn list_recommendations(&self, product_ids: Vec<String>) -> Result<Vec<String>, RecommendationFault> {
        let all = self.0.list_products().required("catalog")?;
        let (held, mut others): (Vec<Product>, Vec<Product>) = all
            .into_iter()
            .partition(|product| product_ids.contains(&product.id));
        let shared = |product: &Product| {
            let categories = held.iter().flat_map(|held| &held.categories);
            categories
                .filter(|category| product.categories.contains(category))
                .count()
        };
        // The sort is stable, which keeps the order of the shop window among equals.
        others.sort_by_key(|product| std::cmp::Reverse(shared(product)));
        Ok(others
            .into_iter()
            .take(RECOMMENDATIONS_MAX)
            .map(|product| product.id)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use sdk::CallError;
    use shop::{CatalogFault, Money};

    use super::*;

    struct Fake(Result<Vec<Product>, CatalogFault>);

    impl Catalog for Fake {
        fn list_products(&self) -> Result<Vec<Product>, CatalogFault> {
            self.0.clone()
        }

        fn get_product(&self, id: String) -> Result<Product, CatalogFault> {
            Err(CatalogFault::NotFound(id))
        }

        fn search_products(&self, _query: String) -> Result<Vec<Product>, CatalogFault> {
            Ok(vec![])
        }
    }

    fn product((id, categories): &(&str, &[&str])) -> Product {
        Product {
            id: (*id).into(),
            name: String::new(),
            summary: String::new(),
            description: vec![],
            price: Money::zero("EUR"),
            categories: categories.iter().map(|category| (*category).to_owned()).collect(),
        }
    }

    fn friend() -> Friend<Fake> {
        let goods: [(&str, &[&str]); 6] = [
            ("a", &["x"]),
            ("b", &["y"]),
            ("c", &["x", "y"]),
            ("d", &["z"]),
            ("e", &["y"]),
            ("f", &["x"]),
        ];
        Friend(Fake(Ok(goods.iter().map(product).collect())))
    }

    fn ask(ids: &[&str]) -> Vec<String> {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        friend().list_recommendations(ids).expect("the catalog answers")
    }

    #[test]
    fn nearest_come_first_and_what_is_held_never() {
        assert_eq!(ask(&["a"]), ["c", "f", "b", "d"]);
        assert_eq!(ask(&["b"]), ["c", "e", "a", "d"]);
        assert_eq!(ask(&["a", "b"]), ["c", "e", "f", "d"], "c shares with both");
    }

    #[test]
    fn without_a_product_the_shop_window_is_recommended() {
        assert_eq!(ask(&[]), ["a", "b", "c", "d"]);
        assert_eq!(ask(&["unknown"]), ["a", "b", "c", "d"]);
    }

    #[test]
    fn nothing_is_left_to_who_holds_everything() {
        assert_eq!(ask(&["a", "b", "c", "d", "e", "f"]), Vec::<String>::new());
    }

    #[test]
    fn failed_catalog_is_reported_as_failed_call() {
        let error = CallError {
            code: 8,
            message: "gone".into(),
            retryable: true,
        };
        let answer = Friend(Fake(Err(CatalogFault::CallFailed(error)))).list_recommendations(vec![]);
        let Err(RecommendationFault::CallFailed(error)) = answer else {
            panic!("the catalog is gone")
        };
        assert_eq!((error.code, error.message.as_str()), (8, "catalog: gone"));
    }
}
