//! Breaks a passage into lines of a terminal, where Chinese characters are two columns wide and break anywhere.
//! It knows the story's texts, not Unicode at large.

/// Whether a character is two columns wide: ideographs, full-width forms and Chinese punctuation.
fn is_wide(character: char) -> bool {
    matches!(character, '\u{2E80}'..='\u{A4CF}' | '\u{F900}'..='\u{FAFF}' | '\u{FE30}'..='\u{FE4F}' | '\u{FF00}'..='\u{FF60}')
}

/// Punctuation that no line begins with.
fn closes(character: char) -> bool {
    matches!(character, '，' | '。' | '、' | '；' | '：' | '？' | '！' | '）' | '”' | '》')
}

fn width(text: &str) -> usize {
    text.chars().map(|character| if is_wide(character) { 2 } else { 1 }).sum()
}

/// The lines of a passage, none wider than `columns` unless a single word is.
#[must_use]
pub fn lines(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for piece in pieces(text) {
        let piece = if line.is_empty() { piece.trim_start() } else { piece.as_str() };
        if !line.is_empty() && width(&line) + width(piece.trim_end()) > columns {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
        }
        line.push_str(if line.is_empty() { piece.trim_start() } else { piece });
    }
    if !line.trim_end().is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// The pieces between which a line may break: words with the space after them, single ideographs with the mark after them.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut open = false;
    for character in text.chars() {
        match pieces.last_mut() {
            Some(last) if closes(character) || character == ' ' || (open && !is_wide(character)) => {
                last.push(character)
            }
            _ => pieces.push(String::from(character)),
        }
        open = !is_wide(character) && character != ' ';
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::lines;

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
}
