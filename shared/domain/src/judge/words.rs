//! Numbers as people read them.

/// Evidence as odds, and what is needed: `evidence 214 : 1 (needs 100 : 1)`.
pub fn evidence(ln_e: f64, ln_needed: f64) -> String {
    format!("evidence {}", against(ln_e, ln_needed))
}

/// Odds, and what is needed: `214 : 1 (needs 100 : 1)`.
pub(super) fn against(ln_e: f64, ln_needed: f64) -> String {
    format!("{} : 1 (needs {} : 1)", odds(ln_e), odds(ln_needed))
}

fn odds(ln: f64) -> String {
    match ln.exp() {
        few if few < 0.1 => "under 0.1".into(),
        few if few < 9.95 => format!("{few:.1}"),
        some if some < 999_999.5 => format!("{some:.0}"),
        _ => "over a million".into(),
    }
}

/// A proportion in percent, with as many digits as say something.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 => "0 %".into(),
        small if small < 0.1 => format!("{small:.3} %"),
        small if small < 1.0 => format!("{small:.2} %"),
        _ => format!("{percent:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_reads_as_odds() {
        assert_eq!(
            evidence(214_f64.ln(), 100_f64.ln()),
            "evidence 214 : 1 (needs 100 : 1)"
        );
        assert_eq!(evidence(-20.0, 5.0), "evidence under 0.1 : 1 (needs 148 : 1)");
        assert_eq!(evidence(1e4, 1.0), "evidence over a million : 1 (needs 2.7 : 1)");
        assert_eq!(percent(0.0004), "0.040 %");
        assert_eq!(percent(0.061), "6.1 %");
    }
}
