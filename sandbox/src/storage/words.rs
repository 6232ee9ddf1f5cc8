//! Words that people and programs put where no value is: for a missing value, below a column of figures, under a table.
//! It knows fixed words only; where a cell's type can hold the word as a value, the word is the value.

/// Words for a missing value, lower case.
const MISSING: &[&str] = &[
    "null",
    "(null)",
    "<null>",
    "[null]",
    "\\n",
    "nil",
    "none",
    "nan",
    "n/a",
    "na",
    "#n/a",
    "<na>",
    "nat",
    "-",
    "--",
    "---",
    "—",
    "——",
    "/",
    "\\",
    "无",
    "暂无",
    "空",
    "不详",
    "未知",
    "未填",
    "未填写",
    "缺失",
];

/// Labels of the line below a column of figures, lower case, without white space.
const TOTALS: &[&str] =
    &["合计", "总计", "小计", "共计", "累计", "总和", "total", "totals", "grandtotal", "subtotal", "sum"];

/// Beginnings of the lines under a table, lower case; a colon follows.
const SIGNATURES: &[&str] = &[
    "制表",
    "填表",
    "填报",
    "审核",
    "复核",
    "审批",
    "经办",
    "负责",
    "统计",
    "统计负责",
    "单位负责",
    "联系",
    "联系电话",
    "打印",
    "导出",
    "数据来源",
    "备注",
    "说明",
    "注",
    "prepared by",
    "checked by",
    "signed",
    "source",
    "note",
    "notes",
];

/// Words that may stand between such a beginning and the colon.
const SIGNED_BY: &[&str] = &["人", "人员", "者", "单位", "机构", "部门", "日期", "时间", "意见"];

/// True if the text is a word for a missing value.
pub(crate) fn is_missing(text: &str) -> bool {
    let text = text.trim();
    // The longest word has nine bytes.
    text.len() <= 12 && MISSING.contains(&text.to_lowercase().as_str())
}

/// True if the text labels a line of totals or a signature.
pub(crate) fn is_below_table(text: &str) -> bool {
    let compact: String = text.chars().take(64).filter(|c| !c.is_whitespace()).collect();
    let compact = compact.to_lowercase();
    let name = compact.trim_end_matches([':', '：']);
    if TOTALS.contains(&name) {
        return true;
    }
    let text = text.trim().to_lowercase();
    let Some((before, _)) = text.split_once([':', '：']) else { return false };
    let before = before.trim();
    let is_word = |rest: &str| rest.is_empty() || SIGNED_BY.contains(&rest);
    SIGNATURES.iter().any(|word| before.strip_prefix(word).is_some_and(is_word))
}

#[cfg(test)]
mod tests {
    use super::is_below_table;
    use super::is_missing;

    #[test]
    fn words_for_a_missing_value_are_known_in_any_case() {
        for text in ["NULL", "\\N", "-", " n/a ", "暂无", "NaN", "None"] {
            assert!(is_missing(text), "{text}");
        }
        for text in ["", "0", "no", "N", "10000", "无锡", "nullable"] {
            assert!(!is_missing(text), "{text}");
        }
    }

    #[test]
    fn totals_and_signatures_are_known_by_what_they_are_called() {
        for text in ["合计", "合 计：", "Total", "制表人：某某", "审核: x", "Prepared by: x"] {
            assert!(is_below_table(text), "{text}");
        }
        for text in ["", "10000", "合计户", "制表人", "Totalling", "注册号：1234", "sum of parts"] {
            assert!(!is_below_table(text), "{text}");
        }
    }
}
