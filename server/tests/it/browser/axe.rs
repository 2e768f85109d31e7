//! axe-core on a page: nothing serious may be wrong with it for people who hear it, or use no mouse.
//!
//! The script is third-party and fetched by `cargo xtask test`, which names it in CLEAVE_AXE; without it nothing is
//! checked here, and the log says so.

use chromium::Page;

/// What axe finds serious or critical becomes a complaint of the page: so one run of the tests tells all of it.
pub(super) async fn check(page: &mut Page, what: &str) {
    let Some(file) = std::env::var_os("CLEAVE_AXE") else {
        eprintln!("{what}: accessibility is not checked, CLEAVE_AXE names no script");
        return;
    };
    let script = std::fs::read_to_string(&file).expect("CLEAVE_AXE names a script that can be read");
    page.evaluate(&format!("window.axe ? 0 : (() => {{ {script}\n; return 0 }})()"))
        .await;
    let found = page
        .evaluate(
            "axe.run(document, { resultTypes: ['violations'] }).then(result => result.violations
                .filter(one => one.impact === 'serious' || one.impact === 'critical')
                .map(one => `${one.id}: ${one.help}: ` + one.nodes.slice(0, 4)
                    .map(node => node.target.join(' ') + ' ' + (node.any[0]?.message ?? '')).join(' | ')))",
        )
        .await;
    let found: Vec<String> = serde_json::from_value(found).expect("a list");
    for one in found {
        page.complain(format!("{what}: {one}"));
    }
}
