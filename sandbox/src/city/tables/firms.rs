//! Enterprises: the register, quarterly tax returns and grants.
//! Turnover and grants of one sector belong to two giants, on purpose.

use super::super::City;
use super::super::date::Date;
use super::super::date::NEW_YEAR;
use super::super::date::YEAR_DAYS;
use super::super::firm::Firm;
use super::super::firm::GIANT_SECTOR;
use super::super::random::Draws;
use super::super::random::Stream;
use super::super::row::Row;

pub(in super::super) const ENTERPRISES: &str = "enterprise_id,name,sector,size,founded,staff,district_code";
pub(in super::super) const TAX: &str = "enterprise_id,quarter,turnover,tax_paid";
pub(in super::super) const SUBSIDIES: &str = "enterprise_id,program,granted_on,amount";

static NAMES: [&str; 20] = [
    "启明", "云栖", "钱江", "南屏", "雷峰", "断桥", "苏堤", "龙井", "富春", "天目", "湘湖", "良渚", "运河",
    "拱宸", "玉皇", "九溪", "满觉", "曲院", "平湖", "三潭",
];
static PROGRAMS: [(u32, &str); 4] =
    [(380, "technology"), (270, "stable-employment"), (210, "digital-upgrade"), (140, "export")];

pub(in super::super) fn enterprises(city: &City, index: u32, out: &mut Vec<u8>) -> u32 {
    let firm = Firm::new(city, index);
    let mut draws = Draws::event(city.seed, Stream::Firm, index, 0);
    let mut row = Row::new(out);
    row.bytes(&firm.credit_code()).joined(draws.word(&NAMES), draws.word(&NAMES));
    row.text(firm.sector).text(firm.size).date(firm.founded);
    if draws.permille(30) {
        row.null()
    } else {
        row.int(firm.staff)
    };
    row.int(u64::from(firm.district.code)).end();
    1
}

pub(in super::super) fn tax(city: &City, index: u32, out: &mut Vec<u8>) -> u32 {
    let firm = Firm::new(city, index);
    let mut rows = 0;
    for quarter in 0..4 {
        let start = Date::quarter(quarter);
        let mut draws = Draws::event(city.seed, Stream::Tax, index, quarter);
        // Small firms skip a return now and then; the giants never do.
        if index > 1 && draws.permille(35) {
            continue;
        }
        let turnover = firm.turnover * u64::from(draws.between(85, 110)) / 100;
        let mut row = Row::new(out);
        row.bytes(&firm.credit_code()).date(start).int(turnover);
        if index > 1 && draws.permille(20) {
            row.null();
        } else {
            row.int(turnover * u64::from(draws.between(20, 75)) / 1000);
        }
        row.end();
        rows += 1;
    }
    rows
}

pub(in super::super) fn subsidies(city: &City, index: u32, out: &mut Vec<u8>) -> u32 {
    let mut draws = Draws::new(city.seed, Stream::Subsidy, u64::from(index));
    if index > 1 && !draws.permille(130) {
        return 0;
    }
    let firm = Firm::new(city, index);
    let grants = if index > 1 && draws.permille(250) { 2 } else { 1 };
    for _ in 0..grants {
        let yuan = match (index, firm.size) {
            (0, _) => 4_900_000,
            (1, _) => 3_600_000,
            _ if firm.sector == GIANT_SECTOR => draws.heavy(1200),
            (_, "large") => draws.heavy(300_000),
            (_, "medium") => draws.heavy(120_000),
            (_, "small") => draws.heavy(40_000),
            _ => draws.heavy(12_000),
        };
        let day = NEW_YEAR.plus(draws.below(YEAR_DAYS));
        Row::new(out)
            .bytes(&firm.credit_code())
            .text(draws.weighted(&PROGRAMS))
            .date(day)
            .int(yuan.min(2_000_000 + 2_900_000 * u64::from(index < 2)) / 100 * 100)
            .end();
    }
    grants
}
