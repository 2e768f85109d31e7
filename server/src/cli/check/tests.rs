//! Good and bad files, side by side.

use super::*;

const GOOD: &str = r#"(component
    (core module $m (func (export "f") (result i32) i32.const 7))
    (core instance $i (instantiate $m))
    (func $f (result u32) (canon lift (core func $i "f")))
    (instance $o (export "seven" (func $f)))
    (export "test:one/numbers@1.0.0" (instance $o)))"#;

const NEEDY: &str = r#"(component
    (import "test:two/letters@1.0.0" (instance $n (export "a" (func (result u32)))))
    (core module $m (func (export "f") (result i32) i32.const 7))
    (core instance $i (instantiate $m))
    (func $f (result u32) (canon lift (core func $i "f")))
    (instance $o (export "seven" (func $f)))
    (export "test:three/other@1.0.0" (instance $o)))"#;

#[test]
fn each_file_is_judged_and_imports_are_looked_up_among_them() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let files = vec![
        write("numbers.wasm", &wat::parse_str(GOOD).unwrap()),
        write("needy.wasm", &wat::parse_str(NEEDY).unwrap()),
        write("text.wasm", b"hello"),
        write("Bad_Name.wasm", &wat::parse_str(GOOD).unwrap()),
        folder.path().join("gone.wasm"),
        write("mute.wasm", &wat::parse_str("(component)").unwrap()),
    ];
    let checked = check(files, &Config::default()).unwrap();
    let judged: Vec<bool> = checked.iter().map(|checked| checked.outcome.is_ok()).collect();
    assert_eq!(judged, [true, true, false, false, false, false]);
    let known: Known = checked
        .iter()
        .filter_map(|checked| checked.outcome.as_ref().ok())
        .map(|good| (good.name.clone(), Arc::clone(&good.accepted.artifact)))
        .collect();
    let resolution = catalog::resolve(&known, &Preferred::new());
    let text = report::text(&checked, &resolution);
    for part in [
        "seven: func() -> u32",
        "nobody among these files",
        "numbers.wasm  ok",
        "needy.wasm  waits",
        "limits    memory 64MiB, tables 100000,",
        "granted   interfaces all, queues [], hosts []",
    ] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    assert!(
        text.contains("2 of 6 can be served, 1 of them wait for an import, 4 rejected"),
        "{text}"
    );
    let json = report::json(&checked, &resolution);
    assert_eq!(json[0]["exports"][0]["functions"][0]["name"], "seven");
    assert_eq!(json[1]["waiting"][0], "test:two/letters@1.0.0");
    assert!(
        json[5]["reason"]
            .as_str()
            .unwrap()
            .contains("nobody could call it")
    );
    assert!(json[2]["reason"].as_str().unwrap().contains("text"));
}
