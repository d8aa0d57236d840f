//! What a kill, a turned bit and a damaged list cost.
use super::*;

/// A store that took so many rounds, and the file of its head's log.
fn log_of(rounds: i64) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path());
        for i in 0..rounds {
            round(&store, T0 + i * 10_000, &[i as f64, 1.0]);
        }
    }
    let log = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.file_name().unwrap().to_string_lossy().starts_with("head-"))
        .unwrap();
    (dir, log)
}

#[test]
fn a_kill_at_any_byte_loses_at_most_the_last_round() {
    let (dir, log) = log_of(5);
    let whole = std::fs::read(&log).unwrap();
    let mut kept = Vec::new();
    for cut in (0..=whole.len()).rev() {
        std::fs::write(&log, &whole[..cut]).unwrap();
        let found = read(&open(dir.path()), 0, T0, T0 + HOUR).floats;
        let wanted: Vec<f64> = (0..found.len()).map(|i| i as f64).collect();
        assert_eq!(found, wanted, "cut at {cut}");
        kept.push(found.len());
    }
    assert_eq!((kept[0], kept[1], kept[whole.len()]), (5, 4, 0));
}

#[test]
fn a_flipped_bit_in_the_log_costs_five_minutes_at_most() {
    let (dir, log) = log_of(200);
    let whole = std::fs::read(&log).unwrap();
    for at in (0..whole.len() * 3 / 4).step_by(37) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&log, &bytes).unwrap();
        let found = read(&open(dir.path()), 0, T0, T0 + HOUR);
        assert!(found.times.len() >= 170, "byte {at}: {} of 200 rounds", found.times.len());
        for (time, value) in found.times.iter().zip(&found.floats) {
            assert_eq!((time - T0) / 10_000, *value as i64, "byte {at}: a wrong value");
        }
    }
}

#[test]
fn flipped_bits_never_keep_it_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = open(dir.path());
        fill(&store, T0, T0 + 5 * HOUR, 60_000);
    }
    let mut files = Vec::new();
    for folder in [dir.path().to_owned(), dir.path().join("raw"), dir.path().join("rollup")] {
        files.extend(std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()));
    }
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        let whole = std::fs::read(&file).unwrap();
        for at in [0, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
            let copy = tempfile::tempdir().unwrap();
            copy_all(dir.path(), copy.path());
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            let path = copy.path().join(file.strip_prefix(dir.path()).unwrap());
            std::fs::write(path, bytes).unwrap();
            let store = open(copy.path());
            read(&store, 0, T0, T0 + 6 * HOUR);
            round(&store, T0 + 6 * HOUR, &[1.0, 2.0]);
            assert_eq!(read(&store, 0, T0 + 6 * HOUR, T0 + 6 * HOUR).floats, [1.0]);
        }
    }
}

fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_all(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn a_damaged_list_of_series_is_given_back_by_its_copy() {
    for (damaged, at) in [("series.log", 12), ("series.copy", 12), ("series.log", 60)] {
        let (dir, _) = log_of(3);
        let path = dir.path().join(damaged);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at % 40] ^= 0x20;
        std::fs::write(&path, &bytes).unwrap();
        for _ in 0..2 {
            let store = open(dir.path());
            for i in 0..2 {
                assert_eq!(read(&store, i, T0, T0 + HOUR).times.len(), 3, "{damaged}");
            }
        }
        // A store that an earlier build wrote has no copy yet, and gets one.
        std::fs::remove_file(dir.path().join("series.copy")).unwrap();
        assert_eq!(read(&open(dir.path()), 1, T0, T0 + HOUR).times.len(), 3);
        std::fs::remove_file(&path).ok();
        assert_eq!(read(&open(dir.path()), 1, T0, T0 + HOUR).times.len(), 3);
    }
}
