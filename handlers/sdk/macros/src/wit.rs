//! A world as the macros need it: its interfaces, where their Rust bindings stand, and how their types are written.
//!
//! Only plain values are mapped. A type that a trait cannot carry (a resource, stream or future) is an error that
//! names the function.

use std::path::Path;

use heck::{ToSnakeCase, ToUpperCamelCase};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Error;
use wit_parser::{
    Function, FunctionKind, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner, WorldId, WorldItem,
};

use crate::input::Input;

pub(crate) struct World {
    pub(crate) resolve: Resolve,
    id: WorldId,
    contract: Option<syn::Path>,
    /// The folders that the WIT was read from.
    pub(crate) paths: Vec<String>,
    /// The full name of the world.
    pub(crate) world: String,
}

/// The contracts of the platform and the standards: every handler may use them without a copy of its own.
const SHARED_WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");

/// Where the bindings of an interface stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    Sdk,
    Contract,
    /// The crate that the macro is used in.
    Here,
}

impl World {
    pub(crate) fn load(input: &Input) -> syn::Result<Self> {
        let fail = |what: String| Error::new(input.path.span(), what);
        let package = std::env::var("CARGO_MANIFEST_DIR").map_err(|e| fail(e.to_string()))?;
        let own = Path::new(&package).join(input.path.value());
        let own = own
            .canonicalize()
            .map_err(|e| fail(format!("`{}` cannot be read: {e}", own.display())))?;
        let shared = Path::new(SHARED_WIT)
            .canonicalize()
            .map_err(|e| fail(format!("`{SHARED_WIT}`: {e}")))?;
        let paths = if own == shared {
            vec![own]
        } else {
            vec![shared, own]
        };

        let mut resolve = Resolve::default();
        let mut main = None;
        for path in &paths {
            main = Some(resolve.push_path(path).map_err(|e| fail(format!("{e:#}")))?.0);
        }
        let main = main.ok_or_else(|| fail("there is no WIT".to_owned()))?;
        let id = resolve
            .select_world(&[main], Some(&input.world.value()))
            .map_err(|e| Error::new(input.world.span(), format!("{e:#}")))?;
        let world = resolve.id_of_name(main, &resolve.worlds[id].name);
        let paths = paths.iter().map(|path| path.display().to_string()).collect();
        Ok(Self {
            resolve,
            id,
            contract: input.contract.clone(),
            paths,
            world,
        })
    }

    /// Every interface that the world imports, those that only lend types included.
    pub(crate) fn imports(&self) -> Vec<InterfaceId> {
        interfaces(self.resolve.worlds[self.id].imports.values())
    }

    pub(crate) fn exports(&self) -> Vec<InterfaceId> {
        interfaces(self.resolve.worlds[self.id].exports.values())
    }

    /// The full name, as `shop:cart/cart@0.1.0`.
    pub(crate) fn name(&self, interface: InterfaceId) -> String {
        self.resolve.id_of(interface).unwrap_or_default()
    }

    pub(crate) fn home(&self, interface: InterfaceId) -> Home {
        let name = self.name(interface);
        let ours = ["wasi:", "cleave:call/", "cleave:queue/", "cleave:state/"];
        match (&self.contract, ours.iter().any(|prefix| name.starts_with(prefix))) {
            (_, true) => Home::Sdk,
            (Some(_), false) => Home::Contract,
            (None, false) => Home::Here,
        }
    }

    /// The trait of an interface: `shop:cart/cart` is `Cart`.
    pub(crate) fn trait_path(&self, interface: InterfaceId) -> TokenStream {
        let name = self.resolve.interfaces[interface]
            .name
            .as_deref()
            .unwrap_or_default();
        let ident = format_ident!("{}", name.to_upper_camel_case());
        match (&self.contract, self.home(interface)) {
            (Some(contract), Home::Contract) => quote!(::#contract::#ident),
            _ => quote!(#ident),
        }
    }

    /// The module that `wit_bindgen` made of an interface, seen as an import.
    pub(crate) fn module(&self, interface: InterfaceId) -> TokenStream {
        let path = self.module_below(interface);
        match (&self.contract, self.home(interface)) {
            (_, Home::Sdk) => quote!(::sdk::bindings::#path),
            (Some(contract), Home::Contract) => quote!(::#contract::bindings::#path),
            _ if self.imports().contains(&interface) => quote!(bindings::#path),
            _ => quote!(bindings::exports::#path),
        }
    }

    /// The same below `bindings` or `exports`.
    pub(crate) fn module_below(&self, interface: InterfaceId) -> TokenStream {
        let interface = &self.resolve.interfaces[interface];
        let parts = interface.package.map(|id| &self.resolve.packages[id].name);
        let [namespace, package] = match parts {
            Some(name) => [rust_name(&name.namespace), rust_name(&name.name)],
            None => [format_ident!("missing"), format_ident!("missing")],
        };
        let interface = rust_name(interface.name.as_deref().unwrap_or_default());
        quote!(#namespace::#package::#interface)
    }

    /// The functions of an interface, all of which must be plain.
    pub(crate) fn functions(&self, interface: InterfaceId) -> syn::Result<Vec<&Function>> {
        let functions = self.resolve.interfaces[interface].functions.values();
        functions
            .map(|function| match function.kind {
                FunctionKind::Freestanding => Ok(function),
                _ => Err(self.not_plain(&function.name)),
            })
            .collect()
    }

    /// The faults of an interface: variants with the case `call-failed(call-error)`.
    pub(crate) fn faults(&self, interface: InterfaceId) -> Vec<(TokenStream, usize)> {
        let types = self.resolve.interfaces[interface].types.iter();
        types
            .filter_map(|(name, id)| match &self.resolve.types[*id].kind {
                TypeDefKind::Variant(variant) => {
                    let call_failed =
                        |case: &&wit_parser::Case| case.name == "call-failed" && case.ty.is_some();
                    variant.cases.iter().find(call_failed)?;
                    let (module, ident) = (
                        self.module(interface),
                        format_ident!("{}", name.to_upper_camel_case()),
                    );
                    Some((quote!(#module::#ident), variant.cases.len()))
                }
                _ => None,
            })
            .collect()
    }

    /// How an owned value of a type is written in Rust.
    pub(crate) fn owned(&self, ty: &Type) -> syn::Result<TokenStream> {
        Ok(match ty {
            Type::Bool => quote!(bool),
            Type::U8 => quote!(u8),
            Type::U16 => quote!(u16),
            Type::U32 => quote!(u32),
            Type::U64 => quote!(u64),
            Type::S8 => quote!(i8),
            Type::S16 => quote!(i16),
            Type::S32 => quote!(i32),
            Type::S64 => quote!(i64),
            Type::F32 => quote!(f32),
            Type::F64 => quote!(f64),
            Type::Char => quote!(char),
            Type::String => quote!(String),
            Type::ErrorContext => return Err(self.not_plain("error-context")),
            Type::Id(id) => self.owned_definition(*id)?,
        })
    }

    fn owned_definition(&self, id: TypeId) -> syn::Result<TokenStream> {
        let definition = &self.resolve.types[id];
        let optional = |ty: &Option<Type>| ty.as_ref().map_or(Ok(quote!(())), |ty| self.owned(ty));
        match &definition.kind {
            TypeDefKind::Type(ty) => self.owned(ty),
            TypeDefKind::Option(ty) => self.owned(ty).map(|ty| quote!(Option<#ty>)),
            TypeDefKind::List(ty) => self.owned(ty).map(|ty| quote!(Vec<#ty>)),
            TypeDefKind::Tuple(tuple) => {
                let types = tuple
                    .types
                    .iter()
                    .map(|ty| self.owned(ty))
                    .collect::<syn::Result<Vec<_>>>()?;
                Ok(quote!((#(#types,)*)))
            }
            TypeDefKind::Result(result) => {
                let (ok, err) = (optional(&result.ok)?, optional(&result.err)?);
                Ok(quote!(Result<#ok, #err>))
            }
            TypeDefKind::Record(_)
            | TypeDefKind::Variant(_)
            | TypeDefKind::Enum(_)
            | TypeDefKind::Flags(_) => {
                let name = definition.name.as_deref().unwrap_or_default();
                let TypeOwner::Interface(interface) = definition.owner else {
                    return Err(self.not_plain(name));
                };
                let (module, ident) = (
                    self.module(interface),
                    format_ident!("{}", name.to_upper_camel_case()),
                );
                Ok(quote!(#module::#ident))
            }
            _ => Err(self.not_plain(definition.name.as_deref().unwrap_or("a type without a name"))),
        }
    }

    /// Turns an expression of type `&T` into what `wit_bindgen` takes as a parameter of an imported function.
    pub(crate) fn lent(&self, ty: &Type, value: TokenStream) -> syn::Result<TokenStream> {
        let Type::Id(id) = ty else {
            return Ok(if *ty == Type::String {
                quote!(#value.as_str())
            } else {
                quote!(*#value)
            });
        };
        match &self.resolve.types[*id].kind {
            TypeDefKind::Type(ty) => self.lent(ty, value),
            TypeDefKind::List(_) => Ok(quote!(#value.as_slice())),
            TypeDefKind::Option(ty) => {
                let some = self.lent(ty, quote!(some))?;
                Ok(quote!(#value.as_ref().map(|some| #some)))
            }
            TypeDefKind::Record(_) | TypeDefKind::Variant(_) if self.on_heap(ty) => Ok(value),
            TypeDefKind::Record(_)
            | TypeDefKind::Variant(_)
            | TypeDefKind::Enum(_)
            | TypeDefKind::Flags(_) => Ok(quote!(*#value)),
            _ => {
                Err(self.not_plain("a parameter that is a bare tuple or result: give it a name in a record"))
            }
        }
    }

    /// Whether a value of the type owns memory; those that do are passed by reference.
    fn on_heap(&self, ty: &Type) -> bool {
        let Type::Id(id) = ty else {
            return *ty == Type::String;
        };
        let any = |ty: &Option<Type>| ty.as_ref().is_some_and(|ty| self.on_heap(ty));
        match &self.resolve.types[*id].kind {
            TypeDefKind::Type(ty) | TypeDefKind::Option(ty) => self.on_heap(ty),
            TypeDefKind::List(_) => true,
            TypeDefKind::Record(record) => record.fields.iter().any(|field| self.on_heap(&field.ty)),
            TypeDefKind::Tuple(tuple) => tuple.types.iter().any(|ty| self.on_heap(ty)),
            TypeDefKind::Variant(variant) => variant.cases.iter().any(|case| any(&case.ty)),
            TypeDefKind::Result(result) => any(&result.ok) || any(&result.err),
            _ => false,
        }
    }

    fn not_plain(&self, what: &str) -> Error {
        let text = format!(
            "`{what}` is not plain: functions of handlers take and return values, no resources or streams"
        );
        Error::new(proc_macro2::Span::call_site(), text)
    }
}

/// A WIT name as Rust name, escaped as `wit_bindgen` does it.
pub(crate) fn rust_name(wit: &str) -> syn::Ident {
    let snake = wit.to_snake_case();
    match syn::parse_str::<syn::Ident>(&snake) {
        Ok(ident) => ident,
        Err(_) => format_ident!("{snake}_"),
    }
}

fn interfaces<'a>(items: impl Iterator<Item = &'a WorldItem>) -> Vec<InterfaceId> {
    items
        .filter_map(|item| match item {
            WorldItem::Interface { id, .. } => Some(*id),
            _ => None,
        })
        .collect()
}
