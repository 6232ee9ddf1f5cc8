//! The checklist of a reviewer: what to ask of a protected result before it leaves, after the rules of output checking in
//! research data centres (Five Safes). It is the same for every result, and nothing in it depends on data.

use obscura_policies::Text;

/// One question of the checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChecklistItem {
    /// Stable name.
    pub(crate) id: &'static str,
    /// The question.
    pub(crate) text: Text,
}

/// Stable names and questions, in English and Chinese.
const ITEMS: [(&str, &str, &str); 7] = [
    (
        "purpose",
        "Does the question serve the stated purpose, and nothing beyond it?",
        "该查询是否服务于所述用途，且不超出该用途？",
    ),
    (
        "groups",
        "Does each group mean many people, and not one office, household or firm under a general name?",
        "每个分组是否代表多人，而非以笼统名称指代的某一单位、家庭或企业？",
    ),
    (
        "attributes",
        "Does a group tell something sensitive that all of its members share?",
        "是否有分组透露了其全体成员共有的敏感信息？",
    ),
    (
        "differences",
        "Could this result, beside one that left before, tell of a few people by its difference?",
        "该结果与此前已发布的结果相减，是否会透露少数人的情况？",
    ),
    (
        "conditions",
        "Are the conditions ones that somebody asks for statistics, or do they close in on somebody?",
        "条件是否出于统计需要，而非逐步锁定某人？",
    ),
    (
        "controls",
        "Do the controls that are shown fit the grade of what was read?",
        "所示输出控制是否与所读数据的分级相称？",
    ),
    (
        "harm",
        "Could the result harm a group of people, though it names nobody?",
        "该结果虽未指明个人，是否可能损害某一群体？",
    ),
];

/// The checklist.
pub(crate) fn checklist() -> Vec<ChecklistItem> {
    ITEMS.iter().map(|(id, en, zh)| ChecklistItem { id, text: Text::new(*en, *zh) }).collect()
}
