//! Worker: performs one operation as one virtual user: its steps in order, each judged and timed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::Full;

use crate::client::{Answer, Connection, Failure, Target};
use crate::recorder::Sample;
use crate::scenario::{Expect, Place, Scenario, Step, encode};
use crate::schedule::Arrival;
use crate::session::Session;
use crate::values::Values;

/// What is sent, and where to; shared by all threads of a run.
#[derive(Debug, Clone)]
pub struct Work {
    /// Where requests go.
    pub target: Target,
    /// What is sent.
    pub scenario: Arc<Scenario>,
    /// What its variables may become.
    pub values: Arc<Values>,
}

impl Work {
    /// Performs an arrival's operation and appends a sample per request sent. The first failure ends it.
    pub async fn perform(
        &self,
        session: &mut Session,
        arrival: &Arrival,
        intended: Instant,
        samples: &mut Vec<Sample>,
    ) {
        let mut intended = intended;
        for (index, step) in self.scenario.operations[arrival.operation]
            .steps
            .iter()
            .enumerate()
        {
            let sent = Instant::now();
            let outcome = self.request(session, step, arrival.draw).await;
            let end = Instant::now();
            let first = index == 0;
            samples.push(Sample {
                operation: arrival.operation,
                first,
                intended,
                sent,
                end,
                outcome,
            });
            if outcome.is_err() {
                return;
            }
            intended = end;
        }
    }

    async fn request(&self, session: &mut Session, step: &Step, draw: u64) -> Result<(), Failure> {
        let mut request = self.build(step, session.id, draw);
        session.sign(request.headers_mut());
        let sending = Connection::send(&mut session.connection, &self.target, request, &mut session.body);
        match within(self.scenario.timeout, sending).await {
            Some(answer) => {
                let answer = answer?;
                session.accept(&answer.headers);
                judge(&step.expect, &answer, &session.body)
            }
            None => Err(Failure::Timeout),
        }
    }

    fn build(&self, step: &Step, session: u64, draw: u64) -> Request<Full<Bytes>> {
        let value = |variable| self.values.pick(variable, draw);
        let mut path = String::with_capacity(64);
        step.path.render(Place::Path, session, value, &mut path);
        let mut form = String::new();
        for (name, template) in &step.form {
            if !form.is_empty() {
                form.push('&');
            }
            encode(name, Place::Form, &mut form);
            form.push('=');
            template.render(Place::Form, session, value, &mut form);
        }
        let has_form = !form.is_empty();
        let mut request = Request::new(Full::new(Bytes::from(form)));
        *request.method_mut() = step.method.clone();
        // A path with characters that no URI has is the scenario's; the server answers for it, or the root does.
        *request.uri_mut() = path.parse().unwrap_or_else(|_| http::Uri::from_static("/"));
        if has_form {
            let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert(CONTENT_TYPE, form_type);
        }
        request
    }
}

/// The future's output, or none once `limit` has passed. A dropped request closes its connection.
async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, future).await.ok()
}

fn judge(expect: &Expect, answer: &Answer, body: &[u8]) -> Result<(), Failure> {
    if !expect.allows(answer.status.as_u16()) {
        return Err(Failure::Status(answer.status.as_u16()));
    }
    match &expect.contains {
        Some(text) if !contains(body, text.as_bytes()) => Err(Failure::Body),
        _ => Ok(()),
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}
