//! The memory of a serving process, whichever door it serves: the queue of admitted jobs, those that wait for an
//! approval, their events, and limits of what one person may ask for at a time and in a day. All of it is lost with the
//! process, and nothing of it decides what may leave.

pub(crate) mod daily_quota;
pub(crate) mod job_events;
pub(crate) mod limits;
pub(crate) mod pending;
pub(crate) mod queue;
