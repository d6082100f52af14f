//! The typeface of all charts: how wide text is, where its glyphs stand, and how a long label is shortened.
//! plotters rasterises the glyphs but sets them on whole pixels without their side bearings, which looks like broken
//! type at 12 pixels; so this file reads the two missing tables of the font and places each glyph itself.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::OnceLock;

use epaint_default_fonts::UBUNTU_LIGHT;
use plotters::style::FontDesc;
use plotters::style::FontFamily;
use plotters::style::FontStyle;
use plotters::style::register_font;

use super::ChartError;
use super::numerals::as_count;
use super::numerals::as_i32;

const FAMILY: &str = "pgassay";

/// CSS pixels of an em, close to 12. plotters scales a font by its height from ascender to descender, and keeps glyphs
/// on one base line only at even sizes: 54 pixels at four times the size are 13.5 high, an em of 12.04.
const HIGH_PX: f64 = 13.5;

/// Glyphs are rasterised at this many samples per CSS pixel, and then averaged down to the device's pixels.
pub(super) const SAMPLES_PER_PX: u32 = 4;

/// Where a glyph stands and how far the next one is, in font units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Metrics {
    advance: u16,
    left_bearing: i16,
}

/// The typeface, registered with plotters.
pub(super) struct Face {
    metrics: HashMap<char, Metrics>,
    /// Font units from descender to ascender.
    high_units: f64,
    missing: Metrics,
}

/// The shape of one glyph in samples, relative to the pen on the base line.
pub(super) struct Glyph {
    pub left: i32,
    pub top: i32,
    pub width: usize,
    /// How much of each sample is ink, row by row, 0 to 1.
    pub ink: Vec<f32>,
}

impl Face {
    /// The one face, made at its first use.
    pub fn get() -> Result<&'static Self, ChartError> {
        static FACE: OnceLock<Option<Face>> = OnceLock::new();
        FACE.get_or_init(|| {
            register_font(FAMILY, FontStyle::Normal, UBUNTU_LIGHT).ok()?;
            Sfnt::read(UBUNTU_LIGHT)?.face()
        })
        .as_ref()
        .ok_or(ChartError::Font)
    }

    /// Width of a text in CSS pixels.
    pub fn width(&self, text: &str) -> f64 {
        text.chars().map(|character| self.advance(character)).sum()
    }

    /// How far the pen moves for a character, in CSS pixels. Control characters take no room and leave no mark.
    pub fn advance(&self, character: char) -> f64 {
        if character.is_control() {
            return 0.0;
        }
        f64::from(self.metrics(character).advance) * HIGH_PX / self.high_units
    }

    /// The text itself if it fits into `room` CSS pixels; else its beginning and its end around an ellipsis, because
    /// labels made by machines differ at the end.
    pub fn shorten(&self, text: &str, room: f64) -> String {
        let glyphs: Vec<(char, f64)> = text
            .chars()
            .map(|character| (character, self.advance(character)))
            .collect();
        if glyphs.iter().map(|(_, advance)| advance).sum::<f64>() <= room {
            return text.to_owned();
        }
        let mut left = room - self.advance('…');
        let (mut n_head, mut n_tail) = (0, 0);
        while n_head + n_tail < glyphs.len() {
            let next = if n_head <= n_tail {
                n_head
            } else {
                glyphs.len() - 1 - n_tail
            };
            left -= glyphs[next].1;
            if left < 0.0 {
                break;
            }
            if n_head <= n_tail {
                n_head += 1;
            } else {
                n_tail += 1;
            }
        }
        let head: String = glyphs[..n_head].iter().map(|(character, _)| character).collect();
        let tail: String = glyphs[glyphs.len() - n_tail..]
            .iter()
            .map(|(character, _)| character)
            .collect();
        format!("{}…{}", head.trim_end(), tail.trim_start())
    }

    /// The shape of a character; a box where the face has none.
    pub fn rasterise(&self, character: char) -> Result<Glyph, ChartError> {
        let size = HIGH_PX * f64::from(SAMPLES_PER_PX);
        let mut samples: Vec<(i32, i32, f32)> = Vec::new();
        if !character.is_control() {
            let font = FontDesc::new(FontFamily::Name(FAMILY), size, FontStyle::Normal);
            let drawn = font.draw(character.encode_utf8(&mut [0; 4]), (0, 0), |x, y, ink| {
                samples.push((x, y, ink));
                Ok::<(), Infallible>(())
            });
            let Ok(Ok(())) = drawn else {
                return Err(ChartError::Font);
            };
        }
        let edge = |pick: fn(&(i32, i32, f32)) -> i32| samples.iter().map(pick).max().unwrap_or(0);
        let width = as_count(f64::from(edge(|sample| sample.0))) + 1;
        let top = samples.iter().map(|sample| sample.1).min().unwrap_or(0);
        let high = as_count(f64::from(edge(|sample| sample.1) - top)) + 1;
        let mut ink = vec![0.0; width * high];
        for (x, y, sample) in &samples {
            let place = as_count(f64::from(y - top)) * width + as_count(f64::from(*x));
            ink[place] = sample.clamp(0.0, 1.0);
        }
        let bearing = f64::from(self.metrics(character).left_bearing) * size / self.high_units;
        Ok(Glyph {
            left: as_i32(bearing.floor()),
            // plotters puts the base line half the size below the place it is given.
            top: top - as_i32(size / 2.0),
            width,
            ink,
        })
    }

    fn metrics(&self, character: char) -> Metrics {
        self.metrics.get(&character).copied().unwrap_or(self.missing)
    }
}

/// The tables of a TrueType font that say where glyphs stand (OpenType 1.9.1, "The OpenType font file").
struct Sfnt {
    bytes: &'static [u8],
    cmap: usize,
    hhea: usize,
    hmtx: usize,
}

impl Sfnt {
    /// `None` when the bytes are no font or lack a table.
    fn read(bytes: &'static [u8]) -> Option<Self> {
        let n_tables = usize::from(word(bytes, 4)?);
        let table = |tag: &[u8]| {
            let record = (0..n_tables)
                .map(|table_idx| 12 + 16 * table_idx)
                .find(|record| bytes.get(*record..record + 4) == Some(tag))?;
            offset(bytes, record + 8)
        };
        Some(Self {
            bytes,
            cmap: table(b"cmap")?,
            hhea: table(b"hhea")?,
            hmtx: table(b"hmtx")?,
        })
    }

    fn face(&self) -> Option<Face> {
        let ascender = signed(self.bytes, self.hhea + 4)?;
        let descender = signed(self.bytes, self.hhea + 6)?;
        Some(Face {
            metrics: self.characters()?,
            high_units: f64::from(ascender) - f64::from(descender),
            missing: self.metrics(0)?,
        })
    }

    /// Every character of the basic plane that the font has, from the segments of its `cmap` (format 4).
    fn characters(&self) -> Option<HashMap<char, Metrics>> {
        let n_maps = usize::from(word(self.bytes, self.cmap + 2)?);
        let map = (0..n_maps)
            .filter_map(|map_idx| Some(self.cmap + offset(self.bytes, self.cmap + 8 + 8 * map_idx)?))
            .find(|map| word(self.bytes, *map) == Some(4))?;
        let segments_size = usize::from(word(self.bytes, map + 6)?);
        let mut characters = HashMap::new();
        for at in (0..segments_size).step_by(2) {
            let end = word(self.bytes, map + 14 + at)?;
            let start = word(self.bytes, map + 16 + segments_size + at)?;
            let delta = word(self.bytes, map + 16 + 2 * segments_size + at)?;
            let range_at = map + 16 + 3 * segments_size + at;
            let range = usize::from(word(self.bytes, range_at)?);
            for code in start..=end {
                let glyph = if range == 0 {
                    code.wrapping_add(delta)
                } else {
                    match word(self.bytes, range_at + range + 2 * usize::from(code - start)) {
                        None | Some(0) => 0,
                        Some(glyph) => glyph.wrapping_add(delta),
                    }
                };
                if let (Some(character), Some(metrics)) = (char::from_u32(u32::from(code)), self.metrics(glyph))
                    && glyph != 0
                {
                    characters.insert(character, metrics);
                }
            }
        }
        Some(characters)
    }

    /// Glyphs after the last full record of `hmtx` share its advance.
    fn metrics(&self, glyph: u16) -> Option<Metrics> {
        let n_records = word(self.bytes, self.hhea + 34)?;
        let record = self.hmtx + 4 * usize::from(glyph.min(n_records.checked_sub(1)?));
        let bearing = match glyph.checked_sub(n_records) {
            None => record + 2,
            Some(beyond) => self.hmtx + 4 * usize::from(n_records) + 2 * usize::from(beyond),
        };
        Some(Metrics {
            advance: word(self.bytes, record)?,
            left_bearing: signed(self.bytes, bearing)?,
        })
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|two| u16::from_be_bytes(*two))
}

fn signed(bytes: &[u8], at: usize) -> Option<i16> {
    bytes.get(at..)?.first_chunk().map(|two| i16::from_be_bytes(*two))
}

fn offset(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*four)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face() -> &'static Face {
        Face::get().unwrap()
    }

    #[test]
    fn advances_are_those_that_the_rasteriser_uses() {
        // At a size of as many pixels as the font has units from top to bottom, a pixel is a unit.
        let font = FontDesc::new(FontFamily::Name(FAMILY), face().high_units, FontStyle::Normal);
        for character in "AaZz09Wil1_.,()±µ…éЖΩ".chars() {
            let ((left, _), (right, _)) = font.layout_box(&character.to_string()).unwrap();
            assert_eq!(
                i32::from(face().metrics(character).advance),
                right - left,
                "{character}"
            );
        }
    }

    #[test]
    fn stems_stand_off_the_pen_and_slants_do_not() {
        let bearing = |character| face().metrics(character).left_bearing;
        assert!(bearing('l') > 50 && bearing('H') > 50);
        assert!(bearing('v') < 30 && bearing('A') < 30);
    }

    #[test]
    fn letters_stand_on_one_base_line_and_descend_below_it() {
        let bottom = |character| {
            let glyph = face().rasterise(character).unwrap();
            glyph.top + i32::try_from(glyph.ink.len() / glyph.width).unwrap()
        };
        for character in "HxET1".chars() {
            assert_eq!(bottom(character), 0, "{character}");
        }
        assert!(bottom('p') > 0);
    }

    #[test]
    fn a_label_that_fits_is_left_alone_and_a_long_one_keeps_both_ends() {
        assert_eq!(face().shorten("Q01", 100.0), "Q01");
        let long = "reports/orders/monthly revenue by region, variant 17.sql";
        for room in [40.0, 80.0, 150.0, 250.0] {
            let short = face().shorten(long, room);
            assert!(face().width(&short) <= room, "{short}");
            assert!(
                short.starts_with("re") && short.ends_with('l') && short.contains('…'),
                "{short}"
            );
        }
        assert_eq!(face().shorten(long, 0.0), "…");
        assert_eq!(face().shorten("", 0.0), "");
    }

    #[test]
    fn what_is_no_font_is_not_read_as_one() {
        assert!(Sfnt::read(b"").is_none());
        assert!(Sfnt::read(b"\0\x01\0\0\0\x09 cut short").is_none());
    }
}
