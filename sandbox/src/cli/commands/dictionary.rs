//! `dataset show`: a dataset with its columns and the questions that may be asked of it, purpose by purpose.

use obscura_policies::Text;
use obscura_policies::document::Update;
use serde_json::json;

use crate::api::datasets::ColumnView;
use crate::api::datasets::DatasetDetailView;
use crate::api::dictionary::AllowedView;
use crate::api::dictionary::ColumnTermsView;
use crate::api::dictionary::GradeControlsView;
use crate::api::dictionary::TermsView;
use crate::app::query::verdict::TextView;
use crate::cli::args::Output;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::table::Listing;

/// Most declared values of a column that a table shows; JSON has all of them.
const VALUES_SHOWN: usize = 12;

/// Shows a dataset: to programs as one object or one list, to people a table for each purpose.
pub(super) fn show_detail(screen: &mut Screen<'_>, detail: &DatasetDetailView) -> Result<(), Ending> {
    match screen.output {
        Output::Json => {
            let text = serde_json::to_string_pretty(detail).map_err(std::io::Error::other)?;
            return Ok(screen.line(&text)?);
        }
        Output::Csv => return csv(screen, detail),
        Output::Table | Output::Arrow | Output::Parquet => {}
    }
    heading(screen, detail)?;
    if detail.terms.is_empty() {
        columns(screen, detail, None)?;
    }
    for (number, terms) in detail.terms.iter().enumerate() {
        if number > 0 {
            screen.line("")?;
        }
        purpose(screen, detail, terms)?;
    }
    Ok(())
}

fn text<'t>(screen: &Screen<'_>, text: &'t TextView) -> &'t str {
    screen.either(&text.en, &text.zh)
}

fn heading(screen: &mut Screen<'_>, detail: &DatasetDetailView) -> Result<(), Ending> {
    let summary = &detail.summary;
    let title = text(screen, &summary.title).to_owned();
    let sql_name = super::data::sql_name(&summary.id);
    screen.tell(&format!("{} · {title} · {sql_name}", summary.id))?;
    if let Some(description) = &detail.description {
        let description = text(screen, description).to_owned();
        screen.tell(&description)?;
    }
    let update = &detail.update;
    screen.say(&format!("brought up to date: {update}"), &format!("更新频率：{}", update_zh(update)))?;
    if let Some(covers) = &detail.covers {
        let from = &covers.from;
        let (en, zh) = match &covers.until {
            Some(until) => (format!("about {from} to {until}"), format!("数据时间：{from} 至 {until}")),
            None => (format!("about the time since {from}"), format!("数据时间：{from} 起")),
        };
        screen.say(&en, &zh)?;
    }
    if let Some(rows) = detail.rows_max {
        screen.say(&format!("at most {rows} rows"), &format!("不超过 {rows} 行"))?;
    }
    if let Some(waiting) = &summary.waiting {
        let version = waiting.version;
        let (en, zh) = match &waiting.opens {
            Some(day) => (
                format!("version {version} is sealed, and analysts see it from {day} on"),
                format!("版本 {version} 已封存，分析人员自 {day} 起可见"),
            ),
            None => (
                format!("version {version} is sealed and waits for a later one with more that is new"),
                format!("版本 {version} 已封存，变化的主体过少，须待后续版本一并开放"),
            ),
        };
        screen.say(&en, &zh)?;
    }
    if summary.open {
        screen.say(
            "it is open: everybody may download it, without an account",
            "该数据集已开放：任何人无需账号即可下载",
        )?;
    }
    Ok(())
}

/// The update rate of a dataset, in Chinese; the word itself where it is a newer one.
fn update_zh(word: &str) -> &str {
    match word.parse::<Update>() {
        Ok(Update::Realtime) => "实时",
        Ok(Update::Hourly) => "每小时",
        Ok(Update::Daily) => "每日",
        Ok(Update::Weekly) => "每周",
        Ok(Update::Monthly) => "每月",
        Ok(Update::Quarterly) => "每季度",
        Ok(Update::Yearly) => "每年",
        Ok(Update::Irregular) => "不定期",
        Ok(Update::Never) => "不再更新",
        Err(_) => word,
    }
}

fn purpose(screen: &mut Screen<'_>, detail: &DatasetDetailView, terms: &TermsView) -> Result<(), Ending> {
    let (purpose, title) = (&terms.purpose, text(screen, &terms.title).to_owned());
    match (&terms.grant, &terms.until) {
        (Some(grant), Some(until)) => line(
            screen,
            &format!("For `{purpose}` ({title}), under the grant `{grant}` until {until}:"),
            &format!("用途 `{purpose}`（{title}），授权 `{grant}` 有效期至 {until}："),
        )?,
        _ => line(screen, &format!("For `{purpose}` ({title}):"), &format!("用途 `{purpose}`（{title}）："))?,
    }
    if let Some(refusal) = &terms.refusal {
        let message = text(screen, &refusal.message).to_owned();
        line(
            screen,
            &format!("every question is refused now: {message}"),
            &format!("目前所有查询都会被拒绝：{message}"),
        )?;
    }
    columns(screen, detail, Some(terms))?;
    terms.allows.as_ref().map_or(Ok(()), |allowed| facts(screen, allowed))
}

/// One table of the columns, with their uses under these terms.
fn columns(
    screen: &mut Screen<'_>,
    detail: &DatasetDetailView,
    terms: Option<&TermsView>,
) -> Result<(), Ending> {
    let mut listing = Listing::new(
        screen,
        &[
            ("name", "column", "字段"),
            ("type", "type", "类型"),
            ("role", "role", "角色"),
            ("grade", "grade", "分级"),
            ("uses", "you may", "您可以"),
            ("values", "values", "取值"),
            ("title", "title", "标题"),
        ],
    );
    for column in &detail.columns {
        let told = terms.map(|terms| of_column(terms, column));
        let uses = told.map(|told| told.map_or(String::new(), |told| told.uses.join(" ")));
        let values = told.flatten().map(|told| values(screen, told));
        listing.row(vec![
            json!(column.name),
            json!(column.data_type),
            json!(column.role),
            json!(column.grade),
            json!(uses),
            json!(values.filter(|values| !values.is_empty())),
            json!(column.title.as_ref().map(|title| text(screen, title))),
        ]);
    }
    Ok(listing.write(screen)?)
}

fn of_column<'t>(terms: &'t TermsView, column: &ColumnView) -> Option<&'t ColumnTermsView> {
    terms.allows.as_ref()?.columns.iter().find(|told| told.name == column.name)
}

/// The mask, edges, range and values of a column.
fn values(screen: &Screen<'_>, column: &ColumnTermsView) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(column.mask.as_ref().map(|mask| text(screen, &mask.text).to_owned()));
    parts.extend(column.edges.as_ref().map(|edges| text(screen, &edges.text).to_owned()));
    if let Some(range) = &column.range {
        let (low, high) = (&range.low, &range.high);
        let told = Text::new(format!("summed from {low} to {high}"), format!("求和范围 {low} 至 {high}"));
        parts.push(screen.pick(&told).to_owned());
    }
    if let Some(values) = &column.values {
        let shown = values.iter().take(VALUES_SHOWN).map(String::as_str);
        let more = (values.len() > VALUES_SHOWN).then_some("…");
        parts.push(shown.chain(more).collect::<Vec<_>>().join(", "));
    }
    parts.join(screen.either("; ", "；"))
}

/// Facts that hold for all columns together.
fn facts(screen: &mut Screen<'_>, allowed: &AllowedView) -> Result<(), Ending> {
    let functions = allowed.functions.join(", ");
    line(screen, &format!("functions: {functions}"), &format!("函数：{functions}"))?;
    if !allowed.joins.is_empty() {
        let joins = allowed.joins.iter().map(|join| format!("{} ({})", join.dataset, join.unit));
        let joins = joins.collect::<Vec<_>>().join(", ");
        line(screen, &format!("may be joined with: {joins}"), &format!("可关联：{joins}"))?;
    }
    if allowed.release == "rows_open" && allowed.controls.is_empty() {
        line(screen, "rows may leave as they are", "可输出原始行")?;
    }
    for controls in &allowed.controls {
        let (en, zh) = controls_text(controls);
        line(screen, &en, &zh)?;
    }
    if let Some(most) = allowed.rows_per_subject_max {
        line(
            screen,
            &format!("counts over one subject's own rows stop at {most}"),
            &format!("对单个主体自身行的计数以 {most} 为上限"),
        )?;
    }
    if allowed.filtered {
        line(screen, "your grant or a policy leaves out some of the rows", "授权或策略只开放部分行")?;
    }
    Ok(())
}

fn controls_text(controls: &GradeControlsView) -> (String, String) {
    let grade = &controls.grade;
    if !controls.available {
        return (
            format!("with columns of {grade}: refused, a control that they need is not available"),
            format!("涉及 {grade} 字段：拒绝，所需的控制措施尚不可用"),
        );
    }
    let (mut en, mut zh) = (Vec::new(), Vec::new());
    for subjects in &controls.subjects {
        let min = subjects.min;
        match &subjects.unit {
            Some(unit) => {
                en.push(format!("a cell rests on at least {min} subjects ({unit})"));
                zh.push(format!("每个单元格至少涉及 {min} 个主体（{unit}）"));
            }
            None => {
                en.push(format!("a cell rests on at least {min} rows"));
                zh.push(format!("每个单元格至少涉及 {min} 行"));
            }
        }
    }
    if let Some(base) = controls.rounding {
        en.push(format!("counts are multiples of {base}"));
        zh.push(format!("计数取 {base} 的倍数"));
    }
    if let Some(deviation) = controls.perturbation {
        en.push(format!("counts and sums have noise, of deviation {deviation} subjects a draw"));
        zh.push(format!("计数与求和含噪声，单次抽取的标准差为 {deviation} 个主体"));
    }
    if let Some(sets) = &controls.cubes {
        let listed = |and: &str| sets.iter().map(|set| set.join(and)).collect::<Vec<_>>();
        en.push(format!("columns meet in one number only within {}", listed(" + ").join(" or ")));
        zh.push(format!("一个数字中只可同时使用 {}", listed(" + ").join(" 或 ")));
    }
    if let Some(most) = controls.columns_max {
        en.push(format!("at most {most} columns meet in one number"));
        zh.push(format!("一个数字中最多同时使用 {most} 个字段"));
    }
    if let Some(permille) = controls.dominance_share_max_permille {
        let (whole, tenth) = (permille / 10, permille % 10);
        en.push(format!("the largest contributors hold at most {whole}.{tenth} % of a sum"));
        zh.push(format!("最大贡献者合计不超过总额的 {whole}.{tenth}%"));
    }
    if controls.reviewers > 0 {
        let reviewers = controls.reviewers;
        en.push(format!("results wait for {reviewers} reviewer(s)"));
        zh.push(format!("结果须经 {reviewers} 人复核"));
    }
    if let Some(cells) = controls.cells_max {
        en.push(format!("at most {cells} cells"));
        zh.push(format!("最多 {cells} 个单元格"));
    }
    (
        format!("with columns up to {grade}: {}", en.join("; ")),
        format!("所涉字段最高为 {grade} 时：{}", zh.join("；")),
    )
}

/// One list for programs: the columns of every purpose, below one another.
fn csv(screen: &mut Screen<'_>, detail: &DatasetDetailView) -> Result<(), Ending> {
    let keys = ["purpose", "name", "type", "role", "grade", "uses", "mask", "values", "title"];
    let mut listing = Listing::new(screen, &keys.map(|key| (key, key, key)));
    let purposes: Vec<Option<&TermsView>> = match detail.terms.as_slice() {
        [] => vec![None],
        terms => terms.iter().map(Some).collect(),
    };
    for terms in purposes {
        for column in &detail.columns {
            let told = terms.and_then(|terms| of_column(terms, column));
            listing.row(vec![
                json!(terms.map(|terms| &terms.purpose)),
                json!(column.name),
                json!(column.data_type),
                json!(column.role),
                json!(column.grade),
                json!(told.map(|told| told.uses.join(" "))),
                json!(told.and_then(|told| told.mask.as_ref()).map(|mask| &mask.name)),
                json!(told.map(|told| values(screen, told))),
                json!(column.title.as_ref().map(|title| text(screen, title))),
            ]);
        }
    }
    Ok(listing.write(screen)?)
}

fn line(screen: &mut Screen<'_>, en: &str, zh: &str) -> Result<(), Ending> {
    let chosen = screen.either(en, zh).to_owned();
    Ok(screen.line(&chosen)?)
}
