//! Values: what the scenario's variables may become, with those that the target's pages name read from there.

use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::client::{Connection, Target};
use crate::scenario::{Scenario, Source};
use crate::schedule::mix;

/// Values that one page may give.
const DISCOVERED_MAX: usize = 10_000;

/// The possible values of every variable, by the scenario's index; none is empty.
#[derive(Debug, Clone)]
pub struct Values(Vec<Vec<Arc<str>>>);

impl Values {
    /// Takes the listed values and reads the pages of the others.
    pub async fn load(scenario: &Scenario, target: &Target) -> anyhow::Result<Self> {
        let mut all = Vec::with_capacity(scenario.variables.len());
        for variable in &scenario.variables {
            let values = match &variable.source {
                Source::Values(values) => values.iter().map(|value| Arc::from(value.as_str())).collect(),
                Source::Discover { path, attribute } => discover(scenario, target, path, attribute)
                    .await
                    .with_context(|| format!("find the values of `{{{}}}`", variable.name))?,
            };
            all.push(values);
        }
        Ok(Self(all))
    }

    /// The value of a variable for one arrival: the same for the same draw.
    pub fn pick(&self, variable: usize, draw: u64) -> &str {
        let values = &self.0[variable];
        &values[(mix(draw, variable as u64) % values.len() as u64) as usize]
    }
}

async fn discover(
    scenario: &Scenario,
    target: &Target,
    path: &str,
    attribute: &str,
) -> anyhow::Result<Vec<Arc<str>>> {
    let url = format!("{}{path}", target.url());
    let request = Request::get(path)
        .body(Full::<Bytes>::default())
        .context("build the request")?;
    let (mut connection, mut body) = (None, Vec::new());
    let answer = tokio::time::timeout(
        scenario.timeout,
        Connection::send(&mut connection, target, request, &mut body),
    );
    let answer = match answer.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(failure)) => bail!("`{url}`: {failure}; is the shop up?"),
        Err(_) => bail!(
            "`{url}`: no answer in {}",
            humantime::format_duration(scenario.timeout)
        ),
    };
    if !answer.status.is_success() {
        bail!("`{url}` answers {}", answer.status);
    }
    let values = attribute_values(&String::from_utf8_lossy(&body), attribute);
    if values.is_empty() {
        bail!("`{url}` has no attribute `{attribute}=\"…\"`; list the values in the scenario instead");
    }
    Ok(values)
}

/// The distinct values of an attribute, in the page's order. Enough HTML for a marker that we write ourselves.
fn attribute_values(page: &str, attribute: &str) -> Vec<Arc<str>> {
    let marker = format!(" {attribute}=\"");
    let mut values: Vec<Arc<str>> = Vec::new();
    for after in page.split(marker.as_str()).skip(1) {
        let Some((value, _)) = after.split_once('"') else {
            continue;
        };
        if !value.is_empty()
            && values.len() < DISCOVERED_MAX
            && !values.iter().any(|known| known.as_ref() == value)
        {
            values.push(value.into());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_values_are_found_once_and_in_order() {
        let page = r#"<a data-product="lamp" href="/product/lamp">Lamp</a> <li class="x" data-product="mug"> <b data-product="lamp">"#;
        let found = attribute_values(page, "data-product");
        assert_eq!(
            found.iter().map(AsRef::as_ref).collect::<Vec<&str>>(),
            ["lamp", "mug"]
        );
        assert!(attribute_values(page, "data-other").is_empty());
    }

    #[test]
    fn a_draw_decides_the_value_and_all_values_come() {
        let values = Values(vec![vec!["a".into(), "b".into(), "c".into()]]);
        assert_eq!(values.pick(0, 5), values.pick(0, 5));
        let seen: std::collections::BTreeSet<&str> = (0..100).map(|draw| values.pick(0, draw)).collect();
        assert_eq!(seen.len(), 3);
    }
}
