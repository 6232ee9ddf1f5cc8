//! The forms that values of documents must have, in fixed phrases of both languages.
//! A reader of YAML passes on English text alone, so a phrase is found again by it; nothing here reads a document.

/// The masks that documents may name, in English.
macro_rules! masks_en {
    () => {
        "`redact` or one of {partial}, {token}, {bin}, {bin_years}, {date_trunc}, {date_shift}, {hierarchy, level}, \
         {top_bottom}, {round}, {format_preserving}"
    };
}

/// The masks that documents may name, in Chinese.
macro_rules! masks_zh {
    () => {
        "`redact`，或下列之一：{partial}、{token}、{bin}、{bin_years}、{date_trunc}、{date_shift}、{hierarchy, level}、\
         {top_bottom}、{round}、{format_preserving}"
    };
}

/// Declares the phrases: each in English and in Chinese.
macro_rules! phrases {
    ($( $(#[$meta:meta])* $name:ident = $english:expr, $chinese:expr; )+) => {
        /// A fixed phrase about the form of a value.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Phrase {
            $( $(#[$meta])* $name ),+
        }

        impl Phrase {
            /// Every phrase.
            const ALL: &'static [Self] = &[$( Self::$name ),+];

            /// The phrase in English and in Chinese.
            const fn told(self) -> (&'static str, &'static str) {
                match self { $( Self::$name => ($english, $chinese) ),+ }
            }
        }
    };
}

phrases! {
    /// The form of a code.
    Code = "a code: lower-case letters, digits and single `-`, beginning with a letter, at most 64",
        "代码：由小写字母、数字和单个 `-` 组成，以字母开头，最多 64 个字符";
    /// The form of a name in SQL.
    Name = "a name: lower-case letters, digits and `_`, beginning with a letter, at most 63",
        "名称：由小写字母、数字和 `_` 组成，以字母开头，最多 63 个字符";
    /// The form of a dataset's identifier.
    Dataset = "a dataset: `department.name`, such as `hz-health.outpatient_visits`",
        "数据集标识：写作 `department.name`（部门.名称），如 `hz-health.outpatient_visits`";
    /// The form of hours.
    Hours = "08:00-20:00 (the beginning before the end)", "08:00-20:00（起始在前）";
    /// No date.
    NotADate = "not a date like 2026-12-01", "不是形如 2026-12-01 的日期";
    /// No month.
    NotAMonth = "a month is written YYYY-MM, such as 2026-12", "月份须写作 YYYY-MM，如 2026-12";
    /// The form of a decimal number.
    Decimal = "a decimal number with at most 6 places", "最多 6 位小数的数";
    /// No decimal number.
    NotADecimal = "not a decimal number with at most 6 places", "不是最多 6 位小数的数";
    /// The form of a threshold.
    Subjects = "a number of subjects, or numbers by unit such as {resident: 10}",
        "主体数，或按主体类型分别规定，如 {resident: 10}";
    /// A threshold above what is counted.
    TooManySubjects = "too many subjects", "主体数过大";
    /// A threshold below zero.
    NotSubjects = "not a number of subjects", "不是主体数";
    /// The form of named noise.
    Perturbation = "`auto`, or a deviation such as {deviation: 8}", "`auto`，或标准差，如 {deviation: 8}";
    /// Another word than `auto`.
    NotAPerturbation = "expected `auto`, or a deviation such as {deviation: 8}",
        "须为 `auto`，或标准差，如 {deviation: 8}";
    /// The form of a list that may be left open.
    AnyOrList = "`any` or a list", "`any` 或列表";
    /// Another word than `any`.
    NotAnyOrList = "expected `any` or a list", "须为 `any` 或列表";
    /// The form of privacy units.
    Units = "`none` or a list of units such as [{kind: resident, column: person_id}]",
        "`none` 或主体列表，如 [{kind: resident, column: person_id}]";
    /// Another word than `none`.
    NotUnits = "expected `none` or a list of units such as [{kind: resident, column: person_id}]",
        "须为 `none` 或主体列表，如 [{kind: resident, column: person_id}]";
    /// A text in neither language.
    TextMissing = "a text needs `zh`, `en` or both", "文本须写明 `zh`、`en` 或两者皆有";
    /// The form of a mask.
    Mask = masks_en!(), masks_zh!();
    /// No mask, or several.
    NotAMask = concat!("a mask is ", masks_en!()), concat!("脱敏须为 ", masks_zh!());
    /// Another word than `redact`.
    UnknownMask = concat!("unknown mask; a mask is ", masks_en!()), concat!("没有这种脱敏；脱敏须为 ", masks_zh!());
    /// A hierarchy without a level.
    LevelMissing = "a hierarchy mask needs its `level`", "hierarchy 脱敏须写明 `level`（层级）";
    /// A level without a hierarchy.
    LevelAlone = "`level` belongs to a hierarchy mask", "`level` 只用于 hierarchy 脱敏";
    /// A top without bands.
    TopAlone = "`top` belongs to a bin_years mask", "`top` 只用于 bin_years 脱敏";
}

impl Phrase {
    /// The phrase in English.
    pub(crate) const fn english(self) -> &'static str {
        self.told().0
    }

    /// The phrase in Chinese.
    pub(crate) const fn chinese(self) -> &'static str {
        self.told().1
    }

    /// Finds a phrase by its English text.
    pub(crate) fn of(english: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|phrase| phrase.english() == english)
    }
}

impl std::fmt::Display for Phrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.english())
    }
}

/// Says in Chinese what would be accepted: a phrase, a kind of value, or the words themselves.
pub(crate) fn accepted_in_chinese(accepted: &str) -> String {
    let accepted = accepted.strip_prefix("one of ").unwrap_or(accepted);
    if let Some(phrase) = Phrase::of(accepted) {
        return phrase.chinese().to_owned();
    }
    let kind = match accepted {
        "a string" | "string" | "a borrowed string" => Some("文本"),
        "a boolean" | "boolean" | "bool" => Some("true 或 false"),
        "a sequence" | "sequence" => Some("列表"),
        "a map" | "map" | "mapping" => Some("由字段组成的映射"),
        "u8" | "u16" | "u32" | "u64" | "usize" => Some("不小于零的整数"),
        "i8" | "i16" | "i32" | "i64" | "isize" => Some("整数"),
        _ if accepted.starts_with("struct ") => Some("由字段组成的映射"),
        _ if accepted.starts_with("tuple ") => Some("列表"),
        _ => None,
    };
    kind.map_or_else(|| accepted.replace(", ", "、"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Phrase;

    #[test]
    fn every_phrase_is_found_by_its_english_text() {
        let texts: BTreeSet<&str> = Phrase::ALL.iter().map(|phrase| phrase.english()).collect();
        assert_eq!(texts.len(), Phrase::ALL.len(), "no two phrases have the same text");
        for phrase in Phrase::ALL {
            assert_eq!(Phrase::of(phrase.english()), Some(*phrase));
        }
    }

    #[test]
    fn every_phrase_says_the_same_in_chinese() {
        let quoted = |text: &'static str| text.split('`').skip(1).step_by(2).collect::<BTreeSet<&str>>();
        for phrase in Phrase::ALL {
            let (english, chinese) = (phrase.english(), phrase.chinese());
            assert!(chinese.contains(|c: char| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{chinese}");
            assert_eq!(quoted(english), quoted(chinese));
        }
    }
}
