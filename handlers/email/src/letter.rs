//! The text of a confirmation (pure).

use shop::{Money, Order};

pub(crate) struct Letter {
    pub(crate) subject: String,
    pub(crate) text: String,
}

pub(crate) fn confirmation(order: &Order) -> Letter {
    let Order {
        order_id,
        tracking_id,
        items,
        shipping,
        total,
        address,
        ..
    } = order;
    let mut text = format!(
        "Dear {},\n\nthank you. This is what we have packed for you:\n\n",
        address.name
    );
    for item in items {
        text.push_str(&format!(
            "  {} x {}, {}\n",
            item.quantity,
            item.name,
            amount(&item.cost)
        ));
    }
    text.push_str(&format!(
        "  Carriage, {}\n\n  In all: {}\n\n",
        amount(shipping),
        amount(total)
    ));
    text.push_str(&format!(
        "It travels as {tracking_id} to {}, {}.\n\n",
        address.city, address.country
    ));
    text.push_str("Yours,\nTern & Thimble\n");
    Letter {
        subject: format!("Your order {order_id} is on its way"),
        text,
    }
}

/// The amount to two places, as letters have it.
fn amount(money: &Money) -> String {
    let sign = if money.units < 0 || money.nanos < 0 {
        "-"
    } else {
        ""
    };
    let cents = money.nanos.unsigned_abs() / 10_000_000;
    format!(
        "{sign}{}.{cents:02} {}",
        money.units.unsigned_abs(),
        money.currency
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use shop::{Address, OrderItem};

    use super::*;

    pub(crate) fn order() -> Order {
        Order {
            order_id: "ORD-1".into(),
            tracking_id: "TT-NO-2-AA".into(),
            transaction_id: "tx-1".into(),
            items: vec![OrderItem {
                product_id: "harbour-mug".into(),
                name: "Harbour Mug".into(),
                quantity: 2,
                cost: Money::from_cents("EUR", 2_505),
            }],
            shipping: Money::from_cents("EUR", 510),
            total: Money::from_cents("EUR", 3_015),
            address: Address {
                name: "Ada Fern".into(),
                street: "1 Quay".into(),
                postcode: "1234".into(),
                city: "Tarn".into(),
                country: "Norway".into(),
            },
        }
    }

    #[test]
    fn letter_says_what_comes_and_what_it_cost() {
        let letter = confirmation(&order());
        assert_eq!(letter.subject, "Your order ORD-1 is on its way");
        for part in [
            "Dear Ada Fern",
            "2 x Harbour Mug, 25.05 EUR",
            "Carriage, 5.10 EUR",
            "In all: 30.15 EUR",
        ] {
            assert!(letter.text.contains(part), "{part} in {}", letter.text);
        }
        assert!(letter.text.contains("TT-NO-2-AA to Tarn, Norway"));
    }
}
