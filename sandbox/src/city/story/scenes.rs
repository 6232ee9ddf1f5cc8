//! The scenes themselves: five answers, a refusal that helps, two kinds of silence, and one question that is none.
//! Every question names one purpose that its analyst holds a grant for (a test compares them).

use super::Expectation;
use super::Passage;
use super::Scene;

/// The story in the order it is told.
#[must_use]
pub fn scenes() -> &'static [Scene] {
    &SCENES
}

static SCENES: [Scene; 9] =
    [TRAFFIC, PARKING, TOURISM, INSURANCE, OLD_AGE, MIGRANTS, VILLAGES, GIANTS, NEIGHBOUR];

const TRAFFIC: Scene = Scene {
    title: Passage { en: "Who drives at Spring Festival?", zh: "春节里，谁在开车？" },
    narration: Passage {
        en: "For the eight days of Spring Festival the city lifts its driving restriction. Lin Yue wants to know what \
             that did to the streets. The cameras belong to transport, the register to the police; neither hands over a row.",
        zh: "春节八天，城里暂停错峰限行。林樾想知道路上有什么变化。卡口归交通局，户籍归公安局，谁也不交出一行记录。",
    },
    analyst: "lin",
    purpose: "traffic-management",
    sql: "\
SELECT s.zone{zh} AS zone, r.hukou,
       COUNT(*) FILTER (WHERE p.passed_on BETWEEN DATE '2025-01-14' AND DATE '2025-01-21') AS before,
       COUNT(*) FILTER (WHERE p.passed_on BETWEEN DATE '2025-01-28' AND DATE '2025-02-04') AS festival
FROM hz_transport.passages p
JOIN hz_transport.stations s ON p.station_id = s.station_id
JOIN hz_police.residents r ON p.person_id = r.person_id
GROUP BY s.zone{zh}, r.hukou
ORDER BY zone, r.hukou",
    expectation: Expectation::Answered,
    remark: Passage {
        en: "The centre empties and the lakeside fills. Those registered elsewhere have gone home; the locals have gone \
             to look at the water. Every count is a multiple of five.",
        zh: "市中心空了，湖滨满了。外地户籍的人回了家，本地人去看湖。所有计数都取整到五的倍数。",
    },
};

const PARKING: Scene = Scene {
    title: Passage { en: "How long does a car stand?", zh: "一辆车停多久？" },
    narration: Passage {
        en: "Car parks write down minutes and know no ages. The register knows ages and no car parks. The two meet on a \
             token that is neither a name nor a number, made with a key that no analyst has.",
        zh: "停车场记下分钟，不知道年龄；户籍知道年龄，不知道停车场。两边靠一枚令牌相认，\
             它不是姓名，也不是号码，制作它的密钥不在任何分析员手里。",
    },
    analyst: "lin",
    purpose: "parking-management",
    sql: "\
SELECT floor(r.age / 10) * 10 AS age_from,
       COUNT(DISTINCT s.person_id) AS drivers,
       AVG(s.minutes) AS minutes,
       AVG(s.fee) AS fee
FROM hz_urban.parking_sessions s
JOIN hz_police.residents r ON s.person_id = r.person_id
GROUP BY floor(r.age / 10) * 10
ORDER BY age_from",
    expectation: Expectation::Answered,
    remark: Passage {
        en: "The older the driver, the longer the car stands. Nobody below eighteen drives; the first band says ten \
             because ages are only ever seen in tens.",
        zh: "驾驶人越年长，车停得越久。未满十八岁的人不开车；第一行写着 10，是因为年龄在这里只以十岁为一段。",
    },
};

const TOURISM: Scene = Scene {
    title: Passage { en: "Where do the guests go?", zh: "客人去了哪里？" },
    narration: Passage {
        en: "A guest is somebody who holds a ticket and is not in the residents' register. In SQL that is one NOT EXISTS \
             across two departments.",
        zh: "客人，就是买了门票而不在常住人口登记里的人。写成 SQL，是跨两个部门的一个 NOT EXISTS。",
    },
    analyst: "lin",
    purpose: "tourism-analysis",
    sql: "\
SELECT t.spot{zh} AS spot,
       COUNT(DISTINCT v.person_id) AS guests,
       AVG(v.ticket) AS paid
FROM hz_culture.scenic_visits v
JOIN hz_culture.spots t ON v.spot_id = t.spot_id
WHERE NOT EXISTS (SELECT 1 FROM hz_police.residents r WHERE r.person_id = v.person_id)
GROUP BY t.spot{zh}
ORDER BY guests DESC
LIMIT 5",
    expectation: Expectation::Answered,
    remark: Passage {
        en: "The temple wins. LIMIT is harmless here: it cuts a list of released numbers. On a list of people it would \
             have been refused.",
        zh: "寺庙居首。这里的 LIMIT 无害，它截的是已经放行的数字；若截的是人的名单，就会被拒绝。",
    },
};

const INSURANCE: Scene = Scene {
    title: Passage { en: "Claims without a visit", zh: "没有就诊的结算" },
    narration: Passage {
        en: "He Qing studies how the medical insurance fund is spent. She looks for outpatient claims of people whom no \
             doctor has seen all year: bills in one department, silence in the other.",
        zh: "何晴研究医保基金的去向。她要找的是全年没有看过门诊的人名下的门诊结算：一个部门里有账单，另一个部门里没有人。",
    },
    analyst: "he",
    purpose: "insurance-supervision",
    sql: "\
SELECT d.district{zh} AS district,
       COUNT(DISTINCT c.person_id) AS people,
       SUM(c.amount) AS billed
FROM hz_medins.claims c
JOIN hz_data.districts d ON c.district_code = d.district_code
WHERE c.setting = 'outpatient'
  AND NOT EXISTS (SELECT 1 FROM hz_health.outpatient_visits v WHERE v.person_id = c.person_id)
GROUP BY d.district{zh}
ORDER BY people DESC",
    expectation: Expectation::Answered,
    remark: Passage {
        en: "Every district has some. The table says where an inspector should go, not whom to suspect. Names are the \
             inspector's business, under another law.",
        zh: "每个区县都有。这张表说的是该去哪里查，没有说该怀疑谁。名字是检查人员的事，依据的是另一部法规。",
    },
};

const OLD_AGE: Scene = Scene {
    title: Passage { en: "The doors nobody has knocked on", zh: "还没有敲过的门" },
    narration: Passage {
        en: "From eighty on, every resident may draw an allowance, and some never apply. Civil affairs knows who is paid, \
             the police know who is eighty. What lies between them is a list of doors.",
        zh: "年满八十的居民都可以领高龄津贴，有人却从未申请。民政局知道谁领了，公安局知道谁满了八十，两者之间就是该去敲的门。",
    },
    analyst: "he",
    purpose: "elderly-care",
    sql: "\
SELECT d.district{zh} AS district, COUNT(*) AS not_reached
FROM hz_police.residents r
JOIN hz_data.districts d ON r.district_code = d.district_code
WHERE r.age >= 80
  AND NOT EXISTS (SELECT 1 FROM hz_civil.old_age_allowance a WHERE a.person_id = r.person_id)
GROUP BY d.district{zh}
ORDER BY not_reached DESC",
    expectation: Expectation::Answered,
    remark: Passage {
        en: "Each district now knows how many doors there are. Eighty is an edge of the ten-year bands, so the question \
             passed as it stood. The next one does not.",
        zh: "各区县现在知道有多少扇门了。八十正好是十岁分段的边界，所以这个问题原样通过。下一个就不行。",
    },
};

const MIGRANTS: Scene = Scene {
    title: Passage { en: "A line drawn too finely", zh: "线画得太细" },
    narration: Passage {
        en: "Migrant workers who stayed over Spring Festival were paid an allowance. He Qing asks how it reached those \
             under thirty-five. Thirty-five lies inside a ten-year band.",
        zh: "春节留杭的外来务工人员领到了红包。何晴想知道三十五岁以下的人领了多少。可是三十五落在一个十岁分段的中间。",
    },
    analyst: "he",
    purpose: "employment-support",
    sql: "\
SELECT s.home_province,
       COUNT(DISTINCT s.person_id) AS workers,
       AVG(s.amount) AS average
FROM hz_hrss.stay_subsidies s
JOIN hz_police.residents r ON s.person_id = r.person_id
WHERE r.age < 35
GROUP BY s.home_province
ORDER BY workers DESC",
    expectation: Expectation::RefusedWithFix,
    remark: Passage {
        en: "Two exact lines, a year apart, would between them show the few who stand there. So the refusal names the \
             place and the rule, and offers the nearest line that may be drawn.",
        zh: "两条只差一岁的线，相减就会露出站在中间的几个人。所以拒绝时会指出位置和规则，并给出最近的、可以画的那条线。",
    },
};

const VILLAGES: Scene = Scene {
    title: Passage { en: "Nine villages, fewer lines", zh: "九个村，没有九行" },
    narration: Passage {
        en: "Zhongzhou lies deep in the hills of Chun'an. The open register lists nine villages there. Lin Yue plans a \
             clinic and counts residents, and among them those of sixty and more.",
        zh: "中洲镇在淳安的深山里，公开的代码表上有九个村。林樾要规划一间诊所，先数居民，再数其中六十岁以上的。",
    },
    analyst: "lin",
    purpose: "urban-planning",
    sql: "\
SELECT d.village{zh} AS village,
       COUNT(*) AS residents,
       COUNT(*) FILTER (WHERE r.age >= 60) AS over_sixty
FROM hz_police.residents r
JOIN hz_data.divisions d ON r.village_code = d.village_code
WHERE substring(r.village_code, 1, 9) = '330127107'
GROUP BY d.village{zh}
ORDER BY residents DESC",
    expectation: Expectation::Suppressed,
    remark: Passage {
        en: "The smallest villages have no line, and a number that would rest on too few people is left blank. A village \
             that is hidden and one where nobody lives look alike, which is the point.",
        zh: "最小的村没有出现；人数太少而撑不起来的数字是空白。被藏起来的村和没有人的村看上去一样，这正是用意。",
    },
};

const GIANTS: Scene = Scene {
    title: Passage { en: "Two giants in one sector", zh: "一个行业里的两个巨头" },
    narration: Passage {
        en: "Dozens of platform companies received grants, and two of them received nearly everything. Print the sum, and \
             each giant need only subtract itself to read the other.",
        zh: "几十家平台企业拿到补助，其中两家几乎拿走全部。只要印出总额，每个巨头减去自己，就读出了对方。",
    },
    analyst: "he",
    purpose: "enterprise-support",
    sql: "\
SELECT e.sector,
       COUNT(DISTINCT s.enterprise_id) AS firms,
       SUM(s.amount) AS granted
FROM hz_econ.subsidies s
JOIN hz_market.enterprises e ON s.enterprise_id = e.enterprise_id
GROUP BY e.sector
ORDER BY firms DESC",
    expectation: Expectation::Suppressed,
    remark: Passage {
        en: "For the platform sector the sum is blank while the number of firms stands. It is not enough to be many; no \
             two may outweigh the rest.",
        zh: "平台行业的总额是空白，企业数仍在。光是数量多还不够，还不能有两家压过其余所有。",
    },
};

const NEIGHBOUR: Scene = Scene {
    title: Passage { en: "Only one neighbour", zh: "只问一个邻居" },
    narration: Passage {
        en: "Lin Yue happens to know an identity number, and is curious about a diagnosis. The question is dressed as \
             statistics: one COUNT, one condition.",
        zh: "林樾碰巧知道一个身份证号，又对一个诊断感到好奇。这个问题打扮成统计的样子：一个 COUNT，一个条件。",
    },
    analyst: "lin",
    purpose: "urban-planning",
    sql: "\
SELECT COUNT(*) AS visits
FROM hz_health.outpatient_visits v
WHERE v.person_id = '11010519491231002X'
  AND v.icd10 = 'B20'",
    expectation: Expectation::RefusedSinglingOut,
    remark: Passage {
        en: "Refused before a byte was read. A person's key may join and be counted, and is compared with nothing. The \
             attempt now stands in the log under the name of the one who asked.",
        zh: "一个字节都没有读，就被拒绝了。人的标识可以用来关联和计数，不能同任何值比较。这次尝试已经记在日志里，署着提问者的名字。",
    },
};
