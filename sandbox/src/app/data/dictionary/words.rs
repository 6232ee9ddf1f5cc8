//! Masks and edges in words, in both languages. It decides nothing.

use obscura_policies::Text;
use obscura_policies::day::DatePart;
use obscura_policies::fixed::Fixed;
use obscura_policies::mask::Mask;
use obscura_query_guard::dictionary::Edges;

/// The part of each value that is seen under a mask.
pub(super) fn mask(mask: &Mask) -> Text {
    match mask {
        Mask::Redact => Text::new("no value is shown", "不显示取值"),
        Mask::Partial { keep_first, keep_last } => Text::new(
            format!("the first {keep_first} and the last {keep_last} characters"),
            format!("前 {keep_first} 位与后 {keep_last} 位"),
        ),
        Mask::Token { .. } => Text::new("a pseudonym", "假名"),
        Mask::Bin { width } => Text::new(format!("in steps of {width}"), format!("每 {width} 一档")),
        Mask::BinYears { years, top: None } => {
            Text::new(format!("in bands of {years} years"), format!("每 {years} 年一段"))
        }
        Mask::BinYears { years, top: Some(top) } => Text::new(
            format!("in bands of {years} years, from age {top} in one"),
            format!("每 {years} 年一段，{top} 岁及以上合为一段"),
        ),
        Mask::DateTrunc { part } => Text::new(format!("by {part}"), format!("精确到{}", part_zh(*part))),
        Mask::DateShift { per, days_max } => Text::new(
            format!("moved by up to {days_max} days, the same for all dates of one {per}"),
            format!("同一 {per} 的日期整体平移至多 {days_max} 天"),
        ),
        Mask::Hierarchy(level) => Text::new(
            format!("by {} of {}", level.level(), level.name()),
            format!("{} 的 {} 级", level.name(), level.level()),
        ),
        Mask::TopBottom { bottom, top } => {
            let Text { en, zh } = limits(*bottom, *top);
            Text::new(format!("shown as {en}"), format!("显示值{zh}"))
        }
        Mask::Round { step } => Text::new(format!("rounded to {step}"), format!("四舍五入到 {step} 的倍数")),
        Mask::FormatPreserving { .. } => Text::new("a pseudonym of the same form", "保持格式的假名"),
    }
}

fn limits(bottom: Option<Fixed>, top: Option<Fixed>) -> Text {
    match (bottom, top) {
        (Some(bottom), Some(top)) => Text::new(
            format!("at least {bottom} and at most {top}"),
            format!("不低于 {bottom}，不高于 {top}"),
        ),
        (Some(bottom), None) => Text::new(format!("at least {bottom}"), format!("不低于 {bottom}")),
        (None, Some(top)) => Text::new(format!("at most {top}"), format!("不高于 {top}")),
        (None, None) => Text::new("any value", "不限"),
    }
}

/// The values that a column may be compared with; nothing where any may.
pub(super) fn edges(edges: &Edges) -> Option<Text> {
    Some(match edges {
        Edges::Any => return None,
        Edges::Steps { step, from, to } => steps(*step, *from, *to),
        Edges::Between { bottom, top } => {
            let Text { en, zh } = limits(*bottom, *top);
            Text::new(format!("compared with values that are {en}"), format!("比较值须{zh}"))
        }
        Edges::Parts(part) => Text::new(
            format!("compared with the beginning of a {part}"),
            format!("比较值须为{}的起点", part_zh(*part)),
        ),
        Edges::Years(1) => Text::new("compared with January 1", "比较值须为 1 月 1 日"),
        Edges::Years(years) => Text::new(
            format!("compared with January 1 of years that are multiples of {years}"),
            format!("比较值须为年份是 {years} 的倍数的 1 月 1 日"),
        ),
        Edges::Shown => Text::new("compared by = with what is shown", "只能与显示的取值作相等比较"),
        Edges::Nothing => Text::new("not compared", "不可比较"),
    })
}

fn steps(step: Fixed, from: Fixed, to: Option<Fixed>) -> Text {
    let (to_en, to_zh) = match to {
        Some(to) => (format!(" up to {to}"), format!("，至 {to}")),
        None => Default::default(),
    };
    if from == Fixed::ZERO {
        Text::new(
            format!("compared by < and >= at multiples of {step}{to_en}"),
            format!("以 < 与 >= 在 {step} 的倍数处比较{to_zh}"),
        )
    } else {
        Text::new(
            format!("compared by < and >= at {from} and every {step} from there{to_en}"),
            format!("以 < 与 >= 自 {from} 起每 {step} 处比较{to_zh}"),
        )
    }
}

const fn part_zh(part: DatePart) -> &'static str {
    match part {
        DatePart::Hour => "小时",
        DatePart::Day => "日",
        DatePart::Week => "周",
        DatePart::Month => "月",
        DatePart::Quarter => "季度",
        DatePart::Year => "年",
    }
}
