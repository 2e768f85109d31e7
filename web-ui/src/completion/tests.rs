//! Tests of what is offered at a place of a query.

use super::*;

fn names() -> Names {
    Names {
        handlers: vec!["cart".into(), "checkout".into()],
        nodes: vec!["home".into()],
        edges: vec!["cart -> state:store".into()],
        requests: vec!["GET /cart".into()],
    }
}

/// The offers at the `|`, without their last space.
fn at(text: &str) -> Vec<String> {
    let caret = text.find('§').unwrap();
    let completion = complete(&text.replace('§', ""), caret, &names());
    completion
        .offers
        .iter()
        .map(|offer| offer.text.trim_end().to_owned())
        .collect()
}

#[test]
fn what_the_language_takes_is_offered() {
    assert_eq!(at("§")[..3], ["handler", "status", "duration"]);
    assert_eq!(at("{ hand§"), ["handler", "root.handler"]);
    assert_eq!(at("{ handler §"), ["=", "!=", "=~", "!~"]);
    assert_eq!(at("{ handler = §"), ["cart", "checkout"]);
    assert_eq!(at("{ handler = ch§"), ["checkout"]);
    assert_eq!(at("{ handler = cart §"), ["&&", "||", "}"]);
    assert_eq!(at("{ handler = cart && sta§"), ["status", "root.status"]);
    assert_eq!(at("{ status = §"), ["ok", "err", "error"]);
    assert_eq!(at("{ handler = cart } §"), ["&&", "||", ">>", ">"]);
    assert_eq!(at("{ handler = cart } && §")[0], "{ handler");
    assert_eq!(at("{ handler = cart } >> §")[0], "{ handler");
    assert_eq!(at("{ edge = \"car§"), ["\"cart -> state:store\""]);
    assert_eq!(at("{ name = §"), ["\"GET /cart\""]);
    assert_eq!(at("duration > 5§"), ["5ms", "50ms", "500ms"]);
    assert_eq!(at("duration §")[..2], [">", ">="]);
    assert_eq!(at("duration > 5ms && ! §")[0], "handler");
    assert_eq!(at("cold = true §"), ["&&", "||"]);
    assert_eq!(at(".http.status §").len(), 8);
    assert_eq!(at("{ log = §"), Vec::<String>::new());
}

#[test]
fn an_offer_takes_the_place_of_the_word_around_the_caret() {
    let take = |text: &str, which: usize| {
        let caret = text.find('§').unwrap();
        let text = text.replace('§', "");
        let completion = complete(&text, caret, &names());
        let (text, at) = accept(&text, &completion, &completion.offers[which]);
        format!("{}§{}", &text[..at], &text[at..])
    };
    assert_eq!(take("{ ha§ndl }", 0), "{ handler§ }");
    assert_eq!(
        take("{ edge = \"ca§rt -> x\" }", 0),
        "{ edge = \"cart -> state:store\"§ }"
    );
    assert_eq!(take("{ status = §", 2), "{ status = error §");
    assert_eq!(take("§", 0), "handler §");
}

#[test]
fn no_text_and_no_place_are_too_odd() {
    for text in [
        "\"",
        "{{{ ) && || = =",
        "ü = ü && \u{1f600} = \"\u{1f600}",
        "a!b<c>d~e",
        "`x",
        "{ a = \"\\",
    ] {
        for caret in 0..=text.len() + 3 {
            let completion = complete(text, caret, &names());
            assert!(
                completion.from <= completion.to && completion.to <= text.len(),
                "{text} {caret}"
            );
            assert!(text.is_char_boundary(completion.from) && text.is_char_boundary(completion.to));
            for offer in &completion.offers {
                accept(text, &completion, offer);
            }
        }
    }
}

#[test]
fn a_fault_is_found_at_its_character() {
    let detail = "read `q`: at character 4: found `5`, expected a duration such as `5ms`";
    assert_eq!(
        fault(detail, "ü > 5"),
        Some((4, "found `5`, expected a duration such as `5ms`"))
    );
    assert_eq!(
        fault("at character 9: found the end", "abc"),
        Some((3, "found the end"))
    );
    assert_eq!(fault("there is no trace", "abc"), None);
    assert_eq!((byte_of("aü\u{1f600}b", 4), units_of("aü\u{1f600}b", 7)), (7, 4));
}
