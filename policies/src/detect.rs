//! Suggestions for an unlabelled file: what a column's values seem to mean, and the labels that follow.
//! A suggestion is a proposal to a steward. It may raise a grade that was given, never lower it.

use std::collections::BTreeSet;

use crate::identifiers::half_width;
use crate::vocabulary::DataType;
use crate::vocabulary::Level;
use crate::vocabulary::Role;
use crate::vocabulary::Semantic;
use crate::vocabulary::Text;

mod hints;
mod values;

use hints::Meaning;

/// Most samples that are looked at.
pub const SAMPLES_MAX: usize = 1_000;

/// Share of the samples, in percent, that must pass a check before values alone speak for a meaning.
const BY_VALUES_PERCENT: usize = 80;

/// Share that is enough when the column's name says the same.
const BY_NAME_PERCENT: usize = 50;

/// Share from which a direct identifier among other text makes the whole column one.
const TRACE_PERCENT: usize = 5;

/// A proposal for one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// Meaning that the values seem to have.
    pub semantic: Option<Semantic>,
    /// Role.
    pub role: Role,
    /// Level on the common ladder.
    pub grade: Level,
    /// Physical type.
    pub data_type: DataType,
    /// Confidence in the proposal, in percent.
    pub confidence_percent: u8,
    /// Prefixes of the values mean something.
    pub coded: bool,
    /// Reason for the proposal.
    pub reason: Text,
}

impl Suggestion {
    /// The stricter of the suggested grade and one that was given.
    #[must_use]
    pub fn grade_over(&self, given: Option<Level>) -> Level {
        given.map_or(self.grade, |given| given.max(self.grade))
    }
}

/// Suggests labels for a column from its name and some of its values.
#[must_use]
pub fn suggest_column(name: &str, samples: &[&str]) -> Suggestion {
    let samples: Vec<String> =
        samples.iter().take(SAMPLES_MAX).map(|raw| half_width(raw)).filter(|text| !text.is_empty()).collect();
    let hinted = hints::meaning(name);
    if let Some(suggestion) = by_values(hinted, &samples) {
        return suggestion;
    }
    let data_type = values::data_type(&samples, hinted);
    if let Some(meaning) = hinted.filter(|meaning| meaning.agrees_with(data_type)) {
        let confidence = if meaning.has_check() && !samples.is_empty() { 40 } else { 60 };
        let reason = Text::new(
            format!("the name `{name}` suggests {}", meaning.word()),
            format!("列名 `{name}` 提示为 {}", meaning.word()),
        );
        return labelled(meaning, &samples, confidence, reason);
    }
    unknown(data_type, &samples)
}

/// Values that pass a check speak for themselves, under any column name.
fn by_values(hinted: Option<Meaning>, samples: &[String]) -> Option<Suggestion> {
    if samples.is_empty() {
        return None;
    }
    let mut best: Option<(usize, Meaning)> = None;
    for meaning in Meaning::CHECKED {
        let passed = samples.iter().filter(|text| values::passes(*meaning, text)).count();
        let percent = passed * 100 / samples.len();
        let enough = match hinted {
            Some(hint) if hint == *meaning => percent >= BY_NAME_PERCENT,
            _ if meaning.speaks_for_itself() => percent >= BY_VALUES_PERCENT,
            _ => false,
        };
        // The first of equals wins: the list begins with the strictest checks.
        if enough && best.is_none_or(|(share, _)| percent > share) {
            best = Some((percent, *meaning));
        }
    }
    if let Some((percent, meaning)) = best {
        let reason = Text::new(
            format!("{percent} % of the samples have the form of {}", meaning.word()),
            format!("{percent}% 的样本符合 {} 的格式", meaning.word()),
        );
        return Some(labelled(meaning, samples, u8::try_from(percent).unwrap_or(100), reason));
    }
    traces(samples)
}

/// Identifiers scattered in text: the column is free text, and as strict as what was found in it.
fn traces(samples: &[String]) -> Option<Suggestion> {
    let found = samples.iter().filter(|text| values::holds_identifier(text)).count();
    let percent = found * 100 / samples.len();
    (percent >= TRACE_PERCENT || found >= 3).then(|| {
        let reason = Text::new(
            "identity, mobile or card numbers occur in the text",
            "文本中出现身份证号、手机号或银行卡号",
        );
        labelled(Meaning::FreeText, samples, 90, reason)
    })
}

fn labelled(meaning: Meaning, samples: &[String], confidence_percent: u8, reason: Text) -> Suggestion {
    let labels = meaning.labels();
    Suggestion {
        semantic: meaning.semantic(),
        role: labels.role,
        grade: labels.grade,
        data_type: values::data_type(samples, Some(meaning)),
        confidence_percent,
        coded: labels.coded,
        reason,
    }
}

/// Nothing is known about the meaning: types and repetition decide, and doubt goes to the stricter side.
fn unknown(data_type: DataType, samples: &[String]) -> Suggestion {
    let distinct = samples.iter().collect::<BTreeSet<_>>().len();
    let repeats = samples.len() >= 20 && distinct * 5 <= samples.len();
    let long = samples.iter().filter(|text| text.chars().count() > 40).count() * 2 > samples.len();
    let (role, en, zh) = match data_type {
        DataType::Text if samples.is_empty() => {
            (Role::Identifier, "there is no value to look at", "没有可供判断的样本")
        }
        DataType::Text if repeats && !long => (Role::Dimension, "few values repeat", "取值少且重复"),
        DataType::Text => {
            (Role::Identifier, "texts that hardly repeat may name somebody", "文本很少重复，可能指向个人")
        }
        DataType::Bool => (Role::Dimension, "there are two values", "只有两个取值"),
        DataType::Date | DataType::Timestamp => (Role::Dimension, "the values are dates", "取值为日期"),
        DataType::Int if repeats => (Role::Dimension, "few numbers repeat", "数值少且重复"),
        DataType::Int | DataType::Decimal { .. } | DataType::Float => {
            (Role::Measure, "the values are numbers", "取值为数值")
        }
    };
    let grade = if role == Role::Identifier { Level(4) } else { Level(3) };
    Suggestion {
        semantic: None,
        role,
        grade,
        data_type,
        confidence_percent: 30,
        coded: false,
        reason: Text::new(en, zh),
    }
}

#[cfg(test)]
mod tests;
