//! A value of a WIT type, readable: records as names with values, lists of records as tables, `err` in its own colour.

use leptos::prelude::*;
use serde_json::Value;

use crate::form;
use crate::format;
use crate::shape::{Part, Shape};

/// Entries of a list that are shown; the JSON has all.
const SHOWN_MAX: usize = 100;
/// Fields of a record beyond which a list of it is no table.
const COLUMNS_MAX: usize = 7;

/// The value; as JSON where it is not of the type.
pub fn value(shape: &Shape, value: &Value) -> AnyView {
    match (shape, value) {
        (Shape::Record(parts), Value::Object(_)) => record(parts, value),
        (Shape::List(of), Value::Array(values)) => list(of, values),
        (Shape::Tuple(shapes), Value::Array(values)) => {
            let items: Vec<_> = shapes
                .iter()
                .zip(values)
                .map(|(shape, inner)| view! { <li>{self::value(shape, inner)}</li> })
                .collect();
            view! { <ol class="value-list">{items}</ol> }.into_any()
        }
        (Shape::Variant(cases), _) => variant(cases, value),
        (Shape::Result(ok, err), Value::Object(object)) => {
            let (name, class, of) = match object.contains_key("err") {
                true => ("err", "state bad", err),
                false => ("ok", "state ok", ok),
            };
            let inner = object.get(name).zip(of.as_deref());
            let inner = inner.map(|(inner, shape)| self::value(shape, inner));
            view! { <div class="value-case"><span class=class>{name}</span>{inner}</div> }.into_any()
        }
        (Shape::Option(_), Value::Null) => view! { <span class="faint">"none"</span> }.into_any(),
        (Shape::Option(of), inner) => match &**of {
            Shape::Option(_) => self::value(of, inner.get("some").unwrap_or(inner)),
            _ => self::value(of, inner),
        },
        (Shape::Bytes, _) => bytes(value),
        (Shape::Text | Shape::Char | Shape::Enum(_), Value::String(text)) => {
            view! { <span class="value-text">{text.clone()}</span> }.into_any()
        }
        (Shape::Flags(_), Value::Array(set)) => {
            let names: Vec<String> = set.iter().map(form::typed).collect();
            let text = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            view! { <span>{text}</span> }.into_any()
        }
        _ => view! { <span class="num-left">{form::typed(value)}</span> }.into_any(),
    }
}

fn record(parts: &[Part], record: &Value) -> AnyView {
    let fields: Vec<_> = parts
        .iter()
        .filter_map(|part| {
            let inner = value(part.shape.as_ref()?, record.get(&part.name)?);
            Some(view! { <div><dt>{part.name.clone()}</dt><dd>{inner}</dd></div> })
        })
        .collect();
    view! { <dl class="value-record">{fields}</dl> }.into_any()
}

fn variant(cases: &[Part], of: &Value) -> AnyView {
    let name = form::case(of).unwrap_or_default();
    let shape = cases
        .iter()
        .find(|case| case.name == name)
        .and_then(|case| case.shape.as_ref());
    let inner = shape.zip(of.get(name)).map(|(shape, inner)| value(shape, inner));
    view! { <div class="value-case"><b>{name.to_owned()}</b>{inner}</div> }.into_any()
}

fn list(of: &Shape, values: &[Value]) -> AnyView {
    if values.is_empty() {
        return view! { <span class="faint">"an empty list"</span> }.into_any();
    }
    let shown = values.get(..SHOWN_MAX.min(values.len())).unwrap_or_default();
    let more = (values.len() > SHOWN_MAX).then(|| {
        let text = format!(
            "{} more are in the JSON.",
            format::count((values.len() - SHOWN_MAX) as u64)
        );
        view! { <p class="small soft">{text}</p> }
    });
    let body = match of {
        Shape::Record(parts) if parts.len() <= COLUMNS_MAX => table(parts, shown),
        _ => {
            let items: Vec<_> = shown
                .iter()
                .map(|inner| view! { <li>{value(of, inner)}</li> })
                .collect();
            view! { <ol class="value-list">{items}</ol> }.into_any()
        }
    };
    view! { {body}{more} }.into_any()
}

fn table(parts: &[Part], rows: &[Value]) -> AnyView {
    let head: Vec<_> = parts
        .iter()
        .map(|part| view! { <th scope="col">{part.name.clone()}</th> })
        .collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let cells: Vec<_> = parts
                .iter()
                .map(|part| {
                    let inner = part.shape.as_ref().zip(row.get(&part.name));
                    view! { <td>{inner.map(|(shape, inner)| value(shape, inner))}</td> }
                })
                .collect();
            view! { <tr>{cells}</tr> }
        })
        .collect();
    view! {
        <div class="value-frame" tabindex="0" role="region" aria-label="A list as a table">
            <table class="value-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>
        </div>
    }
    .into_any()
}

/// Bytes as the text that they are, or how many there are.
fn bytes(of: &Value) -> AnyView {
    let raw = form::base64_of(of).and_then(form::decode).unwrap_or_default();
    let size = format::bytes(raw.len() as u64);
    let text = String::from_utf8(raw).ok().filter(|text| !text.is_empty());
    view! { <span class="soft small">{size}</span>" "{text.map(|text| view! { <span class="value-text">{text}</span> })} }
        .into_any()
}
