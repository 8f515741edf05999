//! The whole table: every state with every event.

use super::*;

const OPEN: GateCounts = GateCounts { open: 1, failed: 0, unsuccessful: 0 };
const ALL_SUCCEEDED: GateCounts = GateCounts { open: 0, failed: 0, unsuccessful: 0 };
const ONE_FAILED: GateCounts = GateCounts { open: 0, failed: 1, unsuccessful: 1 };

fn view(state: TaskState) -> TaskView {
    TaskView {
        state,
        run_if: RunIf::Succeeded,
        max_attempts: MaxAttempts::ONE,
        attempts: 0,
        crashes: 0,
        crash_limit: DEFAULT_CRASH_LIMIT,
        is_cancel_requested: false,
        is_at_most_once: false,
    }
}

fn running(max_attempts: i32, attempts: u32, crashes: u32, is_cancel_requested: bool) -> TaskView {
    let max_attempts = MaxAttempts::try_from(max_attempts).unwrap();
    let task = view(TaskState::Running);
    TaskView { max_attempts, attempts, crashes, is_cancel_requested, ..task }
}

fn every_event() -> Vec<Event> {
    let gates = [OPEN, ALL_SUCCEEDED, ONE_FAILED].map(Event::ParentEnded);
    let ends = Outcome::ALL.iter().flat_map(|&outcome| {
        [false, true].map(|is_final| Event::AttemptEnded { outcome, is_final })
    });
    let others = [Event::Due, Event::Admitted, Event::Claimed, Event::CancelRequested];
    gates.into_iter().chain(others).chain(ends).collect()
}

/// The moves of a task that counts nothing yet and that nobody asked to stop.
fn wanted(state: TaskState, event: Event) -> Option<Next> {
    use TaskState as S;
    match (state, event) {
        (S::Blocked, Event::ParentEnded(OPEN)) => Some(Next::Blocked),
        (S::Blocked, Event::ParentEnded(ALL_SUCCEEDED)) => Some(Next::Ready),
        (S::Blocked, Event::ParentEnded(_)) => Some(Next::Skipped { after_failure: true }),
        (S::Blocked | S::Scheduled | S::Parked | S::Ready, Event::CancelRequested) => {
            Some(Next::Cancelled)
        }
        (S::Scheduled, Event::Due) => Some(Next::Ready),
        (S::Parked, Event::Admitted) => Some(Next::Ready),
        (S::Ready, Event::Claimed) => Some(Next::Running { is_cancel_requested: false }),
        (S::Running, Event::CancelRequested) => Some(Next::Running { is_cancel_requested: true }),
        (S::Running, Event::AttemptEnded { outcome, .. }) => Some(match outcome {
            Outcome::Succeeded => Next::Succeeded,
            Outcome::Failed | Outcome::TimedOut | Outcome::Cancelled => Next::Failed,
            Outcome::Lost | Outcome::Released => Next::Ready,
        }),
        _ => None,
    }
}

#[test]
fn every_pair_of_state_and_event_has_its_move_or_none() {
    for &state in TaskState::ALL {
        for event in every_event() {
            let got = next_task_state(&view(state), event);
            assert_eq!(got.ok().map(|moved| moved.next), wanted(state, event), "{state} {event:?}");
        }
    }
}

#[test]
fn a_terminal_task_takes_nothing() {
    for &state in TaskState::ALL.iter().filter(|state| state.is_terminal()) {
        for event in every_event() {
            let got = next_task_state(&view(state), event);
            assert_eq!(got, Err(IllegalMove { state, event }));
        }
    }
}

/// (max attempts, attempts, crashes, cancel requested), outcome, is final
/// -> next, attempts, crashes
#[test]
fn an_ended_attempt_goes_by_the_table_of_outcome_and_situation() {
    use Outcome as O;
    let scheduled = |retry| Next::Scheduled { retry };
    let table = [
        ((3, 0, 0, false), O::Succeeded, false, Next::Succeeded, 1, 0),
        ((3, 0, 0, true), O::Succeeded, false, Next::Succeeded, 1, 0),
        ((3, 0, 0, false), O::Failed, false, scheduled(1), 1, 0),
        ((3, 1, 0, false), O::Failed, false, scheduled(2), 2, 0),
        ((3, 2, 0, false), O::Failed, false, Next::Failed, 3, 0),
        ((3, 0, 0, false), O::Failed, true, Next::Failed, 1, 0),
        ((3, 0, 0, true), O::Failed, false, Next::Cancelled, 1, 0),
        ((-1, 1_000_000, 0, false), O::Failed, false, scheduled(1_000_001), 1_000_001, 0),
        ((-1, 0, 0, false), O::Failed, true, Next::Failed, 1, 0),
        ((3, 0, 0, false), O::TimedOut, false, scheduled(1), 1, 0),
        ((1, 0, 0, false), O::TimedOut, false, Next::Failed, 1, 0),
        ((3, 0, 0, true), O::TimedOut, false, Next::Cancelled, 1, 0),
        ((3, 0, 0, true), O::Cancelled, false, Next::Cancelled, 1, 0),
        ((3, 0, 0, false), O::Cancelled, false, scheduled(1), 1, 0),
        ((1, 0, 0, false), O::Cancelled, false, Next::Failed, 1, 0),
        ((1, 0, 0, false), O::Lost, false, Next::Ready, 0, 1),
        ((1, 0, 3, false), O::Lost, false, Next::Ready, 0, 4),
        ((1, 0, 4, false), O::Lost, false, Next::Failed, 0, 5),
        ((-1, 0, 4, false), O::Lost, false, Next::Failed, 0, 5),
        ((1, 0, 0, true), O::Lost, false, Next::Cancelled, 0, 1),
        ((1, 0, 4, false), O::Released, false, Next::Ready, 0, 4),
        ((1, 0, 0, true), O::Released, false, Next::Cancelled, 0, 0),
    ];
    for ((max, attempts, crashes, cancel), outcome, is_final, next, new_attempts, new_crashes) in
        table
    {
        let task = running(max, attempts, crashes, cancel);
        let got = next_task_state(&task, Event::AttemptEnded { outcome, is_final });
        let wanted = Moved { next, attempts: new_attempts, crashes: new_crashes };
        assert_eq!(got, Ok(wanted), "{task:?} {outcome} {is_final}");
    }
}

#[test]
fn attempts_and_crashes_stay_within_their_limits() {
    for outcome in [Outcome::Failed, Outcome::Lost] {
        let mut task = running(3, 0, 0, false);
        for _ in 0..100 {
            let event = Event::AttemptEnded { outcome, is_final: false };
            let moved = next_task_state(&task, event).unwrap();
            (task.attempts, task.crashes) = (moved.attempts, moved.crashes);
            if moved.next.state().is_terminal() {
                break;
            }
        }
        let wanted = if outcome == Outcome::Lost { (0, 5) } else { (3, 0) };
        assert_eq!((task.attempts, task.crashes), wanted);
    }
}

#[test]
fn what_is_delivered_at_most_once_is_given_again_only_where_it_never_started() {
    let task = TaskView { is_at_most_once: true, ..running(-1, 0, 0, false) };
    for &outcome in Outcome::ALL {
        let ended = Event::AttemptEnded { outcome, is_final: false };
        let wanted = match outcome {
            Outcome::Succeeded => Next::Succeeded,
            Outcome::Released => Next::Ready,
            _ => Next::Failed,
        };
        assert_eq!(next_task_state(&task, ended).unwrap().next, wanted, "{outcome}");
    }
}
