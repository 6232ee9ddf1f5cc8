//! Breaks a text into lines of a terminal: between words, and between Chinese characters, which are two columns wide.
//! It knows what this program writes, not Unicode at large.

/// True if a character is two columns wide: ideographs, full-width forms and Chinese punctuation.
fn is_wide(character: char) -> bool {
    matches!(character, '\u{2E80}'..='\u{A4CF}' | '\u{F900}'..='\u{FAFF}' | '\u{FE30}'..='\u{FE4F}' | '\u{FF00}'..='\u{FF60}')
}

/// Punctuation that no line begins with.
fn closes(character: char) -> bool {
    matches!(character, '，' | '。' | '、' | '；' | '：' | '？' | '！' | '）' | '”' | '’' | '》')
}

/// Punctuation that no line ends with.
fn opens(character: char) -> bool {
    matches!(character, '（' | '“' | '‘' | '《' | '(')
}

/// Number of columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(|character| if is_wide(character) { 2 } else { 1 }).sum()
}

/// The lines of a text, none wider than `columns` unless a single word is.
pub(crate) fn lines(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for piece in pieces(text) {
        let is_full = width(&line) + width(piece.trim_end()) > columns;
        if !line.is_empty() && is_full {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
        }
        line.push_str(if line.is_empty() { piece.trim_start() } else { &piece });
    }
    if !line.trim_end().is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// The lines of a text that begins with `first`, its further lines indented by as much.
pub(crate) fn indented(first: &str, text: &str, columns: usize) -> Vec<String> {
    let indent = " ".repeat(width(first));
    let lines = lines(text, columns.saturating_sub(width(first)).max(1));
    let prefixes = std::iter::once(first).chain(std::iter::repeat(indent.as_str()));
    prefixes.zip(lines).map(|(prefix, line)| format!("{prefix}{line}")).collect()
}

/// The pieces between which a line may break: words with the space after them, single ideographs with the mark after them.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut is_open = false;
    for character in text.chars() {
        match pieces.last_mut() {
            Some(last) if closes(character) || character == ' ' || is_open && !is_wide(character) => {
                last.push(character);
            }
            Some(last) if last.ends_with(opens) => last.push(character),
            _ => pieces.push(String::from(character)),
        }
        is_open = !is_wide(character) && character != ' ';
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_breaks_between_words() {
        assert_eq!(lines("only the picture leaves", 10), ["only the", "picture", "leaves"]);
    }

    #[test]
    fn chinese_breaks_between_characters_and_never_before_a_full_stop() {
        assert_eq!(lines("出来的是影像。真的", 12), ["出来的是影", "像。真的"]);
    }

    #[test]
    fn a_latin_word_inside_chinese_stays_whole() {
        assert_eq!(lines("用 SQL 写的问题", 8), ["用 SQL", "写的问题"]);
    }

    #[test]
    fn no_line_ends_with_a_bracket_that_opens() {
        assert_eq!(lines("门票（成人）", 7), ["门票", "（成", "人）"]);
    }

    #[test]
    fn nothing_is_lost_and_no_line_is_too_wide_at_any_width() {
        let english = "Questions go in as SQL; what comes out is a picture of many, never of one.";
        let chinese = "进去的是用 SQL 写的问题，出来的是众人的影像，从不是某一个人的。";
        let squeezed = |text: &str| text.replace(' ', "");
        for columns in 1..100 {
            for text in [english, chinese] {
                let lines = lines(text, columns);
                assert_eq!(squeezed(&lines.concat()), squeezed(text), "{columns}");
                let is_fine = |line: &String| width(line) <= columns || pieces(line).len() == 1;
                assert!(lines.iter().all(is_fine), "{columns}: {lines:?}");
            }
        }
    }

    #[test]
    fn further_lines_stand_below_the_first() {
        assert_eq!(indented("  help: ", "name a column", 14), ["  help: name a", "        column"]);
        assert_eq!(indented("  建议：", "改用分组", 12), ["  建议：改用", "        分组"]);
    }
}
