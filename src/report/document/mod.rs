//! An experiment as a document to be read from its beginning to its end: one value, written as a page of HTML that needs
//! nothing else, or as Markdown.

mod build;
mod html;
mod markdown;
mod numbers;

pub use self::html::Html;
pub use self::html::STYLE;
pub use self::markdown::Markdown;

use crate::model::dataset::Setting;
use crate::report::made::Made;
use crate::report::table::Figure;

/// A title and what follows.
struct Document {
    title: String,
    blocks: Vec<Block>,
}

/// One piece of a document.
enum Block {
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
struct Table {
    caption: String,
    heads: Vec<Head>,
    rows: Vec<Vec<Cell>>,
}

struct Head {
    text: &'static str,
    is_number: bool,
}

/// One cell.
#[derive(Default)]
struct Cell {
    figure: Figure,
    is_strong: bool,
    /// The source whose colour stands before it.
    source_idx: Option<i32>,
}

/// A chart as PNG, drawn in both themes at twice the resolution.
struct Picture {
    caption: String,
    alt: String,
    light: Vec<u8>,
    dark: Vec<u8>,
    width: u32,
    height: u32,
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
    fn strong(figure: Figure) -> Self {
        Self {
            figure,
            is_strong: true,
            source_idx: None,
        }
    }

    fn of_source(label: String, source_idx: i32) -> Self {
        Self {
            source_idx: Some(source_idx),
            ..Self::from(label)
        }
    }
}
