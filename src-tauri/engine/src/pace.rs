//! How fast something moves, how far it is and how long it will still take, told from what it says of itself.

use std::collections::VecDeque;
use std::time::Duration;

use crate::error::Result;
use crate::ports::{Reporter, Unit};
use crate::space::human;

/// A rate is that of so long, so that it follows what happens now and does not jump.
const LOOKED_BACK: Duration = Duration::from_secs(10);
/// Nothing is said of a rate before so long.
const SAID_AFTER: Duration = Duration::from_millis(1500);
/// A screen is told no oftener.
const TOLD_EVERY: Duration = Duration::from_millis(250);
/// Figures that are kept.
const KEPT: usize = 64;
/// What is left is told only after so long, and after so much of the way: before, it would be a guess.
const LEFT_AFTER: Duration = Duration::from_secs(4);
const LEFT_FROM: f64 = 0.05;

/// What something that moves tells of itself. Its parts have a share of the whole each.
#[derive(Debug)]
pub struct Pace {
    begun: Duration,
    told: Option<Duration>,
    /// The part that moves now, as shares of the whole.
    part: (f64, f64),
    share: f64,
    unit: Unit,
    figures: VecDeque<(Duration, u64)>,
}

impl Pace {
    /// Of something that begins now, in time since the machine was started.
    pub fn begin(now: Duration) -> Self {
        Self { begun: now, told: None, part: (0.0, 1.0), share: 0.0, unit: Unit::Bytes, figures: VecDeque::new() }
    }

    /// The next part begins: this share of the whole, from 0 to 1.
    pub fn part(&mut self, from: f64, until: f64) {
        self.part = (from, until);
        self.share = self.share.max(from.clamp(0.0, 1.0));
        self.figures.clear();
    }

    /// So much of the part is done. Says whether a screen is to be told, which is a few times a second.
    pub fn moved(&mut self, now: Duration, done: u64, total: Option<u64>, unit: Unit) -> bool {
        if let Some(total) = total.filter(|it| *it > 0) {
            let within = (amount(done) / amount(total)).clamp(0.0, 1.0);
            let (from, until) = self.part;
            self.share = self.share.max(from + (until - from) * within).clamp(0.0, 1.0);
        }
        // Something else is counted, or it began anew.
        if self.unit != unit || self.figures.back().is_some_and(|it| it.1 > done) {
            self.figures.clear();
        }
        self.unit = unit;
        self.figures.push_back((now, done));
        // One figure older than what is looked back at stays, so that what stands still is seen to.
        while self.figures.len() > 2 && self.figures.get(1).is_some_and(|it| now.saturating_sub(it.0) > LOOKED_BACK) {
            self.figures.pop_front();
        }
        if self.figures.len() > KEPT {
            self.thin();
        }
        let is_due = self.told.is_none_or(|it| now.saturating_sub(it) >= TOLD_EVERY);
        if is_due {
            self.told = Some(now);
        }
        is_due
    }

    /// Percent of the whole, 99 at most: that it is over is said by whoever knows.
    pub fn percent(&self) -> u8 {
        // It is a share between 0 and 1.
        (self.share * 100.0).clamp(0.0, 99.0) as u8
    }

    /// How fast, as in "42 MB a second"; nothing as long as that cannot be told.
    pub fn rate(&self) -> Option<String> {
        let (first, last) = (self.figures.front()?, self.figures.back()?);
        let took = last.0.saturating_sub(first.0);
        if took < SAID_AFTER {
            return None;
        }
        let a_second = (amount(last.1.saturating_sub(first.1)) / took.as_secs_f64()).round().max(0.0) as u64;
        Some(match self.unit {
            Unit::Bytes => format!("{} a second", human(a_second)),
            Unit::Rows => format!("{a_second} rows a second"),
            Unit::Files => format!("{a_second} files a second"),
        })
    }

    /// Seconds until the whole is done, if it goes on as it did.
    pub fn seconds_left(&self, now: Duration) -> Option<f64> {
        let took = now.saturating_sub(self.begun);
        (took >= LEFT_AFTER && self.share >= LEFT_FROM).then(|| took.as_secs_f64() * (1.0 - self.share) / self.share)
    }

    /// Every other figure goes.
    fn thin(&mut self) {
        let mut index = 0;
        self.figures.retain(|_| {
            index += 1;
            index % 2 == 1
        });
    }
}

/// An ear for one part of something, which does not know of the others. Where it cannot say how much there is, it is as
/// much as was expected.
pub struct Part<'a> {
    reporter: &'a dyn Reporter,
    share: (f64, f64),
    expected: Option<u64>,
}

impl<'a> Part<'a> {
    /// The part with this share of the whole, from 0 to 1.
    pub fn begin(reporter: &'a dyn Reporter, share: (f64, f64), expected: Option<u64>) -> Self {
        reporter.part(share.0, share.1);
        Self { reporter, share, expected }
    }
}

impl Reporter for Part<'_> {
    fn moved(&self, done: u64, total: Option<u64>, unit: Unit) {
        let expected = self.expected.filter(|_| unit == Unit::Bytes).map(|it| it.max(done));
        self.reporter.moved(done, total.or(expected), unit);
    }

    fn part(&self, from: f64, until: f64) {
        let within = |at: f64| self.share.0 + (self.share.1 - self.share.0) * at;
        self.reporter.part(within(from), within(until));
    }

    fn say(&self, line: &str) {
        self.reporter.say(line);
    }

    fn check(&self) -> Result<()> {
        self.reporter.check()
    }
}

impl std::fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("share", &self.share).finish_non_exhaustive()
    }
}

/// The share of each of them in the whole, one after the other, by its weight.
pub fn shares(weights: &[u64]) -> Vec<(f64, f64)> {
    // What weighs nothing takes a moment all the same.
    let all: f64 = weights.iter().map(|it| amount(*it + 1)).sum();
    let mut at = 0.0;
    weights
        .iter()
        .map(|it| {
            let from = at;
            at += amount(*it + 1) / all;
            (from, at)
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn amount(of: u64) -> f64 {
    of as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1000 + seconds)
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let mut pace = Pace::begin(at(0));
        assert_eq!(pace.rate(), None);
        for second in 0..20 {
            pace.moved(at(second), second * 1_000_000, None, Unit::Bytes);
        }
        assert_eq!(pace.rate().as_deref(), Some("1.0 MB a second"));
        for second in 20..40 {
            pace.moved(at(second), 20_000_000 + (second - 20) * 5_000_000, None, Unit::Bytes);
        }
        assert_eq!(pace.rate().as_deref(), Some("5.0 MB a second"));
        // What stands still has stood still.
        for second in 40..60 {
            pace.moved(at(second), 115_000_000, None, Unit::Bytes);
        }
        assert_eq!(pace.rate().as_deref(), Some("0 B a second"));
    }

    #[test]
    fn many_figures_in_a_moment_are_as_good_as_few() {
        let mut pace = Pace::begin(at(0));
        for step in 0..5000_u64 {
            pace.moved(at(0) + Duration::from_millis(step), step * 1000, None, Unit::Rows);
        }
        let rate: u64 = pace.rate().unwrap().trim_end_matches(" rows a second").parse().unwrap();
        assert!((999_000..1_001_000).contains(&rate), "{rate}");
        assert!(pace.figures.len() <= KEPT);
    }

    #[test]
    fn parts_are_shares_of_the_whole_which_never_falls() {
        let mut pace = Pace::begin(at(0));
        pace.part(0.0, 0.4);
        pace.moved(at(1), 50, Some(100), Unit::Bytes);
        assert_eq!(pace.percent(), 20);
        pace.moved(at(2), 10, Some(100), Unit::Bytes);
        assert_eq!(pace.percent(), 20, "it began anew, and what was reached stays");
        pace.part(0.4, 1.0);
        assert_eq!(pace.percent(), 40);
        pace.moved(at(8), 50, Some(100), Unit::Rows);
        assert_eq!(pace.percent(), 70);
        pace.moved(at(9), 500, Some(100), Unit::Rows);
        assert_eq!(pace.percent(), 99, "that it is over is said by whoever knows");
    }

    #[test]
    fn what_is_left_follows_from_what_it_took() {
        let mut pace = Pace::begin(at(0));
        pace.moved(at(1), 20, Some(100), Unit::Bytes);
        assert_eq!(pace.seconds_left(at(1)), None, "too early to tell");
        assert_eq!(pace.seconds_left(at(10)), Some(40.0));
        pace.moved(at(20), 1, None, Unit::Files);
        assert_eq!(pace.seconds_left(at(20)), Some(80.0), "what does not say how much it is tells nothing of the rest");
    }
}
