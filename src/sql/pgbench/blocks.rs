//! Whether `\if`, `\elif`, `\else` and `\endif` stand where they may.

use crate::sql::pgbench::Action;

/// The blocks that are open.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    open: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    /// Of its `\if` in the text.
    at: usize,
    has_else: bool,
}

impl Blocks {
    /// Takes note of a command, or says why it cannot stand here.
    pub(super) fn enter(&mut self, action: &Action, at: usize) -> Result<(), &'static str> {
        let open = self.open.last_mut();
        match (action, open) {
            (Action::If(_), _) => self.open.push(Block { at, has_else: false }),
            (Action::Elif(_), None) => return Err("There is no \\if to this \\elif."),
            (Action::Else, None) => return Err("There is no \\if to this \\else."),
            (Action::Endif, None) => return Err("There is no \\if to this \\endif."),
            (Action::Elif(_), Some(block)) if block.has_else => return Err("An \\elif cannot stand behind \\else."),
            (Action::Else, Some(block)) if block.has_else => return Err("This is the second \\else of its \\if."),
            (Action::Else, Some(block)) => block.has_else = true,
            (Action::Endif, Some(_)) => {
                self.open.pop();
            }
            (Action::Elif(_) | Action::Sql(_) | Action::Set { .. } | Action::Sleep { .. }, _) => {}
        }
        Ok(())
    }

    /// At the end of the program; else the place of the `\if` that is still open, and what to say of it.
    pub(super) fn finish(&self) -> Result<(), (usize, &'static str)> {
        match self.open.last() {
            Some(block) => Err((block.at, "There is no \\endif to this \\if.")),
            None => Ok(()),
        }
    }
}
