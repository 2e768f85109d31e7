//! A handler's contract: its interfaces with functions and types, each name a link to what it stands for.

use std::sync::Arc;

use leptos::prelude::*;
use protocol::api::handlers::{Export, Handler, Reach};
use protocol::api::wit::{Interface, Member, Side, Signature, TypeDef, TypeKind};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use crate::app::parts::tags;
use crate::shape;

/// The card.
pub fn card(handler: &Handler, interfaces: Arc<Vec<Interface>>, wit: String) -> AnyView {
    let cards: Vec<AnyView> = interfaces
        .iter()
        .map(|interface| {
            let export = handler
                .exports
                .iter()
                .find(|export| export.interface.to_string() == interface.name);
            one(&interfaces, interface, export)
        })
        .collect();
    let raw = tags::copy(wit.clone(), "Copy the WIT");
    let none = interfaces
        .is_empty()
        .then(|| view! { <p class="small soft">"It has no interface of its own."</p> });
    view! {
        <section class="card contract" aria-label="Contract">
            <div class="card-head"><h2>"Contract"</h2>{raw}</div>
            {none}{cards}
            <details class="raw-wit">
                <summary class="small soft">"All of it as WIT text"</summary>
                <pre class="code" tabindex="0"><code>{wit}</code></pre>
            </details>
        </section>
    }
    .into_any()
}

fn one(all: &Arc<Vec<Interface>>, interface: &Interface, export: Option<&Export>) -> AnyView {
    let is_export = interface.side == Side::Export;
    let functions: Vec<AnyView> = interface
        .functions
        .iter()
        .map(|function| signature(all, interface, function, export))
        .collect();
    let types: Vec<AnyView> = interface
        .types
        .iter()
        .map(|ty| type_def(all, interface, ty))
        .collect();
    let shadowed = export
        .and_then(|export| export.shadowed_by.as_ref())
        .map(|other| view! { <span class="state warn">{format!("shadowed by {other}")}</span> });
    let types = (!types.is_empty()).then(|| {
        view! { <details class="types" open=!is_export || interface.types.iter().any(|ty| ty.kind != TypeKind::Alias)>
            <summary class="small soft">{format!("{} types", interface.types.len())}</summary>{types}</details> }
    });
    view! {
        <details class="interface" open=is_export data-interface=interface.name.clone()>
            <summary>
                <span class="interface-name">{interface.name.clone()}</span>
                <span class="chip">{if is_export { "serves" } else { "uses" }}</span>
                {shadowed}
            </summary>
            {docs(interface.docs.as_deref())}
            <ul class="functions">{functions}</ul>
            {types}
        </details>
    }
    .into_any()
}

fn docs(text: Option<&str>) -> AnyView {
    text.map(|text| view! { <p class="small soft docs">{text.to_owned()}</p> })
        .into_any()
}

fn signature(
    all: &Arc<Vec<Interface>>,
    at: &Interface,
    function: &Signature,
    export: Option<&Export>,
) -> AnyView {
    let params: Vec<AnyView> = function
        .params
        .iter()
        .enumerate()
        .map(|(index, param)| {
            let comma = if index > 0 { ", " } else { "" };
            view! { {comma}{param.name.clone()}": "{linked(all, at, param.ty.as_deref().unwrap_or("_"))} }
                .into_any()
        })
        .collect();
    let result = function
        .result
        .as_deref()
        .map(|text| view! { <span class="faint">" → "</span>{linked(all, at, text)} });
    let known = export.and_then(|export| export.functions.iter().find(|known| known.name == function.name));
    let chips = known.map(|known| {
        let local = (known.reach == Reach::LocalOnly)
            .then(|| view! { <span class="chip">"within one process"</span> });
        let traps = (!known.reports_failed_calls && known.reach == Reach::Routable)
            .then(|| view! { <span class="chip" title="Its error type has no case call-failed">"a failed call traps its caller"</span> });
        view! { <p class="chips">{local}{traps}</p> }
    });
    let word = if function.is_async { "async " } else { "" };
    view! {
        <li>
            <p class="signature"><span class="wit-word">{word}</span><b>{function.name.clone()}</b>"("{params}")"{result}</p>
            {docs(function.docs.as_deref())}{chips}
        </li>
    }
    .into_any()
}

fn type_def(all: &Arc<Vec<Interface>>, at: &Interface, ty: &TypeDef) -> AnyView {
    let word = match ty.kind {
        TypeKind::Record => "record",
        TypeKind::Variant => "variant",
        TypeKind::Enum => "enum",
        TypeKind::Flags => "flags",
        TypeKind::Resource => "resource",
        TypeKind::Alias if ty.from.is_some() => "use",
        TypeKind::Alias => "type",
    };
    let stands_for = match (&ty.from, &ty.of) {
        (Some(from), _) => {
            view! { <span class="faint">" of "</span>{link(all, at, &ty.name, from)} }.into_any()
        }
        (None, Some(of)) => view! { " = "{linked(all, at, of)} }.into_any(),
        (None, None) => ().into_any(),
    };
    let members: Vec<AnyView> = ty.members.iter().map(|each| member(all, at, each)).collect();
    let members = (!members.is_empty()).then(|| view! { <ul class="members">{members}</ul> });
    view! {
        <div class="type" id=anchor(&at.name, &ty.name) tabindex="-1">
            <p class="signature"><span class="wit-word">{word}</span>" "<b>{ty.name.clone()}</b>{stands_for}</p>
            {docs(ty.docs.as_deref())}{members}
        </div>
    }
    .into_any()
}

fn member(all: &Arc<Vec<Interface>>, at: &Interface, member: &Member) -> AnyView {
    let ty = member
        .ty
        .as_deref()
        .map(|text| view! { <span class="faint">": "</span>{linked(all, at, text)} });
    view! { <li><span class="signature">{member.name.clone()}{ty}</span>{docs(member.docs.as_deref())}</li> }
        .into_any()
}

/// A type's text; what is defined here is a link.
fn linked(all: &Arc<Vec<Interface>>, at: &Interface, text: &str) -> AnyView {
    let pieces = shape::pieces(text).into_iter();
    let pieces: Vec<AnyView> = pieces
        .map(
            |(piece, is_word)| match is_word && at.types.iter().any(|ty| ty.name == piece) {
                true => link(all, at, piece, piece),
                false => view! { <span class="faint">{piece.to_owned()}</span> }.into_any(),
            },
        )
        .collect();
    pieces.into_any()
}

fn link(all: &Arc<Vec<Interface>>, at: &Interface, name: &str, shown: &str) -> AnyView {
    let target = shape::definition(all, at, name).map(|(interface, name)| anchor(interface, name));
    let target = target.unwrap_or_default();
    let href = format!("#{target}");
    let go = move |event: web_sys::MouseEvent| {
        event.prevent_default();
        reveal(&target);
    };
    view! { <a class="type-link" href=href on:click=go>{shown.to_owned()}</a> }.into_any()
}

fn anchor(interface: &str, name: &str) -> String {
    format!("type:{interface}:{name}")
}

/// Unfolds what a definition lies in, and goes there.
fn reveal(id: &str) {
    let Some(element) = document().get_element_by_id(id) else {
        return;
    };
    let mut outer = element.closest("details").ok().flatten();
    while let Some(details) = outer {
        // Neither can fail: the attribute is a constant.
        let _ = details.set_attribute("open", "");
        outer = details
            .parent_element()
            .and_then(|parent| parent.closest("details").ok().flatten());
    }
    if let Ok(element) = element.dyn_into::<HtmlElement>() {
        element.scroll_into_view();
        let _ = element.focus();
    }
}
