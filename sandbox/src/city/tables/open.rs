//! Open reference tables (L1): districts, divisions, calendar, hospitals, camera stations, car parks, sights.
//! Real names of places, invented establishments; no person is in them.

use super::super::City;
use super::super::date::FESTIVAL;
use super::super::date::NEW_YEAR;
use super::super::date::YEAR_DAYS;
use super::super::geography;
use super::super::geography::District;
use super::super::random::Draws;
use super::super::row::Row;

pub(in super::super) const DISTRICTS: &str = "district_code,district,district_zh";
pub(in super::super) const DIVISIONS: &str =
    "village_code,village,village_zh,town_code,town,town_zh,district_code,setting";
pub(in super::super) const CALENDAR: &str = "day,weekday,workday,spring_festival";
pub(in super::super) const HOSPITALS: &str = "hospital,name,name_zh,tier,district_code";
pub(in super::super) const STATIONS: &str = "station_id,station,station_zh,zone,zone_zh,district_code";
pub(in super::super) const PARKING_LOTS: &str = "lot_id,lot,lot_zh,kind,spaces,district_code";
pub(in super::super) const SPOTS: &str = "spot_id,spot,spot_zh,ticket,district_code";

pub(in super::super) fn districts(out: &mut Vec<u8>) -> u32 {
    let mut rows = 0;
    for district in &geography::DISTRICTS {
        Row::new(out).int(u64::from(district.code)).text(district.en).text(district.zh).end();
        rows += 1;
    }
    rows
}

pub(in super::super) fn divisions(city: &City, out: &mut Vec<u8>) -> u32 {
    let mut rows = 0;
    for village in &city.geography.villages {
        Row::new(out)
            .int(village.code)
            .text(&village.en)
            .text(&village.zh)
            .int(village.town_code)
            .text(village.town.en())
            .text(village.town.zh())
            .int(u64::from(village.district.code))
            .text(if village.code % 1000 < 200 { "urban" } else { "rural" })
            .end();
        rows += 1;
    }
    rows
}

pub(in super::super) fn calendar(out: &mut Vec<u8>) -> u32 {
    for nth in 0..YEAR_DAYS {
        let day = NEW_YEAR.plus(nth);
        let festival = FESTIVAL.contains(&day);
        let workday = !day.is_weekend() && !festival && nth != 0;
        Row::new(out).date(day).int(u64::from(day.weekday()) + 1).flag(workday).flag(festival).end();
    }
    YEAR_DAYS
}

/// Kinds of hospital, one of each in every district.
static HOSPITAL_KINDS: [(&str, &str, &str); 3] = [
    ("People's Hospital", "人民医院", "third"),
    ("Hospital of Chinese Medicine", "中医院", "second"),
    ("Women and Children's Hospital", "妇幼保健院", "second"),
];

pub(in super::super) fn hospitals(out: &mut Vec<u8>) -> u32 {
    let mut rows = 0;
    for district in &geography::DISTRICTS {
        for (nth, (en, zh, tier)) in (1..).zip(HOSPITAL_KINDS) {
            let (name, name_zh) = (format!("{} {en}", district.en), format!("{}{zh}", district.zh));
            Row::new(out)
                .bytes(&place_code(district, nth))
                .text(&name)
                .text(&name_zh)
                .text(tier)
                .int(u64::from(district.code))
                .end();
            rows += 1;
        }
    }
    rows
}

/// `330106-1`: the `nth` establishment of a kind in a district.
pub(super) fn place_code(district: &District, nth: u32) -> [u8; 8] {
    let mut code = *b"000000-0";
    let mut rest = district.code;
    for place in code.iter_mut().take(6).rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if let Some(last) = code.last_mut() {
        *last = b'0' + (nth % 10) as u8;
    }
    code
}

/// Zones of the traffic restriction and the districts (places in the list) their cameras stand in.
pub(super) static ZONES: [(&str, &str, &str, [usize; 3]); 4] = [
    ("lake", "Lakeside", "湖滨", [0, 2, 2]),
    ("centre", "Centre", "市中心", [0, 1, 1]),
    ("ring", "Ring Road", "绕城", [3, 4, 5]),
    ("gateway", "Gateway", "门户", [4, 8, 9]),
];
/// Cameras of one zone.
pub(super) const STATIONS_PER_ZONE: u32 = 9;

pub(in super::super) fn stations(out: &mut Vec<u8>) -> u32 {
    let mut rows = 0;
    for (zone, (slug, en, zh, districts)) in (1_u32..).zip(ZONES) {
        for nth in 1..=STATIONS_PER_ZONE {
            let district =
                districts.get((nth % 3) as usize).and_then(|place| geography::DISTRICTS.get(*place));
            let (station, station_zh) = (format!("{en} Camera {nth}"), format!("{zh}{nth}号卡口"));
            Row::new(out)
                .bytes(&station_code(zone, nth))
                .text(&station)
                .text(&station_zh)
                .text(slug)
                .text(zh)
                .int(district.map_or(0, |district| u64::from(district.code)))
                .end();
            rows += 1;
        }
    }
    rows
}

/// `K2-07`: the `nth` camera of a zone, both counted from 1.
pub(super) fn station_code(zone: u32, nth: u32) -> [u8; 5] {
    [b'K', b'0' + (zone % 10) as u8, b'-', b'0' + (nth / 10 % 10) as u8, b'0' + (nth % 10) as u8]
}

static LOT_KINDS: [(&str, &str, &str, u64); 5] = [
    ("Roadside", "路侧泊位", "roadside", 60),
    ("Hospital Car Park", "医院停车场", "hospital", 320),
    ("Metro Car Park", "地铁换乘停车场", "metro", 480),
    ("Market Car Park", "农贸市场停车场", "market", 140),
    ("Scenic Car Park", "景区停车场", "scenic", 650),
];
/// Car parks of one district.
pub(super) const LOTS_PER_DISTRICT: u32 = 5;

pub(in super::super) fn parking_lots(out: &mut Vec<u8>) -> u32 {
    let mut rows = 0;
    for district in &geography::DISTRICTS {
        for (nth, (en, zh, kind, spaces)) in (1..).zip(LOT_KINDS) {
            let (lot, lot_zh) = (format!("{} {en}", district.en), format!("{}{zh}", district.zh));
            Row::new(out)
                .bytes(&place_code(district, nth))
                .text(&lot)
                .text(&lot_zh)
                .text(kind)
                .int(spaces)
                .int(u64::from(district.code))
                .end();
            rows += 1;
        }
    }
    rows
}

/// A sight with its ticket price in yuan and its share of a thousand visits.
pub(super) struct Spot {
    en: &'static str,
    zh: &'static str,
    pub(super) ticket: u64,
    district: u64,
    weight: u32,
}

/// The sights, most visited first; their identifiers count from 1.
pub(super) static SPOTS_LIST: [Spot; 10] = [
    Spot { en: "Lingyin Temple", zh: "灵隐寺", ticket: 75, district: 330_106, weight: 230 },
    Spot { en: "Leifeng Pagoda", zh: "雷峰塔", ticket: 40, district: 330_106, weight: 190 },
    Spot { en: "Xixi Wetland", zh: "西溪湿地", ticket: 80, district: 330_106, weight: 150 },
    Spot { en: "Thousand Island Lake", zh: "千岛湖", ticket: 130, district: 330_127, weight: 140 },
    Spot { en: "Liangzhu Ancient City", zh: "良渚古城", ticket: 60, district: 330_110, weight: 90 },
    Spot { en: "Xiang Lake", zh: "湘湖", ticket: 30, district: 330_109, weight: 70 },
    Spot { en: "Tianmu Mountain", zh: "天目山", ticket: 110, district: 330_112, weight: 50 },
    Spot { en: "Yaolin Cave", zh: "瑶琳仙境", ticket: 95, district: 330_122, weight: 40 },
    Spot { en: "Daci Cliff", zh: "大慈岩", ticket: 85, district: 330_182, weight: 25 },
    Spot { en: "Dragon Gate Old Town", zh: "龙门古镇", ticket: 80, district: 330_111, weight: 15 },
];

impl Spot {
    /// A sight by popularity, with its identifier.
    pub(super) fn draw(draws: &mut Draws) -> (u64, &'static Self) {
        let mut left = draws.below(1000);
        for (id, spot) in (1..).zip(&SPOTS_LIST) {
            if left < spot.weight {
                return (id, spot);
            }
            left -= spot.weight;
        }
        (1, &SPOTS_LIST[0])
    }
}

pub(in super::super) fn spots(out: &mut Vec<u8>) -> u32 {
    let mut rows = 0;
    for (id, spot) in (1..).zip(&SPOTS_LIST) {
        Row::new(out).int(id).text(spot.en).text(spot.zh).int(spot.ticket).int(spot.district).end();
        rows += 1;
    }
    rows
}
