//! The interface on the wire: what requests and answers hold, as the server writes them, the command line reads them and
//! the description of the interface names them. Nothing here is computed.

pub(crate) mod audit;
pub(crate) mod budgets;
pub(crate) mod datasets;
pub(crate) mod dictionary;
pub(crate) mod findings;
pub(crate) mod grants;
pub(crate) mod jobs;
pub(crate) mod me;
pub(crate) mod policies;
pub(crate) mod purposes;
pub(crate) mod questions;
pub(crate) mod reviews;
pub(crate) mod tokens;
