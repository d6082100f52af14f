//! The form above a list that can be narrowed down, and what it came to.

use super::ListParams;
use super::STATES;
use crate::model::instrument::InstrumentKind;
use crate::model::units::counted;
use crate::model::units::grouped;
use crate::store::filing::UsedTag;
use crate::store::finding::Found;
use crate::store::finding::ListOrder;

/// The form above a list, and what it came to.
pub struct ListView {
    pub address: &'static str,
    pub tags: String,
    pub known_tags: Vec<KnownTag>,
    pub text: String,
    pub selects: Vec<Select>,
    /// `3 of 40 experiments shown`.
    pub counted: String,
    pub is_filtered: bool,
    /// Nothing is there that could be narrowed down.
    pub is_empty: bool,
    pub problems: Vec<String>,
    /// Why a list with entries shows none.
    pub nothing: String,
}

/// A tag in use, on how many of the list's things, shown or not.
pub struct KnownTag {
    pub tag: String,
    pub n: String,
    /// Adds it to what is asked for, or takes it out again.
    pub address: String,
    pub is_chosen: bool,
}

pub struct Select {
    pub name: &'static str,
    pub label: &'static str,
    /// What the first entry says, which narrows nothing down.
    pub all: &'static str,
    pub options: Vec<SelectOption>,
}

pub struct SelectOption {
    pub value: String,
    pub text: String,
    pub is_chosen: bool,
}

/// What the form offers to choose from.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub tags: Vec<UsedTag>,
    pub datasets: Vec<String>,
    pub workloads: Vec<String>,
}

impl ListView {
    /// The form as it was sent, over what was found.
    pub fn new<T>(params: &ListParams, known: Known, found: &Found<T>) -> Self {
        let (offer, given) = (&params.offer, &params.given);
        let (one, several) = offer.nouns;
        let tags = known.tags.into_iter().map(|used| {
            let is_chosen = params.filter.tags.as_slice().contains(&used.tag);
            KnownTag {
                address: if is_chosen {
                    params.without_tag(&used.tag)
                } else {
                    params.with_tag(&used.tag)
                },
                is_chosen,
                n: grouped(used.n),
                tag: used.tag,
            }
        });
        let mut view = Self {
            address: offer.address,
            tags: given.tags.trim().to_owned(),
            known_tags: tags.collect(),
            text: given.text.clone(),
            selects: Vec::new(),
            counted: if params.is_filtered() {
                format!(
                    "{} of {} shown",
                    grouped(found.n_matching),
                    counted(found.n_all, one, several)
                )
            } else {
                counted(found.n_all, one, several)
            },
            is_filtered: params.is_filtered(),
            is_empty: found.n_all == 0 && !params.is_filtered(),
            problems: params.problems.clone(),
            nothing: match (found.n_matching, params.is_filtered()) {
                (0, _) => format!("None of the {several} fits. Take something out of the filter, or clear it."),
                _ => format!("This page of the list is empty. The {several} are on the pages before."),
            },
        };
        if let Some(word) = offer.state {
            let words = STATES
                .into_iter()
                .map(|status| (word(status).to_owned(), word(status).to_owned()));
            view.push("state", "State", "any", words, &given.state);
        }
        if offer.has_kind {
            let kinds = InstrumentKind::ALL.into_iter();
            let kinds = kinds.map(|kind| (kind.word().to_owned(), kind.title().to_owned()));
            view.push("kind", "Instrument", "any", kinds, &given.kind);
        }
        let named = |names: Vec<String>| names.into_iter().map(|name| (name.clone(), name));
        if let Some(label) = offer.place {
            view.push("dataset", label, "any", named(known.datasets), &given.dataset);
        }
        if offer.has_workload {
            view.push("workload", "Workload", "any", named(known.workloads), &given.workload);
        }
        if offer.orders.len() > 1 {
            let orders = offer.orders.iter().skip(1);
            let orders = orders.map(|order| (order.word().to_owned(), in_words(*order).to_owned()));
            let sort = if params.order == offer.orders[0] {
                ""
            } else {
                params.order.word()
            };
            view.push("sort", "Order", in_words(offer.orders[0]), orders, sort);
        }
        view
    }

    /// A choice; what the address names is in it, whether it exists or not.
    fn push(
        &mut self,
        name: &'static str,
        label: &'static str,
        all: &'static str,
        pairs: impl Iterator<Item = (String, String)>,
        chosen: &str,
    ) {
        let options = pairs.map(|(value, text)| SelectOption {
            is_chosen: value == chosen,
            value,
            text,
        });
        let mut options: Vec<SelectOption> = options.collect();
        if !chosen.is_empty() && !options.iter().any(|option| option.is_chosen) {
            options.push(SelectOption {
                value: chosen.to_owned(),
                text: chosen.to_owned(),
                is_chosen: true,
            });
        }
        self.selects.push(Select {
            name,
            label,
            all,
            options,
        });
    }
}

fn in_words(order: ListOrder) -> &'static str {
    match order {
        ListOrder::Newest => "newest first",
        ListOrder::Oldest => "oldest first",
        ListOrder::Name => "by name",
        ListOrder::Dataset => "by dataset",
        ListOrder::Workload => "by workload",
        ListOrder::Status => "by state",
    }
}
