//! The arguments of `seal`.
//! It names options and their forms; `storage` gives them their meaning.

use std::path::PathBuf;

use clap::Args;
use clap::ValueEnum;
use obscura_policies::vocabulary::DatasetId;

#[derive(Debug, Args)]
pub(crate) struct SealArgs {
    /// The dataset, as its document names it.
    pub(crate) dataset: DatasetId,
    /// The file, or `-` for standard input.
    pub(crate) file: PathBuf,
    /// Format of the input: csv, ndjson, parquet, arrow [default: found from name or contents].
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Encoding of a text: utf-8, gb18030, utf-16le, utf-16be [default: found from contents].
    #[arg(long, value_name = "ENCODING")]
    pub(crate) encoding: Option<String>,
    /// Delimiter of a delimited text [default: found from the header].
    #[arg(long, value_name = "CHAR")]
    pub(crate) delimiter: Option<char>,
    /// A text that stands for a missing value besides an empty cell; may be given more than once [default: `?`].
    #[arg(long = "null", value_name = "TEXT")]
    pub(crate) null_texts: Vec<String>,
    /// A column that the input names otherwise, as INPUT=COLUMN; may be given more than once.
    #[arg(long, value_name = "INPUT=COLUMN")]
    pub(crate) rename: Vec<String>,
    /// The treatment of a malformed row.
    #[arg(long, value_enum, default_value_t = BadRowArg::Stop)]
    pub(crate) on_bad_row: BadRowArg,
    /// Most malformed rows that may be left out, in percent of all; beyond it nothing is sealed.
    #[arg(long, value_name = "PERCENT", default_value = "1")]
    pub(crate) bad_rows_max: String,
    /// A new file that lists the rows that are left out, by line, column and reason.
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// Cells hold line breaks, even where the lines look like rows [default: sealing stops there].
    #[arg(long)]
    pub(crate) line_breaks_in_cells: bool,
    /// The treatment of spellings of one unit key (`8888`, `08888`, `8888.0`) [default: sealing stops when it finds any].
    #[arg(long, value_enum, value_name = "DECISION")]
    pub(crate) unit_keys: Option<UnitKeysArg>,
    /// Add the rows to what is sealed already.
    #[arg(long, conflicts_with = "replace")]
    pub(crate) append: bool,
    /// Take the place of what is sealed already.
    #[arg(long)]
    pub(crate) replace: bool,
    /// Say that you mean it: to add rows that are sealed already, or to replace them by fewer than half as many subjects.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnitKeysArg {
    /// Each spelling is a subject of its own.
    AsWritten,
    /// Spellings of one key are one subject.
    Same,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BadRowArg {
    /// Stop; nothing is published.
    Stop,
    /// Leave it out and count it.
    Skip,
}
