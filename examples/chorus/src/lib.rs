//! A handler that waits for many others at a time: its function is an `async func`, and so is the one that it calls.

use futures_util::future::join_all;

/// Greets everybody by whatever greets one.
pub async fn greet_all<F>(names: Vec<String>, greet: impl Fn(String) -> F) -> Vec<String>
where
    F: Future<Output = String>,
{
    join_all(names.into_iter().map(greet)).await
}

/// What exists only inside a component.
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "the code that wit-bindgen generates")]
mod component {
    wit_bindgen::generate!({ path: "wit", world: "chorus", generate_all });

    struct Chorus;

    impl exports::example::chorus::greetings::Guest for Chorus {
        async fn greet_all(names: Vec<String>) -> Vec<String> {
            super::greet_all(names, example::hello::greeter::greet).await
        }
    }

    export!(Chorus);
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn everybody_is_greeted_in_order() {
        let names = vec!["Ada".to_owned(), "Grace".to_owned()];
        let greeted = greet_all(names, |name| async move { format!("Hello, {name}!") });
        assert_eq!(greeted.now_or_never().unwrap(), ["Hello, Ada!", "Hello, Grace!"]);
    }
}
