//! Data in the form that was asked for: tables for people, JSON, CSV, Arrow and Parquet for programs.
//! It writes released data only; it protects nothing.

use std::borrow::Cow;
use std::io;

use arrow::array::Array;
use arrow::array::RecordBatch;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use comfy_table::Cell;
use comfy_table::CellAlignment;
use comfy_table::ContentArrangement;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use jiff::Timestamp;
use serde_json::Map;
use serde_json::Value;

use crate::app::query::described::Missing;
use crate::app::query::described::top_coded_at;
use crate::app::query::formats::Format;
use crate::app::query::formats::encode;
use crate::cli::args::Output;
use crate::cli::screen::Screen;
use crate::cli::visible::visible;
use crate::cli::visible::visible_line;

/// Sign of a missing cell in a table: a withheld cell and one computed from withheld cells look alike.
const MISSING: &str = "–";
/// Sign of a key that the data lacks.
const NULL: &str = "NULL";

/// Columns whose values are words of a closed vocabulary, which people read in their own language.
const VOCABULARIES: [&str; 5] = ["state", "outcome", "role", "roles", "uses"];

/// A list of things that are not query results.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    /// Names of the columns, for programs.
    keys: Vec<&'static str>,
    /// Headings of the columns, for people.
    headings: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Listing {
    /// Begins a list with its columns: name for programs, heading in both languages.
    pub(crate) fn new(screen: &Screen<'_>, columns: &[(&'static str, &str, &str)]) -> Self {
        Self {
            keys: columns.iter().map(|(key, _, _)| *key).collect(),
            headings: columns.iter().map(|(_, en, zh)| screen.either(en, zh).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with a value for each column.
    pub(crate) fn row(&mut self, values: Vec<Value>) {
        self.rows.push(values);
    }

    /// Writes the list.
    pub(crate) fn write(&self, screen: &mut Screen<'_>) -> io::Result<()> {
        match screen.output {
            Output::Table => {
                let mut table = plain_table();
                table.set_header(self.headings.iter().map(Cell::new));
                for row in &self.rows {
                    let cells =
                        self.keys.iter().zip(row).map(|(key, value)| match VOCABULARIES.contains(key) {
                            true => told(screen, value),
                            false => shown(value),
                        });
                    table.add_row(cells.map(|text| Cell::new(visible(&text))));
                }
                screen.line(&table.to_string())
            }
            Output::Json => {
                let rows: Vec<Value> = self.rows.iter().map(|row| self.object(row)).collect();
                screen.line(&serde_json::to_string_pretty(&rows)?)
            }
            Output::Csv => {
                let mut writer = csv::Writer::from_writer(Vec::new());
                writer.write_record(&self.keys)?;
                for row in &self.rows {
                    writer.write_record(row.iter().map(plain))?;
                }
                screen.data(&writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?)
            }
            Output::Arrow | Output::Parquet => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "lists are written as table, json or csv"))
            }
        }
    }

    /// Writes each row as one line of JSON, for programs that read while more is written.
    pub(crate) fn write_lines(&self, screen: &mut Screen<'_>) -> io::Result<()> {
        self.rows.iter().try_for_each(|row| screen.data(format!("{}\n", self.object(row)).as_bytes()))
    }

    /// Writes each row as one line without headings, for people on a terminal and as CSV for programs.
    pub(crate) fn write_plain(&self, screen: &mut Screen<'_>) -> io::Result<()> {
        for row in &self.rows {
            let line = match screen.output {
                Output::Csv => {
                    let mut writer = csv::Writer::from_writer(Vec::new());
                    writer.write_record(row.iter().map(plain))?;
                    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?
                }
                _ => {
                    let cells = row.iter().map(|value| visible_line(&shown(value)));
                    format!("{}\n", cells.collect::<Vec<_>>().join("  ")).into_bytes()
                }
            };
            screen.data(&line)?;
        }
        Ok(())
    }

    fn object(&self, row: &[Value]) -> Value {
        let pairs = self.keys.iter().zip(row).map(|(key, value)| ((*key).to_owned(), value.clone()));
        Value::Object(pairs.collect::<Map<_, _>>())
    }
}

/// Width of standard error, if it is a terminal.
pub(crate) fn terminal_columns() -> Option<u16> {
    Table::new().use_stderr().width()
}

/// Writes a released table.
pub(crate) fn write_batch(screen: &mut Screen<'_>, batch: &RecordBatch) -> io::Result<()> {
    let format = match screen.output {
        Output::Table => {
            let text = draw(batch).map_err(|error| io::Error::other(error.to_string()))?;
            return screen.line(&text);
        }
        Output::Json => Format::Json,
        Output::Csv => Format::Csv,
        Output::Arrow => Format::Arrow,
        Output::Parquet => Format::Parquet,
    };
    let bytes = encode(batch, format).map_err(|_| io::Error::other("the result has no such form"))?;
    screen.data(&bytes)
}

fn draw(batch: &RecordBatch) -> Result<String, arrow::error::ArrowError> {
    let schema = batch.schema();
    let [figures, keys] = [MISSING, NULL].map(|null| FormatOptions::default().with_null(null));
    let formatters = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        let options = if Missing::of(field) == Missing::Value { &keys } else { &figures };
        ArrayFormatter::try_new(column.as_ref(), options)
    });
    let formatters: Vec<ArrayFormatter<'_>> = formatters.collect::<Result<_, _>>()?;
    let mut table = plain_table();
    table.set_header(batch.schema().fields().iter().map(|field| Cell::new(visible(field.name()))));
    for row in 0..batch.num_rows() {
        let columns = batch.columns().iter().zip(schema.fields());
        let cells = formatters.iter().zip(columns).map(|(formatter, (column, field))| {
            let is_number = column.data_type().is_numeric();
            let mut text = formatter.value(row).to_string();
            if top_coded_at(field).is_some_and(|most| most == text) {
                text.push('+');
            }
            let cell = Cell::new(if is_number { Cow::from(without_zeros(&text)) } else { visible(&text) });
            cell.set_alignment(if is_number { CellAlignment::Right } else { CellAlignment::Left })
        });
        table.add_row(cells);
    }
    Ok(table.to_string())
}

/// Trailing zeros are left out for people; programs get every digit.
fn without_zeros(number: &str) -> &str {
    if number.contains('.') && !number.contains('e') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

/// Words of a vocabulary as people read them; several stand in an array or between spaces.
fn told(screen: &Screen<'_>, value: &Value) -> String {
    match value {
        Value::Array(words) => words.iter().map(|word| told(screen, word)).collect::<Vec<_>>().join(", "),
        Value::String(words) => words.split(' ').map(|word| screen.word(word)).collect::<Vec<_>>().join(" "),
        other => shown(other),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => MISSING.to_owned(),
        Value::String(text) => whole_seconds(text).unwrap_or_else(|| text.clone()),
        other => plain(other),
    }
}

/// A point in time without its fraction, so that columns of times are of one width; programs get every digit.
fn whole_seconds(text: &str) -> Option<String> {
    let (seconds, fraction) = text.strip_suffix('Z')?.split_once('.')?;
    let is_time = fraction.chars().all(|c| c.is_ascii_digit()) && text.parse::<Timestamp>().is_ok();
    is_time.then(|| format!("{seconds}Z"))
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::whole_seconds;
    use super::without_zeros;

    #[test]
    fn times_are_of_one_width_and_nothing_else_is_cut() {
        assert_eq!(whole_seconds("2026-11-29T07:40:12.5Z").as_deref(), Some("2026-11-29T07:40:12Z"));
        for text in ["2026-11-29T07:40:12Z", "v1.5Z", "name.Z", "2026-11-29T07:40:12.xZ"] {
            assert_eq!(whole_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn only_places_that_say_nothing_are_left_out() {
        for (number, shown) in
            [("7.280000", "7.28"), ("20.0", "20"), ("100", "100"), ("1.0e20", "1.0e20"), ("0.50", "0.5")]
        {
            assert_eq!(without_zeros(number), shown);
        }
    }
}
