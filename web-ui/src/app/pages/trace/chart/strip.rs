//! `Strip`: the whole trace above its rows, with the part of the time that is seen.
//!
//! Promises: its hundreds of runs are drawn once, and again when they, the colours or the width change; while time is
//! zoomed and panned, that picture is laid down and a veil over what is not seen.

use leptos::prelude::*;
use protocol::api::rows::Overview;
use wasm_bindgen::JsCast;
use web_sys::HtmlCanvasElement;

use super::colours::Colours;
use super::pen::Pen;
use crate::waterfall::Zoom;

/// Its height, in px, and the room above and below the runs.
const HEIGHT: f64 = 46.0;
const ROOM: f64 = 3.0;
/// A level is never higher.
const LEVEL_MAX: f64 = 8.0;

/// The strip.
#[derive(Debug, Default)]
pub struct Strip {
    overview: Option<Overview>,
    width: f64,
    /// The runs as they are drawn.
    picture: Option<HtmlCanvasElement>,
    /// What it shows.
    shows: Option<Zoom>,
}

impl Strip {
    /// Takes the trace.
    pub fn survey(&mut self, overview: Overview) {
        self.overview = Some(overview);
        self.forget();
    }

    /// Draws the runs anew when it is shown next.
    pub fn forget(&mut self) {
        (self.picture, self.shows) = (None, None);
    }

    /// Takes its width.
    pub fn measure(&mut self, width: f64) {
        let width = width.max(1.0);
        if self.width != width {
            self.width = width;
            self.forget();
        }
    }

    /// Shows the part that is seen; nothing to do where it is shown already.
    pub fn show(&mut self, canvas: &HtmlCanvasElement, zoom: Zoom, colours: &mut Colours) {
        if self.shows == Some(zoom) {
            return;
        }
        if self.picture.is_none() {
            self.picture = self.draw(colours);
        }
        let (Some(picture), Some(pen)) = (&self.picture, Pen::on(canvas, self.width, HEIGHT)) else {
            return;
        };
        pen.picture(picture);
        if !zoom.is_all() {
            veil(&pen, zoom, colours);
        }
        self.shows = Some(zoom);
    }

    /// The runs, on a canvas that is in no page.
    fn draw(&self, colours: &mut Colours) -> Option<HtmlCanvasElement> {
        let overview = self.overview.as_ref()?;
        let canvas: HtmlCanvasElement = document().create_element("canvas").ok()?.dyn_into().ok()?;
        let pen = Pen::on(&canvas, self.width, HEIGHT)?;
        let levels = overview.levels.len().max(1) as f64;
        let height = ((HEIGHT - 2.0 * ROOM) / levels).clamp(0.5, LEVEL_MAX);
        let column = self.width / f64::from(overview.columns.max(1));
        for (level, runs) in overview.levels.iter().enumerate() {
            let y = ROOM + level as f64 * height;
            for run in runs {
                if run.failed > 0 {
                    pen.fill(&colours.bad);
                } else {
                    let word = overview.words.get(run.handler as usize);
                    pen.fill(colours.of(word.map_or("", String::as_str)));
                }
                let width = f64::from(run.len) * column;
                pen.rect(
                    f64::from(run.at) * column,
                    y,
                    width.max(1.0),
                    (height - 0.6).max(0.5),
                );
            }
        }
        Some(canvas)
    }
}

/// Over what is not seen.
fn veil(pen: &Pen, zoom: Zoom, colours: &Colours) {
    let (left, right) = (
        zoom.from / zoom.whole * pen.width,
        zoom.to / zoom.whole * pen.width,
    );
    pen.fill(&colours.surface);
    pen.alpha(0.74);
    pen.rect(0.0, 0.0, left, pen.height);
    pen.rect(right, 0.0, pen.width - right, pen.height);
    pen.alpha(1.0);
    pen.fill(&colours.ink);
    pen.rect(left.min(pen.width - 2.0), 0.0, 1.5, pen.height);
    pen.rect((right - 1.5).max(0.0), 0.0, 1.5, pen.height);
}
