//! The frame around every page, and text made safe for it.

use sdk::Outcome;
use shop::{Notice, Product};

use crate::Neighbours;
use crate::prices::Prices;
use crate::visit::Visit;

/// Makes a text fit for an element or an attribute in quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

/// A whole page. `things` is how many things are in the cart, where that is known.
pub(crate) fn page(
    world: &impl Neighbours,
    visit: &Visit,
    title: &str,
    things: Option<u32>,
    main: &str,
) -> String {
    let title = escape(title);
    let bag = match things {
        Some(things) => format!("Cart <span class=\"count\" id=\"cart-count\">{things}</span>"),
        None => "Cart".to_owned(),
    };
    let currencies = currencies(world, visit);
    format!(
        r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · Tern &amp; Thimble</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" href="/pictures/tern.svg" type="image/svg+xml">
</head>
<body>
<a class="skip" href="#main">Skip to the goods</a>
<header class="top">
<a class="brand" href="/"><img src="/pictures/tern.svg" alt="" width="44" height="44"><span>Tern &amp; Thimble<small>Useful things for small adventures</small></span></a>
<form class="search" action="/" method="get" role="search"><input type="search" name="q" aria-label="Search the shop" placeholder="Search"></form>
{currencies}
<a class="bag" href="/cart">{bag}</a>
</header>
<main id="main">
{main}
</main>
<footer><p>Tern &amp; Thimble is a rehearsal. Nothing is sold, charged or sent; ten small handlers only pretend.</p></footer>
</body>
</html>
"##
    )
}

fn currencies(world: &impl Neighbours, visit: &Visit) -> String {
    let Some(all) = world.supported_currencies().optional(world, "currency") else {
        return String::new();
    };
    let options = all.iter().map(|code| {
        let selected = if *code == visit.currency { " selected" } else { "" };
        let code = escape(code);
        format!("<option value=\"{code}\"{selected}>{code}</option>")
    });
    format!(
        "<form class=\"currency\" action=\"/currency\" method=\"post\"><input type=\"hidden\" name=\"back\" value=\"{}\">\
         <select name=\"currency\" aria-label=\"Currency\">{}</select><button class=\"quiet\">Change</button></form>",
        escape(&visit.here),
        options.collect::<String>()
    )
}

/// One product in a grid.
pub(crate) fn card<W: Neighbours>(product: &Product, prices: &Prices<'_, W>) -> String {
    let (id, name, summary) = (
        escape(&product.id),
        escape(&product.name),
        escape(&product.summary),
    );
    let price = escape(&prices.show(&product.price));
    format!(
        "<li class=\"card\" data-product=\"{id}\"><a href=\"/product/{id}\">\
         <img src=\"/pictures/{id}.svg\" alt=\"\" width=\"320\" height=\"240\" loading=\"lazy\">\
         <h3>{name}</h3></a><p>{summary}</p><p class=\"price\">{price}</p></li>"
    )
}

/// Products under a heading; nothing at all if there are none.
pub(crate) fn shelf<W: Neighbours>(
    id: &str,
    heading: &str,
    products: &[Product],
    prices: &Prices<'_, W>,
) -> String {
    if products.is_empty() {
        return String::new();
    }
    let cards = products
        .iter()
        .map(|product| card(product, prices))
        .collect::<String>();
    format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\"><h2 id=\"{id}-title\">{heading}</h2>\
         <ul class=\"grid\">{cards}</ul></section>"
    )
}

/// Notices; nothing at all if there are none.
pub(crate) fn notices(notices: &[Notice]) -> String {
    if notices.is_empty() {
        return String::new();
    }
    let lines = notices.iter().map(|notice| {
        let (id, text) = (escape(&notice.product_id), escape(&notice.text));
        format!("<p data-ad=\"{id}\"><a href=\"/product/{id}\">{text}</a></p>")
    });
    format!(
        "<aside id=\"notices\" aria-label=\"Notices\">{}</aside>",
        lines.collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn markup_in_texts_is_text() {
        assert_eq!(
            escape("<b title=\"x\">'&'"),
            "&lt;b title=&quot;x&quot;&gt;&#39;&amp;&#39;"
        );
    }
}
