//! What is computed from samples: means, a line through points, and whether two columns of samples differ.

/// The sum by the count; `NaN` without samples.
pub fn mean(samples: &[f64]) -> f64 {
    samples.iter().sum::<f64>() / samples.len() as f64
}

/// The unbiased estimate; 0 with fewer than two samples.
pub fn variance(samples: &[f64]) -> f64 {
    if samples.len() < 2 {
        return 0.0;
    }
    let mean = mean(samples);
    samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>() / (samples.len() - 1) as f64
}

/// The sample in the middle, or the mean of the two there; `NaN` without samples.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// The mean of ratios; `NaN` without any.
pub fn geometric_mean(ratios: &[f64]) -> f64 {
    (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp()
}

/// A straight line, fitted by least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// How steep it is.
    pub slope: f64,
    /// Its height at 0.
    pub intercept: f64,
    /// The share of the variance that it explains.
    pub r2: f64,
}

/// The line through points; horizontal if they don't say otherwise.
pub fn fit(points: &[(f64, f64)]) -> Line {
    let (xs, ys): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let (x_mean, y_mean) = (mean(&xs), mean(&ys));
    let sum = |f: &dyn Fn(f64, f64) -> f64| points.iter().map(|&(x, y)| f(x - x_mean, y - y_mean)).sum::<f64>();
    let (xx, xy, yy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    let r2 = if xx > 0.0 && yy > 0.0 { xy * xy / (xx * yy) } else { 0.0 };
    Line { slope, intercept: y_mean - slope * x_mean, r2 }
}

/// What [`wilcoxon`] finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wilcoxon {
    /// Pairs that differ.
    pub pairs: usize,
    /// The smaller sum of ranks.
    pub w: f64,
    /// How likely so small a sum is if the columns don't differ, both directions counted.
    pub p: f64,
}

/// Pairs up to which the distribution is counted out; beyond, and with ties, it is taken for normal.
const EXACT: usize = 40;

/// Wilcoxon's signed-rank test of pairs of samples.
pub fn wilcoxon(first: &[f64], second: &[f64]) -> Wilcoxon {
    let mut differences: Vec<f64> =
        first.iter().zip(second).map(|(a, b)| a - b).filter(|difference| *difference != 0.0).collect();
    differences.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let n = differences.len();
    let (mut positive, mut negative, mut ties) = (0.0, 0.0, 0.0);
    let mut start = 0;
    while start < n {
        let size = differences[start].abs();
        let end = start + differences[start..].iter().take_while(|difference| difference.abs() == size).count();
        // Those that tie share the mean of their ranks.
        let rank = (start + 1 + end) as f64 / 2.0;
        for difference in &differences[start..end] {
            if *difference > 0.0 { positive += rank } else { negative += rank }
        }
        let tied = (end - start) as f64;
        ties += tied.powi(3) - tied;
        start = end;
    }
    let w = f64::min(positive, negative);
    let p = if n == 0 {
        1.0
    } else if n <= EXACT && ties == 0.0 {
        exact(n, w as usize)
    } else {
        let count = n as f64;
        let expected = count * (count + 1.0) / 4.0;
        let variance = count * (count + 1.0) * (2.0 * count + 1.0) / 24.0 - ties / 48.0;
        // The sum of ranks goes in steps, the normal distribution does not.
        let z = ((w - expected).abs() - 0.5).max(0.0) / variance.sqrt();
        (2.0 * upper_tail(z)).min(1.0)
    };
    Wilcoxon { pairs: n, w, p }
}

/// The probability of a sum of ranks that is as far from the middle as `w` or farther.
fn exact(n: usize, w: usize) -> f64 {
    let most = n * (n + 1) / 2;
    // How many of the 2^n choices of signs give each sum.
    let mut ways = vec![0.0_f64; most + 1];
    ways[0] = 1.0;
    for rank in 1..=n {
        for sum in (rank..=most).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    (2.0 * ways[..=w].iter().sum::<f64>() / 2.0_f64.powi(n as i32)).min(1.0)
}

/// The normal distribution beyond `z`, by the formula 7.1.26 of Abramowitz and Stegun; wrong by less than 1.5e-7.
fn upper_tail(z: f64) -> f64 {
    const COEFFICIENTS: [f64; 5] = [0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429];
    let x = z / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.3275911 * x);
    let polynomial = COEFFICIENTS.iter().rev().fold(0.0, |sum, coefficient| (sum + coefficient) * t);
    0.5 * polynomial * (-x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, by: f64) {
        assert!((a - b).abs() < by, "{a} is not {b}");
    }

    #[test]
    fn means_and_medians() {
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
        assert_eq!(median(&[6.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), 3.0);
        assert_eq!(variance(&[1.0, 2.0, 6.0]), 7.0);
        assert_eq!(variance(&[5.0]), 0.0);
        close(geometric_mean(&[0.5, 2.0, 8.0]), 2.0, 1e-12);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_line_is_found_again() {
        let line = fit(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]);
        close(line.slope, 2.0, 1e-12);
        close(line.intercept, 1.0, 1e-12);
        close(line.r2, 1.0, 1e-12);
    }

    #[test]
    fn what_a_line_does_not_explain_lowers_r2() {
        // Anscombe's first set.
        let xs = [10.0, 8.0, 13.0, 9.0, 11.0, 14.0, 6.0, 4.0, 12.0, 7.0, 5.0];
        let ys = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68];
        let points: Vec<(f64, f64)> = xs.into_iter().zip(ys).collect();
        let line = fit(&points);
        close(line.slope, 0.5001, 1e-4);
        close(line.intercept, 3.0001, 1e-4);
        close(line.r2, 0.6665, 1e-4);
        assert_eq!(fit(&[(1.0, 2.0), (1.0, 3.0)]).r2, 0.0);
    }

    #[test]
    fn few_pairs_are_counted_out() {
        // Darwin's maize: cross-fertilized against self-fertilized plants.
        let heights = [49., -67., 8., 16., 6., 23., 28., 41., 14., 29., 56., 24., 75., 60., -48.];
        let found = wilcoxon(&heights, &[0.0; 15]);
        assert_eq!((found.pairs, found.w), (15, 24.0));
        close(found.p, 0.041_259_765_625, 1e-12);
        close(wilcoxon(&[1.0, 2.0, 3.0, 4.0, 5.0], &[0.0; 5]).p, 0.0625, 1e-12);
    }

    #[test]
    fn equal_columns_do_not_differ() {
        assert_eq!(wilcoxon(&[1.0, 2.0], &[1.0, 2.0]), Wilcoxon { pairs: 0, w: 0.0, p: 1.0 });
        close(wilcoxon(&[1.0, 2.0], &[2.0, 1.0]).p, 1.0, 1e-6);
    }

    #[test]
    fn many_pairs_are_taken_for_normal() {
        let first: Vec<f64> = (1..=50).map(f64::from).collect();
        let second: Vec<f64> = (1..=50).map(|n| if n % 5 == 0 { f64::from(n) * 2.0 + 0.1 } else { 0.0 }).collect();
        let exact_one = exact(50, 274);
        let normal = wilcoxon(&first, &second);
        assert_eq!((normal.pairs, normal.w), (50, 275.0));
        close(normal.p, exact_one, 1e-3);
    }

    #[test]
    fn the_tail_is_that_of_the_tables() {
        close(upper_tail(0.0), 0.5, 1e-6);
        close(upper_tail(1.96), 0.024998, 1e-6);
        close(upper_tail(3.0), 0.00134990, 1e-7);
    }
}
