//! Messages of the YAML reader about malformed documents, in Chinese. The reader passes on English text, its own and that of
//! our types; what is recognised is translated, and everything else is said to be malformed at the same place.

use crate::form::Phrase;
use crate::vocabulary::IdentifierError;

/// Says in Chinese what the reader says in English.
pub(super) fn in_chinese(message: &str) -> String {
    if let Some(phrase) = Phrase::of(message) {
        return phrase.chinese().to_owned();
    }
    if let Some(identifier) = IdentifierError::chinese_of(message) {
        return identifier;
    }
    let rest_after = |prefix: &str| message.strip_prefix(prefix);
    if let Some(name) = rest_after("unknown field ") {
        return format!("没有字段 {name}");
    }
    if let Some(name) = rest_after("missing field ") {
        return format!("缺少字段 {name}");
    }
    if let Some(rest) = rest_after("duplicate mapping key") {
        let key = rest.strip_prefix(": ").and_then(|rest| rest.rsplit_once(", set "));
        return key.map_or_else(|| "字段重复出现".to_owned(), |(key, _)| format!("字段 {key} 重复出现"));
    }
    if let Some(value) = rest_after("invalid type: ") {
        return format!("类型不符：写的是{}", value_in_chinese(value));
    }
    if let Some(value) = rest_after("invalid value: ") {
        return format!("取值不符：写的是{}", value_in_chinese(value));
    }
    if let Some(count) = rest_after("invalid length ") {
        return format!("个数不符：写了 {count} 个");
    }
    if message.starts_with("invalid ") {
        return "取值不是此字段的类型".to_owned();
    }
    if message.starts_with("budget breached") {
        return "超出读取文档的上限".to_owned();
    }
    // A word that is not in one of our vocabularies: `unknown role `x``.
    match message.strip_prefix("unknown ").and_then(|rest| rest.find('`').and_then(|at| rest.get(at..))) {
        Some(word) => format!("取值 {word} 无效"),
        None => "此处不符合 YAML 的格式".to_owned(),
    }
}

/// The Chinese noun of a value that the reader has found.
fn value_in_chinese(value: &str) -> String {
    let nouns = [
        ("string ", "文本 "),
        ("integer ", "整数 "),
        ("floating point ", "小数 "),
        ("boolean ", "布尔值 "),
        ("character ", "字符 "),
    ];
    for (english, chinese) in nouns {
        if let Some(shown) = value.strip_prefix(english) {
            return format!("{chinese}{shown}");
        }
    }
    match value {
        "sequence" => "列表",
        "map" => "映射",
        "unit value" | "null" => "空值",
        _ => "其他值",
    }
    .to_owned()
}
