//! The scanner must see before its silence means anything.

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::array::RecordBatch;
use arrow::array::StringArray;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::FileWriter;
use arrow::ipc::writer::IpcWriteOptions;
use arrow::ipc::writer::StreamWriter;
use base64::engine::general_purpose::STANDARD;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::*;

const VALUE: &str = "CANARY-name-7f3a9c";

fn scanner() -> Scanner {
    Scanner::new(vec![Canary::new("persons.name", VALUE)]).unwrap()
}

fn sees(bytes: &[u8]) -> bool {
    !scanner().scan("a test", bytes).is_empty()
}

fn batch() -> RecordBatch {
    let names: ArrayRef = Arc::new(StringArray::from(vec!["somebody", VALUE, "somebody else"]));
    RecordBatch::try_from_iter([("name", names)]).unwrap()
}

#[test]
fn a_canary_is_seen_in_plain_text_and_not_where_it_is_not() {
    assert!(sees(format!("id,name\n1,{VALUE}\n").as_bytes()));
    assert!(!sees(b"id,name\n1,CANARY-name-7f3a9d\n"));
}

#[test]
fn a_canary_is_seen_in_utf16() {
    let little: Vec<u8> = VALUE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = VALUE.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert!(sees(&little) && sees(&big));
}

#[test]
fn a_canary_is_seen_in_base64_and_hex_at_any_offset() {
    for before in ["", "x", "xy", "xyz"] {
        let plain = format!("{before}{VALUE}, and more");
        assert!(sees(STANDARD.encode(&plain).as_bytes()), "base64 behind {before:?}");
        assert!(sees(URL_SAFE_NO_PAD.encode(&plain).as_bytes()), "base64 for URLs behind {before:?}");
        let hex: String = plain.bytes().map(|byte| format!("{byte:02X}")).collect();
        assert!(sees(hex.as_bytes()), "hex behind {before:?}");
    }
}

#[test]
fn a_canary_is_seen_in_zstd_in_the_middle_of_other_bytes() {
    let mut bytes = b"header".to_vec();
    bytes.extend(zstd::encode_all(format!("{VALUE}\n").repeat(100).as_bytes(), 3).unwrap());
    bytes.extend(b"footer");
    assert!(sees(&bytes));
}

#[test]
fn a_canary_is_seen_in_parquet() {
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch().schema(), Some(properties)).unwrap();
    writer.write(&batch()).unwrap();
    writer.close().unwrap();
    assert!(sees(&bytes));
}

#[test]
fn a_canary_is_seen_in_arrow_files_and_streams() {
    let options = || IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD)).unwrap();
    let mut file = Vec::new();
    let mut writer = FileWriter::try_new_with_options(&mut file, &batch().schema(), options()).unwrap();
    writer.write(&batch()).unwrap();
    writer.finish().unwrap();
    drop(writer);
    assert!(sees(&file));

    let mut stream = Vec::new();
    let mut writer = StreamWriter::try_new_with_options(&mut stream, &batch().schema(), options()).unwrap();
    writer.write(&batch()).unwrap();
    writer.finish().unwrap();
    drop(writer);
    assert!(sees(&stream));
}

#[test]
fn a_canary_is_seen_through_several_wrappings() {
    let compressed = zstd::encode_all(format!("a line with {VALUE}").as_bytes(), 1).unwrap();
    let json = format!("{{\"payload\":\"{}\"}}", STANDARD.encode(compressed));
    let mut folder = Vec::new();
    folder.write_all(json.as_bytes()).unwrap();
    assert!(sees(&folder));
}

#[test]
fn a_canary_is_seen_in_the_name_and_the_contents_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("quiet"), "nothing").unwrap();
    assert!(scanner().scan_folder(folder.path()).unwrap().is_empty());
    fs::write(inner.join(format!("{VALUE}.txt")), "nothing").unwrap();
    assert_eq!(scanner().scan_folder(folder.path()).unwrap().len(), 1);
    fs::write(inner.join("loud"), VALUE).unwrap();
    assert_eq!(scanner().scan_folder(folder.path()).unwrap().len(), 2);
}
