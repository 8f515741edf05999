//! The lanes and how far each was read.
//!
//! It knows no SQL and no agents. Invariant: a lane's cursor never passes a row that this
//! coordinator could have seen and did not take; rows that commit late, below the cursor, are
//! found by hints and by the safety pass, which starts again at the floor.

use std::{collections::BTreeMap, str::FromStr, sync::Arc};

use postq_common::{
    id::LaneId,
    place::{Kind, LaneView},
    spec::Executor,
};

use crate::store::{Claimed, Lane, Readied};

#[derive(Debug)]
struct Track {
    view: LaneView,
    floor: i64,
    /// Points per minute that its tasks gain while they wait.
    aging: f64,
    /// What the first of them has gained.
    gained: i32,
    /// The last seq taken.
    cursor: i64,
    /// Rows are believed to be behind the cursor.
    is_hot: bool,
}

/// Every lane this coordinator knows.
#[derive(Debug, Default)]
pub struct Lanes {
    tracks: BTreeMap<LaneId, Track>,
}

impl Lanes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over what the database says: new lanes, how far floors have moved, and, for the safety
    /// pass, which lanes are to be read again from their floor. True where there are new ones.
    pub fn refresh(&mut self, lanes: Vec<Lane>) -> bool {
        let known = self.tracks.len();
        for lane in lanes {
            let Ok(executor) = Executor::from_str(&lane.executor) else { continue };
            let track = self.tracks.entry(lane.id).or_insert_with(|| {
                let kind = Kind { executor, handler: lane.handler, needs: lane.needs };
                let view =
                    LaneView { lane: lane.id, priority: lane.priority, kind: Arc::new(kind) };
                Track {
                    view,
                    floor: lane.floor,
                    aging: lane.aging,
                    gained: 0,
                    cursor: lane.floor,
                    is_hot: true,
                }
            });
            track.aging = lane.aging;
            track.gained = 0;
            track.floor = track.floor.max(lane.floor);
            track.cursor = track.floor;
            track.is_hot = lane.has_rows;
        }
        self.tracks.len() > known
    }

    /// A lane has rows from `seq` on. False where the lane is not known yet.
    pub fn readied(&mut self, Readied(lane, seq): Readied) -> bool {
        let Some(track) = self.tracks.get_mut(&lane) else { return false };
        track.cursor = track.cursor.min(seq - 1).max(track.floor);
        track.is_hot = true;
        true
    }

    /// These lanes have rows behind their cursors.
    pub fn heat(&mut self, lanes: &[LaneId]) {
        for lane in lanes {
            if let Some(track) = self.tracks.get_mut(lane) {
                track.is_hot = true;
            }
        }
    }

    /// Where every lane was left.
    pub fn all_cursors(&self) -> Vec<(LaneId, i64)> {
        self.tracks.iter().map(|(lane, track)| (*lane, track.cursor)).collect()
    }

    /// The lanes that are believed to have rows, by the priority of their first.
    pub fn hot(&self) -> Vec<LaneView> {
        let hot = self.tracks.values().filter(|track| track.is_hot);
        hot.map(|track| LaneView {
            priority: track.view.priority.saturating_add(track.gained),
            ..track.view.clone()
        })
        .collect()
    }

    /// Whether any lane is believed to have rows.
    pub fn has_hot(&self) -> bool {
        self.tracks.values().any(|track| track.is_hot)
    }

    /// Where those were left whose tasks gain priority while they wait.
    pub fn aging(&self) -> Vec<(LaneId, i64)> {
        let aging = self.tracks.iter().filter(|(_, track)| track.is_hot && track.aging > 0.0);
        aging.map(|(lane, track)| (*lane, track.cursor)).collect()
    }

    /// For how many minutes the first row of these lanes has waited.
    pub fn aged(&mut self, heads: &[(LaneId, f64)]) {
        for (lane, minutes) in heads {
            if let Some(track) = self.tracks.get_mut(lane) {
                // Whole points; as much as fits.
                track.gained = (track.aging * minutes.max(0.0)) as i32;
            }
        }
    }

    /// Where to read these lanes from.
    pub fn cursors(&self, lanes: impl IntoIterator<Item = LaneId>) -> Vec<(LaneId, i64)> {
        let mut asked: Vec<LaneId> = lanes.into_iter().collect();
        asked.sort_unstable();
        asked.dedup();
        asked.into_iter().filter_map(|id| Some((id, self.tracks.get(&id)?.cursor))).collect()
    }

    /// Moves the cursors behind what a claim took; a lane that gave less than it was offered has
    /// nothing more. (Hints that arrive during the claim are read after it.)
    pub fn took(&mut self, offered: &[(LaneId, usize)], claimed: &[Claimed]) {
        for (lane, slots) in offered {
            let Some(track) = self.tracks.get_mut(lane) else { continue };
            let mut taken = 0;
            for row in claimed.iter().filter(|row| row.lane == *lane) {
                track.cursor = track.cursor.max(row.seq);
                taken += 1;
            }
            track.is_hot = taken >= *slots;
        }
    }
}

#[cfg(test)]
mod tests {
    use postq_common::{
        id::{AttemptId, JobId, SessionId, TaskNumber},
        spec::Needs,
    };

    use super::*;

    fn lane(id: i64, floor: i64) -> Lane {
        Lane {
            id: LaneId(id),
            priority: 0,
            executor: "shell".into(),
            handler: None,
            needs: Needs::default(),
            floor,
            aging: 0.0,
            has_rows: true,
        }
    }

    fn row(lane: i64, seq: i64) -> Claimed {
        Claimed {
            attempt: AttemptId(seq),
            session: SessionId(1),
            job: JobId(uuid::Uuid::nil()),
            task: TaskNumber(0),
            lane: LaneId(lane),
            seq,
        }
    }

    #[test]
    fn a_lane_is_read_on_from_where_it_was_left() {
        let mut lanes = Lanes::new();
        lanes.refresh(vec![lane(1, 5)]);
        lanes.took(&[(LaneId(1), 2)], &[row(1, 8), row(1, 9)]);
        assert_eq!(lanes.cursors([LaneId(1)]), [(LaneId(1), 9)]);
        assert_eq!(lanes.hot().len(), 1);
        lanes.took(&[(LaneId(1), 2)], &[]);
        assert!(lanes.hot().is_empty());
    }

    #[test]
    fn a_lane_that_ages_gains_priority_by_the_wait_of_its_first_row() {
        let mut lanes = Lanes::new();
        let high = Lane { priority: 10, ..lane(1, 0) };
        lanes.refresh(vec![high, Lane { aging: 6.0, ..lane(2, 0) }]);
        assert_eq!(lanes.aging(), [(LaneId(2), 0)]);
        lanes.aged(&[(LaneId(2), 2.0)]);
        let priorities: Vec<_> = lanes.hot().iter().map(|view| view.priority).collect();
        assert_eq!(priorities, [10, 12]);
    }

    #[test]
    fn a_late_row_below_the_cursor_pulls_it_back_but_not_below_the_floor() {
        let mut lanes = Lanes::new();
        lanes.refresh(vec![lane(1, 5)]);
        lanes.took(&[(LaneId(1), 1)], &[row(1, 20)]);
        assert!(lanes.readied(Readied(LaneId(1), 12)));
        assert_eq!(lanes.cursors([LaneId(1)]), [(LaneId(1), 11)]);
        lanes.refresh(vec![lane(1, 5)]);
        assert_eq!(lanes.cursors([LaneId(1)]), [(LaneId(1), 5)]);
        assert!(!lanes.readied(Readied(LaneId(2), 1)));
    }
}
