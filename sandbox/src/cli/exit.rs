//! Exit codes: a promise to scripts. A code is never given another meaning.

use std::process::ExitCode;

use crate::error::Class;

/// The outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: something of ours broke, or stands in the way.
    Failure,
    /// 2: the command is not understood.
    Usage,
    /// 3: a rule said no: of the guard, or of permissions.
    Refused,
    /// 4: waits for approval or review.
    Waits,
    /// 5: the budget is spent.
    BudgetSpent,
    /// 6: no person is recognised.
    Authentication,
    /// 7: a verification failed.
    VerificationFailed,
    /// 8: controls let nothing out.
    Withheld,
    /// 9: it needs more than one job may use.
    LimitExceeded,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Waits => 4,
            Self::BudgetSpent => 5,
            Self::Authentication => 6,
            Self::VerificationFailed => 7,
            Self::Withheld => 8,
            Self::LimitExceeded => 9,
        }
    }

    /// The exit code of a failure of this kind.
    #[must_use]
    pub fn of(class: Class) -> Self {
        match class {
            Class::Usage => Self::Usage,
            Class::Unauthenticated => Self::Authentication,
            Class::Forbidden => Self::Refused,
            Class::NotFound
            | Class::Conflict
            | Class::Gone
            | Class::Unavailable
            | Class::Busy
            | Class::Failure => Self::Failure,
            Class::VerificationFailed => Self::VerificationFailed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;
    use crate::error::Class;

    #[test]
    fn exit_codes_are_those_that_were_promised() {
        let all = [
            Exit::Done,
            Exit::Failure,
            Exit::Usage,
            Exit::Refused,
            Exit::Waits,
            Exit::BudgetSpent,
            Exit::Authentication,
            Exit::VerificationFailed,
            Exit::Withheld,
            Exit::LimitExceeded,
        ];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn only_who_is_not_recognised_ends_with_the_code_of_authentication() {
        let all = [
            (Class::Usage, Exit::Usage),
            (Class::Unauthenticated, Exit::Authentication),
            (Class::Forbidden, Exit::Refused),
            (Class::NotFound, Exit::Failure),
            (Class::Conflict, Exit::Failure),
            (Class::Gone, Exit::Failure),
            (Class::Unavailable, Exit::Failure),
            (Class::Busy, Exit::Failure),
            (Class::VerificationFailed, Exit::VerificationFailed),
            (Class::Failure, Exit::Failure),
        ];
        for (class, exit) in all {
            assert_eq!(Exit::of(class), exit, "{class:?}");
        }
    }
}
