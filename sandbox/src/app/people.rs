//! People: who they are, how they are recognised, and what their roles let them do.

pub mod add_person;
pub mod authenticate;
pub(crate) mod authorise;
pub mod create_token;
pub(crate) mod in_force;
pub mod link_person;
pub mod token;
pub mod whoami;
