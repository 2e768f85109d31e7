//! Traces as files: OTLP's JSON, one trace a line, as OpenTelemetry's own file exporter writes it.

use std::path::Path;

use bytes::Bytes;
use protocol::TraceId;
use protocol::api::traces::Imported;
use serde::de::IgnoredAny;

use crate::cli::client::Client;
use crate::cli::error::Error;

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Writes traces into a file, one a line; how many bytes.
pub(super) async fn export(client: &Client, traces: &[TraceId], to: &Path) -> Result<u64, Error> {
    use std::io::Write as _;
    let failed = |error: std::io::Error| Error::Failed(format!("write `{}`: {error}", to.display()));
    let mut file = std::io::BufWriter::new(std::fs::File::create(to).map_err(failed)?);
    let mut bytes = 0;
    for id in traces {
        let line = client.download(&format!("traces/{id}/export")).await?;
        bytes += line.len() as u64;
        file.write_all(&line).map_err(failed)?;
    }
    file.into_inner().map_err(|error| failed(error.into_error()))?;
    Ok(bytes)
}

/// Sends a file's traces; what became of all of them.
pub(super) async fn import(client: &Client, from: &Path) -> Result<Imported, Error> {
    let mut sum = Imported::default();
    for (at, part) in parts(&read(from)?).into_iter().enumerate() {
        let one: Imported = client
            .upload("traces/import", part)
            .await
            .map_err(|error| match error {
                Error::Refused(problem) => {
                    let detail = format!("line {} of `{}`: {}", at + 1, from.display(), problem.detail);
                    Error::Failed(detail)
                }
                error => error,
            })?;
        sum.spans += one.spans;
        sum.refused += one.refused;
        sum.traces.extend(one.traces);
        sum.reasons.extend(one.reasons);
    }
    sum.traces.sort_unstable();
    sum.traces.dedup();
    sum.reasons.sort_unstable();
    sum.reasons.dedup();
    Ok(sum)
}

fn read(from: &Path) -> Result<Bytes, Error> {
    let failed = |error: std::io::Error| Error::Failed(format!("read `{}`: {error}", from.display()));
    let length = std::fs::metadata(from).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        let reason = format!(
            "`{}` has more than {FILE_BYTES_MAX} bytes; divide it by lines",
            from.display()
        );
        return Err(Error::Failed(reason));
    }
    Ok(std::fs::read(from).map_err(failed)?.into())
}

/// Each line, where the first one is a document of its own; else the whole file, which is one.
fn parts(file: &Bytes) -> Vec<Bytes> {
    let lines: Vec<Bytes> = file
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .map(|line| file.slice_ref(line))
        .collect();
    match lines.first() {
        Some(first) if serde_json::from_slice::<IgnoredAny>(first).is_ok() => lines,
        _ => vec![file.clone()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_lines_or_one_document() {
        for (file, expected) in [
            ("{}\n{}\n\n", 2),
            ("{}", 1),
            ("{\n  \"resourceSpans\": []\n}\n", 1),
            ("", 1),
        ] {
            assert_eq!(
                parts(&Bytes::from_static(file.as_bytes())).len(),
                expected,
                "{file:?}"
            );
        }
    }
}
