//! A form made from WIT types: each field edits its place in one JSON draft, and says what is wrong there.
//!
//! Typing changes the draft alone; adding, removing and choosing draws the fields anew and gives the focus back to what
//! was pressed. What values mean is in `crate::form`, which is pure.

use std::time::Duration;

use leptos::prelude::*;
use serde_json::{Value, json};
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use crate::form::{self, Fault};
use crate::shape::{Part, Shape};

/// Entries of a list that get fields; the JSON takes more.
const FIELDS_MAX: usize = 50;

/// The draft, with what is wrong in it.
#[derive(Clone, Copy)]
pub struct Form {
    pub draft: RwSignal<Value>,
    /// What the fields know to be wrong, or the server said.
    pub faults: RwSignal<Vec<Fault>>,
    /// Grows when fields come, go or get another value from elsewhere.
    pub drawn: RwSignal<u32>,
}

impl Form {
    pub fn new(draft: Value) -> Self {
        Self {
            draft: RwSignal::new(draft),
            faults: RwSignal::new(Vec::new()),
            drawn: RwSignal::new(0),
        }
    }

    /// Sets everything, as the JSON says.
    pub fn replace(self, draft: Value) {
        self.draft.set(draft);
        self.drawn.update(|count| *count += 1);
    }

    fn at(self, pointer: &str) -> Value {
        self.draft
            .with_untracked(|draft| draft.pointer(pointer).cloned().unwrap_or_default())
    }

    fn write(self, pointer: &str, value: Value) {
        self.draft.update(|draft| form::put(draft, pointer, value));
    }

    /// Writes what changes which fields there are; the field of `pointer` has the focus afterwards.
    fn redraw(self, pointer: &str, value: Value) {
        self.write(pointer, value);
        self.drawn.update(|count| *count += 1);
        let id = field_id(pointer);
        set_timeout(
            move || {
                let by_id = |id: &str| document().get_element_by_id(id);
                let element = by_id(&id).or_else(|| by_id(&format!("{id}?")));
                if let Some(element) = element.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
                    // Fails only where it cannot have the focus.
                    let _ = element.focus();
                }
            },
            Duration::ZERO,
        );
    }
}

/// The fields of all parts.
pub fn fields(form: Form, parts: StoredValue<Vec<Part>>) -> AnyView {
    (move || {
        form.drawn.track();
        parts.with_value(|parts| of_parts(form, parts, ""))
    })
    .into_any()
}

fn of_parts(form: Form, parts: &[Part], pointer: &str) -> AnyView {
    let fields: Vec<AnyView> = parts
        .iter()
        .filter_map(|part| {
            let shape = part.shape.as_ref()?;
            let at = form::within(pointer, &part.name);
            Some(field(form, shape, &at, &part.name, part.docs.as_deref()))
        })
        .collect();
    fields.into_any()
}

fn field_id(pointer: &str) -> String {
    format!("field{pointer}")
}

fn field(form: Form, shape: &Shape, at: &str, name: &str, docs: Option<&str>) -> AnyView {
    let id = field_id(at);
    let docs = docs.map(|docs| view! { <span class="small soft field-docs">{docs.to_owned()}</span> });
    let (inside, name, word) = (inside(form, shape, at, name), name.to_owned(), shape.word());
    let wrong = wrong(form, at);
    if shape.is_leaf() {
        return view! {
            <div class="field" data-field=at.to_owned()>
                <label class="field-name" for=id><b>{name}</b><span class="faint small">{word}</span></label>
                {docs}{inside}{wrong}
            </div>
        }
        .into_any();
    }
    view! {
        <fieldset class="field group" data-field=at.to_owned()>
            <legend class="field-name"><b>{name}</b><span class="faint small">{word}</span></legend>
            {docs}{inside}{wrong}
        </fieldset>
    }
    .into_any()
}

/// What is wrong at exactly this place.
fn wrong(form: Form, at: &str) -> AnyView {
    let (pointer, id) = (at.to_owned(), format!("wrong{at}"));
    let said = move || {
        form.faults.with(|faults| {
            let own = faults.iter().filter(|fault| fault.pointer == pointer);
            own.map(|fault| fault.message.clone())
                .collect::<Vec<_>>()
                .join("; ")
        })
    };
    view! { <p class="field-wrong small bad" id=id role="status">{said}</p> }.into_any()
}

fn inside(form: Form, shape: &Shape, at: &str, name: &str) -> AnyView {
    match shape {
        Shape::Bool => {
            let pointer = at.to_owned();
            let input = check_box(at, name, form.at(at) == json!(true), move |on| {
                form.write(&pointer, json!(on));
            });
            view! { <span class="field-line">{input}</span> }.into_any()
        }
        Shape::Whole { .. } | Shape::Float | Shape::Char | Shape::Text => text(form, shape.clone(), at, name),
        Shape::Bytes => bytes(form, at, name),
        Shape::Enum(names) => {
            let (pointer, chosen) = (at.to_owned(), form::typed(&form.at(at)));
            choice(at, name, (names, &chosen), move |name| {
                form.write(&pointer, json!(name))
            })
        }
        Shape::Flags(names) => flags(form, names, at),
        Shape::Record(parts) => of_parts(form, parts, at),
        Shape::Tuple(shapes) => {
            let fields = shapes.iter().enumerate().map(|(index, shape)| {
                let step = index.to_string();
                field(form, shape, &form::within(at, &step), &step, None)
            });
            fields.collect_view().into_any()
        }
        Shape::List(of) => list(form, of, at, name),
        Shape::Option(of) => option(form, of, at, name),
        Shape::Variant(cases) => variant(form, cases, at, name),
        Shape::Result(ok, err) => {
            let case = |name: &str, shape: &Option<Box<Shape>>| Part {
                name: name.to_owned(),
                docs: None,
                shape: shape.as_deref().cloned(),
            };
            variant(form, &[case("ok", ok), case("err", err)], at, name)
        }
        Shape::Opaque(what) => {
            view! { <p class="small soft">{format!("{what} cannot be written by hand.")}</p> }.into_any()
        }
    }
}

fn text(form: Form, shape: Shape, at: &str, name: &str) -> AnyView {
    let name = name.to_owned();
    let (pointer, value) = (at.to_owned(), form::typed(&form.at(at)));
    let hint = match &shape {
        Shape::Whole { signed, bits } => {
            let (least, most) = form::range(*signed, *bits);
            format!("{least} to {most}")
        }
        _ => String::new(),
    };
    let is_number = matches!(shape, Shape::Whole { .. } | Shape::Float);
    let (id, described) = (field_id(at), format!("wrong{at}"));
    let write = move |typed: String| {
        let value = match is_number {
            true => form::number(&shape, &typed),
            false => Value::String(typed),
        };
        form.write(&pointer, value);
    };
    if value.contains('\n') {
        return view! { <textarea id=id rows="4" aria-label=name aria-describedby=described prop:value=value on:input=move |event| write(event_target_value(&event))></textarea> }.into_any();
    }
    let mode = if is_number { "decimal" } else { "text" };
    view! {
        <input id=id aria-label=name inputmode=mode class:num-left=is_number autocomplete="off" spellcheck="false" placeholder=hint aria-describedby=described
            prop:value=value on:input=move |event| write(event_target_value(&event)) />
    }
    .into_any()
}

/// Bytes, as the text that they are, or as base64 where they are none.
fn bytes(form: Form, at: &str, name: &str) -> AnyView {
    let name = name.to_owned();
    let pointer = at.to_owned();
    let value = form.at(at);
    let raw = form::base64_of(&value).and_then(form::decode).unwrap_or_default();
    let is_text = RwSignal::new(std::str::from_utf8(&raw).is_ok());
    let shown = match String::from_utf8(raw) {
        Ok(text) => text,
        Err(_) => form::base64_of(&value).unwrap_or_default().to_owned(),
    };
    let typed = RwSignal::new(shown);
    let write = move || {
        let typed = typed.get_untracked();
        let base64 = match is_text.get_untracked() {
            true => form::encode(typed.as_bytes()),
            false => typed.trim().to_owned(),
        };
        form.write(&pointer, json!({ "base64": base64 }));
    };
    let turned = write.clone();
    let toggle = check_box(
        &format!("{at}?"),
        "this is text",
        is_text.get_untracked(),
        move |on| {
            is_text.set(on);
            turned();
        },
    );
    view! {
        <textarea id=field_id(at) rows="2" aria-label=name aria-describedby=format!("wrong{at}") prop:value=typed.get_untracked()
            on:input=move |event| { typed.set(event_target_value(&event)); write() }></textarea>
        <label class="field-line small soft">{toggle} "this is text; otherwise it is base64"</label>
    }
    .into_any()
}

fn check_box(at: &str, name: &str, on: bool, act: impl Fn(bool) + 'static) -> AnyView {
    let name = name.to_owned();
    view! { <input type="checkbox" id=field_id(at) aria-label=name prop:checked=on on:change=move |event| act(event_target_checked(&event)) /> }
        .into_any()
}

fn choice(
    at: &str,
    label: &str,
    (names, chosen): (&[Part], &str),
    act: impl Fn(String) + 'static,
) -> AnyView {
    let options: Vec<_> = names
        .iter()
        .map(|part| {
            let name = part.name.clone();
            let is_chosen = name == chosen;
            view! { <option value=name.clone() selected=is_chosen>{name.clone()}</option> }
        })
        .collect();
    let (id, label) = (field_id(at), label.to_owned());
    view! { <select id=id aria-label=label on:change=move |event| act(event_target_value(&event))>{options}</select> }.into_any()
}

fn flags(form: Form, names: &[Part], at: &str) -> AnyView {
    let boxes: Vec<_> = names
        .iter()
        .map(|part| {
            let (pointer, name) = (at.to_owned(), part.name.clone());
            let on = form
                .at(at)
                .as_array()
                .is_some_and(|set| set.contains(&json!(name)));
            let flag = name.clone();
            let input = check_box(&form::within(at, &name), &name, on, move |on| {
                let mut set = form.at(&pointer).as_array().cloned().unwrap_or_default();
                set.retain(|value| *value != json!(flag));
                if on {
                    set.push(json!(flag));
                }
                form.write(&pointer, Value::Array(set));
            });
            view! { <label class="field-line">{input}{name}</label> }
        })
        .collect();
    view! { <div class="field-flags">{boxes}</div> }.into_any()
}

fn list(form: Form, of: &Shape, at: &str, name: &str) -> AnyView {
    let values = form.at(at).as_array().cloned().unwrap_or_default();
    let count = values.len();
    let rows: Vec<_> = (0..count.min(FIELDS_MAX))
        .map(|index| {
            let step = index.to_string();
            let pointer = at.to_owned();
            let remove = move |_| {
                let mut values = form.at(&pointer).as_array().cloned().unwrap_or_default();
                if index < values.len() {
                    values.remove(index);
                }
                form.redraw(&pointer, Value::Array(values));
            };
            view! {
                <div class="field-row">
                    {field(form, of, &form::within(at, &step), &step, None)}
                    <button type="button" class="btn tiny" aria-label=format!("Remove entry {index} of {name}") on:click=remove>"×"</button>
                </div>
            }
        })
        .collect();
    let more = (count > FIELDS_MAX)
        .then(|| view! { <p class="small soft">{format!("{} more entries are in the JSON.", count - FIELDS_MAX)}</p> });
    let (pointer, new) = (at.to_owned(), form::initial(of));
    let add = move |_| {
        let mut values = form.at(&pointer).as_array().cloned().unwrap_or_default();
        values.push(new.clone());
        form.redraw(&pointer, Value::Array(values));
    };
    view! { {rows}{more}<button type="button" class="btn tiny" id=field_id(at) on:click=add>{format!("Add to {name}")}</button> }
        .into_any()
}

fn option(form: Form, of: &Shape, at: &str, name: &str) -> AnyView {
    let value = form.at(at);
    let (pointer, new) = (at.to_owned(), form::some(of));
    let is_some = !value.is_null();
    // Its place is the value's too, whose field has the plain id.
    let toggle = check_box(&format!("{at}?"), "has a value", is_some, move |on| {
        form.redraw(&pointer, if on { new.clone() } else { Value::Null });
    });
    let within = match of {
        Shape::Option(_) => form::within(at, "some"),
        _ => at.to_owned(),
    };
    let inner = is_some.then(|| inside(form, of, &within, name));
    view! { <label class="field-line small">{toggle} "has a value"</label>{inner} }.into_any()
}

fn variant(form: Form, cases: &[Part], at: &str, name: &str) -> AnyView {
    let value = form.at(at);
    let chosen = form::case(&value).unwrap_or_default().to_owned();
    let all = StoredValue::new(cases.to_vec());
    let pointer = at.to_owned();
    let select = choice(at, name, (cases, &chosen), move |name| {
        let new = all.with_value(|cases| {
            let case = cases.iter().find(|case| case.name == name)?;
            Some(match case.name.as_str() {
                // A result's cases are written with null where they carry nothing.
                "ok" | "err" if case.shape.is_none() => json!({ name: null }),
                _ => form::initial_case(case),
            })
        });
        form.redraw(&pointer, new.unwrap_or_default());
    });
    let inner = cases
        .iter()
        .find(|case| case.name == chosen)
        .and_then(|case| Some((case, case.shape.as_ref()?)))
        .map(|(case, shape)| {
            field(
                form,
                shape,
                &form::within(at, &case.name),
                &case.name,
                case.docs.as_deref(),
            )
        });
    view! { {select}{inner} }.into_any()
}
