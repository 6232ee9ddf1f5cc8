//! `dataset suggest`: the draft on standard output, the reasons on standard error.

use std::path::Path;

use obscura_policies::vocabulary::DatasetId;

use crate::app::data::suggest_dataset::suggest_dataset;
use crate::cli::commands::data::input;
use crate::cli::exit::Exit;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::context::Caller;
use crate::error::Class;
use crate::error::PublicError;
use crate::storage::Encoding;

pub(super) fn suggest(
    session: &mut Session<'_>,
    caller: &Caller,
    file: &Path,
    encoding: Option<Encoding>,
    dataset: Option<DatasetId>,
) -> Result<Exit, Ending> {
    let id = match dataset {
        Some(id) => id,
        None => named_after(file, caller)?,
    };
    let drafted = suggest_dataset(caller, input(file), encoding, id)?;
    let screen = &mut session.screen;
    for column in &drafted.columns {
        let reason = screen.pick(&column.reason).to_owned();
        let meaning = column.semantic.as_deref().unwrap_or("-");
        screen.tell(&format!(
            "  {:<24} {:<10} {:<14} {:<16} {}  {reason}",
            column.name, column.data_type, meaning, column.role, column.grade
        ))?;
    }
    screen.say(
        "This is a draft: read every line. Raise what is more sensitive than it looks; lower nothing lightly.",
        "这是草稿，请逐行核对。看似普通而实际敏感的请调高分级，不要轻易调低。",
    )?;
    screen.data(drafted.yaml.as_bytes())?;
    Ok(Exit::Done)
}

/// A file `visits.csv` of a steward of `hz-health` drafts `hz-health.visits`.
fn named_after(file: &Path, caller: &Caller) -> Result<DatasetId, Ending> {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let stem = stem.to_lowercase().replace(['-', ' ', '.'], "_");
    let department = caller.person().department.as_deref().unwrap_or_default();
    format!("{department}.{stem}").parse().map_err(|_| {
        PublicError::new(
            Class::Usage,
            "dataset-needed",
            "the file's name makes no dataset's name",
            "无法由文件名得出数据集名称",
        )
        .with_help("name it with `--dataset hz-health.visits`", "请用 `--dataset hz-health.visits` 指定")
        .into()
    })
}
