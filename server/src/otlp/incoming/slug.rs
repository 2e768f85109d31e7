//! A readable name of our form for any text: `Cart Service (EU)` is `cart-service-eu`.

use protocol::name::{NAME_BYTES_MAX, RESERVED};

/// The slug of a text; one that leaves nothing to read gets its kind and a number of its own.
pub(super) fn slug(text: &str, kind: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if slug.len() >= NAME_BYTES_MAX {
            break;
        }
        match c.to_ascii_lowercase() {
            c if c.is_ascii_lowercase() || c.is_ascii_digit() => slug.push(c),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    let slug = slug.trim_end_matches('-');
    let name = match slug.chars().next() {
        None if text.is_empty() => format!("unknown-{kind}"),
        None => {
            let hash = blake3::hash(text.as_bytes()).to_hex();
            format!("{kind}-{}", hash.as_str().get(..8).unwrap_or_default())
        }
        Some(first) if first.is_ascii_digit() || RESERVED.contains(&slug) => format!("{kind}-{slug}"),
        Some(_) => slug.to_owned(),
    };
    let name = name.get(..NAME_BYTES_MAX).unwrap_or(&name);
    name.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::HandlerName;

    use super::*;

    #[test]
    fn slugs_are_readable() {
        for (text, expected) in [
            ("cart", "cart"),
            ("Cart Service (EU)", "cart-service-eu"),
            ("unknown_service:python", "unknown-service-python"),
            ("ingress", "service-ingress"),
            ("home", "service-home"),
            ("7eleven", "service-7eleven"),
            ("", "unknown-service"),
            ("<b>x</b>", "b-x-b"),
        ] {
            assert_eq!(slug(text, "service"), expected, "{text}");
        }
        let [one, other] = ["سلة", "カート"].map(|text| slug(text, "service"));
        assert_ne!(one, other);
    }

    proptest! {
        #[test]
        fn every_slug_is_a_name_and_its_own_slug(text in ".{0,100}") {
            let made = slug(&text, "service");
            prop_assert!(HandlerName::parse(&made).is_ok(), "{}", made);
            prop_assert_eq!(slug(&made, "service"), made);
        }
    }
}
