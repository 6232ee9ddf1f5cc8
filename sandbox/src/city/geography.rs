//! The city's territory: thirteen districts with their real codes and towns, and villages with invented names.
//! It does not depend on the seed; residents' homes are drawn elsewhere.

use super::geography::towns::TOWNS;
use super::random::Draws;
use super::random::Stream;

mod towns;

/// A district or county of the city.
#[derive(Debug)]
pub(super) struct District {
    /// Administrative code of six digits.
    pub(super) code: u32,
    pub(super) zh: &'static str,
    pub(super) en: &'static str,
    /// Residents in ten thousands; people are placed by this weight.
    weight: u32,
    /// Villages shrink faster the higher this is.
    rural: bool,
}

/// The city's districts in the order of their codes.
pub(super) static DISTRICTS: [District; 13] = [
    District { code: 330_102, zh: "上城区", en: "Shangcheng", weight: 132, rural: false },
    District { code: 330_105, zh: "拱墅区", en: "Gongshu", weight: 112, rural: false },
    District { code: 330_106, zh: "西湖区", en: "Xihu", weight: 111, rural: false },
    District { code: 330_108, zh: "滨江区", en: "Binjiang", weight: 50, rural: false },
    District { code: 330_109, zh: "萧山区", en: "Xiaoshan", weight: 201, rural: false },
    District { code: 330_110, zh: "余杭区", en: "Yuhang", weight: 122, rural: false },
    District { code: 330_111, zh: "富阳区", en: "Fuyang", weight: 83, rural: true },
    District { code: 330_112, zh: "临安区", en: "Lin'an", weight: 63, rural: true },
    District { code: 330_113, zh: "临平区", en: "Linping", weight: 117, rural: false },
    District { code: 330_114, zh: "钱塘区", en: "Qiantang", weight: 77, rural: false },
    District { code: 330_122, zh: "桐庐县", en: "Tonglu", weight: 45, rural: true },
    District { code: 330_127, zh: "淳安县", en: "Chun'an", weight: 33, rural: true },
    District { code: 330_182, zh: "建德市", en: "Jiande", weight: 44, rural: true },
];

/// A town or street office of a district.
#[derive(Debug)]
pub(super) struct Town {
    district: usize,
    zh: &'static str,
    en: &'static str,
    /// Hamlets at the end of its villages, each with this many residents whatever the scale.
    hamlets: &'static [u32],
}

/// A village or neighbourhood: the smallest unit of the open division register.
#[derive(Debug)]
pub(super) struct Village {
    pub(super) code: u64,
    pub(super) district: &'static District,
    pub(super) town_code: u64,
    pub(super) town: &'static Town,
    pub(super) zh: String,
    pub(super) en: String,
    /// Weights of all villages up to and including this one.
    weight_end: u32,
}

impl Town {
    pub(super) fn zh(&self) -> &'static str {
        self.zh
    }

    pub(super) fn en(&self) -> &'static str {
        self.en
    }
}

/// All villages, and who lives in the smallest of them.
#[derive(Debug)]
pub(super) struct Geography {
    pub(super) villages: Vec<Village>,
    /// Village of the first residents: one entry a resident.
    hamlets: Vec<usize>,
    weight: u32,
}

static PREFIXES: [(&str, &str); 10] = [
    ("上", "Shang"),
    ("下", "Xia"),
    ("东", "Dong"),
    ("西", "Xi"),
    ("南", "Nan"),
    ("前", "Qian"),
    ("后", "Hou"),
    ("大", "Da"),
    ("小", "Xiao"),
    ("新", "Xin"),
];

static CORES: [(&str, &str); 12] = [
    ("溪", "xi"),
    ("坞", "wu"),
    ("塘", "tang"),
    ("桥", "qiao"),
    ("岭", "ling"),
    ("源", "yuan"),
    ("畈", "fan"),
    ("湾", "wan"),
    ("洲", "zhou"),
    ("坑", "keng"),
    ("埠", "bu"),
    ("泉", "quan"),
];

impl Geography {
    pub(super) fn new() -> Self {
        let mut geography = Self { villages: Vec::new(), hamlets: Vec::new(), weight: 0 };
        for (ordinal, district) in DISTRICTS.iter().enumerate() {
            for (rank, town) in TOWNS.iter().filter(|town| town.district == ordinal).enumerate() {
                geography.settle(district, town, rank);
            }
        }
        geography
    }

    fn settle(&mut self, district: &'static District, town: &'static Town, rank: usize) {
        let street = town.zh.ends_with("街道");
        let town_code = u64::from(district.code) * 1000 + if street { 1 } else { 100 } + rank as u64;
        let hamlets = town.hamlets.len();
        let ordinary = 6 + (town_code % 3) as usize * usize::from(hamlets == 0);
        for nth in 0..ordinary + hamlets {
            let (prefix, core) = (PREFIXES.get((nth * 3 + rank) % 10), CORES.get((nth * 5 + rank) % 12));
            let (Some((zh_prefix, en_prefix)), Some((zh_core, en_core))) = (prefix, core) else { continue };
            match nth.checked_sub(ordinary).and_then(|hamlet| town.hamlets.get(hamlet)) {
                Some(residents) => self.hamlets.extend((0..*residents).map(|_| self.villages.len())),
                None => self.weight += village_weight(district, rank as u64, nth as u64),
            }
            self.villages.push(Village {
                code: town_code * 1000 + if street { 1 } else { 200 } + nth as u64,
                district,
                town_code,
                town,
                zh: format!("{zh_prefix}{zh_core}{}", if street { "社区" } else { "村" }),
                en: format!("{en_prefix}{en_core}"),
                weight_end: self.weight,
            });
        }
    }

    /// The village where a resident lives.
    pub(super) fn home(&self, seed: u64, resident: u32) -> Option<&Village> {
        if let Some(hamlet) = self.hamlets.get(resident as usize) {
            return self.villages.get(*hamlet);
        }
        let place = Draws::new(seed, Stream::Home, u64::from(resident)).below(self.weight);
        self.villages.get(self.villages.partition_point(|village| village.weight_end <= place))
    }

    /// A district by population.
    pub(super) fn district(draws: &mut Draws) -> &'static District {
        let total = DISTRICTS.iter().map(|district| district.weight).sum();
        let mut left = draws.below(total);
        for district in &DISTRICTS {
            if left < district.weight {
                return district;
            }
            left -= district.weight;
        }
        &DISTRICTS[0]
    }
}

/// Share of a village in its city: large towns first, large villages first, steeper in the country.
fn village_weight(district: &District, rank: u64, nth: u64) -> u32 {
    let steepness = if district.rural { 2 * nth + 2 } else { nth + 3 };
    u32::try_from(u64::from(district.weight) * 6000 / ((rank + 3) * steepness)).unwrap_or(u32::MAX)
}
