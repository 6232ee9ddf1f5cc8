//! Everything of Obscura that touches the world: sealed datasets, catalogue, audit log, engine, use cases, command line.
//!
//! It decides no policy (that is `obscura-policies`), judges no query (`obscura-query-guard`) and builds no nonce
//! (`obscura-crypto`). A module imports only from layers below its own:
//!
//! ```text
//! 0  ids clock context config error
//! 1  storage identity
//! 2  catalog audit budgets engine
//! 3  jobs  city
//! 4  installation
//! 5  app
//! 6  service  api
//! 7  http
//! 8  cli
//! ```
//!
//! Reading order: [`context`], [`audit`], [`catalog`], [`jobs`], [`installation`], then [`app`], where one file is one use case.

mod api;
pub mod app;
pub mod audit;
pub mod budgets;
pub mod catalog;
pub mod city;
pub mod cli;
pub mod clock;
pub mod config;
pub mod context;
pub mod engine;
pub mod error;
pub mod http;
pub mod identity;
pub mod ids;
pub mod installation;
pub mod jobs;
mod service;
pub mod storage;
