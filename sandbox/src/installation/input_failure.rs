//! The messages to a steward when an input cannot be sealed as it was meant: the fault, its place, and the remedy.
//! No value of a row gets into them, and no advice drops rows that no person has looked at.

use obscura_policies::Text;

use crate::error::AppError;
use crate::error::Class;
use crate::error::InternalError;
use crate::error::PublicError;
use crate::storage::BadRowReason;
use crate::storage::StorageError;

/// The message to a steward about an input that was not sealed.
pub(crate) fn input_failure(error: &StorageError) -> AppError {
    match error {
        StorageError::Input { .. } => answer(error, "input-unreadable", "无法按该格式读取输入").into(),
        StorageError::RejectsUncreated { reason } => {
            let zh = format!("无法建立错误行清单文件：{}", reason.localized().zh);
            answer(error, "rejects-uncreated", &zh)
                .with_help(
                    "name a file that does not exist yet, in a folder that you may write to: `--rejects FILE`",
                    "请用 `--rejects 文件` 指定一个尚不存在、且可写入的位置",
                )
                .into()
        }
        StorageError::EncodingUndecided => answer(
            error,
            "encoding-undecided",
            "输入可能是 UTF-8 或 GB18030，内容不足以判断",
        )
        .with_help(
            "say which: `--encoding gb18030` for what Chinese spreadsheets save, or `--encoding utf-8`",
            "请指明编码：中文表格软件保存的文件多为 `--encoding gb18030`，否则为 `--encoding utf-8`",
        )
        .into(),
        StorageError::ColumnType { column, .. } => {
            let zh = format!("字段 `{column}` 的类型不是单个值，无法封存");
            answer(error, "input-column-type", &zh)
                .with_help(
                    "write the column as texts, numbers, dates or times, one value a row",
                    "请将该字段写成文本、数值、日期或时间，每行一个值",
                )
                .into()
        }
        StorageError::HeaderBelow { line } => {
            let zh = format!("第一行不是表头，表头在第 {line} 行");
            answer(error, "input-header-below", &zh)
                .with_help("delete the lines above the header", "请删除表头以上各行")
                .into()
        }
        StorageError::NoTable { found_zh, .. } => {
            let zh = format!("该文件是{found_zh}，不是表格文本");
            answer(error, "input-no-table", &zh)
                .with_help(
                    "save the table as CSV in UTF-8 (in a spreadsheet: save as, CSV UTF-8), with long numbers as text",
                    "请将表格另存为 UTF-8 编码的 CSV（长数字列请先设为文本）",
                )
                .into()
        }
        StorageError::CutNumbers { column } => {
            let zh = format!("字段 `{column}` 的数字已被表格软件截为 15 位");
            let help = help(BadRowReason::CutNumber);
            answer(error, "numbers-cut", &zh).with_help(help.en, help.zh).into()
        }
        StorageError::ColumnMissing { column, .. } => answer(
            error,
            "input-column-missing",
            &format!("输入缺少数据集文档中的字段 `{column}`"),
        )
        .with_help(
            "the first line must be the header (say `--delimiter` if it was split wrongly); name a column that holds it with `--rename INPUT=COLUMN`",
            "第一行须为表头（如分隔有误请用 `--delimiter`）；请用 `--rename 输入名=字段名` 指明对应字段",
        )
        .into(),
        StorageError::ColumnTwice { .. } => answer(error, "input-column-twice", "输入中有重名字段").into(),
        other => rows_failure(other),
    }
}

/// The message to a steward about rows that were not sealed.
fn rows_failure(error: &StorageError) -> AppError {
    match error {
        StorageError::NoRows => answer(error, "input-empty", "输入没有任何数据行").into(),
        StorageError::NoSubjects { column } => {
            let zh = format!("主体标识字段 `{column}` 在所有行中均为空");
            answer(error, "input-without-subjects", &zh)
                .with_help(
                    "look whether another column of the input holds the key: `--rename INPUT=COLUMN`",
                    "请核对标识是否在其他字段中：`--rename 输入名=字段名`",
                )
                .into()
        }
        StorageError::SwallowedRows { first, last } => {
            let zh = format!("第 {first} 行的引号到第 {last} 行才闭合，其间各行看似独立的数据行");
            answer(error, "quote-astray", &zh)
                .with_help(
                    "close or double the quote in that line; if the cell really holds line breaks, say `--line-breaks-in-cells`",
                    "请在该行闭合引号或将其写成两个；如单元格确实含换行，请加 `--line-breaks-in-cells`",
                )
                .into()
        }
        StorageError::BadRow { line, column, reason } => {
            let of_column = column.as_ref().map(|column| format!("，字段 `{column}`")).unwrap_or_default();
            let zh = format!("第 {line} 行{of_column}：{}", reason.localized().zh);
            let help = help(*reason);
            answer(error, "row-malformed", &zh).with_help(help.en, help.zh).into()
        }
        StorageError::TooManyBadRows { skipped, rows, .. } => {
            let zh = format!("{rows} 行中有 {skipped} 行格式错误，超过允许的比例");
            answer(error, "rows-malformed", &zh)
                .with_help(
                    "look at the rows (`--rejects FILE` lists them) and correct the file or how it is read; `--bad-rows-max PERCENT` leaves out more",
                    "请用 `--rejects 文件` 列出并核对这些行，修正文件或读取方式；`--bad-rows-max 百分数` 可放宽比例",
                )
                .into()
        }
        StorageError::FewerThanHalf { before, after, .. } => {
            let zh = format!("新数据只有 {after}，现有 {before}，不足一半");
            answer(error, "confirmation-needed", &zh)
                .with_help(
                    "look whether the file is whole; `--yes` replaces what is sealed all the same",
                    "请核对文件是否完整；如确认替换，请加 `--yes`",
                )
                .into()
        }
        StorageError::SealedAlready => {
            answer(error, "confirmation-needed", "内容相同的文件已经封存，追加会使每行重复计数")
                .with_help(
                    "nothing needs to be done if it is the same file; `--yes` adds its rows all the same",
                    "若为同一文件则无需操作；如确认追加，请加 `--yes`",
                )
                .into()
        }
        StorageError::UnitKeySpellings { column, lines } => spellings(error, column, *lines),
        // The enum grows: an error that is not of the input is for the operator.
        _ => InternalError::new("work on sealed data", error).into(),
    }
}

fn answer(error: &StorageError, code: &'static str, zh: &str) -> PublicError {
    PublicError::new(Class::Usage, code, error.to_string(), zh)
}

/// The remedy for a malformed row. Leaving it out comes last: a row that is left out is missing from every answer.
fn help(reason: BadRowReason) -> Text {
    match reason {
        BadRowReason::Encoding => Text::new(
            "say how the file is encoded, such as `--encoding gb18030`, or correct the row",
            "请指明文件编码，例如 `--encoding gb18030`，或修正该行",
        ),
        BadRowReason::Truncated => Text::new(
            "look for a quote that is never closed, or for a file that was cut off; rows after it cannot be told apart",
            "请检查未闭合的引号或被截断的文件；其后的行无法区分",
        ),
        BadRowReason::BelowTable => Text::new(
            "delete the line; `--on-bad-row skip` leaves such lines out",
            "请删除该行；`--on-bad-row skip` 可略去此类行",
        ),
        BadRowReason::CutNumber => Text::new(
            "the last digits are lost: export the table again from where it comes from, with the column as text, and open it in no spreadsheet",
            "末尾数字已丢失：请从来源系统重新导出，将该列设为文本，且不要用表格软件打开",
        ),
        BadRowReason::KeyMissing | BadRowReason::KeyTwice => Text::new(
            "correct the object, or name the key that holds it with `--rename INPUT=COLUMN`",
            "请修正该对象，或用 `--rename 输入名=字段名` 指明对应的键",
        ),
        BadRowReason::FieldCount
        | BadRowReason::NotAnObject
        | BadRowReason::NotScalar
        | BadRowReason::TooLong
        | BadRowReason::NotInt
        | BadRowReason::NotDecimal
        | BadRowReason::NotFloat
        | BadRowReason::NotDate
        | BadRowReason::NotTimestamp
        | BadRowReason::NotBool
        | BadRowReason::NotIdentifier
        | BadRowReason::Control
        | BadRowReason::NotText => Text::new(
            "correct the row, or say with `--null` what stands for a missing value; `--on-bad-row skip` leaves such rows out of every answer",
            "请修正该行，或用 `--null` 指明表示缺失的文字；`--on-bad-row skip` 会使此类行不计入任何结果",
        ),
    }
}

/// The message to a steward who must decide whether spellings of a unit key are one subject.
fn spellings(error: &StorageError, column: &str, lines: Option<(u64, u64)>) -> AppError {
    let rows =
        lines.map(|(first, second)| format!("，例如第 {first} 行与第 {second} 行")).unwrap_or_default();
    let zh = format!("主体标识字段 `{column}` 存在多种写法{rows}");
    answer(error, "unit-key-spellings", &zh)
        .with_help(
            "look at the rows and decide: `--unit-keys same` if they name one subject, `--unit-keys as-written` if not",
            "请核对后决定：同一主体用 `--unit-keys same`，不同主体用 `--unit-keys as-written`",
        )
        .into()
}
