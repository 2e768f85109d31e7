//! What `cleave check` found, as text and as JSON. Pure.

use protocol::api::handlers::{Export, Function, Import, ImportKind, Reach};
use serde_json::{Value, json};

use super::{Accepted, Checked};
use crate::cli::output::size;
use crate::runtime::catalog::Resolution;

pub(super) fn text(checked: &[Checked], resolution: &Resolution) -> String {
    let parts = checked.iter().map(|checked| match &checked.outcome {
        Ok(accepted) => accepted_text(checked, accepted, resolution),
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

fn accepted_text(checked: &Checked, accepted: &Accepted, resolution: &Resolution) -> String {
    let waits = resolution.waiting.contains_key(&accepted.name);
    let mut text = format!(
        "{}  {}  {}, compiled in {} ms\n",
        checked.file.display(),
        if waits { "waits" } else { "ok" },
        size(checked.size_bytes),
        accepted.compile_ms
    );
    if accepted.artifact.http {
        text.push_str("  exports   HTTP (wasi:http/incoming-handler)\n");
    }
    for export in exports(accepted, resolution) {
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
    for import in imports(accepted, resolution) {
        let by = match (import.kind, &import.served_by) {
            (ImportKind::Types, _) => continue,
            (ImportKind::Capability, _) => "the host".to_owned(),
            (ImportKind::BuiltIn, _) => "Cleave".to_owned(),
            (ImportKind::Handler, Some(handler)) => handler.to_string(),
            (ImportKind::Handler, None) => "nobody among these files".to_owned(),
        };
        text.push_str(&format!("  needs     {}  from {by}\n", import.interface));
    }
    for warning in resolution.warnings.get(&accepted.name).into_iter().flatten() {
        text.push_str(&format!("  warning   {warning}\n"));
    }
    text
}

pub(super) fn json(checked: &[Checked], resolution: &Resolution) -> Value {
    let files = checked.iter().map(|checked| match &checked.outcome {
        Ok(accepted) => json!({
            "file": checked.file.display().to_string(),
            "size_bytes": checked.size_bytes,
            "accepted": true,
            "handler": accepted.name,
            "compile_ms": accepted.compile_ms,
            "http": accepted.artifact.http,
            "exports": exports(accepted, resolution),
            "imports": imports(accepted, resolution),
            "waiting": resolution.waiting.get(&accepted.name).cloned().unwrap_or_default(),
            "warnings": resolution.warnings.get(&accepted.name).cloned().unwrap_or_default(),
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

fn exports(accepted: &Accepted, resolution: &Resolution) -> Vec<Export> {
    let interfaces = accepted.artifact.exports.iter().map(|interface| {
        let functions = interface.functions.iter().map(|function| Function {
            name: function.path.function.to_string(),
            signature: function.ty.signature(),
            reach: if function.ty.is_plain() {
                Reach::Routable
            } else {
                Reach::LocalOnly
            },
            docs: accepted
                .docs
                .get(&format!("{}.{}", interface.name, function.path.function))
                .cloned(),
            reports_failed_calls: function.ty.call_failed().is_some(),
        });
        let key = (accepted.name.clone(), interface.name.clone());
        Export {
            interface: interface.name.clone(),
            functions: functions.collect(),
            shadowed_by: resolution.shadowed_by.get(&key).cloned(),
        }
    });
    interfaces.collect()
}

fn imports(accepted: &Accepted, resolution: &Resolution) -> Vec<Import> {
    let imports = accepted.artifact.imports.iter().map(|import| {
        let key = (accepted.name.clone(), import.name.clone());
        Import {
            interface: import.name.clone(),
            kind: import.kind,
            functions: import
                .functions
                .iter()
                .map(|function| function.path.function.to_string())
                .collect(),
            served_by: resolution.served_by.get(&key).cloned(),
        }
    });
    imports.collect()
}
