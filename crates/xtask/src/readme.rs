//! The commands in a document: its blocks marked `sh`, which a test runs in order.

/// A block of commands and the line of the document it begins on, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The line after the mark.
    pub line: usize,
    /// The commands.
    pub text: String,
}

/// The blocks marked `sh`. Blocks with any other mark are not commands to be run.
pub fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, Block)> = None;
    for (number, line) in (1..).zip(document.lines()) {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(mark)) => {
                let block = Block { line: number + 1, text: String::new() };
                open = Some((mark.trim() == "sh", block));
            }
            (Some(_), Some(_)) => {
                if let Some((true, block)) = open.take() {
                    blocks.push(block);
                }
                open = None;
            }
            (Some((_, block)), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::{Block, blocks};

    #[test]
    fn only_blocks_marked_sh_are_commands() {
        let document = "a\n```sh\none\ntwo\n```\nb\n```\nthree\n```\n```sh\nfour\n```\n";
        let expected =
            [Block { line: 3, text: "one\ntwo\n".to_owned() }, Block { line: 11, text: "four\n".to_owned() }];
        assert_eq!(blocks(document), expected);
    }
}
