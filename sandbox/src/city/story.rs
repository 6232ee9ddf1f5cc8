//! The story of `obscura demo` as data: the questions with their askers, in order, and the expected answers.
//! It runs nothing; the command line seals, asks and draws.

use obscura_policies::Text;
use obscura_policies::vocabulary::PersonRole;

pub use self::answer::Answer;
pub use self::answer::Cell;
pub use self::remarks::Outcome;
pub use self::scenes::scenes;

mod answer;
mod remarks;
mod scenes;

/// The language the story is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

/// One passage in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// English.
    pub en: &'static str,
    /// Simplified Chinese.
    pub zh: &'static str,
}

impl Passage {
    /// The passage in one language.
    #[must_use]
    pub fn tell(&self, language: Language) -> &'static str {
        match language {
            Language::English => self.en,
            Language::Chinese => self.zh,
        }
    }
}

/// A person of the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Character {
    /// Identifier, as the grants write it.
    pub id: &'static str,
    /// Name and post.
    pub name: Passage,
    /// Role.
    pub role: PersonRole,
    /// Department.
    pub department: &'static str,
}

/// The expected answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// All cells that the reader looks for are there.
    Answered,
    /// It is answered, and some rows or cells are withheld.
    Suppressed,
    /// It is refused together with a rewritten question, which is then answered.
    RefusedWithFix,
    /// It is refused because it points at one person.
    RefusedSinglingOut,
}

/// One question of the story.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// Title.
    pub title: Passage,
    /// Text for the reader before the question.
    pub narration: Passage,
    /// Identifier of the analyst who asks.
    pub analyst: &'static str,
    /// Code of the purpose that the job names.
    pub purpose: &'static str,
    /// The question; `{a|b}` stands where it is `a` when the story is told in English, and `b` in Chinese.
    sql: &'static str,
    /// The expected answer.
    pub expectation: Expectation,
    /// Observations on the answer.
    remark: fn(&Outcome<'_>) -> Vec<Text>,
}

impl Scene {
    /// The question as SQL, with the names of places and columns in the reader's language.
    #[must_use]
    pub fn sql(&self, language: Language) -> String {
        let mut sql = String::new();
        let mut rest = self.sql;
        while let Some((before, (english, chinese, after))) = place(rest) {
            sql.push_str(before);
            sql.push_str(match language {
                Language::English => english,
                Language::Chinese => chinese,
            });
            rest = after;
        }
        sql + rest
    }

    /// Observations on the answer to the question; they claim nothing that it does not show.
    #[must_use]
    pub fn remark(&self, outcome: &Outcome<'_>, language: Language) -> String {
        let sentences = (self.remark)(outcome);
        match language {
            Language::English => sentences.into_iter().map(|text| text.en).collect::<Vec<_>>().join(" "),
            Language::Chinese => sentences.into_iter().map(|text| text.zh).collect(),
        }
    }
}

/// The first place where the languages part: the text before it, its two texts, and the text behind it.
fn place(sql: &'static str) -> Option<(&'static str, (&'static str, &'static str, &'static str))> {
    let (before, rest) = sql.split_once('{')?;
    let (texts, after) = rest.split_once('}')?;
    let (english, chinese) = texts.split_once('|')?;
    Some((before, (english, chinese, after)))
}

/// Everybody who acts in the story: two analysts, the steward who granted, the auditor who checks.
pub static CHARACTERS: [Character; 5] = [
    Character {
        id: "lin",
        name: Passage { en: "Lin Yue, Data Resources Bureau", zh: "林樾，数据资源管理局" },
        role: PersonRole::Analyst,
        department: "hz-data",
    },
    Character {
        id: "he",
        name: Passage { en: "He Qing, Institute of Public Policy", zh: "何晴，公共政策研究院" },
        role: PersonRole::Analyst,
        department: "hz-institute",
    },
    Character {
        id: "shen",
        name: Passage { en: "Shen Yan, steward of the city's data", zh: "沈砚，全市数据管理员" },
        role: PersonRole::Steward,
        department: "hz",
    },
    Character {
        id: "ye",
        name: Passage {
            en: "Ye Lan, the second pair of eyes on every policy",
            zh: "叶岚，每项策略的第二双眼睛",
        },
        role: PersonRole::Steward,
        department: "hz",
    },
    Character {
        id: "gu",
        name: Passage { en: "Gu Yuan, compliance auditor", zh: "顾源，合规审计人员" },
        role: PersonRole::Auditor,
        department: "hz",
    },
];

/// Text that opens the story, before anything is sealed.
pub const OPENING: Passage = Passage {
    en: "Fourteen departments of a city put their records into a dark room. From then on nobody sees a record again, \
         not even those who keep the room. Questions go in as SQL; what comes out is a picture of many, never of one. \
         The people below are invented. The rules are not.",
    zh: "一座城市的十四个部门，把各自的记录放进一间暗室。从此没有人再看得见任何一条记录，守着暗室的人也不能。\
         进去的是用 SQL 写的问题，出来的是众人的影像，从不是某一个人的。下面的人都是虚构的，规则是真的。",
};

/// Title of the last part: the audit proof.
pub const AUDIT_TITLE: Passage = Passage { en: "Proof instead of trust", zh: "要证据，不要信任" };

/// Text for the reader before the audit log is verified.
pub const AUDIT_NARRATION: Passage = Passage {
    en: "Each decision above was written down before its query ran, the refusals too. Gu Yuan takes a copy of the log \
         folder and the public key. He needs no server, no database and nobody's word.",
    zh: "上面的每一个决定，都在查询执行之前写进了日志，拒绝也不例外。顾源只带走日志文件夹和公钥，\
         不需要服务器，不需要数据库，也不需要谁来担保。",
};

/// Observation after the audit log is verified.
pub const AUDIT_REMARK: Passage = Passage {
    en: "Change one byte of one entry and this check fails, naming the entry. Try it: the folder is yours.",
    zh: "改动任何一条记录里的一个字节，校验就会失败，并指出是哪一条。不妨一试，文件夹就在你手里。",
};
