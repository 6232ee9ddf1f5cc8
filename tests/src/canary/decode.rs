//! Opens what bytes may be wrapped in: Parquet, Arrow IPC, zstd, base64, hex. Bytes that do not decode are no part.
//! It searches nothing.

use std::io::Cursor;
use std::io::Read as _;

use arrow::array::RecordBatch;
use arrow::ipc::reader::FileReader;
use arrow::ipc::reader::StreamReader;
use arrow::util::display::ArrayFormatter;
use arrow::util::display::FormatOptions;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::GeneralPurposeConfig;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Shorter runs of base64 or hex hold nothing that the plain search does not see already.
const RUN_MIN: usize = 24;
/// Most bytes one compressed frame is opened to.
const FRAME_MAX: u64 = 256 << 20;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Returns what these bytes hold in encoded form, each with the name of the encoding.
pub(super) fn parts(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut parts = Vec::new();
    if bytes.starts_with(b"PAR1") {
        parts.extend(parquet(bytes).map(|text| ("Parquet", text)));
    }
    if bytes.starts_with(b"ARROW1") {
        parts.extend(arrow_file(bytes).map(|text| ("Arrow IPC file", text)));
    } else if bytes.starts_with(&[0xff; 4]) {
        parts.extend(arrow_stream(bytes).map(|text| ("Arrow IPC stream", text)));
    }
    parts.extend(zstd_frames(bytes).into_iter().map(|part| ("zstd", part)));
    for run in runs(bytes, |byte| byte.is_ascii_hexdigit()) {
        parts.extend(hex(run).map(|part| ("hex", part)));
    }
    for run in runs(bytes, |byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte)) {
        parts.extend(base64(run, &alphabet::STANDARD).map(|part| ("base64", part)));
    }
    for run in runs(bytes, |byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        if run.iter().any(|byte| b"-_".contains(byte)) {
            parts.extend(base64(run, &alphabet::URL_SAFE).map(|part| ("base64", part)));
        }
    }
    parts
}

fn parquet(bytes: &[u8]) -> Option<Vec<u8>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(bytes)).ok()?;
    rendered(reader.build().ok()?)
}

fn arrow_file(bytes: &[u8]) -> Option<Vec<u8>> {
    rendered(FileReader::try_new(Cursor::new(bytes), None).ok()?)
}

fn arrow_stream(bytes: &[u8]) -> Option<Vec<u8>> {
    rendered(StreamReader::try_new(Cursor::new(bytes), None).ok()?)
}

/// All values as text, one a line; an unreadable batch ends the text.
fn rendered<E>(batches: impl Iterator<Item = Result<RecordBatch, E>>) -> Option<Vec<u8>> {
    let mut text = String::new();
    for batch in batches {
        let Ok(batch) = batch else { break };
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            text.push_str(field.name());
            text.push('\n');
            let formatter = ArrayFormatter::try_new(column, &FormatOptions::default()).ok()?;
            for row in 0..batch.num_rows() {
                text.push_str(&formatter.value(row).try_to_string().ok()?);
                text.push('\n');
            }
        }
    }
    Some(text.into_bytes())
}

fn zstd_frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut from = 0;
    while let Some(at) = bytes[from..].windows(4).position(|window| window == ZSTD_MAGIC) {
        let start = from + at;
        let mut frame = Vec::new();
        if let Ok(decoder) = zstd::Decoder::new(&bytes[start..]) {
            // A frame that breaks off still gives what came before the break.
            let _broken = decoder.single_frame().take(FRAME_MAX).read_to_end(&mut frame);
        }
        if !frame.is_empty() {
            frames.push(frame);
        }
        from = start + ZSTD_MAGIC.len();
    }
    frames
}

/// The longest stretches of bytes of one kind.
fn runs(bytes: &[u8], of_kind: impl Fn(u8) -> bool) -> Vec<&[u8]> {
    bytes.split(|byte| !of_kind(*byte)).filter(|run| run.len() >= RUN_MIN).collect()
}

fn hex(run: &[u8]) -> Option<Vec<u8>> {
    let even = run.get(..run.len() / 2 * 2)?;
    even.chunks_exact(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn base64(run: &[u8], alphabet: &alphabet::Alphabet) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let whole = if run.len() % 4 == 1 { run.len() - 1 } else { run.len() };
    GeneralPurpose::new(alphabet, config).decode(run.get(..whole)?).ok()
}
