//! What `cleave check` found, as text and as JSON. Pure.

use protocol::api::handlers::{Export, Import, ImportKind, Reach};
use serde_json::{Value, json};

use super::{Checked, Good};
use crate::cli::output::size;
use crate::runtime::catalog::Resolution;
use crate::runtime::{Terms, describe, grants};

pub(super) fn text(checked: &[Checked], resolution: &Resolution) -> String {
    let parts = checked.iter().map(|checked| match &checked.outcome {
        Ok(good) => good_text(checked, good, resolution),
        Err(rejection) => format!(
            "{}  rejected\n  reason    {}\n  remedy    {}\n",
            checked.file.display(),
            rejection.reason,
            rejection.remedy
        ),
    });
    let rejected = checked.iter().filter(|checked| checked.outcome.is_err()).count();
    let waiting = resolution.waiting.len();
    let sum = format!(
        "{} of {} can be served, {waiting} of them wait for an import, {rejected} rejected\n",
        checked.len() - rejected,
        checked.len(),
    );
    parts.chain([sum]).collect::<Vec<_>>().join("\n")
}

fn good_text(checked: &Checked, good: &Good, resolution: &Resolution) -> String {
    let waits = resolution.waiting.contains_key(&good.name);
    let mut text = format!(
        "{}  {}  {}, compiled in {} ms\n",
        checked.file.display(),
        if waits { "waits" } else { "ok" },
        size(checked.size_bytes),
        good.accepted.compile_ms
    );
    if good.accepted.artifact.http {
        text.push_str("  exports   HTTP (wasi:http/incoming-handler)\n");
    }
    for export in good.exports(resolution) {
        text.push_str(&format!("  exports   {}\n", export.interface));
        for function in export.functions {
            let bound = if function.reach == Reach::LocalOnly {
                "   [only within one process]"
            } else {
                ""
            };
            text.push_str(&format!(
                "              {}: {}{bound}\n",
                function.name, function.signature
            ));
        }
    }
    for import in good.imports(resolution) {
        let by = match (import.kind, &import.served_by) {
            (ImportKind::Types, _) => continue,
            (ImportKind::Capability, _) => "the host".to_owned(),
            (ImportKind::BuiltIn, _) => "Cleave".to_owned(),
            (ImportKind::Handler, Some(handler)) => handler.to_string(),
            (ImportKind::Handler, None) => "nobody among these files".to_owned(),
        };
        text.push_str(&format!("  needs     {}  from {by}\n", import.interface));
    }
    let pairs = |pairs: &[(&str, String)]| {
        let pairs = pairs.iter().map(|(key, value)| format!("{key} {value}"));
        pairs.collect::<Vec<_>>().join(", ")
    };
    let Terms { limits, grants } = &good.terms;
    text.push_str(&format!("  limits    {}\n", pairs(&limits.written())));
    text.push_str(&format!("  granted   {}\n", pairs(&grants.written())));
    for warning in good.warnings(resolution) {
        text.push_str(&format!("  warning   {warning}\n"));
    }
    text
}

pub(super) fn json(checked: &[Checked], resolution: &Resolution) -> Value {
    let files = checked.iter().map(|checked| match &checked.outcome {
        Ok(good) => json!({
            "file": checked.file.display().to_string(),
            "size_bytes": checked.size_bytes,
            "accepted": true,
            "handler": good.name,
            "compile_ms": good.accepted.compile_ms,
            "http": good.accepted.artifact.http,
            "exports": good.exports(resolution),
            "imports": good.imports(resolution),
            "waiting": resolution.waiting.get(&good.name).cloned().unwrap_or_default(),
            "limits": good.terms.limits,
            "grants": good.terms.grants,
            "warnings": good.warnings(resolution),
        }),
        Err(rejection) => json!({
            "file": checked.file.display().to_string(),
            "size_bytes": checked.size_bytes,
            "accepted": false,
            "reason": rejection.reason,
            "remedy": rejection.remedy,
        }),
    });
    Value::Array(files.collect())
}

impl Good {
    fn warnings(&self, resolution: &Resolution) -> Vec<String> {
        let mut warnings = resolution.warnings.get(&self.name).cloned().unwrap_or_default();
        let denied = grants::denied(&self.accepted.artifact, &self.name, &self.terms.grants);
        warnings.extend(denied);
        warnings
    }

    fn exports(&self, resolution: &Resolution) -> Vec<Export> {
        describe::exports(
            &self.name,
            &self.accepted.artifact,
            &self.accepted.docs,
            resolution,
        )
    }

    fn imports(&self, resolution: &Resolution) -> Vec<Import> {
        describe::imports(&self.name, &self.accepted.artifact, resolution)
    }
}
