//! Where a command's wish is carried out: by the use cases over the installation here, or by a server that calls the same
//! use cases. What comes back is the same either way, in the forms of the interface.

use std::sync::Arc;

use crate::cli::client::Client;
use crate::context::Caller;
use crate::installation::Installation;

mod access;
mod audit;
mod catalogue;
mod documents;
pub(crate) mod questions;

/// Where wishes are carried out, and for whom.
#[derive(Debug)]
pub(crate) enum Desk {
    /// Here.
    Here {
        /// The installation.
        installation: Arc<Installation>,
        /// Who asks.
        caller: Caller,
    },
    /// At a server, for the owner of the token that its client shows.
    Server(Client),
}
