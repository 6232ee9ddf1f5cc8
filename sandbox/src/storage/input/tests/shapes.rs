//! Shapes that spreadsheets and other programs give to tables: read where that is safe, else named.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::CSV;
use super::ipc_bytes;
use super::options;
use super::parquet_bytes;
use super::read;
use super::two_rows;
use crate::storage::BadRowReason;
use crate::storage::Input;
use crate::storage::StorageError;
use crate::storage::testing::World;
use crate::storage::testing::stream;

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn what_is_packed_with_gzip_is_read_in_every_format() {
    let frame = super::frame();
    let gb18030 = encoding_rs::GB18030.encode(CSV).0.into_owned();
    for bytes in [CSV.as_bytes().to_vec(), gb18030, parquet_bytes(&frame), ipc_bytes(&frame, false)] {
        let (rows, report) = read(stream(packed(&bytes)), &options()).unwrap();
        assert_eq!((rows, report.rows_skipped), (two_rows(), 0));
    }
    let world = World::new();
    let path = world.folder.path().join("rows.tsv.gz");
    std::fs::write(&path, packed(CSV.replace(',', "\t").as_bytes())).unwrap();
    assert_eq!(read(Input::Path(path), &options()).unwrap().0, two_rows());
    let mut many = packed(CSV.as_bytes());
    many.extend(packed(b"Li,,,\n"));
    assert_eq!(read(stream(many), &options()).unwrap().0.len(), 3, "members one after the other");
}

#[test]
fn a_packed_file_that_is_cut_off_is_an_error_and_not_fewer_rows() {
    let whole = packed(CSV.repeat(2000).as_bytes());
    for length in [whole.len() - 1, whole.len() / 2, 30] {
        let cut = read(stream(&whole[..length]), &options());
        assert!(matches!(cut, Err(StorageError::Input { format: "gzip", .. })), "{length}: {cut:?}");
    }
}

#[test]
fn a_line_that_names_the_delimiter_is_no_header() {
    let rows = CSV.replace(',', ";");
    for first in ["sep=;\n", "\"sep=;\"\r\n", "SEP=;\n"] {
        let (rows, report) = read(stream(format!("{first}{rows}bad;row\n")), &options()).unwrap();
        assert_eq!((rows, report.bad_rows[0].line), (two_rows(), 5));
    }
}

#[test]
fn a_line_break_within_the_name_of_a_column_is_nothing_or_a_space() {
    let broken = CSV.replace("amount", "\"amo\nunt\"").replace("age", "\"ag\r\ne\"");
    assert_eq!(read(stream(broken), &options()).unwrap().0, two_rows());
    let astray = CSV.replacen("name", "\"name", 1) + "\"x\",,,\n";
    assert!(matches!(read(stream(astray), &options()), Err(StorageError::SwallowedRows { first: 1, .. })));
}

#[test]
fn a_title_above_the_header_is_named_with_the_header_s_line() {
    for (title, line) in [("A list,,,\n", 2), ("A list\nof 2024\n\n", 4), ("sep=,\nA list\n", 3)] {
        let below = read(stream(format!("{title}{CSV}")), &options());
        assert!(
            matches!(below, Err(StorageError::HeaderBelow { line: found }) if found == line),
            "{title:?}: {below:?}"
        );
    }
    let none = read(stream("1,2,3\n4,5,6\n"), &options());
    assert!(matches!(none, Err(StorageError::ColumnMissing { cells: 3, found: 0, .. })), "{none:?}");
}

#[test]
fn what_is_no_table_is_named() {
    let wide: Vec<u8> = CSV.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let files: [(&[u8], &str); 5] = [
        (b"PK\x03\x04\x14\0\0\0\0\0", "a spreadsheet (xlsx"),
        (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\0\0", "the old form"),
        (b"\xEF\xBB\xBF <html><table>", "HTML"),
        (b"%PDF-1.7", "PDF"),
        (&wide, "UTF-16"),
    ];
    for (bytes, found) in files {
        let told = read(stream(bytes), &options()).unwrap_err().to_string();
        assert!(told.contains(found), "{told}");
    }
}

#[test]
fn an_array_of_objects_gives_the_same_rows_and_is_whole_or_an_error() {
    let objects = [
        "{\"name\":\"王五\",\"day\":\"2021/2/3\",\"amount\":12.5,\"age\":40}",
        "{\"name\":\"Zhao\",\"more\":[{\"}\":\"\\\"]\"}]}",
    ];
    for text in [
        format!("[{}]", objects.join(",")),
        format!("\u{feff}  [\n  {}\n]\n", objects.join("\n ,\n").replace("{\"name", "{\n\"name")),
    ] {
        let (rows, report) = read(stream(text), &options()).unwrap();
        assert_eq!((rows, report.columns_ignored), (two_rows(), 1));
    }
    for text in [
        format!("[{}", objects.join(",")),
        format!("[{},", objects.join(",")),
        format!("[{} {}]", objects[0], objects[1]),
        format!("[{}]{}", objects[0], objects[1]),
        format!("[{},1]", objects[0]),
        format!("[{},{}", objects[0], &objects[1][..20]),
    ] {
        let cut = read(stream(text.clone()), &options());
        assert!(
            matches!(cut, Err(StorageError::Input { .. } | StorageError::BadRow { .. })),
            "{text}: {cut:?}"
        );
    }
    assert!(read(stream("[]"), &options()).unwrap().0.is_empty());
}

#[test]
fn a_control_character_within_a_text_is_a_malformed_row() {
    let text = format!("{CSV}a\0b,,,\nc\u{7f},,,\nd\te,,,\n\"f\ng\",,,\n");
    let (rows, report) = read(stream(text), &options()).unwrap();
    let reasons: Vec<_> = report.bad_rows.iter().map(|row| (row.line, row.reason)).collect();
    assert_eq!((rows.len(), reasons), (4, [4, 5].map(|line| (line, BadRowReason::Control)).to_vec()));
}
