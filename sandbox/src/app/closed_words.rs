//! The closed lists of words in answers, as the description of the interface names them: taken from the vocabularies
//! themselves, so that neither can change without the other. It describes; the words are made elsewhere.

use std::borrow::Cow;

use obscura_policies::document::Kind;
use obscura_policies::document::Opening;
use obscura_policies::document::Sharing;
use obscura_policies::vocabulary::PersonRole;
use obscura_policies::vocabulary::Role;
use obscura_policies::vocabulary::Use;
use obscura_query_guard::plan::OutputRole;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::ObjectBuilder;
use utoipa::openapi::RefOr;
use utoipa::openapi::Schema;
use utoipa::openapi::Type;

use crate::app::reviews::logged::ReviewOutcome;
use crate::jobs::JobState;

/// Describes one list of words under a name.
macro_rules! closed_words {
    ($(#[doc = $doc:literal])+ $marker:ident = $name:literal, $words:expr) => {
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub(crate) enum $marker {}

        impl PartialSchema for $marker {
            fn schema() -> RefOr<Schema> {
                let described = ObjectBuilder::new().schema_type(Type::String);
                let described = described.description(Some(concat!($($doc),+).trim()));
                RefOr::T(Schema::Object(described.enum_values(Some($words)).build()))
            }
        }

        impl ToSchema for $marker {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    };
}

closed_words!(
    /// The state of a job.
    JobStateWord = "JobState",
    JobState::ALL.map(JobState::name)
);
closed_words!(
    /// The guard's decision on a question.
    VerdictWord = "VerdictDecision",
    ["admitted", "refused"]
);
closed_words!(
    /// The cost of a question, from its shape alone.
    CostWord = "Cost",
    ["S", "M", "L"]
);
closed_words!(
    /// The role of a person in this installation.
    PersonRoleWord = "PersonRole",
    PersonRole::ALL.iter().map(|role| role.as_str())
);
closed_words!(
    /// The decision of a reviewer on a result.
    ReviewOutcomeWord = "ReviewOutcome",
    ReviewOutcome::ALL.map(ReviewOutcome::name)
);
closed_words!(
    /// The state of a request for access.
    RequestStateWord = "AccessRequestState",
    ["open", "approved", "declined", "withdrawn"]
);
closed_words!(
    /// The extent to which a dataset may be opened to the public.
    OpeningWord = "Opening",
    Opening::ALL.iter().map(|opening| opening.as_str())
);
closed_words!(
    /// The extent to which other departments may use a dataset.
    SharingWord = "Sharing",
    Sharing::ALL.iter().map(|sharing| sharing.as_str())
);
closed_words!(
    /// The role of a column, by which the rules judge its uses.
    ColumnRoleWord = "ColumnRole",
    Role::ALL.iter().map(|role| role.as_str())
);
closed_words!(
    /// A use of a column that may be allowed.
    ColumnUseWord = "ColumnUse",
    Use::ALL.iter().map(|usage| usage.as_str())
);
closed_words!(
    /// The role of an output column, which says what a missing value of it means.
    OutputRoleWord = "OutputRole",
    [OutputRole::Key, OutputRole::Cell, OutputRole::Computed].map(OutputRole::name)
);
closed_words!(
    /// A kind of document.
    DocumentKindWord = "DocumentKind",
    Kind::ALL.iter().map(|kind| kind.as_str())
);
