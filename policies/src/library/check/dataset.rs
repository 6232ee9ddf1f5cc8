//! Checks of datasets: known department and scheme, columns that make sense, units whose columns exist.
//! The data itself is checked when it is sealed.

use std::collections::BTreeSet;

use crate::document::Column;
use crate::document::ColumnOf;
use crate::document::Dataset;
use crate::document::Layout;
use crate::document::Range;
use crate::document::Registration;
use crate::document::TypeWord;
use crate::library::Library;
use crate::library::check::DATASET;
use crate::library::check::DEPARTMENT;
use crate::library::check::Findings;
use crate::library::check::GRADE_SCHEME;
use crate::library::check::accepted;
use crate::vocabulary::Role;
use crate::vocabulary::Text;

/// Most decimal places: sealed decimals have 18 digits.
const SCALE_MAX: u8 = 18;

pub(super) fn check(library: &Library, dataset: &Dataset, findings: &mut Findings<'_>) {
    if dataset.metadata.id.department() != dataset.department.as_str() {
        let message = Text::new("the identifier begins with another department", "标识不以本部门的代码开头");
        let help = Text::new(
            format!("accepted: {}.{}", dataset.department, dataset.metadata.id.name()),
            format!("可用：{}.{}", dataset.department, dataset.metadata.id.name()),
        );
        findings.add("department-differs", "metadata.id", message, help);
    }
    findings.found(DEPARTMENT, library.departments(), &dataset.department, "department");
    if findings.found(GRADE_SCHEME, library.schemes(), &dataset.scheme, "scheme").is_some()
        && let Some(grade) = &dataset.membership
    {
        check_grade(library, dataset, grade, "membership", findings);
    }
    if dataset.columns.is_empty() {
        findings.add(
            "columns-missing",
            "columns",
            Text::new("the dataset has no column", "数据集没有字段"),
            Text::new("accepted: one column and more", "可用：至少一个字段"),
        );
    }
    let mut names = BTreeSet::new();
    for (index, column) in dataset.columns.iter().enumerate() {
        let field = format!("columns[{index}]");
        if !names.insert(&column.name) {
            let message = Text::new(
                format!("the column `{}` is there twice", column.name),
                format!("字段 `{}` 重复出现", column.name),
            );
            findings.add("column-twice", &format!("{field}.name"), message, None);
        }
        check_column(library, dataset, column, &field, findings);
    }
    if dataset.covers.is_some_and(|covers| !covers.is_in_order()) {
        let message = Text::new("the last month is before the first", "末月早于首月");
        findings.add(
            "months-reversed",
            "covers",
            message,
            Text::new("accepted: {from: 2025-01, until: 2025-12}", "可用：{from: 2025-01, until: 2025-12}"),
        );
    }
    check_units(dataset, findings);
    if dataset.usual_rows == Some(0) {
        let message = Text::new("noise of no rows hides nobody", "噪声的尺度为零行，不能隐藏任何主体");
        let help = Text::new("accepted: 1 and more", "可用：1 及以上");
        findings.add("limit-zero", "usual_rows", message, help);
    }
    check_usual_rows_in(dataset, findings);
    let has_subjects = dataset.units.iter().any(|unit| unit.protects);
    if dataset.layout == Some(Layout::Clustered) && !has_subjects {
        let message = Text::new(
            "rows are clustered by a protected unit, and there is none",
            "按主体聚集须有受保护的主体，而此处没有",
        );
        findings.add("layout-unfit", "layout", message, Text::new("accepted: arrival", "可用：arrival"));
    }
}

fn check_grade(library: &Library, dataset: &Dataset, grade: &str, field: &str, findings: &mut Findings<'_>) {
    let Some(scheme) = library.schemes().get(&dataset.scheme) else { return };
    match scheme.levels.iter().find(|level| level.code == grade) {
        None => {
            let message = Text::new(
                format!("`{}` has no grade `{grade}`", dataset.scheme),
                format!("`{}` 中没有分级 `{grade}`", dataset.scheme),
            );
            findings.add("grade-not-found", field, message, accepted(scheme.levels.iter().map(|l| &l.code)));
        }
        Some(level) if level.registration == Registration::Refused => {
            let message = Text::new(
                format!("data of grade `{grade}` may not be registered"),
                format!("分级为 `{grade}` 的数据不得登记"),
            );
            findings.add(
                "registration-refused",
                field,
                message,
                Text::new("keep such data where it is", "此类数据请留在原处"),
            );
        }
        Some(_) => {}
    }
}

fn check_column(
    library: &Library,
    dataset: &Dataset,
    column: &Column,
    field: &str,
    findings: &mut Findings<'_>,
) {
    if let Some(grade) = &column.grade {
        check_grade(library, dataset, grade, &format!("{field}.grade"), findings);
    }
    match (column.data_type, column.scale) {
        (TypeWord::Decimal, None) => {
            findings.add(
                "scale-missing",
                field,
                Text::new("a decimal needs its `scale`", "decimal 类型须写明 `scale`（小数位数）"),
                Text::new("accepted: scale from 0 to 18", "可用：scale 为 0 至 18"),
            );
        }
        (TypeWord::Decimal | TypeWord::Float, Some(scale)) if scale > SCALE_MAX => {
            let message = Text::new("there are not so many places", "小数位数过多");
            findings.add(
                "scale-unfit",
                &format!("{field}.scale"),
                message,
                Text::new("accepted: scale from 0 to 18", "可用：scale 为 0 至 18"),
            );
        }
        (TypeWord::Decimal | TypeWord::Float, _) | (_, None) => {}
        (_, Some(_)) => {
            let message = Text::new(
                "only decimals and floats have a `scale`",
                "只有 decimal 和 float 类型可以写 `scale`（小数位数）",
            );
            findings.add("scale-unfit", &format!("{field}.scale"), message, None);
        }
    }
    if column.role == Role::Measure && !column.physical_type().is_numeric() {
        let message = Text::new("a measure is a number", "度量须为数值");
        findings.add(
            "role-unfit",
            &format!("{field}.role"),
            message,
            Text::new("accepted types: int, decimal, float", "可用的类型：int、decimal、float"),
        );
    }
    if column.coded && column.data_type != TypeWord::Text {
        let help =
            Text::new("accepted: type text, so that leading zeros stay", "可用：类型 text，以保留前导零");
        findings.add(
            "coded-unfit",
            &format!("{field}.coded"),
            Text::new("codes are text", "编码须为文本"),
            help,
        );
    }
    if column.role == Role::UnitKey && dataset.unit_of(&column.name).is_none() {
        let message = Text::new("no unit names this key", "没有主体以此字段为键");
        findings.add(
            "unit-missing",
            &format!("{field}.role"),
            message,
            Text::new("accepted: an entry under `units`", "可用：在 `units` 下增加一项"),
        );
    }
    if let Some(domain) = &column.domain {
        let distinct: BTreeSet<_> = domain.iter().collect();
        if domain.is_empty() || distinct.len() != domain.len() {
            let message = Text::new("the domain is empty or has a value twice", "值域为空，或有重复的值");
            findings.add("domain-unfit", &format!("{field}.domain"), message, None);
        }
    }
    if let Some(of) = &column.domain_of {
        check_domain_of(library, column, of, &format!("{field}.domain_of"), findings);
    }
    check_range(column, field, findings);
}

/// One column of time states usual rows: a row has a day of each such column, and one scale.
fn check_usual_rows_in(dataset: &Dataset, findings: &mut Findings<'_>) {
    let mut stating = dataset.columns.iter().enumerate().filter(|(_, column)| column.usual_rows.is_some());
    let Some((at, column, usual)) =
        stating.next().and_then(|(at, column)| Some((at, column, column.usual_rows?)))
    else {
        return;
    };
    let field = format!("columns[{at}].usual_rows");
    if !matches!(column.data_type, TypeWord::Date | TypeWord::Timestamp) {
        let message = Text::new("only days and moments lie in months", "只有日期和时间才落在某个月份内");
        findings.add(
            "range-unfit",
            &field,
            message,
            Text::new("accepted types: date, timestamp", "可用的类型：date、timestamp"),
        );
    }
    let whole = dataset.usual_rows.unwrap_or(u32::MAX);
    if usual.day == 0 || usual.day > usual.month || usual.month > whole {
        let message = Text::new(
            "a day has no more rows than its month, and a month no more than all",
            "一天的行数不多于当月，一个月的行数不多于全部",
        );
        let help = Text::new(
            "accepted: 1 <= day <= month <= `usual_rows`",
            "可用：1 <= day <= month <= `usual_rows`",
        );
        findings.add("range-unfit", &field, message, help);
    }
    if let Some((at, _)) = stating.next() {
        let message = Text::new(
            "another column states the usual rows of a month and a day",
            "另一个字段已写明每月、每日的通常行数",
        );
        findings.add("range-unfit", &format!("columns[{at}].usual_rows"), message, None);
    }
}

/// A list of values that not everybody may have would be told by every refusal that rests on it.
fn check_domain_of(
    library: &Library,
    column: &Column,
    of: &ColumnOf,
    field: &str,
    findings: &mut Findings<'_>,
) {
    let help = || {
        Text::new(
            "accepted: a text column of the open grade, of a dataset without units that is open without condition",
            "可用：无条件开放、不含主体的数据集中开放级别的 text 字段",
        )
    };
    if column.domain.is_some() || column.data_type != TypeWord::Text {
        let message = Text::new(
            "a text column has `domain` or `domain_of`, one of the two",
            "text 字段可以写 `domain` 或 `domain_of` 之一",
        );
        findings.add("domain-unfit", field, message, None);
    }
    let Some(dataset) = findings.found(DATASET, library.datasets(), &of.dataset, &format!("{field}.dataset"))
    else {
        return;
    };
    let is_text = |open: &Column| open.data_type == TypeWord::Text;
    if dataset.column(of.column.as_str()).is_none() {
        let message = Text::new(
            format!("`{}` has no column `{}`", of.dataset, of.column),
            format!("`{}` 中没有字段 `{}`", of.dataset, of.column),
        );
        let names = dataset.columns.iter().map(|column| column.name.to_string());
        findings.add("column-not-found", &format!("{field}.column"), message, accepted(names));
    } else if !library.published_column(of).is_some_and(is_text) {
        let message = Text::new(
            format!("`{}.{}` is no open text column", of.dataset, of.column),
            format!("`{}.{}` 不是开放的 text 字段", of.dataset, of.column),
        );
        findings.add("domain-unfit", field, message, help());
    }
}

fn check_range(column: &Column, field: &str, findings: &mut Findings<'_>) {
    let range_field = format!("{field}.range");
    let bins_field = format!("{field}.bins");
    let numeric = column.physical_type().is_numeric();
    if !numeric && (column.range.is_some() || column.bins.is_some() || column.usual.is_some()) {
        let help = Text::new("accepted types: int, decimal, float", "可用的类型：int、decimal、float");
        findings.add(
            "range-unfit",
            field,
            Text::new(
                "only numbers have a range, bins and a usual contribution",
                "只有数值可以有范围、区间和通常贡献",
            ),
            help,
        );
        return;
    }
    let Some(range) = column.range else {
        if column.bins.is_some() {
            findings.add(
                "range-missing",
                &bins_field,
                Text::new("bins need a range", "写区间宽度时须写范围"),
                Text::new("accepted: range: [0, 50000]", "可用：range: [0, 50000]"),
            );
        }
        if column.usual.is_some() {
            findings.add(
                "range-missing",
                &format!("{field}.usual"),
                Text::new("a usual contribution needs a range", "写通常贡献时须写范围"),
                Text::new("accepted: range: [0, 50000]", "可用：range: [0, 50000]"),
            );
        }
        return;
    };
    if range.0 >= range.1 {
        let help = Text::new("accepted: the smaller number first", "可用：较小的数在前");
        findings.add(
            "range-reversed",
            &range_field,
            Text::new("the range is reversed or empty", "范围颠倒或为空"),
            help,
        );
        return;
    }
    let fits = [range.0, range.1].iter().all(|edge| edge.to_scaled(column.sum_scale()).is_some());
    if !fits {
        let message = Text::new("an edge has more places than the column", "范围端点的小数位数多于字段");
        findings.add("range-unfit", &range_field, message, None);
    }
    check_usual(column, range, field, findings);
    let width = range.1.checked_sub(range.0);
    if let (Some(bins), Some(width)) = (column.bins, width)
        && !(width.is_multiple_of(bins) && range.0.is_multiple_of(bins))
    {
        // Steps of `floor(column / c) * c` count from zero: another grid would cut every bin in two.
        let message = Text::new(
            format!("bins of {bins} do not divide the range into steps from zero"),
            format!("宽度为 {bins} 的区间不能从零起整分该范围"),
        );
        findings.add(
            "bins-unfit",
            &bins_field,
            message,
            Text::new("accepted: a width that divides both ends of the range", "可用：能整除范围两端的宽度"),
        );
    }
}

/// Checks the usual contribution of a subject. Noise on a scale of zero hides nobody, and no contribution is above the range.
fn check_usual(column: &Column, range: Range, field: &str, findings: &mut Findings<'_>) {
    let Some(usual) = column.usual else { return };
    let field = format!("{field}.usual");
    let most = range.0.larger_abs(range.1);
    if !usual.is_positive() || usual > most {
        let message = Text::new(
            format!("a usual contribution of {usual} is not between zero and the larger end of the range"),
            format!("通常贡献 {usual} 不在零与范围较大一端之间"),
        );
        let help = Text::new(
            format!("accepted: a number above zero, up to {most}"),
            format!("可用：大于零且不超过 {most} 的数"),
        );
        findings.add("usual-unfit", &field, message, help);
    } else if usual.to_scaled(column.sum_scale()).is_none() {
        let message =
            Text::new("the usual contribution has more places than the column", "通常贡献的小数位数多于字段");
        findings.add("usual-unfit", &field, message, None);
    }
}

fn check_units(dataset: &Dataset, findings: &mut Findings<'_>) {
    let mut columns = BTreeSet::new();
    for (index, unit) in dataset.units.iter().enumerate() {
        let field = format!("units[{index}]");
        let column_field = format!("{field}.column");
        if !columns.insert(&unit.column) {
            let message = Text::new(
                format!("`{}` is the key of two units", unit.column),
                format!("`{}` 是两种主体的键", unit.column),
            );
            findings.add(
                "unit-twice",
                &column_field,
                message,
                Text::new("accepted: one key column for each unit", "可用：每种主体各用一个字段为键"),
            );
        }
        match dataset.column(unit.column.as_str()) {
            None => {
                let message = Text::new(
                    format!("the dataset has no column `{}`", unit.column),
                    format!("数据集没有字段 `{}`", unit.column),
                );
                let help = accepted(dataset.columns.iter().map(|c| &c.name));
                findings.add("unit-column-missing", &column_field, message, help);
            }
            Some(column) if unit.protects && column.role != Role::UnitKey => {
                let message = Text::new(
                    format!("`{}` is the key of a protected unit", unit.column),
                    format!("`{}` 是受保护主体的键", unit.column),
                );
                findings.add(
                    "role-unfit",
                    &column_field,
                    message,
                    Text::new("accepted: role: unit_key", "可用：role: unit_key"),
                );
            }
            Some(column) if unit.protects && column.data_type != TypeWord::Text => {
                let message =
                    Text::new("identifiers are text before they are sealed", "封存前的标识须为文本");
                findings.add(
                    "type-unfit",
                    &column_field,
                    message,
                    Text::new("accepted: type: text", "可用：type: text"),
                );
            }
            Some(_) => {}
        }
        let has_reason = unit.reason.as_ref().is_some_and(|reason| !reason.trim().is_empty());
        if !unit.protects && !has_reason {
            let message =
                Text::new("a unit that is not protected needs a reason", "无须保护的主体须说明理由");
            findings.add(
                "reason-missing",
                &field,
                message,
                Text::new("accepted: reason: \"public hospitals\"", "可用：reason: \"公立医院\""),
            );
        }
    }
}
