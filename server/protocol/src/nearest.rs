//! The name that was probably meant, for messages about one that there is not.

/// The name nearest to `given`, if it is near: at most two edits away, or a third of its letters. Of several equally
/// near the first by the alphabet.
pub fn nearest<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = (given.chars().count() / 3).max(2);
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| *distance <= near && *distance < name.chars().count())
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        let names = ["catalog", "cart", "checkout"];
        for (given, meant) in [
            ("catalogue", Some("catalog")),
            ("chekcout", Some("checkout")),
            ("crt", Some("cart")),
            ("email", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, names), meant, "{given}");
        }
        assert_eq!(nearest("ca", ["b"]), None, "every letter would be another");
    }
}
