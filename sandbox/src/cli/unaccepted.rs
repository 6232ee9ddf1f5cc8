//! The reasons why a value of an argument is not accepted. clap tells the reason in English; for a reader of Chinese it is
//! recognised by its type and told in Chinese. It accepts and refuses nothing itself.

use std::char::ParseCharError;
use std::error::Error;
use std::net::AddrParseError;
use std::num::IntErrorKind;
use std::num::ParseIntError;

use obscura_crypto::kms::KeyNameError;
use obscura_policies::WordError;
use obscura_policies::day::DayError;
use obscura_policies::vocabulary::IdentifierError;
use obscura_policies::vocabulary::Text;

use crate::context::PersonNameError;
use crate::identity::AccountError;
use crate::ids::IdError;

/// The reason why one of the command line's own forms does not accept a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.en)]
pub(crate) struct Unaccepted(pub(crate) Text);

impl Unaccepted {
    /// A reason in both languages.
    pub(crate) fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self(Text::new(en, zh))
    }
}

/// The reason in Chinese; `None` for a type of reason that is not known here.
pub(super) fn in_chinese(reason: &(dyn Error + 'static)) -> Option<String> {
    if let Some(Unaccepted(text)) = reason.downcast_ref() {
        return Some(text.zh.clone());
    }
    if let Some(error) = reason.downcast_ref::<IdentifierError>() {
        return Some(error.chinese());
    }
    if let Some(error) = reason.downcast_ref::<WordError>() {
        return Some(error.chinese());
    }
    if let Some(error) = reason.downcast_ref::<IdError>() {
        return Some(format!("应为形如 `{}...` 的标识", error.prefix()));
    }
    if let Some(error) = reason.downcast_ref::<ParseIntError>() {
        return Some(integer_in_chinese(error.kind()).to_owned());
    }
    let fixed = if let Some(error) = reason.downcast_ref::<DayError>() {
        error.chinese()
    } else if reason.is::<PersonNameError>() {
        "人员名称由 1 至 64 个小写字母、数字、`.`、`_` 或 `-` 组成，以字母开头"
    } else if reason.is::<AccountError>() {
        "账号为 1 至 255 字节，不含控制字符"
    } else if reason.is::<KeyNameError>() {
        "密钥写作 department/L3，部门由 1 至 64 个 `a-z 0-9 - _` 组成"
    } else if reason.is::<ParseCharError>() {
        "应为一个字符"
    } else if reason.is::<AddrParseError>() {
        "应为地址和端口，如 127.0.0.1:7200"
    } else {
        // clap has no type of its own for a number beyond its bounds.
        let reason = reason.to_string();
        let (value, bounds) = reason.split_once(" is not in ")?;
        return Some(format!("{value} 不在 {bounds} 之内"));
    };
    Some(fixed.to_owned())
}

/// The fault of a whole number.
const fn integer_in_chinese(kind: &IntErrorKind) -> &'static str {
    match kind {
        IntErrorKind::Empty => "缺少数字",
        IntErrorKind::PosOverflow => "数字过大",
        IntErrorKind::NegOverflow => "数字过小",
        _ => "不是整数",
    }
}
