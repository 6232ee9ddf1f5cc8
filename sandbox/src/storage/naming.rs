//! Names that bind a ciphertext to its place: part names, associated data of files, contexts of wrapped keys.
//! One function each, so that writer and reader cannot differ.

use obscura_crypto::aead::associated_data;
use obscura_crypto::kms::WrapContext;
use obscura_policies::vocabulary::DatasetId;

/// Version of the stored format: folder, manifest, associated data.
pub(crate) const FORMAT_VERSION: u16 = 1;
/// Name of the footer's key, in place of a column's name. No column can have this name.
pub const FOOTER: &str = "#footer";

/// File name of a part.
pub(crate) fn part_name(ordinal: u64) -> String {
    format!("part-{ordinal:05}.parquet")
}

/// The AAD prefix of a file. It is not stored in the file: a file put in another's place does not open.
pub(crate) fn aad_prefix(dataset: &DatasetId, sealed_in: u64, part: &str) -> Vec<u8> {
    associated_data(
        "obscura sealed part",
        &[
            &FORMAT_VERSION.to_be_bytes(),
            dataset.to_string().as_bytes(),
            &sealed_in.to_be_bytes(),
            part.as_bytes(),
        ],
    )
}

/// The context that a wrapped key is bound to.
pub(crate) fn wrap_context(dataset: &DatasetId, sealed_in: u64, part: &str, column: &str) -> WrapContext {
    WrapContext::Column {
        format_version: FORMAT_VERSION,
        dataset: dataset.to_string(),
        version: sealed_in,
        part: part.to_owned(),
        column: column.to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests may panic")]
mod tests {
    use super::aad_prefix;
    use super::part_name;

    #[test]
    fn every_place_has_its_own_prefix() {
        let a = "hz-health.visits".parse().unwrap();
        let b = "hz-health.visit".parse().unwrap();
        let all = [
            aad_prefix(&a, 1, &part_name(0)),
            aad_prefix(&a, 2, &part_name(0)),
            aad_prefix(&a, 1, &part_name(1)),
            aad_prefix(&b, 1, &part_name(0)),
        ];
        for (at, one) in all.iter().enumerate() {
            assert_eq!(all.iter().filter(|other| *other == one).count(), 1, "{at}");
        }
    }
}
