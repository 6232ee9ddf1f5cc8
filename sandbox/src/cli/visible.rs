//! Text that is safe on a terminal: it moves no cursor, hides nothing and turns no line around, even if an attacker wrote
//! it.
//! Each control character is replaced by one as long, so that places in the text stay where they are.

use std::borrow::Cow;

/// A text of lines: line ends and tabs stay; other control characters and invisible ones are replaced.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| !is_unseen(c)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars().map(|c| if is_unseen(c) { substitute(c) } else { Cow::Owned(c.into()) }).collect(),
    )
}

/// A text of one line: a server's text must not look like a further line of ours.
pub(crate) fn visible_line(text: &str) -> String {
    visible(text).replace(['\n', '\t'], " ")
}

/// A visible text of the same number of bytes.
fn substitute(c: char) -> Cow<'static, str> {
    Cow::Borrowed(match (c, c.len_utf8()) {
        // The ends of lines that Windows writes.
        ('\r', _) => " ",
        (_, 1) => "?",
        (_, 2) => "\u{00b7}",
        (_, 3) => "\u{fffd}",
        _ => "\u{fffd}?",
    })
}

/// Control characters, and characters of Unicode that take no place or turn around the text after them.
fn is_unseen(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{00ad}'
        | '\u{034f}'
        | '\u{0600}'..='\u{0605}'
        | '\u{061c}'
        | '\u{06dd}'
        | '\u{070f}'
        | '\u{0890}'..='\u{0891}'
        | '\u{08e2}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}'
        | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e007f}' => true,
        other => other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_seen_and_takes_as_many_bytes() {
        for (text, shown) in [
            ("\u{1b}[2J\u{1b}]0;mine\u{7}", "?[2J?]0;mine?"),
            ("a\u{7f}\u{9b}31m", "a?·31m"),
            ("select\r\n\t1", "select \n\t1"),
            ("to\u{202e}txt\u{2066}\u{200b}\u{feff}", "to\u{fffd}txt\u{fffd}\u{fffd}\u{fffd}"),
            ("\u{e0041}", "\u{fffd}?"),
        ] {
            assert_eq!(visible(text), shown);
            assert_eq!(visible(text).len(), text.len());
        }
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["", "select 1", "用途：官方统计 – 100 %", "żółć, naïve, 한국어, عربي", "─┼│\n\tx"]
        {
            assert!(matches!(visible(text), Cow::Borrowed(shown) if shown == text), "{text}");
        }
    }

    #[test]
    fn a_line_stays_one() {
        assert_eq!(visible_line("no\nerror[x]: yes\u{1b}c"), "no error[x]: yes?c");
    }
}
