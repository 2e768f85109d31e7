//! `Typical`: what the selected function usually costs, by the way its calls go; asked once per function.
//!
//! Promises: an answer that comes late never stands beside another function; a failure is said and nothing else breaks.

use leptos::prelude::*;
use leptos::task::spawn_local;
use protocol::Transport;
use protocol::api::Page;
use protocol::api::traces::{StepsQuery, TypicalSteps};

use crate::app::api;
use crate::app::live::Remote;
use crate::route::with_query;

/// The answer for the selected function.
#[derive(Clone, Copy)]
pub struct Typical(RwSignal<Remote<Vec<TypicalSteps>>>);

impl Typical {
    /// Asks whenever another function is selected.
    pub fn follow(query: Memo<Option<StepsQuery>>) -> Self {
        let answer = RwSignal::new(Remote::Loading);
        Effect::new(move |_| {
            answer.set(Remote::Loading);
            let Some(asked) = query.get() else { return };
            spawn_local(async move {
                let parameters = [
                    ("caller", asked.caller.to_string()),
                    ("function", asked.function.clone()),
                ];
                let page = api::get::<Page<TypicalSteps>>(&with_query("steps", &parameters)).await;
                // Something else may have been selected meanwhile, or the page left.
                if query.try_get_untracked().flatten().as_ref() == Some(&asked) {
                    answer.set(match page {
                        Ok(page) => Remote::Ready(page.items),
                        Err(problem) => Remote::Failed(problem),
                    });
                }
            });
        });
        Self(answer)
    }

    /// The calls that went this way; ready and `None` where no such call is stored.
    pub fn of(self, transport: Transport) -> Remote<Option<TypicalSteps>> {
        self.0.with(|answer| match answer {
            Remote::Loading => Remote::Loading,
            Remote::Failed(problem) => Remote::Failed(problem.clone()),
            Remote::Ready(ways) => Remote::Ready(ways.iter().find(|way| way.transport == transport).cloned()),
        })
    }
}
