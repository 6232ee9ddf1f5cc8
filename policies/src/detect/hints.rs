//! Hints that column names give, in English and Chinese, and the labels that each meaning brings.
//! Names alone decide nothing where values can be checked.

use crate::vocabulary::DataType;
use crate::vocabulary::Level;
use crate::vocabulary::Role;
use crate::vocabulary::Semantic;

/// A meaning that the detectors know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    ResidentId,
    Uscc,
    BankCard,
    Mobile,
    Plate,
    Icd10,
    BirthDate,
    Coordinates,
    Name,
    Address,
    MedicalRecordNo,
    Money,
    FreeText,
}

/// The labels that a meaning brings.
pub(super) struct Labels {
    pub(super) role: Role,
    pub(super) grade: Level,
    pub(super) coded: bool,
}

impl Meaning {
    /// Meanings whose values can be checked, strictest check first.
    pub(super) const CHECKED: &'static [Self] = &[
        Self::ResidentId,
        Self::Uscc,
        Self::BankCard,
        Self::Mobile,
        Self::Plate,
        Self::Icd10,
        Self::BirthDate,
        Self::Coordinates,
        Self::Address,
        Self::Name,
        Self::Money,
    ];

    /// True if the values alone are proof enough: dates, amounts and short texts are too common for that.
    pub(super) const fn speaks_for_itself(self) -> bool {
        matches!(
            self,
            Self::ResidentId
                | Self::Uscc
                | Self::BankCard
                | Self::Mobile
                | Self::Plate
                | Self::Icd10
                | Self::Name
                | Self::Address
        )
    }

    pub(super) fn has_check(self) -> bool {
        Self::CHECKED.contains(&self)
    }

    /// True if a name that suggests the meaning is believable for values of this type.
    pub(super) const fn agrees_with(self, data_type: DataType) -> bool {
        match self {
            Self::Money | Self::Coordinates => data_type.is_numeric(),
            Self::BirthDate => data_type.is_temporal(),
            // An identifier that looks like a number is still an identifier.
            _ => true,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::ResidentId => "resident_id",
            Self::Uscc => "uscc",
            Self::BankCard => "bank_card",
            Self::Mobile => "mobile",
            Self::Plate => "plate",
            Self::Icd10 => "icd10",
            Self::BirthDate => "birth_date",
            Self::Coordinates => "coordinates",
            Self::Name => "name",
            Self::Address => "address",
            Self::MedicalRecordNo => "medical_record_no",
            Self::Money => "money",
            Self::FreeText => "free_text",
        }
    }

    pub(super) fn semantic(self) -> Option<Semantic> {
        self.word().parse().ok()
    }

    pub(super) const fn labels(self) -> Labels {
        let (role, grade, coded) = match self {
            Self::ResidentId | Self::Uscc => (Role::UnitKey, 3, false),
            Self::BankCard | Self::FreeText => (Role::Identifier, 4, false),
            Self::Mobile | Self::Plate | Self::Name | Self::MedicalRecordNo => (Role::Identifier, 3, false),
            Self::BirthDate | Self::Coordinates | Self::Address => (Role::QuasiIdentifier, 3, false),
            Self::Icd10 => (Role::Sensitive, 3, true),
            Self::Money => (Role::Measure, 3, false),
        };
        Labels { role, grade: Level(grade), coded }
    }
}

/// Parts of names, most telling first; English ones are compared with whole words of the name.
const HINTS: &[(Meaning, &[&str], &[&str])] = &[
    (
        Meaning::ResidentId,
        &["id_card", "idcard", "resident_id", "sfzh", "identity_no", "id_number", "citizen_id"],
        &["身份证", "公民身份", "证件号"],
    ),
    (Meaning::Uscc, &["uscc", "credit_code", "tyshxydm"], &["社会信用代码", "信用代码"]),
    (
        Meaning::BankCard,
        &["bank_card", "card_no", "bank_account", "account_no"],
        &["银行卡", "银行账号", "卡号"],
    ),
    (Meaning::Mobile, &["mobile", "phone", "cellphone", "tel", "sjh"], &["手机", "电话", "联系方式"]),
    (Meaning::Plate, &["plate", "plate_no", "license_plate"], &["车牌", "号牌"]),
    (
        Meaning::MedicalRecordNo,
        &["medical_record", "medical_record_no", "record_no", "mrn", "patient_no"],
        &["病历号", "住院号", "门诊号", "就诊号"],
    ),
    (Meaning::Icd10, &["icd10", "icd", "diagnosis_code"], &["诊断编码", "疾病编码", "诊断代码"]),
    (
        Meaning::BirthDate,
        &["birth_date", "birthday", "birthdate", "date_of_birth", "dob", "born_on", "csrq"],
        &["出生日期", "出生年月", "生日"],
    ),
    (
        Meaning::Coordinates,
        &["latitude", "longitude", "lat", "lon", "lng", "coordinates"],
        &["经度", "纬度", "坐标"],
    ),
    (Meaning::Address, &["address", "addr", "residence", "domicile"], &["地址", "住址", "住所"]),
    (
        Meaning::FreeText,
        &["note", "notes", "remark", "remarks", "comment", "comments", "description", "memo"],
        &["备注", "说明", "描述", "主诉", "意见"],
    ),
    (
        Meaning::Name,
        &[
            "full_name",
            "person_name",
            "patient_name",
            "customer_name",
            "contact_name",
            "surname",
            "xm",
            "legal_person",
        ],
        &["姓名", "联系人", "法人代表", "法定代表人"],
    ),
    (
        Meaning::Money,
        &["amount", "cost", "fee", "salary", "income", "price", "tax", "revenue", "wage", "subsidy"],
        &["金额", "费用", "工资", "收入", "税额", "补贴", "价格", "营收"],
    ),
];

/// The meaning that a column's name suggests.
pub(super) fn meaning(name: &str) -> Option<Meaning> {
    let lower: String =
        name.trim().chars().map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let framed = format!("_{lower}_");
    for (meaning, english, chinese) in HINTS {
        let told = english.iter().any(|word| framed.contains(&format!("_{word}_")))
            || chinese.iter().any(|word| name.contains(word));
        if told {
            return Some(*meaning);
        }
    }
    None
}
