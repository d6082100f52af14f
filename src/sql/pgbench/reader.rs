//! Cuts a program into its commands, as pgbench does (`ParseScript` in `pgbench.c`): SQL ends at a semicolon outside of
//! parentheses and at a backslash, a backslash command with its line.

use crate::sql::lexer::Inside;
use crate::sql::lexer::Kind;
use crate::sql::lexer::More;
use crate::sql::lexer::Reader;
use crate::sql::lexer::Scanner;
use crate::sql::lexer::Token;
use crate::sql::nesting::Nesting;
use crate::sql::pgbench::Action;
use crate::sql::pgbench::Command;
use crate::sql::pgbench::Program;
use crate::sql::pgbench::blocks::Blocks;
use crate::sql::pgbench::command;
use crate::sql::pgbench::command::Said;
use crate::sql::pgbench::error::ProgramError;
use crate::sql::pgbench::error::line_of;
use crate::sql::pgbench::statement::Draft;

/// The longest program, in bytes. A file larger than that is data.
const MAX_PROGRAM_BYTES: usize = 1 << 20;

/// Reads a program. What it holds that cannot be run here is refused with its place: commands of the shell, pipelines,
/// `\aset`, COPY from or to the client, and whatever pgbench refuses itself.
pub fn parse(name: &str, text: &str) -> Result<Program, ProgramError> {
    if text.len() > MAX_PROGRAM_BYTES {
        let message = format!("The program is longer than {} KiB.", MAX_PROGRAM_BYTES / 1024);
        return Err(ProgramError::new(text, 0, message));
    }
    let mut cutter = Cutter {
        text,
        scanner: Scanner::new(Reader::Server),
        nesting: Nesting::default(),
        draft: None,
        blocks: Blocks::default(),
        commands: Vec::new(),
    };
    if text.starts_with('\u{feff}') {
        cutter.scanner.pos = '\u{feff}'.len_utf8();
    }
    Ok(Program {
        name: name.to_owned(),
        commands: cutter.cut()?,
    })
}

struct Cutter<'a> {
    text: &'a str,
    scanner: Scanner,
    nesting: Nesting,
    /// The SQL command in hand.
    draft: Option<Draft>,
    blocks: Blocks,
    commands: Vec<Command>,
}

impl Cutter<'_> {
    fn cut(mut self) -> Result<Vec<Command>, ProgramError> {
        while let Some(token) = self.scanner.next(self.text.as_bytes(), More::No) {
            match token.kind {
                Kind::Nul => return Err(self.error(token.start, "There is a NUL byte; this is no text.")),
                Kind::PsqlLine => self.backslash(token.start)?,
                Kind::Semicolon if self.nesting.is_flat() => self.semicolon(token.start)?,
                Kind::Comment if self.draft.is_none() && self.of(token).starts_with("--") => {}
                Kind::Escaped if self.draft.is_none() && self.of(token) == "\\;" => {}
                _ => self.add(token),
            }
        }
        self.check_end()?;
        self.end_sql()?;
        self.blocks.finish().map_err(|(at, message)| self.error(at, message))?;
        if self.commands.is_empty() {
            return Err(self.error(
                0,
                "The program is empty: there is neither SQL nor a backslash command in it.",
            ));
        }
        Ok(self.commands)
    }

    fn of(&self, token: Token) -> &str {
        &self.text[token.start..token.end]
    }

    fn error(&self, at: usize, message: impl Into<String>) -> ProgramError {
        ProgramError::new(self.text, at, message)
    }

    fn add(&mut self, token: Token) {
        let text = &self.text[token.start..token.end];
        match token.kind {
            Kind::Open => self.nesting.open(token.line),
            Kind::Close => self.nesting.close(),
            Kind::Word => self.nesting.word(text.as_bytes(), token.line),
            Kind::Escaped if text == "\\;" => self.nesting.escaped_semicolon(),
            _ => {}
        }
        self.draft
            .get_or_insert_with(|| Draft::new(token.start))
            .add(self.text, token);
    }

    /// The end of an SQL command. One of nothing at all is sent as well.
    fn semicolon(&mut self, at: usize) -> Result<(), ProgramError> {
        let n_commands = self.commands.len();
        self.end_sql()?;
        if self.commands.len() == n_commands {
            self.push(at, Action::Sql(Draft::empty()));
        }
        Ok(())
    }

    /// Turns the SQL command in hand into one of the program, if there is more to it than comments.
    fn end_sql(&mut self) -> Result<(), ProgramError> {
        self.nesting = Nesting::default();
        let Some(draft) = self.draft.take() else {
            return Ok(());
        };
        let start = draft.start();
        let Some(statement) = draft.finish() else {
            return Ok(());
        };
        if statement.copies_to_or_from_client() {
            return Err(self.error(
                start,
                "COPY from or to the client cannot be run in a program, as under pgbench.",
            ));
        }
        self.push(start, Action::Sql(statement));
        Ok(())
    }

    fn push(&mut self, at: usize, action: Action) {
        let line = line_of(self.text, at);
        self.commands.push(Command { line, action });
    }

    fn backslash(&mut self, at: usize) -> Result<(), ProgramError> {
        if let Some(draft) = self.draft.as_ref().filter(|_| !self.nesting.is_flat()) {
            let message = "The statement here is cut off by a backslash command inside of its parentheses or its body.";
            return Err(self.error(draft.start(), message));
        }
        self.end_sql()?;
        let (said, end) = command::read(self.text, at + 1)?;
        match said {
            Said::Nothing => {}
            Said::Action(action) => {
                self.blocks
                    .enter(&action, at)
                    .map_err(|message| self.error(at, message))?;
                self.push(at, action);
            }
            Said::Gset(prefix) => match self.commands.last_mut() {
                Some(Command {
                    action: Action::Sql(statement),
                    ..
                }) if statement.gset.is_none() => statement.gset = Some(prefix),
                _ => return Err(self.error(at, "\\gset must stand behind an SQL command, whose row it takes.")),
            },
        }
        self.scanner.line += self.text[self.scanner.pos.min(end)..end].matches('\n').count() as u64;
        self.scanner.pos = end;
        Ok(())
    }

    /// Nothing may be left open at the end of the text.
    fn check_end(&self) -> Result<(), ProgramError> {
        if let Some((inside, _)) = self.scanner.inside() {
            let begun = self.scanner.begun_token().map(|(start, _)| start);
            let start = begun.or(self.scanner.begun_comment()).unwrap_or_default();
            let what = match inside {
                Inside::Text => "The string that is opened here is never closed.",
                Inside::QuotedName => "The quoted name that is opened here is never closed.",
                Inside::DollarText => "The dollar-quoted string that is opened here is never closed.",
                Inside::Comment => "The comment that is opened here is never closed.",
            };
            return Err(self.error(start, what));
        }
        match &self.draft {
            Some(draft) if !self.nesting.is_flat() => Err(self.error(
                draft.start(),
                "The statement that begins here has parentheses or a body that are never closed.",
            )),
            _ => Ok(()),
        }
    }
}
