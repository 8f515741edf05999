//! Jobs are found, cancelled and consumed by what their attributes say, and a filter is a value, never
//! a piece of a statement.

use std::collections::BTreeSet;

use postq_tests::Database;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};
use sqlx::types::Json;
use uuid::Uuid;

use crate::consumer::{code, consume, publish, refused, state};

/// Publishes a job per document; their ids in the same order.
async fn jobs(database: &Database, attributes: &[Value]) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for one in attributes {
        let publish =
            sqlx::query_scalar("select postq.publish('h', attributes => $1)").bind(Json(one));
        ids.push(publish.fetch_one(&database.pool).await.unwrap());
    }
    ids
}

/// The places of the jobs that a filter finds.
async fn found(database: &Database, ids: &[Uuid], filter: &str) -> BTreeSet<usize> {
    let find =
        sqlx::query_scalar("select id from postq.find_jobs($1, max_count => 10000)").bind(filter);
    let found: Vec<Uuid> = find.fetch_all(&database.pool).await.expect(filter);
    found.iter().map(|id| ids.iter().position(|other| other == id).unwrap()).collect()
}

fn set(places: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
    places.into_iter().collect()
}

/// JQ16: whatever JSON has, and nothing where none were given.
#[tokio::test]
async fn attributes_travel_with_the_job() {
    let database = Database::create().await;
    let attributes = json!({"text": "a'b\"c", "int": 7, "float": 0.5, "yes": true, "no": false, "null": null, "list": [1, "x"]});
    let [all] = jobs(&database, std::slice::from_ref(&attributes)).await[..] else { panic!() };
    let none = publish(&database, "'h'").await;
    for (job, wanted) in [(all, &attributes), (none, &json!({}))] {
        let shown =
            database.json(&format!("select attributes from postq.jobs where id = '{job}'")).await;
        assert_eq!(&shown, wanted);
    }
    let taken = consume(&database.pool, "2").await;
    assert_eq!(
        taken.iter().map(|one| &one.attributes.0).collect::<Vec<_>>(),
        [&attributes, &json!({})]
    );
}

/// JQ17: twelve jobs, each operator.
#[tokio::test]
async fn numbers_and_texts_are_compared() {
    let database = Database::create().await;
    let twelve: Vec<Value> =
        (0..12).map(|n| json!({"n": n, "name": format!("job{n:02}")})).collect();
    let ids = jobs(&database, &twelve).await;
    for (filter, wanted) in [
        ("$.n == 5", set([5])),
        ("$.n != 5", set((0..12).filter(|n| *n != 5))),
        ("$.n < 3", set(0..3)),
        ("$.n <= 3", set(0..4)),
        ("$.n > 9", set(10..12)),
        ("$.n >= 9", set(9..12)),
        ("$.name == \"job07\"", set([7])),
        ("$.name >= \"job10\"", set(10..12)),
        ("", set(0..12)),
    ] {
        assert_eq!(found(&database, &ids, filter).await, wanted, "{filter}");
    }
}

/// JQ18: patterns.
#[tokio::test]
async fn texts_are_matched_by_their_beginning_and_by_patterns() {
    let database = Database::create().await;
    let ids = jobs(
        &database,
        &[json!({"s": "GOOD one"}), json!({"s": "good"}), json!({"s": "BAD"}), json!({})],
    )
    .await;
    for (filter, wanted) in [
        ("$.s starts with \"GOOD\"", set([0])),
        ("$.s like_regex \"^good\" flag \"i\"", set([0, 1])),
        ("$.s like_regex \"^.A.$\"", set([2])),
        ("!($.s like_regex \"^GOOD\") && exists($.s)", set([1, 2])),
    ] {
        assert_eq!(found(&database, &ids, filter).await, wanted, "{filter}");
    }
}

/// JQ19: null is a value, and not there is not.
#[tokio::test]
async fn null_and_absent_are_told_apart() {
    let database = Database::create().await;
    let ids = jobs(&database, &[json!({"x": null}), json!({"x": 1}), json!({})]).await;
    for (filter, wanted) in [
        ("$.x == null", set([0])),
        ("$.x != null", set([1])),
        ("exists($.x)", set([0, 1])),
        ("!exists($.x)", set([2])),
    ] {
        assert_eq!(found(&database, &ids, filter).await, wanted, "{filter}");
    }
}

/// A condition on the attributes `a` and `b`, as text and as what it means.
#[derive(Clone, Debug)]
enum Condition {
    Compare(&'static str, &'static str, i64),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
}

impl Condition {
    fn text(&self) -> String {
        match self {
            Self::Compare(name, operator, number) => format!("$.{name} {operator} {number}"),
            Self::And(left, right) => format!("({} && {})", left.text(), right.text()),
            Self::Or(left, right) => format!("({} || {})", left.text(), right.text()),
            Self::Not(inner) => format!("!({})", inner.text()),
        }
    }

    fn holds(&self, attributes: &Value) -> bool {
        match self {
            Self::Compare(name, operator, number) => {
                attributes[name].as_i64().is_some_and(|value| match *operator {
                    "==" => value == *number,
                    "<" => value < *number,
                    _ => value >= *number,
                })
            }
            Self::And(left, right) => left.holds(attributes) && right.holds(attributes),
            Self::Or(left, right) => left.holds(attributes) || right.holds(attributes),
            Self::Not(inner) => !inner.holds(attributes),
        }
    }
}

fn condition() -> impl Strategy<Value = Condition> {
    let compare = (
        prop::sample::select(vec!["a", "b"]),
        prop::sample::select(vec!["==", "<", ">="]),
        0..4_i64,
    )
        .prop_map(|(name, operator, number)| Condition::Compare(name, operator, number));
    compare.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone())
                .prop_map(|(l, r)| Condition::And(Box::new(l), Box::new(r))),
            (inner.clone(), inner.clone())
                .prop_map(|(l, r)| Condition::Or(Box::new(l), Box::new(r))),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

/// JQ20: against the same condition in memory.
#[tokio::test]
async fn conditions_nest_as_they_do_in_memory() {
    let database = Database::create().await;
    let mut all = vec![json!({})];
    for a in 0..4 {
        all.push(json!({"a": a}));
        all.extend((0..4).map(|b| json!({"a": a, "b": b})));
    }
    let ids = jobs(&database, &all).await;
    let mut runner = TestRunner::default();
    for _ in 0..150 {
        let condition = condition().new_tree(&mut runner).unwrap().current();
        let wanted = set((0..all.len()).filter(|place| condition.holds(&all[*place])));
        assert_eq!(found(&database, &ids, &condition.text()).await, wanted, "{}", condition.text());
    }
}

/// JQ21: by a list of ids, beside the rest.
#[tokio::test]
async fn jobs_are_found_by_ids_states_and_queue() {
    let database = Database::create().await;
    let ids = jobs(&database, &(0..6).map(|n| json!({"n": n})).collect::<Vec<_>>()).await;
    let other = publish(&database, "'h', queue => 'other'").await;
    database.execute(&consume(&database.pool, "1").await[0].ack()).await;
    let find = async |arguments: String| -> Vec<Uuid> {
        let find =
            format!("select coalesce(array_agg(id), '{{}}') from postq.find_jobs({arguments})");
        database.value(&find).await
    };
    let list = format!("ids => '{{{},{},{}}}'", ids[1], ids[4], Uuid::now_v7());
    assert_eq!(find(list.clone()).await, [ids[4], ids[1]], "the newest first");
    assert_eq!(find(format!("'$.n > 2', {list}")).await, [ids[4]]);
    assert_eq!(find("states => '{succeeded}'".into()).await, [ids[0]]);
    assert_eq!(find("of_queue => 'other'".into()).await, [other]);
    assert_eq!(find(format!("max_count => 2, before_id => '{}'", ids[4])).await, [ids[3], ids[2]]);
}

/// JQ22: names and values of any kind.
#[tokio::test]
async fn a_filter_is_never_a_piece_of_a_statement() {
    let database = Database::create().await;
    let name = "a'b\"; drop table postq.job; --";
    let ids = jobs(&database, &[json!({(name): "x'); select 1"}), json!({"a'b": 1})]).await;
    let quoted = serde_json::to_string(name).unwrap();
    assert_eq!(found(&database, &ids, &format!("$.{quoted} == \"x'); select 1\"")).await, set([0]));
    assert_eq!(found(&database, &ids, "$.\"a'b\" == 1").await, set([1]));
    for (filter, wanted) in [
        ("'; drop table postq.job; --", "not understood"),
        ("$.a", "no condition"),
        ("$.a ? (@ > 1)", "no condition"),
        ("$.a = 1", "no condition"),
        ("team = 1", "not understood"),
        ("$.a == 1 && $x == 2", "variable"),
        ("$.a like_regex \"(\"", "not understood"),
        ("$.a.datetime() < \"2026-01-01\".datetime()", "times"),
    ] {
        let literal = filter.replace('\'', "''");
        for statement in [
            format!("select * from postq.find_jobs('{literal}')"),
            format!("select postq.cancel_matching('{literal}')"),
            format!("select * from postq.consume(1, filter => '{literal}')"),
        ] {
            // A single "=" is read as "==".
            if filter == "$.a = 1" {
                continue;
            }
            let (code, message) = refused(&database, &statement).await;
            assert_eq!(code, "PQ005", "{statement}");
            assert!(message.starts_with("filter ") && message.contains(wanted), "{message}");
        }
    }
    assert_eq!(code(&database, "select * from postq.find_jobs(states => '{odd}')").await, "PQ005");
    assert_eq!(code(&database, "select * from postq.find_jobs(max_count => 0)").await, "PQ005");
    assert_eq!(code(&database, "select postq.cancel_matching()").await, "PQ005");
}

/// JQ23: what cannot be compared is not as wanted.
#[tokio::test]
async fn values_of_different_types_never_fail() {
    let database = Database::create().await;
    let odd = [
        json!({"a": "abc"}),
        json!({"a": 5}),
        json!({"a": [1, 9]}),
        json!({"a": {"b": 9}}),
        json!({"a": true}),
        json!({"a": null}),
        json!({}),
    ];
    let ids = jobs(&database, &odd).await;
    for (filter, wanted) in [
        ("$.a > 4", set([1, 2])),
        ("$.a == \"abc\"", set([0])),
        ("$.a.b.c > 1", set([])),
        ("$.a starts with \"a\"", set([0])),
        ("$.a.b == 9", set([3])),
        ("($.a + 1) > 5", set([1])),
        ("($.a / 0) > 5", set([])),
    ] {
        assert_eq!(found(&database, &ids, filter).await, wanted, "{filter}");
    }
}

#[tokio::test]
async fn a_consumer_takes_what_its_filter_holds_for_and_leaves_the_rest() {
    let database = Database::create().await;
    let ids =
        jobs(&database, &(0..20).map(|n| json!({"odd": n % 2 == 1})).collect::<Vec<_>>()).await;
    let later = publish(
        &database,
        "'h', scheduled_at => now() + interval '1 minute', attributes => '{\"odd\": true}'",
    )
    .await;
    let odd = consume(&database.pool, "5, filter => '$.odd == true'").await;
    assert_eq!(
        odd.iter().map(|one| one.id).collect::<Vec<_>>(),
        [ids[1], ids[3], ids[5], ids[7], ids[9]]
    );
    database.advance_clock("2 minutes").await;
    let rest = consume(&database.pool, "50, filter => '$.odd == true'").await;
    // What is due comes first, and so do those whose consumer was not heard of any more.
    let mut wanted = vec![later];
    wanted.extend(odd.iter().map(|one| one.id));
    wanted.extend(ids[10..].iter().skip(1).step_by(2));
    assert_eq!(rest.iter().map(|one| one.id).collect::<Vec<_>>(), wanted);
    assert!(consume(&database.pool, "50, filter => '$.odd == 1'").await.is_empty());
    let even = consume(&database.pool, "50, filter => '$.odd == false'").await;
    assert_eq!(even.len(), 10);
    // Dead letters too.
    database.execute("update postq.task_spec set max_attempts = 1").await;
    for one in &even[..4] {
        database.execute(&one.nack("no")).await;
    }
    assert!(
        consume(&database.pool, "5, 'dlq@default', filter => '$.odd == true'").await.is_empty()
    );
    assert_eq!(
        consume(&database.pool, "5, 'dlq@default', filter => '$.odd == false'").await.len(),
        4
    );
}

/// JQ30: by a filter, and two thousand by their ids.
#[tokio::test]
async fn many_jobs_are_cancelled_by_filter_or_by_ids() {
    let database = Database::create().await;
    let ids = jobs(&database, &[json!({"foo": 1}), json!({"foo": 2}), json!({"foo": 1})]).await;
    assert_eq!(
        database
            .value::<i64>("select postq.cancel_matching('$.foo == 1', reason => 'enough')")
            .await,
        2
    );
    database.json("select postq.apply_inbox(0, 100)").await;
    for (job, wanted) in ids.iter().zip(["cancelled", "queued", "cancelled"]) {
        assert_eq!(state(&database, *job).await, wanted);
    }
    let publish = "insert into all_of_them select postq.publish('h', queue => 'many') from generate_series(1, 2000)";
    database.execute(&format!("create table all_of_them (id uuid); {publish}")).await;
    let cancel = "select postq.cancel_many(array_agg(id)) from all_of_them";
    assert_eq!(database.value::<i64>(cancel).await, 2000);
    database.json("select postq.apply_inbox(0, 5000)").await;
    let left = "select count(*) from postq.find_jobs(of_queue => 'many', states => '{queued}', max_count => 5000)";
    assert_eq!(database.value::<i64>(left).await, 0);
    assert_eq!(database.value::<i64>(cancel).await, 0, "they have ended");
    assert_eq!(state(&database, ids[1]).await, "queued");
    let waiting = "select postq.cancel_matching(queue => 'default', waiting_only => true)";
    consume(&database.pool, "1").await;
    assert_eq!(database.value::<i64>(waiting).await, 0, "it runs");
}

/// JQ31: nobody knows it, and the others are cancelled.
#[tokio::test]
async fn unknown_ids_are_left_alone() {
    let database = Database::create().await;
    let [job] = jobs(&database, &[json!({})]).await[..] else { panic!() };
    let cancel = format!("select postq.cancel_many('{{{},{job},{job}}}')", Uuid::now_v7());
    assert_eq!(database.value::<i64>(&cancel).await, 1);
    assert_eq!(database.value::<i64>("select postq.cancel_many('{}')").await, 0);
    let many = "select postq.cancel_many(array_fill(gen_random_uuid(), array[10001]))";
    assert_eq!(code(&database, many).await, "PQ005");
}

/// JQ28: what was cancelled before it was taken is never delivered.
#[tokio::test]
async fn a_cancelled_job_that_has_not_started_is_never_delivered() {
    let database = Database::create().await;
    let ids = jobs(&database, &vec![json!({}); 20]).await;
    for job in ids.iter().step_by(2) {
        database.execute(&format!("select postq.cancel('{job}')")).await;
    }
    let taken: BTreeSet<Uuid> =
        consume(&database.pool, "50").await.iter().map(|one| one.id).collect();
    assert_eq!(taken, ids.iter().skip(1).step_by(2).copied().collect());
    assert!(consume(&database.pool, "50").await.is_empty());
}
