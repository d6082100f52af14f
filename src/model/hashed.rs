//! What is stored in place of something that is not to be known.

use std::fmt;

/// The SHA-256 of something. Of a token that nobody can guess (256 bits of chance) it may lie in a table that is read by
/// others, and be looked up by equality: whoever measures how long that takes learns about a hash, and a hash is of no use.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hashed(pub [u8; 32]);

/// Its beginning, which is enough to tell two apart in a log.
impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hashed({}…)", hex::encode(&self.0[..4]))
    }
}
