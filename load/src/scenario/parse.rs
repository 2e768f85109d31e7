//! TOML → `Scenario`, by hand over the parsed tree: serde stops at the first fault, a user wants them all.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Expect, Operation, Problem, Problems, Scenario, Source, Step, Template, Variable, hint};

/// Steps of one operation: more is a script, not a mix.
const STEPS_MAX: usize = 32;
/// Operations and variables in one file; each operation costs a histogram of 270 KB.
const ENTRIES_MAX: usize = 64;
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

type Value<'i> = Spanned<DeValue<'i>>;

pub(super) fn scenario(text: &str) -> Result<Scenario, Problems> {
    let (root, faults) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        text,
        problems: Vec::new(),
    };
    for fault in faults {
        let at = fault.span().map_or(0, |span| span.start);
        reader.fault(at, fault.message().to_owned());
    }
    // A broken tree would be reported a second time as missing keys.
    let scenario = if reader.problems.is_empty() {
        Some(reader.scenario(root.get_ref()))
    } else {
        None
    };
    reader.problems.sort();
    match scenario {
        Some(scenario) if reader.problems.is_empty() => Ok(scenario),
        _ => Err(Problems(reader.problems)),
    }
}

struct Reader<'t> {
    text: &'t str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn fault(&mut self, offset: usize, text: String) {
        let line = 1 + self
            .text
            .as_bytes()
            .iter()
            .take(offset)
            .filter(|byte| **byte == b'\n')
            .count();
        self.problems.push(Problem { line, text });
    }

    fn scenario(&mut self, root: &DeTable<'_>) -> Scenario {
        self.known(
            root,
            &["name", "timeout", "variables", "operations"],
            "the scenario",
        );
        let name = match root.get("name") {
            Some(value) => self.string(value, "name").unwrap_or_default(),
            None => "scenario".to_owned(),
        };
        let timeout = match root.get("timeout") {
            Some(value) => self.duration(value, "timeout").unwrap_or(TIMEOUT_DEFAULT),
            None => TIMEOUT_DEFAULT,
        };
        let variables = root
            .get("variables")
            .map(|value| self.variables(value))
            .unwrap_or_default();
        // A variable with a faulty source still counts as known: one fault, one line.
        let names: Vec<String> = variables.iter().map(|variable| variable.name.clone()).collect();
        let operations = match root.get("operations") {
            Some(value) => self.operations(value, &names),
            None => {
                self.fault(
                    0,
                    "`operations` is missing; add at least one `[[operations]]` with `steps`".to_owned(),
                );
                Vec::new()
            }
        };
        Scenario {
            name,
            timeout,
            variables,
            operations,
        }
    }

    fn variables(&mut self, value: &Value<'_>) -> Vec<Variable> {
        let Some(table) = self.table(value, "variables") else {
            return Vec::new();
        };
        let mut variables = Vec::new();
        for (key, value) in table {
            let name = key.get_ref().to_string();
            if name == super::template::SESSION {
                self.fault(
                    key.span().start,
                    "`session` is built in; choose another name for the variable".to_owned(),
                );
            }
            let source = self.source(&name, value).unwrap_or(Source::Values(Vec::new()));
            variables.push(Variable { name, source });
        }
        if variables.len() > ENTRIES_MAX {
            self.fault(
                value.span().start,
                format!("more than {ENTRIES_MAX} variables; split the scenario"),
            );
        }
        variables
    }

    fn source(&mut self, name: &str, value: &Value<'_>) -> Option<Source> {
        let at = value.span().start;
        let what = format!("variable `{name}`");
        let table = self.table(value, &what)?;
        self.known(table, &["values", "discover"], &what);
        match (table.get("values"), table.get("discover")) {
            (Some(values), None) => {
                let values = self.strings(values, &format!("`values` of {what}"))?;
                if values.is_empty() {
                    self.fault(at, format!("{what} has no values; list at least one"));
                }
                Some(Source::Values(values))
            }
            (None, Some(discover)) => {
                let what = format!("`discover` of {what}");
                let table = self.table(discover, &what)?;
                self.known(table, &["path", "attribute"], &what);
                let path = self.required(table, "path", discover.span().start, &what)?;
                let attribute = self.required(table, "attribute", discover.span().start, &what)?;
                if !path.starts_with('/') {
                    self.fault(
                        discover.span().start,
                        format!("path `{path}` of {what} must start with `/`"),
                    );
                }
                Some(Source::Discover { path, attribute })
            }
            _ => {
                self.fault(at, format!("{what} needs either `values` or `discover`"));
                None
            }
        }
    }

    fn operations(&mut self, value: &Value<'_>, names: &[String]) -> Vec<Operation> {
        let Some(list) = value.get_ref().as_array() else {
            self.wrong_type(
                value,
                "operations",
                "an array of tables, written `[[operations]]`",
            );
            return Vec::new();
        };
        if list.is_empty() || list.len() > ENTRIES_MAX {
            self.fault(
                value.span().start,
                format!("`operations` must have 1 to {ENTRIES_MAX} entries"),
            );
        }
        let mut operations: Vec<Operation> = Vec::new();
        for entry in list.iter() {
            let Some(operation) = self.operation(entry, names) else {
                continue;
            };
            if operations.iter().any(|earlier| earlier.name == operation.name) {
                self.fault(
                    entry.span().start,
                    format!("two operations are named `{}`; rename one", operation.name),
                );
            }
            operations.push(operation);
        }
        operations
    }

    fn operation(&mut self, value: &Value<'_>, names: &[String]) -> Option<Operation> {
        let at = value.span().start;
        let table = self.table(value, "an operation")?;
        self.known(table, &["name", "weight", "steps"], "an operation");
        let name = self
            .required(table, "name", at, "an operation")
            .unwrap_or_default();
        let what = format!("operation `{name}`");
        let weight = match table.get("weight") {
            Some(weight) => self
                .integer(weight, &format!("`weight` of {what}"), 1..=1_000_000)
                .unwrap_or(1),
            None => 1,
        };
        let Some(steps) = table.get("steps") else {
            self.fault(
                at,
                format!("{what} has no `steps`; give at least one `{{ method = …, path = … }}`"),
            );
            return None;
        };
        let Some(list) = steps.get_ref().as_array() else {
            self.wrong_type(steps, &format!("`steps` of {what}"), "an array of tables");
            return None;
        };
        if list.is_empty() || list.len() > STEPS_MAX {
            self.fault(
                steps.span().start,
                format!("{what} must have 1 to {STEPS_MAX} steps"),
            );
        }
        let steps = list
            .iter()
            .filter_map(|step| self.step(step, &what, names))
            .collect();
        Some(Operation { name, weight, steps })
    }

    fn step(&mut self, value: &Value<'_>, operation: &str, names: &[String]) -> Option<Step> {
        let at = value.span().start;
        let what = format!("a step of {operation}");
        let table = self.table(value, &what)?;
        self.known(table, &["method", "path", "form", "status", "contains"], &what);
        let method = match table.get("method") {
            Some(method) => self.method(method, &what),
            None => http::Method::GET,
        };
        let path = self
            .required(table, "path", at, &what)
            .unwrap_or_else(|| "/".to_owned());
        if !path.starts_with('/') {
            self.fault(at, format!("path `{path}` of {what} must start with `/`"));
        }
        let path = self.template(&path, at, &what, names);
        let form = table
            .get("form")
            .map(|form| self.form(form, &what, names))
            .unwrap_or_default();
        if !form.is_empty() && (method == http::Method::GET || method == http::Method::HEAD) {
            self.fault(
                at,
                format!("{what} sends a form with {method}; use POST, PUT or PATCH"),
            );
        }
        let statuses = table
            .get("status")
            .map(|status| self.statuses(status, &what))
            .unwrap_or_default();
        let contains = table
            .get("contains")
            .and_then(|text| self.string(text, &format!("`contains` of {what}")));
        Some(Step {
            method,
            path: path?,
            form,
            expect: Expect { statuses, contains },
        })
    }

    fn form(&mut self, value: &Value<'_>, what: &str, names: &[String]) -> Vec<(String, Template)> {
        let Some(table) = self.table(value, &format!("`form` of {what}")) else {
            return Vec::new();
        };
        let mut form = Vec::new();
        for (key, value) in table {
            let field = key.get_ref().to_string();
            let Some(text) = self.string(value, &format!("form field `{field}` of {what}")) else {
                continue;
            };
            let Some(template) = self.template(&text, value.span().start, what, names) else {
                continue;
            };
            form.push((field, template));
        }
        form
    }

    fn method(&mut self, value: &Value<'_>, what: &str) -> http::Method {
        const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
        let Some(text) = self.string(value, &format!("`method` of {what}")) else {
            return http::Method::GET;
        };
        if !METHODS.contains(&text.as_str()) {
            let hint = hint(&text, &METHODS);
            self.fault(
                value.span().start,
                format!("method `{text}` of {what} is not one; {hint}"),
            );
        }
        text.parse().unwrap_or(http::Method::GET)
    }

    fn statuses(&mut self, value: &Value<'_>, what: &str) -> Vec<u16> {
        let what = format!("`status` of {what}");
        let one = std::slice::from_ref(value);
        let list: &[Value<'_>] = match value.get_ref() {
            DeValue::Array(list) => list,
            _ => one,
        };
        list.iter()
            .filter_map(|status| self.integer(status, &what, 100..=599))
            .map(|status| status as u16)
            .collect()
    }

    fn template(&mut self, text: &str, at: usize, what: &str, names: &[String]) -> Option<Template> {
        match Template::parse(text, names) {
            Ok(template) => Some(template),
            Err(error) => {
                self.fault(at, format!("{error} (in {what})"));
                None
            }
        }
    }

    fn known(&mut self, table: &DeTable<'_>, keys: &[&str], what: &str) {
        for key in table.keys() {
            if !keys.contains(&key.get_ref().as_ref()) {
                let hint = hint(key.get_ref(), keys);
                self.fault(
                    key.span().start,
                    format!("unknown key `{}` in {what}; {hint}", key.get_ref()),
                );
            }
        }
    }

    fn required(&mut self, table: &DeTable<'_>, key: &str, at: usize, what: &str) -> Option<String> {
        match table.get(key) {
            Some(value) => self.string(value, &format!("`{key}` of {what}")),
            None => {
                self.fault(at, format!("{what} has no `{key}`"));
                None
            }
        }
    }

    fn table<'v, 'i>(&mut self, value: &'v Value<'i>, what: &str) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value, what, "a table");
        }
        table
    }

    fn string(&mut self, value: &Value<'_>, what: &str) -> Option<String> {
        match value.get_ref().as_str() {
            Some("") => {
                self.fault(value.span().start, format!("{what} is empty"));
                None
            }
            Some(text) => Some(text.to_owned()),
            None => {
                self.wrong_type(value, what, "a string");
                None
            }
        }
    }

    fn strings(&mut self, value: &Value<'_>, what: &str) -> Option<Vec<String>> {
        let Some(list) = value.get_ref().as_array() else {
            self.wrong_type(value, what, "an array of strings");
            return None;
        };
        Some(list.iter().filter_map(|entry| self.string(entry, what)).collect())
    }

    fn integer(
        &mut self,
        value: &Value<'_>,
        what: &str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Option<u32> {
        let parsed = value
            .get_ref()
            .as_integer()
            .map(|int| u32::from_str_radix(int.as_str(), int.radix()));
        match parsed {
            Some(Ok(number)) if range.contains(&number) => Some(number),
            Some(_) => {
                let text = format!("{what} must be from {} to {}", range.start(), range.end());
                self.fault(value.span().start, text);
                None
            }
            None => {
                self.wrong_type(value, what, "an integer");
                None
            }
        }
    }

    fn duration(&mut self, value: &Value<'_>, what: &str) -> Option<Duration> {
        let text = self.string(value, what)?;
        match humantime::parse_duration(&text) {
            Ok(duration) if !duration.is_zero() && duration <= Duration::from_secs(3600) => Some(duration),
            Ok(_) => {
                self.fault(
                    value.span().start,
                    format!("`{what}` must be above 0 and at most 1h"),
                );
                None
            }
            Err(error) => {
                self.fault(
                    value.span().start,
                    format!("`{what}` = \"{text}\" is not a duration: {error}; write as `10s`"),
                );
                None
            }
        }
    }

    fn wrong_type(&mut self, value: &Value<'_>, what: &str, wanted: &str) {
        let found = value.get_ref().type_str();
        self.fault(
            value.span().start,
            format!("{what} must be {wanted}, not of type {found}"),
        );
    }
}

#[cfg(test)]
mod tests;
