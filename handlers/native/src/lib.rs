//! The native control: the whole shop in one native program, each handler's own crate in place of its import.
//!
//! It is the same business code as the ten components, linked by the compiler: no WASM, no copies, no traces, no limits.
//! What Cleave costs is measured against it (`cargo xtask bench shop`). State is in memory and dies with the program;
//! a confirmation is written when it is asked for, because there is no queue. `shop-native` puts an HTTP door before it.

pub mod world;

use ad::Board;
use cart::Carts;
use catalog::Shelf;
use checkout::Counter;
use currency::Exchange;
use email::Desk;
use frontend::Window;
use payment::Till;
use recommendation::Friend;
use sdk::http::{Handler, Request, Response};
use sdk::{Clock, KeyValue, Level, Log, Random};
use shipping::Depot;
use shop::*;

/// What handlers are given by the platform, held together by references instead of a runtime.
pub trait World: Log + Random + Clock {
    /// Where carts are kept.
    type Store: KeyValue;

    /// The carts' store.
    fn carts(&self) -> &Self::Store;
}

/// Every handler, over one world.
pub struct Shop<W>(pub W);

impl<W: World> Shop<W> {
    /// Answers one request of a visitor.
    pub fn handle(&self, request: Request) -> Response {
        Window(self).handle(request)
    }
}

/// A handler's trait, implemented by handing each call to that handler.
macro_rules! served {
    ($contract:ident by |$world:ident| $handler:expr; $($function:ident($($name:ident: $type:ty),*) -> $result:ty;)*) => {
        impl<W: World> $contract for &Shop<W> {
            $(fn $function(&self, $($name: $type),*) -> $result {
                let $world: &Shop<W> = self;
                $contract::$function(&$handler, $($name),*)
            })*
        }
    };
}

served! { Ad by |_world| Board; get_ads(categories: Vec<String>) -> Result<Vec<Notice>, AdFault>; }
served! { Catalog by |_world| Shelf;
    list_products() -> Result<Vec<Product>, CatalogFault>;
    get_product(id: String) -> Result<Product, CatalogFault>;
    search_products(query: String) -> Result<Vec<Product>, CatalogFault>;
}
served! { Checkout by |world| Counter(world); place_order(request: OrderRequest) -> Result<Order, CheckoutFault>; }
served! { Currency by |_world| Exchange;
    supported_currencies() -> Result<Vec<String>, CurrencyFault>;
    convert(amount: Money, to: String) -> Result<Money, CurrencyFault>;
}
served! { Email by |world| Desk(world); send_confirmation(recipient: String, order: Order) -> Result<(), EmailFault>; }
served! { Payment by |world| Till(world); charge(amount: Money, card: Card) -> Result<String, PaymentFault>; }
served! { Recommendation by |world| Friend(world);
    list_recommendations(product_ids: Vec<String>) -> Result<Vec<String>, RecommendationFault>;
}
served! { Shipping by |world| Depot(world);
    quote(address: Address, items: Vec<Item>) -> Result<Money, ShippingFault>;
    ship_order(address: Address, items: Vec<Item>) -> Result<String, ShippingFault>;
}
served! { Cart by |world| Carts(world.0.carts());
    get_cart(user_id: String) -> Result<Vec<Item>, CartFault>;
    add_item(user_id: String, item: Item) -> Result<Vec<Item>, CartFault>;
    empty_cart(user_id: String) -> Result<(), CartFault>;
}

impl<W: World> Log for &Shop<W> {
    fn log(&self, level: Level, message: &str) {
        self.0.log(level, message);
    }
}

impl<W: World> Random for &Shop<W> {
    fn random_bytes(&self, count: usize) -> Vec<u8> {
        self.0.random_bytes(count)
    }
}

impl<W: World> Clock for &Shop<W> {
    fn now_seconds(&self) -> u64 {
        self.0.now_seconds()
    }
}
