//! A button that asks once more, in its place, before it does what cannot be taken back.

use leptos::prelude::*;

/// The button; `act` says in its signal what went wrong.
pub fn button(
    word: &'static str,
    action: &'static str,
    warning: &'static str,
    act: impl Fn(RwSignal<Option<String>>) + Clone + Send + Sync + 'static,
) -> AnyView {
    let asks = RwSignal::new(false);
    let said = RwSignal::new(None::<String>);
    let shown = move || {
        let act = act.clone();
        match asks.get() {
            false => view! { <button class="btn small" data-action=action on:click=move |_| asks.set(true)>{word}</button> }.into_any(),
            true => view! {
                <span class="confirm" role="group" aria-label=warning>
                    <span class="small soft">{warning}</span>
                    <button class="btn small danger" data-action=format!("{action}-really") on:click=move |_| { asks.set(false); act(said) }>{word}</button>
                    <button class="btn small" on:click=move |_| asks.set(false)>"Not now"</button>
                </span>
            }
            .into_any(),
        }
    };
    view! { {shown}{move || said.get().map(|said| view! { <span class="small bad" role="alert">{said}</span> })} }
        .into_any()
}
