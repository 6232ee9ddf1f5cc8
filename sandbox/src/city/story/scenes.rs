//! The scenes themselves: five answers, a refusal that helps, two kinds of silence, and one question that is none.
//! Every question names one purpose that its analyst holds a grant for (a test compares them).

use super::Expectation;
use super::Passage;
use super::Scene;
use super::remarks;

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
SELECT s.zone{|_zh} AS {zone|区域},
       {r.hukou|CASE WHEN r.hukou = 'local' THEN '本地' ELSE '外地' END AS 户籍},
       COUNT(*) FILTER (WHERE p.passed_on BETWEEN DATE '2025-01-14' AND DATE '2025-01-21') AS {before|节前},
       COUNT(*) FILTER (WHERE p.passed_on BETWEEN DATE '2025-01-28' AND DATE '2025-02-04') AS {festival|节中}
FROM hz_transport.passages p
JOIN hz_transport.stations s ON p.station_id = s.station_id
JOIN hz_police.residents r ON p.person_id = r.person_id
GROUP BY s.zone{|_zh}, {r.hukou|CASE WHEN r.hukou = 'local' THEN '本地' ELSE '外地' END}
ORDER BY {zone|区域}, {r.hukou|户籍}",
    expectation: Expectation::Answered,
    remark: remarks::traffic,
};

const PARKING: Scene = Scene {
    title: Passage { en: "How long does a car stand?", zh: "一辆车停多久？" },
    narration: Passage {
        en: "Car parks write down minutes and know no ages. The register knows ages and no car parks. The two meet on a \
             token that is neither a name nor a number, made with a key that no analyst has.",
        zh: "停车场记下分钟，不知道年龄；户籍知道年龄，不知道停车场。两边靠一枚令牌相认，\
             它不是姓名，也不是号码，制作它的密钥不在任何分析人员手里。",
    },
    analyst: "lin",
    purpose: "parking-management",
    sql: "\
SELECT floor(r.age / 10) * 10 AS {age_from|年龄段起},
       COUNT(DISTINCT s.person_id) AS {drivers|驾驶人},
       AVG(s.minutes) AS {minutes|分钟},
       AVG(s.fee) AS {fee|费用}
FROM hz_urban.parking_sessions s
JOIN hz_police.residents r ON s.person_id = r.person_id
GROUP BY floor(r.age / 10) * 10
ORDER BY {age_from|年龄段起}",
    expectation: Expectation::Answered,
    remark: remarks::parking,
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
SELECT t.spot{|_zh} AS {spot|景点},
       COUNT(DISTINCT v.person_id) AS {guests|客人},
       AVG(v.ticket) AS {paid|票价}
FROM hz_culture.scenic_visits v
JOIN hz_culture.spots t ON v.spot_id = t.spot_id
WHERE NOT EXISTS (SELECT 1 FROM hz_police.residents r WHERE r.person_id = v.person_id)
GROUP BY t.spot{|_zh}
ORDER BY {guests|客人} DESC
LIMIT 5",
    expectation: Expectation::Answered,
    remark: remarks::tourism,
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
SELECT d.district{|_zh} AS {district|区县},
       COUNT(DISTINCT c.person_id) AS {people|人数},
       SUM(c.amount) AS {billed|金额}
FROM hz_medins.claims c
JOIN hz_data.districts d ON c.district_code = d.district_code
WHERE c.setting = 'outpatient'
  AND NOT EXISTS (SELECT 1 FROM hz_health.outpatient_visits v WHERE v.person_id = c.person_id)
GROUP BY d.district{|_zh}
ORDER BY {people|人数} DESC",
    expectation: Expectation::Answered,
    remark: remarks::insurance,
};

const OLD_AGE: Scene = Scene {
    title: Passage { en: "The doors nobody has knocked on", zh: "还没有敲过的门" },
    narration: Passage {
        en: "From eighty on, every resident may draw an allowance, and not everyone applies. Civil affairs knows who is paid, \
             the police know who is eighty. What lies between them is a list of doors.",
        zh: "年满八十的居民都可以领高龄津贴，并非人人都去申请。民政局知道谁领了，公安局知道谁满了八十，两者之间就是该去敲的门。",
    },
    analyst: "he",
    purpose: "elderly-care",
    sql: "\
SELECT d.district{|_zh} AS {district|区县}, COUNT(*) AS {not_reached|未领取}
FROM hz_police.residents r
JOIN hz_data.districts d ON r.district_code = d.district_code
WHERE r.age >= 80
  AND NOT EXISTS (SELECT 1 FROM hz_civil.old_age_allowance a WHERE a.person_id = r.person_id)
GROUP BY d.district{|_zh}
ORDER BY {not_reached|未领取} DESC",
    expectation: Expectation::Answered,
    remark: remarks::old_age,
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
SELECT {s.home_province|CASE s.home_province
         WHEN 'Anhui' THEN '安徽' WHEN 'Henan' THEN '河南' WHEN 'Jiangxi' THEN '江西' WHEN 'Guizhou' THEN '贵州'
         WHEN 'Hubei' THEN '湖北' WHEN 'Sichuan' THEN '四川' WHEN 'Zhejiang' THEN '浙江' ELSE '其他' END AS 来自},
       COUNT(DISTINCT s.person_id) AS {workers|人数},
       AVG(s.amount) AS {average|平均}
FROM hz_hrss.stay_subsidies s
JOIN hz_police.residents r ON s.person_id = r.person_id
WHERE r.age < 35
GROUP BY {s.home_province|1}
ORDER BY {workers|人数} DESC",
    expectation: Expectation::RefusedWithFix,
    remark: remarks::migrants,
};

const VILLAGES: Scene = Scene {
    title: Passage { en: "Nine villages, how many lines?", zh: "九个村，会有几行？" },
    narration: Passage {
        en: "Zhongzhou lies deep in the hills of Chun'an. The open register lists nine villages there. Lin Yue plans a \
             clinic and counts residents, and among them those of sixty and more.",
        zh: "中洲镇在淳安的深山里，公开的代码表上有九个村。林樾要规划一间诊所，先数居民，再数其中六十岁以上的。",
    },
    analyst: "lin",
    purpose: "urban-planning",
    sql: "\
SELECT d.village{|_zh} AS {village|村},
       COUNT(*) AS {residents|居民},
       COUNT(*) FILTER (WHERE r.age >= 60) AS {over_sixty|六十岁以上}
FROM hz_police.residents r
JOIN hz_data.divisions d ON r.village_code = d.village_code
WHERE substring(r.village_code, 1, 9) = '330127107'
GROUP BY d.village{|_zh}
ORDER BY {residents|居民} DESC",
    expectation: Expectation::Suppressed,
    remark: remarks::villages,
};

const GIANTS: Scene = Scene {
    title: Passage { en: "Two giants in one sector", zh: "一个行业里的两个巨头" },
    narration: Passage {
        en: "Two of the platform companies are far larger than all others. Publish the sum of their sector's grants, and each \
             giant need only subtract itself to come close to the other.",
        zh: "平台企业里有两家远大于其余。只要公布这个行业的补助总额，每个巨头减去自己，就差不多读出了对方。",
    },
    analyst: "he",
    purpose: "enterprise-support",
    sql: "\
SELECT {e.sector|CASE e.sector
         WHEN 'platform' THEN '平台' WHEN 'wholesale-retail' THEN '批发零售' WHEN 'manufacturing' THEN '制造'
         WHEN 'software' THEN '软件' WHEN 'catering-lodging' THEN '住宿餐饮' WHEN 'construction' THEN '建筑'
         WHEN 'business-services' THEN '商务服务' WHEN 'logistics' THEN '物流' ELSE '其他行业' END AS 行业},
       COUNT(DISTINCT s.enterprise_id) AS {firms|企业数},
       SUM(s.amount) AS {granted|补助}
FROM hz_econ.subsidies s
JOIN hz_market.enterprises e ON s.enterprise_id = e.enterprise_id
GROUP BY {e.sector|1}
ORDER BY {firms|企业数} DESC",
    expectation: Expectation::Suppressed,
    remark: remarks::giants,
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
SELECT COUNT(*) AS {visits|次数}
FROM hz_health.outpatient_visits v
WHERE v.person_id = '11010519491231002X'
  AND v.icd10 = 'B20'",
    expectation: Expectation::RefusedSinglingOut,
    remark: remarks::neighbour,
};
