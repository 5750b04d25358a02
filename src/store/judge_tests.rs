//! Promise 4, case by case.

use super::*;

fn print(content: u8) -> Fingerprint {
    Fingerprint {
        size: 100,
        check: Digest([content; 32]),
    }
}

fn record(generation: u64, content: u8) -> Record {
    Record {
        generation,
        nonce: 1,
        fingerprint: print(content),
    }
}

fn file(content: u8, record: Option<Record>) -> Seen {
    Seen::File(FileFacts {
        fingerprint: print(content),
        record,
        condition: Condition::Intact,
        sha256: None,
    })
}

/// A copy with its own record.
fn copy(generation: u64, content: u8) -> Seen {
    file(content, Some(record(generation, content)))
}

fn damaged(seen: Seen) -> Seen {
    match seen {
        Seen::File(file) => Seen::File(FileFacts {
            condition: Condition::Damaged,
            ..file
        }),
        other => other,
    }
}

fn facts(seen: &[Seen]) -> Vec<Facts> {
    seen.iter()
        .enumerate()
        .map(|(index, seen)| Facts {
            volume: VolumeIndex(u16::try_from(index).unwrap()),
            seen: *seen,
            counts: true,
            removal: None,
            history: Vec::new(),
        })
        .collect()
}

fn states(facts: &[Facts]) -> (ArtifactState, String, Option<u16>) {
    let judgement = judge(facts, 2);
    let words: Vec<&str> = judgement.copies.iter().map(|s| s.word()).collect();
    let reference = judgement.reference.map(|r| r.volume.0);
    (judgement.state, words.join(" "), reference)
}

#[test]
fn equal_copies_are_ok_whoever_wrote_them() {
    let expected = (ArtifactState::Ok, "ok ok ok".to_owned(), Some(0));
    assert_eq!(states(&facts(&[copy(3, 1); 3])), expected);
    assert_eq!(states(&facts(&[file(1, None); 3])), expected);
    // A record that was lost by a plain `cp` does not make equal bytes wrong.
    assert_eq!(
        states(&facts(&[copy(3, 1), file(1, None), copy(3, 1)])),
        expected
    );
}

#[test]
fn the_newest_generation_wins_wherever_it_is() {
    let judged = states(&facts(&[copy(6, 1), copy(7, 2), copy(6, 1)]));
    assert_eq!(
        judged,
        (
            ArtifactState::Degraded,
            "stale ok stale".to_owned(),
            Some(1)
        )
    );
}

#[test]
fn the_first_replica_does_not_win_when_it_is_damaged() {
    let judged = states(&facts(&[damaged(copy(3, 1)), copy(3, 1), copy(3, 1)]));
    assert_eq!(
        judged,
        (ArtifactState::Corrupt, "corrupt ok ok".to_owned(), Some(1))
    );
}

#[test]
fn a_record_counts_only_while_it_describes_the_bytes() {
    // A sketch saved in place over generation 3: its bytes are the successor.
    let judged = states(&facts(&[
        copy(3, 1),
        file(9, Some(record(3, 1))),
        copy(3, 1),
    ]));
    assert_eq!(
        judged,
        (
            ArtifactState::Degraded,
            "stale ok stale".to_owned(),
            Some(1)
        )
    );
    // The same over an old generation proves nothing: divergent.
    let judged = states(&facts(&[
        copy(4, 1),
        file(9, Some(record(3, 2))),
        copy(4, 1),
    ]));
    assert_eq!(
        judged,
        (ArtifactState::Divergent, "ok divergent ok".to_owned(), None)
    );
}

#[test]
fn a_torn_save_in_place_is_no_successor() {
    let judged = states(&facts(&[
        damaged(file(9, Some(record(3, 1)))),
        copy(3, 1),
        copy(3, 1),
    ]));
    assert_eq!(
        judged,
        (ArtifactState::Corrupt, "corrupt ok ok".to_owned(), Some(1))
    );
}

#[test]
fn one_generation_with_two_contents_needs_a_quorum() {
    let judged = states(&facts(&[copy(3, 1), copy(3, 2), copy(3, 2)]));
    assert_eq!(
        judged,
        (ArtifactState::Degraded, "stale ok ok".to_owned(), Some(1))
    );
    let judged = states(&facts(&[copy(3, 1), copy(3, 2), Seen::Absent]));
    assert_eq!(
        judged,
        (
            ArtifactState::Divergent,
            "divergent divergent missing".to_owned(),
            None
        )
    );
}

#[test]
fn unrecorded_copies_are_ordered_by_the_histories_only() {
    let mut divided = facts(&[file(1, None), file(2, None), file(1, None)]);
    // Two equal old copies do not outvote the one new copy.
    assert_eq!(states(&divided).0, ArtifactState::Divergent);
    let id = "20260311_180000.000".parse().unwrap();
    divided[1].history.push((id, print(1)));
    assert_eq!(
        states(&divided),
        (
            ArtifactState::Degraded,
            "stale ok stale".to_owned(),
            Some(1)
        )
    );
}

#[test]
fn a_removal_is_a_generation() {
    let mut removed = facts(&[Seen::Absent, Seen::Absent, copy(3, 1)]);
    removed[0].removal = Some(record(4, 0));
    removed[1].removal = Some(record(4, 0));
    let judgement = judge(&removed, 2);
    assert!(judgement.removed);
    assert_eq!(
        judgement.copies,
        [CopyState::Ok, CopyState::Ok, CopyState::Stale]
    );
    // A copy beats none at the same generation.
    removed[2].seen = copy(4, 1);
    assert!(!judge(&removed, 2).removed);
    assert_eq!(states(&removed).2, Some(2));
    // What a sketch saved after the removal is its successor.
    removed[2].seen = Seen::Absent;
    removed[0].seen = file(5, None);
    assert_eq!(states(&removed).2, Some(0));
}

#[test]
fn an_old_copy_is_never_served_for_a_lost_new_one() {
    let judgement = judge(&facts(&[copy(2, 1), damaged(copy(3, 2)), Seen::Absent]), 2);
    assert_eq!(judgement.state, ArtifactState::Lost);
    assert_eq!(judgement.reference, None);
    assert_eq!(
        judgement.newest_intact,
        Some(NewestIntact::Copy {
            volume: VolumeIndex(0)
        })
    );
}

#[test]
fn what_a_joining_volume_brought_along_is_not_offered_before_what_the_others_hold() {
    let mut seen = facts(&[copy(2, 1), damaged(copy(3, 2)), copy(40, 9)]);
    seen[2].counts = false;
    let judgement = judge(&seen, 2);
    assert_eq!(judgement.state, ArtifactState::Lost);
    let older = NewestIntact::Copy {
        volume: VolumeIndex(0),
    };
    assert_eq!(judgement.newest_intact, Some(older));
}

/// The newest generation is damaged where it can be seen; who cannot be seen may hold it whole.
#[test]
fn nothing_is_lost_while_a_replica_cannot_be_seen() {
    let seen = [copy(2, 1), damaged(copy(3, 2)), Seen::Unreachable];
    let judgement = judge(&facts(&seen), 2);
    assert_eq!(judgement.state, ArtifactState::Unreachable);
    assert_eq!(judgement.reference, None);
    let older = NewestIntact::Copy {
        volume: VolumeIndex(0),
    };
    assert_eq!(judgement.newest_intact, Some(older));
}

#[test]
fn who_is_behind_is_told_with_where_its_bytes_are_kept() {
    let mut behind = facts(&[copy(6, 1), copy(7, 2), copy(7, 2)]);
    let id = "20260311_180000.000".parse().unwrap();
    behind[2].history.push((id, print(1)));
    let told = |facts: &[Facts]| match judge(facts, 2).reference.unwrap().reason {
        Reason::Newest { behind, .. } => behind[0],
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (told(&behind).volume, told(&behind).generation),
        (VolumeIndex(0), 6)
    );
    assert_eq!(told(&behind).archived, Some((VolumeIndex(2), id)));
    // The reference's own history comes first.
    behind[1].history.push((id, print(1)));
    assert_eq!(told(&behind).archived, Some((VolumeIndex(1), id)));
}

#[test]
fn absence_is_missing_vanished_or_unknown() {
    assert_eq!(
        states(&facts(&[copy(1, 1), Seen::Absent, Seen::Unreachable])).1,
        "ok missing unreachable"
    );
    assert!(judge(&facts(&[Seen::Absent; 3]), 2).vanished);
    let unsure = judge(&facts(&[Seen::Absent, Seen::Unreachable]), 2);
    assert_eq!(unsure.state, ArtifactState::Unreachable);
}

#[test]
fn a_joining_volume_is_no_reference() {
    let mut joining = facts(&[copy(9, 7), copy(3, 1), copy(3, 1)]);
    joining[0].counts = false;
    assert_eq!(
        states(&joining),
        (ArtifactState::Degraded, "stale ok ok".to_owned(), Some(1))
    );
}

#[test]
fn foreign_files_are_ok_only_where_all_replicas_agree() {
    let foreign = |content| match file(content, None) {
        Seen::File(file) => Seen::File(FileFacts {
            condition: Condition::Foreign,
            ..file
        }),
        other => other,
    };
    let judgement = judge(&facts(&[foreign(1); 3]), 2);
    assert_eq!(
        (judgement.state, judgement.unsupported),
        (ArtifactState::Ok, true)
    );
    let judged = states(&facts(&[foreign(1), copy(3, 2), copy(3, 2)]));
    assert_eq!(
        judged,
        (ArtifactState::Corrupt, "corrupt ok ok".to_owned(), Some(1))
    );
}
