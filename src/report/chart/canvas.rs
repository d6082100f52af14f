//! The picture that is wanted, and its way from an empty page to a PNG.

use plotters::style::RGBColor;

use super::ChartError;
use super::painter::Painter;
use super::palette::Theme;

pub(super) const MIN_WIDTH: u32 = 240;
pub(super) const MIN_HEIGHT: u32 = 160;
pub(super) const MAX_SIDE: u32 = 8_192;
/// Three bytes each while it is drawn: a picture never takes more than 75 MB.
pub(super) const MAX_DEVICE_PIXELS: u64 = 25_000_000;

/// The picture that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Canvas {
    /// CSS pixels.
    pub width: u32,
    /// CSS pixels.
    pub height: u32,
    /// Device pixels per CSS pixel, 1 or 2.
    pub scale: u32,
    pub theme: Theme,
}

impl Canvas {
    /// The picture that `paint` makes of an empty page, as a PNG.
    pub(super) fn paint(
        &self,
        paint: impl FnOnce(&mut Painter<'_>) -> Result<(), ChartError>,
    ) -> Result<Vec<u8>, ChartError> {
        let (width, height) = self.device_size()?;
        let RGBColor(red, green, blue) = self.theme.inks().background;
        let n_pixels = (width as usize) * (height as usize);
        let mut buffer = [red, green, blue].repeat(n_pixels);
        paint(&mut Painter::new(&mut buffer, (width, height), self)?)?;
        encode(&buffer, width, height)
    }

    fn device_size(&self) -> Result<(u32, u32), ChartError> {
        let fits = (MIN_WIDTH..=MAX_SIDE).contains(&self.width)
            && (MIN_HEIGHT..=MAX_SIDE).contains(&self.height)
            && (1..=2).contains(&self.scale);
        let refusal = ChartError::Size {
            width: self.width,
            height: self.height,
            scale: self.scale,
        };
        if !fits {
            return Err(refusal);
        }
        let (width, height) = (self.width * self.scale, self.height * self.scale);
        if u64::from(width) * u64::from(height) > MAX_DEVICE_PIXELS {
            return Err(refusal);
        }
        Ok((width, height))
    }
}

fn encode(rgb: &[u8], width: u32, height: u32) -> Result<Vec<u8>, ChartError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()?;
    Ok(bytes)
}

/// The size of a picture and the proof that all of it can be read.
#[cfg(test)]
pub(super) fn png_size(png: &[u8]) -> (u32, u32) {
    let (info, _) = decode(png);
    (info.width, info.height)
}

#[cfg(test)]
fn decode(png: &[u8]) -> (png::OutputInfo, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info, pixels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::painter::Align;
    use crate::report::chart::painter::Marker;
    use crate::report::chart::painter::Rect;

    fn canvas(scale: u32) -> Canvas {
        Canvas {
            width: 240,
            height: 160,
            scale,
            theme: Theme::Dark,
        }
    }

    fn pixel(png: &[u8], x: u32, y: u32) -> [u8; 3] {
        let (info, pixels) = decode(png);
        let at = ((y * info.width + x) * 3) as usize;
        pixels[at..at + 3].try_into().unwrap()
    }

    #[test]
    fn an_empty_page_has_the_colour_of_the_page_around_it() {
        for scale in [1, 2] {
            let png = canvas(scale).paint(|_| Ok(())).unwrap();
            assert_eq!(png_size(&png), (240 * scale, 160 * scale));
            assert_eq!(pixel(&png, 0, 0), [0x14, 0x17, 0x1c]);
            assert_eq!(pixel(&png, 240 * scale - 1, 160 * scale - 1), [0x14, 0x17, 0x1c]);
        }
    }

    #[test]
    fn places_are_css_pixels_at_every_scale() {
        let red = RGBColor(255, 0, 0);
        let square = Rect {
            left: 10.0,
            top: 20.0,
            right: 30.0,
            bottom: 40.0,
        };
        for scale in [1, 2] {
            let png = canvas(scale).paint(|painter| painter.fill(square, red.into())).unwrap();
            assert_eq!(pixel(&png, 10 * scale, 20 * scale), [255, 0, 0]);
            assert_eq!(pixel(&png, 30 * scale - 1, 40 * scale - 1), [255, 0, 0]);
            assert_eq!(pixel(&png, 10 * scale - 1, 20 * scale), [0x14, 0x17, 0x1c]);
            assert_eq!(pixel(&png, 30 * scale, 20 * scale), [0x14, 0x17, 0x1c]);
        }
    }

    #[test]
    fn a_stroke_covers_its_middle_whatever_its_slope() {
        let red = RGBColor(255, 0, 0);
        for to in [
            (200.5, 80.5),
            (120.5, 150.5),
            (200.5, 150.5),
            (121.5, 20.5),
            (120.5, 80.5),
        ] {
            let stroke = |painter: &mut Painter<'_>| painter.stroke((120.5, 80.5), to, 3.0, red.into());
            let png = canvas(1).paint(stroke).unwrap();
            assert_eq!(pixel(&png, 120, 80), [255, 0, 0], "{to:?}");
            assert_eq!(pixel(&png, 10, 10), [0x14, 0x17, 0x1c], "{to:?}");
        }
    }

    #[test]
    fn drawing_beyond_the_edge_is_cut() {
        let ink = RGBColor(255, 255, 255);
        let drawn = canvas(2).paint(|painter| {
            painter.text("beyond", (-20.0, 3.0), Align::Left, ink)?;
            painter.text("beyond", (230.0, 165.0), Align::Left, ink)?;
            painter.cross((0.0, 0.0), ink)?;
            painter.marker(Marker::Disc, (240.0, 160.0), 4.0, ink)?;
            painter.stroke((-50.0, 50.0), (500.0, 60.0), 2.0, ink.into())
        });
        assert_eq!(png_size(&drawn.unwrap()), (480, 320));
    }

    #[test]
    fn the_same_chart_is_the_same_bytes() {
        let paint = |painter: &mut Painter<'_>| {
            let ink = painter.inks.text;
            painter.text("the same", (20.3, 50.0), Align::Left, ink)
        };
        assert_eq!(canvas(1).paint(paint).unwrap(), canvas(1).paint(paint).unwrap());
    }
}
