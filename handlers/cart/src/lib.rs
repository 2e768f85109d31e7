//! The carts: one per visitor, kept in `wasi:keyvalue`, so that they survive every instance, restart and placement.
//!
//! A cart is a text of lines `product-id quantity`. Adding swaps the old text for the new one and tries again when
//! somebody was faster, so that no addition is lost. Limits: `LINES_MAX` products, `QUANTITY_MAX` of each.

use std::fmt::Write as _;

use sdk::{KeyValue, StoreError, UpdateError};
use shop::{Cart, CartFault, Item};

sdk::handler! { path: "../wit", world: "cart", contract: shop, handler: Carts(World) }

const BUCKET: &str = "carts";
const LINES_MAX: usize = 100;
const QUANTITY_MAX: u32 = 999;

/// The shed with all carts.
pub struct Carts<W>(pub W);

impl<W: KeyValue> Cart for Carts<W> {
    fn get_cart(&self, user_id: String) -> Result<Vec<Item>, CartFault> {
        let text = self.0.get(BUCKET, checked(&user_id)?).map_err(storage)?;
        read(text)
    }

    fn add_item(&self, user_id: String, item: Item) -> Result<Vec<Item>, CartFault> {
        check(&item)?;
        let written = self.0.update(BUCKET, checked(&user_id)?, |old| {
            let mut items = read(old)?;
            add(&mut items, &item)?;
            Ok(write(&items))
        });
        match written {
            Ok(text) => read(Some(text)),
            Err(UpdateError::Refused(fault)) => Err(fault),
            Err(UpdateError::Busy) => Err(CartFault::Busy),
            Err(UpdateError::Store(error)) => Err(storage(error)),
        }
    }

    fn empty_cart(&self, user_id: String) -> Result<(), CartFault> {
        self.0.delete(BUCKET, checked(&user_id)?).map_err(storage)
    }
}

fn checked(user_id: &str) -> Result<&str, CartFault> {
    match user_id.len() {
        1..=128 => Ok(user_id),
        _ => Err(CartFault::Invalid("a user id has 1 to 128 bytes".to_owned())),
    }
}

fn check(item: &Item) -> Result<(), CartFault> {
    if item.quantity == 0 || item.quantity > QUANTITY_MAX {
        return Err(CartFault::Invalid(format!(
            "the quantity is {}, not 1 to {QUANTITY_MAX}",
            item.quantity
        )));
    }
    let id = &item.product_id;
    if id.is_empty() || id.len() > 128 || id.contains(char::is_whitespace) {
        return Err(CartFault::Invalid(
            "a product id has 1 to 128 bytes and no blanks".to_owned(),
        ));
    }
    Ok(())
}

fn add(items: &mut Vec<Item>, item: &Item) -> Result<(), CartFault> {
    let full = items.len() == LINES_MAX;
    match items.iter_mut().find(|held| held.product_id == item.product_id) {
        Some(held) if held.quantity + item.quantity > QUANTITY_MAX => {
            return Err(CartFault::Invalid(format!(
                "a cart holds at most {QUANTITY_MAX} of one product"
            )));
        }
        Some(held) => held.quantity += item.quantity,
        None if full => {
            return Err(CartFault::Invalid(format!(
                "a cart holds at most {LINES_MAX} products"
            )));
        }
        None => items.push(item.clone()),
    }
    Ok(())
}

fn write(items: &[Item]) -> Vec<u8> {
    let mut text = String::new();
    for item in items {
        writeln!(text, "{} {}", item.product_id, item.quantity).expect("a string takes every text");
    }
    text.into_bytes()
}

fn read(text: Option<Vec<u8>>) -> Result<Vec<Item>, CartFault> {
    let broken = || CartFault::Storage("what is stored is not a cart".to_owned());
    let text = String::from_utf8(text.unwrap_or_default()).map_err(|_| broken())?;
    let lines = text.lines().map(|line| {
        let (product_id, quantity) = line.split_once(' ').ok_or_else(broken)?;
        Ok(Item {
            product_id: product_id.to_owned(),
            quantity: quantity.parse().map_err(|_| broken())?,
        })
    });
    lines.collect()
}

fn storage(error: StoreError) -> CartFault {
    CartFault::Storage(match error {
        StoreError::NoSuchStore => format!("there is no bucket `{BUCKET}`"),
        StoreError::AccessDenied => format!("the bucket `{BUCKET}` is not ours"),
        StoreError::Other(reason) => reason,
    })
}

#[cfg(test)]
mod tests {
    use sdk::fake::Memory;

    use super::*;

    fn item(product_id: &str, quantity: u32) -> Item {
        Item {
            product_id: product_id.into(),
            quantity,
        }
    }

    #[test]
    fn additions_of_one_product_are_summed_in_the_order_of_the_first() {
        let carts = Carts(Memory::default());
        assert_eq!(carts.get_cart("ada".into()), Ok(vec![]));
        carts
            .add_item("ada".into(), item("mug", 1))
            .expect("there is room");
        carts
            .add_item("ada".into(), item("kettle", 2))
            .expect("there is room");
        let now = carts
            .add_item("ada".into(), item("mug", 3))
            .expect("there is room");
        assert_eq!(now, [item("mug", 4), item("kettle", 2)]);
        assert_eq!(carts.get_cart("ada".into()), Ok(now));
        assert_eq!(carts.get_cart("bob".into()), Ok(vec![]), "carts are apart");
    }

    #[test]
    fn addition_at_the_same_time_is_not_lost() {
        let carts = Carts(Memory::default());
        carts.0.write_before_next_swap(BUCKET, "ada", b"kite 1\n");
        let now = carts.add_item("ada".into(), item("mug", 1));
        assert_eq!(now, Ok(vec![item("kite", 1), item("mug", 1)]));
    }

    #[test]
    fn endless_contention_ends_as_busy() {
        let carts = Carts(Memory::default());
        for n in 1..100 {
            carts
                .0
                .write_before_next_swap(BUCKET, "ada", format!("kite {n}\n").as_bytes());
        }
        assert_eq!(carts.add_item("ada".into(), item("mug", 1)), Err(CartFault::Busy));
    }

    #[test]
    fn emptied_cart_is_empty_also_the_second_time() {
        let carts = Carts(Memory::default());
        carts
            .add_item("ada".into(), item("mug", 1))
            .expect("there is room");
        assert_eq!(carts.empty_cart("ada".into()), Ok(()));
        assert_eq!(carts.empty_cart("ada".into()), Ok(()));
        assert_eq!(carts.get_cart("ada".into()), Ok(vec![]));
    }

    #[test]
    fn limits_are_held_and_leave_the_cart_as_it_was() {
        let carts = Carts(Memory::default());
        let refused = |item: Item| {
            let answer = carts.add_item("ada".into(), item);
            assert!(matches!(answer, Err(CartFault::Invalid(_))), "{answer:?}");
        };
        refused(item("mug", 0));
        refused(item("mug", QUANTITY_MAX + 1));
        refused(item("", 1));
        refused(item("mug\n1 kettle", 1));
        carts
            .add_item("ada".into(), item("mug", QUANTITY_MAX))
            .expect("there is room");
        refused(item("mug", 1));
        for n in 1..LINES_MAX {
            carts
                .add_item("ada".into(), item(&format!("p{n}"), 1))
                .expect("there is room");
        }
        refused(item("one-more", 1));
        assert_eq!(
            carts.get_cart("ada".into()).map(|items| items.len()),
            Ok(LINES_MAX)
        );
        assert!(matches!(
            carts.get_cart(String::new()),
            Err(CartFault::Invalid(_))
        ));
    }

    #[test]
    fn foreign_bytes_are_reported_and_not_overwritten() {
        let carts = Carts(Memory::default());
        carts
            .0
            .set(BUCKET, "ada", b"\xff")
            .expect("memory takes everything");
        assert!(matches!(carts.get_cart("ada".into()), Err(CartFault::Storage(_))));
        assert!(matches!(
            carts.add_item("ada".into(), item("mug", 1)),
            Err(CartFault::Storage(_))
        ));
    }
}
