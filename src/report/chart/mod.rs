//! Charts of results: numbers in, PNG bytes out. What is drawn is decided by layouts that are plain numbers; nothing
//! here computes a statistic, reads a clock or touches the world, so the same input gives the same bytes.

mod axis;
mod bar;
mod box_plot;
mod canvas;
mod font;
mod frame;
mod line;
mod numerals;
mod odds;
mod painter;
mod palette;
mod share;
mod xy;

pub use self::axis::Scale;
pub use self::bar::Bar;
pub use self::bar::BarChart;
pub use self::bar::BarGroup;
pub use self::box_plot::BoxChart;
pub use self::box_plot::BoxOf;
pub use self::box_plot::BoxShape;
pub use self::canvas::Canvas;
pub use self::line::LineChart;
pub use self::line::Series;
pub use self::numerals::Unit;
pub use self::odds::Odds;
pub use self::odds::OddsChart;
pub use self::odds::OddsSeries;
pub use self::palette::Theme;
pub use self::share::ShareChart;
pub use self::share::ShareGroup;
pub use self::xy::MarkShape;
pub use self::xy::Numbers;
pub use self::xy::Shape;
pub use self::xy::XyChart;
pub use self::xy::XyMark;
pub use self::xy::XySeries;

/// A source as the legend shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceKey {
    /// What the legend calls it.
    pub label: String,
    /// Its place in the palette: the same source keeps its colour and its marker in every chart. Any number is legal;
    /// colours come round again after eight, told apart by filling and marker.
    pub colour: usize,
}

/// Why a chart could not be drawn. Data never is the reason.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The page asked for a picture that is too small to read, too large to hold, or not at 1 or 2 pixels per CSS pixel.
    #[error("a chart is {min_width} x {min_height} to {max_side} x {max_side} pixels at scale 1 or 2, up to {max_area} million device pixels in all, not {width} x {height} at scale {scale}",
        min_width = canvas::MIN_WIDTH, min_height = canvas::MIN_HEIGHT, max_side = canvas::MAX_SIDE, max_area = canvas::MAX_DEVICE_PIXELS / 1_000_000)]
    Size { width: u32, height: u32, scale: u32 },
    /// The typeface that is compiled in cannot be read.
    #[error("the chart typeface cannot be read")]
    Font,
    /// The bitmap refused a stroke.
    #[error("drawing the chart failed: {0}")]
    Draw(String),
    /// The finished picture could not be packed.
    #[error("encoding the chart failed")]
    Encode(#[from] png::EncodingError),
}
