//! The one function that turns a description of a ciphertext into associated data.
//!
//! It does not decide what a description holds; wrapping keys, the keyring and sealed objects each name their fields.

/// Builds associated data from a purpose and its fields, each with its length in front.
///
/// Lengths make the encoding injective: two different lists of fields never give the same bytes, so a ciphertext of
/// column `ab` of part `c` cannot pass for column `a` of part `bc`.
#[must_use]
pub fn associated_data(purpose: &str, fields: &[&[u8]]) -> Vec<u8> {
    let length = 16 + purpose.len() + fields.iter().map(|field| 8 + field.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(length);
    put(&mut bytes, purpose.as_bytes());
    bytes.extend_from_slice(&(fields.len() as u64).to_be_bytes());
    for field in fields {
        put(&mut bytes, field);
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, field: &[u8]) {
    bytes.extend_from_slice(&(field.len() as u64).to_be_bytes());
    bytes.extend_from_slice(field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_byte_between_fields_changes_the_bytes() {
        let one = associated_data("p", &[b"ab", b"c"]);
        assert_ne!(one, associated_data("p", &[b"a", b"bc"]));
        assert_ne!(one, associated_data("p", &[b"ab", b"c", b""]));
        assert_ne!(one, associated_data("pa", &[b"b", b"c"]));
    }

    #[test]
    fn the_encoding_is_the_one_stored_ciphertexts_were_made_with() {
        let bytes = associated_data("p", &[b"ab"]);
        assert_eq!(bytes, b"\0\0\0\0\0\0\0\x01p\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02ab");
    }
}
