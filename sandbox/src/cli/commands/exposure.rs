//! `policy exposure`: the figures of each dataset as a list, and what they mean in sentences below it.

use std::path::Path;
use std::sync::Arc;

use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use obscura_query_guard::opening::NothingOpened;
use serde_json::Value;
use serde_json::json;

use crate::app::documents::exposure::DatasetExposure;
use crate::app::documents::exposure::ExposureProgress;
use crate::app::documents::exposure::Figures;
use crate::app::documents::exposure::Least;
use crate::app::documents::exposure::NoFigures;
use crate::app::documents::exposure::exposure_of;
use crate::app::documents::publish_documents::DocumentFile;
use crate::app::documents::show_document::show_document;
use crate::cli::args::DocumentName;
use crate::cli::args::Output;
use crate::cli::commands::document_files::document_name;
use crate::cli::commands::document_files::read_file;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::cli::table::Listing;

pub(super) async fn exposure(session: &mut Session<'_>, name: &str) -> Result<Exit, Ending> {
    let (installation, caller) = session.enter().await?;
    let path = Path::new(name);
    let file = if path.is_file() {
        read_file(path)?
    } else {
        let DocumentName { id, version } = document_name(name)?;
        let shown = show_document(&installation, &caller, &id, version).await?;
        DocumentFile { name: format!("{}@{}", shown.id, shown.version), text: shown.text }
    };
    let bar = bar(&session.screen);
    let (drawn, message) = (bar.clone(), session.screen.either("reading", "读取").to_owned());
    let progress = move |progress: ExposureProgress<'_>| {
        drawn.set_length(progress.of);
        drawn.set_position(progress.rows);
        drawn.set_message(format!("{message} {}", progress.dataset));
    };
    let found = exposure_of(&installation, &caller, &file, Arc::new(progress)).await;
    bar.finish_and_clear();
    let found = found?;
    list(&mut session.screen, &found)?;
    for one in &found {
        say(&mut session.screen, one)?;
    }
    Ok(Exit::Done)
}

fn bar(screen: &Screen<'_>) -> ProgressBar {
    if !screen.is_terminal {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    bar
}

/// A figure with two places, none of them rounded in the attacker's favour.
fn figure(advantage: f64) -> f64 {
    (advantage.min(1.0) * 100.0).ceil() / 100.0
}

/// A figure beside the most that it may be, as people read it.
fn of_limit(advantage: f64, limit: f64) -> Value {
    json!(format!("{:.2} (≤ {limit:.2})", figure(advantage)))
}

fn list(screen: &mut Screen<'_>, found: &[DatasetExposure]) -> std::io::Result<()> {
    if matches!(screen.output, Output::Table) {
        for_people(screen, found)
    } else {
        for_programs(screen, found)
    }
}

fn for_people(screen: &mut Screen<'_>, found: &[DatasetExposure]) -> std::io::Result<()> {
    let mut listing = Listing::new(
        screen,
        &[
            ("dataset", "dataset", "数据集"),
            ("subjects", "subjects", "主体"),
            ("deviation", "deviation", "标准差"),
            ("worst", "most isolated", "最孤立者"),
            ("random", "at random", "任意一人"),
            ("all_known", "others known", "已知他人"),
            ("arrives", "arrives", "新增者"),
            ("deviation_least", "deviation needed", "所需标准差"),
        ],
    );
    let computed = found.iter().filter_map(|one| Some((&one.dataset, one.outcome.as_ref().ok()?)));
    if computed.clone().next().is_none() {
        return Ok(());
    }
    for (dataset, figures) in computed {
        let Figures { limits, all_known, exposure, .. } = figures;
        let exposure = exposure.as_ref();
        listing.row(vec![
            json!(dataset.to_string()),
            json!(figures.subjects),
            json!(figures.deviation),
            exposure.map_or(Value::Null, |exposure| of_limit(exposure.worst(), limits.exposure)),
            exposure.map_or(Value::Null, |exposure| json!(format!("{:.2}", figure(exposure.random())))),
            of_limit(all_known.stays, limits.all_known),
            of_limit(all_known.arrives, limits.arrives),
            least(figures),
        ]);
    }
    listing.write(screen)
}

fn least(figures: &Figures) -> Value {
    match figures.least {
        Least::Rung(rung) => json!(rung),
        Least::None { .. } => Value::Null,
    }
}

fn for_programs(screen: &mut Screen<'_>, found: &[DatasetExposure]) -> std::io::Result<()> {
    let keys = [
        "policy",
        "dataset",
        "purpose",
        "version",
        "subjects",
        "rows_are_subjects",
        "deviation",
        "worst",
        "random",
        "limit",
        "names",
        "all_known",
        "all_known_limit",
        "arrives",
        "arrives_limit",
        "deviation_least",
    ];
    let mut listing = Listing::new(screen, &keys.map(|key| (key, key, key)));
    for DatasetExposure { policy, dataset, purpose, outcome } in found {
        let mut row = vec![json!(policy), json!(dataset.to_string()), json!(purpose)];
        match outcome {
            Err(_) => row.resize(keys.len(), Value::Null),
            Ok(figures) => {
                let exposure = figures.exposure.as_ref();
                row.extend([
                    json!(figures.version),
                    json!(figures.subjects),
                    json!(figures.rows_are_subjects),
                    json!(figures.deviation),
                    exposure.map_or(Value::Null, |exposure| json!(figure(exposure.worst()))),
                    exposure.map_or(Value::Null, |exposure| json!(figure(exposure.random()))),
                    json!(figures.limits.exposure),
                    json!(figures.all_known.names),
                    json!(figure(figures.all_known.stays)),
                    json!(figures.limits.all_known),
                    json!(figure(figures.all_known.arrives)),
                    json!(figures.limits.arrives),
                    least(figures),
                ]);
            }
        }
        listing.row(row);
    }
    listing.write(screen)
}

fn say(screen: &mut Screen<'_>, one: &DatasetExposure) -> std::io::Result<()> {
    let dataset = &one.dataset;
    match &one.outcome {
        Ok(figures) => {
            let (en, zh) = meaning(figures);
            screen.say(&format!("`{dataset}`: {en}"), &format!("`{dataset}`：{zh}"))
        }
        Err(why) => {
            let (en, zh) = nothing(*why);
            screen.say(&format!("`{dataset}`: no figure, {en}"), &format!("`{dataset}`：无法计算，{zh}"))
        }
    }
}

fn nothing(why: NoFigures) -> (String, &'static str) {
    let zh = match why {
        NoFigures::NotSealed => "尚未封存",
        NoFigures::Relabelled => "封存时的标注与文档不同，须重新封存",
        NoFigures::Refused => "没有人能依据该策略查询",
        NoFigures::Nothing(NothingOpened::NotNamed) => "策略未开放该数据集",
        NoFigures::Nothing(NothingOpened::NoNumbers) => "数据集原样开放，或完全不输出",
        NoFigures::Nothing(NothingOpened::Budget) => "以差分隐私回答，其保证即为预算",
        NoFigures::Nothing(NothingOpened::NoNoise) => "输出的数字不含噪声",
        NoFigures::Nothing(NothingOpened::NoKnownColumn) => "没有可筛选或分组的维度或准标识符",
    };
    let en = match why {
        NoFigures::NotSealed => "as it is not sealed".to_owned(),
        NoFigures::Relabelled => "as it was sealed under other labels: seal it again".to_owned(),
        NoFigures::Refused => "as nobody can ask anything of it by this policy".to_owned(),
        NoFigures::Nothing(nothing) => format!("as {nothing}"),
    };
    (en, zh)
}

/// The meaning of the figures: whether the deviation suffices, and if not, which one does or what to close.
fn meaning(figures: &Figures) -> (String, String) {
    let Figures { deviation, least, limits, all_known, exposure, .. } = figures;
    let (mut en, mut zh) = match least {
        Least::Rung(rung) if rung <= deviation => (
            format!("the deviation of {deviation} keeps all figures within their limits"),
            format!("标准差 {deviation} 使各项数值均在上限之内"),
        ),
        Least::Rung(rung) => (
            format!(
                "a deviation of {deviation} leaves a figure above its limit: write `perturbation: {{deviation: {rung}}}`"
            ),
            format!("标准差 {deviation} 使某项数值超过上限：请写 `perturbation: {{deviation: {rung}}}`"),
        ),
        Least::None { close, is_enough } if !close.is_empty() => {
            let listed =
                |and: &str| close.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(and);
            let (more_en, more_zh) = match is_enough {
                true => ("", ""),
                false => (", and then more", "，之后还须进一步收窄"),
            };
            (
                format!(
                    "no deviation keeps all figures within their limits: let fewer columns meet (`cubes`), first of all {}{more_en}",
                    listed(" with ")
                ),
                format!(
                    "任何标准差都不能使各项数值在上限之内：请减少可同时使用的字段（`cubes`），首先是 {}{more_zh}",
                    listed(" 与 ")
                ),
            )
        }
        Least::None { .. } => (
            "no deviation keeps all figures within their limits: let fewer columns meet (`cubes`)".to_owned(),
            "任何标准差都不能使各项数值在上限之内：请减少可同时使用的字段（`cubes`）".to_owned(),
        ),
    };
    let above = exposure.as_ref().map_or(f64::INFINITY, |exposure| exposure.worst()) > limits.exposure;
    if !above && all_known.stays > limits.all_known {
        en.push_str("; only somebody who knows everybody else is above");
        zh.push_str("；仅已知其他所有人者超过上限");
    }
    if !figures.rows_are_subjects {
        en.push_str("; a subject has several rows, and the figures are of one of them");
        zh.push_str("；一个主体有多行，数值针对其中一行");
    }
    (en, zh)
}
