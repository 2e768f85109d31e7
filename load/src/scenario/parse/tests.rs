//! What a scenario file may say, and what is told when it says something else.

use super::*;

#[test]
fn every_problem_is_reported_at_once_with_its_line() {
    let text = r#"nmae = "x"
timeout = "soon"
[variables.product]
values = []
[[operations]]
name = "one"
weight = 0
steps = [{ method = "GTE", path = "product/{prodct}" }]
[[operations]]
name = "one"
steps = [{ path = "/", form = { a = "b" }, status = 700 }]
[[operations]]
name = "two"
"#;
    let problems = scenario(text).unwrap_err();
    let found: Vec<(usize, &str)> = problems.0.iter().map(|p| (p.line, p.text.as_str())).collect();
    let expected = [
        (1, "`nmae`"),
        (2, "soon"),
        (4, "no values"),
        (7, "`weight`"),
        (8, "`GTE`"),
        (8, "must start with `/`"),
        (8, "did you mean `product`?"),
        (9, "two operations are named `one`"),
        (11, "sends a form with GET"),
        (11, "from 100 to 599"),
        (12, "no `steps`"),
    ];
    for (line, part) in expected {
        // A table's span starts at its header or at its first key, by the parser's choice.
        assert!(
            found
                .iter()
                .any(|(at, text)| at.abs_diff(line) <= 1 && text.contains(part)),
            "no problem with {part} near line {line} in {found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn broken_toml_names_the_line() {
    let problems = scenario("name = \"x\"\n[[operations]\n").unwrap_err();
    assert!(problems.0.iter().any(|problem| problem.line == 2), "{problems}");
}

#[test]
fn an_empty_file_says_what_is_missing() {
    assert!(
        scenario("")
            .unwrap_err()
            .to_string()
            .contains("`operations` is missing")
    );
}
