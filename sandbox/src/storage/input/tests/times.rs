//! Times, decimals and texts as other engines write them: one rule over all formats; values that no cell can hold are named.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::AsArray;
use arrow::array::BinaryArray;
use arrow::array::Decimal256Array;
use arrow::array::Float64Array;
use arrow::array::Int32Array;
use arrow::array::ListArray;
use arrow::array::StringArray;
use arrow::array::Time32SecondArray;
use arrow::array::TimestampMicrosecondArray;
use arrow::array::TimestampSecondArray;
use arrow::datatypes::Int32Type;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::datatypes::i256;
use arrow::record_batch::RecordBatch;
use jiff::tz::TimeZone;
use obscura_policies::vocabulary::DataType;
use parquet::data_type::Int96;
use parquet::data_type::Int96Type;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::ipc_bytes;
use super::parquet_bytes;
use crate::storage::BadRowReason;
use crate::storage::DatasetSpec;
use crate::storage::InputOptions;
use crate::storage::StorageError;
use crate::storage::UnitKeys;
use crate::storage::input::Rows;
use crate::storage::rows::ColumnReader;
use crate::storage::testing::column;
use crate::storage::testing::stream;
use crate::storage::testing::visits;

/// Reads one column of the type and hands out the first batch.
fn read(bytes: Vec<u8>, data_type: DataType, zone: &str) -> Result<ArrayRef, StorageError> {
    let spec = DatasetSpec { columns: vec![column("seen", data_type, 2)], units: Vec::new(), ..visits() };
    let readers = spec.columns.iter().map(|c| ColumnReader::new(c.clone(), None, UnitKeys::Ask)).collect();
    let options = InputOptions { time_zone: TimeZone::get(zone).unwrap(), ..InputOptions::strict(1 << 20) };
    let mut rows = Rows::open(stream(bytes), &spec, readers, &options)?;
    Ok(Arc::clone(rows.next_batch()?.unwrap().column(0)))
}

fn times(bytes: Vec<u8>, zone: &str) -> Vec<i64> {
    let column = read(bytes, DataType::Timestamp, zone).unwrap();
    column.as_primitive::<TimestampMicrosecondType>().values().to_vec()
}

fn one(array: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([("seen", array)]).unwrap()
}

/// Seconds of 2024-03-01 08:00:00, as if it were in UTC.
const EIGHT: i64 = 1_709_280_000;
const HOUR: i64 = 3600;

#[test]
fn an_instant_is_the_local_time_of_the_setting_in_every_format_and_a_time_without_zone_stays() {
    let micros = |seconds: i64| TimestampMicrosecondArray::from(vec![seconds * 1_000_000]);
    let seconds = TimestampSecondArray::from(vec![EIGHT - 8 * HOUR]).with_timezone("+02:00");
    let instants = [
        b"seen\n2024-03-01T00:00:00Z\n".to_vec(),
        b"seen\n2024-03-01 02:00:00+02:00\n".to_vec(),
        b"seen\n2024-03-01 00:00:00 UTC\n".to_vec(),
        b"{\"seen\":\"2024-02-29T19:00:00-0500\"}\n".to_vec(),
        parquet_bytes(&one(Arc::new(micros(EIGHT - 8 * HOUR).with_timezone("UTC")))),
        parquet_bytes(&one(Arc::new(micros(EIGHT - 8 * HOUR).with_timezone("America/New_York")))),
        ipc_bytes(&one(Arc::new(seconds)), true),
    ];
    for bytes in instants {
        assert_eq!(times(bytes.clone(), "Asia/Shanghai"), [EIGHT * 1_000_000]);
        assert_eq!(times(bytes, "UTC"), [(EIGHT - 8 * HOUR) * 1_000_000]);
    }
    let local = [
        b"seen\n2024-03-01 08:00:00\n".to_vec(),
        b"seen\n2024/3/1 8:00\n".to_vec(),
        b"{\"seen\":\"2024-03-01T08:00:00.000\"}\n".to_vec(),
        parquet_bytes(&one(Arc::new(micros(EIGHT)))),
        ipc_bytes(&one(Arc::new(TimestampSecondArray::from(vec![EIGHT]))), false),
        int96(&[(2_460_371, 8 * HOUR)]),
    ];
    for bytes in local {
        for zone in ["Asia/Shanghai", "UTC", "America/New_York"] {
            assert_eq!(times(bytes.clone(), zone), [EIGHT * 1_000_000], "{zone}");
        }
    }
}

/// A file of Julian days and seconds of the day in 96 bits, as engines of clusters write it: without an Arrow schema.
fn int96(values: &[(u32, i64)]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type("message m { required int96 seen; }").unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let of = |(day, seconds): &(u32, i64)| {
        let nanos = u64::try_from(*seconds).unwrap() * 1_000_000_000;
        let mut value = Int96::new();
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap();
        value.set_data(half(nanos), half(nanos >> 32), *day);
        value
    };
    let values: Vec<Int96> = values.iter().map(of).collect();
    column.typed::<Int96Type>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn times_of_96_bits_are_read_beyond_the_years_that_nanoseconds_hold() {
    // 9999-12-31 and 1650-05-01.
    let days = [(5_373_484, 2_932_896), (2_323_828, -116_760)];
    for (julian, since_1970) in days {
        let bytes = int96(&[(julian, 0)]);
        assert_eq!(times(bytes.clone(), "Asia/Shanghai"), [since_1970 * 86_400_000_000]);
        let day = read(bytes, DataType::Date, "Asia/Shanghai").unwrap();
        assert_eq!(i64::from(day.as_primitive::<arrow::datatypes::Date32Type>().value(0)), since_1970);
    }
}

#[test]
fn texts_without_their_mark_and_wide_decimals_are_read() {
    let texts = BinaryArray::from_vec(vec!["女".as_bytes(), b"x"]);
    let read_back = read(parquet_bytes(&one(Arc::new(texts))), DataType::Text, "UTC").unwrap();
    assert_eq!(read_back.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["女", "x"]);
    let bytes = BinaryArray::from_vec(vec![b"\xFF\xFE"]);
    let bad = read(parquet_bytes(&one(Arc::new(bytes))), DataType::Text, "UTC");
    assert!(matches!(bad, Err(StorageError::BadRow { reason: BadRowReason::Encoding, .. })));
    let two = DataType::Decimal { scale: 2 };
    let wide = |value: i256| Decimal256Array::from(vec![value]).with_precision_and_scale(50, 4).unwrap();
    let fits = parquet_bytes(&one(Arc::new(wide(i256::from_i128(102_500)))));
    let fits = read(fits, two, "UTC").unwrap();
    assert_eq!(fits.as_primitive::<arrow::datatypes::Decimal128Type>().value(0), 1025);
    for value in [i256::from_i128(102_501), i256::from_parts(0, 1)] {
        let bad = read(parquet_bytes(&one(Arc::new(wide(value)))), two, "UTC");
        assert!(matches!(bad, Err(StorageError::BadRow { reason: BadRowReason::NotDecimal, .. })));
    }
}

#[test]
fn a_column_whose_values_have_no_cell_is_named() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)])]);
    let columns: [(ArrayRef, &str); 2] =
        [(Arc::new(list), "holds lists"), (Arc::new(Time32SecondArray::from(vec![1])), "holds times of day")];
    for (array, found) in columns {
        let error = read(parquet_bytes(&one(array)), DataType::Text, "UTC").unwrap_err().to_string();
        assert!(error.contains("`seen`") && error.contains(found), "{error}");
    }
    let keys = Int32Array::from(vec![0, 0, 1]);
    let words: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let dictionary = arrow::array::DictionaryArray::<Int32Type>::new(keys, words);
    let read_back = read(parquet_bytes(&one(Arc::new(dictionary))), DataType::Text, "UTC").unwrap();
    assert_eq!(read_back.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["a", "a", "b"]);
    let floats = parquet_bytes(&one(Arc::new(Float64Array::from(vec![1.0]))));
    let bad = read(floats, DataType::Text, "UTC");
    assert!(matches!(bad, Err(StorageError::BadRow { reason: BadRowReason::NotText, .. })));
}
