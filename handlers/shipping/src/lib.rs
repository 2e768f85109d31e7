//! The shipping: what a parcel costs by the number of things in it, and the number that it travels under.

use sdk::Random;
use shop::{Address, Item, Money, SHOP_CURRENCY, Shipping, ShippingFault};

sdk::handler! { path: "../wit", world: "shipping", contract: shop, handler: Depot(World) }

/// What every parcel costs, and what each thing in it adds.
const PARCEL_CENTS: i64 = 390;
const THING_CENTS: i64 = 60;
/// Above this many things the parcel goes by freight at one price.
const FREIGHT_THINGS: u64 = 40;
const FREIGHT_CENTS: i64 = 2_900;

/// The depot where parcels leave.
pub struct Depot<W>(pub W);

impl<W: Random> Shipping for Depot<W> {
    fn quote(&self, _address: Address, items: Vec<Item>) -> Result<Money, ShippingFault> {
        let things = count(&items)?;
        let cents = match i64::try_from(things) {
            Ok(few) if things <= FREIGHT_THINGS => PARCEL_CENTS + THING_CENTS * few,
            _ => FREIGHT_CENTS,
        };
        Ok(Money::from_cents(SHOP_CURRENCY, cents))
    }

    fn ship_order(&self, address: Address, items: Vec<Item>) -> Result<String, ShippingFault> {
        let things = count(&items)?;
        check(&address)?;
        let country = address
            .country
            .chars()
            .filter(char::is_ascii_alphabetic)
            .take(2)
            .collect::<String>();
        let code = self.0.random_hex(5).to_uppercase();
        Ok(format!("TT-{}-{things}-{code}", country.to_uppercase()))
    }
}

fn count(items: &[Item]) -> Result<u64, ShippingFault> {
    match items.iter().map(|item| u64::from(item.quantity)).sum() {
        0 => Err(ShippingFault::NothingToShip),
        things => Ok(things),
    }
}

fn check(address: &Address) -> Result<(), ShippingFault> {
    let Address {
        name,
        street,
        postcode,
        city,
        country,
    } = address;
    let fields = [
        ("name", name),
        ("street", street),
        ("postcode", postcode),
        ("city", city),
        ("country", country),
    ];
    match fields.iter().find(|(_, value)| value.trim().is_empty()) {
        Some((field, _)) => Err(ShippingFault::InvalidAddress(format!("the {field} is missing"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use sdk::fake::Counting;

    use super::*;

    fn items(quantities: &[u32]) -> Vec<Item> {
        quantities
            .iter()
            .map(|quantity| Item {
                product_id: "mug".into(),
                quantity: *quantity,
            })
            .collect()
    }

    fn address() -> Address {
        Address {
            name: "Ada Fern".into(),
            street: "1 Quay".into(),
            postcode: "1234".into(),
            city: "Tarn".into(),
            country: "Norway".into(),
        }
    }

    fn quote(quantities: &[u32]) -> Result<Money, ShippingFault> {
        Depot(Counting::default()).quote(address(), items(quantities))
    }

    #[test]
    fn quote_grows_with_the_number_of_things_up_to_freight() {
        assert_eq!(quote(&[1]), Ok(Money::from_cents("EUR", 450)));
        assert_eq!(quote(&[1, 2]), Ok(Money::from_cents("EUR", 570)));
        assert_eq!(quote(&[40]), Ok(Money::from_cents("EUR", 2_790)));
        assert_eq!(quote(&[41]), Ok(Money::from_cents("EUR", 2_900)));
        assert_eq!(quote(&[u32::MAX, u32::MAX]), Ok(Money::from_cents("EUR", 2_900)));
    }

    #[test]
    fn nothing_is_not_shipped() {
        assert_eq!(quote(&[]), Err(ShippingFault::NothingToShip));
        assert_eq!(quote(&[0]), Err(ShippingFault::NothingToShip));
    }

    #[test]
    fn tracking_ids_differ_and_tell_the_country() {
        let depot = Depot(Counting::default());
        let first = depot
            .ship_order(address(), items(&[2]))
            .expect("the address is complete");
        let second = depot
            .ship_order(address(), items(&[2]))
            .expect("the address is complete");
        assert_eq!(first, "TT-NO-2-0001020304");
        assert_ne!(first, second);
    }

    #[test]
    fn missing_field_of_the_address_is_named() {
        let nowhere = Address {
            city: " ".into(),
            ..address()
        };
        let answer = Depot(Counting::default()).ship_order(nowhere, items(&[1]));
        assert_eq!(
            answer,
            Err(ShippingFault::InvalidAddress("the city is missing".into()))
        );
    }
}
