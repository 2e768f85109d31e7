//! `Pen`: a canvas that is as sharp as the screen, and the few shapes that charts are made of.

use wasm_bindgen::{JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

/// The width of a character of the figures' face, in px.
pub const CHAR: f64 = 6.65;
const FONT: &str = "11px \"JetBrains Mono\", ui-monospace, \"Cascadia Mono\", Menlo, monospace";
const FONT_BOLD: &str = "600 11px \"JetBrains Mono\", ui-monospace, \"Cascadia Mono\", Menlo, monospace";
const FONT_SMALL: &str = "10.5px \"JetBrains Mono\", ui-monospace, \"Cascadia Mono\", Menlo, monospace";

/// How a text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    Plain,
    Bold,
    Small,
}

/// A canvas to draw on.
pub struct Pen {
    context: CanvasRenderingContext2d,
    pub width: f64,
    pub height: f64,
}

impl Pen {
    /// Takes a canvas, sizes it and wipes it.
    pub fn on(canvas: &HtmlCanvasElement, width: f64, height: f64) -> Option<Self> {
        let ratio = leptos::prelude::window().device_pixel_ratio().max(1.0);
        let (real_width, real_height) = ((width * ratio).round() as u32, (height * ratio).round() as u32);
        // Setting a size wipes, and costs as much as drawing: only when it changes.
        if canvas.width() != real_width || canvas.height() != real_height {
            canvas.set_width(real_width);
            canvas.set_height(real_height);
        }
        let context: CanvasRenderingContext2d = canvas.get_context("2d").ok()??.dyn_into().ok()?;
        // Can only fail for a ratio that is no number.
        let _ = context.set_transform(ratio, 0.0, 0.0, ratio, 0.0, 0.0);
        context.clear_rect(0.0, 0.0, width, height);
        context.set_global_alpha(1.0);
        Some(Self {
            context,
            width,
            height,
        })
    }

    /// Lays down another canvas over all of this one.
    pub fn picture(&self, canvas: &HtmlCanvasElement) {
        // Fails only for a canvas without any size.
        let _ = self.context.draw_image_with_html_canvas_element_and_dw_and_dh(
            canvas,
            0.0,
            0.0,
            self.width,
            self.height,
        );
    }

    pub fn fill(&self, colour: &str) {
        self.context.set_fill_style_str(colour);
    }

    pub fn alpha(&self, alpha: f64) {
        self.context.set_global_alpha(alpha);
    }

    pub fn rect(&self, x: f64, y: f64, width: f64, height: f64) {
        self.context.fill_rect(x, y, width, height);
    }

    /// A rectangle with round corners, cut to what is seen.
    pub fn bar(&self, x: f64, y: f64, width: f64, height: f64, radius: f64) {
        let left = x.max(-20.0);
        let width = (x + width).min(self.width + 20.0) - left;
        if width <= 0.0 {
            return;
        }
        if width < radius * 2.0 {
            self.rect(left, y, width, height);
            return;
        }
        self.context.begin_path();
        // Fails only for a negative radius.
        let _ = self.context.round_rect_with_f64(left, y, width, height, radius);
        self.context.fill();
    }

    /// An outline around a bar.
    pub fn ring(&self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        self.context.set_stroke_style_str(colour);
        self.context.set_line_width(1.6);
        let left = x.max(-20.0);
        let width = (x + width).min(self.width + 20.0) - left;
        self.context
            .stroke_rect(left - 2.0, y - 2.0, width + 4.0, height + 4.0);
    }

    /// Diagonal strokes over a bar, so that a failure is told without colour too.
    pub fn hatch(&self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        let (left, right) = (x.max(0.0), (x + width).min(self.width));
        self.context.save();
        self.context.begin_path();
        self.context.rect(left, y, (right - left).max(0.0), height);
        self.context.clip();
        self.context.set_stroke_style_str(colour);
        self.context.set_line_width(2.4);
        self.context.begin_path();
        let mut at = left - height;
        while at < right {
            self.context.move_to(at, y + height);
            self.context.line_to(at + height, y);
            at += 8.0;
        }
        self.context.stroke();
        self.context.restore();
    }

    pub fn dot(&self, x: f64, y: f64, radius: f64) {
        self.context.begin_path();
        // Fails only for a negative radius.
        let _ = self.context.arc(x, y, radius, 0.0, std::f64::consts::TAU);
        self.context.fill();
    }

    /// A dashed line through points.
    pub fn dashed(&self, points: &[(f64, f64)], colour: &str, width: f64) {
        let Some((first, rest)) = points.split_first() else {
            return;
        };
        let dash = js_sys::Array::of2(&JsValue::from(4.0), &JsValue::from(3.0));
        // Fails for nothing but lists without numbers.
        let _ = self.context.set_line_dash(&dash);
        self.context.set_stroke_style_str(colour);
        self.context.set_line_width(width);
        self.context.begin_path();
        self.context.move_to(first.0, first.1);
        for (x, y) in rest {
            self.context.line_to(*x, *y);
        }
        self.context.stroke();
        let _ = self.context.set_line_dash(&js_sys::Array::new());
    }

    /// A text whose middle stands at `y`.
    pub fn text(&self, text: &str, x: f64, y: f64, face: Face) {
        self.context.set_font(match face {
            Face::Plain => FONT,
            Face::Bold => FONT_BOLD,
            Face::Small => FONT_SMALL,
        });
        self.context.set_text_baseline("middle");
        // Fails only where a canvas has no text at all.
        let _ = self.context.fill_text(text, x, y);
    }
}
