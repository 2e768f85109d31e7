//! A handler's limits as people write them: by the keys of `[handler.NAME]`.
//!
//! The limits themselves are in `control`, because they travel with the routes.

use crate::control::Limits;

impl Limits {
    /// Each limit by its key, as it would be written in `cleave.toml`; `-` where there is none.
    pub fn written(&self) -> [(&'static str, String); 7] {
        let policy = serde_json::to_value(self.policy).ok();
        let policy = policy.as_ref().and_then(serde_json::Value::as_str).unwrap_or("-");
        let timeout = self
            .timeout_ms
            .map_or_else(|| "-".to_owned(), |ms| format!("{ms}ms"));
        [
            ("memory", size(self.memory_bytes_max)),
            ("tables", self.table_elements_max.to_string()),
            ("host_call_bytes", size(self.host_call_bytes_max)),
            ("instances", self.instances_max.to_string()),
            ("concurrency", self.calls_max.to_string()),
            ("timeout", timeout),
            ("policy", policy.to_owned()),
        ]
    }
}

/// A size in the largest binary unit that divides it.
pub fn size(bytes: u64) -> String {
    let units = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ];
    let fitting = units
        .into_iter()
        .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    let (name, unit) = fitting.unwrap_or(("B", 1));
    format!("{}{name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_as_the_file_has_them() {
        let written = Limits {
            timeout_ms: Some(300),
            host_call_bytes_max: 1_000,
            ..Limits::default()
        }
        .written();
        let written = written.map(|(key, value)| format!("{key} {value}")).join(", ");
        let expected = "memory 64MiB, tables 100000, host_call_bytes 1000B, instances 64, concurrency 4096, timeout \
                        300ms, policy pooled";
        assert_eq!(written, expected);
    }
}
