//! Names in SQL for the columns of a file: the header's own, or the English of what Chinese registers call their columns.
//! It says nothing of what a column holds; the original name stays as the column's title, so that sealing finds it.

use std::collections::BTreeSet;

use obscura_policies::vocabulary::is_sql_name;

/// The usual names of columns in registers, without brackets and white space, with their names in SQL.
const CHINESE: &[(&str, &str)] = &[
    ("序号", "row_no"),
    ("编号", "record_no"),
    ("身份证", "id_number"),
    ("身份证号", "id_number"),
    ("身份证号码", "id_number"),
    ("公民身份号码", "id_number"),
    ("居民身份证号", "id_number"),
    ("证件号", "id_number"),
    ("证件号码", "id_number"),
    ("人员编号", "person_no"),
    ("个人编号", "person_no"),
    ("姓名", "full_name"),
    ("患者姓名", "full_name"),
    ("性别", "sex"),
    ("年龄", "age"),
    ("民族", "ethnic_group"),
    ("婚姻状况", "marital_status"),
    ("文化程度", "education"),
    ("学历", "education"),
    ("职业", "occupation"),
    ("出生日期", "birth_date"),
    ("出生年月", "birth_month"),
    ("出生年月日", "birth_date"),
    ("手机", "mobile"),
    ("手机号", "mobile"),
    ("手机号码", "mobile"),
    ("电话", "phone"),
    ("联系电话", "phone"),
    ("地址", "address"),
    ("住址", "address"),
    ("家庭住址", "address"),
    ("户籍地址", "registered_address"),
    ("现住址", "address"),
    ("邮编", "zip_code"),
    ("省", "province"),
    ("市", "city"),
    ("区县", "district"),
    ("行政区划", "district"),
    ("行政区划代码", "district_code"),
    ("街道", "street"),
    ("乡镇", "township"),
    ("社区", "community"),
    ("金额", "amount"),
    ("总金额", "amount_total"),
    ("费用", "cost"),
    ("总费用", "cost_total"),
    ("收入", "income"),
    ("工资", "salary"),
    ("单价", "unit_price"),
    ("数量", "quantity"),
    ("日期", "day"),
    ("时间", "seen_at"),
    ("登记日期", "registered_on"),
    ("就诊日期", "visit_date"),
    ("入院日期", "admitted_on"),
    ("出院日期", "left_on"),
    ("开始日期", "begins_on"),
    ("结束日期", "ends_on"),
    ("更新时间", "updated_at"),
    ("创建时间", "created_at"),
    ("诊断", "diagnosis"),
    ("诊断编码", "diagnosis_code"),
    ("疾病编码", "diagnosis_code"),
    ("科室", "unit"),
    ("医院", "hospital"),
    ("医疗机构", "hospital"),
    ("病案号", "medical_record_no"),
    ("学校", "school"),
    ("班级", "class"),
    ("单位", "organisation"),
    ("工作单位", "employer"),
    ("企业名称", "firm_name"),
    ("统一社会信用代码", "credit_code"),
    ("行业", "industry"),
    ("银行卡号", "bank_card"),
    ("车牌号", "plate"),
    ("类型", "kind"),
    ("类别", "category"),
    ("状态", "status"),
    ("地点", "place"),
    ("备注", "remark"),
    ("说明", "remark"),
];

/// Gives names, each once.
#[derive(Default)]
pub(super) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// A name that SQL reads without quotes.
    pub(super) fn name(&mut self, header: &str, number: usize) -> String {
        let name = sql_name(header, number);
        let mut free = name.clone();
        let mut copy = 2;
        while !self.taken.insert(free.clone()) {
            free = format!("{name}_{copy}");
            copy += 1;
        }
        free
    }
}

fn sql_name(header: &str, number: usize) -> String {
    // `金额（元）` is an amount.
    let plain: String =
        header.split(['(', '（', '[', '【']).next().unwrap_or_default().split_whitespace().collect();
    if let Some((_, name)) = CHINESE.iter().find(|(chinese, _)| *chinese == plain) {
        return (*name).to_owned();
    }
    let mut lower = String::new();
    for c in header.trim().to_lowercase().chars() {
        let c = if c.is_ascii_alphanumeric() { c } else { '_' };
        if !(c == '_' && lower.ends_with('_')) {
            lower.push(c);
        }
    }
    let lower = lower.trim_matches('_').to_owned();
    let is_of_letters = header.is_ascii() || lower.chars().count() * 2 > header.chars().count();
    if is_of_letters && is_sql_name(&lower) { lower } else { format!("column_{}", number + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_headers_are_called_what_they_mean_and_no_name_comes_twice() {
        let mut names = Names::default();
        let headers =
            ["身份证号", "金额（元）", "Visit-Date", "姓 名", "证件号码", "甲乙", "甲乙A", "cost", "Cost"];
        let given: Vec<String> = headers.iter().zip(0..).map(|(name, at)| names.name(name, at)).collect();
        let expected = [
            "id_number",
            "amount",
            "visit_date",
            "full_name",
            "id_number_2",
            "column_6",
            "column_7",
            "cost",
            "cost_2",
        ];
        assert_eq!(given, expected);
        assert!(CHINESE.iter().all(|(_, name)| is_sql_name(name)));
    }
}
