//! Recognises files that are no table yet: gzip is unpacked as it streams; a spreadsheet, a page or an archive is named in
//! the error.
//! It opens no archive and reads no spreadsheet.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::storage::error::StorageError;

/// True if the bytes begin a file packed with gzip.
pub(super) fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(b"\x1F\x8B\x08")
}

/// Unpacks gzip as it streams: memory stays flat whatever it unpacks to.
pub(super) fn unpack(packed: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
    Box::new(Unpacked { inner: MultiGzDecoder::new(packed) })
}

struct Unpacked {
    inner: MultiGzDecoder<Box<dyn Read + Send>>,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        use std::io::ErrorKind;
        self.inner.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidInput | ErrorKind::InvalidData => {
                std::io::Error::other(Damaged)
            }
            _ => error,
        })
    }
}

/// The packed file is cut off or damaged.
#[derive(Debug, thiserror::Error)]
#[error("the packed file is cut off or damaged")]
struct Damaged;

/// True if reading failed because the packed file is cut off or damaged.
pub(super) fn is_damaged(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Damaged>())
}

/// First bytes of files that are no tables, with what they are in English and Chinese.
const KNOWN: &[(&[u8], &str, &str)] = &[
    (b"PK\x03\x04", "a spreadsheet (xlsx, ods) or a zip archive", "电子表格（xlsx、ods）或 zip 压缩包"),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "a spreadsheet of the old form (xls)", "旧式电子表格（xls）"),
    (b"%PDF-", "a PDF document", "PDF 文档"),
    (b"\xFD7zXZ\x00", "packed with xz", "xz 压缩文件"),
    (b"\x28\xB5\x2F\xFD", "packed with zstd", "zstd 压缩文件"),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive", "7z 压缩包"),
    (b"Rar!\x1A\x07", "a rar archive", "rar 压缩包"),
    (b"BZh91AY&SY", "packed with bzip2", "bzip2 压缩文件"),
    (b"SQLite format 3\x00", "an SQLite database", "SQLite 数据库"),
    (b"Obj\x01", "an Avro file", "Avro 文件"),
];

/// Refuses a file that is no table, and says what it is.
pub(super) fn refuse(head: &[u8]) -> Result<(), StorageError> {
    let known = KNOWN.iter().find(|(magic, _, _)| head.starts_with(magic));
    if let Some((_, found, found_zh)) = known {
        return Err(StorageError::NoTable { found, found_zh });
    }
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    let begins =
        |word: &str| text.get(..word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word.as_bytes()));
    if ["<?xml", "<html", "<!doctype", "<table", "<meta"].into_iter().any(begins) {
        return Err(StorageError::NoTable {
            found: "a page of HTML or XML, which some programs name .xls",
            found_zh: "HTML 或 XML 页面（有些程序将其命名为 .xls）",
        });
    }
    Ok(())
}

/// Refuses a text in which every other byte is NUL: it may be UTF-16, and the steward has to say so.
pub(super) fn refuse_wide_text(head: &[u8]) -> Result<(), StorageError> {
    let is_marked = head.starts_with(b"\xFF\xFE") || head.starts_with(b"\xFE\xFF");
    let zeros = head.iter().filter(|byte| **byte == 0).count();
    if is_marked || head.len() < 8 || zeros * 4 < head.len() {
        return Ok(());
    }
    Err(StorageError::NoTable {
        found: "text in UTF-16 without a mark (say `--encoding utf-16le` or `utf-16be`)",
        found_zh: "没有标记的 UTF-16 文本（请用 `--encoding utf-16le` 或 `utf-16be`）",
    })
}
