//! What a step shows: numbers, the steps of a call, a line, and links to where it is all seen.

use leptos::prelude::*;
use protocol::TraceId;

use crate::route::Route;
use crate::series::Series;
use crate::steps::Step;

/// What came of a step.
#[derive(Clone, Default)]
pub struct Proof {
    /// The finding.
    pub finding: String,
    /// Names and numbers.
    pub numbers: Vec<(String, String)>,
    /// The nine steps of a call.
    pub steps: Vec<Step>,
    /// Values over time.
    pub line: Option<Series>,
    pub links: Vec<(String, &'static str)>,
}

impl Proof {
    pub fn of(finding: String) -> Self {
        Self {
            finding,
            ..Self::default()
        }
    }

    pub fn number(mut self, name: impl Into<String>, value: String) -> Self {
        self.numbers.push((name.into(), value));
        self
    }

    pub fn link(mut self, href: &str, word: &'static str) -> Self {
        self.links.push((href.to_owned(), word));
        self
    }

    pub fn trace(self, id: TraceId, word: &'static str) -> Self {
        self.link(&Route::Trace(id, None).path(), word)
    }

    pub fn view(self) -> AnyView {
        let numbers: Vec<_> = self
            .numbers
            .into_iter()
            .map(|(name, value)| view! { <div><dt>{name}</dt><dd class="num-left">{value}</dd></div> })
            .collect();
        let longest = self.steps.iter().map(|step| step.ns).max().unwrap_or(1).max(1);
        let steps: Vec<_> = self.steps.into_iter().map(|step| row(step, longest)).collect();
        let steps = (!steps.is_empty()).then(|| {
            view! {
                <table class="steps"><thead class="unseen"><tr><th scope="col">"step"</th><th scope="col">"what"</th><th scope="col">"share"</th><th scope="col">"time"</th></tr></thead>
                <tbody>{steps}</tbody></table>
            }
        });
        let line = self.line.map(|line| {
            let points = line.points((600.0, 90.0), line.top(1.0));
            view! { <svg class="proof-line" viewBox="0 0 600 90" preserveAspectRatio="none" role="img" aria-label="Depth of the queue over time"><polyline class="chart-line chart-queue" points=points></polyline></svg> }
        });
        let links: Vec<_> = self
            .links
            .into_iter()
            .map(|(href, word)| view! { <a class="btn small" data-link="" href=href>{word}</a> })
            .collect();
        view! {
            <p class="proof-finding">{self.finding}</p>
            {line}
            <dl class="facts">{numbers}</dl>
            {steps}
            <p class="buttons">{links}</p>
        }
        .into_any()
    }
}

fn row(step: Step, longest: u64) -> AnyView {
    let width = format!("{:.1}%", step.ns as f64 / longest as f64 * 100.0);
    let half = if step.half { "≈ " } else { "" };
    let stage = format!("stage-bar {}", step.colour.class());
    view! {
        <tr>
            <td class="step-number num-left">{step.number}</td>
            <td>{step.words}</td>
            <td class="step-bar"><i class=stage style:width=move || width.clone()></i></td>
            <td class="num">{format!("{half}{}", crate::format::nanoseconds(step.ns))}</td>
        </tr>
    }
    .into_any()
}
