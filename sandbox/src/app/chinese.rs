//! The Chinese words for the closed vocabularies that people read in tables and messages: states, roles, uses.
//! Programs read the words themselves, which are never translated.

/// The Chinese word for one of a vocabulary: of jobs and requests, of persons, of columns. `None` where there is none.
#[must_use]
pub(crate) fn in_chinese(word: &str) -> Option<&'static str> {
    Some(match word {
        "received" => "已接收",
        "refused" => "未通过审查",
        "pending_approval" => "待审批",
        "queued" => "排队中",
        "running" => "执行中",
        "checking" => "输出检查中",
        "in_review" => "待复核",
        "released" => "已发布",
        "withheld" => "未予输出",
        "failed" => "失败",
        "cancelled" => "已取消",
        "expired" => "已过期",
        "open" => "待审批",
        "approved" => "已批准",
        "declined" => "已拒绝",
        "returned" => "已退回",
        "rejected" => "已否决",
        "withdrawn" => "已撤回",
        "analyst" => "分析人员",
        "steward" => "数据管理员",
        "auditor" => "审计人员",
        "operator" => "运维人员",
        "admin" => "人员管理员",
        "unit_key" => "主体标识",
        "identifier" => "直接标识",
        "quasi_identifier" => "准标识",
        "sensitive" => "敏感信息",
        "measure" => "度量",
        "dimension" => "维度",
        "filter" => "筛选",
        "group" => "分组",
        "join" => "关联",
        "aggregate" => "聚合",
        "count_distinct" => "去重计数",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use obscura_policies::vocabulary::PersonRole;
    use obscura_policies::vocabulary::Role;
    use obscura_policies::vocabulary::Use;

    use super::in_chinese;
    use crate::jobs::JobState;

    #[test]
    fn every_word_of_the_vocabularies_has_a_chinese_one() {
        let states = JobState::ALL.iter().map(|state| state.name());
        let persons = PersonRole::ALL.iter().map(|role| role.as_str());
        let columns = Role::ALL.iter().map(|role| role.as_str());
        let uses = Use::ALL.iter().map(|usage| usage.as_str());
        for word in states.chain(persons).chain(columns).chain(uses) {
            assert!(in_chinese(word).is_some(), "{word}");
        }
    }
}
