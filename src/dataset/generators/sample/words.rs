//! The fixed lists the shop is made of: places, people, goods. Every text is free of tabs and backslashes, so that
//! it stands in a COPY block as it is.

/// How far a country is from the warehouse in Leipzig, which decides how long a parcel travels.
#[derive(Clone, Copy)]
pub enum Zone {
    Home,
    Europe,
    Overseas,
}

impl Zone {
    pub fn label(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Europe => "europe",
            Self::Overseas => "overseas",
        }
    }
}

pub struct Country {
    pub code: &'static str,
    pub name: &'static str,
    pub zone: Zone,
    /// In the order of their customers, which is roughly that of their size.
    pub cities: &'static [&'static str],
}

/// In the order of their customers: the first has most.
pub const COUNTRIES: &[Country] = &[
    country(
        "DE",
        "Germany",
        Zone::Home,
        &[
            "Berlin",
            "Hamburg",
            "München",
            "Köln",
            "Frankfurt am Main",
            "Leipzig",
            "Stuttgart",
            "Düsseldorf",
            "Dresden",
            "Nürnberg",
            "Göttingen",
            "Lübeck",
        ],
    ),
    country(
        "FR",
        "France",
        Zone::Europe,
        &[
            "Paris",
            "Lyon",
            "Marseille",
            "Toulouse",
            "Nantes",
            "Saint-Étienne",
            "Besançon",
        ],
    ),
    country(
        "GB",
        "United Kingdom",
        Zone::Europe,
        &[
            "London",
            "Manchester",
            "Birmingham",
            "Glasgow",
            "Leeds",
            "Bristol",
            "Cardiff",
        ],
    ),
    country(
        "AT",
        "Austria",
        Zone::Home,
        &["Wien", "Graz", "Linz", "Salzburg", "Innsbruck"],
    ),
    country(
        "NL",
        "Netherlands",
        Zone::Europe,
        &["Amsterdam", "Rotterdam", "Utrecht", "Eindhoven"],
    ),
    country(
        "CH",
        "Switzerland",
        Zone::Home,
        &["Zürich", "Genève", "Basel", "Bern", "Neuchâtel"],
    ),
    country(
        "IT",
        "Italy",
        Zone::Europe,
        &["Milano", "Roma", "Torino", "Napoli", "Bologna", "Firenze"],
    ),
    country(
        "ES",
        "Spain",
        Zone::Europe,
        &["Madrid", "Barcelona", "València", "Sevilla", "Málaga", "A Coruña"],
    ),
    country(
        "PL",
        "Poland",
        Zone::Europe,
        &["Warszawa", "Kraków", "Wrocław", "Poznań", "Gdańsk", "Łódź"],
    ),
    country(
        "BE",
        "Belgium",
        Zone::Europe,
        &["Bruxelles", "Antwerpen", "Gent", "Liège"],
    ),
    country(
        "SE",
        "Sweden",
        Zone::Europe,
        &["Stockholm", "Göteborg", "Malmö", "Uppsala"],
    ),
    country(
        "DK",
        "Denmark",
        Zone::Europe,
        &["København", "Aarhus", "Odense", "Aalborg"],
    ),
    country(
        "CZ",
        "Czechia",
        Zone::Europe,
        &["Praha", "Brno", "Plzeň", "České Budějovice"],
    ),
    country(
        "US",
        "United States",
        Zone::Overseas,
        &["New York", "San Francisco", "Chicago", "Seattle", "Boston"],
    ),
    country("NO", "Norway", Zone::Europe, &["Oslo", "Bergen", "Tromsø"]),
    country("FI", "Finland", Zone::Europe, &["Helsinki", "Tampere", "Jyväskylä"]),
    country("PT", "Portugal", Zone::Europe, &["Lisboa", "Porto", "Évora"]),
    country("IE", "Ireland", Zone::Europe, &["Dublin", "Cork"]),
    country("HU", "Hungary", Zone::Europe, &["Budapest", "Győr", "Pécs"]),
    country("GR", "Greece", Zone::Europe, &["Αθήνα", "Θεσσαλονίκη"]),
    country("TR", "Türkiye", Zone::Overseas, &["İstanbul", "Ankara", "İzmir"]),
    country(
        "BR",
        "Brazil",
        Zone::Overseas,
        &["São Paulo", "Rio de Janeiro", "Florianópolis"],
    ),
    country("JP", "Japan", Zone::Overseas, &["東京", "大阪", "京都"]),
    country("IS", "Iceland", Zone::Europe, &["Reykjavík"]),
];

const fn country(code: &'static str, name: &'static str, zone: Zone, cities: &'static [&'static str]) -> Country {
    Country {
        code,
        name,
        zone,
        cities,
    }
}

pub const GIVEN_NAMES: &[&str] = &[
    "Anna", "Björn", "Chloé", "David", "Elif", "Fatima", "Grace", "Hana", "Ines", "Jürgen", "Karin", "Łukasz", "María",
    "Nikos", "Olivia", "Paweł", "Quentin", "Rosa", "Søren", "Theo", "Ursula", "Victor", "Wiktoria", "Yuki", "Zoë",
    "Ahmed", "Beatriz", "Giulia", "Henrik", "Oscar",
];

pub const FAMILY_NAMES: &[&str] = &[
    "Andersson",
    "Becker",
    "Costa",
    "Dubois",
    "Esposito",
    "Fischer",
    "García",
    "Horváth",
    "Ivanova",
    "Jensen",
    "Kowalski",
    "Lefèvre",
    "Müller",
    "Nakamura",
    "Novák",
    "O'Brien",
    "Papadopoulos",
    "Rossi",
    "Schmidt",
    "Smith",
    "Tanaka",
    "van Dijk",
    "Virtanen",
    "Weiß",
    "Yılmaz",
    "Zimmermann",
];

/// What stands behind a family name when the customer is a company.
pub const COMPANY_FORMS: &[&str] = &["GmbH", "& Söhne", "Ltd", "S.A.", "Logistics", "Interiors"];

/// A brand belongs to one category, all but [`HOUSE_BRAND`].
pub struct Category {
    pub name: &'static str,
    pub department: &'static str,
    pub brands: [&'static str; 3],
    pub nouns: [&'static str; 4],
    /// In cents. Prices crowd near the lower end.
    pub cheapest_cents: u64,
    pub dearest_cents: u64,
}

/// The shop's own brand, found in every category.
pub const HOUSE_BRAND: &str = "Nordlicht";

/// In the order of their products: the first has most.
pub const CATEGORIES: &[Category] = &[
    category(
        "Books",
        "Leisure",
        ["Lesezeichen", "Paper Lane", "Éditions Midi"],
        ["Novel", "Cookbook", "Atlas", "Travel Guide"],
        [599, 4_999],
    ),
    category(
        "Kitchenware",
        "Home",
        ["Küchenfee", "Casserole & Co", "Ironpan"],
        ["Saucepan", "Chef's Knife", "Teapot", "Mixing Bowl"],
        [799, 18_999],
    ),
    category(
        "Toys",
        "Leisure",
        ["Holzwurm", "Bricolo", "Little Fox"],
        ["Train Set", "Puzzle", "Teddy Bear", "Marble Run"],
        [499, 12_999],
    ),
    category(
        "Shoes",
        "Fashion",
        ["Stride", "Pas à Pas", "Wanderlust"],
        ["Sneaker", "Hiking Boot", "Sandal", "Slipper"],
        [1_999, 22_999],
    ),
    category(
        "Coats",
        "Fashion",
        ["Fjällvind", "Drizzle", "Maison Claire"],
        ["Raincoat", "Parka", "Wool Coat", "Windbreaker"],
        [3_999, 49_999],
    ),
    category(
        "Lighting",
        "Home",
        ["Lumière", "Glühwurm", "Hygge Works"],
        ["Desk Lamp", "Floor Lamp", "Lantern", "Pendant Light"],
        [999, 39_999],
    ),
    category(
        "Headphones",
        "Electronics",
        ["Klangwerk", "Audiva", "Hush"],
        ["Earbuds", "Headset", "Studio Headphones", "Neckband"],
        [1_499, 44_999],
    ),
    category(
        "Garden",
        "Home",
        ["Grünhain", "Rosemary & Rake", "Verde"],
        ["Watering Can", "Pruner", "Raised Bed", "Bird House"],
        [699, 29_999],
    ),
    category(
        "Bags",
        "Fashion",
        ["Nomad", "Sac & Cie", "Rucksackerei"],
        ["Backpack", "Tote", "Suitcase", "Messenger Bag"],
        [1_999, 34_999],
    ),
    category(
        "Camping",
        "Outdoor",
        ["Basecamp", "Zeltplatz", "Fjellheim"],
        ["Tent", "Sleeping Bag", "Camping Stove", "Headlamp"],
        [1_299, 69_999],
    ),
    category(
        "Phones",
        "Electronics",
        ["Pomelo", "Kestrel", "Nimbus"],
        ["Phone", "Phone Mini", "Phone Plus", "Flip Phone"],
        [9_999, 139_999],
    ),
    category(
        "Watches",
        "Fashion",
        ["Tempus", "Zeitgeist", "Minuit"],
        ["Diver's Watch", "Chronograph", "Smartwatch", "Dress Watch"],
        [4_999, 249_999],
    ),
    category(
        "Furniture",
        "Home",
        ["Eiche & Ahorn", "Atelier Nord", "Stolab"],
        ["Armchair", "Bookshelf", "Dining Table", "Bed Frame"],
        [7_999, 299_999],
    ),
    category(
        "Bicycles",
        "Outdoor",
        ["Rückenwind", "Velocità", "Spoke"],
        ["City Bike", "Gravel Bike", "Folding Bike", "Cargo Bike"],
        [29_999, 549_999],
    ),
    category(
        "Laptops",
        "Electronics",
        ["Corvid", "Heron Systems", "Tegel"],
        ["Notebook", "Ultrabook", "Workstation", "Convertible"],
        [39_999, 449_999],
    ),
    category(
        "Cameras",
        "Electronics",
        ["Obscura", "Silberkorn", "Lynx"],
        ["Compact Camera", "Mirrorless Camera", "Lens", "Tripod"],
        [4_999, 599_999],
    ),
];

const fn category(
    name: &'static str,
    department: &'static str,
    brands: [&'static str; 3],
    nouns: [&'static str; 4],
    [cheapest_cents, dearest_cents]: [u64; 2],
) -> Category {
    Category {
        name,
        department,
        brands,
        nouns,
        cheapest_cents,
        dearest_cents,
    }
}

pub const ADJECTIVES: &[&str] = &[
    "Alpine", "Blue", "Classic", "Crimson", "Everyday", "Golden", "Grand", "Little", "Midnight", "Modern", "Petite",
    "Quiet", "Rustic", "Silver", "Swift", "Urban", "Vintage", "Wild",
];

/// Coupon codes by the year they were given out, the most used first.
pub const COUPONS: &[(u64, [&str; 2])] = &[
    (2023, ["WELCOME23", "FRÜHLING23"]),
    (2024, ["WELCOME24", "SUMMER24"]),
    (2025, ["WELCOME25", "NOËL25"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_needs_escaping_in_a_copy_block() {
        let places = COUNTRIES
            .iter()
            .flat_map(|country| country.cities.iter().chain([&country.code, &country.name]));
        let goods = CATEGORIES.iter().flat_map(|category| {
            category
                .brands
                .iter()
                .chain(&category.nouns)
                .chain([&category.name, &category.department])
        });
        let people = GIVEN_NAMES.iter().chain(FAMILY_NAMES).chain(COMPANY_FORMS);
        let rest = ADJECTIVES.iter().chain(COUPONS.iter().flat_map(|(_, codes)| codes));
        for word in places.chain(goods).chain(people).chain(rest) {
            assert!(!word.is_empty() && !word.contains(['\t', '\n', '\r', '\\']), "{word:?}");
        }
    }
}
