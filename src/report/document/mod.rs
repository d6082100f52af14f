//! An experiment or a benchmark as a document to be read from its beginning to its end: one value, written as a page of
//! HTML that needs nothing else, or as Markdown.

mod build;
pub(in crate::report) mod html;
pub(in crate::report) mod markdown;
pub(in crate::report) mod numbers;

pub use self::html::Html;
pub use self::html::STYLE;
pub use self::markdown::Markdown;

use crate::model::dataset::Setting;
use crate::report::chart::Canvas;
use crate::report::chart::ChartError;
use crate::report::chart::Theme;
use crate::report::made::Made;
use crate::report::table::Figure;

/// A title and what follows.
pub(in crate::report) struct Document {
    pub title: String,
    pub blocks: Vec<Block>,
}

/// One piece of a document.
pub(in crate::report) enum Block {
    Chapter(String),
    Section(String),
    Paragraph(String),
    /// The sentence that says it all.
    Headline(String),
    /// Something to know before reading on.
    Warning(String),
    Items(Vec<String>),
    Facts(Vec<Setting>),
    Table(Table),
    Picture(Picture),
    /// Text to the letter, and what it is: `sql` or nothing.
    Text {
        text: String,
        language: &'static str,
    },
    /// How the numbers before it are made.
    Made(&'static [Made]),
}

/// A table with a caption.
pub(in crate::report) struct Table {
    pub caption: String,
    pub heads: Vec<Head>,
    pub rows: Vec<Vec<Cell>>,
}

pub(in crate::report) struct Head {
    pub text: String,
    pub is_number: bool,
}

/// One cell.
#[derive(Default)]
pub(in crate::report) struct Cell {
    pub figure: Figure,
    pub is_strong: bool,
    /// The source whose colour stands before it.
    pub source_idx: Option<i32>,
}

/// A chart as PNG, drawn in both themes at twice the resolution.
pub(in crate::report) struct Picture {
    pub caption: String,
    pub alt: String,
    pub light: Vec<u8>,
    pub dark: Vec<u8>,
    pub width: u32,
    pub height: u32,
}

impl Picture {
    /// A chart of this size.
    pub fn draw(
        (width, height): (u32, u32),
        caption: String,
        alt: String,
        draw: impl Fn(&Canvas) -> Result<Vec<u8>, ChartError>,
    ) -> Result<Self, ChartError> {
        let in_theme = |theme: Theme| {
            draw(&Canvas {
                width,
                height,
                scale: 2,
                theme,
            })
        };
        Ok(Self {
            caption,
            alt,
            light: in_theme(Theme::Light)?,
            dark: in_theme(Theme::Dark)?,
            width,
            height,
        })
    }
}

impl From<Figure> for Cell {
    fn from(figure: Figure) -> Self {
        Self {
            figure,
            ..Self::default()
        }
    }
}

impl From<String> for Cell {
    fn from(shown: String) -> Self {
        Self::from(Figure {
            shown,
            exact: String::new(),
        })
    }
}

impl Cell {
    pub fn strong(figure: Figure) -> Self {
        Self {
            figure,
            is_strong: true,
            source_idx: None,
        }
    }

    pub fn of_source(label: String, source_idx: i32) -> Self {
        Self {
            source_idx: Some(source_idx),
            ..Self::from(label)
        }
    }
}
