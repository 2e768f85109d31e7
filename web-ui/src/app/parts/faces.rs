//! The four faces of a view: loading, empty, error, data.
//!
//! Promises: the face changes only when its kind does, so that live data never rebuilds what the user is in; the
//! skeleton stands where the data will.

use leptos::prelude::*;
use protocol::api::problem::Problem;

use crate::app::live::Remote;

/// Which face is shown.
#[derive(Debug, Clone, PartialEq)]
enum Face {
    Loading,
    Empty,
    Failed(Problem),
    Data,
}

/// Shows a list: its skeleton, `empty`, what failed, or `data`.
pub fn list<T: Clone + Send + Sync + 'static>(
    state: RwSignal<Remote<Vec<T>>>,
    retry: impl Fn() + Copy + Send + Sync + 'static,
    empty: impl Fn() -> AnyView + Send + Sync + 'static,
    data: impl Fn() -> AnyView + Send + Sync + 'static,
) -> AnyView {
    let face = Memo::new(move |_| {
        state.with(|state| match state {
            Remote::Loading => Face::Loading,
            Remote::Failed(problem) => Face::Failed(problem.clone()),
            Remote::Ready(items) if items.is_empty() => Face::Empty,
            Remote::Ready(_) => Face::Data,
        })
    });
    faces(face, retry, empty, data)
}

/// Shows one thing: its skeleton, what failed, or `data`.
pub fn one<T: Send + Sync + 'static>(
    state: RwSignal<Remote<T>>,
    retry: impl Fn() + Copy + Send + Sync + 'static,
    data: impl Fn() -> AnyView + Send + Sync + 'static,
) -> AnyView {
    let face = Memo::new(move |_| {
        state.with(|state| match state {
            Remote::Loading => Face::Loading,
            Remote::Failed(problem) => Face::Failed(problem.clone()),
            Remote::Ready(_) => Face::Data,
        })
    });
    faces(face, retry, || ().into_any(), data)
}

fn faces(
    face: Memo<Face>,
    retry: impl Fn() + Copy + Send + Sync + 'static,
    empty: impl Fn() -> AnyView + Send + Sync + 'static,
    data: impl Fn() -> AnyView + Send + Sync + 'static,
) -> AnyView {
    (move || match face.get() {
        Face::Loading => skeleton(),
        Face::Empty => empty(),
        Face::Failed(problem) => failure(&problem, retry),
        Face::Data => data(),
    })
    .into_any()
}

/// Grey bars where rows will be.
pub fn skeleton() -> AnyView {
    let bars = (0..6)
        .map(|_| view! { <span class="bone"></span> })
        .collect_view();
    view! { <div class="skeleton" role="status" aria-label="Loading">{bars}</div> }.into_any()
}

/// What failed, what to do, and another try.
pub fn failure(problem: &Problem, retry: impl Fn() + 'static) -> AnyView {
    let problem = problem.clone();
    view! {
        <div class="face" role="alert" data-face="error">
            <h2 class="bad">{problem.title}</h2>
            <p class="soft">{problem.detail}</p>
            <p><button class="btn" data-action="retry" on:click=move |_| retry()>"Try again"</button></p>
        </div>
    }
    .into_any()
}

/// What would be here, and the command that makes it so.
pub fn empty(title: &'static str, words: &'static str, command: &'static str) -> AnyView {
    view! {
        <div class="face" data-face="empty">
            <h2>{title}</h2>
            <p class="soft">{words}</p>
            {(!command.is_empty()).then(|| view! { <pre class="command"><code>{command}</code></pre> })}
        </div>
    }
    .into_any()
}
