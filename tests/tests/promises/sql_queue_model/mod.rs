//! Queues in any order of events: the same random operations on the functions, over several connections, and
//! on a pure model; compared as they go. The database's clock stands still but where the model moves it.
//!
//! | file | owns |
//! |---|---|
//! | `model` | what should become of jobs |
//! | `play` | both sides, sessions and transactions, and the dice |
//! | `submits` | new jobs: bounds, unique keys, jobs after jobs, schedules |
//! | `work` | taking tasks and dead letters, and saying how they went: consumers and an agent |
//! | `operators` | settings, cancels, retries, redrives, purges |
//! | `check` | the comparison |
//!
//! `POSTQ_SOAK=1` plays long, from seeds by chance; `POSTQ_SEED` names one to play again.

mod check;
mod model;
mod operators;
mod play;
mod submits;
mod work;

use std::env;

use play::Play;
use rand::RngExt;

#[tokio::test]
async fn queues_and_the_model_of_their_jobs_agree_soak() {
    let is_long = env::var_os("POSTQ_SOAK").is_some();
    let steps = if is_long { 4000 } else { 400 };
    let seeds: Vec<u64> = match env::var("POSTQ_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) if is_long => (0..12).map(|_| rand::rng().random()).collect(),
        Err(_) => vec![1, 2],
    };
    for seed in seeds {
        println!("seed {seed}, {steps} steps");
        let mut play = Play::start(seed).await;
        for step in 0..steps {
            play.step().await;
            if step % 10 == 0 {
                play.compare().await;
            }
        }
        play.finish_all().await;
        println!("done so often: {:?}", play.done);
    }
}
