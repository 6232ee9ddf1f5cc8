//! `seal`, `dataset list|show|verify|drop|shred|suggest`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use obscura_policies::Text;
use obscura_policies::vocabulary::DatasetId;
use serde_json::json;

use crate::api::datasets::DatasetView;
use crate::app::data::datasets::drop_dataset;
use crate::app::data::datasets::shred_dataset;
use crate::app::data::datasets::verify_dataset;
use crate::app::data::open_version::Opens;
use crate::app::data::seal_dataset::SealDataset;
use crate::app::data::seal_dataset::SealedDataset;
use crate::app::data::seal_dataset::seal_dataset;
use crate::cli::args::BadRowArg;
use crate::cli::args::DatasetCommand;
use crate::cli::args::SealArgs;
use crate::cli::args::UnitKeysArg;
use crate::cli::commands::dictionary::show_detail;
use crate::cli::commands::suggest::suggest;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::session::Ending;
use crate::cli::session::Session;
use crate::cli::table::Listing;
use crate::error::Class;
use crate::error::PublicError;
use crate::storage::Confirmation;
use crate::storage::Direction;
use crate::storage::Encoding;
use crate::storage::Format;
use crate::storage::Input;
use crate::storage::InputOptions;
use crate::storage::InputReport;
use crate::storage::Mending;
use crate::storage::Multiline;
use crate::storage::OnBadRow;
use crate::storage::Progress;
use crate::storage::SealMode;
use crate::storage::SealObserver;
use crate::storage::Stage;
use crate::storage::UnitKeys;

/// Most bytes of a binary stream that are held in memory.
const STREAM_BYTES_MAX: usize = 1 << 30;

pub(in crate::cli) async fn seal(session: &mut Session<'_>, args: SealArgs) -> Result<Exit, Ending> {
    let options = options(&args)?;
    let (installation, caller) = session.enter().await?;
    let observer = Arc::new(Watch::new(&session.screen, &args.file));
    let mode = match (args.append, args.replace) {
        (true, _) => SealMode::Append,
        (_, true) => SealMode::Replace,
        (false, false) => SealMode::First,
    };
    let request = SealDataset {
        dataset: args.dataset,
        input: input(&args.file),
        options,
        mode,
        unit_keys: match args.unit_keys {
            None => UnitKeys::Ask,
            Some(UnitKeysArg::AsWritten) => UnitKeys::AsWritten,
            Some(UnitKeysArg::Same) => UnitKeys::Same,
        },
        confirmation: if args.yes { Confirmation::Given } else { Confirmation::Ask },
        observer: Arc::clone(&observer) as Arc<dyn SealObserver + Send + Sync>,
    };
    let sealing = seal_dataset(&installation, &caller, request);
    tokio::pin!(sealing);
    let sealed = tokio::select! {
        sealed = &mut sealing => sealed,
        _ = tokio::signal::ctrl_c() => {
            // Storage stops at its next look, cleans up, and the old version stays as it was.
            observer.cancelled.store(true, Ordering::SeqCst);
            sealing.await
        }
    };
    observer.bar.finish_and_clear();
    show_sealed(&mut session.screen, &sealed?)?;
    Ok(Exit::Done)
}

pub(in crate::cli) async fn dataset(
    session: &mut Session<'_>,
    command: DatasetCommand,
) -> Result<Exit, Ending> {
    match command {
        DatasetCommand::List { words } => {
            let datasets = session.desk().await?.datasets(&words.join(" ")).await?;
            show_datasets(&mut session.screen, &datasets)?;
        }
        DatasetCommand::Show { dataset } => {
            let detail = session.desk().await?.dataset(&dataset).await?;
            show_detail(&mut session.screen, &detail)?;
        }
        DatasetCommand::Verify { dataset } => {
            let (installation, caller) = session.enter().await?;
            let found = verify_dataset(&installation, &caller, &dataset).await?;
            session.screen.say(
                &format!(
                    "`{dataset}` version {}: every byte of {} file(s) is as sealed",
                    found.version, found.parts
                ),
                &format!(
                    "`{dataset}` 版本 {}：{} 个文件的每个字节都与封存时一致",
                    found.version, found.parts
                ),
            )?;
        }
        DatasetCommand::Drop { dataset, version_number } => {
            let (installation, caller) = session.enter().await?;
            let version = drop_dataset(&installation, &caller, &dataset, version_number).await?;
            session.screen.say(
                &format!("`{dataset}` version {version} is out of use and its files are gone"),
                &format!("`{dataset}` 版本 {version} 已停用，文件已删除"),
            )?;
        }
        DatasetCommand::Shred { dataset, yes } => {
            if !yes {
                return Err(PublicError::new(
                    Class::Usage,
                    "confirmation-needed",
                    "shredding cannot be undone",
                    "销毁不可恢复",
                )
                .with_help("say `--yes` to mean it", "如确认，请加 `--yes`")
                .into());
            }
            let (installation, caller) = session.enter().await?;
            let versions = shred_dataset(&installation, &caller, &dataset).await?;
            session.screen.say(
                &format!("the keys of {versions} version(s) of `{dataset}` are destroyed for ever"),
                &format!("`{dataset}` 的 {versions} 个版本的密钥已永久销毁"),
            )?;
        }
        DatasetCommand::Suggest { file, encoding, dataset } => {
            let encoding = encoding.as_deref().map(encoding_of).transpose()?;
            let (_, caller) = session.enter().await?;
            return suggest(session, &caller, &file, encoding, dataset);
        }
    }
    Ok(Exit::Done)
}

/// The name of a dataset in SQL.
pub(super) fn sql_name(id: &str) -> String {
    id.parse::<DatasetId>().map_or_else(|_| id.to_owned(), |id| id.sql_name())
}

fn show_datasets(screen: &mut Screen<'_>, datasets: &[DatasetView]) -> std::io::Result<()> {
    let mut listing = Listing::new(
        screen,
        &[
            ("id", "dataset", "数据集"),
            ("sql_name", "name in SQL", "SQL 名称"),
            ("title", "title", "标题"),
            ("version", "version", "版本"),
            ("open", "open to all", "已开放"),
            ("rows", "rows", "行数"),
            ("purposes", "your purposes", "您的用途"),
        ],
    );
    for dataset in datasets {
        let title = Text::from(&dataset.title);
        listing.row(vec![
            json!(dataset.id),
            json!(sql_name(&dataset.id)),
            json!(screen.pick(&title)),
            json!(dataset.version),
            json!(dataset.open),
            json!(dataset.rows),
            json!(dataset.purposes),
        ]);
    }
    listing.write(screen)
}

/// The source of rows: a file, or standard input for `-`.
pub(in crate::cli) fn input(file: &Path) -> Input {
    if file.as_os_str() == "-" {
        Input::Stream(Box::new(std::io::stdin()))
    } else {
        Input::Path(file.to_owned())
    }
}

/// Shows the sealed version to the steward who sealed it.
pub(in crate::cli) fn show_sealed(screen: &mut Screen<'_>, sealed: &SealedDataset) -> std::io::Result<()> {
    let SealedDataset { dataset, version, rows, event_index, .. } = sealed;
    screen.say(
        &format!(
            "`{dataset}` version {version} is sealed: {rows} rows, entry {event_index} of the audit log"
        ),
        &format!("`{dataset}` 版本 {version} 已封存：{rows} 行，审计日志第 {event_index} 条"),
    )?;
    for (kind, subjects, rows_without) in &sealed.units {
        screen.say(
            &format!("  {subjects} subjects of kind `{kind}`, {rows_without} rows without one"),
            &format!("  `{kind}` 主体 {subjects} 个，无主体的行 {rows_without} 行"),
        )?;
    }
    show_opens(screen, sealed.opens)?;
    let report = &sealed.report;
    show_skipped(screen, report)?;
    show_mended(screen, report)?;
    if report.columns_ignored > 0 {
        let ignored = report.columns_ignored;
        screen.say(
            &format!("  {ignored} columns of the input are not in the document and were left out"),
            &format!("  输入中有 {ignored} 个字段不在文档内，未封存"),
        )?;
    }
    Ok(())
}

/// Says when analysts see a version, where that is not at once.
fn show_opens(screen: &mut Screen<'_>, opens: Opens) -> std::io::Result<()> {
    match opens {
        Opens::Now => Ok(()),
        Opens::From(day, None) => screen.say(
            &format!("  analysts see it from {day} on: their data changes once in an epoch at most"),
            &format!("  分析人员自 {day} 起可见：其数据每个周期至多更新一次"),
        ),
        Opens::From(day, Some(seen)) => screen.say(
            &format!(
                "  analysts see it from {day} on, and version {seen} until then: their data changes once in an epoch at most"
            ),
            &format!("  分析人员自 {day} 起可见，此前仍使用版本 {seen}：其数据每个周期至多更新一次"),
        ),
        Opens::Waits { subjects_min, seen } => screen.say(
            &format!(
                "  analysts go on seeing version {seen}: fewer than {subjects_min} subjects differ, so that an update would tell of each"
            ),
            &format!("  分析人员仍使用版本 {seen}：有变化的主体少于 {subjects_min} 个，更新会暴露其中每一个"),
        ),
    }
}

/// Sums up the rows that were left out, by column and reason, and names the first.
fn show_skipped(screen: &mut Screen<'_>, report: &InputReport) -> std::io::Result<()> {
    let (skipped, rows) = (report.rows_skipped, report.rows + report.rows_skipped);
    if skipped == 0 {
        return Ok(());
    }
    let share = |count: u64| format!("{:.2} %", 100.0 * count as f64 / rows as f64);
    screen.say(
        &format!("  {skipped} malformed rows of {rows} were left out ({}):", share(skipped)),
        &format!("  {rows} 行中跳过格式错误的行 {skipped} 行（{}）：", share(skipped)),
    )?;
    let of = |column: &Option<String>| column.as_ref().map(|it| format!(" `{it}`")).unwrap_or_default();
    for ((column, reason), count) in &report.skipped_by {
        let reason = reason.localized();
        let reason = screen.pick(&reason).to_owned();
        screen.tell(&format!("    {count} ({}){}: {reason}", share(*count), of(column)))?;
    }
    for bad in &report.bad_rows {
        let reason = bad.reason.localized();
        let reason = screen.pick(&reason).to_owned();
        let (line, column) = (bad.line, of(&bad.column));
        screen.say(
            &format!("    line {line}{column}: {reason}"),
            &format!("    第 {line} 行{column}：{reason}"),
        )?;
    }
    if skipped > report.bad_rows.len() as u64 {
        screen.say(
            "    the others are listed with `--rejects FILE`",
            "    其余各行可用 `--rejects 文件` 列出",
        )?;
    }
    Ok(())
}

/// Names the cells that were corrected, and rows that may look lost.
fn show_mended(screen: &mut Screen<'_>, report: &InputReport) -> std::io::Result<()> {
    for ((column, mending), cells) in &report.mended {
        let (en, zh) = match mending {
            Mending::MissingWord => (
                "hold a word for a missing value (such as NULL or -) and are sealed as missing",
                "为缺失值文字（如 NULL、-），按缺失封存",
            ),
            Mending::KeyWithPlaces => (
                "are keys written with places (such as 10.0) and are sealed as whole numbers",
                "为带小数位的标识（如 10.0），按整数封存",
            ),
        };
        screen.say(
            &format!("  {cells} cells of `{column}` {en}"),
            &format!("  `{column}` 有 {cells} 个单元格{zh}"),
        )?;
    }
    if report.rows_multiline > 0 {
        let rows = report.rows_multiline;
        screen.say(
            &format!("  {rows} rows go over several lines of the file"),
            &format!("  {rows} 行数据在文件中跨多行"),
        )?;
    }
    Ok(())
}

pub(in crate::cli) fn plain_options() -> InputOptions {
    InputOptions::strict(STREAM_BYTES_MAX)
}

fn encoding_of(word: &str) -> Result<Encoding, Ending> {
    let en = "an encoding is utf-8, gb18030, utf-16le or utf-16be";
    let zh = "编码为 utf-8、gb18030、utf-16le 或 utf-16be";
    let accepted = PublicError::new(Class::Usage, "encoding-unknown", en, zh);
    Ok(Encoding::from_word(word).ok_or(accepted)?)
}

fn options(args: &SealArgs) -> Result<InputOptions, Ending> {
    let usage = |code, en: &str, zh: &str| PublicError::new(Class::Usage, code, en, zh);
    let mut options = plain_options();
    if let Some(word) = &args.format {
        let accepted = usage(
            "format-unknown",
            "a format is csv, ndjson, parquet or arrow",
            "格式为 csv、ndjson、parquet 或 arrow",
        );
        options.format = Some(Format::from_word(word).ok_or(accepted)?);
    }
    if let Some(word) = &args.encoding {
        options.encoding = Some(encoding_of(word)?);
    }
    if let Some(delimiter) = args.delimiter {
        let accepted =
            usage("delimiter-not-ascii", "a delimiter is one ASCII character", "分隔符须为一个 ASCII 字符");
        options.delimiter = Some(u8::try_from(delimiter).ok().filter(u8::is_ascii).ok_or(accepted)?);
    }
    if !args.null_texts.is_empty() {
        // An empty cell stays a missing value, beside the texts that stand for one.
        options.null_texts = std::iter::once(String::new()).chain(args.null_texts.iter().cloned()).collect();
    }
    for pair in &args.rename {
        let accepted =
            usage("rename-malformed", "a renaming is written INPUT=COLUMN", "改名写作 输入名=字段名");
        let (from, to) = pair.split_once('=').ok_or(accepted)?;
        options.rename.insert(from.to_owned(), to.to_owned());
    }
    let share = usage(
        "share-malformed",
        "a share of malformed rows is a number of percent from 0 to 100, such as 2.5",
        "错误行比例须为 0 到 100 的百分数，例如 2.5",
    );
    options.bad_rows_max_ppm = millionths(&args.bad_rows_max).ok_or(share)?;
    options.rejects.clone_from(&args.rejects);
    if args.line_breaks_in_cells {
        options.multiline = Multiline::Allow;
    }
    options.on_bad_row = match args.on_bad_row {
        BadRowArg::Stop => OnBadRow::Stop,
        BadRowArg::Skip => OnBadRow::Skip,
    };
    Ok(options)
}

/// A share in percent, of at most four places, in millionths.
fn millionths(percent: &str) -> Option<u32> {
    let percent = percent.trim().trim_end_matches(['%', '％']).trim_end();
    let (whole, places) = percent.split_once('.').unwrap_or((percent, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || places.len() > 4 || !are_digits(whole) || !are_digits(places) {
        return None;
    }
    let ppm = format!("{whole}{places:0<4}").parse::<u32>().ok()?;
    (ppm <= 1_000_000).then_some(ppm)
}

/// Draws progress and carries the wish to stop.
pub(in crate::cli) struct Watch {
    bar: ProgressBar,
    cancelled: AtomicBool,
    // True if the length of the input is known; that of a stream is not.
    has_length: bool,
}

impl Watch {
    pub(in crate::cli) fn new(screen: &Screen<'_>, file: &Path) -> Self {
        let length =
            std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
        if !screen.is_terminal {
            return Self { bar: ProgressBar::hidden(), cancelled: AtomicBool::new(false), has_length: false };
        }
        let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let template = match length {
            Some(_) => "{msg} {wide_bar} {bytes}/{total_bytes} {eta}",
            None => "{spinner} {msg} {bytes}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, cancelled: AtomicBool::new(false), has_length: length.is_some() }
    }
}

impl SealObserver for Watch {
    fn reached(&self, progress: Progress) -> Direction {
        let length = self.bar.length().unwrap_or(progress.bytes);
        self.bar.set_position(if self.has_length { progress.bytes.min(length) } else { progress.bytes });
        self.bar.set_message(match progress.stage {
            Stage::Comparing => "comparing with the version that analysts see".to_owned(),
            _ => format!("{} rows", progress.rows),
        });
        if self.cancelled.load(Ordering::SeqCst) { Direction::Cancel } else { Direction::Continue }
    }
}
