//! The keys of the witnesses that an installation believes, as a file names them.

use std::fs;
use std::path::Path;

use obscura_crypto::cosignature::Witnesses;

use crate::error::AppError;
use crate::error::Class;
use crate::error::PublicError;

/// Longest list of witnesses, in bytes.
const WITNESSES_BYTES_MAX: u64 = 64 * 1024;

/// Reads the keys of witnesses from a file.
///
/// # Errors
/// Usage when it cannot be read or a line is no key of a witness.
pub(crate) fn read_witnesses(file: &Path) -> Result<Witnesses, AppError> {
    let unusable = |what: &str| {
        AppError::from(
            PublicError::new(
                Class::Usage,
                "witness-keys-unusable",
                format!("`{}` {what}", file.display()),
                format!("`{}` 不是可用的见证方公钥文件", file.display()),
            )
            .with_help(
                "one key a line, as witnesses publish them: `name+hash+base64`",
                "每行一个公钥：`名称+哈希+base64`",
            ),
        )
    };
    let length = fs::metadata(file).map_err(|_| unusable("cannot be read"))?.len();
    if length > WITNESSES_BYTES_MAX {
        return Err(unusable("is too long"));
    }
    let text = fs::read_to_string(file).map_err(|_| unusable("cannot be read"))?;
    text.parse().map_err(|_| unusable("holds something that is no witness's key"))
}
