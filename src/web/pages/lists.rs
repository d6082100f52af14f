//! Lists that can be narrowed down by their address, so that what is shown can be kept as a bookmark and sent to others.
//!
//! A value that means nothing narrows the list to nothing, under a sentence that says so: rows that stand under a filter
//! promise to fit it. A sort or a page that means nothing is passed over with a sentence.

mod view;

pub use view::Known;
pub use view::ListView;

use crate::model::filing::Filing;
use crate::model::filing::Tags;
use crate::model::instrument::InstrumentKind;
use crate::model::job::JobStatus;
use crate::store::finding::Filter;
use crate::store::finding::Found;
use crate::store::finding::ListOrder;
use crate::store::finding::Stretch;
use crate::web::urls;

/// Rows on one page of a list that has pages.
pub const PER_PAGE: u32 = 25;
/// The longest text that is searched for.
const MAX_TEXT_CHARS: usize = 200;

/// A tag that leads to the list of what carries it.
pub struct TagLink {
    pub tag: String,
    pub address: String,
}

impl TagLink {
    /// The tags of a thing, each leading to everything on its list that carries it.
    pub fn all(list: &str, filing: &Filing) -> Vec<Self> {
        let tags = filing.tags.as_slice().iter();
        let links = tags.map(|tag| Self {
            tag: tag.clone(),
            address: urls::with_query(list, [("tag", tag.as_str())]),
        });
        links.collect()
    }
}

/// What a list has to be narrowed down by, beside tags and text.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    pub address: &'static str,
    /// One thing of the list, and several.
    pub nouns: (&'static str, &'static str),
    /// The state of a job, in the words of the list.
    pub state: Option<fn(JobStatus) -> &'static str>,
    /// What its things run on is called; none where they run on nothing.
    pub place: Option<&'static str>,
    pub has_workload: bool,
    pub has_kind: bool,
    pub orders: &'static [ListOrder],
}

/// What an address asks of a list.
#[derive(Clone, Debug)]
pub struct ListParams {
    offer: Offer,
    given: Given,
    pub filter: Filter,
    pub order: ListOrder,
    pub page: u32,
    /// What means nothing, in sentences.
    problems: Vec<String>,
    /// Some of it was to be fitted.
    fits_nothing: bool,
}

/// The values as they stand in the address; empty where there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Given {
    tags: String,
    state: String,
    dataset: String,
    workload: String,
    kind: String,
    text: String,
}

const STATES: [JobStatus; 5] = [
    JobStatus::Queued,
    JobStatus::Running,
    JobStatus::Completed,
    JobStatus::Failed,
    JobStatus::Cancelled,
];

impl ListParams {
    pub fn read(offer: Offer, pairs: Vec<(String, String)>) -> Self {
        let (mut given, mut sort, mut page) = (Given::default(), String::new(), String::new());
        for (name, value) in pairs {
            // What steers is no part of any name, and the store cannot hold all of it.
            let value = value.replace(char::is_control, " ").trim().to_owned();
            match name.as_str() {
                "tag" => given.tags.extend([" ", value.as_str()]),
                "q" => given.text = value,
                "state" if offer.state.is_some() => given.state = value,
                "dataset" if offer.place.is_some() => given.dataset = value,
                "workload" if offer.has_workload => given.workload = value,
                "kind" if offer.has_kind => given.kind = value,
                "sort" => sort = value,
                "page" => page = value,
                _ => {}
            }
        }
        let mut params = Self {
            offer,
            filter: Filter::default(),
            order: ListOrder::default(),
            page: 0,
            problems: Vec::new(),
            fits_nothing: false,
            given: given.clone(),
        };
        params.read_filter(&given);
        params.read_place(&sort, &page);
        params
    }

    fn read_filter(&mut self, given: &Given) {
        match Tags::parse(&given.tags) {
            Ok(tags) => {
                self.given.tags = tags.to_text();
                self.filter.tags = tags;
            }
            Err(reason) => self.refuse(reason),
        }
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        self.filter.dataset = some(&given.dataset);
        self.filter.workload = some(&given.workload);
        self.filter.text = some(&given.text);
        if given.text.chars().count() > MAX_TEXT_CHARS {
            self.refuse(format!(
                "Texts of up to {MAX_TEXT_CHARS} characters can be searched for."
            ));
        }
        if let Some(word) = self.offer.state.filter(|_| !given.state.is_empty()) {
            let known = STATES.into_iter().find(|status| word(*status) == given.state);
            self.filter.status = known;
            if known.is_none() {
                let words: Vec<&str> = STATES.into_iter().map(word).collect();
                self.refuse(format!(
                    "{:?} is no state. The states are {}.",
                    given.state,
                    words.join(", ")
                ));
            }
        }
        if !given.kind.is_empty() {
            let known = InstrumentKind::ALL.into_iter().find(|kind| kind.word() == given.kind);
            self.filter.kind = known;
            if known.is_none() {
                let words: Vec<&str> = InstrumentKind::ALL.into_iter().map(InstrumentKind::word).collect();
                self.refuse(format!(
                    "There is no instrument {:?}. There are {}.",
                    given.kind,
                    words.join(", ")
                ));
            }
        }
    }

    fn read_place(&mut self, sort: &str, page: &str) {
        let mut orders = self.offer.orders.iter().copied();
        match orders.find(|order| order.word() == sort) {
            Some(order) => self.order = order,
            None if sort.is_empty() => {}
            None => {
                let words: Vec<&str> = self.offer.orders.iter().map(|order| order.word()).collect();
                let known = words.join(", ");
                self.problems.push(format!(
                    "This list is not sorted by {sort:?}, but by {known}; here the newest come first."
                ));
            }
        }
        if !page.is_empty() {
            match page.parse() {
                Ok(page) => self.page = page,
                Err(_) => self
                    .problems
                    .push(format!("There is no page {page:?}; this is the first.")),
            }
        }
    }

    fn refuse(&mut self, reason: String) {
        self.problems.push(reason);
        self.fits_nothing = true;
    }

    /// The part of the list that is shown. Where something means nothing, no row is.
    pub fn stretch(&self) -> Stretch {
        Stretch {
            limit: if self.fits_nothing { 0 } else { PER_PAGE },
            offset: self.page.saturating_mul(PER_PAGE),
        }
    }

    /// What was found, or nothing where something means nothing.
    pub fn narrow<T>(&self, mut found: Found<T>) -> Found<T> {
        if self.fits_nothing {
            found.ids.clear();
            found.n_matching = 0;
        }
        found
    }

    fn is_filtered(&self) -> bool {
        self.given != Given::default()
    }

    /// The same list in another order, from its beginning.
    pub fn sorted(&self, order: ListOrder) -> String {
        self.address(&self.given, order, 0)
    }

    /// The addresses of the page before and the page behind.
    pub fn neighbours(&self, n_matching: u64) -> (Option<String>, Option<String>) {
        let at = |page| self.address(&self.given, self.order, page);
        let last = u32::try_from(n_matching.saturating_sub(1) / u64::from(PER_PAGE)).unwrap_or(u32::MAX);
        let previous = self.page.checked_sub(1).map(|page| page.min(last));
        (previous.map(at), (self.page < last).then(|| at(self.page + 1)))
    }

    /// The tags of a row, each a link to the rows of this list that carry it too.
    pub fn tag_links(&self, filing: &Filing) -> Vec<TagLink> {
        let tags = filing.tags.as_slice().iter();
        let links = tags.map(|tag| TagLink {
            tag: tag.clone(),
            address: self.with_tag(tag),
        });
        links.collect()
    }

    fn with_tag(&self, tag: &str) -> String {
        let mut given = self.given.clone();
        if !given.tags.split(' ').any(|known| known == tag) {
            given.tags = format!("{} {tag}", given.tags);
        }
        self.address(&given, self.order, 0)
    }

    fn without_tag(&self, tag: &str) -> String {
        let mut given = self.given.clone();
        let others: Vec<&str> = given.tags.split(' ').filter(|known| *known != tag).collect();
        given.tags = others.join(" ");
        self.address(&given, self.order, 0)
    }

    fn address(&self, given: &Given, order: ListOrder, page: u32) -> String {
        let page = page.to_string();
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        pairs.extend(given.tags.split(' ').map(|tag| ("tag", tag)));
        pairs.extend([
            ("state", given.state.as_str()),
            ("dataset", &given.dataset),
            ("workload", &given.workload),
            ("kind", &given.kind),
            ("q", &given.text),
        ]);
        if order != ListOrder::default() {
            pairs.push(("sort", order.word()));
        }
        if page != "0" {
            pairs.push(("page", &page));
        }
        pairs.retain(|(_, value)| !value.is_empty());
        urls::with_query(self.offer.address, pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: Offer = Offer {
        address: "/results",
        nouns: ("experiment", "experiments"),
        state: Some(JobStatus::word),
        place: Some("Dataset"),
        has_workload: true,
        has_kind: false,
        orders: &[ListOrder::Newest, ListOrder::Oldest, ListOrder::Dataset],
    };

    fn read(query: &str) -> ListParams {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        ListParams::read(OFFER, pairs.collect())
    }

    #[test]
    fn a_page_is_a_stretch_of_the_list_and_one_behind_its_end_is_no_fault() {
        let place = |query: &str| (read(query).stretch().limit, read(query).stretch().offset);
        assert_eq!(place(""), (25, 0));
        assert_eq!(place("page=2"), (25, 50));
        assert_eq!(place("page=4294967295"), (25, u32::MAX));
    }

    #[test]
    fn an_address_says_all_of_what_a_list_is_narrowed_to() {
        let query = "tag=nightly&tag=pg15&state=failed&dataset=M%C3%A4rz+%26+April&q=100+%25&sort=oldest&page=2";
        let params = read(query);
        assert!(params.problems.is_empty(), "{params:?}");
        assert_eq!(params.filter.tags.to_text(), "nightly pg15");
        assert_eq!(params.filter.status, Some(JobStatus::Failed));
        assert_eq!(params.filter.dataset.as_deref(), Some("März & April"));
        assert_eq!(params.filter.text.as_deref(), Some("100 %"));
        assert_eq!((params.order, params.page), (ListOrder::Oldest, 2));
        let again = params.address(&params.given, params.order, params.page);
        assert_eq!(again, format!("/results?{query}"));
        assert!(
            params
                .without_tag("nightly")
                .starts_with("/results?tag=pg15&state=failed")
        );
        assert_eq!(
            params.with_tag("nightly"),
            params.address(&params.given, params.order, 0)
        );
        assert_eq!(read("").with_tag("größe"), "/results?tag=gr%C3%B6%C3%9Fe");
        assert_eq!(read("tag=B,a&tag=b").given.tags, "a b", "however they were typed");
        assert_eq!(
            read("kind=bisect&colour=red&q=").address(&Given::default(), ListOrder::Newest, 0),
            "/results"
        );
        assert!(
            !read("kind=bisect&colour=red&q=").is_filtered(),
            "what the list has not is passed over"
        );
    }

    #[test]
    fn what_means_nothing_is_said_and_fits_nothing_but_an_order_or_a_page_is_passed_over() {
        for (query, problem, fits_nothing) in [
            (
                "state=cancelled",
                "\"cancelled\" is no state. The states are waiting, running, finished",
                true,
            ),
            ("tag=50%25", "has '%' in it", true),
            ("q=a%00b", "", false),
            ("dataset=gone", "", false),
            (
                "sort=colour",
                "not sorted by \"colour\", but by newest, oldest, dataset",
                false,
            ),
            ("page=last", "There is no page \"last\"", false),
        ] {
            let params = read(query);
            assert_eq!(params.problems.is_empty(), problem.is_empty(), "{query}");
            assert!(params.problems.iter().all(|said| said.contains(problem)), "{params:?}");
            assert_eq!(params.fits_nothing, fits_nothing, "{query}");
            assert_eq!(params.stretch().limit == 0, fits_nothing);
        }
        let long = read(&format!("q={}", "x".repeat(201)));
        assert!(long.fits_nothing);
        assert_eq!(
            read("q=a%00b").filter.text.as_deref(),
            Some("a b"),
            "the store takes no NUL"
        );
    }

    #[test]
    fn pages_have_neighbours_up_to_the_last() {
        assert_eq!(read("").neighbours(25), (None, None));
        assert_eq!(read("").neighbours(26), (None, Some("/results?page=1".to_owned())));
        assert_eq!(
            read("tag=a&page=1").neighbours(26),
            (Some("/results?tag=a".to_owned()), None)
        );
        let beyond = read("page=9").neighbours(26);
        assert_eq!(
            beyond,
            (Some("/results?page=1".to_owned()), None),
            "back to where there is something"
        );
        assert_eq!(read("page=9").neighbours(0), (Some("/results".to_owned()), None));
    }
}
