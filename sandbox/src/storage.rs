//! Sealed datasets on disk: sealing a department's file, and opening sealed versions.
//!
//! A version of a dataset is a folder of encrypted Parquet files and one signed manifest. Nothing here decides who may
//! seal or read, writes plaintext to disk, or puts a value into an error.
//!
//! ```text
//! input (CSV, NDJSON, Parquet, Arrow) -> rows, typed and tokenised -> cluster -> part (encrypted Parquet)
//!                                                                          -> manifest (signed) -> folder (published)
//! folder -> version (verified) -> keys of chosen columns -> engine's sealed table
//! ```
//!
//! Reading order: `spec`, `seal`, `input`, `cluster`, `part`, `manifest`, `folder`, `version`, `lifecycle`.

mod append;
mod cell;
mod changed;
mod cluster;
pub mod danger;
mod error;
mod folder;
mod input;
mod intervals;
mod lifecycle;
mod manifest;
mod naming;
mod part;
mod published;
mod reading;
mod rows;
mod seal;
mod spec;
mod spellings;
mod spill;
mod subjects;
#[cfg(test)]
pub(crate) mod testing;
mod version;
mod words;
mod zone;

pub use append::recounted_columns;
pub use error::BadRowReason;
pub use error::RejectsProblem;
pub use error::StorageError;
pub use folder::DataFolder;
pub use input::BadRow;
pub use input::Encoding;
pub use input::Format;
pub use input::Input;
pub use input::InputOptions;
pub use input::InputReport;
pub use input::Mending;
pub use input::Multiline;
pub use input::OnBadRow;
pub use lifecycle::Shredding;
pub use lifecycle::drop_version;
pub use lifecycle::foreign_key;
pub use lifecycle::list;
pub use lifecycle::rewrap;
pub use lifecycle::shred;
pub use manifest::Clustered;
pub use manifest::ColumnRecord;
pub use manifest::DocumentRecord;
pub use manifest::IntervalsRecord;
pub use manifest::KeysSection;
pub use manifest::Manifest;
pub use manifest::ManifestFault;
pub use manifest::PartKeysRecord;
pub use manifest::PartRecord;
pub use manifest::ShredRecord;
pub use manifest::UnitRecord;
pub use naming::FOOTER as FOOTER_KEY;
pub use part::PartLimits;
pub(crate) use reading::read_columns;
pub use seal::Confirmation;
pub use seal::Direction;
pub use seal::MEMORY_BYTES_STANDARD;
pub use seal::Progress;
pub use seal::RecountKeys;
pub use seal::SealMode;
pub use seal::SealObserver;
pub use seal::SealRequest;
pub use seal::Sealed;
pub use seal::Stage;
pub use seal::Unobserved;
pub use seal::seal;
pub use spec::ColumnSpec;
pub use spec::DatasetSpec;
pub use spec::Layout;
pub use spec::UnitSpec;
pub use spellings::UnitKeys;
pub use version::ColumnKeys;
pub use version::Expected;
pub use version::SealedPart;
pub use version::SealedVersion;

pub(crate) use cell::plain_number;
pub(crate) use cell::reads;
pub(crate) use changed::Differing;
pub(crate) use changed::Side;
pub(crate) use changed::compared_columns;
pub(crate) use changed::differing;
pub(crate) use input::TextBeginning;
pub(crate) use input::text_beginning;
pub(crate) use reading::open_metadata;
pub(crate) use words::is_missing;
