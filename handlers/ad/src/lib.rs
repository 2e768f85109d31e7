//! The notices: short lines about one product, chosen by category.
//!
//! The choice is fixed for the same categories, so that a page looks the same when it is loaded again.

use shop::{Ad, AdFault, Notice};

sdk::handler! { path: "../wit", world: "ad", contract: shop, handler: Board }

const NOTICES_MAX: usize = 2;

/// A category, what is said, and the product that it is said of.
const NOTICES: [(&str, &str, &str); 9] = [
    (
        "light",
        "The evenings are drawing in. Draw a lantern out.",
        "glowworm-lantern",
    ),
    (
        "light",
        "Eleven hours of light that smells of summer.",
        "beeswax-candles",
    ),
    (
        "kitchen",
        "Rain outside, a kettle on: the forecast is tea.",
        "storm-kettle",
    ),
    (
        "outdoors",
        "Lost already? North is where the beak points.",
        "tern-compass",
    ),
    (
        "outdoors",
        "We jumped in every puddle, so that you can.",
        "puddle-boots",
    ),
    (
        "warmth",
        "One blanket, two people, no draught.",
        "fireside-blanket",
    ),
    (
        "play",
        "Wind from the west, and a letter to post.",
        "kite-of-letters",
    ),
    ("garden", "Sow on Sunday, salad in a month.", "seed-cabinet"),
    (
        "paper",
        "Write it down before the tide takes it.",
        "field-notebook",
    ),
];

/// The board by the door.
pub struct Board;

impl Ad for Board {
    fn get_ads(&self, categories: Vec<String>) -> Result<Vec<Notice>, AdFault> {
        let fits = |category: &str| categories.iter().any(|wanted| wanted == category);
        let fitting = NOTICES
            .iter()
            .filter(|(category, ..)| fits(category))
            .collect::<Vec<_>>();
        let chosen = if fitting.is_empty() { spread() } else { fitting };
        let notice = |(_, text, product): &(&str, &str, &str)| Notice {
            text: (*text).to_owned(),
            product_id: (*product).to_owned(),
        };
        Ok(chosen.into_iter().take(NOTICES_MAX).map(notice).collect())
    }
}

/// The first notice of each category.
fn spread() -> Vec<&'static (&'static str, &'static str, &'static str)> {
    let mut chosen: Vec<&(&str, &str, &str)> = Vec::new();
    for notice in &NOTICES {
        if chosen.iter().all(|earlier| earlier.0 != notice.0) {
            chosen.push(notice);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(categories: &[&str]) -> Vec<String> {
        let categories = categories.iter().map(|category| (*category).to_owned()).collect();
        let notices = Board.get_ads(categories).expect("the board never fails");
        notices.into_iter().map(|notice| notice.product_id).collect()
    }

    #[test]
    fn notices_fit_the_categories() {
        assert_eq!(ids(&["light"]), ["glowworm-lantern", "beeswax-candles"]);
        assert_eq!(ids(&["garden", "play"]), ["kite-of-letters", "seed-cabinet"]);
        assert_eq!(ids(&["paper"]), ["field-notebook"]);
    }

    #[test]
    fn without_a_fitting_one_there_are_others_of_different_categories() {
        assert_eq!(ids(&[]), ["glowworm-lantern", "storm-kettle"]);
        assert_eq!(ids(&["submarines"]), ids(&[]));
    }
}
