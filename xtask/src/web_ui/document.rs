//! The one document of the UI: what its template names, by the names of the assets.
//!
//! Promises: no script and no style is inline, as the content security policy demands; the browser is told at once of
//! all that is fetched first; a font that is named and not there fails the build.

use std::path::Path;

use anyhow::{Context, Result};

use super::assets::{Files, add_asset, read};

/// Replaces each `href` and `src` that names a file beside the template by that file's asset.
pub fn link_assets(template: &str, source: &Path, files: &mut Files) -> Result<String> {
    let mut page = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, value, after)) = next_link(rest) {
        page.push_str(before);
        let file = source.join(value.trim_start_matches('/'));
        if !value.is_empty() && file.is_file() {
            let name = file
                .file_name()
                .context("read a linked file's name")?
                .to_string_lossy()
                .into_owned();
            page.push('/');
            let bytes = match name.ends_with(".css") {
                true => link_fonts(&file, source, files)?,
                false => read(&file)?,
            };
            page.push_str(&add_asset(files, &name, bytes));
        } else {
            page.push_str(value);
        }
        rest = after;
    }
    page.push_str(rest);
    Ok(page)
}

/// A style with each `url("/…")` that names a file of ours replaced by that file's asset.
fn link_fonts(style: &Path, source: &Path, files: &mut Files) -> Result<Vec<u8>> {
    const OPENS: &str = "url(\"/";
    let text =
        String::from_utf8(read(style)?).with_context(|| format!("read {} as UTF-8", style.display()))?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once(OPENS) {
        let (path, after) = after
            .split_once('"')
            .with_context(|| format!("find the end of a `url` in {}", style.display()))?;
        let name = path.rsplit('/').next().unwrap_or(path);
        let asset = add_asset(files, name, read(&source.join(path))?);
        out.push_str(before);
        out.push_str(&format!("{OPENS}{asset}\""));
        rest = after;
    }
    out.push_str(rest);
    Ok(out.into_bytes())
}

/// Splits at the next link: text up to and with its opening quote, the link, and the rest from its closing quote.
fn next_link(text: &str) -> Option<(&str, &str, &str)> {
    let starts = [" href=\"", " src=\""].map(|attribute| text.find(attribute).map(|at| at + attribute.len()));
    let start = starts.into_iter().flatten().min()?;
    let length = text[start..].find('"')?;
    Some((
        &text[..start],
        &text[start..start + length],
        &text[start + length..],
    ))
}

/// Links the module before `</head>`, and lets the browser fetch all of it at once.
pub fn with_boot(page: &str, boot: &str, scripts: &[String], wasm: &str) -> Result<String> {
    let (head, body) = page
        .split_once("</head>")
        .context("find `</head>` in web-ui/index.html")?;
    let modules: String = scripts
        .iter()
        .map(|script| format!("<link rel=\"modulepreload\" href=\"/{script}\">\n"))
        .collect();
    Ok(format!(
        "{head}<link rel=\"preload\" href=\"/{wasm}\" as=\"fetch\" type=\"application/wasm\" crossorigin>\n\
         {modules}<script type=\"module\" src=\"/{boot}\"></script>\n</head>{body}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_become_assets_and_other_links_stay() {
        let source = std::env::temp_dir().join(format!("xtask-web-ui-{}", std::process::id()));
        std::fs::create_dir_all(source.join("style")).unwrap();
        std::fs::write(source.join("style/base.css"), "body{}").unwrap();
        let template =
            "<link rel=\"stylesheet\" href=\"/style/base.css\"><a href=\"/traces\">x</a><img src=\"\">";
        let mut files = Files::new();
        let page = link_assets(template, &source, &mut files).unwrap();
        std::fs::remove_dir_all(&source).unwrap();
        let asset = files.keys().next().unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(
            page,
            format!("<link rel=\"stylesheet\" href=\"/{asset}\"><a href=\"/traces\">x</a><img src=\"\">")
        );
    }

    #[test]
    fn a_font_has_one_asset_wherever_it_is_linked() {
        let source = std::env::temp_dir().join(format!("xtask-fonts-{}", std::process::id()));
        std::fs::create_dir_all(&source).unwrap();
        std::fs::write(source.join("a.woff2"), [1, 2]).unwrap();
        std::fs::write(
            source.join("a.css"),
            "x { src: url(\"/a.woff2\") y; b: url(data:z) }",
        )
        .unwrap();
        let template = "<link rel=\"preload\" href=\"/a.woff2\"><link href=\"/a.css\">";
        let mut files = Files::new();
        let page = link_assets(template, &source, &mut files).unwrap();
        std::fs::write(source.join("a.css"), "x { src: url(\"/gone.woff2\") }").unwrap();
        let broken = link_assets(template, &source, &mut Files::new());
        std::fs::remove_dir_all(&source).unwrap();
        // One of each: their order is that of their hashes.
        assert_eq!(files.len(), 2);
        let of = |extension: &str| files.keys().find(|name| name.ends_with(extension)).unwrap();
        let (style, font) = (of(".css"), of(".woff2"));
        assert!(page.contains(font) && page.contains(style), "{page}");
        let style = String::from_utf8(files[style].clone()).unwrap();
        assert_eq!(style, format!("x {{ src: url(\"/{font}\") y; b: url(data:z) }}"));
        assert!(broken.is_err(), "a font that is not there is no silent gap");
    }

    #[test]
    fn the_page_starts_the_module_without_an_inline_script() {
        let page = with_boot(
            "<head><title>t</title></head><body></body>",
            "assets/b.js",
            &["assets/a.js".to_owned()],
            "assets/a.wasm",
        )
        .unwrap();
        assert!(
            page.contains("<script type=\"module\" src=\"/assets/b.js\"></script>\n</head><body>"),
            "{page}"
        );
        assert!(with_boot("<body></body>", "b", &[], "w").is_err());
    }
}
