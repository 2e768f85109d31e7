//! The macros of the handler SDK: from a WIT world to the Rust that a handler's business code meets.
//!
//! `contract!` makes one trait of every interface that a world imports, in a crate that several handlers share.
//! `handler!` binds a handler to its world: a value that implements the exported traits is served, and `World`
//! implements the traits of what the world imports. Types and canonical-ABI code come from `wit_bindgen::generate!`.
//! Resources do not fit a plain trait: `wasi:*` capabilities have hand-written traits in the `sdk` crate.

mod expand;
mod input;
mod wit;

use proc_macro::TokenStream;

/// Binds a handler to its world.
///
/// ```text
/// sdk::handler! { path: "../wit", world: "cart", contract: shop, handler: CartHandler::new(World) }
/// ```
/// `handler` is an expression that is evaluated for every call, in scope of `World`. Without `contract`, types and
/// traits are generated into the module `bindings` of the handler itself.
#[proc_macro]
pub fn handler(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as input::Input);
    expand::handler(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Generates types and traits of every interface that a world imports, for a crate that handlers share:
/// `sdk::contract! { path: "../wit", world: "shop" }`.
#[proc_macro]
pub fn contract(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as input::Input);
    expand::contract(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
