//! Series as they are stored: each number by what it differs from the one before. Exact, whatever the numbers are.

/// Puts in the place of each number what it differs from the one before.
pub(crate) fn take(series: &mut [i64]) {
    for place in (1..series.len()).rev() {
        series[place] = series[place].wrapping_sub(series[place - 1]);
    }
}

/// Gives the numbers back.
pub(crate) fn add_up(series: &mut [i64]) {
    for place in 1..series.len() {
        series[place] = series[place].wrapping_add(series[place - 1]);
    }
}
