//! Shapes and letters on the picture, in CSS pixels. Shapes have soft edges because plotters' own thick lines and polygons
//! have ragged ones; its bitmap, blending and glyphs are used as they are.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use plotters::backend::BitMapBackend;
use plotters::backend::DrawingBackend;
use plotters::style::Color;
use plotters::style::RGBAColor;
use plotters::style::RGBColor;

use super::ChartError;
use super::canvas::Canvas;
use super::font::Face;
use super::font::Glyph;
use super::font::SAMPLES_PER_PX;
use super::numerals::as_i32;
use super::palette::Inks;
use super::palette::Theme;

/// A rectangle in CSS pixels; y grows downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Rect {
    pub fn width(&self) -> f64 {
        self.right - self.left
    }

    pub fn height(&self) -> f64 {
        self.bottom - self.top
    }
}

/// A place in CSS pixels.
pub(super) type Point = (f64, f64);

/// Which part of a text stands at the place it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

/// Shapes that are told apart without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    Disc,
    Square,
    Triangle,
    Diamond,
    Ring,
}

impl Marker {
    /// The marker of a source. There are five markers and eight colours, so forty sources differ.
    pub fn of_source(colour_idx: usize) -> Self {
        [Self::Disc, Self::Square, Self::Triangle, Self::Diamond, Self::Ring][colour_idx % 5]
    }

    /// Distance from the edge of the marker at the origin, of about `radius`; negative inside.
    fn distance(self, (x, y): Point, radius: f64) -> f64 {
        match self {
            Self::Disc => x.hypot(y) - radius,
            Self::Square => x.abs().max(y.abs()) - radius * 0.88,
            Self::Triangle => (0.866 * x.abs() - 0.5 * y).max(y) - radius * 0.62,
            Self::Diamond => (x.abs() + y.abs()) * std::f64::consts::FRAC_1_SQRT_2 - radius * 0.88,
            Self::Ring => (x.hypot(y) - radius * 0.8).abs() - radius * 0.36,
        }
    }
}

/// Draws on the picture in CSS pixels.
pub(super) struct Painter<'buffer> {
    bitmap: BitMapBackend<'buffer>,
    face: &'static Face,
    glyphs: HashMap<char, Glyph>,
    samples_per_device_px: i32,
    scale: f64,
    pub inks: Inks,
    pub theme: Theme,
}

impl<'buffer> Painter<'buffer> {
    /// A painter on pixels of `device_size` that hold the background already.
    pub fn new(buffer: &'buffer mut [u8], device_size: (u32, u32), canvas: &Canvas) -> Result<Self, ChartError> {
        let scale = f64::from(canvas.scale);
        Ok(Self {
            bitmap: BitMapBackend::with_buffer_and_format(buffer, device_size).map_err(refused)?,
            face: Face::get()?,
            glyphs: HashMap::new(),
            samples_per_device_px: as_i32(f64::from(SAMPLES_PER_PX) / scale),
            scale,
            inks: canvas.theme.inks(),
            theme: canvas.theme,
        })
    }

    /// Fills a rectangle to whole device pixels, at least one each way.
    pub fn fill(&mut self, rect: Rect, ink: RGBAColor) -> Result<(), ChartError> {
        let (left, top) = (self.device(rect.left), self.device(rect.top));
        let right = self.device(rect.right).max(left + 1);
        let bottom = self.device(rect.bottom).max(top + 1);
        self.bitmap
            .draw_rect((left, top), (right, bottom), &ink, true)
            .map_err(refused)
    }

    /// A horizontal line of one CSS pixel, hung on `y`.
    pub fn rule(&mut self, left: f64, right: f64, y: f64, ink: RGBColor) -> Result<(), ChartError> {
        let (top, bottom) = (y, y + 1.0);
        self.fill(
            Rect {
                left,
                top,
                right,
                bottom,
            },
            ink.into(),
        )
    }

    /// A vertical line of one CSS pixel, to the right of `x`.
    pub fn post(&mut self, x: f64, top: f64, bottom: f64, ink: RGBColor) -> Result<(), ChartError> {
        let (left, right) = (x, x + 1.0);
        self.fill(
            Rect {
                left,
                top,
                right,
                bottom,
            },
            ink.into(),
        )
    }

    /// Slanting stripes inside a rectangle, in step with all other stripes of the picture.
    pub fn hatch(&mut self, rect: Rect, ink: RGBAColor) -> Result<(), ChartError> {
        let scale = self.scale;
        self.cover(rect, ink, |(x, y)| {
            let along = ((x + y) / scale).rem_euclid(6.0) - 3.0;
            (along.abs() - 1.25) * scale * std::f64::consts::FRAC_1_SQRT_2
        })
    }

    /// A line with round ends.
    pub fn stroke(&mut self, from: Point, to: Point, width: f64, ink: RGBAColor) -> Result<(), ChartError> {
        let (x0, y0) = (from.0 * self.scale, from.1 * self.scale);
        let (dx, dy) = (to.0 * self.scale - x0, to.1 * self.scale - y0);
        let length_squared = (dx * dx + dy * dy).max(1e-12);
        let radius = width * self.scale / 2.0;
        let reach = radius + 0.5;
        let (left, right) = (x0.min(x0 + dx) - reach, x0.max(x0 + dx) + reach);
        // On one row of pixels the line covers only a short piece around the point where it crosses.
        let half_crossing = reach * length_squared.sqrt() / dy.abs().max(1e-12);
        for y in as_i32((y0.min(y0 + dy) - reach).floor())..=as_i32((y0.max(y0 + dy) + reach).floor()) {
            let py = f64::from(y) + 0.5 - y0;
            let crossing = if dy == 0.0 { x0 } else { x0 + py / dy * dx };
            let first = as_i32((crossing - half_crossing).max(left).floor());
            let last = as_i32((crossing + half_crossing).min(right).floor());
            for x in first..=last {
                let px = f64::from(x) + 0.5 - x0;
                let along = ((px * dx + py * dy) / length_squared).clamp(0.0, 1.0);
                let (off_x, off_y) = (px - along * dx, py - along * dy);
                // `hypot` guards against overflow, which cannot happen here, at five times the price.
                let distance = (off_x * off_x + off_y * off_y).sqrt() - radius;
                self.blend((x, y), ink, 0.5 - distance)?;
            }
        }
        Ok(())
    }

    /// A marker, standing free on a rim of the background.
    pub fn marker(&mut self, marker: Marker, at: Point, radius: f64, ink: RGBColor) -> Result<(), ChartError> {
        let (cx, cy, scale) = (at.0 * self.scale, at.1 * self.scale, self.scale);
        let reach = radius * 1.4 + 2.0;
        let around = Rect {
            left: at.0 - reach,
            top: at.1 - reach,
            right: at.0 + reach,
            bottom: at.1 + reach,
        };
        let rim = self.inks.background.into();
        let whole = if marker == Marker::Ring { Marker::Disc } else { marker };
        self.cover(around, rim, |(x, y)| {
            whole.distance((x - cx, y - cy), radius * scale) - 1.5 * scale
        })?;
        self.cover(around, ink.into(), |(x, y)| {
            marker.distance((x - cx, y - cy), radius * scale)
        })
    }

    /// A cross that says "ran out of time".
    pub fn cross(&mut self, (x, y): Point, ink: RGBColor) -> Result<(), ChartError> {
        let arm = 3.5;
        self.stroke((x - arm, y - arm), (x + arm, y + arm), 1.75, ink.into())?;
        self.stroke((x - arm, y + arm), (x + arm, y - arm), 1.75, ink.into())
    }

    /// An arrow's head that points up, its tip at `at`.
    pub fn caret(&mut self, (x, y): Point, ink: RGBColor) -> Result<(), ChartError> {
        self.stroke((x - 4.0, y + 5.0), (x, y), 1.75, ink.into())?;
        self.stroke((x, y), (x + 4.0, y + 5.0), 1.75, ink.into())
    }

    /// A line of text whose base line is at `at`.
    pub fn text(&mut self, text: &str, at: Point, align: Align, ink: RGBColor) -> Result<(), ChartError> {
        let start = match align {
            Align::Left => at.0,
            Align::Centre => at.0 - self.face.width(text) / 2.0,
            Align::Right => at.0 - self.face.width(text),
        };
        let base_line = self.device(at.1);
        let mut pen = start;
        for character in text.chars() {
            self.glyph(character, pen, base_line, ink)?;
            pen += self.face.advance(character);
        }
        Ok(())
    }

    /// One glyph, averaged from samples to device pixels, so that it may stand between them.
    fn glyph(&mut self, character: char, pen: f64, base_line: i32, ink: RGBColor) -> Result<(), ChartError> {
        let glyph = match self.glyphs.entry(character) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(self.face.rasterise(character)?),
        };
        let per_px = self.samples_per_device_px;
        let left = as_i32((pen * f64::from(SAMPLES_PER_PX)).round()) + glyph.left;
        let first_x = left.div_euclid(per_px);
        let n_columns = (glyph.width + 2 * per_px.unsigned_abs() as usize) / per_px.unsigned_abs() as usize;
        let mut row = vec![0.0f32; n_columns];
        let mut lines = glyph.ink.chunks_exact(glyph.width).zip(glyph.top..).peekable();
        while let Some((line, sample_y)) = lines.next() {
            for (sample, x) in line.iter().zip(left..) {
                row[(x.div_euclid(per_px) - first_x).unsigned_abs() as usize] += sample;
            }
            let y = sample_y.div_euclid(per_px);
            if lines.peek().is_some_and(|(_, next_y)| next_y.div_euclid(per_px) == y) {
                continue;
            }
            for (ink_sum, x) in row.iter_mut().zip(first_x..) {
                let covered = f64::from(*ink_sum) / f64::from(per_px * per_px);
                *ink_sum = 0.0;
                if covered > 0.0 {
                    // The face is a light one; a little weight keeps it readable at its size.
                    let weighted = ink.mix(covered.min(1.0).powf(0.75)).to_backend_color();
                    self.bitmap.draw_pixel((x, base_line + y), weighted).map_err(refused)?;
                }
            }
        }
        Ok(())
    }

    /// Fills what lies within a shape, given by the distance of a device pixel's middle from its edge.
    fn cover(&mut self, around: Rect, ink: RGBAColor, distance: impl Fn(Point) -> f64) -> Result<(), ChartError> {
        for y in self.device(around.top)..self.device(around.bottom) {
            for x in self.device(around.left)..self.device(around.right) {
                let middle = (f64::from(x) + 0.5, f64::from(y) + 0.5);
                self.blend((x, y), ink, 0.5 - distance(middle))?;
            }
        }
        Ok(())
    }

    fn blend(&mut self, at: (i32, i32), ink: RGBAColor, covered: f64) -> Result<(), ChartError> {
        if covered <= 0.0 {
            return Ok(());
        }
        let ink = ink.mix(covered.min(1.0)).to_backend_color();
        self.bitmap.draw_pixel(at, ink).map_err(refused)
    }

    fn device(&self, px: f64) -> i32 {
        as_i32((px * self.scale).round())
    }
}

/// plotters' errors borrow nothing we can keep typed: its backend error type is not exported.
fn refused(error: impl std::fmt::Display) -> ChartError {
    ChartError::Draw(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_marker_covers_its_middle_and_no_more_than_its_size() {
        for marker in (0..5).map(Marker::of_source) {
            assert!(marker.distance((0.0, 0.0), 4.0) < 0.0 || marker == Marker::Ring);
            assert!(marker.distance((8.0, 0.0), 4.0) > 0.0);
            assert!(marker.distance((0.0, -8.0), 4.0) > 0.0);
        }
    }
}
