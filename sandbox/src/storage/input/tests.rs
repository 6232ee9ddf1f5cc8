//! Every format and encoding yields the same rows; damaged input is reported, never guessed.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "tests may panic")]

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::array::DictionaryArray;
use arrow::array::Float64Array;
use arrow::array::Int32Array;
use arrow::array::Int64Array;
use arrow::array::StringArray;
use arrow::array::TimestampMillisecondArray;
use arrow::datatypes::Date32Type;
use arrow::datatypes::Decimal128Type;
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;
use obscura_policies::vocabulary::DataType;

use crate::storage::BadRowReason;
use crate::storage::DatasetSpec;
use crate::storage::Encoding;
use crate::storage::Format;
use crate::storage::Input;
use crate::storage::InputOptions;
use crate::storage::InputReport;
use crate::storage::Mending;
use crate::storage::Multiline;
use crate::storage::OnBadRow;
use crate::storage::StorageError;
use crate::storage::UnitKeys;
use crate::storage::input::Rows;
use crate::storage::rows::ColumnReader;
use crate::storage::testing::World;
use crate::storage::testing::column;
use crate::storage::testing::stream;
use crate::storage::testing::visits;

mod shapes;
mod times;

fn spec() -> DatasetSpec {
    let mut name = column("name", DataType::Text, 2);
    name.also = vec!["姓名".to_owned()];
    DatasetSpec {
        columns: vec![
            name,
            column("day", DataType::Date, 2),
            column("amount", DataType::Decimal { scale: 2 }, 2),
            column("age", DataType::Int, 2),
        ],
        units: Vec::new(),
        ..visits()
    }
}

fn options() -> InputOptions {
    InputOptions { on_bad_row: OnBadRow::Skip, ..World::new().options }
}

type Row = (Option<String>, Option<i32>, Option<i128>, Option<i64>);

fn read(input: Input, options: &InputOptions) -> Result<(Vec<Row>, InputReport), StorageError> {
    let spec = spec();
    let readers = spec.columns.iter().map(|c| ColumnReader::new(c.clone(), None, UnitKeys::Ask)).collect();
    let mut rows = Rows::open(input, &spec, readers, options)?;
    let mut out = Vec::new();
    while let Some(batch) = rows.next_batch()? {
        for row in 0..batch.num_rows() {
            out.push((
                batch.column(0).as_string::<i32>().iter().nth(row).unwrap().map(ToOwned::to_owned),
                batch.column(1).as_primitive::<Date32Type>().iter().nth(row).unwrap(),
                batch.column(2).as_primitive::<Decimal128Type>().iter().nth(row).unwrap(),
                batch.column(3).as_primitive::<arrow::datatypes::Int64Type>().iter().nth(row).unwrap(),
            ));
        }
    }
    Ok((out, rows.report().clone()))
}

fn two_rows() -> Vec<Row> {
    vec![
        (Some("王五".to_owned()), Some(18_661), Some(1250), Some(40)),
        (Some("Zhao".to_owned()), None, None, None),
    ]
}

const CSV: &str = "name,day,amount,age\n王五,2021/2/3,12.5,40\nZhao,,?,\n";

#[test]
fn utf8_with_and_without_mark_and_gb18030_give_the_same_rows() {
    let with_mark = [b"\xEF\xBB\xBF".as_slice(), CSV.as_bytes()].concat();
    let gb18030 = encoding_rs::GB18030.encode(CSV).0.into_owned();
    let utf16: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain(CSV.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    for bytes in [CSV.as_bytes().to_vec(), with_mark, gb18030, utf16] {
        let (rows, report) = read(stream(bytes), &options()).unwrap();
        assert_eq!(rows, two_rows());
        assert_eq!(report.rows_skipped, 0);
    }
}

#[test]
fn an_encoding_that_shows_itself_late_is_found() {
    let mut text = String::from("name,day,amount,age\n");
    for row in 0..20_000 {
        text.push_str(&format!("name-{row},,,{row}\n"));
    }
    text.push_str("王五,2021/2/3,12.5,40\n");
    for bytes in [text.clone().into_bytes(), encoding_rs::GB18030.encode(&text).0.into_owned()] {
        let (rows, _) = read(stream(bytes), &options()).unwrap();
        assert_eq!(rows.len(), 20_001);
        assert_eq!(rows[20_000], two_rows()[0]);
    }
}

#[test]
fn a_character_across_two_chunks_is_whole() {
    for pad in 0..5 {
        let mut text = format!("name,day,amount,age\n{},,,\n", "x".repeat(65_510 + pad));
        text.push_str("王五,2021/2/3,12.5,40\n");
        for bytes in [text.clone().into_bytes(), encoding_rs::GB18030.encode(&text).0.into_owned()] {
            let (rows, report) = read(stream(bytes), &options()).unwrap();
            assert_eq!((rows.len(), report.rows_skipped), (2, 0), "pad {pad}");
            assert_eq!(rows[1], two_rows()[0]);
        }
    }
}

#[test]
fn bytes_outside_the_encoding_are_a_bad_row_with_its_line() {
    let mut bytes = CSV.as_bytes().to_vec();
    bytes.extend_from_slice(b"\xFF\xFFbad,,,\n");
    let (rows, report) = read(stream(bytes), &options()).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((report.bad_rows[0].line, report.bad_rows[0].reason), (4, BadRowReason::Encoding));

    let mut gb = encoding_rs::GB18030.encode(CSV).0.into_owned();
    gb.extend_from_slice(b"\xFF\xFFbad,,,\n");
    let given = InputOptions { encoding: Some(Encoding::Gb18030), ..options() };
    let (rows, report) = read(stream(gb), &given).unwrap();
    assert_eq!((rows.len(), report.bad_rows[0].line), (2, 4));
}

#[test]
fn columns_are_found_by_title_case_and_renaming_but_not_by_place() {
    let mut options = options();
    options.rename.insert("betrag".to_owned(), "amount".to_owned());
    let (rows, report) =
        read(stream("betrag;Age;extra;姓名;DAY\n12.5;40;x;王五;2021-02-03\n"), &options).unwrap();
    assert_eq!(rows, two_rows()[..1]);
    assert_eq!(report.columns_ignored, 1);
    let missing = read(stream("a,b,c,d\n1,2,3,4\n"), &options);
    assert!(matches!(missing, Err(StorageError::ColumnMissing { column, .. }) if column == "name"));
    let twice = read(stream("name,姓名,day,amount,age\n"), &options);
    assert!(matches!(twice, Err(StorageError::ColumnTwice { column }) if column == "name"));
}

#[test]
fn delimiters_quotes_and_line_ends_are_understood() {
    for (text, delimiter) in [
        ("name\tday\tamount\tage\r\n王五\t2021/2/3\t12.5\t40\r\nZhao\t\t?\t\r\n", None),
        ("name|day|amount|age\n\"王五\"|2021/2/3|\"12.5\"|40\n\nZhao||?|", None),
        ("name;day;amount;age\n王五; 2021/2/3; 12.5 ; 40\nZhao;;;", Some(b';')),
    ] {
        let options = InputOptions { delimiter, ..options() };
        assert_eq!(read(stream(text), &options).unwrap().0, two_rows(), "{text:?}");
    }
    let quoted = "name,day,amount,age\n\"Wang, \"\"Wu\"\"\n\",,,\n";
    assert_eq!(read(stream(quoted), &options()).unwrap().0[0].0.as_deref(), Some("Wang, \"Wu\""));
}

#[test]
fn truncated_text_is_a_bad_row() {
    let (rows, report) = read(stream(&CSV[..CSV.len() - 4]), &options()).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((report.bad_rows[0].line, report.bad_rows[0].reason), (3, BadRowReason::FieldCount));
}

#[test]
fn a_quote_that_is_never_closed_stops_even_when_bad_rows_are_skipped() {
    let mut text = String::from("name,day,amount,age\n\"oops,,,\n");
    for row in 0..500 {
        text.push_str(&format!("name-{row},,,\n"));
    }
    let stopped = read(stream(text), &options());
    assert!(matches!(stopped, Err(StorageError::BadRow { line: 2, reason: BadRowReason::Truncated, .. })));
}

#[test]
fn a_row_without_end_does_not_fill_the_memory() {
    let endless = std::io::Read::chain(&b"name,day,amount,age\n\""[..], std::io::repeat(b'x'));
    let stopped = read(Input::Stream(Box::new(endless)), &options());
    assert!(matches!(stopped, Err(StorageError::BadRow { reason: BadRowReason::TooLong, .. })));
}

#[test]
fn ndjson_gives_the_same_rows() {
    let text = "{\"name\":\"王五\",\"day\":\"2021/2/3\",\"amount\":12.5,\"age\":40}\n\n{\"age\":null,\"姓名\":\"Zhao\",\"more\":[1]}\n";
    let (rows, report) = read(stream(text), &options()).unwrap();
    assert_eq!((rows, report.rows_skipped), (two_rows(), 0));
}

#[test]
fn damaged_ndjson_is_reported_by_line() {
    let text = "[1]\n{\"name\":{}}\n{\"name\":1.5}\n{\"age\":1.5}\n{\"age\":\"x\"}\n{\"name\":\"a\",\"day\":null,\"amount\":null}\nnull\n{\"name\":";
    let options = InputOptions { format: Some(Format::Ndjson), ..options() };
    let (rows, report) = read(stream(text), &options).unwrap();
    assert_eq!(rows.len(), 1);
    let reasons: Vec<_> = report.bad_rows.iter().map(|row| (row.line, row.reason)).collect();
    use BadRowReason as Reason;
    assert_eq!(
        reasons,
        [
            (1, Reason::NotAnObject),
            (2, Reason::NotScalar),
            (3, Reason::NotText),
            (4, Reason::NotInt),
            (5, Reason::NotInt),
            (7, Reason::NotAnObject),
            (8, Reason::Truncated)
        ]
    );
}

/// Columns in another order and in the types that data frames write.
fn frame() -> RecordBatch {
    let day = TimestampMillisecondArray::from(vec![Some(18_661 * 86_400_000), None]);
    let name: DictionaryArray<Int32Type> = vec![Some("王五"), Some("Zhao")].into_iter().collect();
    RecordBatch::try_from_iter([
        ("extra", Arc::new(Int32Array::from(vec![1, 2])) as arrow::array::ArrayRef),
        ("age", Arc::new(Float64Array::from(vec![Some(40.0), Some(f64::NAN)]))),
        ("day", Arc::new(day)),
        ("amount", Arc::new(Float64Array::from(vec![Some(12.5), None]))),
        ("name", Arc::new(name)),
    ])
    .unwrap()
}

fn parquet_bytes(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn ipc_bytes(batch: &RecordBatch, is_file: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    if is_file {
        let mut writer = arrow::ipc::writer::FileWriter::try_new(&mut bytes, &batch.schema()).unwrap();
        writer.write(batch).unwrap();
        writer.finish().unwrap();
    } else {
        let mut writer = arrow::ipc::writer::StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
        writer.write(batch).unwrap();
        writer.finish().unwrap();
    }
    bytes
}

#[test]
fn parquet_and_arrow_give_the_same_rows_from_files_and_streams() {
    let world = World::new();
    let frame = frame();
    let all = [
        ("a.parquet", parquet_bytes(&frame)),
        ("b.arrow", ipc_bytes(&frame, true)),
        ("c.arrows", ipc_bytes(&frame, false)),
    ];
    for (name, bytes) in all {
        let path = world.folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        for input in [stream(bytes), Input::Path(path)] {
            let (rows, report) = read(input, &options()).unwrap();
            assert_eq!((rows, report.columns_ignored), (two_rows(), 1), "{name}");
        }
    }
}

#[test]
fn damaged_binary_inputs_are_errors_without_values() {
    let frame = frame();
    for (format, bytes) in [
        (Format::Parquet, parquet_bytes(&frame)),
        (Format::ArrowIpc, ipc_bytes(&frame, true)),
        (Format::ArrowIpc, ipc_bytes(&frame, false)),
    ] {
        let options = InputOptions { format: Some(format), ..options() };
        let cut = bytes[..bytes.len() / 2].to_vec();
        let error = read(stream(cut), &options).unwrap_err();
        assert!(matches!(error, StorageError::Input { .. }), "{error:?}");
    }
}

#[test]
fn a_large_binary_stream_must_be_a_file() {
    let options = InputOptions { memory_bytes: 100, ..options() };
    let error = read(stream(parquet_bytes(&frame())), &options).unwrap_err();
    assert!(error.to_string().contains("must be given as a file"));
}

#[test]
fn values_that_do_not_fit_are_not_rounded() {
    let batch = RecordBatch::try_from_iter([
        ("name", Arc::new(Int64Array::from(vec![7, 7, 7])) as arrow::array::ArrayRef),
        ("day", Arc::new(Int64Array::from(vec![20_210_203, 99, 20_210_203]))),
        ("amount", Arc::new(StringArray::from(vec!["1.5", "1", "1.555"]))),
        ("age", Arc::new(Float64Array::from(vec![1.0, 1.0, 1.5]))),
    ])
    .unwrap();
    let (rows, report) = read(stream(parquet_bytes(&batch)), &options()).unwrap();
    assert_eq!(rows, [(Some("7".to_owned()), Some(18_661), Some(150), Some(1))]);
    let found: Vec<_> = report.bad_rows.iter().map(|row| (row.line, row.column.clone().unwrap())).collect();
    assert_eq!(found, [(2, "day".to_owned()), (3, "amount".to_owned())]);
}

/// Rows of a plain file, with a place that is free text.
fn places(rows: usize) -> Vec<String> {
    (0..rows).map(|row| format!("place {row},2021/2/3,{row}.5,{row}\n")).collect()
}

fn of_places(rows: &[String]) -> String {
    format!("name,day,amount,age\n{}", rows.concat())
}

#[test]
fn a_quote_that_swallows_rows_stops_with_the_lines_of_both_ends() {
    for (from, to) in [(20, 29), (20, 21), (0, 59)] {
        let mut rows = places(60);
        rows[from] = format!("\"east{}", &rows[from][5..]);
        rows[to] = rows[to].replacen(',', "\",", 1);
        let stopped = read(stream(of_places(&rows)), &options()).unwrap_err();
        let (first, last) = (from as u64 + 2, to as u64 + 2);
        let expected = StorageError::SwallowedRows { first, last };
        assert_eq!(stopped.to_string(), expected.to_string(), "{from} to {to}");
    }
    let mut rows = places(60);
    rows[57] = rows[57].replace(",57.5", ",\"57.5");
    let open = read(stream(of_places(&rows)), &options());
    assert!(
        matches!(open, Err(StorageError::BadRow { line: 59, reason: BadRowReason::Truncated, .. })),
        "{open:?}"
    );
}

#[test]
fn line_breaks_within_cells_are_text_and_are_counted() {
    let text = "name,day,amount,age\n\"East gate,\nsecond house\n\",2021/2/3,1,1\n\"a\r\n\r\nb\",,,\nc,,,\n";
    let (rows, report) = read(stream(text), &options()).unwrap();
    assert_eq!((rows.len(), report.rows_multiline, report.rows_skipped), (3, 2, 0));
    let like_rows = "name,day,amount,age\n\"a,b,c,d\ne,f,g,h\ni,j,k,l\",,,\n";
    assert!(matches!(
        read(stream(like_rows), &options()),
        Err(StorageError::SwallowedRows { first: 2, last: 4 })
    ));
    let allowed = InputOptions { multiline: Multiline::Allow, ..options() };
    assert_eq!(read(stream(like_rows), &allowed).unwrap().0.len(), 1);
}

#[test]
fn the_second_count_of_lines_agrees_with_every_way_to_end_and_leave_lines() {
    for text in [
        "name,day,amount,age\r\na,,,\r\n\r\nb,,,\r\n",
        "name,day,amount,age\ra,,,\rb,,,",
        "\n\nname,day,amount,age\n\n\na,,,\nb,,,\n\n",
        "\"name\",\"day\",\"amount\",\"age\"\n\"a\",\"\",\"\",\"\"\nb\"c,,,\n",
    ] {
        assert_eq!(read(stream(text), &options()).unwrap().0.len(), 2, "{text:?}");
    }
}

#[test]
fn totals_and_signatures_below_a_table_are_no_rows() {
    let text = "name,day,amount,age\na,,1,\n合计,,1,\n制表人：某某,,,\nTotal\n";
    let (rows, report) = read(stream(text), &options()).unwrap();
    assert_eq!(rows.len(), 1);
    let reasons: Vec<_> = report.bad_rows.iter().map(|row| (row.line, row.reason)).collect();
    assert_eq!(reasons, [3, 4, 5].map(|line| (line, BadRowReason::BelowTable)));
}

#[test]
fn words_for_a_missing_value_are_missing_where_no_value_can_be_a_word() {
    let text = "name,day,amount,age\nNULL,NULL,-,暂无\n";
    let (rows, report) = read(stream(text), &options()).unwrap();
    assert_eq!(rows, [(Some("NULL".to_owned()), None, None, None)], "a text may be any word");
    let mended: Vec<_> =
        report.mended.iter().map(|((name, kind), cells)| (name.as_str(), *kind, *cells)).collect();
    let word = Mending::MissingWord;
    assert_eq!(mended, [("age", word, 1), ("amount", word, 1), ("day", word, 1)]);
}

#[test]
fn a_key_that_no_object_names_is_a_missing_column_and_one_named_twice_is_malformed() {
    let renamed = "{\"nam\":\"a\",\"day\":null,\"amount\":1,\"age\":1}\n";
    let missing = read(stream(renamed.repeat(3)), &options());
    assert!(matches!(missing, Err(StorageError::ColumnMissing { column, .. }) if column == "name"));
    let twice = "{\"name\":\"a\",\"day\":null,\"amount\":1,\"age\":1,\"extra\":0}\n{\"age\":1,\"age\":2}\n{\"age\":1,\"Age\":2}\n";
    let (rows, report) = read(stream(twice), &options()).unwrap();
    assert_eq!((rows.len(), report.columns_ignored), (1, 1));
    let reasons: Vec<_> = report.bad_rows.iter().map(|row| (row.line, row.reason)).collect();
    assert_eq!(reasons, [(2, BadRowReason::KeyTwice), (3, BadRowReason::KeyTwice)]);
}

#[test]
fn text_that_fits_two_encodings_is_not_guessed() {
    let rows = |women: usize, men: usize| {
        format!("name,day,amount,age\n{}{}", "女,,,1\n".repeat(women), "男,,,1\n".repeat(men))
    };
    for (women, men) in [(1, 0), (60, 0), (590, 10), (20_000, 100)] {
        let bytes = encoding_rs::GB18030.encode(&rows(women, men)).0.into_owned();
        let found = read(stream(bytes.clone()), &options());
        assert!(matches!(found, Err(StorageError::EncodingUndecided)), "{women} and {men}: {found:?}");
        let given = InputOptions { encoding: Some(Encoding::Gb18030), ..options() };
        let (read, report) = read(stream(bytes), &given).unwrap();
        assert_eq!((read.len(), report.rows_skipped), (women + men, 0));
        assert_eq!(read[0].0.as_deref(), Some("女"));
    }
    let late = format!("name,day,amount,age\n{}女,,,1\n", "x,,,1\n".repeat(40_000));
    let bytes = encoding_rs::GB18030.encode(&late).0.into_owned();
    assert!(matches!(read(stream(bytes), &options()), Err(StorageError::EncodingUndecided)));
}

#[test]
fn an_encoding_is_recognised_by_all_of_a_sample() {
    let women = "女,,,1\n".repeat(6000);
    let known = "name,day,amount,age\n王五,,,1\n赵六,,,1\n".to_owned() + &women;
    let title = "姓名,day,amount,age\n".to_owned() + &women;
    for text in [&known, &title] {
        for bytes in [text.clone().into_bytes(), encoding_rs::GB18030.encode(text).0.into_owned()] {
            let (rows, report) = read(stream(bytes), &options()).unwrap();
            assert_eq!((rows[10].0.as_deref(), report.rows_skipped), (Some("女"), 0));
        }
    }
    for name in ["café", "Müller", "Łódź", "阿依·古丽", "25 °C 中"] {
        let text = format!("name,day,amount,age\n{name},,,1\n");
        let (rows, _) = read(stream(text), &options()).unwrap();
        assert_eq!(rows[0].0.as_deref(), Some(name));
    }
    let mut damaged = format!("name,day,amount,age\n{}", "中文,,,1\n".repeat(9)).into_bytes();
    damaged.extend_from_slice(b"\xFFbad,,,1\n");
    let (rows, report) = read(stream(damaged), &options()).unwrap();
    assert_eq!((rows.len(), report.rows_skipped), (9, 1), "one damaged byte turns no file");
}
