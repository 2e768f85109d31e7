//! The contracts of the shop in Rust: one trait per interface, one set of types for all handlers.
//!
//! Everything comes from `handlers/wit/shop.wit`; a handler implements the traits of what it exports over the traits
//! of what it imports. Because a type is one type everywhere, handlers also fit together natively, without WASM.
//! By hand is only the arithmetic of `money`.

mod money;

pub use bindings::shop::ad::types::{Ad as Notice, Fault as AdFault};
pub use bindings::shop::cart::types::{Fault as CartFault, Item};
pub use bindings::shop::catalog::types::{Fault as CatalogFault, Product};
pub use bindings::shop::checkout::types::{Fault as CheckoutFault, Order, OrderItem, OrderRequest};
pub use bindings::shop::currency::types::{Fault as CurrencyFault, Money};
pub use bindings::shop::email::types::Fault as EmailFault;
pub use bindings::shop::payment::types::{Card, Fault as PaymentFault};
pub use bindings::shop::recommendation::types::Fault as RecommendationFault;
pub use bindings::shop::shipping::types::{Address, Fault as ShippingFault};

/// The currency that the shop's own prices are in.
pub const SHOP_CURRENCY: &str = "EUR";

sdk::contract! { path: "../wit", world: "shop" }
