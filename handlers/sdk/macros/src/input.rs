//! What is written between the braces of the macros: `key: value` pairs, each at most once.

use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, LitStr, Path, Token};

pub(crate) struct Input {
    /// The folder with the WIT, relative to the package.
    pub(crate) path: LitStr,
    pub(crate) world: LitStr,
    /// The crate that holds the types and traits of the interfaces that are not the SDK's.
    pub(crate) contract: Option<Path>,
    /// What serves a call.
    pub(crate) handler: Option<Expr>,
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let start = input.span();
        let (mut path, mut world, mut contract, mut handler) = (None, None, None, None);
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            input.parse::<Token![:]>()?;
            let again = match key.to_string().as_str() {
                "path" => path.replace(input.parse()?).is_some(),
                "world" => world.replace(input.parse()?).is_some(),
                "contract" => contract.replace(input.parse()?).is_some(),
                "handler" => handler.replace(input.parse()?).is_some(),
                _ => {
                    return Err(Error::new(
                        key.span(),
                        "expected `path`, `world`, `contract` or `handler`",
                    ));
                }
            };
            if again {
                return Err(Error::new(key.span(), format!("`{key}` is given twice")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(Self {
            path: path.unwrap_or_else(|| LitStr::new("wit", start)),
            world: world.ok_or_else(|| Error::new(start, "`world: \"name\"` is missing"))?,
            contract,
            handler,
        })
    }
}
