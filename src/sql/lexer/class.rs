//! What the lexer takes a byte for, in one table, so that runs of like bytes are passed over quickly.

/// What words are made of. All bytes of characters beyond ASCII count as letters.
pub const WORD: u8 = 1;
/// What a dollar quote's tag and a psql variable are made of: a word without `$`.
pub const TAG: u8 = 1 << 1;
pub const SPACE: u8 = 1 << 2;
pub const DIGIT: u8 = 1 << 3;
pub const TEXT_STOP: u8 = 1 << 4;
pub const NAME_STOP: u8 = 1 << 5;
pub const DOLLAR_STOP: u8 = 1 << 6;
pub const COMMENT_STOP: u8 = 1 << 7;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut class = [0; 256];
    let mut byte: u8 = 0;
    loop {
        class[byte as usize] = match byte {
            0 => TEXT_STOP | NAME_STOP | DOLLAR_STOP | COMMENT_STOP,
            b'\n' => SPACE | TEXT_STOP | NAME_STOP | DOLLAR_STOP | COMMENT_STOP,
            b'\r' => SPACE | COMMENT_STOP,
            b' ' | b'\t' | 0x0c => SPACE,
            b'0'..=b'9' => WORD | TAG | DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => WORD | TAG,
            b'$' => WORD | DOLLAR_STOP,
            b'\'' | b'\\' => TEXT_STOP,
            b'"' => NAME_STOP,
            b'*' | b'/' => COMMENT_STOP,
            _ => 0,
        };
        if byte == u8::MAX {
            return class;
        }
        byte += 1;
    }
}

/// Whether a byte is of one of these classes.
pub fn is(byte: u8, class: u8) -> bool {
    CLASS[usize::from(byte)] & class != 0
}

/// The first place from `from` on that is not of the class, or the end.
pub fn skip_while(window: &[u8], from: usize, class: u8) -> usize {
    let rest = &window[from..];
    from + rest.iter().position(|&byte| !is(byte, class)).unwrap_or(rest.len())
}

/// The first place from `from` on that is of the class, or the end.
pub fn skip_until(window: &[u8], from: usize, class: u8) -> usize {
    let rest = &window[from..];
    from + rest.iter().position(|&byte| is(byte, class)).unwrap_or(rest.len())
}
