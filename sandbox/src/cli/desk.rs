//! Carries out commands: by the use cases over the installation here, or by a server that calls the same use cases. Both
//! give the same results, in the forms of the interface.

use std::sync::Arc;

use crate::cli::client::Client;
use crate::context::Caller;
use crate::installation::Installation;

mod access;
mod audit;
mod budgets;
mod catalogue;
mod documents;
pub(crate) mod questions;
mod reviews;

/// The place where commands are carried out, and their caller.
#[derive(Debug)]
pub(crate) enum Desk {
    /// Here.
    Here {
        /// The installation.
        installation: Arc<Installation>,
        /// The caller.
        caller: Caller,
    },
    /// At a server, for the owner of the token that its client shows.
    Server(Client),
}
