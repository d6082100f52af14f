//! What accounts may have, on a real store.

use futures_util::future::join_all;

use super::*;
use crate::model::job::JobKind;
use crate::testing::world::World;

fn usage() -> Usage {
    Usage {
        storage_bytes: 19 << 30,
        datasets: 10,
        waiting_jobs: 3,
        running_jobs: 1,
    }
}

fn quotas() -> Quotas {
    Quotas {
        storage_bytes: Bound::Most(20 << 30),
        datasets: Bound::Most(10),
        waiting_jobs: Bound::Most(4),
        running_jobs: Bound::Most(1),
        trials: Bound::Most(5000),
        clients: Bound::Most(200),
        load_s: Bound::Most(3600),
    }
}

#[test]
fn an_account_may_have_up_to_its_quota_and_reads_what_helps_beyond() {
    for (quota, asks, refusal) in [
        (Quota::Storage, 1 << 30, None),
        (
            Quota::Storage,
            (1 << 30) + 1,
            Some("This takes 1.0 GiB, and you have 19 GiB of 20 GiB. Delete a dataset, or ask an admin for more."),
        ),
        (
            Quota::Storage,
            u64::MAX,
            Some("This takes 16384 PiB, and you have 19 GiB of 20 GiB."),
        ),
        (Quota::Datasets, 0, None),
        (
            Quota::Datasets,
            1,
            Some("You have 10 of 10 datasets. Delete one, or ask an admin for more."),
        ),
        (Quota::Waiting, 1, None),
        (
            Quota::Waiting,
            2,
            Some("You have 3 of 4 jobs waiting. Try again when one of them has begun,"),
        ),
        (
            Quota::Running,
            1,
            Some("You have 1 of 1 jobs running. Try again when one of them has finished,"),
        ),
        (Quota::Trials, 5000, None),
        (
            Quota::Trials,
            5001,
            Some("This experiment has 5\u{2009}001 trials; you may have 5\u{2009}000 in one. Take fewer rounds,"),
        ),
        (Quota::Clients, 200, None),
        (
            Quota::Clients,
            201,
            Some("This benchmark has up to 201 clients at once; you may have 200. Take fewer,"),
        ),
        (Quota::Load, 3600, None),
        (
            Quota::Load,
            7200,
            Some(
                "All levels of this benchmark together take 2 h; you may have 1 h in one. Take fewer or shorter levels,",
            ),
        ),
    ] {
        let checked = check(&quotas(), &usage(), quota, asks);
        let said = checked.map_err(|error| error.to_string()).err();
        match refusal {
            None => assert_eq!(said, None, "{quota:?} {asks}"),
            Some(begin) => {
                let said = said.unwrap();
                assert!(said.starts_with(begin), "{said}");
                assert!(
                    said.ends_with("or ask an admin for more.") || !begin.ends_with('.'),
                    "{said}"
                );
            }
        }
        assert_eq!(check(&Quotas::UNLIMITED, &usage(), quota, asks), Ok(()));
    }
}

#[tokio::test]
async fn of_many_who_ask_at_once_one_gets_the_last_place() {
    let world = World::new().await;
    let account = world.viewer.user_id;
    world.job(JobKind::Check).await;
    let quotas = Quotas {
        waiting_jobs: Bound::Most(2),
        ..Quotas::default()
    };
    let asking = join_all((0..8).map(async |_| {
        let mut transaction = world.pool.begin().await.unwrap();
        match may_take(&mut transaction, &quotas, account, Quota::Waiting, 1).await {
            Ok(()) => {}
            Err(TakeError::Quota(refusal)) => return Some((refusal.has, refusal.most)),
            Err(TakeError::Store(error)) => panic!("{error}"),
        }
        store::jobs::insert(&mut transaction, world.viewer, JobKind::Check, None)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        None
    }));
    let refused: Vec<(u64, u64)> = asking.await.into_iter().flatten().collect();
    assert_eq!(refused, [(2, 2); 7]);
    let mut conn = world.conn().await;
    assert_eq!(store::quotas::usage(&mut conn, account).await.unwrap().waiting_jobs, 2);
    let unlimited = may_take(&mut conn, &Quotas::UNLIMITED, account, Quota::Waiting, 1).await;
    assert!(unlimited.is_ok());
}

#[test]
fn what_is_said_of_an_account_goes_before_what_is_said_of_all() {
    let own = OwnQuotas::default()
        .saying(Quota::Datasets, Some(Bound::Most(11)))
        .saying(Quota::Storage, Some(Bound::Unlimited));
    let its = quotas().with(&own);
    assert_eq!(check(&its, &usage(), Quota::Datasets, 1), Ok(()));
    assert_eq!(check(&its, &usage(), Quota::Storage, u64::MAX), Ok(()));
    assert!(check(&its, &usage(), Quota::Running, 1).is_err());
    let said: Vec<String> = ALL.iter().map(|quota| in_words(&its, &usage(), *quota)).collect();
    assert_eq!(
        said,
        [
            "19 GiB, unlimited",
            "10 of 11",
            "3 of 4",
            "1 of 1",
            "at most 5\u{2009}000",
            "at most 200",
            "at most 1 h"
        ]
    );
}

#[test]
fn quotas_come_out_of_the_store_as_they_went_in() {
    let own = OwnQuotas::default()
        .saying(Quota::Datasets, Some(Bound::Most(11)))
        .saying(Quota::Load, Some(Bound::Unlimited));
    let json = serde_json::to_string(&own).unwrap();
    assert_eq!(json, r#"{"datasets":{"most":11},"load_s":"unlimited"}"#);
    assert_eq!(serde_json::from_str::<OwnQuotas>(&json).unwrap(), own);
    assert_eq!(serde_json::from_str::<OwnQuotas>("{}").unwrap(), OwnQuotas::default());
    let newer = r#"{"datasets":{"most":11},"gpus":{"most":1},"load_s":"unlimited"}"#;
    assert_eq!(serde_json::from_str::<OwnQuotas>(newer).unwrap(), own);
}

#[test]
fn a_form_comes_back_as_it_was_filled_in_with_everything_wrong_said_at_once() {
    let pairs = |texts: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = texts
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        owned.collect()
    };
    let form = QuotaForm::from_pairs(&pairs(&[
        ("storage_mib", " 2048 "),
        ("datasets", "Unlimited"),
        ("running_jobs", "0"),
        ("load_s", ""),
        ("something", "else"),
    ]));
    let own = form.parse().unwrap();
    assert_eq!(own.storage_bytes, Some(Bound::Most(2 << 30)));
    assert_eq!(own.datasets, Some(Bound::Unlimited));
    assert_eq!(own.running_jobs, Some(Bound::Most(0)));
    assert_eq!((own.trials, own.load_s), (None, None));
    let again = QuotaForm::of(&own);
    assert_eq!(again.parse(), Ok(own));
    assert_eq!((again.text(Quota::Storage), again.text(Quota::Trials)), ("2048", ""));

    let form = QuotaForm::from_pairs(&pairs(&[
        ("storage_mib", "18446744073709551615"),
        ("datasets", "-1"),
        ("trials", "many"),
        ("clients", "1.5"),
        ("load_s", "31622400"),
    ]));
    let errors = form.parse().unwrap_err();
    let fields: Vec<&str> = errors.iter().map(|error| error.field).collect();
    assert_eq!(fields, ["storage_mib", "datasets", "trials", "clients"]);
    assert!(errors[2].to_string().contains("not \"many\""), "{}", errors[2]);
    assert_eq!(form.text(Quota::Trials), "many");
}

#[test]
fn fields_have_names_of_their_own() {
    let names: std::collections::BTreeSet<&str> = ALL.iter().map(|quota| field(*quota).name).collect();
    assert_eq!(names.len(), ALL.len());
}
